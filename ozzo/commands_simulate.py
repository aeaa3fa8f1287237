"""What stands behind ``ozzo simulate``: the closed loop, the baseline in the same world, and what came of both."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid.errors import Finding, InputError, SeriesError
from ozzo.answer_tables import rendered, table

if TYPE_CHECKING:
    from scheduler.scenario import Scenario
    from sim.loop.settings import LoopResult, LoopSettings

Say = Callable[[str], None]

OPTIONS = {
    "replan_minutes": "--replan-every",
    "mode": "--mode",
    "pilot": "--site",
    "gate_minutes": "--gate",
    "window_h": "--window",
    "foresight": "--foresight",
}
"""Options by the names of ``sim.loop.asked``."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for.

    Attributes:
        scenario: file. asked: values by the names of ``sim.loop.asked``.
        policy, baseline: names. submitted_only, rehearse, power_flow: as in ``LoopSettings``.
        compare: run the baseline too. seed: in place of the scenario's, or None.
    """

    scenario: Path
    asked: Mapping[str, object]
    policy: str = "milp"
    baseline: str = "fifo"
    submitted_only: bool = True
    rehearse: bool = True
    power_flow: bool = True
    compare: bool = True
    seed: int | None = None


def simulate(wish: Wish, *, as_json: bool, say: Say) -> str:
    """Run the loop, and the baseline in the same world; the text to print.

    Raises:
        InputError: the scenario or an option is wrong, all of it at once.
    """
    from scheduler.document import load_scenario
    from sim.loop import run_loop

    scenario = load_scenario(wish.scenario, progress=say)
    settings = _settings(wish, scenario)
    if wish.seed is not None:
        scenario = replace(scenario, seed=wish.seed)
    try:
        loop = run_loop(scenario, settings, say)
    except SeriesError as error:
        expected = "a series of prices and carbon that begins a week before the horizon, or --foresight known"
        raise InputError([Finding(str(wish.scenario), None, "--foresight", str(error), expected)]) from error
    other = None
    if wish.compare:
        say(f"baseline {wish.baseline} in the same world")
        other = run_loop(scenario, _today(settings))
    content = _content(scenario, loop, other)
    return json.dumps(content, indent=1) if as_json else _shown(content)


def _settings(wish: Wish, scenario: Scenario) -> LoopSettings:
    """The settings.

    Raises:
        InputError: every option that cannot be meant.
    """
    from scheduler.document.units import nearest
    from scheduler.policies.registry import BASELINES, POLICIES
    from sim.loop.asked import read_asked
    from sim.loop.settings import LoopSettings, Mode

    fields, faults = read_asked(wish.asked, [site.name for site in scenario.sites])
    findings = [Finding("", None, OPTIONS[fault.name], fault.found, fault.expected, fault.nearest) for fault in faults]
    if fields.get("pilot") and fields.get("mode", Mode.PILOT) is not Mode.PILOT:
        findings.append(Finding("", None, "--site", ", ".join(fields["pilot"]), "sites of a pilot with --mode pilot only"))
    for option, name, known in (("--policy", wish.policy, tuple(POLICIES)), ("--baseline", wish.baseline, BASELINES)):
        if name not in known:
            findings.append(Finding("", None, option, repr(name), f"one of {', '.join(known)}", nearest(name, list(known))))
    if findings:
        raise InputError(findings)
    return LoopSettings(
        policy=wish.policy,
        baseline=wish.baseline,
        submitted_only=wish.submitted_only,
        rehearse=wish.rehearse,
        power_flow=wish.power_flow,
        **fields,
    )


def _today(settings: LoopSettings) -> LoopSettings:
    """The baseline alone, planned as often and knowing as much."""
    from sim.loop.settings import Mode

    return replace(settings, policy=settings.baseline, mode=Mode.LIVE, pilot=())


def _content(scenario: Scenario, loop: LoopResult, other: LoopResult | None) -> dict[str, Any]:
    from sim.loop.figures import less_pct, loop_figures, plan_figures, step_figures

    settings = loop.settings
    mine = loop_figures(loop)
    content: dict[str, Any] = {
        "scenario": scenario.name,
        "seed": scenario.seed,
        "mode": str(settings.mode),
        "pilot": list(settings.pilot),
        "policy": settings.policy,
        "baseline": settings.baseline,
        "replan_minutes": settings.replan.total_seconds() / 60.0,
        "gate_minutes": None if settings.gate is None else settings.gate.total_seconds() / 60.0,
        "window_h": None if settings.window is None else settings.window.total_seconds() / 3600.0,
        "foresight": str(settings.foresight),
        "realised": mine,
        "realised_baseline": None,
        "carbon_less_pct": None,
        "cost_less_pct": None,
        "plans": plan_figures(loop.steps),
        "cpu_s": loop.cpu_s,
        "wall_s": loop.wall_s,
        "steps": [step_figures(step) for step in loop.steps],
    }
    if other is not None:
        today = loop_figures(other)
        content["realised_baseline"] = today
        content["carbon_less_pct"] = less_pct(mine["carbon_kg"], today["carbon_kg"])
        content["cost_less_pct"] = less_pct(mine["cost_eur"], today["cost_eur"])
    return content


ROWS = (
    ("carbon (kg)", "carbon_kg", ".2f"),
    ("energy cost (EUR)", "cost_eur", ".3f"),
    ("objective (EUR)", "objective_eur", ".3f"),
    ("import (kWh)", "import_kwh", ".1f"),
    ("peaks of import, sum over sites (kW)", "peak_kw", ".2f"),
    ("mean delay of a job (h)", "mean_delay_h", ".2f"),
    ("jobs done (n)", "done", "d"),
    ("deadlines missed (n)", "deadline_misses", "d"),
    ("jobs and moves left out (n)", "dropped", "d"),
)


def _shown(content: dict[str, Any]) -> str:
    """Two columns of figures, and sentences on the plans."""
    where = f" at {', '.join(content['pilot'])}" if content["pilot"] else ""
    title = f"{content['scenario']}: {content['policy']} {content['mode']}{where}, a plan every {content['replan_minutes']:g} min"
    today = content["realised_baseline"]
    made = table(title, "as it really came", "this loop (n)", *([f"{content['baseline']} (n)"] if today else []))
    for words, name, form in ROWS:
        columns = [content["realised"], *([today] if today else [])]
        made.add_row(words, *(format(figures[name], form) for figures in columns))
    plans = content["plans"]
    lines = [f"{plans['plans']} plans, {plans['commanded']} commanded, {plans['refused']} refused by their rehearsal."]
    if plans["gap_mean"] is not None:
        lines.append(f"Gap of the plans: {plans['gap_mean']:.2%} on average, {plans['gap_max']:.2%} at most.")
    if plans["scored"]:
        lines.append(
            f"Scored beside the baseline in {plans['scored']} rehearsed worlds: lower objective in "
            f"{plans['scored_below_baseline']}, {plans['score_difference_eur']:+.3f} EUR on average."
        )
    for name, words in (("carbon_less_pct", "Carbon"), ("cost_less_pct", "Energy cost")):
        if content[name] is not None:
            less = "less" if content[name] >= 0 else "more"
            lines.append(f"{words}: {abs(content[name]):.2f} % {less} than {content['baseline']}.")
    lines += [f"Broken: {words}" for words in content["realised"]["broken_rules"]]
    lines += _refusals(content["steps"])
    return rendered(made, *lines)


def _refusals(steps: list[dict[str, Any]]) -> list[str]:
    """The first refused plans, with their first reason."""
    refused = [step for step in steps if not step["passed"]]
    told = [f"Refused at {step['moment']}: {(step['broken_rules'] or ['no reason'])[0]}" for step in refused[:3]]
    return told + ([f"and {len(refused) - 3} more"] if len(refused) > 3 else [])
