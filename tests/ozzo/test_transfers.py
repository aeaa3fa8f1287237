"""Transfers and releases by a node agent, with the real rsync and rclone between folders and a daemon on loopback."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ozzo.agent import transfer as program
from ozzo.agent.data_rules import DataRules, Peer
from ozzo.agent.keeper import descendants
from ozzo.agent.replica import DELETING, INCOMING, RELEASING, Manifest, Place, ReplicaError, arrived, manifest, recover
from ozzo.agent.transfer import NOT_DONE, REFUSED, Order
from ozzo.commands import Acknowledgement, Command, JobState, JobWish, RefusalCode, Stage
from ozzo.wire import CopyProof, ReleaseState, TransferState
from tests.ozzo.rig import Rig, eventually
from tests.ozzo.test_agent import NODE, Start, start
from tests.ozzo.test_kept_jobs import Node

__all__ = ["start"]
RSYNC, RCLONE = shutil.which("rsync"), shutil.which("rclone")
pytestmark = pytest.mark.skipif(RSYNC is None, reason="rsync is not installed (Debian: rsync)")
BIG = 400_000
PART = 50_000
SLOW = 0.5  # Mbit/s: 61 KiB/s


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """Two roots, here and there; there has a dataset with a large file, small ones, a link and an empty file."""
    (tmp_path / "here").mkdir()
    data = tmp_path / "there/scans/2026"
    (data / "deep").mkdir(parents=True)
    (data / "large").write_bytes(os.urandom(BIG))
    (data / "deep/small").write_text("a\n")
    (data / "empty").touch()
    (data / "link").symlink_to("deep/small")
    return tmp_path


def rules(house: Path, **peers: dict[str, str]) -> dict[str, Any]:
    """Settings: the root ``main`` is here; the peer ``there`` is the other folder."""
    there = {"there": {"folder": str(house / "there")}}
    return {"data": DataRules.model_validate({"roots": {"main": str(house / "here")}, "peers": there | peers})}


def copy(name: str = "t", state: JobWish = JobWish.RUNNING, rate: float | None = None, **changes: Any) -> TransferState:
    """A transfer of the dataset."""
    values = {"transfer": name, "state": state, "peer": "there", "root": "main", "path": "scans/2026", "rate_mbit_per_s": rate}
    return TransferState(**(values | changes))


def end(rig: Rig, desired: TransferState | ReleaseState) -> Acknowledgement:
    """How what a command starts has ended."""
    return rig.answer(rig.send(rig.command(NODE, desired)), Stage.ENDED)


def proof(ended: Acknowledgement, peer: str = "there") -> CopyProof:
    """What the end of a transfer proves of the copy at a peer."""
    assert ended.measured["exit_code"] == 0, ended.text
    return CopyProof(peer=peer, **json.loads(ended.text))


def tree(folder: Path) -> dict[str, bytes]:
    """Files below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def waiting(house: Path) -> Path:
    """Where the transfer waits until it is verified."""
    return Place(house / "here", "scans/2026").folder(INCOMING)


def test_a_transfer_brings_a_verified_replica(start: Start, house: Path) -> None:
    """All is there by one rename, the end tells its digest, doing it again changes nothing, and the source is untouched."""
    rig, before = start(**rules(house)), tree(house / "there")
    ended = end(rig, copy())
    told = proof(ended)
    assert tree(house / "here/scans/2026") == tree(house / "there/scans/2026")
    assert (house / "here/scans/2026/link").readlink() == Path("deep/small")
    assert (told.files, told.bytes) == (3, BIG + 2)
    assert told.digest == manifest(house / "there/scans/2026").digest
    assert tree(house / "there") == before
    assert not waiting(house).exists()
    assert proof(end(rig, copy("again"))) == told
    assert rig.ask(NODE, copy("again")).text == "had ended well before"


def sizes_until_end(rig: Rig, house: Path, begun: Command) -> list[int]:
    """How much has come, look by look, until what a command started has ended."""
    sizes = [arrived(waiting(house))]
    while Stage.ENDED not in rig.stages(begun):
        sizes.append(max(arrived(waiting(house)), arrived(house / "here/scans/2026")))
        time.sleep(0.01)
    return sizes


