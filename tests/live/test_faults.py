"""Faults of the live plane, each with real processes: a broker, an agent, jobs, and what kills or cheats them."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ozzo.commands import MAX_BYTES, Channel, Command, Hello, JobState, RefusalCode, Stage, decode, topic
from ozzo.credentials import read_credentials
from ozzo.enrolment import enrol
from ozzo.mqtt import MqttTransport
from tests.live.agent_process import PHASES as AGENT_PHASES
from tests.live.controller_process import PHASES as CONTROLLER_PHASES
from tests.live.faults import Fault
from tests.live.plane import NUMBERS, Plane, lasting, many_nodes
from tests.live.processes import ROOT, running
from tests.ozzo.rig import alive, eventually, pause, run, stop
from tests.ozzo.test_kept_jobs import FORKS, stands

pytestmark = [pytest.mark.live, pytest.mark.slow]
CONTROLLER = ROOT / "tests" / "live" / "controller_process.py"


@pytest.mark.parametrize("phase", AGENT_PHASES)
def test_sigkill_of_the_agent_in_a_command(plane: Plane, fault: Fault, phase: str) -> None:
    """In every phase of a command: after a restart the job runs, it was started once, and the command is answered as applied."""
    fault(f"SIGKILL of the agent, {phase}", "1 start, runs, applied")
    with plane.agent(phase) as first:
        plane.there()
        command = plane.rig.send(lasting(plane.rig.command(plane.node, run("j", "count", "600"))))
        first.wait(60)
    with plane.agent():
        stages = plane.insist(command)
        plane.started()
        plane.there()
        told = told_of(plane.starts(), stages)
        plane.rig.ask(plane.node, stop("j"))
    fault.saw(told)


def told_of(starts: list[int], stages: list[Stage]) -> str:
    """Number of starts, whether the last one lives, and whether it was told as applied."""
    counted = f"{len(starts)} start{'' if len(starts) == 1 else 's'}"
    return f"{counted}, {'runs' if alive(starts[-1]) else 'is gone'}, {'applied' if Stage.APPLIED in stages else 'not applied'}"


@pytest.mark.parametrize("phase", AGENT_PHASES)
def test_sigkill_of_the_broker_in_a_command(plane: Plane, fault: Fault, phase: str) -> None:
    """In every phase of a command: the broker comes back, the command is repeated, the job was started once."""
    fault(f"SIGKILL of the broker, agent {phase}", "1 start, runs, applied")
    before = plane.broker.pid
    with plane.agent(phase, str(before)):
        plane.there()
        command = lasting(plane.rig.command(plane.node, run("j", "count", "600")))
        stages = plane.insist(command)
        told = told_of(plane.started(), stages)
        eventually(lambda: plane.broker.pid not in {0, before}, "another broker")
        plane.insist(lasting(plane.rig.command(plane.node, stop("j"))))
    fault.saw(told)


@contextmanager
def controller(plane: Plane, *phase: str, lease_s: float = 15.0) -> Iterator[subprocess.Popen[str]]:
    """A controller process; what it answers goes to its standard output, what it says otherwise to the log."""
    folder = plane.broker.folder / "controller"
    command = [sys.executable, str(CONTROLLER), str(folder), str(plane.tmp), plane.node, *phase]
    env = dict(os.environ) | {"PYTHONPATH": str(ROOT), "OZZO_TEST_LEASE_S": str(lease_s)}
    with (
        plane.output.open("ab") as sink,
        subprocess.Popen(
            command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sink, text=True, bufsize=1
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def hung_up(plane: Plane) -> Iterator[None]:
    """The agent is there, and the controller's user is free."""
    plane.hang_up()
    yield


def tell(process: subprocess.Popen[str], wish: JobState) -> None:
    """Give a controller a wish."""
    assert process.stdin is not None
    process.stdin.write(wish.encode().decode() + "\n")
    process.stdin.flush()


def line(process: subprocess.Popen[str], stage: str = "") -> dict[str, Any]:
    """The next line of a controller, or the next answer of a stage to a job command."""
    assert process.stdout is not None
    while text := process.stdout.readline():
        told: dict[str, Any] = json.loads(text)
        if not stage or (told.get("stage") == stage and "cap_kw" not in told["measured"]):
            return told
    raise AssertionError(f"the controller has ended with {process.wait()}")


