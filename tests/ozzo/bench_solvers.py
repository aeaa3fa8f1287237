"""Solvers for tests of the benchmark: they look like the large-scale solver from outside, and some misbehave."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from scheduler.optimiser.large.case import Case, Solution
from scheduler.plan import SolveStatus
from sim.case_check import check_case
from sim.case_check_energy import least_energy_cost
from tests.cases import all_dropped, first_fit


@dataclass(frozen=True, slots=True)
class LargeLimits:
    """As in the large-scale solver."""

    time_s: float
    gap: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """As in the large-scale solver."""

    solution: Solution
    objective: float
    bound: float
    status: SolveStatus
    build_s: float = 0.25
    solve_s: float = 0.5


def solve_case(case: Case, limits: LargeLimits, *, progress: Callable[..., None], stop: Callable[[], bool]) -> Outcome:
    """First fit; the bound is the energy cost without any job, which is one because nothing that jobs cost is negative."""
    assert not stop()
    progress("first fit within", limits.time_s, "s")
    return _outcome(case, first_fit(case))


def solve_nothing(case: Case, limits: LargeLimits, **_: Any) -> Outcome:
    """Every job is dropped."""
    return _outcome(case, all_dropped(case))


def solve_wrongly(case: Case, limits: LargeLimits, **_: Any) -> Outcome:
    """First fit, and then the first job that runs leaves a slot out."""
    found = first_fit(case)
    job = int(np.flatnonzero((found.choice >= 0) & (case.typ < 2))[0])
    pointer = found.run_ptr.copy()
    pointer[job + 1 :] -= 1
    cut = int(found.run_ptr[job])
    parts: list[Any] = [np.delete(array, cut) for array in (found.run_slot, found.run_full, found.run_eco)]
    return Outcome(Solution(found.choice, pointer, *parts), 0.0, 0.0, SolveStatus.HEURISTIC)


def solve_boasting(case: Case, limits: LargeLimits, **_: Any) -> Outcome:
    """Claims a bound above what its own solution costs."""
    outcome = _outcome(case, all_dropped(case))
    return Outcome(outcome.solution, outcome.objective, outcome.objective + 1.0, SolveStatus.OPTIMAL)


def solve_crashing(case: Case, limits: LargeLimits, **_: Any) -> Outcome:
    """A fault in the solver."""
    raise RuntimeError("the kernels are out of order")


def solve_slowly(case: Case, limits: LargeLimits, **_: Any) -> Outcome:
    """Solves the smallest instance and takes for ever on the others."""
    if case.J > 200:
        time.sleep(600)
    return _outcome(case, all_dropped(case))


def solve_until_stopped(case: Case, limits: LargeLimits, *, progress: Callable[..., None], stop: Callable[[], bool]) -> Outcome:
    """Has a plan at once, and goes on until somebody asks to stop."""
    outcome = _outcome(case, first_fit(case))
    progress("first fit, and on")
    while not stop():
        time.sleep(0.02)
    return replace(outcome, status=SolveStatus.INTERRUPTED)


def _outcome(case: Case, solution: Solution) -> Outcome:
    bound = least_energy_cost(case, np.zeros((case.S, case.T)))
    objective = check_case(case, solution).objective_eur
    assert bound is not None
    assert objective is not None
    return Outcome(solution, objective, bound, SolveStatus.HEURISTIC)


def solve_compiled(case: Case, limits: LargeLimits, **_: Any) -> Outcome:
    """Has a kernel that no cache holds."""
    import numba

    double = numba.njit(lambda value: value * 2)
    assert double(21) == 42
    return _outcome(case, all_dropped(case))
