"""What ``ozzo run`` refuses or says before any work: event files, JSON files, a broker and a seed that cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from grid.errors import InputError
from ozzo.cli import app
from ozzo.commands_plan import read_json
from ozzo.event_files import file_events
from ozzo.run import RunOptions, run_scenario
from tests.factory import small_scenario

MINIMAL = Path(__file__).parents[2] / "configs" / "minimal.yaml"


def event(site: str, **changes: object) -> dict[str, object]:
    """A limit of 2 kW at ``site`` for the first hour of the small scenario."""
    start = small_scenario().horizon.start
    return {
        "programID": "p",
        "eventName": "e",
        "targets": [site],
        "payloadDescriptors": [{"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": "IMPORT_CAPACITY_LIMIT", "units": "KW"}],
        "intervalPeriod": {"start": start.isoformat(), "duration": "PT1H"},
        "intervals": [{"id": 0, "payloads": [{"type": "IMPORT_CAPACITY_LIMIT", "values": [2.0]}]}],
    } | changes


def test_what_is_not_heeded_is_said_with_its_file() -> None:
    """A priority and an unknown field change nothing of the limit, and both are told with the name of the file."""
    said: list[str] = []
    (group,) = file_events(small_scenario(), [(Path("a.json"), event("hall", priority=3, colour="red"))], said.append)
    assert [(item.site, item.limit_kw) for item in group] == [("hall", 2.0)]
    assert [line.split(": ")[0] for line in said] == ["a.json", "a.json"]
    assert "colour" in said[0]
    assert "priority is not heeded" in said[1]


def test_findings_of_all_files_come_at_once() -> None:
    """Two wrong files are told together, each by its name."""
    files = [(Path("a.json"), event("nowhere")), (Path("b.json"), event("hall")), (Path("c.json"), [])]
    with pytest.raises(InputError) as caught:
        file_events(small_scenario(), files, lambda _: None)
    assert [finding.file for finding in caught.value.findings] == ["a.json", "c.json"]


@pytest.mark.parametrize("text", ["[" * 100_000, "1" * 5000, json.dumps({})[:-1], "\x80"])
def test_json_that_cannot_be_read_is_a_finding(text: str, tmp_path: Path) -> None:
    """Lists in lists without end, a number of 5,000 digits, half an object and bytes that are no text: one finding each."""
    path = tmp_path / "odd.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(InputError) as caught:
        read_json(path)
    assert [finding.file for finding in caught.value.findings] == [str(path)]


def test_a_folder_is_no_json_file(tmp_path: Path) -> None:
    """A path that leads to a folder is a finding, not an error of the machine."""
    with pytest.raises(InputError, match="expected a JSON file that can be read"):
        read_json(tmp_path)


@pytest.mark.parametrize("broker", ["http://x", "mqtt://broker.example:1883", "nowhere"])
def test_a_broker_that_cannot_be_is_told_before_the_work(broker: str, tmp_path: Path) -> None:
    """Nothing is planned and no run folder is made for credentials that are wrong."""
    options = RunOptions(MINIMAL, (), tmp_path / "runs", None, 12.0, True, 0, broker)
    with pytest.raises(InputError):
        run_scenario(options, quiet=True)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("command", [["run", str(MINIMAL)], ["reproduce", "greenslot"]])
def test_a_seed_is_not_below_zero(command: list[str]) -> None:
    """Refused by the command line, where a generator of random numbers would break in the middle of the work."""
    answer = CliRunner().invoke(app, [*command, "--seed", "-1"])
    assert answer.exit_code == 2
    assert "--seed" in answer.stderr
