"""Imbalance settlement in the document: which sites, at what prices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from grid.contracts.imbalance import ImbalanceContract
from scheduler.document.fields import Name, Part, about
from scheduler.document.signals import PricePart
from scheduler.document.tree import Place

if TYPE_CHECKING:
    from scheduler.document.context import Context
    from scheduler.document.sources import Sources


class ImbalancePart(Part):
    """Imbalance settlement: what is taken more or less than the first plan nominated, at its own prices."""

    kind: Annotated[Literal["imbalance"], about("Kind of the contract.")]
    name: Annotated[Name, about("Unique name.")]
    sites: Annotated[tuple[Name, ...], about("Sites that are settled, each by itself; at least one.", min_length=1)]
    short: Annotated[PricePart, about("Price of each MWh taken more than nominated.")]
    long: Annotated[PricePart | None, about("Price paid for each MWh taken less; the short price when left out.")] = None


def check_imbalance(context: Context, part: ImbalancePart, place: Place, owners: dict[str, Place]) -> None:
    """Sites exist, each is settled once, and prices come from where there are any.

    Args:
        context: of the document.
        part: the contract.
        place: its place.
        owners: place of the imbalance contract that each site has already; those of this one are added.
    """
    for number, name in enumerate(part.sites):
        where = context.place(*place, "sites", number)
        if context.known(where, name, "site", context.names("sites")):
            if name in owners:
                expected = f"one imbalance settlement a site; that of {name} stands in line {context.tree.line(owners[name])}"
                context.report(where, f"{name!r} again", expected, needs=[owners[name]])
            owners.setdefault(name, where)

    for name in ("short", "long"):
        price = getattr(part, name)
        if price is not None and price.kind == "feed":
            where = (*place, name, "feed")
            expected = "a constant or a file (csv, parquet, market_prices); no live feed holds prices of imbalance"
            context.report(where, context.written(where), expected)


def build_imbalance(context: Context, sources: Sources, part: ImbalancePart) -> ImbalanceContract:
    """The contract of a part without findings."""
    document, series = context.document, sources.series
    market = []
    for name in part.sites:
        site = next(site for site in document.sites if site.name == name)
        price = (site.signals and site.signals.price) or document.signals.price
        market += [] if price is None else [series[price]]
    long = part.short if part.long is None else part.long
    return ImbalanceContract(part.name, part.sites, series[part.short], series[long], tuple(market))
