"""One solver on one instance, in a process of its own: ``python -m ozzo.bench.child TASK.json`` writes the task's report.

Lines on standard output are progress. A task is ``{"role", "instance", "solution", "report", "time_s", "gap", "entry"}``; roles
are ``ozzo`` (the solver that ``entry`` names as ``module:function``), ``highs``, ``cpsat`` and ``check``. A task of the role
``curve`` is ``{"role", "jobs", "sites", "slots", "dt_h", "seed", "report"}``.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from grid.errors import OzzoError
from ozzo.bench.process import peak_memory_mb
from scheduler.optimiser.interrupt import Interruption
from scheduler.optimiser.large.case import Case, Solution, load_case

OURS = "scheduler.optimiser.large.solve:solve_case"
"""The large-scale solver. Beside the function its module has ``LargeLimits(time_s, gap)``."""


class LargeOutcome(Protocol):
    """What is used of the large-scale solver's outcome."""

    solution: Solution
    objective: float
    bound: float
    status: str
    build_s: float
    solve_s: float


class LargeSolver(Protocol):
    """The large-scale solver as it is called here."""

    def __call__(
        self, case: Case, limits: Any, *, progress: Callable[..., None] = ..., stop: Callable[[], bool] = ...
    ) -> LargeOutcome:
        """The best solution that was found within the limits, with a proven bound."""


def main(task_file: str) -> None:
    """Carry out a task and write its report."""
    task = json.loads(Path(task_file).read_text(encoding="utf-8"))
    roles: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "ozzo": _ozzo,
        "highs": _highs,
        "cpsat": _cpsat,
        "check": _check,
        "curve": _curve,
    }
    try:
        report = roles[task["role"]](task)
    except OzzoError as error:
        report = {"status": "failed", "words": str(error)}
    report["peak_memory_mb"] = peak_memory_mb()
    Path(task["report"]).write_text(json.dumps(report), encoding="utf-8")


def compiled_s(events: Sequence[tuple[float, Any]]) -> float:
    """Seconds in which numba compiled, from its events with their times; a compilation inside another one counts once."""
    seconds, depth, began = 0.0, 0, 0.0
    for moment, event in events:
        if event.is_start:
            began = moment if depth == 0 else began
            depth += 1
        else:
            depth -= 1
            seconds += moment - began if depth == 0 else 0.0
    return seconds


def _ozzo(task: dict[str, Any]) -> dict[str, Any]:
    """The product's solver; SIGINT asks it for the plan so far. Code that is read from the cache costs no ``compile_s``."""
    from numba.core import event

    name, function = task["entry"].split(":")
    case = load_case(Path(task["instance"]))
    with event.install_recorder("numba:compile") as recorder:
        try:
            home = importlib.import_module(name)
        except ModuleNotFoundError as error:
            return {"status": "failed", "words": f"there is no solver {task['entry']} ({error})"}
        lacking = [wanted for wanted in (function, "LargeLimits") if not hasattr(home, wanted)]
        if lacking:
            return {"status": "failed", "words": f"the module {name} has no {' and no '.join(lacking)}"}
        solve: LargeSolver = getattr(home, function)
        with Interruption() as stop:
            outcome = solve(case, home.LargeLimits(time_s=task["time_s"], gap=task["gap"]), progress=_tell, stop=stop)
    bound = float(outcome.bound)
    known = bool(np.isfinite(bound))
    outcome.solution.save(Path(task["solution"]), bound if known else None)
    return {
        "status": str(outcome.status),
        "words": "",
        "objective": float(outcome.objective),
        "bound": bound if known else None,
        "compile_s": compiled_s(recorder.buffer),
        "build_s": float(outcome.build_s),
        "solve_s": float(outcome.solve_s),
    }


def _highs(task: dict[str, Any]) -> dict[str, Any]:
    """Plain HiGHS on the exact model."""
    from scheduler.optimiser.plain import solve_plain

    return _rival(task, solve_plain(load_case(Path(task["instance"])), task["time_s"], task["gap"]), claims_bound=True)


def _cpsat(task: dict[str, Any]) -> dict[str, Any]:
    """CP-SAT on the scaled model; its bound is not one of the instance, so it is not claimed."""
    from ozzo.bench.cpsat import solve_cpsat

    answer = solve_cpsat(load_case(Path(task["instance"])), task["time_s"], task["gap"], os.cpu_count() or 1)
    return _rival(task, answer, claims_bound=False)


def _rival(task: dict[str, Any], answer: Any, *, claims_bound: bool) -> dict[str, Any]:
    if answer.solution is not None:
        answer.solution.save(Path(task["solution"]), answer.bound if claims_bound else None)
    return {
        "status": str(answer.status),
        "words": answer.words,
        "objective": answer.objective,
        "bound": answer.bound,
        "build_s": answer.build_s,
        "solve_s": answer.solve_s,
    }


def _check(task: dict[str, Any]) -> dict[str, Any]:
    """The product's own check of a solution file."""
    from sim.case_check import check_case

    with np.load(task["solution"]) as file:
        parts = [file[name] for name in ("choice", "run_ptr", "run_slot", "run_full", "run_eco")]
    verdict = check_case(load_case(Path(task["instance"])), Solution(*parts))
    faults = [str(finding) for finding in verdict.findings]
    return {"feasible": verdict.feasible, "faults": faults, "objective": verdict.objective_eur, "dropped": verdict.dropped}


def _curve(task: dict[str, Any]) -> dict[str, Any]:
    """Times of the steps of a solve on a case that is made here, every job of a shape of its own."""
    from dataclasses import asdict

    from scheduler.optimiser.case_maker import Size, make_case
    from scheduler.optimiser.large.measure import step_times

    size = Size("curve", task["jobs"], task["sites"], task["slots"], task["dt_h"], None, 0.0, 0)
    return asdict(step_times(make_case(size, task["seed"])))


def _tell(*words: object) -> None:
    """Progress, one line on standard output."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
