"""What a change would do: the plan of the scenario as it is beside the plan of the changed one, and what is proven about it.

Both plans are within their gaps only. The best plans differ by something between ``changed bound - base objective`` and
``changed objective - base bound``; when 0 lies between, the difference of the two plans proves nothing and is told so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from grid.errors import Finding, InputError
from grid.response.event import CapacityEvent
from scheduler.answers.warm import carried_over, plan_from
from scheduler.asset_runs import bill_of
from scheduler.document.units import nearest
from scheduler.optimiser.interrupt import Interruption
from scheduler.plan import Plan
from scheduler.policies import Progress, silent
from scheduler.problem import Problem
from scheduler.scenario import Scenario

FIGURES = ("objective_eur", "cost_eur", "carbon_kg", "peak_kw", "import_kwh", "export_kwh", "not_done")
"""Figures of each plan, in the order in which they are told."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A job that is elsewhere, at another time, or not in both plans.

    Attributes:
        job: its name; before, after: site and start slot, or None when it does not run (or is not there).
    """

    job: str
    before: tuple[str, int] | None
    after: tuple[str, int] | None


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The plan as it is beside the changed one.

    Attributes:
        base, changed: the plans; base_figures, changed_figures: their ``FIGURES``.
        moved: jobs that differ.
        least_eur, most_eur: between these lies the difference of the best plans; None when a bound is missing.
    """

    base: Plan
    changed: Plan
    base_figures: dict[str, float]
    changed_figures: dict[str, float]
    moved: tuple[Moved, ...]
    least_eur: float | None
    most_eur: float | None

    @property
    def proven(self) -> bool:
        """True when the best plans differ in the same direction whatever the gaps hide."""
        return self.least_eur is not None and self.most_eur is not None and (self.least_eur > 0 or self.most_eur < 0)


def without_jobs(scenario: Scenario, names: Sequence[str]) -> Scenario:
    """The scenario without some jobs.

    Raises:
        InputError: a job is not there; names the nearest ones.
    """
    known = [job.name for job in scenario.jobs]
    expected = f"the name of a job of this scenario: {', '.join(known[:10])}{', ...' if len(known) > 10 else ''}"
    findings = [
        Finding("--without-job", None, "", repr(name), expected, nearest(name, known)) for name in names if name not in known
    ]
    if findings:
        raise InputError(findings)
    return replace(scenario, jobs=tuple(job for job in scenario.jobs if job.name not in names))


def with_events(scenario: Scenario, events: Sequence[CapacityEvent]) -> Scenario:
    """The scenario with more events, known from the start."""
    known = tuple(replace(event, received=scenario.horizon.start) for event in events)
    return replace(scenario, events=scenario.events + known)


def what_if(base: Problem, changed: Problem, progress: Progress = silent) -> WhatIf:
    """Both plans, the changed one searched from what the base one left (``scheduler.answers.warm``).

    Raises:
        SolverError: the solver failed in a way that leaves no plan.
        Interrupted: a person asked to stop.
    """
    with Interruption() as stop:
        progress("as it is")
        first = plan_from(base, {}, progress, stop)
        progress("changed")
        start = carried_over(base, first.schedule, changed)
        second = plan_from(changed, {} if start is None else {"plan as it is": start}, progress, stop, first)
    before, after = first.plan, second.plan
    least = None if after.bound_eur is None else after.bound_eur - before.objective_eur
    most = None if before.bound_eur is None else after.objective_eur - before.bound_eur
    return WhatIf(before, after, figures(base, before), figures(changed, after), moves(before, after), least, most)


def figures(problem: Problem, plan: Plan) -> dict[str, float]:
    """``FIGURES`` of a plan: cost is the objective without carbon and dropped work, peak the sum over sites."""
    step_h, energy = problem.horizon.step_h, plan.energy
    parts, fuel_kg = plan.breakdown_eur, bill_of(plan.assets).carbon_g / 1000.0
    return {
        "objective_eur": plan.objective_eur,
        "cost_eur": plan.objective_eur - parts["carbon"] - parts["dropped"],
        "carbon_kg": step_h * float((energy.import_kw * problem.carbon_g_per_kwh).sum()) / 1000.0 + fuel_kg,
        "peak_kw": float(energy.import_kw.max(axis=1).sum()),
        "import_kwh": step_h * float(energy.import_kw.sum()),
        "export_kwh": step_h * float(energy.export_kw.sum()),
        "not_done": float(len(plan.dropped)),
    }


def moves(before: Plan, after: Plan) -> tuple[Moved, ...]:
    """Jobs whose site or slots differ, in the order of their new start."""

    def where(plan: Plan) -> dict[str, list[tuple[str, int, int]]]:
        found: dict[str, list[tuple[str, int, int]]] = {}
        for run in plan.runs:
            found.setdefault(run.job, []).append((run.site, run.start, run.end))
        return found

    old, new = where(before), where(after)
    told = [
        Moved(job, old[job][0][:2] if job in old else None, new[job][0][:2] if job in new else None)
        for job in {**old, **new}
        if old.get(job) != new.get(job)
    ]
    return tuple(sorted(told, key=lambda moved: (moved.after is None, moved.after[1] if moved.after else 0, moved.job)))
