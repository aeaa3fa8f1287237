"""How long the steps of a solve take on a case: for the curve of cost against jobs, not for plans.

The steps are those of ``solve.solve_case``, run a fixed number of times instead of until a clock: what a step costs is then a
property of the case and not of the time it was given. One thread, so no second one slows it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

import numpy as np

from scheduler.optimiser.large.case import Case
from scheduler.optimiser.large.dual import Dual
from scheduler.optimiser.large.prepare import compile_kernels
from scheduler.optimiser.large.primal import Primal

Result = TypeVar("Result")

SWEEPS = 8
"""Sweeps that are made; the first one, which begins with all jobs dropped, is not counted."""


@dataclass(frozen=True, slots=True)
class StepTimes:
    """What the steps of a solve of one case took.

    Attributes:
        jobs, sites, slots: of the case; classes: of identical jobs.
        entries: sum over jobs and their sites of the slots of the window (jobs x window); class_entries: the same over classes.
        build_s: classes, arrays and kernels' state of prices.
        sweep_s: median time of a sweep of prices, the answer of the energy side included.
        bound_s: proving a bound at given prices, without the first time (which builds the programmes of the energy side).
        first_plan_s: placing every job once.
        round_s: as many ruin-and-recreate moves as there are jobs, and the energy side's answer.
        judge_s: the exact cost of a plan, without the first time.
    """

    jobs: int
    sites: int
    slots: int
    classes: int
    entries: int
    class_entries: int
    build_s: float
    sweep_s: float
    bound_s: float
    first_plan_s: float
    round_s: float
    judge_s: float


def window_entries(case: Case) -> int:
    """Sum over jobs and their sites of the slots in which the job may run there."""
    owner = np.repeat(np.arange(case.J), np.diff(case.ep))
    return int(np.maximum(0, case.dl[owner] - case.ea).sum())


def step_times(case: Case, sweeps: int = SWEEPS) -> StepTimes:
    """Time each step of a solve of ``case``; kernels are compiled before.

    Args:
        case: the problem; at least one job.
        sweeps: sweeps of prices, at least two.

    Raises:
        SolverError: the energy side could not be solved.
    """
    compile_kernels()
    build_s, dual = _timed(lambda: Dual(case))
    took = [_timed(dual.step)[0] for _ in range(sweeps)]
    dual.evaluate(dual.mean_lam, dual.mean_mu)
    bound_s, _ = _timed(lambda: dual.evaluate(dual.lam, dual.mu))
    primal = Primal(case, dual)
    first_plan_s, _ = _timed(primal.start)
    primal.judge("first plan", None)
    round_s, _ = _timed(primal.one_round)
    judge_s, _ = _timed(lambda: primal.judge("a round", None))
    return StepTimes(
        jobs=case.J,
        sites=case.S,
        slots=case.T,
        classes=len(dual.classes.first),
        entries=window_entries(case),
        class_entries=int(dual.classes.window[-1]),
        build_s=build_s,
        sweep_s=median(took[1:]),
        bound_s=bound_s,
        first_plan_s=first_plan_s,
        round_s=round_s,
        judge_s=judge_s,
    )


def _timed(step: Callable[[], Result]) -> tuple[float, Result]:
    """Wall time of a step, s, and what it returned."""
    begun = time.perf_counter()
    found = step()
    return time.perf_counter() - begun, found
