"""How a node keeps its jobs over its agent's deaths: folders, locks, cgroups, limits and the book of runs, in one hand."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from grid.errors import Finding, InputError, TransportError
from ozzo.agent.cgroup import Cgroup, jobs_folder
from ozzo.agent.config import AgentConfig, Limits
from ozzo.agent.folders import Bounds, Surroundings, never_started, prepare, short, sweep
from ozzo.agent.kept import KeptChild, find, over
from ozzo.agent.runs import RunBook, RunRecord
from ozzo.commands import Command, JobState, JobWish
from ozzo.private import closed_to

MB = 1_000_000
SWEEP_S = 10.0
"""Shortest time between two looks at the folders of jobs that have ended."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A job that ended while no agent was there; the face of a child after its end.

    Attributes:
        exit_code: negative for a signal.
        pid: unknown, so 0.
        ran_s, cpu_s: own seconds (up to when the last agent left), computing time.
        tail: end of its output.
    """

    exit_code: int
    ran_s: float
    cpu_s: float
    tail: str
    pid: int = 0


def resource_limits(limits: Limits) -> dict[str, int]:
    """Limits by the name of their resource in setrlimit(2); no job leaves a core file."""
    values = {
        "RLIMIT_CPU": limits.cpu_s,
        "RLIMIT_AS": None if limits.memory_mb is None else limits.memory_mb * MB,
        "RLIMIT_FSIZE": None if limits.file_mb is None else limits.file_mb * MB,
        "RLIMIT_NOFILE": limits.files,
        "RLIMIT_NPROC": limits.processes,
        "RLIMIT_CORE": 0,
    }
    return {name: value for name, value in values.items() if value is not None}


def _make(folder: Path, config: AgentConfig) -> None:
    """Make the folder of the jobs; with ``run_as`` its user may pass through it to the working folders.

    Raises:
        InputError: it cannot be made, or that user cannot reach it (or the working folder of the settings).
    """
    mode = 0o711 if config.run_as else 0o700
    try:
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
        folder.chmod(mode)
    except OSError as error:
        raise InputError([Finding(str(folder), None, "journal", error.strerror or "", "a folder that can be made")]) from error
    closed = closed_to(config.run_as, Path(config.work_folder) if config.work_folder else folder) if config.run_as else None
    if closed is not None:
        found = f"user {config.run_as}, who cannot enter {closed}"
        expected = "a user who can reach the jobs' folders: chmod o+x that folder, or name a work_folder elsewhere"
        raise InputError([Finding(config.journal, None, "run_as", found, expected)])


class Keeping:
    """Opens the book and takes the lock of a node; one agent at a time.

    Attributes:
        note: in words, how jobs are held.
    """

    def __init__(self, config: AgentConfig, complain: Callable[[str], None] = lambda _: None) -> None:
        """Open everything.

        Args:
            config: of the agent.
            complain: takes a line when the disk does not take what should be kept.

        Raises:
            InputError: the folder of the jobs cannot be made, or the user that they run as cannot enter it.
            TransportError: another agent runs with this journal.
        """
        journal = Path(config.journal)
        folder = journal.parent / f"{journal.stem}-jobs"
        _make(folder, config)
        lock = folder / "agent.lock"
        self._lock = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:  # a lock of the process (POSIX), which its keepers can ask about and which ends with it, however it dies
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise TransportError(f"another agent runs with the journal {journal}") from error
        cgroups, why = jobs_folder(config.cgroup, f"ozzo-{short(config.scenario)}-{short(config.node)}")
        self.note = f"jobs are in cgroups below {cgroups}" if cgroups else f"jobs are process trees, without cgroups ({why})"
        self._around = Surroundings(
            folder,
            lock,
            cgroups,
            alone_s=config.alone_s,
            output_bytes=config.output_bytes,
            user=config.run_as,
            limits=resource_limits(config.limits),
            work_folder=config.work_folder,
        )
        self._bounds = Bounds(config.keep_folders, config.keep_days)
        self._book = RunBook(journal)
        self._saved: dict[str, RunRecord] = {}
        self._late: list[tuple[RunRecord, int]] = []
        self._told, self._complain, self._sweep_at = False, complain, 0.0

    def start(self, command: Command, desired: JobState, argv: tuple[str, ...], env: dict[str, str]) -> KeptChild:
        """Write down that the job starts, then start it.

        Raises:
            OSError: it could not be started; nothing of it is left.
        """
        job, run = desired.job, str(command.id)
        self.tidy()
        if self._late:  # an end that is written later would take this start along
            raise OSError(errno.EIO, "the journal cannot be written")
        lock = prepare(self._around, job, run)
        try:
            self._book.save(RunRecord(command, desired, JobWish.RUNNING))
            return KeptChild.start(argv, job, run, self._around, env, lock)
        except sqlite3.Error as error:
            raise OSError(errno.EIO, f"its start cannot be written down: {error}") from error
        except OSError:
            self._try(lambda: self._book.forget(job))  # if that fails, the next life finds that it never began
            raise
        finally:
            os.close(lock)  # the keeper has it too, and holds it from now on

    def save(self, command: Command, desired: JobState, wish: JobWish, child: KeptChild) -> None:
        """Keep wish and time of a run when they have changed."""
        record = RunRecord(command, desired, wish, *child.clock)
        if self._saved.get(desired.job) != record and self._try(lambda: self._book.save(record, durable=False)):
            self._saved[desired.job] = record

    def ended(self, command: Command, desired: JobState, exit_code: int) -> None:
        """A run is over; if the disk does not take that, it is written later, or the next life reads it in the job's folder."""
        self._saved.pop(desired.job, None)
        self._late.append((RunRecord(command, desired, JobWish.STOPPED), exit_code))
        self.tidy()

    def tidy(self) -> None:
        """Write the ends that the disk did not take before; now and then, remove folders beyond what the settings keep."""
        while self._late and self._try(lambda: self._book.end(*self._late[0])):
            del self._late[0]
        if time.monotonic() >= self._sweep_at:
            self._sweep_at = time.monotonic() + SWEEP_S
            sweep(self._around.folder, self._bounds, {short(record.desired.job) for record, _ in self._book.runs()})

    def _try(self, write: Callable[[], None]) -> bool:
        """Write to the book; False when the disk does not take it, which is told once."""
        try:
            write()
        except sqlite3.Error as error:
            if not self._told:
                self._told = True
                self._complain(f"the journal cannot be written: {error}")
            return False
        self._told = False
        return True

    def exits(self) -> dict[str, tuple[str, int]]:
        """Id of the starting command and exit code by job that has ended."""
        return self._book.ended()

    def found(self) -> Iterator[tuple[RunRecord, KeptChild | Gone]]:
        """What an earlier agent has left: jobs that run, and jobs that ended since; what never started is forgotten."""
        for record, this_boot in self._book.runs():
            job, run = record.desired.job, str(record.command.id)
            child = find(self._around, job, run, record.ran_s, record.since) if this_boot else None
            if child is not None:
                yield record, child
            elif this_boot and never_started(self._around, job, run):
                self._book.forget(job)
            else:
                code, cpu_s, tail = over(self._around.place(job), run)
                yield record, Gone(code, record.ran_s, cpu_s, tail)

    def close(self) -> None:
        """Close the book and let another agent in; jobs and keepers go on, and so does the folder of their cgroups."""
        if self._around.cgroups is not None:
            Cgroup(self._around.cgroups).remove()  # only when no job is left
        self._book.close()
        os.close(self._lock)
