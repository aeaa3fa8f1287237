"""The loop: time passes, the controller observes, forecasts, plans, rehearses and commands, again and again to the end.

It plans at the start, every ``replan`` from then on, and whenever an event or a contract's call is told. Rehearsals have seeds
of their own, so none knows what the world will really bring. A plan that does not pass leaves the one before in force; in a pilot
the baseline then runs everything until the next plan.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from scheduler.build import build_problem
from scheduler.controller import Controller, Decision
from scheduler.late_calls import late_calls
from scheduler.on_grid import on_grid
from scheduler.outcome import Outcome, Verdict
from scheduler.placement import assign_nodes
from scheduler.plan import Plan
from scheduler.policies import Policy, Progress, Replanning, silent
from scheduler.policies.registry import BASELINES, POLICIES
from scheduler.problem import Problem
from scheduler.scenario import Scenario
from scheduler.world import Observation
from sim.loop.known import Known
from sim.loop.pilot import parted
from sim.loop.settings import LoopResult, LoopSettings, Mode, Step
from sim.loop.views import LiveView, PilotView, ShadowView, Stopwatch
from sim.network_check import load
from sim.rehearsal import realise, rehearse
from sim.world import SimulatedWorld

REHEARSAL_SEEDS = 1_000_000
"""Rehearsals of the loop draw from seeds this far from the scenario's, and ``SEEDS_APART`` from each other."""
SEEDS_APART = 100


def run_loop(scenario: Scenario, settings: LoopSettings, tell: Progress = silent) -> LoopResult:
    """Run ``scenario`` in closed loop to its end.

    Args:
        scenario: the world, with its first forecasts; its seed decides what really comes.
        settings: how.
        tell: told of each plan.

    Raises:
        SeriesError: prices or carbon are to be forecast from a past that their series do not hold.
        PowerFlowError: the scenario's network does not exist or cannot be used.
        SolverError: a solver left no plan at all.
        ValueError: the settings do not fit the scenario.
    """
    return _Loop(scenario, settings, tell).run()


class _Timed:
    """A policy whose computing time is counted."""

    def __init__(self, inner: Policy, watch: Stopwatch) -> None:
        self._inner, self._watch = inner, watch

    @property
    def name(self) -> str:
        """That of the policy inside."""
        return self._inner.name

    def plan(self, problem: Problem, progress: Progress = silent) -> Plan:
        """Its plan."""
        with self._watch("solve"):
            return self._inner.plan(problem, progress)

    def replan(self, problem: Problem, before: Plan, progress: Progress = silent) -> Plan:
        """Its next plan, from what ``before`` still holds where it can use that."""
        with self._watch("solve"):
            if isinstance(self._inner, Replanning):
                return self._inner.replan(problem, before, progress)
            return self._inner.plan(problem, progress)


