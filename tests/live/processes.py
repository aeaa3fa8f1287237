"""Real processes of the live plane for tests: broker, agents, what listens, what runs."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ozzo.address import listening_place
from ozzo.enrolment import enrol
from ozzo.standing import StandingBroker
from scheduler.document import load_scenario
from scheduler.scenario import Scenario

ROOT = Path(__file__).parents[2]
MAIN = [sys.executable, "-c", "from ozzo.cli import main; main()"]
SCENARIO = "configs/minimal.yaml"
NODES = ("hall.rack-0", "hall.rack-1")
START_S = 60.0


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that the broker's user may pass through (pytest's own are closed to it when root runs the tests).

    Jobs outlive their agent, so what a test leaves running in the folder is ended with it.
    """
    folder = Path(tempfile.mkdtemp(prefix="ozzo-test-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        for pid in working_in(folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


def working_in(folder: Path) -> list[int]:
    """Processes whose working directory is in a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "cwd").readlink().is_relative_to(folder):
                found.append(int(entry.name))
    return found


def listeners(pid: int | None = None) -> set[tuple[str, int]]:
    """Address and port of listening TCP sockets (state 0A in ``/proc/net/tcp`` and ``tcp6``), all or those of a process."""
    inodes = None
    if pid is not None:
        links = []
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                links.append(str(entry.readlink()))
        inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
    found = set()
    for file in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(file).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and (inodes is None or fields[9] in inodes):
                text, port = fields[1].split(":")
                words = [bytes.fromhex(text[i : i + 8])[::-1] for i in range(0, len(text), 8)]
                found.add((str(ipaddress.ip_address(b"".join(words))), int(port, 16)))
    return found


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ozzo(*arguments: str, timeout: float = START_S) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run([*MAIN, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=timeout)


@dataclass
class BrokerProcess:
    """``ozzo broker`` as a process.

    Attributes:
        process: of the command; about: what it said when it was ready; folder: of the broker; log: its standard error.
    """

    process: subprocess.Popen[str]
    about: dict[str, Any]
    folder: Path
    log: Path

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.about["port"])

    def pid(self) -> int:
        """Process id of Mosquitto now, found by its argument list; 0 while there is none."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                    if words[1:3] == [b"-c", str(self.folder / "mosquitto" / "mosquitto.conf").encode()]:
                        return int(entry.name)
        return 0

    def enrol(self, node: str) -> Path:
        """Enrol a node; its folder."""
        return enrol(minimal(), node, self.folder, None)


@lru_cache(maxsize=1)
def minimal() -> Scenario:
    """The scenario of all these tests."""
    return load_scenario(ROOT / SCENARIO)


@contextmanager
def standing(
    folder: Path, listen: str = "127.0.0.1:0", names: Iterable[str] | None = None, host: str = "localhost"
) -> Iterator[StandingBroker]:
    """A broker inside this process, reached as ``host``, watched over by a thread; its user may enter ``folder``."""
    nodes = minimal().sites[0].node_names() if names is None else names
    broker = StandingBroker("minimal", nodes, folder, listening_place(listen), names=(host,))
    stop = threading.Event()
    with broker:
        watch = threading.Thread(target=broker.serve, args=(stop, lambda _: None))
        watch.start()
        try:
            yield broker
        finally:
            stop.set()
            watch.join()


@contextmanager
def running_broker(folder: Path, *options: str) -> Iterator[BrokerProcess]:
    """``ozzo broker`` on a free port; it is stopped at the end."""
    log = folder.parent / f"{folder.name}.log"
    command = [*MAIN, "broker", SCENARIO, "--dir", str(folder), "--json", *options]
    with log.open("a") as sink, subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=sink, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, log.read_text()
            yield BrokerProcess(process, json.loads(line), folder.resolve(), log)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def running(command: list[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours that is killed at the end if it still runs."""
    env = dict(os.environ) | environment
    with log.open("ab") as sink, subprocess.Popen(command, cwd=ROOT, stdout=sink, stderr=sink, env=env) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()


def wait_for_port(port: int) -> None:
    """Wait until something listens on a port."""
    until = time.monotonic() + START_S
    while not any(found == port for _, found in listeners()):
        assert time.monotonic() < until, f"nobody listens on port {port}"
        time.sleep(0.02)
