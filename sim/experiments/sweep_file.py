"""Read a sweep file and check it: every error at once, those of its scenarios and of values that they refuse included.

Each combination of values is checked in each scenario when there are at most ``MOST_CHECKED``; of more, enough that every value
has its turn. What only shows in a combination beyond that fails its run, and the sweep says so at its end.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from grid.errors import Finding, InputError
from scheduler.answers.changes import Change, changer, resolve
from scheduler.document import check_file, load_scenario
from scheduler.document.tree import Place, Tree, dotted, read_tree, shown
from scheduler.document.units import nearest
from scheduler.policies.registry import POLICIES
from sim.experiments.design import Parameter, ScenarioFile, Sweep, scenario_digest, shown_value
from sim.experiments.sweep_fields import MAPPING, SweepPart, Value, read_fields
from sim.loop.asked import READERS, read_asked

MOST_CHECKED = 24
"""Combinations that are checked in each scenario before anything runs."""
MOST_RUNS = 100_000
MOST_FINDINGS = 200

Progress = Callable[[str], None]


def silent(_: str) -> None:
    """Progress that nobody wants to see."""


def load_sweep(
    path: str | Path, *, version: str = "", environment: Mapping[str, str] = os.environ, progress: Progress = silent
) -> Sweep:
    """The sweep of the file ``path``.

    Args:
        path: the YAML file; scenarios in it count from its folder.
        version: of ozzo; part of every run's key.
        environment: variables that paths in scenarios may name.
        progress: told what is being checked.

    Raises:
        InputError: something in the file, in its scenarios or in a combination of values is wrong; carries every finding.
    """
    tree = read_tree(path, "a sweep")
    if tree.data is None or not isinstance(tree.data, dict):
        found = Finding(tree.file, tree.line(()), "", shown(tree.data), f"{MAPPING} (ozzo_sweep: 1, name: ..., ...)")
        raise InputError(tree.findings or [found])
    fields = read_fields(tree, SweepPart, ())
    scenarios, own = _scenarios(tree, fields.get("scenarios", ()), environment, progress)
    policies = _policies(tree, fields)
    parameters = _parameters(tree, fields.get("parameters") or [])
    sweep = Sweep(
        file=str(path),
        name=fields.get("name", ""),
        title=fields.get("title", ""),
        scenarios=tuple(scenarios),
        policies=policies,
        parameters=tuple(parameter for _, parameter in parameters),
        seeds=fields.get("seeds", ()),
        redraw=fields.get("redraw", "everything"),
        reference=fields.get("reference") or (policies[0] if policies else ""),
        power_flow=fields.get("power_flow", True),
        version=version,
    )
    if sweep.size > MOST_RUNS:
        tree.findings.append(Finding(tree.file, None, "", f"{sweep.size} runs", f"at most {MOST_RUNS} in a sweep"))
    else:
        own += _refused_values(tree, sweep, [index for index, _ in parameters], environment, progress)
    findings = sorted([*tree.findings, *own], key=lambda one: (one.file != tree.file, one.file, one.line or 0, one.field))
    if findings:
        raise InputError(list(dict.fromkeys(findings))[:MOST_FINDINGS])
    return sweep


def _scenarios(
    tree: Tree, written: Sequence[str], environment: Mapping[str, str], progress: Progress
) -> tuple[list[ScenarioFile], list[Finding]]:
    """Scenario files without faults, and what is wrong with the others."""
    found: list[ScenarioFile] = []
    wrong: list[Finding] = []
    labels: dict[str, str] = {}
    for k, name in enumerate(written):
        place: Place = ("scenarios", k)
        file = Path(tree.file).parent / name
        progress(f"checking {file}")
        if not file.is_file():
            beside = [path.name for path in sorted(file.parent.glob("*.yaml"))] if file.parent.is_dir() else []
            near = nearest(file.name, beside)
            hint = str(Path(name).parent / near) if near else None
            tree.findings.append(
                Finding(tree.file, tree.line(place), dotted(place), f"{name!r}, which is no file", "a scenario file", hint)
            )
            continue
        label = file.stem
        if label in labels:
            expected = f"scenarios of different file names; {labels[label]!r} has it too"
            tree.findings.append(Finding(tree.file, tree.line(place), dotted(place), repr(name), expected))
            continue
        labels[label] = name
        faults = check_file(file, environment=environment)
        wrong += faults
        if not faults:
            found.append(ScenarioFile(label, file.resolve(), name, scenario_digest(file, environment)))
    return found, wrong


def _policies(tree: Tree, fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Policies that exist, each once; the reference must be one of them."""
    given: tuple[str, ...] = fields.get("policies", ())
    for k, name in enumerate(given):
        place: Place = ("policies", k)
        if name not in POLICIES:
            expected, near = f"one of {', '.join(POLICIES)}", nearest(name, list(POLICIES))
            tree.findings.append(Finding(tree.file, tree.line(place), dotted(place), repr(name), expected, near))
        elif name in given[:k]:
            tree.findings.append(Finding(tree.file, tree.line(place), dotted(place), f"{name!r} again", "each policy once"))
    reference = fields.get("reference")
    if reference is not None and given and reference not in given:
        expected, near = f"one of the policies of this sweep: {', '.join(given)}", nearest(reference, list(given))
        tree.findings.append(Finding(tree.file, tree.line(("reference",)), "reference", repr(reference), expected, near))
    return tuple(dict.fromkeys(name for name in given if name in POLICIES))


