"""The steps of a ladder: what a job or a battery can give up for a while, and what that costs.

A load that stands still for some slots is made up for later if there is slack before its deadline, at the cheapest prices
that are left there; its restart price and its lateness count. Without that slack it is lost, at the price of dropping it. What
need not be bought while it stands still is taken off. No cost is below 0: to shed is never a way to earn.

A malleable job can give up its power in several steps (the modes of its power-cap curve, then a pause). Only those on the lower
convex hull of (power, cost) are steps, so each next one costs at least as much a kW as the one before, and going by price
never asks for a pause before the cap that comes first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from grid.horizon import FloatArray
from scheduler.plan import Plan, Run
from scheduler.problem import JobTask, Problem
from scheduler.workload import JobKind

TINY_KW = 1e-9
"""Less power than this is none."""


class StepKind(StrEnum):
    """What a step does."""

    DISCHARGE = "discharge"
    """the battery charges less, or discharges more"""
    CAP = "cap"
    """a malleable job goes on with less power"""
    PAUSE = "pause"
    """a job stands still and keeps its work"""
    STOP = "stop"
    """a job is ended and loses its work"""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that can be given up.

    Attributes:
        kind: what is done; name: of the job, or ``battery``.
        nodes: names of the nodes that it concerns; empty for a battery, or before node assignment.
        kw: power at the connection that it frees, beyond the steps before it of the same name.
        cost_eur: what giving it up for the time that the ladder was made for costs.
        it_kw: IT power that the job keeps on each of its nodes (caps only), kW.
        speed, power: pace that the job keeps, relative to full speed (caps only).
    """

    kind: StepKind
    name: str
    nodes: tuple[str, ...]
    kw: float
    cost_eur: float
    it_kw: float = 0.0
    speed: float = 0.0
    power: float = 0.0

    @property
    def eur_per_kw(self) -> float:
        """Its price, by which steps are put in order; rounded, so that equal prices are equal."""
        return round(self.cost_eur / self.kw, 9)

    @property
    def key(self) -> tuple[str, str, float]:
        """Tells it from others on ladders of one plan."""
        return (self.name, str(self.kind), self.power)


@dataclass(frozen=True, slots=True)
class _Level:
    """A pace to which a job can be brought.

    Attributes:
        kind: how; speed, power: relative to full speed; kw: freed in all; cost_eur: in all.
    """

    kind: StepKind
    speed: float
    power: float
    kw: float
    cost_eur: float


