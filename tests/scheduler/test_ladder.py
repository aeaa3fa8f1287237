"""The ladder for a sudden limit: by hand, and as properties."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.assets.battery import Battery
from scheduler.ladder import Ladder, Ladders, StepKind
from scheduler.plan import BatteryControl, EnergySchedule, Plan, Run, SolveStatus
from scheduler.problem import JobOption, JobTask, Mode, Problem
from scheduler.workload import JobKind
from tests.scheduler.problems import flat_problem, task

INTERRUPTIBLE, MALLEABLE = JobKind.INTERRUPTIBLE, JobKind.MALLEABLE
MODES = (Mode(1.0, 1.0), Mode(0.8, 0.5))


def of_kw(power_kw: float) -> dict[str, Any]:
    """A job's power at the first site."""
    return {"options": (JobOption(0, power_kw, 0.0, 0),)}


def plan_for(problem: Problem, *runs: Run) -> Plan:
    """A plan whose battery rests."""
    energy = EnergySchedule.zeros(len(problem.sites), problem.horizon.slots)
    energy = replace(energy, soc_kwh=np.tile(problem.initial_soc_kwh[:, None], (1, problem.horizon.slots)))
    return Plan(
        "p", "test", problem.horizon, problem.sites, runs, (), energy, (), {}, BatteryControl.FOLLOW_PLAN,
        0.0, None, None, SolveStatus.HEURISTIC, "", 0.0, 0.0, {},
    )  # fmt: skip


def by_hand() -> tuple[Problem, Plan]:
    """60 EUR/MWh now, 100 later; a hold of two hours; one load of every kind."""
    jobs = (
        task("train", INTERRUPTIBLE, work=2, restart_eur=0.05),
        task("tight", INTERRUPTIBLE, work=2, deadline=3, **of_kw(2.0)),
        task("encode", MALLEABLE, work=4, modes=MODES, **of_kw(4.0)),
        task("must", work=3),
    )
    problem = flat_problem([60, 60, 200, 100, 100, 100], *jobs)
    battery = Battery(10.0, 3.0, 3.0, 1.0, 1.0, 4.0, 0.0, 0.02)
    problem = replace(problem, batteries=(battery,), initial_soc_kwh=np.array([4.0]))
    runs = (
        Run("train", "s0", 0, 2, ("s0.a-0",)),
        Run("tight", "s0", 0, 2, ("s0.a-1",)),
        Run("encode", "s0", 0, 4, ("s0.a-2", "s0.a-3")),
        Run("must", "s0", 0, 3, ("s0.a-4",)),
    )
    return problem, plan_for(problem, *runs)


def told(ladder: Ladder) -> list[tuple[str, str, float, float]]:
    """Name, kind, kW and EUR of each step."""
    return [(step.name, str(step.kind), round(step.kw, 6), round(step.cost_eur, 6)) for step in ladder.steps]


def test_a_ladder_by_hand() -> None:
    """Each step frees and costs what the head says; the cheapest kW comes first; the rigid job is nowhere.

    encode at half power: 2 kW for 2 h saves 0.24 EUR, 0.4 hours of work at 4 kW cost 0.16 EUR later: free. Paused: 0.80 - 0.48.
    battery: 4 kWh last 2 h at 2 kW; bought back 0.04 dearer and worn 0.02: 0.24 EUR. train: 0.20 - 0.12 and 0.05 to restart.
    tight has no two hours left before its deadline: it is lost, 10 EUR.
    """
    problem, plan = by_hand()
    ladder = Ladders(problem, plan).at("s0", 0)
    assert told(ladder) == [
        ("encode", "cap", 2.0, 0.0),
        ("battery", "discharge", 2.0, 0.24),
        ("train", "pause", 1.0, 0.13),
        ("encode", "pause", 2.0, 0.32),
        ("tight", "pause", 2.0, 10.0),
    ]
    assert ladder.released_kw == pytest.approx((2, 4, 5, 7, 9))
    assert ladder.steps[0].it_kw == pytest.approx(1.0)  # half of 4 kW on two nodes
    answer = ladder.answer(6.0, 10.0)
    assert (len(answer.steps), answer.released_kw, answer.shortfall_kw) == (2, 4.0, 0.0)
    everything = ladder.answer(0.0, 10.0)
    assert everything.steps == ladder.steps
    assert everything.shortfall_kw == pytest.approx(1.0)  # what must run
    assert everything.cost_eur == pytest.approx(10.69)
    assert ladder.answer(10.0, 10.0).steps == ()


