"""An existing Slurm cluster, driven through its own programs: ``squeue --json``, ``sinfo`` and ``scontrol``.

Argument lists only, never a shell; every call has a time-out; what Slurm refuses is an error with its own words. Times that are
handed over are UTC, with ``TZ=UTC`` for the program that reads them, so the zone of the cluster does not matter.

Traps that were measured (Slurm 22.05): suspending a job frees its processors, so a waiting job would start at once and a later
resume would put two jobs on them: ``shed`` closes the partition first. A suspended job keeps its memory. A requeued job waits
about two minutes, so nothing here requeues.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from grid.errors import OzzoError

TIMEOUT_S = 30.0
SHUT, OPEN = "DOWN", "UP"


class SlurmError(OzzoError):
    """Slurm did not do, or did not tell, what it was asked."""


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """A job as ``squeue --json`` tells it.

    Attributes:
        number: Slurm's number; name: its name; user: whose it is; partition: where.
        state: ``PENDING``, ``RUNNING``, ``SUSPENDED`` and others; held: it waits for a release.
        nodes: nodes it asks for or has; cores: all together.
        submitted: when; begins: earliest start that was set, or start; None: none.
        limit_s: run time limit; None: none.
        ran_s: run time so far.
        deadline: latest end that was given with ``--deadline``, UTC, or None.
        comment: text given with ``--comment``.
    """

    number: int
    name: str
    user: str
    partition: str
    state: str
    held: bool
    nodes: int
    cores: int
    submitted: datetime
    begins: datetime | None
    limit_s: float | None
    ran_s: float
    deadline: datetime | None
    comment: str


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

    def queue(self) -> tuple[QueuedJob, ...]:
        """Jobs of the partition that wait, run or are suspended, by number.

        Raises:
            SlurmError: Slurm did not answer, or not in the format that is known.
        """
        text = self._run("squeue", "--json")
        try:
            entries = json.loads(text)["jobs"]
            jobs = [queued(entry) for entry in entries if entry["partition"] == self.partition]
        except (KeyError, TypeError, ValueError) as error:
            raise SlurmError(f"squeue --json: not in a format that is known ({type(error).__name__}: {error})") from error
        return tuple(
            sorted((job for job in jobs if job.state in {"PENDING", "RUNNING", "SUSPENDED"}), key=lambda job: job.number)
        )

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

    def start_at(self, job: int, moment: datetime) -> None:
        """Let a waiting job start at ``moment`` (UTC) and not before.

        A held one is released for it, so that it starts then even if nobody of us is there any more.
        """
        when = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
        self._run("scontrol", "update", f"JobId={job}", f"StartTime={when}")
        self._run("scontrol", "release", str(job))

    def release(self, job: int) -> None:
        """Let a waiting job start now."""
        self._run("scontrol", "update", f"JobId={job}", "StartTime=now")
        self._run("scontrol", "release", str(job))

    def hold(self, job: int) -> None:
        """Keep a waiting job from starting until it is released."""
        self._run("scontrol", "hold", str(job))

    def suspend(self, jobs: Iterable[int]) -> None:
        """Stop running jobs where they are. Close the partition first, or others take their processors."""
        for job in jobs:
            self._run("scontrol", "suspend", str(job))

    def resume(self, jobs: Iterable[int]) -> None:
        """Let suspended jobs run on."""
        for job in jobs:
            self._run("scontrol", "resume", str(job))

    def shut(self) -> None:
        """No waiting job of the partition starts any more; those that run go on."""
        self._run("scontrol", "update", f"PartitionName={self.partition}", f"State={SHUT}")

    def open(self) -> None:
        """Waiting jobs may start again."""
        self._run("scontrol", "update", f"PartitionName={self.partition}", f"State={OPEN}")

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


def queued(entry: dict[str, Any]) -> QueuedJob:
    """A job from its entry in ``squeue --json``; numbers come bare (22.05) or as ``{set, infinite, number}`` (23.02 and later).

    Raises:
        KeyError, TypeError, ValueError: the entry lacks something.
    """
    state = entry["job_state"]
    limit = number(entry["time_limit"])
    start, now = number(entry["start_time"]) or 0.0, datetime.now(UTC).timestamp()
    name = state if isinstance(state, str) else state[0]
    ran = number(entry.get("pre_sus_time")) or 0.0
    if name == "RUNNING":
        since = max(start, number(entry.get("suspend_time")) or 0.0)
        ran += max(0.0, now - since)
    return QueuedJob(
        number=int(entry["job_id"]),
        name=str(entry["name"]),
        user=str(entry["user_name"]),
        partition=str(entry["partition"]),
        state=name,
        held=bool(entry.get("hold", number(entry["priority"]) == 0)) and name == "PENDING",
        nodes=max(1, int(number(entry["node_count"]) or 1)),
        cores=max(1, int(number(entry["cpus"]) or 1)),
        submitted=datetime.fromtimestamp(number(entry["submit_time"]) or now, UTC),
        begins=datetime.fromtimestamp(start, UTC) if start else None,
        limit_s=None if limit is None else 60.0 * limit,
        ran_s=ran,
        deadline=datetime.fromtimestamp(found, UTC) if (found := number(entry["deadline"])) else None,
        comment=str(entry.get("comment") or ""),
    )


def number(value: Any) -> float | None:
    """A number of Slurm's JSON; None where it is unset or infinite."""
    if isinstance(value, dict):
        return float(value["number"]) if value.get("set") and not value.get("infinite") else None
    return None if value is None else float(value)
