"""SURF's jobs on the Dutch grid: the shifting part of STEAM (Niewenhuis et al., CCGrid 2026), with their rule and as an optimum.

277 hosts of 32 W idle; each running job adds 90.7 W on its host (assumption: with it the energy of the published run without
shifting comes out, because the load over time of the jobs is not published here). The first job is moved to 2024-03-01 00:00
UTC; carbon intensity is that of the Netherlands, hourly. Every job is to be done within 24 hours of its submission; a job that
is longer than that begins at once.

*Their rule* (as OpenDC's timeshift scheduler has it, with perfect knowledge of the next 24 hours): a job of less than two hours
runs when the intensity is below the 0.2 quantile of the coming day, a longer one below the 0.35 quantile, any at its last
start.

*Offline*: all jobs known. Lower limit: the dual of the limit on hosts (a price per host and quarter-hour), every job at its
cheapest start in continuous time. Plan: jobs, longest first, at their cheapest free start against carbon and that price, then
again and again against carbon alone with all others in place, which can only improve.

*Online*: a job is known from its submission on; every hour all that wait are placed again. Carbon ahead is either known
or forecast from the past only: the mean of that hour of the day over the last week, plus today's distance from it, fading.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from grid.errors import FeedError
from grid.horizon import FloatArray
from sim.reproduce import steam_kernels as kernels
from sim.reproduce import steam_published as of

IntArray = npt.NDArray[np.int64]

HOSTS, IDLE_KW, JOB_KW = 277, 0.032, 0.0907
START = datetime(2024, 3, 1, tzinfo=UTC)
HOUR_S, DAY_S = 3600.0, 86400.0
CELL_S = 20
"""Grid of starts and of the count of hosts, s; a job takes its host for whole steps."""
PRICE_S = 900.0
"""Grid of the price of hosts, s."""
ATTEMPTS = 20
"""How often jobs that found no place may be put before all others."""
SHORT_S, SHORT_QUANTILE, LONG_QUANTILE = 2 * HOUR_S, 0.2, 0.35
FADES = 0.93
"""Assumption: how much of the distance from the week's mean is left an hour later (online forecast)."""


@dataclass(frozen=True, slots=True, eq=False)
class Jobs:
    """Jobs in the order of submission.

    Attributes:
        submitted: s after the first submission, ``[J]``; length: s, ``[J]``.
        latest: last start, s: 24 hours after submission less the length, or the submission of what is longer.
    """

    submitted: FloatArray
    length: FloatArray
    latest: FloatArray


