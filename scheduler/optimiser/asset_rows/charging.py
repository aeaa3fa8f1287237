"""Rows of a fleet of charging cars, one group of sessions at a time (``grid.assets.charging_sessions``: exact).

Of cars that only take, a group has its powers and what is missing, and one row: ``sum of charge * efficiency * dt + missing =
energy``. Cars that arrive below their least level add rows for the sums up to each slot, until full power would have brought them
there. Of cars that may give back, the gain is a variable: ``gained[t] = gained[t - 1] + charge * in * dt - discharge * dt / out``
between least and room, and ``gained[last] + missing >= energy``. Where losing energy could pay, a binary a group and slot keeps
it from charging and discharging at once. Everything missing keeps every row, but for that least level: up to it a car is charged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grid.assets.charging import ChargingFleet
from grid.assets.charging_sessions import Group
from grid.horizon import Horizon
from scheduler.asset_runs import PlacedAsset
from scheduler.optimiser.asset_rows.forms import AssetRows, Builder, Form, Term

if TYPE_CHECKING:
    from scheduler.optimiser.model import ModelParts

NOTHING = Form()
Rows = list[tuple[object, list[Term], float | None, float | None]]


def add(parts: ModelParts, number: int, placed: PlacedAsset) -> AssetRows:
    """Variables and rows of one fleet."""
    from scheduler.optimiser.model import burning_pays

    fleet = placed.asset
    if not isinstance(fleet, ChargingFleet):
        raise TypeError(f"no charging fleet: {fleet!r}")
    horizon, build = parts.problem.horizon, Builder(parts, number)
    due = {g: group for g, group in enumerate(fleet.groups) if group.due}
    giving = {g: group for g, group in due.items() if fleet.may_give(group)}
    taken = {(g, t): group.power_kw for g, group in due.items() for t in group.slots(horizon)}
    given = {(g, t): group.discharge_kw for g, group in giving.items() for t in group.slots(horizon)}
    charge = build.variable("charge_kw", list(taken), 0.0, taken)
    discharge = build.variable("discharge_kw", list(given), 0.0, given)
    missing = build.variable("missing_kwh", list(due), 0.0)
    _energy(build, fleet, {g: group for g, group in due.items() if g not in giving}, (charge, missing), horizon)
    _gained(build, fleet, giving, (charge, discharge, missing), horizon)
    if burning_pays(parts.problem, placed.site):
        _either(build, taken, given, (charge, discharge))
    cost: list[Term] = [(fleet.missing_eur_per_kwh, missing, g) for g in due]
    cost += [(horizon.step_h * fleet.wear_eur_per_kwh, discharge, cell) for cell in given]
    return AssetRows(
        site=placed.site,
        draw=_draw(taken, given, (charge, discharge), horizon.slots),
        cost=Form(tuple(cost)),
        decisions={
            **_decided("charge_kw", charge, taken, fleet, horizon.slots),
            **_decided("discharge_kw", discharge, given, fleet, horizon.slots),
        },
    )


def _energy(build: Builder, fleet: ChargingFleet, groups: dict[int, Group], names: tuple[str, str], horizon: Horizon) -> None:
    """Cars that only take have their energy, or it is missing; those below their least level are charged first."""
    charge, missing = names
    whole: Rows = []
    first: Rows = []
    for g, group in groups.items():
        gain = fleet.charge_efficiency * horizon.step_h
        terms: list[Term] = [(gain, charge, (g, t)) for t in group.slots(horizon)]
        wanted = max(0.0, group.energy_kwh - group.gained_kwh)
        whole.append((g, [*terms, (1.0, missing, g)], wanted, wanted))
        for k, floor in enumerate(fleet.floor_kwh(group, horizon)):
            if k and floor <= fleet.floor_kwh(group, horizon)[k - 1]:
                break
            if floor > group.gained_kwh:
                first.append(((g, k), terms[: k + 1], floor - group.gained_kwh, None))
    build.row("energy", whole)
    build.row("first", first)


def _gained(
    build: Builder, fleet: ChargingFleet, groups: dict[int, Group], names: tuple[str, str, str], horizon: Horizon
) -> None:
    """The gain of cars that may give back, from slot to slot and at departure."""
    charge, discharge, missing = names
    cells = [(g, t) for g, group in groups.items() for t in group.slots(horizon)]
    low = {
        (g, t): floor
        for g, group in groups.items()
        for t, floor in zip(group.slots(horizon), fleet.floor_kwh(group, horizon), strict=True)
    }
    gained = build.variable("gained_kwh", cells, low, {(g, t): fleet.top_kwh(groups[g]) for g, t in cells})
    gain, loss = fleet.charge_efficiency * horizon.step_h, horizon.step_h / fleet.discharge_efficiency
    steps: Rows = []
    ends: Rows = []
    for g, group in groups.items():
        window = group.slots(horizon)
        for t in window:
            terms: list[Term] = [(1.0, gained, (g, t)), (-gain, charge, (g, t)), (loss, discharge, (g, t))]
            before = 0.0 if t > window[0] else group.gained_kwh
            steps.append(((g, t), terms if t == window[0] else [*terms, (-1.0, gained, (g, t - 1))], before, before))
        last: list[Term] = [(1.0, gained, (g, window[-1]))] if window else []
        wanted = group.energy_kwh if window else group.energy_kwh - group.gained_kwh
        ends.append((g, [*last, (1.0, missing, g)], wanted, None))
    build.row("gained", steps)
    build.row("departure", ends)


def _either(
    build: Builder, taken: dict[tuple[int, int], float], given: dict[tuple[int, int], float], names: tuple[str, str]
) -> None:
    """Charging or discharging in a slot, never both."""
    charge, discharge = names
    side = build.variable("giving", list(given), 0.0, 1.0, whole=True)
    build.row("takes", [(cell, [(1.0, charge, cell), (taken[cell], side, cell)], None, taken[cell]) for cell in given])
    build.row("gives", [(cell, [(1.0, discharge, cell), (-given[cell], side, cell)], None, 0.0) for cell in given])


def _draw(
    taken: dict[tuple[int, int], float], given: dict[tuple[int, int], float], names: tuple[str, str], slots: int
) -> tuple[Form, ...]:
    """Net draw of all groups in each slot."""
    terms: list[list[Term]] = [[] for _ in range(slots)]
    for sign, family, cells in ((1.0, names[0], taken), (-1.0, names[1], given)):
        for cell in cells:
            terms[cell[1]].append((sign, family, cell))
    return tuple(Form(tuple(those)) for those in terms)


def _decided(
    name: str, family: str, cells: dict[tuple[int, int], float], fleet: ChargingFleet, slots: int
) -> dict[str, tuple[Form, ...]]:
    """Power of each group that has any."""
    forms: dict[int, list[Form]] = {}
    for g, t in cells:
        forms.setdefault(g, [NOTHING] * slots)[t] = Form(((1.0, family, (g, t)),))
    return {f"{name}.{fleet.groups[g].name}": tuple(those) for g, those in forms.items()}
