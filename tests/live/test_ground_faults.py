"""Faults of what the live plane stands on: the broker's memory, the network, the disk. Each with real processes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ozzo.commands import CapState, Channel, Hello, JobState, topic
from ozzo.lease import CapMode
from tests.live.faults import Fault
from tests.live.plane import AGENT, NUMBERS, Plane, lasting, many_nodes
from tests.live.processes import ROOT, open_folder, running, standing
from tests.ozzo.rig import alive, eventually, pause, run, stop
from tests.ozzo.test_kept_jobs import stands

pytestmark = [pytest.mark.live, pytest.mark.slow]
LEASE_S = 3.0


def root_only() -> None:
    """Skip, with the reason, where the system does not let us break it."""
    if os.geteuid() != 0:
        pytest.skip("needs root: namespaces and mounts")


def called(*command: str) -> None:
    """Run a tool of the system; skip when this machine does not allow what it does."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{' '.join(command[:3])}: not allowed here ({done.stderr.strip()[:200]})")


def low_failsafe(plane: Plane) -> None:
    """The node's failsafe cap is below what its job draws."""
    told = json.loads((plane.folder / "agent.json").read_text())
    (plane.folder / "agent.json").write_text(json.dumps(told | {"failsafe_kw": 0.1, "idle_kw": 0.0}))


def let_go_on(plane: Plane, pid: int) -> None:
    """Heartbeat and cap until the job that failsafe has paused goes on (both are needed)."""

    def goes_on() -> bool:
        for desired in (Hello(), CapState(cap_kw=1.0)):
            plane.rig.send(plane.rig.command(plane.node, desired, lease_s=30.0))
        return not stands(pid)

    eventually(goes_on, f"the end of {CapMode.FAILSAFE}")


def heard(plane: Plane, wish: JobState) -> int:
    """Let a job run that the failsafe cap does not allow, with a short lease; its process."""
    plane.rig.ask(plane.node, wish, lease_s=LEASE_S)
    return plane.started()[0]


def test_a_broker_restored_from_an_old_snapshot(plane: Plane, fault: Fault) -> None:
    """It has forgotten what came since and delivers an old command again: it is answered as before, and nothing happens."""
    fault(
        "SIGKILL of the broker, restored from a snapshot with an old command in it",
        "the old command is answered again, 1 start, stays stopped, the next command is obeyed",
    )
    database = plane.broker.folder / "mosquitto" / "mosquitto.db"
    with plane.agent() as first:
        plane.there()
        first.kill()
        first.wait()
    old = lasting(plane.rig.command(plane.node, run("j", "count", "600")))
    plane.rig.transport.publish(topic("minimal", plane.node, Channel.COMMAND), old.encode(), expiry_s=120)
    marked = database.stat().st_mtime_ns if database.exists() else 0
    eventually(lambda: database.exists() and database.stat().st_mtime_ns > marked, "a snapshot")
    written = database.stat().st_mtime_ns
    eventually(lambda: database.stat().st_mtime_ns > written, "a snapshot that has the command for sure")
    snapshot = database.read_bytes()
    with plane.agent():
        plane.rig.answer(old)
        plane.started()
        plane.rig.ask(plane.node, stop("j"))
        count, before = len(plane.rig.stages(old)), plane.broker.pid
        os.kill(before, signal.SIGSTOP)  # it writes nothing any more, and no other one reads before the snapshot is there
        database.write_bytes(snapshot)
        os.kill(before, signal.SIGKILL)
        eventually(lambda: plane.broker.pid not in {0, before}, "another broker")
        eventually(lambda: len(plane.rig.stages(old)) > count, "the old command's answer")
        plane.there()
        states = "stays stopped" if not any(map(alive, plane.starts())) else "runs again"
        starts = len(plane.starts())
        stages = plane.insist(lasting(plane.rig.command(plane.node, run("k", "count", "600"))))
        obeyed = "is obeyed" if stages and len(plane.started(starts + 1)) == starts + 1 else "is not obeyed"
        plane.insist(lasting(plane.rig.command(plane.node, stop("k"))))
    fault.saw(f"the old command is answered again, {starts} start, {states}, the next command {obeyed}")


