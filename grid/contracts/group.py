"""A group cap: several sites share one transport right; the sum of what they take stays at or below it in every slot.

The "virtual power grid" of Schiphol Trade Park is of this form (MRA investment document of 2023, 004:1433-1444); Dutch grid
operators call it a group transport agreement. What one member leaves, another may take.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grid.contracts.limits import ContractLimit, Direction
from grid.horizon import FloatArray, Horizon


@dataclass(frozen=True, slots=True)
class GroupCap:
    """One right of several sites. What members import is summed, not netted against what others export.

    Attributes:
        name: unique name; members: names of the sites, each once.
        import_kw: largest sum of the members' imports; export_kw: of their exports, or None for no limit.
        windows: lower limits in parts of the day.
        over_eur_per_kwh: price of each kWh above what is allowed; members pay by their share of the sum in that period.
    """

    name: str
    members: tuple[str, ...]
    import_kw: float
    export_kw: float | None = None
    windows: tuple[ContractLimit, ...] = ()
    over_eur_per_kwh: float = 0.0

    def __post_init__(self) -> None:
        if len(set(self.members)) < len(self.members):
            raise ValueError(f"{self.name}: a member twice")

    def limits(self, horizon: Horizon) -> tuple[ContractLimit, ...]:
        """Everything that limits the sum over ``horizon``."""
        base = [ContractLimit(Direction.IMPORT, horizon.start_s, horizon.end_s, self.import_kw)]
        if self.export_kw is not None:
            base.append(ContractLimit(Direction.EXPORT, horizon.start_s, horizon.end_s, self.export_kw))
        return (*base, *self.windows)


def split(amount: FloatArray, of_members: FloatArray) -> FloatArray:
    """An amount of each slot shared out by what the members took of the sum, ``[members, T]``; the shares sum to it.

    Args:
        amount: ``[T]``, 0 where nobody took anything.
        of_members: what each member took, ``[members, T]``, not negative.
    """
    whole = of_members.sum(axis=0)
    shares = of_members / np.where(whole > 0.0, whole, 1.0)
    parts: FloatArray = amount * shares
    return parts
