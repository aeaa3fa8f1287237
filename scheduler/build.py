"""From a scenario (and what was observed of it) to a ``Problem``: arrays per site and slot, tasks with options.

Rules that a reader must know:

- Sun, wind, fixed load and run times are the quantiles that ``planning`` asks for (``scheduler.quantiles``).
- Work is rounded up to whole slots after its quantile and ``duration_margin``; releases are rounded up and deadlines down to
  slot edges.
- A job whose slots hold nothing but its asked run time would end a command delay after its last slot. Its last slot therefore
  ends ``COMMAND_DELAYS`` mean command delays before its deadline, where its window has a slot to spare.
- A site can hold a job when one of its node groups can: enough nodes for the gang, each with the cores, GPUs and memory.
  The job's power is that of the group with the dearest core among those that fit, so it is never understated.
- Capacity is the pool of all nodes of a site. ``scheduler.placement`` then gives every run its nodes.
- ``limit_margin`` is taken off the connection limits, but never so far that the load which is always there would no
  longer fit: a margin must not make a feasible site infeasible.
- With ``planning.chance_level`` the margins of limits are those of ``scheduler.chance``, and ``limit_margin`` does not count.
- Failed nodes are missing until the next observation, because nobody can promise when they are repaired.
- A started rigid job is pinned to its site and its remaining slots from slot 0. Any other started one goes on at its site,
  pauses (freezes) there, or, with ``move_eur``, goes on at another of its sites at that price, its work kept. Whatever it comes
  after has ended; its least lengths of pieces and pauses, and the count of its pieces, begin afresh at the observation.
- Feeders keep ``limit_margin`` free as connections do, and as there never of what the loads that are always there need.
- A job that has not begun pays ``stability_eur_per_move`` at every site but that of the plan in force, when there is one.
- A soft deadline is rounded down to a slot edge, least lengths of pieces and pauses are rounded up to whole slots.
- Full speed is a mode of every malleable job, whatever its power caps.
- A migrated dataset can be read at its old site until the end of the horizon: sources are deleted after the plan.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np

from grid.horizon import FloatArray, Horizon
from grid.response.event import CapacityEvent
from scheduler.asset_runs import PlacedAsset
from scheduler.chance import chance_margins
from scheduler.data_tasks import DataTasks
from scheduler.facility import NodeGroup, Site
from scheduler.futures import DrawnFutures
from scheduler.in_force import sites_in_force
from scheduler.objective import carbon_g_per_kwh
from scheduler.plan import Plan
from scheduler.planned_limits import feeder_limits, group_limits, site_limits
from scheduler.problem import FULL_SPEED, RESOURCES, EventLimit, JobOption, JobTask, Mode, Problem, TenantShare
from scheduler.quantiles import fixed_kw, planned_slots, renewable_kw
from scheduler.scenario import Scenario
from scheduler.sleepers import sleepers_of
from scheduler.window_peaks import peak_terms
from scheduler.workload import Job, JobKind
from scheduler.world import JobState, Observation

COMMAND_DELAYS = 10.0
"""Room before a deadline, in mean command delays: an exponential delay is longer once in 22,000 commands."""


def build_problem(scenario: Scenario, observation: Observation | None = None, before: Plan | None = None) -> Problem:
    """The planning problem of ``scenario``: of all its horizon, or of the rest of it after ``observation``.

    Args:
        scenario: the scenario.
        observation: what was seen at the slot from which the plan decides.
        before: the plan in force; a job that has not begun pays ``stability_eur_per_move`` for another site than in it.

    Raises:
        ValueError: the observation lies at or after the end of the horizon.
        SeriesError: a series does not cover the horizon.
    """
    horizon = scenario.horizon if observation is None else scenario.horizon.tail(observation.slot)
    sites = scenario.sites
    data = DataTasks(scenario, horizon, observation)
    jobs = _job_tasks(scenario, horizon, observation, data)
    if before is not None:
        jobs = _kept(scenario, jobs, observation, sites_in_force(before, horizon))
    known = observation.moment if observation is not None else horizon.start
    fixed = np.stack([fixed_kw(scenario, site, horizon, known) for site in sites])
    renewable = np.stack([renewable_kw(scenario, site, horizon) for site in sites])
    margins = chance_margins(scenario, horizon)
    import_limit, export_limit = site_limits(scenario, horizon, fixed, renewable, margins, known)
    soc, final, peak = _energy_state(scenario, observation)
    peak_eur, peak, window_peaks = peak_terms(scenario, horizon, observation, peak)
    weights = scenario.weights
    import_eur = np.stack([site.tariff.import_eur_per_mwh.mean(horizon) for site in sites]) / 1000.0
    carbon = np.stack([carbon_g_per_kwh(site.carbon, weights, horizon) for site in sites])
    return Problem(
        horizon=horizon,
        sites=tuple(site.name for site in sites),
        capacity=_capacity(scenario, horizon, observation, jobs),
        fixed_kw=fixed,
        pue=np.stack([site.pue_on(horizon) for site in sites]),
        renewable_kw=renewable,
        import_limit_kw=import_limit,
        export_limit_kw=export_limit,
        import_eur_per_kwh=import_eur,
        export_eur_per_kwh=np.stack([site.tariff.export_eur_per_mwh.mean(horizon) for site in sites]) / 1000.0,
        carbon_g_per_kwh=carbon,
        batteries=tuple(site.battery for site in sites),
        initial_soc_kwh=soc,
        final_soc_kwh=final,
        peak_eur_per_kw=peak_eur,
        peak_reached_kw=peak,
        links=tuple(link.name for link in scenario.links),
        link_mbit_per_s=np.array([link.rate_mbit_per_s for link in scenario.links]),
        jobs=jobs,
        migrations=data.tasks,
        events=_events(scenario, horizon, observation),
        weights=weights,
        settings=scenario.planning,
        time_zone=scenario.time_zone,
        feeders=feeder_limits(scenario, fixed.max(axis=1), margins),
        groups=group_limits(scenario, horizon, fixed, margins),
        window_peaks=window_peaks,
        tenants=tuple(TenantShare(tenant.name, tenant.share) for tenant in scenario.tenants),
        futures=DrawnFutures(scenario, horizon, import_eur + carbon / 1000.0 * weights.carbon_eur_per_kg),
        assets=placed_assets(scenario, observation),
        sleepers=sleepers_of(scenario, horizon, observation, fixed),
    )


def placed_assets(scenario: Scenario, observation: Observation | None) -> tuple[PlacedAsset, ...]:
    """Every asset with its site, in the state that was observed."""
    seen = observation.assets if observation is not None else {}
    return tuple(
        PlacedAsset(s, asset.begun(seen.get(f"{site.name}/{asset.name}", {})))
        for s, site in enumerate(scenario.sites)
        for asset in site.assets
    )


def fitting_groups(site: Site, job: Job) -> tuple[NodeGroup, ...]:
    """Node groups of ``site`` that can hold the whole gang of ``job``."""
    return tuple(group for group in site.nodes if group.count >= job.nodes and holds(group, job))


def holds(group: NodeGroup, job: Job) -> bool:
    """True when one empty node of ``group`` can hold one member of the gang of ``job``."""
    return group.cores >= job.cores and group.gpus >= job.gpus and group.memory_gb >= job.memory_gb


def _energy_state(scenario: Scenario, observation: Observation | None) -> tuple[FloatArray, FloatArray, FloatArray]:
    """State of charge now, state of charge to be left at the end, and peak that is already paid, ``[S]`` each."""
    initial = {site.name: site.battery.initial_soc_kwh if site.battery else 0.0 for site in scenario.sites}
    soc, peak = dict(initial), {site.name: site.tariff.peak_reached_kw for site in scenario.sites}
    if observation is not None:
        for site in scenario.sites:
            if site.battery is not None and site.name in observation.soc_kwh:
                soc[site.name] = min(max(observation.soc_kwh[site.name], 0.0), site.battery.energy_kwh)
            peak[site.name] = max(peak[site.name], observation.peak_kw.get(site.name, 0.0))
    names = [site.name for site in scenario.sites]
    return (
        np.array([soc[name] for name in names]),
        np.array([initial[name] for name in names]),
        np.array([peak[name] for name in names]),
    )


def _capacity(scenario: Scenario, horizon: Horizon, observation: Observation | None, jobs: tuple[JobTask, ...]) -> FloatArray:
    """Pool of the working nodes of each site, ``[R, S, T]``; never below what pinned jobs already hold."""
    failed = observation.failed_nodes if observation else frozenset[str]()
    pool = np.zeros((len(RESOURCES), len(scenario.sites)))
    for s, site in enumerate(scenario.sites):
        for group in site.nodes:
            count = sum(f"{site.name}.{group.name}-{i}" not in failed for i in range(group.count))
            pool[:, s] += count * np.array([group.cores, group.gpus, group.memory_gb])
    capacity = np.repeat(pool[:, :, None], horizon.slots, axis=2)
    held = np.zeros_like(capacity)
    for task in jobs:
        for slot in task.pinned:
            held[:, task.options[0].site, slot] += task.resources
    return np.maximum(capacity, held)


def _events(scenario: Scenario, horizon: Horizon, observation: Observation | None) -> tuple[EventLimit, ...]:
    """Events known at the moment of planning; a slot that an event touches counts as a whole."""
    known = observation.moment if observation else horizon.start
    index = {site.name: s for s, site in enumerate(scenario.sites)}

    def limit(event: CapacityEvent) -> EventLimit:
        start, end = max(0, horizon.floor_slot(event.start)), min(horizon.slots, horizon.ceil_slot(event.end))
        return EventLimit(event.name, index[event.site], start, end, event.limit_kw, event.penalty_eur_per_kwh)

    limits = (limit(event) for event in scenario.events if event.received <= known)
    return tuple(event for event in limits if event.start < event.end)


def _job_tasks(scenario: Scenario, horizon: Horizon, observation: Observation | None, data: DataTasks) -> tuple[JobTask, ...]:
    """Every job that is not done, in the order of the scenario."""
    done = observation.finished if observation else frozenset[str]()
    started = {state.job: state for state in observation.started} if observation else {}
    jobs = [job for job in scenario.jobs if job.name not in done]
    index = {job.name: j for j, job in enumerate(jobs)}
    tasks = []
    for job in jobs:
        if job.name in started:
            task = _started_task(scenario, horizon, job, started[job.name], data)
        else:
            waits = tuple(sorted(index[name] for name in job.after if name in index))
            task = replace(_waiting_task(scenario, horizon, job, data), after=waits)
        tasks.append(_with_terms(scenario, horizon, job, task))
    return tuple(tasks)


def _kept(
    scenario: Scenario, jobs: tuple[JobTask, ...], observation: Observation | None, sites: dict[str, str]
) -> tuple[JobTask, ...]:
    """The tasks with the price of another site than in the plan in force on those that have not begun.

    A job whose site in force is no option any more pays nothing, and neither does one that has begun: its move has a price of
    its own (``move_eur``).
    """
    price = scenario.planning.stability_eur_per_move
    begun = {state.job for state in observation.started} if observation else set()
    names = [site.name for site in scenario.sites]
    tasks = []
    for task in jobs:
        home = sites.get(task.name)
        places = {names[option.site] for option in task.options}
        if price > 0.0 and home in places and len(places) > 1 and task.name not in begun:
            options = [o if names[o.site] == home else replace(o, cost_eur=o.cost_eur + price) for o in task.options]
            tasks.append(replace(task, options=tuple(options)))
        else:
            tasks.append(task)
    return tuple(tasks)


def _with_terms(scenario: Scenario, horizon: Horizon, job: Job, task: JobTask) -> JobTask:
    """The task with what the job's owner agreed on: soft deadline, pieces, power caps and tenant."""
    due = None if job.due is None else horizon.floor_slot(job.due)
    names = [tenant.name for tenant in scenario.tenants]
    tenant = -1 if job.tenant is None else names.index(job.tenant)
    task = replace(task, tenant=tenant)
    if due is not None and due < task.deadline and job.late_eur_per_h > 0:
        task = replace(task, due=due, late_eur_per_slot=job.late_eur_per_h * horizon.step_h)
    if job.kind is JobKind.INTERRUPTIBLE:
        gap = horizon.slots_for(job.min_gap) if job.min_gap else 0
        return replace(task, min_run=min(task.work, horizon.slots_for(job.min_run)), min_gap=gap, restart_eur=job.restart_eur)
    if job.kind is JobKind.MALLEABLE:
        return replace(task, modes=tuple(dict.fromkeys((FULL_SPEED, *(Mode(cap.speed, cap.power) for cap in job.power_caps)))))
    return task


