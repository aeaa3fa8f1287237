"""``ozzo broker`` and ``ozzo enrol`` with a real Mosquitto: who gets in, what listens, what survives."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import stat
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from grid.errors import InputError, TransportError
from ozzo.address import listening_place
from ozzo.authority import server_files
from ozzo.broker import accepts, broker_user, listens
from ozzo.broker_files import password_line
from ozzo.commands import Channel, topic
from ozzo.credentials import read_credentials
from ozzo.enrolment import enrol
from ozzo.guarded import Guarded
from ozzo.mqtt import Endpoint, MqttTransport
from ozzo.private import write_private
from ozzo.standing import MARK, StandingBroker
from ozzo.transport import Delivery
from tests.live.processes import (
    NODES,
    SCENARIO,
    BrokerProcess,
    free_port,
    listeners,
    minimal,
    open_folder,
    ozzo,
    running_broker,
    standing,
)
from tests.ozzo.rig import alive, eventually

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def wide() -> Iterator[tuple[BrokerProcess, dict[str, Path]]]:
    """A broker on every interface, with two enrolled nodes and the controller; by name, the folders of credentials."""
    with (
        open_folder() as folder,
        running_broker(folder / "b", "--listen", f"0.0.0.0:{free_port()}", "--name", "localhost") as broker,
    ):
        folders = {name: broker.enrol(name) for name in NODES} | {"controller": broker.folder / "controller"}
        yield broker, folders


def endpoint(folder: Path) -> Endpoint:
    """What a folder of credentials says."""
    return read_credentials(folder).endpoint


def test_beyond_loopback_only_tls_listens(mosquitto: str, wide: tuple[BrokerProcess, dict[str, Path]]) -> None:
    """The broker's process has one listening socket; on it, a client without TLS gets no MQTT answer at all."""
    assert mosquitto
    broker, folders = wide
    assert listeners(broker.pid()) == {("0.0.0.0", broker.port)}
    with socket.create_connection(("127.0.0.1", broker.port), timeout=10) as plain:
        plain.sendall(bytes.fromhex("100d00044d5154540502003c00000000"))  # a CONNECT of MQTT 5 without user
        plain.settimeout(5)
        try:
            answer = plain.recv(100)
        except (ConnectionResetError, TimeoutError):
            answer = b""
    assert answer[:1] != b"\x20"  # no CONNACK
    with pytest.raises(TransportError):
        MqttTransport(replace(endpoint(folders[NODES[0]]), tls=False), timeout_s=2.0)


def test_beyond_loopback_nobody_is_anonymous(wide: tuple[BrokerProcess, dict[str, Path]]) -> None:
    """Over TLS: no user, a wrong password, a default password, a node that was not enrolled; all are refused."""
    broker, folders = wide
    good = endpoint(folders[NODES[0]])
    MqttTransport(good).close()
    wrong = [
        replace(good, user="", password=""),
        replace(good, password="wr0ng"),
        replace(good, password=good.user),
        replace(good, user="admin", password="admin"),
        replace(good, user="hall.rack-2"),
    ]
    for bad in wrong:
        with pytest.raises(TransportError, match="refused"):
            MqttTransport(bad)
    assert good.password not in broker.log.read_text()


def test_another_broker_is_not_believed(wide: tuple[BrokerProcess, dict[str, Path]], tmp_path: Path) -> None:
    """A certificate that another root signed, and a name that is not in the certificate, end the connection."""
    broker, folders = wide
    good = endpoint(folders[NODES[0]])
    other = server_files(tmp_path / "other", "other", ["localhost"]).root
    with pytest.raises(TransportError, match="certificate"):
        MqttTransport(replace(good, ca_file=str(other)))
    context = ssl.create_default_context(cafile=good.ca_file)
    with socket.create_connection(("127.0.0.1", broker.port)) as raw, pytest.raises(ssl.SSLCertVerificationError):
        context.wrap_socket(raw, server_hostname="elsewhere.example")
    old = ssl.create_default_context(cafile=good.ca_file)
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLS"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", broker.port)) as raw, pytest.raises(ssl.SSLError):
        old.wrap_socket(raw, server_hostname="localhost")


