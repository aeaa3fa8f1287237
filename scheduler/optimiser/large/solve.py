"""The way in: a case and limits in, decisions with a proven bound out.

Prices first, until they settle; then a plan at these prices while a second thread goes on improving the bound (compiled code
lets go of the interpreter, so both cores work).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scheduler.optimiser.large.beside import Beside, cores
from scheduler.optimiser.large.case import Case, Solution
from scheduler.optimiser.large.dual import Dual
from scheduler.optimiser.large.exact import polish, time_for_polish
from scheduler.optimiser.large.future_plan import FuturePrimal
from scheduler.optimiser.large.futures import FutureCases, FutureDual
from scheduler.optimiser.large.prepare import compile_kernels
from scheduler.optimiser.large.primal import Primal
from scheduler.optimiser.large.replan import ENOUGH_KEPT, begin_again, breaks_rows, go_on, start_prices
from scheduler.optimiser.large.tuning import USUAL, Tuning, tunings_for
from scheduler.optimiser.large.warm import Warm, job_numbers
from scheduler.plan import SolveStatus

PRICES_SHARE = 0.1
"""Share of the time for prices before the plan is begun."""

RIVAL_JOBS = 50
"""Fewer jobs need no second search: they are polished."""


def never() -> bool:
    """Nobody asks to stop."""
    return False


def silent(_: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class LargeLimits:
    """When to stop.

    Attributes:
        time_s: wall time for everything after the case is there and the kernels are loaded, building included.
        gap: relative gap that is enough, ``(objective - bound) / |objective|``.
    """

    time_s: float
    gap: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What was found.

    Attributes:
        solution: decisions of all jobs.
        objective: exact objective of them with batteries free to choose their direction at will only where that changes
            nothing, EUR.
        bound: no plan costs less, EUR; where all load must be served, none that leaves as little unserved as this one.
        status: how the solve ended.
        build_s, solve_s: wall times.
        primal, dual: the searches, for questions about prices and for a warm start.
    """

    solution: Solution
    objective: float
    bound: float
    status: SolveStatus
    build_s: float
    solve_s: float
    primal: Primal
    dual: Dual

    @property
    def gap(self) -> float:
        """``(objective - bound) / |objective|``, not below 0."""
        return max(0.0, (self.objective - self.bound) / max(1e-9, abs(self.objective)))


def _warmed(dual: Dual, warm: Warm, names: tuple[str, ...] | None, progress: Callable[[str], None]) -> Solution | None:
    """Start the prices; the earlier places, or None when too few jobs still have theirs, or rows leave them too little power."""
    case = dual.case
    placed = warm.placed(case, job_numbers(case) if names is None else names)
    start_prices(dual, warm, placed)
    if breaks_rows(case, placed):
        progress("the earlier plan breaks limits that sites share: only its prices are kept")
        return None
    return placed if (placed.choice >= 0).sum() >= ENOUGH_KEPT * case.J else None


def _primal(case: Case, dual: Dual, futures: FutureCases | None, seed: int, tuning: Tuning = USUAL) -> Primal:
    """The search for a plan that goes with ``dual``."""
    if futures is not None and isinstance(dual, FutureDual):
        return FuturePrimal(futures, dual, tuning, seed)
    return Primal(case, dual, tuning, seed)


def solve_case(
    case: Case,
    limits: LargeLimits,
    progress: Callable[[str], None] = silent,
    stop: Callable[[], bool] = never,
    warm: Warm | None = None,
    seed: int = 0,
    names: tuple[str, ...] | None = None,
    futures: FutureCases | None = None,
    *,
    settle: bool = True,
) -> Outcome:
    """Plan ``case``; the best plan so far is returned whatever ends the search.

    Args:
        case: the problem.
        limits: when to stop.
        progress: told what happens.
        stop: asked often; True returns what there is.
        warm: what an earlier solve of a case with the same sites, slots and resources knows.
        seed: of every random draw.
        names: of the jobs, by which ``warm`` knows them; their numbers when None.
        futures: plan for these, whose mean ``case`` is: objective and bound are then expected ones, and nothing is polished,
            because the polish knows one future only.
        settle: batteries get one direction a slot in the end, which may take seconds beyond the limit; without it the objective
            is that of the linear programme, and the outcome has no flows.

    Raises:
        ValueError: ``warm`` is of another grid, or given together with ``futures``, of which it knows nothing.
        SolverError: the energy side could not be solved, in the solver's words.
    """
    if warm is not None and futures is not None:
        raise ValueError("no warm start over futures: the prices of one future say nothing about the others")
    compile_kernels()
    begun = time.perf_counter()
    dual = Dual(case, seed=seed) if futures is None else FutureDual(futures, seed)
    placed = None if warm is None else _warmed(dual, warm, names, progress)
    built = time.perf_counter()
    end = begun + limits.time_s
    if placed is None:
        dual.run(built + PRICES_SHARE * max(0.0, end - built), stop)
    progress(f"prices: bound {dual.bound:.4f} EUR after {dual.sweeps} sweeps")
    usual, other = tunings_for(case.J)
    primal = _primal(case, dual, futures, seed, usual)
    kept = time_for_polish(case) if futures is None else 0.0

    searches: list[Beside] = []

    def enough(times: float = 1.0) -> bool:
        """Whether somebody asked to stop, or the best plan is within so many times the asked gap."""
        others = [beside.rival.rank for beside in searches if beside.rival is not None]
        unserved, best = min([primal.rank, *others])
        return stop() or (np.isfinite(best) and unserved <= 0.0 and best - dual.bound <= times * limits.gap * abs(best))

    spare = 0.0 if placed is None else 2.0 * (built - begun)  # what a sweep and a bound take at most
    now = time.perf_counter()
    seconds = max(0.05, (1.0 - kept) * (end - now))
    soften = placed is not None and begin_again(primal, placed, min(end, now + seconds), spare / 2.0, enough, progress, seed)
    two = placed is None and cores() > 1 and case.J >= RIVAL_JOBS
    beside = Beside(dual, end - spare, seconds, (lambda: _primal(case, dual, futures, seed + 1, other)) if two else None)
    searches.append(beside)
    beside.start()
    try:
        if placed is not None:
            go_on(primal, now + seconds, enough, progress, seed, soften=soften)
        else:
            primal.run(seconds, enough, progress, quick=limits.gap > 0)
    finally:
        beside.halt()
    beside.check()
    if beside.rival is not None and beside.rival.rank < primal.rank:
        progress(f"second search: {beside.rival.objective:.4f} EUR instead of {primal.objective:.4f} EUR")
        primal = beside.rival
    gained = None if enough() or futures is not None else polish(case, primal, dual, end, limits.gap, stop, seed)
    if gained is not None:
        progress(f"polish: {gained.before:.4f} EUR became {gained.after:.4f} EUR{', proven' if gained.proven else ''}")
    objective = primal.finish() if settle or not np.isfinite(primal.objective) else primal.objective
    gap = (objective - dual.bound) / max(1e-9, abs(objective))
    status = SolveStatus.OPTIMAL if gap <= max(limits.gap, 1e-9) else SolveStatus.TIME_LIMIT
    if stop():
        status = SolveStatus.INTERRUPTED
    progress(f"plan: {objective:.4f} EUR, bound {dual.bound:.4f} EUR, gap {100 * gap:.2f} %")
    return Outcome(primal.solution(), objective, dual.bound, status, built - begun, time.perf_counter() - built, primal, dual)
