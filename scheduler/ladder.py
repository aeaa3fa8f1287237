"""The ladder for a sudden limit: what a site gives up, in which order, at what cost. Made with a plan; climbed without solving.

::

    measured 6 kW -------------------------------------------------- planned: 2 kW must run, 4 kW can be given up
         |  1  battery discharges        1.0 kW   0.01 EUR
         |  2  job train stands still    1.5 kW   0.05 EUR       limit 4 kW: steps 1 and 2
         v  3  job encode keeps half     0.8 kW   0.40 EUR
       2 kW must run: no step ever touches it

What must run is everything that is no step: fixed load, jobs that the caller names, and rigid jobs unless the caller allows that
they are ended. Data transfers are no steps either: their power is small, and no command stops them yet.

A ladder is made for a hold of some slots: the time until a plan that knows the limit takes over. What it costs and frees is
reckoned from the plan (``scheduler.rungs``); an estimate, because where the work goes later is for that plan to decide.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from scheduler.plan import Plan, Run
from scheduler.problem import Problem
from scheduler.rungs import Held, Step, StepKind

ENOUGH_KW = 1e-9
"""A shortfall below this is none."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a site gives up for a limit.

    Attributes:
        steps: in the order in which they are taken.
        needed_kw: what had to be freed.
        released_kw: what the steps free.
        cost_eur: what they cost.
    """

    steps: tuple[Step, ...]
    needed_kw: float
    released_kw: float
    cost_eur: float

    @property
    def shortfall_kw(self) -> float:
        """What is missing although everything that can be given up is given up; 0 when it is enough."""
        short = self.needed_kw - self.released_kw
        return short if short > ENOUGH_KW else 0.0


@dataclass(frozen=True, slots=True)
class Ladder:
    """Steps of one site from one slot on, the cheapest for each kW first.

    Attributes:
        site: its name; slot: of the plan's horizon; slots: for how long the costs are meant.
        steps: in order.
        released_kw: what they free when taken up to each, never falling.
    """

    site: str
    slot: int
    slots: int
    steps: tuple[Step, ...]
    released_kw: tuple[float, ...]

    def answer(
        self,
        limit_kw: float,
        measured_kw: float,
        *,
        without: Collection[StepKind] = (),
        taken: Collection[tuple[str, str, float]] = (),
    ) -> Answer:
        """The first steps that bring ``measured_kw`` down to ``limit_kw``; all of them when that is not enough.

        Args:
            limit_kw: largest net import from now on (import positive).
            measured_kw: net import now.
            without: kinds of steps that are not there now, such as a battery that has tripped.
            taken: keys of steps that were taken before and are in ``measured_kw`` already.
        """
        needed_kw = max(0.0, measured_kw - limit_kw)
        chosen: list[Step] = []
        released_kw = cost_eur = 0.0
        for step in self.steps:
            if released_kw >= needed_kw - ENOUGH_KW:
                break
            if step.kind in without or step.key in taken:
                continue
            chosen.append(step)
            released_kw += step.kw
            cost_eur += step.cost_eur
        return Answer(tuple(chosen), needed_kw, released_kw, cost_eur)


def _ordered(site: str, slot: int, slots: int, steps: list[Step]) -> Ladder:
    """A ladder of steps, at one price the gentlest first; those of one job keep their order, because their prices rise."""
    gentle = list(StepKind)
    steps.sort(key=lambda step: (step.eur_per_kw, gentle.index(step.kind)))  # stable
    released, sums = 0.0, []
    for step in steps:
        released += step.kw
        sums.append(released)
    return Ladder(site, slot, slots, tuple(steps), tuple(sums))


class Ladders:
    """The ladders of a plan, for every site and slot."""

    def __init__(
        self, problem: Problem, plan: Plan, *, must_run: Collection[str] = (), may_stop: bool = False, slots: int | None = None
    ) -> None:
        """Find out who runs where and when, so that each ladder is there in the time of sorting what runs then.

        Args:
            problem: what the plan answers, on the same horizon.
            plan: the plan, its nodes assigned when somebody is to be told.
            must_run: names of jobs that are never touched.
            may_stop: rigid jobs may be ended and lose their work; without it they must run.
            slots: length of a hold; the slot now and the lead of the next plan when left out.

        Raises:
            ValueError: plan and problem are of different horizons or sites.
        """
        if plan.sites != problem.sites or plan.horizon != problem.horizon:
            raise ValueError(f"plan {plan.id} is no answer to this problem")
        self._problem, self._plan, self._may_stop = problem, plan, may_stop
        self._price = problem.import_weight_eur_per_kwh
        self._slots = 1 + problem.settings.lead_slots if slots is None else slots
        self._tasks = {task.name: task for task in problem.jobs if task.name not in must_run}
        self._index = {name: s for s, name in enumerate(plan.sites)}
        self._ends: dict[str, int] = {}
        self._runs: dict[tuple[str, int], list[Run]] = {}
        for run in plan.runs:
            if run.job in self._tasks:
                self._ends[run.job] = max(run.end, self._ends.get(run.job, 0))
                for slot in range(max(0, run.start), min(run.end, plan.horizon.slots)):
                    self._runs.setdefault((run.site, slot), []).append(run)
        self._made: dict[tuple[str, int], Ladder] = {}

    def at(self, site: str, slot: int) -> Ladder:
        """The ladder of a site from a slot on.

        Raises:
            KeyError: no such site.
            IndexError: the slot is not in the horizon.
        """
        if not 0 <= slot < self._plan.horizon.slots:
            raise IndexError(f"slot {slot} of a horizon of {self._plan.horizon.slots}")
        if (site, slot) not in self._made:
            self._made[site, slot] = self._make(site, slot)
        return self._made[site, slot]

    def ready(self, slot: int) -> None:
        """Make the ladders of a slot and of the next one, so that none has to be made when a limit comes.

        Beyond the horizon there are none; those of slots that are over are forgotten.
        """
        for key in [key for key in self._made if key[1] < slot]:
            del self._made[key]
        for number in range(max(0, slot), min(slot + 2, self._plan.horizon.slots)):
            for site in self._plan.sites:
                self.at(site, number)

    def _make(self, site: str, slot: int) -> Ladder:
        s = self._index[site]
        held = Held(self._problem, self._price[s], s, slot, self._slots)
        steps = [] if (battery := held.battery_step(self._plan)) is None else [battery]
        for run in self._runs.get((site, slot), ()):
            steps += held.steps_of(self._tasks[run.job], run, self._ends[run.job], may_stop=self._may_stop)
        return _ordered(site, slot, held.slots, steps)


__all__ = ["Answer", "Ladder", "Ladders", "Step", "StepKind"]
