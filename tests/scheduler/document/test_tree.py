"""The YAML tree: lines, the core schema, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scheduler.document.tree import Tree, dotted, read_tree, shown


def tree_of(folder: Path, text: str) -> Tree:
    """The tree of a text."""
    path = folder / "tree.yaml"
    path.write_text(text, encoding="utf-8")
    return read_tree(path)


def test_lines_of_keys_and_entries(tmp_path: Path) -> None:
    """Every key and every entry of a list knows its line."""
    tree = tree_of(tmp_path, "a: 1\nb:\n  - c: 2\n    d:\n      e: 3\n  - [4,\n     5]\n")
    assert tree.data == {"a": 1, "b": [{"c": 2, "d": {"e": 3}}, [4, 5]]}
    places: list[tuple[Any, ...]] = [("a",), ("b",), ("b", 0), ("b", 0, "d"), ("b", 0, "d", "e"), ("b", 1), ("b", 1, 1)]
    assert [tree.line(place) for place in places] == [1, 2, 3, 4, 5, 6, 7]
    assert tree.line(("b", 0, "nothing", "here")) == 3


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("17:00", "17:00"),
        ("NO", "NO"),
        ("on", "on"),
        ("2016-05-19", "2016-05-19"),
        ("true", True),
        ("~", None),
        ("", None),
        ("0777", 777),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1_000", "1_000"),
        ("'12'", "12"),
        ("!!str 12", "12"),
        ("+8h", "+8h"),
    ],
)
def test_plain_values_follow_the_core_schema(tmp_path: Path, text: str, value: object) -> None:
    """Times of day, country codes and dates stay text; only YAML 1.2's numbers are numbers."""
    tree = tree_of(tmp_path, f"a: {text}\n")
    assert tree.data == {"a": value}
    assert not tree.findings


def test_duplicate_keys_are_all_found_and_the_first_holds(tmp_path: Path) -> None:
    """Each repeated key is a finding that names the first; the first value stays."""
    tree = tree_of(tmp_path, "a: {b: 1}\nc: {x: 1, x: 2}\na: {b: 5, b: 6}\n")
    assert [(finding.line, finding.field) for finding in tree.findings] == [(2, "c.x"), (3, "a")]
    assert tree.data == {"a": {"b": 1}, "c": {"x": 1}}


def test_aliases_are_values(tmp_path: Path) -> None:
    """An alias is the value that it names."""
    assert tree_of(tmp_path, "a: &x {b: 1}\nc: *x\nd: [*x]\n").data == {"a": {"b": 1}, "c": {"b": 1}, "d": [{"b": 1}]}


def test_an_alias_inside_itself_is_refused(tmp_path: Path) -> None:
    """A value that would contain itself is broken, not endless."""
    (finding,) = tree_of(tmp_path, "a: &x [*x]\n").findings
    assert "alias *x" in finding.found


def test_pure_python_reader_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PyYAML was built without libyaml, data and lines are the same."""
    text = (Path(__file__).parents[3] / "configs" / "minimal.yaml").read_text(encoding="utf-8")
    fast = tree_of(tmp_path, text)
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    slow = tree_of(tmp_path, text)
    assert (slow.data, slow.lines) == (fast.data, fast.lines)
    assert tree_of(tmp_path, "a: \x07").findings[0].found.startswith("broken YAML")
    assert tree_of(tmp_path, "a: [1\nb: 2").findings[0].line == 2


TEXT = st.text(st.characters(max_codepoint=0xD7FF), max_size=12)  # JSON writes what lies above as two escapes; YAML does not
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(TEXT, VALUES, min_size=1, max_size=5))
def test_what_json_writes_is_read_back(tmp_path: Path, data: dict[str, Any]) -> None:
    """Any plain data written as JSON, which is YAML, comes back unchanged, with a line for every place."""
    tree = tree_of(tmp_path, json.dumps(data, indent=1))
    assert tree.findings == []
    assert tree.data == data

    def walk(value: Any, place: tuple[str | int, ...]) -> None:
        assert place in tree.lines
        for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
            walk(item, (*place, key))

    walk(data, ())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(st.binary(max_size=200))
def test_no_bytes_raise(tmp_path: Path, raw: bytes) -> None:
    """Any bytes give data or at least one finding, never an exception."""
    path = tmp_path / "bytes.yaml"
    path.write_bytes(raw)
    tree = read_tree(path)
    assert tree.data is not None or tree.findings or not raw.strip() or tree.lines


def test_words_for_places_and_values() -> None:
    """Places and values are shown in a few words."""
    assert dotted(("sites", 2, "battery", "energy_kwh")) == "sites[2].battery.energy_kwh"
    assert shown({"a": 1, "b": 2}) == "a mapping with a, b"
    assert shown([1, 2]) == "a list of 2"
    assert shown(None) == "nothing"
    assert shown(True) == "true"
    assert len(shown("x" * 500)) <= 60
