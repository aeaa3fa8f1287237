"""Faults of the mains in the document: outages and voltage dips at given times, which the simulated worlds have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from grid.mains import DIP_PU, MainsFault
from scheduler.document.fields import Name, Part, Unit, When, about
from scheduler.document.tree import Place

if TYPE_CHECKING:
    from scheduler.document.context import Context


class MainsFaultPart(Part):
    """An outage of a site's mains, or a dip of its voltage; no plan knows of it before it happens."""

    name: Annotated[Name, about("Unique name.")]
    site: Annotated[Name, about("Site whose mains fail.")]
    start: Annotated[When, about("When it begins.")]
    duration_s: Annotated[float, about("How long it lasts (text such as '45 min' is fine).", gt=0), Unit("s")]
    retained_pu: Annotated[
        float, about("Voltage that is left; 0 is an outage, less than 0.9 a dip.", ge=0, le=DIP_PU), Unit("pu")
    ] = 0.0


def check_mains_faults(context: Context) -> None:
    """Sites exist and have mains, faults begin inside the horizon, and no two of a site overlap."""
    last: dict[str, list[tuple[float, float, Place]]] = {}
    for index, part in enumerate(context.document.mains_faults):
        place = context.place("mains_faults", index)
        if not context.known((*place, "site"), part.site, "site", context.names("sites")):
            continue
        _has_mains(context, part, place)
        start = context.moment(part.start, (*place, "start"))
        if start is None or context.horizon is None:
            continue
        if not context.horizon.start <= start < context.horizon.end:
            expected = f"inside the horizon, {context.local(context.horizon.start)} to {context.local(context.horizon.end)}"
            context.report((*place, "start"), context.local(start), expected, needs=[("horizon",)])
            continue
        begin_s, end_s = start.timestamp(), start.timestamp() + part.duration_s
        for other_s, other_end_s, other in last.setdefault(part.site, []):
            if begin_s <= other_end_s and other_s <= end_s:
                expected = f"one fault of {part.site} at a time; the other one stands in line {context.tree.line(other)}"
                context.report((*place, "start"), context.local(start), expected, needs=[other])
                break
        last[part.site].append((begin_s, end_s, place))


def _has_mains(context: Context, part: MainsFaultPart, place: Place) -> None:
    for index, site in enumerate(context.document.sites):
        if site.name == part.site:
            connection = site.connection
            if max([connection.import_limit_kw, *(window.import_limit_kw or 0.0 for window in connection.windows)]) <= 0:
                where = context.place("sites", index, "connection")
                found = f"{part.site}, which takes nothing from the grid"
                context.report((*place, "site"), found, "a site with mains that can fail", needs=[where])


def build_mains_faults(context: Context) -> tuple[MainsFault, ...]:
    """The faults of a document without findings, in Unix seconds."""
    found = []
    for index, part in enumerate(context.document.mains_faults):
        start = context.moment(part.start, (*context.place("mains_faults", index), "start"))
        if start is not None:
            found.append(MainsFault(part.name, part.site, start.timestamp(), part.duration_s, part.retained_pu))
    return tuple(found)
