"""Jobs that outlive their agent: real processes behind keepers, with cgroups and without, over the in-memory transport."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from grid.errors import InputError
from ozzo.agent import keeper
from ozzo.agent.cgroup import Cgroup, jobs_folder
from ozzo.agent.child import process_state
from ozzo.agent.config import AgentConfig, Limits, builtin_programs, read_config
from ozzo.agent.folders import short
from ozzo.agent.journal import NodeJournal
from ozzo.agent.kept import LOST
from ozzo.agent.node import NodeAgent
from ozzo.commands import CapState, Hello, RefusalCode, Stage, answer
from ozzo.fence import Fence
from ozzo.private import write_private
from ozzo.transport import MemoryHub
from tests.ozzo.rig import Rig, alive, eventually, pause, run, stop

NODE = "hall.rack-0"
PROGRAMS = builtin_programs() | {"python": (sys.executable, "-S", "-E", "-c"), "gone": ("/nowhere/program",)}
FORKS = (
    "import os, sys, time\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    if os.fork() == 0:\n"
    "        open(sys.argv[1], 'w').write(str(os.getpid()))\n"
    "        time.sleep(600)\n"
    "    os._exit(0)\n"
    "time.sleep(float(sys.argv[2]))\n"
)
"""A job with a grandchild that has left its group and session, as daemons do."""


class Node:
    """A node whose agent can be started again and again, with the controller's end."""

    def __init__(self, folder: Path, cgroup: str, **changes: Any) -> None:
        values: dict[str, Any] = {
            "scenario": "test",
            "node": NODE,
            "journal": str(folder / "node.sqlite"),
            "programs": PROGRAMS,
            "failsafe_kw": 5.0,
            "failsafe_hold_s": 0.1,
            "stop_grace_s": 0.5,
            "heartbeat_s": 0.5,
            "keep_jobs": True,
            "cgroup": cgroup,
        }
        self.config = AgentConfig(**(values | changes))
        self.hub = MemoryHub()
        self.rig = Rig("test", self.hub.connect())
        self.notes: list[str] = []
        self._agent: NodeAgent | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin a life of the agent."""
        before = len(self.rig.states)
        self._agent = NodeAgent(self.config, self.hub.connect(), note=self.notes.append)
        self._thread = threading.Thread(target=self._agent.run)
        self._thread.start()

        def born() -> bool:
            self.rig.listen()
            return any(state.event == "birth" for state in self.rig.states[before:])

        eventually(born, "a birth")

    def leave(self) -> None:
        """End this life; kept jobs stay."""
        if self._agent is not None and self._thread is not None:
            self._agent.stop()
            self._thread.join()
        self._agent = self._thread = None

    def jobs(self, name: str) -> Path:
        """Folder of a job."""
        return Path(self.config.journal).parent / "node-jobs" / short(name)


@pytest.fixture(params=["auto", "none"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Node]]:
    """Makes nodes, with cgroups and without; at the end nothing of them is left."""
    made: list[Node] = []

    def make(**changes: Any) -> Node:
        made.append(Node(tmp_path, request.param, **changes))
        made[-1].start()
        if request.param == "auto" and "without cgroups" in made[-1].notes[0]:
            pytest.skip(made[-1].notes[0])
        return made[-1]

    yield make
    for item in made:
        item.leave()
        for path in tmp_path.rglob("run.json"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(path.read_text().split('"keeper": ')[1].split(",")[0].rstrip("}")), signal.SIGKILL)
        folder, _ = jobs_folder(item.config.cgroup, f"ozzo-test-{short(NODE)}")
        for path in [] if folder is None else folder.iterdir():
            if path.is_dir():
                Cgroup(path).kill()
                Cgroup(path).remove()
        if folder is not None:
            Cgroup(folder).remove()


def test_a_job_goes_on_without_its_agent_and_with_the_next(node: Callable[..., Node]) -> None:
    """The same process lives on; the next agent knows it, pauses and stops it; there was one start and one end."""
    home = node()
    begun = home.rig.send(home.rig.command(NODE, run("j", "work", "60", "0.1")))
    pid = int(home.rig.answer(begun).measured["pid"])
    home.leave()
    assert alive(pid)
    home.start()
    assert home.rig.states[-1].jobs.keys() == {"j"}
    assert home.rig.ask(NODE, run("j", "work", "60", "0.1")).measured["pid"] == pid
    home.rig.ask(NODE, pause("j"))
    eventually(lambda: stands(pid), "the pause")
    home.leave()
    home.start()
    assert stands(pid)
    assert home.rig.ask(NODE, stop("j")).measured["exit_code"] == -signal.SIGTERM
    assert not alive(pid)
    home.rig.listen()
    ends = [answer for answer in home.rig.answers if answer.stage is Stage.ENDED]
    assert [answer.command for answer in ends] == [begun.id]


def stands(pid: int) -> bool:
    """True when a process gets no computing time: stopped, or in a frozen cgroup."""
    if process_state(pid) == "T":
        return True
    text = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    mine = next(line[3:] for line in text if line.startswith("0::"))
    mounts = [line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines() if " - cgroup2 " in line]
    files = [Path(mount) / mine.lstrip("/") / "cgroup.events" for mount in mounts]
    return any("frozen 1" in file.read_text() for file in files if file.exists())  # the root has no such file


def test_an_end_that_nobody_saw_is_told(node: Callable[..., Node]) -> None:
    """A job ends while no agent is there: the next one reports its exit code and output once, and does not run it again."""
    home = node()
    code = "import sys, time; time.sleep(0.5); print('done so far'); sys.exit(int(sys.argv[1]))"
    good = home.rig.send(home.rig.command(NODE, run("good", "python", code, "0")))
    bad = home.rig.send(home.rig.command(NODE, run("bad", "python", code, "3")))
    pids = [int(home.rig.answer(command).measured["pid"]) for command in (good, bad)]
    home.leave()
    eventually(lambda: not any(map(alive, pids)), "the end of both")
    eventually(lambda: all((home.jobs(name) / "exit.json").exists() for name in ("good", "bad")), "what the keepers wrote")
    home.start()
    assert home.rig.answer(good, Stage.ENDED).measured["exit_code"] == 0.0
    failed = home.rig.answer(bad, Stage.ENDED)
    assert (failed.measured["exit_code"], failed.text) == (3.0, "done so far")
    home.rig.state(NODE, lambda state: state.ended == {"good": 0, "bad": 3}, "both ends in a state")
    again = home.rig.ask(NODE, run("good", "python", code, "0"))
    assert again.measured == {"running": 0.0, "exit_code": 0.0}
    home.leave()
    home.start()
    assert home.rig.states[-1].ended == {"good": 0, "bad": 3}
    assert sum(answer.stage is Stage.ENDED for answer in home.rig.answers) == 2


def test_a_job_that_forks_away_is_stopped_whole(node: Callable[..., Node], tmp_path: Path) -> None:
    """A grandchild in a session of its own stands still with the job, and is gone with it."""
    home, note = node(), tmp_path / "grandchild"
    home.rig.ask(NODE, run("j", "python", FORKS, str(note), "600"))
    eventually(lambda: note.exists() and note.read_text() != "", "the grandchild")
    grandchild = int(note.read_text())
    home.rig.ask(NODE, pause("j"))
    eventually(lambda: stands(grandchild), "the grandchild's pause")
    home.rig.ask(NODE, run("j", "python", FORKS, str(note), "600"))
    assert not stands(grandchild)
    assert home.rig.ask(NODE, stop("j")).stage is Stage.APPLIED
    assert not alive(grandchild)


def test_what_a_job_leaves_behind_is_killed(node: Callable[..., Node], tmp_path: Path) -> None:
    """The job's own process ends well; its daemon does not live on, and the exit code is the job's."""
    home, note = node(), tmp_path / "grandchild"
    begun = home.rig.send(home.rig.command(NODE, run("j", "python", FORKS, str(note), "0.3")))
    ended = home.rig.answer(begun, Stage.ENDED)
    assert ended.measured["exit_code"] == 0.0
    assert not alive(int(note.read_text()))


def test_a_job_that_ignores_sigterm_is_killed(node: Callable[..., Node]) -> None:
    """After the grace SIGKILL follows, also when the job stands still."""
    home = node()
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    home.rig.ask(NODE, run("j", "python", code))
    eventually(lambda: (home.jobs("j") / "output").read_text() == "deaf\n", "a deaf job")
    home.rig.ask(NODE, pause("j"))
    assert home.rig.ask(NODE, stop("j")).measured["exit_code"] == -signal.SIGKILL


def test_a_job_saves_its_work_before_it_ends(node: Callable[..., Node], tmp_path: Path) -> None:
    """A program with a checkpoint gets its signal first and time to save; one that ends by itself in that time ends well."""
    home, note = node(checkpoint={"python": "SIGUSR1"}, checkpoint_grace_s=60.0), tmp_path / "saved"
    code = (
        "import signal, sys, time\n"
        "def save(*_):\n"
        "    open(sys.argv[1], 'w').write('saved')\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGUSR1, save)\n"
        "print('ready', flush=True)\n"
        "time.sleep(600)\n"
    )
    home.rig.ask(NODE, run("j", "python", code, str(note)))
    eventually(lambda: (home.jobs("j") / "output").read_text() == "ready\n", "a ready job")
    home.rig.ask(NODE, pause("j"))
    assert home.rig.ask(NODE, stop("j")).measured["exit_code"] == 0.0
    assert note.read_text() == "saved"


def test_a_checkpoint_has_its_time_and_no_more(node: Callable[..., Node]) -> None:
    """A job that does not end by its checkpoint signal gets SIGTERM afterwards."""
    home = node(checkpoint={"python": "SIGUSR1"}, checkpoint_grace_s=0.2)
    code = "import signal, time; signal.signal(signal.SIGUSR1, lambda *_: None); print('ready', flush=True); time.sleep(600)"
    home.rig.ask(NODE, run("j", "python", code))
    eventually(lambda: (home.jobs("j") / "output").read_text() == "ready\n", "a ready job")
    assert home.rig.ask(NODE, stop("j")).measured["exit_code"] == -signal.SIGTERM


def test_output_is_bounded_and_the_last_of_it_is_kept(node: Callable[..., Node]) -> None:
    """A job that says 300 kB leaves the limit at least and twice the limit at most on disk, with its last words."""
    home = node(output_bytes=10_000)
    code = "import sys\nfor i in range(30000): print(f'line {i:05d}')\nsys.exit(1)"
    ended = home.rig.answer(home.rig.send(home.rig.command(NODE, run("j", "python", code))), Stage.ENDED)
    kept = [path for path in home.jobs("j").iterdir() if path.name.startswith("output")]
    assert all(path.stat().st_size <= 10_000 for path in kept)
    assert sum(path.stat().st_size for path in kept) > 10_000
    assert ended.text.endswith("line 29999")


def test_limits_and_folder_of_a_job(node: Callable[..., Node]) -> None:
    """Resource limits hold in the job, it works in a folder of its own, and it leaves no core file."""
    home = node(limits=Limits(cpu_s=7, files=64, memory_mb=500, file_mb=1))
    code = (
        "import os, resource as r, sys\n"
        "names = 'RLIMIT_CPU RLIMIT_NOFILE RLIMIT_AS RLIMIT_FSIZE RLIMIT_CORE'.split()\n"
        "print(*(r.getrlimit(getattr(r, name))[0] for name in names), os.getcwd(), sep='|')\n"
        "sys.exit(1)\n"
    )
    ended = home.rig.answer(home.rig.send(home.rig.command(NODE, run("j", "python", code))), Stage.ENDED)
    assert ended.text == "|".join(["7", "64", "500000000", "1000000", "0", str(home.jobs("j") / "work")])


def test_a_job_runs_as_the_configured_user(tmp_path: Path) -> None:
    """Root's agent starts the job as nobody, without root's groups, in a folder that nobody may write; no other agent may try."""
    if os.geteuid() != 0:
        with pytest.raises(ValidationError, match="only an agent of root"):
            Node(tmp_path, "auto", run_as="nobody")
        return
    tmp_path.chmod(0o711)
    home = Node(tmp_path, "auto", run_as="nobody", work_folder="/tmp", programs={"sh": ("/bin/sh", "-c")})
    home.start()
    code = "id -u; id -G; pwd; exit 1"
    ended = home.rig.answer(home.rig.send(home.rig.command(NODE, run("j", "sh", code))), Stage.ENDED, Stage.FAILED)
    home.leave()
    entry = pwd.getpwnam("nobody")
    assert ended.text.split() == [str(entry.pw_uid), str(entry.pw_gid), "/tmp"]


def test_a_job_pauses_when_no_agent_is_there_for_long(node: Callable[..., Node]) -> None:
    """Nobody could hold it under a cap: its keeper stops it, and the next agent lets it go on; the pause is no run time."""
    home = node(alone_s=0.5)
    begun = home.rig.send(home.rig.command(NODE, run("j", "sleep", "600")))
    pid = int(home.rig.answer(begun).measured["pid"])
    time.sleep(2.5)
    assert not stands(pid)  # an agent is there
    home.leave()
    eventually((home.jobs("j") / "alone.json").exists, "the keeper's pause")
    eventually(lambda: stands(pid), "a job that stands still")
    home.start()
    eventually(lambda: not stands(pid), "the job goes on")
    home.rig.ask(NODE, stop("j"))


def test_a_killed_keeper_takes_its_job_along(node: Callable[..., Node]) -> None:
    """Both are gone, the job counts as killed, and stating it again starts it once more."""
    home = node()
    begun = home.rig.send(home.rig.command(NODE, run("j", "sleep", "600")))
    pid = int(home.rig.answer(begun).measured["pid"])
    os.kill(keeper_of(pid), signal.SIGKILL)
    assert home.rig.answer(begun, Stage.ENDED).measured["exit_code"] == float(LOST)
    assert not alive(pid)
    assert home.rig.ask(NODE, run("j", "sleep", "600")).measured["pid"] not in {0.0, float(pid)}


def keeper_of(pid: int) -> int:
    """Parent of a process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_what_an_agent_accepted_and_never_did_is_done_once(node: Callable[..., Node], tmp_path: Path) -> None:
    """Killed between journal and start: the next life starts the job, once, and answers; a later repeat changes nothing."""
    home, log = node(), tmp_path / "starts"
    code = "import os, sys, time; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); time.sleep(600)"
    home.rig.send(home.rig.command(NODE, Hello()))
    home.leave()
    command = home.rig.command(NODE, run("j", "python", code, str(log)))
    late = home.rig.command(NODE, run("late", "python", code, str(log)))
    late = late.model_copy(
        update={"not_after": late.issued_at.replace(microsecond=0), "issued_at": late.issued_at.replace(year=2020)}
    )
    accept(home, command, late)
    home.start()
    eventually(lambda: log.exists() and log.read_text().count("\n") == 1, "one start")
    pid = int(log.read_text())
    assert home.rig.answer(command).measured["pid"] == pid
    assert home.rig.answer(late).code is RefusalCode.EXPIRED
    home.rig.send(command)
    eventually(lambda: home.rig.stages(command).count(Stage.APPLIED) == 2, "the stored answer")
    home.leave()
    home.start()
    assert log.read_text() == f"{pid}\n"
    assert home.rig.states[-1].jobs.keys() == {"j"}


