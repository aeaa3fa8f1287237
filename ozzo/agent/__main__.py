"""``python -m ozzo.agent --config FILE...``: one agent a file.

With several files (many nodes on one machine, as in a trial) the agents are forked from this process after everything is
imported, so each costs some milliseconds and shares the memory of the code; each is a session leader of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import signal
import sys
import traceback
from pathlib import Path

from grid.errors import OzzoError
from ozzo.agent.config import AgentConfig, read_config
from ozzo.agent.node import NodeAgent, death_of
from ozzo.mqtt import MqttTransport, Will

SESSION_S = 60
"""For how long the broker keeps commands for a node that lost its connection (they expire by themselves too)."""


def complain(line: str) -> None:
    """One line for whoever keeps the node."""
    print(line, file=sys.stderr, flush=True)


def run_agent(config: AgentConfig, watch_fd: int | None, *, patient: bool = False) -> int:
    """Run one agent until it ends; the exit code.

    Args:
        config: its settings.
        watch_fd: it leaves when this ends.
        patient: it does not need the broker to begin, and goes on without it (it keeps its jobs, under the failsafe cap).
    """
    will_topic, will_payload = death_of(config)
    transport = MqttTransport(
        config.endpoint(),
        will=Will(will_topic, will_payload),
        manual_ack=True,
        session_s=SESSION_S,
        patient=patient,
        on_trouble=complain,
    )
    try:
        agent = NodeAgent(config, transport, watch_fd=watch_fd, note=complain if patient else lambda _: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: agent.stop())
        agent.run()
    finally:
        transport.close()
    return 0


def fork_agents(configs: list[AgentConfig], watch_fd: int | None) -> int:
    """Fork one agent a configuration and wait for all of them; 1 when one of them failed."""
    gc.freeze()  # the collector would write to every page and so copy it
    children = []
    for config in configs:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.setsid()
                code = run_agent(config, watch_fd)
            except OzzoError as error:
                print(f"node {config.node}: {error}", file=sys.stderr, flush=True)
            except BaseException:  # noqa: BLE001 (a forked child must never return into the parent's code)
                traceback.print_exc()
            finally:
                os._exit(code)
        children.append(pid)

    def stop(*_: object) -> None:
        for pid in children:
            with contextlib.suppress(ProcessLookupError):  # it has left already
                os.kill(pid, signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    statuses = [os.waitpid(pid, 0)[1] for pid in children]
    return int(any(statuses))


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m ozzo.agent", description=__doc__)
    parser.add_argument("--config", nargs="+", type=Path, required=True, help="settings files (JSON, mode 600)")
    parser.add_argument("--end-with-input", action="store_true", help="leave when standard input ends")
    options = parser.parse_args()
    watch_fd = sys.stdin.fileno() if options.end_with_input else None
    try:
        configs = [read_config(path) for path in options.config]
        if len(configs) == 1:
            return run_agent(configs[0], watch_fd)
    except OzzoError as error:
        print(error, file=sys.stderr)
        return 2
    return fork_agents(configs, watch_fd)


if __name__ == "__main__":
    sys.exit(main())
