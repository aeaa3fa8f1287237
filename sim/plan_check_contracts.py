"""Checks of a plan against contracts with the grid operator: rights, limitations, caps that sites share, each by its own name.

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
