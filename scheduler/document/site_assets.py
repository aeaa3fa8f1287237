"""Every kind of asset that a site of the document may list, and what is done with each.

To add a kind: a module ``assets_<kind>`` with its part, its check and its maker, and a line in each of the three places here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from grid.assets.battery import Battery
from grid.assets.charging import ChargingFleet
from grid.assets.site_asset import SiteAsset
from scheduler.document.assets_biogas import BiogasPart, build_biogas, check_biogas
from scheduler.document.assets_charging import ChargingPart, check_charging
from scheduler.document.assets_generator import GeneratorPart, build_generator, check_generator, with_reserve
from scheduler.document.tree import Place

if TYPE_CHECKING:
    from scheduler.document.context import Context
    from scheduler.document.places import SitePart

AssetPart = Annotated[BiogasPart | ChargingPart | GeneratorPart, Field(discriminator="kind")]
"""One asset; ``kind`` says which."""


def check_assets(context: Context, site: SitePart, place: Place) -> None:
    """What the fields of each asset of a site say together; ``place`` is the site's."""
    context.unique(*place, "assets")
    for index, part in enumerate(site.assets):
        where = context.place(*place, "assets", index)
        if isinstance(part, BiogasPart):
            check_biogas(context, part, where)
        elif isinstance(part, ChargingPart):
            check_charging(context, part, where)
        else:
            check_generator(context, part, where, site)


def build_assets(site: SitePart, fleet: Callable[[ChargingPart], ChargingFleet]) -> tuple[SiteAsset, ...]:
    """The assets of a site without findings; ``fleet`` makes charging points, which need the site's prices and the horizon."""
    assets: list[SiteAsset] = []
    for part in site.assets:
        if isinstance(part, BiogasPart):
            assets.append(build_biogas(part))
        elif isinstance(part, ChargingPart):
            assets.append(fleet(part))
        else:
            assets.append(build_generator(part))
    return tuple(assets)


def bridged(site: SitePart, battery: Battery | None) -> Battery | None:
    """The battery of a site with the reserve that its emergency generators need."""
    load_kw = site.overhead_kw + site.pue * sum(group.count * group.peak_kw for group in site.nodes)
    for part in site.assets:
        if battery is not None and isinstance(part, GeneratorPart):
            battery = with_reserve(battery, part, load_kw)
    return battery
