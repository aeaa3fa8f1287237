"""Constraint families of energy: IT power, balance, battery, connection, peak and events.

Limits of import, export, renewables, battery power and state of charge are bounds of their variables. Unserved load needs
no row that keeps it at or below the load: its price of last resort is above all that energy can bring (``last_resort.py``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from scheduler.optimiser.asset_rows.forms import AssetRows, row_of
from scheduler.optimiser.model import ModelParts, Row, add_rows
from scheduler.optimiser.sleep_rows import rest_terms

CellRows = Iterator[tuple[tuple[int, int], Any]]


def it_power(parts: ModelParts) -> None:
    """IT power is that of jobs plus what transfers draw at both ends.

    ``it_kw[s, t] = job_kw[s, t] + sum source_kw * share + sum target_kw * share``.
    """
    model, problem = parts.model, parts.problem
    sums: dict[tuple[int, int], Row] = defaultdict(lambda: ([], []))
    for m, o, t in model.share:
        task = problem.migrations[m]
        option = task.options[o]
        for site, power in ((task.source, option.source_kw), (option.site, option.target_kw)):
            if power:
                coefs, shares = sums[site, t]
                coefs.append(power)
                shares.append(model.share[m, o, t])

    def rows() -> CellRows:
        for cell in model.it_kw:
            coefs, shares = sums.get(cell, ([], []))
            yield cell, parts.linear(([1.0, *coefs, -1.0], [model.job_kw[cell], *shares, model.it_kw[cell]])) == 0

    add_rows(parts, "it_power", rows())


def balance(parts: ModelParts) -> None:
    """What comes in is what is used, at every site and slot.

    ``import - export + renewable_used + discharge - charge + unserved = fixed + pue * it + net draw of assets`` (less what
    sleeping nodes save, ``sleep_rows.rest_terms``).
    """
    model, problem = parts.model, parts.problem
    drawn: dict[int, list[AssetRows]] = defaultdict(list)
    for rows_of_asset in parts.assets:
        drawn[rows_of_asset.site].append(rows_of_asset)
    resting = rest_terms(parts)

    def rows() -> CellRows:
        for cell in model.it_kw:
            coefs = [1.0, -1.0, 1.0, -float(problem.pue[cell])]
            variables = [model.import_kw[cell], model.export_kw[cell], model.unserved_kw[cell], model.it_kw[cell]]
            for coef, family in ((1.0, model.renewable_used_kw), (1.0, model.discharge_kw), (-1.0, model.charge_kw)):
                if cell in family:
                    coefs.append(coef)
                    variables.append(family[cell])
            fixed = float(problem.fixed_kw[cell])
            for asset in drawn[cell[0]]:
                draw = asset.draw[cell[1]]
                terms, of_asset = row_of(model, draw.terms)
                coefs.extend(-coef for coef in terms)
                variables.extend(of_asset)
                fixed += draw.constant
            if cell in resting:
                (terms, nodes), spared = resting[cell]
                coefs.extend(-coef for coef in terms)
                variables.extend(nodes)
                fixed += spared
            yield cell, parts.linear((coefs, variables)) == fixed

    add_rows(parts, "balance", rows())


def state_of_charge(parts: ModelParts) -> None:
    """Energy in the cells follows charge and discharge with their losses.

    ``soc[t] = soc[t - 1] + charge_efficiency * charge * dt - discharge * dt / discharge_efficiency``, ``soc[-1]`` the
    initial one; ``reserve <= soc <= capacity`` are bounds (a battery found below its reserve need not jump up).
    """
    model, problem = parts.model, parts.problem
    step_h = problem.horizon.step_h

    def rows() -> CellRows:
        for s, t in model.soc_kwh:
            unit = problem.batteries[s]
            if unit is None:
                continue
            coefs = [1.0, -unit.charge_efficiency * step_h, step_h / unit.discharge_efficiency]
            variables = [model.soc_kwh[s, t], model.charge_kw[s, t], model.discharge_kw[s, t]]
            if t == 0:
                yield (s, t), parts.linear((coefs, variables)) == float(problem.initial_soc_kwh[s])
            else:
                yield (s, t), parts.linear(([*coefs, -1.0], [*variables, model.soc_kwh[s, t - 1]])) == 0

    add_rows(parts, "state_of_charge", rows())


def final_soc(parts: ModelParts) -> None:
    """What must be left at the end is left, or what is missing is priced: ``soc[T - 1] + soc_missing >= final``."""
    model, problem = parts.model, parts.problem
    last = problem.horizon.slots - 1
    rows = (
        (s, parts.linear(([1.0, 1.0], [model.soc_kwh[s, last], model.soc_missing_kwh[s]])) >= float(problem.final_soc_kwh[s]))
        for s in model.soc_missing_kwh
    )
    add_rows(parts, "final_soc", rows)


def charge_or_discharge(parts: ModelParts) -> None:
    """Never both: ``charge <= charge_kw * charging`` and ``discharge <= discharge_kw * (1 - charging)``."""
    model, problem = parts.model, parts.problem

    def rows() -> Iterator[tuple[tuple[str, int, int], Any]]:
        for s, t in model.charging:
            unit, flag = problem.batteries[s], model.charging[s, t]
            if unit is not None:
                yield ("charge", s, t), parts.linear(([1.0, -unit.charge_kw], [model.charge_kw[s, t], flag])) <= 0
                power = ([1.0, unit.discharge_kw], [model.discharge_kw[s, t], flag])
                yield ("discharge", s, t), parts.linear(power) <= unit.discharge_kw

    add_rows(parts, "charge_or_discharge", rows())


def import_or_export(parts: ModelParts) -> None:
    """Never both, where selling what was just bought would pay.

    ``import <= limit * importing``, ``export <= limit * (1 - importing)``.

    Elsewhere a plan with both is never cheaper than one with neither, and the decoder nets them.
    """
    model, problem = parts.model, parts.problem

    def rows() -> Iterator[tuple[tuple[str, int, int], Any]]:
        for s, t in model.importing:
            most_in, most_out, flag = (
                float(problem.import_limit_kw[s, t]),
                float(problem.export_limit_kw[s, t]),
                model.importing[s, t],
            )
            yield ("import", s, t), parts.linear(([1.0, -most_in], [model.import_kw[s, t], flag])) <= 0
            yield ("export", s, t), parts.linear(([1.0, most_out], [model.export_kw[s, t], flag])) <= most_out

    add_rows(parts, "import_or_export", rows())


def peak(parts: ModelParts) -> None:
    """The paid peak is at least every import: ``import[s, t] - peak_excess[s] <= peak already reached[s]``."""
    model, problem = parts.model, parts.problem
    rows = (
        (
            (s, t),
            parts.linear(([1.0, -1.0], [model.import_kw[s, t], model.peak_excess_kw[s]])) <= float(problem.peak_reached_kw[s]),
        )
        for s in model.peak_excess_kw
        for t in range(problem.horizon.slots)
    )
    add_rows(parts, "peak", rows)


def event(parts: ModelParts) -> None:
    """Net import above an event's limit is overshoot: ``import - export - overshoot <= limit`` in its slots."""
    model, problem = parts.model, parts.problem

    def rows() -> CellRows:
        for v, t in model.overshoot_kw:
            limit = problem.events[v]
            variables = [model.import_kw[limit.site, t], model.export_kw[limit.site, t], model.overshoot_kw[v, t]]
            yield (v, t), parts.linear(([1.0, -1.0, -1.0], variables)) <= limit.limit_kw

    add_rows(parts, "event", rows())


FAMILIES = (
    it_power,
    balance,
    state_of_charge,
    final_soc,
    charge_or_discharge,
    import_or_export,
    peak,
    event,
)
