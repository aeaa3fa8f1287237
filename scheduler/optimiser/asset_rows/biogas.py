"""Rows of a biogas unit: binary running, gas store with a flare, least run, gas left at the end.

``minimum_load * power * on <= p <= power * on``; ``start[t] >= on[t] - on[t - 1]``; the starts of the last ``L`` slots are at
most ``on[t]``; ``store[t] = store[t - 1] + (gas - p / efficiency - flared) * dt``. Never running keeps every row.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from grid.assets.biogas import BiogasChp
from scheduler.asset_runs import PlacedAsset
from scheduler.optimiser.asset_rows.forms import AssetRows, Builder, Form, Term

if TYPE_CHECKING:
    from scheduler.optimiser.model import ModelParts


def add(parts: ModelParts, number: int, placed: PlacedAsset) -> AssetRows:
    """Variables and rows of one unit."""
    unit = placed.asset
    if not isinstance(unit, BiogasChp):
        raise TypeError(f"no biogas unit: {unit!r}")
    horizon, slots = parts.problem.horizon, range(parts.problem.horizon.slots)
    build, step_h = Builder(parts, number), horizon.step_h
    power = build.variable("power_kw", slots, 0.0, unit.power_kw)
    on = build.variable("on", slots, 0.0, 1.0, whole=True)
    start = build.variable("start", slots, 0.0, 1.0)
    _running(build, unit, (power, on, start), horizon.slots, math.ceil(unit.minimum_run_h / step_h - 1e-9))
    _store(build, unit, power, horizon.slots, step_h)
    heat = unit.thermal_efficiency / unit.electrical_efficiency
    worth = step_h * (unit.running_eur_per_kwh - heat * unit.heat_eur_per_kwh)
    cost = [(worth, power, t) for t in slots] + [(unit.start_eur, start, t) for t in slots]
    return AssetRows(
        site=placed.site,
        draw=tuple(Form(((-1.0, power, t),)) for t in slots),
        cost=Form(tuple(cost)),
        decisions={"power_kw": tuple(Form(((1.0, power, t),)) for t in slots)},
    )


def _running(build: Builder, unit: BiogasChp, names: tuple[str, str, str], slots: int, least: int) -> None:
    """Load between least and most when it runs, starts, and least run."""
    power, on, start = names
    low, high, begins, runs = [], [], [], []
    for t in range(slots):
        high.append((t, [(1.0, power, t), (-unit.power_kw, on, t)], None, 0.0))
        low.append((t, [(1.0, power, t), (-max(unit.minimum_load, 1e-6) * unit.power_kw, on, t)], 0.0, None))
        before: list[Term] = [(1.0, on, t - 1)] if t else []
        begins.append((t, [(1.0, start, t), (-1.0, on, t), *before], -1.0 * (unit.initially_on and not t), None))
        recent: list[Term] = [(1.0, start, k) for k in range(max(0, t - least + 1), t + 1)]
        if least > 1:
            runs.append((t, [*recent, (-1.0, on, t)], None, 0.0))
    for name, rows in (("most", high), ("least", low), ("starts", begins), ("least_run", runs)):
        build.row(name, rows)


def _store(build: Builder, unit: BiogasChp, power: str, slots: int, step_h: float) -> None:
    """Gas from slot to slot, and what must be left."""
    flared = build.variable("flared_kw", range(slots))
    store = build.variable("store_kwh", range(slots), unit.lowest_kwh, unit.store_kwh)
    rows = []
    for t in range(slots):
        terms: list[Term] = [(1.0, store, t), (step_h / unit.electrical_efficiency, power, t), (step_h, flared, t)]
        known = unit.gas_kw * step_h
        if t:
            terms.append((-1.0, store, t - 1))
        else:
            known += unit.initial_kwh
        rows.append((t, terms, known, known))
    build.row("store", rows)
    build.row("left", [(slots - 1, [(1.0, store, slots - 1)], unit.left_at_end_kwh(slots * step_h), None)])
