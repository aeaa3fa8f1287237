"""The curve of cost against jobs: what is counted, how growth is fitted, and what is left out with its reason."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grid.errors import InputError
from ozzo.bench import curve as room
from ozzo.bench.curve import Curve, CurvePoint, curve_json, print_curve, run_curve
from ozzo.console import Console
from scheduler.optimiser.case_maker import Size, make_case
from scheduler.optimiser.large.measure import StepTimes, step_times, window_entries
from tests.cases import tiny, with_jobs

ROOT = Path(__file__).parent.parent.parent
QUIET = Console(quiet=True)


def point(jobs: int, exponent: float) -> CurvePoint:
    """A point whose times grow with that power of its entries, 50 for each job."""
    entries = 50 * jobs
    took = 1e-6 * entries**exponent
    times = StepTimes(jobs, 20, 192, jobs, entries, entries, 0.1, took, 2 * took, 3 * took, 4 * took, 0.02)
    return CurvePoint(jobs, times, 100.0)


def test_entries_are_jobs_times_their_window_at_each_site() -> None:
    """A job of slots 1 to 4 at one site, one that is ready in slot 2 at two sites, one that is never ready: 3 + 2 + 2."""
    case = with_jobs(
        tiny(sites=2),
        {"rel": 1},
        {"entries": [(0, 0.0, 2, -1), (1, 0.0, 2, -1)]},
        {"entries": [(0, 0.0, 4, -1)]},
    )
    assert window_entries(case) == 3 + 2 * 2


def test_every_step_is_timed_on_the_case_that_is_given() -> None:
    """A small case: its size, every job a class of its own, and a time for each step."""
    case = make_case(Size("little", 60, 4, 48, 0.5, None, 5.0, 0), 2)
    found = step_times(case, sweeps=3)
    assert (found.jobs, found.sites, found.slots, found.classes) == (60, 4, 48, 60)
    assert found.entries >= found.class_entries > 60
    assert all(getattr(found, name) > 0 for name in ("build_s", "sweep_s", "bound_s", "first_plan_s", "round_s", "judge_s"))


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.7])
def test_the_exponent_of_growth_is_found(exponent: float) -> None:
    """Times that grow with a power of jobs x window give that power; a point that was not measured does not count."""
    curve = Curve((point(1000, exponent), point(3000, exponent), CurvePoint(9000, note="no"), point(10_000, exponent)))
    assert list(curve.exponents().values()) == pytest.approx([exponent] * 4)
    bent = Curve((*curve.points, replace(point(30_000, 2.0), times=point(30_000, 2.0).times)))
    assert bent.exponents(2)["sweep_s"] != pytest.approx(bent.exponents()["sweep_s"])
    assert Curve((point(1000, 1.0),)).exponents() == {}
    assert (curve.exit_code, Curve((point(1000, 1.0),)).exit_code, replace(curve, interrupted=True).exit_code) == (1, 0, 130)


def test_two_cases_are_measured_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each in its own process, smallest first: entries grow with the jobs, memory is told, JSON and table say the same."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    found = run_curve((60, 20, 60), 1, QUIET)
    assert [one.jobs for one in found.points] == [20, 60]
    small, large = (one.times for one in found.points)
    assert small is not None
    assert large is not None
    assert 0 < small.entries < large.entries
    assert all(one.peak_memory_mb is not None and one.peak_memory_mb > 30 for one in found.points)
    told = json.loads(curve_json(found))
    assert [one["entries"] for one in told["points"]] == [small.entries, large.entries]
    assert set(told["exponents"]) == {"sweep", "bound", "first_plan", "round"}
    out = io.StringIO()
    print_curve(found, out)
    text = out.getvalue()
    assert f"{large.entries:,}" in text
    assert f"(jobs x window)^{found.exponents()['round_s']:.2f} over all" in text
    assert np.isfinite(found.exponents()["sweep_s"])


def test_what_would_not_fit_in_memory_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """With 150 MB free and 100 MB taken by a third of the jobs the next case is not begun, and the table says why."""
    monkeypatch.setattr(room, "free_memory_mb", lambda: 150.0)
    monkeypatch.setattr(room, "child_report", lambda *_: pytest.fail("nothing may be run"))
    left = room._measured(3000, 1, point(1000, 1.0), ROOT, QUIET)
    assert left.times is None
    assert left.note.startswith("would take up to 0.3 GB, and 0.")
    out = io.StringIO()
    print_curve(Curve((point(1000, 1.0), left)), out)
    assert "would take up to 0.3 GB" in out.getvalue()


@pytest.mark.parametrize("jobs", [(), (100,), (100, 100), (5, 100)])
def test_a_curve_has_two_points_of_some_jobs(jobs: tuple[int, ...]) -> None:
    """Fewer than two numbers, or too small ones, are refused before anything is run."""
    with pytest.raises(InputError, match="--curve-jobs"):
        run_curve(jobs, 1, QUIET)
