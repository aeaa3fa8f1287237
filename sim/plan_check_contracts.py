"""Checks of a plan against contracts with the grid operator: each by its own name.

Stated a second time: limits are read from the contracts of the scenario slot by slot; nothing here is called by the optimiser.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from grid.contracts.limits import ContractLimit, Direction
from grid.horizon import FloatArray
from scheduler.outcome import Violation, ViolationKind

if TYPE_CHECKING:
    from sim.plan_check import Checked

LIMIT_KW = 1e-5
"""How far a power may exceed its limit (rounding of a solver)."""


def check_contracts(checked: Checked) -> Iterator[Violation]:
    """The worst slot of each contract and direction."""
    book, names = checked.scenario.contracts, [site.name for site in checked.scenario.sites]
    day = checked.scenario.horizon
    for right in book.rights:
        whole = (
            ContractLimit(direction, day.start_s, day.end_s, limit)
            for direction, limit in ((Direction.IMPORT, right.import_kw), (Direction.EXPORT, right.export_kw))
        )
        yield from _over(
            checked, ViolationKind.TRANSPORT_RIGHT, right.name, [names.index(right.site)], [*whole, *right.windows, *right.cuts]
        )
    for limitation in book.limitations:
        site = [names.index(limitation.site)]
        yield from _over(checked, ViolationKind.CAPACITY_LIMITATION, limitation.name, site, limitation.periods)
    for group in book.groups:
        sites = [names.index(name) for name in group.members]
        limits = [ContractLimit(Direction.IMPORT, day.start_s, day.end_s, group.import_kw), *group.windows]
        if group.export_kw is not None:
            limits.append(ContractLimit(Direction.EXPORT, day.start_s, day.end_s, group.export_kw))
        yield from _over(checked, ViolationKind.GROUP_CAP, group.name, sites, limits)
    yield from _peaks(checked)


def _peaks(checked: Checked) -> Iterator[Violation]:
    """What is owed for peaks, of sites' own tariffs and of capacity tariffs, is in the plan's objective (``peak``).

    Each charge is reckoned slot by slot from the plan's imports.
    """
    counted, horizon = checked.plan.breakdown_eur.get("peak"), checked.horizon
    book = checked.scenario.contracts
    if counted is None:
        return
    seen = checked.observation.peaks if checked.observation else {}
    reached = checked.observation.peak_kw if checked.observation else {}
    owed, dearest, name = 0.0, 0.0, ""
    for s, site in enumerate(checked.scenario.sites):
        imported = checked.plan.energy.import_kw[s].tolist()
        above = max(imported) - max(site.tariff.peak_reached_kw, reached.get(site.name, 0.0))
        own = site.tariff.peak_eur_per_kw * max(0.0, above)
        owed += own
        if own > dearest:
            dearest, name = own, f"peak charge of {site.name}"
        for tariff in book.tariffs:
            for charge in tariff.charges(site.name, checked.scenario.horizon) if site.name in tariff.sites else ():
                before = max(charge.reached_kw, seen.get(site.name, {}).get(charge.key, 0.0))
                highest = before
                for slot, power in enumerate(imported):
                    begin_s, end_s = horizon.time(slot).timestamp(), horizon.time(slot + 1).timestamp()
                    if any(start < end_s and begin_s < end for start, end in charge.spans):
                        highest = max(highest, power)
                eur = charge.eur_per_kw * (highest - before)
                owed += eur
                if eur >= dearest:
                    dearest, name = eur, f"{tariff.name} of {site.name}"
    if abs(owed - counted) > 1e-6 * max(1.0, owed):
        advice = "The plan does not count the peaks that it causes as its sites' tariffs bill them: plan again."
        yield Violation(ViolationKind.NOT_COUNTED, f"peaks, {name}", counted, owed, "EUR", None, None, advice)


def _over(
    checked: Checked, kind: ViolationKind, name: str, sites: list[int], limits: Iterable[ContractLimit]
) -> Iterator[Violation]:
    """The slot of each direction in which the sites together exceed what was known to be allowed, if there is one."""
    horizon, energy = checked.horizon, checked.plan.energy
    moment = horizon.start
    held = [limit for limit in limits if limit.known is None or limit.known <= moment]
    for direction, arrays in ((Direction.IMPORT, energy.import_kw), (Direction.EXPORT, energy.export_kw)):
        power: FloatArray = np.add.reduce([arrays[s] for s in sites])
        allowed = np.full(horizon.slots, np.inf)
        for slot in range(horizon.slots):
            begin_s, end_s = horizon.time(slot).timestamp(), horizon.time(slot + 1).timestamp()
            for limit in held:
                if limit.direction is direction and limit.start_s < end_s and begin_s < limit.end_s:
                    allowed[slot] = min(allowed[slot], limit.limit_kw)
        slot = int(np.argmax(power - allowed))
        over = float(power[slot] - allowed[slot])
        if over > LIMIT_KW:
            who = ", ".join(checked.scenario.sites[s].name for s in sites)
            advice = f"Plan {over:.3g} kW less {direction} at {who} in this slot."
            value, limit_kw, when = float(power[slot]), float(allowed[slot]), checked.time(slot)
            yield Violation(kind, f"{direction} of {name}", value, limit_kw, "kW", when, None, advice)
