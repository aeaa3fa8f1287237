"""What a node says about kept jobs is so: pauses are verified, no job starts twice or is lost, folders are bounded."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import InputError
from ozzo.agent import keeper, keeping, kept
from ozzo.agent.cgroup import own_folder
from ozzo.agent.child import process_state
from ozzo.agent.folders import GONE, Bounds, Surroundings, cgroup_of, prepare, sweep
from ozzo.agent.kept import KeptChild
from ozzo.agent.node import NodeAgent
from ozzo.bench.freezing import TARGET_MS, as_rows, freezing, print_rows
from ozzo.commands import CapState, RefusalCode, Stage
from tests.ozzo.rig import alive, eventually, pause, run, stop
from tests.ozzo.test_kept_jobs import NODE, Node, node, stands

__all__ = ["node"]
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"


def says(home: Node, job: str, text: str) -> None:
    """Wait until a job has said something."""
    eventually(lambda: (home.jobs(job) / "output").read_text() == text, f"{job} says {text!r}")


@pytest.mark.parametrize("later", ["auto", "none"])
def test_an_agent_with_other_settings_holds_a_job_by_what_the_job_has(node: Callable[..., Node], later: str) -> None:
    """Started with a cgroup or without, and found by an agent that makes them or does not: pause and stop are real."""
    home = node()
    pid = int(home.rig.ask(NODE, run("j", "sleep", "600")).measured["pid"])
    home.leave()
    made_with = home.config.cgroup
    home.config = home.config.model_copy(update={"cgroup": later})
    home.start()
    assert home.rig.ask(NODE, pause("j")).stage is Stage.APPLIED
    assert stands(pid)
    group = cgroup_of(json.loads((home.jobs("j") / "run.json").read_text()))
    assert (group is not None and group.frozen) == (made_with == "auto")  # by its own group, not by signals only
    assert home.rig.ask(NODE, run("j", "sleep", "600")).measured["pid"] == pid
    assert not stands(pid)
    assert home.rig.ask(NODE, stop("j")).measured["exit_code"] == -signal.SIGTERM
    assert not alive(pid)


def test_a_process_that_left_its_cgroup_is_paused_too(node: Callable[..., Node]) -> None:
    """Root moves a job's process out of its cgroup: freezing the group would not reach it, so it is stopped by signal."""
    home = node()
    pid = int(home.rig.ask(NODE, run("j", "sleep", "600")).measured["pid"])
    above = own_folder()
    if home.config.cgroup == "auto" and above is not None:
        (above / "cgroup.procs").write_text(str(pid))
    assert home.rig.ask(NODE, pause("j")).stage is Stage.APPLIED
    assert process_state(pid) == "T"
    home.rig.ask(NODE, stop("j"))
    assert not alive(pid)


def test_a_pause_that_does_not_come_about_is_told_as_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, node: Callable[..., Node]
) -> None:
    """The kernel's refusal to stop a process is faked: pause and cap are told as failed, and tried again until they hold."""
    home = node(idle_kw=0.1)
    if home.config.cgroup != "none":
        return  # the cgroup would do it
    monkeypatch.setattr(kept, "CONFIRM_S", 0.2)
    pid = int(home.rig.ask(NODE, run("j", "sleep", "600", power_kw=0.3)).measured["pid"])
    with monkeypatch.context() as faked:
        faked.setattr(keeper, "signal_all", lambda pids, _: list(pids))
        faked.setattr(os, "killpg", lambda *_: None)
        assert home.rig.ask(NODE, pause("j")).code is RefusalCode.NOT_CONFIRMED
        home.rig.ask(NODE, run("j", "sleep", "600", power_kw=0.3))
        assert home.rig.ask(NODE, CapState(cap_kw=0.2)).code is RefusalCode.NOT_CONFIRMED
        waiting = home.rig.ask(NODE, run("k", "sleep", "600", power_kw=0.05))
        assert waiting.measured == {"running": 0.0, "held": 1.0}  # nothing more begins while too much runs
        assert not stands(pid)
    eventually(lambda: stands(pid), "the next try")
    home.rig.ask(NODE, stop("k"))
    home.rig.ask(NODE, stop("j"))


