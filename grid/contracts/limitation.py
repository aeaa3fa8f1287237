"""Capacity limitation contracts: a site gives up a part of its right, on call or in fixed blocks, and is paid for it.

GOPACS has both: with a CLC-A the grid operator calls for each period, the day before (Liander at 08:00); with a CLC-T the blocks
stand in the contract (GRID, section 1.3). What is paid is agreed between the two; here it is a price per MWh of transport that
the site gave up, which is an assumption on the form.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

import numpy as np

from grid.contracts.limits import ContractLimit, Direction, lowest_kw
from grid.contracts.windows import instant
from grid.horizon import FloatArray, Horizon

LIANDER_CALL_MINUTE = 8 * 60
"""Liander calls at 08:00 the day before (GRID, section 1.3)."""


class LimitationKind(StrEnum):
    """How the periods of a limitation come about."""

    ON_CALL = "clc_a"
    FIXED_BLOCKS = "clc_t"


@dataclass(frozen=True, slots=True)
class CapacityLimitation:
    """A capacity limitation contract of one site, in one direction.

    Attributes:
        name: unique name; site: whose contract it is.
        kind: on call or in fixed blocks.
        direction: of the power that is limited.
        periods: the limits that were called, or that the blocks come to.
        reward_eur_per_mwh: paid to the site for each MWh of transport that it gave up, used or not.
        over_eur_per_kwh: price of each kWh above a limit.
    """

    name: str
    site: str
    kind: LimitationKind
    direction: Direction
    periods: tuple[ContractLimit, ...]
    reward_eur_per_mwh: float = 0.0
    over_eur_per_kwh: float = 0.0

    def __post_init__(self) -> None:
        if any(period.direction is not self.direction for period in self.periods):
            raise ValueError(f"{self.name}: a period in another direction than the contract")

    def limits(self, horizon: Horizon) -> tuple[ContractLimit, ...]:
        """Everything that limits the site (whatever the horizon)."""
        del horizon
        return self.periods

    def given_up_kwh(self, allowed_kw: FloatArray, horizon: Horizon) -> FloatArray:
        """Transport that the site gave up in each slot, ``[T]`` kWh.

        Args:
            allowed_kw: what connection and transport right allow without this contract, ``[T]``.
            horizon: settlement periods.
        """
        limit = lowest_kw(self.periods, self.direction, horizon)
        given: FloatArray = horizon.step_h * np.maximum(0.0, allowed_kw - limit)
        return given


def latest_call(start: datetime, minute: int, zone: ZoneInfo) -> datetime:
    """Latest instant at which a period may be called: a local minute of the day before the one in which it starts, UTC.

    Args:
        start: first instant of the period.
        minute: local minute of the day, 1440 for the whole day.
        zone: local clock.
    """
    day: date = start.astimezone(zone).date() - timedelta(days=1)
    return datetime.fromtimestamp(instant(day, minute, zone, fold=0), zone)
