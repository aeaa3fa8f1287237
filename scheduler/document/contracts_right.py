"""Transport rights in the document: firm and non-firm power, windows, and what the grid operator takes away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from grid.contracts.limits import ContractLimit, Direction
from grid.contracts.right import TransportRight
from grid.contracts.windows import DAY_MINUTES
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
from scheduler.document.fields import Name, Part, Unit, about
from scheduler.document.tree import Place

if TYPE_CHECKING:
    from scheduler.document.context import Context

WAYS = (("import_kw", Direction.IMPORT), ("export_kw", Direction.EXPORT))


class RightWindowPart(TimesPart):
    """Lower limits in a part of the day that the contract itself names (time-block rights, windows of 0 kW)."""

    import_kw: Annotated[float | None, about("Largest import in the window; as outside it when left out.", ge=0), Unit("kW")] = (
        None
    )
    export_kw: Annotated[float | None, about("Largest export in the window; as outside it when left out.", ge=0), Unit("kW")] = (
        None
    )


class CutPart(PeriodPart):
    """What the grid operator takes away for one period, told by the end of the day before; never below the firm power."""

    import_kw: Annotated[float | None, about("Largest import in the period; not changed when left out.", ge=0), Unit("kW")] = None
    export_kw: Annotated[float | None, about("Largest export in the period; not changed when left out.", ge=0), Unit("kW")] = None


class RightPart(Part):
    """A transport right of one site: contracted power, firm or not."""

    kind: Annotated[Literal["transport_right"], about("Kind of the contract.")]
    name: Annotated[Name, about("Unique name.")]
    site: Annotated[Name, about("Site whose right it is.")]
    import_kw: Annotated[float, about("Contracted import, firm and non-firm together.", ge=0), Unit("kW")]
    export_kw: Annotated[float, about("Contracted export, firm and non-firm together.", ge=0), Unit("kW")] = 0.0
    firm_import_kw: Annotated[
        float | None, about("Import that cannot be taken away; all of it when left out.", ge=0), Unit("kW")
    ] = None
    firm_export_kw: Annotated[
        float | None, about("Export that cannot be taken away; all of it when left out.", ge=0), Unit("kW")
    ] = None
    windows: Annotated[tuple[RightWindowPart, ...], about("Lower limits in parts of the day.")] = ()
    cuts: Annotated[tuple[CutPart, ...], about("What the grid operator takes away of the non-firm power.")] = ()
    over_eur_per_kwh: Annotated[float, about("Price of each kWh above what is allowed.", ge=0), Unit("EUR/kWh")] = 0.0

    def firm_kw(self, name: str) -> float:
        """Firm power in the direction of a field."""
        firm: float | None = getattr(self, f"firm_{name}")
        whole: float = getattr(self, name)
        return whole if firm is None else firm


def check_right(context: Context, part: RightPart, place: Place) -> None:
    """Firm within contracted power, windows below it, cuts that are announced in time and leave the firm power."""
    check_windows(context, part.windows, (*place, "windows"), [name for name, _ in WAYS])
    for name, _ in WAYS:
        whole, firm = getattr(part, name), part.firm_kw(name)
        needs = [(*place, name)]
        if firm > whole:
            expected = f"at most {name}, which is {whole:g} kW"
            context.report((*place, f"firm_{name}"), f"{firm:g} kW", expected, needs=needs)
        for index, window in enumerate(part.windows):
            limit, where = getattr(window, name), (*context.place(*place, "windows", index), name)
            if limit is not None and limit >= whole:
                context.report(where, f"{limit:g} kW", f"less than {name} of the contract, which is {whole:g} kW", needs=needs)
    _check_cuts(context, part, place)


def _check_cuts(context: Context, part: RightPart, place: Place) -> None:
    spans = []
    for index, cut in enumerate(part.cuts):
        where = context.place(*place, "cuts", index)
        span = period_of(context, cut, where)
        spans.append(span)
        if span is not None:
            told = told_at(context, cut, span[0], DAY_MINUTES, where, finding=True)
            if cut.export_kw is not None:
                check_late_export(context, told, where)
        if all(getattr(cut, name) is None for name, _ in WAYS):
            context.report(where, "a cut that changes nothing", "import_kw or export_kw")
        for name, _ in WAYS:
            limit, firm = getattr(cut, name), part.firm_kw(name)
            if limit is not None and limit < firm:
                expected = f"at least the firm power, {firm:g} kW (firm_{name}), which cannot be taken away"
                needs = [(*place, name), (*place, f"firm_{name}")]
                context.report((*where, name), f"{limit:g} kW", expected, needs=needs)
    for name, _ in WAYS:
        said = [index for index, cut in enumerate(part.cuts) if getattr(cut, name) is not None]
        check_periods(context, [(context.place(*place, "cuts", index), spans[index]) for index in said])


def build_right(context: Context, part: RightPart, place: Place, horizon: Horizon) -> TransportRight:
    """The right of a part without findings."""
    cuts: list[ContractLimit] = []
    windows: list[ContractLimit] = []
    for index, cut in enumerate(part.cuts):
        where = context.place(*place, "cuts", index)
        span = period_of(context, cut, where)
        if span is not None:
            told = told_at(context, cut, span[0], DAY_MINUTES, where)
            cuts += [
                ContractLimit(direction, span[0].timestamp(), span[1].timestamp(), getattr(cut, name), told)
                for name, direction in WAYS
                if getattr(cut, name) is not None
            ]
    for window in part.windows:
        for name, direction in WAYS:
            if getattr(window, name) is not None:
                windows += window_limits(context, horizon, window, direction, getattr(window, name))
    return TransportRight(
        part.name,
        part.site,
        part.import_kw,
        part.export_kw,
        part.firm_kw("import_kw"),
        part.firm_kw("export_kw"),
        tuple(windows),
        tuple(cuts),
        part.over_eur_per_kwh,
    )
