"""A dataset moved between two real agents over a real broker, from a user's side."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from grid.errors import InputError
from ozzo.agent.replica import INCOMING, arrived, manifest
from ozzo.cli import app
from tests.live.processes import MAIN, ROOT, minimal
from tests.live.slurm_cluster import wait_for
from tests.live.test_remote_run import Site, site_of

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed (Debian: rsync)"),
]
TO, AWAY = "hall.rack-1:cold:zero", "hall.rack-0:cold:one"
House = tuple[Site, Path, list[str]]


@pytest.fixture
def house(mosquitto: str, tmp_path: Path) -> Iterator[House]:
    """Two agents with a root each that are each other's peers, a dataset of the first, and the words of a command."""
    assert mosquitto
    roots = [tmp_path / name for name in ("zero", "one")]
    (roots[0] / "scans/2026").mkdir(parents=True)
    roots[1].mkdir()
    (roots[0] / "scans/2026/large").write_bytes(os.urandom(300_000))
    with site_of(minimal()) as site, contextlib.ExitStack() as stack:
        for number, root in enumerate(roots):
            settings = site.folders[f"hall.rack-{number}"] / "agent.json"
            peers = {other.name: {"folder": str(other)} for other in roots if other != root}
            told = json.loads(settings.read_text()) | {"data": {"roots": {"cold": str(root)}, "peers": peers}}
            settings.write_text(json.dumps(told))
            stack.enter_context(site.agent(f"hall.rack-{number}", tmp_path / "agents.log"))
        yield site, tmp_path, ["migrate", "scans/2026", "--broker", str(site.controller), "--to", TO]


def test_copied_verified_released(house: House) -> None:
    """The dataset is on the second node only, and the figures are those of what is there."""
    _, folder, words = house
    before = manifest(folder / "zero/scans/2026")
    answer = CliRunner().invoke(app, [*words, "--release", AWAY, "--json"])
    assert answer.exit_code == 0, answer.output
    told = json.loads(answer.stdout)
    assert (told["released"], told["trouble"]) == (True, "")
    assert (told["copied"]["digest"], told["copied"]["files"]) == (before.digest, 1)
    assert manifest(folder / "one/scans/2026") == before
    assert not (folder / "zero/scans/2026").exists()


def test_stopped_and_done_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C stops the node's copying and keeps what came; while a lease runs nobody else commands; then it goes on."""
    _, folder, words = house
    slow = [*MAIN, *words, "--rate", "0.5"]
    with subprocess.Popen(slow, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        part = folder / "one" / INCOMING
        wait_for(lambda: arrived(part) > 20_000, "a part")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 130, said
    wait_for(lambda: not copying(folder / "one"), "the end of the copier")
    kept = arrived(part)
    assert 20_000 < kept < 300_000
    with monkeypatch.context() as hasty:
        hasty.setattr("ozzo.migration.LEASE_S", -9.5)  # waits half a second for the lease of the one before
        early = CliRunner().invoke(app, words)
    assert "another controller commands hall.rack-1" in str(early.exception)
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == 0, answer.output
    assert "copied, verified." in answer.stdout
    assert manifest(folder / "one/scans/2026") == manifest(folder / "zero/scans/2026")


def copying(root: Path) -> bool:
    """True while an rsync works on a root."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(str(root).encode() in entry.read_bytes())
    return any(found)


def test_what_is_wrong_is_said(house: House) -> None:
    """Wrong words all at once, before anything is asked; a node without such a peer in its own words, with exit code 1."""
    _, folder, words = house
    wrong = CliRunner().invoke(app, ["migrate", "../x", "--broker", str(folder), "--to", "a:b", "--release", "c"])
    assert isinstance(wrong.exception, InputError)
    assert [finding.field for finding in wrong.exception.findings] == ["PATH", "--to", "--release"]
    answer = CliRunner().invoke(app, [*words[:-1], "hall.rack-1:cold:zeor"])
    assert answer.exit_code == 1
    assert "no peer 'zeor' (did you mean 'zero'?)" in answer.stdout