def test_a_job_that_is_over_at_once_has_run_once(
    node: Callable[..., Node], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Job and keeper are gone before the agent looks: told as applied and as ended well, and started once."""
    ready = KeptChild._ready

    def late(process: subprocess.Popen[str], *more: Any) -> dict[str, Any]:
        told = ready(process, *more)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        return told

    monkeypatch.setattr(KeptChild, "_ready", staticmethod(late))
    home, log = node(), tmp_path / "starts"
    begun = home.rig.send(home.rig.command(NODE, run("j", "python", "import sys; open(sys.argv[1], 'a').write('x')", str(log))))
    assert home.rig.answer(begun, Stage.ENDED).measured["exit_code"] == 0.0
    assert Stage.FAILED not in home.rig.stages(begun)
    assert log.read_text() == "x"


def order(place: Path, **changes: Any) -> dict[str, Any]:
    """An order for a keeper."""
    values: dict[str, Any] = {
        "run": "r", "argv": ["/bin/sleep", "600"], "env": {}, "cwd": "/", "folder": str(place), "lock": 0, "user": "",
        "agent_lock": str(place / "agent.lock"), "cgroup": "", "limits": {}, "alone_s": 600.0, "output_bytes": 1000,
    }  # fmt: skip
    return values | changes


def start_keeper(place: Path, **changes: Any) -> subprocess.Popen[str]:
    """A keeper without an agent, with its order."""
    lock = prepare(Surroundings(place.parent, place / "agent.lock"), place.name, "r")
    process = subprocess.Popen(
        [sys.executable, "-S", "-E", keeper.__file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=(lock,)
    )
    os.close(lock)
    assert process.stdin is not None
    process.stdin.write(json.dumps(order(place, lock=lock, **changes)))
    process.stdin.close()
    return process


def test_a_keeper_that_is_killed_before_it_tells(tmp_path: Path) -> None:
    """A job that has begun is known by run.json, and is no failed start; one that has not begun leaves none, and is one."""
    with start_keeper(tmp_path / "j") as silent:
        assert silent.stdout is not None
        told = json.loads(silent.stdout.readline())
        with subprocess.Popen(["/bin/false"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as mute:
            assert KeptChild._ready(mute, "", tmp_path / "j", "r") == told
        silent.kill()
    eventually(lambda: not alive(told["pid"]), "the end of the job")
    with start_keeper(tmp_path / "k", argv=["/nowhere/program"]) as failing:
        failing.wait()
    assert not (tmp_path / "k" / "run.json").exists()
    never = subprocess.Popen(["/bin/false"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with never, pytest.raises(OSError, match="did not start"):
        KeptChild._ready(never, "", tmp_path / "k", "r")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 300 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("making a small disk needs the right to mount")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path) -> None:
    """Leave no byte free."""
    with (disk / "filler").open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


def test_a_full_disk_does_not_end_a_job(small_disk: Path) -> None:
    """The disk fills up after the start: output is dropped, the pause is made, and how the job ended is written all the same."""
    code = "import sys, time; print('x' * 5000, flush=True); sys.stdin.read(); time.sleep(1.5); sys.exit(7)"
    argv = [sys.executable, "-S", "-E", "-c", code]
    with start_keeper(small_disk / "j", argv=argv, alone_s=0.1) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        fill(small_disk)
        eventually(lambda: process_state(told["pid"]) == "T", "the pause without an agent")
        assert process.poll() is None
        os.kill(told["pid"], signal.SIGCONT)
        assert process.wait(30) == 0
    assert json.loads((small_disk / "j" / "exit.json").read_text())["exit_code"] == 7


def test_a_node_lives_with_a_full_disk(small_disk: Path) -> None:
    """Nothing is taken that cannot be written, which is told; jobs go on, ends are kept for later; with room it obeys again."""
    home = Node(small_disk, "none", failsafe_kw=5.0)
    home.start()
    code = "import sys, time; time.sleep(float(sys.argv[1]))"
    begun = home.rig.send(home.rig.command(NODE, run("short", "python", code, "1")))
    pid = int(home.rig.ask(NODE, run("long", "python", code, "600")).measured["pid"])
    fill(small_disk)
    lost = home.rig.send(home.rig.command(NODE, pause("long")))
    assert home.rig.answer(begun, Stage.ENDED).measured["exit_code"] == 0.0
    assert home.rig.stages(lost) == []
    assert not stands(pid)
    assert [note for note in home.notes if "cannot be written" in note]
    (small_disk / "filler").unlink()
    assert home.rig.answer(home.rig.send(lost)).stage is Stage.APPLIED
    assert stands(pid)
    home.rig.ask(NODE, stop("long"))
    home.leave()
    home.start()
    assert home.rig.states[-1].ended == {"short": 0, "long": -signal.SIGTERM}
    home.leave()


def test_a_job_does_not_begin_on_a_full_disk(small_disk: Path) -> None:
    """Nothing could tell how it ends: the keeper says why, and no run is written."""
    (small_disk / "j").mkdir()
    fill(small_disk)
    with start_keeper(small_disk / "j") as process:
        assert process.stdout is not None
        assert "No space left" in json.loads(process.stdout.readline())["error"]
    assert not (small_disk / "j" / "run.json").exists()


def test_a_process_that_may_not_be_signalled_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's refusal is faked: nothing is raised, the others get their signal, and the refused one is named."""
    sent = []

    def fake(pid: int, number: int) -> None:
        if pid == 7:
            raise PermissionError
        if pid == 8:
            raise ProcessLookupError
        sent.append((pid, number))

    monkeypatch.setattr(os, "kill", fake)
    assert keeper.signal_all([7, 8, 9], signal.SIGSTOP) == [7]
    assert sent == [(9, signal.SIGSTOP)]


@given(st.integers(1, 300), st.lists(st.binary(max_size=700), max_size=30))
def test_output_is_bounded_exactly(tmp_path_factory: pytest.TempPathFactory, limit: int, pieces: list[bytes]) -> None:
    """Whatever is said in whatever pieces: the newest bytes are kept, at least ``limit`` of them, in two files of ``limit``."""
    path = tmp_path_factory.mktemp("output") / "output"
    output, said = keeper.Output(str(path), limit), b"".join(pieces)
    for piece in pieces:
        output.take(piece)
    os.close(output._file)
    older = path.with_name("output.1")
    files = [file.read_bytes() for file in (older, path) if file.exists()]
    assert all(len(file) <= limit for file in files)
    assert said.endswith(b"".join(files))
    assert len(b"".join(files)) >= min(limit, len(said))
    assert output.tail == said[-keeper.TAIL_BYTES :]


def test_a_job_that_is_being_stopped_counts_under_the_cap(node: Callable[..., Node]) -> None:
    """It is woken for its end, so another one makes room; when it is gone that one goes on."""
    home = node(idle_kw=0.1, stop_grace_s=3.0)
    old = int(home.rig.ask(NODE, run("old", "sleep", "600", power_kw=0.2)).measured["pid"])
    young = int(home.rig.ask(NODE, run("young", "python", DEAF, power_kw=0.2)).measured["pid"])
    says(home, "young", "deaf\n")
    home.rig.ask(NODE, CapState(cap_kw=0.35))
    assert (stands(old), stands(young)) == (False, True)
    stopping = home.rig.send(home.rig.command(NODE, stop("young")))
    eventually(lambda: not stands(young), "a woken job")
    assert stands(old)
    assert home.rig.answer(stopping).measured["exit_code"] == -signal.SIGKILL
    eventually(lambda: not stands(old), "room again")
    home.rig.ask(NODE, stop("old"))


def test_the_oldest_job_keeps_its_place_over_a_restart(node: Callable[..., Node]) -> None:
    """Wishes about an old job do not make it the youngest: after a restart the cap holds back the other one."""
    home = node(idle_kw=0.1, failsafe_kw=0.35)
    pids = [int(home.rig.ask(NODE, run(name, "sleep", "600", power_kw=0.2)).measured["pid"]) for name in ("old", "young")]
    home.rig.ask(NODE, pause("old"))
    home.rig.ask(NODE, run("old", "sleep", "600", power_kw=0.2))
    home.leave()
    home.start()
    assert list(home.rig.states[-1].jobs) == ["old", "young"]
    assert home.rig.states[-1].held == ("young",)
    assert (stands(pids[0]), stands(pids[1])) == (False, True)


def test_a_held_job_that_cannot_start_later_is_told(node: Callable[..., Node]) -> None:
    """Nobody waits for an answer any more: its command is told as failed, and states list it among the ends."""
    home = node(idle_kw=0.1)
    home.rig.ask(NODE, CapState(cap_kw=0.2))
    begun = home.rig.send(home.rig.command(NODE, run("j", "gone", power_kw=0.5)))
    assert home.rig.answer(begun).measured["held"] == 1.0
    assert home.rig.ask(NODE, run("next", "sleep", "600", power_kw=0.6)).measured["held"] == 1.0
    told = home.rig.ask(NODE, CapState(cap_kw=1.0))
    failed = home.rig.answer(begun, Stage.FAILED)
    assert told.measured["held"] == 0.0  # the next one has the room at once
    assert failed.code is RefusalCode.PROGRAM_FAILED_TO_START
    assert "No such file" in failed.text
    assert home.rig.state(NODE, lambda state: state.ended == {"j": -1}, "the end in a state").jobs.keys() == {"next"}
    home.rig.ask(NODE, stop("next"))
    home.leave()
    home.start()
    assert home.rig.states[-1].ended == {"j": -1, "next": -signal.SIGTERM}


def test_folders_of_old_jobs_are_removed(node: Callable[..., Node], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of four ended jobs keep their folders, the last ones; a job that runs keeps its own."""
    monkeypatch.setattr(keeping, "SWEEP_S", 0.0)
    home = node(keep_folders=2)
    home.rig.ask(NODE, run("runs", "sleep", "600"))
    for number in range(4):
        begun = home.rig.send(home.rig.command(NODE, run(f"j{number}", "sleep", "0")))
        home.rig.answer(begun, Stage.ENDED)
    eventually(lambda: not any(path.name.startswith(GONE) for path in home.jobs("x").parent.iterdir()), "the deletion")
    assert {path.name for path in home.jobs("x").parent.iterdir() if path.is_dir()} == {"runs", "j2", "j3"}
    home.rig.ask(NODE, stop("runs"))


@given(
    st.lists(st.tuples(st.integers(0, 100), st.booleans(), st.booleans()), max_size=8),
    st.integers(0, 8),
    st.none() | st.integers(1, 100),
)
def test_what_a_sweep_removes(
    tmp_path_factory: pytest.TempPathFactory, jobs: list[tuple[int, bool, bool]], most: int, days: int | None
) -> None:
    """Never what is locked, busy, or no job's; of the rest the newest ``most`` not older than ``days`` stay, no more."""
    folder = tmp_path_factory.mktemp("jobs")
    (folder / "agent.lock").touch()
    (folder / "mine").mkdir()
    now_s, locks = 200 * 86_400.0, []
    around = Surroundings(folder, folder / "agent.lock")
    for i, (age_days, runs, _) in enumerate(jobs):
        lock = prepare(around, f"j{i}", "r")
        (folder / f"j{i}" / "exit.json").write_text("{}")
        at_s = now_s - age_days * 86_400.0 - i
        os.utime(folder / f"j{i}" / "exit.json", (at_s, at_s))
        if runs:
            locks.append(lock)
        else:
            os.close(lock)
    busy = {f"j{i}" for i, (_, _, wanted) in enumerate(jobs) if wanted}
    removed = set(sweep(folder, Bounds(most, days), busy, now_s))
    for lock in locks:
        os.close(lock)
    free = sorted((age, i) for i, (age, _, wanted) in enumerate(jobs) if not wanted)
    expected = {
        f"j{i}" for rank, (age, i) in enumerate(free) if rank >= most or (days is not None and age * 86_400 + i > days * 86_400)
    }
    assert removed == {name for name in expected if not jobs[int(name[1:])][1]}
    assert (folder / "mine").is_dir()


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A folder that any user may pass through."""
    folder = Path(tempfile.mkdtemp(prefix="ozzo-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's agent can run jobs as another user")
def test_another_user_works_in_its_own_folder(open_place: Path) -> None:
    """By default the job is in a folder of its own where that user may read and write by its whole path, and nowhere beside."""
    home = Node(open_place / "state", "none", run_as="nobody", programs={"sh": ("/bin/sh", "-c")})
    home.start()
    code = 'echo hello > note && cat "$PWD/note" && id -u && ! cat ../run.json 2>/dev/null && exit 1'
    ended = home.rig.answer(home.rig.send(home.rig.command(NODE, run("j", "sh", code))), Stage.ENDED, Stage.FAILED)
    home.leave()
    assert ended.text.split() == ["hello", str(pwd.getpwnam("nobody").pw_uid)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's agent can run jobs as another user")
def test_a_folder_that_another_user_cannot_reach_is_told(open_place: Path) -> None:
    """Before anything is started: which folder is closed to whom, and what to do."""
    (open_place / "closed").mkdir(mode=0o700)
    home = Node(open_place / "closed" / "state", "none", run_as="nobody")
    with pytest.raises(InputError, match=r"user nobody, who cannot enter .*closed") as caught:
        NodeAgent(home.config, home.hub.connect()).run()
    assert "chmod o+x" in str(caught.value)


def test_a_job_of_many_processes_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """Both ways, or the one that is there, are measured and printed; nothing of the job is left; too few processes are told."""
    notes: list[str] = []
    found = freezing(5, 2, notes.append)
    assert [row.way for row in found] == (["signals"] if notes else ["cgroup", "signals"])
    for row in found:
        assert 0 < row.freeze_ms <= row.freeze_worst_ms
    print_rows(found, sys.stdout)
    assert capsys.readouterr().out.count("5 processes, 2 times: frozen in") == len(found)
    assert all(row["within"] == (float(str(row["freeze_worst_ms"])) <= TARGET_MS) for row in as_rows(found))


def test_an_agent_that_waits_does_not_spin(node: Callable[..., Node]) -> None:
    """A paused job leaves no deadline behind (else the agent would wake up for nothing)."""
    home = node()
    home.rig.ask(NODE, run("j", "sleep", "600"))
    home.rig.ask(NODE, pause("j"))
    assert home._agent is not None
    assert home._agent._jobs.deadline() is None
    home.rig.ask(NODE, stop("j"))


def test_no_cgroup_is_left_behind(node: Callable[..., Node]) -> None:
    """An agent that leaves without jobs takes the folder of its cgroups along; one that leaves a job leaves it there."""
    home = node()
    folder = Path(home.notes[0].removeprefix("jobs are in cgroups below ")) if home.config.cgroup == "auto" else None
    home.rig.ask(NODE, run("j", "sleep", "600"))
    home.leave()
    assert folder is None or folder.is_dir()
    home.start()
    home.rig.ask(NODE, stop("j"))
    home.leave()
    assert folder is None or not folder.exists()
