"""Node agents that are there already, behind a broker of their own: what ``ozzo run --broker`` commands.

Nothing is started and nothing is ended here but the controller's connection. Its epochs come from a file beside its password, so
that every controller with these credentials is above all before it; where nodes obey a higher epoch it goes above that too.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from grid.errors import Finding, InputError
from ozzo.address import endpoint_of
from ozzo.credentials import Credentials, read_credentials
from ozzo.fleet import NodeSpec
from ozzo.store import Journal
from ozzo.transport import Transport


def controller_credentials(where: str, scenario: str, password_file: Path | None, ca_file: Path | None) -> Credentials:
    """As whom to speak to which broker.

    Args:
        where: a folder of credentials (``DIR/controller`` of ``ozzo broker``), or the URL of any MQTT 5 broker.
        scenario: name in the topics.
        password_file: with a URL; ``password`` in the present folder when left out.
        ca_file: with a URL: root that signed the broker's certificate, those of the system when left out.

    Raises:
        InputError: everything that is wrong with them, or the folder is of another scenario's broker.
    """
    if "://" not in where:
        found = read_credentials(Path(where))
        if found.scenario != scenario:  # its nodes listen to other topics, and its user may not write to ours
            record = str(found.folder / "broker.json")
            expected = f"{scenario!r}, the scenario that was given"
            raise InputError([Finding(record, None, "scenario", repr(found.scenario), expected)])
        return found
    file = Path("password") if password_file is None else password_file
    return Credentials(scenario, endpoint_of(where, file, ca_file), file.parent)


class RemoteAgents:
    """The same face as ``ozzo.fleet.LocalAgents``.

    Attributes:
        scenario, nodes: name in the topics, nodes to command.
        transport: the controller's end.
        description, note: for reports.
        folder: with the epochs.
    """

    transport: Transport
    broker = None
    stays = True
    keeps_data = True

    def __init__(self, credentials: Credentials, nodes: Iterable[NodeSpec]) -> None:
        self._endpoint, self.folder = credentials.endpoint, credentials.folder
        self.scenario, self.nodes = credentials.scenario, tuple(nodes)
        self.description = self.note = ""

    def start(self) -> None:
        """Connect.

        Raises:
            TransportError: no broker there, or it refused us.
        """
        from ozzo.mqtt import MqttTransport

        place = f"{self._endpoint.host}:{self._endpoint.port}{' with TLS' if self._endpoint.tls else ''}"
        self.transport = MqttTransport(self._endpoint, broker=place)
        self.description = self.transport.description

    def next_epoch(self, _: Journal, above: int) -> int:
        """An epoch of this controller above all of its own and above ``above``; on disk when this returns."""
        with Journal.open(self.folder / "epochs.sqlite") as epochs:
            return epochs.next_epoch(above)

    def launch(self) -> None:
        """They are there."""

    def watch(self, pid: int) -> None:
        """They outlive us."""

    def ended(self) -> bool:
        """Nobody here would know."""
        return False

    def trouble(self) -> str:
        """What a person can look at."""
        return "Is 'ozzo agent' running there, enrolled for this scenario?"

    def stop(self) -> None:
        """Say goodbye; twice does no harm."""
        if hasattr(self, "transport"):
            self.transport.close()
