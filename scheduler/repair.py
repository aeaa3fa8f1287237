"""What becomes of jobs that find no nodes: the nearest place that keeps every rule, or none, and what the plan costs then.

A moved job keeps its window, its data, the order of its workflow, its tenant's share and the copies that are bought anyway. One
whose pieces matter is put back in one piece, which keeps every least length; a malleable one runs at its fastest. When a job
is dropped, so are those after it. Energy is computed anew with the battery as planned.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from grid.horizon import FloatArray
from scheduler.asset_runs import bill_of, runs_again, with_draw
from scheduler.build import build_problem
from scheduler.objective import breakdown_eur
from scheduler.optimiser.restrict import BoolArray
from scheduler.optimiser.settle import settle_with_room
from scheduler.plan import BatteryControl, Dropped, Plan, Reason, ReasonKind, Run
from scheduler.policies.dispatch import dispatch
from scheduler.policies.placing import predecessors_first
from scheduler.policies.schedule import late_eur, restarts_eur
from scheduler.problem import JobOption, JobTask, Problem, slots_needed
from scheduler.racks import EPS, Rack, best_fit, need_of
from scheduler.reasons import clock
from scheduler.scenario import Scenario
from scheduler.workload import Job, JobKind
from scheduler.world import Observation


@dataclass(slots=True)
class _Repair:
    """A plan being repaired.

    Attributes:
        problem: what it was made for; plan: as it was; racks: nodes of each site with what is left of them.
        jobs: by name; runs: those that stay, by job; reasons, dropped: of the repaired plan.
    """

    problem: Problem
    plan: Plan
    racks: dict[str, Rack]
    jobs: dict[str, Job]
    runs: dict[str, list[Run]]
    reasons: dict[str, Reason] = field(default_factory=dict)
    dropped: list[Dropped] = field(default_factory=list)

    def move(self, j: int) -> None:
        """Put job ``j`` to the nearest time with nodes for it, at its own site first, or drop it."""
        task, old = self.problem.jobs[j], self.plan.runs_of(self.problem.jobs[j].name)[0]
        for option in sorted(task.options, key=lambda option: self.problem.sites[option.site] != old.site):
            new = self._at(task, option, old)
            if new:
                self.runs[task.name] = new
                where = f"{new[0].site} at {clock(self.problem, new[0].start)}"
                text = f"Moved to {where}: at its planned time no {self.jobs[task.name].nodes} nodes were free at once."
                self.reasons[task.name] = Reason(ReasonKind.CAPACITY, text, {"moved_slots": float(new[0].start - old.start)})
                return
        text = (
            f"{task.name} is not run: its site has room in total, but never {self.jobs[task.name].nodes} nodes with room at once."
        )
        self._drop(task, Reason(ReasonKind.CAPACITY, text, {"drop_eur": task.drop_eur}))

    def drop_followers(self) -> None:
        """Drop every job that comes after one that does not run."""
        for j in predecessors_first(self.problem, range(len(self.problem.jobs))):
            task = self.problem.jobs[j]
            missing = [self.problem.jobs[p].name for p in task.after if self.problem.jobs[p].name not in self.runs]
            if missing and task.name in self.runs:
                self._release(task.name)
                text = f"{task.name} is not run: it comes after {', '.join(missing)}, for which there were no nodes at once."
                self._drop(task, Reason(ReasonKind.AFTER, text, {"drop_eur": task.drop_eur}))

    def _drop(self, task: JobTask, reason: Reason) -> None:
        self.reasons.pop(task.name, None)
        self.dropped.append(Dropped(task.name, reason))

    def _release(self, name: str) -> None:
        """Take a job out and give its nodes back."""
        for run in self.runs.pop(name):
            rack = self.racks[run.site]
            places = [rack.place[node] for node in run.nodes]
            rack.left[places, :, run.start : run.end] += need_of(self.jobs[name])[None, :, None]

    def _at(self, task: JobTask, option: JobOption, old: Run) -> list[Run]:
        """Runs of the job at one site, in the slots nearest to its old start; empty when it finds no place."""
        site, job = self.problem.sites[option.site], self.jobs[task.name]
        if option.copy >= 0 and option.copy not in self._copies():
            return []
        rack, pace = self.racks[site], _fastest(task)
        needed = slots_needed(task)
        whole = task.kind is JobKind.RIGID or task.min_run > 1 or task.min_gap > 0 or task.restart_eur > 0
        length = needed if whole else 1
        first, last = self._window(task, option)
        room = self._share_left(task, option.site)
        chosen: list[Run] = []
        for start in sorted(range(first, last - length + 1), key=lambda t: (abs(t - old.start), t)):
            run = Run(job.name, site, start, start + length, (), *pace)
            nodes = best_fit(rack, run, job) if room[start : start + length].all() else None
            if nodes is not None:
                chosen.append(replace(run, nodes=tuple(rack.names[node] for node in nodes)))
            if len(chosen) * length >= needed:
                for piece in chosen:
                    rack.left[[rack.place[n] for n in piece.nodes], :, piece.start : piece.end] -= need_of(job)[None, :, None]
                return _joined(sorted(chosen, key=lambda run: run.start))
        return []

    def _window(self, task: JobTask, option: JobOption) -> tuple[int, int]:
        """First slot and end of the time between its release, data and predecessors, and its deadline and successors."""
        slots, names = self.problem.horizon.slots, [self.problem.jobs[p].name for p in task.after]
        before = [self.runs[name][-1].end if name in self.runs else slots for name in names]
        arrivals = [_arrival(self.plan, self.problem, m) for m in option.migrations]
        j = next(j for j, other in enumerate(self.problem.jobs) if other.name == task.name)
        followers = [other.name for other in self.problem.jobs if j in other.after and other.name in self.runs]
        first = max([task.release, option.earliest, *before, *arrivals])
        return first, min([task.deadline, *(self.runs[name][0].start for name in followers)])

    def _share_left(self, task: JobTask, site: int) -> BoolArray:
        """Slots in which the job's tenant has room for it at a site, ``[T]`` booleans."""
        if task.tenant < 0:
            return np.ones(self.problem.horizon.slots, dtype=bool)
        left = self.problem.tenants[task.tenant].share * self.problem.capacity[:, site]
        for other in self.problem.jobs:
            for run in self.runs.get(other.name, ()) if other.tenant == task.tenant else ():
                if run.site == self.problem.sites[site]:
                    left[:, run.start : run.end] -= run.use * np.array(other.resources)[:, None]
        return np.asarray((left >= np.array(task.resources)[:, None] - EPS).all(axis=0), dtype=np.bool_)

    def _copies(self) -> set[int]:
        """Copies that other jobs of the plan have bought."""
        return {
            option.copy
            for task in self.problem.jobs
            for option in task.options
            if task.name in self.runs and self.problem.sites[option.site] == self.runs[task.name][0].site
        }


