"""Contracts in the settlement: what was taken or given above what they allow, as means over 15 minutes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np

from grid.contracts.isp import isp_at
from grid.contracts.limits import ContractLimit, Direction, lowest_kw
from grid.horizon import FloatArray, Horizon
from grid.series import Series
from scheduler.outcome import MeteredEnergy, Violation, ViolationKind

if TYPE_CHECKING:
    from sim.world.simulated import SimulatedWorld

TOLERANCE_KW = 1e-6


def contract_violations(world: SimulatedWorld, settlement: Horizon, energy: MeteredEnergy) -> tuple[Violation, ...]:
    """Broken limits of contracts, the worst settlement period of each contract and direction.

    A limit that is told later counts from the first plan on that could know it (its price is owed from its start).
    """
    contracts = world.scenario.contracts
    index = {site.name: s for s, site in enumerate(world.scenario.sites)}
    powers = {
        Direction.IMPORT: energy.import_kwh / settlement.step_h,
        Direction.EXPORT: energy.export_kwh / settlement.step_h,
    }
    begins = [plan.horizon.start for _, plan in world.plans]
    found: list[Violation] = []
    for right in contracts.rights:
        own = {way: power[index[right.site]] for way, power in powers.items()}
        limits = right.limits(world.scenario.horizon)
        found += _worst(world, settlement, ViolationKind.TRANSPORT_RIGHT, right.name, right.site, limits, own, begins)
    for limitation in contracts.limitations:
        own = {way: power[index[limitation.site]] for way, power in powers.items()}
        kind, limits = ViolationKind.CAPACITY_LIMITATION, limitation.periods
        found += _worst(world, settlement, kind, limitation.name, limitation.site, limits, own, begins)
    for group in contracts.groups:
        members = [index[name] for name in group.members]
        summed = {way: power[members].sum(axis=0) for way, power in powers.items()}
        names, limits = ", ".join(group.members), group.limits(world.scenario.horizon)
        found += _worst(world, settlement, ViolationKind.GROUP_CAP, group.name, names, limits, summed, begins)
    return tuple(found)


def nominated_kw(world: SimulatedWorld, settlement: Horizon) -> FloatArray | None:
    """Net import of the first plan on the settlement periods, ``[S, T]`` kW: the nomination, which later plans do not change.

    None when there is no plan, or the first one does not cover the world's period.
    """
    plan = world.plans[0][1] if world.plans else None
    if plan is None or plan.horizon.start_s > settlement.start_s or plan.horizon.end_s < settlement.end_s:
        return None
    net = plan.energy.import_kw - plan.energy.export_kw
    return np.stack([Series.on(plan.horizon, row, "kW").mean(settlement) for row in net])


def _from_plan(limit: ContractLimit, begins: list[datetime]) -> ContractLimit | None:
    """The limit from the first plan on that knows it; None when no plan does."""
    if limit.known is None or not begins:
        return limit
    knows = [begin.timestamp() for begin in begins if limit.known <= begin]
    return replace(limit, start_s=max(limit.start_s, min(knows))) if knows else None


def _worst(
    world: SimulatedWorld,
    settlement: Horizon,
    kind: ViolationKind,
    name: str,
    who: str,
    limits: Iterable[ContractLimit],
    powers: dict[Direction, FloatArray],
    begins: list[datetime],
) -> Iterator[Violation]:
    """The period of each direction that exceeds its limit most, if any does."""
    known = [limit for limit in (_from_plan(limit, begins) for limit in limits) if limit is not None]
    for direction, power in powers.items():
        allowed = lowest_kw(known, direction, settlement)
        worst = int(np.argmax(power - allowed))
        over = float(power[worst] - allowed[worst])
        if over <= TOLERANCE_KW:
            continue
        when = settlement.time(worst)
        period = isp_at(when, ZoneInfo(world.scenario.time_zone))
        advice = (
            f"Plan {over:.3g} kW less {direction} at {who} in {period}, or raise planning.limit_margin or chance_level so that "
            "forecast errors fit."
        )
        value, limit_kw = float(power[worst]), float(allowed[worst])
        yield Violation(kind, f"{direction} of {name}", value, limit_kw, "kW (15-minute mean)", when, world.truth.seed, advice)
