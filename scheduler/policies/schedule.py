"""What every policy decides before energy is counted: places and slots of jobs, shares of transfers."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from grid.horizon import FloatArray
from scheduler.data_tasks import slot_tb
from scheduler.plan import Run, Transfer
from scheduler.problem import JobTask, Problem
from scheduler.workload import JobKind

DIGITS = 9
"""Digits to which the shares of a run are rounded in a plan."""


@dataclass(frozen=True, slots=True)
class JobPlace:
    """Where and when one job runs.

    Attributes:
        option: index of its option.
        slots: its slots in ascending order.
        shares: of a malleable job: for each of these slots the share of the slot in each of its modes; empty: at full speed
            all the time.
    """

    option: int
    slots: tuple[int, ...]
    shares: tuple[tuple[float, ...], ...] = ()

    def use(self) -> FloatArray:
        """Share of its resources that the job uses in each of its slots."""
        if not self.shares:
            return np.ones(len(self.slots))
        used: FloatArray = np.array(self.shares, dtype=np.float64).sum(axis=1)
        return used

    def power(self, task: JobTask) -> FloatArray:
        """IT power in each of its slots, as a share of that at full speed."""
        return self._weighted([mode.power for mode in task.modes])

    def speed(self, task: JobTask) -> FloatArray:
        """Work done in each of its slots, in slots at full speed."""
        return self._weighted([mode.speed for mode in task.modes])

    def _weighted(self, weights: list[float]) -> FloatArray:
        if not self.shares:
            return np.ones(len(self.slots))
        sums: FloatArray = np.array(self.shares, dtype=np.float64) @ np.array(weights)
        return sums


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
        power[option.site, list(place.slots)] += option.power_kw * place.power(problem.jobs[j])
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
    """Fixed costs of the chosen options, of pieces after the first, and of copies (each once, however many jobs share it)."""
    chosen = [(problem.jobs[j], place) for j, place in schedule.jobs.items()]
    jobs = sum(task.options[place.option].cost_eur + restarts_eur(task, place.slots) for task, place in chosen)
    moves = sum(problem.migrations[m].options[choice].cost_eur for m, choice in schedule.targets.items())
    copies = sum(problem.copies[copy].cost_eur for copy in copies_of(problem, schedule))
    return float(jobs + moves + copies)


def copies_of(problem: Problem, schedule: Schedule) -> frozenset[int]:
    """Indices of the copies that the places of the jobs need."""
    needed = {problem.jobs[j].options[place.option].copy for j, place in schedule.jobs.items()}
    return frozenset(needed - {-1})


def restarts_eur(task: JobTask, slots: tuple[int, ...]) -> float:
    """Price of the pieces after the first one."""
    return task.restart_eur * (len(pieces(slots)) - 1) if task.restart_eur and slots else 0.0


def lateness_eur(problem: Problem, schedule: Schedule) -> float:
    """Price of everything that is done after soft deadlines."""
    return float(sum(late_eur(problem.jobs[j], place.slots, place.use()) for j, place in schedule.jobs.items()))


def late_eur(task: JobTask, slots: tuple[int, ...], use: FloatArray) -> float:
    """Lateness of one job: rigid, for each slot by which its end passes ``due``; others, for what they use from then on."""
    if task.due is None or not task.late_eur_per_slot or not slots:
        return 0.0
    if task.kind is JobKind.RIGID:
        return task.late_eur_per_slot * max(0, slots[-1] + 1 - task.due)
    return task.late_eur_per_slot * float(use[np.array(slots) >= task.due].sum())


def task_eur(problem: Problem, schedule: Schedule) -> dict[str, float]:
    """Parts of the objective that do not depend on energy, as keyword arguments of ``objective.breakdown_eur``."""
    return {
        "dropped_eur": dropped_eur(problem, schedule),
        "fixed_eur": fixed_eur(problem, schedule),
        "lateness_eur": lateness_eur(problem, schedule),
    }


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
    runs = [run for j, place in schedule.jobs.items() for run in runs_of_job(problem, problem.jobs[j], place)]
    return tuple(sorted(runs, key=lambda run: (run.start, run.job)))


def runs_of_job(problem: Problem, task: JobTask, place: JobPlace) -> list[Run]:
    """Runs of one job: blocks of slots, of a malleable one of equal speed, power and use."""
    site = problem.sites[task.options[place.option].site]
    if not place.shares:
        return [Run(task.name, site, start, end) for start, end in pieces(place.slots)]
    runs: list[Run] = []
    values = np.round(np.stack([place.speed(task), place.power(task), place.use()]), DIGITS).T.tolist()
    for slot, (speed, power, use) in zip(place.slots, values, strict=True):
        last = runs[-1] if runs else None
        if last is not None and (last.end, last.speed, last.power, last.use) == (slot, speed, power, use):
            runs[-1] = Run(task.name, site, last.start, slot + 1, (), speed, power, use)
        else:
            runs.append(Run(task.name, site, slot, slot + 1, (), speed, power, use))
    return runs


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
