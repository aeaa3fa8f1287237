"""What the fields of a document say together: names, sites, settings. Jobs, data and events are in ``checks_work``."""

from __future__ import annotations

from scheduler.document.checks_feeds import check_feeds, check_marginal
from scheduler.document.context import Context
from scheduler.document.contracts import check_contracts
from scheduler.document.cooling import check_cooling
from scheduler.document.fitted_errors import check_fitted_errors
from scheduler.document.mains import check_mains_faults
from scheduler.document.network import check_network
from scheduler.document.nodes import check_sleep
from scheduler.document.places import BatteryPart, SitePart, SolarPart, WindPart
from scheduler.document.site_assets import check_assets
from scheduler.document.storage import check_storage
from scheduler.document.tree import Place


def check_places(context: Context) -> None:
    """Names, settings, sites and links."""
    for collection in ("sites", "feeds", "feeders", "links", "datasets", "tenants", "events", "mains_faults"):
        context.unique(collection)
    context.unique("workload", "jobs")
    _settings(context)
    check_network(context)
    check_feeds(context)
    check_marginal(context)
    for index, site in enumerate(context.document.sites):
        place = context.place("sites", index)
        context.unique(*place, "nodes")
        _site(context, site, place)
    _feeders(context)
    check_contracts(context)
    check_mains_faults(context)
    for index, link in enumerate(context.document.links):
        place = (*context.place("links", index), "ends")
        for end, name in enumerate(link.ends):
            context.known((*place, end), name, "site", context.names("sites"))
        if link.ends[0] == link.ends[1]:
            context.report(place, f"{link.ends[0]} at both ends", "two different sites")


def _feeders(context: Context) -> None:
    """Sites of feeders exist, and each is on one feeder, once."""
    first: dict[str, Place] = {}
    for index, feeder in enumerate(context.document.feeders):
        for at, item in enumerate(feeder.sites):
            place = (*context.place("feeders", index, "sites", at), "site")
            if not context.known(place, item.site, "site", context.names("sites")):
                continue
            if item.site in first:
                line = context.tree.line(first[item.site])
                expected = f"each site on one feeder, once; {item.site} stands in line {line} already"
                context.report(place, f"'{item.site}' again", expected, needs=[first[item.site]])
            first.setdefault(item.site, place)


def _settings(context: Context) -> None:
    document = context.document
    errors, signals = document.errors, document.signals
    if errors.duration_low > errors.duration_high:
        low, high = ("errors", "duration_low"), ("errors", "duration_high")
        context.report(low, f"{errors.duration_low:g}", f"at most duration_high, which is {errors.duration_high:g}", needs=[high])
    futures, drawn = document.planning.scenarios, ("planning", "scenarios", "draws")
    if futures.draws % 2 or futures.draws < futures.count:
        expected = f"an even number of at least count, which is {futures.count}"
        context.report(drawn, f"{futures.draws}", expected, needs=[("planning", "scenarios", "count")])
    if document.planning.chance_level is not None:
        for name in ("limit_margin", "renewable_quantile", "load_quantile"):
            where = ("planning", name)
            if context.tree.value(where) is not None:
                expected = "chance_level or this one, because margins from both would be taken twice"
                context.report(where, context.written(where), expected, needs=[("planning", "chance_level")])
    _coarse_slots(context)
    marginal = document.weights.carbon_signal == "marginal"
    if (
        marginal
        and signals.carbon_marginal is None
        and any(not (s.signals and s.signals.carbon_marginal) for s in document.sites)
    ):
        place = ("weights", "carbon_signal")
        context.report(
            place, "'marginal'", "signals.carbon_marginal to go with it, or: average", needs=[("signals", "carbon_marginal")]
        )


def _coarse_slots(context: Context) -> None:
    """Coarse slots fill the horizon."""
    factor, horizon = context.document.planning.coarse_factor, context.horizon
    if factor is not None and horizon is not None and horizon.slots % factor:
        expected = f"a divisor of the number of slots, which is {horizon.slots}"
        needs = [("horizon", "hours"), ("horizon", "step_minutes")]
        context.report(("planning", "coarse_factor"), f"{factor}", expected, needs=needs)


