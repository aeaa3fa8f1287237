"""Checks of what was agreed on a plan's jobs: pace, pieces, order, shares of tenants, and that soft promises are paid for.

Soft deadlines, restarts and moves only cost: breaking them is a violation only when the plan does not count it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from scheduler.outcome import Violation, ViolationKind
from scheduler.plan import Run
from scheduler.workload import Job, JobKind

if TYPE_CHECKING:
    from sim.plan_check import Checked

SHARE_SLACK = 1e-6
"""Rounding of a solver allowed on shares of a slot and of a site."""

EUR_SLACK = 1e-6
"""The same on prices, relative to what is owed and at least that many EUR."""


def check_terms(checked: Checked) -> Iterator[Violation]:
    """Violations of the terms of jobs and tenants."""
    pieces: dict[str, list[Run]] = {}
    for run in checked.plan.runs:
        pieces.setdefault(run.job, []).append(run)
    for runs in pieces.values():
        runs.sort(key=lambda run: (run.start, run.end))
    late_eur, extra_eur = 0.0, 0.0
    for job in checked.scenario.jobs:
        runs = pieces.get(job.name, [])
        if not runs:
            continue
        yield from _pace(checked, job, runs)
        stretches = _stretches(runs)
        if job.kind is JobKind.INTERRUPTIBLE:
            yield from _pieces(checked, job, stretches)
            extra_eur += job.restart_eur * (len(stretches) - 1)
        yield from _order(checked, job, runs, pieces)
        late_eur += job.late_eur_per_h * _late_h(checked, job, runs)
        state = checked.started.get(job.name)
        if state is not None and job.move_eur is not None and runs[0].site != state.site:
            extra_eur += job.move_eur
    yield from _tenants(checked)
    yield from _counted(checked, "lateness", late_eur)
    yield from _counted(checked, "fixed", extra_eur)


def _pace(checked: Checked, job: Job, runs: list[Run]) -> Iterator[Violation]:
    """Every piece is a mix of the job's modes: full speed, its power caps, and doing nothing."""
    from scipy.optimize import nnls

    caps = job.power_caps if job.kind is JobKind.MALLEABLE else ()
    modes = np.array([(1.0, 1.0, 1.0), *((cap.speed, cap.power, 1.0) for cap in caps)]).T
    for run in runs:
        given = np.array([run.speed, run.power, run.use])
        whole = job.kind is JobKind.MALLEABLE or run.use == 1.0
        off = float(nnls(modes, given)[1]) if np.isfinite(given).all() else np.inf
        if off > SHARE_SLACK or not whole or not 0 < run.use <= 1 + SHARE_SLACK:
            advice = (
                f"{job.name} does {run.speed:.3g} of full work with {run.power:.3g} of its power in {run.use:.3g} of the time, "
                "which no mix of its modes gives: take full speed and its power_caps."
            )
            yield Violation(ViolationKind.PACE, job.name, off, 0.0, "off its modes", checked.time(run.start), None, advice)
            return


def _stretches(runs: list[Run]) -> list[tuple[int, int]]:
    """Stretches of slots without a pause, whatever nodes and paces change in them."""
    found: list[tuple[int, int]] = []
    for run in runs:
        if found and run.start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], run.end))
        else:
            found.append((run.start, run.end))
    return found


def _pieces(checked: Checked, job: Job, stretches: list[tuple[int, int]]) -> Iterator[Violation]:
    """No piece is shorter than ``min_run`` (or than all that is left of the job), no pause shorter than ``min_gap``."""
    horizon, kind = checked.horizon, ViolationKind.PIECES
    least_run = min(horizon.slots_for(job.min_run), sum(end - start for start, end in stretches))
    least_gap = horizon.slots_for(job.min_gap) if job.min_gap else 0
    short = min(stretches, key=lambda piece: piece[1] - piece[0])
    if short[1] - short[0] < least_run:
        advice = f"{job.name} runs at least {least_run} slots at a time: join its pieces."
        yield Violation(kind, job.name, short[1] - short[0], least_run, "slots run", checked.time(short[0]), None, advice)
    gaps = [(later[0] - earlier[1], earlier[1]) for earlier, later in pairwise(stretches)]
    if gaps and min(gaps)[0] < least_gap:
        gap, slot = min(gaps)
        advice = f"{job.name} pauses at least {least_gap} slots at a time: lengthen its pause or join its pieces."
        yield Violation(kind, job.name, gap, least_gap, "slots paused", checked.time(slot), None, advice)


