"""``ozzo fit``: small committed files made from large real data, so that a fresh machine has real-shaped numbers.

``fit_jobs_text`` turns a trace into a job model (``scheduler.generator``), ``hour_by_month_text`` turns a year of prices and
carbon intensity into a table by month and local hour (``grid.feeds.table``). Both write source and command into the text, so
that anybody with the data can repeat them.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from grid.errors import FeedError, Finding, InputError
from grid.feeds.electricity_maps import read_carbon
from grid.feeds.market_prices import read_market_prices
from grid.feeds.reading import Fault, Reading, describe
from grid.feeds.table import zone
from grid.horizon import FloatArray
from scheduler.generator import fit, to_json
from scheduler.traces import read_tasks

UNSTATED = "not stated by whoever made this file"
SURF_SOURCE = (
    "SURF (NL) HPC jobs, 2022, from OpenDC-STEAM workload_traces/surf (MIT); cite STEAM, CCGrid 2026, AtLarge Research, "
    "Zenodo 19134788"
)
PRICE_SOURCE = "day-ahead price, ENTSO-E/RTE by way of HewlettPackard/sustain-cluster (repository MIT)"
CARBON_SOURCE = (
    "average carbon intensity, life cycle, consumption: Electricity Maps (2025), hourly carbon intensity data, version of "
    "January 27, 2025, https://www.electricitymaps.com (ODbL)"
)


KNOWN = {"surf_2022_tasks.parquet": SURF_SOURCE, "NL_2023.csv": PRICE_SOURCE, "NL_2021-2024.parquet": CARBON_SOURCE}
"""Sources of the files that the shipped tables were made from, by name; of any other file the person says it."""


def fit_jobs_text(trace: Path, *, source: str | None = None, time_zone: str = "Europe/Amsterdam") -> str:
    """The job model of an OpenDC tasks file as JSON text.

    Args:
        trace: the Parquet file.
        source: what the trace is and how to cite it; None: what is known of a file of that name.
        time_zone: clock of the arrivals.

    Raises:
        InputError: the trace cannot be read or is too small.
    """
    told, option = _source(trace, source, "--source")
    command = f"ozzo fit jobs $OZZO_DATA/{trace.parent.name}/{trace.name}{option}"
    try:
        return to_json(fit(read_tasks(trace), source=told, command=command, time_zone=time_zone))
    except FeedError as error:
        raise InputError([Finding(str(trace), None, "", str(error), "a trace that can be fitted")]) from error


def _source(path: Path, given: str | None, option: str) -> tuple[str, str]:
    """The source of a file in words, and how a command says it again (with a blank before it)."""
    if given:
        return given, f" {option} {shlex.quote(given)}"
    return KNOWN.get(path.name, UNSTATED), ""


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


def hour_by_month_text(
    prices: Path,
    carbon: Path,
    year: int = 2023,
    *,
    price_source: str | None = None,
    carbon_source: str | None = None,
    time_zone: str = "Europe/Amsterdam",
) -> str:
    """Mean price and average carbon intensity by month and local hour as CSV text with a header of comments.

    Args:
        prices: day-ahead file (``grid.feeds.market_prices``).
        carbon: Parquet file (``grid.feeds.electricity_maps``).
        year: local year.
        price_source: what the prices are and how to cite them; None: what is known of a file of that name.
        carbon_source: the same of the carbon intensity.
        time_zone: clock of the prices and of the table.

    Raises:
        InputError: a file cannot be read or does not hold the year; of both files at once.
    """
    clock, findings = zone(time_zone), list[Finding]()

    def made(path: Path, option: str, read: Callable[[], Reading]) -> tuple[tuple[Fault, ...], FloatArray]:
        try:
            reading = read()
            return reading.faults, mean_by_month_and_hour(reading, year, clock)
        except FeedError as error:
            findings.append(Finding(str(path), None, option, str(error), f"values of the whole year {year}"))
            return (), np.zeros((12, 24))

    faults, price_table = made(prices, "--prices", lambda: read_market_prices(prices, time_zone))
    _, carbon_table = made(carbon, "--carbon", lambda: read_carbon(carbon))
    if findings:
        raise InputError(findings)
    of_price, said_price = _source(prices, price_source, "--price-source")
    of_carbon, said_carbon = _source(carbon, carbon_source, "--carbon-source")
    files = f"--prices $OZZO_DATA/{prices.parent.name}/{prices.name} --carbon $OZZO_DATA/{carbon.parent.name}/{carbon.name}"
    command = f"ozzo fit table {files} --year {year}{said_price}{said_carbon}"
    lines = [
        f"# Mean price and carbon intensity of {year} by month and local hour ({time_zone}).",
        f"# price_eur_per_mwh: {of_price}; {prices.name}; EUR as traded, no fees or taxes.",
        f"# Left out, not filled: {describe(faults) if faults else 'nothing'}.",
        f"# carbon_g_per_kwh: {of_carbon}; {carbon.name}.",
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
