"""``ozzo bench control``: the live plane with many simulated nodes on Mosquitto, beside a bare paho loop.

*Fast path*: a limit comes; the ladder is climbed, every node is told to pause its job; the clock stops at the last node's
*applied*. *Bare*: as many messages of a command's size to one other client, which sends each one back; nothing is decoded,
written down or decided. Both in turn, in the same run, each over a broker of its own with the same settings. *Registered*: many
nodes, what they cost in memory, and how long it takes to tell each of them again. *Telemetry*: every node a state a second; the
slopes of queue and memory over time.
"""

from __future__ import annotations

import json
import math
import os
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

from grid.errors import TransportError
from ozzo.bench.control_stage import IDLE_KW, PEAK_KW, Stage, child, stage, told_private
from ozzo.bench.rows import machine
from ozzo.broker import Broker
from ozzo.broker_files import CONTROLLER
from ozzo.commands import Channel, Command, JobState, JobWish, topic, uuid7
from ozzo.fast_path import FastPath
from ozzo.mqtt import Endpoint, client_for
from scheduler.hold import tail
from scheduler.plan import Plan

Figures = dict[str, float]
PATIENCE_S = 120.0
"""Longest wait for all answers of a round."""
PAGE_BYTES = resource.getpagesize()
BARE, ECHO = "bare", "echo"
"""Scenario and node of the baseline."""
WARM_S, SAMPLE_S = 5.0, 1.0
"""Telemetry is looked at after so long, and so often."""


@dataclass(frozen=True, slots=True)
class ControlOptions:
    """What to measure.

    Attributes:
        agents: simulated nodes of the fast path and of telemetry.
        rounds: fast paths, and bare rounds, in turn.
        registered: nodes that are registered and told again; 0 leaves it out.
        telemetry_s: seconds of telemetry; 0 leaves it out.
    """

    agents: int = 1000
    rounds: int = 20
    registered: int = 10_000
    telemetry_s: float = 60.0


WORDS = {
    "agents": ("", "simulated nodes, each with its own user and session at Mosquitto, in one process"),
    "rounds": ("", "fast paths, with a bare round after each"),
    "fast_p50_s": ("", "from the limit to the last node's applied acknowledgement, s: median of the rounds"),
    "fast_p99_s": ("under 2", "the same: 99 % of the rounds within (the slowest of fewer than 100)"),
    "fast_cpu_s": ("", "computing time of the controller's process for it, s"),
    "bare_p50_s": ("", "bare paho loop: as many messages there and back, s: median"),
    "bare_p99_s": ("", "the same: 99 % within"),
    "fast_over_bare": ("at most 3", "fast path over the bare round after it: median of the ratios"),
    "commands": ("", "commands sent in all rounds"),
    "overtaken": ("", "of these, refused because a later heartbeat came first, and stated again"),
    "late": ("", "of these, refused because their not-after had passed"),
    "registered": ("", "nodes registered at one controller"),
    "registered_s": ("", "until all of them had announced themselves, with the start of broker and nodes, s"),
    "registered_gb": ("under 1", "memory of the controller then, GB, the bench itself included"),
    "registered_more_gb": ("", "of that, more than before"),
    "told_s": ("", "each of them told to run a job, until the last applied, s"),
    "restated_s": ("under 60", "each of them told again what it should do, until the last applied, s"),
    "telemetry_s": ("", "seconds for which every node told its state each second"),
    "telemetry_per_s": ("", "states that the controller took in a second"),
    "telemetry_queue_max": ("", "most messages that waited for it"),
    "telemetry_queue_slope_per_min": ("no growth", "slope of that, messages a minute"),
    "telemetry_memory_slope_mb_per_min": ("no growth", "slope of the controller's memory, MB a minute"),
}
"""Target and meaning of each figure."""


class _Hands:
    """Carries held plans out on the fleet."""

    def __init__(self, on: Stage) -> None:
        self._fleet = on.fleet

    def hold(self, plan: Plan) -> None:
        """See ``ozzo.fast_path.Hands``."""
        self._fleet.replace(plan, restate=False)
        self._fleet.send_due()

    def cap(self, caps_kw: Mapping[str, float]) -> None:
        """See ``ozzo.fast_path.Hands``."""
        self._fleet.cap(caps_kw)