@dataclass(frozen=True, slots=True)
class Shift:
    """What one way to shift came to.

    Attributes:
        name: of the way.
        hosts: hosts there are, and the most that ran at once.
        carbon_t: tonnes of carbon dioxide; saving_pct: below running at once.
        delay_h: mean time from submission to start.
        late: jobs that began after their last start.
        peak_kw: highest load.
        bound_pct: the most that any plan within the hosts can save; None where none was proven.
    """

    name: str
    hosts: int
    most_hosts: int
    carbon_t: float
    saving_pct: float
    delay_h: float
    late: int
    peak_kw: float
    bound_pct: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Jobs, carbon and the length of the accounts.

    Attributes:
        jobs: the jobs.
        carbon: g/kWh by hour from ``START`` on, beyond the last deadline; before: the hours before it, for forecasts.
        end_s: end of the accounts: the last end of a job run at once.
    """

    jobs: Jobs
    carbon: FloatArray
    before: FloatArray
    end_s: float

    @property
    def is_published(self) -> bool:
        """True for the jobs and the carbon intensity that the published figures are about."""
        jobs = (len(self.jobs.length), float(self.jobs.length.sum()))
        hours, mean = len(self.carbon), float(self.carbon.mean())
        return (*jobs, hours) == (of.JOBS, of.JOBS_S, of.HOURS) and abs(mean - of.MEAN_G_PER_KWH) < 1e-3

    @property
    def cumulative(self) -> FloatArray:
        """Integral of the intensity, g/kWh times h, at the hours."""
        return np.concatenate(([0.0], np.cumsum(self.carbon)))

    def job_carbon_g(self, starts: FloatArray) -> float:
        """Carbon of all jobs at these starts, g."""
        hours = HOUR_S * np.arange(len(self.carbon) + 1)
        ends = np.interp(starts + self.jobs.length, hours, self.cumulative)
        return JOB_KW * float((ends - np.interp(starts, hours, self.cumulative)).sum())

    def idle_carbon_g(self, hosts: int) -> float:
        """Carbon of hosts that are on all the time, g."""
        hours = HOUR_S * np.arange(len(self.carbon) + 1)
        return hosts * IDLE_KW * float(np.interp(self.end_s, hours, self.cumulative))


def read_case(jobs: Path, carbon: Path) -> Case:
    """The trace and the series from their Parquet files.

    Raises:
        FeedError: a file cannot be read, lacks a column, or the series does not cover the jobs.
    """
    submitted, length = _columns(jobs, "submission_time", "duration")
    if not len(submitted):
        raise FeedError(f"{jobs}: not a single job")
    order = np.argsort(submitted, kind="stable")
    submitted, length = (submitted[order] - submitted.min()) / 1000.0, length[order] / 1000.0
    wrong = ~((length > 0) & np.isfinite(submitted))
    if wrong.any():
        raise FeedError(f"{jobs}: {int(wrong.sum())} jobs have no length above 0, or no submission")
    latest = np.maximum(submitted, submitted + DAY_S - length)
    moments, values = _columns(carbon, "timestamp", "carbon_intensity")
    first = int(np.searchsorted(moments, START.timestamp() * 1000.0))
    hours = int(np.ceil((latest + length).max() / HOUR_S)) + 49
    if first < 168 or first + hours > len(values) or moments[first] != START.timestamp() * 1000.0:
        raise FeedError(f"{carbon}: no hourly values from a week before {START:%Y-%m-%d} to {hours} hours after it")
    if not (np.diff(moments[first - 168 : first + hours]) == HOUR_S * 1000.0).all() or not np.isfinite(values).all():
        raise FeedError(f"{carbon}: not one value an hour in the time of the jobs")
    end_s = float((submitted + length).max())
    return Case(Jobs(submitted, length, latest), values[first : first + hours], values[first - 168 : first], end_s)


def _columns(path: Path, *names: str) -> list[FloatArray]:
    """Columns of a Parquet file as numbers (instants: ms after 1970)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, columns=list(names))
    except (OSError, pa.ArrowInvalid) as error:
        raise FeedError(f"{path}: {error}") from error
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise FeedError(f"{path}: no column {', '.join(missing)}; there are {', '.join(table.column_names)}")
    try:
        return [table.column(name).to_numpy().astype("datetime64[ms]").astype(np.int64).astype(np.float64)
                if pa.types.is_timestamp(table.schema.field(name).type)
                else table.column(name).to_numpy().astype(np.float64) for name in names]  # fmt: skip
    except (TypeError, ValueError) as error:
        raise FeedError(f"{path}: {error}") from error


def shift_of(
    case: Case, name: str, starts: FloatArray, hosts: int, base_t: float | None, bound_pct: float | None = None
) -> Shift:
    """Figures of the starts of all jobs (s); ``base_t`` is running at once, None when this is it."""
    jobs = case.jobs
    moments = np.concatenate((starts, starts + jobs.length))
    change = np.concatenate((np.ones(len(starts)), -np.ones(len(starts))))
    running = np.cumsum(change[np.lexsort((change, moments))])  # an end before a start at the same moment
    total = (case.job_carbon_g(starts) + case.idle_carbon_g(hosts)) / 1e6
    late = int((starts > jobs.latest + CELL_S).sum())
    return Shift(
        name,
        hosts,
        int(running.max()),
        total,
        0.0 if base_t is None else 100.0 * (1.0 - total / base_t),
        float((starts - jobs.submitted).mean()) / HOUR_S,
        late,
        hosts * IDLE_KW + JOB_KW * float(running.max()),
        bound_pct,
    )


