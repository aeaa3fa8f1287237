"""What stands behind ``ozzo plan`` and ``ozzo rehearse``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from grid.errors import Finding, InputError
from scheduler.outcome import Verdict
from scheduler.plan import Plan, SolveStatus


def plan_figures(plan: Plan) -> dict[str, Any]:
    """Figures of a plan, as plain JSON values; the keys are documented in docs/output.md."""
    from scheduler.network_json import network_to_dict
    from scheduler.plan_json import expected_to_dict

    return {
        "plan": plan.id,
        "policy": plan.policy,
        "status": str(plan.status),
        "objective_eur": plan.objective_eur,
        "bound_eur": plan.bound_eur,
        "gap": plan.gap,
        "expected": None if plan.expected is None else expected_to_dict(plan.expected),
        "network": None if plan.network is None else network_to_dict(plan.network),
        "runs": len(plan.runs),
        "transfers": len(plan.transfers),
        "dropped": {item.name: item.reason.text for item in plan.dropped},
        "breakdown_eur": plan.breakdown_eur,
        "build_s": plan.build_s,
        "solve_s": plan.solve_s,
        "solver": plan.solver,
    }


def verdict_dict(verdict: Verdict) -> dict[str, Any]:
    """A verdict as plain JSON values (``verdict.json``; keys in docs/output.md)."""
    return {
        "plan": verdict.plan_id,
        "passed": verdict.passed,
        "seeds": list(verdict.seeds),
        "worst": verdict.worst,
        "violations": [
            {
                "kind": str(violation.kind),
                "subject": violation.subject,
                "value": violation.value,
                "limit": violation.limit,
                "unit": violation.unit,
                "when": violation.when.isoformat() if violation.when else None,
                "seed": violation.seed,
                "advice": violation.advice,
            }
            for violation in verdict.violations
        ],
    }


TWO_STAGE = "milp-two-stage"


def make_plan(
    scenario_file: Path, policy: str, *, out: Path | None, as_json: bool, say: Callable[[str], None]
) -> tuple[str, bool]:
    """Plan a scenario; returns the text to print and whether every requirement is met.

    Raises:
        InputError: the scenario or the policy's name is wrong.
    """
    from scheduler.build import build_problem
    from scheduler.document import load_scenario
    from scheduler.on_grid import on_grid
    from scheduler.placement import assign_nodes
    from scheduler.plan_json import plan_to_dict
    from scheduler.policies.registry import BASELINES, POLICIES

    if policy not in POLICIES:
        raise InputError([Finding("--policy", None, "", policy, "one of " + ", ".join(POLICIES))])
    scenario = load_scenario(scenario_file, progress=say)
    if policy == TWO_STAGE and scenario.planning.chance_level is not None:
        scenario = replace(scenario, planning=replace(scenario.planning, chance_level=None))
        say("two stages: the futures stand in place of planning.chance_level; limits keep planning.limit_margin")
    maker = POLICIES[policy]()
    if policy not in BASELINES and scenario.network is not None:
        from sim.network_check import load

        maker = on_grid(maker, scenario, load(scenario.network))
    plan = maker.plan(build_problem(scenario), say)
    say(f"nodes for {len(plan.runs)} runs")
    plan = assign_nodes(scenario, plan)
    if out is not None:
        out.write_text(json.dumps(plan_to_dict(plan), indent=1) + "\n", encoding="utf-8")
        say(f"wrote {out}")
    complete = plan.status not in {SolveStatus.INFEASIBLE, SolveStatus.INTERRUPTED, SolveStatus.UNKNOWN}
    complete = complete and not (plan.network and plan.network.left)
    figures = plan_figures(plan)
    if as_json:
        return json.dumps(figures, indent=2), complete
    lines = [
        f"{scenario.title}",
        f"  plan {plan.id} by {plan.policy}: {plan.status}, {plan.solver}",
        f"  objective {plan.objective_eur:.2f} EUR"
        + (f", proven not below {plan.bound_eur:.2f} EUR (gap {plan.gap:.2%})" if plan.gap is not None else ""),
        (
            f"  {len({run.job for run in plan.runs})} of {len(scenario.jobs)} jobs in {len(plan.runs)} runs, "
            f"{len(plan.transfers)} transfers, built in {plan.build_s:.1f} s, solved in {plan.solve_s:.1f} s"
        ),
    ]
    lines += [*_over_futures(plan), *_on_network(plan)]
    lines += [f"  not done: {item.name}: {item.reason.text}" for item in plan.dropped]
    return "\n".join(lines), complete


def _over_futures(plan: Plan) -> list[str]:
    """A sentence on what a plan for several futures costs over them."""
    if plan.expected is None:
        return []
    expected = plan.expected
    proven = "" if expected.bound_eur is None else f", proven not below {expected.bound_eur:.2f} EUR (gap {expected.gap:.2%})"
    mean = f"  over {len(expected.costs_eur)} futures {expected.objective_eur:.2f} EUR in expectation{proven}"
    return [f"{mean}; the placement for one future comes to {expected.one_future_eur:.2f} EUR there"]


def _on_network(plan: Plan) -> list[str]:
    """Sentences on what the AC power flow says of a plan."""
    report = plan.network
    if report is None:
        return []
    lines = [f"  network: {report.cuts} linear limits, made again {report.rounds} times"]
    if report.voltage_error_max_pu is not None:
        lines[0] += (
            f"; linear against AC at most {report.voltage_error_max_pu:.2g} pu (99 %: {report.voltage_error_p99_pu:.2g}) "
            f"and {report.loading_error_max_pct:.2g} percentage points (99 %: {report.loading_error_p99_pct:.2g})"
        )
    for room in report.headroom:
        unit = "kW" if room.kind == "feeder" else "kVA"
        share = f", fullest {room.peak / room.rating:.0%}" if room.rating else ""
        lines.append(f"  {room.kind} {room.element}: {room.released:.1f} of {room.rating:.1f} {unit} released{share}")
    return lines + [f"  the network does not carry it: {sentence}" for sentence in report.left]


def rehearse_plan(scenario_file: Path, plan_file: Path, *, as_json: bool, say: Callable[[str], None]) -> tuple[str, bool]:
    """Rehearse a saved plan; returns the text to print and whether it passed.

    Raises:
        InputError: the scenario or the plan file is wrong.
    """
    from scheduler.document import load_scenario
    from scheduler.plan_json import plan_from_dict
    from sim.rehearsal import rehearse

    scenario = load_scenario(scenario_file, progress=say)
    plan = plan_from_dict(read_json(plan_file), str(plan_file))
    verdict = rehearse(scenario, plan, progress=say).verdict
    if as_json:
        return json.dumps(verdict_dict(verdict), indent=2), verdict.passed
    lines = [
        f"plan {plan.id}: {'passed' if verdict.passed else 'refused'}; seeds {', '.join(map(str, verdict.seeds)) or 'none run'}"
    ]
    lines += [f"  {violation}" for violation in verdict.violations]
    lines += [f"  {name} = {value:.4g}" for name, value in verdict.worst.items()]
    return "\n".join(lines), verdict.passed


def read_json(path: Path) -> Any:
    """The JSON value in ``path``.

    Raises:
        InputError: a file that cannot be read, or broken JSON, with its line.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError([Finding(str(path), None, "", "no such file", "a JSON file")]) from error
    except OSError as error:
        found = "a directory" if isinstance(error, IsADirectoryError) else str(error.strerror)
        raise InputError([Finding(str(path), None, "", found, "a JSON file that can be read")]) from error
    except UnicodeDecodeError as error:
        raise InputError([Finding(str(path), None, "", f"byte {error.start} is not UTF-8", "JSON text")]) from error
    except json.JSONDecodeError as error:
        raise InputError([Finding(str(path), error.lineno, "", error.msg, "valid JSON")]) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, lists within lists within lists
        raise InputError([Finding(str(path), None, "", str(error), "JSON of a sensible size")]) from error
