"""``ozzo bench world``: ozzo and Vessim agree on the week, what is missing is said to be, the trace is accounted for."""

from __future__ import annotations

import csv
import io
import json
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from ozzo.bench import surf, vessim_week
from ozzo.bench.week import CAPACITY_KWH, LEAST, make_week, meter_week, sites_of, write_csv
from ozzo.bench.world import WORDS, Vessim, WorldBenchOptions, WorldFigures, figures_json, print_figures, run_world_bench
from scheduler.traces import Tasks
from sim.energy_core.meter import meter_sites
from tests.ozzo.test_cli import ozzo


@pytest.fixture(scope="module")
def small() -> WorldFigures:
    """Half a day of one site and of three, one turn each, without the trace."""
    return run_world_bench(WorldBenchOptions(steps=720, sites=3, rounds=1, seed=4), lambda _: None)


def test_ozzo_and_vessim_agree_on_the_energies(small: WorldFigures) -> None:
    """Import, export and charge of the same site by two programmes: within a millionth of a kWh; both have a speed."""
    difference = small.figures["vessim_difference_kwh"]
    assert difference is not None
    assert difference < 1e-6
    assert small.vessim is not None
    assert small.vessim.startswith("0.16")
    for name in ("speedup_bare", "speedup_logged", "speedup_1000_sites"):
        ours, theirs = (
            small.figures[f"{who}{name.removeprefix('speedup').removesuffix('_bare')}_steps_per_s"] for who in ("ozzo", "vessim")
        )
        assert ours is not None
        assert theirs is not None
        assert small.figures[name] == pytest.approx(ours / theirs)  # one turn: the ratio of its two speeds


def test_what_is_not_measured_is_said(small: WorldFigures) -> None:
    """Without the trace its figures are null, with the reason, in the JSON and below the table."""
    said = json.loads(figures_json(small))
    assert said["surf_fifo_s"] is None
    assert "OZZO_DATA" in said["not_measured"]["surf_fifo_s"]
    assert set(WORDS) <= said.keys()
    out = io.StringIO()
    print_figures(small, out)
    assert out.getvalue().count("not measured: ") == 1  # one reason for all of them
    assert "at least 50" in out.getvalue()
    assert said["load"] >= 0


def test_the_week_stays_within_the_battery() -> None:
    """A battery of the week is used in its whole range, which is what makes the comparison worth something."""
    week = make_week(0)
    found = meter_week(sites_of([week]), week.horizon)
    assert found.lowest_soc_kwh[0] == pytest.approx(LEAST * CAPACITY_KWH)
    assert found.highest_soc_kwh[0] == pytest.approx(CAPACITY_KWH)
    assert found.pieces[0] >= len(week.load_kw)  # every step is a piece: nothing is skipped
    assert min(found.total_kwh(name)[0] for name in ("import_kwh", "export_kwh", "charge_kwh", "discharge_kwh")) > 0


def test_the_csv_file_holds_every_step(tmp_path: Path) -> None:
    """A row a site and step, with times in UTC; its columns add up to the totals; without reporting there is nothing to write."""
    weeks = [make_week(seed, 90) for seed in (0, 1)]
    sites = sites_of(weeks)
    found = meter_week(sites, weeks[0].horizon, tmp_path / "week.csv")
    rows = list(csv.DictReader((tmp_path / "week.csv").read_text().splitlines()))
    assert [row["site"] for row in rows] == ["site-0"] * 90 + ["site-1"] * 90
    assert rows[91]["time"].startswith("2022-06-09 00:01:00")
    for s, total in enumerate(found.total_kwh("import_kwh")):
        assert sum(float(row["import_kwh"]) for row in rows[90 * s : 90 * s + 90]) == pytest.approx(total)
    assert float(rows[-1]["soc_kwh"]) == pytest.approx(found.soc_kwh[1])
    with pytest.raises(ValueError, match="reporting step"):
        write_csv(meter_sites(sites, weeks[0].horizon), tmp_path / "none.csv")


def test_a_python_without_vessim_is_no_figure(tmp_path: Path) -> None:
    """A Python that fails: its last word is the reason, and no further run is tried."""
    program = tmp_path / "python"
    program.write_text('#!/bin/sh\necho "no module named vessim" >&2\nexit 1\n')
    program.chmod(0o755)
    vessim = Vessim(program, tmp_path)
    assert vessim.run(make_week(0, 10), 1, log=False) is None
    assert vessim.reason == "Vessim failed: no module named vessim"
    program.unlink()
    assert vessim.run(make_week(0, 10), 1, log=False) is None


