"""Results of the optimiser's benchmark: one row a solver and instance, what is wrong with it, as a table and as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, TextIO

TITLES = {"ozzo": "ozzo", "highs": "HiGHS", "cpsat": "CP-SAT"}
WIDTH = 100
"""Columns of the table when it goes to a file or a pipe."""
ROUNDING_EUR, ROUNDING_RELATIVE = 1e-4, 1e-5
"""Differences between two judges, or of an objective below a bound, that are rounding: judges print four decimals and may stop
their energy side at a relative gap of 1e-5."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge says of a solution.

    Attributes:
        feasible: no rule is broken; faults: which ones are.
        objective_eur: exact, or None; dropped: jobs that are not run, or None when it does not say.
    """

    feasible: bool
    objective_eur: float | None
    dropped: int | None
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One solver on one instance.

    Attributes:
        instance, jobs, sites, slots: of the case.
        solver: key of ``TITLES``; status: how it ended (a solve status, or skipped, failed, overran).
        time_limit_s: what it got for building and solving.
        claimed_eur: its own objective; bound_eur: its proven bound; bound_holds: of the instance, not of a scaled model.
        compile_s: seconds of compiling, 0 when the compilation cache was warm, None when it compiles nothing.
        build_s, solve_s: as it says; total_s: wall time of the whole process, from its start.
        peak_memory_mb: highest resident memory of the process, 10^6 bytes.
        check: by the product's own check; judge: by the program that was given, if any.
        note: why it was skipped, or what it said.
        solution: file that its solution was written to and stays in, or None.
        interrupted: a person interrupted the solver, and this is what it had.
    """

    instance: str
    jobs: int
    sites: int
    slots: int
    solver: str
    status: str
    time_limit_s: float
    claimed_eur: float | None = None
    bound_eur: float | None = None
    bound_holds: bool = True
    compile_s: float | None = None
    build_s: float | None = None
    solve_s: float | None = None
    total_s: float | None = None
    peak_memory_mb: float | None = None
    check: Judgement | None = None
    judge: Judgement | None = None
    note: str = ""
    solution: str | None = None
    interrupted: bool = False

    @property
    def objective_eur(self) -> float | None:
        """Exact objective as our own check computes it, whatever the solver claims."""
        return self.check.objective_eur if self.check is not None else None

    @property
    def gap(self) -> float | None:
        """``(objective - bound) / max(|objective|, 1e-9)``, or None."""
        return _gap(self.objective_eur, self.bound_eur)

    def wrong(self) -> list[str]:
        """What must not be: broken rules, an objective below the bound, judges who differ, no solution of ours at all."""
        found = []
        for who, judgement in (("our check", self.check), ("the judge", self.judge)):
            if judgement is None:
                continue
            if not judgement.feasible:
                found.append(f"{who} finds it infeasible: {'; '.join(judgement.faults) or 'no reason given'}")
            elif judgement.objective_eur is None:
                found.append(f"{who} gives no objective")
            elif self.bound_holds and self.bound_eur is not None and _below(judgement.objective_eur, self.bound_eur):
                found.append(
                    f"{who} gives {judgement.objective_eur:.4f} EUR, below the claimed bound of {self.bound_eur:.4f} EUR"
                )
        ours, theirs = (None if who is None else who.objective_eur for who in (self.check, self.judge))
        if ours is not None and theirs is not None and (_below(ours, theirs) or _below(theirs, ours)):
            found.append(f"our check gives {ours:.4f} EUR, the judge {theirs:.4f} EUR")
        if self.solver == "ozzo" and self.check is None:
            found.append(f"no solution ({self.status}): {self.note or 'no reason given'}")
        return [f"{self.instance}, {TITLES[self.solver]}: {text}" for text in found]


def _below(value: float, limit: float) -> bool:
    return value < limit - max(ROUNDING_EUR, ROUNDING_RELATIVE * abs(limit))


def _gap(objective: float | None, bound: float | None) -> float | None:
    return None if objective is None or bound is None else (objective - bound) / max(abs(objective), 1e-9)