class Held:
    """Costs of holding loads of one site from one slot on, for some slots.

    Attributes:
        site, slot, slots: where, from when, for how long (cut at the end of the horizon).
    """

    def __init__(self, problem: Problem, price_eur_per_kwh: FloatArray, site: int, slot: int, slots: int) -> None:
        """Prepare.

        Args:
            problem: tasks, powers, batteries.
            price_eur_per_kwh: of import at the site, carbon priced in, ``[T]``.
            site: index of the site.
            slot: first slot of the hold.
            slots: slots that it lasts.
        """
        self._problem, self._price, self.site, self.slot = problem, price_eur_per_kwh, site, slot
        self.slots = max(1, min(slots, problem.horizon.slots - slot))
        self._now_eur_per_kwh = float(self._price[slot : slot + self.slots].mean())
        self._later: dict[tuple[int, int], float | None] = {}

    @property
    def hours(self) -> float:
        """Length of the hold."""
        return self.slots * self._problem.horizon.step_h

    def _later_eur_per_kwh(self, first: int, end: int) -> float | None:
        """Mean of the cheapest slots, as many as the hold has, in ``[first, end)``; None when there are fewer."""
        if (first, end) not in self._later:  # thousands of jobs share few windows
            window = self._price[first:end]
            enough = window.size >= self.slots
            self._later[first, end] = float(np.partition(window, self.slots - 1)[: self.slots].mean()) if enough else None
        return self._later[first, end]

    def steps_of(self, task: JobTask, run: Run, plan_end: int, *, may_stop: bool) -> list[Step]:
        """Steps of a job that runs in the slot, the one that comes first at the front; none when it must run.

        Args:
            task: the job.
            run: its piece that holds the slot.
            plan_end: slot at which its last planned piece ends.
            may_stop: a rigid job may be ended; else it must run.
        """
        option = next((option for option in task.options if option.site == self.site), None)
        if option is None:
            return []
        pue = float(self._problem.pue[self.site, self.slot])
        full_kw = option.power_kw * pue
        if full_kw * run.power <= TINY_KW:
            return []
        levels = [self._level(task, run, plan_end, full_kw, *pace) for pace in self._paces(task, run, may_stop=may_stop)]
        steps, kw, cost = [], 0.0, 0.0
        for level in _hull(levels):
            kept_kw = option.power_kw * level.power / max(1, len(run.nodes))
            more = Step(level.kind, task.name, run.nodes, level.kw - kw, level.cost_eur - cost, kept_kw, level.speed, level.power)
            steps.append(more)
            kw, cost = level.kw, level.cost_eur
        return steps

    @staticmethod
    def _paces(task: JobTask, run: Run, *, may_stop: bool) -> list[tuple[StepKind, float, float]]:
        """Kinds of steps with the speed and power that are left."""
        if task.kind is JobKind.RIGID:
            return [(StepKind.STOP, 0.0, 0.0)] if may_stop else []
        caps = [(StepKind.CAP, mode.speed, mode.power) for mode in task.modes if mode.power < run.power - 1e-9]
        return [*caps, (StepKind.PAUSE, 0.0, 0.0)]

    def _level(
        self, task: JobTask, run: Run, plan_end: int, full_kw: float, kind: StepKind, speed: float, power: float
    ) -> _Level:
        """What bringing a job to a pace frees and costs."""
        freed_kw = full_kw * (run.power - power)
        stop = kind is StepKind.STOP
        work = (self.slot - run.start if stop else 0) + (run.speed - speed) * self.slots  # slots at full speed, to be done later
        begins = self.slot + self.slots if stop else plan_end
        again = task.work if stop else work
        late_slots = max(0.0, begins + again - max(plan_end, plan_end if task.due is None else task.due))
        later = self._later_eur_per_kwh(begins, task.deadline)
        if later is None or begins + again > task.deadline + 1e-9:
            return _Level(kind, speed, power, freed_kw, task.drop_eur)
        step_h = self._problem.horizon.step_h
        energy = full_kw * work * step_h * later - freed_kw * self.hours * self._now_eur_per_kwh
        late = late_slots * task.late_eur_per_slot if task.due is not None else 0.0
        restart = task.restart_eur if kind is StepKind.PAUSE else 0.0
        return _Level(kind, speed, power, freed_kw, min(task.drop_eur, max(0.0, energy) + late + restart))

    def battery_step(self, plan: Plan) -> Step | None:
        """What the battery can still give: from its planned power down to full discharge, as long as its charge lasts."""
        battery = self._problem.batteries[self.site]
        if battery is None:
            return None
        energy, s = plan.energy, self.site
        planned_kw = float(energy.charge_kw[s, self.slot] - energy.discharge_kw[s, self.slot])
        start_kwh = float(energy.soc_kwh[s, self.slot - 1] if self.slot else self._problem.initial_soc_kwh[s])
        lasts_kw = max(0.0, start_kwh - battery.reserve_soc_kwh) * battery.discharge_efficiency / self.hours
        freed_kw = planned_kw + min(battery.discharge_kw, lasts_kw)
        if freed_kw <= TINY_KW:
            return None
        later = self._later_eur_per_kwh(self.slot + self.slots, self._problem.horizon.slots)
        both = battery.charge_efficiency * battery.discharge_efficiency
        now = self._now_eur_per_kwh
        value = (now if later is None else later) / both - now + battery.wear_eur_per_kwh
        return Step(StepKind.DISCHARGE, "battery", (), freed_kw, max(0.0, value) * freed_kw * self.hours)


def _hull(levels: Iterable[_Level]) -> list[_Level]:
    """The levels on the lower convex hull of freed power and cost, from (0, 0) on, in order of the power that they free."""
    found: list[_Level] = []
    for level in sorted(levels, key=lambda level: (level.kw, level.cost_eur)):
        if level.kw <= TINY_KW:
            continue
        if found and level.kw - found[-1].kw <= TINY_KW:
            continue  # the same power at a higher cost
        while found and _slope(found[-2] if len(found) > 1 else None, found[-1]) > _slope(found[-1], level) + 1e-12:
            found.pop()
        found.append(level)
    return found


def _slope(before: _Level | None, level: _Level) -> float:
    """EUR for each further kW."""
    kw, cost = (0.0, 0.0) if before is None else (before.kw, before.cost_eur)
    return (level.cost_eur - cost) / (level.kw - kw)