def test_a_tripped_battery_and_steps_that_were_taken() -> None:
    """Kinds that are out of order are passed over, and what was taken before is not taken again."""
    problem, plan = by_hand()
    ladder = Ladders(problem, plan).at("s0", 0)
    answer = ladder.answer(7.0, 10.0, without={StepKind.DISCHARGE}, taken={ladder.steps[0].key})
    assert [(step.name, step.kind) for step in answer.steps] == [("train", StepKind.PAUSE), ("encode", StepKind.PAUSE)]


def test_rigid_jobs_are_ended_only_when_that_is_allowed() -> None:
    """Ended with slack: the hour that it ran is done again. Without: it is lost. Named jobs must run whatever is allowed."""
    problem = flat_problem([100, 100, 100, 100, 100, 100], task("a", work=2), task("b", work=4, deadline=5), task("c"))
    plan = plan_for(problem, Run("a", "s0", 0, 2), Run("b", "s0", 0, 4), Run("c", "s0", 1, 2))
    assert Ladders(problem, plan).at("s0", 1).steps == ()
    ladder = Ladders(problem, plan, may_stop=True, must_run={"c"}, slots=1).at("s0", 1)
    assert told(ladder) == [("a", "stop", 1.0, 0.1), ("b", "stop", 1.0, 10.0)]


def test_lateness_counts() -> None:
    """A soft deadline that passes because of the hold is paid for by the slot, and never more than dropping the job."""
    job = task("a", INTERRUPTIBLE, work=2, due=2, late_eur_per_slot=0.5)
    problem = flat_problem([100] * 8, job)
    plan = plan_for(problem, Run("a", "s0", 0, 2))
    assert Ladders(problem, plan, slots=2).at("s0", 0).steps[0].cost_eur == pytest.approx(1.0)
    dear = replace(problem, jobs=(replace(problem.jobs[0], late_eur_per_slot=50.0),))
    assert Ladders(dear, plan, slots=2).at("s0", 0).steps[0].cost_eur == pytest.approx(10.0)


def test_ladders_of_another_problem_are_refused() -> None:
    """A plan of another horizon, and a slot that is not there."""
    problem, plan = by_hand()
    with pytest.raises(ValueError, match="no answer"):
        Ladders(flat_problem([1.0]), plan)
    with pytest.raises(IndexError, match="slot 6"):
        Ladders(problem, plan).at("s0", 6)


def test_ladders_are_made_for_now_and_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """``ready`` makes those of its slot and of the next one, once, and keeps none of slots that are over."""
    problem, plan = by_hand()
    ladders, made = Ladders(problem, plan), list[int]()
    real = Ladders._make

    def make(self: Ladders, site: str, slot: int) -> Ladder:
        made.append(slot)
        return real(self, site, slot)

    monkeypatch.setattr(Ladders, "_make", make)
    for slot in (0, 0, 1, 5):
        ladders.ready(slot)
    assert made == [0, 1, 2, 5]
    assert ladders.at("s0", 5).steps[0].kind is StepKind.DISCHARGE
    assert len(made) == 4
    ladders.at("s0", 0)
    assert made[4:] == [0]


