"""Jobs drawn from a model that was fitted to a real trace.

The model keeps three things of a trace: the mean arrivals by local weekday and hour, the distribution of run times as a table
of quantiles (straight lines on a logarithmic axis between them), and the widths in whole nodes. It forgets that arrivals come
in bursts (users submit hundreds of equal jobs at once): drawn days are calmer than real ones. Everything that a trace does not
say (which jobs may be interrupted, which data they read, how long they may wait) comes from the scenario as ``JobClass``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from grid.errors import FeedError
from grid.feeds.table import zone
from grid.horizon import FloatArray, Horizon
from scheduler.traces import DEADLINE_SLACK, DROP_EUR, LONGEST_S, Tasks
from scheduler.workload import Job, JobKind

FORMAT = 1
HOUR_S = 3600
LAST_RELEASE_S = 3600.0
"""Jobs are released at least this long before the horizon ends, so that each has a chance."""

PROBABILITIES = (0.0, *(round(i / 100, 2) for i in range(1, 100)), 0.995, 0.999, 1.0)


@dataclass(frozen=True, slots=True)
class JobModel:
    """A fitted job model.

    Attributes:
        source: trace that it was fitted to, with citation.
        command: command that made it.
        tasks: number of jobs it rests on.
        first, last: period of these jobs, ISO, UTC.
        time_zone: clock of the arrivals.
        arrivals_per_hour: mean jobs an hour, ``[7][24]``, Monday first, local hour.
        probabilities: ascending from 0 to 1.
        duration_s: run time at each probability, ascending.
        node_cores: cores of one node.
        memory_gb: memory of one node that a job takes.
        node_shares: share of jobs by number of nodes.
    """

    source: str
    command: str
    tasks: int
    first: str
    last: str
    time_zone: str
    arrivals_per_hour: tuple[tuple[float, ...], ...]
    probabilities: tuple[float, ...]
    duration_s: tuple[float, ...]
    node_cores: int
    memory_gb: float
    node_shares: dict[int, float]

    def quantile(self, probability: FloatArray) -> FloatArray:
        """Run time in seconds at ``probability``."""
        seconds: FloatArray = np.exp(np.interp(probability, self.probabilities, np.log(self.duration_s)))
        return seconds

    def probability(self, duration_s: float) -> float:
        """Share of jobs with a run time of at most ``duration_s``."""
        axis, shares = np.unique(np.log(self.duration_s), return_index=True)
        last = np.append(shares[1:], len(self.duration_s)) - 1  # of equal run times the highest probability
        table = np.asarray(self.probabilities)[last]
        return float(np.interp(np.log(max(duration_s, 1e-9)), axis, table, left=0.0, right=1.0))


@dataclass(frozen=True, slots=True)
class JobClass:
    """What a scenario assumes about a share of the jobs; nothing of it is in a trace.

    Attributes:
        name: jobs are called ``<name>-001``.
        share: relative share of the jobs, above 0.
        kind: rigid or interruptible.
        slack: deadline = release + run time + slack, cut at the horizon's end.
        inputs: datasets that each job of the class reads.
        sites: sites where the class may run; None: all that the generator was given.
        drop_eur: price of not running one.
    """

    name: str = "job"
    share: float = 1.0
    kind: JobKind = JobKind.RIGID
    slack: timedelta = DEADLINE_SLACK
    inputs: tuple[str, ...] = ()
    sites: tuple[str, ...] | None = None
    drop_eur: float = DROP_EUR


def fit(
    tasks: Tasks, *, source: str, command: str = "", time_zone: str = "Europe/Amsterdam", leave_out_days: float = 5.0
) -> JobModel:
    """The model of a trace.

    The last ``leave_out_days`` are left out: a trace that was cut at a date lacks the long jobs of its last days.

    Raises:
        FeedError: fewer than 100 jobs remain, or cores are not whole nodes of one size.
    """
    clock = ZoneInfo(time_zone)
    until = tasks.submission_s[-1] - leave_out_days * 86400
    kept = tasks.submission_s < until
    if kept.sum() < 100:
        raise FeedError(f"{source}: {int(kept.sum())} jobs are too few to fit a model")
    submissions, durations, cores = tasks.submission_s[kept], tasks.duration_s[kept], tasks.cores[kept]
    node_cores = int(cores.min())
    if (cores % node_cores).any():
        raise FeedError(f"{source}: cores are not multiples of {node_cores}, so jobs do not take whole nodes")
    first_hour = int(submissions[0] // HOUR_S) + 1  # the first and the last hour are not whole
    last_hour = int(until // HOUR_S)
    counts, exposure = np.zeros((7, 24)), np.zeros((7, 24))
    by_hour = np.bincount(np.clip((submissions // HOUR_S).astype(np.int64) - first_hour + 1, 0, last_hour - first_hour + 1))
    for hour in range(first_hour, last_hour):
        local = datetime.fromtimestamp(hour * HOUR_S, UTC).astimezone(clock)
        at = hour - first_hour + 1
        counts[local.weekday(), local.hour] += by_hour[at] if at < len(by_hour) else 0
        exposure[local.weekday(), local.hour] += 1
    rates = np.divide(counts, exposure, out=np.zeros_like(counts), where=exposure > 0)
    widths, numbers = np.unique(cores // node_cores, return_counts=True)
    return JobModel(
        source=source,
        command=command,
        tasks=int(kept.sum()),
        first=datetime.fromtimestamp(float(submissions[0]), UTC).isoformat(),
        last=datetime.fromtimestamp(float(submissions[-1]), UTC).isoformat(),
        time_zone=time_zone,
        arrivals_per_hour=tuple(tuple(round(float(rate), 4) for rate in day) for day in rates),
        probabilities=PROBABILITIES,
        duration_s=tuple(float(value) for value in np.round(np.quantile(durations, PROBABILITIES), 3)),
        node_cores=node_cores,
        memory_gb=round(float(np.median(tasks.memory_gb[kept])), 3),
        node_shares={int(width): float(count / len(cores)) for width, count in zip(widths, numbers, strict=True)},
    )


def sample(
    model: JobModel,
    horizon: Horizon,
    count: int,
    rng: np.random.Generator,
    *,
    sites: tuple[str, ...],
    classes: Sequence[JobClass] = (JobClass(),),
    shortest: timedelta = timedelta(0),
    longest: timedelta | None = None,
) -> tuple[Job, ...]:
    """``count`` jobs of the model, in order of release.

    Releases follow the model's hours (given the number of jobs, the arrivals of a Poisson process are independent draws).
    Run times follow the model's distribution, given that they lie between ``shortest`` and ``longest`` and that the job can
    end inside the horizon; so long jobs are rarer than in the trace, and a scenario has to say so.

    Args:
        model: the fitted model.
        horizon: the period.
        count: number of jobs.
        rng: generator of this stream (``grid.chance.stream``).
        sites: sites where jobs may run.
        classes: what the scenario assumes about shares of the jobs.
        shortest: no run time below this.
        longest: no run time above this; by default only the horizon bounds it.

    Raises:
        FeedError: the horizon is too short, no arrivals in it, no run time between ``shortest`` and what fits, or no class.
    """
    if not classes or min(kind.share for kind in classes) <= 0:
        raise FeedError("job generator: every class needs a share above 0, and there must be one")
    releases = _releases(model, horizon, count, rng)
    shares = np.array([kind.share for kind in classes])
    picks = rng.choice(len(classes), size=count, p=shares / shares.sum())
    widths = rng.choice(list(model.node_shares), size=count, p=list(model.node_shares.values()))
    draws = rng.random(count)
    lowest = model.probability(shortest.total_seconds()) if shortest > timedelta(0) else 0.0
    jobs = []
    for number in range(count):
        release = datetime.fromtimestamp(float(releases[number]), UTC)
        left = (horizon.slots - horizon.ceil_slot(release)) * horizon.step
        most = left if longest is None else min(left, longest)
        highest = model.probability(most.total_seconds())
        if highest <= lowest:
            raise FeedError(f"job generator: no run time of the model lies between {shortest} and {most}")
        drawn = float(model.quantile(np.array([lowest + draws[number] * (highest - lowest)]))[0])
        duration = timedelta(seconds=min(max(1.0, round(drawn)), most.total_seconds()))
        kind = classes[int(picks[number])]
        jobs.append(
            Job(
                name=f"{kind.name}-{number + 1:03d}",
                kind=kind.kind,
                release=release,
                deadline=min(release + duration + kind.slack, horizon.end),
                duration=duration,
                nodes=int(widths[number]),
                cores=model.node_cores,
                memory_gb=model.memory_gb,
                sites=sites if kind.sites is None else kind.sites,
                inputs=kind.inputs,
                drop_eur=kind.drop_eur,
                origin="generator",
            )
        )
    return tuple(jobs)


def _releases(model: JobModel, horizon: Horizon, count: int, rng: np.random.Generator) -> FloatArray:
    """Ascending release times in whole Unix seconds."""
    clock = ZoneInfo(model.time_zone)
    end = horizon.end_s - max(LAST_RELEASE_S, horizon.step_s)
    if end <= horizon.start_s:
        raise FeedError(f"job generator: a horizon of {horizon.slots * horizon.step} is too short")
    inner = np.arange(horizon.start_s // HOUR_S + 1, end / HOUR_S) * HOUR_S
    edges = np.unique(np.concatenate(([horizon.start_s], inner[(inner > horizon.start_s) & (inner < end)], [end])))
    local = [datetime.fromtimestamp(float(edge), UTC).astimezone(clock) for edge in edges[:-1]]
    expected = np.array([model.arrivals_per_hour[moment.weekday()][moment.hour] for moment in local]) * np.diff(edges)
    if not expected.sum() > 0:
        raise FeedError("job generator: the model has no arrivals in this horizon")
    share = np.concatenate(([0.0], np.cumsum(expected / expected.sum())))
    times: FloatArray = np.floor(np.sort(np.interp(rng.random(count), share, edges)))
    return np.maximum(times, horizon.start_s)


def to_json(model: JobModel) -> str:
    """The model as JSON text, one day of arrivals a line, ending with a newline."""
    plain: dict[str, Any] = {"format": FORMAT, **asdict(model)}
    plain["node_shares"] = {str(width): share for width, share in model.node_shares.items()}
    lines = [f"  {json.dumps(key)}: {_rows(value)}" for key, value in plain.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _rows(value: Any) -> str:
    """A value as JSON; a table with one row a line."""
    if isinstance(value, tuple) and value and isinstance(value[0], tuple):
        return "[\n" + ",\n".join(f"    {json.dumps(row)}" for row in value) + "\n  ]"
    return json.dumps(value, ensure_ascii=False)


MOST_CORES, MOST_MEMORY_GB = 1_000_000, 1e9
"""More of one node is a misprint."""


def read_model(path: str | Path) -> JobModel:
    """The model in a JSON file.

    Raises:
        FeedError: the file cannot be read or is not a job model.
    """
    try:
        plain = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(plain, dict) or plain.pop("format", None) != FORMAT:
            raise FeedError(f"{path}: not a job model of format {FORMAT}")
        plain["node_shares"] = {int(width): float(share) for width, share in plain["node_shares"].items()}
        plain["arrivals_per_hour"] = tuple(tuple(float(rate) for rate in day) for day in plain["arrivals_per_hour"])
        for name in ("probabilities", "duration_s"):
            plain[name] = tuple(float(value) for value in plain[name])
        model = JobModel(**plain)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise FeedError(f"{path}: cannot be read: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise FeedError(f"{path}: not a job model: {error}") from error
    fault = _fault(model)
    if fault:
        raise FeedError(f"{path}: not a job model: {fault}")
    return model


def _fault(model: JobModel) -> str:
    """What is wrong with the numbers of a model, or empty."""
    durations, probabilities = np.array(model.duration_s), np.array(model.probabilities)
    rates = [rate for day in model.arrivals_per_hour for rate in day]
    if [len(day) for day in model.arrivals_per_hour] != [24] * 7 or not np.isfinite(rates).all() or min(rates) < 0:
        return "arrivals_per_hour must be 7 x 24 numbers that are not negative"
    if len(durations) != len(probabilities) or len(durations) < 2 or not (np.diff(probabilities) > 0).all():
        return "probabilities must ascend, with one duration each"
    if probabilities[0] != 0.0 or probabilities[-1] != 1.0:
        return "probabilities must run from 0 to 1"
    if not (np.isfinite(durations).all() and durations[0] > 0 and (np.diff(durations) >= 0).all() and durations[-1] <= LONGEST_S):
        return "durations must be positive, not fall, and end at ten years at most"
    shares = list(model.node_shares.values())
    if min(model.node_shares, default=0) < 1 or min(shares) < 0 or not abs(sum(shares) - 1) <= 1e-6:
        return "node_shares must be shares of whole nodes that add up to 1"
    if not isinstance(model.node_cores, int) or not 1 <= model.node_cores <= MOST_CORES:
        return f"node_cores must be a whole number from 1 to {MOST_CORES}"
    if not isinstance(model.memory_gb, int | float) or not 0 <= model.memory_gb <= MOST_MEMORY_GB:
        return f"memory_gb must be a number from 0 to {MOST_MEMORY_GB:g}"
    try:
        zone(model.time_zone)
    except (FeedError, TypeError):
        return "time_zone must be the name of a time zone"
    return ""