def accept(home: Node, *commands: Any) -> None:
    """Write commands into the journal as an agent does before it acts."""
    journal = NodeJournal(Path(home.config.journal))
    for command in commands:
        accepted = answer(command, Stage.ACCEPTED, datetime.now(UTC))
        journal.accept(command, accepted, Fence(command.epoch, command.sequence))
    journal.close()


def test_a_node_tells_its_power(node: Callable[..., Node]) -> None:
    """By the model, from the second state on: between idle and peak, and it says that it is the model."""
    home = node(power="model", idle_kw=0.1, peak_kw=0.5)
    state = home.rig.state(NODE, lambda state: state.power_kw is not None, "a figure")
    assert state.power_source == "model"
    assert 0.1 <= (state.power_kw or 0.0) <= 0.5


def test_a_program_that_cannot_start_leaves_nothing(node: Callable[..., Node]) -> None:
    """The answer says why; no run is remembered, and the name can be used again."""
    home = node()
    failed = home.rig.ask(NODE, run("j", "gone"))
    assert (failed.stage, failed.code) == (Stage.FAILED, RefusalCode.PROGRAM_FAILED_TO_START)
    assert "No such file" in failed.text
    home.leave()
    home.start()
    assert home.rig.states[-1].jobs == {}
    assert home.rig.ask(NODE, run("j", "sleep", "600")).stage is Stage.APPLIED
    home.rig.ask(NODE, stop("j"))


