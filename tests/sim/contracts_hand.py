"""Scenarios with contracts for tests: two or three sites, one of them with a battery, in a world without any error."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from grid.assets.battery import Battery
from grid.contracts.book import ContractBook
from grid.contracts.group import GroupCap
from grid.contracts.limitation import CapacityLimitation, LimitationKind
from grid.contracts.limits import ContractLimit, Direction
from grid.contracts.right import TransportRight
from grid.horizon import Horizon
from scheduler.scenario import PlanningSettings, Scenario
from scheduler.workload import JobKind
from tests.factory import day_horizon, job, site, small_scenario
from tests.sim.hand import exact


def hours(
    horizon: Horizon, way: Direction, first_h: float, last_h: float, kw: float, known: datetime | None = None
) -> ContractLimit:
    """A limit by hours after the start of the horizon."""
    return ContractLimit(way, horizon.start_s + 3600 * first_h, horizon.start_s + 3600 * last_h, kw, known)


def contracted(book: ContractBook, *, slots: int = 48, minutes: int = 15) -> Scenario:
    """Halls a (battery and sun) and b, two jobs each, and these contracts; each draws 0.58 kW, and 0.48 kW more a job."""
    horizon = day_horizon(slots, minutes)
    unit = Battery(6.0, 3.0, 3.0, 0.95, 0.95, 4.0, 1.0, 0.01)
    halls = (site(horizon, "a", solar_kw=4.0, battery=unit, peak_eur_per_kw=0.0), site(horizon, "b", peak_eur_per_kw=0.0))
    end_h = slots * horizon.step_h
    work = tuple(
        job(f"{name}{i}", deadline_h=end_h, duration_h=2.0, kind=kind, sites=(name,))
        for name in ("a", "b")
        for i, kind in enumerate((JobKind.RIGID, JobKind.INTERRUPTIBLE))
    )
    settings = PlanningSettings(relative_gap=1e-4, time_limit_s=120.0, limit_margin=0.0)
    bare = replace(small_scenario(), horizon=horizon, sites=halls, links=(), datasets=(), jobs=work, events=(), planning=settings)
    return exact(replace(bare, contracts=book))


def every_kind(horizon: Horizon) -> ContractBook:
    """A right with a window of 0 kW, a limitation in a block, and a cap on both."""
    no_import = hours(horizon, Direction.IMPORT, 6, 8, 0.0)
    right = TransportRight("ato", "a", 4.0, 2.0, 0.0, 1.0, cuts=(no_import,), over_eur_per_kwh=1.0)
    block = hours(horizon, Direction.IMPORT, 2, 4, 0.7)
    called = CapacityLimitation("clc", "b", LimitationKind.FIXED_BLOCKS, Direction.IMPORT, (block,), 50.0, 2.0)
    cap = GroupCap("group", ("a", "b"), 1.14, 3.0, (hours(horizon, Direction.IMPORT, 8, 9, 0.9),), 3.0)
    return ContractBook((right,), (called,), (cap,))
