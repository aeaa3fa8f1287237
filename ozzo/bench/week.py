"""The week that ozzo and Vessim both meter: load, sun and battery of a site, and ozzo's side of it.

Made from a seed: sun as a half sine by day with clouds that change every minute, load of 1 to 2 kW that changes every minute.
So every step of 60 s is a step for ozzo too, although the energy core would need none where nothing changes. The battery has no
losses, because Vessim's has none; then both must give the same energies.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from grid.assets.battery import Battery
from grid.connection import Connection
from grid.horizon import FloatArray, Horizon
from grid.series import Series
from grid.tariff import Carbon, Tariff
from scheduler.data import Tier
from scheduler.facility import Site
from sim.energy_core.layout import MeteredSite
from sim.energy_core.meter import Metered, meter_sites
from sim.world.flows import FLOWS

STEP_S, STEPS = 60, 10_080
START = datetime(2022, 6, 9, tzinfo=UTC)
CAPACITY_KWH, INITIAL, LEAST, C_RATE = 5.0, 0.5, 0.2, 1.0
"""Battery: capacity, shares of it at the start and at least, charge and discharge per hour over capacity."""
SUN_KW, LOAD_KW = 5.0, 1.5
UNLIMITED_KW = 1e9


@dataclass(frozen=True, slots=True, eq=False)
class Week:
    """Load and sun of one site, kW by step."""

    load_kw: FloatArray
    sun_kw: FloatArray
    step_s: int = STEP_S

    @property
    def horizon(self) -> Horizon:
        """The steps."""
        return Horizon(START, timedelta(seconds=self.step_s), len(self.load_kw))


def make_week(seed: int, steps: int = STEPS) -> Week:
    """A site's week, or the first ``steps`` of it."""
    rng = np.random.default_rng(seed)
    hours = np.arange(steps) * STEP_S / 3600.0 % 24.0
    clear = np.maximum(0.0, np.sin((hours - 6.0) / 12.0 * np.pi))
    return Week(LOAD_KW * (1.0 + 0.33 * rng.uniform(-1.0, 1.0, steps)), SUN_KW * clear * rng.uniform(0.3, 1.0, steps))


def sites_of(weeks: list[Week]) -> list[MeteredSite]:
    """The same sites for the energy core: no nodes, the load as IT power at a PUE of 1."""
    horizon = weeks[0].horizon
    edges, always = horizon.edges_s, Series.constant(UNLIMITED_KW, horizon, "kW")
    price, carbon = Series.constant(0.0, horizon, "EUR/MWh"), Series.constant(0.0, horizon, "g/kWh")
    power, soc = C_RATE * CAPACITY_KWH, INITIAL * CAPACITY_KWH
    battery = Battery(CAPACITY_KWH, power, power, 1.0, 1.0, soc, LEAST * CAPACITY_KWH)
    return [
        MeteredSite(
            Site(
                name=f"site-{k}",
                tier=Tier.HOT,
                nodes=(),
                pue=1.0,
                overhead_kw=0.0,
                solar_kw=None,
                wind_kw=None,
                battery=battery,
                connection=Connection(always, always),
                tariff=Tariff(price, price, 0.0),
                carbon=Carbon(carbon),
            ),
            sun_kw=Series(edges, week.sun_kw, "kW", "bench"),
            it_kw=Series(edges, week.load_kw, "kW", "bench"),
        )
        for k, week in enumerate(weeks)
    ]


def meter_week(sites: list[MeteredSite], horizon: Horizon, csv: Path | None = None) -> Metered:
    """Meter the sites; with ``csv`` every energy and state of charge of every step is written there, a row a site and step."""
    found = meter_sites(sites, horizon, None if csv is None else horizon.step)
    if csv is not None:
        write_csv(found, csv)
    return found


def write_csv(found: Metered, path: Path) -> None:
    """The time series as CSV: site, time (UTC), energies (kWh a step), state of charge (kWh).

    Raises:
        ValueError: metered without reporting.
    """
    import pyarrow as pa
    from pyarrow import csv

    if found.slots is None:
        raise ValueError("there is no time series: meter with a reporting step")
    n, slots, flows = found.slot_kwh.shape
    times = np.datetime64(found.slots.start.replace(tzinfo=None), "s") + np.arange(slots) * np.timedelta64(
        int(found.slots.step_s), "s"
    )
    columns = {
        "site": pa.array(np.repeat(np.array(found.sites, dtype=object), slots)),
        "time": pa.array(np.tile(times, n)),
        **{
            name: pa.array(np.ascontiguousarray(found.slot_kwh[:, :, f].reshape(n * slots)))
            for f, name in zip(range(flows), FLOWS, strict=True)
        },
        "soc_kwh": pa.array(found.slot_soc_kwh.reshape(n * slots)),
    }
    csv.write_csv(pa.table(columns), path)
