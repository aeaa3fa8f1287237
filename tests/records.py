"""A consistent ``RunRecord`` for tests, made by simple arithmetic (no optimiser, no simulator).

Energy balances close by construction; the network figures are a straight line through the injections, not a power flow.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from grid.horizon import FloatArray, Horizon
from grid.network_result import NetworkResult
from grid.response.event import CapacityEvent
from grid.series import Series
from scheduler.outcome import EventDelivery, JobOutcome, MeteredEnergy, Outcome, Totals, Verdict, Violation, ViolationKind
from scheduler.plan import (
    BatteryControl,
    Dropped,
    EnergySchedule,
    Plan,
    Reason,
    ReasonKind,
    Run,
    SolveStatus,
    Transfer,
)
from scheduler.problem import Problem
from scheduler.scenario import Scenario
from sim.key_figures import key_figures
from sim.record import Commanding, PlanInForce, RunRecord
from tests.factory import START, job, small_scenario

Places = dict[str, tuple[str, tuple[tuple[float, float], ...]]]
"""Job name -> site and its pieces in hours from the start."""

PLACES: dict[str, Places] = {
    "milp": {
        "index": ("cabinet", ((11, 13),)),
        "render": ("hall", ((11, 14),)),
        "train": ("hall", ((8, 10), (12, 15))),
        "backup": ("hall", ((11, 12),)),
        "nightly": ("hall", ((5, 6),)),
        "transcode": ("hall", ((13, 15),)),
    },
    "fifo": {
        "index": ("cabinet", ((0, 2),)),
        "render": ("hall", ((0, 3),)),
        "train": ("hall", ((0, 5),)),
        "backup": ("hall", ((6, 7),)),
        "nightly": ("hall", ((0, 1),)),
        "transcode": ("hall", ((8, 10),)),
    },
    "wait_for_sun": {
        "index": ("cabinet", ((9, 11),)),
        "render": ("hall", ((9, 12),)),
        "train": ("hall", ((9, 14),)),
        "backup": ("hall", ((9, 10),)),
        "nightly": ("hall", ((5, 6),)),
        "transcode": ("hall", ((9, 11),)),
    },
}
REASONS = {
    "milp": (ReasonKind.LOCAL_SURPLUS, "Runs while the roof gives more than the site needs; waiting saves money and carbon."),
    "fifo": (ReasonKind.RUN_AT_ONCE, "Starts as soon as it fits."),
    "wait_for_sun": (ReasonKind.WAIT_FOR_SUN, "Waited for local sun."),
}


@dataclass(frozen=True)
class Flows:
    """Mean kW ``[S, T]`` by name, and the state of charge in kWh."""

    arrays: dict[str, FloatArray]

    def schedule(self, first: int = 0) -> EnergySchedule:
        """As planned energy from slot ``first`` on."""
        return EnergySchedule(**{name: self.arrays[name][:, first:].copy() for name in EnergySchedule.names()})

    def metered(self, step_h: float) -> MeteredEnergy:
        """As realised energy."""
        kwh = {name.replace("_kw", "_kwh"): a * step_h for name, a in self.arrays.items() if name != "soc_kwh"}
        kwh["curtailed_kwh"] = kwh["renewable_kwh"] - kwh["renewable_used_kwh"]
        return MeteredEnergy(**kwh, soc_kwh=self.arrays["soc_kwh"].copy())


def example_scenario(minutes: int = 15) -> Scenario:
    """The small scenario of the factory with wind, an event, a job that fits nowhere and provenance."""
    base = small_scenario(slots=24 * 60 // minutes, minutes=minutes)
    hours = (np.arange(base.horizon.slots) + 0.5) * base.horizon.step_h
    wind = Series.on(base.horizon, 1.2 + 0.8 * np.sin(hours / 3.0), "kW", "test wind")
    sites = tuple(
        replace(site, wind_kw=wind) if site.name == "hall" else replace(site, connection=replace(site.connection, bus="bus 3"))
        for site in base.sites
    )
    event = CapacityEvent(
        "peak-1", "cabinet", START + timedelta(hours=18), START + timedelta(hours=20), 0.3, 1.0, START + timedelta(hours=10)
    )
    return replace(
        base,
        title="a small day with sun, wind and one event",
        sites=sites,
        jobs=(*base.jobs, job("huge", nodes=9)),
        events=(event,),
        provenance=("Sun, wind, prices and carbon: assumptions (smooth curves of the test factory).",),
        beyond_horizon=("tomorrow",),
    )


def _load(scenario: Scenario, places: Places, stretch: float) -> tuple[FloatArray, FloatArray]:
    """IT power of jobs and transfers, and facility power, by exact overlap with slots."""
    horizon = scenario.horizon
    names = [site.name for site in scenario.sites]
    edges_h = (horizon.edges_s - horizon.start_s) / 3600
    it_kw = np.zeros((len(names), horizon.slots))
    jobs = {item.name: item for item in scenario.jobs}
    for name, (where, pieces) in places.items():
        power = jobs[name].nodes * jobs[name].cores * scenario.site(where).nodes[0].core_kw
        for start, end in pieces:
            stop = start + (end - start) * stretch
            overlap = np.clip(np.minimum(edges_h[1:], stop) - np.maximum(edges_h[:-1], start), 0, None)
            it_kw[names.index(where)] += power * overlap / horizon.step_h
    for where in ("hall", "vault"):  # the transfer of `scans`, 4 to 6 o'clock
        overlap = np.clip(np.minimum(edges_h[1:], 6) - np.maximum(edges_h[:-1], 4), 0, None)
        it_kw[names.index(where)] += 0.2 * overlap / horizon.step_h
    idle = np.array([[site.idle_kw] for site in scenario.sites])
    pue = np.array([[site.pue] for site in scenario.sites])
    return it_kw, idle + pue * it_kw


def flows(scenario: Scenario, policy: str, sun: float = 1.0, stretch: float = 1.0) -> Flows:
    """Energy of a policy, slot by slot; the battery knows only surplus and deficit."""
    horizon, step = scenario.horizon, scenario.horizon.step_h
    it_kw, load_kw = _load(scenario, PLACES[policy], stretch)
    shape = load_kw.shape
    out = {name: np.zeros(shape) for name in EnergySchedule.names()} | {"it_kw": it_kw, "load_kw": load_kw}
    for s, site in enumerate(scenario.sites):
        sources = [series.mean(horizon) * sun for series in (site.solar_kw, site.wind_kw) if series is not None]
        out["renewable_kw"][s] = np.sum(sources, axis=0) if sources else 0.0
        soc = site.battery.initial_soc_kwh if site.battery else 0.0
        for t in range(horizon.slots):
            net = load_kw[s, t] - out["renewable_kw"][s, t]
            charge = discharge = 0.0
            if site.battery and net < 0:
                room = (site.battery.energy_kwh - soc) / site.battery.charge_efficiency / step
                charge = min(-net, site.battery.charge_kw, room)
            elif site.battery:
                left = (soc - site.battery.reserve_soc_kwh) * site.battery.discharge_efficiency / step
                discharge = min(net, site.battery.discharge_kw, max(0.0, left))
            if site.battery:
                soc += (charge * site.battery.charge_efficiency - discharge / site.battery.discharge_efficiency) * step
            rest = net + charge - discharge
            export = min(max(0.0, -rest), 3.0)
            out["soc_kwh"][s, t], out["charge_kw"][s, t], out["discharge_kw"][s, t] = soc, charge, discharge
            out["import_kw"][s, t], out["export_kw"][s, t] = max(0.0, rest), export
            out["renewable_used_kw"][s, t] = out["renewable_kw"][s, t] - max(0.0, -rest) + export
    return Flows(out)


def money(scenario: Scenario, energy: Flows, dropped: int = 1) -> Totals:
    """Totals by arithmetic on the flows."""
    horizon, step, a = scenario.horizon, scenario.horizon.step_h, energy.arrays
    price = np.array([site.tariff.import_eur_per_mwh.mean(horizon) for site in scenario.sites]) / 1000
    paid = np.array([site.tariff.export_eur_per_mwh.mean(horizon) for site in scenario.sites]) / 1000
    grams = np.array([site.carbon.average_g_per_kwh.mean(horizon) for site in scenario.sites])
    quarter = a["import_kw"] if step <= 0.25 else np.repeat(a["import_kw"], round(step / 0.25), axis=1)
    peaks = quarter.max(axis=1)
    carbon_kg = float((a["import_kw"] * step * grams).sum() / 1000)
    parts = {
        "import": float((a["import_kw"] * step * price).sum()),
        "export": -float((a["export_kw"] * step * paid).sum()),
        "peak": float(sum(site.tariff.peak_eur_per_kw * peak for site, peak in zip(scenario.sites, peaks, strict=True))),
        "wear": float(0.02 / 2 * ((a["charge_kw"] + a["discharge_kw"]) * step).sum()),
    }
    cost = sum(parts.values())
    parts |= {"carbon": carbon_kg * scenario.weights.carbon_eur_per_kg, "dropped": 10.0 * dropped}
    used = np.clip(a["renewable_used_kw"] - a["export_kw"], 0, None)
    return Totals(
        cost_eur=cost,
        carbon_kg=carbon_kg,
        import_kwh=float(a["import_kw"].sum() * step),
        export_kwh=float(a["export_kw"].sum() * step),
        curtailed_kwh=float((a["renewable_kw"] - a["renewable_used_kw"]).sum() * step),
        self_used_kwh=float(used.sum() * step),
        peak_kw=float(peaks.sum()),
        deadline_misses=0,
        dropped=dropped,
        objective_eur=sum(parts.values()),
        breakdown_eur=parts,
    )


def example_plan(scenario: Scenario, policy: str, first: int = 0, plan_id: str | None = None) -> Plan:
    """A plan of ``policy`` from slot ``first`` on."""
    per_hour = round(1 / scenario.horizon.step_h)
    energy = flows(scenario, policy)
    totals = money(scenario, energy)
    runs, kind = [], REASONS[policy]
    for name, (where, pieces) in PLACES[policy].items():
        width = next(item.nodes for item in scenario.jobs if item.name == name)
        for start, end in pieces:
            begin, stop = max(round(start * per_hour) - first, 0), round(end * per_hour) - first
            if stop > begin:
                runs.append(Run(name, where, begin, stop, tuple(f"{where}.rack-{i}" for i in range(width))))
    transfers = [Transfer("scans", "scans", "hall", "vault", 4 * per_hour, 6 * per_hour, 1000.0)] if first == 0 else []
    milp = policy == "milp"
    return Plan(
        id=plan_id or f"00000000-0000-7000-8000-{policy:0>12.12}",
        policy=policy,
        horizon=scenario.horizon.tail(first),
        sites=tuple(site.name for site in scenario.sites),
        runs=tuple(sorted(runs, key=lambda run: (run.start, run.job))),
        transfers=tuple(transfers),
        energy=energy.schedule(first),
        dropped=(
            Dropped("huge", Reason(ReasonKind.NO_PLACE, "It needs 9 nodes at once; the largest site has 4.", {"nodes": 9.0})),
        ),
        reasons={run.job: Reason(kind[0], kind[1], {"saved_eur": 0.12} if milp else {}) for run in runs}
        | {"scans": Reason(ReasonKind.DATA, "Frozen data belongs in a vault.", {"size_tb": 0.9})},
        battery_control=BatteryControl.FOLLOW_PLAN if milp else BatteryControl.SELF_CONSUMPTION,
        objective_eur=totals.objective_eur,
        bound_eur=totals.objective_eur * 0.99 if milp else None,
        gap=0.01 if milp else None,
        status=SolveStatus.OPTIMAL if milp else SolveStatus.HEURISTIC,
        solver="test arithmetic",
        build_s=0.1,
        solve_s=0.5,
        breakdown_eur=totals.breakdown_eur,
    )


def _network(scenario: Scenario, energy: Flows) -> NetworkResult:
    """A straight line through the net import; not a power flow."""
    net = energy.arrays["import_kw"] - energy.arrays["export_kw"]
    total = net.sum(axis=0)
    voltage = np.stack([1.02 - 0.004 * total, 1.015 - 0.005 * total, 1.01 - 0.006 * total], axis=1)
    return NetworkResult(
        scenario.horizon,
        tuple(range(scenario.horizon.slots)),
        ("bus 1", "bus 2", "bus 3"),
        ("line 1", "line 2"),
        ("transformer 1",),
        voltage,
        np.stack([3 * abs(total), 4 * abs(total)], axis=1),
        5 * abs(total)[:, None],
        {"cabinet": 2, "vault": 2},
    )


def example_outcome(scenario: Scenario, policy: str, *, stressed: bool = False, seed: int = 7) -> Outcome:
    """A policy carried out under 4 % less sun and wind, jobs 10 % shorter than asked."""
    energy = flows(scenario, policy, sun=0.9 if stressed else 0.96, stretch=0.9)
    jobs = []
    for item in scenario.jobs:
        where, pieces = PLACES[policy].get(item.name, (None, ()))
        start, end = (pieces[0][0], pieces[-1][0] + 0.9 * (pieces[-1][1] - pieces[-1][0])) if pieces else (0.0, 0.0)
        begun, done = (START + timedelta(hours=start), START + timedelta(hours=end)) if pieces else (None, None)
        jobs.append(JobOutcome(item.name, where, begun, done, item.deadline, False, 0, 0.4 if where else 0.0))
    event = scenario.events[0]
    hours = (np.arange(scenario.horizon.slots) + 0.5) * scenario.horizon.step_h
    inside = (hours >= 18) & (hours < 20)
    actual = (energy.arrays["import_kw"] - energy.arrays["export_kw"])[0, inside]
    delivery = EventDelivery(
        event.name,
        event.site,
        event.start,
        event.end,
        event.limit_kw,
        0.9,
        float(actual.mean()),
        float(actual.max()),
        0.9 - float(actual.mean()),
        float(np.clip(actual - event.limit_kw, 0, None).sum() * scenario.horizon.step_h),
        "the first plan, made before the event was known",
    )
    return Outcome(
        policy,
        f"00000000-0000-7000-8000-{policy:0>12.12}",
        seed,
        stressed,
        scenario.horizon,
        tuple(site.name for site in scenario.sites),
        energy.metered(scenario.horizon.step_h),
        tuple(jobs),
        (delivery,),
        money(scenario, energy),
        (),
        _network(scenario, energy),
        ((START + timedelta(hours=10), "event peak-1 received"),),
        key_figures=key_figures(scenario, scenario.horizon, energy.metered(scenario.horizon.step_h)),
    )


def example_problem(scenario: Scenario) -> Problem:
    """The arrays of the problem without tasks (nothing that reports reads them)."""
    horizon: Horizon = scenario.horizon
    count = len(scenario.sites)
    names = tuple(site.name for site in scenario.sites)
    margin = 1 - scenario.planning.limit_margin

    def each(values: list[FloatArray]) -> FloatArray:
        return np.array(values)

    return Problem(
        horizon=horizon,
        sites=names,
        capacity=np.ones((3, count, horizon.slots)),
        fixed_kw=np.array([np.full(horizon.slots, site.idle_kw) for site in scenario.sites]),
        pue=np.array([site.pue for site in scenario.sites]),
        renewable_kw=flows(scenario, "milp").arrays["renewable_kw"],
        import_limit_kw=margin * each([site.connection.import_limit_kw.mean(horizon) for site in scenario.sites]),
        export_limit_kw=margin * each([site.connection.export_limit_kw.mean(horizon) for site in scenario.sites]),
        import_eur_per_kwh=each([site.tariff.import_eur_per_mwh.mean(horizon) / 1000 for site in scenario.sites]),
        export_eur_per_kwh=each([site.tariff.export_eur_per_mwh.mean(horizon) / 1000 for site in scenario.sites]),
        carbon_g_per_kwh=each([site.carbon.average_g_per_kwh.mean(horizon) for site in scenario.sites]),
        batteries=tuple(site.battery for site in scenario.sites),
        initial_soc_kwh=np.array([site.battery.initial_soc_kwh if site.battery else 0.0 for site in scenario.sites]),
        final_soc_kwh=np.zeros(count),
        peak_eur_per_kw=np.array([site.tariff.peak_eur_per_kw for site in scenario.sites]),
        peak_reached_kw=np.zeros(count),
        links=tuple(link.name for link in scenario.links),
        link_mbit_per_s=np.array([link.rate_mbit_per_s for link in scenario.links]),
        jobs=(),
        migrations=(),
        events=(),
        weights=scenario.weights,
        settings=scenario.planning,
    )


def example_violation() -> Violation:
    """One violation, for failed verdicts."""
    advice = "lower cabinet.battery power or give it a larger battery"
    return Violation(ViolationKind.STATE_OF_CHARGE, "cabinet", 11.5, 10.0, "kWh", START + timedelta(hours=13), 7, advice)


def example_record(*, blocked: bool = False, interrupted: str | None = None, minutes: int = 15) -> RunRecord:
    """A finished run with an event half-way; or one that its verdict blocked; or one interrupted while solving."""
    scenario = example_scenario(minutes)
    per_hour = round(1 / scenario.horizon.step_h)
    broken = (example_violation(),) if blocked else ()
    worst = {"voltage_low_pu": 0.981, "transformer_loading_pct": 31.5}
    first = example_plan(scenario, "milp")
    plans = [PlanInForce(START, first, Verdict(not blocked, first.id, broken, worst, (7, 8, 9)), "first plan")]
    if not blocked:
        second = example_plan(scenario, "milp", 10 * per_hour + 1, "00000000-0000-7000-8000-000000000002")
        since = second.horizon.start
        plans.append(PlanInForce(since, second, Verdict(True, second.id, (), worst, (7,)), "event peak-1 at cabinet"))
    if interrupted:
        plans = []
    done = not blocked and not interrupted
    both = ("fifo", "wait_for_sun")
    return RunRecord(
        scenario=scenario,
        problem=example_problem(scenario),
        plans=tuple(plans),
        outcome=example_outcome(scenario, "milp") if done else None,
        stressed=() if interrupted else tuple(example_outcome(scenario, "milp", stressed=True, seed=7 + i) for i in (1, 2)),
        baselines={} if interrupted else {name: example_outcome(scenario, name) for name in both},
        baseline_plans={} if interrupted else {name: example_plan(scenario, name) for name in both},
        commanding=Commanding("in memory (no broker)", 7, 40, 40, 39, 0, 1, 6, 0.8, 1440.0, "an example") if done else None,
        phases_s={"load": 0.2, "plan": 0.7} if interrupted else {"load": 0.2, "plan": 0.7, "rehearse": 1.1},
        wall_s=2.5,
        command_line="ozzo run configs/small.yaml",
        version="0.1.0",
        interrupted=interrupted,
        notes=("a note",),
    )
