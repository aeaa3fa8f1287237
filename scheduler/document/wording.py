"""A pydantic error as a finding in the words of the document."""

from __future__ import annotations

from typing import Any

from grid.errors import Finding
from scheduler.document.fieldbook import choices_at, describe, fields_at, kinds_at
from scheduler.document.tree import Place, Tree, dotted, shown
from scheduler.document.units import nearest

WORDS = {
    "greater_than": "a number above {gt:g}",
    "greater_than_equal": "a number not below {ge:g}",
    "less_than_equal": "a number not above {le:g}",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number of ordinary size",
    "bool_type": "true or false",
    "string_type": "text (put quotes around it)",
    "string_too_long": "text of at most {max_length} characters",
    "string_too_short": "text that is not empty",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping of names to values",
    "model_type": "a mapping of fields to values",
    "model_attributes_type": "a mapping of fields to values",
    "too_short": "at least {min_length}",
    "finite_number": "a finite number",
    "float_type": "a number",
}
"""What was expected, by type of pydantic's error; braces name the error's context."""


def finding_of(tree: Tree, place: Place, error: Any) -> Finding:
    """One pydantic error as a finding."""
    kind, context, value = error["type"], error.get("ctx", {}), error.get("input")
    near: str | None = None
    found = shown(tree.value(place, value))
    if kind == "extra_forbidden":
        around = tree.value(place[:-1])
        fields = fields_at(place[:-1], around.get("kind") if isinstance(around, dict) else None)
        near = nearest(str(place[-1]), fields)
        found, expected = f"the unknown field {place[-1]!r}"[:80], f"one of {', '.join(fields)}"
    elif kind == "missing":
        found, expected = "nothing", f"the field {place[-1]}{describe(place)}"
        if isinstance(place[-1], int):
            place = place[:-1]
            found, expected = shown(tree.value(place)), "a list of two"  # the ends of a link
    elif kind == "ozzo":
        expected, near = context["expected"], context["nearest"] or None
        found = context["found"] or found
        place = (*place, context["line_of"]) if context["line_of"] else place
    elif kind in ("enum", "literal_error"):
        choices = choices_at(place)
        expected, near = f"one of {', '.join(choices)}", nearest(str(value), choices)
    elif kind in ("union_tag_invalid", "union_tag_not_found"):
        kinds = (
            [part.strip(" '") for part in context.get("expected_tags", "").split(",")] if "tag" in context else kinds_at(place)
        )
        tag = context.get("tag")
        found = "no kind" if tag is None else f"the unknown kind {tag!r}"
        expected, near = f"one of {', '.join(kinds)} as kind", None if tag is None else nearest(str(tag), kinds)
        place = (*place, "kind")
    elif kind in ("too_short", "too_long"):
        limit = context.get("min_length") or context.get("max_length")
        expected = f"a list of {'at least' if kind == 'too_short' else 'at most'} {limit}"
    else:
        expected = WORDS[kind].format(**context) if kind in WORDS else error["msg"]
    return Finding(tree.file, tree.line(place), dotted(place), found, expected, near)
