"""What the fields of a group of nodes that sleep say together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scheduler.document.assets_heat import HeatPart
from scheduler.document.tree import Place
from scheduler.sleep import Sleep

if TYPE_CHECKING:
    from scheduler.document.context import Context
    from scheduler.document.places import NodesPart, SitePart, SleepPart


def check_sleep(context: Context, group: NodesPart, place: Place, site: SitePart) -> None:
    """Sleep draws the least of all states, and the site has no heat reuse (which counts on the heat of idle nodes)."""
    if group.sleep is None:
        return
    where, power_kw = (*place, "sleep"), group.sleep.power_kw
    if power_kw > group.idle_kw:
        context.report((*where, "power_kw"), f"{power_kw:g} kW", f"at most idle_kw, which is {group.idle_kw:g} kW", needs=[place])
    for name in ("down_kw", "up_kw"):
        value = getattr(group.sleep, name)
        if value < power_kw:
            expected = f"at least power_kw of the sleep, which is {power_kw:g} kW"
            context.report((*where, name), f"{value:g} kW", expected, needs=[where])
    if any(isinstance(asset, HeatPart) for asset in site.assets):
        expected = "nodes that do not sleep where heat is reused: the plan counts on the heat of idle nodes"
        context.report(where, "a sleep", expected, needs=[place[:-2]])


def build_sleep(part: SleepPart | None) -> Sleep | None:
    """The sleep of a part without findings."""
    if part is None:
        return None
    return Sleep(part.after_minutes * 60.0, part.power_kw, part.down_s, part.down_kw, part.up_s, part.up_kw)