def at_once(case: Case, hosts: int) -> FloatArray:
    """First come, first served, ``[J]`` s."""
    starts: FloatArray = kernels.queue_starts(case.jobs.submitted, case.jobs.length, hosts)
    return starts


def by_their_rule(case: Case, hosts: int) -> FloatArray:
    """OpenDC's quantile rule with perfect knowledge of 24 hours, then a queue for the hosts, ``[J]`` s."""
    jobs, carbon = case.jobs, case.carbon
    ready = jobs.latest.copy()
    ahead = np.sort(np.lib.stride_tricks.sliding_window_view(carbon, 24), axis=1)
    for short, quantile in ((True, SHORT_QUANTILE), (False, LONG_QUANTILE)):
        limit = ahead[:, round(24 * quantile)]
        low = np.flatnonzero(carbon[: len(limit)] < limit)
        mine = (jobs.length < SHORT_S) == short
        hour = (jobs.submitted[mine] // HOUR_S).astype(np.int64)
        following = low[np.minimum(np.searchsorted(low, hour), len(low) - 1)]
        begins = np.where(following == hour, jobs.submitted[mine], following * HOUR_S)
        ready[mine] = np.minimum(np.maximum(begins, jobs.submitted[mine]), jobs.latest[mine])
    order = np.argsort(ready, kind="stable")
    starts = np.empty(len(ready))
    starts[order] = kernels.queue_starts(ready[order], jobs.length[order], hosts)
    return starts


def dual(case: Case, hosts: int, rounds: int, say: Callable[[str], None], target_g: float) -> tuple[float, FloatArray]:
    """Proven lower limit of the carbon of all jobs within the hosts (g), and the price of a host by quarter-hour.

    Projected subgradient with Polyak's step towards ``target_g``, the carbon of a plan; the best limit and its price are kept.
    """
    jobs, quarters = case.jobs, len(case.carbon) * 4
    carbon = np.repeat(case.carbon, 4) * JOB_KW * PRICE_S / HOUR_S
    price, starts = np.zeros(quarters), np.empty(len(jobs.length))
    best, kept, factor, since = -np.inf, price, 1.0, 0
    for number in range(rounds):
        cum = np.concatenate(([0.0], np.cumsum(carbon + price)))
        value = kernels.cheapest(cum, PRICE_S, jobs.submitted, jobs.latest, jobs.length, starts) - hosts * float(price.sum())
        over = kernels.usage(starts, jobs.length, PRICE_S, quarters) - hosts
        since += 1
        if value > best:
            best, kept, since = value, price.copy(), 0
        if since >= 10:
            factor, since, price = factor / 2, 0, kept.copy()
            continue
        step = np.where((price <= 0) & (over < 0), 0.0, over)
        norm = float(step @ step)
        if norm == 0.0 or target_g - value <= 1e-9 * target_g:
            break
        price = np.maximum(0.0, price + factor * (target_g - value) / norm * step)
        if number % 20 == 0:
            say(f"  price of hosts, round {number}: at least {best / 1e6:.4f} t for the jobs")
    return best, kept


def planned(
    case: Case, hosts: int, price: FloatArray, passes: int, wait_g_per_h: float, say: Callable[[str], None]
) -> FloatArray:
    """A plan of all jobs within the hosts, ``[J]`` s.

    Jobs are placed against carbon and ``price`` first, then ``passes`` times against carbon alone; an hour of waiting must save
    ``wait_g_per_h`` of carbon.

    Raises:
        FeedError: hosts are too few.
    """
    earliest, latest, count = _cells(case.jobs)
    cells = int((latest + count).max()) + 1
    carbon = _cum_cells(case.carbon, cells)
    dear = carbon + np.concatenate(([0.0], np.cumsum(np.repeat(price, int(PRICE_S) // CELL_S)[:cells]))) * CELL_S / PRICE_S
    order = np.argsort(-count, kind="stable")
    wait = wait_g_per_h * CELL_S / HOUR_S
    for _ in range(ATTEMPTS):
        taken, starts = np.zeros(cells + 1, np.int32), np.full(len(count), -1, np.int64)
        lost = kernels.place(order, earliest, latest, count, taken, hosts, dear, wait, starts)
        if not lost:
            break
        say(f"  {lost} jobs found no host in their window: they come first")
        nowhere = starts[order] < 0
        order = np.concatenate((order[nowhere], order[~nowhere]))
    else:
        raise FeedError(f"{lost} jobs found no host in their window: {hosts} hosts are too few for the steps of {CELL_S} s")
    for number in range(passes):
        kernels.place(order, earliest, latest, count, taken, hosts, carbon, wait, starts)
        say(f"  pass {number}: {case.job_carbon_g(_seconds(starts)) / 1e6:.4f} t for the jobs")
    return _seconds(starts)


def online(case: Case, hosts: int, spare: int, wait_g_per_h: float, *, foresight: bool) -> FloatArray:
    """Starts when a job is known from its submission on, ``[J]`` s.

    Args:
        case: jobs and carbon.
        hosts: hosts there are.
        spare: how many of them a job that can still wait leaves free, for jobs that cannot.
        wait_g_per_h: carbon that an hour of waiting must save.
        foresight: carbon ahead is known; otherwise forecast.
    """
    earliest, latest, count = _cells(case.jobs)
    per_hour = int(HOUR_S) // CELL_S
    hours = int(earliest.max()) // per_hour + 26
    ahead = ahead_of(case, hours) if not foresight else np.lib.stride_tricks.sliding_window_view(case.carbon, 49)[:hours]
    fine = np.repeat(ahead, per_hour, axis=1) * JOB_KW * CELL_S / HOUR_S
    cums = np.concatenate(
        (np.zeros((hours, 1), np.float32), np.cumsum(fine, axis=1, dtype=np.float64).astype(np.float32)), axis=1
    )
    starts = np.full(len(count), -1, np.int64)
    kernels.live(earliest, latest, count, hosts, spare, cums, per_hour, np.float32(wait_g_per_h * CELL_S / HOUR_S), starts)
    return _seconds(starts)


def ahead_of(case: Case, hours: int) -> FloatArray:
    """Forecast of this hour (known) and the 48 after it, for each hour, ``[hours, 49]``, from the past only."""
    known = np.concatenate((case.before, case.carbon))
    found = np.empty((hours, 49))
    for hour in range(hours):
        now = hour + len(case.before)
        days = known[now - 167 : now + 1].reshape(7, 24)  # each column: the same hour of the last seven days, the last one now
        mean = days.mean(axis=0)
        lead = np.arange(49)
        apart = known[now] - mean[23]
        found[hour] = mean[(23 + lead) % 24] + apart * FADES**lead
    return found


def _cells(jobs: Jobs) -> tuple[IntArray, IntArray, IntArray]:
    """Submission (rounded up), last start (rounded down, but not before it) and length (rounded up), whole cells."""
    earliest = np.ceil(jobs.submitted / CELL_S).astype(np.int64)
    latest = np.maximum(earliest, np.floor(jobs.latest / CELL_S).astype(np.int64))
    return earliest, latest, np.ceil(jobs.length / CELL_S).astype(np.int64)


def _cum_cells(carbon: FloatArray, cells: int) -> FloatArray:
    """Integral of what a running job emits, g, at the edges of the cells."""
    each = np.repeat(carbon, int(HOUR_S) // CELL_S)[:cells] * JOB_KW * CELL_S / HOUR_S
    cum: FloatArray = np.concatenate(([0.0], np.cumsum(each)))
    return cum


def _seconds(starts: IntArray) -> FloatArray:
    """Starts in s."""
    return starts.astype(np.float64) * CELL_S
