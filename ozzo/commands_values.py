"""What stands behind ``ozzo values``: marginal values, summed up for people, whole as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ozzo.answer_tables import rendered, table

if TYPE_CHECKING:
    from grid.horizon import FloatArray
    from scheduler.answers.values import Values
    from scheduler.problem import Problem

DEAREST = 3
"""Hours that are named."""

WORTHLESS = 1e-6
"""EUR; less than this is told as nothing."""


def marginal_values(scenario_file: Path, *, as_json: bool, say: Callable[[str], None]) -> str:
    """The values of a scenario as text.

    Raises:
        InputError: the scenario is wrong.
        SolverError: the relaxation could not be solved in time.
    """
    from scheduler.answers.values import values
    from scheduler.build import build_problem
    from scheduler.document import load_scenario

    problem = build_problem(load_scenario(scenario_file, progress=say))
    say("prices")
    found = values(problem, say)
    if as_json:
        return json.dumps(values_dict(problem, found))
    return rendered(*_told(problem, found))


def values_dict(problem: Problem, found: Values) -> dict[str, Any]:
    """All arrays as plain JSON values, by site; keys in docs/output.md."""
    horizon = problem.horizon

    def of(s: int) -> dict[str, Any]:
        return {
            "facility_eur_per_kwh": found.facility_eur_per_kwh[s].tolist(),
            "it_eur_per_kwh": found.it_eur_per_kwh[s].tolist(),
            "capacity_eur_per_h": {name: array[s].tolist() for name, array in found.capacity_eur_per_h.items()},
            "import_eur_per_kwh": found.import_eur_per_kwh[s].tolist(),
            "export_eur_per_kwh": found.export_eur_per_kwh[s].tolist(),
            "battery_energy_eur_per_kwh": float(found.battery_energy_eur_per_kwh[s]) if problem.batteries[s] else None,
            "battery_power_eur_per_kw": float(found.battery_power_eur_per_kw[s]) if problem.batteries[s] else None,
        }

    return {
        "start": horizon.start.isoformat(),
        "step_s": round(horizon.step_s),
        "slots": horizon.slots,
        "source": found.source,
        "relaxation_eur": found.objective_eur,
        "sites": {name: of(s) for s, name in enumerate(problem.sites)},
    }


def _told(problem: Problem, found: Values) -> list[Any]:
    """Two tables: energy; capacity and flexibility."""
    from scheduler.obstacles import RESOURCE_WORDS

    energy = table(
        "One kWh more of load costs (EUR/kWh)",
        "site",
        "facility, mean ( )",
        "least ( )",
        "most ( )",
        "IT, mean ( )",
        "dearest hours",
    )
    _plain(energy)
    for s, name in enumerate(problem.sites):
        row = found.facility_eur_per_kwh[s]
        figures = (row.mean(), row.min(), row.max(), found.it_eur_per_kwh[s].mean())
        energy.add_row(name, *(f"{figure + 0.0:.3f}" for figure in figures), _hours(problem, row))
    room = table("One more of this saves", "site", "what", "over the whole period (EUR)", "when most (EUR for an hour)")
    nothing = []
    for s, name in enumerate(problem.sites):
        rows: list[tuple[str, float, str]] = []
        step_h = problem.horizon.step_h
        for resource, array in found.capacity_eur_per_h.items():
            rows.append((f"one more of {RESOURCE_WORDS[resource]}", step_h * float(array[s].sum()), _hours(problem, array[s])))
        for words, array in (
            ("1 kW more import limit", found.import_eur_per_kwh),
            ("1 kW more export limit", found.export_eur_per_kwh),
        ):
            rows.append((words, step_h * float(array[s].sum()), _hours(problem, array[s])))
        if problem.batteries[s] is not None:
            rows.append(("1 kWh more battery", float(found.battery_energy_eur_per_kwh[s]), ""))
            rows.append(("1 kW more battery power", float(found.battery_power_eur_per_kw[s]), ""))
        for words, saved, hours in rows:
            if saved > WORTHLESS:
                room.add_row(name, words, f"{saved:.4f}", hours)
        if all(saved <= WORTHLESS for _, saved, _ in rows):
            nothing.append(name)
    lines: list[Any] = [energy, *([room] if room.row_count else [])]
    if nothing:
        lines.append(f"More cores, kW or kWh would save nothing at {', '.join(nothing)}: no limit there binds.")
    if room.row_count:
        lines.append("What is not listed is worth nothing: its limit does not bind.")
    whose = {
        "relaxation": "Duals of the linear relaxation (jobs may be split)",
        "decomposition": f"Prices of the decomposition, which prove that no plan costs less than {found.objective_eur:.2f} EUR",
    }
    lines.append(
        f"{whose[found.source]}: right for small changes, all jobs and batteries adapted. For a larger change ask 'ozzo what-if'."
    )
    return lines


def _plain(shown: Any) -> None:
    """Headers without the brackets that only align a column."""
    for column in shown.columns:
        column.header = str(column.header).removesuffix(" ( )")


def _hours(problem: Problem, row: FloatArray) -> str:
    """The slots of greatest value, joined where they follow each other, with their value."""
    from scheduler.policies.schedule import pieces
    from scheduler.reasons import clock

    most = float(row.max())
    if most <= WORTHLESS:
        return ""
    if row.max() - row.min() <= 1e-9:
        return "all alike"
    blocks = pieces(tuple(np.flatnonzero(row >= most - max(1e-6, 0.02 * most)).tolist()))
    told = [f"{clock(problem, start)}-{clock(problem, end)}" for start, end in blocks[:DEAREST]]
    rest = f" and {len(blocks) - DEAREST} more" if len(blocks) > DEAREST else ""
    return f"{', '.join(told)}{rest} ({most:.4f})"
