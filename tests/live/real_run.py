"""A real run for tests: what `ozzo run --event` does without nodes, by the same pieces, on a part of the Almere district."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

from grid.network import load_network
from grid.response.openadr import parse_event
from ozzo.commanding import Order, carry_out
from ozzo.store import Journal
from scheduler.build import build_problem
from scheduler.document import load_scenario
from scheduler.placement import assign_nodes
from scheduler.policies.registry import POLICIES
from sim.record import RunRecord
from sim.rehearsal import realise, rehearse

ROOT = Path(__file__).parents[2]
JOBS = 16
"""Jobs of the district that take part; all of them would only make the solve longer."""


def said(_: str) -> None:
    """Progress, which nobody reads here."""


def real_record(folder: Path) -> RunRecord:
    """Plan with the MILP, rehearse with the AC power flow, carry out in the simulated world; an event arrives at 14:00.

    Args:
        folder: where the journal goes.
    """
    began = time.monotonic()
    scenario = load_scenario(ROOT / "configs" / "almere.yaml")
    scenario = replace(scenario, jobs=scenario.jobs[:JOBS], planning=replace(scenario.planning, relative_gap=0.05))
    file = ROOT / "configs" / "events" / "evening_peak.json"
    sites = tuple(site.name for site in scenario.sites)
    events = parse_event(json.loads(file.read_text()), sites=sites, horizon=scenario.horizon, seed=scenario.seed, file=str(file))
    assert scenario.network is not None
    network = load_network(scenario.network.simbench or "")
    problem = build_problem(scenario)
    plan = assign_nodes(scenario, POLICIES["milp"]().plan(problem, said))
    rehearsal = rehearse(scenario, plan, network=network, progress=said)
    assert rehearsal.nominal is not None
    assert rehearsal.verdict.passed, rehearsal.verdict.violations
    order = Order(
        scenario=scenario,
        problem=problem,
        plan=plan,
        verdict=rehearsal.verdict,
        expected=rehearsal.nominal,
        policy=POLICIES["milp"](),
        network=network,
        later=[events],
        folder=folder,
        day_seconds=12.0,
        nodes=False,
        port=0,
    )
    with Journal.open(folder / "journal.sqlite") as journal:
        carried = carry_out(order, journal, said)
    assert len(carried.plans) == 2, carried.notes
    plans = {name: assign_nodes(scenario, POLICIES[name]().plan(problem)) for name in ("fifo", "wait_for_sun")}
    done = {
        name: realise(carried.scenario, other, scenario.seed, network=network, power_flow=True) for name, other in plans.items()
    }
    return RunRecord(
        scenario=carried.scenario,
        problem=problem,
        plans=carried.plans,
        outcome=carried.outcome,
        stressed=rehearsal.stressed,
        baselines=done,
        baseline_plans=plans,
        commanding=carried.commanding,
        phases_s={},
        wall_s=time.monotonic() - began,
        command_line="(a test)",
        version="test",
        notes=carried.notes,
    )
