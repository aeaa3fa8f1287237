"""What every policy decides before energy is counted: places and slots of jobs, shares of transfers."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from grid.horizon import FloatArray
from scheduler.data_tasks import slot_tb
from scheduler.plan import Run, Transfer
from scheduler.problem import Problem


@dataclass(frozen=True, slots=True)
class JobPlace:
    """Where and when one job runs: index of its option, and its slots in ascending order."""

    option: int
    slots: tuple[int, ...]


@dataclass(slots=True)
class Schedule:
    """Decisions on jobs and migrations.

    Attributes:
        jobs: place of each job that runs, by index of the job.
        targets: chosen option of each migration that is done, by index of the migration.
        shares: for each of these, share of its full rate in each slot, ``[T]``.
    """

    jobs: dict[int, JobPlace] = field(default_factory=dict)
    targets: dict[int, int] = field(default_factory=dict)
    shares: dict[int, FloatArray] = field(default_factory=dict)

    def copy(self) -> Schedule:
        """The same decisions, to be changed on their own."""
        return Schedule(dict(self.jobs), dict(self.targets), {m: share.copy() for m, share in self.shares.items()})


def it_power_kw(problem: Problem, schedule: Schedule) -> FloatArray:
    """IT power of jobs and transfers, ``[S, T]``."""
    power = np.zeros((len(problem.sites), problem.horizon.slots))
    for j, place in schedule.jobs.items():
        option = problem.jobs[j].options[place.option]
        power[option.site, list(place.slots)] += option.power_kw
    for m, choice in schedule.targets.items():
        task = problem.migrations[m]
        target = task.options[choice]
        power[task.source] += target.source_kw * schedule.shares[m]
        power[target.site] += target.target_kw * schedule.shares[m]
    return power


def dropped_eur(problem: Problem, schedule: Schedule) -> float:
    """Price of the jobs and required migrations that are not in the schedule."""
    jobs = sum(task.drop_eur for j, task in enumerate(problem.jobs) if j not in schedule.jobs)
    moves = sum(task.drop_eur for m, task in enumerate(problem.migrations) if task.required and m not in schedule.targets)
    return float(jobs + moves)


def fixed_eur(problem: Problem, schedule: Schedule) -> float:
    """Fixed costs of the chosen options."""
    jobs = sum(problem.jobs[j].options[place.option].cost_eur for j, place in schedule.jobs.items())
    moves = sum(problem.migrations[m].options[choice].cost_eur for m, choice in schedule.targets.items())
    return float(jobs + moves)


def pieces(slots: tuple[int, ...]) -> list[tuple[int, int]]:
    """Half-open blocks of consecutive slots in ``slots`` (ascending)."""
    blocks: list[tuple[int, int]] = []
    for slot in slots:
        if blocks and blocks[-1][1] == slot:
            blocks[-1] = (blocks[-1][0], slot + 1)
        else:
            blocks.append((slot, slot + 1))
    return blocks


def runs_of(problem: Problem, schedule: Schedule) -> tuple[Run, ...]:
    """Runs of all jobs, sorted by start, then by name of the job; without nodes."""
    runs = [
        Run(problem.jobs[j].name, problem.sites[problem.jobs[j].options[place.option].site], start, end)
        for j, place in schedule.jobs.items()
        for start, end in pieces(place.slots)
    ]
    return tuple(sorted(runs, key=lambda run: (run.start, run.job)))


def transfers_of(problem: Problem, schedule: Schedule) -> tuple[Transfer, ...]:
    """Transfers of all migrations in pieces of constant rate, sorted by start, then by name."""
    transfers = []
    for m, choice in schedule.targets.items():
        task = problem.migrations[m]
        target = task.options[choice]
        rates = [0.0 if share < 1e-9 else round(float(share) * target.rate_mbit_per_s, 9) for share in schedule.shares[m]]
        start = 0
        for slot in range(1, len(rates) + 1):
            if slot == len(rates) or rates[slot] != rates[start]:
                if rates[start] > 0:
                    names = (problem.sites[task.source], problem.sites[target.site])
                    transfers.append(Transfer(task.name, task.dataset, *names, start, slot, rates[start]))
                start = slot
    return tuple(sorted(transfers, key=lambda piece: (piece.start, piece.migration)))


def moved_share(problem: Problem, schedule: Schedule, migration: int) -> FloatArray:
    """Share of a migration's volume that has arrived at the start of each slot, ``[T + 1]``; zeros when it is not done."""
    if migration not in schedule.targets:
        return np.zeros(problem.horizon.slots + 1)
    task = problem.migrations[migration]
    volume = slot_tb(task.options[schedule.targets[migration]].rate_mbit_per_s, problem.horizon)
    arrived: FloatArray = np.concatenate(([0.0], np.cumsum(schedule.shares[migration]))) * volume / task.size_tb
    return arrived
