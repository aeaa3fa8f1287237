"""``ozzo data``: files brought from a server on this machine, cut off, gone on with, refused, recorded and verified."""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import resource
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from grid.errors import FeedError, InputError
from grid.feeds.live import url_fault
from ozzo.cli import app
from ozzo.datasets import table
from ozzo.datasets.download import DiskError, Patience, download
from ozzo.datasets.shelf import LOCK, SUMS, FileState, State, get, read_sums, verify, write_sums
from ozzo.datasets.table import DATASETS, DataFile, Dataset, chosen
from tests.ozzo.range_server import Shelf, shelf

BODY = bytes(range(256)) * 1000
SUM = hashlib.sha256(BODY).hexdigest()
FAST = Patience(timeout_s=5.0, attempts=2, sleep=lambda _: None)


@pytest.fixture
def server() -> Iterator[Shelf]:
    """A server with one file."""
    with shelf() as here:
        here.files["/a.bin"] = BODY
        yield here


def one(server: Shelf, *, sha256: str | None = None, size: int | None = None) -> Dataset:
    """A dataset of the server's file."""
    return Dataset("a", "about", "licence", "cite", server.url, (DataFile("in/a.bin", f"{server.url}/a.bin", sha256, size),))


def fetch(server: Shelf, target: Path, expected: str | None = None, size: int | None = None) -> str:
    """Bring the server's file."""
    return download(DataFile("a.bin", f"{server.url}/a.bin", None, size), target, expected, lambda *_: None, FAST)


def bring(dataset: Dataset, folder: Path, *, force: bool = False) -> FileState:
    """``get`` for a dataset of one file."""
    return get([dataset], folder, lambda *_: None, force=force, patience=FAST)[0]


def leftovers(folder: Path) -> set[str]:
    """Names of everything that lies in a folder, below it too."""
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_the_list_is_whole_and_honest() -> None:
    """Names and paths are unique, stay below the folder, go over TLS; checksums are whole; repositories name a commit."""
    files = [file for item in DATASETS for file in item.files]
    assert len({item.name for item in DATASETS}) == len(DATASETS)
    assert len({file.path for file in files}) == len(files)
    for item in DATASETS:
        assert all((item.about, item.licence, item.citation, item.files)), item.name
        assert item.home.startswith("https://")
    for file in files:
        assert url_fault(file.url) is None
        assert not Path(file.path).is_absolute()
        assert ".." not in Path(file.path).parts
        assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
        if urlsplit(file.url).hostname == "raw.githubusercontent.com":
            assert re.fullmatch("[0-9a-f]{40}", urlsplit(file.url).path.split("/")[3])
            assert file.sha256
            assert file.size


def test_real_data_have_the_checksums_of_the_list(data: Path) -> None:
    """The real files, where a data folder is at hand, are those of the list."""
    states = [state for state in verify(list(DATASETS), data) if state.state is not State.MISSING]
    assert states
    assert {state.state for state in states} == {State.RIGHT}


def test_unknown_names_are_all_refused_at_once() -> None:
    """Every wrong name is a finding, with the nearest one."""
    with pytest.raises(InputError) as caught:
        chosen(["surf-2023", "surf-2022", "zeus"])
    assert [finding.nearest for finding in caught.value.findings] == ["surf-2022", "zeus-gpu-power"]


def test_a_file_arrives_whole(server: Shelf, tmp_path: Path) -> None:
    """The bytes are the server's, nothing else is left over, progress ends at the whole."""
    told: list[tuple[int, int | None]] = []
    target = tmp_path / "deep" / "a.bin"
    item = DataFile("a.bin", f"{server.url}/a.bin", SUM, len(BODY))
    assert download(item, target, SUM, lambda have, whole: told.append((have, whole)), FAST) == SUM
    assert target.read_bytes() == BODY
    assert leftovers(tmp_path) == {"a.bin"}
    assert told[0] == (0, len(BODY))
    assert told[-1] == (len(BODY), len(BODY))
    assert [have for have, _ in told] == sorted(have for have, _ in told)


