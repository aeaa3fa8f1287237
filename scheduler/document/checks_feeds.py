"""What the live feeds of a document say together with the rest of it, and reading their last answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from grid.errors import FeedError
from grid.feeds.live import FeedKind, Freshness, Live, read_feed, told, url_fault
from grid.feeds.store import feed_folder
from scheduler.document.context import Context
from scheduler.document.signals import SignalsPart
from scheduler.document.tree import Place

if TYPE_CHECKING:
    from grid.feeds.open_meteo import Weather
    from grid.feeds.reading import Reading

USES = {"price": FeedKind.ENTSOE_PRICES, "carbon_average": FeedKind.ELECTRICITY_MAPS, "weather": FeedKind.OPEN_METEO}
"""The kind of feed that each signal may name. No live feed holds a marginal intensity."""

NOT_MARGINAL = "a series of marginal intensity (csv, parquet, constant_g_per_kwh); Electricity Maps' is the average"


def check_feeds(context: Context) -> None:
    """Each feed says where, by an address that may be asked, and grows too old after it grows stale."""
    for index, part in enumerate(context.document.feeds):
        place = context.place("feeds", index)
        weather = part.kind is FeedKind.OPEN_METEO
        if weather and (part.latitude_deg is None or part.longitude_deg is None):
            context.report(place, "no place", "latitude_deg and longitude_deg, of which the weather is asked")
        if not weather and not part.area:
            context.report(place, "no area", "area, for example NL")
        if part.production is not None and part.kind is not FeedKind.ENTSOE_GENERATION:
            context.report((*place, "production"), context.written((*place, "production")), "a feed of kind entsoe_generation")
        fault = url_fault(part.url) if part.url is not None else None
        if fault:
            context.report((*place, "url"), fault, "https://..., or http://127.0.0.1:... on this machine")
        if part.max_age_hours * 60 < part.fresh_minutes:
            expected = f"at least fresh_minutes, which is {part.fresh_minutes:g} minutes"
            context.report(
                (*place, "max_age_hours"), f"{part.max_age_hours:g} hours", expected, needs=[(*place, "fresh_minutes")]
            )


def check_marginal(context: Context) -> None:
    """A file of average intensity is no marginal one."""
    document = context.document
    parts: list[tuple[SignalsPart, Place]] = [(document.signals, ("signals",))]
    parts += [(site.signals, (*context.place("sites", i), "signals")) for i, site in enumerate(document.sites) if site.signals]
    for signals, place in parts:
        marginal = signals.carbon_marginal
        if marginal is not None and marginal.electricity_maps is not None:
            where = (*place, "carbon_marginal", "electricity_maps")
            context.report(where, context.written(where), NOT_MARGINAL)


def feed_content(context: Context, name: str, place: Place) -> Reading | Weather | None:
    """What the feed ``name`` last answered, for the signal at ``place`` (its last key is ``feed``); None with a finding.

    A stale answer becomes a note, which every report prints.
    """
    feeds = {part.name: part for part in context.document.feeds}
    if not context.known(place, name, "feed", context.names("feeds")) or name not in feeds:
        return None
    spec, signal = feeds[name].spec, str(place[-2])
    if spec.kind is not USES.get(signal):
        wanted = f"a feed of kind {USES[signal]}" if signal in USES else NOT_MARGINAL
        context.report(place, f"{name!r} of kind {spec.kind}", wanted, needs=[("feeds",)])
        return None
    try:
        live = read_feed(spec, feed_folder(context.environment), datetime.now(UTC))
    except FeedError as error:
        context.report(place, str(error), "an answer that was fetched and may still be used", needs=[("feeds",)])
        return None
    _note(context, name, live)
    return live.content


def _note(context: Context, name: str, live: Live) -> None:
    note = f"Stale: feed {name} was fetched at {live.fetched_at:%Y-%m-%dT%H:%MZ}, {told(live.age)} ago."
    known = any(line.startswith(f"Stale: feed {name} ") for line in context.notes)
    if live.freshness is Freshness.STALE and not known:
        context.notes.append(note)
