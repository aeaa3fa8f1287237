"""Made-up cases of the sizes that the optimiser is measured at; one seed and size always give the same case.

Every fourth site is a hall, the others are cabinets a tenth its size. Sites of a region share a tariff (time of use, a wandering
market price, a cheap noon) and the weather; some have sun, wind or a battery. Capacity follows what the jobs would use when
they were spread over their sites, so that about ``UTILISATION`` of it is asked for. All numbers are assumed; none is measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grid.chance import stream
from grid.horizon import FloatArray
from scheduler.optimiser.case_work import Work, make_work
from scheduler.optimiser.large.case import UNSERVED_EUR_PER_KWH, Case, IntArray

UTILISATION = 0.6
SITES_A_FEEDER = 6
EVENT_H = 2.0
EVENT_EUR_PER_KWH = 0.9
PEAK_EUR_PER_KW = 1.5
VOLTAGE_BAND = 0.05
"""Drop along a feeder, per unit of nominal voltage."""


@dataclass(frozen=True, slots=True)
class Size:
    """A size that can be asked for.

    Attributes:
        name: letter; jobs, sites, slots, dt_h: of the case.
        templates: distinct shapes of jobs, or None when every job has its own.
        time_s: what a solver gets unless another limit is asked for.
        up_to_jobs: files with up to so many jobs belong to this size.
    """

    name: str
    jobs: int
    sites: int
    slots: int
    dt_h: float
    templates: int | None
    time_s: float
    up_to_jobs: float


SIZES = {
    size.name: size
    for size in (
        Size("S", 200, 5, 96, 0.25, None, 10.0, 500),
        Size("M", 1_000, 5, 192, 0.25, None, 15.0, 3_000),
        Size("L", 10_000, 20, 192, 0.25, None, 60.0, 30_000),
        Size("XL", 100_000, 200, 288, 1 / 12, 4_000, 600.0, float("inf")),
    )
}


def size_of(name: str, jobs: int) -> Size:
    """Size that a case counts to: the one that its name begins with (``L``, ``L-seed2``), else by its number of jobs."""
    said = name.replace("_", "-").split("-")[0].upper()
    return SIZES.get(said) or next(size for size in SIZES.values() if jobs <= size.up_to_jobs)


def make_case(size: Size, seed: int, templates: int | None = None, name: str | None = None) -> Case:
    """The case of ``size`` and ``seed``; ``templates`` other than the size's gives more or fewer distinct shapes of jobs."""
    sites, slots, dt_h = size.sites, size.slots, size.dt_h
    shapes = min(size.jobs, templates or size.templates or size.jobs)
    rng = stream(seed, "case.sites")
    hall = np.arange(sites) % 4 == 0
    weight = np.where(hall, rng.lognormal(0.0, 0.4, sites), 0.1 * rng.lognormal(0.0, 0.4, sites))
    weight /= weight.sum()
    work = make_work(seed, size.jobs, shapes, slots, dt_h, hall, weight)
    hour: FloatArray = np.arange(slots, dtype=np.float64) * dt_h
    busy = 0.5 - 0.5 * np.cos((hour - 3.0) / 24.0 * 2 * np.pi)  # 0 at 3 h, 1 at 15 h
    capacity, jobs_kw = _demand(work, weight, slots)
    free = 1.0 - 0.15 * busy - 0.03 * rng.random((sites, slots))
    overhead = np.where(hall, 0.15, 0.3)[:, None] + 0.06 * np.clip(np.sin((hour - 9.0) / 24.0 * 2 * np.pi), 0.0, None)
    base_kw = jobs_kw[:, None] * np.clip(0.45 + 0.35 * busy + 0.04 * rng.standard_normal((sites, slots)), 0.1, None)
    fixed_kw = base_kw * (1.0 + overhead) + 0.05 * jobs_kw[:, None]
    mean_kw = fixed_kw.mean(axis=1) + jobs_kw * (1.0 + overhead.mean(axis=1))
    import_kw = np.maximum(mean_kw * rng.uniform(1.5, 2.2, sites), 1.25 * fixed_kw.max(axis=1))
    battery_kwh = np.where(rng.random(sites) < 0.7, mean_kw * rng.uniform(1.0, 4.0, sites), 0.0)
    battery_kw = battery_kwh / rng.choice([2.0, 4.0], sites)
    region = np.arange(sites) // max(1, -(-sites // max(1, sites // 4)))
    buy, sell = _prices(seed, region, hour, dt_h)
    events = _events(seed, region, slots, dt_h)
    feeder = np.arange(sites) // SITES_A_FEEDER
    flow_kw: FloatArray = 0.72 * np.bincount(feeder, import_kw).astype(np.float64)
    each = np.ones((1, slots))
    return Case(
        name=name or f"{size.name}-seed{seed}",
        dt=dt_h,
        cap=np.floor(capacity[:, :, None] * free[None]),
        a=fixed_kw,
        pue=1.0 + overhead,
        ren=_weather(seed, region, hour, dt_h, mean_kw),
        E=battery_kwh,
        Pc=battery_kw,
        Pd=battery_kw.copy(),
        soc0=battery_kwh / 2,
        soc_min=np.zeros(sites),
        eta_c=np.full(sites, 0.95),
        eta_d=np.full(sites, 0.95),
        wear=np.full(sites, 0.02),
        gmax=import_kw[:, None] * each,
        emax=(import_kw * rng.choice([0.0, 0.5, 1.0], sites, p=[0.2, 0.3, 0.5]))[:, None] * each,
        pi=buy,
        po=sell,
        pk0=1.05 * mean_kw,
        dc=np.full(sites, PEAK_EUR_PER_KW),
        unserved=np.full(sites, UNSERVED_EUR_PER_KWH),
        dr_site=events[0],
        dr_start=events[1],
        dr_end=events[2],
        dr_limit_kw=0.75 * mean_kw[events[0]],
        dr_penalty=np.full(len(events[0]), EVENT_EUR_PER_KWH),
        fid=feeder,
        flim=flow_kw,
        vco=_lines(seed, feeder, import_kw),
        vtol=VOLTAGE_BAND,
        **{name: getattr(work, name) for name in Work.__dataclass_fields__},
    )