@contextmanager
def network(number: int) -> Iterator[tuple[str, str, str]]:
    """A network namespace with one cable to this machine: its name, our address, our end of the cable."""
    root_only()
    name, ours, theirs = f"ozzo-{os.getpid()}-{number}", f"oz{os.getpid() % 10000}a{number}", f"oz{os.getpid() % 10000}b{number}"
    net = f"10.197.{os.getpid() % 250}.{4 * (number % 60)}".rpartition(".")
    first = int(net[2])
    called("ip", "netns", "add", name)
    try:
        called("ip", "link", "add", ours, "type", "veth", "peer", "name", theirs)
        try:
            called("ip", "link", "set", theirs, "netns", name)
            called("ip", "addr", "add", f"{net[0]}.{first + 1}/30", "dev", ours)
            called("ip", "link", "set", ours, "up")
            called("ip", "-n", name, "addr", "add", f"{net[0]}.{first + 2}/30", "dev", theirs)
            called("ip", "-n", name, "link", "set", theirs, "up")
            called("ip", "-n", name, "link", "set", "lo", "up")
            yield name, f"{net[0]}.{first + 1}", ours
        finally:
            subprocess.run(["ip", "link", "del", ours], check=False, capture_output=True)
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@contextmanager
def mounted(folder: Path, size_mb: int = 2) -> Iterator[None]:
    """A small disk there."""
    root_only()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    called("mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=700", "tmpfs", str(folder))
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)


@pytest.mark.usefixtures("patience")
def test_a_cut_network(mosquitto: str, tmp_path: Path, fault: Fault) -> None:
    """The node is in a namespace of its own, the broker beyond a cable with TLS; the cable is cut for longer than the lease."""
    fault(
        "network cut between one node and the broker, for longer than the lease",
        "failsafe pauses the job above its cap, after the cut the same process goes on: 1 start",
    )
    assert mosquitto
    names = many_nodes().sites[0].node_names()
    with (
        network(next(NUMBERS)) as (namespace, address, cable),
        open_folder() as folder,
        standing(folder / "b", f"{address}:0", names, address) as broker,
    ):
        plane = Plane(broker, tmp_path)
        low_failsafe(plane)
        command = ["ip", "netns", "exec", namespace, sys.executable, str(AGENT), str(plane.folder)]
        with contextlib.closing(plane), running(command, plane.output, PYTHONPATH=str(ROOT)):
            plane.there()
            pid = heard(plane, run("j", "count", "600", power_kw=0.5))
            called("ip", "link", "set", cable, "down")
            eventually(lambda: stands(pid), "the failsafe cap")
            called("ip", "link", "set", cable, "up")
            let_go_on(plane, pid)
            plane.insist(lasting(plane.rig.command(plane.node, stop("j"))))
    starts = len(plane.starts())
    fault.saw(f"failsafe pauses the job above its cap, after the cut the same process goes on: {starts} start")


def test_a_full_disk_under_the_journal(plane: Plane, fault: Fault) -> None:
    """Nothing is obeyed that cannot be written down first; the lease runs out; with room again the next command is obeyed."""
    fault(
        "disk full under the node's journal",
        "not accepted, 1 start, failsafe pauses the job above its cap, one line in the log; with room again: obeyed",
    )
    low_failsafe(plane)
    state = plane.folder / "state"
    with mounted(state), plane.agent():
        plane.there()
        pid = heard(plane, run("j", "count", "600", power_kw=0.5))
        filler = state / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        sent = [plane.rig.send(plane.rig.command(plane.node, pause("k"))) for _ in range(50)]  # the log had room left for some
        eventually(lambda: "cannot be written" in plane.output.read_text(), "the line in the log")
        last = plane.rig.send(plane.rig.command(plane.node, pause("k")))
        eventually(lambda: stands(pid), "the failsafe cap")
        starts, unheard = len(plane.starts()), not plane.rig.stages(last) and len(sent) == 50
        filler.unlink()
        let_go_on(plane, pid)
        stages = plane.insist(lasting(plane.rig.command(plane.node, stop("j"))))
        obeyed = "obeyed" if "applied" in stages and not alive(pid) else "not obeyed"
    lines = plane.output.read_text().count("the journal cannot be written, so")
    told = f"{'not ' if unheard else ''}accepted, {starts} start, failsafe pauses the job above its cap"
    fault.saw(f"{told}, {'one' if lines == 1 else lines} line in the log; with room again: {obeyed}")
