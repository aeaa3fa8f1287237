"""Every kind of contract that a document may list, what is checked about all of them together, and what they make.

To add a kind: a module ``contracts_<kind>`` with its part, its check and its maker, and a line in each of the places here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from grid.contracts.book import ContractBook
from grid.horizon import Horizon
from scheduler.document.contracts_group import GroupPart, build_group, check_group
from scheduler.document.contracts_imbalance import ImbalancePart, build_imbalance, check_imbalance
from scheduler.document.contracts_limitation import (
    BlocksPart,
    OnCallPart,
    build_blocks,
    build_on_call,
    check_blocks,
    check_on_call,
)
from scheduler.document.contracts_right import RightPart, build_right, check_right
from scheduler.document.contracts_tariff import CapacityTariffPart, build_tariff, check_tariff
from scheduler.document.tree import Place

if TYPE_CHECKING:
    from scheduler.document.context import Context
    from scheduler.document.places import SitePart
    from scheduler.document.sources import Sources

ContractPart = Annotated[
    RightPart | OnCallPart | BlocksPart | GroupPart | CapacityTariffPart | ImbalancePart, Field(discriminator="kind")
]
"""One contract; ``kind`` says which."""


def check_contracts(context: Context) -> None:
    """What each contract says by itself, and what they say together."""
    context.unique("contracts")
    rights: dict[str, Place] = {}
    priced: dict[str, Place] = {}
    settled: dict[str, Place] = {}
    for index, part in enumerate(context.document.contracts):
        place = context.place("contracts", index)
        if isinstance(part, GroupPart):
            check_group(context, part, place)
            _must_run_of_group(context, part, place)
            continue
        if isinstance(part, CapacityTariffPart):
            check_tariff(context, part, place, priced)
            continue
        if isinstance(part, ImbalancePart):
            check_imbalance(context, part, place, settled)
            continue
        context.known((*place, "site"), part.site, "site", context.names("sites"))
        if isinstance(part, RightPart):
            check_right(context, part, place)
            if part.site in rights:
                expected = (
                    f"one transport right a site; that of {part.site} stands in line {context.tree.line(rights[part.site])}"
                )
                context.report((*place, "site"), f"a second right of '{part.site}'", expected, needs=[rights[part.site]])
            rights.setdefault(part.site, place)
        elif isinstance(part, OnCallPart):
            check_on_call(context, part, place)
        else:
            check_blocks(context, part, place)
    _limits_below_rights(context)
    for index, part in enumerate(context.document.contracts):
        if not isinstance(part, GroupPart | CapacityTariffPart | ImbalancePart):
            _must_run(context, part, context.place("contracts", index))


def _limits_below_rights(context: Context) -> None:
    """A limitation limits something: its limits are below what connection and right of its site allow."""
    sites = {site.name: site for site in context.document.sites}
    rights = {part.site: part for part in context.document.contracts if isinstance(part, RightPart)}
    for index, part in enumerate(context.document.contracts):
        if not isinstance(part, OnCallPart | BlocksPart) or part.site not in sites:
            continue
        right, name = rights.get(part.site), f"{part.direction}_kw"
        allowed = getattr(sites[part.site].connection, f"{part.direction}_limit_kw")
        allowed = allowed if right is None else min(allowed, getattr(right, name))
        place = context.place("contracts", index)
        at = context.document.sites.index(sites[part.site])
        needs = [context.place("sites", at, "connection"), ("contracts",)]
        entries = [(place, part.limit_kw)] if isinstance(part, OnCallPart) else []
        if isinstance(part, BlocksPart):
            entries = [(context.place(*place, "blocks", number), block.limit_kw) for number, block in enumerate(part.blocks)]
        for where, limit_kw in entries:
            if limit_kw >= allowed:
                expected = f"less than the {allowed:g} kW that connection and transport right of {part.site} allow"
                context.report((*where, "limit_kw"), f"{limit_kw:g} kW", expected, needs=needs)


def _alone(site: SitePart) -> bool:
    """True when a site has nothing but the grid: no sun, wind, battery or asset."""
    return site.solar is None and site.wind is None and site.battery is None and not site.assets


def _idle_kw(site: SitePart) -> float:
    """What a site always draws: overhead and idle nodes."""
    return site.overhead_kw + site.pue * sum(group.count * group.idle_kw for group in site.nodes)


def _must_run(context: Context, part: RightPart | OnCallPart | BlocksPart, place: Place) -> None:
    """A site that has nothing but the grid is allowed what it always draws."""
    index, site = next(((i, s) for i, s in enumerate(context.document.sites) if s.name == part.site), (0, None))
    if site is None or not _alone(site):
        return
    needed, needs = _idle_kw(site), [context.place("sites", index)]
    if isinstance(part, RightPart):
        wanted = [((*place, "import_kw"), part.import_kw)]
        for name in ("windows", "cuts"):
            for number, entry in enumerate(getattr(part, name)):
                if entry.import_kw is not None:
                    wanted.append(((*context.place(*place, name, number), "import_kw"), entry.import_kw))
    elif part.direction == "export":
        return
    elif isinstance(part, BlocksPart):
        wanted = [((*context.place(*place, "blocks", n), "limit_kw"), block.limit_kw) for n, block in enumerate(part.blocks)]
    else:
        wanted = [((*place, "limit_kw"), part.limit_kw)]
    for where, limit_kw in wanted:
        if limit_kw < needed - 1e-9:
            expected = f"at least {needed:g} kW: {site.name} always draws that and has no sun, wind, battery or other asset"
            context.report(where, f"{limit_kw:g} kW", expected, needs=needs)


def _must_run_of_group(context: Context, part: GroupPart, place: Place) -> None:
    """The members that have nothing but the grid are allowed what they always draw, all together."""
    members = [(i, site) for i, site in enumerate(context.document.sites) if site.name in part.members and _alone(site)]
    needed = sum(_idle_kw(site) for _, site in members)
    needs = [*(context.place("sites", index) for index, _ in members), (*place, "members")]
    entries = [((*place, "import_kw"), part.import_kw)]
    for number, window in enumerate(part.windows):
        entries.append(((*context.place(*place, "windows", number), "import_kw"), window.import_kw))
    for where, limit_kw in entries:
        if limit_kw < needed - 1e-9:
            names = ", ".join(site.name for _, site in members)
            expected = f"at least {needed:g} kW, which {names} always draw and have nothing but the grid for"
            context.report(where, f"{limit_kw:g} kW", expected, needs=needs)


def build_contracts(context: Context, sources: Sources, horizon: Horizon) -> ContractBook:
    """The contracts of a document without findings."""
    rights, limitations, groups, tariffs, imbalances = [], [], [], [], []
    for index, part in enumerate(context.document.contracts):
        place = context.place("contracts", index)
        if isinstance(part, RightPart):
            rights.append(build_right(context, part, place, horizon))
        elif isinstance(part, OnCallPart):
            limitations.append(build_on_call(context, part, place, horizon))
        elif isinstance(part, BlocksPart):
            limitations.append(build_blocks(context, part, place, horizon))
        elif isinstance(part, GroupPart):
            groups.append(build_group(context, part, horizon))
        elif isinstance(part, CapacityTariffPart):
            tariffs.append(build_tariff(context, part, horizon))
        else:
            imbalances.append(build_imbalance(context, sources, part))
    return ContractBook(tuple(rights), tuple(limitations), tuple(groups), tuple(tariffs), tuple(imbalances))
