"""The reference page and the JSON Schema of the document, both made from the models' own data (unit, default, description)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from scheduler.document.fieldbook import models_in
from scheduler.document.fields import DAY_WORDS, MOMENT_WORDS, NAME_WORDS, TIME_WORDS, Moment, Unit
from scheduler.document.model import Document
from scheduler.document.units import DIMENSIONS

SCHEMA_ID = "https://json-schema.org/draft/2020-12/schema"

INTRODUCTION = f"""# The scenario document

This page is made from the models that read the document: `ozzo reference > docs/reference.md`. A test keeps it up to date.
The same data gives the JSON Schema for editors (`ozzo schema`) and every check of `ozzo check`.

A document is YAML (UTF-8, at most 4 MB). Its values follow the core schema of YAML 1.2: `17:00`, `NO` and dates are text.
`configs/minimal.yaml` is the smallest useful one, with comments.

- **Numbers** stand in the unit that the field's name ends with (`energy_kwh: 15`) or bring a unit of the same kind
  (`energy_kwh: 0.015 MWh`). Kinds: {"; ".join(", ".join(f"`{unit}`" for unit in table) for table in DIMENSIONS)}.
- **Moments**: {MOMENT_WORDS}. A local time that the clock change skips or shows twice is a finding.
- **Times of day**: {TIME_WORDS}.
- **Names**: {NAME_WORDS}.
- **Paths** count from the folder of the document; `$NAME` at any place in them is taken from the environment.
- **Sign**: import and charging are positive; every source and every load is positive in its own field.
- **Days**: {DAY_WORDS}.
- **Templates**: `like: cabinet` in a site takes over every field of `site_templates.cabinet` that the site does not write itself;
  mappings are merged field by field, lists are taken over whole.

## What `ozzo check` looks at, and what only loading can

