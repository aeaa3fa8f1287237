"""Every kind of asset that a site of the document may list, and what is done with each.

To add a kind: a module ``assets_<kind>`` with its part, its check and its maker, and a line in each of the three places here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from grid.assets.battery import Battery
from grid.assets.charging import ChargingFleet
from grid.assets.site_asset import SiteAsset
from grid.series import Series
from scheduler.document.assets_biogas import BiogasPart, build_biogas, check_biogas
from scheduler.document.assets_charging import ChargingPart, check_charging
from scheduler.document.assets_generator import GeneratorPart, build_generator, check_generator, with_reserve
from scheduler.document.assets_heat import HeatPart, build_heat, check_heat, spared_series
from scheduler.document.cooling import build_cooling
from scheduler.document.signals import HeatDemandPart, SourcePart
from scheduler.document.tree import Place

if TYPE_CHECKING:
    from scheduler.document.context import Context
    from scheduler.document.places import SitePart

AssetPart = Annotated[BiogasPart | ChargingPart | GeneratorPart | HeatPart, Field(discriminator="kind")]
"""One asset; ``kind`` says which."""


def check_assets(context: Context, site: SitePart, place: Place) -> None:
    """What the fields of each asset of a site say together; ``place`` is the site's."""
    context.unique(*place, "assets")
    for index, part in enumerate(site.assets):
        where = context.place(*place, "assets", index)
        if isinstance(part, BiogasPart):
            check_biogas(context, part, where)
        elif isinstance(part, HeatPart):
            check_heat(context, part, where, site)
        elif isinstance(part, ChargingPart):
            check_charging(context, part, where)
        else:
            check_generator(context, part, where, site)


def asset_series(site: SitePart) -> Iterator[tuple[int, str, HeatDemandPart]]:
    """Position, field and source of every series that an asset of a site names."""
    for index, part in enumerate(site.assets):
        if isinstance(part, HeatPart):
            yield index, "demand", part.demand


def build_assets(
    site: SitePart,
    series: Mapping[SourcePart, Series],
    outdoor_c: Series | None,
    fleet: Callable[[ChargingPart], ChargingFleet],
) -> tuple[SiteAsset, ...]:
    """The assets of a site without findings.

    Args:
        site: its part of the document.
        series: what was read for its assets.
        outdoor_c: outdoor temperature of its cooling.
        fleet: makes charging points, which need the site's prices and the horizon.
    """
    return tuple(fleet(part) if isinstance(part, ChargingPart) else _build(site, part, series, outdoor_c) for part in site.assets)


def _build(
    site: SitePart, part: BiogasPart | GeneratorPart | HeatPart, series: Mapping[SourcePart, Series], outdoor_c: Series | None
) -> SiteAsset:
    if isinstance(part, HeatPart):
        cooling = None if site.cooling is None else build_cooling(site.cooling)
        return build_heat(part, site, series, spared_series(cooling, outdoor_c))
    return build_biogas(part) if isinstance(part, BiogasPart) else build_generator(part)


def bridged(site: SitePart, battery: Battery | None) -> Battery | None:
    """The battery of a site with the reserve that its emergency generators need."""
    load_kw = site.overhead_kw + site.sizing_pue * sum(group.count * group.peak_kw for group in site.nodes)
    for part in site.assets:
        if battery is not None and isinstance(part, GeneratorPart):
            battery = with_reserve(battery, part, load_kw)
    return battery
