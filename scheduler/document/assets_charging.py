"""Charging points in the document: sessions one by one or drawn, what cars may give back, the peak hours of the grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from scheduler.document.fields import Count, Name, Part, TimeOfDay, Unit, When, about
from scheduler.document.tree import Place

if TYPE_CHECKING:
    from scheduler.document.context import Context

MOST_SESSIONS = 100_000
"""Sessions that a fleet may have."""


class PeakWindowPart(Part):
    """Peak hours of the grid, every day; the off-peak share is what is taken outside them."""

    from_: Annotated[TimeOfDay, about("First local time of the window."), Field(alias="from")]
    to: Annotated[TimeOfDay, about("First local time after the window; earlier than 'from' runs over midnight.")]


class SessionPart(Part):
    """A stay of one car at a charging point."""

    name: Annotated[Name, about("Name, unique in its fleet.")]
    arrival: Annotated[When, about("When it can be charged from.")]
    departure: Annotated[When, about("When it leaves; inside the horizon.")]
    energy_kwh: Annotated[float, about("To be gained by departure, in the battery.", ge=0), Unit("kWh")]
    power_kw: Annotated[float, about("Largest power that it takes.", gt=0), Unit("kW")]
    level_kwh: Annotated[float, about("In the battery at arrival.", ge=0), Unit("kWh")] = 0.0
    capacity_kwh: Annotated[
        float | None, about("Of the battery; level_kwh + energy_kwh when left out, so no room beyond.", gt=0), Unit("kWh")
    ] = None
    minimum_kwh: Annotated[
        float,
        about("Level that discharging never undercuts; a car that arrives below it is charged up to there first.", ge=0),
        Unit("kWh"),
    ] = 0.0
    discharge_kw: Annotated[float, about("Largest power that point and car can give back; 0: they cannot.", ge=0), Unit("kW")] = (
        0.0
    )
    consent: Annotated[bool, about("True when its owner allows it to give back.")] = False


class WavePart(Part):
    """Cars that come at about the same time of day, on the first local day of the horizon."""

    share: Annotated[float, about("Relative share of the sessions.", gt=0)] = 1.0
    arrival: Annotated[TimeOfDay, about("Mean arrival, local time.")]
    departure: Annotated[TimeOfDay, about("Mean departure, local time; not after the arrival is the next day.")]
    arrival_sd_minutes: Annotated[float, about("Standard deviation of arrivals.", ge=0, le=720), Unit("min")] = 0.0
    departure_sd_minutes: Annotated[float, about("Standard deviation of departures.", ge=0, le=720), Unit("min")] = 0.0


class PlugPart(Part):
    """Charging power of a share of the cars."""

    share: Annotated[float, about("Relative share of the sessions.", gt=0)] = 1.0
    power_kw: Annotated[float, about("Largest power.", gt=0), Unit("kW")]


class BidirectionalPart(Part):
    """Points and cars that can give back; as many do as there are of the fewer, less those whose owners do not allow it."""

    points: Annotated[Count, about("Bidirectional points.", ge=0, le=MOST_SESSIONS)]
    cars: Annotated[Count, about("Cars that can; each charges at most once in the horizon.", ge=0, le=MOST_SESSIONS)]
    power_kw: Annotated[float, about("Largest power that one gives back.", gt=0), Unit("kW")]
    capacity_kwh: Annotated[float, about("Of the battery of one.", gt=0), Unit("kWh")]
    minimum_share: Annotated[
        float, about("Share of the battery that discharging never undercuts.", ge=0, le=1), Unit("share")
    ] = 0.3
    consent_share: Annotated[float, about("Probability that an owner allows it.", ge=0, le=1), Unit("share")] = 1.0


class ChargingGeneratorPart(Part):
    """Sessions drawn from assumptions; the seed of the scenario decides them."""

    points: Annotated[Count, about("Charging points; a car that finds none free is turned away.", ge=1, le=MOST_SESSIONS)]
    cars: Annotated[Count, about("Cars that use them.", ge=1, le=10_000_000)]
    sessions_per_car: Annotated[float, about("Sessions of a car on the day.", gt=0, le=10)]
    mean_kwh: Annotated[float, about("Mean energy of a session, in the battery.", gt=0), Unit("kWh")]
    sd_kwh: Annotated[float, about("Its standard deviation (gamma distribution).", gt=0), Unit("kWh")]
    waves: Annotated[tuple[WavePart, ...], about("When cars come and go.", min_length=1)]
    plugs: Annotated[tuple[PlugPart, ...], about("What power they take.", min_length=1)]
    grid_minutes: Annotated[
        Count,
        about(
            "Arrivals, departures and hours at full power lie on this grid; coarser is fewer groups and a quicker plan.",
            ge=1,
            le=240,
        ),
    ] = 30
    bidirectional: Annotated[BidirectionalPart | None, about("What can give back.")] = None


class ChargingPart(Part):
    """Charging points of a site: when each car is charged is for the planner, and, where asked for, what it gives back."""

    kind: Annotated[Literal["charging"], about("Kind of the asset.")]
    name: Annotated[Name, about("Name, unique in its site.")]
    charge_efficiency: Annotated[float, about("Point to battery.", gt=0, le=1), Unit("share")] = 0.95
    discharge_efficiency: Annotated[float, about("Battery to point.", gt=0, le=1), Unit("share")] = 0.95
    discharge: Annotated[bool, about("True lets cars give back (V2G) that can and may.")] = False
    wear_eur_per_kwh: Annotated[float, about("Price of wear per kWh given back.", ge=0), Unit("EUR/kWh")] = 0.0
    missing_eur_per_kwh: Annotated[
        float | None,
        about("Price of a kWh that a car lacks at departure; a last resort above all that energy can bring when left out.", ge=0),
        Unit("EUR/kWh"),
    ] = None
    peak_windows: Annotated[tuple[PeakWindowPart, ...], about("Peak hours of the grid, for the off-peak share.")] = ()
    sessions: Annotated[tuple[SessionPart, ...], about("Sessions one by one.")] = ()
    generator: Annotated[ChargingGeneratorPart | None, about("Sessions drawn from assumptions.")] = None


def check_charging(context: Context, part: ChargingPart, place: Place) -> None:
    """There are sessions, each in its window and its battery, and something can give back where that is asked for."""
    context.unique(*place, "sessions")
    given, drawn = (*place, "sessions"), (*place, "generator")
    if not part.sessions and part.generator is None:
        context.report(place, "no cars", "sessions, a generator, or both", needs=[given, drawn])
    for index, session in enumerate(part.sessions):
        _session(context, session, context.place(*given, index))
    for index, window in enumerate(part.peak_windows):
        if window.from_ == window.to:
            expected = "'to' different from 'from' ('00:00' to '24:00' is the whole day)"
            context.report((*place, "peak_windows", index), "a window of no length", expected)
    drawer = part.generator
    both = drawer.bidirectional if drawer else None
    able = any(session.discharge_kw > 0 and session.consent for session in part.sessions)
    if part.discharge and not able and (both is None or not both.points or not both.cars or not both.consent_share):
        expected = "false, or a session with discharge_kw and consent, or a generator with bidirectional points and cars"
        context.report((*place, "discharge"), "true, and nothing can give back", expected, needs=[given, drawn])
    if drawer is None:
        return
    sessions = round(drawer.cars * drawer.sessions_per_car)
    if not 1 <= sessions <= MOST_SESSIONS:
        found = f"{drawer.cars} cars with {drawer.sessions_per_car:g} sessions each"
        expected = f"from 1 to {MOST_SESSIONS} sessions together"
        context.report((*drawn, "sessions_per_car"), found, expected, needs=[(*drawn, "cars")])
    if both is not None and both.points > drawer.points:
        where = (*drawn, "bidirectional", "points")
        context.report(where, f"{both.points}", f"at most points, which is {drawer.points}", needs=[(*drawn, "points")])


def _session(context: Context, session: SessionPart, place: Place) -> None:
    """Departure after arrival, both in the horizon; the battery holds what it had and gains, and the least level."""
    level, most = session.level_kwh + session.energy_kwh, session.capacity_kwh
    if most is not None and most < level:
        expected = f"at least level_kwh + energy_kwh, which is {level:g} kWh"
        context.report((*place, "capacity_kwh"), f"{most:g} kWh", expected, needs=[place])
    if session.minimum_kwh > level:
        expected = f"at most level_kwh + energy_kwh, which is {level:g} kWh"
        context.report((*place, "minimum_kwh"), f"{session.minimum_kwh:g} kWh", expected, needs=[place])
    horizon = context.horizon
    if horizon is None:
        return
    arrival = context.moment(session.arrival, (*place, "arrival"))
    departure = context.moment(session.departure, (*place, "departure"))
    if arrival is None or departure is None:
        return
    inside, needs = f"{context.local(horizon.start)} to {context.local(horizon.end)}", [("horizon",)]
    if not horizon.start <= arrival < horizon.end:
        context.report((*place, "arrival"), context.local(arrival), f"a moment of the horizon, {inside}", needs=needs)
    elif departure <= arrival:
        expected = f"a moment after its arrival, {context.local(arrival)}"
        context.report((*place, "departure"), context.local(departure), expected, needs=[(*place, "arrival")])
    elif departure > horizon.end:
        context.report((*place, "departure"), context.local(departure), f"a moment of the horizon, {inside}", needs=needs)
