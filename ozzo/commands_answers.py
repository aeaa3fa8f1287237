"""What stands behind ``ozzo why``: a plan, made or read, and what it says about one job."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid.errors import Finding, InputError
from ozzo.answer_tables import rendered, table
from ozzo.commands_plan import read_json

if TYPE_CHECKING:
    from scheduler.answers.places import Priced
    from scheduler.answers.why import Why
    from scheduler.plan import Plan
    from scheduler.problem import Problem
    from scheduler.scenario import Scenario

Say = Callable[[str], None]


def planned(scenario: Scenario, problem: Problem, plan_file: Path | None, say: Say) -> Plan:
    """The plan in a file, or a new one with its nodes.

    Raises:
        InputError: the file is no plan of this scenario.
    """
    from scheduler.placement import assign_nodes
    from scheduler.plan_json import plan_from_dict
    from scheduler.policies.registry import POLICIES

    if plan_file is None:
        return assign_nodes(scenario, POLICIES["milp"]().plan(problem, say))
    plan = plan_from_dict(read_json(plan_file), str(plan_file))
    known = {task.name for task in problem.jobs}
    strangers = sorted({run.job for run in plan.runs} - known)
    findings = []
    if plan.horizon != problem.horizon:
        found = f"{plan.horizon.slots} slots from {plan.horizon.start.isoformat()}"
        expected = f"the scenario's horizon: {problem.horizon.slots} slots from {problem.horizon.start.isoformat()}"
        findings.append(Finding(str(plan_file), None, "horizon", found, expected))
    if plan.sites != problem.sites:
        findings.append(
            Finding(str(plan_file), None, "sites", ", ".join(plan.sites), f"the scenario's sites: {', '.join(problem.sites)}")
        )
    if strangers:
        findings.append(Finding(str(plan_file), None, "runs", f"the job {strangers[0]}", "jobs of the scenario"))
    findings += [
        Finding(str(plan_file), None, f"runs[{i}]", f"slots {run.start} to {run.end}", f"slots in 0 to {plan.horizon.slots}")
        for i, run in enumerate(plan.runs)
        if not 0 <= run.start < run.end <= plan.horizon.slots
    ]
    if findings:
        raise InputError(findings)
    return plan


def why_job(job: str, scenario_file: Path, *, plan_file: Path | None, as_json: bool, say: Say) -> tuple[str, bool]:
    """Why a job is where it is; returns the text to print and whether the job runs.

    Raises:
        InputError: the scenario, the plan file or the job's name is wrong.
    """
    from scheduler.answers.why import job_index, why
    from scheduler.build import build_problem
    from scheduler.document import load_scenario

    scenario = load_scenario(scenario_file, progress=say)
    problem = build_problem(scenario)
    job_index(problem, job)
    plan = planned(scenario, problem, plan_file, say)
    answer = why(problem, plan, job)
    if as_json:
        return json.dumps(_why_dict(problem, plan, answer), indent=2), answer.place is not None
    return _why_text(problem, plan, answer), answer.place is not None


def _place_dict(problem: Problem, place: Priced) -> dict[str, Any]:
    return {
        "site": place.site,
        "runs": [
            {"start": problem.horizon.time(start).isoformat(), "end": problem.horizon.time(end).isoformat()}
            for start, end in _pieces(place)
        ],
        "cost_eur": place.cost_eur,
        "parts_eur": place.parts_eur,
        "carbon_kg": place.carbon_kg,
        "unserved_kwh": place.unserved_kwh,
    }


def _pieces(place: Priced) -> list[tuple[int, int]]:
    from scheduler.policies.schedule import pieces

    return pieces(place.slots)


def _why_dict(problem: Problem, plan: Plan, answer: Why) -> dict[str, Any]:
    """The answer as plain JSON values; keys in docs/output.md."""
    return {
        "plan": plan.id,
        "gap": plan.gap,
        "job": answer.job,
        "kind": answer.kind,
        "release": problem.horizon.time(answer.window[0]).isoformat(),
        "deadline": problem.horizon.time(answer.window[1]).isoformat(),
        "planned": _place_dict(problem, answer.place) if answer.place else None,
        "reason": answer.reason,
        "alternatives": [
            {
                "label": other.label,
                "site": other.site,
                "extra_eur": other.extra_eur,
                "why": other.text,
                "place": _place_dict(problem, other.place) if other.place else None,
            }
            for other in answer.alternatives
        ],
        "obstacles": list(answer.obstacles),
        "relaxations": [
            {
                "kind": change.kind,
                "amount": change.amount,
                "unit": change.unit,
                "text": change.text,
                "place": _place_dict(problem, change.place),
            }
            for change in answer.relaxations
        ],
        "notes": list(answer.notes),
    }


def _why_text(problem: Problem, plan: Plan, answer: Why) -> str:
    from scheduler.answers.why import groups, times
    from scheduler.obstacles import span
    from scheduler.reasons import clock

    window = f"{clock(problem, answer.window[0])} and {clock(problem, answer.window[1])}"
    length = span(problem, answer.work_slots)
    lines: list[Any] = []
    if answer.place is None:
        lines = [f"{answer.job} ({answer.kind}, {length} between {window}) is not run.", answer.reason]
        if answer.relaxations:
            shown = table("What would let it run, each tried, the cheapest first", "change", "it then runs", "costs (EUR)")
            for change in answer.relaxations:
                where = f"{change.place.site} {times(problem, change.place.slots)}"
                shown.add_row(change.text, where, f"{change.place.cost_eur:.4f}")
            lines.append(shown)
        else:
            lines.append("No later deadline, earlier release or data, or larger site was found that would let it run alone.")
        return rendered(*lines, *answer.obstacles, *answer.notes)
    place = answer.place
    lines = [
        f"{answer.job} ({answer.kind}, {length} between {window}) runs at {place.site} {times(problem, place.slots)}.",
        answer.reason,
        f"It costs {place.cost_eur:.4f} EUR there: "
        + (", ".join(f"{name} {value:.4f}" for name, value in groups(place.parts_eur).items()) or "nothing")
        + f" (EUR); {place.carbon_kg:.3f} kg CO2.",
    ]
    if answer.alternatives:
        shown = table("Next best, one move at a time", "place", "when", "more (EUR)", "CO2 (kg)", "difference in EUR by part")
        for other in answer.alternatives:
            if other.place is None or other.extra_eur is None:
                shown.add_row(f"{other.site}: {other.label}", "none", "", "", other.text)
                continue
            carbon = other.place.carbon_kg - place.carbon_kg
            when = times(problem, other.place.slots)
            shown.add_row(f"{other.site}: {other.label}", when, f"{other.extra_eur:+.4f}", f"{carbon:+.3f}", other.text)
        lines.append(shown)
    gap = "" if plan.gap is None else f" The whole plan is proven to within {plan.gap:.2%} of the best one."
    return rendered(*lines, *answer.obstacles, f"{' '.join(answer.notes)}{gap}".strip())
