"""A biogas unit in the document: its fields, what they must say together, and the asset they make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from grid.assets.biogas import BiogasChp
from scheduler.document.fields import Name, Part, Unit, about
from scheduler.document.tree import Place

if TYPE_CHECKING:
    from scheduler.document.context import Context


class BiogasPart(Part):
    """Combined heat and power on biogas with a gas store; what the full store cannot take is flared."""

    kind: Annotated[Literal["biogas"], about("Kind of the asset.")]
    name: Annotated[Name, about("Name, unique in its site.")]
    power_kw: Annotated[float, about("Largest electrical output.", gt=0), Unit("kW")]
    electrical_efficiency: Annotated[float, about("Electricity per energy of gas.", gt=0, le=1), Unit("share")]
    thermal_efficiency: Annotated[
        float, about("Used heat per energy of gas; with the electrical one at most 1.", ge=0, le=1), Unit("share")
    ]
    gas_kw: Annotated[float, about("Gas that the digester makes, always (lower heating value).", ge=0), Unit("kW")]
    store_kwh: Annotated[float, about("Capacity of the gas store (lower heating value).", ge=0), Unit("kWh")]
    lowest_kwh: Annotated[float, about("Gas that always stays in the store.", ge=0), Unit("kWh")] = 0.0
    initial_kwh: Annotated[
        float | None,
        about("Gas at the start, and to be left at the end; halfway between its bounds when left out.", ge=0),
        Unit("kWh"),
    ] = None
    minimum_load: Annotated[float, about("Least output while it runs, as a share of power_kw.", ge=0, le=1), Unit("share")] = 0.0
    minimum_run_hours: Annotated[float, about("It runs at least this long once it has started.", ge=0), Unit("h")] = 0.0
    start_eur: Annotated[float, about("Price of a start.", ge=0), Unit("EUR")] = 0.0
    running_eur_per_kwh: Annotated[float, about("Upkeep per kWh of electricity.", ge=0), Unit("EUR/kWh")] = 0.0
    heat_eur_per_kwh: Annotated[float, about("Worth of a kWh of its heat.", ge=0), Unit("EUR/kWh")] = 0.0
    biogenic_g_per_kwh: Annotated[
        float,
        about("Biogenic carbon dioxide per kWh of gas: declared, counted in no cost and no carbon total.", ge=0),
        Unit("g/kWh"),
    ] = 0.0
    initially_on: Annotated[bool, about("True when it runs at the start.")] = False


def check_biogas(context: Context, part: BiogasPart, place: Place) -> None:
    """Efficiencies together at most 1, gas within the store."""
    total = part.electrical_efficiency + part.thermal_efficiency
    if total > 1:
        where = (*place, "thermal_efficiency")
        most = f"at most {1 - part.electrical_efficiency:g}, what electrical_efficiency leaves of 1"
        context.report(where, f"{part.thermal_efficiency:g}", most, needs=[(*place, "electrical_efficiency")])
    if part.lowest_kwh > part.store_kwh:
        where = (*place, "lowest_kwh")
        context.report(where, f"{part.lowest_kwh:g} kWh", f"at most store_kwh, which is {part.store_kwh:g} kWh", needs=[place])
    elif part.initial_kwh is not None and not part.lowest_kwh <= part.initial_kwh <= part.store_kwh:
        expected = f"between lowest_kwh and store_kwh, so from {part.lowest_kwh:g} to {part.store_kwh:g} kWh"
        context.report((*place, "initial_kwh"), f"{part.initial_kwh:g} kWh", expected, needs=[place])


def build_biogas(part: BiogasPart) -> BiogasChp:
    """The unit of a part without findings."""
    given = part.model_dump(exclude={"kind", "minimum_run_hours", "initial_kwh"})
    initial = (part.lowest_kwh + part.store_kwh) / 2 if part.initial_kwh is None else part.initial_kwh
    return BiogasChp(**given, initial_kwh=initial, minimum_run_h=part.minimum_run_hours)
