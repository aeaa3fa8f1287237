"""How long a plan takes again: a case is planned, something happens, and it is planned again, warm and from nothing.

All solves are in this process, one after the other, the kernels loaded before. Every solution is checked by ``sim.case_check``,
which shares nothing with the optimiser; objectives are those of the check.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from ozzo.bench.perturb import NEW_JOBS, Changed, perturbed
from ozzo.bench.rows import WIDTH, machine

if TYPE_CHECKING:
    from scheduler.optimiser.large.case import Case, Solution
    from scheduler.optimiser.large.solve import Outcome

Tell = Callable[[str], None]

COLD, WARM, AFRESH = "first plan", "again, warm", "again, from nothing"


@dataclass(frozen=True, slots=True)
class ReplanOptions:
    """What is asked for.

    Attributes:
        time_s: limit of plans from nothing; warm_s: of the warm one.
        gap: relative gap at which a solve may stop.
        seed: of what changes, and of the solver.
        new_jobs: share of the jobs that are replaced.
    """

    time_s: float
    warm_s: float
    gap: float = 0.0
    seed: int = 0
    new_jobs: float = NEW_JOBS


@dataclass(frozen=True, slots=True)
class Solved:
    """One of the three solves.

    Attributes:
        name: which one.
        limit_s, wall_s: time limit, and wall time of the call, building and prices included.
        status: how it ended.
        objective_eur: by the independent check, or None when it finds a fault; bound_eur: proven.
        gap: of these two, or None; dropped: jobs that do not run.
        faults: what the check found.
        moved: jobs of before that run at another site; shifted: at the same site in other slots; old: all jobs of before that
            are still there and run in both plans. None for the first plan.
        load: mean number of processes that wanted to run in the last minute when it ended (``os.getloadavg``).
    """

    name: str
    limit_s: float
    wall_s: float
    status: str
    objective_eur: float | None
    bound_eur: float
    gap: float | None
    dropped: int
    faults: tuple[str, ...]
    load: float
    moved: int | None = None
    shifted: int | None = None
    old: int | None = None

    def wrong(self) -> list[str]:
        """What must not be."""
        found = [f"{self.name}: {fault}" for fault in self.faults]
        if self.objective_eur is not None and self.gap is not None and self.gap < -1e-5:
            found.append(f"{self.name}: {self.objective_eur:.4f} EUR is below the bound of {self.bound_eur:.4f} EUR")
        return found


@dataclass(frozen=True, slots=True)
class ReplanResult:
    """The instance, what changed, and the solves in the order in which they were made."""

    instance: str
    jobs: int
    sites: int
    slots: int
    replaced: int
    event: dict[str, float]
    solves: tuple[Solved, ...]

    @property
    def exit_code(self) -> int:
        """0 fine, 1 something is wrong."""
        return 1 if any(solve.wrong() for solve in self.solves) else 0


def measure(case: Case, options: ReplanOptions, tell: Tell) -> ReplanResult:
    """Plan, change, plan again warm and from nothing.

    Raises:
        SolverError: the energy side could not be solved.
    """
    from scheduler.optimiser.large.prepare import compile_kernels
    from scheduler.optimiser.large.warm import warm_of

    compile_kernels()
    first, cold = _solve(case, COLD, options.time_s, options, tell)
    warm = warm_of(case, first.dual, first.solution)
    changed = perturbed(case, first.solution, options.seed, options.new_jobs)
    tell(f"news: {changed.replaced} new jobs, sun and wind, site {changed.site} in slots {changed.start} to {changed.end}")
    names = changed.names
    again = {
        name: _solve(changed.case, name, limit, options, tell, names=names, **more)
        for name, limit, more in ((WARM, options.warm_s, {"warm": warm}), (AFRESH, options.time_s, {}))
    }
    rows = [cold] + [_compared(case, first.solution, changed, outcome.solution, row) for outcome, row in again.values()]
    event = {"site": changed.site, "start": changed.start, "end": changed.end, "limit_kw": changed.limit_kw}
    return ReplanResult(case.name, case.J, case.S, case.T, changed.replaced, event, tuple(rows))


def _solve(case: Case, name: str, limit_s: float, options: ReplanOptions, tell: Tell, **more: Any) -> tuple[Outcome, Solved]:
    """One solve, checked."""
    import time

    from scheduler.optimiser.large.solve import LargeLimits, solve_case
    from sim.case_check import check_case

    tell(f"{name}: at most {limit_s:g} s")
    begun = time.perf_counter()
    outcome = solve_case(case, LargeLimits(limit_s, options.gap), tell, seed=options.seed, **more)
    wall_s, load = time.perf_counter() - begun, os.getloadavg()[0]
    verdict = check_case(case, outcome.solution)
    faults = tuple(str(finding) for finding in verdict.findings)
    objective = verdict.objective_eur
    gap = None if objective is None else (objective - outcome.bound) / max(abs(objective), 1e-9)
    dropped = verdict.dropped
    return outcome, Solved(name, limit_s, wall_s, str(outcome.status), objective, outcome.bound, gap, dropped, faults, load)


def _compared(case: Case, before: Solution, changed: Changed, after: Solution, row: Solved) -> Solved:
    """The row with what became of the jobs that were planned before."""
    moved, shifted, old = places_changed(case, before, changed, after)
    return Solved(**(asdict(row) | {"faults": row.faults, "moved": moved, "shifted": shifted, "old": old}))


def places_changed(case: Case, before: Solution, changed: Changed, after: Solution) -> tuple[int, int, int]:
    """Jobs of before at another site, jobs at the same site in other slots, and all that run in both plans."""
    moved = shifted = old = 0
    for j, name in enumerate(changed.names):
        if not name.isdecimal():
            continue
        i = int(name)
        if before.choice[i] < 0 or after.choice[j] < 0:
            continue
        old += 1
        if case.es[before.choice[i]] != changed.case.es[after.choice[j]]:
            moved += 1
        elif not np.array_equal(_slots(before, i), _slots(after, j)):
            shifted += 1
    return moved, shifted, old


def _slots(plan: Solution, j: int) -> Any:
    return plan.run_slot[plan.run_ptr[j] : plan.run_ptr[j + 1]]


def as_json(result: ReplanResult) -> str:
    """Everything, as one JSON object (keys in docs/output.md)."""
    listed = [asdict(solve) | {"wrong": solve.wrong()} for solve in result.solves]
    return json.dumps({"machine": machine()} | asdict(result) | {"solves": listed}, indent=2)


def print_table(result: ReplanResult, out: TextIO) -> None:
    """The table for people, and below it what is wrong."""
    from rich.console import Console
    from rich.table import Table

    console = Console(file=out, highlight=False, width=None if out.isatty() else WIDTH)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column(f"{result.instance}: {result.jobs} jobs")
    for name in ("limit", "took", "objective", "bound", "gap", "dropped", "moved", "shifted", "load"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in result.solves:
        table.add_row(
            row.name,
            f"{row.limit_s:.1f}",
            f"{row.wall_s:.1f}",
            "none" if row.objective_eur is None else f"{row.objective_eur:.2f}",
            f"{row.bound_eur:.2f}",
            "" if row.gap is None else f"{row.gap:.2%}",
            str(row.dropped),
            "" if row.moved is None else str(row.moved),
            "" if row.shifted is None else str(row.shifted),
            f"{row.load:.1f}",
        )
    console.print(table)
    cores = machine()["cores"]
    console.print(
        f"EUR, seconds; {cores} cores, load: processes that wanted to run in the last minute. {result.replaced} jobs are new;"
        " moved, shifted: of the others, to another site, or to other slots of their site. Objectives: by our own check.",
        style="dim",
    )
    for row in result.solves:
        for text in row.wrong():
            console.print(f"WRONG: {text}", style="red", markup=False)
