"""Cooling of a site in the document: its fields, what they must say together, its outdoor temperature, what they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import numpy as np

from grid.assets.cooling import Cooling
from grid.errors import FeedError
from grid.series import Series
from scheduler.document.fields import Part, Unit, about
from scheduler.document.signals import SourcePart, TemperaturePart, WeatherPart
from scheduler.document.tree import Place

if TYPE_CHECKING:
    from scheduler.document.context import Context
    from scheduler.document.places import SitePart
    from scheduler.document.sources import Sources

QUARTER_S = 900.0
_HOTTEST_C = 40.0


class CoolingPart(Part):
    """Outdoor air while it is cold enough, a chiller for the rest; the PUE of each moment follows from the temperature."""

    conversion_share: Annotated[float, about("Losses of power conversion per IT power.", ge=0, le=1), Unit("share")]
    fan_share: Annotated[float, about("Fans and pumps per IT power, whatever the weather.", ge=0, le=1), Unit("share")]
    free_below_c: Annotated[
        float, about("Outdoor temperature up to which outdoor air takes all heat.", ge=-60, le=60), Unit("degC")
    ]
    free_until_c: Annotated[
        float, about("Outdoor temperature from which it takes none; a straight line between.", ge=-60, le=60), Unit("degC")
    ]
    chilled_c: Annotated[float, about("Temperature of the chiller's cold side.", ge=-20, le=60), Unit("degC")]
    approach_k: Annotated[float, about("By how much its hot side is warmer than outdoors.", ge=0, le=60), Unit("K")]
    carnot_share: Annotated[float, about("COP of the chiller as a share of Carnot's.", gt=0, le=1), Unit("share")]
    highest_cop: Annotated[float, about("The COP of the chiller is never above this.", gt=0, le=100)] = 12.0
    hottest_c: Annotated[float, about("Outdoor temperature for which emergency power is sized.", ge=-60, le=60), Unit("degC")] = (
        _HOTTEST_C
    )
    outdoor: Annotated[TemperaturePart | None, about("Outdoor temperature; that of the weather when left out.")] = None

    @property
    def hottest_pue(self) -> float:
        """PUE in the hottest weather that the cooling is made for; 1 where the fields contradict each other."""
        if self.free_below_c > self.free_until_c:
            return 1.0
        return float(build_cooling(self).pue(self.hottest_c))


def check_cooling(context: Context, site: SitePart, place: Place) -> None:
    """Free cooling ends after it begins, the PUE is not given too, and there is an outdoor temperature; ``place``: the site's."""
    part, where = site.cooling, (*place, "cooling")
    if part is None:
        return
    if "pue" in site.model_fields_set:
        expected = "pue or cooling, because the PUE follows from the cooling"
        context.report((*place, "pue"), f"{site.pue:g}", expected, needs=[where])
    if part.free_below_c > part.free_until_c:
        expected = f"at least free_below_c, which is {part.free_below_c:g} degC"
        context.report((*where, "free_until_c"), f"{part.free_until_c:g} degC", expected, needs=[where])
    has_weather = context.document.signals.weather is not None or (site.signals is not None and site.signals.weather is not None)
    if part.outdoor is None and not has_weather:
        context.report(where, "no outdoor temperature", "outdoor here, or signals.weather", needs=[("signals",)])


def build_cooling(part: CoolingPart) -> Cooling:
    """The cooling of a part without findings."""
    return Cooling(**part.model_dump(exclude={"outdoor"}))


def outdoor_series(
    context: Context, sources: Sources, part: CoolingPart | None, place: Place, weather: WeatherPart | None
) -> Series | None:
    """Outdoor temperature over the horizon (degC), or None without cooling, or with a finding."""
    if part is None or context.horizon is None:
        return None
    known: Mapping[SourcePart, Series] = sources.series
    if part.outdoor is not None:
        return known.get(part.outdoor)
    if weather is None or weather not in sources.weather:
        return None
    read = sources.weather[weather]
    edges = np.arange(context.horizon.start_s, context.horizon.end_s + QUARTER_S / 2, QUARTER_S)
    try:
        values = read.at("temperature_c", edges[:-1] + QUARTER_S / 2, weather.repair)
    except FeedError as error:
        context.report(place, str(error), "weather with an outdoor temperature that can be read")
        return None
    return Series(edges, values, "degC", f"{read.source}, temperature at 2 m")
