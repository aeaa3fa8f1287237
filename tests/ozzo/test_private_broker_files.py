"""What stands beside a broker: passwords and access lists, addresses and URLs, credentials, certificates, private files."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import pwd
import shutil
import ssl
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import InputError
from ozzo import authority
from ozzo.address import endpoint_of, is_loopback, listening_place, url_of
from ozzo.broker_files import DEFAULTS, access_list, is_default, opens, password_line, users_of, weak_users
from ozzo.commands import Channel, topic
from ozzo.credentials import read_credentials, write_credentials
from ozzo.mqtt import Endpoint
from ozzo.private import closed_to, hand_over, locked, own_text, read_private, write_private
from ozzo.transport import matches

NAMES = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=12)
GOOD = "0123456789abcdefghijklmnopqrstuv"


@given(NAMES, st.text(max_size=20), st.text(max_size=20))
def test_a_password_line_opens_for_its_password_only(user: str, password: str, other: str) -> None:
    """The hash of a password is found again for it and for no other; the password does not stand in the line."""
    line = password_line(user, password).rstrip("\n")
    assert users_of(line) == {user: line}
    assert opens(line, password)
    assert opens(line, other) == (other == password)


@given(NAMES)
def test_default_passwords_are_found(user: str) -> None:
    """A user's own name and every default is weak, a random password is not, and a line without hash is."""
    lines = [password_line(f"{user}{i}", guess) for i, guess in enumerate(DEFAULTS)]
    assert weak_users("".join(lines)) == tuple(f"{user}{i}" for i in range(len(DEFAULTS)))
    assert weak_users(password_line(user, user)) == (user,)
    assert weak_users(password_line(user, GOOD)) == ()
    assert weak_users(f"{user}:{GOOD}\n") == (user,)


def test_the_older_kind_of_hash_is_read_too() -> None:
    """Lines of Mosquitto before 2.0 (one round of SHA-512) are judged as well."""
    salt = b"salt-of-12-b"
    told = base64.b64encode(hashlib.sha512(b"admin" + salt).digest()).decode()
    assert weak_users(f"old:$6${base64.b64encode(salt).decode()}${told}\n") == ("old",)


@given(st.lists(NAMES, min_size=2, max_size=5, unique=True))
def test_no_node_may_touch_another(nodes: list[str]) -> None:
    """In the access list a node has three topics, all its own; only the controller writes commands."""
    part: dict[str, list[tuple[str, str]]] = {}
    user = ""
    for line in access_list("s", nodes).splitlines():
        if line.startswith("user "):
            user = line.removeprefix("user ")
            part[user] = []
        elif line:
            _, may, pattern = line.split(" ")
            part[user].append((may, pattern))
    for node in nodes:
        for other in nodes:
            for channel in Channel:
                allowed = {may for may, pattern in part[node] if matches(pattern, topic("s", other, channel))}
                own = {"read"} if channel is Channel.COMMAND else {"write"}
                assert allowed == (own if node == other else set())
    assert {pattern for may, pattern in part["controller"] if may == "write"} == {topic("s", "+", Channel.COMMAND)}


@pytest.mark.parametrize(
    ("text", "host", "port", "loopback", "everywhere"),
    [
        ("127.0.0.1", "127.0.0.1", 1883, True, False),
        ("localhost:0", "127.0.0.1", 0, True, False),
        ("[::1]:5", "::1", 5, True, False),
        ("[::1]", "::1", 1883, True, False),
        ("::1", "::1", 1883, True, False),
        ("0.0.0.0", "0.0.0.0", 8883, False, True),
        ("::", "::", 8883, False, True),
        ("10.1.2.3:99", "10.1.2.3", 99, False, False),
    ],
)
def test_places_to_listen(text: str, host: str, port: int, loopback: bool, everywhere: bool) -> None:
    """Address and port; beyond loopback the port of MQTT over TLS is the default."""
    place = listening_place(text)
    assert (place.host, place.port, place.loopback, place.everywhere) == (host, port, loopback, everywhere)
    assert listening_place("127.0.0.1", tls=True).port == 8883


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ""),
        ("example.org", "example.org"),
        ("127.0.0.1:", ""),
        ("127.0.0.1:x", "x"),
        ("127.0.0.1:65536", "65536"),
        (":1883", ""),
        ("[::1", "[::1"),
        ("[::1:1883", "[::1:1883"),
        ("[::1]:", ""),
        ("[::1]1883", "[::1]1883"),
        ("[::1]]:1883", "[::1]]:1883"),
        ("[127.0.0.1]:1883", "[127.0.0.1]:1883"),
    ],
)
def test_wrong_places_are_told(text: str, found: str) -> None:
    """Names, missing and impossible ports, and half a bracket are findings that say what was found."""
    with pytest.raises(InputError) as caught:
        listening_place(text)
    (finding,) = caught.value.findings
    assert (finding.field, finding.found) == ("--listen", repr(found))


