"""The command line: exit codes, machine-readable output, one clear error and never a traceback."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from ozzo.cli import main
from ozzo.version import __version__

ROOT = Path(__file__).parent.parent.parent


def ozzo(
    *arguments: str, cwd: Path = ROOT, environment: Mapping[str, str] = MappingProxyType({})
) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does, with ``environment`` besides the one there is."""
    command = [sys.executable, "-c", "from ozzo.cli import main; main()", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=cwd, timeout=240, env=os.environ | environment
    )


def test_help_names_every_command() -> None:
    """Help lists the commands and exits with 0."""
    done = ozzo("--help")
    assert done.returncode == 0
    for command in ("check", "schema", "reference", "plan", "rehearse", "run", "uncertainty", "dashboards", "fit", "bench"):
        assert command in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("bogus",), "bogus"),  # no such command
        (("run",), "SCENARIO"),  # argument missing
        (("run", "no/such/file.yaml"), "no/such/file.yaml"),  # file missing
        (("check", "no/such/file.yaml"), "no/such/file.yaml"),
        (("plan", "configs/minimal.yaml", "--policy", "milpp"), "milp, milp-two-stage, shift_only, fifo, wait_for_sun"),
        (("rehearse", "configs/minimal.yaml", "--plan", "no/plan.json"), "no/plan.json"),
        (("run", "configs/minimal.yaml", "--event", "no/event.json"), "no/event.json"),
        (("run", "configs/minimal.yaml", "--day-seconds", "0"), "day-seconds"),
    ],
)
def test_wrong_arguments_give_one_clear_error(arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    """Exit code 2, the culprit named, no traceback, no run folder."""
    done = ozzo(*arguments, *(("--runs", str(tmp_path)) if arguments[0] == "run" else ()))
    assert done.returncode == 2, done.stderr
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("plan configs/minimal.yaml --out docs", "'docs' is a directory"),
        ("pareto configs/minimal.yaml --out docs", "'docs' is a directory"),
        ("schema --out docs", "'docs' is a directory"),
        ("dashboards --out README.md", "'README.md' is a file"),
        ("examples --out README.md", "'README.md' is a file"),
        ("serve configs/minimal.yaml --state README.md", "'README.md' is a file"),
        ("broker configs/minimal.yaml --dir README.md", "'README.md' is a file"),
        ("data verify --folder README.md", "'README.md' is a file"),
        ("fit jobs docs", "'docs' is a directory"),
        ("fit jobs nope", "'nope' does not exist"),
        ("reproduce steam --jobs docs --carbon docs", "'docs' is a directory"),
        ("reproduce lwa --series nope", "'nope' does not exist"),
        ("forecast score --series docs", "'docs' is a directory"),
        ("slurm queue --conf nope", "'nope' does not exist"),
        ("slurm restore --book docs", "'docs' is a directory"),
        ("rehearse configs/minimal.yaml --plan docs", "docs: found a directory"),
        ("replay --jobs nope --carbon docs", "docs: --carbon: found a directory"),
        ("sweep configs/sweeps/caution_and_battery.yaml --out docs", "a folder that holds decisions and no sweep"),
        ("replay --jobs nope", "--carbon: found nothing"),
        ("bench replan docs", "docs: found a directory"),
    ],
)
def test_a_place_that_cannot_be_right_is_told_before_work(
    line: str, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A directory for a file, a file for a folder, nothing at all: exit code 2 and one line that names it."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["ozzo", *line.split()])
    with pytest.raises(SystemExit) as left:
        main()
    told = capsys.readouterr()
    assert (left.value.code, told.out) == (2, "")
    assert says in told.err


def test_no_command_shows_help_and_nothing_else(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A group without a command shows its help; no stray line of an error that there is not."""
    monkeypatch.setattr(sys, "argv", ["ozzo", "slurm"])
    with pytest.raises(SystemExit, match="2"):
        main()
    told = capsys.readouterr()
    assert "restore" in told.out + told.err
    assert "lists what there is" not in told.out + told.err


def test_python_m_ozzo_is_the_command() -> None:
    """``python -m ozzo`` does what ``ozzo`` does."""
    done = subprocess.run([sys.executable, "-m", "ozzo", "--version"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, f"ozzo {__version__}\n")


def test_half_an_influxdb_configuration_stops_a_run_before_it_starts(tmp_path: Path) -> None:
    """An InfluxDB address without organisation and bucket is an input error: all that is missing, no secret, nothing made."""
    values = {"URL": "http://127.0.0.1:9", "TOKEN": "secret-token", "ORG": "", "BUCKET": ""}
    names = {f"OZZO_INFLUX_{name}": value for name, value in values.items()}
    done = ozzo("run", "configs/minimal.yaml", "--runs", str(tmp_path / "runs"), environment=names)
    assert done.returncode == 2, done.stderr
    assert "OZZO_INFLUX_ORG" in done.stderr
    assert "OZZO_INFLUX_BUCKET" in done.stderr
    assert "secret-token" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_schema_and_reference_come_from_the_same_fields() -> None:
    """The JSON Schema is JSON, the reference is Markdown, and both name a field."""
    schema = json.loads(ozzo("schema").stdout)
    assert schema["properties"]["sites"]
    assert "energy_kwh" in ozzo("reference").stdout


@pytest.mark.slow
def test_plan_is_written_rehearsed_and_refused_when_altered(tmp_path: Path) -> None:
    """A saved plan passes its rehearsal; with its battery over capacity it is refused by name, exit code 1."""
    file = tmp_path / "plan.json"
    planned = ozzo("plan", "configs/minimal.yaml", "--out", str(file), "--json")
    assert planned.returncode == 0, planned.stderr
    figures = json.loads(planned.stdout)
    assert figures["status"] == "optimal"
    assert figures["bound_eur"] <= figures["objective_eur"] + 1e-9

    passed = ozzo("rehearse", "configs/minimal.yaml", "--plan", str(file), "--json")
    assert passed.returncode == 0, passed.stdout
    assert json.loads(passed.stdout)["passed"] is True

    plan = json.loads(file.read_text())
    plan["energy"]["soc_kwh"][0][10] = 1000.0
    file.write_text(json.dumps(plan))
    refused = ozzo("rehearse", "configs/minimal.yaml", "--plan", str(file), "--json")
    assert refused.returncode == 1
    kinds = {violation["kind"] for violation in json.loads(refused.stdout)["violations"]}
    assert "state_of_charge" in kinds


def test_broken_plan_file_names_its_line(tmp_path: Path) -> None:
    """Broken JSON gives file and line; JSON that is no plan gives its fields."""
    file = tmp_path / "plan.json"
    file.write_text('{"version": 1,\n oops}')
    done = ozzo("rehearse", "configs/minimal.yaml", "--plan", str(file))
    assert done.returncode == 2
    assert f"{file}:2" in done.stderr
    file.write_text("[1, 2]")
    done = ozzo("rehearse", "configs/minimal.yaml", "--plan", str(file))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (("check", "configs/minimal.yaml"), "findings"),
        (("schema",), "$defs"),
        (("reference",), "fields"),
        (("examples",), "examples"),
        (("plan", "configs/minimal.yaml"), "gap"),
    ],
)
def test_every_command_speaks_json(arguments: tuple[str, ...], key: str) -> None:
    """With --json, standard output is one JSON object with the documented keys."""
    done = ozzo(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    assert key in json.loads(done.stdout)


def test_files_that_are_written_are_named_in_json(tmp_path: Path) -> None:
    """Examples and dashboards list what they wrote, and it is there."""
    for command in ("examples", "dashboards"):
        wrote = json.loads(ozzo(command, "--out", str(tmp_path / command), "--json").stdout)["wrote"]
        assert wrote
        assert all(Path(path).is_file() for path in wrote)


def test_wrong_input_is_json_too() -> None:
    """With --json, findings of any command are on standard output as JSON."""
    done = ozzo("run", "no/such/file.yaml", "--json")
    assert done.returncode == 2
    (finding,) = json.loads(done.stdout)["findings"]
    assert finding["file"] == "no/such/file.yaml"


@pytest.mark.parametrize("line", ["schema --out docs --json", "run --json", "pareto configs/minimal.yaml --points x --json"])
def test_a_wrong_command_line_is_json_too(line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What the parser refuses is a finding like any other: one, with what was found."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["ozzo", *line.split()])
    with pytest.raises(SystemExit, match="2"):
        main()
    told = capsys.readouterr()
    (finding,) = json.loads(told.out)["findings"]
    assert finding["file"] == "(command line)"
    assert finding["found"] in told.err


def test_tables_are_fitted_from_real_data(data: Path) -> None:
    """``ozzo fit table`` gives 288 rows as JSON, and ``ozzo fit jobs`` a model that names its source."""
    prices, carbon = data / "prices_eur" / "NL_2023.csv", data / "carbon" / "NL_2021-2024.parquet"
    done = ozzo("fit", "table", "--prices", str(prices), "--carbon", str(carbon), "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["rows"]) == 12 * 24
    model = json.loads(ozzo("fit", "jobs", str(data / "jobs" / "surf_2022_tasks.parquet"), "--json").stdout)
    assert "source" in json.dumps(model)


def test_a_file_that_sqlite_cannot_write_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A full disk under a state or journal in the middle of a command: exit code 1, no traceback."""

    def full(*_: object, **__: object) -> int:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("ozzo.cli.app", full)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "error: a file of ozzo (SQLite) cannot be read or written: database or disk is full\n"
