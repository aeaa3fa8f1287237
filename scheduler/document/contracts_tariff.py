"""Capacity tariffs in the document: prices per kW of the highest quarter-hour in windows of the day, by version."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Literal

from grid.contracts.capacity_tariff import CapacityTariff, TariffVersion, TariffWindow
from grid.horizon import Horizon
from scheduler.document.contracts_times import TimesPart, check_windows
from scheduler.document.fields import Day, Name, Part, Unit, about
from scheduler.document.tree import Place

if TYPE_CHECKING:
    from scheduler.document.context import Context

ALWAYS = date(1970, 1, 1)


class PricedWindowPart(TimesPart):
    """A window of the day with a price of its highest quarter-hour."""

    name: Annotated[Name, about("Name, unique in its version.")]
    eur_per_kw: Annotated[
        float, about("Price of each kW of the highest 15-minute mean import in the window, for a calendar month.", ge=0),
        Unit("EUR/kW"),
    ]  # fmt: skip
    reached_kw: Annotated[
        float, about("Peak that the month in which the horizon begins has seen there already, at each site.", ge=0), Unit("kW")
    ] = 0.0


class VersionPart(Part):
    """A version of the tariff."""

    valid_from: Annotated[Day | None, about("First local day on which it holds; always when left out.")] = None
    windows: Annotated[tuple[PricedWindowPart, ...], about("The windows, at least one; they do not overlap.", min_length=1)]


class CapacityTariffPart(Part):
    """A capacity tariff; each of its sites pays for its own peaks, anew in every month and every version."""

    kind: Annotated[Literal["capacity_tariff"], about("Kind of the contract.")]
    name: Annotated[Name, about("Unique name.")]
    sites: Annotated[tuple[Name, ...], about("Sites with this tariff, at least one.", min_length=1)]
    versions: Annotated[tuple[VersionPart, ...], about("Versions in order of time, at least one.", min_length=1)]


def check_tariff(context: Context, part: CapacityTariffPart, place: Place, owners: dict[str, Place]) -> None:
    """Sites exist and pay for one peak only, windows do not overlap, versions follow each other and the first one holds.

    Args:
        context: of the document.
        part: the tariff.
        place: its place.
        owners: place of the tariff that each site has already; those of this one are added.
    """
    sites = {site.name: index for index, site in enumerate(context.document.sites)}
    for number, name in enumerate(part.sites):
        where = context.place(*place, "sites", number)
        if not context.known(where, name, "site", context.names("sites")):
            continue
        if name in owners:
            expected = f"one capacity tariff a site; that of {name} stands in line {context.tree.line(owners[name])}"
            context.report(where, f"{name!r} again", expected, needs=[owners[name]])
        owners.setdefault(name, where)
        if name in sites and context.document.sites[sites[name]].tariff.peak_eur_per_kw > 0:
            tariff = (*context.place("sites", sites[name], "tariff"), "peak_eur_per_kw")
            expected = "no peak charge in the tariff of a site that has a capacity tariff, for it would pay its peak twice"
            context.report(where, f"{name!r}, with peak_eur_per_kw in line {context.tree.line(tariff)}", expected, needs=[tariff])
    for number, version in enumerate(part.versions):
        context.unique(*place, "versions", number, "windows")
        check_windows(context, version.windows, (*place, "versions", number, "windows"))
    _check_versions(context, part, place)


def _check_versions(context: Context, part: CapacityTariffPart, place: Place) -> None:
    days = [version.valid_from or ALWAYS for version in part.versions]
    for number, (before, after) in enumerate(pairwise(days), 1):
        if after <= before:
            where = context.place(*place, "versions", number)
            expected = f"a day after {before:%Y-%m-%d}, from which the version before it holds"
            found = f"{after:%Y-%m-%d}" if part.versions[number].valid_from else "no valid_from"
            context.report((*where, "valid_from"), found, expected, needs=[(*place, "versions")])
    horizon = context.horizon
    if horizon is not None and days[0] > horizon.start.astimezone(context.zone).date():
        where = (*context.place(*place, "versions", 0), "valid_from")
        expected = f"a first version that holds at the horizon's start, {context.local(horizon.start)}"
        context.report(where, f"{days[0]:%Y-%m-%d}", expected, needs=[("horizon",)])


def build_tariff(context: Context, part: CapacityTariffPart, horizon: Horizon) -> CapacityTariff:
    """The tariff of a part without findings."""
    versions = tuple(
        TariffVersion(
            version.valid_from or ALWAYS,
            tuple(TariffWindow(window.name, window.window, window.eur_per_kw) for window in version.windows),
        )
        for version in part.versions
    )
    tariff = CapacityTariff(part.name, part.sites, context.zone.key, versions)
    today = horizon.start.astimezone(context.zone).date()
    current = [version for version in part.versions if (version.valid_from or ALWAYS) <= today][-1]
    reached = {
        site: {key: window.reached_kw for window in current.windows if (key := tariff.key(window.name, horizon)) is not None}
        for site in part.sites
    }
    return tariff.begun(reached)
