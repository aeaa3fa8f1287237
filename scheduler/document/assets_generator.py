"""Emergency generators in the document: their fields, N-1, the battery reserve that bridges their start, the test run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from grid.assets.battery import Battery
from grid.assets.generator import Generator
from scheduler.document.fields import Count, Name, Part, Unit, about
from scheduler.document.tree import Place

if TYPE_CHECKING:
    from scheduler.document.context import Context
    from scheduler.document.places import SitePart


class TestRunPart(Part):
    """A test run that must happen once in a window; the planner chooses when."""

    hours: Annotated[float, about("Length.", gt=0), Unit("h")]
    power_kw: Annotated[float, about("Output while testing, into the site.", ge=0), Unit("kW")]
    from_hours: Annotated[float, about("Window of the whole test: hours after the start of the horizon.", ge=0), Unit("h")] = 0.0
    to_hours: Annotated[float, about("End of that window.", gt=0), Unit("h")]


class GeneratorPart(Part):
    """Emergency generators; the battery of the site bridges their start, so its reserve is never below that."""

    kind: Annotated[Literal["generator"], about("Kind of the asset.")]
    name: Annotated[Name, about("Name, unique in its site.")]
    units: Annotated[Count, about("Equal generators; with more than one, one may fail to start (N-1).", ge=1, le=1000)] = 1
    unit_kw: Annotated[float, about("Largest output of one.", gt=0), Unit("kW")]
    start_s: Annotated[float, about("Seconds from the loss of the mains until they carry the load.", ge=0), Unit("s")]
    fuel_eur_per_kwh: Annotated[float, about("Price of fuel per kWh of electricity.", ge=0), Unit("EUR/kWh")]
    carbon_g_per_kwh: Annotated[float, about("Fossil carbon dioxide per kWh of electricity.", ge=0), Unit("g/kWh")]
    flexible_kw: Annotated[
        float, about("Output allowed at any time as flexibility; 0 is backup and test runs only.", ge=0), Unit("kW")
    ] = 0.0
    test: Annotated[TestRunPart | None, about("Test run that is due.")] = None


def check_generator(context: Context, part: GeneratorPart, place: Place, site: SitePart) -> None:
    """Enough units though one fails, a battery that bridges the start, a test that fits its window and the units."""
    load_kw = site.overhead_kw + site.sizing_pue * sum(group.count * group.peak_kw for group in site.nodes)
    secure = max(1, part.units - 1) * part.unit_kw
    about_site = [place[:-2]]
    if secure < load_kw:
        found = f"{part.units} x {part.unit_kw:g} kW"
        expected = (
            f"{load_kw:g} kW, the load with every core busy, {'from all but one of the units' if part.units > 1 else ''}".rstrip(
                ", "
            )
        )
        context.report((*place, "unit_kw"), found, expected, needs=about_site)
    if part.start_s > 0:
        _battery(context, part, place, site, load_kw)
    whole = part.units * part.unit_kw
    if part.flexible_kw > whole:
        where = (*place, "flexible_kw")
        context.report(where, f"{part.flexible_kw:g} kW", f"at most {whole:g} kW, all units together", needs=[place])
    if part.test is None:
        return
    where, test = (*place, "test"), part.test
    if test.power_kw > whole:
        context.report((*where, "power_kw"), f"{test.power_kw:g} kW", f"at most {whole:g} kW, all units together", needs=[place])
    if test.to_hours - test.from_hours < test.hours - 1e-9:
        expected = f"at least from_hours + hours, which is {test.from_hours + test.hours:g} h"
        context.report((*where, "to_hours"), f"{test.to_hours:g} h", expected, needs=[where])


def _battery(context: Context, part: GeneratorPart, place: Place, site: SitePart, load_kw: float) -> None:
    """The battery has the power and the energy to carry every load until the generators do."""
    where = (*place, "start_s")
    if site.battery is None:
        context.report(where, f"{part.start_s:g} s", "a battery at this site, to carry the load for so long", needs=[place[:-2]])
        return
    needed = reserve_kwh(load_kw, part.start_s, site.battery.discharge_efficiency)
    initial = site.battery.energy_kwh / 2 if site.battery.initial_soc_kwh is None else site.battery.initial_soc_kwh
    needs = [place[:-2]]
    if site.battery.discharge_kw < load_kw:
        found = f"a battery that gives {site.battery.discharge_kw:g} kW"
        context.report(where, found, f"one that gives {load_kw:g} kW, the load with every core busy", needs=needs)
    if needed > site.battery.energy_kwh or (site.battery.initial_soc_kwh is not None and initial < needed):
        found = f"a battery that begins with {initial:g} of {site.battery.energy_kwh:g} kWh"
        context.report(where, found, f"at least {needed:.6g} kWh, to carry {load_kw:g} kW for {part.start_s:g} s", needs=needs)


def reserve_kwh(load_kw: float, start_s: float, discharge_efficiency: float) -> float:
    """State of charge that carries a load until the generators do."""
    return load_kw * start_s / 3600.0 / discharge_efficiency


def with_reserve(battery: Battery, part: GeneratorPart, load_kw: float) -> Battery:
    """The battery with a reserve, a hard floor in every slot, that carries the load until the generators do."""
    reserve = max(battery.reserve_soc_kwh, reserve_kwh(load_kw, part.start_s, battery.discharge_efficiency))
    initial = max(battery.initial_soc_kwh, reserve)
    return replace(battery, reserve_soc_kwh=reserve, initial_soc_kwh=initial, ups=battery.ups or part.start_s > 0)


def build_generator(part: GeneratorPart) -> Generator:
    """The generators of a part without findings."""
    given = part.model_dump(exclude={"kind", "test"})
    if part.test is None:
        return Generator(**given)
    test = part.test
    return Generator(**given, test_h=test.hours, test_kw=test.power_kw, test_from_h=test.from_hours, test_to_h=test.to_hours)
