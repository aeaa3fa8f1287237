"""Whatever a person does to a document: findings, or a scenario, and never another exception."""

from __future__ import annotations

import json
import random
from copy import deepcopy
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from grid.errors import Finding, InputError
from scheduler.document import check_file, load_scenario
from scheduler.document.tree import read_tree

CONFIGS = Path(__file__).parents[3] / "configs"
BAD = Path(__file__).parents[2] / "bad"
MINIMAL = (CONFIGS / "minimal.yaml").read_text(encoding="utf-8")
FULL = (BAD / "ten_faults.yaml").read_text(encoding="utf-8")

JUNK: list[Any] = [
    None,
    True,
    -1,
    0,
    1e308,
    10**30,
    float("nan"),
    "",
    "x",
    "5 kwh",
    "+8h",
    "+9999999d",
    "2022-10-30T02:30",
    "2200-12-31T23:59",
    "24:00",
    "hall",
    [],
    {},
    [[]],
    [None],
    [{}],
    {"name": []},
    {"like": {}},
    [1, 2],
    {"csv": "nothing", "time": "x", "value": "y"},
]


def outcome(path: Path) -> None:
    """Check and load agree, and raise nothing else than InputError."""
    findings = check_file(path, environment={})
    found: tuple[Finding, ...] = ()
    try:
        scenario = load_scenario(path, environment={})
    except InputError as error:
        found = error.findings
    assert not findings or list(found) == findings
    assert found or scenario.sites


def places_of(value: Any, place: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in plain data."""
    found = [place] if place else []
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        found += places_of(item, (*place, key))
    return found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(st.sampled_from([MINIMAL, FULL]), st.integers(0, 2**32), st.integers(1, 4))
def test_any_value_anywhere(tmp_path: Path, text: str, seed: int, times: int) -> None:
    """Values replaced, removed or doubled at random places give findings or a scenario."""
    path = tmp_path / "mutant.yaml"
    path.write_text(text, encoding="utf-8")
    data = read_tree(path).data
    chance = random.Random(seed)
    for _ in range(times):
        place = chance.choice(places_of(data))
        here = data
        for key in place[:-1]:
            here = here[key]
        match chance.randrange(4):
            case 0:
                del here[place[-1]]
            case 1 if isinstance(here, list):
                here.append(deepcopy(here[int(place[-1])]))
            case 2 if isinstance(here, dict):
                here[chance.choice(["site_templates", "sites", "like", "extra", "name"])] = deepcopy(chance.choice(JUNK))
            case _:
                here[place[-1]] = deepcopy(chance.choice(JUNK))
        if not places_of(data):
            break
    path.write_text(json.dumps(data, indent=1).replace("NaN", ".nan"), encoding="utf-8")
    outcome(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(st.integers(0, len(MINIMAL)), st.integers(0, 60), st.text(max_size=12))
@example(0, len(MINIMAL), "null")
@example(0, len(MINIMAL), "~")
@example(0, len(MINIMAL), "5")
def test_any_edit_of_the_text(tmp_path: Path, start: int, length: int, text: str) -> None:
    """A piece of the text replaced by any other text gives findings or a scenario."""
    path = tmp_path / "edited.yaml"
    path.write_bytes((MINIMAL[:start] + text + MINIMAL[start + length :]).encode("utf-8", "surrogatepass"))
    outcome(path)