def _waiting_task(scenario: Scenario, horizon: Horizon, job: Job, data: DataTasks) -> JobTask:
    """A job that has not begun."""
    release = min(max(0, horizon.ceil_slot(job.release)), horizon.slots)
    options, obstacles = _options(scenario, job, data, release)
    earliest = min((option.earliest for option in options), default=release)
    work = planned_slots(scenario, job, min(max(0, horizon.floor_slot(job.deadline)), horizon.slots) - earliest)
    return JobTask(
        name=job.name,
        kind=job.kind,
        work=work,
        release=release,
        deadline=_deadline(scenario, horizon, job, work, earliest),
        resources=_use(job),
        options=tuple(options),
        drop_eur=job.drop_eur,
        obstacles=tuple(obstacles),
    )


def _options(
    scenario: Scenario, job: Job, data: DataTasks, release: int, cost_eur: float = 0.0
) -> tuple[list[JobOption], list[str]]:
    """Sites where a job may run from ``release`` on, each at ``cost_eur``, and why it may not run at its other ones."""
    options, obstacles = [], []
    for s, site in enumerate(scenario.sites):
        if site.name not in job.sites:
            continue
        groups = fitting_groups(site, job)
        if not groups:
            obstacles.append(f"{site.name} has no {job.nodes} nodes with {_needs(job)} each")
            continue
        reach = data.reach(job, site.name)
        if isinstance(reach, str):
            obstacles.append(reach)
            continue
        earliest = max(release, data.earliest(reach, s))
        options.append(JobOption(s, _power_kw(groups, job), cost_eur, earliest, reach))
    return options, obstacles


