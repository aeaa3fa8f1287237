"""Why a job is where and when it is: its cost there, the second best here and elsewhere, and what stands in the way of better.

All figures are exact with everything else as planned (``scheduler.answers.places``): they are what moving this one job would
change, not what another plan could reach by moving several.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from grid.errors import Finding, InputError
from scheduler.answers.places import Places, Priced, schedule_of
from scheduler.answers.relaxation import Relaxation, relaxations, with_task
from scheduler.asset_runs import with_draw
from scheduler.document.units import nearest
from scheduler.obstacles import RESOURCE_WORDS, span
from scheduler.plan import Plan
from scheduler.policies.schedule import Schedule, pieces
from scheduler.problem import JobTask, Problem
from scheduler.reasons import clock
from scheduler.workload import JobKind

WORTH_TELLING_EUR = 0.00005
"""Differences below this are not told as a difference."""

GROUPS = {
    "energy": ("energy_import", "energy_export"),
    "carbon": ("carbon",),
    "peak": ("peak",),
    "event penalty": ("event_penalty",),
    "battery": ("battery_wear", "soc_shortfall"),
    "lateness": ("lateness",),
    "fixed cost": ("fixed",),
    "load not served": ("unserved",),
}
"""Parts of the objective as an operator calls them."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another place of the job.

    Attributes:
        label: what it is, in words; site: name of the site.
        place: the place, or None when there is none.
        extra_eur: what it costs more than the planned place; None without one.
        text: what makes the difference, or why there is no place.
    """

    label: str
    site: str
    place: Priced | None
    extra_eur: float | None
    text: str


@dataclass(frozen=True, slots=True)
class Why:
    """Everything about one job of a plan.

    Attributes:
        job: its name; kind, work_slots, window: of the job, the window half-open.
        place: where the plan has it, or None when it is dropped.
        reason: the plan's own sentence.
        alternatives: second best places, the cheapest first.
        obstacles: what stands in the way of cheaper places, and of sites that it cannot use.
        relaxations: what would let a dropped job run.
        notes: what the figures leave out.
    """

    job: str
    kind: str
    work_slots: int
    window: tuple[int, int]
    place: Priced | None
    reason: str
    alternatives: tuple[Alternative, ...]
    obstacles: tuple[str, ...]
    relaxations: tuple[Relaxation, ...]
    notes: tuple[str, ...]


def why(problem: Problem, plan: Plan, job: str) -> Why:
    """All answers about ``job``; assets of sites stay as planned.

    Raises:
        InputError: the scenario has no such job; names the nearest one.
    """
    problem = replace(with_draw(problem, plan.assets), assets=())
    schedule = schedule_of(problem, plan)
    teller = _Teller(problem, schedule, Places.of(problem, schedule, job_index(problem, job)))
    dropped = {item.name: item.reason for item in plan.dropped}
    reason = plan.reasons.get(job) or dropped.get(job)
    return teller.tell(reason.text if reason else "")


def job_index(problem: Problem, job: str) -> int:
    """Index of the job of that name.

    Raises:
        InputError: there is none; names the nearest one.
    """
    names = [task.name for task in problem.jobs]
    if job not in names:
        expected = f"the name of a job of this scenario: {', '.join(names[:10])}{', ...' if len(names) > 10 else ''}"
        raise InputError([Finding("JOB", None, "", repr(job), expected, nearest(job, names))])
    return names.index(job)


def groups(parts_eur: dict[str, float]) -> dict[str, float]:
    """Parts of the objective under the names of ``GROUPS``, those that are worth telling."""
    sums = {name: sum(parts_eur.get(part, 0.0) for part in members) for name, members in GROUPS.items()}
    return {name: value for name, value in sums.items() if abs(value) >= WORTH_TELLING_EUR}


def times(problem: Problem, slots: tuple[int, ...]) -> str:
    """Slots as local times, for example ``10:00-12:00, 13:15-13:30``."""
    told = [f"{clock(problem, start)}-{clock(problem, end)}" for start, end in pieces(slots)]
    return ", ".join(told[:3]) + (f" and {len(told) - 3} more pieces" if len(told) > 3 else "")


@dataclass(slots=True)
class _Teller:
    """What is needed to tell about one job."""

    problem: Problem
    schedule: Schedule
    places: Places

    @property
    def task(self) -> JobTask:
        """The job."""
        return self.places.task

    def tell(self, reason: str) -> Why:
        """The answer."""
        task, planned = self.task, self.places.planned
        place = self.places.price(planned.option, planned.slots) if planned else None
        return Why(
            job=task.name,
            kind=str(task.kind),
            work_slots=task.work,
            window=(task.release, task.deadline),
            place=place,
            reason=reason,
            alternatives=self._alternatives(place) if place and not task.pinned else (),
            obstacles=self._obstacles(place),
            relaxations=relaxations(self.problem, self.schedule, self.places.job) if place is None else (),
            notes=self._notes(),
        )

    def _alternatives(self, place: Priced) -> tuple[Alternative, ...]:
        here, found = place.option, list[Alternative]()
        free = self.places.free(here)
        if self.task.kind is JobKind.RIGID:
            second = self.places.best(here, free, lambda slots: slots[0] != place.slots[0])
            found.append(self._alternative("second-best start here", place, second, here))
        apart = free.copy()
        apart[list(place.slots)] = 0.0
        clear = self.places.best(here, apart)
        told = {other.place.slots for other in found if other.place}
        if clear is None or clear.slots not in told:
            found.append(self._alternative("best time here without a planned slot", place, clear, here))
        first = self.places.first(here)
        if first is not None and first.slots not in {place.slots, *told}:
            found.append(self._alternative("as soon as possible here", place, first, here))
        for e in range(len(self.task.options)):
            if e != here:
                found.append(self._alternative("best time", place, self.places.best(e, self.places.free(e)), e))
        return tuple(sorted(found, key=lambda other: float("inf") if other.extra_eur is None else other.extra_eur))

    def _alternative(self, label: str, planned: Priced, other: Priced | None, option: int) -> Alternative:
        site = self.problem.sites[self.task.options[option].site]
        if other is None:
            return Alternative(label, site, None, None, self._nowhere(option, planned))
        return Alternative(label, site, other, other.cost_eur - planned.cost_eur, _difference(planned, other))

    def _nowhere(self, option: int, planned: Priced) -> str:
        """Why there is no place at an option (beside the planned one)."""
        task, place = self.task, self.task.options[option]
        first = self.places.board.first_slot(task, option)
        if first is None:
            names = ", ".join(self.problem.migrations[m].dataset for m in place.migrations)
            return f"its data ({names}) is not brought there in this plan"
        own = self.places.free(option, others=False)
        if option == planned.option:
            own[list(planned.slots)] = 0.0
        if self.places.room(own):
            return "full with other jobs whenever it could run there"
        late = f"; its data is there from {clock(self.problem, first)}" if first > task.release and place.migrations else ""
        return f"no other time fits between {clock(self.problem, task.release)} and {clock(self.problem, task.deadline)}{late}"

    def _obstacles(self, place: Priced | None) -> tuple[str, ...]:
        """What stands in the way of cheaper places."""
        told = _merged(self.task.obstacles, self.problem.sites)
        if place is None or self.task.pinned:
            return tuple(told)
        for e in range(len(self.task.options)):
            own = self.places.best(e, self.places.free(e, others=False))
            if own is not None and own.cost_eur < place.cost_eur - WORTH_TELLING_EUR:
                told.append(self._cheaper(e, own, place))
        return (*told, *self._later(place))

    def _cheaper(self, option: int, wanted: Priced, place: Priced) -> str:
        """Who holds what at a place that would be cheaper."""
        scarce, full, names = self.places.holders(self.task.options[option].site, wanted.slots)
        text = f"{wanted.site} at {times(self.problem, wanted.slots)} would cost {place.cost_eur - wanted.cost_eur:.4f} EUR less"
        if not scarce:
            return f"{text} with everything else as planned, and has room: the plan is only proven to within its gap."
        listed = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
        lacks = " and ".join(RESOURCE_WORDS[resource] for resource in scarce)
        return f"{text}, but {times(self.problem, full)} lacks {lacks}: {listed} run then."

    def _later(self, place: Priced) -> list[str]:
        """What the deadline costs: the best place here if it were the end of the horizon."""
        task, slots = self.task, self.problem.horizon.slots
        if task.deadline >= slots:
            return []
        problem = with_task(self.problem, self.places.job, replace(task, deadline=slots))
        freed = Places.of(problem, self.schedule, self.places.job)
        best = freed.best(place.option, freed.free(place.option))
        if best is None or best.cost_eur >= place.cost_eur - WORTH_TELLING_EUR or best.slots[-1] < task.deadline:
            return []
        saved, over = place.cost_eur - best.cost_eur, best.slots[-1] + 1 - task.deadline
        text = f"Its deadline {clock(self.problem, task.deadline)} costs {saved:.4f} EUR"
        return [f"{text}: {span(self.problem, over)} later it could run at {times(self.problem, best.slots)} here."]

    def _notes(self) -> tuple[str, ...]:
        task, notes = self.task, ["Every other job and transfer as planned; battery and connection planned anew for each place."]
        if self.places.planned is None:
            notes.append("Deadlines are the planner's: whole slots, with room for the delay of commands.")
        if task.kind is JobKind.MALLEABLE:
            notes.append("Counted at full speed.")
        if task.min_run > 1 or task.min_gap > 0 or task.restart_eur > 0:
            notes.append("Alternatives are chosen without regard to restarts and least lengths of pieces and pauses.")
        if self.problem.feeders or self.problem.groups:
            notes.append("Limits that sites share (feeders, caps of groups) are not counted.")
        if task.pinned:
            notes.append("It is already running, so it is not moved.")
        return tuple(notes)


def _merged(obstacles: tuple[str, ...], sites: tuple[str, ...]) -> list[str]:
    """Obstacles as sentences, sites with the same one told together."""
    same: dict[str, list[str]] = {}
    for text in obstacles:
        site = next((name for name in sites if text.startswith(f"{name} ")), "")
        same.setdefault(text.removeprefix(site).strip(), []).append(site)
    return [
        f"Cannot run at {', '.join(names)}: {text}." if all(names) else f"Cannot run: {text}." for text, names in same.items()
    ]


def _difference(planned: Priced, other: Priced) -> str:
    """What makes ``other`` dearer or cheaper, the largest parts first."""
    parts = {**planned.parts_eur, **other.parts_eur}
    change = groups({part: other.parts_eur.get(part, 0.0) - planned.parts_eur.get(part, 0.0) for part in parts})
    told = sorted(change.items(), key=lambda item: -abs(item[1]))
    return ", ".join(f"{name} {value:+.4f}" for name, value in told[:3]) or "the same"
