"""OpenADR 3.1 event objects, read into capacity events.

What is understood: ``IMPORT_CAPACITY_LIMIT`` in kW, W or MW, with the timing rules of OpenADR 3.1 (see ``timing``; facts from the
specification's ``openadr3.yaml`` 3.1.0 and its User Guide). What is not understood is refused with its reason, or told through
``notice``; it is never dropped in silence. Targets are names of sites (3.1 targets are plain strings); an event without targets
is for every site. A limit holds at each targeted site by itself.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from grid.chance import stream
from grid.errors import Finding, InputError
from grid.horizon import Horizon
from grid.response.event import CapacityEvent
from grid.response.reader import Reader
from grid.response.timing import FAR, Duration, Interval, Span, lay_out, loop_or_cut

LIMIT = "IMPORT_CAPACITY_LIMIT"
DEFAULT_PENALTY_EUR_PER_KWH = 1.0
"""Price of a kWh above the limit when nobody states one (an assumption: the payload carries no price)."""
TO_KW = {"KW": 1.0, "W": 0.001, "MW": 1000.0}
REFUSED = {
    "SIMPLE": "a level 0 to 3 says no number of kW; ask for IMPORT_CAPACITY_LIMIT",
    "DISPATCH_SETPOINT": "an exact consumption is not a limit, and a site cannot promise it",
    "DISPATCH_SETPOINT_RELATIVE": "a change needs an agreed baseline, which the event does not carry",
    "EXPORT_CAPACITY_LIMIT": "limits on export come with the connection, not yet with events",
}
"""Payload types of the specification that are refused, and why."""
NEUTRAL = {"id", "createdDateTime", "modificationDateTime", "objectType", "programID", "eventName", "duration", "priority"}
KNOWN = NEUTRAL | {"targets", "reportDescriptors", "payloadDescriptors", "intervalPeriod", "intervals"}
LOWEST = 2**31
WIDEST_SHIFT = timedelta(days=366)
"""Longest ``randomizeStart`` that is read (an assumption: OpenADR names no limit)."""
NO_PRIORITY = "its priority is not heeded: where limits overlap all of them hold, so the tightest counts"
MOST_KW = 1e9
"""Highest limit that is read: a terawatt, above any grid (the objective is a sum of floating-point numbers)."""


@dataclass(frozen=True, slots=True)
class EventReading:
    """What an event object says.

    Attributes:
        name: its id, or its name where it has no id yet.
        priority: 0 is the highest; ``LOWEST`` when none is given.
        received: when it became known, UTC.
        events: the limits, by start and site; empty when it is cancelled or over.
        cancelled: it says start now, duration zero.
        notices: what was not understood or not needed, in words.
    """

    name: str
    priority: int
    received: datetime
    events: tuple[CapacityEvent, ...]
    cancelled: bool
    notices: tuple[str, ...]


def parse_event(
    obj: object,
    *,
    sites: Sequence[str],
    horizon: Horizon | None = None,
    seed: int = 0,
    file: str = "event",
    targets: Mapping[str, str] | None = None,
    default_penalty_eur_per_kwh: float = DEFAULT_PENALTY_EUR_PER_KWH,
    now: datetime | None = None,
    notice: Callable[[str], None] | None = None,
    lenient: bool | None = None,
) -> tuple[CapacityEvent, ...]:
    """The capacity events of an OpenADR 3.1 event object; at least one.

    All arguments but ``notice`` and ``lenient`` are those of ``read_event``. ``notice`` takes what is not needed or not heeded.
    An unknown payload type is a notice too when ``lenient`` says so, by default when somebody takes notices; else it is refused.

    Raises:
        InputError: all findings at once; also when nothing of the event is left to do.
    """
    reading = read_event(
        obj,
        sites=sites,
        horizon=horizon,
        seed=seed,
        file=file,
        targets=targets,
        default_penalty_eur_per_kwh=default_penalty_eur_per_kwh,
        now=now,
        lenient=notice is not None if lenient is None else lenient,
    )
    unheeded = () if reading.priority == LOWEST else (f"{reading.name}: {NO_PRIORITY}",)
    for line in (*reading.notices, *unheeded):
        if notice is not None:
            notice(line)
    if not reading.events:
        what = "a cancelled event" if reading.cancelled else "no interval with a limit inside the horizon"
        raise InputError([Finding(file, None, "intervals", what, f"an interval with {LIMIT} that is not over")])
    return reading.events


def read_event(
    obj: object,
    *,
    sites: Sequence[str],
    horizon: Horizon | None = None,
    seed: int = 0,
    file: str = "event",
    targets: Mapping[str, str] | None = None,
    default_penalty_eur_per_kwh: float = DEFAULT_PENALTY_EUR_PER_KWH,
    now: datetime | None = None,
    lenient: bool = True,
) -> EventReading:
    """Read an OpenADR 3.1 event object (``event`` or ``eventRequest``, as parsed JSON).

    Args:
        obj: the object.
        sites: names of all sites.
        horizon: intervals are clipped to it; needed for intervals without end.
        seed: of the run; ``randomizeStart`` is drawn from the stream ``openadr:<event>``.
        file: where the object comes from, for findings.
        targets: site by target, where targets are not names of sites (for example an EAN).
        default_penalty_eur_per_kwh: price of a kWh above the limit.
        now: instant of arrival; when not given: the object's modification or creation, else the horizon's start.
        lenient: unknown payload types become notices instead of findings.

    Raises:
        InputError: all findings at once.
    """
    reader = Reader(file)
    if not isinstance(obj, Mapping):
        reader.wrong("", obj, "an OpenADR 3.1 event object")
        reader.refuse()
    name, priority = _head(reader, obj)
    received = _received(reader, obj, horizon, now)
    chosen = _targets(reader, obj.get("targets"), sites, targets)
    to_kw = _unit(reader, obj.get("payloadDescriptors"))
    chance = stream(seed, f"openadr:{name}")

    def draw(duration: Duration | None, start: datetime) -> timedelta:
        if duration is None:
            return timedelta(0)
        widest_s = (duration.after(start) - start).total_seconds()
        return timedelta(seconds=float(chance.uniform(-widest_s, widest_s))) if widest_s else timedelta(0)

    period = reader.mapping(obj.get("intervalPeriod"), "intervalPeriod")
    first = reader.instant(period.get("start"), "intervalPeriod.start", received) or received
    default = reader.duration(period.get("duration"), "intervalPeriod.duration")
    if default is None and period.get("duration") is not None:
        default = Duration()  # the finding stands; no second one at each interval
    whole = reader.duration(obj.get("duration"), "duration")
    shift = draw(_spread(reader, period, "intervalPeriod", first), first)
    intervals = []
    for i, item in enumerate(reader.items(obj.get("intervals"), "intervals")):
        intervals.append(_interval(reader, item, f"intervals[{i}]", default or whole, received, draw, to_kw, lenient=lenient))
    reader.check()
    kept = [interval for interval in intervals if interval is not None]
    spans, begin, last = lay_out(kept, first, shift)
    horizon_end = FAR if horizon is None else horizon.end
    until = last if whole is None else whole.after(begin)
    try:
        spans = loop_or_cut(spans, begin, last, until, horizon_end)
    except ValueError as error:
        reader.wrong("duration", obj.get("duration"), f"fewer or longer intervals ({error})")
    if any(span.end == FAR for span in spans):
        reader.wrong("intervalPeriod.duration", "an interval without end", "an end, because there is no horizon to clip it to")
    reader.check()
    earliest = received if horizon is None else max(received, horizon.start)
    events = _clipped(name, spans, chosen, earliest, received, default_penalty_eur_per_kwh)
    zero = Duration()
    cancelled = not events and zero in (default, whole)
    return EventReading(name, priority, received, events, cancelled, tuple(reader.notices))


def _head(reader: Reader, obj: Mapping[str, Any]) -> tuple[str, int]:
    """Name and priority; notes unknown fields."""
    program = reader.text(obj.get("programID"), "programID")
    name = next((given for given in (obj.get("id"), obj.get("eventName"), program) if given not in (None, "")), "event")
    priority = obj.get("priority")
    if priority is not None and (not isinstance(priority, int) or isinstance(priority, bool) or priority < 0):
        reader.wrong("priority", priority, "a whole number from 0 (highest), or null")
    if obj.get("objectType") not in (None, "EVENT"):
        reader.wrong("objectType", obj.get("objectType"), "EVENT")
    for field in obj:
        if field not in KNOWN:
            close = difflib.get_close_matches(str(field), KNOWN, n=1, cutoff=0.8)
            reader.notices.append(f"field {field!r} is not in OpenADR 3.1" + (f" (meant {close[0]!r}?)" if close else ""))
    if obj.get("reportDescriptors"):
        reader.notices.append("reports were asked for (reportDescriptors); none are sent yet")
    return reader.text(name, "eventName") or "event", priority if isinstance(priority, int) else LOWEST


def _received(reader: Reader, obj: Mapping[str, Any], horizon: Horizon | None, now: datetime | None) -> datetime:
    """When the event became known."""
    fallback = now or (horizon.start if horizon is not None else datetime.now(UTC))
    stamps = [reader.instant(obj.get(field), field, fallback) for field in ("modificationDateTime", "createdDateTime")]
    if now is not None:
        return now.astimezone(UTC)
    return next((stamp for stamp in stamps if stamp is not None), fallback)


def _targets(reader: Reader, value: Any, sites: Sequence[str], named: Mapping[str, str] | None) -> tuple[str, ...]:
    """Sites that are meant, in the order of ``sites``."""
    lookup = {site: site for site in sites} | dict(named or {})
    chosen = set()
    wanted = reader.items(value, "targets")
    for i, item in enumerate(wanted):
        target = reader.text(item, f"targets[{i}]")
        if target is None:
            continue
        if target not in lookup:
            close = difflib.get_close_matches(target, lookup, n=1)
            reader.wrong(f"targets[{i}]", target, f"one of {', '.join(list(lookup)[:8])}", close[0] if close else None)
        else:
            chosen.add(lookup[target])
    return tuple(site for site in sites if site in chosen or not wanted)


def _unit(reader: Reader, value: Any) -> float | None:
    """Kilowatts per unit of the limit, or None when no descriptor states it."""
    for i, item in enumerate(reader.items(value, "payloadDescriptors")):
        place = f"payloadDescriptors[{i}]"
        descriptor = reader.mapping(item, place)
        reader.text(descriptor.get("payloadType"), f"{place}.payloadType")
        if descriptor.get("objectType") != "EVENT_PAYLOAD_DESCRIPTOR":
            reader.wrong(f"{place}.objectType", descriptor.get("objectType"), "EVENT_PAYLOAD_DESCRIPTOR")
        if descriptor.get("payloadType") == LIMIT:
            unit = descriptor.get("units")
            if isinstance(unit, str) and unit in TO_KW:
                return TO_KW[unit]
            reader.wrong(f"{place}.units", unit, f"one of {', '.join(TO_KW)}")
            return 1.0  # the finding stands; no second one at each payload
    return None


def _interval(
    reader: Reader,
    item: Any,
    place: str,
    default: Duration | None,
    now: datetime,
    draw: Callable[[Duration | None, datetime], timedelta],
    to_kw: float | None,
    *,
    lenient: bool,
) -> Interval | None:
    """One interval, or None with findings."""
    before = len(reader.findings)
    entry = reader.mapping(item, place)
    number = entry.get("id")
    if not isinstance(number, int) or isinstance(number, bool):
        reader.wrong(f"{place}.id", number, "a whole number")
    if "payloads" not in entry:
        reader.wrong(f"{place}.payloads", None, "a list of payloads")
    own = reader.mapping(entry.get("intervalPeriod"), f"{place}.intervalPeriod")
    start = reader.instant(own.get("start"), f"{place}.intervalPeriod.start", now)
    stated = reader.duration(own.get("duration"), f"{place}.intervalPeriod.duration")
    duration = stated if stated is not None else default
    spread = _spread(reader, own, f"{place}.intervalPeriod", start or now)
    if duration is None and len(reader.findings) == before:
        reader.wrong(f"{place}.intervalPeriod.duration", None, "a duration here or in the event's intervalPeriod")
    values: tuple[float, ...] = ()
    for k, payload in enumerate(reader.items(entry.get("payloads"), f"{place}.payloads")):
        values = _payload(reader, payload, f"{place}.payloads[{k}]", to_kw, lenient=lenient) or values
    if len(reader.findings) > before or duration is None:
        return None
    return Interval(str(number), start, duration, draw(spread, start or now), values)


def _spread(reader: Reader, period: Mapping[str, Any], place: str, start: datetime) -> Duration | None:
    """How far the start of a period may be moved at random, or None."""
    spread = reader.duration(period.get("randomizeStart"), f"{place}.randomizeStart")
    if spread is None or spread.after(start) - start <= WIDEST_SHIFT:
        return spread
    reader.wrong(f"{place}.randomizeStart", period["randomizeStart"], f"at most {WIDEST_SHIFT.days} days")
    return None


def _payload(reader: Reader, item: Any, place: str, to_kw: float | None, *, lenient: bool) -> tuple[float, ...]:
    """Limits in kW of one payload; empty for another type."""
    payload = reader.mapping(item, place)
    kind = reader.text(payload.get("type"), f"{place}.type")
    values = reader.items(payload.get("values"), f"{place}.values")
    if kind is None:
        return ()
    if kind != LIMIT:
        why = REFUSED.get(kind, "this payload type is not understood")
        if lenient and kind not in REFUSED:
            reader.notices.append(f"{place}: {kind}: {why}")
        else:
            reader.wrong(f"{place}.type", kind, f"{LIMIT} ({why})")
        return ()
    if to_kw is None:
        reader.wrong("payloadDescriptors", None, f"a payloadDescriptor for {LIMIT} with units ({', '.join(TO_KW)})")
        return ()
    if not values:
        reader.wrong(f"{place}.values", list(values), "one number, or several that divide the interval")
    good = []
    for v, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_KW / to_kw:
            reader.wrong(f"{place}.values[{v}]", value, f"a number that is not negative, at most {MOST_KW:g} kW")
        else:
            good.append(float(value) * to_kw)
    return tuple(good)


def _clipped(
    name: str, spans: Iterable[Span], sites: Sequence[str], earliest: datetime, received: datetime, penalty: float
) -> tuple[CapacityEvent, ...]:
    """One event a span and site; what is over is left out, what has begun starts at ``earliest`` (skip ahead)."""
    return tuple(
        CapacityEvent(f"{name}/{span.label}", site, max(span.start, earliest), span.end, span.value, penalty, received)
        for span in sorted(spans, key=lambda span: span.start)
        if span.end > earliest
        for site in sites
    )


def resolve(readings: Iterable[EventReading]) -> tuple[CapacityEvent, ...]:
    """Limits of several events without overlap: at each site and instant the highest priority counts alone.

    Where priorities are equal, OpenADR leaves the outcome open; here the tightest limit counts, because it is the safe one.
    """
    ranked = [(reading.priority, event) for reading in readings for event in reading.events]
    resolved: list[CapacityEvent] = []
    for site in dict.fromkeys(event.site for _, event in ranked):
        mine = [(priority, event) for priority, event in ranked if event.site == site]
        edges = sorted({edge for _, event in mine for edge in (event.start, event.end)})
        before: CapacityEvent | None = None
        for start, end in itertools.pairwise(edges):
            live = [(priority, event.limit_kw, i) for i, (priority, event) in enumerate(mine) if event.start <= start < event.end]
            winner = mine[min(live)[2]][1] if live else None
            if winner is None:
                before = None
            elif before is not None and before.name == winner.name and before.limit_kw == winner.limit_kw:
                before = replace(before, end=end)
                resolved[-1] = before
            else:
                before = replace(winner, start=start, end=end)
                resolved.append(before)
    return tuple(sorted(resolved, key=lambda event: (event.start, event.site)))
