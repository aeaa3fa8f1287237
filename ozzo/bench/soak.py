"""``ozzo bench soak``: the live plane under random faults at a seed; at the end every counter must be zero.

A broker under the supervision of ``ozzo broker``, simulated nodes in a process, a controller in another; between them two cables
that can be cut. The seed decides what is broken when; what the machine makes of it in time is not repeated exactly.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TextIO

from ozzo.address import listening_place
from ozzo.bench.control_stage import IDLE_KW, made, search_path
from ozzo.bench.proxy import Proxy
from ozzo.bench.soak_controller import Wishes
from ozzo.bench.soak_counts import SoakCounts, counts_of
from ozzo.broker_files import CONTROLLER
from ozzo.credentials import read_credentials, write_credentials
from ozzo.environment import child_environment
from ozzo.mqtt import Endpoint
from ozzo.private import write_private
from ozzo.simulated_nodes import simulated_configs
from ozzo.standing import StandingBroker

SPEED = 5.0
"""Simulated jobs run so many times faster than the clock."""
FAULT_EVERY_S = 6.0
"""Mean time between two faults."""
CALM_S = 180.0
"""Longest wait, after the last fault, until every job has ended."""


@dataclass(frozen=True, slots=True)
class SoakOptions:
    """How to soak: for how long, with which seed, how many nodes."""

    minutes: float = 30.0
    seed: int = 0
    nodes: int = 20


@dataclass(frozen=True, slots=True)
class SoakResult:
    """What came of it: counters, how much was done, what was broken how often."""

    counts: SoakCounts
    done: dict[str, int]
    faults: dict[str, int]


@dataclass
class _Cast:
    """Who takes part.

    Attributes:
        broker: supervised; cables: of the nodes and of the controller; commands: that start the two; log: of both.
        nodes, controller: processes; old: controllers that were replaced while they lived; crashes: ends with a traceback.
    """

    broker: StandingBroker
    cables: tuple[Proxy, Proxy]
    commands: tuple[list[str], list[str]]
    log: Path
    nodes: subprocess.Popen[bytes]
    controller: subprocess.Popen[bytes]
    old: list[subprocess.Popen[bytes]] = field(default_factory=list)
    crashes: int = 0

    def start(self, number: int) -> subprocess.Popen[bytes]:
        """Start the nodes (0) or a controller (1)."""
        return started(self.commands[number], self.log)

    def supervise(self) -> None:
        """Start again what has ended; an end by itself with a traceback is a crash."""
        if self.nodes.poll() is not None:
            self.crashes += self.nodes.returncode not in {0, -signal.SIGKILL}
            self.nodes = self.start(0)
        if self.controller.poll() is not None:
            self.crashes += self.controller.returncode not in {0, 3, -signal.SIGKILL}
            self.controller = self.start(1)

    def close(self) -> None:
        """End all processes."""
        for process in (self.nodes, self.controller, *self.old):
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.terminate() if process is self.nodes else process.kill()
            try:
                process.wait(20.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def started(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    """A process of ours that writes to ``log``."""
    with log.open("ab") as sink:
        return subprocess.Popen(command, stdout=sink, stderr=sink, env=child_environment(PYTHONPATH=search_path()))  # noqa: S603


@contextmanager
def cast(options: SoakOptions, folder: Path) -> Iterator[_Cast]:
    """Everybody on stage.

    Raises:
        TransportError: Mosquitto is missing or does not start.
    """
    scenario, _, _ = made(options.nodes)
    names = scenario.sites[0].node_names()
    with ExitStack() as stack:
        broker = StandingBroker(scenario.name, names, folder / "b", listening_place("127.0.0.1:0"), names=("127.0.0.1",))
        stop = threading.Event()
        watch = threading.Thread(target=broker.serve, args=(stop, lambda _: None))
        stack.enter_context(broker)
        watch.start()
        stack.callback(watch.join)
        stack.callback(stop.set)
        cables = (Proxy(broker.port), Proxy(broker.port))
        for cable in cables:
            stack.callback(cable.close)
        configs = simulated_configs(scenario, options.nodes, broker.folder, heartbeat_s=1.0)
        told = [config.model_copy(update={"port": cables[0].port}).model_dump(mode="json") for config in configs]
        write_private(folder / "nodes.json", json.dumps(told))
        own = read_credentials(broker.folder / "controller").endpoint
        through = Endpoint("127.0.0.1", cables[1].port, CONTROLLER, own.password)
        write_credentials(folder / "controller", scenario.name, through, None)
        state = folder / "state"
        state.mkdir()
        (state / "nodes").write_text("\n".join(names), encoding="utf-8")
        python, log = [sys.executable, "-m"], folder / "log"
        crowd = ["ozzo.agent.crowd", str(folder / "nodes.json"), "--journal", str(state / "nodes.sqlite"), "--draws"]
        control = ["ozzo.bench.soak_controller", str(folder / "controller"), str(state), str(options.seed)]
        commands = ([*python, *crowd, "--speed", f"{SPEED:g}"], [*python, *control])
        time.sleep(1.0)  # the broker reads its new users
        players = _Cast(broker, cables, commands, log, started(commands[0], log), started(commands[1], log))
        stack.callback(players.close)
        yield players


Break = Callable[[_Cast, random.Random], None]


def _kill_controller(players: _Cast, chance: random.Random) -> None:
    players.controller.kill()
    players.controller.wait()
    time.sleep(chance.uniform(0.0, 2.0))


def _kill_nodes(players: _Cast, chance: random.Random) -> None:
    players.nodes.kill()
    players.nodes.wait()
    time.sleep(chance.uniform(0.0, 3.0))


def _kill_broker(players: _Cast, _: random.Random) -> None:
    if players.broker.pid:
        with suppress(ProcessLookupError):  # it is down already
            os.kill(players.broker.pid, signal.SIGKILL)


def _cut_nodes(players: _Cast, chance: random.Random) -> None:
    players.cables[0].cut(chance.uniform(1.0, 20.0))


def _cut_controller(players: _Cast, chance: random.Random) -> None:
    players.cables[1].cut(chance.uniform(1.0, 20.0))


def _delay(players: _Cast, chance: random.Random) -> None:
    players.cables[chance.randrange(2)].hold(chance.uniform(1.0, 8.0))


def _sleep_controller(players: _Cast, chance: random.Random) -> None:
    players.controller.send_signal(signal.SIGSTOP)
    time.sleep(chance.uniform(1.0, 20.0))
    with suppress(ProcessLookupError):
        players.controller.send_signal(signal.SIGCONT)


def _second_controller(players: _Cast, _: random.Random) -> None:
    players.old.append(players.controller)
    players.controller = players.start(1)


FAULTS: dict[str, tuple[Break, int]] = {
    "SIGKILL of the controller": (_kill_controller, 3),
    "SIGKILL of the nodes' process": (_kill_nodes, 3),
    "SIGKILL of the broker": (_kill_broker, 2),
    "nodes cut off for 1 to 20 s": (_cut_nodes, 2),
    "controller cut off for 1 to 20 s": (_cut_controller, 2),
    "everything 1 to 8 s late on one cable": (_delay, 2),
    "SIGSTOP of the controller for 1 to 20 s": (_sleep_controller, 1),
    "a second controller": (_second_controller, 1),
}
"""What is broken, how, and how often relative to the others. The controller loses, doubles and delays messages all the time."""


def soak(options: SoakOptions, say: Callable[[str], None]) -> SoakResult:
    """Break things for a while, let everything come to rest, and count.

    Raises:
        TransportError: Mosquitto is missing or does not start.
    """
    chance = random.Random(options.seed)  # noqa: S311 (no secret)
    with tempfile.TemporaryDirectory(prefix="ozzo-soak-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # the broker's user passes through
        with cast(options, folder) as players:
            faults = _break_things(players, chance, options.minutes * 60.0, say)
            (folder / "state" / "calm").touch()
            _come_to_rest(players, folder / "state", say)
        log = (folder / "log").read_text(encoding="utf-8", errors="replace")
        if players.crashes:
            say(log[log.find("Traceback") :][:2000])
        state = folder / "state"
        counts, done = counts_of(state / "nodes.sqlite", state / "wishes.sqlite", IDLE_KW, players.crashes)
    return SoakResult(counts, done, dict(faults))


def _break_things(players: _Cast, chance: random.Random, seconds: float, say: Callable[[str], None]) -> Counter[str]:
    names, weights = list(FAULTS), [weight for _, weight in FAULTS.values()]
    faults: Counter[str] = Counter()
    end = time.monotonic() + seconds
    while (left_s := end - time.monotonic()) > 0:
        pause = time.monotonic() + min(left_s, chance.expovariate(1.0 / FAULT_EVERY_S))
        while time.monotonic() < pause:
            time.sleep(min(0.2, max(0.0, pause - time.monotonic())))
            players.supervise()
        (name,) = chance.choices(names, weights)
        faults[name] += 1
        say(f"{left_s:.0f} s left: {name}")
        FAULTS[name][0](players, chance)
        players.supervise()
    return faults


def _come_to_rest(players: _Cast, state: Path, say: Callable[[str], None]) -> None:
    """Wait until every wish is fulfilled, or time is up."""
    end, left = time.monotonic() + CALM_S, 0
    while time.monotonic() < end:
        time.sleep(1.0)
        players.supervise()
        with closing(Wishes(state / "wishes.sqlite")) as wishes:
            left = len(wishes.open())
        if not left:
            return
    say(f"{left} jobs have not ended {CALM_S:.0f} s after the last fault")


def print_result(result: SoakResult, out: TextIO) -> None:
    """Tables of counters and faults."""
    out.write("| counter | value |\n|---|---|\n")
    out.writelines(f"| `{name}` | {value} |\n" for name, value in {**asdict(result.counts), **result.done}.items())
    out.write("\n| broken | times |\n|---|---|\n")
    out.writelines(f"| {name} | {count} |\n" for name, count in sorted(result.faults.items()))


def result_json(result: SoakResult) -> str:
    """The same as JSON."""
    return json.dumps({"clean": result.counts.clean, **asdict(result)}, indent=1)