def _parameters(tree: Tree, given: list[tuple[int, dict[str, Any]]]) -> list[tuple[int, Parameter]]:
    """Parameters by their position; paths, labels and values are each there once."""
    found: list[tuple[int, Parameter]] = []
    for k, fields in given:
        if not {"path", "values"} <= fields.keys():
            continue
        place: Place = ("parameters", k)
        path, values = fields["path"], fields["values"]
        label = fields.get("label") or path.rsplit(".", 1)[-1]
        if path == "seed":
            tree.findings.append(
                Finding(tree.file, tree.line((*place, "path")), dotted((*place, "path")), "'seed'", "seeds under the field seeds")
            )
        elif any(path == other.path for _, other in found):
            where = (*place, "path")
            tree.findings.append(Finding(tree.file, tree.line(where), dotted(where), f"{path!r} again", "each field once"))
        elif any(label == other.label for _, other in found):
            expected = f"a label of its own; another parameter is called {label!r}"
            tree.findings.append(Finding(tree.file, tree.line(place), dotted((*place, "label")), repr(label), expected))
        else:
            found.append((k, Parameter(path, label, values)))
        for v, value in enumerate(values):
            if any(type(value) is type(other) and value == other for other in values[:v]):
                where = (*place, "values", v)
                tree.findings.append(
                    Finding(tree.file, tree.line(where), dotted(where), f"{shown_value(value)} again", "each value once")
                )
    return found


def _refused_values(
    tree: Tree, sweep: Sweep, positions: Sequence[int], environment: Mapping[str, str], progress: Progress
) -> list[Finding]:
    """Findings of combinations that a scenario refuses; those on a value itself name its line in the sweep file."""
    if not sweep.parameters:
        return []
    found: list[Finding] = []
    chosen = _to_check(sweep)
    for scenario in sweep.scenarios:
        progress(f"checking {len(chosen)} of {len(sweep.combinations())} combinations in {scenario.written}")
        for values in chosen:
            found += _refused(tree, sweep, positions, scenario, values, environment)
    return found


def _to_check(sweep: Sweep) -> list[tuple[Value, ...]]:
    """All combinations when they are few, else as many as the longest list of values, so that each value has its turn."""
    every = 1
    for parameter in sweep.parameters:
        every *= len(parameter.values)
    if every <= MOST_CHECKED:
        return sweep.combinations()
    longest = max(len(parameter.values) for parameter in sweep.parameters)
    return [tuple(parameter.values[k % len(parameter.values)] for parameter in sweep.parameters) for k in range(longest)]


