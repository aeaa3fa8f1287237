"""Single moves of jobs keep the books: what is counted on the way is what a fresh count finds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.optimiser.large.adopt import adopt
from scheduler.optimiser.large.case import Case
from scheduler.optimiser.large.cells import flexible, grid_of
from scheduler.optimiser.large.dual import event_grid
from scheduler.optimiser.large.improve import relieve
from scheduler.optimiser.large.insert import insert, scratch_of
from scheduler.optimiser.large.state import jobs_of, new_state, put, recount, settle_peaks, take
from scheduler.optimiser.large.translate import case_of
from scheduler.scenario import PlanningSettings
from tests.cases import tiny, with_jobs
from tests.scheduler.optimiser.large.random_problems import random_problem


class Books:
    """A plan under construction, everything dropped; ``soft`` makes capacity soft and cells follow a target."""

    def __init__(self, case: Case, *, soft: bool = False) -> None:
        events = event_grid(case)
        still = flexible(case, np.zeros((case.S, case.T)), np.zeros((case.S, case.T)), 0.0)
        grid = grid_of(case, still, events.limit, events.penalty, np.zeros_like(case.cap), np.zeros((case.S, case.T)))
        if soft:
            mu = np.full(case.cap.shape, 0.05)
            grid = grid._replace(
                rho=np.full(case.S, 0.2), stiff=np.full(case.cap.shape[:2], 0.3), mu=mu, target=grid.target + 1.0
            )
        self.case, self.jobs, self.grid, self.state = case, jobs_of(case), grid, new_state(case, jobs_of(case))
        self._scratch = scratch_of(self.jobs, case.T)
        self.recount()

    def recount(self) -> float:
        """Everything afresh; returns the total."""
        recount(self.jobs, self.grid, self.state)
        return float(self.state.total[0])

    def insert(self, job: int, noise: float = 0.0) -> int:
        """Put a job in, peaks settled; returns its site or -1."""
        opened = np.zeros(max(1, len(self.case.mc)), dtype=np.int64)
        site = int(insert(self.jobs, self.grid, self.state, job, 0.0, noise, opened, self._scratch))
        self._settle()
        return site

    def take(self, job: int) -> None:
        """Take a job out, peaks settled."""
        take(self.jobs, self.grid, self.state, job)
        self._settle()

    def put(self, job: int, entry: int, own: float) -> None:
        """Put a job back as it was, peaks settled."""
        put(self.jobs, self.grid, self.state, job, entry, own)
        self._settle()

    def _settle(self) -> None:
        settle_peaks(self.grid, self.state, np.ones(self.case.S, dtype=np.bool_))

    def kept(self) -> list[Any]:
        """Copies of what must not depend on the way."""
        s = self.state
        return [s.load.copy(), s.use.copy(), s.cost.copy(), s.imported.copy(), s.peak.copy(), s.copies.copy(), s.volume.copy()]


@settings(max_examples=40)
@given(st.integers(2000, 2060), st.booleans(), st.lists(st.tuples(st.integers(0, 99), st.booleans()), min_size=1, max_size=25))
def test_books_equal_a_fresh_count_after_any_moves(seed: int, soft: bool, moves: list[tuple[int, bool]]) -> None:
    """Insertions, removals, and jobs taken out and put back as they were: total, load, use, peaks and copies agree."""
    books = Books(case_of(random_problem(seed, PlanningSettings())), soft=soft)
    for number, back in moves:
        job = number % books.case.J
        entry, own = int(books.state.choice[job]), float(books.state.own[job])
        if entry < 0:
            books.insert(job, noise=0.3 if back else 0.0)
            continue
        books.take(job)
        if back:
            books.put(job, entry, own)
    total, counted = float(books.state.total[0]), books.kept()
    assert books.recount() == pytest.approx(total, abs=1e-7)
    for before, after in zip(counted, books.kept(), strict=True):
        assert after == pytest.approx(before, abs=1e-8)
    if not soft:
        assert (books.state.use <= books.case.cap + 1e-6).all()
    running = {j for s in range(books.case.S) for j in books.state.members[s, : books.state.number[s]].tolist()}
    assert running == set(np.flatnonzero(books.state.choice >= 0).tolist())


@settings(max_examples=40)
@given(st.integers(2000, 2060), st.integers(0, 99))
def test_taking_out_what_was_put_in_changes_nothing(seed: int, number: int) -> None:
    """The total is that of before; a job is only put in where that costs less than dropping it and nothing is noisy."""
    books = Books(case_of(random_problem(seed, PlanningSettings())))
    job = number % books.case.J
    before = books.recount()
    if books.insert(job) < 0:
        assert books.state.choice[job] == -1
        return
    assert books.state.choice[job] >= 0
    books.take(job)
    assert float(books.state.total[0]) == pytest.approx(before, abs=1e-8)


def test_job_goes_to_the_cheapest_slot_with_room() -> None:
    """The cheapest slot is full, the second cheapest is taken; dropping is dearer."""
    case = with_jobs(tiny(pi=[[0.4, 0.1, 0.2, 0.3]], cap=[[[1.0, 0.5, 1.0, 1.0]]]), {"drop": 1.0})
    books = Books(case)
    before = books.recount()
    assert books.insert(0) == 0
    assert books.state.slot[books.jobs.room[0]] == 2
    assert float(books.state.total[0]) == pytest.approx(before - 1.0 + 0.2)


def test_job_that_costs_more_than_its_drop_stays_out() -> None:
    """Power for 0.1 EUR against a drop of 0.05 EUR."""
    books = Books(with_jobs(tiny(pi=0.1), {"drop": 0.05}))
    assert books.insert(0) == -1
    assert books.state.choice[0] == -1


def test_second_user_of_a_copy_does_not_pay_it_again() -> None:
    """A copy for 0.3 EUR: the first job pays it, the second one only its power; the last to leave gets it back."""
    case = tiny(pi=0.1, ms=[0], md=[0], mc=[0.3], mgb=[10.0])
    case = with_jobs(case, *[{"drop": 1.0, "entries": [(0, 0.0, 0, 0)]}] * 2)
    books = Books(case)
    start = books.recount()
    books.insert(0)
    assert float(books.state.total[0]) == pytest.approx(start - 1.0 + 0.1 + 0.3)
    books.insert(1)
    assert float(books.state.total[0]) == pytest.approx(start - 2.0 + 0.2 + 0.3)
    books.take(0)
    books.take(1)
    assert float(books.state.total[0]) == pytest.approx(start)


def _two_sites(**terms: Any) -> Case:
    """Two sites of one core and four slots; the second is dearer; three jobs of one slot that all want slot 0 of the first."""
    case = tiny(2, 4, cap=1.0, pi=np.array([[0.1, 0.2, 0.3, 0.4], [0.5, 0.5, 0.5, 0.5]]))
    job = {"dl": 1, "drop": 5.0, "entries": [(0, 0.0, 0, -1), (1, 0.0, 0, -1)]} | terms
    return with_jobs(case, job, job, job)


def test_relief_moves_the_job_that_is_cheapest_to_move_and_drops_what_has_no_place() -> None:
    """Three jobs in one slot of one core: one stays, one goes to the other site, one is dropped; the books are right."""
    books = Books(_two_sites())
    for job in range(3):
        books.state.slot[books.jobs.room[job]], books.state.length[job] = 0, 1
        books.state.kw[books.jobs.room[job]] = books.state.part[books.jobs.room[job]] = 1.0
        books.state.choice[job], books.state.own[job] = 2 * job, 0.0
    books.recount()
    assert books.state.use[0, 0, 0] == 3.0
    assert relieve(books.jobs, books.grid, books.state, 8, 40) == 2
    assert (books.state.use <= books.case.cap).all()
    assert sorted(books.case.es[books.state.choice[books.state.choice >= 0]]) == [0, 1]
    assert (books.state.choice < 0).sum() == 1
    total = float(books.state.total[0])
    assert total == pytest.approx(books.recount())


def test_relief_prefers_another_time_to_a_drop() -> None:
    """With four slots to run in, all three jobs run at the first site, each in a slot of its own."""
    books = Books(_two_sites(dl=4))
    for job in range(3):
        books.state.slot[books.jobs.room[job]], books.state.length[job] = 0, 1
        books.state.kw[books.jobs.room[job]] = books.state.part[books.jobs.room[job]] = 1.0
        books.state.choice[job], books.state.own[job] = 2 * job, 0.0
    books.recount()
    relieve(books.jobs, books.grid, books.state, 8, 40)
    assert (books.state.choice >= 0).all()
    assert books.state.use[0, 0].tolist() == [1.0, 1.0, 1.0, 0.0]


@pytest.mark.parametrize(("kind", "shares", "slots"), [(0, [0.0, 1.0, 1.0, 0.0], [1, 2]), (1, [1.0, 0.0, 0.2, 0.8], [0, 3])])
def test_adopted_jobs_run_where_the_fractional_plan_has_them(kind: int, shares: list[float], slots: list[int]) -> None:
    """A rigid job takes the start it uses most, an interruptible one its heaviest slots; half a share is not adopted."""
    case = with_jobs(tiny(1, 4), {"typ": kind, "p": 2, "dl": 4, "soft": 3, "wt": 0.5})
    books, use = Books(case), np.array(shares)
    one = np.ones(1)
    index = (np.zeros(1, dtype=np.int64), np.array([0, 1]), np.zeros(1, dtype=np.int64), np.array([0, 4]))
    assert adopt(books.jobs, books.state, *index, 0.5 * one, use, use, 0.95) == 0
    assert adopt(books.jobs, books.state, *index, one, use, use, 0.95) == 1
    at = books.jobs.room[0]
    assert books.state.slot[at : at + books.state.length[0]].tolist() == slots
    assert books.state.own[0] == (0.5 if kind == 1 else 0.0)


def test_adopted_malleable_jobs_keep_their_shares_scaled_to_the_work() -> None:
    """Half a slot at full speed and 0.4 of one in the second mode (0.7 of the work) are 0.78; scaled to one slot of work."""
    case = with_jobs(tiny(1, 4), {"typ": 2, "p": 1, "dl": 4})
    books, one = Books(case), np.ones(1)
    use, power = np.array([0.5, 0.4, 0.0, 0.0]), np.array([0.5, 0.4 * 0.55, 0.0, 0.0])
    index = (np.zeros(1, dtype=np.int64), np.array([0, 1]), np.zeros(1, dtype=np.int64), np.array([0, 4]))
    assert adopt(books.jobs, books.state, *index, one, power, use, 0.95) == 1
    at = books.jobs.room[0]
    assert books.state.part[at : at + 2].tolist() == pytest.approx([0.5 / 0.78, 0.4 / 0.78])
    assert books.state.kw[at : at + 2].tolist() == pytest.approx([0.5 / 0.78, 0.22 / 0.78])


def test_a_copy_without_volume_is_not_adopted() -> None:
    """Two datasets of 60 GB at a site that takes 100: the second job is left for later, readers of the first are not."""
    copies = {"ms": [0, 0], "md": [0, 1], "mc": [0.1, 0.1], "mgb": [60.0, 60.0], "gbmax": [100.0]}
    jobs = [{"entries": [(0, 0.0, 0, m)]} for m in (0, 1, 0)]
    books, use = Books(with_jobs(tiny(1, 4, **copies), *jobs)), np.tile([1.0, 0.0, 0.0, 0.0], 3)
    index = (np.arange(3), np.arange(4), np.arange(3), 4 * np.arange(4))
    assert adopt(books.jobs, books.state, *index, np.ones(3), use, use, 0.95) == 2
    assert books.state.choice.tolist() == [0, -1, 2]


def test_adopted_jobs_of_a_class_share_what_it_has() -> None:
    """Three identical jobs, 2.2 of them at the first site in slots 0 and 2, 0.8 at the second: two are adopted, one a slot."""
    job = {"typ": 1, "p": 1, "dl": 3, "entries": [(0, 0.0, 0, -1), (1, 0.0, 0, -1)]}
    books = Books(with_jobs(tiny(2, 3), job, job, job))
    index = (np.zeros(3, dtype=np.int64), np.array([0, 2]), np.array([0, 1]), np.array([0, 3, 6]))
    use = np.array([1.2, 0.0, 1.0, 0.0, 0.8, 0.0])
    assert adopt(books.jobs, books.state, *index, np.array([2.2, 0.8]), use, use, 0.95) == 2
    assert books.state.choice.tolist() == [0, 2, -1]
    assert [int(books.state.slot[books.jobs.room[j]]) for j in (0, 1)] == [0, 2]


def test_adopted_malleable_jobs_of_a_class_take_equal_shares() -> None:
    """Two of them that together work two slots at 0.5 a job and slot: each gets its half."""
    job = {"typ": 2, "p": 1, "dl": 2}
    books = Books(with_jobs(tiny(1, 2), job, job))
    index = (np.zeros(2, dtype=np.int64), np.array([0, 1]), np.zeros(1, dtype=np.int64), np.array([0, 2]))
    use = np.array([1.0, 1.0])
    assert adopt(books.jobs, books.state, *index, np.array([2.0]), use, use, 0.95) == 2
    assert books.state.part[: books.state.length[0]].tolist() == pytest.approx([0.5, 0.5])
    assert (books.state.length == 2).all()