def machine() -> dict[str, Any]:
    """What the figures were measured with."""
    packages = {}
    for name in ("highspy", "ortools", "numba", "numpy", "scipy", "pandapower", "power-grid-model"):
        try:
            packages[name] = version(name)
        except ModuleNotFoundError:
            packages[name] = "not installed"
    return {"python": platform.python_version(), "cores": os.cpu_count() or 1, "packages": packages}


def as_json(rows: Sequence[Row], *, interrupted: bool) -> str:
    """Everything, as one JSON object (keys in docs/output.md)."""
    listed = [asdict(row) | {"objective_eur": row.objective_eur, "gap": row.gap, "wrong": row.wrong()} for row in rows]
    return json.dumps({"machine": machine(), "interrupted": interrupted, "rows": listed}, indent=2)


def print_table(rows: Sequence[Row], out: TextIO) -> None:
    """The table for people, at most 100 columns wide, and below it what is wrong or left out."""
    from rich.console import Console
    from rich.table import Table

    console = Console(file=out, highlight=False, width=None if out.isatty() else WIDTH)
    cold = any(row.compile_s for row in rows)
    judged = any(row.judge is not None for row in rows)
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("instance", overflow="fold", max_width=13)
    table.add_column("solver")
    for name in ["objective", "bound", "gap", *(["compile"] if cold else []), "build", "solve", "total", "MB"]:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("judge" if judged else "check", no_wrap=True)
    before = None
    for row in rows:
        times = [*([row.compile_s] if cold else []), row.build_s, row.solve_s, row.total_s]
        table.add_row(
            row.instance if row.instance != before else "",
            TITLES[row.solver],
            *("" if value is None else f"{value:.2f}" for value in (row.objective_eur,)),
            ("" if row.bound_holds else "~") + f"{row.bound_eur:.2f}" if row.bound_eur is not None else "",
            ("" if row.bound_holds else "~") + _percent(row.gap) if row.gap is not None else "",
            *("" if value is None else f"{value:.1f}" for value in times),
            "" if row.peak_memory_mb is None else f"{row.peak_memory_mb:.0f}",
            _verdict(row) if row.check is not None or row.judge is not None else row.status.replace("time_limit", "none found"),
            style="bold red" if row.wrong() else None,
        )
        before = row.instance
    console.print(table)
    if rows:
        console.print(_legend(rows, cold=cold), style="dim")
    for row in rows:
        if row.note and row.check is None:
            console.print(f"{row.instance}, {TITLES[row.solver]}: {row.status}: {row.note}", markup=False)
        for text in row.wrong():
            console.print(f"WRONG: {text}", style="red", markup=False)


def _verdict(row: Row) -> str:
    """Verdict of the judge that was given (with its objective and gap), else of our own check."""
    judgement = row.judge or row.check
    if judgement is None:
        return ""
    if not judgement.feasible:
        return "INFEASIBLE"
    gap = _gap(judgement.objective_eur, row.bound_eur if row.bound_holds else None)
    said = "" if row.judge is None or judgement.objective_eur is None else f" {judgement.objective_eur:.2f}"
    return f"ok{said}" + (f" {_percent(gap)}" if said and gap is not None else "")


def _percent(gap: float) -> str:
    """A gap, short."""
    return f"{gap:.2%}" if abs(gap) < 10 else ">999%"


def _legend(rows: Sequence[Row], *, cold: bool) -> str:
    """What the columns mean, in a few lines."""
    what = machine()
    limits = {f"{row.time_limit_s:g} s" for row in rows}
    packages = what["packages"]
    lines = [
        f"EUR, seconds; limit {' / '.join(sorted(limits))} for build and solve; total: the whole process; {what['cores']} cores.",
        "objective: exact, recomputed by our own check for every solver, not what the solver claims.",
    ]
    solvers = {row.solver for row in rows if row.status != "skipped"}
    if "highs" in solvers:
        lines.append(f"HiGHS {packages['highspy']}: the exact model, job by job, one thread.")
    if "cpsat" in solvers:
        lines.append(
            f"CP-SAT {packages['ortools']}: that model in W and twentieths of a slot, all cores; ~: bound of that model."
        )
    if cold:
        lines.append("compile: the compilation cache was cold; the next run has this time less.")
    return "\n".join(lines)
