"""The objective of the MILP: the parts of ``scheduler.objective``, by the same names, as Pyomo expressions."""

from __future__ import annotations

from typing import Any

from scheduler.last_resort import last_resorts
from scheduler.optimiser.asset_rows.forms import row_of
from scheduler.optimiser.job_rows import variables_of
from scheduler.optimiser.model import ModelParts, Row
from scheduler.optimiser.wear_rows import held_before, layer_prices


def add_objective(parts: ModelParts) -> None:
    """Minimise the sum of ``cost_<part>`` over the named parts."""
    import pyomo.environ as pyo

    rows = {**_energy_parts(parts), **_task_parts(parts)}
    constant = _add_assets(parts, rows)
    total: Row = ([], [])
    for name, row in rows.items():
        setattr(parts.model, f"cost_{name}", pyo.Expression(expr=parts.linear(row)))
        total[0].extend(row[0])
        total[1].extend(row[1])
    parts.model.cost = pyo.Objective(expr=parts.linear(total, parts.impossible_eur + constant + held_before(parts)))


def _add_assets(parts: ModelParts, rows: dict[str, Row]) -> float:
    """Put what assets owe into ``assets`` and ``carbon``; returns what of it is constant, EUR."""
    price = parts.problem.weights.carbon_eur_per_kg / 1000.0
    rows["assets"], constant = ([], []), 0.0
    for asset in parts.assets:
        for name, form, weight in (("assets", asset.cost, 1.0), ("carbon", asset.carbon, price)):
            coefs, variables = row_of(parts.model, form.terms)
            rows[name][0].extend(weight * coef for coef in coefs)
            rows[name][1].extend(variables)
            constant += weight * form.constant
    return constant


def _row(pairs: Any) -> Row:
    """Coefficients and variables of the pairs whose coefficient is not 0."""
    kept = [(float(coef), variable) for coef, variable in pairs if coef]
    return [coef for coef, _ in kept], [variable for _, variable in kept]


def _energy_parts(parts: ModelParts) -> dict[str, Row]:
    """Import, export, carbon, peak, wear, events, unserved load and missing charge."""
    model, problem = parts.model, parts.problem
    step_h, weights = problem.horizon.step_h, problem.weights
    carbon = step_h * weights.carbon_eur_per_kg / 1000.0
    wear = {s: step_h * unit.wear_eur_per_kwh / 2 for s, unit in enumerate(problem.batteries) if unit}
    prices = last_resorts(problem)
    imported, exported, unserved = model.import_kw, model.export_kw, model.unserved_kw
    return {
        "energy_import": _row((step_h * problem.import_eur_per_kwh[cell], imported[cell]) for cell in imported),
        "energy_export": _row((-step_h * problem.export_eur_per_kwh[cell], exported[cell]) for cell in exported),
        "carbon": _row((carbon * problem.carbon_g_per_kwh[cell], imported[cell]) for cell in imported),
        "peak": _row(
            [(problem.peak_eur_per_kw[s], model.peak_excess_kw[s]) for s in model.peak_excess_kw]
            + [(peak.eur_per_kw, model.window_peak_kw[n]) for n, peak in enumerate(problem.window_peaks)]
        ),
        "battery_wear": _row(
            [*((wear[s], flow[s, t]) for flow in (model.charge_kw, model.discharge_kw) for s, t in flow), *layer_prices(parts)]
        ),
        "event_penalty": _row(
            (step_h * problem.events[v].penalty_eur_per_kwh, model.overshoot_kw[v, t]) for v, t in model.overshoot_kw
        ),
        "unserved": _row((step_h * prices[s].unserved_eur_per_kwh, unserved[s, t]) for s, t in unserved),
        "soc_shortfall": _row((prices[s].missing_eur_per_kwh, model.soc_missing_kwh[s]) for s in model.soc_missing_kwh),
    }


def _task_parts(parts: ModelParts) -> dict[str, Row]:
    """Dropped work, lateness and fixed costs."""
    model, problem = parts.model, parts.problem
    dropped = [(parts.classes[c].task.drop_eur, model.drop[c]) for c in model.drop]
    dropped += [(problem.migrations[m].drop_eur, model.undone[m]) for m in model.undone]
    fixed = [(parts.classes[c].task.options[e].cost_eur, model.start[c, e, t]) for c, e, t in model.start]
    fixed += [(parts.classes[c].task.options[e].cost_eur, model.at_site[c, e]) for c, e in model.at_site]
    fixed += [(problem.migrations[m].options[o].cost_eur, model.chosen[m, o]) for m, o in model.chosen]
    fixed += [(problem.copies[q].cost_eur, model.bought[q]) for q in model.bought]
    fixed += [(parts.classes[c].task.restart_eur, model.begin[c, e, t]) for c, e, t in model.begin]
    fixed += [(-parts.classes[c].task.restart_eur, model.at_site[c, e]) for c, e in model.at_site if parts.classes[c].in_pieces]
    return {"dropped": _row(dropped), "lateness": _row(_late(parts)), "fixed": _row(fixed)}


def _late(parts: ModelParts) -> list[tuple[float, Any]]:
    """Soft deadlines: rigid jobs pay for each slot by which their end passes ``due``, others for each slot or share after."""
    model, found = parts.model, []
    for c, group in enumerate(parts.classes):
        task = group.task
        if task.due is None or not task.late_eur_per_slot:
            continue
        for e, slots in enumerate(group.slots):
            for t in slots:
                if group.rigid:
                    found.append((task.late_eur_per_slot * max(0, t + task.work - task.due), model.start[c, e, t]))
                elif t >= task.due:
                    found += [(task.late_eur_per_slot, variable) for variable in variables_of(parts, c, e, t)]
    return found
