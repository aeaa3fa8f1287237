"""One run of a sweep: load the scenario with its values, plan it, carry the plan out in one simulated world.

Everything is decided by the task; nothing that an earlier run of the same process left changes a figure. What is kept between
runs (scenarios, plans where a seed decides only the truth, networks) is kept under all that decides it.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from grid.errors import ExperimentError
from scheduler.answers.changes import Change, changer
from scheduler.build import build_problem
from scheduler.document import load_scenario
from scheduler.on_grid import on_grid
from scheduler.outcome import Outcome
from scheduler.placement import assign_nodes
from scheduler.plan import Plan
from scheduler.plan_json import plan_from_dict, plan_to_dict
from scheduler.policies.registry import BASELINES, POLICIES
from scheduler.scenario import NetworkSpec, Scenario
from sim.experiments.columns import FIGURES
from sim.experiments.design import KEY_LETTERS, scenario_digest
from sim.loop import LoopResult, run_loop
from sim.loop.asked import READERS, settings_of
from sim.loop.figures import plan_figures
from sim.network_check import load
from sim.rehearsal import realise
from sim.report.extremes import extremes


def carry_out(task: Mapping[str, Any]) -> dict[str, Any]:
    """Figures and origin of one run (columns of ``FIGURES`` and ``ORIGIN``, without version and attempts).

    Args:
        task: of ``Sweep.task``; with ``plans``, the folder in which plans for several seeds are kept.

    Raises:
        InputError: the scenario refuses the values.
        ExperimentError: the scenario file, or one that it names, is not what it was when the sweep began.
        OzzoError: planning or carrying out failed.
    """
    began = time.perf_counter()
    asked = {path: value for path, value in task["settings"] if path in READERS}
    rest = [[path, value] for path, value in task["settings"] if path not in READERS]
    file, settings, seed = task["file"], json.dumps(rest), int(task["seed"])
    everything = task["redraw"] == "everything"
    digest, power_flow = str(task["digest"]), bool(task["power_flow"])
    scenario = _scenario(file, digest, settings, seed if everything else None, power_flow)
    policy, plans = task["policy"], task.get("plans")
    if asked:
        loop = run_loop(replace(scenario, seed=seed), replace(settings_of(asked, policy), power_flow=power_flow))
        return loop_row(loop) | _origin(digest, began) | {"build_s": None, "solve_s": None}
    plan = _plan(scenario, policy) if everything else _kept_plan(file, digest, settings, power_flow, policy, plans)
    spec = scenario.network
    network = None if spec is None else _network(spec)
    outcome = realise(scenario, plan, seed, network=network, power_flow=spec is not None)
    return figures(plan, outcome) | _origin(digest, began) | {"build_s": plan.build_s, "solve_s": plan.solve_s}


def _origin(digest: str, began: float) -> dict[str, Any]:
    """Where the figures come from, as far as this process knows; ``began`` is of ``time.perf_counter``."""
    return {
        "scenario_sha256": digest,
        "machine": platform.node(),
        "python": platform.python_version(),
        "finished": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "wall_s": time.perf_counter() - began,
    }


def loop_row(loop: LoopResult) -> dict[str, Any]:
    """Every column of ``FIGURES`` of a closed loop: what really came; of its plans the mean gap, and how many were refused."""
    told = plan_figures(loop.steps)
    found = outcome_figures(loop.outcome) | {
        "planned_objective_eur": None,
        "bound_eur": None,
        "gap": told["gap_mean"],
        "status": f"{told['plans']} plans, {told['refused']} refused",
    }
    return {name: _finite(found.get(name)) for name in FIGURES}


def figures(plan: Plan, outcome: Outcome) -> dict[str, Any]:
    """Every column of ``FIGURES``; None what is not known."""
    found = outcome_figures(outcome) | {
        "planned_objective_eur": plan.objective_eur,
        "bound_eur": plan.bound_eur,
        "gap": plan.gap,
        "status": str(plan.status),
    }
    return {name: _finite(found.get(name)) for name in FIGURES}


def outcome_figures(outcome: Outcome) -> dict[str, Any]:
    """Columns that the outcome alone decides."""
    totals = outcome.totals
    found: dict[str, Any] = {name: getattr(totals, name) for name in FIGURES if hasattr(totals, name)}
    found |= {f"part.{name}_eur": value for name, value in totals.breakdown_eur.items()}
    found |= {
        "unserved_kwh": float(outcome.energy.unserved_kwh.sum()),
        "broken_rules": len(outcome.violations),
    }
    if outcome.network is not None:
        found |= {name: worst.value for name, worst in extremes(outcome.network).items()}
    return found


def _finite(value: Any) -> Any:
    """A value that JSON can hold: numbers that are none become None."""
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value


@lru_cache(maxsize=2)
def _scenario(file: str, digest: str, settings: str, seed: int | None, power_flow: bool) -> Scenario:
    """The scenario with its values; ``seed`` stands in for the document's, so that generated jobs are drawn anew too."""
    try:
        now = scenario_digest(Path(file))
    except OSError as error:
        raise ExperimentError(f"{error.filename or file} cannot be read: {error.strerror}") from error
    if now != digest:
        raise ExperimentError(f"{file}, or a file that it names, is not what it was when the sweep began; start the sweep again")
    changes = [Change(path, value, path) for path, value in json.loads(settings)]
    if seed is not None:
        changes.append(Change("seed", seed, "seed"))
    scenario = load_scenario(file, change=changer(changes) if changes else None)
    return scenario if power_flow else replace(scenario, network=None)


def _plan(scenario: Scenario, policy: str) -> Plan:
    """The plan of a fresh maker of ``policy``, as ``ozzo plan`` makes it: the optimiser heeds the network."""
    maker = POLICIES[policy]()
    if policy not in BASELINES and scenario.network is not None:
        maker = on_grid(maker, scenario, _network(scenario.network))
    return assign_nodes(scenario, maker.plan(build_problem(scenario)))


@lru_cache(maxsize=16)
def _kept_plan(file: str, digest: str, settings: str, power_flow: bool, policy: str, plans: str | None) -> Plan:
    """One plan for all truths: the first that any process finished, kept in the folder ``plans``.

    A solve that ends by its time limit may end elsewhere another time, so processes share the plan, not the way to it.

    Raises:
        ExperimentError: the folder cannot be written or read.
    """
    scenario = _scenario(file, digest, settings, None, power_flow)
    if plans is None:
        return _plan(scenario, policy)
    name = sha256(json.dumps([file, digest, settings, power_flow, policy]).encode()).hexdigest()[:KEY_LETTERS]
    path = Path(plans) / f"{name}.json"
    try:
        if not path.is_file():
            _keep(path, _plan(scenario, policy))
        return plan_from_dict(json.loads(path.read_text(encoding="utf-8")), str(path))
    except OSError as error:
        raise ExperimentError(f"{path} cannot be written or read: {error.strerror}") from error


def _keep(path: Path, plan: Plan) -> None:
    """Put a plan in place whole, unless another process was first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.write_text(json.dumps(plan_to_dict(plan)) + "\n", encoding="utf-8")
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(beside)
    finally:
        beside.unlink(missing_ok=True)


@lru_cache(maxsize=4)
def _network(spec: NetworkSpec) -> Any:
    """The network, loaded once a process."""
    return load(spec)
