"""Capacity limitation contracts in the document: on call (CLC-A) and in fixed blocks (CLC-T)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from grid.contracts.limitation import LIANDER_CALL_MINUTE, CapacityLimitation, LimitationKind
from grid.contracts.limits import ContractLimit, Direction
from grid.horizon import Horizon
from scheduler.document.contracts_times import (
    PeriodPart,
    TimesPart,
    check_late_export,
    check_periods,
    check_windows,
    period_of,
    told_at,
    window_limits,
)
from scheduler.document.fields import Name, Part, TimeOfDay, Unit, about
from scheduler.document.tree import Place

if TYPE_CHECKING:
    from scheduler.document.context import Context


class CallPart(PeriodPart):
    """A call of the grid operator for one period."""

    limit_kw: Annotated[
        float | None, about("Largest power in the period; the lowest that was agreed when left out.", ge=0), Unit("kW")
    ] = None


class BlockPart(TimesPart):
    """A block that stands in the contract."""

    limit_kw: Annotated[float, about("Largest power in the block.", ge=0), Unit("kW")]


class LimitationPart(Part):
    """What both kinds of capacity limitation contracts say."""

    name: Annotated[Name, about("Unique name.")]
    site: Annotated[Name, about("Site whose power is limited.")]
    direction: Annotated[Direction, about("Which power is limited.")] = Direction.IMPORT
    reward_eur_per_mwh: Annotated[
        float,
        about("Paid for each MWh of transport that the site gives up: what it was allowed, less the limit.", ge=0),
        Unit("EUR/MWh"),
    ] = 0.0
    over_eur_per_kwh: Annotated[float, about("Price of each kWh above a limit.", ge=0), Unit("EUR/kWh")] = 0.0


class OnCallPart(LimitationPart):
    """Capacity limitation on call, the day before (CLC-A)."""

    kind: Annotated[Literal["clc_a"], about("Kind of the contract.")]
    limit_kw: Annotated[float, about("Lowest limit that the grid operator may call.", ge=0), Unit("kW")]
    call_by: Annotated[TimeOfDay, about("Latest local time of a call, on the day before its period begins.")] = (
        LIANDER_CALL_MINUTE
    )
    calls: Annotated[tuple[CallPart, ...], about("What was called, or will be called during the run.")] = ()


class BlocksPart(LimitationPart):
    """Capacity limitation in fixed blocks (CLC-T)."""

    kind: Annotated[Literal["clc_t"], about("Kind of the contract.")]
    blocks: Annotated[tuple[BlockPart, ...], about("The blocks, at least one.", min_length=1)]


def check_on_call(context: Context, part: OnCallPart, place: Place) -> None:
    """Calls come in time, ask for no less than was agreed, and do not overlap."""
    spans = []
    for index, call in enumerate(part.calls):
        where = context.place(*place, "calls", index)
        span = period_of(context, call, where)
        spans.append((where, span))
        if call.limit_kw is not None and call.limit_kw < part.limit_kw:
            expected = f"at least limit_kw of the contract, which is {part.limit_kw:g} kW"
            context.report((*where, "limit_kw"), f"{call.limit_kw:g} kW", expected, needs=[(*place, "limit_kw")])
        if span is None:
            continue
        told = told_at(context, call, span[0], part.call_by, where, finding=True)
        if part.direction is Direction.EXPORT:
            check_late_export(context, told, where)
    check_periods(context, spans)


def check_blocks(context: Context, part: BlocksPart, place: Place) -> None:
    """Blocks have a length and do not overlap."""
    check_windows(context, part.blocks, (*place, "blocks"))


def build_on_call(context: Context, part: OnCallPart, place: Place, horizon: Horizon) -> CapacityLimitation:
    """The contract of a part without findings; its calls inside the horizon."""
    del horizon
    periods = []
    for index, call in enumerate(part.calls):
        where = context.place(*place, "calls", index)
        span = period_of(context, call, where)
        if span is not None:
            told = told_at(context, call, span[0], part.call_by, where)
            limit_kw = part.limit_kw if call.limit_kw is None else call.limit_kw
            periods.append(ContractLimit(part.direction, span[0].timestamp(), span[1].timestamp(), limit_kw, told))
    return _limitation(part, LimitationKind.ON_CALL, tuple(periods))


def build_blocks(context: Context, part: BlocksPart, place: Place, horizon: Horizon) -> CapacityLimitation:
    """The contract of a part without findings; its blocks on every day of the horizon."""
    del place
    periods = [limit for block in part.blocks for limit in window_limits(context, horizon, block, part.direction, block.limit_kw)]
    return _limitation(part, LimitationKind.FIXED_BLOCKS, tuple(periods))


def _limitation(part: LimitationPart, kind: LimitationKind, periods: tuple[ContractLimit, ...]) -> CapacityLimitation:
    return CapacityLimitation(part.name, part.site, kind, part.direction, periods, part.reward_eur_per_mwh, part.over_eur_per_kwh)
