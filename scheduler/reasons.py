"""Why each job and migration is where and when it is: found from the numbers of a plan, told in plain words.

Every job is compared with running at once: the place where it would have been finished first with everything else as
planned. What that place would cost more, in EUR and in kg of carbon, comes from ``scheduler.marginal`` (battery as
planned). What is not done names the limit and the smallest change that would help.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from grid.horizon import FloatArray
from scheduler.marginal import Meter
from scheduler.obstacles import impossible, orphaned, span, undone
from scheduler.optimiser.classes import possible_slots
from scheduler.plan import Dropped, EnergySchedule, Reason, ReasonKind
from scheduler.policies.placing import Board, at_full_speed, board_of
from scheduler.policies.schedule import JobPlace, Schedule, late_eur, restarts_eur
from scheduler.problem import JobTask, Problem, slots_needed
from scheduler.workload import JobKind


def is_impossible(reason: Reason) -> bool:
    """True when what was asked for contradicts itself or fits nowhere, whatever else is planned."""
    return reason.kind in (ReasonKind.CONFLICT, ReasonKind.NO_PLACE)


def explain(
    problem: Problem, schedule: Schedule, energy: EnergySchedule, kind: ReasonKind | None
) -> tuple[dict[str, Reason], tuple[Dropped, ...]]:
    """Reasons of everything that is done, by name, and everything that is not done with its reason.

    Without ``planning.reasons`` only what is not done has one: of a plan of thousands of jobs they take longer than the plan.

    Args:
        problem: the problem.
        schedule: decisions.
        energy: planned flows.
        kind: the reason that a rule gives for every job, or None to find each from the numbers.
    """
    teller = _Teller(problem, Meter.of(problem, energy), board_of(problem, schedule))
    reasons: dict[str, Reason] = {}
    dropped: list[Dropped] = []
    for j, task in enumerate(problem.jobs):
        if j in schedule.jobs:
            if problem.settings.reasons:
                reasons[task.name] = teller.job(j, kind)
        else:
            dropped.append(Dropped(task.name, orphaned(problem, schedule, task) or teller.dropped_job(task)))
    for m, move in enumerate(problem.migrations):
        if m in schedule.targets:
            reasons[move.name] = teller.migration(m, schedule)
        elif move.required:
            dropped.append(Dropped(move.name, undone(problem, move)))
    return reasons, tuple(dropped)


@dataclass(slots=True)
class _Teller:
    """What is needed to tell reasons of one plan."""

    problem: Problem
    meter: Meter
    board: Board

    def job(self, j: int, rule: ReasonKind | None) -> Reason:
        """Why job ``j`` runs where and when it does."""
        task = self.problem.jobs[j]
        place = self.board.take(j)
        option = task.options[place.option]
        power = option.power_kw * place.power(task)
        self.meter.add(option.site, list(place.slots), -power)
        if task.pinned:
            reason = Reason(
                ReasonKind.ALREADY_RUNNING, f"Was already running at {self._site(task, place)} when this plan was made."
            )
        elif rule is not None:
            reason = self._rule(task, place, rule)
        else:
            reason = self._found(task, place)
        self.board.put(j, place)
        self.meter.add(option.site, list(place.slots), power)
        return reason

    def _rule(self, task: JobTask, place: JobPlace, rule: ReasonKind) -> Reason:
        """Reason of a rule."""
        wait = place.slots[0] - task.release
        where = f"at {self._site(task, place)} at {self._clock(place.slots[0])}"
        if rule is ReasonKind.WAIT_FOR_SUN and wait > 0:
            text = f"Starts {where}, {self._span(wait)} after its release: the rule waits for unused sun or wind, else for room."
        elif rule is ReasonKind.WAIT_FOR_SUN:
            text = f"Starts {where}: no later time in its window has more unused sun or wind."
        elif wait > 0:
            text = f"Starts {where}, {self._span(wait)} after its release: the first moment with room."
        else:
            text = f"Starts {where}, as soon as it is released."
        return Reason(rule, text, {"wait_h": wait * self.problem.horizon.step_h})

    def _found(self, task: JobTask, place: JobPlace) -> Reason:
        """Reason from the numbers; job and meter are without the job."""
        at_once, wait = self._at_once(task), place.slots[0] - task.release
        numbers = {"wait_h": wait * self.problem.horizon.step_h, **self._price(task, place, "planned")}
        where = f"at {self._site(task, place)}"
        only = self._choices(task)
        if only == 1:
            option = task.options[place.option]
            late = option.earliest > task.release
            kind = ReasonKind.DATA if late and option.migrations else ReasonKind.DEADLINE
            cause = "its data arrives only then" if kind is ReasonKind.DATA else "no other place or time fits before its deadline"
            return Reason(kind, f"Runs {where} from {self._clock(place.slots[0])}: {cause}.", numbers)
        if at_once is None or (at_once.slots == place.slots and at_once.option == place.option):
            return self._first(task, place, numbers)
        numbers |= self._price(task, at_once, "at_once")
        saved = numbers["at_once_eur"] - numbers["planned_eur"]
        carbon = numbers["at_once_carbon_kg"] - numbers["planned_carbon_kg"]
        numbers |= {"saved_eur": saved, "saved_carbon_kg": carbon}
        kind, cause = self._cause(task, place, at_once, numbers)
        if wait > 0:
            text = f"Waits {self._span(wait)} until {self._clock(place.slots[0])} {where}"
        else:
            text = f"Runs {where} from {self._clock(place.slots[0])}"
        return Reason(kind, f"{text}, {cause}; {_saving(saved, carbon)}.", numbers)

    def _first(self, task: JobTask, place: JobPlace, numbers: dict[str, float]) -> Reason:
        """Reason of a job that runs as early as it can."""
        start, where = place.slots[0], self._site(task, place)
        option = task.options[place.option]
        if start == task.release:
            return Reason(
                ReasonKind.CHEAPEST, f"Starts at once at {where} ({self._clock(start)}): waiting would save nothing.", numbers
            )
        before = [self.problem.jobs[p].name for p in task.after if self.board.schedule.jobs[p].slots[-1] + 1 == start]
        if before:
            text = f"Starts at {where} at {self._clock(start)}, as soon as {', '.join(before)} has ended."
            return Reason(ReasonKind.AFTER, text, numbers)
        if option.migrations:
            return Reason(
                ReasonKind.DATA, f"Starts at {where} at {self._clock(start)}, as soon as its data has arrived.", numbers
            )
        text = f"Starts at {where} at {self._clock(start)}, the first time with room for it; waiting longer would save nothing."
        return Reason(ReasonKind.CAPACITY, text, numbers)

    def _cause(self, task: JobTask, place: JobPlace, at_once: JobPlace, numbers: dict[str, float]) -> tuple[ReasonKind, str]:
        """What makes the planned place better than running at once."""
        option, other = task.options[place.option], task.options[at_once.option]
        surplus = float(self.meter.surplus_kw(option.site)[list(place.slots)].mean())
        numbers["surplus_kw"] = surplus
        for event in self.problem.events:
            meets = any(event.start <= t < event.end for t in at_once.slots) and other.site == event.site
            clear = option.site != event.site or not any(event.start <= t < event.end for t in place.slots)
            if meets and clear:
                return ReasonKind.EVENT, f"clear of the demand-response event {event.name}"
        if surplus >= 0.5 * option.power_kw * float(self.problem.pue[option.site, place.slots[0]]):
            return ReasonKind.LOCAL_SURPLUS, f"where sun and wind give {surplus:.1f} kW more than is used"
        if self._raises_peak(task, at_once) and not self._raises_peak(task, place):
            return ReasonKind.PEAK, "because running at once would raise the peak that is paid for"
        if numbers["at_once_eur"] - numbers["planned_eur"] < 0:
            return ReasonKind.CAPACITY, "because together with the other jobs this costs least"
        return ReasonKind.CHEAPEST, "where energy and carbon cost least"

    def _raises_peak(self, task: JobTask, place: JobPlace) -> bool:
        option, slots = task.options[place.option], list(place.slots)
        imported = self.meter.import_kw(option.site, option.power_kw)
        if self.problem.peak_eur_per_kw[option.site] > 0 and imported[slots].max() > self.meter.peak_kw[option.site] + 1e-6:
            return True
        for charge, paid_kw in zip(self.problem.window_peaks, self.meter.window_kw, strict=True):
            inside = sorted(set(slots).intersection(charge.slots)) if charge.site == option.site else []
            if inside and imported[inside].max() > paid_kw + 1e-6:
                return True
        return False

    def _price(self, task: JobTask, place: JobPlace, name: str) -> dict[str, float]:
        """Cost and carbon of the job at a place."""
        option, slots = task.options[place.option], list(place.slots)
        power = np.zeros(self.problem.horizon.slots)
        power[slots] = option.power_kw * place.power(task)
        once = option.cost_eur + restarts_eur(task, place.slots) + late_eur(task, place.slots, place.use())
        return {
            f"{name}_eur": float(self.meter.extra_eur(option.site, power)[slots].sum()) + once,
            f"{name}_carbon_kg": float(self.meter.extra_carbon_kg(option.site, power)[slots].sum()),
        }

    def _at_once(self, task: JobTask) -> JobPlace | None:
        """Place where the job would be finished first, everything else as planned."""
        soonest, best = task.release + slots_needed(task) - 1, None
        for e in range(len(task.options)):
            slots = self.board.earliest(task, e)
            if slots is not None and (best is None or slots[-1] < best[1][-1]):
                best = e, slots
                if slots[-1] <= soonest:
                    break  # no place is finished before that
        return at_full_speed(task, *best) if best is not None else None

    def _choices(self, task: JobTask) -> int:
        """Number of places that the job's own limits leave (2 stands for several)."""
        found = 0
        for option in task.options:
            slots = possible_slots(self.problem, task, option)
            if task.kind is JobKind.INTERRUPTIBLE and not task.pinned:
                found += math.comb(len(slots), task.work) if slots else 0
            else:
                found += len(slots)
            if found > 1:
                return 2
        return found

    def dropped_job(self, task: JobTask) -> Reason:
        """Why a job is not run."""
        never = impossible(self.problem, task)
        if never is not None:
            return never
        needed = slots_needed(task)
        fits = any(self.board.fits(task, e, powered=False).sum() >= needed for e in range(len(task.options)))
        numbers = {"drop_eur": task.drop_eur}
        if fits:
            text = f"{task.name} is not run: every place left for it would cost more than its price of {task.drop_eur:.2f} EUR."
            return Reason(ReasonKind.CHEAPEST, text, numbers)
        data_there = replace(task, options=tuple(replace(option, migrations=()) for option in task.options))
        if any(self.board.fits(data_there, e, powered=False).sum() >= needed for e in range(len(task.options))):
            text = f"{task.name} is not run: no place that is left for it before its deadline gets its data in time."
            return Reason(ReasonKind.DATA, text, numbers)
        text = f"{task.name} is not run: other jobs fill every place that it could have before its deadline."
        return Reason(ReasonKind.CAPACITY, text, numbers)

    def migration(self, m: int, schedule: Schedule) -> Reason:
        """Why a migration goes where and when it does."""
        task = self.problem.migrations[m]
        option = task.options[schedule.targets[m]]
        busy = np.flatnonzero(schedule.shares[m] > 1e-9)
        first, last = int(busy[0]), int(busy[-1]) + 1
        numbers = {"size_tb": task.size_tb, "hours": len(busy) * self.problem.horizon.step_h, **self._transfer(m, schedule)}
        route = f"{task.size_tb:.3g} TB from {self.problem.sites[task.source]} to {self.problem.sites[option.site]}"
        when = f"between {self._clock(first)} and {self._clock(last)}"
        if not task.required:
            return Reason(ReasonKind.DATA, f"Copies {route} {when}, because jobs that read it run cheaper there.", numbers)
        if len(busy) >= task.deadline - task.release:
            return Reason(ReasonKind.DEADLINE, f"Moves {route} {when}: it needs all the time until its deadline.", numbers)
        text = f"Moves {route} {when}, as its tier asks; its transfer costs {numbers['transfer_eur']:.2f} EUR of energy then."
        return Reason(ReasonKind.CHEAPEST if first > task.release else ReasonKind.RUN_AT_ONCE, text, numbers)

    def _transfer(self, m: int, schedule: Schedule) -> dict[str, float]:
        """Energy cost of a transfer at both ends, with everything else as planned."""
        task, share = self.problem.migrations[m], schedule.shares[m]
        option = task.options[schedule.targets[m]]
        cost = 0.0
        for site, power in ((task.source, option.source_kw), (option.site, option.target_kw)):
            less: FloatArray = -self.meter.extra_eur(site, -power)
            cost += float((less * share).sum())
        return {"transfer_eur": cost}

    def _site(self, task: JobTask, place: JobPlace) -> str:
        return self.problem.sites[task.options[place.option].site]

    def _clock(self, slot: int) -> str:
        return clock(self.problem, slot)

    def _span(self, slots: int) -> str:
        return span(self.problem, slots)


def clock(problem: Problem, slot: int) -> str:
    """Local time of the start of a slot; with the day when it is not the first one."""
    zone = ZoneInfo(problem.time_zone)
    first: datetime = problem.horizon.start.astimezone(zone)
    moment = problem.horizon.time(slot).astimezone(zone)
    return f"{moment:%H:%M}" if moment.date() == first.date() else f"{moment:%a %H:%M}"


def _saving(saved_eur: float, carbon_kg: float) -> str:
    """Savings against running at once, in words."""
    if saved_eur < 0.005 and abs(carbon_kg) < 0.05:
        return "running at once would cost about the same"
    money = f"saves {saved_eur:.2f} EUR" if saved_eur >= 0 else f"costs {-saved_eur:.2f} EUR more"
    carbon = f"saves {carbon_kg:.1f} kg CO2" if carbon_kg >= 0 else f"emits {-carbon_kg:.1f} kg CO2 more"
    return f"{money} and {carbon} against running at once"
