"""From a ``Problem`` to a case, and from its solution to a schedule and its energy.

Tenants' shares become resources that only their jobs use. What a case cannot say of the energy side
(``site_part.beyond_a_case``) is planned in turns; ``obstacles_to_scale`` are left to the reference.
"""

from __future__ import annotations

import numpy as np

from grid.horizon import FloatArray
from scheduler.last_resort import last_resorts
from scheduler.optimiser.classes import has_pieces
from scheduler.optimiser.large.case import INTERRUPTIBLE, MALLEABLE, PIECED, RIGID, Case, IntArray, Solution
from scheduler.optimiser.large.curves import form_of, mode_shares
from scheduler.optimiser.large.links import tightened
from scheduler.optimiser.large.rows import SharedRows
from scheduler.optimiser.large.site_part import beyond_a_case
from scheduler.optimiser.large.translate_rows import chains_of
from scheduler.policies.schedule import JobPlace, Schedule
from scheduler.problem import FULL_SPEED, JobTask, Mode, Problem
from scheduler.workload import JobKind

KINDS = {JobKind.RIGID: RIGID, JobKind.INTERRUPTIBLE: INTERRUPTIBLE, JobKind.MALLEABLE: MALLEABLE}

NO_LIMIT_GB = 1e15
"""Volume of copies to a site without a limit."""

COMMANDED_EUR = 1e6
"""Price of dropping a job that is already commanded: never worth it."""


def obstacles_to_scale(problem: Problem) -> list[str]:
    """What of ``problem`` the large-scale solver does not know, in words.

    It knows what a case can say, and (by ``in_turns``) all of the energy side.
    """
    beside_transfers = [f"transfers that are planned slot by slot beside {what}" for what in beyond_a_case(problem)]
    if problem.copies:
        beside_transfers.append("transfers that are planned slot by slot beside copies that are bought")
    return beside_transfers if problem.migrations else []


def _two_modes(task: JobTask) -> bool:
    """True when a malleable job has full speed and one slower mode."""
    return len(task.modes) == 2 and task.modes[0] == FULL_SPEED


def two_stage_obstacles(problem: Problem) -> list[str]:
    """As ``obstacles_to_scale``, for plans for several futures."""
    slot_by_slot = ["transfers that are planned slot by slot"] if problem.migrations else []
    return [*slot_by_slot, *beyond_a_case(problem)]


def _least(task: JobTask) -> Mode:
    """Least speed and least power of a job's modes (perhaps not of one mode); half of both where it is not malleable."""
    if task.kind is not JobKind.MALLEABLE:
        return Mode(0.5, 0.5)
    return Mode(min(mode.speed for mode in task.modes), min(mode.power for mode in task.modes))


def _curves(problem: Problem) -> tuple[FloatArray, FloatArray]:
    """Speed, rising, and power of the modes of malleable jobs that have others than the two, ``[J, K]`` each."""
    bent = [task.kind is JobKind.MALLEABLE and not _two_modes(task) for task in problem.jobs]
    most = max((len(task.modes) for task, curve in zip(problem.jobs, bent, strict=True) if curve), default=0)
    speed, power = np.zeros((len(problem.jobs), most)), np.zeros((len(problem.jobs), most))
    for j in np.flatnonzero(bent):
        modes = sorted(problem.jobs[j].modes, key=lambda mode: (mode.speed, mode.power))
        speed[j, : len(modes)], power[j, : len(modes)] = zip(*((mode.speed, mode.power) for mode in modes), strict=True)
    return speed, power


def columns_estimate(problem: Problem) -> int:
    """About how many columns the reference model of the jobs would have."""
    return sum(max(0, task.deadline - max(task.release, option.earliest)) for task in problem.jobs for option in task.options)


