"""The network of a document: which one it names, whether it can be used, and whether the sites' buses are in it.

A SimBench code and the buses of a low-voltage code are looked up in small tables; a pandapower file is built and solved here
(seconds the first time, then from the cache), so that ``ozzo check`` tells everything that is wrong with it at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from grid.errors import FeedError, NetworkError, PowerFlowError
from scheduler.document.context import Context
from scheduler.document.sources import Sources, find_file
from scheduler.document.tree import Place, shown
from scheduler.document.units import nearest

PROFILE_YEAR = 2016
"""Year of the SimBench profiles."""

SHOWN_BUSES = 8


def check_network(context: Context) -> None:
    """One origin of the network, and a profile year that covers the horizon."""
    network = context.document.network
    if network is None:
        return
    if (network.simbench is None) == (network.json_ is None):
        found = "both simbench and json" if network.simbench else "neither simbench nor json"
        context.report(("network",), found, "exactly one of simbench (a code) and json (a pandapower file)")
        return
    if network.simbench is None and network.profile_start is None and not _profiles(context):
        return
    place = ("network", "profile_start")
    part = network.profile_start or context.document.horizon.start
    where = place if network.profile_start else ("network",)
    if part.stamp is None or part.stamp.tzinfo is not None or part.stamp.year != PROFILE_YEAR:
        expected = f"a local time in {PROFILE_YEAR} without an offset, the year of the SimBench profiles, as profile_start"
        context.report(where, context.written(where), expected, needs=[("horizon",)])
        return
    year_h = 366 * 24
    start_h = (part.stamp - part.stamp.replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0)).total_seconds() / 3600
    left_h = year_h - start_h
    if context.document.horizon.hours > left_h:
        found = f"profiles of {PROFILE_YEAR} that end {left_h:g} hours after {part.written}"
        expected = f"profiles for the {context.document.horizon.hours:g} hours of the horizon; begin earlier in the year"
        context.report(where, found, expected, needs=[("horizon",)])


def _profiles(context: Context) -> bool:
    """Whether a site has sun or wind from a profile."""
    assets = [asset for site in context.document.sites for asset in (site.solar, site.wind)]
    return any(asset is not None and asset.profile is not None for asset in assets)


def read_network(context: Context, sources: Sources) -> None:
    """Open the network as far as its buses are known, and look up those of the sites."""
    network = context.document.network
    if network is None or (network.simbench is None) == (network.json_ is None):
        return
    buses = _simbench(context, network.simbench) if network.simbench is not None else _file(context, sources, network.json_ or "")
    if buses is None:
        return
    for index, site in enumerate(context.document.sites):
        if site.bus is None or site.bus in buses:
            continue
        place: Place = (*context.place("sites", index), "bus")
        some = ", ".join(buses[:SHOWN_BUSES]) + (", ..." if len(buses) > SHOWN_BUSES else "")
        context.report(place, shown(site.bus), f"one of the network's {len(buses)} buses: {some}", nearest(site.bus, list(buses)))


def _simbench(context: Context, code: str) -> Sequence[str] | None:
    """Buses of a SimBench code, or None when they are not known before it is built, or with a finding."""
    from grid.feeds.simbench_codes import simbench_buses, simbench_codes

    place = ("network", "simbench")
    if code not in simbench_codes():
        context.report(place, shown(code), "a SimBench code such as 1-LV-semiurb4--0-sw", nearest(code, list(simbench_codes())))
        return None
    try:
        return simbench_buses(code)
    except FeedError as error:
        context.report(place, str(error), "the data of SimBench")
        return None


def _file(context: Context, sources: Sources, text: str) -> Sequence[str] | None:
    """Buses of a pandapower file; everything that is wrong with it becomes a finding."""
    from grid.network import load_json_network

    place = ("network", "json")
    path = find_file(context, sources, text, place)
    if path is None:
        return None
    try:
        network = load_json_network(path)
    except NetworkError as error:
        for fault in error.faults:
            context.report(place, f"{path.name}: {fault.element}: {fault.found}", fault.expected)
        return None
    except PowerFlowError as error:
        context.report(place, str(error), "a network that pandapower.to_json wrote and that has a power flow")
        return None
    sources.network_json = path
    return network.bus_names
