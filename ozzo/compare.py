"""The baselines of a run: beside the plan, under its events, and in its place when they are better (decision 0003)."""

from __future__ import annotations

from typing import Any

from grid.errors import Interrupted
from ozzo.console import Console
from ozzo.run_state import OPTIMISER, RunState, baselines_of
from scheduler.build import build_problem
from scheduler.on_grid import on_grid
from scheduler.outcome import Outcome
from scheduler.placement import assign_nodes
from scheduler.plan import SolveStatus
from scheduler.policies.registry import POLICIES
from sim.record import PlanInForce
from sim.rehearsal import event_baseline, realise, rehearse, without_events


def before_events(state: RunState, network: Any, console: Console) -> dict[str, Outcome]:
    """What each policy would do without the events that are known from the start: the baseline of their delivery."""
    if not state.scenario.events:
        return {}
    calm = without_events(state.scenario)
    problem = build_problem(calm)
    found = {}
    for name in (OPTIMISER, *baselines_of(state.scenario)):
        console.line(f"{name} without the events, for the proof of delivery")
        maker = POLICIES[name]()
        plan = (on_grid(maker, calm, network) if name == OPTIMISER else maker).plan(problem, console.line)
        if plan.status is SolveStatus.INTERRUPTED:
            raise Interrupted
        found[name] = event_baseline(state.scenario, assign_nodes(calm, plan))
    return found


def baselines_with_events(state: RunState, network: Any, console: Console) -> None:
    """Meter the baselines again when events arrived during the run, so that all policies pay the same bill."""
    if state.outcome is None or len(state.scenario.events) == len(state.known_events):
        return
    for name, plan in state.baseline_plans.items():
        console.line(f"carrying out baseline {name} under the same events")
        earlier = state.baselines[name]
        state.baselines[name] = realise(
            state.scenario, plan, state.scenario.seed, network=network, power_flow=True, baseline=earlier
        )
        less_eur = state.outcome.totals.objective_eur - state.baselines[name].totals.objective_eur
        if less_eur >= 0.005:
            state.notes.append(f"Under these events the baseline {name} would have come to {less_eur:.2f} EUR less.")


def prefer_baseline(state: RunState, network: Any, before: dict[str, Outcome], console: Console) -> None:
    """Command a baseline's plan when it realised a lower objective and passes its own rehearsal (decision 0003)."""
    if state.outcome is None:
        return
    best = min(state.baselines, key=lambda name: state.baselines[name].totals.objective_eur)
    if state.baselines[best].totals.objective_eur >= state.outcome.totals.objective_eur:
        return
    rehearsal = rehearse(
        state.scenario, state.baseline_plans[best], network=network, baseline=before.get(best), progress=console.line
    )
    passed = rehearsal.nominal is not None and rehearsal.verdict.passed
    note = (
        f"The baseline {best} realised {state.baselines[best].totals.objective_eur:.2f} EUR against "
        f"{state.outcome.totals.objective_eur:.2f} EUR of the optimised plan, "
        + ("so its plan is commanded instead." if passed else "but did not pass its own rehearsal, so it may not be commanded.")
    )
    console.line(note)
    state.notes.append(note)
    if not passed:
        return
    state.plans[0] = PlanInForce(state.scenario.horizon.start, state.baseline_plans[best], rehearsal.verdict, note)
    state.outcome, state.stressed = rehearsal.nominal, rehearsal.stressed
