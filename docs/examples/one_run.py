"""One run: plan a scenario with three policies, and carry every plan out in the same simulated world.

python docs/examples/one_run.py [SCENARIO]
"""

from __future__ import annotations

import sys

from ozzo.examples import shipped
from scheduler.build import build_problem
from scheduler.document import load_scenario
from scheduler.placement import assign_nodes
from scheduler.policies.registry import POLICIES
from sim.rehearsal import realise

scenario = load_scenario(sys.argv[1] if len(sys.argv) > 1 else shipped() / "minimal.yaml")
problem = build_problem(scenario)
print(f"{scenario.title}: {len(scenario.jobs)} jobs, seed {scenario.seed}")
for name in ("fifo", "wait_for_sun", "milp"):
    plan = assign_nodes(scenario, POLICIES[name]().plan(problem))
    totals = realise(scenario, plan, scenario.seed).totals
    print(
        f"{name:13s} planned {plan.objective_eur:.3f} EUR, realised {totals.objective_eur:.3f} EUR, "
        f"{totals.carbon_kg:.2f} kg, {totals.deadline_misses} late"
    )
