"""The plan in force with loads held: by hand, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.hold import Hold, held, tail
from scheduler.plan import Run
from scheduler.problem import Problem
from scheduler.rungs import Step, StepKind
from scheduler.workload import JobKind
from tests.scheduler.problems import flat_problem, task
from tests.scheduler.test_ladder import plan_for


def twelve(*runs: Run, sites: int = 1) -> tuple[Problem, tuple[Run, ...]]:
    """Twelve slots with these runs."""
    return flat_problem([100.0] * 12, sites=sites), runs


def step(name: str, kind: StepKind = StepKind.PAUSE, speed: float = 0.0) -> Step:
    """A step of 1 kW."""
    return Step(kind, name, ("s0.a-0",), 1.0, 0.0, 0.5, speed, speed)


def told(runs: tuple[Run, ...]) -> list[tuple[str, int, int, float]]:
    """Job, start, end and speed of each run."""
    return [(run.job, run.start, run.end, run.speed) for run in runs]


def test_paused_capped_ended_not_begun_and_elsewhere() -> None:
    """From slot 2, held until slot 4: work moves behind the last piece; what has not begun waits; the other site goes on."""
    problem, runs = twelve(
        Run("paused", "s0", 0, 3),
        Run("paused", "s0", 6, 7),
        Run("capped", "s0", 1, 6),
        Run("ended", "s0", 0, 9),
        Run("later", "s0", 3, 5),
        Run("free", "s0", 0, 5),
        Run("there", "s1", 0, 5),
        Run("past", "s0", 0, 2),
        sites=2,
    )
    plan = plan_for(problem, *runs)
    steps = (step("paused"), step("capped", StepKind.CAP, 0.75), step("ended", StepKind.STOP))
    after = held(plan, 2, [Hold("s0", 4, steps)], "held")
    assert told(after.runs) == [
        ("capped", 0, 2, 0.75), ("free", 0, 3, 1.0), ("there", 0, 3, 1.0), ("capped", 2, 4, 1.0), ("later", 2, 4, 1.0),
        ("capped", 4, 5, 1.0), ("paused", 4, 5, 1.0), ("paused", 5, 6, 1.0),
    ]  # fmt: skip
    assert after.horizon == plan.horizon.tail(2)
    assert held(plan, 2, [Hold("s0", 2, steps)], "over").runs == tuple(
        sorted(tail(plan, 2, "over").runs, key=lambda run: (run.start, run.job))
    )


def test_planned_load_and_import_are_less_while_it_holds() -> None:
    """What the steps free is taken off load and import of the site, not below nothing; a battery's step is none of that."""
    problem, runs = twelve(Run("a", "s0", 0, 9))
    plan = plan_for(problem, *runs)
    energy = replace(plan.energy, load_kw=np.full((1, 12), 3.0), import_kw=np.full((1, 12), 0.5))
    steps = (step("a"), step("battery", StepKind.DISCHARGE))
    after = held(replace(plan, energy=energy), 1, [Hold("s0", 3, steps)], "held")
    assert after.energy.load_kw[0].tolist() == [2.0, 2.0] + [3.0] * 9
    assert after.energy.import_kw[0].tolist() == [0.0, 0.0] + [0.5] * 9
    with pytest.raises(ValueError, match="0 slots"):
        tail(plan, 12, "nothing")


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 6), st.sampled_from(list(JobKind))), max_size=6),
    st.integers(0, 11),
    st.integers(0, 12),
    st.sets(st.integers(0, 5)),
)
def test_a_hold_only_takes_away_and_keeps_the_work(
    jobs: list[tuple[int, int, JobKind]], slot: int, until: int, paused: set[int]
) -> None:
    """While it holds, no job runs that did not run before, paused ones do not; work is kept as far as the horizon goes."""
    tasks = [task(f"j{i}", kind, work=length) for i, (_, length, kind) in enumerate(jobs)]
    runs = [Run(f"j{i}", "s0", start, min(12, start + length)) for i, (start, length, _) in enumerate(jobs)]
    plan = plan_for(flat_problem([100.0] * 12, *tasks), *runs)
    steps = tuple(step(run.job) for run in runs if run.start <= slot < run.end and int(run.job[1:]) in paused)
    before, after = tail(plan, slot, "tail"), held(plan, slot, [Hold("s0", until, steps)], "held")
    for t in range(max(0, min(until - slot, after.horizon.slots))):
        on = {run.job for run in after.runs if run.start <= t < run.end}
        assert on <= {run.job for run in before.runs if run.start == 0}
        assert not on & {item.name for item in steps}
    for name in {run.job for run in before.runs}:
        work = sum(run.end - run.start for run in before.runs_of(name))
        kept = sum(run.end - run.start for run in after.runs_of(name))
        assert kept <= work
        assert kept == work or max((run.end for run in after.runs_of(name)), default=12) == after.horizon.slots or kept == 0
