"""Rows of heat reuse: no more heat than the IT gives, none delivered without demand, a buffer that loses heat.

``source_per_heat * made[t] <= share * (idle + it_kw[t])``; ``delivered[t] <= demand[t]``; ``store[t] = kept * store[t - 1] +
counted * (made[t] - delivered[t])`` within the buffer. Every row can be kept whatever the jobs do: what must be left at the
end is no more than idle nodes can bring, and delivering nothing is allowed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grid.assets.heat_reuse import HeatReuse, slot_minimum
from scheduler.asset_runs import PlacedAsset
from scheduler.optimiser.asset_rows.forms import AssetRows, Builder, Form, Term

if TYPE_CHECKING:
    from scheduler.optimiser.model import ModelParts

ROUNDING = 1.0 - 1e-9
"""What must be left at the end is asked for with this: it may be exactly what can be brought."""


def add(parts: ModelParts, number: int, placed: PlacedAsset) -> AssetRows:
    """Variables and rows of one reuse of heat."""
    unit = placed.asset
    if not isinstance(unit, HeatReuse):
        raise TypeError(f"no heat reuse: {unit!r}")
    horizon, slots = parts.problem.horizon, range(parts.problem.horizon.slots)
    build, step_h = Builder(parts, number), horizon.step_h
    made = build.variable("made_kw", slots, 0.0, unit.heat_kw)
    delivered = build.variable("delivered_kw", slots)
    demand = slot_minimum(unit.demand_kw, horizon).tolist()
    build.row("demand", [(t, [(1.0, delivered, t)], None, demand[t]) for t in slots])
    heat: list[tuple[int, list[Term], None, float]] = []
    for t in slots:
        terms: list[Term] = [(unit.source_per_heat, made, t), (-unit.share, "it_kw", (placed.site, t))]
        heat.append((t, terms, None, unit.share * unit.idle_it_kw))
    build.row("heat", heat)
    _buffer(build, unit, made, delivered, parts)
    spared = unit.spared_kw_per_kw(horizon).tolist()
    draw = [unit.power_per_heat - unit.source_per_heat * spared[t] for t in slots]
    cost = [(step_h * unit.running_eur_per_kwh, made, t) for t in slots]
    cost += [(-step_h * unit.worth_eur_per_kwh, delivered, t) for t in slots]
    return AssetRows(
        site=placed.site,
        draw=tuple(Form(((draw[t], made, t),)) for t in slots),
        cost=Form(tuple(cost)),
        decisions={
            "made_kw": tuple(Form(((1.0, made, t),)) for t in slots),
            "delivered_kw": tuple(Form(((1.0, delivered, t),)) for t in slots),
        },
    )


def _buffer(build: Builder, unit: HeatReuse, made: str, delivered: str, parts: ModelParts) -> None:
    """Heat from slot to slot, and what must be left."""
    horizon = parts.problem.horizon
    store = build.variable("store_kwh", range(horizon.slots), 0.0, unit.buffer_kwh)
    kept, counted = unit.kept(horizon.step_h)
    rows = []
    for t in range(horizon.slots):
        terms: list[Term] = [(1.0, store, t), (-counted, made, t), (counted, delivered, t)]
        known = 0.0 if t else kept * unit.initial_kwh
        if t:
            terms.append((-kept, store, t - 1))
        rows.append((t, terms, known, known))
    build.row("store", rows)
    last = horizon.slots - 1
    build.row("left", [(last, [(1.0, store, last)], unit.left_at_end_kwh(horizon) * ROUNDING, None)])
