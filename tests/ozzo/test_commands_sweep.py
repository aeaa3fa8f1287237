"""``ozzo sweep``, ``ozzo report`` and ``ozzo bench sweep`` as a person uses them: words, JSON, exit codes, wrong input."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from grid.errors import InputError
from ozzo.bench.sweep import Pair, SweepBench, SweepBenchOptions, measure, print_table
from ozzo.bench.sweep import as_json as bench_as_json
from ozzo.commands_report import Wish as ReportWish
from ozzo.commands_report import report
from ozzo.commands_sweep import Wish, sweep
from ozzo.examples import shipped
from scheduler.policies.registry import POLICIES
from sim.experiments.sweep_file import load_sweep
from tests.ozzo.test_cli import ozzo
from tests.sim.experiments.sweeps import SWEEP, made, sweep_file
from tests.sim.experiments.test_analysis import figures


@pytest.mark.slow
def test_a_sweep_and_its_page_from_the_command_line(tmp_path: Path) -> None:
    """Lines of progress, JSON with what came of it, a page and pictures; run again there is nothing left to do."""
    sweep_file(tmp_path)
    done = ozzo("sweep", "small.yaml", "--workers", "1", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["folder"], told["runs"], told["done"], told["kept"], told["failed"]) == ("sweeps/small", 20, 20, 0, [])
    assert "small: 20 of 20 runs" in done.stderr
    again = ozzo("sweep", "small.yaml", cwd=tmp_path)
    assert "0 of 20 runs carried out" in again.stdout
    assert "20 had been finished before" in again.stdout
    shown = ozzo("report", "sweeps/small", "--pictures", "svg", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "wait_for_sun: " in shown.stdout
    assert (tmp_path / "sweeps" / "small" / "pictures" / "objective.svg").is_file()
    assert (tmp_path / "sweeps" / "small" / "report.html").read_text().startswith("<!doctype html>")


def test_wrong_sweep_files_give_every_error_and_code_2(tmp_path: Path) -> None:
    """Two wrong names in one file: both told with line and nearest name, as JSON too, nothing made, no traceback."""
    sweep_file(tmp_path, SWEEP.replace("wait_for_sun]", "wait_for_son]").replace("hall.battery", "hal.battery"))
    done = ozzo("sweep", "small.yaml", "--json", cwd=tmp_path)
    assert done.returncode == 2
    assert "small.yaml:6: policies[1]: found 'wait_for_son'" in done.stderr
    assert "did you mean 'wait_for_sun'?" in done.stderr
    assert "did you mean 'hall'?" in done.stderr
    assert [finding["line"] for finding in json.loads(done.stdout)["findings"]] == [6, 8]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "sweeps").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("sweep", "no.yaml"), "a sweep in YAML"),
        (("sweep", "no.yaml", "--workers", "0"), "workers"),
        (("sweep", "no.yaml", "--workers", "1", "--dask", "tcp://127.0.0.1:1"), "together with --dask"),
        (("report", "nowhere"), "no such file"),
        (("report", "nowhere", "--level", "95"), "between 0 and 1"),
        (("bench", "sweep", "--workers", "1"), "workers"),
    ],
)
def test_wrong_options_are_told(arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    """No file, no worker, two engines, no sweep, a level in per cent: exit code 2 and words."""
    done = ozzo(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_failed_runs_make_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A combination that only fails when it runs is named with its reason; the others are done."""
    rows = "values: [4 kWh, 5 kWh, 1 kWh], label: battery}\n  - {path: sites.hall.battery.initial_soc, values: [0.5, 2, 1, 3]}"
    many = "\n  - {path: sites.hall.pue, values: [1.1, 1.2, 1.3]}"
    text = SWEEP.replace("values: [4 kWh, 8 kWh], label: battery}", rows + many).replace("count: 5", "count: 1")
    text = text.replace("[fifo, wait_for_sun]", "[fifo]")
    said, code = sweep(Wish(sweep_file(tmp_path, text), tmp_path / "out", 1), as_json=False)
    assert code == 1
    assert "30 of 36 runs carried out" in said  # 2 and 3 kWh in a battery of 1 kWh, three times each
    assert said.count("failed: ") == 6
    assert "initial_soc_kwh" in said
    assert "6 failed" in capsys.readouterr().err


def test_the_report_in_words_and_json(tmp_path: Path) -> None:
    """The table in the terminal, another reference and level, JSON with all of it, and where the page went."""
    folder = made(tmp_path, figures)
    words = report(folder, ReportWish(out=tmp_path / "deep" / "page.html"), as_json=False)
    assert "battery 4 kWh" in words
    assert (tmp_path / "deep" / "page.html").is_file()
    found = json.loads(report(folder, ReportWish(reference="wait_for_sun", level=0.5), as_json=True))
    assert found["reference"] == "wait_for_sun"
    assert found["level"] == 0.5
    assert found["wrote"] == [str(folder / "report.html")]
    with pytest.raises(InputError, match="a policy of this sweep: fifo, wait_for_sun"):
        report(folder, ReportWish(reference="milp"), as_json=False)


def test_shipped_sweeps_are_right() -> None:
    """Every sweep file that ships can be run: no finding, and few enough runs for a minute."""
    files = sorted((shipped() / "sweeps").glob("*.yaml"))
    assert files
    for file in files:
        assert load_sweep(file).size <= 200, file.name


def test_the_bench_tells_ratio_load_and_equality(tmp_path: Path) -> None:
    """Medians of pairs, the load beside them, and exit code 1 only when the tables differ."""
    found = SweepBench(
        "minimal",
        200,
        2,
        (
            Pair(40.0, 20.0, 39.0, 40.0, 0.1, 0.9, 38.0, 20.0, same=True),
            Pair(30.0, 20.0, 29.5, 31.0, 3.0, 4.0, 28.5, 15.0, same=True),
        ),
    )
    assert found.speedup == 1.75
    assert found.speedup_by_computing == 1.9
    assert found.exit_code == 0
    out = io.StringIO()
    print_table(found, out)
    assert "2.00" in out.getvalue()
    assert "3.0, 4.0" in out.getvalue()
    assert "29.5, 31.0" in out.getvalue()
    assert json.loads(bench_as_json(found))["pairs"][1]["speedup"] == 1.5
    assert SweepBench("minimal", 4, 2, (Pair(1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, same=False),)).exit_code == 1


@pytest.mark.slow
@pytest.mark.long
def test_the_bench_runs_the_same_sweep_twice() -> None:
    """A run of each policy by one and by two processes: both finish, and their tables are the same."""
    told: list[str] = []
    found = measure(SweepBenchOptions(runs=3), told.append)
    assert found.runs == len(POLICIES)
    assert found.pairs[0].same
    assert min(found.pairs[0].one_cpu_s, found.pairs[0].many_cpu_s) > 0
    assert found.exit_code == 0
    assert told == [f"pair 1: {found.runs} runs, 1 process", f"pair 1: {found.runs} runs, 2 processes"]


def test_the_bench_names_the_nearest_scenario() -> None:
    """A scenario that does not ship is refused before anything runs."""
    with pytest.raises(InputError, match="did you mean 'minimal'"):
        measure(SweepBenchOptions(scenario="minimum"), lambda _line: None)
