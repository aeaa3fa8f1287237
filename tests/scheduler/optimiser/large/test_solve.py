"""Whole solves of small cases: statuses, odd cases, and plans that are right whenever the search ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from scheduler.optimiser.case_maker import Size, make_case
from scheduler.optimiser.large.case import Case
from scheduler.optimiser.large.groups import classes_of
from scheduler.optimiser.large.solve import LargeLimits, Outcome, solve_case
from scheduler.optimiser.plain import solve_plain
from scheduler.plan import SolveStatus
from sim.case_check import check_case
from tests.cases import tiny, with_jobs

MEDIUM = Size("medium", 150, 4, 48, 0.5, None, 10.0, 0)


def solved(case: Case, seconds: float = 1.0, gap: float = 1e-4, **more: Any) -> Outcome:
    """Solve, and hold the answer against the independent check: feasible, at its claimed cost, bound not above it."""
    found = solve_case(case, LargeLimits(seconds, gap), **more)
    verdict = check_case(case, found.solution)
    assert verdict.feasible, verdict.findings
    assert verdict.objective_eur == pytest.approx(found.objective, rel=1e-5, abs=1e-5)
    assert found.bound <= found.objective + 1e-6 * max(1.0, abs(found.objective))
    return found


def exactly(case: Case) -> Outcome:
    """Solve a case whose optimum the plain model finds; both must agree, and the bound must not be above it."""
    truth = solve_plain(case, 30.0)
    assert truth.status is SolveStatus.OPTIMAL
    assert truth.objective is not None
    found = solved(case)
    assert found.objective == pytest.approx(truth.objective, rel=1e-3, abs=1e-4)
    assert found.bound <= truth.objective + 1e-6 * max(1.0, abs(truth.objective))
    return found


def test_proven_plan_is_optimal() -> None:
    """One job with one best slot: proven, gap at most what was asked."""
    found = exactly(with_jobs(tiny(pi=[[0.4, 0.1, 0.2, 0.3]]), {}))
    assert found.status is SolveStatus.OPTIMAL
    assert found.gap <= 1e-4


@pytest.mark.parametrize("seconds", [0.0, 0.1])
def test_time_that_is_too_short_ends_with_a_valid_plan(seconds: float) -> None:
    """150 jobs in no time at all: the plan keeps every rule, its bound is true, and it says that time ran out."""
    found = solved(make_case(MEDIUM, 1), seconds, 0.0)
    assert found.status is SolveStatus.TIME_LIMIT


def test_asked_to_stop_at_once() -> None:
    """The plan so far, valid, and marked as interrupted although there is time."""
    found = solved(make_case(MEDIUM, 2), 60.0, 0.0, stop=lambda: True)
    assert found.status is SolveStatus.INTERRUPTED


def test_stop_is_heard_in_the_middle_of_the_search() -> None:
    """Stop is asked for after some questions: the search ends long before its limit, with fewer sweeps than time allows."""
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 40

    found = solved(make_case(MEDIUM, 3), 600.0, 0.0, stop=stop)
    assert found.status is SolveStatus.INTERRUPTED


def test_ctrl_c_ends_the_search_with_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGINT during the solve of the policy: a plan, interrupted, and no exception."""
    import signal

    from scheduler.optimiser.large import solve
    from scheduler.optimiser.large.policy import LargePolicy
    from scheduler.scenario import PlanningSettings
    from tests.scheduler.checks import check_plan
    from tests.scheduler.optimiser.large.random_problems import random_problem

    search = solve._primal

    def interrupting(*given: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return search(*given)

    monkeypatch.setattr(solve, "_primal", interrupting)
    problem = random_problem(15, PlanningSettings(relative_gap=0.0, time_limit_s=60.0))
    plan = LargePolicy().plan(problem)
    assert plan.status in {SolveStatus.INTERRUPTED, SolveStatus.INFEASIBLE}
    check_plan(problem, plan)


def _narrow(**terms: Any) -> Case:
    """1 kW of fixed load; a job of 2 kW is served in the last slot only, where it is late; a kWh not served costs 0.5 EUR."""
    case = tiny(gmax=[[2.0, 2.0, 2.0, 9.0]], unserved=0.5, **terms)
    return with_jobs(case, {"pw": 2.0, "soft": 1, "wt": 2.0})


def test_load_without_a_source_has_its_price_in_the_benchmark() -> None:
    """1 kWh not served for 0.5 EUR is cheaper than three slots of lateness at 2 EUR."""
    found = exactly(_narrow())
    assert found.solution.run_slot.tolist() == [0]


def test_plan_that_must_serve_everything_pays_for_it() -> None:
    """The job is late rather than unserved, though that costs 6 EUR more: of plans that serve all load it is proven the best."""
    case = replace(_narrow(), must_serve=True)
    found = solved(case, 5.0)
    assert found.solution.run_slot.tolist() == [3]
    assert found.primal.unserved_kwh == 0.0
    assert found.status is SolveStatus.OPTIMAL
    assert found.objective == pytest.approx(6 * 0.1 + 3 * 2.0)  # six kWh, and three slots late


def test_power_at_each_site_is_what_counts() -> None:
    """The cheaper site is the dearer one for a job that draws four times as much there."""
    case = with_jobs(tiny(2, pi=[[0.1] * 4, [0.2] * 4]), {"pw": 4.0, "entries": [(0, 0.0, 0, -1), (1, 0.0, 0, -1)]})
    assert exactly(case).solution.choice.tolist() == [0]
    assert exactly(replace(case, ew=np.array([1.0, 0.25]))).solution.choice.tolist() == [1]


def test_nothing_to_plan() -> None:
    """No job: the bound and the objective are the cost of the load, 1 kW for four hours."""
    found = solved(tiny(pi=0.1))
    assert found.objective == pytest.approx(0.4)
    assert found.bound == pytest.approx(0.4)


@pytest.mark.parametrize(
    "job",
    [
        {"entries": []},
        {"p": 3, "dl": 2},
        {"typ": 1, "p": 3, "dl": 2},
        {"typ": 2, "p": 3, "dl": 2},
        {"p": 2, "entries": [(0, 0.0, 3, -1)]},
        {"res": 99.0},
        {"entries": [(0, 0.0, 4, -1)]},
    ],
    ids=[
        "no place",
        "rigid too long",
        "interruptible too long",
        "malleable too long",
        "ready too late",
        "too large",
        "never ready",
    ],
)
def test_impossible_job_is_dropped(job: dict[str, Any]) -> None:
    """Its drop is paid and proven; the other job runs."""
    found = exactly(with_jobs(tiny(pi=0.1), {"drop": 3.0} | job, {"drop": 5.0}))
    assert found.solution.choice[0] == -1
    assert found.solution.choice[1] >= 0


def test_no_capacity_at_all() -> None:
    """Jobs of every kind at a site that is full: all are dropped."""
    case = with_jobs(tiny(cap=0.0), *[{"typ": kind, "drop": 1.0} for kind in range(3)])
    assert (exactly(case).solution.choice == -1).all()


@pytest.mark.parametrize("powers", [(0.0, 0.0), (0.0, 2.0), (2.0, 0.0)])
def test_battery_without_power_one_way(powers: tuple[float, float]) -> None:
    """A battery that cannot charge, discharge, or either: as the exact model says."""
    case = tiny(pi=[[0.1, 0.5, 0.1, 0.9]], E=4.0, Pc=powers[0], Pd=powers[1], soc0=2.0, eta_c=0.9, eta_d=0.9)
    exactly(with_jobs(case, {"p": 2}, {"typ": 1}))


def test_prices_below_zero_with_a_battery_that_would_waste_power() -> None:
    """Import is paid for at three of four hours: charging and discharging at once would burn power, which binaries forbid."""
    case = tiny(
        pi=[[-0.5, -0.4, -0.3, 0.2]], po=-0.6, ren=0.0, a=0.5, gmax=3.0, E=1.0, Pc=2.0, Pd=2.0, soc0=1.0, eta_c=0.7, eta_d=0.7
    )
    exactly(with_jobs(case, {"typ": 2, "p": 1, "pw": 0.5}, {"p": 1, "pw": 0.3}))


def test_event_over_the_whole_horizon_on_a_thin_feeder() -> None:
    """Two sites on a feeder, an event in every slot of one, sun at the other."""
    case = tiny(
        sites=2, pi=0.2, po=0.05, emax=2.0, ren=[[0.0] * 4, [3.0, 0.0, 2.0, 0.0]], dr_site=[0], dr_start=[0], dr_end=[4],
        dr_limit_kw=[1.2], dr_penalty=[0.7], fid=0, flim=[4.0], vco=0.005, dc=0.4, pk0=1.0,
    )  # fmt: skip
    both = [(0, 0.0, 0, -1), (1, 0.05, 0, -1)]
    exactly(with_jobs(case, *[{"typ": kind, "p": 2, "entries": both} for kind in (0, 1, 2)]))


def test_a_million_identical_jobs_are_one_class() -> None:
    """Three shapes, a million jobs: three classes with their counts, in the order of their first jobs."""
    count = 1_000_000
    few = with_jobs(tiny(), {"p": 1}, {"p": 2, "entries": [(0, 0.0, 0, -1), (0, 0.5, 1, -1)]}, {"p": 1, "drop": 7.0})
    kind = np.arange(count) % 3
    size = np.diff(few.ep)[kind]
    starts = np.concatenate(([0], np.cumsum(size)))
    entry = np.repeat(few.ep[kind], size) + np.arange(starts[-1]) - np.repeat(starts[:-1], size)
    names = ("typ", "p", "rel", "dl", "soft", "wt", "res", "pw", "drop", "speed2", "power2")
    arrays = {name: getattr(few, name)[kind] for name in names}
    many = replace(few, ep=starts, **arrays, **{name: getattr(few, name)[entry] for name in ("es", "ec", "ea", "em")})
    found = classes_of(many)
    assert found.first.tolist() == [0, 1, 2]
    assert found.count.tolist() == [333_334, 333_333, 333_333]
    assert (found.of == kind).all()
