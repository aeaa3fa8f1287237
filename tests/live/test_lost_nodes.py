"""A run that loses its nodes, from end to end: it says which, what was not done, and does not call that a success."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.ozzo.test_cli import ROOT
from tests.ozzo.test_run import MAIN

pytestmark = [pytest.mark.live, pytest.mark.slow]


def test_a_run_whose_agents_are_killed_fails(mosquitto: str, tmp_path: Path) -> None:
    """All agents are killed as the commanding begins: exit code 1, and summary and report name nodes and failed jobs."""
    assert mosquitto
    command = [*MAIN, "run", "configs/minimal.yaml", "--day-seconds", "8", "--json", "--runs", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "node agents are there" in line:
                break
        (file,) = tmp_path.glob("*/journal.sqlite")
        with closing(sqlite3.connect(file)) as journal:
            told = [json.loads(text) for (text,) in journal.execute("select json from entries where kind = 'node'")]
        for entry in told:
            os.kill(entry["pid"], signal.SIGKILL)
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    summary = json.loads(said)
    commanding = summary["commanding"]
    assert commanding["silent_nodes"] == sorted(entry["node"] for entry in told) == [f"hall.rack-{i}" for i in range(4)]
    assert commanding["jobs_failed"] >= 1
    assert commanding["jobs_run"] + commanding["jobs_failed"] == 3
    notes = " ".join(summary["notes"])
    assert "4 of 4 nodes fell silent" in notes
    assert f"{commanding['jobs_failed']} of the 3 jobs" in notes
    assert "4 of 4 nodes fell silent" in (file.parent / "report.html").read_text(encoding="utf-8")
