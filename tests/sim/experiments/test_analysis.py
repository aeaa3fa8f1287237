"""What a sweep tells, on tables that are made up so that every figure is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from grid.errors import InputError
from sim.experiments.analysis import comparisons, front, read_results, summaries
from sim.experiments.design import Run
from sim.experiments.told import told
from tests.sim.experiments.sweeps import SWEEP, made

OBJECTIVES = {"fifo": [10, 12, 11, 13, 14], "wait_for_sun": [9, 10, 8, 9, 14]}
"""By seed; wait_for_sun minus fifo is -1, -2, -3, -4, 0."""


def figures(run: Run) -> dict[str, Any]:
    """Objectives of the table above, 100 more with the larger battery; cost and carbon by policy and battery."""
    large = run.values == ("8 kWh",)
    cost, carbon = {("fifo", False): (5, 5), ("fifo", True): (4, 6), ("wait_for_sun", False): (3, 8)}.get(
        (run.policy, large), (1, 1)
    )
    undone = int(run.policy == "wait_for_sun" and large)
    objective = OBJECTIVES[run.policy][run.seed - 1] + (100 if large else 0)
    return {"objective_eur": float(objective), "cost_eur": float(cost), "carbon_kg": float(carbon), "dropped": undone}


def test_policies_are_summarised_cell_by_cell(tmp_path: Path) -> None:
    """Two cells of two policies in the order of the sweep: means 12 and 10, and 100 more with the larger battery."""
    results = read_results(made(tmp_path, figures))
    found = [
        (results.words(cell), policy, of["objective_eur"].mean, of["objective_eur"].count)
        for cell, policy, of in summaries(results)
    ]
    assert found == [
        ("battery 4 kWh", "fifo", 12.0, 5), ("battery 4 kWh", "wait_for_sun", 10.0, 5),
        ("battery 8 kWh", "fifo", 112.0, 5), ("battery 8 kWh", "wait_for_sun", 110.0, 5),
    ]  # fmt: skip
    assert results.policies == ("fifo", "wait_for_sun")
    assert results.scenarios == ("hall",)


def test_policies_are_paired_by_seed(tmp_path: Path) -> None:
    """Differences -1, -2, -3, -4 and 0: mean -2, four wins; p values are doubled, because there are two such comparisons."""
    results = read_results(made(tmp_path, figures))
    small, large = comparisons(results, "objective_eur")
    assert (small.policy, small.found.mean, small.found.wins, small.found.losses) == ("wait_for_sun", -2.0, 4, 0)
    assert small.share == pytest.approx(-2 / 12)
    assert large.share == pytest.approx(-2 / 112)
    assert small.found.wilcoxon_p == pytest.approx(2 / 16)  # four differences of one sign
    assert small.wilcoxon_holm == pytest.approx(4 / 16)
    assert small.found.t_p is not None
    assert small.t_holm == pytest.approx(2 * small.found.t_p)
    other = comparisons(results, "objective_eur", "wait_for_sun")
    assert [one.found.mean for one in other] == [2.0, 2.0]
    with pytest.raises(InputError, match="fifo, wait_for_sun"):
        comparisons(results, "objective_eur", "milp")


def test_only_seeds_of_both_are_paired(tmp_path: Path) -> None:
    """Of nine finished runs (four seeds of both, one more of fifo) four pairs are left, and the other cell is not there."""
    results = read_results(made(tmp_path, figures, stop=9))
    (only,) = comparisons(results, "objective_eur")
    assert only.found.count == 4
    assert only.reference_mean == pytest.approx((10 + 12 + 11 + 13) / 4)
    assert len(results.cells) == 1
    assert [of["objective_eur"].count for _, _, of in summaries(results)] == [5, 4]


def test_who_does_less_is_not_on_the_front(tmp_path: Path) -> None:
    """(5,5), (4,6) and (3,8) are on the front; (1,1) would beat all, but leaves a job undone."""
    points = front(read_results(made(tmp_path, figures)), "hall")
    assert [(point.cost_eur, point.carbon_kg, point.on_front, point.undone) for point in points] == [
        (5.0, 5.0, True, False), (3.0, 8.0, True, False), (4.0, 6.0, True, False), (1.0, 1.0, False, True),
    ]  # fmt: skip
    late = front(read_results(made(tmp_path / "late", lambda run: figures(run) | {"deadline_misses": 1})), "hall")
    assert not any(point.on_front for point in late)


def test_all_of_it_is_json(tmp_path: Path) -> None:
    """Everything the page shows, with null where nothing is known; parameters of any kind keep their kind."""
    text = SWEEP.replace("values: [4 kWh, 8 kWh], label: battery", "values: [4, 8.5]").replace("count: 5", "count: 1")
    results = read_results(made(tmp_path, lambda run: {"objective_eur": float(run.index)}, text=text))
    found = json.loads(json.dumps(told(results), allow_nan=False))
    assert [one["parameters"] for one in found["policies"]] == [
        {"energy": 4.0},
        {"energy": 4.0},
        {"energy": 8.5},
        {"energy": 8.5},
    ]
    assert results.words(results.cells[1]) == "energy 8.5"
    one = found["comparisons"][0]
    assert (one["mean"], one["t_p"], one["interval"]) == (1.0, None, {"low": None, "high": None, "method": "t"})
    assert found["policies"][0]["figures"]["objective_eur"]["deviation"] is None
    assert found["finished"] == found["runs"] == 4
    assert set(found["front"]) == {"hall"}


def test_folders_that_hold_no_sweep_are_refused(tmp_path: Path) -> None:
    """No folder, no facts, broken facts, facts of something else, no finished run: each told with file and what is expected."""
    for make, says in (
        (lambda: None, "no such file"),
        (lambda: (tmp_path / "sweep.json").write_text("{", encoding="utf-8"), "cannot be read"),
        (lambda: (tmp_path / "sweep.json").write_text('{"name": 1}', encoding="utf-8"), "reference"),
    ):
        make()
        with pytest.raises(InputError, match=says):
            read_results(tmp_path)
    empty = made(tmp_path / "empty", figures, stop=0)
    with pytest.raises(InputError, match="no finished run"):
        read_results(empty)
    (empty / "parts" / "a.parquet").write_bytes(b"none")
    with pytest.raises(InputError, match="no Parquet file"):
        read_results(empty)
