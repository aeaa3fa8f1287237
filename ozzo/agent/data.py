"""Transfers and releases on a node: a command's names become an order in the terms of the node's settings, and a job of the node.

The job is like any other (kept over the agent's deaths, paused, under the cap), but only these commands can ask for its program.
``transfer`` carries the order out.
"""

from __future__ import annotations

import difflib
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from ozzo.agent.config import AgentConfig
from ozzo.agent.data_rules import DataRules, Peer
from ozzo.agent.folders import short
from ozzo.agent.replica import recover
from ozzo.agent.transfer import Order
from ozzo.commands import Desired, JobState, JobWish
from ozzo.wire import ReleaseState, TransferState

PROGRAM = "ozzo:data"
"""Name of the program in argument lists; no command for a job may use it."""
KIB_PER_MBIT = 1e6 / 8 / 1024


class NotAllowed(Exception):
    """The node's settings do not hold what a command names, in words."""


def job_name(desired: Desired) -> str | None:
    """Name of the node's job behind a desired state; None when it is no job's."""
    match desired:
        case JobState():
            return desired.job
        case TransferState():
            return f"transfer/{desired.transfer}"
        case ReleaseState():
            return f"release/{desired.release}"
    return None


class DataDesk:
    """Makes orders.

    Attributes:
        program: that carries them out, with its first arguments.
        trouble: replicas that an earlier release left aside and that could not be put back, in words.
    """

    def __init__(self, config: AgentConfig) -> None:
        """Prepare; replicas that a release which died had taken aside are put back.

        Args:
            config: the agent's settings.
        """
        journal = Path(config.journal)
        self._rules: DataRules | None = config.data
        self._folder = journal.parent / f"{journal.stem}-data"
        self._open = bool(config.run_as)
        self.program = (sys.executable, "-S", "-E", str(Path(__file__).with_name("transfer.py")), str(self._folder))
        roots = {} if config.data is None else config.data.roots
        self.trouble = [line for root in roots.values() for line in recover(Path(root))]

    def as_job(self, desired: Desired) -> JobState:
        """The job that carries a desired state out; its order is on disk when this returns.

        Raises:
            NotAllowed: the settings hold no such root or peer, or a job asks for the program of data.
            TypeError: it is no job's state.
        """
        name = job_name(desired)
        match desired:
            case JobState():
                if PROGRAM in desired.argv[:1]:
                    raise NotAllowed(f"{PROGRAM} is for transfers and releases only")
                return desired
            case TransferState():
                if desired.state is JobWish.RUNNING:
                    self._write(name or "", self._transfer(desired))
                return self._job(name or "", desired.state, desired.power_kw)
            case ReleaseState():
                self._write(name or "", self._release(desired))
                return self._job(name or "", JobWish.RUNNING, 0.0)
        raise TypeError(f"{desired.kind} is no state of a job")

    def _job(self, name: str, state: JobWish, power_kw: float) -> JobState:
        return JobState(job=name, state=state, argv=(PROGRAM, short(name)), power_kw=power_kw)

    def _transfer(self, desired: TransferState) -> Order:
        root, peer, tool = self._known(desired.root, desired.peer)
        rate = None if desired.rate_mbit_per_s is None else desired.rate_mbit_per_s * KIB_PER_MBIT
        return Order("transfer", peer.tool, tool, peer.options, peer.source(desired.path), root, desired.path, rate)

    def _release(self, desired: ReleaseState) -> Order:
        proof = desired.proof
        root, peer, tool = self._known(desired.root, proof.peer)
        about = (peer.tool, tool, peer.options, peer.source(desired.path), root, desired.path)
        return Order("release", *about, digest=proof.digest, files=proof.files, bytes=proof.bytes)

    def _known(self, root: str, peer: str) -> tuple[str, Peer, str]:
        """Folder of a root, a peer and the path of its tool.

        Raises:
            NotAllowed: one of them is not in the settings; all that is wrong at once.
        """
        if self._rules is None:
            raise NotAllowed("this node's settings allow nothing with data (no 'data' in agent.json)")
        wrong = [
            f"no {what} {name!r}{_nearest(name, known)}"
            for what, name, known in (("root", root, self._rules.roots), ("peer", peer, self._rules.peers))
            if name not in known
        ]
        if wrong:
            raise NotAllowed("; ".join(wrong))
        found = self._rules.peers[peer]
        return self._rules.roots[root], found, self._rules.rclone if found.tool == "rclone" else self._rules.rsync

    def _write(self, name: str, order: Order) -> None:
        """Put an order in its place as a whole; a transfer that runs looks at it again."""
        self._folder.mkdir(mode=0o711 if self._open else 0o700, parents=True, exist_ok=True)
        file = self._folder / f"{short(name)}.json"
        fresh = file.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644 if self._open else 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(asdict(order), stream)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(file)


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean {near[0]!r}?)" if near else ""
