"""What every plan must satisfy, whoever made it; written against the contract, not against the planner's code."""

from __future__ import annotations

import numpy as np

from scheduler.plan import Plan
from scheduler.problem import Problem
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
    for task in problem.jobs:
        runs = plan.runs_of(task.name)
        assert bool(runs) != (task.name in dropped), task.name
        if not runs:
            continue
        slots = [t for run in runs for t in range(run.start, run.end)]
        assert len({run.site for run in runs}) == 1
        assert len(slots) == len(set(slots)) == task.work
        assert task.kind is JobKind.INTERRUPTIBLE or len(runs) == 1
        option = next(option for option in task.options if problem.sites[option.site] == runs[0].site)
        assert min(slots) >= max(task.release, option.earliest)
        assert max(slots) < task.deadline
        for m in option.migrations:
            pieces = [piece for piece in plan.transfers if piece.migration == problem.migrations[m].name]
            assert pieces
            assert max(piece.end for piece in pieces) <= min(slots)
            assert {piece.target for piece in pieces} == {runs[0].site}
        use[:, option.site, slots] += np.array(task.resources)[:, None]
        power[option.site, slots] += option.power_kw
    assert (use <= problem.capacity + 1e-9).all()
    for piece in plan.transfers:
        task_m = next(task for task in problem.migrations if task.name == piece.migration)
        option_m = next(option for option in task_m.options if problem.sites[option.site] == piece.target)
        share = piece.rate_mbit_per_s / option_m.rate_mbit_per_s
        power[task_m.source, piece.start : piece.end] += option_m.source_kw * share
        power[option_m.site, piece.start : piece.end] += option_m.target_kw * share
    assert np.abs(power - plan.energy.it_kw).max() <= 1e-6


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
