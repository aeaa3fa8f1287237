"""Plans made by hand for tests: jobs and transfers as given, energy computed from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from grid.horizon import FloatArray, Horizon
from scheduler.plan import BatteryControl, Dropped, EnergySchedule, Plan, Reason, ReasonKind, Run, SolveStatus, Transfer
from scheduler.scenario import ErrorModel, Scenario

EXACT = ErrorModel(
    solar_sigma=0.0, wind_sigma=0.0, duration_low=1.0, duration_high=1.0, command_delay_s=0.0, node_failures=0, repair_h=2.0
)
"""Everything happens as forecast."""


def hand_plan(
    scenario: Scenario,
    runs: tuple[Run, ...] = (),
    transfers: tuple[Transfer, ...] = (),
    *,
    battery_kw: dict[str, FloatArray] | None = None,
    control: BatteryControl = BatteryControl.FOLLOW_PLAN,
    horizon: Horizon | None = None,
    initial_soc_kwh: dict[str, float] | None = None,
    plan_id: str = "hand",
) -> Plan:
    """A plan of these runs; jobs without a run are dropped; the rest of the energy follows from the balance.

    ``battery_kw`` is the battery power by site (charging positive), ``[T]``; zero where it is not given.
    """
    axis = horizon or scenario.horizon
    names = tuple(site.name for site in scenario.sites)
    jobs = {job.name: job for job in scenario.jobs}
    energy = EnergySchedule.zeros(len(names), axis.slots)
    for run in runs:
        group = scenario.site(run.site).nodes[0]
        job = jobs[run.job]
        energy.it_kw[names.index(run.site), run.start : run.end] += job.nodes * job.cores * group.core_kw * run.power
    for transfer in transfers:
        for end in (transfer.source, transfer.target):
            link = next(link for link in scenario.links if set(link.ends) == {transfer.source, transfer.target})
            share = transfer.rate_mbit_per_s / link.rate_mbit_per_s
            energy.it_kw[names.index(end), transfer.start : transfer.end] += link.power_kw * share
    for s, site in enumerate(scenario.sites):
        energy.load_kw[s] = site.idle_kw + site.pue * energy.it_kw[s]
        for series in (site.solar_kw, site.wind_kw):
            if series is not None:
                energy.renewable_kw[s] += series.mean(axis)
        power = (battery_kw or {}).get(site.name, np.zeros(axis.slots))
        energy.charge_kw[s], energy.discharge_kw[s] = np.maximum(0.0, power), np.maximum(0.0, -power)
        if site.battery is not None:
            start = (initial_soc_kwh or {}).get(site.name, site.battery.initial_soc_kwh)
            rate = np.array([site.battery.soc_rate_kw(float(kw)) for kw in power])
            energy.soc_kwh[s] = start + np.cumsum(rate) * axis.step_h
        net = energy.load_kw[s] - energy.renewable_kw[s] + power
        energy.import_kw[s] = np.maximum(0.0, net)
        price = site.tariff.export_eur_per_mwh.mean(axis)
        room = np.where(price >= 0, site.connection.export_limit_kw.mean(axis), 0.0)
        energy.export_kw[s] = np.minimum(np.maximum(0.0, -net), room)
        energy.renewable_used_kw[s] = energy.renewable_kw[s] - (np.maximum(0.0, -net) - energy.export_kw[s])
    planned = {run.job for run in runs}
    reason = Reason(ReasonKind.NO_PLACE, "left out by hand")
    moved = {transfer.migration for transfer in transfers}
    left_out = [name for name in jobs if name not in planned]
    left_out += [
        dataset.name
        for dataset in scenario.datasets
        if dataset.name not in moved and any(site not in dataset.allowed_sites for site in dataset.sites)
    ]
    return Plan(
        id=plan_id,
        policy="hand",
        horizon=axis,
        sites=names,
        runs=tuple(sorted(runs, key=lambda run: (run.start, run.job))),
        transfers=tuple(sorted(transfers, key=lambda transfer: transfer.start)),
        energy=energy,
        dropped=tuple(Dropped(name, reason) for name in left_out),
        reasons={},
        battery_control=control,
        objective_eur=0.0,
        bound_eur=None,
        gap=None,
        status=SolveStatus.HEURISTIC,
        solver="",
        build_s=0.0,
        solve_s=0.0,
        breakdown_eur={},
    )


def good_runs() -> tuple[Run, ...]:
    """Runs that carry out every job of ``tests.factory.small_scenario()`` (24 slots of an hour)."""
    return (
        Run("index", "cabinet", 10, 12, ("cabinet.rack-0",)),
        Run("render", "hall", 9, 12, ("hall.rack-0", "hall.rack-1")),
        Run("train", "hall", 8, 11, ("hall.rack-2",)),
        Run("train", "hall", 13, 15, ("hall.rack-2",)),
        Run("backup", "hall", 8, 9, ("hall.rack-0",)),
        Run("nightly", "hall", 2, 3, ("hall.rack-0",)),
        Run("transcode", "cabinet", 12, 14, ("cabinet.rack-0",)),
    )


def good_transfers() -> tuple[Transfer, ...]:
    """The move of the frozen dataset: 0.9 TB at 1 Gbit/s are two hours."""
    return (Transfer("scans", "scans", "hall", "vault", 11, 13, 1000.0),)


def good_plan(scenario: Scenario) -> Plan:
    """A plan for ``small_scenario()`` that breaks no rule and uses its battery."""
    battery_kw = np.zeros(scenario.horizon.slots)
    battery_kw[12:14] = 1.0
    battery_kw[19:21] = -0.9025
    return hand_plan(scenario, good_runs(), good_transfers(), battery_kw={"cabinet": battery_kw})


def exact(scenario: Scenario) -> Scenario:
    """The scenario without any error."""
    return replace(scenario, errors=EXACT)