def _order(checked: Checked, job: Job, runs: list[Run], pieces: dict[str, list[Run]]) -> Iterator[Violation]:
    """A job that has not begun starts only after all jobs that it comes after have ended."""
    if job.name in checked.started:
        return
    for name in job.after:
        if name in checked.finished:
            continue
        before = pieces.get(name, [])
        end = max((run.end for run in before), default=checked.horizon.slots + 1)
        if end > runs[0].start:
            first = f"Let {name} end first" if before else f"{name} is not run"
            advice = f"{first}: {job.name} comes after it and must start later or be dropped with a reason."
            when = checked.time(runs[0].start)
            yield Violation(ViolationKind.ORDER, job.name, float(runs[0].start), float(end), "first slot", when, None, advice)


def _tenants(checked: Checked) -> Iterator[Violation]:
    """The jobs of a tenant use no more than its share of the cores, GPUs and memory of a site."""
    owner = {job.name: job for job in checked.scenario.jobs if job.tenant is not None}
    for tenant in checked.scenario.tenants:
        for site in checked.scenario.sites:
            pool = np.zeros(3)
            for group in site.nodes:
                pool += group.count * np.array([group.cores, group.gpus, group.memory_gb])
            taken = np.zeros((3, checked.horizon.slots))
            for run in checked.plan.runs:
                job = owner.get(run.job)
                if job is not None and job.tenant == tenant.name and run.site == site.name:
                    need = job.nodes * np.array([[job.cores], [job.gpus], [job.memory_gb]])
                    taken[:, max(0, run.start) : run.end] += run.use * need
            over = taken - tenant.share * pool[:, None]
            r, slot = np.unravel_index(int(np.argmax(over)), over.shape)
            if over[r, slot] > SHARE_SLACK * max(1.0, pool[r]):
                unit = ("cores", "GPUs", "GB of memory")[int(r)]
                part = f"{100 * tenant.share:g} % of {site.name}"
                advice = f"{tenant.name} has {part}: move one of its jobs elsewhere or to another time."
                value, limit, when = float(taken[r, slot]), float(tenant.share * pool[r]), checked.time(int(slot))
                yield Violation(ViolationKind.TENANT_SHARE, tenant.name, value, limit, unit, when, None, advice)


def _late_h(checked: Checked, job: Job, runs: list[Run]) -> float:
    """Hours for which lateness is owed: rigid, from ``due`` to the end; others, what they work in slots that begin after it.

    ``due`` inside a slot counts from the start of that slot, as a planner that knows whole slots only must have it.
    """
    if job.due is None:
        return 0.0
    due, step_h = checked.horizon.floor_slot(job.due), checked.horizon.step_h
    if job.kind is JobKind.RIGID:
        return max(0, runs[-1].end - due) * step_h
    return sum(run.use * max(0, run.end - max(run.start, due)) for run in runs) * step_h


def _counted(checked: Checked, part: str, owed_eur: float) -> Iterator[Violation]:
    """What the plan owes for lateness, or for restarts and moves, is in its objective."""
    counted = checked.plan.breakdown_eur.get(part)
    if counted is not None and owed_eur > counted + EUR_SLACK * max(1.0, owed_eur):
        words = "lateness" if part == "lateness" else "restarts and moves"
        advice = f"The plan owes {owed_eur:.2f} EUR for {words} and counts {counted:.2f} EUR: plan again."
        yield Violation(ViolationKind.NOT_COUNTED, part, counted, owed_eur, "EUR", None, None, advice)
