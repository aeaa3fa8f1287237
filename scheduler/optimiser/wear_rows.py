"""Wear by depth in the MILP: the layers of ``grid.assets.wear``, of every battery whose wear has prices by depth.

``layer[j, t] = layer[j, t - 1] + in[j, t] - out[j, t]`` with ``in >= 0`` left out as a variable; the layers sum to the state of
charge, so that what goes in is what was charged plus what another layer gave, less that. ``sum of out >= discharge * dt /
efficiency``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from grid.assets.battery import Battery
from grid.assets.wear import DepthWear
from scheduler.optimiser.model import ModelParts, add_rows


def add_variables(parts: ModelParts) -> None:
    """Energy in each layer at the end of each slot, and what was taken out of it in the slot, both kWh."""
    import pyomo.environ as pyo

    problem = parts.problem
    room = {s: wear.room_kwh(unit.energy_kwh) for s, unit, wear in worn(parts)}
    cells = [(s, j, t) for s, each in room.items() for j in range(len(each)) for t in range(problem.horizon.slots)]
    parts.model.layer_kwh = pyo.Var(cells, bounds=lambda _, s, j, _t: (0.0, float(room[s][j])))
    parts.model.layer_out_kwh = pyo.Var(cells, domain=pyo.NonNegativeReals)


def worn(parts: ModelParts) -> Iterator[tuple[int, Battery, DepthWear]]:
    """Site, battery and prices, of every battery whose wear has prices by depth."""
    for s, unit in enumerate(parts.problem.batteries):
        if unit is not None and unit.wear is not None:
            yield s, unit, unit.wear


def layers(parts: ModelParts) -> None:
    """The layers of a battery hold what it holds: ``sum over j of layer[j, t] = soc[t]``."""
    model = parts.model

    def rows() -> Iterator[tuple[tuple[int, int], Any]]:
        for s, _, wear in worn(parts):
            for t in range(parts.problem.horizon.slots):
                each = [model.layer_kwh[s, j, t] for j in range(len(wear.layers))]
                yield (s, t), parts.linear(([1.0] * len(each) + [-1.0], [*each, model.soc_kwh[s, t]])) == 0

    add_rows(parts, "layers", rows())


def layer_drop(parts: ModelParts) -> None:
    """What a layer loses was taken out of it: ``out[j, t] >= layer[j, t - 1] - layer[j, t]``."""
    model, problem = parts.model, parts.problem

    def rows() -> Iterator[tuple[tuple[int, int, int], Any]]:
        for s, unit, wear in worn(parts):
            start = wear.filled_kwh(unit.energy_kwh, float(problem.initial_soc_kwh[s]))
            for j in range(len(wear.layers)):
                for t in range(problem.horizon.slots):
                    now = [model.layer_out_kwh[s, j, t], model.layer_kwh[s, j, t]]
                    if t == 0:
                        yield (s, j, t), parts.linear(([1.0, 1.0], now)) >= float(start[j])
                    else:
                        yield (s, j, t), parts.linear(([1.0, 1.0, -1.0], [*now, model.layer_kwh[s, j, t - 1]])) >= 0

    add_rows(parts, "layer_drop", rows())


def layer_out(parts: ModelParts) -> None:
    """Everything discharged is taken out of some layer: ``sum over j of out[j, t] >= discharge[t] * dt / efficiency``."""
    model, step_h = parts.model, parts.problem.horizon.step_h

    def rows() -> Iterator[tuple[tuple[int, int], Any]]:
        for s, unit, wear in worn(parts):
            for t in range(parts.problem.horizon.slots):
                each = [model.layer_out_kwh[s, j, t] for j in range(len(wear.layers))]
                row = ([1.0] * len(each) + [-step_h / unit.discharge_efficiency], [*each, model.discharge_kw[s, t]])
                yield (s, t), parts.linear(row) >= 0

    add_rows(parts, "layer_out", rows())


def layer_prices(parts: ModelParts) -> list[tuple[float, Any]]:
    """Price and variable of everything that wears by depth or by charge held, but ``held_before``."""
    model, horizon = parts.model, parts.problem.horizon
    found = []
    for s, _, wear in worn(parts):
        held = wear.held_eur_per_kwh_h * horizon.step_h
        for t in range(horizon.slots):
            found += [(price, model.layer_out_kwh[s, j, t]) for j, (_, price) in enumerate(wear.layers)]
            found.append((held / 2 if t == horizon.slots - 1 else held, model.soc_kwh[s, t]))
    return found


def held_before(parts: ModelParts) -> float:
    """What the first half slot's share of the initial charge wears, EUR: a constant."""
    half_h = parts.problem.horizon.step_h / 2
    return sum(half_h * wear.held_eur_per_kwh_h * float(parts.problem.initial_soc_kwh[s]) for s, _, wear in worn(parts))


FAMILIES = (layers, layer_drop, layer_out)
