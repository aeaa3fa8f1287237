"""A node agent with real child processes, over the in-memory transport."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from grid.errors import InputError
from ozzo.agent.child import process_state
from ozzo.agent.config import AgentConfig, builtin_programs, read_config, write_config
from ozzo.agent.journal import NodeJournal
from ozzo.agent.node import NodeAgent
from ozzo.commands import CapState, Channel, Hello, JobWish, RefusalCode, Stage, topic
from ozzo.fence import Fence
from ozzo.transport import MemoryHub
from tests.ozzo.rig import Rig, alive, eventually, pause, run, stop

NODE = "hall.rack-0"
PROGRAMS = builtin_programs() | {"python": (sys.executable, "-S", "-E", "-c"), "gone": ("/nowhere/program",)}
Start = Callable[..., Rig]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts an agent in a thread and gives the controller's end; stops it at the end."""
    running: list[tuple[NodeAgent, threading.Thread]] = []

    def begin(epoch: int = 1, **changes: Any) -> Rig:
        values: dict[str, Any] = {
            "scenario": "test",
            "node": NODE,
            "journal": str(tmp_path / "node.sqlite"),
            "programs": PROGRAMS,
            "idle_kw": 0.1,
            "failsafe_kw": 0.2,
            "failsafe_hold_s": 0.2,
            "stop_grace_s": 0.5,
        }
        hub = MemoryHub()
        rig = Rig("test", hub.connect(), epoch)
        agent = NodeAgent(AgentConfig(**(values | changes)), hub.connect())
        thread = threading.Thread(target=agent.run)
        running.append((agent, thread))
        thread.start()
        rig.birth(NODE)
        return rig

    yield begin
    for agent, thread in running:
        if thread.is_alive():
            agent.stop()
        thread.join()


def test_a_job_runs_pauses_goes_on_and_ends(start: Start) -> None:
    """Each state is measured on the real process; its end is reported with exit code and own run time."""
    rig = start()
    begun = rig.send(rig.command(NODE, run("j", "work", "0.3", "0.1")))
    pid = int(rig.answer(begun).measured["pid"])
    assert rig.stages(begun)[:2] == [Stage.ACCEPTED, Stage.APPLIED]
    assert rig.ask(NODE, pause("j")).measured["running"] == 0.0
    assert process_state(pid) == "T"
    assert rig.ask(NODE, run("j", "work", "0.3", "0.1")).measured["pid"] == pid
    ended = rig.answer(begun, Stage.ENDED)
    assert ended.measured["exit_code"] == 0.0
    assert ended.measured["ran_s"] >= 0.29
    assert not alive(pid)


def test_a_stopped_job_is_gone_with_its_children(start: Start, tmp_path: Path) -> None:
    """Stop is applied when the process is gone; what it had started is gone too, even when it ignores SIGTERM."""
    rig, note = start(), tmp_path / "pid"
    code = (
        "import subprocess, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "child = subprocess.Popen(['/bin/sleep', '60']);"
        f"open({str(note)!r}, 'w').write(str(child.pid)); time.sleep(60)"
    )
    begun = rig.send(rig.command(NODE, run("j", "python", code)))
    pid = int(rig.answer(begun).measured["pid"])
    eventually(lambda: note.exists() and note.read_text() != "", "the grandchild")
    stopped = rig.ask(NODE, stop("j"))
    assert (stopped.stage, stopped.measured["exit_code"]) == (Stage.APPLIED, -signal.SIGKILL)
    assert not alive(pid)
    eventually(lambda: not alive(int(note.read_text())), "the grandchild's end")
    assert rig.answer(begun, Stage.ENDED).measured["stopped"] == 1.0


def test_a_paused_job_can_be_stopped(start: Start) -> None:
    """A frozen process is woken for its end."""
    rig = start()
    rig.ask(NODE, run("j"))
    rig.ask(NODE, pause("j"))
    assert rig.ask(NODE, stop("j")).measured["exit_code"] == -signal.SIGTERM


def test_a_repeated_command_has_no_second_effect(start: Start) -> None:
    """The same id again brings the stored answer; there is still one process, and the journal holds one command."""
    rig = start()
    begun = rig.send(rig.command(NODE, run("j")))
    first = rig.answer(begun)
    rig.ask(NODE, pause("j"))
    rig.send(begun)
    eventually(lambda: rig.stages(begun).count(Stage.APPLIED) == 2, "the stored answer")
    assert process_state(int(first.measured["pid"])) == "T"
    rig.send(rig.command(NODE, Hello()))
    state = rig.state(NODE, lambda state: state.position == 2, "journal position")
    assert state.jobs == {"j": JobWish.PAUSED}