def test_another_nodes_user_gets_nowhere(wide: tuple[BrokerProcess, dict[str, Path]]) -> None:
    """It can neither publish on a node's topics nor read them, nor give a command to anybody, itself included."""
    _, folders = wide
    clients = {name: MqttTransport(endpoint(folder)) for name, folder in folders.items()}
    got: dict[str, list[Delivery]] = {name: [] for name in clients}
    for channel in (Channel.ACK, Channel.STATE):
        clients["controller"].subscribe(topic("minimal", "+", channel), got["controller"].append)
    for name in NODES:
        for channel in Channel:
            clients[name].subscribe(topic("minimal", "+", channel), got[name].append)
    forger = clients[NODES[1]]
    for node in NODES:
        forger.publish(topic("minimal", node, Channel.COMMAND), b"forged")
    for channel in (Channel.ACK, Channel.STATE):
        forger.publish(topic("minimal", NODES[0], channel), b"forged")
    forger.publish(topic("minimal", NODES[1], Channel.ACK), b"own")  # same connection, so it comes after the forged ones
    clients["controller"].publish(topic("minimal", NODES[0], Channel.COMMAND), b"real", expiry_s=5)
    eventually(lambda: bool(got["controller"]) and bool(got[NODES[0]]), "what is allowed")
    assert [delivery.payload for delivery in got["controller"]] == [b"own"]
    assert [delivery.payload for delivery in got[NODES[0]]] == [b"real"]
    assert got[NODES[1]] == []
    for client in clients.values():
        client.close()


def spoil_password(folder: Path, user: str, password: str) -> None:
    """A person writes a user with such a password."""
    file = folder / "mosquitto" / "passwords"
    file.write_text(file.read_text() + password_line(user, password))


def other_key(folder: Path) -> None:
    """The broker's key is that of another certificate."""
    made = server_files(folder / "elsewhere", "other", ["x"])
    (folder / "ca" / "server.key").write_text(made.key.read_text())


SPOILS: dict[str, Callable[[Path], object]] = {
    "a default password": lambda folder: spoil_password(folder, "hall.rack-0", "admin"),
    "the user's name as password": lambda folder: spoil_password(folder, "hall.rack-0", "hall.rack-0"),
    "a password without hash": lambda folder: (folder / "mosquitto" / "passwords").write_text("hall.rack-0:plain\n"),
    "no authority's key": lambda folder: (folder / "ca" / "ca.key").unlink(),
    "a broken certificate": lambda folder: (folder / "ca" / "server.pem").write_text("none"),
    "another's key": other_key,
    "a default password of the controller": lambda folder: write_private(folder / "controller" / "password", "admin\n"),
    "the controller's name as password": lambda folder: write_private(folder / "controller" / "password", "Controller\n"),
    "a link among the broker's files": lambda folder: (folder / "mosquitto" / "log.old").symlink_to("/etc/hostname"),
}


@pytest.mark.parametrize("what", SPOILS)
def test_nothing_listens_when_something_stands_open(mosquitto: str, what: str) -> None:
    """With a default password, TLS that cannot be had, or a link: a finding names the file, and no port is open."""
    assert mosquitto
    if "link" in what and not broker_user():
        pytest.skip("the broker runs as we do, so it can do nothing that we could not")
    with open_folder() as folder:
        place = f"0.0.0.0:{free_port()}"
        with standing(folder / "b", place) as broker:
            port = broker.port
            assert listeners(broker.pid) == {("0.0.0.0", port)}
        assert all(found != port for _, found in listeners())
        SPOILS[what](folder / "b")
        with pytest.raises(InputError) as caught, standing(folder / "b", place):
            raise AssertionError("it started")
        assert str(folder / "b") in str(caught.value)
        assert all(found != port for _, found in listeners())


