"""A policy from a file: the example of the guide, and everything that can be wrong with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from grid.errors import InputError
from sim.replay.policies.outside import outside_policy, outside_runs
from sim.replay.policies.registry import policy_named
from tests.sim.replay.hand import batch, begins

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "a_policy.py"
JOBS = batch([(1.0, 2.0, 24.0), (1.5, 1.0, 3.0), (13.0, 1.0, 24.0)], [1.0] * 96)


def answer(folder: Path, body: str) -> list[str]:
    """What is found wrong with the example whose answer ``runs`` is changed by ``body``."""
    file = folder / "mine.py"
    file.write_text(EXAMPLE.read_text().replace("        return whole(", "        runs = whole(") + f"        {body}\n")
    name = f"{file}:AtNoon"
    with pytest.raises(InputError) as told:
        outside_runs(outside_policy(name), name, JOBS)
    return [finding.found for finding in told.value.findings]


def test_the_example_of_the_guide() -> None:
    """Noon of the day, at once where three hours are not enough, noon of the next day."""
    name = f"{EXAMPLE}:AtNoon"
    assert begins(outside_runs(policy_named(name), name, JOBS)) == [12.0, 1.5, 36.0]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return None", ["NoneType"]),
        ("return whole(batch, batch.arrival_s - 7.0)", ["3 jobs before their arrival, the first 0"]),
        (
            "return Runs(runs.job[1:], runs.begin_s[1:], runs.end_s[1:], runs.scale[1:])",
            ["1 jobs without an interval, the first 0"],
        ),
        (
            "return Runs(runs.job, runs.begin_s, runs.end_s - 60, runs.scale)",
            ["3 jobs whose work is not their length, the first 0"],
        ),
        ("return Runs(runs.job[::-1], runs.begin_s, runs.end_s, runs.scale)", ["2 jobs out of order, the first 0"]),
        ("return Runs(runs.job, runs.begin_s * np.nan, runs.end_s, runs.scale)", ["values that are not finite"]),
        ("return Runs(runs.job, runs.begin_s[:2], runs.end_s, runs.scale)", ["arrays of the shapes (3,), (2,), (3,), (3,)"]),
        ("return Runs(runs.job + 9, runs.begin_s, runs.end_s, runs.scale)", ["3 jobs without an interval, the first 0"]),
        (
            "return Runs(runs.job.repeat(2), runs.begin_s.repeat(2), runs.end_s.repeat(2), runs.scale.repeat(2) / 2)",
            ["3 jobs with intervals that overlap, the first 0", "3 jobs in pieces, although pauses is False, the first 0"],
        ),
    ],
)
def test_an_answer_that_is_none(tmp_path: Path, body: str, expected: list[str]) -> None:
    """Whatever would be measured as if it were a schedule is refused in words."""
    assert answer(tmp_path, body)[: len(expected)] == expected


def test_code_that_fails_is_told_with_its_line(tmp_path: Path) -> None:
    """In the file itself, when it is made, and when it answers."""
    lines = len(EXAMPLE.read_text().splitlines())
    file = tmp_path / "mine.py"
    file.write_text(EXAMPLE.read_text() + "        return 1 / 0\n")
    text = file.read_text().replace("        return whole(", "        runs = whole(")
    file.write_text(text)
    name = f"{file}:AtNoon"
    with pytest.raises(InputError, match=rf"mine\.py:{lines + 1}: AtNoon\.runs: found ZeroDivisionError"):
        outside_runs(outside_policy(name), name, JOBS)
    file.write_text("class AtNoon:\n    def __init__(self, more): ...\n")
    with pytest.raises(InputError, match="TypeError"):
        policy_named(name)
    file.write_text("x = 1\nclass AtNoon(:\n")
    with pytest.raises(InputError, match=r"mine\.py:2: --policy: found SyntaxError"):
        policy_named(name)


def test_what_is_no_policy_is_told_all_at_once(tmp_path: Path) -> None:
    """No file, a folder, no such class, and a class that lacks two words and the method."""
    with pytest.raises(InputError, match="no such file"):
        policy_named("nope.py:AtNoon")
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(InputError, match="found a directory"):
        policy_named(f"{tmp_path}/folder.py:AtNoon")
    with pytest.raises(InputError, match="a class of the file: AtNoon"):
        policy_named(f"{EXAMPLE}:Nope")
    file = tmp_path / "mine.py"
    kept = [line for line in EXAMPLE.read_text().splitlines() if " follows:" not in line and " source:" not in line]
    file.write_text("\n".join(kept).replace("def runs", "def walks"))
    with pytest.raises(InputError) as told:
        policy_named(f"{file}:AtNoon")
    assert [finding.field for finding in told.value.findings] == ["AtNoon.follows", "AtNoon.source", "AtNoon.runs"]
