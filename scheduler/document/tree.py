"""A YAML file as plain data with the line of every key and value.

Only what YAML 1.2 calls the core schema is understood: mappings, lists, text, numbers, ``true``, ``false``, ``null``. So
``17:00``, ``NO`` and ``2016-05-19`` stay text. The file's size is looked at before it is read, its events are composed
without recursion, and aliases are counted as often as they are used, so no file can cost more than its size allows.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml

from grid.errors import Finding

MAX_BYTES = 4_000_000
MAX_DEPTH = 40
MAX_NODES = 200_000

Key = str | int
Place = tuple[Key, ...]

_INT = re.compile(r"^[-+]?[0-9]{1,300}$", re.ASCII)
_FLOAT = re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$", re.ASCII)
_SPECIAL = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
    ".nan": float("nan"),
    ".inf": float("inf"),
    "+.inf": float("inf"),
    "-.inf": float("-inf"),
}
_TEXT_TAGS = {None, "!", "tag:yaml.org,2002:str"}
_PLAIN_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool", "null", "seq", "map")}


@dataclass(slots=True)
class Tree:
    """What a file says.

    Attributes:
        file: path as the person gave it.
        data: dictionaries, lists, text, numbers, booleans, None.
        lines: 1-based line of each place (of the key, for entries of a mapping).
        findings: what is wrong with the YAML itself.
    """

    file: str
    data: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def line(self, place: Place) -> int | None:
        """Line of ``place``, or of the nearest thing around it."""
        while place not in self.lines and place:
            place = place[:-1]
        return self.lines.get(place)

    def value(self, place: Place, default: object = None) -> object:
        """What stands at ``place``, as written."""
        here: Any = self.data
        for key in place:
            try:
                here = here[key]
            except (KeyError, IndexError, TypeError):
                return default
        return cast("object", here)


def dotted(place: Place) -> str:
    """``("sites", 2, "pue")`` as ``sites[2].pue``."""
    text = ""
    for key in place:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


def shown(value: object, limit: int = 60) -> str:
    """``value`` in a few words."""
    if isinstance(value, dict):
        return "a mapping with " + (", ".join(str(key)[:20] for key in list(value)[:4]) or "nothing in it")
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if value is None:
        return "nothing"
    text = str(value).lower() if isinstance(value, bool) else repr(value) if isinstance(value, str) else str(value)[: limit + 1]
    return text if len(text) <= limit else text[: limit - 3] + "..."


def read_tree(path: str | Path, what: str = "a scenario") -> Tree:
    """Read and compose the YAML file ``path``; what is wrong stands in ``findings`` (then ``data`` may be None).

    Args:
        path: the file.
        what: what it should hold, for people.
    """
    tree = Tree(str(path))
    text = _text(Path(path), tree, f"{what} in YAML (UTF-8 text)")
    if text is None:
        return tree
    try:
        _compose(_events(text), tree)
    except yaml.YAMLError as error:
        tree.data = None
        tree.findings = [_broken(tree.file, text, error)]
    return tree


def _whole(file: str, found: str, expected: str, line: int | None = None) -> Finding:
    return Finding(file, line, "", found, expected)


def _text(path: Path, tree: Tree, expected: str) -> str | None:
    """The file's text, or None with a finding that says what was ``expected``."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            what = "a directory" if stat.S_ISDIR(status.st_mode) else "something that is not a regular file"
            tree.findings.append(_whole(tree.file, what, expected))
            return None
        if status.st_size > MAX_BYTES:
            found = f"a file of {status.st_size / 1e6:.1f} MB"
            tree.findings.append(_whole(tree.file, found, f"{expected} of at most {MAX_BYTES / 1e6:.0f} MB"))
            return None
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES)
    except FileNotFoundError:
        tree.findings.append(_whole(tree.file, "no such file", expected))
        return None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        tree.findings.append(_whole(tree.file, f"a file that cannot be read: {reason}", expected))
        return None
    if b"\0" in raw[:100_000]:
        tree.findings.append(_whole(tree.file, "binary data", expected))
        return None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        tree.findings.append(_whole(tree.file, f"the byte 0x{raw[error.start]:02x}, which is not UTF-8", expected, line))
        return None
    if not text.strip():
        tree.findings.append(_whole(tree.file, "an empty file", expected))
        return None
    return text


def _events(text: str) -> Iterator[Any]:
    """YAML events, from libyaml where PyYAML was built with it (ten times as fast), else from pure Python."""
    parser: Any = yaml.CSafeLoader(text) if yaml.__with_libyaml__ else yaml.SafeLoader(text)
    try:
        while parser.check_event():
            yield parser.get_event()
    finally:
        parser.dispose()