def test_the_command_refuses_default_passwords(mosquitto: str) -> None:
    """The same by ``ozzo broker``: exit code 2, one line that names file and user, no traceback."""
    assert mosquitto
    with open_folder() as folder:
        with standing(folder / "b"):
            pass
        spoil_password(folder / "b", "hall.rack-0", "admin")
        port = free_port()
        done = ozzo("broker", SCENARIO, "--dir", str(folder / "b"), "--listen", f"0.0.0.0:{port}")
        assert done.returncode == 2, done.stderr
        assert "passwords: hall.rack-0: found a default password" in done.stderr
        assert "Traceback" not in done.stderr
        assert all(found != port for _, found in listeners())


def test_on_loopback_nodes_come_and_go(mosquitto: str) -> None:
    """One socket on loopback; a node gets in once it is enrolled; enrolled anew, its old password throws it out."""
    assert mosquitto
    with open_folder() as folder, standing(folder / "b") as broker:
        assert listeners(broker.pid) == {("127.0.0.1", broker.port)}
        first = endpoint(enrol(minimal(), NODES[0], broker.folder, None))
        eventually(lambda: connects(first), "the enrolled node")
        node = MqttTransport(first)
        done = ozzo("enrol", SCENARIO, NODES[0], "--dir", str(broker.folder), "--json")
        assert done.returncode == 0, done.stderr
        second = endpoint(Path(json.loads(done.stdout)["folder"]))
        eventually(lambda: not node.connected, "the end of the old connection")
        node.close()
        assert not connects(first)
        assert connects(second)
        assert second.password not in done.stdout + done.stderr
        for file in broker.folder.rglob("*"):
            if file.is_file() and file.name not in {"log", "mosquitto.db"}:
                assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
                assert second.password not in file.read_text() or file.name == "password"


def connects(place: Endpoint) -> bool:
    """True when the broker takes this user."""
    try:
        MqttTransport(place).close()
    except TransportError:
        return False
    return True


def test_the_broker_is_started_again(mosquitto: str) -> None:
    """SIGKILL of Mosquitto: another one is there soon, on the same port, with the same users; a client comes back by itself."""
    assert mosquitto
    told: list[str] = []
    with open_folder() as folder, standing(folder / "b") as broker:
        node = MqttTransport(endpoint(enrol(minimal(), NODES[0], broker.folder, None)), patient=True, on_trouble=told.append)
        controller = MqttTransport(endpoint(broker.folder / "controller"))
        eventually(lambda: node.connected, "the first connection")
        got: list[Delivery] = []
        controller.subscribe(topic("minimal", "+", Channel.STATE), got.append)
        first = broker.pid
        os.kill(first, signal.SIGKILL)
        eventually(lambda: broker.restarts == 1 and broker.pid not in {0, first}, "another broker")
        eventually(lambda: node.connections == 2 and controller.connections == 2, "both again")
        node.publish(topic("minimal", NODES[0], Channel.STATE), b"back")
        eventually(lambda: [delivery.payload for delivery in got] == [b"back"], "a message through the new broker")
        assert any("connection lost" in line for line in told)
        node.close()
        controller.close()


def test_the_broker_ends_with_its_command(mosquitto: str) -> None:
    """SIGKILL of ``ozzo broker``: Mosquitto is gone too, the folder stays, and the next start knows nodes and port."""
    assert mosquitto
    with open_folder() as folder:
        with running_broker(folder / "b", "--listen", "127.0.0.1:0") as broker:
            place, pid, port = endpoint(broker.enrol(NODES[0])), broker.pid(), broker.port
            broker.process.kill()
            eventually(lambda: not alive(pid), "the end of the broker")
        with standing(folder / "b") as again:
            assert again.port == port
            assert connects(place)


