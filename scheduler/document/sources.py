"""The series that a document names: found, read, checked against the horizon, repaired when the document asks for it.

Everything here is light enough for ``ozzo check`` (CSV, JSON and Parquet files). What needs the SimBench data or a model of sun
and wind is done by the loader alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from grid.errors import FeedError, SeriesError
from grid.quantile_series import QuantileSeries
from grid.series import Series
from scheduler.document.checks_feeds import feed_content
from scheduler.document.context import Context
from scheduler.document.contracts_imbalance import ImbalancePart
from scheduler.document.fitted_errors import read_fitted_errors
from scheduler.document.hourly import by_local_hour
from scheduler.document.places import SitePart
from scheduler.document.power_table import read_power_tables
from scheduler.document.series_files import cut, month_table, quantiles, reading_of, utc, whole_horizon
from scheduler.document.signals import (
    CarbonPart,
    HeatDemandPart,
    MeasuredPart,
    PricePart,
    SourcePart,
    TemperaturePart,
    WeatherPart,
)
from scheduler.document.site_assets import asset_series
from scheduler.document.tree import Place, shown
from scheduler.document.units import UnitError, convert, nearest, units_like
from scheduler.workload import PowerCap

if TYPE_CHECKING:
    from grid.feeds.open_meteo import Weather
    from grid.forecasts.errors import ErrorModel

SeriesPart = MeasuredPart | PricePart | CarbonPart | TemperaturePart | HeatDemandPart

_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?")
_FILES = ("csv", "parquet", "quantiles", "table", "market_prices", "electricity_maps", "feed")


@dataclass(slots=True)
class Sources:
    """What was read.

    Attributes:
        series: the series of each source that could be read.
        weather: the weather of each file that could be read.
        reported: environment variables that a finding has named already.
        network_json: the pandapower file of the network, once it was found and can be used.
        power_caps: of each listed job (by position) that takes them from a table.
        error_models: fitted errors by the path that the document names.
    """

    series: dict[SourcePart, Series] = field(default_factory=dict)
    weather: dict[WeatherPart, Weather] = field(default_factory=dict)
    reported: set[str] = field(default_factory=set)
    network_json: Path | None = None
    power_caps: dict[int, tuple[PowerCap, ...]] = field(default_factory=dict)
    error_models: dict[str, ErrorModel] = field(default_factory=dict)


def read_sources(context: Context) -> Sources:
    """Every light series of the document; what is wrong with one becomes a finding at its place."""
    sources = Sources()
    document = context.document
    _read_signals(context, sources, ("signals",))
    for index, site in enumerate(document.sites):
        _read_site(context, sources, site, index)
    for index, contract in enumerate(document.contracts):
        if isinstance(contract, ImbalancePart):
            _read_imbalance(context, sources, contract, context.place("contracts", index))
    for name, kind in (("trace", "opendc"), ("generator", "model")):
        part = getattr(document.workload, name)
        if part is not None:
            find_file(context, sources, getattr(part, kind), ("workload", name, kind))
    read_power_tables(context, sources)
    return sources


def _read_site(context: Context, sources: Sources, site: SitePart, index: int) -> None:
    """Series that a site names for itself: signals, measured sun and wind, outdoor temperature, what its assets need."""
    place = context.place("sites", index)
    if site.signals is not None:
        _read_signals(context, sources, (*place, "signals"), index)
    for name in ("solar", "wind"):
        part = getattr(site, name)
        if part is not None and part.measured is not None:
            _read_series(context, sources, part.measured, (*place, name, "measured"))
    read_fitted_errors(context, sources, site, place)
    if site.cooling is not None and site.cooling.outdoor is not None:
        _read_series(context, sources, site.cooling.outdoor, (*place, "cooling", "outdoor"))
    for number, name, series in asset_series(site):
        _read_series(context, sources, series, (*context.place(*place, "assets", number), name))


def _read_imbalance(context: Context, sources: Sources, contract: ImbalancePart, place: Place) -> None:
    """Prices of imbalance that stand in files."""
    for name in ("short", "long"):
        price = getattr(contract, name)
        if price is not None and price.kind != "feed":
            _read_series(context, sources, price, (*place, name))


def _read_signals(context: Context, sources: Sources, place: Place, site: int | None = None) -> None:
    signals = context.document.signals if site is None else context.document.sites[site].signals
    if signals is None:
        return
    for name in ("price", "carbon_average", "carbon_marginal"):
        part = getattr(signals, name)
        if part is not None:
            _read_series(context, sources, part, (*place, name))
    if signals.weather is not None:
        _read_weather(context, sources, signals.weather, (*place, "weather"))


def find_file(context: Context, sources: Sources, text: str, place: Place) -> Path | None:
    """The file that a path of the document means, or None with a finding (one for each variable that is not set)."""
    fine = True

    def value(match: re.Match[str]) -> str:
        """Folder that the variable names; notes when there is none."""
        nonlocal fine
        name = match[1]
        folder = context.environment.get(name, "")
        if not folder or not Path(folder).is_dir():
            fine = False
            if name not in sources.reported and context.checked.trusts(place):
                sources.reported.add(name)
                found = f"${name}, and this variable is " + ("not set" if not folder else f"{folder!r}, which is not a folder")
                context.report(
                    place,
                    found,
                    f"the folder with the data in it, for example: {name}=/path/to/data ozzo run {context.tree.file}",
                )
        return folder

    path = Path(context.tree.file).parent / _VARIABLE.sub(value, text)
    if not fine:
        return None
    if path.is_file():
        return path
    folder = path.parent
    near = nearest(path.name, [other.name for other in folder.iterdir()][:2000]) if folder.is_dir() else None
    context.report(place, f"no such file: {text}", "a file that exists (relative to the document's folder)", near)
    return None


def _read_weather(context: Context, sources: Sources, part: WeatherPart, place: Place) -> None:
    where = (*place, part.kind)
    if part in sources.weather or not context.checked.trusts(place):
        return
    weather = _weather_of(context, sources, part, where)
    if weather is None:
        return
    if context.horizon is not None and not weather.covers(context.horizon):
        found = f"weather from {utc(weather.times_s[0])} to {utc(weather.times_s[-1])}"
        context.report(where, found, whole_horizon(context.horizon), needs=[("horizon",)])
        return
    sources.weather[part] = weather


def _weather_of(context: Context, sources: Sources, part: WeatherPart, where: Place) -> Weather | None:
    """Weather of a file or a feed, or None with a finding."""
    from grid.feeds.open_meteo import Weather, read_weather
    from grid.feeds.typical_year import read_epw, read_tmy3

    text = str(getattr(part, part.kind))
    if part.kind == "feed":
        content = feed_content(context, text, where)
        return content if isinstance(content, Weather) else None
    path = find_file(context, sources, text, where)
    if path is None or (part.kind != "open_meteo" and context.horizon is None):
        return None
    try:
        if context.horizon is None or part.kind == "open_meteo":
            return read_weather(path)
        return read_epw(path, context.horizon) if part.kind == "epw" else read_tmy3(path, context.horizon)
    except FeedError as error:
        kinds = {"open_meteo": "an Open-Meteo archive file", "epw": "an EPW file", "tmy3": "a TMY3 file"}
        context.report(where, str(error), kinds[part.kind])
        return None


def _read_series(context: Context, sources: Sources, part: SeriesPart, place: Place) -> None:
    """Read one source into ``sources.series``."""
    horizon = context.horizon
    if horizon is None or part in sources.series or not context.checked.trusts(place):
        return
    kind = part.kind
    where = (*place, kind)
    if kind.startswith("by_hour"):
        _keep(context, sources, part, by_local_hour(getattr(part, kind), horizon, context.zone, part.UNIT), where)
        return
    if kind not in _FILES:
        value = float(getattr(part, kind))
        _keep(context, sources, part, Series.constant(value, horizon, part.UNIT, f"constant {value:g} {part.UNIT}"), where)
        return
    factor = _factor(context, part, place)
    if kind == "feed":
        _read_feed(context, sources, part, where)
        return
    path = find_file(context, sources, getattr(part, kind), where)
    if path is None or factor is None:
        return
    clock = part.time_zone or context.document.time_zone
    try:
        zone = ZoneInfo(clock)
    except (KeyError, ValueError, OSError):
        context.report((*place, "time_zone"), shown(clock), "an IANA time zone such as Europe/Amsterdam")
        return
    try:
        if kind == "table" and isinstance(part, PricePart | CarbonPart):
            series = month_table(context, path, part, horizon, where)
        elif kind == "quantiles":
            series = quantiles(context, path, part, zone, where)
        else:
            series = cut(context, part, reading_of(kind, path, part, clock), zone, where)
    except (FeedError, SeriesError) as error:
        context.report(where, str(error), f"a series in {part.UNIT} that can be read")
        return
    if series is not None:
        _keep(context, sources, part, series if factor == 1.0 else series.scaled(factor, part.UNIT), where)


def _keep(context: Context, sources: Sources, part: SeriesPart, series: Series, where: Place) -> None:
    """Put a series into ``sources`` when all its values can be what the part says that they are."""
    low, high = part.RANGE
    values = series.table if isinstance(series, QuantileSeries) else series.values
    if low <= values.min() and values.max() <= high:
        sources.series[part] = series
        return
    worst = values.min() if values.min() < low else values.max()
    step = int((values == worst).reshape(-1, values.shape[-1]).any(axis=0).argmax())
    found = f"{worst:g} {part.UNIT} at {utc(series.edges_s[step])}, {series.source}"
    context.report(where, found, f"{low:g} to {high:g} {part.UNIT} (another sign or unit?)")


def _read_feed(context: Context, sources: Sources, part: SeriesPart, where: Place) -> None:
    """The series of a live feed into ``sources.series``."""
    from grid.feeds.reading import Reading

    content = feed_content(context, str(getattr(part, "feed", "")), where)
    if not isinstance(content, Reading):
        return
    try:
        series = cut(context, part, content, ZoneInfo("UTC"), where)
    except (FeedError, SeriesError) as error:
        context.report(where, str(error), f"a series in {part.UNIT} that can be read")
        return
    if series is not None:
        _keep(context, sources, part, series, where)


def _factor(context: Context, part: SeriesPart, place: Place) -> float | None:
    """What one of the file's units is in the signal's own."""
    if part.unit is None:
        return 1.0
    try:
        return convert(f"1 {part.unit}", part.UNIT)
    except UnitError as error:
        expected = f"a unit of the same kind as {part.UNIT}: {', '.join(units_like(part.UNIT))}"
        context.report((*place, "unit"), shown(part.unit), expected, error.nearest)
        return None