def _broken(file: str, text: str, error: yaml.YAMLError) -> Finding:
    """The one finding of a file that is no YAML."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark: Any = error.problem_mark or error.context_mark
        found = f"broken YAML: {error.problem or error.context}"
        return _whole(file, found, "valid YAML", None if mark is None else mark.line + 1)
    position = getattr(error, "position", None)
    line = text[:position].count("\n") + 1 if isinstance(position, int) else None
    reason = getattr(error, "reason", "") or "it cannot be parsed"
    return _whole(file, f"broken YAML: {reason}", "valid YAML", line)


@dataclass(slots=True)
class _Open:
    """A collection that is being filled; ``key`` is the pending key of a mapping."""

    value: Any
    place: Place
    anchor: str | None
    start: int
    key: Any = None
    has_key: bool = False
    skip: bool = False


class _RefusedError(yaml.MarkedYAMLError):
    """YAML that ozzo does not read: nested too deeply, too many values, two documents, an alias of nothing."""


def _compose(events: Iterator[Any], tree: Tree) -> None:
    """Fill ``tree`` from the events of one document."""
    stack: list[_Open] = []
    anchors: dict[str, tuple[Any, int]] = {}
    nodes = 0
    documents = 0
    for event in events:
        mark: Any = event.start_mark
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise _RefusedError(None, None, "a second document in one file", mark)
        if not isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            done = stack.pop()
            if done.anchor:
                anchors[done.anchor] = (done.value, nodes - done.start)
            continue
        value, weight, opened = _value(event, anchors, tree)
        nodes += weight
        if nodes > MAX_NODES or len(stack) >= MAX_DEPTH:
            found = f"more than {MAX_NODES} values" if nodes > MAX_NODES else f"more than {MAX_DEPTH} levels"
            raise _RefusedError(None, None, found, mark)
        place = _attach(stack, value, tree, mark.line + 1, is_scalar=isinstance(event, yaml.ScalarEvent))
        if opened:
            stack.append(_Open(value, place if place is not None else (), event.anchor, nodes - weight, skip=place is None))
        elif event.anchor and isinstance(event, yaml.ScalarEvent):
            anchors[event.anchor] = (value, weight)


def _value(event: Any, anchors: dict[str, tuple[Any, int]], tree: Tree) -> tuple[Any, int, bool]:
    """Value of an event, how many values it stands for, and whether a collection was opened."""
    line = event.start_mark.line + 1
    if isinstance(event, yaml.AliasEvent):
        if event.anchor not in anchors:
            raise _RefusedError(
                None, None, f"the alias *{event.anchor}, which names nothing complete above it", cast("Any", event.start_mark)
            )
        value, weight = anchors[event.anchor]
        return value, weight + 1, False
    if event.tag is not None and event.tag not in _TEXT_TAGS | _PLAIN_TAGS:
        tree.findings.append(_whole(tree.file, f"the tag {event.tag[:40]}", "plain YAML without tags of its own", line))
    if isinstance(event, yaml.MappingStartEvent):
        return {}, 1, True
    if isinstance(event, yaml.SequenceStartEvent):
        return [], 1, True
    plain = event.style in (None, "") and event.tag is None
    return (_scalar(event.value) if plain else event.value), 1, False


def _scalar(text: str) -> Any:
    """A plain scalar by the core schema of YAML 1.2."""
    if text in _SPECIAL:
        return _SPECIAL[text]
    if _INT.match(text):
        return int(text)
    return float(text) if _FLOAT.match(text) else text


def _attach(stack: list[_Open], value: Any, tree: Tree, line: int, *, is_scalar: bool) -> Place | None:
    """Put ``value`` where it belongs; its place, or None when it hangs nowhere (a key, a duplicate, under either)."""
    if not stack:
        tree.data = value
        tree.lines[()] = line
        return ()
    top = stack[-1]
    if isinstance(top.value, list):
        place = (*top.place, len(top.value))
        top.value.append(value)
    elif not top.has_key:
        top.has_key = True
        top.key = value if is_scalar else None
        if not isinstance(top.key, str):
            tree.findings.append(
                Finding(
                    tree.file, line, dotted(top.place), f"the key {shown(value)}", "a name (text) as key; put quotes around it"
                )
            )
            top.key = None
        elif top.key in top.value and not top.skip:
            place = (*top.place, top.key)
            first = tree.line(place)
            tree.findings.append(
                Finding(tree.file, line, dotted(place), "the same key twice", f"one; the first stands in line {first}")
            )
            top.key = None
        elif not top.skip:
            tree.lines[(*top.place, top.key)] = line
        return None
    else:
        top.has_key = False
        if top.key is None:
            return None
        place = (*top.place, top.key)
        top.value[top.key] = value
    if top.skip:
        return None
    tree.lines.setdefault(place, line)
    return place