@pytest.mark.parametrize("phase", CONTROLLER_PHASES)
def test_sigkill_of_the_controller_in_a_command(plane: Plane, fault: Fault, phase: str) -> None:
    """In every phase of a command: the next controller is above the dead one, states its wish, and the job was started once."""
    fault(f"SIGKILL of the controller, {phase}", "1 start, epoch +1, the same process")
    with plane.agent():
        plane.hang_up()
        with controller(plane, phase) as first:
            epoch = int(str(line(first)["epoch"]))
            tell(first, run("j", "count", "600"))
            first.wait(60)
        with controller(plane) as second:
            above = int(str(line(second)["epoch"])) - epoch
            tell(second, run("j", "count", "600"))
            measured = line(second, "applied")["measured"]
            starts = plane.started()
            told = f"{len(starts)} start, epoch +{above}, {'the same' if measured['pid'] == starts[0] else 'another'} process"
            tell(second, stop("j"))
            line(second, "applied")
    fault.saw(told)


def test_two_controllers_at_once(plane: Plane, fault: Fault) -> None:
    """The younger one takes over: the older one is thrown out and ends, and what it had sent later is not obeyed."""
    fault("two controllers at once", "the older one ends, the node obeys the younger: 1 start, then paused")
    with plane.agent(), hung_up(plane), controller(plane) as first:
        line(first)
        tell(first, run("j", "count", "600"))
        line(first, "applied")
        with controller(plane) as second:
            line(second)
            tell(second, pause("j"))
            line(second, "applied")
            tell(first, run("j", "count", "600"))
            ended = first.wait(60)
            pid = plane.started()[0]
            eventually(lambda: stands(pid), "the pause")
            tell(second, pause("j"))
            line(second, "applied")
            state = "paused" if stands(pid) else "running"
            tell(second, stop("j"))
            line(second, "applied")
    assert "has taken over" in plane.output.read_text()
    fault.saw(
        f"the older one {'ends' if ended else 'goes on'}, the node obeys the younger: {len(plane.starts())} start, then {state}"
    )


def test_a_stale_command_in_flight(plane: Plane, fault: Fault) -> None:
    """A command of a lower epoch that arrives after one of a higher epoch, fresh id, in time: refused by the fence."""
    fault("a command of a replaced controller arrives late", "refused (stale_epoch), 0 starts")
    with plane.agent():
        plane.there()
        plane.rig.ask(plane.node, stop("none"), epoch=7)
        answer = plane.rig.ask(plane.node, run("j", "count", "600"), epoch=6)
    fault.saw(f"{answer.stage} ({answer.code}), {len(plane.starts())} starts")


def test_a_controller_that_sleeps_longer_than_its_lease(plane: Plane, fault: Fault) -> None:
    """SIGSTOP: the node goes to its failsafe cap; another controller takes over; woken, the first one is fenced."""
    fault(
        "SIGSTOP of the controller for longer than its lease, another one takes over, SIGCONT",
        "failsafe pauses the job above its cap, the next controller lets it go on, the woken one ends: 1 start, runs",
    )
    told = json.loads((plane.folder / "agent.json").read_text())
    (plane.folder / "agent.json").write_text(json.dumps(told | {"failsafe_kw": 0.1, "idle_kw": 0.0}))
    with plane.agent(), hung_up(plane), controller(plane, lease_s=3.0) as first:
        line(first)
        tell(first, run("j", "count", "600", power_kw=0.5))
        line(first, "applied")
        pid = plane.started()[0]
        eventually(lambda: alive(pid) and not stands(pid), "a running job")
        first.send_signal(signal.SIGSTOP)
        tell(first, run("k", "count", "600"))  # it will read this when it wakes up
        eventually(lambda: stands(pid), "the failsafe cap")
        with controller(plane, lease_s=3.0) as second:
            line(second)
            tell(second, run("j", "count", "600", power_kw=0.5))
            line(second, "applied")
            eventually(lambda: not stands(pid), "the end of failsafe")
            first.send_signal(signal.SIGCONT)
            ended = first.wait(60)
            tell(second, run("j", "count", "600", power_kw=0.5))
            line(second, "applied")
            starts = plane.starts()
            state = "runs" if starts == [pid] and alive(pid) and not stands(pid) else "does not run"
            tell(second, stop("j"))
            line(second, "applied")
    done = "failsafe pauses the job above its cap, the next controller lets it go on"
    fault.saw(f"{done}, the woken one {'ends' if ended else 'goes on'}: {len(starts)} start, {state}")


