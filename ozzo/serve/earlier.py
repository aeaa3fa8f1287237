"""The plan of an earlier life, as far as it is still one for the document that is served now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from grid.errors import InputError
from ozzo.book import few
from scheduler.plan import Plan
from scheduler.plan_json import plan_from_dict
from scheduler.scenario import Scenario


def of_document(plan: Plan, scenario: Scenario) -> Plan:
    """The plan without runs of jobs that a document does not name (it was written anew since)."""
    known = {job.name for job in scenario.jobs}
    return replace(plan, runs=tuple(run for run in plan.runs if run.job in known))


def plan_of(kept: Mapping[str, Any], scenario: Scenario, file: str, note: Callable[[str], None]) -> Plan | None:
    """The plan that was in force when an earlier life ended.

    Args:
        kept: the fact ``plan`` of the state.
        scenario: served now.
        file: of the state, for errors.
        note: takes what a person should know.

    Returns:
        Its runs of jobs that the document still names; None when it is for another horizon or other sites, or cannot be read.
    """
    horizon, sites = scenario.horizon, tuple(site.name for site in scenario.sites)
    if kept["scenario_start"] != horizon.start.isoformat():
        return None
    try:
        plan = plan_from_dict(kept["plan"], f"{file} (plan)")
    except InputError as error:  # such as one of another version of ozzo
        note(f"The plan of the earlier life cannot be read, so nothing new is commanded before the next one: {error}")
        return None
    if (plan.horizon.end, plan.horizon.step, plan.sites) != (horizon.end, horizon.step, sites):
        return None
    known = of_document(plan, scenario)
    gone = {run.job for run in plan.runs} - {run.job for run in known.runs}
    if gone:
        note(f"The document does not name these jobs of the plan in force any more: {few(gone)}.")
    return known