def test_a_cut_is_gone_on_with(server: Shelf, tmp_path: Path) -> None:
    """After a cut the next request asks for the rest only, under the condition that the file is the same."""
    server.cuts = [100_000]
    assert fetch(server, tmp_path / "a.bin") == SUM
    assert server.asked == [("/a.bin", None, None), ("/a.bin", "bytes=100000-", '"one"')]


def test_a_later_command_goes_on(server: Shelf, tmp_path: Path) -> None:
    """When the server stops delivering, what has arrived stays, no file appears, and the next command asks for the rest."""
    server.cuts = [100_000, 0, 0]
    with pytest.raises(FeedError, match="100000 bytes are kept"):
        fetch(server, tmp_path / "a.bin")
    assert leftovers(tmp_path) == {"a.bin.part", "a.bin.part.tag"}
    server.asked.clear()
    assert fetch(server, tmp_path / "a.bin") == SUM
    assert server.asked == [("/a.bin", "bytes=100000-", '"one"')]


def test_a_file_that_changed_meanwhile_begins_anew(server: Shelf, tmp_path: Path) -> None:
    """No mixture of two versions: the mark differs, so the server sends the whole and the part is given up."""
    server.cuts = [100_000, 0, 0]
    with pytest.raises(FeedError):
        fetch(server, tmp_path / "a.bin")
    server.files["/a.bin"], server.mark = BODY[::-1], '"two"'
    fetch(server, tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == BODY[::-1]


@pytest.mark.parametrize("mark", ["", 'W/"weak"'])
def test_without_a_mark_and_a_checksum_nothing_is_gone_on_with(server: Shelf, tmp_path: Path, mark: str) -> None:
    """It cannot be sure that the rest belongs to the part, so it begins anew; a known checksum makes it sure."""
    server.mark, server.cuts = mark, [100_000]
    assert fetch(server, tmp_path / "a.bin") == SUM
    assert [wanted for _, wanted, _ in server.asked] == [None, None]
    server.asked, server.cuts = [], [100_000]
    assert fetch(server, tmp_path / "b.bin", SUM) == SUM
    assert [wanted for _, wanted, _ in server.asked] == [None, "bytes=100000-"]


def test_a_server_without_ranges(server: Shelf, tmp_path: Path) -> None:
    """It answers with the whole, which replaces the part."""
    server.ranges, server.cuts = False, [100_000]
    assert fetch(server, tmp_path / "a.bin") == SUM
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_a_range_at_the_wrong_place_is_not_taken(server: Shelf, tmp_path: Path) -> None:
    """An answer that claims another place is thrown away with the part, and the whole is asked for."""
    server.cuts, server.lie = [100_000], 7
    assert fetch(server, tmp_path / "a.bin") == SUM
    assert server.asked[-1] == ("/a.bin", None, None)


def test_a_part_longer_than_the_file_begins_anew(server: Shelf, tmp_path: Path) -> None:
    """The server refuses the range (416); the part is thrown away."""
    (tmp_path / "a.bin.part").write_bytes(BODY * 2)
    assert fetch(server, tmp_path / "a.bin", SUM) == SUM
    assert [wanted for _, wanted, _ in server.asked] == [f"bytes={2 * len(BODY)}-", None]


def test_a_part_that_is_whole_needs_no_request(server: Shelf, tmp_path: Path) -> None:
    """Cut off between the last byte and the renaming: the checksum is enough."""
    (tmp_path / "a.bin.part").write_bytes(BODY)
    assert fetch(server, tmp_path / "a.bin", SUM, len(BODY)) == SUM
    assert server.asked == []


@settings(max_examples=8, deadline=None)
@given(cuts=st.lists(st.integers(1, 400), max_size=4), size=st.integers(0, 600), known=st.booleans())
def test_any_cuts_give_the_same_bytes(cuts: list[int], size: int, known: bool) -> None:
    """However often it is cut after at least a byte, what arrives is the file."""
    with shelf() as here, tempfile.TemporaryDirectory() as folder:
        body = BODY[:size]
        here.files["/a.bin"], here.cuts = body, list(cuts)
        expected = hashlib.sha256(body).hexdigest() if known else None
        fetch(here, Path(folder) / "a.bin", expected)
        assert (Path(folder) / "a.bin").read_bytes() == body


def test_a_wrong_checksum_is_thrown_away(server: Shelf, tmp_path: Path) -> None:
    """Found and expected are named; the file that lay there stays; nothing half lies around."""
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with pytest.raises(FeedError, match=f"found a file of sha256 {SUM}; expected {'0' * 64}"):
        fetch(server, target, "0" * 64)
    assert target.read_bytes() == b"old"
    assert leftovers(tmp_path) == {"a.bin"}


def test_another_size_is_refused_before_anything_is_taken(server: Shelf, tmp_path: Path) -> None:
    """The server says how long its file is."""
    with pytest.raises(FeedError, match=f"found a file of {len(BODY)} bytes; expected 5"):
        fetch(server, tmp_path / "a.bin", SUM, 5)
    assert leftovers(tmp_path) == set()


def test_refusals_are_told(server: Shelf, tmp_path: Path) -> None:
    """404 at once; a redirect with its target without question; a busy server after the attempts; plain http elsewhere."""
    with pytest.raises(FeedError, match=r"/b\.bin: status 404 Not Found$"):
        download(DataFile("b", f"{server.url}/b.bin"), tmp_path / "b", None, lambda *_: None, FAST)
    assert len(server.asked) == 1
    server.statuses, server.headers = [302], {"Location": "https://example.org/c.bin?token=secret"}
    with pytest.raises(FeedError, match=r"points to https://example\.org/c\.bin; redirects are not followed"):
        fetch(server, tmp_path / "a.bin")
    server.statuses, server.headers = [503, 503], {}
    with pytest.raises(FeedError, match="status 503 Service Unavailable; the same command begins anew"):
        fetch(server, tmp_path / "a.bin")
    server.statuses = [503]
    assert fetch(server, tmp_path / "a.bin") == SUM
    with pytest.raises(FeedError, match=r"is not asked: plain http to example\.org"):
        download(DataFile("b", "http://example.org/b"), tmp_path / "b", None, lambda *_: None, FAST)


def test_nobody_there(tmp_path: Path) -> None:
    """A closed port is told as no connection."""
    with shelf() as here:
        url = here.url
    with pytest.raises(FeedError, match="no connection"):
        download(DataFile("a", f"{url}/a"), tmp_path / "a", None, lambda *_: None, FAST)


@contextmanager
def small_disk(limit: int) -> Iterator[None]:
    """No file may grow beyond ``limit`` bytes, as on a disk that is full (EFBIG in the place of ENOSPC)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_told_and_gone_on_with(server: Shelf, tmp_path: Path) -> None:
    """The error names the file and what is kept; further files are not tried; with room again the rest is asked for."""
    both = Dataset(
        "a", "about", "licence", "cite", server.url, tuple(DataFile(name, f"{server.url}/a.bin") for name in ("a.bin", "b.bin"))
    )
    with small_disk(70_000):
        states = get([both], tmp_path, lambda *_: None, patience=FAST)
    assert [state.state for state in states] == [State.FAILED, State.NOT_TRIED]
    assert re.search(r"a\.bin: cannot be written: File too large; \d+ bytes are kept", states[0].words)
    assert len(server.asked) == 1
    kept = (tmp_path / "a.bin.part").stat().st_size
    assert 0 < kept <= 70_000
    states = get([both], tmp_path, lambda *_: None, patience=FAST)
    assert [state.state for state in states] == [State.BROUGHT, State.BROUGHT]
    assert server.asked[1][1] == f"bytes={kept}-"
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_a_folder_that_cannot_be(server: Shelf, tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match="cannot be written"):
        bring(one(server), tmp_path / "file")


def test_the_first_download_records_and_later_ones_are_held_against_it(server: Shelf, tmp_path: Path) -> None:
    """Trust on first use: recorded, verified, a change on the disk noticed, a change at the address refused."""
    dataset = one(server)
    assert bring(dataset, tmp_path).words == f"no checksum was known; recorded {SUM}"
    assert read_sums(tmp_path) == {"in/a.bin": SUM}
    assert bring(dataset, tmp_path).state is State.RIGHT
    assert len(server.asked) == 1
    (tmp_path / "in" / "a.bin").write_bytes(b"x")
    assert verify([dataset], tmp_path)[0].state is State.DIFFERS
    assert bring(dataset, tmp_path).state is State.DIFFERS
    server.files["/a.bin"] = b"another"
    state = bring(dataset, tmp_path, force=True)
    assert (state.state, SUM in state.words) == (State.FAILED, True)
    assert (tmp_path / "in" / "a.bin").read_bytes() == b"x"
    server.files["/a.bin"] = BODY
    assert bring(dataset, tmp_path, force=True).state is State.BROUGHT
    done = subprocess.run(["sha256sum", "--check", "--strict", SUMS], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "in/a.bin: OK\n")


def test_a_known_checksum_outranks_the_record(server: Shelf, tmp_path: Path) -> None:
    """A file that is right by the list is right, whatever was recorded, and the record is put right."""
    dataset = one(server, sha256=SUM)
    bring(dataset, tmp_path)
    write_sums(tmp_path, {"in/a.bin": "0" * 64, "other": SUM})
    assert bring(dataset, tmp_path).state is State.RIGHT
    assert read_sums(tmp_path) == {"in/a.bin": SUM, "other": SUM}


def test_a_file_put_there_by_hand_is_not_vouched_for(server: Shelf, tmp_path: Path) -> None:
    """Nothing is recorded of it and nothing overwritten; ``force`` brings it."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.bin").write_bytes(b"mine")
    assert bring(one(server), tmp_path).state is State.UNRECORDED
    assert read_sums(tmp_path) == {}
    assert server.asked == []
    assert bring(one(server), tmp_path, force=True).state is State.BROUGHT