def repaired(
    scenario: Scenario, plan: Plan, unplaced: tuple[str, ...], racks: dict[str, Rack], observation: Observation | None
) -> Plan:
    """The plan with every unplaced job moved to where it finds nodes, or dropped, and priced again.

    Args:
        scenario: sites and jobs.
        plan: the plan; the runs of the unplaced jobs have no nodes.
        unplaced: names of the jobs without nodes.
        racks: what the others leave of the nodes of each site; changed.
        observation: state that the plan was made from.
    """
    problem = build_problem(scenario, observation)
    runs: dict[str, list[Run]] = {}
    for run in plan.runs:
        if run.job not in unplaced:
            runs.setdefault(run.job, []).append(run)
    jobs = {job.name: job for job in scenario.jobs}
    repair = _Repair(problem, plan, racks, jobs, runs, dict(plan.reasons), list(plan.dropped))
    rank = {name: i for i, name in enumerate(unplaced)}
    members = sorted((j for j, task in enumerate(problem.jobs) if task.name in rank), key=lambda j: rank[problem.jobs[j].name])
    for j in predecessors_first(problem, members):
        repair.move(j)
    repair.drop_followers()
    left = tuple(sorted((run for pieces in repair.runs.values() for run in pieces), key=lambda run: (run.start, run.job)))
    return priced_again(problem, replace(plan, runs=left, reasons=repair.reasons, dropped=tuple(repair.dropped)), plan)