def case_of(problem: Problem) -> Case:
    """The case of a problem without migrations and without anything of ``beyond_a_case``."""
    sites, slots = len(problem.sites), problem.horizon.slots
    jobs, weight = problem.jobs, problem.import_weight_eur_per_kwh
    ends = np.array([len(task.options) for task in jobs], dtype=np.int64)
    options = [option for task in jobs for option in task.options]
    resort = last_resorts(problem)

    def of_battery(name: str, other: float) -> FloatArray:
        return np.array([getattr(unit, name) if unit is not None else other for unit in problem.batteries], dtype=np.float64)

    cap, res = _resources(problem)
    power, shares = _powers(problem)
    feeder, limit, drop, rows = _feeders(problem)
    curve_speed, curve_power = _curves(problem)
    waits = [[] if task.pinned else list(task.after) for task in jobs]
    whole = np.int64
    case = Case(
        name="problem",
        dt=problem.horizon.step_h,
        cap=cap,
        a=np.ascontiguousarray(problem.fixed_kw, dtype=np.float64),
        pue=np.ascontiguousarray(problem.pue, dtype=np.float64),
        ren=np.ascontiguousarray(problem.renewable_kw, dtype=np.float64),
        E=of_battery("energy_kwh", 0.0),
        Pc=of_battery("charge_kw", 0.0),
        Pd=of_battery("discharge_kw", 0.0),
        soc0=np.where([unit is not None for unit in problem.batteries], problem.initial_soc_kwh, 0.0),
        soc_min=of_battery("reserve_soc_kwh", 0.0),
        eta_c=of_battery("charge_efficiency", 1.0),
        eta_d=of_battery("discharge_efficiency", 1.0),
        wear=of_battery("wear_eur_per_kwh", 0.0),
        gmax=np.ascontiguousarray(problem.import_limit_kw, dtype=np.float64),
        emax=np.ascontiguousarray(problem.export_limit_kw, dtype=np.float64),
        pi=np.ascontiguousarray(weight),
        po=np.ascontiguousarray(problem.export_eur_per_kwh, dtype=np.float64),
        pk0=np.asarray(problem.peak_reached_kw, dtype=np.float64),
        dc=np.asarray(problem.peak_eur_per_kw, dtype=np.float64),
        unserved=np.array([price.unserved_eur_per_kwh for price in resort]),
        dr_site=np.array([event.site for event in problem.events], dtype=whole),
        dr_start=np.array([event.start for event in problem.events], dtype=whole),
        dr_end=np.array([event.end for event in problem.events], dtype=whole),
        dr_limit_kw=np.array([event.limit_kw for event in problem.events], dtype=np.float64),
        dr_penalty=np.array([event.penalty_eur_per_kwh for event in problem.events], dtype=np.float64),
        fid=feeder,
        flim=limit,
        vco=drop,
        vtol=1.0,
        typ=np.array([PIECED if has_pieces(task) else KINDS[task.kind] for task in jobs], dtype=whole),
        p=np.array([task.work for task in jobs], dtype=whole),
        rel=np.array([task.release for task in jobs], dtype=whole),
        dl=np.array([task.deadline for task in jobs], dtype=whole),
        soft=np.array([slots if task.due is None else task.due for task in jobs], dtype=whole),
        wt=np.array([0.0 if task.due is None else task.late_eur_per_slot for task in jobs]),
        res=res,
        pw=power,
        drop=np.array([COMMANDED_EUR if task.pinned else task.drop_eur for task in jobs], dtype=np.float64),
        ep=np.concatenate(([0], np.cumsum(ends))).astype(whole),
        es=np.array([option.site for option in options], dtype=whole),
        ec=np.array([option.cost_eur for option in options], dtype=np.float64),
        ea=np.array([max(task.release, option.earliest) for task in jobs for option in task.options], dtype=whole),
        em=np.array([option.copy for option in options], dtype=whole),
        ms=np.array([copy.site for copy in problem.copies], dtype=whole),
        md=_datasets_of(problem),
        mc=np.array([copy.cost_eur for copy in problem.copies], dtype=np.float64),
        mgb=np.array([copy.volume_gb for copy in problem.copies], dtype=np.float64),
        gbmax=np.full(sites, NO_LIMIT_GB) if problem.copy_limit_gb is None else np.asarray(problem.copy_limit_gb, dtype=float),
        ew=shares,
        after_ptr=np.concatenate(([0], np.cumsum([len(before) for before in waits]))).astype(whole),
        after=np.array([p for before in waits for p in before], dtype=whole),
        must_serve=True,
        speed2=np.array([task.modes[1].speed if _two_modes(task) else _least(task).speed for task in jobs]),
        power2=np.array([task.modes[1].power if _two_modes(task) else _least(task).power for task in jobs]),
        curve_speed=curve_speed,
        curve_power=curve_power,
        least_run=np.array([task.min_run for task in jobs], dtype=whole),
        least_gap=np.array([task.min_gap for task in jobs], dtype=whole),
        restart=np.array([task.restart_eur for task in jobs], dtype=np.float64),
        soc_end=np.asarray(problem.final_soc_kwh, dtype=np.float64),
        missing=np.array([price.missing_eur_per_kwh for price in resort]),
        rows=rows,
    )
    return tightened(case)


