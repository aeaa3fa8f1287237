"""The way in: files and settings of a replay, checked all at once, and its result."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from grid.errors import Finding, InputError
from grid.feeds.reading import Reading
from sim.replay.batch import Batch
from sim.replay.measure import Measured, measure
from sim.replay.policies.base import Policy
from sim.replay.policies.outside import is_outside, outside_runs
from sim.replay.policies.registry import policy_named
from sim.replay.signal import Period, Signal, on_period
from sim.replay.waits import HOUR_S, WaitRule, done_within_s, parse_wait
from sim.traces.read import read_trace
from sim.traces.signals import CARBON, PRICE, read_signal
from sim.traces.trace import Trace, fits

T = TypeVar("T")

PAST_S, AHEAD_S = 168 * HOUR_S, 24 * HOUR_S
"""What policies look at beyond the time in which jobs may run, as far as the signal has it."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asked for.

    Attributes:
        jobs, carbon, price: files; price may be None.
        policy: its name, or a file of one's own with its class (``FILE.py:CLASS``).
        start: moment to which the first arrival is moved, with a time zone; None leaves it where the trace says, or at the
            begin of the carbon series when the trace knows no calendar.
        horizon_h: only jobs that arrive in the first so many hours; None for all.
        wait: waiting rule, see ``waits``.
        done_within_h: instead of the rule: jobs shall end within so many hours of their arrival.
        machines: processors; None takes no limit; 0 takes the size that the trace gives.
        watts: power of one processor while it runs.
        latitude, longitude: place of the machine, degrees north and east.
        time_zone: clock of a market price file without zones.
        repair: mend and leave out, counted, instead of refusing.
    """

    jobs: str
    carbon: str
    price: str | None = None
    policy: str = "fifo"
    start: datetime | None = None
    horizon_h: float | None = None
    wait: str = "6:24@2"
    done_within_h: float | None = None
    machines: int | None = None
    watts: float = 1.0
    latitude: float = 52.37
    longitude: float = 4.9
    time_zone: str = "Europe/Amsterdam"
    repair: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """A replay.

    Attributes:
        policy: with what it knows.
        jobs: number of jobs.
        first, last: first arrival, and when the last job may end, UTC.
        machines: limit of processors, or None.
        price_unit: unit of the price per MWh, or None.
        figures: see ``measure``.
        repairs: what was mended, by file: kind and number.
        notes: what a reader should know, in sentences.
    """

    policy: Policy
    jobs: int
    first: datetime
    last: datetime
    machines: int | None
    price_unit: str | None
    figures: Measured
    repairs: dict[str, dict[str, int]]
    notes: tuple[str, ...]


def replay(wish: Wish) -> Result:
    """Read, check, decide, measure.

    Raises:
        InputError: everything that is wrong with files and settings, as far as it can be seen at once.
    """
    findings: list[Finding] = list(_wrong(wish))
    policy = _tried(findings, lambda: policy_named(wish.policy))
    rule = _tried(findings, lambda: parse_wait(wish.wait))
    trace = _tried(findings, lambda: read_trace(wish.jobs, repair=wish.repair))
    carbon = _tried(findings, lambda: read_signal(wish.carbon, CARBON))
    price = None if wish.price is None else _tried(findings, lambda: read_signal(str(wish.price), PRICE, wish.time_zone))
    if findings or policy is None or rule is None or trace is None or carbon is None:
        raise InputError(findings)
    if wish.horizon_h is not None:
        trace = trace.before(wish.horizon_h * HOUR_S)
    machines, trace = _machine(wish, trace)
    batch = _batch(wish, trace, rule, carbon, price, machines)
    power_kw = wish.watts / 1000.0 * batch.cpus * trace.load
    runs = outside_runs(policy, wish.policy, batch) if is_outside(wish.policy) else policy.runs(batch)
    figures = measure(batch, runs, power_kw)
    repairs = {wish.jobs: trace.repairs, wish.carbon: batch.carbon.repairs}
    if wish.price is not None and batch.price is not None:
        repairs[wish.price] = batch.price.repairs
    return Result(
        policy=policy,
        jobs=len(batch),
        first=datetime.fromtimestamp(float(batch.arrival_s[0]), UTC),
        last=datetime.fromtimestamp(float((batch.arrival_s + batch.length_s + batch.wait_s).max()), UTC),
        machines=machines,
        price_unit=None if batch.price is None else batch.price.unit,
        figures=figures,
        repairs={name: counts for name, counts in repairs.items() if counts},
        notes=_notes(wish, policy, trace, machines, figures),
    )


def _tried(findings: list[Finding], make: Callable[[], T]) -> T | None:
    """What ``make`` makes, or None with its findings added."""
    try:
        return make()
    except InputError as error:
        findings += error.findings
        return None


def _wrong(wish: Wish) -> list[Finding]:
    """Settings out of range."""
    checks: tuple[tuple[str, object, bool, str], ...] = (
        (
            "--start",
            wish.start,
            wish.start is None or wish.start.tzinfo is not None,
            "a time with its zone, for example 2024-03-01T00:00Z",
        ),
        ("--horizon", wish.horizon_h, wish.horizon_h is None or wish.horizon_h > 0, "hours above 0"),
        ("--done-within", wish.done_within_h, wish.done_within_h is None or wish.done_within_h >= 0, "hours not below 0"),
        (
            "--machines",
            wish.machines,
            wish.machines is None or wish.machines >= 0,
            "a number of processors, or 0 for the trace's own size",
        ),
        ("--watts", wish.watts, 0 < wish.watts < math.inf, "watts above 0"),
        ("--place", wish.latitude, abs(wish.latitude) <= 90, "a latitude from -90 to 90"),
        ("--place", wish.longitude, abs(wish.longitude) <= 180, "a longitude from -180 to 180"),
    )
    return [Finding("", None, field, str(value), expected) for field, value, right, expected in checks if not right]


def _machine(wish: Wish, trace: Trace) -> tuple[int | None, Trace]:
    """The limit of processors, and the jobs that fit it."""
    if wish.machines is None:
        return None, trace
    machines = wish.machines or trace.machines
    if machines is None:
        expected = "a number of processors: this trace does not say how large its machine is"
        raise InputError([Finding(wish.jobs, None, "--machines", "0", expected)])
    return machines, fits(trace, machines, repair=wish.repair)


def _batch(wish: Wish, trace: Trace, rule: WaitRule, carbon: Reading, price: Reading | None, machines: int | None) -> Batch:
    """Jobs at their moments, with the parts of the signals that they need."""
    if wish.start is not None:
        origin_s = wish.start.timestamp() - float(trace.arrival_s[0])
    else:
        origin_s = float(carbon.edges_s[0]) if trace.origin_s is None else trace.origin_s
    arrival_s = trace.arrival_s + origin_s
    wait_s = rule.waits_s(trace.length_s) if wish.done_within_h is None else done_within_s(trace.length_s, wish.done_within_h)
    mean_s = rule.mean_lengths_s(trace.length_s)
    end_s = float((arrival_s + trace.length_s + wait_s).max())
    period = Period(float(arrival_s[0]), end_s, PAST_S, max(AHEAD_S, float(mean_s.max())))
    findings: list[Finding] = []

    def part(reading: Reading, file: str, option: str, *, positive: bool) -> Signal | None:
        return _tried(
            findings, lambda: on_period(reading, period, option=option, file=file, repair=wish.repair, positive=positive)
        )

    of_carbon = part(carbon, wish.carbon, "--carbon", positive=True)
    of_price = None if price is None else part(price, str(wish.price), "--price", positive=False)
    if of_carbon is None or findings:
        raise InputError(findings)
    return Batch(
        arrival_s=arrival_s,
        length_s=trace.length_s,
        wait_s=wait_s,
        mean_length_s=mean_s,
        cpus=trace.cpus,
        carbon=of_carbon,
        price=of_price,
        machines=machines,
        latitude=wish.latitude,
        longitude=wish.longitude,
    )


def _notes(wish: Wish, policy: Policy, trace: Trace, machines: int | None, figures: Measured) -> tuple[str, ...]:
    notes = []
    if machines is not None and not policy.heeds_machines:
        over = "more than there are" if figures.peak_cpus > machines else "which there are"
        notes.append(
            f"{policy.name} does not heed the size of the machine: it uses up to {figures.peak_cpus:g} processors, {over}."
        )
    if machines is None and policy.name in {"fifo", "easy"}:
        notes.append(f"{policy.name} without --machines runs every job at its arrival.")
    if machines is None and policy.name == "milp":
        notes.append("Without a limit of processors the optimum of each job alone is the optimum: no programme had to be solved.")
    if wish.start is None and trace.origin_s is None:
        notes.append("The trace knows no calendar: its time zero is the begin of the carbon series (--start moves it).")
    return tuple(notes)


def share_of_bound(figures: Measured, policy: Policy) -> float | None:
    """Saving as a share of the greatest possible one (that of jobs that may pause, for a policy that pauses)."""
    bound = figures.bound_interruptible if policy.pauses else figures.bound_contiguous
    if figures.carbon_relative is None or bound is None or bound >= 1.0 - 1e-12:
        return None
    return (1.0 - figures.carbon_relative) / (1.0 - bound)
