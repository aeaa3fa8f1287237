"""What a controller knows at a moment: the jobs that were submitted, the window that it plans, its forecasts.

Jobs that are done are left out. A job that cannot keep its deadline any more is not given up: it may end until the window's end,
at the scenario's price of lateness from its own deadline on (what became of it is judged by its own deadline). Of a job that
cannot end inside the window the part inside is planned, as early as it can begin.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from scheduler.controller import first_slot
from scheduler.quantiles import duration_factor, planned_slots
from scheduler.scenario import Scenario
from scheduler.workload import Job, JobKind
from sim.loop.revise import Forecasts
from sim.loop.settings import LoopSettings
from sim.world import SimulatedWorld

BEYOND = timedelta(hours=24)
"""Deadline after the window's end of what cannot end in it, so that no rehearsal calls it late."""


class Known:
    """What is known of a simulated world.

    Args:
        scenario: the whole truth's scenario; its forecasts are the first ones.
        world: the world as it really comes.
        settings: how the loop is run.
    """

    def __init__(self, scenario: Scenario, world: SimulatedWorld, settings: LoopSettings) -> None:
        self._scenario, self._world, self._settings = scenario, world, settings
        self._forecasts = Forecasts(scenario, world.truth, settings.foresight)
        lead = scenario.planning.lead_slots
        if settings.gate is not None:
            lead = max(lead, -(-settings.gate // scenario.horizon.step))
        self._planning = replace(scenario.planning, lead_slots=lead, reasons=settings.reasons)

    def first_slot(self, moment: datetime) -> int:
        """First slot that a plan made at ``moment`` may change: the gate of those before it is closed."""
        return first_slot(replace(self._scenario, planning=self._planning), moment)

    def at(self, moment: datetime, slot: int) -> Scenario:
        """The scenario as known at ``moment``, for a plan that decides from ``slot`` on."""
        whole = self._scenario.horizon
        slots = whole.slots
        if self._settings.window is not None:
            slots = min(slots, slot + max(1, self._settings.window // whole.step))
            settled = self._scenario.settlement  # what is settled must be whole periods
            while slots < whole.slots and (whole.time(slots) - whole.start) % settled:
                slots += 1
        known = replace(
            self._scenario,
            horizon=replace(whole, slots=slots),
            planning=self._planning,
            sites=self._forecasts.sites_at(moment),
            events=tuple(event for event in self._scenario.events if event.received <= moment),
        )
        return replace(known, jobs=self._jobs(known, moment, slot))

    def _jobs(self, known: Scenario, moment: datetime, slot: int) -> tuple[Job, ...]:
        """Submitted jobs that are not done, as they can be planned from ``slot`` on; what a job comes after is known too."""
        open_jobs = self._world.unfinished()
        names = {
            name for name, simulated in open_jobs.items() if simulated.job.release <= moment or not self._settings.submitted_only
        }
        while True:
            waiting = {name for name in names if any(n in open_jobs and n not in names for n in open_jobs[name].job.after)}
            if not waiting:
                break
            names -= waiting
        found = []
        for name, simulated in open_jobs.items():
            if name not in names:
                continue
            job = replace(simulated.job, after=tuple(n for n in simulated.job.after if n in names))
            if simulated.started_s is None:
                found.append(planned(known, job, slot))
            else:
                done = int(simulated.worked_s(self._world.env.now) // known.horizon.step_s)
                found.append(going_on(known, job, slot, done))
        return tuple(found)


def planned(known: Scenario, job: Job, slot: int) -> Job:
    """``job``, which has not begun, with a window that has room for it from ``slot`` on."""
    horizon = known.horizon
    first = max(horizon.ceil_slot(job.release), slot)
    work = planned_slots(known, job)
    room = horizon.slots - first
    if work > room:
        share = max(1, room - 1) * horizon.step / max(1.0, duration_factor(known))
        return replace(job, duration=min(job.duration, share), deadline=horizon.end + BEYOND)
    if first + work > min(horizon.floor_slot(job.deadline), horizon.slots):
        return late(known, job, first)
    return job


def going_on(known: Scenario, job: Job, slot: int, done: int) -> Job:
    """``job``, which has begun and has ``done`` whole slots of work behind it.

    A rigid one cannot be moved, so its deadline decides nothing; another one gets room when it has too little.
    """
    horizon = known.horizon
    if job.kind is JobKind.RIGID:
        return replace(job, deadline=max(job.deadline, horizon.end + BEYOND))
    left = max(1, planned_slots(known, job) - done)
    return late(known, job, slot) if slot + left > horizon.floor_slot(job.deadline) else job


def late(known: Scenario, job: Job, first: int) -> Job:
    """``job``, whose deadline cannot be kept: as soon as it can be, each hour at the price of lateness."""
    horizon = known.horizon
    due = max(job.due or job.deadline, horizon.time(min(first, horizon.slots - 1)))
    price = max(job.late_eur_per_h, known.weights.lateness_eur_per_h)
    return replace(job, due=min(due, horizon.end), late_eur_per_h=price, deadline=horizon.end + BEYOND)