def test_the_rate_changes_during_the_transfer(start: Start, house: Path) -> None:
    """Slow at first, paused in between, then a new rate in the same process; nothing that has come is thrown away."""
    rig = start(**rules(house))
    begun = rig.send(rig.command(NODE, copy(rate=SLOW)))
    pid = int(rig.answer(begun).measured["pid"])
    eventually(lambda: arrived(waiting(house)) > PART, "a part")
    assert rig.ask(NODE, copy(state=JobWish.PAUSED)).measured["running"] == 0.0
    assert not (house / "here/scans/2026").exists()
    assert arrived(waiting(house)) < BIG
    assert rig.ask(NODE, copy(rate=None)).measured["pid"] == pid
    sizes = sizes_until_end(rig, house, begun)
    assert PART < sizes[0] < BIG
    assert min(sizes) == sizes[0]
    assert proof(rig.answer(begun, Stage.ENDED)).digest == manifest(house / "there/scans/2026").digest


def test_killed_in_the_middle_it_goes_on(start: Start, house: Path) -> None:
    """SIGKILL of program and copier: no replica appears; a later transfer of the dataset goes on from what is there."""
    rig = start(**rules(house))
    begun = rig.send(rig.command(NODE, copy(rate=SLOW)))
    pid = int(rig.answer(begun).measured["pid"])
    eventually(lambda: arrived(waiting(house)) > PART, "a part")
    for each in (pid, *descendants(pid)):
        os.kill(each, signal.SIGKILL)
    assert rig.answer(begun, Stage.ENDED).measured["exit_code"] == -signal.SIGKILL
    assert not (house / "here/scans/2026").exists()
    later = rig.send(rig.command(NODE, copy("later", rate=8 * SLOW)))
    sizes = sizes_until_end(rig, house, later)
    assert PART < sizes[0] < BIG
    assert min(sizes) == sizes[0]
    assert proof(rig.answer(later, Stage.ENDED)).digest == manifest(house / "there/scans/2026").digest


def test_it_outlives_its_agent(house: Path, tmp_path: Path) -> None:
    """A kept transfer goes on while no agent is there, and the next agent tells its end and its digest."""
    node = Node(tmp_path, "none", **rules(house))
    node.start()
    begun = node.rig.send(node.rig.command(NODE, copy(rate=4 * SLOW)))
    node.rig.answer(begun)
    node.leave()
    assert not (house / "here/scans/2026").exists()
    node.start()
    try:
        assert proof(node.rig.answer(begun, Stage.ENDED)).files == 3
    finally:
        node.leave()


