"""A pass over all jobs: the books are kept, nothing gets dearer, and a job moves only for what it must save."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.optimiser.case_maker import make_case
from scheduler.optimiser.large.case import Case, IntArray
from scheduler.optimiser.large.resettle import resettle
from tests.cases import tiny, with_jobs
from tests.scheduler.optimiser.large.test_solve import MEDIUM
from tests.scheduler.optimiser.large.test_state import Books


def passed(books: Books, order: IntArray, gain: float = 0.0) -> int:
    """One pass."""
    longest = books.case.T + 2
    return int(resettle(books.jobs, books.grid, books.state, order.astype(np.int64), 0.0, longest, gain))


def placed_somewhere(case: Case, seed: int, *, soft: bool = False) -> Books:
    """A plan with much noise in the choice of places, some jobs left out."""
    books, rng = Books(case, soft=soft), np.random.default_rng(seed)
    for j in rng.permutation(case.J)[: max(1, case.J - 3)]:
        books.insert(int(j), noise=1.5)
    books.recount()
    return books


@given(seed=st.integers(0, 500), soft=st.booleans())
@settings(max_examples=25, deadline=None)
def test_pass_never_raises_the_total(seed: int, soft: bool) -> None:
    """The total after a pass is at most the one before, is what a fresh count finds, and a second pass finds less."""
    case = make_case(MEDIUM, seed % 7)
    books = placed_somewhere(case, seed, soft=soft)
    before, order = books.recount(), np.random.default_rng(seed).permutation(case.J)
    moved = passed(books, order)
    after = float(books.state.total[0])
    assert after <= before + 1e-9 * max(1.0, abs(before))
    assert books.recount() == pytest.approx(after, rel=1e-9)
    if moved:
        assert after < before
    if not soft:
        assert (books.state.use <= case.cap + 1e-6).all()


def _badly_placed(price: float = 0.3) -> Books:
    """One job in slot 0 at ``price`` although slot 2 costs 0.1 EUR/kWh."""
    books = Books(with_jobs(tiny(pi=[[price, 0.3, 0.3, 0.3]]), {}))
    assert books.insert(0) == 0
    dear = Books(with_jobs(tiny(pi=[[price, 0.3, 0.1, 0.3]]), {}))
    dear.state.slot[:] = 0
    dear.state.kw[:], dear.state.part[:], dear.state.length[:] = 1.0, 1.0, 1
    dear.put(0, 0, 0.0)
    return dear


def test_job_goes_where_it_costs_least() -> None:
    """1 kW for an hour at 0.30 moves to the hour at 0.10 EUR/kWh."""
    books = _badly_placed()
    assert passed(books, np.arange(1)) == 1
    assert books.state.slot[0] == 2


@pytest.mark.parametrize(("gain", "slot"), [(0.19, 2), (0.21, 0)])
def test_job_stays_for_less_than_it_must_save(gain: float, slot: int) -> None:
    """A move that saves 0.20 EUR is made when 0.19 is asked for, and not when 0.21 is; then everything is as it was."""
    books = _badly_placed()
    before = books.recount()
    moved = passed(books, np.arange(1), gain)
    assert moved == (slot == 2)
    assert books.state.slot[0] == slot
    if not moved:
        assert books.recount() == pytest.approx(before)


def test_dropped_job_comes_in_whatever_must_be_saved() -> None:
    """A job without a place is put in although less is saved than a placed one would have to save."""
    books = Books(with_jobs(tiny(), {"drop": 1.0}))
    assert passed(books, np.arange(1), gain=50.0) == 1
    assert books.state.choice[0] == 0


def test_job_whose_drop_is_cheaper_is_dropped() -> None:
    """A job at 0.30 EUR that may be dropped for 0.05 leaves the plan."""
    books = Books(with_jobs(tiny(pi=0.3), {"drop": 0.05}))
    books.state.slot[:], books.state.kw[:], books.state.part[:], books.state.length[:] = 0, 1.0, 1.0, 1
    books.put(0, 0, 0.0)
    assert passed(books, np.arange(1)) == 1
    assert books.state.choice[0] == -1
