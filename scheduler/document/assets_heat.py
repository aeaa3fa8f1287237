"""Reuse of a hall's heat in the document: its fields, what they must say together, and the asset they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from grid.assets.cooling import Cooling
from grid.assets.heat_reuse import HeatReuse
from grid.series import Series
from scheduler.document.fields import Name, Part, Unit, about
from scheduler.document.signals import HeatDemandPart, SourcePart
from scheduler.document.tree import Place

if TYPE_CHECKING:
    from scheduler.document.context import Context
    from scheduler.document.places import SitePart


class HeatPart(Part):
    """Heat of the IT, raised by a heat pump, buffered, delivered; it earns only where somebody demands it."""

    kind: Annotated[Literal["heat"], about("Kind of the asset.")]
    name: Annotated[Name, about("Name, unique in its site.")]
    share: Annotated[float, about("Heat that can be taken per IT power of the site.", gt=0, le=1), Unit("share")]
    source_c: Annotated[float, about("Temperature of that heat.", ge=-20, le=120), Unit("degC")]
    supply_c: Annotated[
        float,
        about("Temperature of the heat that is delivered; at or below source_c no heat pump is needed.", ge=-20, le=200),
        Unit("degC"),
    ]
    carnot_share: Annotated[float, about("COP of the heat pump as a share of Carnot's.", gt=0, le=1), Unit("share")]
    heat_kw: Annotated[float, about("Largest output of heat.", ge=0), Unit("kW")]
    demand: Annotated[HeatDemandPart, about("Heat demand; of a slot its lowest value.")]
    buffer_kwh: Annotated[float, about("Capacity of the buffer.", ge=0), Unit("kWh")] = 0.0
    initial_kwh: Annotated[
        float | None,
        about("Heat in the buffer at the start, and to be left at the end; half of buffer_kwh when left out.", ge=0),
        Unit("kWh"),
    ] = None
    loss_per_h: Annotated[float, about("Share of the buffer's heat that is lost in an hour.", ge=0, le=0.99), Unit("share")] = 0.0
    heat_eur_per_kwh: Annotated[float, about("Paid for a kWh of delivered heat.", ge=0), Unit("EUR/kWh")] = 0.0
    avoided_eur_per_kg: Annotated[
        float,
        about("Paid for each kg of carbon dioxide that gas boilers would have made for the delivered heat.", ge=0),
        Unit("EUR/kg"),
    ] = 0.0
    running_eur_per_kwh: Annotated[float, about("Upkeep per kWh of heat made.", ge=0), Unit("EUR/kWh")] = 0.0
    pumps_kw_per_kw: Annotated[float, about("Electricity of circulation pumps per heat made.", ge=0, le=1), Unit("share")] = 0.0


def check_heat(context: Context, part: HeatPart, place: Place, site: SitePart) -> None:
    """Nodes that make heat, and no more heat in the buffer than it holds."""
    if not site.nodes:
        context.report((*place, "share"), "a site without nodes", "nodes at this site, whose heat is taken", needs=[place[:-2]])
    if part.initial_kwh is not None and part.initial_kwh > part.buffer_kwh:
        expected = f"at most buffer_kwh, which is {part.buffer_kwh:g} kWh"
        context.report((*place, "initial_kwh"), f"{part.initial_kwh:g} kWh", expected, needs=[place])


def build_heat(part: HeatPart, site: SitePart, series: Mapping[SourcePart, Series], spared: Series | None) -> HeatReuse:
    """The heat reuse of a part without findings; ``spared``: electricity of the chiller per kW of heat that is taken."""
    given = part.model_dump(exclude={"kind", "demand", "initial_kwh"})
    initial = part.buffer_kwh / 2 if part.initial_kwh is None else part.initial_kwh
    idle = sum(group.count * group.idle_kw for group in site.nodes)
    return HeatReuse(**given, demand_kw=series[part.demand], idle_it_kw=idle, initial_kwh=initial, spared=spared)


def spared_series(cooling: Cooling | None, outdoor_c: Series | None) -> Series | None:
    """Electricity of a site's chiller per kW of heat over time, at the forecast temperature; None without cooling."""
    if cooling is None or outdoor_c is None:
        return None
    return Series(outdoor_c.edges_s, cooling.spared_kw_per_kw(outdoor_c.values), "1", f"chiller at {outdoor_c.source}")
