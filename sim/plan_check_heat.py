"""Checks of heat reuse in a plan: heat of the IT, demand, the buffer; from the parameters of the scenario alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from grid.assets.heat_reuse import HeatReuse
from grid.horizon import FloatArray, Horizon
from scheduler.asset_runs import AssetRun
from scheduler.outcome import ViolationKind
from sim.plan_check_charging import LIMIT_KW, Over

STORE_KWH = 1e-6
"""How far the buffer may exceed its bounds or its recursion, in any slot."""
LEFT_SHARE = 2e-9
"""Share of the heat to be left that rounding may take."""


def check_heat(unit: HeatReuse, run: AssetRun, horizon: Horizon, it_kw: FloatArray) -> Iterator[Over]:
    """Worst slots of every limit; ``it_kw`` is the IT power of jobs and transfers of its site, ``[T]``."""
    series = run.series
    made, delivered, source = series["made_kw"], series["delivered_kw"], series["source_kw"]
    kind = ViolationKind.ASSET_POWER
    demand = _demand(unit, horizon)
    yield kind, "demand", np.abs(series["demand_kw"] - demand), LIMIT_KW, series["demand_kw"], demand, "kW", "It is given."
    yield kind, "delivered heat", delivered - demand, LIMIT_KW, delivered, demand, "kW", "Deliver no more than is demanded."
    yield kind, "largest heat", made - unit.heat_kw, LIMIT_KW, made, unit.heat_kw, "kW", "Make less heat."
    least = np.minimum(made, delivered)
    yield kind, "sign", -least, LIMIT_KW, least, 0.0, "kW", "Heat is neither unmade nor taken back."
    cop = unit.cop
    taken = made - made / cop
    yield kind, "source", np.abs(source - taken), LIMIT_KW, source, taken, "kW", "What is taken follows from what is made."
    there = unit.share * (unit.idle_it_kw + it_kw)
    yield kind, "heat of the IT", source - there, LIMIT_KW, source, there, "kW", "Make less heat, or run more there."
    power = made / cop + unit.pumps_kw_per_kw * made
    spared = taken * (0.0 if unit.spared is None else unit.spared.mean(horizon))
    off = np.maximum(np.abs(series["power_kw"] - power), np.abs(series["spared_kw"] - spared))
    yield kind, "electricity", off, LIMIT_KW, series["power_kw"], power, "kW", "Electricity follows from the heat that is made."
    draw = power - spared
    yield kind, "draw", np.abs(run.draw_kw - draw), LIMIT_KW, run.draw_kw, draw, "kW", "Its draw follows from its electricity."
    yield from _buffer(unit, horizon, made - delivered, series["store_kwh"])


def _buffer(unit: HeatReuse, horizon: Horizon, net_kw: FloatArray, store: FloatArray) -> Iterator[Over]:
    """Recursion, bounds and end of the buffer."""
    kind, hours = ViolationKind.ASSET_STORE, horizon.step_h
    kept = (1.0 - unit.loss_per_h) ** hours
    counted = hours if kept == 1.0 else (kept - 1.0) / np.log(1.0 - unit.loss_per_h)
    before = np.concatenate(([unit.initial_kwh], store[:-1]))
    expected = kept * before + counted * net_kw
    advice = "Heat in the buffer does not follow from what is made, delivered and lost."
    yield kind, "heat balance", np.abs(store - expected), STORE_KWH, store, expected, "kWh", advice
    yield kind, "full buffer", store - unit.buffer_kwh, STORE_KWH, store, unit.buffer_kwh, "kWh", "Make less heat before."
    yield kind, "empty buffer", -store, STORE_KWH, store, 0.0, "kWh", "Deliver less heat before."
    level = unit.initial_kwh
    for _ in range(horizon.slots):
        level = min(unit.buffer_kwh, level * kept + unit.most_kw(unit.idle_it_kw) * counted)
    left = min(level, unit.initial_kwh if unit.final_kwh is None else unit.final_kwh)
    short, tolerance = np.array([left - store[-1]]), STORE_KWH + LEFT_SHARE * left
    yield kind, "heat left", short, tolerance, store[-1:], left, "kWh", "Deliver less heat, or make more."


def _demand(unit: HeatReuse, horizon: Horizon) -> FloatArray:
    """Lowest demand at any instant of each slot, ``[T]``."""
    edges = horizon.edges_s
    moments = np.unique(np.concatenate((edges[:-1], unit.demand_kw.edges_s)))
    moments = moments[(moments >= edges[0]) & (moments < edges[-1])]
    lowest = np.full(horizon.slots, np.inf)
    slots = np.searchsorted(edges, moments, side="right") - 1
    np.minimum.at(lowest, slots, np.array([unit.demand_kw.at(float(moment)) for moment in moments]))
    return lowest