def test_mosquitto_knows_no_user_that_left_the_scenario(mosquitto: str) -> None:
    """A user that is no node of the scenario is gone after the next start."""
    assert mosquitto
    with open_folder() as folder:
        with standing(folder / "b"):
            pass
        spoil_password(folder / "b", "hall.rack-77", "a-long-and-random-one-4711")
        with standing(folder / "b") as broker:
            assert not connects(Endpoint("127.0.0.1", broker.port, "hall.rack-77", "a-long-and-random-one-4711"))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("enrol", SCENARIO, "hall.rak-0"), "did you mean 'hall.rack-0'"),
        (("enrol", SCENARIO, "hall.rack-0"), "ozzo broker"),
        (("broker", SCENARIO, "--listen", "nowhere:99999"), "a port from 0"),
        (("broker", "configs/nothing.yaml"), "configs/nothing.yaml"),
    ],
)
def test_wrong_arguments_are_told(mosquitto: str, tmp_path: Path, arguments: tuple[str, ...], expected: str) -> None:
    """Exit code 2, one line a finding, no traceback."""
    assert mosquitto
    done = ozzo(*arguments, "--dir", str(tmp_path / "none"))
    assert done.returncode == 2, done.stderr
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_the_broker_cannot_enter(mosquitto: str, tmp_path: Path) -> None:
    """Root's tests: the broker runs as another user, who must be able to reach its files; else the folder is named."""
    assert mosquitto
    tmp_path.chmod(0o700 if os.geteuid() == 0 else 0o500)
    place = listening_place("127.0.0.1:0")
    with pytest.raises((InputError, PermissionError), match="pytest"):
        StandingBroker("minimal", NODES, tmp_path / "b", place).start()
    tmp_path.chmod(0o700)


def start_in(folder: Path, scenario: str = "minimal", listen: str = "127.0.0.1:0") -> StandingBroker:
    """Start a broker in a folder."""
    return StandingBroker(scenario, NODES, folder, listening_place(listen)).start()


def test_a_folder_of_somebody_else_is_left_as_it_is(mosquitto: str) -> None:
    """A folder with other things in it, or of another scenario's broker, is refused; its mode and files do not change."""
    assert mosquitto
    with open_folder() as folder:
        theirs = folder / "home"
        theirs.mkdir(mode=0o755)
        (theirs / "notes").write_text("mine")
        before = theirs.stat().st_mode
        with pytest.raises(InputError, match="something else in it"):
            start_in(theirs)
        assert (theirs.stat().st_mode, [path.name for path in theirs.iterdir()]) == (before, ["notes"])
        (folder / "empty").mkdir(mode=0o755)
        start_in(folder / "empty").stop()
        assert (folder / "empty" / MARK).exists()
        with pytest.raises(InputError, match="scenario 'minimal'"):
            start_in(folder / "empty", "other")
        start_in(folder / "empty").stop()


def test_a_port_that_another_program_holds_is_told(mosquitto: str) -> None:
    """Somebody else takes connections there: that is no broker of ours, and the error names the port."""
    assert mosquitto
    with open_folder() as folder, socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(TransportError, match=f"port {port} is taken by another program"):
            start_in(folder / "b", listen=f"127.0.0.1:{port}")


class Somebody(Guarded):
    """Stands for a guarded broker: a process that lives and may not listen at all."""

    def __init__(self, pid: int) -> None:
        self.broker_pid = pid

    def runs(self) -> bool:
        """It lives."""
        return True


def test_only_our_own_process_makes_a_port_ready() -> None:
    """The port takes connections: that counts when the broker's process holds it, not when another one does."""
    with socket.create_server(("127.0.0.1", 0)) as ours, subprocess.Popen(["/bin/sleep", "60"]) as other:
        port = ours.getsockname()[1]
        assert accepts("127.0.0.1", port, Somebody(os.getpid()), 5.0)
        assert not accepts("127.0.0.1", port, Somebody(other.pid), 0.2)
        other.kill()
        other.wait()
        assert not listens(other.pid, port)