def _powers(problem: Problem) -> tuple[FloatArray, FloatArray]:
    """Highest IT power of each job among its places, kW, ``[J]``, and the power at each place as a share of that, ``[N]``."""
    power = np.array([max((option.power_kw for option in task.options), default=0.0) for task in problem.jobs])
    at = np.array([option.power_kw for task in problem.jobs for option in task.options], dtype=np.float64)
    most = np.repeat(power, [len(task.options) for task in problem.jobs])
    return power, np.where(most > 0.0, at / np.where(most > 0.0, most, 1.0), 1.0)


def schedule_of(problem: Problem, found: Solution) -> Schedule:
    """Places of jobs from a solution."""
    schedule, first = Schedule(), _entry_starts(problem)
    for j, task in enumerate(problem.jobs):
        if found.choice[j] < 0:
            continue
        span = slice(found.run_ptr[j], found.run_ptr[j + 1])
        slots = tuple(int(t) for t in found.run_slot[span])
        shares: tuple[tuple[float, ...], ...] = ()
        if task.kind is JobKind.MALLEABLE:
            pairs = zip(found.run_full[span].tolist(), found.run_eco[span].tolist(), strict=True)
            shares = tuple(_shares(task, full, second) for full, second in pairs)
        schedule.jobs[j] = JobPlace(int(found.choice[j]) - first[j], slots, shares)
    return schedule


def _shares(task: JobTask, full: float, second: float) -> tuple[float, ...]:
    """Shares of the modes of a malleable job in a slot of a solution."""
    if _two_modes(task):
        return full, second
    speed, power = (np.array([getattr(mode, name) for mode in task.modes]) for name in ("speed", "power"))
    return mode_shares(speed, power, full + second, full + _least(task).power * second)


def run_of(task: JobTask, shares: tuple[float, ...]) -> tuple[float, float]:
    """What a solution has in a slot in which a job has these shares of its modes: ``run_full`` and ``run_eco``."""
    if not shares:
        return 1.0, 0.0
    if _two_modes(task):
        return shares[0], shares[1]
    return form_of([mode.power for mode in task.modes], shares)


def _entry_starts(problem: Problem) -> list[int]:
    """Entry of the first option of each job."""
    starts, total = [], 0
    for task in problem.jobs:
        starts.append(total)
        total += len(task.options)
    return starts


def _resources(problem: Problem) -> tuple[FloatArray, FloatArray]:
    """Capacity ``[R', S, T]`` and use ``[J, R']`` with the tenants' shares as further resources."""
    kinds = problem.capacity.shape[0]
    blocks = [problem.capacity] + [tenant.share * problem.capacity for tenant in problem.tenants]
    for task in problem.jobs:
        if task.tenant >= 0 and task.pinned:  # what is commanded holds, whatever the share; others must fit beside it
            use = np.array(task.resources)[:, None]
            slots = list(task.pinned)
            block = blocks[1 + task.tenant]
            block[:, task.options[0].site, slots] = np.maximum(0.0, block[:, task.options[0].site, slots] - use)
    res = np.zeros((len(problem.jobs), kinds * len(blocks)))
    for j, task in enumerate(problem.jobs):
        res[j, :kinds] = task.resources
        if task.tenant >= 0 and not task.pinned:
            at = kinds * (1 + task.tenant)
            res[j, at : at + kinds] = task.resources
    return np.ascontiguousarray(np.concatenate(blocks), dtype=np.float64), res


def _feeders(problem: Problem) -> tuple[IntArray, FloatArray, FloatArray, SharedRows]:
    """Feeder of each site or -1, limits, voltage drop per kW as a share of what is allowed, and rows for what is no feeder."""
    feeder, drop = np.full(len(problem.sites), -1, dtype=np.int64), np.zeros(len(problem.sites))
    chains, rows = chains_of(problem)
    for f, chain in enumerate(chains):
        for site, per_kw in zip(chain.sites, chain.drop_pu_per_kw, strict=True):
            feeder[site], drop[site] = f, per_kw / chain.drop_limit_pu
    return feeder, np.array([chain.limit_kw for chain in chains], dtype=np.float64), drop, rows


def _datasets_of(problem: Problem) -> IntArray:
    """A number for the dataset of each copy (its name is ``<dataset>@<site>``)."""
    names = [copy.name.rsplit("@", 1)[0] for copy in problem.copies]
    known = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return np.array([known[name] for name in names], dtype=np.int64)
