"""A pilot: who decides on which job, and what is commanded in the end.

The baseline plans first, everything. A job that it has at a pilot's site is the controller's: it decides when and where among the
pilot's sites. Every other job stays where and when the baseline has it, and the controller plans around it. A job that the
baseline finds no place for is left to the baseline, unless it may run at the pilot's sites only.

At the other sites jobs, batteries and assets do what the baseline wants. Data is moved as the controller plans.
"""

from __future__ import annotations

from dataclasses import replace

from scheduler.plan import EnergySchedule, Plan
from scheduler.scenario import Scenario
from scheduler.workload import Job, JobKind
from scheduler.world import Observation


def parted(known: Scenario, baseline: Plan, pilot: frozenset[str], observation: Observation | None) -> Scenario:
    """The scenario ``known`` with no freedom but that of the pilot's jobs at the pilot's sites.

    Args:
        known: what is known now.
        baseline: the baseline's plan for it.
        pilot: names of the pilot's sites.
        observation: the state that both plans decide from; None: the start of the horizon.
    """
    started = {state.job: state.site for state in observation.started} if observation else {}
    return replace(known, jobs=tuple(_parted(job, baseline, pilot, started.get(job.name)) for job in known.jobs))


def _parted(job: Job, baseline: Plan, pilot: frozenset[str], begun_at: str | None) -> Job:
    runs = baseline.runs_of(job.name)
    site = begun_at or (runs[0].site if runs else None)
    here = tuple(name for name in job.sites if name in pilot)
    if site in pilot or (site is None and len(here) == len(job.sites)):
        return replace(job, sites=here) if here else job
    if site is None:
        return replace(job, sites=tuple(name for name in job.sites if name not in pilot))
    if begun_at is not None or len(runs) != 1:
        return replace(job, sites=(site,))
    horizon = baseline.horizon
    start, end = horizon.time(runs[0].start), horizon.time(runs[0].end)
    if job.kind is JobKind.MALLEABLE and runs[0].speed < 1.0:
        return replace(job, sites=(site,))
    return replace(job, sites=(site,), release=max(job.release, start), deadline=end, due=None, late_eur_per_h=0.0)


def joined(plan: Plan, baseline: Plan, pilot: frozenset[str]) -> Plan:
    """``plan`` with runs, energy and assets of the ``baseline`` (of the same horizon) at every site but the pilot's.

    Jobs of the plan outside the pilot are where the baseline has them anyway; the nodes are then the baseline's. Objective, bound
    and gap are those of ``plan``.
    """
    runs = [run for run in plan.runs if run.site in pilot]
    mine = {run.job for run in runs}
    runs += [run for run in baseline.runs if run.site not in pilot and run.job not in mine]
    energy = {}
    for name in EnergySchedule.names():
        rows = getattr(plan.energy, name).copy()
        for s, site in enumerate(plan.sites):
            if site not in pilot:
                rows[s] = getattr(baseline.energy, name)[s]
        energy[name] = rows
    assets = [run for run in plan.assets if run.site in pilot] + [run for run in baseline.assets if run.site not in pilot]
    done = {run.job for run in runs}
    dropped = [*plan.dropped, *(item for item in baseline.dropped if item.name not in {d.name for d in plan.dropped})]
    return replace(
        plan,
        runs=tuple(sorted(runs, key=lambda run: (run.start, run.job))),
        energy=EnergySchedule(**energy),
        assets=tuple(assets),
        dropped=tuple(item for item in dropped if item.name not in done),
    )
