"""What every plan must satisfy, whoever made it; written against the contract, not against the planner's code."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.optimize import linprog

from grid.horizon import FloatArray
from scheduler.plan import Plan, Run
from scheduler.problem import JobTask, Problem
from scheduler.workload import JobKind


def check_plan(problem: Problem, plan: Plan) -> None:
    """Balance, limits, state of charge, windows, capacity, completeness, data before jobs, links."""
    _check_energy(problem, plan)
    _check_jobs(problem, plan)
    _check_transfers(problem, plan)
    assert abs(sum(plan.breakdown_eur.values()) - plan.objective_eur) <= 1e-9 * max(1.0, abs(plan.objective_eur))
    if plan.bound_eur is not None:
        assert plan.bound_eur <= plan.objective_eur


def _check_energy(problem: Problem, plan: Plan) -> None:
    energy, dt = plan.energy, problem.horizon.step_h
    came = energy.import_kw + energy.renewable_used_kw + energy.discharge_kw + energy.unserved_kw
    went = energy.load_kw + energy.export_kw + energy.charge_kw
    assert np.abs(came - went).max() <= 1e-6
    assert np.abs(energy.load_kw - problem.fixed_kw - problem.pue * energy.it_kw).max() <= 1e-9
    for name in plan.energy.names():
        if name == "load_kw" and plan.assets:
            continue  # assets may give more than the site takes
        assert getattr(energy, name).min() >= 0.0, name
    assert (energy.import_kw <= problem.import_limit_kw + 1e-6).all()
    assert (energy.export_kw <= problem.export_limit_kw + 1e-6).all()
    assert (energy.renewable_used_kw <= problem.renewable_kw + 1e-6).all()
    assert (np.minimum(energy.charge_kw, energy.discharge_kw) == 0).all()
    assert (np.minimum(energy.import_kw, energy.export_kw) == 0).all()
    for s, unit in enumerate(problem.batteries):
        if unit is None:
            assert energy.charge_kw[s].max() == energy.discharge_kw[s].max() == energy.soc_kwh[s].max() == 0.0
            continue
        change = dt * (energy.charge_kw[s] * unit.charge_efficiency - energy.discharge_kw[s] / unit.discharge_efficiency)
        assert np.abs(problem.initial_soc_kwh[s] + np.cumsum(change) - energy.soc_kwh[s]).max() <= 1e-9
        assert energy.soc_kwh[s].max() <= unit.energy_kwh + 1e-9
        assert energy.soc_kwh[s].min() >= min(unit.reserve_soc_kwh, problem.initial_soc_kwh[s]) - 1e-9
        assert energy.charge_kw[s].max() <= unit.charge_kw + 1e-9
        assert energy.discharge_kw[s].max() <= unit.discharge_kw + 1e-9


def _check_jobs(problem: Problem, plan: Plan) -> None:
    use = np.zeros_like(problem.capacity)
    power = np.zeros_like(problem.fixed_kw)
    dropped = {item.name for item in plan.dropped}
    tenants = np.zeros((len(problem.tenants) + 1, *problem.capacity.shape))
    copies: set[int] = set()
    for task in problem.jobs:
        runs = plan.runs_of(task.name)
        assert bool(runs) != (task.name in dropped), task.name
        if not runs:
            continue
        slots = [t for run in runs for t in range(run.start, run.end)]
        _check_pieces(task, runs, slots)
        for before in task.after:
            assert max(run.end for run in plan.runs_of(problem.jobs[before].name)) <= min(slots)
        option = next(option for option in task.options if problem.sites[option.site] == runs[0].site)
        assert min(slots) >= max(task.release, option.earliest)
        assert max(slots) < task.deadline
        for m in option.migrations:
            pieces = [piece for piece in plan.transfers if piece.migration == problem.migrations[m].name]
            assert pieces
            assert max(piece.end for piece in pieces) <= min(slots)
            assert {piece.target for piece in pieces} == {runs[0].site}
        copies.add(option.copy)
        for run in runs:
            amount = run.use * np.array(task.resources)[:, None]
            use[:, option.site, run.start : run.end] += amount
            power[option.site, run.start : run.end] += run.power * option.power_kw
            tenants[task.tenant][:, option.site, run.start : run.end] += amount
    assert (use <= problem.capacity + 1e-6).all()
    _check_common(problem, tenants, copies - {-1})
    for piece in plan.transfers:
        task_m = next(task for task in problem.migrations if task.name == piece.migration)
        option_m = next(option for option in task_m.options if problem.sites[option.site] == piece.target)
        share = piece.rate_mbit_per_s / option_m.rate_mbit_per_s
        power[task_m.source, piece.start : piece.end] += option_m.source_kw * share
        power[option_m.site, piece.start : piece.end] += option_m.target_kw * share
    assert np.abs(power - plan.energy.it_kw).max() <= 1e-6


def _check_common(problem: Problem, tenants: FloatArray, copies: set[int]) -> None:
    """Tenants keep to their shares (the last entry is of jobs without one), copies fit into their sites."""
    for n, tenant in enumerate(problem.tenants):
        assert (tenants[n] <= tenant.share * problem.capacity + 1e-6).all()
    for s in range(len(problem.sites)):
        volume = sum(problem.copies[q].volume_gb for q in copies if problem.copies[q].site == s)
        assert problem.copy_limit_gb is None or volume <= problem.copy_limit_gb[s] + 1e-9


def _check_pieces(task: JobTask, runs: tuple[Run, ...], slots: list[int]) -> None:
    """One site, no slot twice, the right amount of work in pieces that the kind of the job allows."""
    assert len({run.site for run in runs}) == 1
    assert len(slots) == len(set(slots))
    assert task.kind is not JobKind.RIGID or len(runs) == 1
    if task.kind is JobKind.MALLEABLE:
        _check_shares(task, runs)
    else:
        assert len(slots) == task.work
        assert {(run.speed, run.power, run.use) for run in runs} == {(1.0, 1.0, 1.0)}
    if task.kind is JobKind.INTERRUPTIBLE:
        assert all(run.end - run.start >= task.min_run for run in runs)
        assert all(later.start - earlier.end >= task.min_gap for earlier, later in pairwise(runs))


def _check_shares(task: JobTask, runs: tuple[Run, ...]) -> None:
    """The work of a malleable job is done, and every piece is a mix of its modes."""
    done = sum(run.speed * (run.end - run.start) for run in runs)
    assert done >= task.work - 1e-5
    for run in runs:
        assert 0 < run.use <= 1 + 1e-9
        mix = linprog(
            np.zeros(len(task.modes)),
            A_eq=[[mode.speed for mode in task.modes], [mode.power for mode in task.modes], [1.0] * len(task.modes)],
            b_eq=[run.speed, run.power, run.use],
        )
        assert mix.status == 0, run


def check_feeders(problem: Problem, plan: Plan) -> None:
    """Flows and voltage drops of every feeder, added up site by site."""
    net = plan.energy.import_kw - plan.energy.export_kw
    for feeder in problem.feeders:
        drop = np.zeros(problem.horizon.slots)
        for i, per_kw in enumerate(feeder.drop_pu_per_kw):
            flow = sum((net[s] for s in feeder.sites[i:]), np.zeros(problem.horizon.slots))
            assert i or np.abs(flow).max() <= feeder.limit_kw + 1e-5
            drop = drop + per_kw * flow
            assert np.abs(drop).max() <= feeder.drop_limit_pu + 1e-6


def _check_transfers(problem: Problem, plan: Plan) -> None:
    dropped = {item.name for item in plan.dropped}
    load = np.zeros((len(problem.links), problem.horizon.slots))
    for task in problem.migrations:
        pieces = [piece for piece in plan.transfers if piece.migration == task.name]
        if task.required:
            assert bool(pieces) != (task.name in dropped)
        if not pieces:
            continue
        moved = sum((piece.end - piece.start) * problem.horizon.step_s * piece.rate_mbit_per_s / 8e6 for piece in pieces)
        assert abs(moved - task.size_tb) <= 1e-6
        option = next(option for option in task.options if problem.sites[option.site] == pieces[0].target)
        for piece in pieces:
            assert piece.source == problem.sites[task.source]
            assert task.release <= piece.start < piece.end <= task.deadline
            assert piece.rate_mbit_per_s <= option.rate_mbit_per_s * (1 + 1e-9)
            for link in option.links:
                load[link, piece.start : piece.end] += piece.rate_mbit_per_s
    assert (load <= problem.link_mbit_per_s[:, None] * (1 + 1e-6)).all()
