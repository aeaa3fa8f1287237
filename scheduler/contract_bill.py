"""What contracts with the grid operator cost and bring, line by line: who pays what.

The one definition, for plans and for what was metered: powers are means of settlement periods (quarter-hours), or of slots
where a plan has longer ones. A line is positive when the site pays. Rewards are the same for every plan (what was called or
agreed is given up whether it is used or not), so no objective holds them; its part ``contracts`` holds the penalties, ``peak``
the peaks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from grid.contracts.group import split
from grid.contracts.limits import Direction, lowest_kw, over_kwh
from grid.horizon import FloatArray, Horizon
from scheduler.scenario import Scenario


class Charge(StrEnum):
    """What a line is for."""

    ABOVE_RIGHT = "above_right"
    """energy above a transport right"""
    ABOVE_LIMITATION = "above_limitation"
    """energy above a capacity limitation"""
    ABOVE_GROUP_CAP = "above_group_cap"
    """a member's share of the group's energy above its cap"""
    PEAK = "peak"
    """highest quarter-hour of a capacity tariff's charge, above what was reached before"""
    SHORT = "imbalance_short"
    """energy taken more than nominated, beyond its day-ahead price"""
    LONG = "imbalance_long"
    """energy taken less than nominated, beyond its day-ahead price"""
    REWARD = "reward"
    """transport that a site gave up, paid by the grid operator"""


PENALTIES = frozenset((Charge.ABOVE_RIGHT, Charge.ABOVE_LIMITATION, Charge.ABOVE_GROUP_CAP, Charge.SHORT, Charge.LONG))
"""Lines of the objective's part ``contracts``."""


@dataclass(frozen=True, slots=True)
class ContractLine:
    """A line of the bill.

    Attributes:
        contract: name of the contract; site: who pays, or is paid.
        charge: what for.
        quantity, unit: of what (kWh above a limit, off the nomination or given up, kW of a peak).
        eur: positive when the site pays.
    """

    contract: str
    site: str
    charge: Charge
    quantity: float
    unit: str
    eur: float


def contract_lines(
    scenario: Scenario,
    periods: Horizon,
    import_kw: FloatArray,
    export_kw: FloatArray,
    nominated_kw: FloatArray | None = None,
) -> tuple[ContractLine, ...]:
    """Every line of every contract, those of 0 included.

    Args:
        scenario: contracts and sites; ``periods`` may be a rest of its horizon.
        periods: settlement periods.
        import_kw: mean import in each of them, ``[S, T]``.
        export_kw: mean export, likewise.
        nominated_kw: net import that was nominated, likewise; None: exactly what was taken.
    """
    index = {site.name: s for s, site in enumerate(scenario.sites)}
    powers = {Direction.IMPORT: import_kw, Direction.EXPORT: export_kw}
    return (
        *_above(scenario, periods, index, powers),
        *_above_groups(scenario, periods, index, powers),
        *_peaks(scenario, periods, import_kw),
        *_imbalances(scenario, periods, import_kw - export_kw, nominated_kw),
        *_rewards(scenario, periods, index),
    )


def penalties_eur(lines: tuple[ContractLine, ...]) -> float:
    """What the objective counts as ``contracts``."""
    return sum(line.eur for line in lines if line.charge in PENALTIES)


def _above(
    scenario: Scenario, periods: Horizon, index: dict[str, int], powers: dict[Direction, FloatArray]
) -> Iterator[ContractLine]:
    """Energy above the limits of one site's own contracts."""
    rights = {right.name for right in scenario.contracts.rights}
    for contract in scenario.contracts.of_one_site:
        limits, above = contract.limits(scenario.horizon), 0.0
        for direction, power in powers.items():
            limit = lowest_kw(limits, direction, periods)
            above += float(over_kwh(limit, power[index[contract.site]], periods.step_h).sum())
        charge = Charge.ABOVE_RIGHT if contract.name in rights else Charge.ABOVE_LIMITATION
        yield ContractLine(contract.name, contract.site, charge, above, "kWh", above * contract.over_eur_per_kwh)


def _above_groups(
    scenario: Scenario, periods: Horizon, index: dict[str, int], powers: dict[Direction, FloatArray]
) -> Iterator[ContractLine]:
    """Energy above group caps, shared out by what each member took in the period."""
    for group in scenario.contracts.groups:
        limits, above = group.limits(scenario.horizon), np.zeros(len(group.members))
        for direction, power in powers.items():
            members = power[[index[name] for name in group.members]]
            over = over_kwh(lowest_kw(limits, direction, periods), members.sum(axis=0), periods.step_h)
            above += split(over, members).sum(axis=1)
        for name, part in zip(group.members, above.tolist(), strict=True):
            yield ContractLine(group.name, name, Charge.ABOVE_GROUP_CAP, part, "kWh", part * group.over_eur_per_kwh)


def _peaks(scenario: Scenario, periods: Horizon, import_kw: FloatArray) -> Iterator[ContractLine]:
    """Peaks of capacity tariffs, a line for each charge."""
    for s, site in enumerate(scenario.sites):
        for name, charge in scenario.contracts.peak_charges(site.name, periods):
            paid_kw = charge.paid_kw(import_kw[s], periods)
            yield ContractLine(f"{name}: {charge.key}", site.name, Charge.PEAK, paid_kw, "kW", paid_kw * charge.eur_per_kw)


def _imbalances(
    scenario: Scenario, periods: Horizon, net_kw: FloatArray, nominated_kw: FloatArray | None
) -> Iterator[ContractLine]:
    """Imbalance of each site, short and long."""
    nominated = net_kw if nominated_kw is None else nominated_kw
    index = {site.name: s for s, site in enumerate(scenario.sites)}
    for contract in scenario.contracts.imbalances:
        for name in contract.sites:
            s = index[name]
            found = contract.settle(name, nominated[s] * periods.step_h, net_kw[s] * periods.step_h, periods)
            for charge, kwh, eur in (
                (Charge.SHORT, found.short_kwh, found.short_eur),
                (Charge.LONG, found.long_kwh, found.long_eur),
            ):
                yield ContractLine(contract.name, name, charge, float(kwh.sum()), "kWh", float(eur.sum()))


def _rewards(scenario: Scenario, periods: Horizon, index: dict[str, int]) -> Iterator[ContractLine]:
    """Transport that sites gave up, against what their connection and transport right alone allow."""
    for limitation in scenario.contracts.limitations:
        connection = scenario.sites[index[limitation.site]].connection
        series = connection.import_limit_kw if limitation.direction is Direction.IMPORT else connection.export_limit_kw
        allowed = series.mean(periods)
        for right in scenario.contracts.rights:
            if right.site == limitation.site:
                allowed = np.minimum(allowed, lowest_kw(right.limits(scenario.horizon), limitation.direction, periods))
        given = float(limitation.given_up_kwh(allowed, periods).sum())
        eur = -given / 1000.0 * limitation.reward_eur_per_mwh
        yield ContractLine(limitation.name, limitation.site, Charge.REWARD, given, "kWh", eur)