def _site(context: Context, site: SitePart, place: Place) -> None:
    signals, own = context.document.signals, site.signals
    for name in ("price", "carbon_average"):
        if getattr(signals, name) is None and (own is None or getattr(own, name) is None):
            context.report(
                ("signals",), f"no {name}", f"{name} under signals (or under the signals of each site)", needs=[("signals", name)]
            )
    for index, group in enumerate(site.nodes):
        if group.peak_kw < group.idle_kw:
            where = (*place, "nodes", index, "peak_kw")
            context.report(where, f"{group.peak_kw:g} kW", f"at least idle_kw, which is {group.idle_kw:g} kW", needs=[where[:-1]])
        check_sleep(context, group, (*place, "nodes", index), site)
    if site.bus is not None and context.document.network is None:
        context.report(
            (*place, "bus"), context.written((*place, "bus")), "a network in the document to have this bus", needs=[("network",)]
        )
    check_storage(context, site, place)
    check_assets(context, site, place)
    check_cooling(context, site, place)
    if site.battery is not None:
        _battery(context, site.battery, (*place, "battery"))
    has_weather = signals.weather is not None or (own is not None and own.weather is not None)
    if site.solar is not None:
        _solar(context, site.solar, (*place, "solar"), has_weather=has_weather)
    if site.wind is not None:
        _wind(context, site.wind, (*place, "wind"), has_weather=has_weather)
    for index, window in enumerate(site.connection.windows):
        where = (*place, "connection", "windows", index)
        if window.from_ == window.to:
            context.report(where, "a window of no length", "'to' different from 'from' ('00:00' to '24:00' is the whole day)")
        if window.import_limit_kw is None and window.export_limit_kw is None:
            context.report(where, "a window that changes nothing", "import_limit_kw or export_limit_kw")


def _battery(context: Context, battery: BatteryPart, place: Place) -> None:
    if not battery.charge_kw and not battery.discharge_kw:
        found = "0 kW, as is discharge_kw"
        expected = "a power above 0 kW for one of the two; a battery without power is no battery"
        context.report((*place, "charge_kw"), found, expected, needs=[(*place, "discharge_kw")])
    if battery.wear is not None and battery.wear_eur_per_kwh:
        expected = "one of the two: wear (by depth and charge held) or wear_eur_per_kwh (one price)"
        context.report((*place, "wear"), f"wear beside wear_eur_per_kwh, which is {battery.wear_eur_per_kwh:g}", expected)
    if battery.reserve_soc_kwh > battery.energy_kwh:
        found = f"{battery.reserve_soc_kwh:g} kWh"
        context.report(
            (*place, "reserve_soc_kwh"), found, f"at most energy_kwh, which is {battery.energy_kwh:g} kWh", needs=[place]
        )
        return
    initial = battery.initial_soc_kwh
    if initial is not None and not battery.reserve_soc_kwh <= initial <= battery.energy_kwh:
        expected = f"between reserve_soc_kwh and energy_kwh, so from {battery.reserve_soc_kwh:g} to {battery.energy_kwh:g} kWh"
        context.report((*place, "initial_soc_kwh"), f"{initial:g} kWh", expected, needs=[place])


def _solar(context: Context, solar: SolarPart, place: Place, *, has_weather: bool) -> None:
    given = [name for name in ("profile", "tilt_deg", "measured") if getattr(solar, name) is not None]
    _one_way(context, place, given, "exactly one of profile (SimBench), tilt_deg (weather) and measured (a series)")
    if "measured" not in given and solar.peak_kw is None:
        context.report(place, "no peak_kw", "peak_kw, the installed peak power")
    if (solar.latitude_deg is None) != (solar.longitude_deg is None):
        context.report(place, "half a position", "latitude_deg and longitude_deg, or neither")
    check_fitted_errors(context, solar, place)
    _what_it_needs(context, place, given, "tilt_deg", has_weather=has_weather)


def _wind(context: Context, wind: WindPart, place: Place, *, has_weather: bool) -> None:
    given = [name for name in ("profile", "turbine", "measured") if getattr(wind, name) is not None]
    _one_way(context, place, given, "exactly one of profile (SimBench), turbine (weather) and measured (a series)")
    if "measured" not in given and wind.rated_kw is None:
        context.report(place, "no rated_kw", "rated_kw, the rated power")
    if wind.turbine is not None and wind.hub_height_m is None:
        context.report(place, "no hub_height_m", "hub_height_m, the height of the turbine's hub")
    check_fitted_errors(context, wind, place)
    _what_it_needs(context, place, given, "turbine", has_weather=has_weather)


def _one_way(context: Context, place: Place, given: list[str], expected: str) -> None:
    if len(given) != 1:
        context.report(place, " and ".join(given) or "none of them", expected)


def _what_it_needs(context: Context, place: Place, given: list[str], modelled: str, *, has_weather: bool) -> None:
    if "profile" in given and context.document.network is None:
        where = (*place, "profile")
        context.report(where, context.written(where), "a network in the document to take the profile from", needs=[("network",)])
    if modelled in given and not has_weather:
        expected = "signals.weather in the document, from which this is computed"
        context.report((*place, modelled), context.written((*place, modelled)), expected, needs=[("signals",)])