def measure(options: ControlOptions, say: Callable[[str], None]) -> Figures:
    """All figures.

    Raises:
        TransportError: Mosquitto is missing, a node did not come, or an answer stayed out.
    """
    figures: Figures = {"agents": float(options.agents), "rounds": float(options.rounds)}
    with stage(options.agents, say) as on:
        figures |= _fast_path(on, options, say)
        say(str(figures))
    if options.telemetry_s:
        with stage(options.agents, say, heartbeat_s=1.0) as on:
            figures |= _telemetry(on, options.telemetry_s, say)
            say(str(figures))
    if options.registered:
        before_gb = memory_gb()
        began = time.monotonic()
        with stage(options.registered, say) as on:
            figures |= {"registered": float(options.registered), "registered_s": time.monotonic() - began}
            figures |= _registered(on, say)
            figures["registered_more_gb"] = max(0.0, figures["registered_gb"] - before_gb)
    return figures


def memory_gb() -> float:
    """Memory of this process now, GB (proc(5), ``statm``: resident pages)."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES / 1e9


def at_share(values: Sequence[float], share: float) -> float:
    """The value that this share of the values does not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _fast_path(on: Stage, options: ControlOptions, say: Callable[[str], None]) -> Figures:
    fast_s, bare_s, cpu_s = [], [], []
    on.fleet.replace(on.plan)
    on.fleet.send_due()
    _all_answered(on)
    full_kw, idle_kw = (1.2 * options.agents * kw for kw in (PEAK_KW, IDLE_KW))
    with _bare(on) as bare:
        for number in range(options.rounds):
            fast = FastPath(on.scenario, _Hands(on), on.journal.append)
            fast.follow(on.problem, on.plan)
            cpu, began = time.process_time(), time.monotonic()
            answer = fast.on_limit("hall", idle_kw, full_kw, datetime.now(UTC), "bench")
            if answer is None or len(answer.steps) != options.agents:
                raise TransportError("the ladder does not hold a step a node")
            _all_answered(on)
            fast_s.append(time.monotonic() - began)
            cpu_s.append(time.process_time() - cpu)
            on.fleet.replace(tail(on.plan, 0, "again"), restate=False)
            on.fleet.send_due()
            _all_answered(on)
            bare_s.append(bare.round_s(options.agents))
            say(f"round {number + 1}: fast path {fast_s[-1]:.2f} s, bare {bare_s[-1]:.2f} s")
    counts = on.fleet.commanding()
    return {
        "commands": float(counts.commands),
        "overtaken": float(counts.failed),
        "late": float(counts.late),
        "fast_p50_s": statistics.median(fast_s),
        "fast_p99_s": at_share(fast_s, 0.99),
        "fast_cpu_s": statistics.median(cpu_s),
        "bare_p50_s": statistics.median(bare_s),
        "bare_p99_s": at_share(bare_s, 0.99),
        "fast_over_bare": statistics.median(fast / bare for fast, bare in zip(fast_s, bare_s, strict=True)),
    }


def _all_answered(on: Stage) -> None:
    if not on.fleet.answered(PATIENCE_S):
        raise TransportError(f"not everything was answered in {PATIENCE_S:.0f} s")


class Bare:
    """A paho client that publishes so many messages and waits for as many, and does nothing else."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Connect.

        Raises:
            TransportError: the broker did not take the subscription in time.
        """
        self._out, self._in = (topic(BARE, ECHO, channel) for channel in (Channel.COMMAND, Channel.ACK))
        self._payload = _a_command().encode()
        self._left, self._done, ready = 0, threading.Event(), threading.Event()
        self._client = client_for(endpoint, manual_ack=False)
        self._client.on_connect = self._connected
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_message = self._came
        self._client.connect(endpoint.host, endpoint.port, 60)
        self._client.loop_start()
        if not ready.wait(20.0):
            raise TransportError("the bare client was not let in")

    def _connected(self, *_: Any) -> None:
        self._client.subscribe(self._in, qos=1)

    def _came(self, *_: Any) -> None:
        self._left -= 1
        if not self._left:
            self._done.set()

    def round_s(self, count: int) -> float:
        """Seconds for so many messages there and back.

        Raises:
            TransportError: they did not all come back.
        """
        self._left = count
        self._done.clear()
        began = time.monotonic()
        for _ in range(count):
            self._client.publish(self._out, self._payload, qos=1)
        if not self._done.wait(PATIENCE_S):
            raise TransportError(f"{self._left} bare messages did not come back")
        return time.monotonic() - began

    def close(self) -> None:
        """Say goodbye."""
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def _bare(on: Stage) -> Iterator[Bare]:
    """The baseline, over a broker of its own with the same settings, so that it is nobody's guest."""
    with Broker(BARE, [ECHO]) as broker:
        user = told_private(broker.endpoint(ECHO), on.folder / "echo.json")
        places = [topic(BARE, ECHO, channel) for channel in (Channel.COMMAND, Channel.ACK)]
        command = [sys.executable, "-m", "ozzo.bench.bare_echo", str(user), *places]
        with child(command, on.folder / "echo.log", ready=True):
            bare = Bare(broker.endpoint(CONTROLLER))
            try:
                yield bare
            finally:
                bare.close()