def test_sigkill_of_the_agent_while_jobs_run(plane: Plane, fault: Fault) -> None:
    """By ``ozzo agent`` itself: running and paused job live on; the next agent knows both, and one that ended meanwhile."""
    fault("SIGKILL of the agent while 3 jobs run", "2 go on as the same processes, the end of the third is told, 3 starts")
    command = [sys.executable, "-c", "from ozzo.cli import main; main()", "agent", str(plane.folder)]
    with running(command, plane.output, PYTHONPATH=str(ROOT)) as first:
        plane.there()
        answers = [plane.rig.ask(plane.node, run(name, "count", "600")) for name in ("a", "b")]
        brief = plane.rig.send(plane.rig.command(plane.node, run("c", "count", "1")))
        plane.rig.answer(brief)
        plane.rig.ask(plane.node, pause("b"))
        first.kill()
        first.wait()
    pids = [int(answer.measured["pid"]) for answer in answers]
    plane.started(3)
    eventually(lambda: sum(map(alive, plane.starts())) == 2, "the end of the short job")
    with plane.agent():
        ended = plane.rig.answer(brief, Stage.ENDED)
        again = [plane.rig.ask(plane.node, wish) for wish in (run("a", "count", "600"), pause("b"))]
        same = sum(answer.measured["pid"] == pid for answer, pid in zip(again, pids, strict=True))
        assert (stands(pids[0]), stands(pids[1])) == (False, True)
        end = "told" if ended.measured["exit_code"] == 0 else "wrong"
        told = f"{same} go on as the same processes, the end of the third is {end}, {len(plane.starts())} starts"
        for name in ("a", "b"):
            plane.rig.ask(plane.node, stop(name))
    fault.saw(told)


def test_duplicated_reordered_and_delayed_commands(plane: Plane, fault: Fault) -> None:
    """Twenty commands to one job, each twice and in random order, some too late: the one of the highest sequence wins."""
    fault("20 commands twice each in random order, 5 more too late", "1 start, as the last command wishes, 5 expired")
    chance = random.Random(6)
    with plane.agent():
        plane.there()
        wishes = [chance.choice([run("j", "count", "600"), pause("j")]) for _ in range(18)]
        wishes = [run("j", "count", "600"), *wishes, pause("j")]
        first = plane.rig.command(plane.node, wishes[0])
        plane.rig.answer(plane.rig.send(first))
        commands = [first, *(plane.rig.command(plane.node, wish) for wish in wishes[1:])]
        order = [command for command in commands for _ in range(2)]
        chance.shuffle(order)
        for command in order:
            plane.rig.send(command)
        past = datetime.now(UTC) - timedelta(seconds=60)
        late = {"issued_at": past, "not_after": past + timedelta(seconds=1)}
        expired = [plane.rig.ask(plane.node, run("j", "count", "600"), **late).code for _ in range(5)]
        eventually(lambda: all(plane.rig.stages(command) for command in commands), "an answer to each")
        pid = plane.started()[0]
        eventually(lambda: Stage.APPLIED in plane.rig.stages(commands[-1]), "the last one")
        wished = "as the last command wishes" if stands(pid) else "not as the last command wishes"
        told = f"{len(plane.starts())} start, {wished}, {expired.count(RefusalCode.EXPIRED)} expired"
        plane.rig.ask(plane.node, stop("j"))
    fault.saw(told)


def test_a_replayed_command(plane: Plane, fault: Fault) -> None:
    """An old command comes again, byte for byte, after its job was stopped, and again after a restart of the agent."""
    fault("an old command is replayed, also after a restart of the agent", "its stored answer twice, 1 start, nothing runs")
    with plane.agent():
        plane.there()
        old = plane.rig.send(lasting(plane.rig.command(plane.node, run("j", "count", "600"))))
        plane.rig.answer(old)
        plane.started()
        plane.rig.ask(plane.node, stop("j"))
        count = len(plane.rig.stages(old))
        plane.rig.send(old)
        eventually(lambda: len(plane.rig.stages(old)) == count + 1, "the stored answer")
    with plane.agent():
        plane.there()
        plane.rig.send(old)
        eventually(lambda: len(plane.rig.stages(old)) >= count + 2, "the stored answer")
        plane.there()
    running_ones = "nothing runs" if not any(map(alive, plane.starts())) else "it runs"
    times = {2: "twice"}.get(len(plane.rig.stages(old)) - count, f"{len(plane.rig.stages(old)) - count} times")
    fault.saw(f"its stored answer {times}, {len(plane.starts())} start, {running_ones}")


def test_a_forged_command(plane: Plane, fault: Fault) -> None:
    """Another node's user publishes a perfect command on this node's topic: the broker lets nobody but the controller do that."""
    fault("a perfect command by another node's user", "0 starts, nothing in the node's journal")
    other = enrol(many_nodes(), f"hall.rack-{next(NUMBERS)}", plane.broker.folder, plane.tmp / "other")
    with plane.agent():
        plane.there()
        forged = plane.rig.command(plane.node, run("j", "count", "600"))
        thief = connect(other)
        thief.publish(topic("minimal", plane.node, Channel.COMMAND), forged.encode())
        thief.publish(topic("minimal", "+", Channel.COMMAND).replace("+", plane.node), forged.encode())
        time.sleep(1.0)
        thief.close()
        plane.rig.send(plane.rig.command(plane.node, Hello()))
        state = plane.rig.state(plane.node, lambda state: state.sequence >= forged.sequence + 1, "a later state")
    journal = "nothing" if state.position == 0 else f"{state.position} commands"
    fault.saw(f"{len(plane.starts())} starts, {journal} in the node's journal")


