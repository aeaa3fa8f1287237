"""Why a job is where it is: its cost there, the best other places, and what keeps it from better ones.

Every place is priced exactly beside everything else of the plan (``scheduler.answers.places``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from scheduler.answers.places import Places, Priced, schedule_of
from scheduler.answers.relaxation import Relaxation, relaxations
from scheduler.answers.words import SAME_EUR, compared, eur, held_words, when
from scheduler.plan import Plan
from scheduler.problem import FULL_SPEED, JobTask, Problem
from scheduler.reasons import clock
from scheduler.workload import JobKind


class Other(StrEnum):
    """Kinds of another place."""

    NEXT_TIME = "next_time"
    """second-best time at the planned site"""
    CLEAR_TIME = "clear_time"
    """best time at the planned site that shares no slot with the planned one"""
    OTHER_SITE = "other_site"
    """best time at another site"""


@dataclass(frozen=True, slots=True, eq=False)
class Alternative:
    """Another place that the job could have, or why it cannot have one.

    Attributes:
        kind: which other place it is.
        site: name of its site.
        place: the best such place with all other jobs as planned, or None when there is none.
        difference_eur: what it costs more than the planned place; None without a place.
        words: what makes it worse, or what forbids it.
        blocked: a cheaper place there that other jobs fill, or None; holders: by resource, the jobs that fill it.
    """

    kind: Other
    site: str
    place: Priced | None
    difference_eur: float | None
    words: str
    blocked: Priced | None = None
    holders: dict[str, tuple[str, ...]] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Why:
    """The answer about one job.

    Attributes:
        job: its name.
        planned: where it runs and what it adds to the objective there; None when it is dropped.
        told: the reason that the plan itself gives.
        alternatives: other places; empty for a dropped job.
        relaxations: for a dropped job, smallest changes that would let it run, the cheapest first.
        notes: what the reader must know about the figures.
        solved: energy programmes that were solved.
    """

    job: str
    planned: Priced | None
    told: str
    alternatives: tuple[Alternative, ...]
    relaxations: tuple[Relaxation, ...]
    notes: tuple[str, ...]
    solved: int


def why(problem: Problem, plan: Plan, job: int, everywhere: Problem | None = None) -> Why:
    """Why job ``job`` (an index) is where and when it is in ``plan``, or what would let it run.

    Args:
        problem: what was planned.
        plan: its plan.
        job: index of the job in ``problem.jobs``.
        everywhere: the same problem with the job allowed at every site that can hold it; None when that is not known.
    """
    schedule, task = schedule_of(problem, plan), problem.jobs[job]
    if job not in schedule.jobs:
        told = next((item.reason.text for item in plan.dropped if item.name == task.name), f"{task.name} is not in the plan.")
        changes, solved = relaxations(problem, schedule, job, everywhere)
        return Why(task.name, None, told, (), changes, _notes(task), solved)
    teller = _Teller(Places.of(problem, schedule, job))
    place = teller.places.planned
    if place is None:
        raise ValueError(f"{task.name} has no place")
    planned = teller.places.price(place.option, place.slots)
    reason = plan.reasons.get(task.name)
    others = () if task.pinned else tuple(teller.alternatives(planned))
    notes = _notes(task)
    gain = max((-(other.difference_eur or 0.0) for other in others), default=0.0)
    if gain >= SAME_EUR:
        gap_eur = None if plan.bound_eur is None else plan.objective_eur - plan.bound_eur
        left = "" if gap_eur is None else f"; its gap leaves {eur(gap_eur)} open, so it need not be the best plan there is"
        notes += (f"Moving this job alone would save {eur(gain)}: the plan is not the best one for it{left}.",)
    return Why(task.name, planned, reason.text if reason else "", others, (), notes, teller.places.solved)


def _notes(task: JobTask) -> tuple[str, ...]:
    """What the figures leave out for a job of this kind."""
    notes: tuple[str, ...] = ()
    if task.kind is JobKind.MALLEABLE or task.modes != (FULL_SPEED,):
        notes += ("Other places are priced at full speed; the job may also run slower.",)
    if task.kind is JobKind.INTERRUPTIBLE and (task.min_run > 1 or task.min_gap > 0):
        notes += ("Other places may have shorter pieces or pauses than the job allows, so they are a lower limit.",)
    return notes


@dataclass(slots=True)
class _Teller:
    """Alternatives of one job."""

    places: Places

    def alternatives(self, planned: Priced) -> list[Alternative]:
        """Other times at the planned site, then the best time at every other site, the cheapest first."""
        problem = self.places.problem
        free = self.places.free(planned.option)
        clear = free.copy()
        clear[list(planned.slots)] = 0.0
        found = [
            self._alternative(Other.NEXT_TIME, planned, self.places.best(planned.option, free, planned.slots)),
            self._alternative(Other.CLEAR_TIME, planned, self.places.best(planned.option, clear)),
        ]
        if found[0].place is not None and found[1].place is not None and found[0].place.slots == found[1].place.slots:
            found.pop()
        options = {problem.sites[option.site]: e for e, option in enumerate(self.places.task.options)}
        elsewhere = []
        for site in problem.sites:
            if site == planned.site:
                continue
            if site in options:
                elsewhere.append(self._elsewhere(planned, options[site]))
            else:
                elsewhere.append(Alternative(Other.OTHER_SITE, site, None, None, self._no_option(site)))
        elsewhere.sort(key=lambda other: (other.difference_eur is None, other.difference_eur or 0.0))
        return found + elsewhere

    def _alternative(self, kind: Other, planned: Priced, place: Priced | None) -> Alternative:
        """Another place at the planned site."""
        blocked = self._blocked(planned.option, planned)
        if place is None:
            first = "no other time" if kind is Other.NEXT_TIME else "no time clear of the planned one"
            words = f"{first} fits {self._window()}" + (f" beside the other jobs ({self._told(blocked)})" if blocked else "")
            return Alternative(kind, planned.site, None, None, words, *self._pair(blocked))
        words = compared(planned, place)
        if kind is Other.NEXT_TIME and blocked is not None:
            words += f"; {self._told(blocked)} and would save {eur(planned.cost_eur - blocked.cost_eur)}"
            return Alternative(kind, planned.site, place, place.cost_eur - planned.cost_eur, words, *self._pair(blocked))
        return Alternative(kind, planned.site, place, place.cost_eur - planned.cost_eur, words)

    def _elsewhere(self, planned: Priced, option: int) -> Alternative:
        """The best place at another site."""
        site = self.places.problem.sites[self.places.task.options[option].site]
        place = self.places.best(option, self.places.free(option))
        if place is None:
            blocked = self._blocked(option, None)
            words = self._told(blocked) if blocked else self._own_limit(option)
            return Alternative(Other.OTHER_SITE, site, None, None, words, *self._pair(blocked))
        words, blocked = compared(planned, place), self._blocked(option, place)
        if blocked is not None:
            words += f"; {self._told(blocked)}"
        return Alternative(Other.OTHER_SITE, site, place, place.cost_eur - planned.cost_eur, words, *self._pair(blocked))

    def _blocked(self, option: int, beside: Priced | None) -> Priced | None:
        """The best place there were it not for other jobs, when it is better than ``beside``."""
        place = self.places.best(option, self.places.free(option, others=False))
        if place is None or place.unserved_kwh > 1e-6:
            return None
        return place if beside is None or place.cost_eur < beside.cost_eur - SAME_EUR else None

    def _pair(self, blocked: Priced | None) -> tuple[Priced | None, dict[str, tuple[str, ...]] | None]:
        return blocked, None if blocked is None else self._holders(blocked)

    def _holders(self, place: Priced) -> dict[str, tuple[str, ...]]:
        return self.places.holders(self.places.task.options[place.option].site, place.slots)

    def _told(self, blocked: Priced) -> str:
        """A place that other jobs fill, in words."""
        held = held_words(self._holders(blocked)) or "jobs before or after it in its workflow forbid it"
        return f"{when(self.places.problem, blocked.slots)} is full ({held})"

    def _window(self) -> str:
        task = self.places.task
        return f"between {self._clock(task.release)} and {self._clock(task.deadline)}"

    def _own_limit(self, option: int) -> str:
        """Which of the job's own limits leaves no place at an option."""
        task, problem, place = self.places.task, self.places.problem, self.places.task.options[option]
        names = " and ".join(problem.migrations[m].dataset for m in place.migrations)
        first = self.places.board.first_slot(task, option)
        if first is None:
            return f"the plan does not bring {names} there"
        if first + task.work > task.deadline and first > task.release:
            return f"{names or 'it'} is there at {self._clock(first)} only, too late to end by {self._clock(task.deadline)}"
        return f"the site never has room for it {self._window()}"

    def _no_option(self, site: str) -> str:
        """Why a site is no option at all."""
        obstacles = [text for text in self.places.task.obstacles if text.startswith(f"{site} ")]
        return obstacles[0].removeprefix(f"{site} ") if obstacles else "not one of the sites where it may run"

    def _clock(self, slot: int) -> str:
        return clock(self.places.problem, slot)