def _a_command() -> Command:
    """A command of usual size."""
    now = datetime.now(UTC)
    desired = JobState(
        job="job-1000", state=JobWish.PAUSED, argv=("sleep", "7200.000"), seconds=7200.0, limit_s=10802.0, power_kw=0.3
    )
    return Command(
        id=uuid7(), epoch=1, sequence=1000, issued_at=now, not_after=now + timedelta(seconds=5), lease_s=15.0,
        plan_id=str(uuid7()), node="hall.n-1000", desired=desired, planned_for=now,
    )  # fmt: skip


def _registered(on: Stage, say: Callable[[str], None]) -> Figures:
    """Memory of the controller with every node told something, and the time to tell all again after a cut."""
    began = time.monotonic()
    on.fleet.replace(on.plan)
    on.fleet.send_due()
    _all_answered(on)
    told_s = time.monotonic() - began
    say(f"each node was told to run its job: {told_s:.1f} s")
    held_gb = memory_gb()
    before = on.fleet.commanding().commands
    began = time.monotonic()
    on.fleet.restate_all()
    while (sent := on.fleet.commanding().commands - before) < len(on.agents.nodes):
        on.fleet.listen(0.1)
        if time.monotonic() - began > 10 * PATIENCE_S:
            raise TransportError(f"only {sent} nodes were told again")
    _all_answered(on)
    restated_s = time.monotonic() - began
    say(f"each node was told again: {restated_s:.1f} s")
    return {"registered_gb": max(held_gb, memory_gb()), "told_s": told_s, "restated_s": restated_s}


def _telemetry(on: Stage, seconds: float, say: Callable[[str], None]) -> Figures:
    """States of every node each second: what waits in the queue, and what the controller's memory does."""
    until = time.monotonic() + WARM_S
    while time.monotonic() < until:
        on.fleet.listen(0.05)
    heard, began = on.fleet.heard, time.monotonic()
    moments: list[float] = []
    waiting: list[float] = []
    memory_mb: list[float] = []
    while (passed := time.monotonic() - began) < seconds:
        on.fleet.listen(0.05)
        if not moments or passed - moments[-1] >= SAMPLE_S:
            moments.append(passed)
            waiting.append(float(on.fleet.waiting))
            memory_mb.append(1000.0 * memory_gb())
    rate = (on.fleet.heard - heard) / (time.monotonic() - began)
    say(f"telemetry: {rate:.0f} states a second for {seconds:.0f} s")
    return {
        "telemetry_s": seconds,
        "telemetry_per_s": rate,
        "telemetry_queue_max": max(waiting),
        "telemetry_queue_slope_per_min": slope(moments, waiting) * 60.0,
        "telemetry_memory_slope_mb_per_min": slope(moments, memory_mb) * 60.0,
    }


def slope(moments: Sequence[float], values: Sequence[float]) -> float:
    """Slope of the least-squares line through the values, a second; 0 with fewer than two."""
    return statistics.linear_regression(moments, values).slope if len(moments) > 1 else 0.0


def print_figures(figures: Figures, out: TextIO) -> None:
    """The table."""
    about, load = machine(), os.getloadavg()[0]
    out.write(f"Python {about['python']}, {about['cores']} cores, load {load:.1f} at the end\n\n")
    out.write("| figure | target | value | what it is |\n|---|---|---|---|\n")
    for name, value in figures.items():
        target, words = WORDS.get(name, ("", ""))
        out.write(f"| `{name}` | {target} | {value:.4g} | {words} |\n")


def figures_json(figures: Figures) -> str:
    """Figures and machine as JSON."""
    return json.dumps({"machine": machine(), **figures}, indent=1)