def test_vessim_runs_from_its_own_file(tmp_path: Path) -> None:
    """The script that another Python runs: reports steps and energies of the first microgrid."""
    week = make_week(2, 30)
    np.savez(tmp_path / "week.npz", load_w=1000 * week.load_kw, sun_w=1000 * week.sun_kw, step_s=60, capacity_wh=5000.0,
             initial_soc=0.2, min_soc=0.2, c_rate=1.0, sites=2, log=1)  # fmt: skip
    vessim_week.main(str(tmp_path / "week.npz"), str(tmp_path / "report.json"))
    said = json.loads((tmp_path / "report.json").read_text())
    assert said["steps"] == 30
    assert said["import_kwh"] == pytest.approx(week.load_kw.sum() / 60)  # midnight, and a battery that may not be used
    assert said["soc_kwh"] == pytest.approx(1.0)


@pytest.mark.slow
def test_the_trace_is_run_metered_and_shared_out(tmp_path: Path) -> None:
    """A trace of three jobs on 277 hosts, by hand: nobody waits, the parts make up the load, three hosts at once at most."""
    tasks = Tasks(np.array([1, 2, 3]), np.array([1e9, 1e9 + 600, 1e9 + 7200]), np.array([3600.0, 60.0, 1800.0]),
                  np.array([16, 32, 16]), np.array([1.0, 1.0, 1.0]))  # fmt: skip
    run, load_kwh, parts_kwh = surf.once(tasks, 3)
    busy_h = (3600 + 2 * 60 + 1800) / 3600
    it_kwh = busy_h * surf.BUSY_KW + (277 * 3 - busy_h) * surf.IDLE_KW  # three hours are metered: the last one has begun
    assert load_kwh == pytest.approx(3 * surf.OVERHEAD_KW + surf.PUE * it_kwh)
    assert parts_kwh == pytest.approx(load_kwh, rel=1e-12)
    assert run.held.max() == 3
    assert run.start_s.tolist() == [0.0, 600.0, 7200.0]
    waiting = Tasks(np.arange(2), np.array([0.0, 0.0]), np.array([3000.0, 3000.0]), np.array([16 * 277] * 2), np.ones(2))
    run, load_kwh, parts_kwh = surf.once(waiting, 2)  # the second waits, so another hour begins
    assert run.end_s.tolist() == [3000.0, 6000.0]
    assert run.edges_s[-1] == 7200.0
    assert parts_kwh == pytest.approx(load_kwh, rel=1e-12)
    (tmp_path / "task.json").write_text(
        json.dumps({"trace": str(tmp_path / "none.parquet"), "jobs": [None], "runs": 1, "report": str(tmp_path / "report.json")})
    )
    surf.main(str(tmp_path / "task.json"))
    assert "not an OpenDC tasks file" in json.loads((tmp_path / "report.json").read_text())["failed"]


@pytest.mark.data
def test_the_whole_trace_of_surf(data: Path) -> None:
    """All 194,917 jobs: at most 275 hosts at once (README of the data), 356,203 node hours, nobody waits, parts add up."""
    (result,) = surf.measure(data / "jobs" / "surf_2022_tasks.parquet", [None], 1)
    assert result.jobs == 194_917
    assert result.most_held == 275
    assert result.longest_wait_s == 0.0
    assert result.it_kwh == pytest.approx(356_203 * surf.BUSY_KW, rel=1e-5)
    assert result.parts_kwh == pytest.approx(result.load_kwh, rel=1e-9)


def test_a_python_that_is_none_is_refused() -> None:
    """Exit code 2, the option is named, no traceback."""
    done = ozzo("bench", "world", "--vessim-python", "/nowhere/python")
    assert done.returncode == 2
    assert "--vessim-python" in done.stderr
    assert "Traceback" not in done.stderr


def test_this_python_is_asked_when_no_other_is_named(tmp_path: Path) -> None:
    """The interpreter of the tests, which has Vessim."""
    vessim = Vessim(None, tmp_path)
    assert vessim.reason is None
    assert Vessim(Path(sys.executable), tmp_path).reason is None
    assert make_week(0, 5).horizon.step == timedelta(minutes=1)