`ozzo check FILE...` prints every finding of every file at once, with line, field, what was found, what was expected and the
nearest name; exit code 2 when there is one. It checks YAML, fields, units, names, times, windows, widths, tiers, batteries,
contracts, events, and reads every price, carbon, weather and measured series over the horizon (gaps and clock-change faults
included).
The network's SimBench code and the buses of a low-voltage code are looked up; a pandapower file is built and solved (seconds
the first time), so that all of its faults are told. No profile is opened, no job drawn and no sun or wind computed: an unknown
profile or turbine and a faulty trace or job model are found when the scenario is loaded (`ozzo plan`, `ozzo run`), an unknown
bus of a SimBench grid above low voltage when the network is built. A trace's jobs that fit no node at their sites are the
planner's to name: it drops them with the reason.
"""


def reference() -> str:
    """The reference page, in Markdown."""
    parts = [INTRODUCTION]
    for model, places in _models().items():
        title = "The document" if model is Document else " and ".join(f"`{place}`" for place in places)
        parts.append(f"## {title}\n\n{_first_paragraph(model)}\n\n{_table(model)}\n")
    return "\n".join(parts)


def _models() -> dict[type[BaseModel], list[str]]:
    """Every model in order of appearance, with the places where it stands."""
    found: dict[type[BaseModel], list[str]] = {Document: [""]}
    queue: list[tuple[type[BaseModel], str]] = [(Document, "")]
    while queue:
        model, place = queue.pop(0)
        for name, child, many in _children(model):
            where = f"{place}.{name}".lstrip(".") + ("[]" if many else "")
            if child in found:
                found[child].append(where)
                continue
            found[child] = [where]
            queue.append((child, where))
    return found


def _children(model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel], bool]]:
    for name, info in model.model_fields.items():
        for child in models_in(info.annotation):
            yield info.alias or name, child, "tuple" in str(info.annotation)


def _first_paragraph(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").strip().split("\n\n")[0].split())


def field_rows() -> list[dict[str, str]]:
    """Every field of the document as data: place, field, type, unit, default, description (plain text)."""
    found = []
    for model, places in _models().items():
        for row in _rows(model):
            found.append({"places": ", ".join(places), **{key: text.strip("`*") for key, text in row.items()}})
    return found


def _rows(model: type[BaseModel]) -> list[dict[str, str]]:
    schema = model.model_json_schema(by_alias=True)
    found = []
    for name, info in model.model_fields.items():
        key = info.alias or name
        unit = next((f"`{mark.name}`" for mark in info.metadata if isinstance(mark, Unit)), "")
        words = _type(schema["properties"][key], schema, is_moment=_is_moment(info.annotation))
        meaning = info.description or ""
        found.append({"field": f"`{key}`", "type": words, "unit": unit, "default": _default(info), "meaning": meaning})
    return found


def _table(model: type[BaseModel]) -> str:
    lines = ["| field | type | unit | default | meaning |", "|---|---|---|---|---|"]
    lines += ["| " + " | ".join(row.values()) + " |" for row in _rows(model)]
    return "\n".join(lines)


def _is_moment(annotation: Any) -> bool:
    return Moment.__name__ in str(annotation)


def _default(info: Any) -> str:
    if info.is_required():
        return "**required**"
    value = info.get_default(call_default_factory=True)
    if value is None or isinstance(value, BaseModel) or value in ((), "", {}):
        return ""
    value = list(value) if isinstance(value, tuple) else value
    return f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value)}`"


def _type(schema: dict[str, Any], root: dict[str, Any], *, is_moment: bool = False) -> str:
    """A field's type and limits in words."""
    if is_moment:
        return "moment"
    if "$ref" in schema:
        target = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
        return "mapping" if target.get("type") == "object" else _type(target, root)
    if "anyOf" in schema:
        variants = [_type(variant, root) for variant in schema["anyOf"] if variant.get("type") != "null"]
        plain = [variant for variant in variants if not (variant.startswith("text") and "unit" in schema)]
        return plain[0] if plain else variants[0]
    if "oneOf" in schema:
        return "mapping"
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{choice}`" for choice in schema["enum"])
    kind = schema.get("type")
    if kind == "array":
        items = schema.get("items") or schema.get("prefixItems", [{}])[0]
        words = f"list of {_plural(_type(items, root))}"
        return f"{words} (at least {schema['minItems']})" if schema.get("minItems") else words
    names = {"number": "number", "integer": "whole number", "boolean": "true or false", "object": "mapping", "string": "text"}
    if kind == "string" and "pattern" in schema:
        return "name" if "A-Za-z0-9" in schema["pattern"] else "time of day" if "24:00" in schema["pattern"] else "text"
    return names.get(str(kind), "value") + _limits(schema)


def _plural(words: str) -> str:
    return {"mapping": "mappings", "name": "names"}.get(words, words)


def _limits(schema: dict[str, Any]) -> str:
    limits = []
    for key, sign in (("minimum", ">="), ("exclusiveMinimum", ">"), ("maximum", "<=")):
        if key in schema:
            limits.append(f"{sign} {schema[key]:g}" if abs(schema[key]) < 1e6 else f"{sign} {schema[key]:.3g}")
    return f" {', '.join(limits)}" if limits else ""


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the document, for editors.

    A site that names a template need not be complete by itself, and a template need not be complete at all.
    """
    schema = Document.model_json_schema(by_alias=True)
    definitions: dict[str, Any] = schema["$defs"]
    partial = {f"{name}_in_part": _relaxed(definition) for name, definition in definitions.items()}
    definitions.update(partial)
    properties = schema["properties"]
    properties["site_templates"]["additionalProperties"] = {"$ref": "#/$defs/SitePart_in_part"}
    properties["sites"]["items"] = {
        "if": {"required": ["like"]},
        "then": {"allOf": [{"$ref": "#/$defs/SitePart_in_part"}, {"required": ["name"]}]},
        "else": {"$ref": "#/$defs/SitePart"},
    }
    properties["sites"]["minItems"] = 1
    return {"$schema": SCHEMA_ID, **schema, "title": "ozzo scenario"}


def _relaxed(node: Any) -> Any:
    """A definition without required fields, its references likewise."""
    if isinstance(node, dict):
        kept = {key: _relaxed(value) for key, value in node.items() if key != "required" or not isinstance(value, list)}
        if isinstance(kept.get("$ref"), str):
            kept["$ref"] += "_in_part"
        return kept
    return [_relaxed(item) for item in node] if isinstance(node, list) else node
