"""The connection of a site (point of common coupling): what it may take from and give to the grid."""

from __future__ import annotations

from dataclasses import dataclass

from grid.series import Series


@dataclass(frozen=True, slots=True, eq=False)
class Connection:
    """Import and export limits that vary in time.

    Attributes:
        import_limit_kw: largest import (kW, mean of a settlement period of 15 minutes), not negative.
        export_limit_kw: largest export (kW), not negative.
        bus: name of the bus in the electrical network, or None when the site is outside it.
    """

    import_limit_kw: Series
    export_limit_kw: Series
    bus: str | None = None