@st.composite
def planned(draw: st.DrawFn) -> tuple[Problem, Plan]:
    """Up to six jobs of every kind in eight slots at any price, with or without a battery."""
    prices = draw(st.lists(st.floats(-200, 500), min_size=8, max_size=8))
    jobs: list[JobTask] = []
    runs: list[Run] = []
    for i in range(draw(st.integers(0, 6))):
        kind = draw(st.sampled_from(list(JobKind)))
        start = draw(st.integers(0, 6))
        end = draw(st.integers(start + 1, 8))
        speeds = sorted({draw(st.floats(0.05, 0.95)) for _ in range(3)})
        powers = sorted({draw(st.floats(0.05, 0.95)) for _ in speeds})
        modes = (Mode(1.0, 1.0), *(Mode(s, p) for s, p in zip(speeds, powers, strict=False)))
        more: dict[str, Any] = {"modes": modes} if kind is MALLEABLE else {}
        deadline = draw(st.integers(end, 8))
        jobs.append(
            task(f"j{i}", kind, work=end - start, deadline=deadline, drop_eur=draw(st.floats(0, 50)),
                 restart_eur=draw(st.floats(0, 1)), **more, **of_kw(draw(st.floats(0.01, 5))))
        )  # fmt: skip
        pace = draw(st.sampled_from(modes)) if kind is MALLEABLE else Mode(1.0, 1.0)
        runs.append(Run(f"j{i}", "s0", start, end, (f"s0.a-{i}",), pace.speed, pace.power))
    problem = flat_problem(prices, *jobs)
    if draw(st.booleans()):
        battery = Battery(10.0, 3.0, draw(st.floats(0.1, 3.0)), 0.9, 0.9, draw(st.floats(1.0, 10.0)), 1.0, 0.02)
        problem = replace(problem, batteries=(battery,), initial_soc_kwh=np.array([battery.initial_soc_kwh]))
    return problem, plan_for(problem, *runs)


@given(planned(), st.integers(0, 7), st.floats(-5, 30), st.floats(0, 30), st.booleans())
def test_ladders_keep_their_promises(
    made: tuple[Problem, Plan], slot: int, limit_kw: float, measured_kw: float, may_stop: bool
) -> None:
    """Prices and sums never fall, and what is released is enough, or it is everything and the shortfall is said.

    The jobs of a ladder run in its slot and free no more than they draw; rigid ones are there only when they may be ended. A
    lower limit takes every step that a higher one takes, and without the last step an answer would not be enough.
    """
    problem, plan = made
    ladder = Ladders(problem, plan, may_stop=may_stop).at("s0", slot)
    prices = [step.eur_per_kw for step in ladder.steps]
    assert prices == sorted(prices)
    assert all(step.kw > 0 and step.cost_eur >= -1e-9 for step in ladder.steps)
    assert list(ladder.released_kw) == sorted(ladder.released_kw)
    tasks, here = {job.name: job for job in problem.jobs}, {run.job: run for run in plan.runs if run.start <= slot < run.end}
    for name, run in here.items():
        mine = [step for step in ladder.steps if step.name == name]
        drawn = tasks[name].options[0].power_kw * run.power
        if tasks[name].kind is JobKind.RIGID and not may_stop:
            assert not mine
        else:
            assert sum(step.kw for step in mine) == pytest.approx(drawn)
            assert all(first.power > second.power for first, second in itertools.pairwise(mine))
    assert {step.name for step in ladder.steps} <= here.keys() | {"battery"}
    answer = ladder.answer(limit_kw, measured_kw)
    needed = max(0.0, measured_kw - limit_kw)
    assert answer.steps == ladder.steps[: len(answer.steps)]
    if answer.shortfall_kw > 0:
        assert answer.steps == ladder.steps
        assert answer.shortfall_kw == pytest.approx(needed - sum(step.kw for step in ladder.steps))
    else:
        assert answer.released_kw >= needed - 1e-9
        assert sum(step.kw for step in answer.steps[:-1]) < needed or not answer.steps
    assert len(ladder.answer(limit_kw - 1.0, measured_kw).steps) >= len(answer.steps)
