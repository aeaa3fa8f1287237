"""Compiled code of the innermost loops does not count references (decision 0018)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from scheduler.optimiser.large import (
    adopt,
    bound,
    cells,
    fractional,
    improve,
    insert,
    order,
    pieces,
    prox,
    resettle,
    respond,
    special,
    state,
)

MODULES = (adopt, bound, cells, fractional, improve, insert, order, pieces, prox, resettle, respond, special, state)

ALLOCATE = {
    "adopt", "_all_steps", "anneal", "bench_of", "class_costs", "construct", "grid_powers", "relieve", "resettle",
    "room_for_places", "scratch_of", "serve", "serve_site", "sweep", "tables_of",
}  # fmt: skip
"""Functions that make room for others, or are called too seldom for counts to matter."""


def test_only_functions_that_make_room_count_references() -> None:
    """Every other compiled function has the option, and none of these is left from before."""
    compiled = {name: part for module in MODULES for name, part in vars(module).items() if hasattr(part, "targetoptions")}
    assert {name for name, part in compiled.items() if part.targetoptions.get("_nrt", True)} == ALLOCATE


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