@given(st.text(max_size=30))
def test_any_text_is_a_place_or_a_finding(text: str) -> None:
    """Whatever stands after ``--listen``, it is understood or refused; what is understood has an address and a port."""
    try:
        place = listening_place(text)
    except InputError:
        return
    assert 0 <= place.port <= 65535
    assert not (place.loopback and place.everywhere)


def password_file(folder: Path, text: str = GOOD) -> Path:
    """A password file."""
    write_private(folder / "password", text + "\n")
    return folder / "password"


def test_a_url_and_its_password(tmp_path: Path) -> None:
    """Host, port, user and TLS come from the URL, the password from the file, and the URL can be told again."""
    file = password_file(tmp_path)
    place = endpoint_of("mqtts://hall%2Frack@broker.example:1234", file)
    assert place == Endpoint("broker.example", 1234, "hall/rack", GOOD, tls=True)
    assert endpoint_of("mqtts://u@b.example", file).port == 8883
    assert endpoint_of("mqtt://u@127.0.0.1", file).port == 1883
    assert url_of(Endpoint("::1", 5, "u", GOOD, tls=True)) == "mqtts://u@[::1]:5"
    assert GOOD not in repr(place)


@pytest.mark.parametrize(
    ("url", "password", "expected"),
    [
        ("mqtt://u@192.0.2.1", GOOD, "in the clear"),
        ("http://u@127.0.0.1", GOOD, "scheme 'http'"),
        ("mqtts://127.0.0.1", GOOD, "no USER@HOST"),
        ("mqtts://u:pw@127.0.0.1", GOOD, "a password in the URL"),
        ("mqtts://u@127.0.0.1:99999", GOOD, "a port that is no number"),
        ("mqtts://u@127.0.0.1/x", GOOD, "more than USER@HOST:PORT"),
        ("mqtts://u@127.0.0.1", "admin", "a default password"),
        ("mqtts://u@127.0.0.1", "u", "a default password"),
        ("mqtts://u@127.0.0.1", "", "a default password"),
    ],
)
def test_urls_that_are_refused(tmp_path: Path, url: str, password: str, expected: str) -> None:
    """Each fault has its finding, and no finding shows a password."""
    with pytest.raises(InputError) as caught:
        endpoint_of(url, password_file(tmp_path, password))
    assert expected in str(caught.value)
    assert GOOD not in str(caught.value)
    assert ":pw@" not in str(caught.value)


def test_all_faults_of_a_url_at_once(tmp_path: Path) -> None:
    """Scheme, user, password file and root certificate are told together."""
    with pytest.raises(InputError) as caught:
        endpoint_of("ftp://somewhere", tmp_path / "none", tmp_path / "no.pem")
    assert len(caught.value.findings) == 4


def test_loopback_is_known_by_address_and_name() -> None:
    """Names count by what they stand for; one that stands for nothing is not loopback."""
    assert [is_loopback(host) for host in ("127.9.9.9", "::1", "localhost", "192.0.2.1", "nowhere.invalid")] == [
        True, True, True, False, False,
    ]  # fmt: skip