def test_stale_late_and_foreign_commands_are_refused(start: Start) -> None:
    """A lower epoch, a repeated sequence, a passed not-after and another node's name each have their code; nothing runs."""
    rig = start(epoch=5)
    rig.ask(NODE, stop("none"))
    past = datetime.now(UTC) - timedelta(seconds=60)
    late = {"issued_at": past, "not_after": past + timedelta(seconds=5)}
    codes = [
        rig.ask(NODE, run("j"), epoch=4).code,
        rig.ask(NODE, run("j"), sequence=1).code,
        rig.ask(NODE, run("j"), **late).code,
    ]
    assert codes == [RefusalCode.STALE_EPOCH, RefusalCode.STALE_SEQUENCE, RefusalCode.EXPIRED]
    foreign = rig.command("other", run("j"))
    rig.transport.publish(topic("test", NODE, Channel.COMMAND), foreign.encode())
    assert rig.answer(foreign).code is RefusalCode.WRONG_NODE
    rig.send(rig.command(NODE, Hello()))
    assert rig.state(NODE, lambda state: state.event == "heartbeat", "heartbeat").jobs == {}


def test_the_fence_survives_the_agent(start: Start, tmp_path: Path) -> None:
    """After a restart the old controller is still refused and an old id is still answered from the journal."""
    journal = NodeJournal(tmp_path / "node.sqlite")
    journal.raise_fence(Fence(7, 3))
    journal.close()
    rig = start(epoch=6)
    assert rig.ask(NODE, run("j")).code is RefusalCode.STALE_EPOCH
    assert rig.birth(NODE).failsafe  # an earlier life obeyed somebody: not free before a controller speaks


def test_only_allowed_programs_run(start: Start) -> None:
    """A program that is not on the list, or whose file is missing, fails with its reason; a path is no way around."""
    rig = start()
    for argv in (("sh", "-c", "true"), ("/bin/sleep", "1"), ("../sleep", "1")):
        failed = rig.ask(NODE, run("j", *argv))
        assert (failed.stage, failed.code) == (Stage.FAILED, RefusalCode.PROGRAM_NOT_ALLOWED)
    begun = rig.send(rig.command(NODE, run("k", "gone")))
    assert rig.answer(begun, Stage.ENDED, Stage.FAILED).measured.get("exit_code", 1.0) != 0.0


def test_arguments_are_never_a_shell(start: Start, tmp_path: Path) -> None:
    """What a shell would expand or run arrives as plain text, and bounded output comes back when the job fails."""
    rig = start()
    trap = tmp_path / "trap"
    code = "import sys; print('x' * 100000); print(sys.argv[1]); sys.exit(3)"
    begun = rig.send(rig.command(NODE, run("j", "python", code, f"$(touch {trap}); `id`")))
    ended = rig.answer(begun, Stage.ENDED)
    assert (ended.measured["exit_code"], trap.exists()) == (3.0, False)
    assert len(ended.text) <= 1000


