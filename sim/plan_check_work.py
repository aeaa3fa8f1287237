"""Checks of a plan's jobs: everything run or dropped, at one allowed site, in its window, on nodes that can hold it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from grid.horizon import FloatArray
from scheduler.outcome import Violation, ViolationKind
from scheduler.plan import Run
from scheduler.workload import Job, JobKind

if TYPE_CHECKING:
    from sim.plan_check import Checked

ROOM = 1e-9
"""Rounding allowed when memory (a real number) is added up."""

SHARE_ROOM = 1e-7
"""The same, relative, when shares of slots (a solver's) are added up."""

WORK_SLOTS = 1e-4
"""How much work of a malleable job may be missing: rounding of a solver, a few hundredths of a second."""


def check_work(checked: Checked) -> Iterator[Violation]:
    """Violations of the rules for jobs and nodes."""
    pieces: dict[str, list[Run]] = {}
    for run in checked.plan.runs:
        pieces.setdefault(run.job, []).append(run)
    for job in checked.scenario.jobs:
        runs = sorted(pieces.get(job.name, []), key=lambda run: (run.start, run.end))
        yield from _planned(checked, job, runs)
        if runs:
            yield from _places(checked, job, runs)
            yield from _slots(checked, job, runs)
    yield from _node_capacity(checked)
    yield from _pool_capacity(checked)


def _planned(checked: Checked, job: Job, runs: list[Run]) -> Iterator[Violation]:
    """A job is run or dropped with a reason, and not both; one that is done is neither run again."""
    kind, name = ViolationKind.NOT_PLANNED, job.name
    if job.name in checked.finished:
        if runs:
            advice = f"{name} is done already; take it out of the plan."
            yield Violation(kind, name, float(len(runs)), 0.0, "runs", checked.time(runs[0].start), None, advice)
    elif not runs and name not in checked.dropped:
        yield Violation(kind, name, 0.0, 1.0, "runs", None, None, f"Run {name}, or drop it and say why.")
    elif runs and name in checked.dropped:
        advice = f"{name} is both run and dropped; decide for one."
        yield Violation(kind, name, float(len(runs)), 0.0, "runs", checked.time(runs[0].start), None, advice)


def _places(checked: Checked, job: Job, runs: list[Run]) -> Iterator[Violation]:
    """One site, allowed for the job, and the one where it began."""
    sites = sorted({run.site for run in runs})
    state = checked.started.get(job.name)
    if state is not None:
        sites = sorted({*sites, state.site})
    if state is not None and job.move_eur is not None:
        sites = sorted({run.site for run in runs})
    if len(sites) > 1:
        advice = f"Keep every piece of {job.name} at one site; the plan has it at {' and '.join(sites)}."
        moment = checked.time(runs[-1].start)
        yield Violation(ViolationKind.TWO_SITES, job.name, float(len(sites)), 1.0, "sites", moment, None, advice)
    for site in sites:
        if site not in job.sites and (state is None or site != state.site):
            advice = f"{job.name} may run at {', '.join(job.sites) or 'no site'}, not at {site}."
            yield Violation(ViolationKind.SITE_NOT_ALLOWED, job.name, 1.0, 0.0, "sites", None, None, advice)


def _needed(checked: Checked, job: Job) -> tuple[int, int]:
    """Least and most slots of a job that has not begun.

    Those of the quantile of its run time, or, where the window has no room for a quantile above the time that was asked for, as
    few as that takes.
    """
    planning, errors, horizon = checked.scenario.planning, checked.scenario.errors, checked.horizon
    margin, share = 1.0 + planning.duration_margin, planning.duration_quantile
    asked = horizon.slots_for(job.duration * margin)
    if share is None:
        return asked, asked
    level = (1.0 - share) * errors.duration_low + share * errors.duration_high
    most = horizon.slots_for(job.duration * level * margin)
    return min(asked, most), most


def _slots(checked: Checked, job: Job, runs: list[Run]) -> Iterator[Violation]:
    """The right amount of work, inside release and deadline, in one piece when rigid."""
    horizon, state = checked.horizon, checked.started.get(job.name)
    least, needed = _needed(checked, job)
    if state is not None:
        least = needed = min(max(1, state.remaining_slots), horizon.slots)
    kind, name = ViolationKind.WINDOW, job.name
    outside = [run for run in runs if run.start < 0 or run.end > horizon.slots or run.start >= run.end]
    if outside:
        run = outside[0]
        advice = f"{name} has a piece [{run.start}, {run.end}) outside the {horizon.slots} slots of the plan, or an empty one."
        yield Violation(kind, name, float(run.end), float(horizon.slots), "slot", None, None, advice)
        return
    length = sum(run.end - run.start for run in runs)
    done = sum(run.speed * (run.end - run.start) for run in runs)
    if job.kind is JobKind.MALLEABLE and done < least - WORK_SLOTS:
        advice = f"{name} needs work of {least} slots at full speed; the plan gives it {done:.6g}."
        yield Violation(kind, name, done, float(least), "slots of work", checked.time(runs[0].start), None, advice)
    elif job.kind is not JobKind.MALLEABLE and not least <= length <= needed:
        words = f"{needed}" if least == needed else f"{least} to {needed}"
        advice = f"{name} needs {words} slots of {horizon.step_s / 60:g} minutes; the plan gives it {length}."
        yield Violation(kind, name, float(length), float(needed), "slots", checked.time(runs[0].start), None, advice)
    if any(later.start < earlier.end for earlier, later in pairwise(runs)):
        yield Violation(kind, name, float(len(runs)), 1.0, "pieces", None, None, f"Pieces of {name} overlap in time.")
    if job.kind is JobKind.RIGID and len(runs) > 1:
        advice = f"{name} is rigid: run it in one piece."
        yield Violation(kind, name, float(len(runs)), 1.0, "pieces", checked.time(runs[1].start), None, advice)
    if state is None and horizon.time(runs[0].start) < job.release:
        early_h = (job.release - horizon.time(runs[0].start)).total_seconds() / 3600.0
        advice = f"{name} is released at {job.release:%Y-%m-%d %H:%M} UTC; start it no earlier."
        yield Violation(kind, name, early_h, 0.0, "h early", checked.time(runs[0].start), None, advice)
    if state is not None and state.running and job.kind is JobKind.RIGID and runs[0].start != 0:
        advice = f"{name} runs already and is rigid: it goes on from the first slot."
        yield Violation(kind, name, float(runs[0].start), 0.0, "slot", checked.time(runs[0].start), None, advice)
    yield from _deadline(checked, job, runs[-1], needed)


def _deadline(checked: Checked, job: Job, last: Run, needed: int) -> Iterator[Violation]:
    """Ends by its deadline; a job that had begun and cannot any more ends as soon as it can."""
    end, state = checked.horizon.time(last.end), checked.started.get(job.name)
    if end <= job.deadline or (state is not None and last.end <= needed):
        return
    late_h = (end - job.deadline).total_seconds() / 3600.0
    advice = f"{job.name} must end by {job.deadline:%Y-%m-%d %H:%M} UTC: start it {late_h:g} h earlier, or drop it with a reason."
    yield Violation(ViolationKind.DEADLINE, job.name, late_h, 0.0, "h late", end, None, advice)


def _node_capacity(checked: Checked) -> Iterator[Violation]:
    """Each node holds what runs on it: cores, GPUs and memory; a gang has its width of different nodes of its site."""
    slots = checked.horizon.slots
    room = {
        name: np.array([group.cores, group.gpus, group.memory_gb])
        for site in checked.scenario.sites
        for group in site.nodes
        for name in (f"{site.name}.{group.name}-{i}" for i in range(group.count))
    }
    site_of = {node: site.name for site in checked.scenario.sites for node in site.node_names()}
    use: dict[str, FloatArray] = {}
    for run in checked.plan.runs:
        job = checked.jobs.get(run.job)
        if job is None or not run.nodes:
            continue
        yield from _gang(checked, run, job, site_of)
        for node in run.nodes:
            if node in room:
                taken = use.setdefault(node, np.zeros((3, slots)))
                taken[:, max(0, run.start) : run.end] += np.array([[job.cores], [job.gpus], [job.memory_gb]])
    for node, taken in sorted(use.items()):
        over = taken - room[node][:, None]
        r, slot = np.unravel_index(int(np.argmax(over)), over.shape)
        if over[r, slot] > ROOM:
            unit = ("cores", "GPUs", "GB of memory")[int(r)]
            names = [run.job for run in checked.plan.runs if node in run.nodes and run.start <= slot < run.end]
            advice = f"{', '.join(names)} share {node} in this slot: move one to another node or time."
            value, limit = float(taken[r, slot]), float(room[node][r])
            yield Violation(ViolationKind.CAPACITY, node, value, limit, unit, checked.time(int(slot)), None, advice)


def _gang(checked: Checked, run: Run, job: Job, site_of: dict[str, str]) -> Iterator[Violation]:
    """The nodes of one run."""
    kind, when = ViolationKind.CAPACITY, checked.time(run.start)
    if len(set(run.nodes)) != job.nodes or len(run.nodes) != job.nodes:
        advice = f"Give {job.name} {job.nodes} different nodes."
        yield Violation(kind, job.name, float(len(set(run.nodes))), float(job.nodes), "nodes", when, None, advice)
    away = [node for node in run.nodes if site_of.get(node, run.site) != run.site]
    if away:
        advice = f"{', '.join(away)} do not belong to {run.site}, where {job.name} runs."
        yield Violation(kind, job.name, float(len(away)), 0.0, "nodes", when, None, advice)
    state = checked.started.get(job.name)
    failed = checked.observation.failed_nodes.intersection(run.nodes) if checked.observation else frozenset()
    if failed and state is None:
        advice = f"{', '.join(sorted(failed))} is out of order; start {job.name} elsewhere."
        yield Violation(kind, job.name, float(len(failed)), 0.0, "nodes", when, None, advice)
    moved = state is not None and state.running and job.kind is JobKind.RIGID and set(state.nodes) != set(run.nodes)
    if state is not None and state.nodes and moved:
        advice = f"{job.name} runs on {', '.join(state.nodes)} and cannot move."
        yield Violation(kind, job.name, float(len(set(run.nodes) - set(state.nodes))), 0.0, "nodes", when, None, advice)


def _pool_capacity(checked: Checked) -> Iterator[Violation]:
    """Runs without nodes: all runs of a site together fit into all of its nodes, malleable ones with the share they work."""
    for site in checked.scenario.sites:
        runs = [run for run in checked.plan.runs if run.site == site.name and run.job in checked.jobs]
        if all(run.nodes for run in runs):
            continue
        pool = np.zeros(3)
        for group in site.nodes:
            pool += group.count * np.array([group.cores, group.gpus, group.memory_gb])
        taken = np.zeros((3, checked.horizon.slots))
        for run in runs:
            job = checked.jobs[run.job]
            need = job.nodes * np.array([[job.cores], [job.gpus], [job.memory_gb]])
            taken[:, max(0, run.start) : run.end] += run.use * need
        over = taken - pool[:, None]
        r, slot = np.unravel_index(int(np.argmax(over)), over.shape)
        if over[r, slot] > SHARE_ROOM * max(1.0, pool[r]):
            unit = ("cores", "GPUs", "GB of memory")[int(r)]
            advice = f"More runs at {site.name} in this slot than all of its nodes hold: move one elsewhere or to another time."
            value, limit, when = float(taken[r, slot]), float(pool[r]), checked.time(int(slot))
            yield Violation(ViolationKind.CAPACITY, site.name, value, limit, unit, when, None, advice)