def test_damage_on_the_way_is_mended(start: Start, house: Path) -> None:
    """A part of full size with other content, and a file that the source has no more, are found by checksum and mended."""
    part = waiting(house)
    shutil.copytree(house / "there/scans/2026", part, symlinks=True)
    (part / "large").write_bytes(b"\0" * BIG)
    stamp = (house / "there/scans/2026/large").stat()
    os.utime(part / "large", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    (part / "old").write_text("x")
    assert proof(end(start(**rules(house)), copy())).digest == manifest(house / "there/scans/2026").digest
    assert tree(house / "here/scans/2026") == tree(house / "there/scans/2026")


def test_a_replica_that_differs_is_left_alone(start: Start, house: Path) -> None:
    """What is in the place already is never overwritten: refused, with the name that differs."""
    there = house / "here/scans/2026"
    there.mkdir(parents=True)
    (there / "mine").write_text("x")
    ended = end(start(**rules(house)), copy())
    assert ended.measured["exit_code"] == REFUSED
    assert "a replica that differs is in" in ended.text
    assert tree(there) == {"mine": b"x"}


def test_what_the_settings_do_not_hold_is_refused(start: Start, house: Path) -> None:
    """Unknown names together, with the nearest; no way round by a job; a source that is not there; a link out of the root."""
    rig = start(**rules(house))
    failed = rig.ask(NODE, copy(peer="their", root="mein"))
    assert (failed.stage, failed.code) == (Stage.FAILED, RefusalCode.TRANSFER_NOT_ALLOWED)
    assert failed.text == "no root 'mein' (did you mean 'main'?); no peer 'their' (did you mean 'there'?)"
    sneaky = JobState(job="j", state=JobWish.RUNNING, argv=("ozzo:data", "../../etc"))
    assert rig.ask(NODE, sneaky).code is RefusalCode.TRANSFER_NOT_ALLOWED
    ended = end(rig, copy("none", path="none"))
    assert (ended.measured["exit_code"], "rsync ended with 23" in ended.text) == (NOT_DONE, True)
    (house / "here/out").symlink_to("/tmp")
    ended = end(rig, copy("out", path="out/there"))
    assert (ended.measured["exit_code"], "leads out of" in ended.text) == (REFUSED, True)


def test_a_node_without_settings_for_data_refuses(start: Start) -> None:
    """Nothing is allowed by default."""
    assert "allow nothing with data" in start().ask(NODE, copy()).text


@pytest.mark.parametrize("path", ["../x", "/etc", "a/../b", ".hidden", "a//b", "a/.b", "", "a b", "a\n"])
def test_no_path_leads_out_of_a_root(path: str) -> None:
    """The protocol itself has no word for it."""
    with pytest.raises(ValidationError):
        copy(path=path)


def test_a_release_needs_a_proof_that_holds_now(start: Start, house: Path) -> None:
    """Another digest, another copy that has changed or is gone, or the replica itself as its copy: refused, and it is back."""
    rig = start(**rules(house, self={"folder": str(house / "here")}))
    told = proof(end(rig, copy()))
    mine = tree(house / "here/scans/2026")

    def refused(name: str, proven: CopyProof) -> str:
        ended = end(rig, ReleaseState(release=name, root="main", path="scans/2026", proof=proven))
        assert ended.measured["exit_code"] == REFUSED
        assert tree(house / "here/scans/2026") == mine
        return ended.text

    wrong = told.model_copy(update={"digest": "sha256:" + "0" * 64})
    assert "another content" in refused("a", wrong)
    assert "could not be compared" in refused("b", told.model_copy(update={"peer": "self"}))
    large = house / "there/scans/2026/large"
    whole, stamp = large.read_bytes(), large.stat()
    large.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    os.utime(large, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert "the other copy is not the same" in refused("c", told)
    large.write_bytes(whole)
    (house / "there/scans").rename(house / "there/gone")
    assert "could not be compared" in refused("d", told)
    (house / "there/gone").rename(house / "there/scans")
    assert proof(end(rig, ReleaseState(release="e", root="main", path="scans/2026", proof=told))) == told
    assert not (house / "here/scans/2026").exists()
    assert tree(house / "there/scans/2026").keys() == mine.keys()
    assert proof(end(rig, ReleaseState(release="f", root="main", path="scans/2026", proof=told))) == told  # gone already


def order(house: Path, root: str, other: str, held: Manifest) -> Path:
    """A release in ``root`` on the proof of ``other``."""
    made = Order("release", "rsync", str(RSYNC), (), str(house / other / "scans/2026"), str(house / root), "scans/2026")
    file = house / f"{root}.json"
    file.write_text(json.dumps(asdict(replace(made, digest=held.digest, files=held.files, bytes=held.bytes))))
    return file


def test_two_releases_that_name_each_other(house: Path) -> None:
    """Each node proves its release by the other's replica, at the same time: at least one whole replica is left."""
    for _ in range(4):
        for source, target in (("there", "here"), ("here", "there")):
            if not (house / target / "scans/2026").exists():
                shutil.copytree(house / source / "scans/2026", house / target / "scans/2026", symlinks=True)
        held = manifest(house / "there/scans/2026")
        files = [order(house, *pair, held) for pair in (("here", "there"), ("there", "here"))]
        commands = [[sys.executable, "-S", "-E", program.__file__, str(house), file.stem] for file in files]
        both = [subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for words in commands]
        codes = sorted(each.wait() for each in both)
        assert codes in ([0, REFUSED], [REFUSED, REFUSED])
        assert [manifest(house / root / "scans/2026") for root in ("here", "there") if (house / root / "scans/2026").exists()]


class Died(BaseException):
    """The program is gone, as by SIGKILL; nothing of it runs any more."""


@pytest.mark.parametrize("steps", range(5))
def test_a_release_that_dies_anywhere(house: Path, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever step it dies at, the replica is whole in its place after the next start, or it was proven and is gone."""
    shutil.copytree(house / "there/scans", house / "here/scans", symlinks=True)
    held, done = manifest(house / "there/scans/2026"), [0]

    def dying(function: Callable[..., Any]) -> Callable[..., Any]:
        def step(*words: Any, **more: Any) -> Any:
            if done[0] == steps:
                raise Died
            done[0] += 1
            return function(*words, **more)

        return step

    with monkeypatch.context() as world:
        world.setattr(Place, "settle", lambda _: None)  # the dead put nothing in order
        for name in ("move", "manifest", "differences"):
            world.setattr(program, name, dying(getattr(program, name)))
        world.setattr(shutil, "rmtree", dying(lambda folder: (folder / "large").unlink()))
        file = order(house, "here", "there", held)
        with pytest.raises(Died):
            program.release(file)
    assert recover(house / "here") == []
    replica = house / "here/scans/2026"
    assert replica.exists() == (steps < 4)
    if replica.exists():
        assert manifest(replica) == held
    assert not Place(house / "here", "scans/2026").folder(RELEASING).exists()
    assert not Place(house / "here", "scans/2026").folder(DELETING).exists()


def test_what_no_copy_holds_is_not_released(house: Path) -> None:
    """A link that leads out, a pipe: the manifest refuses them, so a release does."""
    data = house / "there/scans/2026"
    (data / "out").symlink_to("../../..")
    with pytest.raises(ReplicaError, match="out is a link that leads out"):
        manifest(data)
    (data / "out").unlink()
    os.mkfifo(data / "pipe")
    with pytest.raises(ReplicaError, match="pipe is neither file"):
        manifest(data)


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.binary(max_size=20), min_size=1, max_size=4), st.data())
def test_a_digest_tells_every_change(files: dict[str, bytes], data: st.DataObject) -> None:
    """The same files have the same digest wherever they lie; a byte more, another name or a file less has another one."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        for folder in (Path(one), Path(two)):
            for name, content in files.items():
                (folder / name).write_bytes(content)
        assert manifest(Path(one)) == manifest(Path(two))
        file = Path(two) / data.draw(st.sampled_from(sorted(files)))
        match data.draw(st.sampled_from(["more", "name", "less"])):
            case "more":
                file.write_bytes(file.read_bytes() + b"x")
            case "name":
                file.rename(file.with_name("other"))
            case _:
                file.unlink()
        assert manifest(Path(one)).digest != manifest(Path(two)).digest


def listens(port: int) -> bool:
    """True when somebody takes connections there."""
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def daemon(house: Path) -> Iterator[str]:
    """A real ``rsync --daemon`` on loopback with a password; yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    secrets, config = house / "secrets", house / "rsyncd.conf"
    for file, text in ((secrets, "ozzo:word\n"), (house / "password", "word\n")):
        file.write_text(text)
        file.chmod(0o600)
    lines = [
        "use chroot = no",
        f"pid file = {house}/rsyncd.pid",
        f"log file = {house}/rsyncd.log",
        "reverse lookup = no",
        "[data]",
    ]
    lines += [f"path = {house}/there", "read only = yes", "auth users = ozzo", f"secrets file = {secrets}"]
    lines += [] if os.geteuid() else ["uid = 0", "gid = 0"]
    config.write_text("\n".join(lines) + "\n")
    words = [str(RSYNC), "--daemon", "--no-detach", "--address=127.0.0.1", f"--port={port}", f"--config={config}"]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: listens(port), "the daemon")
            yield f"rsync://ozzo@127.0.0.1:{port}/data"
        finally:
            process.terminate()


@pytest.mark.slow
def test_over_the_network_with_a_password(start: Start, house: Path) -> None:
    """From a daemon that only reads; when it is gone the transfer says so; a release is checked over the network too."""
    with daemon(house) as address:
        rig = start(**rules(house, net={"rsync": address, "password_file": str(house / "password")}))
        told = proof(end(rig, copy(peer="net")), "net")
        assert told.digest == manifest(house / "there/scans/2026").digest
        gone = ReleaseState(release="r", root="main", path="scans/2026", proof=told)
        assert proof(end(rig, gone), "net") == told
    assert not (house / "here/scans/2026").exists()
    assert tree(house / "there/scans/2026")
    ended = end(rig, copy("late", peer="net"))
    assert (ended.measured["exit_code"], "rsync ended with 10" in ended.text) == (NOT_DONE, True)


@pytest.mark.skipif(RCLONE is None, reason="rclone is not installed (Debian: rclone)")
def test_by_rclone(start: Start, house: Path) -> None:
    """The same with rclone: verified by reading both sides, a change in the other copy refuses the release."""
    config = house / "rclone.conf"
    config.write_text("[far]\ntype = local\n")
    (house / "there/scans/2026/link").unlink()  # rclone does not copy links
    rig = start(**rules(house, far={"rclone": f"far:{house}/there", "config": str(config)}))
    told = proof(end(rig, copy(peer="far", rate=80.0)), "far")
    assert tree(house / "here/scans/2026") == tree(house / "there/scans/2026")
    (house / "there/scans/2026/deep/small").write_text("b\n")
    ended = end(rig, ReleaseState(release="r", root="main", path="scans/2026", proof=told))
    assert (ended.measured["exit_code"], "not the same" in ended.text) == (REFUSED, True)
    assert manifest(house / "here/scans/2026").digest == told.digest


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ({}, "found none"),
        ({"folder": "/a", "rsync": "rsync://127.0.0.1/m"}, "found folder and rsync"),
        ({"folder": "a"}, "an absolute path"),
        ({"folder": "/a/../b"}, "an absolute path"),
        ({"rsync": "rsync://vault.invalid/m"}, "does not encrypt: use ssh"),
        ({"rsync": "rsync://u:secret@127.0.0.1/m"}, "belongs into password_file"),
        ({"ssh": "u@h:/data"}, "ssh needs key and known_hosts"),
        ({"ssh": "-oProxyCommand=x@h:/data", "key": "/k", "known_hosts": "/h"}, "USER@HOST:/FOLDER"),
        ({"ssh": "u@h:/data", "key": "/k -x", "known_hosts": "/h"}, "without spaces"),
        ({"rclone": "far:data"}, "rclone needs config"),
        ({"rclone": "--config:data", "config": "/c"}, "REMOTE:FOLDER"),
        ({"folder": "/a", "key": "/k"}, "key: not for folder"),
        ({"folder": "/a", "fodler": "/b"}, "Extra inputs are not permitted"),
    ],
)
def test_peers_that_are_not_safe(peer: dict[str, str], expected: str) -> None:
    """Each is refused in words."""
    with pytest.raises(ValidationError, match=expected):
        Peer.model_validate(peer)


def test_ssh_knows_its_host() -> None:
    """No password prompt, no unknown host; rsync gets one argument that it splits at spaces by itself, without a shell."""
    peer = Peer(ssh="ozzo@vault.example:/data", key="/etc/ozzo/key", known_hosts="/etc/ozzo/hosts")
    made = Order("transfer", peer.tool, "/usr/bin/rsync", peer.options, peer.source("scans"), "/srv", "scans", 100.4)
    words = made.copy(Path("/srv/x"), mend=False)
    assert words[words.index("-e") + 1] == (
        "ssh -i /etc/ozzo/key -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile=/etc/ozzo/hosts"
    )
    assert words[-3:] == ["--", "ozzo@vault.example:/data/scans/", "/srv/x/"]
    assert "--bwlimit=100" in words


def test_roots_are_folders_below_the_root() -> None:
    """Neither / nor a relative folder."""
    for folder in ("/", "data"):
        with pytest.raises(ValidationError, match="expected"):
            DataRules.model_validate({"roots": {"main": folder}, "peers": {}})


def test_the_settings_of_the_page_are_settings() -> None:
    """What docs/operator.md shows can be used as it stands."""
    page = (Path(__file__).parents[2] / "docs/operator.md").read_text()
    (shown,) = re.findall(r'^```json\n("data": .*?)^```', page, re.DOTALL | re.MULTILINE)
    assert DataRules.model_validate(json.loads(f"{{{shown}}}")["data"]).peers.keys() == {"hall", "vault", "tape", "cloud"}
