"""What stands behind ``ozzo uncertainty``: what planning for errors is worth, in the same simulated worlds and on paper."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid.errors import Finding, InputError, Interrupted
from ozzo.answer_tables import percent, rendered, table
from ozzo.commands_plan import TWO_STAGE

if TYPE_CHECKING:
    from scheduler.answers.information import Information, Range
    from scheduler.plan import Plan
    from scheduler.scenario import PlanningSettings, Scenario
    from sim.paired import Difference, Realised

MOST_SEEDS = 10_000
FIRST_SEED = 1000
"""Worlds begin this far after the scenario's own seed, so that none is a world of its rehearsal."""

MEANING = "Realised: mean over worlds; difference: from the first plan, with 95 % interval; broken: rules, deadlines included."
"""What the columns of the table mean."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for.

    Attributes:
        seeds: number of worlds.
        levels: of careful plans: sun and wind at the quantile 1 - level, fixed load at level.
        informed: compute the expected value of perfect information.
        gap: relative gap that every plan is asked for; None: the scenario's.
        time_s: time limit of every plan; None: the scenario's.
    """

    seeds: int
    levels: tuple[float, ...]
    informed: bool
    gap: float | None = None
    time_s: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One plan of the comparison, what it came to, and how that differs from the first one."""

    name: str
    plan: Plan
    realised: Realised
    difference: Difference | None


def uncertainty(scenario_file: Path, wish: Wish, *, as_json: bool, say: Callable[[str], None]) -> str:
    """Plan with and without care, carry all plans out in the same worlds, and tell.

    Raises:
        InputError: the scenario or a number is wrong.
        Interrupted: somebody asked to stop.
    """
    from scheduler.answers.information import value_of_information
    from scheduler.build import build_problem
    from scheduler.document import load_scenario

    _examine(wish)
    scenario = _asked(load_scenario(scenario_file, progress=say), wish)
    entries = _entries(scenario, wish, say)
    two_stage = entries[-1].plan
    information = None
    if two_stage.expected is not None:
        plain = replace(scenario, planning=_plain(scenario.planning))
        information = value_of_information(build_problem(plain), two_stage, informed=wish.informed, progress=say)
    if as_json:
        return json.dumps(_as_dict(scenario, wish, entries, information), indent=2)
    return rendered(*_told(scenario, wish, entries, information))


def _examine(wish: Wish) -> None:
    """Refuse numbers that make no sense, all at once."""
    findings = []
    if not 2 <= wish.seeds <= MOST_SEEDS:
        findings.append(Finding("--seeds", None, "", str(wish.seeds), f"a number from 2 to {MOST_SEEDS}"))
    for level in wish.levels:
        if not 0.5 < level <= 0.999:
            findings.append(Finding("--level", None, "", f"{level:g}", "a level above 0.5, at most 0.999"))
    if findings:
        raise InputError(findings)


def _asked(scenario: Scenario, wish: Wish) -> Scenario:
    """The scenario with the gap and the time that were asked for."""
    planning = scenario.planning
    gap = planning.relative_gap if wish.gap is None else wish.gap
    time_s = planning.time_limit_s if wish.time_s is None else wish.time_s
    return replace(scenario, planning=replace(planning, relative_gap=gap, time_limit_s=time_s))


def _plain(planning: PlanningSettings) -> PlanningSettings:
    """Settings that take forecast and asked run times as they are."""
    return replace(planning, renewable_quantile=0.5, load_quantile=0.5, duration_quantile=None, chance_level=None)


def variants(scenario: Scenario, levels: Sequence[float]) -> list[tuple[str, str, PlanningSettings]]:
    """Name, policy and settings of each plan: the forecast first, the two-stage plan last.

    The scenario's own quantiles come in between, where they make another problem than the forecast does.
    """
    from scheduler.draws import uncertain
    from scheduler.quantiles import duration_factor

    planning, errors = scenario.planning, scenario.errors
    plain = _plain(planning)
    found = [("forecast", "milp", plain)]
    weather = uncertain(replace(scenario, errors=replace(errors, load_sigma=0.0)))
    weather = weather and planning.renewable_quantile != plain.renewable_quantile
    chance = uncertain(scenario) and planning.chance_level is not None
    load = errors.load_sigma > 0 and planning.load_quantile != plain.load_quantile
    if chance or weather or load or duration_factor(scenario) != duration_factor(replace(scenario, planning=plain)):
        found.append(("as the scenario sets it", "milp", planning))
    for level in levels:
        careful = replace(plain, renewable_quantile=1.0 - level, load_quantile=level)
        found.append((f"careful, level {level:g}", "milp", careful))
    return [*found, ("two-stage", TWO_STAGE, plain)]


def _entries(scenario: Scenario, wish: Wish, say: Callable[[str], None]) -> list[Entry]:
    """Every plan, carried out in every world."""
    from scheduler.build import build_problem
    from scheduler.placement import assign_nodes
    from scheduler.plan import SolveStatus
    from scheduler.policies.registry import POLICIES
    from sim.paired import paired_difference, realise_all

    seeds = range(scenario.seed + FIRST_SEED, scenario.seed + FIRST_SEED + wish.seeds)
    entries: list[Entry] = []
    for name, policy, planning in variants(scenario, wish.levels):
        say(f"planning: {name}")
        changed = replace(scenario, planning=planning)
        plan = assign_nodes(changed, POLICIES[policy]().plan(build_problem(changed)))
        if plan.status is SolveStatus.INTERRUPTED:
            raise Interrupted
        realised = realise_all(changed, plan, seeds, say)
        difference = paired_difference(realised, entries[0].realised) if entries else None
        entries.append(Entry(name, plan, realised, difference))
    return entries


def _as_dict(scenario: Scenario, wish: Wish, entries: list[Entry], information: Information | None) -> dict[str, Any]:
    """Everything as plain JSON values; keys in docs/output.md."""
    from scheduler.plan_json import expected_to_dict

    return {
        "first_seed": scenario.seed + FIRST_SEED,
        "seeds": wish.seeds,
        "plans": [
            {
                "name": entry.name,
                "policy": entry.plan.policy,
                "status": str(entry.plan.status),
                "planned_eur": entry.plan.objective_eur,
                "gap": entry.plan.gap,
                "expected": None if entry.plan.expected is None else expected_to_dict(entry.plan.expected),
                "dropped": len(entry.plan.dropped),
                "realised_eur": float(entry.realised.objective_eur.mean()),
                "difference_eur": None if entry.difference is None else entry.difference.mean_eur,
                "half_width_eur": None if entry.difference is None else entry.difference.half_width_eur,
                "missed_deadlines": int(entry.realised.misses.sum()),
                "unserved_kwh": float(entry.realised.unserved_kwh.sum()),
                "broken_rules": int(entry.realised.violations.sum()),
                "solve_s": entry.plan.build_s + entry.plan.solve_s,
            }
            for entry in entries
        ],
        "information": None if information is None else asdict(information),
    }


def _told(scenario: Scenario, wish: Wish, entries: list[Entry], information: Information | None) -> list[Any]:
    """Table of the plans, and sentences on what they are worth."""
    shown = table(
        f"{scenario.title}: {wish.seeds} worlds, the same for every plan",
        "plan", "planned (EUR)", "gap (%)", "realised (EUR)", "difference (EUR)", "missed (n)", "unserved (kWh)", "broken (n)",
    )  # fmt: skip
    for entry in entries:
        plan, realised, expected = entry.plan, entry.realised, entry.plan.expected
        gap = plan.gap if expected is None else expected.gap
        planned = plan.objective_eur if expected is None else expected.objective_eur
        difference = "" if entry.difference is None else _difference(entry.difference)
        shown.add_row(
            entry.name, f"{planned:.3f}", percent(gap).removesuffix("%"), f"{realised.objective_eur.mean():.3f}", difference,
            f"{realised.misses.sum():.0f}", f"{realised.unserved_kwh.sum():.2f}", f"{realised.violations.sum():.0f}",
        )  # fmt: skip
    lines: list[Any] = [shown, MEANING]
    for entry in entries[1:]:
        if entry.difference is not None:
            word = "dearer" if entry.difference.mean_eur > 0 else "cheaper"
            known = f"{word} than the forecast's plan" if entry.difference.certain else "not told apart from the forecast's plan"
            lines.append(f"{entry.name}: {known} in these worlds.")
    lines.append(
        "Plans within their gaps of each other differ by chance: differences below gap times cost say little about a method."
    )
    return [*lines, *_information_told(information, entries[-1].plan)]


def _difference(difference: Difference) -> str:
    """A mean with its interval."""
    return f"{difference.mean_eur:+.3f} ± {difference.half_width_eur:.3f}"


def _information_told(information: Information | None, plan: Plan) -> list[str]:
    """Sentences on VSS and EVPI, or why there are none."""
    if information is None:
        return ["Nothing is told about the futures: a job of the two-stage plan had to be moved because it found no nodes."]
    futures = len(plan.expected.probabilities) if plan.expected is not None else 0
    beside = f"two-stage plan {_range(information.two_stage)}, the forecast's placement {information.one_future_eur:.3f} EUR"
    lines = [f"On the planner's own {futures} futures: {beside}."]
    lines.append(f"Value of the stochastic solution (VSS): {_range(information.stochastic)}.")
    if information.perfect is not None and information.informed is not None:
        lines.append(f"Each future known beforehand: {_range(information.informed)}.")
        lines.append(f"Expected value of perfect information (EVPI): {_range(information.perfect)}.")
    return lines


def _range(value: Range) -> str:
    """A range in words."""
    if value.least is None or value.most is None:
        known = value.most if value.least is None else value.least
        return f"{'at most' if value.least is None else 'at least'} {known:.3f} EUR, more is not proven"
    return f"{value.least:.3f} to {value.most:.3f} EUR"
