"""Fitted errors of the sun or wind of a site: the file that the document names, and the forecast with its errors as quantiles.

They stand in place of ``errors.solar_sigma`` or ``errors.wind_sigma`` and of ``errors.error_correlation_h`` for this source: the
plan, its futures and the simulated world all read the same quantiles (``grid.forecasts.fan``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from grid.errors import FeedError
from grid.forecasts.error_file import read_errors
from grid.forecasts.fan import LEVELS, fan
from grid.series import Series
from scheduler.document.fields import Part, Text, Unit, about
from scheduler.document.signals import PATH_WORDS
from scheduler.document.tree import Place

if TYPE_CHECKING:
    from scheduler.document.context import Context
    from scheduler.document.places import SitePart, SolarPart, WindPart
    from scheduler.document.sources import Sources

DC_TO_AC = 1.1
"""PVWatts' default: an array of this times the inverter's rating."""


class FittedErrorsPart(Part):
    """Errors of a day-ahead forecast as they were fitted to real ones."""

    file: Annotated[Text, about(f"{PATH_WORDS} of fitted errors, as 'ozzo forecast fit --out' writes them (JSON).", min_length=1)]
    capacity_kw: Annotated[
        float | None,
        about(
            "Highest power that the source gives, of which the errors are shares; when left out inverter_kw, else peak_kw / 1.1"
            " (sun), or rated_kw (wind).",
            gt=0,
        ),
        Unit("kW"),
    ] = None


def capacity_kw(part: SolarPart | WindPart) -> float | None:
    """What the errors of a source are shares of, kW; None when the document does not say it."""
    fitted = part.fitted_errors
    if fitted is not None and fitted.capacity_kw is not None:
        return fitted.capacity_kw
    if part.KIND == "wind":
        return getattr(part, "rated_kw", None)
    inverter, peak = getattr(part, "inverter_kw", None), getattr(part, "peak_kw", None)
    return inverter if inverter is not None else None if peak is None else peak / DC_TO_AC


def check_fitted_errors(context: Context, part: SolarPart | WindPart, place: Place) -> None:
    """A capacity is known, and the forecast has no other quantiles; ``place`` is the source's."""
    if part.fitted_errors is None:
        return
    where = (*place, "fitted_errors")
    if part.measured is not None and part.measured.quantiles is not None:
        expected = "one of the two: fitted errors, or a forecast that is given as quantiles"
        context.report(where, "fitted_errors beside measured.quantiles", expected, needs=[(*place, "measured")])
    if capacity_kw(part) is None:
        context.report(where, "no capacity_kw", "capacity_kw, the highest power that the source gives", needs=[place])


def read_fitted_errors(context: Context, sources: Sources, site: SitePart, place: Place) -> None:
    """The fits that a site names into ``sources``; what is wrong with a file becomes a finding. ``place`` is the site's."""
    from scheduler.document.sources import find_file

    level = context.document.planning.chance_level
    for name in ("solar", "wind"):
        part = getattr(site, name)
        fitted = None if part is None else part.fitted_errors
        if fitted is None or fitted.file in sources.error_models:
            continue
        where = (*place, name, "fitted_errors", "file")
        if level is not None and level > LEVELS[-1] + 1e-9:
            expected = f"at most {LEVELS[-1]:g} beside fitted errors, whose quantiles reach no further"
            context.report(("planning", "chance_level"), f"{level:g}", expected, needs=[where])
        path = find_file(context, sources, fitted.file, where)
        if path is None:
            continue
        try:
            sources.error_models[fitted.file] = read_errors(path)
        except FeedError as error:
            context.report(where, str(error), "a file of fitted errors, as 'ozzo forecast fit --out' writes it")


def with_fitted_errors(sources: Sources, part: SolarPart | WindPart | None, forecast: Series | None) -> Series | None:
    """The forecast with the quantiles of its fitted errors; itself where the document names none."""
    if part is None or forecast is None or part.fitted_errors is None:
        return forecast
    capacity = capacity_kw(part)
    if capacity is None:  # the check has told it
        return forecast
    return fan(sources.error_models[part.fitted_errors.file], forecast, capacity, dark=part.KIND == "solar")
