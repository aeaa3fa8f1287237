"""``ozzo fit``: small committed files made from large real data, so that a fresh machine has real-shaped numbers.

``fit_jobs_text`` turns a trace into a job model (``scheduler.generator``), ``hour_by_month_text`` turns a year of prices and
carbon intensity into a table by month and local hour (``grid.feeds.table``). Both write source and command into the text, so
that anybody with the data can repeat them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from grid.errors import FeedError
from grid.feeds.electricity_maps import read_carbon
from grid.feeds.market_prices import read_market_prices
from grid.feeds.reading import Reading, describe
from grid.feeds.table import zone
from grid.horizon import FloatArray
from scheduler.generator import fit, to_json
from scheduler.traces import read_tasks

SURF_SOURCE = (
    "SURF (NL) HPC jobs, 2022, from OpenDC-STEAM workload_traces/surf (MIT); cite STEAM, CCGrid 2026, AtLarge Research, "
    "Zenodo 19134788"
)
PRICE_SOURCE = "day-ahead price, ENTSO-E/RTE by way of HewlettPackard/sustain-cluster (repository MIT)"
CARBON_SOURCE = (
    "average carbon intensity, life cycle, consumption: Electricity Maps (2025), hourly carbon intensity data, version of "
    "January 27, 2025, https://www.electricitymaps.com (ODbL)"
)


def fit_jobs_text(trace: Path, *, source: str = SURF_SOURCE, time_zone: str = "Europe/Amsterdam") -> str:
    """The job model of an OpenDC tasks file as JSON text.

    Args:
        trace: the Parquet file.
        source: what the trace is and how to cite it.
        time_zone: clock of the arrivals.

    Raises:
        FeedError: the trace cannot be read or is too small.
    """
    command = f"ozzo fit jobs $OZZO_DATA/{trace.parent.name}/{trace.name}"
    return to_json(fit(read_tasks(trace), source=source, command=command, time_zone=time_zone))


def mean_by_month_and_hour(reading: Reading, year: int, clock: ZoneInfo) -> FloatArray:
    """Mean of the values of one local year by month and local hour, ``[12, 24]``; missing steps are left out, not filled.

    Raises:
        FeedError: a cell has no value.
    """
    sums, counts = np.zeros((12, 24)), np.zeros((12, 24))
    for moment, value in zip(reading.edges_s[:-1], reading.values, strict=True):
        local = datetime.fromtimestamp(float(moment), UTC).astimezone(clock)
        if local.year == year and np.isfinite(value):
            sums[local.month - 1, local.hour] += value
            counts[local.month - 1, local.hour] += 1
    if not counts.all():
        month, hour = np.argwhere(counts == 0)[0]
        raise FeedError(f"{reading.source}: no value in {year} for month {month + 1}, hour {hour}")
    mean: FloatArray = sums / counts
    return mean


def hour_by_month_text(prices: Path, carbon: Path, year: int = 2023, *, time_zone: str = "Europe/Amsterdam") -> str:
    """Mean price and average carbon intensity by month and local hour as CSV text with a header of comments.

    Args:
        prices: day-ahead file (``grid.feeds.market_prices``).
        carbon: Parquet file (``grid.feeds.electricity_maps``).
        year: local year.
        time_zone: clock of the prices and of the table.

    Raises:
        FeedError: a file cannot be read or does not hold the year.
    """
    clock = zone(time_zone)
    price, intensity = read_market_prices(prices, time_zone), read_carbon(carbon)
    price_table = mean_by_month_and_hour(price, year, clock)
    carbon_table = mean_by_month_and_hour(intensity, year, clock)
    files = f"--prices $OZZO_DATA/{prices.parent.name}/{prices.name} --carbon $OZZO_DATA/{carbon.parent.name}/{carbon.name}"
    command = f"ozzo fit table {files} --year {year}"
    lines = [
        f"# Mean price and carbon intensity of {year} by month and local hour ({time_zone}).",
        f"# price_eur_per_mwh: {PRICE_SOURCE}; {prices.name}; EUR as traded, no fees or taxes.",
        f"# Left out, not filled: {describe(price.faults) if price.faults else 'nothing'}.",
        f"# carbon_g_per_kwh: {CARBON_SOURCE}; {carbon.name}.",
        "# A mean over a month hides every extreme: no negative prices, no windless week. Do not judge savings by it.",
        f"# Made by: {command}",
        "month,hour,price_eur_per_mwh,carbon_g_per_kwh",
    ]
    lines += [
        f"{month + 1},{hour},{price_table[month, hour]:.2f},{carbon_table[month, hour]:.1f}"
        for month in range(12)
        for hour in range(24)
    ]
    return "\n".join(lines) + "\n"