def _refused(
    tree: Tree,
    sweep: Sweep,
    positions: Sequence[int],
    scenario: ScenarioFile,
    values: tuple[Value, ...],
    environment: Mapping[str, str],
) -> list[Finding]:
    """What one scenario finds wrong with one combination of values."""
    changes = changes_of(sweep.parameters, values)
    places: dict[str, int] = {}
    found: list[Finding] = []

    def change(inside: Tree) -> None:
        """Put the values in whose paths lead somewhere, and remember where they went; wrong paths do not hide wrong values."""
        for k, wanted in enumerate(changes):
            if wanted.path in READERS:  # it says how the closed loop is run, not what the scenario holds
                continue
            place = resolve(inside, wanted)
            if place is not None:
                places[dotted(place)] = k
        found.extend(inside.findings)
        inside.findings.clear()
        changer([changes[k] for k in places.values()])(inside)

    sites: list[str] | None = None
    try:
        sites = [site.name for site in load_scenario(scenario.path, environment=environment, change=change).sites]
    except InputError as error:
        found.extend(error.findings)
    told = [_in_sweep(tree, sweep, positions, scenario, values, places, finding) for finding in found]
    return told + _refused_loop(tree, sweep, positions, scenario, values, sites)


def _refused_loop(
    tree: Tree,
    sweep: Sweep,
    positions: Sequence[int],
    scenario: ScenarioFile,
    values: tuple[Value, ...],
    sites: Sequence[str] | None,
) -> list[Finding]:
    """What is wrong with values that say how the closed loop is run (``sim.loop.asked``)."""
    paths = [parameter.path for parameter in sweep.parameters]
    asked: dict[str, object] = {path: value for path, value in zip(paths, values, strict=True) if path in READERS}
    found = []
    for fault in read_asked(asked, sites)[1] if asked else []:
        where: Place = ("parameters",)
        if fault.name in paths:
            k = paths.index(fault.name)
            value = next(i for i, other in enumerate(sweep.parameters[k].values) if other is values[k])
            where = ("parameters", positions[k], "values", value)
        expected = f"{fault.expected} (for {fault.name} in {scenario.written})"
        found.append(Finding(tree.file, tree.line(where), dotted(where), fault.found, expected, fault.nearest))
    return found


def _in_sweep(
    tree: Tree,
    sweep: Sweep,
    positions: Sequence[int],
    scenario: ScenarioFile,
    values: tuple[Value, ...],
    places: Mapping[str, int],
    finding: Finding,
) -> Finding:
    """A finding of a changed scenario, at the line of the sweep file that it comes from where that is known."""
    paths = [parameter.path for parameter in sweep.parameters]
    if finding.file == "--set":  # a path that leads nowhere
        where: Place = ("parameters", positions[paths.index(finding.field)], "path")
        expected = f"{finding.expected} (of {scenario.written})"
        return replace(finding, file=tree.file, line=tree.line(where), field=dotted(where), expected=expected)
    own = [k for place, k in places.items() if finding.field == place or finding.field.startswith((f"{place}.", f"{place}["))]
    if own:
        value = next(i for i, other in enumerate(sweep.parameters[own[0]].values) if other is values[own[0]])
        where = ("parameters", positions[own[0]], "values", value)
        expected = f"{finding.expected} (for {paths[own[0]]} in {scenario.written})"
        return replace(finding, file=tree.file, line=tree.line(where), field=dotted(where), expected=expected)
    told = ", ".join(f"{path} = {shown_value(value)}" for path, value in zip(paths, values, strict=True))
    return replace(finding, expected=f"{finding.expected} (with {told}, line {tree.line(('parameters',))} of {tree.file})")


def changes_of(parameters: Sequence[Parameter], values: Sequence[Value]) -> list[Change]:
    """Values of parameters as changes to a scenario document."""
    return [
        Change(parameter.path, value, f"{parameter.path}={shown_value(value)}")
        for parameter, value in zip(parameters, values, strict=True)
    ]
