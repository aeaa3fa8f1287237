"""What a controller may know of a simulated world: finished things for certain, later ones by the plans in force.

True run times are hidden, so the work that is left is estimated as a planner does: asked run time plus margin, rounded up to
slots, less what was worked. A job that will find its nodes taken or broken is not foreseen to begin; one that lost its work to
a failure counts as not begun. A job that began a little late (a command delay) is not given another slot for that.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

from scheduler.plan import Plan, Run
from scheduler.quantiles import planned_slots
from scheduler.scenario import Scenario
from scheduler.workload import Job, JobKind
from scheduler.world import JobState, Observation
from sim.world.migrations import MBIT_PER_TB
from sim.world.nodes import SLACK
from sim.world.steps import in_force
from sim.world.window_peaks import window_peaks_kw

if TYPE_CHECKING:
    from sim.world.simulated import SimulatedWorld
    from sim.world.work import SimulatedJob

Piece = tuple[float, float, Run]
"""Planned work on a job: start, end (seconds after the world's start) and run."""

LATE_SLOTS = 0.1
"""Share of a slot that a delayed start may be late without the job being given one more slot."""


def needed_slots(scenario: Scenario, job: Job) -> int:
    """Whole slots that a planner gives ``job``."""
    return planned_slots(scenario, job)


def foresee(world: SimulatedWorld, slot: int) -> Observation:
    """State of ``world`` at the start of ``slot`` of the scenario's horizon (0 to the number of slots).

    Raises:
        ValueError: the slot has begun already, or lies outside the horizon.
    """
    horizon = world.scenario.horizon
    moment = horizon.time(slot)
    then_s = (moment - world.horizon.start).total_seconds()
    if not 0 <= slot <= horizon.slots or then_s < world.env.now:
        raise ValueError(f"slot {slot} ({moment}) cannot be observed any more at {world.now()}")
    finished, pieces = set(world.finished()), _pieces(world, world.env.now, then_s)
    failed = world.failed_nodes()
    states = [_job_state(world, job, then_s, pieces.get(name, []), failed) for name, job in world.unfinished().items()]
    started = [state for state in states if state is not None and state.remaining_slots > 0]
    finished |= {state.job for state in states if state is not None and state.remaining_slots == 0}
    moved_tb, moved_to = _moved(world, then_s)
    return Observation(
        slot=slot,
        moment=moment,
        finished=frozenset(finished),
        started=_that_fit(world, started),
        soc_kwh=_soc_kwh(world, then_s),
        peak_kw=_peak_kw(world, then_s),
        moved_tb=moved_tb,
        moved_to=moved_to,
        failed_nodes=failed,
        asleep=_asleep(world, then_s),
        assets={
            f"{name}/{asset.name}": asset.foreseen(world.env.now, then_s)
            for name, meter in world.meters.items()
            for asset in meter.assets
        },
        peaks=window_peaks_kw(world, then_s),
    )


def _asleep(world: SimulatedWorld, then_s: float) -> frozenset[str]:
    """Nodes that sleep now and that the plan in force leaves asleep until then; which more will sleep then is not foreseen."""
    return frozenset(
        name
        for pool in world.pools.values()
        for name in pool.resting_nodes()
        if pool.nodes[name].rest.needed_by_s(world.env.now) > then_s
    )


def _that_fit(world: SimulatedWorld, states: list[JobState]) -> tuple[JobState, ...]:
    """The states without jobs that will find their nodes still taken: those are not going to begin as planned."""
    room = {
        name: [node.group.cores, node.group.gpus, node.group.memory_gb]
        for pool in world.pools.values()
        for name, node in pool.nodes.items()
    }
    fitting = set()
    for state in sorted(states, key=lambda state: world.jobs[state.job].started_s is None):  # those that began, first
        simulated = world.jobs[state.job]
        if not state.running:
            fitting.add(state.job)
            continue
        need = (simulated.job.cores, simulated.job.gpus, simulated.job.memory_gb - SLACK)
        left = [[have - use for have, use in zip(room[node], need, strict=True)] for node in state.nodes]
        if simulated.started_s is None and any(min(parts) < 0 for parts in left):
            continue
        room.update(zip(state.nodes, left, strict=True))
        fitting.add(state.job)
    return tuple(state for state in states if state.job in fitting)


def _job_state(
    world: SimulatedWorld, job: SimulatedJob, then_s: float, pieces: list[Piece], failed: frozenset[str]
) -> JobState | None:
    """State of a job at ``then_s``; None when it will not have begun, 0 slots left when the plan has it done by then."""
    now_s, step_s = world.env.now, world.horizon.step_s
    if job.lost_its_work or (job.started_s is None and not pieces):
        return None
    if job.started_s is None and failed.intersection(node for _, _, run in pieces for node in run.nodes):
        return None
    work_s = needed_slots(world.scenario, job.job) * step_s
    seen = world.observed(job.job.name)
    work_s = seen.remaining_slots * step_s if seen is not None else work_s
    whole = job.unbroken or (job.running and not _pausable(world, job, now_s))
    ahead_s = (then_s - now_s) * job.speed if whole else sum((end - start) * run.speed for start, end, run in pieces)
    left = (work_s - job.worked_s(now_s) - ahead_s) / step_s - LATE_SLOTS
    overrunning = job.running and job.worked_s(now_s) >= work_s - LATE_SLOTS * step_s
    remaining = max(1 if overrunning else 0, math.ceil(left))
    last = pieces[-1] if pieces else None
    nodes = job.held or (last[2].nodes if last else ()) or (job.wish.nodes if job.wish else ())
    site = job.site or (last[2].site if last else "")
    if last is not None and last[2].site != site and not whole:  # it will have been moved
        site, nodes = last[2].site, last[2].nodes
    running = whole or (job.running and then_s == now_s) or (last is not None and last[1] >= then_s)
    return JobState(job.job.name, site, nodes, remaining, running)


def _pausable(world: SimulatedWorld, job: SimulatedJob, now_s: float) -> bool:
    """True when the plan in force has pieces for ``job``, so that those tell when it works."""
    plan = world.plan_at(now_s)
    return job.job.kind is not JobKind.RIGID and plan is not None and bool(plan.runs_of(job.job.name))


def _pieces(world: SimulatedWorld, now_s: float, then_s: float) -> dict[str, list[Piece]]:
    """Planned work in ``[now_s, then_s)`` by job, in order of time."""
    found: dict[str, list[Piece]] = defaultdict(list)
    for from_s, until_s, plan in in_force(world.plans, now_s, then_s):
        first_s, step_s = _first_s(world, plan), plan.horizon.step_s
        for run in plan.runs:
            start, end = max(from_s, first_s + run.start * step_s), min(until_s, first_s + run.end * step_s)
            if end > start:
                found[run.job].append((start, end, run))
    for pieces in found.values():
        pieces.sort(key=lambda piece: piece[0])
    return found


def _first_s(world: SimulatedWorld, plan: Plan) -> float:
    return plan.horizon.start_s - world.horizon.start_s


def _soc_kwh(world: SimulatedWorld, then_s: float) -> dict[str, float]:
    """State of charge now, plus what the plans in force mean to change until then."""
    now_s, foreseen = world.env.now, {}
    ahead = in_force(world.plans, now_s, then_s)
    for site in world.scenario.sites:
        if site.battery is None:
            continue
        meter = world.meters[site.name]
        meter.meter_to(now_s)
        soc = meter.soc_kwh
        for from_s, until_s, plan in ahead:
            soc += _planned_soc(world, plan, site.name, until_s) - _planned_soc(world, plan, site.name, from_s)
        foreseen[site.name] = min(max(soc, site.battery.reserve_soc_kwh), site.battery.energy_kwh)
    return foreseen


def _planned_soc(world: SimulatedWorld, plan: Plan, name: str, moment_s: float) -> float:
    """State of charge (kWh) that ``plan`` has at an instant; at its ends outside its horizon."""
    battery = world.scenario.site(name).battery
    if battery is None:
        return 0.0
    s, energy, step_h = plan.sites.index(name), plan.energy, plan.horizon.step_h
    position = min(max(0.0, (moment_s - _first_s(world, plan)) / plan.horizon.step_s), float(plan.horizon.slots))
    slot = min(int(position), plan.horizon.slots - 1)
    rate = battery.soc_rate_kw(float(energy.charge_kw[s, slot] - energy.discharge_kw[s, slot]))
    return float(energy.soc_kwh[s, slot]) - rate * (slot + 1 - position) * step_h


def _peak_kw(world: SimulatedWorld, then_s: float) -> dict[str, float]:
    """Highest 15-minute mean import of the periods that are over, and planned import until then."""
    now_s, quarter_s = world.env.now, world.scenario.settlement.total_seconds()
    before = world.begun_from.peak_kw if world.begun_from else {}
    ahead, peaks = in_force(world.plans, now_s, then_s), {}
    for name, meter in world.meters.items():
        peak = before.get(name, 0.0)
        periods = int(now_s // quarter_s)
        if periods:
            peak = max(peak, meter.highest_import_kw(quarter_s, periods))
        for from_s, until_s, plan in ahead:
            first = max(0, int((from_s - _first_s(world, plan)) // plan.horizon.step_s))
            last = math.ceil((until_s - _first_s(world, plan)) / plan.horizon.step_s)
            peak = max(peak, float(plan.energy.import_kw[plan.sites.index(name), first:last].max(initial=0.0)))
        peaks[name] = peak
    return peaks


def _moved(world: SimulatedWorld, then_s: float) -> tuple[dict[str, float], dict[str, str]]:
    """Volume moved until then by migration, as planned from now on, and where it goes."""
    now_s, library = world.env.now, world.library
    moved_tb = {name: library.moved_until_tb(name, now_s) for name in library.moved_to}
    moved_to = dict(library.moved_to)
    for from_s, until_s, plan in in_force(world.plans, now_s, then_s):
        first_s, step_s = _first_s(world, plan), plan.horizon.step_s
        for transfer in plan.transfers:
            start, end = max(from_s, first_s + transfer.start * step_s), min(until_s, first_s + transfer.end * step_s)
            if end > start:
                volume = transfer.rate_mbit_per_s * (end - start) / MBIT_PER_TB
                moved_tb[transfer.migration] = moved_tb.get(transfer.migration, 0.0) + volume
                moved_to.setdefault(transfer.migration, transfer.target)
    return moved_tb, moved_to
