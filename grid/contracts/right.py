"""A transport right: what a site may take from and give to the grid, and how much of that is firm.

The Dutch names: *aansluit- en transportovereenkomst* (ATO) with its contracted power; of a non-firm one the grid operator may
take the part above the firm power away, down to nothing, and says so the day before (GRID, section 1.3). A right that holds in
blocks of the day only is a right with windows.
"""

from __future__ import annotations

from dataclasses import dataclass

from grid.contracts.limits import ContractLimit, Direction
from grid.horizon import Horizon


@dataclass(frozen=True, slots=True)
class TransportRight:
    """A transport right of one site.

    Attributes:
        name: unique name; site: whose right it is.
        import_kw, export_kw: contracted power, firm and non-firm together.
        firm_import_kw, firm_export_kw: of it, what the operator cannot take away.
        windows: lower limits in parts of the day that the contract itself names.
        cuts: what the operator takes away for a period, never below the firm power.
        over_eur_per_kwh: price of each kWh above what is allowed.
    """

    name: str
    site: str
    import_kw: float
    export_kw: float
    firm_import_kw: float
    firm_export_kw: float
    windows: tuple[ContractLimit, ...] = ()
    cuts: tuple[ContractLimit, ...] = ()
    over_eur_per_kwh: float = 0.0

    def __post_init__(self) -> None:
        if self.firm_import_kw > self.import_kw or self.firm_export_kw > self.export_kw:
            raise ValueError(f"{self.name}: more firm power than power")
        firm = {Direction.IMPORT: self.firm_import_kw, Direction.EXPORT: self.firm_export_kw}
        for cut in self.cuts:
            if cut.limit_kw < firm[cut.direction]:
                raise ValueError(f"{self.name}: a cut to {cut.limit_kw:g} kW, below the firm {firm[cut.direction]:g} kW")

    def limits(self, horizon: Horizon) -> tuple[ContractLimit, ...]:
        """Everything that limits the site over ``horizon``."""
        base = ((Direction.IMPORT, self.import_kw), (Direction.EXPORT, self.export_kw))
        whole = tuple(ContractLimit(direction, horizon.start_s, horizon.end_s, limit_kw) for direction, limit_kw in base)
        return (*whole, *self.windows, *self.cuts)
