"""Scenarios I and II of "Let's Wait Awhile" (Wiesner et al., Middleware 2021, doi:10.1145/3464298.3493399).

*Scenario I*: one job of half an hour a day at 01:00, 365 days, moved to any slot within plus or minus a window. *Scenario II*:
3,387 machine-learning jobs of 4 to 90 hours, submitted on working days between 9 and 17 h, each done before a deadline that
follows from when it would have finished: whole (one contiguous run) or interruptible (the cheapest slots). There is no limit of
capacity, so the best place of each job is the best plan of all: these are optima, not heuristics.

``compatible`` repeats what the published simulator does, faults included:

- the forecast includes its last moment, so a job may end half an hour after its deadline, and the baseline itself may begin half
  an hour late;
- scenario I leaves out the first day when its window begins before the data, and divides by all days all the same;
- an interruptible job takes every slot that is as cheap as its dearest one, also more than it needs.

``strict`` repairs them. Both decide on the forecast and pay the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from grid.horizon import FloatArray
from sim.reproduce.half_hours import HalfHours

IntArray = npt.NDArray[np.int64]

WINDOWS_H = (1, 2, 4, 6, 8)
PERIODIC_ERRORS = (0.0, 0.05)
BATCH_ERRORS = (0.0, 0.05, 0.10)
SEEDS = 10
DAYS, JOBS = 365, 3387
SLOTS_A_DAY = 48


class Deadline(StrEnum):
    """By when a job of scenario II must be done."""

    NEXT_WORKDAY = "next_workday"
    SEMI_WEEKLY = "semi_weekly"


class Shape(StrEnum):
    """How a job may run."""

    WHOLE = "whole"
    INTERRUPTIBLE = "interruptible"


class Rules(StrEnum):
    """Whose rules hold."""

    COMPATIBLE = "compatible"
    STRICT = "strict"


@dataclass(frozen=True, slots=True)
class Saving:
    """Carbon saved by waiting.

    Attributes:
        scenario: I or II.
        case: window in hours (I) or deadline and shape (II).
        error: standard deviation of the forecast error as a share of the mean of the series.
        rules: whose rules.
        saving_pct: mean over the seeds, percent of the emissions of running at once.
    """

    scenario: str
    case: str
    error: float
    rules: Rules
    saving_pct: float


def forecasts(values: FloatArray, error: float) -> Iterator[FloatArray]:
    """The series with independent normal errors, once for each of ten seeds; the series itself without error."""
    for seed in range(SEEDS if error else 1):
        noise = np.random.default_rng(seed).normal(0.0, error * float(values.mean()), len(values)) if error else 0.0
        yield values + noise


def periodic(carbon: HalfHours, error: float, window_h: int, rules: Rules) -> float:
    """Saving of scenario I in percent, mean over the seeds."""
    values, reach = carbon.values, 2 * window_h
    at = SLOTS_A_DAY * np.arange(DAYS) + 2
    base = values[at]
    first = at - reach
    first = first[first >= 0]
    means = []
    for forecast in forecasts(values, error):
        best = first + np.lib.stride_tricks.sliding_window_view(forecast, 2 * reach + 1)[first].argmin(axis=1)
        divisor = DAYS if rules is Rules.COMPATIBLE else len(first)
        means.append(float(values[best].sum()) / divisor)
    return 100.0 * (1.0 - float(np.mean(means)) / float(base.mean()))


def batch_jobs(carbon: HalfHours) -> tuple[IntArray, IntArray]:
    """First slot and number of slots of each job of scenario II, by the draws that the paper's program makes."""
    rng = np.random.default_rng(0)
    days = [carbon.start + timedelta(days=day) for day in range(carbon.year_slots // SLOTS_A_DAY)]
    working = [day for day in days if day.weekday() < 5]
    counts = rng.multinomial(JOBS, [1 / len(working)] * len(working))
    starts: list[int] = []
    for day, count in zip(working, counts, strict=True):
        minutes = np.sort(rng.choice(range(540, 1020, 30), size=count))
        starts += [carbon.slot(day) + int(minute) // 30 for minute in minutes]
    lengths = rng.choice(range(240, 5400, 30), size=JOBS) // 30
    return np.array(starts), lengths.astype(np.int64)


def deadline(rule: Deadline, finish: datetime) -> datetime:
    """By when a job that would have finished at ``finish`` must be done."""
    hour = finish.hour + finish.minute / 60
    nine = finish.replace(hour=9, minute=0)
    if rule is Deadline.SEMI_WEEKLY:
        days = (day for day in range(8) if (nine + timedelta(days=day)).weekday() in {0, 3})
        return next(nine + timedelta(days=day) for day in days if nine + timedelta(days=day) >= finish)
    if finish.weekday() == 5:
        return nine + timedelta(days=2)
    if finish.weekday() == 6 or hour > 17:
        return nine + timedelta(days=1)
    return nine if hour < 9 else finish


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Jobs with their windows, half-open slots.

    Attributes:
        starts, lengths: of each job when it runs at once.
        ends: slot by which it must be done.
    """

    starts: IntArray
    lengths: IntArray
    ends: IntArray

    def whole(self, forecast: FloatArray, truth: FloatArray) -> float:
        """Emissions of the best contiguous runs (sum of intensities over slots)."""
        told, true = (np.concatenate(([0.0], np.cumsum(series))) for series in (forecast, truth))
        total = 0.0
        for start, length, end in zip(self.starts, self.lengths, self.ends, strict=True):
            begins = np.arange(start, end - length + 1)
            best = begins[np.argmin(told[begins + length] - told[begins])]
            total += float(true[best + length] - true[best])
        return total

    def interruptible(self, forecast: FloatArray, truth: FloatArray, *, ties: bool) -> float:
        """Emissions of the cheapest slots; with ``ties`` of every slot not dearer than the dearest that is needed."""
        total = 0.0
        for start, length, end in zip(self.starts, self.lengths, self.ends, strict=True):
            window = forecast[start:end]
            order = np.argsort(window, kind="stable")
            chosen = window <= window[order[length - 1]] if ties else order[:length]
            total += float(truth[start:end][chosen].sum())
        return total


def batch(carbon: HalfHours, rule: Deadline, rules: Rules) -> tuple[Batch, float]:
    """The jobs of scenario II with their windows, and the emissions of running them at once.

    Jobs that would end after the series does are left out (none when four days of the next year follow).
    """
    starts, lengths = batch_jobs(carbon)
    last = len(carbon.values)
    inside = starts + lengths <= last
    starts, lengths = starts[inside], lengths[inside]
    finish = starts + lengths
    late = 1 if rules is Rules.COMPATIBLE else 0
    by = np.array([carbon.slot(deadline(rule, carbon.time(int(slot)))) for slot in finish])
    jobs = Batch(starts, lengths, np.minimum(by + late, last))
    at_once = Batch(starts, lengths, np.minimum(finish + late, last))
    return jobs, at_once.whole(carbon.values, carbon.values)


def savings(carbon: HalfHours, say: Callable[[str], None]) -> list[Saving]:
    """All rows of both scenarios under both rules."""
    rows = [
        Saving("I", f"+-{window} h", error, rules, periodic(carbon, error, window, rules))
        for rules in Rules
        for error in PERIODIC_ERRORS
        for window in WINDOWS_H
    ]
    for rules in Rules:
        for rule in Deadline:
            jobs, base = batch(carbon, rule, rules)
            count = f"{len(jobs.starts)} of {JOBS} jobs end within the series"
            say(f"{carbon.source}: scenario II, {rules.value}, {rule.value.replace('_', ' ')}; {count}")
            for error in BATCH_ERRORS:
                rows += _batch_rows(carbon, jobs, base, rule, rules, error)
    return rows


def _batch_rows(carbon: HalfHours, jobs: Batch, base: float, rule: Deadline, rules: Rules, error: float) -> list[Saving]:
    ties = rules is Rules.COMPATIBLE
    found: dict[Shape, list[float]] = {shape: [] for shape in Shape}
    for forecast in forecasts(carbon.values, error):
        found[Shape.WHOLE].append(jobs.whole(forecast, carbon.values))
        found[Shape.INTERRUPTIBLE].append(jobs.interruptible(forecast, carbon.values, ties=ties))
    return [
        Saving("II", f"{rule.value}, {shape.value}", error, rules, 100.0 * (1.0 - float(np.mean(emitted)) / base))
        for shape, emitted in found.items()
    ]
