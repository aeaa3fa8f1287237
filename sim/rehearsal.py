"""The rehearsal: a plan in, a verdict out. Only a plan that passes may command anything.

1. The plan is checked against its scenario (``sim.plan_check``); a broken rule ends it here.
2. The nominal run carries it out with forecast error, run-time error and command delays, at the scenario's own seed, with an
   AC power flow in every slot. No deadline may be missed, but by jobs that a fault of the mains hit, where the scenario has one.
3. Stressed runs, each with a seed of its own, draw other weather, run times and delays than the nominal run, and let nodes fail
   while the plan works on them; the power flow is solved in every slot there too. Missed deadlines are tolerated for the jobs
   that such a failure hit, and of the others up to a small share (``rehearsal.deadline_miss_tolerance``). Nothing else is
   tolerated.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from grid.contracts.limits import Direction
from scheduler.allowed import allowed_kw
from scheduler.outcome import Outcome, Verdict, Violation, ViolationKind
from scheduler.plan import Plan
from scheduler.policies import Progress, silent
from scheduler.scenario import Scenario
from scheduler.world import Observation
from sim.network_check import PowerFlow, load, with_power_flow
from sim.plan_check import check_plan
from sim.world import SimulatedWorld
from sim.world.settle import balance_kwh

STRESSED_CONFIRMED = 1
"""Slots of a stressed run that pandapower solves again; the fast method solves all of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Rehearsal:
    """What a rehearsal found.

    Attributes:
        verdict: pass, or every broken rule.
        nominal: the nominal run, or None when the plan itself already broke a rule.
        stressed: runs with failing nodes.
    """

    verdict: Verdict
    nominal: Outcome | None
    stressed: tuple[Outcome, ...]


def stressed_seeds(scenario: Scenario) -> tuple[int, ...]:
    """Seeds of the stressed runs: those that follow the scenario's own."""
    return tuple(scenario.seed + 1 + i for i in range(scenario.rehearsal.stressed_runs))


def realise(
    scenario: Scenario,
    plan: Plan,
    seed: int,
    *,
    stressed: bool = False,
    observation: Observation | None = None,
    network: PowerFlow | None = None,
    power_flow: bool = False,
    baseline: Outcome | None = None,
) -> Outcome:
    """Carry ``plan`` out in a simulated world; at one seed every plan meets the same truth.

    Args:
        scenario: the world, with every event in it.
        plan: of the whole horizon, or of the rest of it after ``observation``.
        seed: of the truth.
        stressed: nodes fail.
        observation: state at which the world begins.
        network: the network when it is loaded already.
        power_flow: solve the AC power flow in every slot.
        baseline: the same world at the same seed without the demand-response events, for the proof of delivery.

    Raises:
        ValueError: ``baseline`` has another seed.
    """
    world = SimulatedWorld(scenario, seed=seed, stressed=stressed, observation=observation)
    world.command(plan)
    outcome = world.outcome(baseline=baseline)
    return with_power_flow(scenario, outcome, network) if power_flow else outcome


def event_baseline(scenario: Scenario, plan: Plan, *, observation: Observation | None = None) -> Outcome:
    """The baseline of demand-response events that were known before the first plan: the same world without any event.

    Give it to ``realise`` or ``rehearse`` as ``baseline``; the proof of delivery then says "plan without the event, same seed".

    Args:
        scenario: the scenario, with its events.
        plan: made by the same policy for the scenario without events (``without_events``).
        observation: state at which the world begins.
    """
    return realise(without_events(scenario), plan, scenario.seed, observation=observation)


def without_events(scenario: Scenario) -> Scenario:
    """The scenario as it would be without demand response."""
    return replace(scenario, events=())


def rehearse(
    scenario: Scenario,
    plan: Plan,
    *,
    observation: Observation | None = None,
    network: PowerFlow | None = None,
    baseline: Outcome | None = None,
    progress: Progress = silent,
) -> Rehearsal:
    """Rehearse ``plan`` and judge it.

    Args:
        scenario: with every event known so far.
        plan: of the whole horizon, or of the rest of it after ``observation``.
        observation: the state from which the plan decides.
        network: the network when it is loaded already, else it is loaded when the scenario names one.
        baseline: the same world at the scenario's seed without the demand-response events, for the proof of delivery.
        progress: told what is going on.

    Raises:
        PowerFlowError: the scenario's network does not exist or cannot be used.
    """
    broken = check_plan(scenario, plan, observation)
    if broken:
        progress(f"plan check: {len(broken)} broken rules")
        return Rehearsal(Verdict(passed=False, plan_id=plan.id, violations=broken), None, ())
    if network is None and scenario.network is not None:
        network = load(scenario.network)
    carried = realise(scenario, plan, scenario.seed, observation=observation, network=network, power_flow=True, baseline=baseline)
    nominal = _told(carried, progress)
    stressed = tuple(_told(_stressed(scenario, plan, seed, observation, network), progress) for seed in stressed_seeds(scenario))
    return Rehearsal(judge(scenario, plan, nominal, stressed), nominal, stressed)


def judge(scenario: Scenario, plan: Plan, nominal: Outcome, stressed: tuple[Outcome, ...]) -> Verdict:
    """The verdict on runs of ``plan``: the worst of each broken rule that is not tolerated."""
    broken = _without_hit(nominal)
    for run in stressed:
        broken += _not_tolerated(scenario, plan, run)
    runs = (nominal, *stressed)
    return Verdict(
        passed=not broken,
        plan_id=plan.id,
        violations=_worst_of_each(broken),
        worst=_worst_values(scenario, plan, runs),
        seeds=tuple(run.seed for run in runs),
    )