def test_credentials_can_be_carried(tmp_path: Path) -> None:
    """What was written is read again from another place, with the root certificate of that place."""
    (tmp_path / "root.pem").write_text("a root\n")
    place = Endpoint("127.0.0.1", 7, "n", GOOD, tls=True)
    write_credentials(tmp_path / "a", "sunny", place, tmp_path / "root.pem")
    (tmp_path / "a").rename(tmp_path / "b")
    read = read_credentials(tmp_path / "b")
    assert read.scenario == "sunny"
    assert read.endpoint == replace(place, ca_file=str(tmp_path / "b" / "ca.pem"))
    assert (tmp_path / "b").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"scenario": 1, "url": ""}', '{"scenario": "s", "url": "mqtts://u@h", "x": 1}']
)
def test_wrong_credentials_are_told(tmp_path: Path, text: str) -> None:
    """No JSON, no object, missing, wrong and unknown fields are findings."""
    (tmp_path / "broker.json").write_text(text)
    password_file(tmp_path)
    with pytest.raises(InputError, match=r"broker\.json"):
        read_credentials(tmp_path)


def test_certificates_are_kept_and_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same names keep the certificate; a new name, or its last month, brings another one by the same root."""
    first = authority.server_files(tmp_path / "ca", "ozzo test", ["localhost", "127.0.0.1"])
    texts = [path.read_text() for path in (first.certificate, first.root)]
    authority.server_files(tmp_path / "ca", "ozzo test", ["localhost"])
    assert [path.read_text() for path in (first.certificate, first.root)] == texts
    authority.server_files(tmp_path / "ca", "ozzo test", ["localhost", "hall.example"])
    assert first.certificate.read_text() != texts[0]
    second = first.certificate.read_text()
    monkeypatch.setattr(authority, "RENEW", timedelta(days=authority.SERVER_DAYS + 1))
    authority.server_files(tmp_path / "ca", "ozzo test", ["localhost", "hall.example"])
    assert first.certificate.read_text() != second
    assert first.root.read_text() == texts[1]
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "ca").iterdir())
    assert authority.fingerprint(first.root).count(":") == 31


def test_the_certificate_is_a_servers_and_the_roots_signs_servers_only(tmp_path: Path) -> None:
    """Openssl (by Python's ssl) accepts the pair, and the root may not have another authority below it."""
    from cryptography import x509

    files = authority.server_files(tmp_path / "ca", "ozzo test", ["localhost", "10.0.0.1"])
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(files.certificate, files.key)
    root = x509.load_pem_x509_certificate(files.root.read_bytes())
    constraints = root.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (constraints.ca, constraints.path_length) == (True, 0)
    server = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    assert not server.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert server.not_valid_before_utc < datetime.now(UTC) < server.not_valid_after_utc


def test_a_root_that_ends_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes know the root, so it is never replaced behind their backs."""
    authority.server_files(tmp_path / "ca", "ozzo test", ["localhost"])
    monkeypatch.setattr(authority, "RENEW", timedelta(days=authority.ROOT_DAYS + 1))
    with pytest.raises(InputError, match="an authority that ends"):
        authority.server_files(tmp_path / "ca", "ozzo test", ["localhost"])


def test_private_files(tmp_path: Path) -> None:
    """Mode 600 whatever the umask; open ones, large ones, missing ones and no text are findings without content."""
    path = tmp_path / "secret"
    write_private(path, "one")
    write_private(path, "two")
    assert (read_private(path, "a secret"), path.stat().st_mode & 0o777) == ("two", 0o600)
    assert [item.name for item in tmp_path.iterdir()] == ["secret"]
    path.chmod(0o640)
    with pytest.raises(InputError, match="mode 640"):
        read_private(path, "a secret")
    path.chmod(0o600)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="no UTF-8"):
        read_private(path, "a secret")
    path.write_bytes(b"x" * 1_000_001)
    with pytest.raises(InputError, match="1000001 bytes"):
        read_private(path, "a secret")
    with pytest.raises(InputError, match="No such file"):
        read_private(tmp_path / "none", "a secret")
    with locked(tmp_path):
        assert (tmp_path / ".lock").exists()


@pytest.mark.parametrize(
    "line", ["$7$101$not base64$x", "$7$0$c2FsdA==$c2FsdA==", "$7$x$a$b", "$7$99999999999$c2FsdA==$c2FsdA==", "$6$%$%", ""]
)
def test_a_line_without_a_readable_hash_is_weak(line: str) -> None:
    """Broken base64, no number of rounds, or one that would take for ever: no traceback, and nobody comes in by it."""
    assert not opens(f"u:{line}", "anything")
    assert weak_users(f"u:{line}\n") == ("u",)


@pytest.mark.parametrize("password", ["", "Admin", "PASSWORD", "controller", "Controller"])
def test_a_default_is_one_in_any_case(password: str) -> None:
    """Upper or lower case makes no password out of a default; a long random one is none."""
    assert is_default("controller", password)
    assert not is_default("controller", GOOD)


@pytest.mark.parametrize(
    "url", ["mqtts://[::1", "mqtts://u@[nonsense]", "mqtt://u@" + "x" * 70 + ".example", "mqtt://u@..", "\x00"]
)
def test_urls_that_no_parser_takes(tmp_path: Path, url: str) -> None:
    """Brackets without an address, labels that are too long or empty, control characters: findings, no traceback."""
    with pytest.raises(InputError, match="broker"):
        endpoint_of(url, password_file(tmp_path))


@given(st.text(max_size=40))
def test_any_text_is_a_url_or_a_finding(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Whatever stands for the URL is understood or refused with findings; a name is not looked up here."""
    file = password_file(tmp_path_factory.mktemp("url"))
    with contextlib.suppress(InputError):
        assert endpoint_of(f"mqtts://{text}", file).tls


@pytest.mark.parametrize("name", ["b\u00fccher.example", "", "a b", "-x.example", "x..y", "x" * 64, ".", "*.example"])
def test_names_that_no_certificate_holds(tmp_path: Path, name: str) -> None:
    """They are told as findings about --name before anything is written."""
    with pytest.raises(InputError, match="--name"):
        authority.server_files(tmp_path / "ca", "ozzo test", ["localhost", name])
    assert not (tmp_path / "ca").exists()


def other_user() -> str:
    """A user to give files to."""
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    return "nobody"


@pytest.mark.parametrize("trap", ["link", "second name", "fifo"])
def test_a_trap_is_not_given_away(tmp_path: Path, trap: str) -> None:
    """The broker's user leaves a link, a second name of another file, or a pipe: it is told, and root's file stays root's."""
    owner, secret, own = other_user(), tmp_path / "secret", tmp_path / "own"
    secret.write_text("root's")
    own.mkdir()
    (own / "good").touch()
    if trap == "link":
        (own / "bad").symlink_to(secret)
    elif trap == "second name":
        os.link(secret, own / "bad")
    else:
        os.mkfifo(own / "bad")
    with pytest.raises(InputError, match="bad"):
        hand_over(owner, own, *own.iterdir())
    assert secret.stat().st_uid == 0
    assert (own / "good").stat().st_uid == own.stat().st_uid == pwd.getpwnam(owner).pw_uid


def test_a_private_file_is_not_written_through_a_link(tmp_path: Path) -> None:
    """Links where the file or its new version should be: both are replaced, what they lead to stays as it is."""
    other = tmp_path / "other"
    other.write_text("as it is")
    (tmp_path / "file").symlink_to(other)
    (tmp_path / f".file.{os.getpid()}.new").symlink_to(other)
    write_private(tmp_path / "file", "new")
    assert other.read_text() == "as it is"
    assert (tmp_path / "file").read_text() == "new"
    (tmp_path / "link").symlink_to(other)
    with pytest.raises(InputError, match="no link"):
        own_text(tmp_path / "link")
    with pytest.raises(InputError, match="no plain file"):
        own_text(tmp_path)
    assert own_text(tmp_path / "none") == ""


def test_folders_that_a_user_cannot_enter(tmp_path: Path) -> None:
    """The topmost closed folder is named; a folder of one's own, and open ones, are none."""
    owner = other_user()
    place = Path(tempfile.mkdtemp(prefix="ozzo-test-")) / "a" / "b"
    place.mkdir(parents=True)
    place.parent.parent.chmod(0o711)
    assert closed_to(owner, place) is None
    place.parent.chmod(0o700)
    assert closed_to(owner, place) == place.parent
    os.chown(place.parent, pwd.getpwnam(owner).pw_uid, -1)
    assert closed_to(owner, place) is None
    assert closed_to("root", tmp_path) is None
    shutil.rmtree(place.parent.parent)
