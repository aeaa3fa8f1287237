"""Compiled code of the innermost loops does not count references (decision 0018)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba import njit

from scheduler.optimiser.large import bound, cells, fractional, improve, insert, prox, respond, state

INNERMOST = [
    bound.copies_bound, cells.cell, fractional._sweep, fractional._class_costs, fractional.buy, improve._anneal, improve._aim,
    insert.insert, prox._clear, prox._stretch, prox.supply_steps, respond.respond, respond.level_of, state.take, state.put,
    state.keep, state.put_back, state.settle_peaks, state.recount,
]  # fmt: skip


@pytest.mark.parametrize("kernel", INNERMOST, ids=lambda kernel: kernel.py_func.__name__)
def test_innermost_code_is_compiled_without_reference_counts(kernel: Any) -> None:
    """The option is asked for."""
    assert kernel.targetoptions["_nrt"] is False


def _first(pair: tuple[Any, Any], n: int) -> float:
    """Something that a count would be kept for: arrays of a tuple, taken apart in a loop."""
    total = 0.0
    for i in range(n):
        one, other = pair
        part = one[i:] if one[i] > 0.0 else other[i:]
        total += part[0]
    return total


def test_the_option_does_what_it_should() -> None:
    """The machine code of a function with the option has no counts in it, without the option it has."""
    pair = np.ones(3), np.ones(3)
    text = []
    for options in ({}, {"_nrt": False}):
        compiled = njit(**options)(_first)
        assert compiled(pair, 3) == 3.0
        text.append("\n".join(compiled.inspect_llvm().values()))
    assert "NRT_incref" in text[0]
    assert "NRT_incref" not in text[1]
