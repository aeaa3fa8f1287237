"""The second core: a second plan where there is one, bounds only where there is not, and no fault lost."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from grid.errors import SolverError
from scheduler.optimiser.case_maker import make_case
from scheduler.optimiser.large import beside, solve
from scheduler.optimiser.large.beside import Beside, cores
from scheduler.optimiser.large.branch import Tree
from scheduler.optimiser.large.case import MALLEABLE
from scheduler.optimiser.large.dual import Dual
from scheduler.optimiser.large.primal import Primal
from scheduler.optimiser.large.size_bound import SizeDual
from scheduler.optimiser.large.solve import LargeLimits, solve_case
from scheduler.plan import SolveStatus
from tests.cases import tiny, with_jobs
from tests.scheduler.optimiser.large.test_solve import MEDIUM, solved


def made(monkeypatch: pytest.MonkeyPatch) -> list[Primal]:
    """Every search for a plan that is made from now on."""
    searches: list[Primal] = []
    begin = Primal.__init__

    def watched(self: Primal, *some: Any, **more: Any) -> None:
        begin(self, *some, **more)
        searches.append(self)

    monkeypatch.setattr(Primal, "__init__", watched)
    return searches


def test_the_better_of_two_plans_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """With two cores there are two searches, of different draws, and the outcome is the better one."""
    monkeypatch.setattr(solve, "cores", lambda: 2)
    monkeypatch.setattr(solve, "polish", lambda *_: None)
    searches = made(monkeypatch)
    found = solved(make_case(MEDIUM, 1), 2.0, 0.0)
    assert len(searches) == 2
    assert searches[0].seed != searches[1].seed
    assert found.primal.objective <= min(search.objective for search in searches) + 1e-6


def test_one_core_searches_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one core the second thread has bounds to do, and no plan."""
    monkeypatch.setattr(solve, "cores", lambda: 1)
    searches = made(monkeypatch)
    found = solved(make_case(MEDIUM, 1), 1.0, 0.0)
    assert len(searches) == 1
    assert found.primal is searches[0]


def test_a_second_plan_that_is_good_enough_ends_the_first_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the second search reaches the asked gap, the first one, which would never end, stops."""
    monkeypatch.setattr(solve, "cores", lambda: 2)

    def instant(self: Beside) -> None:
        self.rival = self._second() if self._second else None
        assert self.rival is not None
        self.rival.repair()
        self.rival.judge("instant", None)
        self._dual.bound = self.rival.objective * (1.0 - 1e-6)

    monkeypatch.setattr(Beside, "_work", instant)
    monkeypatch.setattr(Primal, "run", lambda _self, _seconds, done, *_some, **_more: [None for _ in iter(done, True)])
    found = solve_case(make_case(MEDIUM, 2), LargeLimits(600.0, 0.01), time_share(monkeypatch))
    assert found.primal.seed == 1
    assert found.status is SolveStatus.OPTIMAL


def time_share(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Hardly any time for prices alone; the progress of the solve is not told."""
    monkeypatch.setattr(solve, "PRICES_SHARE", 1e-4)
    return solve.silent


def test_a_fault_in_the_thread_is_raised() -> None:
    """What goes wrong on the second core is the caller's to know."""
    dual = Dual(make_case(MEDIUM, 3))

    def broken() -> Primal:
        raise SolverError("the second search could not be made")

    side = Beside(dual, time.perf_counter() + 60.0, 1.0, broken)
    side.start()
    while side._thread.is_alive():
        time.sleep(0.01)
    side.halt()
    with pytest.raises(SolverError, match="second search"):
        side.check()


def sweeps_of(monkeypatch: pytest.MonkeyPatch) -> list[Dual]:
    """Whose sweeps are made from now on, in their order."""
    swept: list[Dual] = []
    sweep = Dual.step

    def stepped(self: Dual) -> float:
        swept.append(self)
        return sweep(self)

    monkeypatch.setattr(Dual, "step", stepped)
    return swept


@pytest.mark.parametrize("rows", [True, False])
def test_bounds_go_on_with_size_rows_where_there_are_some(monkeypatch: pytest.MonkeyPatch, rows: bool) -> None:
    """Large whole jobs: the last sweeps are with size rows, and the bound is never worse. Malleable jobs only: no such sweep."""
    case = make_case(MEDIUM, 4)
    dual = Dual(case if rows else replace(case, typ=np.full_like(case.typ, MALLEABLE)))
    dual.step()
    before = dual.evaluate(dual.mean_lam, dual.mean_mu)
    swept = sweeps_of(monkeypatch)
    now = time.perf_counter()
    Beside(dual, now + 0.5, 1.0, None)._bounds(now - 100.0, now + 0.5)
    assert dual.bound >= before
    assert swept[0] is dual
    assert isinstance(swept[-1], SizeDual) is rows


def test_prices_go_on_as_long_as_they_promise_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two looks that raise the bound by a tenth, two that do not: a fifth is not made, and time is left for a plan."""
    dual = Dual(make_case(MEDIUM, 5))
    dual.bound, gains = 100.0, [10.0, 10.0, 0.0, 0.0, 10.0]

    def rise(*_some: Any, **_more: Any) -> None:
        time.sleep(0.01)
        dual.bound += gains.pop(0)

    monkeypatch.setattr(dual, "run", rise)
    now = time.perf_counter()
    Beside(dual, now + 60.0, 60.0, None)._go_on(dual, now, now + 60.0)
    assert gains == [10.0]
    assert dual.bound == 120.0


@pytest.mark.parametrize("gone", [0.0, 0.7])
def test_many_jobs_have_no_second_search_in_a_short_rest(monkeypatch: pytest.MonkeyPatch, gone: float) -> None:
    """With 0.3 of a second left of one, prices go on to the end; with more, the search is made (here it says so by failing)."""
    monkeypatch.setattr(beside, "MANY_JOBS", 1)
    monkeypatch.setattr(beside, "BOUND_SHARE", 0.1)
    before: list[int] = []

    def idle(_: Beside, prices: Dual, begun: float, end: float) -> None:
        assert end > begun
        time.sleep(max(0.0, begun + gone - time.perf_counter()))
        before.append(prices.sweeps)

    def asked() -> Primal:
        raise SolverError("asked for a second search")

    monkeypatch.setattr(Beside, "_go_on", idle)
    swept = sweeps_of(monkeypatch)
    side = Beside(Dual(make_case(MEDIUM, 3)), time.perf_counter() + 1.0, 1.0, asked)
    side.start()
    side._thread.join()
    if gone:
        side.check()
        assert swept[-1].sweeps > before[0]
    else:
        with pytest.raises(SolverError, match="asked"):
            side.check()


def test_where_nobody_can_be_split_prices_go_on_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Identical jobs are one class, which no branching tears apart: the second half of the time is not idle."""
    job = {"pw": 2.0, "entries": [(0, 0.0, 0, -1), (1, 0.0, 0, -1)]}
    dual = Dual(with_jobs(tiny(sites=2, slots=4, ren=3.0), *[job] * 12))
    at_branching: list[int] = []
    grow = Tree.grow

    def watched(self: Tree, *some: Any, **more: Any) -> None:
        at_branching.append(self.root.sweeps)
        grow(self, *some, **more)

    monkeypatch.setattr(Tree, "grow", watched)
    swept = sweeps_of(monkeypatch)
    side = Beside(dual, time.perf_counter() + 1.0, 1.0, None)
    side.start()
    side._thread.join()
    side.check()
    assert len(at_branching) == 1
    assert swept[-1].sweeps > at_branching[0]


def test_cores_are_counted() -> None:
    """At least one."""
    assert cores() >= 1