def test_a_cap_holds_over_a_restart(node: Callable[..., Node]) -> None:
    """An agent that comes back stands under its failsafe cap: a job above it is paused until somebody speaks."""
    home = node(failsafe_kw=0.2)
    pid = int(home.rig.ask(NODE, run("j", "sleep", "600", power_kw=0.5)).measured["pid"])
    home.leave()
    home.start()
    assert home.rig.states[-1].failsafe
    eventually(lambda: stands(pid), "the job above the failsafe cap")
    home.rig.send(home.rig.command(NODE, Hello()))
    home.rig.ask(NODE, CapState(cap_kw=1.0))
    eventually(lambda: not stands(pid), "the end of failsafe")
    home.rig.ask(NODE, stop("j"))


@given(st.text(min_size=1, max_size=200), st.text(min_size=1, max_size=200))
def test_every_job_has_a_folder_of_its_own(one: str, other: str) -> None:
    """Any name becomes one short folder name that is no path, and two names never share one."""
    name = short(one)
    assert name == Path(name).name
    assert 0 < len(name.encode()) < 200
    assert name not in {".", ".."}
    assert (short(other) == name) == (other == one)


def test_the_agents_lock_can_be_asked_about(tmp_path: Path) -> None:
    """Another process holds the lock: it is seen without taking it; when that process is killed it is free at once."""
    import subprocess

    code = (
        "import fcntl, os, sys, time; fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT);"
        "fcntl.lockf(fd, fcntl.LOCK_EX); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "lock")], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        descriptor = os.open(tmp_path / "lock", os.O_RDWR)
        assert keeper.agent_there(descriptor)
        holder.kill()
        holder.wait()
        assert not keeper.agent_there(descriptor)
        os.close(descriptor)


START = '{"scenario": "s", "node": "n", "journal": "j", "programs": {}, '


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (START + '"keep_job": true}', "did you mean 'keep_jobs'"),
        (START + '"limits": {"cpu": 1}}', "did you mean 'cpu_s'"),
        (START + '"run_as": "nobody-here"}', "no user"),
        (START + '"limits": {"cpu_s": 1}}', "need keep_jobs"),
        (START + '"checkpoint": {"x": "SIGUSR1"}}', "does not allow"),
        (START + '"password": "s3cret", "password_file": "p"}', "one of them"),
        (START + '"host": "192.0.2.1"}', "beyond loopback and tls is off"),
        (START + '"host": "0.0.0.0"}', "beyond loopback and tls is off"),
        (START.replace('"j"', "4").replace(', "journal"', ',\n"journal"') + '"user": "u"}', "agent.json:2: journal: found 4"),
    ],
)
def test_settings_say_what_is_wrong(tmp_path: Path, text: str, expected: str) -> None:
    """File, line, field, found, expected and the nearest name; never a secret."""
    write_private(tmp_path / "agent.json", text)
    with pytest.raises(InputError) as caught:
        read_config(tmp_path)
    assert expected in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_all_that_does_not_fit_together_is_told_at_once(tmp_path: Path) -> None:
    """Three faults between fields are three findings, in plain words."""
    write_private(tmp_path / "agent.json", START + '"host": "192.0.2.1", "idle_kw": 2.0, "peak_kw": 1.0, "limits": {"cpu_s": 1}}')
    with pytest.raises(InputError) as caught:
        read_config(tmp_path)
    assert len(caught.value.findings) == 3
    assert "Value error" not in str(caught.value)


