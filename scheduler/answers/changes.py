"""Changes to a scenario document by dotted path, before it is checked: ``sites.hall.battery.energy=20 kWh``.

A path names fields and, in lists, entries by their name (or position, ``sites[4]``). A field may be written without its unit
(``energy`` for ``energy_kwh``). The value is checked by the same models as one in the file. A site that takes over a
template gets the field for itself, the template stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from grid.errors import Finding
from scheduler.document.fieldbook import fields_at
from scheduler.document.tree import Key, Place, Tree, dotted, shown
from scheduler.document.units import nearest

WORDS: dict[str, Any] = {"true": True, "false": False, "null": None}
_PART = re.compile(r"[^.\[\]]+|\[\d+\]")
_WHOLE = re.compile(r"[-+]?\d+", re.ASCII)
_NUMBER = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Change:
    """One change as it was written.

    Attributes:
        path: dotted path; value: number, text, truth value, None or a list of them.
        written: the whole of it.
    """

    path: str
    value: Any
    written: str


def parse_change(text: str) -> Change | Finding:
    """``path=value`` as a change, or what is wrong with it."""
    path, equals, value = text.partition("=")
    if not equals or not _PART.findall(path) or not value.strip():
        return Finding("--set", None, "", repr(text), "PATH=VALUE, for example 'sites.hall.battery.energy=20 kWh'")
    return Change(path.strip(), _value(value.strip()), text)


def changer(changes: Sequence[Change]) -> Callable[[Tree], None]:
    """What makes all of ``changes`` in a tree, with findings there for paths that lead nowhere."""

    def change(tree: Tree) -> None:
        for wanted in changes:
            place = resolve(tree, wanted)
            if place is not None:
                _put(tree, place, wanted.value)

    return change


def _value(text: str) -> Any:
    """A value as a file would hold it."""
    if text.startswith("[") and text.endswith("]"):
        return [_value(part.strip()) for part in text[1:-1].split(",") if part.strip()]
    if text in WORDS:
        return WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text.strip("\"'")


def resolve(tree: Tree, change: Change) -> Place | None:
    """Place in ``tree`` that the path of ``change`` names, or None with a finding there."""
    place: Place = ()
    for part in _PART.findall(change.path):
        here = tree.value(place)
        key: Key | None
        if isinstance(here, list):
            key, names = _entry(here, part), [str(item["name"]) for item in here if isinstance(item, dict) and "name" in item]
        else:
            known = [str(name) for name in here] if isinstance(here, dict) else []
            names = fields_at(place) or known
            key = _field(names, part)
        if key is None:
            expected = f"one of {', '.join(names[:20])}" if names else f"a path that ends at {dotted(place) or 'the document'}"
            where = f"{dotted(place)}: " if place else ""
            tree.findings.append(Finding("--set", None, change.path, f"{where}{shown(part)}", expected, _near(part, names)))
            return None
        place = (*place, key)
    return place


def _near(part: str, names: list[str]) -> str | None:
    """The nearest name, also to a field that is written without its unit."""
    short = {name.rsplit("_", 1)[0]: name for name in names}
    near = nearest(part, [*names, *short])
    return short.get(near, near) if near else None


def _entry(entries: list[Any], part: str) -> int | None:
    """Position of a list's entry by name or ``[position]``."""
    if part.startswith("["):
        position = int(part[1:-1])
        return position if position < len(entries) else None
    return next((i for i, entry in enumerate(entries) if isinstance(entry, dict) and entry.get("name") == part), None)


def _field(names: list[str], part: str) -> str | None:
    """The field that ``part`` names, with its unit or without."""
    if part in names:
        return part
    longer = [name for name in names if name.startswith(f"{part}_")]
    return longer[0] if len(longer) == 1 else None


def _put(tree: Tree, place: Place, value: Any) -> None:
    """Set a value; mappings on the way that a template holds, or nobody, are made."""
    here: Any = tree.data
    for key in place[:-1]:
        if isinstance(here, dict) and not isinstance(here.get(key), dict | list):
            here[key] = {}
        here = here[key]
    here[place[-1]] = value
