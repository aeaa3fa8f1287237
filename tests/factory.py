"""Small scenarios for tests, built without files; every value can be overridden."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from grid.assets.battery import Battery
from grid.connection import Connection
from grid.horizon import Horizon
from grid.series import Series
from grid.tariff import Carbon, Tariff
from scheduler.data import Dataset, Tier
from scheduler.facility import Link, NodeGroup, Site
from scheduler.scenario import Scenario
from scheduler.workload import Job, JobKind

START = datetime(2022, 6, 30, 22, 0, tzinfo=UTC)  # local midnight in Amsterdam


def day_horizon(slots: int = 24, minutes: int = 60) -> Horizon:
    """A horizon from local midnight."""
    return Horizon(START, timedelta(minutes=minutes), slots)


def bell(horizon: Horizon, peak_kw: float, noon_h: float = 12.0, width_h: float = 3.0) -> Series:
    """A sun-like curve in kW, zero at night."""
    hours = (np.arange(horizon.slots) + 0.5) * horizon.step_h % 24
    values = peak_kw * np.exp(-(((hours - noon_h) / width_h) ** 2))
    values[values < 0.02 * peak_kw] = 0.0
    return Series.on(horizon, values, "kW", "test sun")


def site(
    horizon: Horizon,
    name: str,
    tier: Tier = Tier.COLD,
    *,
    nodes: int = 4,
    solar_kw: float = 0.0,
    battery: Battery | None = None,
    import_limit_kw: float = 50.0,
    export_limit_kw: float = 50.0,
    peak_eur_per_kw: float = 0.1,
    bus: str | None = None,
) -> Site:
    """A site with ``nodes`` nodes of 16 cores, 0.1 kW idle and 0.5 kW peak, dear evenings and cheap nights."""
    hours = (np.arange(horizon.slots) + 0.5) * horizon.step_h % 24
    price = 100 + 80 * np.exp(-(((hours - 19) / 2.5) ** 2)) - 40 * np.exp(-(((hours - 13) / 3) ** 2))
    carbon = 350 - 120 * np.exp(-(((hours - 13) / 3) ** 2))
    return Site(
        name=name,
        tier=tier,
        nodes=(NodeGroup("rack", nodes, 16, 64.0, 0, 0.1, 0.5, 0.2),),
        pue=1.2,
        overhead_kw=0.1,
        solar_kw=bell(horizon, solar_kw) if solar_kw else None,
        wind_kw=None,
        battery=battery,
        connection=Connection(
            Series.constant(import_limit_kw, horizon, "kW"), Series.constant(export_limit_kw, horizon, "kW"), bus
        ),
        tariff=Tariff(
            Series.on(horizon, price, "EUR/MWh", "test price"),
            Series.on(horizon, price - 60, "EUR/MWh", "test export price"),
            peak_eur_per_kw,
        ),
        carbon=Carbon(Series.on(horizon, carbon, "g/kWh", "test carbon")),
    )


def job(
    name: str,
    *,
    release_h: float = 0.0,
    deadline_h: float = 24.0,
    duration_h: float = 2.0,
    kind: JobKind = JobKind.RIGID,
    sites: tuple[str, ...] = ("hall",),
    nodes: int = 1,
    cores: int = 16,
    inputs: tuple[str, ...] = (),
    drop_eur: float = 10.0,
) -> Job:
    """A whole-node job; hours count from ``START``."""
    return Job(
        name=name,
        kind=kind,
        release=START + timedelta(hours=release_h),
        deadline=START + timedelta(hours=deadline_h),
        duration=timedelta(hours=duration_h),
        nodes=nodes,
        cores=cores,
        memory_gb=8.0,
        sites=sites,
        inputs=inputs,
        drop_eur=drop_eur,
    )


def small_scenario(slots: int = 24, minutes: int = 60, **changes: object) -> Scenario:
    """Three sites (cabinet with sun and battery, hall with sun, vault), one dataset to move, six jobs, one day."""
    horizon = day_horizon(slots, minutes)
    battery = Battery(10.0, 5.0, 5.0, 0.95, 0.95, 5.0, 1.0, 0.02)
    scenario = Scenario(
        name="small",
        title="a small test scenario",
        seed=7,
        horizon=horizon,
        sites=(
            site(horizon, "cabinet", Tier.HOT, nodes=2, solar_kw=6.0, battery=battery),
            site(horizon, "hall", Tier.COLD, nodes=4, solar_kw=10.0),
            site(horizon, "vault", Tier.FROZEN, nodes=1),
        ),
        links=(Link("fibre", ("cabinet", "hall"), 1000.0, 0.2), Link("dark", ("hall", "vault"), 1000.0, 0.2)),
        datasets=(
            Dataset("photos", Tier.HOT, 1.0, ("cabinet",), ("cabinet",)),
            Dataset("scans", Tier.FROZEN, 0.9, ("hall",), ("vault",), START + timedelta(hours=20)),
        ),
        jobs=(
            job("index", duration_h=2, sites=("cabinet",), inputs=("photos",)),
            job("render", duration_h=3, deadline_h=20, nodes=2),
            job("train", duration_h=5, kind=JobKind.INTERRUPTIBLE),
            job("backup", release_h=6, duration_h=1, deadline_h=12),
            job("nightly", duration_h=1, deadline_h=6),
            job("transcode", release_h=8, duration_h=2, sites=("cabinet", "hall")),
        ),
    )
    return replace(scenario, **changes)  # type: ignore[arg-type]