@pytest.mark.parametrize("password", ["", "admin", "n"])
def test_an_agent_goes_beyond_loopback_with_its_own_password_only(tmp_path: Path, password: str) -> None:
    """TLS alone is not enough: none, a default one and the user's name are refused there, and taken on loopback."""
    write_private(tmp_path / "p", password + "\n")
    text = START + '"password_file": "p", "user": "n", "tls": true, "host": '
    write_private(tmp_path / "agent.json", text + '"192.0.2.1"}')
    with pytest.raises(InputError, match="a default password"):
        read_config(tmp_path).endpoint()
    write_private(tmp_path / "agent.json", text + '"127.0.0.1"}')
    assert read_config(tmp_path).endpoint().password == password


@pytest.mark.parametrize("what", ["a folder", "no database", "a broken command", "no json"])
def test_a_journal_that_cannot_be_used_is_told(tmp_path: Path, what: str) -> None:
    """A finding that names the file, no traceback; nothing of it is changed."""
    path = tmp_path / "journal.sqlite"
    if what == "a folder":
        path.mkdir()
    elif what == "no database":
        path.write_text("just a text, and a long one " * 100)
    else:
        NodeJournal(path).close()
        with contextlib.closing(sqlite3.connect(path)) as store, store:
            answer_text = '{"stage": "accepted"}' if what == "a broken command" else "nothing"
            store.execute("INSERT INTO commands (id, json, answer) VALUES ('x', '{}', ?)", (answer_text,))
    with pytest.raises(InputError, match=r"journal\.sqlite"):
        NodeAgent(AgentConfig(scenario="s", node="n", journal=str(path), programs={}), MemoryHub().connect()).run()
