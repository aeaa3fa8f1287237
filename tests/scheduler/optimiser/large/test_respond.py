"""Best responses of single jobs against slow plain Python and scipy."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from scheduler.optimiser.large.case import INTERRUPTIBLE, MALLEABLE, RIGID
from scheduler.optimiser.large.respond import level_of, respond
from tests.scheduler.optimiser.large.windows import windows

Reals = npt.NDArray[np.float64]


def answer(kind: int, kw: Reals, use: Reals, **given: Any) -> tuple[float, float, Reals, Reals]:
    """Cost, lateness and shares of the compiled response."""
    size = len(kw)
    job = {"limit": np.ones(size), "first": 0, "work": 1, "soft": size, "late": 0.0, "speed2": 0.7, "power2": 0.55} | given
    share_kw, share_use = np.empty(size), np.empty(size)
    cost, late = respond(
        kind, kw, use, job["limit"], size, job["first"], job["work"], job["soft"], job["late"], job["speed2"], job["power2"],
        share_kw, share_use, np.empty(2 * size), np.empty(2 * size),
    )  # fmt: skip
    return float(cost), float(late), share_kw, share_use


def adds_up(kw: Reals, use: Reals, found: tuple[float, float, Reals, Reals]) -> bool:
    """The cost is that of the shares at the prices, with lateness."""
    cost, late, share_kw, share_use = found
    free = np.isfinite(use)
    total = float(share_kw[free] @ kw[free] + share_use[free] @ use[free]) + late
    return cost == pytest.approx(total, abs=1e-9) and not share_use[~free].any()


@given(windows())
def test_rigid_block_is_the_cheapest(window: tuple[Reals, Reals, dict[str, Any]]) -> None:
    """The cheapest of all blocks that meet no blocked slot, lateness for each slot by which its end passes the due slot."""
    kw, use, job = window
    found = answer(RIGID, kw, use, **job)
    costs = [
        (kw + use)[i : i + job["work"]].sum() + job["late"] * max(0, job["first"] + i + job["work"] - job["soft"])
        for i in range(len(kw) - job["work"] + 1)
    ]
    assert found[0] == pytest.approx(min(costs))
    assert np.isinf(found[0]) or adds_up(kw, use, found)


@given(windows())
def test_interruptible_slots_are_the_cheapest(window: tuple[Reals, Reals, dict[str, Any]]) -> None:
    """The cheapest of all sets of slots, lateness for each of them at or after the due slot."""
    kw, use, job = window
    found = answer(INTERRUPTIBLE, kw, use, **job)
    price = kw + use + job["late"] * (job["first"] + np.arange(len(kw)) >= job["soft"])
    best = min(price[list(slots)].sum() for slots in itertools.combinations(range(len(kw)), job["work"]))
    assert found[0] == pytest.approx(best)
    assert np.isinf(found[0]) or adds_up(kw, use, found)


@given(windows(), st.floats(0.2, 1.0), st.floats(0.1, 1.0))
def test_malleable_shares_are_those_of_the_linear_programme(
    window: tuple[Reals, Reals, dict[str, Any]], speed2: float, power2: float
) -> None:
    """Shares of both modes within each slot's limit that do at least the work: the cost is the optimum that scipy finds."""
    kw, use, job = window
    limit = job["limit"]
    found = answer(MALLEABLE, kw, use, speed2=speed2, power2=power2, **job)
    free = np.flatnonzero(np.isfinite(use))
    base = use[free] + job["late"] * (job["first"] + free >= job["soft"])
    both = np.concatenate((kw[free] + base, power2 * kw[free] + base))
    done = -np.concatenate((np.ones(len(free)), np.full(len(free), speed2)))
    if not len(free) or limit[free].sum() < job["work"] - 1e-9:
        assert np.isinf(found[0])
        return
    within = np.concatenate((np.eye(len(free)), np.eye(len(free))), axis=1)
    best = linprog(both, np.vstack((done, within)), np.concatenate(([-float(job["work"])], limit[free])))
    assert found[0] == pytest.approx(best.fun, abs=1e-7)
    assert adds_up(kw, use, found)
    assert (found[3] <= limit + 1e-9).all()


@given(st.integers(1, 60), st.integers(0, 2**32 - 1), st.data())
def test_malleable_shares_of_long_windows_with_equal_prices(size: int, draw: int, data: st.DataObject) -> None:
    """Up to 60 slots of five prices, some below zero: the cost is that of taking increments one by one in the order of price."""
    rng = np.random.default_rng(draw)
    kw, use = rng.integers(-1, 4, size).astype(float), rng.integers(0, 2, size).astype(float)
    work = data.draw(st.integers(1, size))
    found = answer(MALLEABLE, kw, use, work=work)
    increments: list[tuple[float, float]] = []
    for full, eco in zip(kw + use, 0.55 * kw + use, strict=True):
        saves = eco < 0.7 * full
        increments += [(eco / 0.7, 0.7), ((full - eco) / 0.3, 0.3)] if saves else [(full, 1.0)]
    left, cost = float(work), 0.0
    for value, amount in sorted(increments):
        part = amount if value < 0.0 else min(amount, max(0.0, left))
        left, cost = left - part, cost + part * value
    assert found[0] == pytest.approx(cost, abs=1e-9)
    assert adds_up(kw, use, found)
    assert float((found[3] - (found[3] - found[2]) / 0.45 * 0.3).sum()) >= work - 1e-9


finite = st.one_of(st.integers(-5, 5).map(float), st.floats(-1e9, 1e9, allow_nan=False))


@given(st.lists(st.tuples(st.one_of(finite, st.just(np.inf)), st.integers(0, 3)), min_size=1, max_size=120), st.integers(1, 200))
def test_level_is_the_least_that_does_the_work(increments: list[tuple[float, int]], work: int) -> None:
    """As in a sorted list, equal values, slots without room and closed ones included; the greatest where all do too little."""
    open_ones = sorted((value, size) for value, size in increments if value < np.inf)
    done, expected = 0, -np.inf
    for value, size in open_ones:
        if done >= work:
            break
        done, expected = done + size, value
    sizes = [size if value < np.inf else 0 for value, size in increments]
    found = level_of(np.array([value for value, _ in increments]), np.array(sizes, dtype=float), float(work))
    if done >= work or not open_ones:
        assert found == expected
    else:
        assert found == open_ones[-1][0]


@pytest.mark.parametrize("kind", [RIGID, INTERRUPTIBLE, MALLEABLE])
def test_window_shorter_than_the_work_has_no_response(kind: int) -> None:
    """Three slots of work in two: infinite."""
    assert np.isinf(answer(kind, np.ones(2), np.zeros(2), work=3)[0])
