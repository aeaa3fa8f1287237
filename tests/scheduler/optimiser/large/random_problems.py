"""Random small problems with everything that a case can say; one seed always gives the same problem."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from grid.assets.battery import Battery
from scheduler.problem import FULL_SPEED, Copy, EventLimit, Feeder, JobOption, JobTask, Mode, Problem, TenantShare
from scheduler.scenario import PlanningSettings, Weights
from scheduler.workload import JobKind
from tests.scheduler.problems import flat_problem

KINDS = (JobKind.RIGID, JobKind.INTERRUPTIBLE, JobKind.MALLEABLE)


def random_problem(seed: int, planning: PlanningSettings) -> Problem:
    """Two or three sites, six to ten slots, three to eight jobs; each further feature with a chance of its own."""
    return _powers_by_site(seed, _random_problem(seed, planning))


def _powers_by_site(seed: int, problem: Problem) -> Problem:
    """One problem of three again with jobs that draw more at one site than at another (draws of its own)."""
    rng = np.random.default_rng([seed, 1])
    if rng.random() < 2 / 3:
        return problem
    factor = rng.uniform(0.5, 1.5, (len(problem.jobs), len(problem.sites)))
    jobs = [
        replace(
            task, options=tuple(replace(option, power_kw=option.power_kw * factor[j, option.site]) for option in task.options)
        )
        for j, task in enumerate(problem.jobs)
    ]
    return replace(problem, jobs=tuple(jobs))


def with_pieces(seed: int, problem: Problem) -> Problem:
    """The problem with most of its jobs in pieces: longer ones, with least lengths, pauses and prices (draws of its own)."""
    rng = np.random.default_rng([seed, 2])
    jobs = tuple(_in_pieces(rng, task) if rng.random() < 0.7 else task for task in problem.jobs)
    return replace(problem, jobs=jobs)


def with_curves(seed: int, problem: Problem) -> Problem:
    """The problem with most of its jobs on curves of one to five points, some of them wasteful ones (draws of its own)."""
    rng = np.random.default_rng([seed, 3])
    jobs = tuple(_on_curve(rng, task) if rng.random() < 0.7 else task for task in problem.jobs)
    return replace(problem, jobs=jobs)


def _on_curve(rng: np.random.Generator, task: JobTask) -> JobTask:
    """The job with modes of any speed and power, full speed among them or not."""
    number = int(rng.integers(1, 6))
    speed = rng.uniform(0.2, 1.0, number)
    power = np.clip(speed ** rng.uniform(1.0, 3.0) * rng.uniform(0.7, 1.0) + rng.uniform(-0.1, 0.1, number), 0.05, 1.0)
    modes = tuple(Mode(float(each), float(kw)) for each, kw in zip(speed, power, strict=True))
    return replace(task, kind=JobKind.MALLEABLE, modes=(FULL_SPEED, *modes) if rng.random() < 0.6 else modes)


def _in_pieces(rng: np.random.Generator, task: JobTask) -> JobTask:
    """The job with work of any length that its window has, in pieces."""
    work = int(rng.integers(1, task.deadline - task.release + 1))
    return replace(
        task,
        kind=JobKind.INTERRUPTIBLE,
        modes=(FULL_SPEED,),
        work=work,
        min_run=int(rng.integers(1, work + 1)),
        min_gap=int(rng.integers(0, 4)),
        restart_eur=float(rng.choice([0.0, 0.02, 0.2])),
        drop_eur=task.drop_eur * work / task.work,
    )


def _random_problem(seed: int, planning: PlanningSettings) -> Problem:
    """The same with jobs of one power each."""
    rng = np.random.default_rng(seed)
    sites, slots, jobs = int(rng.integers(2, 4)), int(rng.integers(6, 11)), int(rng.integers(3, 9))
    shape = (sites, slots)
    copies = _copies(rng, sites) if rng.random() < 0.6 else ()
    tenants = (TenantShare("a", 0.5), TenantShare("b", 0.75)) if rng.random() < 0.4 else ()
    tasks = tuple(_job(rng, f"job{k}", sites, slots, copies, len(tenants)) for k in range(jobs))
    price = rng.uniform(0.04, 0.4, shape)
    units = tuple(_battery(rng) if rng.random() < 0.5 else None for _ in range(sites))
    soc = np.array([0.0 if unit is None else unit.initial_soc_kwh for unit in units])
    peak = rng.choice([0.0, 0.3, 1.0], sites)
    base = flat_problem([100.0] * slots, *tasks, sites=sites)
    capacity = np.zeros((3, *shape))
    capacity[0] = 16.0 * rng.integers(1, 4, shape)
    capacity[1] = rng.integers(0, 3, (sites, 1))
    capacity[2] = 1000.0
    return replace(
        base,
        capacity=capacity,
        fixed_kw=rng.uniform(0.2, 1.5, shape),
        pue=1.0 + rng.uniform(0.05, 0.4, shape),
        renewable_kw=rng.uniform(0.0, 4.0, shape) * (rng.random(shape) < 0.5),
        import_limit_kw=np.broadcast_to(rng.uniform(3.0, 9.0, (sites, 1)), shape).copy(),
        export_limit_kw=np.broadcast_to(rng.choice([0.0, 1.5, 4.0], (sites, 1)), shape).copy(),
        import_eur_per_kwh=price,
        export_eur_per_kwh=price * rng.uniform(0.1, 0.9),
        carbon_g_per_kwh=rng.uniform(100.0, 500.0, shape),
        batteries=units,
        initial_soc_kwh=soc,
        final_soc_kwh=soc * rng.choice([0.5, 1.0]),
        peak_eur_per_kw=peak,
        peak_reached_kw=rng.uniform(0.0, 4.0, sites),
        events=_events(rng, sites, slots),
        weights=Weights(carbon_eur_per_kg=0.08),
        copies=copies,
        copy_limit_gb=np.full(sites, 100.0) if copies else None,
        feeders=_feeders(rng, sites),
        tenants=tenants,
        settings=planning,
    )


def _copies(rng: np.random.Generator, sites: int) -> tuple[Copy, ...]:
    """Copies of two datasets at every site but the first."""
    return tuple(
        Copy(f"{name}@s{s}", s, float(rng.uniform(0.05, 0.6)), float(rng.choice([30.0, 60.0])))
        for name in ("d0", "d1")
        for s in range(1, sites)
    )


def _battery(rng: np.random.Generator) -> Battery:
    energy = float(rng.uniform(1.0, 5.0))
    power = energy * float(rng.choice([0.25, 0.5, 1.0]))
    start = energy * float(rng.choice([0.2, 0.5, 0.9]))
    return Battery(energy, power, power, 0.95, 0.92, start, 0.1 * energy, float(rng.choice([0.0, 0.02])))


def _events(rng: np.random.Generator, sites: int, slots: int) -> tuple[EventLimit, ...]:
    """At most one event at each site."""
    found = []
    for s in range(sites):
        if rng.random() < 0.35:
            start = int(rng.integers(0, slots - 1))
            end = int(rng.integers(start + 1, slots + 1))
            found.append(EventLimit(f"e{s}", s, start, end, float(rng.uniform(-0.5, 2.0)), float(rng.uniform(0.1, 1.0))))
    return tuple(found)


def _feeders(rng: np.random.Generator, sites: int) -> tuple[Feeder, ...]:
    """A chain of all sites, of the last two, or none."""
    if rng.random() < 0.5:
        return ()
    chain = tuple(range(sites)) if rng.random() < 0.5 else tuple(range(sites - 2, sites))
    drop = tuple(float(value) for value in rng.uniform(0.001, 0.004, len(chain)))
    return (Feeder("f", chain, float(rng.uniform(5.0, 15.0)), drop, 0.05),)


def _job(rng: np.random.Generator, name: str, sites: int, slots: int, copies: tuple[Copy, ...], tenants: int) -> JobTask:
    """A job of any kind at some sites, at those but the first perhaps with a copy of one dataset."""
    kind = KINDS[int(rng.integers(3))]
    work = int(rng.integers(1, 4))
    release = int(rng.integers(0, slots - work))
    deadline = int(rng.integers(release + work, slots + 1))
    power = float(rng.uniform(0.3, 2.5))
    dataset = int(rng.integers(2)) if copies and rng.random() < 0.6 else -1
    places = sorted(rng.choice(sites, int(rng.integers(1, sites + 1)), replace=False).tolist())
    options = []
    for s in places:
        copy = dataset * (sites - 1) + s - 1 if dataset >= 0 and s > 0 else -1
        options.append(JobOption(s, power, float(rng.choice([0.0, 0.05])), int(rng.integers(0, release + 2)), copy=copy))
    due = int(rng.integers(release + 1, slots + 1)) if rng.random() < 0.5 else None
    saved = Mode(float(rng.uniform(0.4, 0.8)), float(rng.uniform(0.2, 0.6)))
    return JobTask(
        name=name,
        kind=kind,
        work=work,
        release=release,
        deadline=deadline,
        resources=(float(rng.choice([8.0, 16.0])), float(rng.choice([0.0, 0.0, 1.0])), 8.0),
        options=tuple(options),
        drop_eur=float(rng.choice([0.2, 1.0, 5.0])) * work * power,
        due=due,
        late_eur_per_slot=0.0 if due is None else float(rng.uniform(0.01, 0.3)),
        modes=(FULL_SPEED, saved) if kind is JobKind.MALLEABLE else (FULL_SPEED,),
        tenant=int(rng.integers(-1, tenants)) if tenants else -1,
    )