class _Loop:
    """A closed loop under way."""

    def __init__(self, scenario: Scenario, settings: LoopSettings, tell: Progress) -> None:
        _fits(scenario, settings)
        self._settings, self._tell = settings, tell
        self._scenario = scenario if settings.power_flow else replace(scenario, network=None)
        self._network = None if self._scenario.network is None else load(self._scenario.network)
        self._watch = Stopwatch()
        self._world = SimulatedWorld(self._scenario, seed=scenario.seed, stressed=False)
        self._known = Known(self._scenario, self._world, settings)
        self._view = self._make_view()
        self._now = self._scenario
        self._baseline = POLICIES[settings.baseline]()
        self._nominal: Outcome | None = None
        self._steps: list[Step] = []
        policy = _Timed(self._policy(), self._watch)
        self._controller = Controller(self._scenario, policy, self._view, self._rehearse, _unwritten)

    def _policy(self) -> Policy:
        """The policy, held to the network as in ``ozzo run`` (baselines know no network)."""
        policy = POLICIES[self._settings.policy]()
        return policy if self._settings.policy in BASELINES else on_grid(policy, self._scenario, self._network)

    def _make_view(self) -> LiveView:
        world, watch, reasons = self._world, self._watch, self._settings.reasons
        if self._settings.mode is Mode.SHADOW:
            return ShadowView(world, watch, reasons=reasons)
        if self._settings.mode is Mode.PILOT:
            return PilotView(world, watch, self._settings.pilot, reasons=reasons)
        return LiveView(world, watch, reasons=reasons)

    def run(self) -> LoopResult:
        """Every plan in turn, then the rest of the horizon."""
        began = time.perf_counter()
        for moment in self._moments():
            self._view.advance(moment)
            slot = 0 if not self._steps else self._known.first_slot(moment)
            if slot >= self._scenario.horizon.slots:
                break
            self._steps.append(self._step(moment, slot))
            self._controller.forget()
        with self._watch("world"):
            outcome = self._world.outcome()
        release = {job.name: job.release for job in self._scenario.jobs}
        waits = [(job.started - release[job.job]) / timedelta(hours=1) for job in outcome.jobs if job.started is not None]
        return LoopResult(
            self._settings,
            outcome,
            tuple(self._steps),
            sum(waits) / max(1, len(waits)),
            dict(self._watch.cpu_s),
            time.perf_counter() - began,
        )

    def _moments(self) -> list[datetime]:
        """When plans are made: at the start, regularly, and when something is told."""
        horizon, moments = self._scenario.horizon, {self._scenario.horizon.start}
        count = (horizon.end - horizon.start) // self._settings.replan
        moments |= {horizon.start + k * self._settings.replan for k in range(count + 1)}
        moments |= {event.received for event in self._scenario.events}
        moments |= {event.received for group in late_calls(self._scenario) for event in group}
        return sorted(moment for moment in moments if horizon.start <= moment < horizon.end)

    def _step(self, moment: datetime, slot: int) -> Step:
        """One plan: what is known, the baseline's part where the mode asks for it, the controller's plan."""
        began = time.process_time()
        with self._watch("forecast"):
            self._now = known = self._known.at(moment, slot)
        self._view.until_slot = known.horizon.slots
        observation = None if not self._steps else self._view.observe(slot)
        baseline = None
        if self._settings.mode is not Mode.LIVE:
            with self._watch("baseline"):
                baseline = assign_nodes(known, self._baseline.plan(build_problem(known, observation)), observation)
        decision = self._decide(moment, known, observation, baseline)
        plan_eur, baseline_eur = self._scores(known, observation, baseline)
        plan = decision.plan
        step = Step(
            moment=moment,
            slot=slot,
            jobs=len(known.jobs),
            runs=len(plan.runs),
            dropped=len(plan.dropped),
            objective_eur=plan.objective_eur,
            bound_eur=plan.bound_eur,
            gap=plan.gap,
            status=str(plan.status),
            passed=decision.verdict.passed,
            broken=tuple(str(violation) for violation in decision.verdict.violations),
            commanded=decision.commanded and self._settings.mode is not Mode.SHADOW,
            plan_eur=plan_eur,
            baseline_eur=baseline_eur,
            cpu_s=time.process_time() - began,
        )
        self._tell(_words(step))
        return step

    def _decide(self, moment: datetime, known: Scenario, observation: Observation | None, baseline: Plan | None) -> Decision:
        """The controller's decision; in shadow the baseline is commanded, and in a pilot when the decision was refused."""
        if isinstance(self._view, PilotView) and baseline is not None:
            self._view.baseline = baseline
            known = parted(known, baseline, self._view.sites, observation)
        self._controller.revise(known)
        if observation is None:
            decision = self._controller.first_plan()
        else:
            decision = self._controller.replan_at(moment, f"plan of {moment:%Y-%m-%d %H:%M} UTC")
        if baseline is not None and (self._settings.mode is Mode.SHADOW or not decision.commanded):
            with self._watch("world"):
                self._world.command(self._view.kept(baseline))
        return decision

    def _rehearse(self, scenario: Scenario, plan: Plan, observation: Observation | None) -> Verdict:
        """The verdict, in worlds of other seeds than the real one; in a pilot of the jobs as they really are."""
        del scenario  # in a pilot its jobs have no freedom, which is no promise to anybody
        self._nominal = None
        if not self._settings.rehearse or self._settings.policy in BASELINES:
            return Verdict(passed=True, plan_id=plan.id, violations=())
        with self._watch("rehearse"):
            found = rehearse(self._rehearsed(), plan, observation=observation, network=self._network)
        self._nominal = found.nominal
        return found.verdict

    def _rehearsed(self) -> Scenario:
        """What is known now, at the seed of this plan's rehearsals."""
        seed = self._scenario.seed + REHEARSAL_SEEDS + SEEDS_APART * len(self._steps)
        return replace(self._now, seed=seed)

    def _scores(
        self, known: Scenario, observation: Observation | None, baseline: Plan | None
    ) -> tuple[float | None, float | None]:
        """In shadow: objective of the plan and of the baseline in the same rehearsed world, EUR."""
        if self._settings.mode is not Mode.SHADOW or baseline is None or self._nominal is None:
            return None, None
        with self._watch("rehearse"):
            other = realise(known, baseline, self._nominal.seed, observation=observation)
        return self._nominal.totals.objective_eur, other.totals.objective_eur


def _fits(scenario: Scenario, settings: LoopSettings) -> None:
    """Refuse settings that say nothing about this scenario.

    Raises:
        ValueError: a pilot without sites or with unknown ones, sites without a pilot, an interval below a minute.
    """
    names = {site.name for site in scenario.sites}
    if (settings.mode is Mode.PILOT) != bool(settings.pilot):
        raise ValueError("a pilot names its sites, and nothing else does")
    if not set(settings.pilot) <= names:
        raise ValueError(f"unknown sites of the pilot: {', '.join(sorted(set(settings.pilot) - names))}")
    if settings.replan < timedelta(minutes=1):
        raise ValueError(f"plans every {settings.replan}: at least a minute apart")


def _words(step: Step) -> str:
    """A line on one plan."""
    gap = "" if step.gap is None else f", gap {100 * step.gap:.2f} %"
    end = "commanded" if step.commanded else "passed" if step.passed else f"refused: {step.broken[0] if step.broken else ''}"
    return f"{step.moment:%Y-%m-%d %H:%M} UTC: {step.jobs} jobs, {step.objective_eur:.3f} EUR{gap}, {step.status}, {end}"


def _unwritten(kind: str, at: datetime, payload: Mapping[str, object]) -> None:
    """The journal of a simulated controller: the loop keeps its own steps."""
