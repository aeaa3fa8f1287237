"""``ozzo serve`` with real processes: the trial of the operator's guide in a short form, and a standby."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ozzo.enrolment import enrol
from ozzo.serve.status import status
from tests.live.processes import MAIN, ROOT, SCENARIO, minimal, open_folder, running, standing

pytestmark = [pytest.mark.live, pytest.mark.slow]
AGENT = [sys.executable, str(ROOT / "tests" / "live" / "agent_process.py")]
NODES = ("hall.rack-0", "hall.rack-1", "hall.rack-2", "hall.rack-3")


def test_the_trial_of_the_guide(mosquitto: str, tmp_path: Path) -> None:
    """Broker, three agents, controller; freeze and thaw by hand; ``kill -9`` of each part in turn; the jobs say all is well."""
    assert mosquitto
    program = tmp_path / "ozzo"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'from ozzo.cli import main; main()' \"$@\"\n")
    program.chmod(0o755)
    settings = {
        "OZZO": str(program),
        "PYTHON": sys.executable,
        "SCENARIO": SCENARIO,
        "NODES": " ".join(NODES[:3]),
        "DAY_SECONDS": "60",
        "REPLAN_MINUTES": "720",
        "PAUSE": "4",
    }
    assert "sh docs/examples/serve_trial.sh" in (ROOT / "docs" / "operator.md").read_text()
    script = [str(ROOT / "docs" / "examples" / "serve_trial.sh")]
    done = subprocess.run(
        script, cwd=ROOT, env=dict(os.environ) | settings, capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    text = done.stdout
    by_hand = text.partition("== a job is paused by hand")[2].partition("== kill -9 of the controller")[0]
    assert " frozen\n" in by_hand, text
    assert " running\n" in by_hand, text
    assert "the horizon is over: 3 jobs done, 0 not" in text, text
    assert text.rstrip().endswith("lost: 0"), text
    if "is lost" not in text:  # on a slow machine an agent is back too late: its job is begun elsewhere too
        assert "3 jobs done, 0 not, 0 doubled" in text, text
        assert "counters: doubled 0, lost 0, failed 0" in text, text
        assert text.rstrip().endswith("3 jobs started, 4 starts, 4 ends\nstopped by a later plan: 0\ndoubled: 0 \nlost: 0"), text
    assert text.count("epoch 2") >= 1  # the controller that came after the killed one


def wait_for(true: Callable[[], bool], what: str, log: Path, timeout_s: float = 60.0) -> None:
    """Wait for something; the log tells why it did not come."""
    until = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < until, f"{what}: not in {timeout_s:.0f} s\n{log.read_text()}"
        time.sleep(0.1)


def test_a_standby_takes_over_from_a_controller_that_stands_still(mosquitto: str, tmp_path: Path) -> None:
    """SIGSTOP for longer than its lease: the standby goes on with the same processes; continued, the old one leaves in words."""
    assert mosquitto
    log, state = tmp_path / "log", tmp_path / "state"
    command = [*MAIN, "serve", SCENARIO, "--state", str(state), "--day-seconds", "400", "--replan-every", "1440", "--lease", "4"]
    with open_folder() as folder, standing(folder / "b") as broker, contextlib.ExitStack() as stack:
        command += ["--broker", str(folder / "b" / "controller")]
        for node in NODES:
            home = enrol(minimal(), node, folder / "b", None)
            stack.enter_context(running([*AGENT, str(home)], log, PYTHONPATH=str(ROOT)))
        broker.look()
        first = stack.enter_context(running([*command, "--mode", "live", "--promote-without-evidence", "a test"], log))
        wait_for(lambda: "is in force" in log.read_text(), "the first plan", log)
        second = stack.enter_context(running([*command, "--standby"], log))
        wait_for(lambda: "standing by" in log.read_text(), "the standby", log)
        wait_for(lambda: _jobs(state) != {}, "a job that runs", log)
        before = status(state)
        assert before["pid"] == first.pid
        os.kill(first.pid, signal.SIGSTOP)
        wait_for(lambda: status(state)["pid"] == second.pid, "the take-over", log)
        wait_for(lambda: status(state)["epoch"] > before["epoch"] and _jobs(state) != {}, "its own epoch", log)
        os.kill(first.pid, signal.SIGCONT)
        assert first.wait(30) == 1
        assert "longer than its lease of 4 s: another may have taken over; it falls silent and leaves" in log.read_text()
        second.send_signal(signal.SIGTERM)
        assert second.wait(30) == 0
        told = status(state)
        assert told["counters"] == {"doubled": 0, "lost": 0, "failed": 0}
        assert "stale" not in log.read_text()  # the old one said nothing that nodes had to refuse


def _jobs(state: Path) -> dict[str, Any]:
    """Jobs by node, where there are any."""
    nodes = status(state)["nodes"] if (state / "state.sqlite").exists() else {}
    return {name: node["jobs"] for name, node in nodes.items() if node["jobs"]}
