"""Placing jobs one by one: what is free, what a place would use, how transfers run at once.

Places keep to capacity, windows, data, copies and their volume, shares of tenants, least lengths of pieces and gaps, and the
order of workflows. Malleable jobs are placed at full speed; feeders are a matter of energy and are not looked at here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from grid.horizon import FloatArray
from scheduler.data_tasks import slot_tb
from scheduler.policies.schedule import JobPlace, Schedule, moved_share
from scheduler.policies.stretches import earliest_pieces
from scheduler.problem import FULL_SPEED, JobTask, Problem, slots_needed
from scheduler.workload import JobKind

EPS = 1e-9
"""Tolerance on resources and shares."""


@dataclass(slots=True)
class Board:
    """A schedule under construction with what is still free.

    Attributes:
        problem: the problem.
        schedule: decisions so far.
        free: resources left, ``[R, S, T]``.
        it_kw: IT power of jobs and transfers so far, ``[S, T]``.
        link_left: share of each link that is left, ``[L, T]``.
        supply_kw: facility load that import and renewables can serve, ``[S, T]``: the import limit as a rule knows it.
        tenant_left: of each tenant's share, what is left, ``[R, S, T]`` each.
        readers: number of placed jobs that use each copy; copy_left_gb: volume of copies that each site can still take, ``[S]``.
        followers: jobs that come after a job, by its name.
    """

    problem: Problem
    schedule: Schedule = field(default_factory=Schedule)
    free: FloatArray = field(init=False)
    it_kw: FloatArray = field(init=False)
    link_left: FloatArray = field(init=False)
    supply_kw: FloatArray = field(init=False)
    tenant_left: list[FloatArray] = field(init=False)
    readers: Counter[int] = field(init=False)
    copy_left_gb: FloatArray = field(init=False)
    followers: dict[str, list[int]] = field(init=False)

    def __post_init__(self) -> None:
        problem = self.problem
        self.tenant_left = [tenant.share * problem.capacity for tenant in problem.tenants]
        self.readers = Counter()
        unlimited = np.full(len(problem.sites), np.inf)
        self.copy_left_gb = unlimited if problem.copy_limit_gb is None else problem.copy_limit_gb.copy()
        self.followers = {}
        for j, task in enumerate(problem.jobs):
            for before in task.after:
                self.followers.setdefault(problem.jobs[before].name, []).append(j)
        self.free = problem.capacity.copy()
        self.it_kw = np.zeros((len(problem.sites), problem.horizon.slots))
        self.link_left = np.ones((len(problem.links), problem.horizon.slots))
        self.supply_kw = problem.import_limit_kw + problem.renewable_kw

    def start_required_moves(self) -> None:
        """Every required migration, at once, to the target that it reaches first."""
        for m, task in enumerate(self.problem.migrations):
            if task.required:
                self.move(m)

    def move(self, migration: int) -> bool:
        """Run a migration as early as its links allow; False when no target can be filled in time."""
        task = self.problem.migrations[migration]
        best: tuple[int, int, FloatArray] | None = None
        for o, option in enumerate(task.options):
            share = np.zeros(self.problem.horizon.slots)
            left = task.size_tb / slot_tb(option.rate_mbit_per_s, self.problem.horizon)
            for t in range(task.release, task.deadline):
                room = min(
                    (float(self.link_left[link, t] * self.problem.link_mbit_per_s[link]) for link in option.links), default=0.0
                )
                share[t] = min(left, 1.0, max(0.0, room / option.rate_mbit_per_s))
                left -= share[t]
                if left <= EPS:
                    if best is None or t < best[0]:
                        best = (t, o, share)
                    break
        if best is None:
            return False
        _, choice, share = best
        option = task.options[choice]
        self.schedule.targets[migration], self.schedule.shares[migration] = choice, share
        for link in option.links:
            self.link_left[link] -= share * option.rate_mbit_per_s / self.problem.link_mbit_per_s[link]
        self.it_kw[task.source] += option.source_kw * share
        self.it_kw[option.site] += option.target_kw * share
        return True

    def first_slot(self, task: JobTask, option: int) -> int | None:
        """First slot in which the job may run there as far as release, data and predecessors go; None when these do not come."""
        place = task.options[option]
        first = max(task.release, place.earliest)
        for m in place.migrations:
            chosen = self.schedule.targets.get(m)
            if chosen is None or self.problem.migrations[m].options[chosen].site != place.site:
                return None
            arrived = np.flatnonzero(moved_share(self.problem, self.schedule, m) >= 1.0 - EPS)
            first = max(first, int(arrived[0]))
        for before in task.after:
            if before not in self.schedule.jobs:
                return None
            first = max(first, self.schedule.jobs[before].slots[-1] + 1)
        if place.copy >= 0 and not self.readers[place.copy]:
            copy = self.problem.copies[place.copy]
            if copy.volume_gb > self.copy_left_gb[copy.site] + EPS:
                return None
        return first

    def last_slot(self, task: JobTask) -> int:
        """Slot before which the job must end: its deadline, or the start of a placed job that comes after it."""
        placed = [self.schedule.jobs[j].slots[0] for j in self.followers.get(task.name, ()) if j in self.schedule.jobs]
        return min([task.deadline, *placed])

    def needed(self, task: JobTask) -> bool:
        """True when a placed job comes after this one, so that it may not be left out."""
        return any(j in self.schedule.jobs for j in self.followers.get(task.name, ()))

    def fits(self, task: JobTask, option: int, *, powered: bool = True) -> FloatArray:
        """1.0 in slots in which the job could run there now (capacity, and import limit when ``powered``), else 0.0, ``[T]``."""
        place = task.options[option]
        need = np.array(task.resources)[:, None]
        room = np.all(self.free[:, place.site] >= need - EPS, axis=0)
        if task.tenant >= 0:
            room &= np.all(self.tenant_left[task.tenant][:, place.site] >= need - EPS, axis=0)
        if powered:
            s = place.site
            load = self.problem.fixed_kw[s] + self.problem.pue[s] * (self.it_kw[s] + place.power_kw)
            room &= load <= self.supply_kw[s] + EPS
        first, last = self.first_slot(task, option), self.last_slot(task)
        window = np.zeros(self.problem.horizon.slots)
        if first is not None and first < last:
            window[first:last] = room[first:last]
        return window

    def starts(self, task: JobTask, option: int, *, powered: bool = True) -> list[int]:
        """Slots in which a rigid job could start there now."""
        fits = self.fits(task, option, powered=powered)
        if len(fits) < task.work:
            return []
        blocks = np.convolve(fits, np.ones(task.work), mode="valid")
        found: list[int] = np.flatnonzero(blocks > task.work - 0.5).tolist()
        return found

    def earliest(self, task: JobTask, option: int) -> tuple[int, ...] | None:
        """Slots of the place that is finished first there, or None."""
        if task.kind is JobKind.RIGID:
            starts = self.starts(task, option)
            return tuple(range(starts[0], starts[0] + task.work)) if starts else None
        fits = self.fits(task, option)
        if task.kind is JobKind.INTERRUPTIBLE:
            return earliest_pieces(fits, task)
        slots, count = np.flatnonzero(fits), slots_needed(task)
        return tuple(slots[:count].tolist()) if len(slots) >= count else None

    def put(self, job: int, place: JobPlace) -> None:
        """Place a job."""
        self._account(job, place, 1.0)
        self.schedule.jobs[job] = place

    def take(self, job: int) -> JobPlace:
        """Take a job off its place."""
        place = self.schedule.jobs.pop(job)
        self._account(job, place, -1.0)
        return place

    def put_pinned(self) -> None:
        """Every job that is already commanded keeps its slots."""
        for j, task in enumerate(self.problem.jobs):
            if task.pinned:
                self.put(j, JobPlace(0, task.pinned))

    def _account(self, job: int, place: JobPlace, sign: float) -> None:
        task = self.problem.jobs[job]
        option = task.options[place.option]
        slots = list(place.slots)
        use = sign * np.array(task.resources)[:, None] * place.use()
        self.free[:, option.site, slots] -= use
        if task.tenant >= 0:
            self.tenant_left[task.tenant][:, option.site, slots] -= use
        self.it_kw[option.site, slots] += sign * option.power_kw * place.power(task)
        if option.copy >= 0:
            before, copy = self.readers[option.copy], self.problem.copies[option.copy]
            self.readers[option.copy] += round(sign)
            if min(before, self.readers[option.copy]) == 0:
                self.copy_left_gb[copy.site] -= sign * copy.volume_gb


def at_full_speed(task: JobTask, option: int, slots: tuple[int, ...]) -> JobPlace:
    """The place of a job that runs at its fastest in ``slots``; of a malleable one the last slot is used as far as needed."""
    if task.kind is not JobKind.MALLEABLE or FULL_SPEED in task.modes:
        return JobPlace(option, slots)
    return in_mode(task, option, slots, max(range(len(task.modes)), key=lambda k: task.modes[k].speed))


def in_mode(task: JobTask, option: int, slots: tuple[int, ...], mode: int) -> JobPlace:
    """The place of a malleable job that runs in one mode throughout, in the last slot as far as needed."""
    left, shares = float(task.work), []
    for _ in slots:
        share = min(1.0, left / task.modes[mode].speed)
        left -= share * task.modes[mode].speed
        shares.append(tuple(share if k == mode else 0.0 for k in range(len(task.modes))))
    return JobPlace(option, slots, tuple(shares))


def predecessors_first(problem: Problem, order: Iterable[int]) -> list[int]:
    """``order`` with every job after those that it comes after, as far as these are in it; otherwise unchanged."""
    wanted, done = list(order), dict[int, None]()
    members = set(wanted)
    for j in wanted:
        stack = [j]
        while stack:
            top = stack[-1]
            waits = [p for p in problem.jobs[top].after if p in members and p not in done and p not in stack]
            if waits:
                stack.append(waits[0])
            else:
                done[stack.pop()] = None
    return list(done)


def board_of(problem: Problem, schedule: Schedule) -> Board:
    """A board with ``schedule`` on it (jobs and migrations)."""
    board = Board(problem)
    for m, choice in schedule.targets.items():
        task, share = problem.migrations[m], schedule.shares[m]
        option = task.options[choice]
        board.schedule.targets[m], board.schedule.shares[m] = choice, share.copy()
        for link in option.links:
            board.link_left[link] -= share * option.rate_mbit_per_s / problem.link_mbit_per_s[link]
        board.it_kw[task.source] += option.source_kw * share
        board.it_kw[option.site] += option.target_kw * share
    for j, place in schedule.jobs.items():
        board.put(j, place)
    return board