def connect(folder: Path) -> MqttTransport:
    """A client with a node's credentials, once the broker knows them."""
    found: list[MqttTransport] = []

    def works() -> bool:
        with contextlib.suppress(Exception):
            found.append(MqttTransport(read_credentials(folder).endpoint))
        return bool(found)

    eventually(works, "the other node's user")
    return found[0]


def test_noise(plane: Plane, fault: Fault) -> None:
    """Anything up to four times the longest command, broken commands included: counted, and a job goes on undisturbed."""
    fault("oversized and malformed payloads (hypothesis)", "every one counted, the job goes on, the next command is obeyed")
    with plane.agent():
        plane.there()
        pid = int(plane.rig.ask(plane.node, run("j", "count", "600")).measured["pid"])
        whole = plane.rig.command(plane.node, stop("j")).encode()
        place = topic("minimal", plane.node, Channel.COMMAND)
        sent = [0]

        @settings(max_examples=80)
        @given(
            st.one_of(
                st.binary(max_size=200),
                st.integers(1, 3 * MAX_BYTES).map(lambda size: b"x" * size),
                st.integers(1, len(whole) - 1).map(lambda cut: whole[:cut]),
                st.tuples(st.integers(0, len(whole) - 1), st.binary(min_size=1, max_size=3)).map(
                    lambda change: whole[: change[0]] + change[1] + whole[change[0] + len(change[1]) :]
                ),
                st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)).map(
                    lambda value: json.dumps({"id": value, "desired": value}).encode()
                ),
            )
        )
        def noise(payload: bytes) -> None:
            with contextlib.suppress(ValueError):
                decode(Command, payload)
                return  # by chance a command: no noise
            plane.rig.transport.publish(place, payload)
            sent[0] += 1

        noise()
        plane.rig.send(plane.rig.command(plane.node, Hello()))
        counted = plane.rig.state(plane.node, lambda state: state.malformed >= sent[0], "the count").malformed == sent[0]
        lives = alive(pid) and not stands(pid)
        obeyed = plane.rig.ask(plane.node, stop("j")).stage is Stage.APPLIED
    fault.saw(
        f"{'every one' if counted else 'not every one'} counted, the job {'goes on' if lives else 'is gone'}, "
        f"the next command is {'obeyed' if obeyed else 'not obeyed'}"
    )


def test_a_job_that_ignores_sigterm(plane: Plane, fault: Fault) -> None:
    """SIGKILL follows after the grace."""
    fault("a job that ignores SIGTERM", "gone by SIGKILL after its grace")
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    with plane.agent():
        plane.there()
        pid = int(plane.rig.ask(plane.node, run("j", "python", code)).measured["pid"])
        eventually(lambda: any(path.read_text() == "deaf\n" for path in plane.folder.rglob("output")), "a deaf job")
        exit_code = plane.rig.ask(plane.node, stop("j")).measured["exit_code"]
    fault.saw(f"{'gone' if not alive(pid) else 'alive'} by {signal.Signals(-int(exit_code)).name} after its grace")


def test_a_job_that_forks_away(plane: Plane, fault: Fault) -> None:
    """Its grandchild left group and session: it is stopped with the job all the same."""
    fault("a job that forks away (setsid, two forks)", "after stop: job gone, grandchild gone")
    note = plane.tmp / "grandchild"
    with plane.agent():
        plane.there()
        pid = int(plane.rig.ask(plane.node, run("j", "python", FORKS, str(note), "600")).measured["pid"])
        eventually(lambda: note.exists() and note.read_text() != "", "the grandchild")
        plane.rig.ask(plane.node, stop("j"))
    states = ["gone" if not alive(number) else "alive" for number in (pid, int(note.read_text()))]
    fault.saw(f"after stop: job {states[0]}, grandchild {states[1]}")


def test_clocks_that_disagree(plane: Plane, fault: Fault) -> None:
    """A command from 10 minutes in the node's future, and one from 10 minutes in its past: neither is obeyed."""
    fault("controller's clock 10 minutes ahead of the node's, or behind", "refused (clock_skew), refused (expired), 0 starts")
    with plane.agent():
        plane.there()
        told = []
        for minutes in (10, -10):
            issued = datetime.now(UTC) + timedelta(minutes=minutes)
            times = {"issued_at": issued, "not_after": issued + timedelta(seconds=5)}
            answer = plane.rig.ask(plane.node, run("j", "count", "600"), **times)
            told.append(f"{answer.stage} ({answer.code})")
    fault.saw(f"{told[0]}, {told[1]}, {len(plane.starts())} starts")
