"""What stands behind ``ozzo what-if``: a scenario as it is beside the same one with changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid.errors import Finding, InputError
from ozzo.answer_tables import percent, rendered, table
from ozzo.commands_plan import read_json
from ozzo.event_files import file_events

if TYPE_CHECKING:
    from scheduler.answers.whatif import Moved, WhatIf
    from scheduler.plan import Plan
    from scheduler.problem import Problem
    from scheduler.scenario import Scenario

LABELS = {
    "objective_eur": ("weighted objective (EUR)", 2),
    "cost_eur": ("energy cost (EUR)", 2),
    "carbon_kg": ("carbon (kg)", 2),
    "peak_kw": ("peak, sum of sites (kW)", 2),
    "import_kwh": ("imported (kWh)", 1),
    "export_kwh": ("exported (kWh)", 1),
    "not_done": ("not done (jobs, moves)", 0),
}
MOST_MOVES = 12
"""Moved jobs that are listed; JSON lists all."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be different.

    Attributes:
        settings: ``path=value`` texts; events: OpenADR event files; without: names of jobs.
    """

    settings: tuple[str, ...] = ()
    events: tuple[Path, ...] = ()
    without: tuple[str, ...] = ()


def what_if(scenario_file: Path, wish: Wish, *, as_json: bool, say: Callable[[str], None]) -> tuple[str, bool]:
    """Plan both; returns the text to print and whether the changed plan does all that the base plan does.

    Raises:
        InputError: the scenario, a path, a value, an event or a job's name is wrong, or nothing is to change.
    """
    from scheduler.answers.whatif import what_if as compare
    from scheduler.answers.whatif import with_events, without_jobs
    from scheduler.build import build_problem
    from scheduler.document import load_scenario

    if not (wish.settings or wish.events or wish.without):
        raise InputError([Finding("what-if", None, "", "no change", "--set PATH=VALUE, --event FILE or --without-job JOB")])
    values = [read_json(path) for path in wish.events]
    base = load_scenario(scenario_file, progress=say)
    changed = _changed(scenario_file, wish.settings, say) if wish.settings else base
    known = [event for group in file_events(base, zip(wish.events, values, strict=True), say) for event in group]
    changed = without_jobs(with_events(changed, known), wish.without)
    before, after = build_problem(base), build_problem(changed)
    found = compare(before, after, say)
    complete = found.changed_figures["not_done"] <= found.base_figures["not_done"]
    if as_json:
        return json.dumps(what_if_dict(wish, before, after, found), indent=2), complete
    return rendered(*_told(wish, before, after, found)), complete


def _changed(scenario_file: Path, settings: Sequence[str], say: Callable[[str], None]) -> Scenario:
    """The scenario with ``path=value`` changes.

    Raises:
        InputError: a change is malformed, its path leads nowhere, or its value is refused.
    """
    from scheduler.answers.changes import changer, parse_change
    from scheduler.document import load_scenario

    parsed = [parse_change(text) for text in settings]
    findings = [item for item in parsed if isinstance(item, Finding)]
    if findings:
        raise InputError(findings)
    changes = [item for item in parsed if not isinstance(item, Finding)]
    return load_scenario(scenario_file, progress=say, change=changer(changes))


def what_if_dict(wish: Wish, before: Problem, after: Problem, found: WhatIf) -> dict[str, Any]:
    """Both plans as plain JSON values; keys in docs/output.md."""

    def place(problem: Problem, where: tuple[str, int] | None) -> dict[str, Any] | None:
        return where and {"site": where[0], "start": problem.horizon.time(where[1]).isoformat()}

    return {
        "changes": {
            "set": list(wish.settings),
            "events": [str(path) for path in wish.events],
            "without_jobs": list(wish.without),
        },
        "base": _plan_dict(found.base, found.base_figures),
        "changed": _plan_dict(found.changed, found.changed_figures),
        "difference": {name: found.changed_figures[name] - value for name, value in found.base_figures.items()},
        "best_plans_differ_eur": {"least": found.least_eur, "most": found.most_eur, "proven": found.proven},
        "moved": [
            {"job": moved.job, "before": place(before, moved.before), "after": place(after, moved.after)} for moved in found.moved
        ],
    }


def _plan_dict(plan: Plan, figures: dict[str, float]) -> dict[str, Any]:
    return {
        **figures,
        "status": str(plan.status),
        "bound_eur": plan.bound_eur,
        "gap": plan.gap,
        "dropped": {item.name: item.reason.text for item in plan.dropped},
    }


def _told(wish: Wish, before: Problem, after: Problem, found: WhatIf) -> list[Any]:
    """The table, and what it proves."""
    told = [*wish.settings, *(f"event {path.name}" for path in wish.events), *(f"without {job}" for job in wish.without)]
    shown = table(f"What if: {'; '.join(told)}", "", "as it is ( )", "changed ( )", "difference ( )")
    for column in shown.columns[1:]:
        column.header = str(column.header).removesuffix(" ( )")
    for name, (label, decimals) in LABELS.items():
        old, new = found.base_figures[name], found.changed_figures[name]
        shown.add_row(label, f"{old:.{decimals}f}", f"{new:.{decimals}f}", f"{round(new - old, decimals) + 0.0:+.{decimals}f}")
    shown.add_row("proven within", percent(found.base.gap), percent(found.changed.gap), "")
    return [shown, _verdict(found), *_dropped(found), *_moves(before, after, found.moved)]


def _verdict(found: WhatIf) -> str:
    """What the gaps leave of the difference."""
    difference = found.changed.objective_eur - found.base.objective_eur
    if found.least_eur is None or found.most_eur is None:
        return "No bound was found in time, so nothing is proven about the difference."
    between = f"between {found.least_eur:+.2f} and {found.most_eur:+.2f} EUR"
    if found.proven:
        word = "dearer" if difference > 0 else "cheaper"
        return f"The change makes the day {word}: the best plans differ by something {between}, whatever the gaps hide."
    return (
        f"The difference of {difference:+.2f} EUR is smaller than what the gaps leave open: the best plans differ by something "
        f"{between}. A smaller planning.relative_gap would tell more."
    )


def _dropped(found: WhatIf) -> list[str]:
    known = {item.name for item in found.base.dropped}
    return [f"No longer done: {item.reason.text}" for item in found.changed.dropped if item.name not in known]


def _moves(before: Problem, after: Problem, moved: Sequence[Moved]) -> list[Any]:
    """Jobs that moved, the first ones by name."""
    from scheduler.reasons import clock

    def words(problem: Problem, where: tuple[str, int] | None) -> str:
        return f"{where[0]} {clock(problem, where[1])}" if where else "not run"

    if not moved:
        return ["No job moves."]
    shown = table(f"{len(moved)} jobs move (their first start)", "job", "as it is", "changed")
    for item in moved[:MOST_MOVES]:
        shown.add_row(item.job, words(before, item.before), words(after, item.after))
    rest = len(moved) - MOST_MOVES
    return [shown, *([f"... and {rest} more (all with --json)."] if rest > 0 else [])]