def _deadline(scenario: Scenario, horizon: Horizon, job: Job, work: int, earliest: int) -> int:
    """Slot by which a job ends, so that the delay of its commands does not make it late where that can be helped."""
    latest = min(max(0, horizon.floor_slot(job.deadline)), horizon.slots)
    room = timedelta(seconds=COMMAND_DELAYS * scenario.errors.command_delay_s)
    if work * horizon.step - job.duration >= room:
        return latest
    early = min(max(0, horizon.floor_slot(job.deadline - room)), horizon.slots)
    return early if early - earliest >= work else latest


def _started_task(scenario: Scenario, horizon: Horizon, job: Job, state: JobState, data: DataTasks) -> JobTask:
    """A job that has begun, at its site or, where that has a price, moved; of a rigid one the slots are fixed too.

    A deadline that cannot be met any more moves to its end.
    """
    s = [site.name for site in scenario.sites].index(state.site)
    site = scenario.sites[s]
    groups = fitting_groups(site, job) or site.nodes
    work = min(max(1, state.remaining_slots), horizon.slots)
    rigid = job.kind is JobKind.RIGID
    deadline = max(work, _deadline(scenario, horizon, job, work, 0))
    elsewhere: list[JobOption] = []
    if job.move_eur is not None and not rigid:
        elsewhere = [option for option in _options(scenario, job, data, 0, job.move_eur)[0] if option.site != s]
    return JobTask(
        name=job.name,
        kind=job.kind,
        work=work,
        release=0,
        deadline=work if rigid else deadline,
        resources=_use(job),
        options=(JobOption(s, _power_kw(groups, job), 0.0, 0), *elsewhere),
        drop_eur=job.drop_eur,
        pinned=tuple(range(work)) if rigid else (),
    )


def _use(job: Job) -> tuple[float, ...]:
    """Use of each of ``RESOURCES`` by the whole job."""
    return (float(job.nodes * job.cores), float(job.nodes * job.gpus), float(job.nodes * job.memory_gb))


def _power_kw(groups: tuple[NodeGroup, ...], job: Job) -> float:
    """IT power that the job adds: its cores times the dearest core among the groups that fit."""
    return job.nodes * job.cores * max(group.core_kw for group in groups)


def _needs(job: Job) -> str:
    """What one node must have, in words."""
    parts = [f"{job.cores} cores"]
    parts += [f"{job.gpus} GPUs"] if job.gpus else []
    parts += [f"{job.memory_gb:g} GB"] if job.memory_gb else []
    return ", ".join(parts)
