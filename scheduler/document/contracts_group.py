"""Group caps in the document: one right that several sites share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from grid.contracts.group import GroupCap
from grid.contracts.limits import Direction
from grid.horizon import Horizon
from scheduler.document.contracts_times import TimesPart, check_windows, window_limits
from scheduler.document.fields import Name, Part, Unit, about
from scheduler.document.tree import Place

if TYPE_CHECKING:
    from scheduler.document.context import Context


class GroupWindowPart(TimesPart):
    """A lower cap in a part of the day."""

    import_kw: Annotated[float, about("Largest sum of the members' imports in the window.", ge=0), Unit("kW")]


class GroupPart(Part):
    """A cap on what several sites take from the grid together, in every slot."""

    kind: Annotated[Literal["group_cap"], about("Kind of the contract.")]
    name: Annotated[Name, about("Unique name.")]
    members: Annotated[tuple[Name, ...], about("The sites, at least two.", min_length=2)]
    import_kw: Annotated[float, about("Largest sum of the members' imports.", ge=0), Unit("kW")]
    export_kw: Annotated[
        float | None, about("Largest sum of the members' exports; no limit of its own when left out.", ge=0), Unit("kW")
    ] = None
    windows: Annotated[tuple[GroupWindowPart, ...], about("Lower caps in parts of the day.")] = ()
    over_eur_per_kwh: Annotated[
        float, about("Price of each kWh above the cap; members pay by their share of the sum.", ge=0), Unit("EUR/kWh")
    ] = 0.0


def check_group(context: Context, part: GroupPart, place: Place) -> None:
    """Members exist, each once, and windows are below the cap."""
    for index, name in enumerate(part.members):
        where = context.place(*place, "members", index)
        if context.known(where, name, "site", context.names("sites")) and name in part.members[:index]:
            context.report(where, f"{name!r} twice", "each member once")
    check_windows(context, part.windows, (*place, "windows"))
    for index, window in enumerate(part.windows):
        if window.import_kw >= part.import_kw:
            where = (*context.place(*place, "windows", index), "import_kw")
            expected = f"less than import_kw of the contract, which is {part.import_kw:g} kW"
            context.report(where, f"{window.import_kw:g} kW", expected, needs=[(*place, "import_kw")])


def build_group(context: Context, part: GroupPart, horizon: Horizon) -> GroupCap:
    """The cap of a part without findings."""
    windows = [
        limit for window in part.windows for limit in window_limits(context, horizon, window, Direction.IMPORT, window.import_kw)
    ]
    return GroupCap(part.name, part.members, part.import_kw, part.export_kw, tuple(windows), part.over_eur_per_kwh)
