"""The functions behind ``ozzo broker`` and ``ozzo enrol``."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ozzo.commands import label


@dataclass(frozen=True, slots=True)
class BrokerOptions:
    """What was asked for.

    Attributes:
        scenario: document.
        folder: of the broker, or None for the usual one.
        listen: address, maybe with a port.
        names: under which nodes reach it.
        tls: on loopback too.
    """

    scenario: Path
    folder: Path | None = None
    listen: str = "127.0.0.1"
    names: tuple[str, ...] = ()
    tls: bool = False


def usual_folder(scenario: str) -> Path:
    """Where the broker of a scenario lives when nobody says otherwise."""
    return Path("broker") / label(scenario)


def serve_broker(options: BrokerOptions, ready: Callable[[dict[str, object]], None], say: Callable[[str], None]) -> None:
    """Start the broker and watch over it until SIGTERM or SIGINT.

    Args:
        options: what was asked for.
        ready: gets place and folder once the broker takes connections.
        say: takes lines for people; no secret is in one.

    Raises:
        InputError: scenario, address or folder is wrong, or something would stand open; then nothing listens.
        TransportError: Mosquitto is missing or does not start.
    """
    from ozzo.address import listening_place
    from ozzo.authority import fingerprint
    from ozzo.fleet import specs_of
    from ozzo.standing import StandingBroker
    from scheduler.document import load_scenario

    place = listening_place(options.listen, tls=options.tls)
    scenario = load_scenario(options.scenario)
    folder = options.folder or usual_folder(scenario.name)
    nodes = [spec.name for spec in specs_of(scenario)]
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with StandingBroker(scenario.name, nodes, folder, place, tls=options.tls, names=options.names) as broker:
        say(f"{broker.description}, for {len(nodes)} nodes of {scenario.name}; folder {broker.folder}")
        if broker.tls:
            say(f"root certificate SHA-256 {fingerprint(broker.folder / 'ca' / 'ca.pem')}")
        about = {"host": broker.host, "port": broker.port, "tls": broker.tls, "pid": broker.pid, "folder": str(broker.folder)}
        ready(about)
        broker.serve(stop, say)
    say("the broker was stopped")


def enrol_node(scenario: Path, node: str, folder: Path | None, out: Path | None) -> Path:
    """Enrol a node of a scenario's document; the folder that was written.

    Raises:
        InputError: the document is wrong, there is no such node, or no broker was started in the folder.
    """
    from ozzo.enrolment import enrol
    from scheduler.document import load_scenario

    loaded = load_scenario(scenario)
    return enrol(loaded, node, folder or usual_folder(loaded.name), out, file=str(scenario))