def _fastest(task: JobTask) -> tuple[float, float, float]:
    """Speed, power and use of a run at the fastest pace of a job."""
    mode = max(task.modes, key=lambda mode: mode.speed)
    return mode.speed, mode.power, 1.0


def _arrival(plan: Plan, problem: Problem, migration: int) -> int:
    """First slot after the last transfer of a migration in the plan; the end of the horizon when it is not in it."""
    name = problem.migrations[migration].name
    return max((piece.end for piece in plan.transfers if piece.migration == name), default=problem.horizon.slots)


def _joined(runs: list[Run]) -> list[Run]:
    """Consecutive pieces on the same nodes as one run (they are all of one pace)."""
    joined: list[Run] = []
    for run in runs:
        if joined and joined[-1].end == run.start and joined[-1].nodes == run.nodes:
            joined[-1] = replace(joined[-1], end=run.end)
        else:
            joined.append(run)
    return joined


def priced_again(problem: Problem, plan: Plan, before: Plan) -> Plan:
    """``plan`` with the energy, objective and gap that follow from its runs; ``before`` holds the energy of other runs."""
    power = np.maximum(before.energy.it_kw + _job_kw(problem, plan.runs) - _job_kw(problem, before.runs), 0.0)
    old, assets = before.energy, runs_again(problem, before.assets, power) if before.assets else ()
    drawn = with_draw(problem, assets)
    if plan.battery_control is BatteryControl.SELF_CONSUMPTION:
        energy = dispatch(drawn, power)
    else:
        energy = settle_with_room(drawn, power, (old.charge_kw, old.discharge_kw, old.renewable_used_kw, old.unserved_kw))
    lost = {item.name for item in plan.dropped} - {item.name for item in before.dropped}
    more = sum(task.drop_eur for task in problem.jobs if task.name in lost)
    (fixed, late), (fixed_before, _) = _terms_eur(problem, plan.runs), _terms_eur(problem, before.runs)
    parts = breakdown_eur(
        problem,
        energy,
        dropped_eur=before.breakdown_eur["dropped"] + more,
        fixed_eur=before.breakdown_eur["fixed"] + fixed - fixed_before,
        lateness_eur=late,
        assets=bill_of(assets),
    )
    objective = sum(parts.values())
    gap = None if plan.bound_eur is None else (objective - plan.bound_eur) / max(abs(objective), 1e-9)
    return replace(
        plan,
        energy=energy,
        objective_eur=objective,
        gap=gap,
        breakdown_eur=parts,
        expected=None,
        network=None,
        assets=assets,
    )


def _job_kw(problem: Problem, runs: tuple[Run, ...]) -> FloatArray:
    """IT power of these runs, ``[S, T]`` kW."""
    power = np.zeros((len(problem.sites), problem.horizon.slots))
    options = {(task.name, problem.sites[option.site]): option for task in problem.jobs for option in task.options}
    for run in runs:
        option = options[run.job, run.site]
        power[option.site, run.start : run.end] += option.power_kw * run.power
    return power


def _terms_eur(problem: Problem, runs: tuple[Run, ...]) -> tuple[float, float]:
    """Fixed costs (of places, pieces and copies) and lateness of these runs."""
    by_job: dict[str, list[Run]] = {}
    for run in runs:
        by_job.setdefault(run.job, []).append(run)
    fixed, late, copies = 0.0, 0.0, set[int]()
    for task in problem.jobs:
        pieces = sorted(by_job.get(task.name, ()), key=lambda run: run.start)
        if not pieces:
            continue
        option = next(option for option in task.options if problem.sites[option.site] == pieces[0].site)
        slots = tuple(t for run in pieces for t in range(run.start, run.end))
        use = np.concatenate([np.full(run.end - run.start, run.use) for run in pieces])
        fixed += option.cost_eur + restarts_eur(task, slots)
        late += late_eur(task, slots, use)
        copies.add(option.copy)
    return fixed + sum(problem.copies[copy].cost_eur for copy in copies - {-1}), late