def test_secrets_do_not_reach_jobs(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job sees PATH, LANG and its own names, nothing else of the agent's environment."""
    monkeypatch.setenv("OZZO_SECRET", "s3cret")
    rig = start()
    code = "import os, sys; sys.exit(' '.join(sorted(set(os.environ) - {'LC_CTYPE'})))"
    begun = rig.send(rig.command(NODE, run("j", "python", code)))
    assert rig.answer(begun, Stage.ENDED).text == "LANG OZZO_JOB OZZO_NODE PATH"


def test_absolute_states_of_jobs_that_are_gone(start: Start) -> None:
    """Stopping what does not run is done already; pausing what never ran fails; a job that ended well is not run twice."""
    rig = start()
    assert rig.ask(NODE, stop("never")).stage is Stage.APPLIED
    assert rig.ask(NODE, pause("never")).code is RefusalCode.UNKNOWN_JOB
    begun = rig.send(rig.command(NODE, run("j", "work", "0.01")))
    rig.answer(begun, Stage.ENDED)
    again = rig.ask(NODE, run("j", "work", "0.01"))
    assert (again.stage, again.measured) == (Stage.APPLIED, {"running": 0.0, "exit_code": 0.0})


def test_a_job_over_its_limit_is_stopped(start: Start) -> None:
    """It is ended by the node itself and says why."""
    rig = start()
    begun = rig.send(rig.command(NODE, run("j", "sleep", "60", limit_s=0.05)))
    assert rig.answer(begun, Stage.ENDED).code is RefusalCode.TIME_LIMIT


def test_a_cap_holds_jobs_back_and_lets_them_go(start: Start) -> None:
    """Under a lower cap the younger job is frozen although it should run; with more power it goes on."""
    rig = start()
    pids = [int(rig.ask(NODE, run(name, power_kw=0.2)).measured["pid"]) for name in ("old", "young")]
    assert rig.ask(NODE, CapState(cap_kw=0.35)).measured == {"cap_kw": 0.35, "failsafe": 0.0, "held": 1.0}
    assert [process_state(pid) == "T" for pid in pids] == [False, True]
    waiting = rig.ask(NODE, run("third", power_kw=0.2))
    assert waiting.measured == {"running": 0.0, "held": 1.0}  # it is not even started
    rig.ask(NODE, CapState(cap_kw=1.0))
    assert process_state(pids[1]) != "T"
    assert len(rig.state(NODE, lambda _: True, "a state").held) <= 2


def test_silence_leads_to_failsafe_and_back(start: Start) -> None:
    """When the lease runs out the failsafe cap holds; heartbeat, fresh cap and time end it."""
    rig = start()
    pid = int(rig.ask(NODE, run("j", power_kw=0.3), lease_s=0.2).measured["pid"])
    state = rig.state(NODE, lambda state: state.failsafe, "failsafe")
    assert (state.cap_kw, state.held) == (0.2, ("j",))
    assert process_state(pid) == "T"
    rig.send(rig.command(NODE, Hello()))
    rig.ask(NODE, CapState(cap_kw=0.5))
    rig.state(NODE, lambda state: state.cap_kw == 0.5 and not state.failsafe, "end of failsafe")
    eventually(lambda: process_state(pid) != "T", "the job goes on")


def test_noise_on_the_topic_is_counted(start: Start) -> None:
    """What cannot be read does nothing and is counted in the state; the agent goes on."""
    rig = start()
    for noise in (b"", b"{}", b"\xff" * 100, b"x" * 100_000):
        rig.transport.publish(topic("test", NODE, Channel.COMMAND), noise)
    rig.send(rig.command(NODE, Hello()))
    rig.state(NODE, lambda state: state.malformed == 4, "count of malformed messages")


def test_an_orphaned_agent_stops_its_jobs_and_leaves(start: Start) -> None:
    """Without a word for ``orphan_s`` it ends its jobs and says goodbye."""
    rig = start(orphan_s=0.5)
    pid = int(rig.ask(NODE, run("j")).measured["pid"])
    rig.state(NODE, lambda state: state.event == "death", "goodbye")
    assert not alive(pid)


def test_too_many_jobs_are_refused(start: Start) -> None:
    """A node takes a bounded number of jobs at once."""
    rig = start(max_jobs=1)
    rig.ask(NODE, run("one"))
    assert rig.ask(NODE, run("two")).code is RefusalCode.TOO_MANY_JOBS


def test_settings_must_be_private(tmp_path: Path) -> None:
    """A settings file that others may read, a missing one, and a wrong one are input errors that show no password."""
    path = tmp_path / "agent.json"
    journal = str(tmp_path / "j")
    config = AgentConfig(scenario="s", node="n", journal=journal, programs={"sleep": ("/bin/sleep",)}, password="s3cret")
    write_config(config, path)
    assert read_config(path) == config
    assert "s3cret" not in repr(config)
    path.chmod(0o644)
    with pytest.raises(InputError, match="600"):
        read_config(path)
    path.chmod(0o600)
    path.write_text('{"password": "s3cret", "programs": {"sleep": ["sleep"]}}')
    with pytest.raises(InputError) as caught:
        read_config(path)
    assert {finding.field for finding in caught.value.findings} == {"scenario", "node", "journal", "programs"}
    assert "s3cret" not in str(caught.value)
    with pytest.raises(InputError):
        read_config(tmp_path / "missing.json")