def _not_tolerated(scenario: Scenario, plan: Plan, run: Outcome) -> list[Violation]:
    """Broken rules of a stressed run, without the missed deadlines that are tolerated (see ``RehearsalSettings``)."""
    share = scenario.rehearsal.deadline_miss_tolerance * len({piece.job for piece in plan.runs})
    left = _without_hit(run)
    late = [item for item in left if item.kind is ViolationKind.DEADLINE]
    rest = [item for item in left if item.kind is not ViolationKind.DEADLINE]
    return [*rest, *late] if len(late) > share else rest


def _without_hit(run: Outcome) -> list[Violation]:
    """Broken rules without the missed deadlines of jobs that a fault hit: no plan can promise those."""
    excused = {job.job for job in run.jobs if job.failures}
    return [item for item in run.violations if item.kind is not ViolationKind.DEADLINE or item.subject not in excused]


def _stressed(scenario: Scenario, plan: Plan, seed: int, observation: Observation | None, network: PowerFlow | None) -> Outcome:
    outcome = realise(scenario, plan, seed, stressed=True, observation=observation)
    return with_power_flow(scenario, outcome, network, confirm=STRESSED_CONFIRMED)


def _told(outcome: Outcome, progress: Progress) -> Outcome:
    """``outcome``, after a word on it."""
    name = "stressed run" if outcome.stressed else "nominal run"
    misses = outcome.totals.deadline_misses
    progress(f"{name}, seed {outcome.seed}: {len(outcome.violations)} broken rules, {misses} missed deadlines")
    return outcome


def _miss_share(run: Outcome, plan: Plan) -> float:
    """Share of the planned jobs that missed their deadline."""
    planned = {piece.job for piece in plan.runs}
    return run.totals.deadline_misses / max(1, len(planned))


def _worst_of_each(violations: Iterable[Violation]) -> tuple[Violation, ...]:
    """One violation for each rule and subject and side of its limit: the one that is furthest out."""
    worst: dict[tuple[ViolationKind, str, bool], Violation] = {}
    for violation in violations:
        key = (violation.kind, violation.subject, violation.value > violation.limit)
        if key not in worst or abs(violation.value - violation.limit) > abs(worst[key].value - worst[key].limit):
            worst[key] = violation
    return tuple(worst.values())


def _worst_values(scenario: Scenario, plan: Plan, runs: tuple[Outcome, ...]) -> dict[str, float]:
    """Worst values over all runs by name, unit in the name."""
    worst = {
        "deadline_misses": float(max(run.totals.deadline_misses for run in runs)),
        "deadline_miss_share_pct": 100.0 * max(_miss_share(run, plan) for run in runs),
        "balance_error_kwh": max(float(np.abs(balance_kwh(run.energy)).max()) for run in runs),
        "unserved_kwh": max(float(run.energy.unserved_kwh.sum()) for run in runs),
        "import_of_limit_pct": max(_import_share_pct(scenario, run) for run in runs),
        "event_shortfall_kwh": max((item.shortfall_kwh for run in runs for item in run.deliveries), default=0.0),
        "job_restarts": float(max(sum(job.restarts for job in run.jobs) for run in runs)),
    }
    faults = [[fault for fault in run.mains if not fault.bridged] for run in runs]
    if any(faults):
        worst["mains_faults"] = float(max(len(found) for found in faults))
        worst["mains_dark_min"] = max(sum(fault.dark_s for fault in found) for found in faults) / 60.0
        worst["mains_unserved_kwh"] = max(sum(fault.unserved_kwh for fault in found) for found in faults)
        worst["mains_jobs_stopped"] = float(max(sum(fault.jobs_saved + fault.jobs_lost for fault in found) for found in faults))
    networks = [run.network for run in runs if run.network is not None]
    if networks:
        worst |= _worst_of_phases([run.phases for run in runs if run.phases is not None])
        worst["voltage_low_pu"] = min(float(result.voltage_pu.min()) for result in networks)
        worst["voltage_high_pu"] = max(float(result.voltage_pu.max()) for result in networks)
        worst["line_loading_pct"] = max(float(result.line_loading_pct.max(initial=0.0)) for result in networks)
        worst["transformer_loading_pct"] = max(float(result.transformer_loading_pct.max(initial=0.0)) for result in networks)
    return worst


def _worst_of_phases(found: list[dict[str, float]]) -> dict[str, float]:
    """Worst values of single phases over runs; empty where the network does not describe them."""
    names = found[0] if found else {}
    return {name: (min if name.endswith("low_pu") else max)(values[name] for values in found) for name in names}


def _import_share_pct(scenario: Scenario, run: Outcome) -> float:
    """Highest mean import of a reporting slot as a share of what connection and contracts allow, over all sites that have one."""
    highest = 0.0
    for s, site in enumerate(scenario.sites):
        limit = allowed_kw(scenario, site, Direction.IMPORT, run.horizon)
        power = run.energy.import_kwh[s] / run.horizon.step_h
        open_slots = limit > 0
        highest = max(highest, float((100.0 * power[open_slots] / limit[open_slots]).max(initial=0.0)))
    return highest
