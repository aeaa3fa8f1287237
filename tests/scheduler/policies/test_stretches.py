"""Slots of one job in pieces: the dynamic programme against trying every choice of slots."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.policies.stretches import cheapest_pieces, earliest_pieces
from scheduler.problem import JobTask
from scheduler.workload import JobKind
from tests.scheduler.optimiser.reference import kept, pieces
from tests.scheduler.problems import task

SLOTS = 8


def soft(work: int, min_run: int, min_gap: int, restart_eur: float) -> JobTask:
    """An interruptible job."""
    return task("j", JobKind.INTERRUPTIBLE, work=work, min_run=min_run, min_gap=min_gap, restart_eur=restart_eur)


def every(item: JobTask, fits: list[bool]) -> list[tuple[int, ...]]:
    """Every choice of slots that keeps the rules."""
    free = [t for t in range(SLOTS) if fits[t]]
    return [slots for slots in itertools.combinations(free, item.work) if kept(item, slots)]


jobs = st.builds(soft, st.integers(1, 5), st.integers(1, 3), st.integers(0, 3), st.sampled_from([0.0, 0.5, 2.0]))
prices = st.lists(st.integers(-3, 9), min_size=SLOTS, max_size=SLOTS)
free_slots = st.lists(st.booleans(), min_size=SLOTS, max_size=SLOTS)


@given(jobs, prices, free_slots)
def test_cheapest_is_the_best_of_all_choices(item: JobTask, cost: list[int], fits: list[bool]) -> None:
    """The slots keep the rules and cost what the best choice costs; none are found only where there are none."""
    found = cheapest_pieces(np.array(cost, dtype=float), np.array(fits, dtype=float), item)
    choices = every(item, fits)
    if found is None:
        assert choices == []
        return
    slots, eur = found
    assert slots in choices

    def price(choice: tuple[int, ...]) -> float:
        return sum(cost[t] for t in choice) + item.restart_eur * (len(pieces(choice)) - 1)

    assert eur == pytest.approx(price(slots))
    assert eur == pytest.approx(min(price(choice) for choice in choices))


@given(jobs, free_slots)
def test_earliest_ends_first(item: JobTask, fits: list[bool]) -> None:
    """No choice that keeps the rules ends before the one that is found."""
    found = earliest_pieces(np.array(fits, dtype=float), item)
    choices = every(item, fits)
    if found is None:
        assert choices == []
        return
    assert found in choices
    assert found[-1] == min(choice[-1] for choice in choices)
