"""What a sweep file may say, and its fields read one by one, so that a wrong one does not hide the others."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, TypeAdapter, ValidationError

from grid.errors import Finding
from scheduler.document.fields import Count, Name, Part, Text, about, custom
from scheduler.document.tree import Place, Tree, dotted, shown
from scheduler.document.units import nearest
from scheduler.document.wording import WORDS

Scalar = str | int | float | bool | None
Value = Scalar | list[Scalar]
"""A value of a parameter, as a scenario would hold it."""

VALUE_WORDS = "a number, text, true, false, null, or a list of those"


def _value(value: object) -> object:
    parts = value if isinstance(value, list) else [value]
    if not all(part is None or isinstance(part, str | int | float | bool) for part in parts):
        raise custom(VALUE_WORDS)
    return value


class SeedsPart(Part):
    """Seeds that follow each other."""

    first: Annotated[Count, about("The first seed.", ge=0, le=2**52)] = 1
    count: Annotated[Count, about("How many.", ge=1, le=100_000)]


class ParameterPart(Part):
    """A field of the scenarios that takes several values."""

    path: Annotated[Text, about("The field, as 'ozzo what-if --set' knows it: sites.hall.battery.energy.", min_length=1)]
    values: Annotated[tuple[Annotated[Any, BeforeValidator(_value)], ...], about("Its values, in turn.", min_length=1)]
    label: Annotated[Name | None, about("Its name in tables; the last part of the path if not given.")] = None


class SweepPart(Part):
    """A sweep file: every scenario with every policy, every combination of values and every seed."""

    ozzo_sweep: Annotated[Literal[1], about("Version of the format.")]
    name: Annotated[Name, about("Short name; the folder of results carries it.")]
    title: Annotated[Text, about("One sentence for people.")] = ""
    scenarios: Annotated[tuple[Text, ...], about("Scenario files; their paths count from the sweep file's folder.", min_length=1)]
    policies: Annotated[tuple[Text, ...], about("Policies, as 'ozzo plan --policy' knows them.", min_length=1)]
    parameters: Annotated[tuple[ParameterPart, ...], about("Fields of the scenarios that take several values.")] = ()
    seeds: Annotated[SeedsPart | tuple[Count, ...], about("Seeds: a list, or the first one and how many.")]
    redraw: Annotated[
        Literal["everything", "truth"],
        about("What a seed decides: every draw, generated jobs included, or only the truth that one plan meets."),
    ] = "everything"
    reference: Annotated[Text | None, about("Policy that the others are compared with; the first one if not given.")] = None
    power_flow: Annotated[
        bool, Field(strict=True), about("Heed the scenario's network and solve its AC power flow; false leaves the network out.")
    ] = True


MAPPING = "a mapping of fields to values"


def read_fields(tree: Tree, model: type[BaseModel], place: Place) -> dict[str, Any]:
    """Fields of ``model`` that are right in the mapping at ``place``; findings on the others are added to ``tree``."""
    given = tree.value(place)
    if not isinstance(given, dict):
        tree.findings.append(Finding(tree.file, tree.line(place), dotted(place), shown(given), MAPPING))
        return {}
    known = list(model.model_fields)
    for key in given:
        if key not in known:
            where = (*place, key)
            found = f"the unknown field {key!r}"[:80]
            tree.findings.append(
                Finding(tree.file, tree.line(where), dotted(where), found, f"one of {', '.join(known)}", nearest(key, known))
            )
    return {name: value for name in known for value in _field(tree, model, place, name)}


def _field(tree: Tree, model: type[BaseModel], place: Place, name: str) -> list[Any]:
    """The value of one field in a list, or nothing with findings; the default when it is not there."""
    info, where = model.model_fields[name], (*place, name)
    given: Any = tree.value(place)
    if name not in given:
        if not info.is_required():
            return [info.get_default(call_default_factory=True)]
        words = f"the field {name} ({(info.description or '').rstrip('.')})"
        tree.findings.append(Finding(tree.file, tree.line(place), dotted(where), "nothing", words))
        return []
    if name == "parameters" and isinstance(given[name], list):
        return [[(k, read_fields(tree, ParameterPart, (*where, k))) for k in range(len(given[name]))]]
    if name == "seeds":
        return _seeds(tree, where)
    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[info.annotation, Field(), *info.metadata])  # type: ignore[arg-type]
    try:
        return [adapter.validate_python(given[name])]
    except ValidationError as problem:
        tree.findings += [_finding(tree, where, error) for error in problem.errors(include_url=False)]
        return []


def _seeds(tree: Tree, where: Place) -> list[tuple[int, ...]]:
    """Seeds as a list of their tuple, or nothing with findings."""
    given = tree.value(where)
    if isinstance(given, dict):
        part = read_fields(tree, SeedsPart, where)
        return [tuple(range(part["first"], part["first"] + part["count"]))] if {"first", "count"} <= part.keys() else []
    expected = "a list of whole numbers from 0, each once, or {first: 1, count: 10}"
    seeds = given if isinstance(given, list) else []
    wrong = [k for k, seed in enumerate(seeds) if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= 2**53]
    wrong += [k for k, seed in enumerate(seeds) if k not in wrong and seed in seeds[:k]]
    for k in wrong:
        place = (*where, k)
        tree.findings.append(Finding(tree.file, tree.line(place), dotted(place), shown(seeds[k]), expected))
    if not seeds:
        tree.findings.append(Finding(tree.file, tree.line(where), dotted(where), shown(given), expected))
    return [tuple(seeds)] if seeds and not wrong else []


def _finding(tree: Tree, where: Place, error: Any) -> Finding:
    """A pydantic error of the field at ``where`` as a finding."""
    kind, context = error["type"], error.get("ctx", {})
    place = (*where, *(key for key in error["loc"] if isinstance(key, int)))
    near: str | None = None
    if kind == "ozzo":
        expected, near = context["expected"], context["nearest"] or None
    elif kind == "literal_error":
        choices = [word.strip(" '") for word in context["expected"].replace(" or ", ", ").split(",")]
        expected, near = f"one of {', '.join(choices)}", nearest(str(error["input"]), choices)
    elif kind == "too_short":
        expected = f"a list of at least {context['min_length']}"
    else:
        expected = WORDS[kind].format(**context) if kind in WORDS else error["msg"]
    return Finding(tree.file, tree.line(place), dotted(place), shown(error.get("input")), expected, near)
