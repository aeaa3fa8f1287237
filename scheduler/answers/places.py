"""Places that one job could have while everything else stays as planned, and what each of them costs.

A place is priced exactly: with all other jobs and transfers as planned, the energy of its site is planned anew with the job and
without it (``scheduler.answers.energy``), battery included; the difference is the cost of the job there. Starts of a
job in one piece are solved in the order of a proven lower limit until none that is left can be better; slots of a job in pieces
come from one small mixed-integer programme.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from grid.horizon import FloatArray
from scheduler.answers.energy import SiteCost, SiteEnergy
from scheduler.data_tasks import slot_tb
from scheduler.plan import Plan
from scheduler.policies.placing import EPS, Board, board_of
from scheduler.policies.schedule import JobPlace, Schedule
from scheduler.problem import RESOURCES, JobTask, Problem
from scheduler.workload import JobKind

Allowed = Callable[[tuple[int, ...]], bool]


@dataclass(frozen=True, slots=True, eq=False)
class Priced:
    """A place of a job and what the job costs there.

    Attributes:
        option: index of the option; site: name of its site.
        slots: its slots, ascending.
        cost_eur: what the job adds to the objective there; parts_eur: the same by part.
        carbon_kg: what it adds to the carbon of imports (intensity of the objective).
        unserved_kwh: load that would go unserved because of it.
    """

    option: int
    site: str
    slots: tuple[int, ...]
    cost_eur: float
    parts_eur: dict[str, float]
    carbon_kg: float
    unserved_kwh: float


def schedule_of(problem: Problem, plan: Plan) -> Schedule:
    """Decisions of a plan, as indices into the problem; runs and moves that the problem does not know are left out."""
    schedule, index = Schedule(), {site: s for s, site in enumerate(problem.sites)}
    for j, task in enumerate(problem.jobs):
        runs = plan.runs_of(task.name)
        where = [e for e, option in enumerate(task.options) if runs and option.site == index.get(runs[0].site)]
        if where:
            schedule.jobs[j] = JobPlace(where[0], tuple(t for run in runs for t in range(run.start, run.end)))
    for m, move in enumerate(problem.migrations):
        for piece in (piece for piece in plan.transfers if piece.migration == move.name):
            choice = next((o for o, option in enumerate(move.options) if option.site == index.get(piece.target)), None)
            if choice is not None:
                schedule.targets[m] = choice
                share = schedule.shares.setdefault(m, np.zeros(problem.horizon.slots))
                share[piece.start : piece.end] = piece.rate_mbit_per_s / move.options[choice].rate_mbit_per_s
        if m in schedule.targets:
            rate = move.options[schedule.targets[m]].rate_mbit_per_s
            full = move.size_tb / slot_tb(rate, problem.horizon)
            schedule.shares[m] *= full / schedule.shares[m].sum()  # a plan keeps volumes to the solver's tolerance only
    return schedule


@dataclass(slots=True)
class Places:
    """Places of one job beside everything else of a plan.

    Attributes:
        problem: the problem.
        job: index of the job.
        board: everything else of the plan.
        planned: the job's place in the plan, or None when it is dropped.
        solved: number of energy programmes that were solved.
    """

    problem: Problem
    job: int
    board: Board
    planned: JobPlace | None
    solved: int = 0
    _energy: dict[int, SiteEnergy] = field(default_factory=dict)
    _base: dict[int, SiteCost] = field(default_factory=dict)
    _known: dict[tuple[int, tuple[int, ...]], Priced] = field(default_factory=dict)

    @classmethod
    def of(cls, problem: Problem, schedule: Schedule, job: int) -> Places:
        """The places of a job beside ``schedule``."""
        board = board_of(problem, schedule)
        planned = board.take(job) if job in board.schedule.jobs else None
        return cls(problem, job, board, planned)

    @property
    def task(self) -> JobTask:
        """The job."""
        return self.problem.jobs[self.job]

    def free(self, option: int, *, others: bool = True) -> FloatArray:
        """1.0 in slots that the job could use there, else 0.0, ``[T]``; without ``others`` only its own limits count."""
        task, place = self.task, self.task.options[option]
        window = self.board.fits(task, option, powered=False)
        if not others:
            first = self.board.first_slot(task, option)
            room = np.all(self.problem.capacity[:, place.site] >= np.array(task.resources)[:, None] - EPS, axis=0)
            window = np.zeros(self.problem.horizon.slots)
            if first is not None:
                window[first : task.deadline] = room[first : task.deadline]
        elif task.tenant >= 0:
            window = window * self._tenant_room(place.site)
        earliest, latest = self._order()
        window[:earliest] = 0.0
        window[latest:] = 0.0
        return window

    def starts(self, free: FloatArray) -> list[int]:
        """Slots in which a job in one piece could start."""
        if len(free) < self.task.work:
            return []
        blocks = np.convolve(free, np.ones(self.task.work), mode="valid")
        starts: list[int] = np.flatnonzero(blocks > self.task.work - 0.5).tolist()
        return starts

    def room(self, free: FloatArray) -> bool:
        """True when the job fits into the slots ``free`` (nothing is priced)."""
        return bool(self.starts(free)) if self.task.kind is JobKind.RIGID else bool((free > 0.5).sum() >= self.task.work)

    def price(self, option: int, slots: tuple[int, ...]) -> Priced:
        """Exact cost of the job in these slots."""
        key = (option, slots)
        if key not in self._known:
            place = self.task.options[option]
            extra = np.zeros(self.problem.horizon.slots)
            extra[list(slots)] = place.power_kw
            self.solved += 1
            self._known[key] = self._priced(option, slots, self._site(place.site).cost(extra))
        return self._known[key]

    def best(self, option: int, free: FloatArray, allowed: Allowed | None = None) -> Priced | None:
        """The cheapest place at an option among the slots ``free``; None when there is none.

        Args:
            option: index of the option.
            free: slots that may be used, ``[T]``.
            allowed: which places of a job in one piece count; all when left out.
        """
        task = self.task
        if task.kind is not JobKind.RIGID:
            if not self.room(free):
                return None
            late = np.zeros(len(free))
            if task.due is not None:
                late[task.due :] = task.late_eur_per_slot
            self.solved += 1
            place = task.options[option]
            found = self._site(place.site).cheapest_slots(place.power_kw, task.work, free, late)
            return self.price(option, found.chosen)
        blocks = [tuple(range(start, start + task.work)) for start in self.starts(free)]
        blocks = [slots for slots in blocks if allowed is None or allowed(slots)]
        best: Priced | None = None
        for least, slots in sorted((self._least(option, slots), slots) for slots in blocks):
            if best is not None and least >= best.cost_eur - 1e-9:
                break
            priced = self.price(option, slots)
            if best is None or priced.cost_eur < best.cost_eur - 1e-9:
                best = priced
        return best

    def first(self, option: int) -> Priced | None:
        """The place that is over first at an option; None when there is none."""
        free = self.free(option)
        if self.task.kind is JobKind.RIGID:
            starts = self.starts(free)
            return self.price(option, tuple(range(starts[0], starts[0] + self.task.work))) if starts else None
        slots = np.flatnonzero(free > 0.5)[: self.task.work]
        return self.price(option, tuple(slots.tolist())) if len(slots) == self.task.work else None

    def holders(self, site: int, slots: tuple[int, ...]) -> tuple[tuple[str, ...], tuple[int, ...], tuple[str, ...]]:
        """Resources that are too little for the job there and then, the slots where they are, and the jobs that hold them."""
        short = self.board.free[:, site, list(slots)] < np.array(self.task.resources)[:, None] - EPS
        scarce = np.flatnonzero(short.any(axis=1))
        when = tuple(slots[k] for k in np.flatnonzero(short.any(axis=0)))
        names = []
        for j, place in self.board.schedule.jobs.items():
            other = self.problem.jobs[j]
            there = other.options[place.option].site == site and bool(set(place.slots) & set(when))
            if there and any(other.resources[r] > 0 for r in scarce):
                names.append(other.name)
        return tuple(RESOURCES[r] for r in scarce), when, tuple(names)

    def _site(self, site: int) -> SiteEnergy:
        if site not in self._energy:
            self._energy[site] = SiteEnergy(self.problem, site, self.board.it_kw[site])
            self._base[site] = self._energy[site].cost()
            self.solved += 1
        return self._energy[site]

    def _least(self, option: int, slots: tuple[int, ...]) -> float:
        """A proven lower limit of the cost of a place."""
        place = self.task.options[option]
        floor, slope = self._site(place.site).slope()
        beyond = floor - self._base[place.site].total_eur + place.power_kw * float(slope[list(slots)].sum())
        return beyond + sum(self._own(option, slots).values())

    def _own(self, option: int, slots: tuple[int, ...]) -> dict[str, float]:
        """Costs of a place that are not energy."""
        task = self.task
        late = 0
        if task.due is not None:
            late = max(0, slots[-1] + 1 - task.due) if task.kind is JobKind.RIGID else sum(t >= task.due for t in slots)
        breaks = sum(after != before + 1 for before, after in pairwise(slots))
        restarts = task.restart_eur * breaks
        return {"fixed": task.options[option].cost_eur + restarts, "lateness": late * task.late_eur_per_slot}

    def _priced(self, option: int, slots: tuple[int, ...], cost: SiteCost) -> Priced:
        place = self.task.options[option]
        base = self._base[place.site]
        parts = {part: value - base.parts_eur.get(part, 0.0) for part, value in cost.parts_eur.items()}
        for part, value in self._own(option, slots).items():
            parts[part] = parts.get(part, 0.0) + value
        return Priced(
            option,
            self.problem.sites[place.site],
            slots,
            sum(parts.values()),
            {part: value for part, value in parts.items() if abs(value) > 1e-9},
            cost.carbon_kg - base.carbon_kg,
            cost.unserved_kwh - base.unserved_kwh,
        )

    def _order(self) -> tuple[int, int]:
        """Half-open window that jobs before and after this one in its workflow leave."""
        jobs, earliest, latest = self.board.schedule.jobs, 0, self.problem.horizon.slots
        for before in self.task.after:
            earliest = max(earliest, jobs[before].slots[-1] + 1 if before in jobs else latest)
        for j, task in enumerate(self.problem.jobs):
            if self.job in task.after and j in jobs:
                latest = min(latest, jobs[j].slots[0])
        return earliest, latest

    def _tenant_room(self, site: int) -> FloatArray:
        """1.0 where the share of the job's tenant leaves room at a site, ``[T]``."""
        task, problem = self.task, self.problem
        left = problem.tenants[task.tenant].share * problem.capacity[:, site]
        for j, place in self.board.schedule.jobs.items():
            other = problem.jobs[j]
            if other.tenant == task.tenant and other.options[place.option].site == site:
                left[:, list(place.slots)] -= np.array(other.resources)[:, None]
        room: FloatArray = np.all(left >= np.array(task.resources)[:, None] - EPS, axis=0).astype(np.float64)
        return room