def _demand(work: Work, weight: FloatArray, slots: int) -> tuple[FloatArray, FloatArray]:
    """Capacity ``[R, S]`` before the day's swing, and IT power of the jobs, kW ``[S]``, when they spread over their sites."""
    sites, job = len(weight), np.repeat(np.arange(len(work.p)), np.diff(work.ep))
    pull = weight[work.es] + 0.1 / sites
    share = pull / np.bincount(job, pull, len(work.p))[job]

    def spread(amount: FloatArray) -> FloatArray:
        mean: FloatArray = np.bincount(work.es, share * (amount * work.p)[job], sites) / slots
        most = np.zeros(sites)
        np.maximum.at(most, work.es, amount[job])
        return np.maximum(mean / UTILISATION, 2.0 * most)

    capacity = np.stack([spread(work.res[:, resource]) for resource in range(work.res.shape[1])])
    capacity[2] *= 1.15  # memory is seldom what binds
    jobs_kw = np.maximum(0.3, spread(work.pw) * UTILISATION)
    return capacity + 1.0, jobs_kw


def _prices(seed: int, region: IntArray, hour: FloatArray, dt_h: float) -> tuple[FloatArray, FloatArray]:
    """Import price (carbon priced in) and export price, EUR/kWh ``[S, T]``; in some regions exporting costs money at noon."""
    rng = stream(seed, "case.prices")
    count = int(region.max()) + 1
    clock = hour % 24.0
    tariff = np.select([(clock >= 17) & (clock < 21), (clock >= 7) & (clock < 23)], [0.27, 0.16], 0.09)
    wander = np.cumsum(rng.normal(0.0, 0.006 * np.sqrt(dt_h / 0.25), (count, len(hour))), axis=1)
    noon = np.clip(np.cos((clock - 13.0) / 6.0 * np.pi / 2), 0.0, None) * (np.abs(clock - 13.0) < 6.0)
    market = np.clip(tariff * rng.uniform(0.8, 1.2, (count, 1)) + np.clip(wander, -0.06, 0.06), 0.02, None)
    carbon = 0.08 * np.clip(0.33 + rng.normal(0.0, 0.05, (count, 1)) - 0.15 * noon, 0.05, None)
    glut = 0.06 * noon * (np.arange(count) % 3 == 1)[:, None]
    buy = market + carbon
    sell = np.minimum(0.35 * market - glut, buy - 0.005)
    return buy[region], sell[region]


def _weather(seed: int, region: IntArray, hour: FloatArray, dt_h: float, mean_kw: FloatArray) -> FloatArray:
    """Sun and wind that is available, kW ``[S, T]``."""
    rng = stream(seed, "case.weather")
    count, sites = int(region.max()) + 1, len(mean_kw)
    clock = hour % 24.0
    height = np.clip(np.sin((clock - 6.0) / 12.0 * np.pi), 0.0, None) * ((clock > 6) & (clock < 18))
    drift = np.cumsum(rng.normal(0.0, 0.05 * np.sqrt(dt_h / 0.25), (2, count, len(hour))), axis=2)
    clear, wind = np.clip(0.8 + drift[0], 0.15, 1.0), np.clip(0.35 + drift[1], 0.0, 1.0)
    sun_kw = mean_kw * rng.choice([0.0, 0.8, 1.6, 2.4], sites, p=[0.25, 0.3, 0.3, 0.15])
    wind_kw = mean_kw * rng.choice([0.0, 0.6, 1.2], sites, p=[0.6, 0.25, 0.15])
    available: FloatArray = sun_kw[:, None] * height * clear[region] + wind_kw[:, None] * wind[region]
    return available


def _events(seed: int, region: IntArray, slots: int, dt_h: float) -> IntArray:
    """Site, first slot and end of each demand-response event: an evening a day and region, most of its sites."""
    rng = stream(seed, "case.events")
    found = []
    for day in range(int(slots * dt_h // 24)):
        begin = rng.integers(16, 19, int(region.max()) + 1)
        for site in np.flatnonzero(rng.random(len(region)) < 0.6):
            first = round((24 * day + int(begin[region[site]])) / dt_h)
            found.append((site, first, min(slots, first + round(EVENT_H / dt_h))))
    return np.array(found, dtype=np.int64).reshape(-1, 3).T


def _lines(seed: int, feeder: IntArray, import_kw: FloatArray) -> FloatArray:
    """Voltage drop per kW of flow through each site of a chain: at full flow the end of the chain is just out of its band."""
    rng = stream(seed, "case.lines")
    drop = np.zeros(len(feeder))
    for chain in (np.flatnonzero(feeder == number) for number in range(int(feeder.max()) + 1)):
        flow_kw = 0.72 * np.cumsum(import_kw[chain][::-1])[::-1]
        length = rng.uniform(0.5, 1.5, len(chain))
        drop[chain] = 1.1 * VOLTAGE_BAND * length / length.sum() / flow_kw
    return drop