def test_what_is_missing_says_how_much_has_arrived(server: Shelf, tmp_path: Path) -> None:
    """Verify opens no connection."""
    server.cuts = [1000, 0, 0]
    assert bring(one(server), tmp_path).state is State.FAILED
    server.asked.clear()
    state = verify([one(server)], tmp_path)[0]
    assert (state.state, state.words) == (State.MISSING, "1000 bytes have arrived; 'ozzo data get a' goes on")
    assert server.asked == []


def test_a_broken_record_is_refused_with_every_line(tmp_path: Path) -> None:
    """Line numbers and what stands there."""
    (tmp_path / SUMS).write_text(f"{SUM}  good\nnonsense\n\n{SUM[:5]}  short\n")
    with pytest.raises(InputError) as caught:
        read_sums(tmp_path)
    assert [finding.line for finding in caught.value.findings] == [2, 4]


def test_one_get_at_a_time(server: Shelf, tmp_path: Path) -> None:
    """A folder in use is refused, and free again afterwards."""
    with (tmp_path / LOCK).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(FeedError, match="another 'ozzo data get' works"):
            bring(one(server), tmp_path)
    assert bring(one(server), tmp_path).state is State.BROUGHT


def test_the_command_line(server: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """List, get and verify in words and JSON, with exit codes."""
    monkeypatch.delenv("OZZO_DATA", raising=False)
    monkeypatch.setattr(table, "DATASETS", (one(server, sha256=SUM, size=len(BODY)),))
    run = CliRunner()
    folder = ["--folder", str(tmp_path)]
    text = run.invoke(app, ["data", "list"]).stdout
    assert "licence" in text
    assert "1, 0.3 MB, all checksums known" in text
    assert json.loads(run.invoke(app, ["data", "list", "--json"]).stdout)["datasets"][0]["files"][0]["sha256"] == SUM
    nothing = run.invoke(app, ["data", "verify", *folder])
    assert (nothing.exit_code, "no file of a known dataset" in nothing.stdout) == (1, True)
    assert run.invoke(app, ["data", "verify", "a", *folder]).exit_code == 1
    server.cuts = [100_000]
    brought = run.invoke(app, ["data", "get", "a", *folder])
    assert (brought.exit_code, brought.stdout) == (0, "brought    in/a.bin\n")
    assert "in/a.bin: 0.3 MB\n" in brought.stderr
    assert "in/a.bin: all there\n" in brought.stderr
    good = run.invoke(app, ["data", "verify", "--json"], env={"OZZO_DATA": str(tmp_path)})
    assert (good.exit_code, json.loads(good.stdout)["good"]) == (0, True)
    wrong = run.invoke(app, ["data", "get", "b", *folder])
    assert isinstance(wrong.exception, InputError)
