"""When contracts hold: windows of the day and single periods in the document, with all that can be wrong about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from grid.contracts.isp import ISP, Isp, isp_start, isps_of
from grid.contracts.limitation import latest_call
from grid.contracts.limits import ContractLimit, Direction
from grid.contracts.windows import DailyWindow, Days, first_overlap
from grid.horizon import Horizon
from scheduler.document.fields import Count, Day, Part, TimeOfDay, When, about
from scheduler.document.tree import Place

if TYPE_CHECKING:
    from scheduler.document.context import Context

WAYS = "start and end, or day, first_isp and last_isp"
QUARTER_WORDS = "a time on a full quarter of an hour (the settlement period)"


class TimesPart(Part):
    """A part of every day of some kind."""

    from_: Annotated[TimeOfDay, about("First local time of the window."), Field(alias="from")]
    to: Annotated[TimeOfDay, about("First local time after the window; earlier than 'from' runs over midnight.")]
    days: Annotated[Days, about("Days on which it begins; public holidays count as the weekday that they fall on.")] = Days.ALL

    @property
    def window(self) -> DailyWindow:
        """The window without what it says."""
        return DailyWindow(self.from_, self.to, self.days)


class PeriodPart(Part):
    """One period, by instants or by the numbers of its settlement periods (quarters of a local day, from 1)."""

    start: Annotated[When | None, about("First instant.")] = None
    end: Annotated[When | None, about("First instant after it.")] = None
    day: Annotated[Day | None, about("Local day, when the period is given by numbers.")] = None
    first_isp: Annotated[Count | None, about("First settlement period of that day, from 1.", ge=1, le=100)] = None
    last_isp: Annotated[Count | None, about("Last one; a day has 96, or 92 or 100 when the clock changes.", ge=1, le=100)] = None
    told: Annotated[When | None, about("When the grid operator told it; as late as the contract allows when left out.")] = None


def check_windows(context: Context, windows: Sequence[TimesPart], place: Place, what: Sequence[str] = ("",)) -> None:
    """Windows of a contract have a length, lie on quarter-hours, and no two that say the same thing overlap.

    Args:
        context: of the document.
        windows: the windows.
        place: place of their list.
        what: fields of which a window says some; windows overlap when they share minutes and a field. ``("",)``: any two.
    """
    fine = True
    for index, window in enumerate(windows):
        where = context.place(*place, index)
        if window.from_ == window.to:
            fine = False
            context.report(where, "a window of no length", "'to' different from 'from' ('00:00' to '24:00' is the whole day)")
        for name, minute in (("from", window.from_), ("to", window.to)):
            if minute % 15:
                fine = False
                context.report((*where, name), context.written((*where, name)), QUARTER_WORDS)
        if what != ("",) and all(getattr(window, name) is None for name in what):
            context.report(where, "a window that changes nothing", " or ".join(what))
    for name in what if fine else ():
        chosen = [index for index, window in enumerate(windows) if not name or getattr(window, name) is not None]
        pair = first_overlap(windows[index].window for index in chosen)
        if pair is not None:
            first, second = (context.place(*place, chosen[at]) for at in pair)
            expected = f"windows that do not overlap; the one in line {context.tree.line(first)} covers some of the same time"
            context.report(second, "overlapping windows", expected, needs=[first])


def window_limits(
    context: Context, horizon: Horizon, window: TimesPart, direction: Direction, limit_kw: float
) -> tuple[ContractLimit, ...]:
    """Limits of a window over the horizon."""
    spans = window.window.spans(horizon.start, horizon.end, context.zone)
    return tuple(ContractLimit(direction, start, end, limit_kw) for start, end in spans if end > horizon.start_s)


def period_of(context: Context, part: PeriodPart, place: Place) -> tuple[datetime, datetime] | None:
    """First instant of a period and the one after it, UTC; None with findings, or when the horizon is wrong."""
    by_time = [name for name in ("start", "end") if getattr(part, name) is not None]
    by_number = [name for name in ("day", "first_isp", "last_isp") if getattr(part, name) is not None]
    if (len(by_time), len(by_number)) not in {(2, 0), (0, 3)}:
        context.report(place, ", ".join(by_time + by_number) or "no period", WAYS)
        return None
    if by_number:
        found = _by_number(context, part, place)
    else:
        start, end = (context.moment(getattr(part, name), (*place, name)) for name in by_time)
        found = None if start is None or end is None else (start, end)
    return None if found is None or not _inside(context, found, place, by_time or by_number) else found


def _by_number(context: Context, part: PeriodPart, place: Place) -> tuple[datetime, datetime] | None:
    """Instants of a period that is given by day and numbers."""
    if part.day is None or part.first_isp is None or part.last_isp is None:
        return None
    count = isps_of(part.day, context.zone)
    for name in ("first_isp", "last_isp"):
        if getattr(part, name) > count:
            expected = f"at most {count}, the number of settlement periods of {part.day:%Y-%m-%d} in {context.zone.key}"
            context.report((*place, name), f"{getattr(part, name)}", expected, needs=[(*place, "day")])
            return None
    first = isp_start(Isp(part.day, part.first_isp), context.zone)
    return first, isp_start(Isp(part.day, part.last_isp), context.zone) + ISP


def _inside(context: Context, period: tuple[datetime, datetime], place: Place, fields: list[str]) -> bool:
    """True when a period has a length, lies on quarter-hours and touches the horizon; else findings."""
    (start, end), last = period, (*place, fields[-1])
    if end <= start:
        context.report(last, context.local(end), f"after the period's start, {context.local(start)}", needs=[place])
        return False
    for name, moment in (("start", start), ("end", end)):
        if (moment - datetime.fromtimestamp(0, moment.tzinfo)) % ISP:
            context.report((*place, name), context.local(moment), QUARTER_WORDS)
            return False
    horizon = context.horizon
    if horizon is not None and (end <= horizon.start or start >= horizon.end):
        expected = f"a period that touches the horizon, {context.local(horizon.start)} to {context.local(horizon.end)}"
        found = f"{context.local(start)} to {context.local(end)}"
        context.report((*place, fields[0]), found, expected, needs=[place, ("horizon",)])
        return False
    return True


def told_at(
    context: Context, part: PeriodPart, start: datetime, minute: int, place: Place, *, finding: bool = False
) -> datetime | None:
    """When a period was told, UTC: as written, else as late as the contract allows.

    Args:
        context: of the document.
        part: the period.
        start: its first instant.
        minute: local minute of the day before until which it may be told.
        place: place of the period.
        finding: whether to report one that was told too late.
    """
    latest = latest_call(start, minute, context.zone)
    told = context.moment(part.told, (*place, "told"), latest)
    if finding and told is not None and told > latest:
        expected = f"at the latest {context.local(latest)}, on the day before it begins"
        context.report((*place, "told"), context.local(told), expected, needs=[place])
    return told


def check_late_export(context: Context, told: datetime | None, place: Place) -> None:
    """A period on export is known from the start: events, which make a run plan again, limit net import only."""
    horizon = context.horizon
    if told is not None and horizon is not None and told > horizon.start:
        expected = f"a period on export that is known at the horizon's start, {context.local(horizon.start)}"
        context.report((*place, "told"), context.local(told), expected, needs=[("horizon",)])


def check_periods(context: Context, spans: Sequence[tuple[Place, tuple[datetime, datetime] | None]]) -> None:
    """No two periods that say the same thing overlap."""
    known = [(place, span) for place, span in spans if span is not None]
    for at, (place, (start, end)) in enumerate(known):
        for before, (first, last) in known[:at]:
            if start < last and first < end:
                expected = f"periods that do not overlap; see line {context.tree.line(before)}"
                context.report(place, "overlapping periods", expected, needs=[before])
                break
