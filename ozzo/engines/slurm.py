"""An existing Slurm cluster, driven through its own programs: ``squeue --json``, ``sinfo`` and ``scontrol``.

Argument lists only, never a shell; every call has a time-out; what Slurm refuses is an error with its own words. Times that are
handed over are UTC, with ``TZ=UTC`` for the program that reads them, so the zone of the cluster does not matter.

Traps that were measured (Slurm 22.05): suspending a job frees its processors, so a waiting job would start at once and a later
resume would put two jobs on them: ``shed`` closes the partition first. A suspended job keeps its memory. A requeued job waits
about two minutes, so nothing here requeues.

A user makes a job deferrable with ``sbatch --hold --comment 'ozzo'`` (or ``'ozzo: deadline=+12h, pausable'``, or ``deadline=``
and a moment with its zone), or with Slurm's own ``--deadline``. Its run time is its time limit.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ozzo.engines.queue import DEADLINE_H, Action, Do, EngineError, Key, QueuedJob, State, Wish, moment

TIMEOUT_S = 30.0
SHUT, OPEN = "DOWN", "UP"
WORD = "ozzo"
BEFORE = {
    Do.START_NOW: State.PENDING,
    Do.START_AT: State.PENDING,
    Do.HOLD: State.PENDING,
    Do.SUSPEND: State.RUNNING,
    Do.RESUME: State.SUSPENDED,
}
"""State in which a job must be for an action."""
AFTER = {Do.START_NOW: State.RUNNING, Do.SUSPEND: State.SUSPENDED, Do.RESUME: State.RUNNING}
"""State in which nothing is left to do."""


class SlurmError(EngineError):
    """Slurm did not do, or did not tell, what it was asked."""


@dataclass(frozen=True, slots=True)
class Slurm:
    """A cluster.

    Attributes:
        partition: the one that ozzo drives.
        conf: its ``slurm.conf``, when it is not where Slurm looks by itself.
        timeout_s: longest wait for an answer.
    """

    partition: str
    conf: Path | None = None
    timeout_s: float = TIMEOUT_S

    @property
    def kind(self) -> str:
        """See ``Engine``."""
        return "slurm"

    @property
    def title(self) -> str:
        """See ``Engine``."""
        return f"partition {self.partition}"

    def queue(self) -> tuple[QueuedJob, ...]:
        """Jobs of the partition that wait, run or are suspended, by number.

        Raises:
            SlurmError: Slurm did not answer, or not in the format that is known.
        """
        text = self._run("squeue", "--json")
        try:
            entries = json.loads(text)["jobs"]
            found = [(int(entry["job_id"]), queued(entry)) for entry in entries if entry["partition"] == self.partition]
        except (KeyError, TypeError, ValueError) as error:
            raise SlurmError(f"squeue --json: not in a format that is known ({type(error).__name__}: {error})") from error
        return tuple(job for _, job in sorted(found, key=lambda pair: pair[0]) if job is not None)

    def size(self) -> tuple[int, int]:
        """Nodes of the partition that are up, and processors of all of them.

        Raises:
            SlurmError: there is no such partition, or Slurm did not answer.
        """
        text = self._run(
            "sinfo", "--noheader", "--partition", self.partition, "--Node", "--Format", "NodeHost:64,CPUs:16,StateLong:32"
        )
        rows = [line.split() for line in text.splitlines() if line.strip()]
        if not rows:
            raise SlurmError(f"no partition {self.partition!r}, or no node in it")
        good = [row for row in rows if not any(word in row[2] for word in ("down", "drain", "fail", "unknown"))]
        return len(good), sum(int(row[1]) for row in good)

    def state(self) -> str:
        """``UP``, ``DOWN``, ``DRAIN`` or ``INACTIVE`` of the partition."""
        text = self._run("scontrol", "--oneliner", "show", "partition", self.partition)
        found = [word.removeprefix("State=") for word in text.split() if word.startswith("State=")]
        if len(found) != 1:
            raise SlurmError(f"scontrol show partition {self.partition}: no state in the answer")
        return found[0]

    def start_at(self, job: int, at: datetime) -> None:
        """Let a waiting job start at ``at`` (UTC) and not before.

        A held one is released for it, so that it starts then even if nobody of us is there any more.
        """
        when = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
        self._run("scontrol", "update", f"JobId={job}", f"StartTime={when}")
        self._run("scontrol", "release", str(job))

    def release(self, job: int) -> None:
        """Let a waiting job start now."""
        self._run("scontrol", "update", f"JobId={job}", "StartTime=now")
        self._run("scontrol", "release", str(job))

    def hold(self, job: int) -> None:
        """Keep a waiting job from starting until it is released."""
        self._run("scontrol", "hold", str(job))

    def carry_out(self, action: Action) -> str:
        """See ``Engine``. Plans take their time: a refusal because the job has gone on meanwhile is told as its answer."""
        try:
            self._carry_out(action)
        except SlurmError:
            job = next((each for each in self.queue() if each.key == action.job), None)
            if job is None:
                return "it is gone or over"
            if job.state is BEFORE[action.do]:
                raise
            return "" if job.state is AFTER.get(action.do) else f"it is {job.state} meanwhile"
        return ""

    def _carry_out(self, action: Action) -> None:
        number = int(action.job)
        match action.do:
            case Do.START_NOW:
                self.release(number)
            case Do.START_AT:
                if action.at is None:
                    raise SlurmError(f"job {number}: no moment to start at")
                self.start_at(number, action.at)
            case Do.HOLD:
                self.hold(number)
            case Do.SUSPEND:
                self._scontrol_each("suspend", [number])
            case Do.RESUME:
                self._scontrol_each("resume", [number])

    def opened(self) -> bool:
        """See ``Engine``."""
        return self.state() == OPEN

    def waiting(self) -> Sequence[Key]:
        """See ``Engine``: none, because ``close`` shuts the partition for all of them."""
        return ()

    def close(self, waiting: Iterable[Key], mark: str) -> None:
        """See ``Engine``: no waiting job of the partition starts any more; those that run go on."""
        del waiting, mark
        self._run("scontrol", "update", f"PartitionName={self.partition}", f"State={SHUT}")

    def suspend(self, jobs: Iterable[Key], mark: str = "") -> Sequence[Key]:
        """See ``Engine``. Close the partition first, or others take their processors."""
        del mark
        return self._scontrol_each("suspend", jobs)

    def restore(self, jobs: Iterable[Key], mark: str = "", *, reopen: bool) -> Sequence[Key]:
        """See ``Engine``: jobs that are suspended go on, then the partition opens."""
        del mark
        still = {job.key for job in self.queue() if job.state is State.SUSPENDED}
        again = self._scontrol_each("resume", [job for job in jobs if job in still])
        if reopen:
            self._run("scontrol", "update", f"PartitionName={self.partition}", f"State={OPEN}")
        return again

    def _scontrol_each(self, word: str, jobs: Iterable[Key]) -> Sequence[Key]:
        done = []
        for job in jobs:
            self._run("scontrol", word, str(job))
            done.append(job)
        return done

    def _run(self, program: str, *arguments: str) -> str:
        path = shutil.which(program) or shutil.which(program, path="/usr/bin:/usr/sbin:/usr/local/bin")
        if path is None:
            raise SlurmError(f"{program} is not on this machine (Debian: slurm-client)")
        environment = os.environ | {"TZ": "UTC"} | ({"SLURM_CONF": str(self.conf)} if self.conf else {})
        try:
            done = subprocess.run(  # noqa: S603 - an argument list, a program of Slurm
                [path, *arguments], env=environment, capture_output=True, text=True, timeout=self.timeout_s, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise SlurmError(f"{program}: no answer in {self.timeout_s:g} s; is slurmctld up?") from error
        if done.returncode:
            said = " ".join((done.stderr or done.stdout).split())
            raise SlurmError(f"{program} {' '.join(arguments)}: {said or f'exit code {done.returncode}'}")
        return done.stdout


def queued(entry: dict[str, Any]) -> QueuedJob | None:
    """A job from its entry in ``squeue --json``; numbers come bare (22.05) or as ``{set, infinite, number}`` (23.02 and later).

    Returns:
        None for a job that neither waits, runs nor is suspended.

    Raises:
        KeyError, TypeError, ValueError: the entry lacks something.
    """
    state = entry["job_state"]
    name = state if isinstance(state, str) else state[0]
    if name not in set(State):
        return None
    limit = number(entry["time_limit"])
    start, now = number(entry["start_time"]) or 0.0, datetime.now(UTC).timestamp()
    ran = number(entry.get("pre_sus_time")) or 0.0
    if name == State.RUNNING:
        since = max(start, number(entry.get("suspend_time")) or 0.0)
        ran += max(0.0, now - since)
    submitted = datetime.fromtimestamp(number(entry["submit_time"]) or now, UTC)
    deadline = datetime.fromtimestamp(found, UTC) if (found := number(entry["deadline"])) else None
    wish, faults = wish_of(str(entry.get("comment") or ""), submitted, deadline)
    return QueuedJob(
        key=int(entry["job_id"]),
        name=str(entry["name"]),
        user=str(entry["user_name"]),
        state=State(name),
        held=bool(entry.get("hold", number(entry["priority"]) == 0)) and name == State.PENDING,
        tasks=max(1, int(number(entry["node_count"]) or 1)),
        cores=max(1, int(number(entry["cpus"]) or 1)),
        submitted=submitted,
        begins=datetime.fromtimestamp(start, UTC) if start else None,
        limit_s=None if limit is None else 60.0 * limit,
        ran_s=ran,
        wish=wish,
        faults=faults,
    )


def wish_of(comment: str, submitted: datetime, due: datetime | None) -> tuple[Wish | None, tuple[str, ...]]:
    """What a job's user allows (None: it is not ours to move), and what of the comment cannot be read, all of it.

    Args:
        comment: text given with ``--comment``.
        submitted: when, UTC.
        due: latest end that was given with ``--deadline``, UTC, or None.
    """
    word, _, rest = comment.strip().partition(":")
    tagged = word.strip() == WORD
    if not tagged and due is None:
        return None, ()
    deadline = due or submitted + timedelta(hours=DEADLINE_H)
    pausable, faults = False, []
    for part in (piece.strip() for piece in rest.split(",") if piece.strip()) if tagged else ():
        key, _, value = part.partition("=")
        if part == "pausable":
            pausable = True
        elif key == "deadline":
            try:
                deadline = min(moment(value, submitted), due or datetime.max.replace(tzinfo=UTC))
            except ValueError as error:
                faults.append(f"deadline={error}")
        else:
            faults.append(f"{part!r}; expected pausable, deadline=+12h or deadline=2026-12-01T18:00+01:00")
    return (None if faults else Wish(deadline, pausable)), tuple(faults)


def number(value: Any) -> float | None:
    """A number of Slurm's JSON; None where it is unset or infinite."""
    if isinstance(value, dict):
        return float(value["number"]) if value.get("set") and not value.get("infinite") else None
    return None if value is None else float(value)
