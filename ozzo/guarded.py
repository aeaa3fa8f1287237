"""A broker process behind its guard (``ozzo.guard``): started, asked about, ended; it never outlives this process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from grid.errors import TransportError
from ozzo import guard
from ozzo.environment import child_environment


class Guarded:
    """A guard and what it guards.

    Attributes:
        pid: of the guard.
        broker_pid: of the broker.
    """

    def __init__(self, argv: list[str], *, user: str = "", folder: Path | None = None) -> None:
        """Start the guard, which starts the broker.

        Args:
            argv: program and arguments of the broker.
            user: user that it runs as, empty for the present one.
            folder: the guard removes it at the end.

        Raises:
            TransportError: it could not be started.
        """
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-S", "-E", guard.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=child_environment(),
        )
        self.pid = self._process.pid
        self.broker_pid = 0
        try:
            self._order({"argv": argv, "folder": "" if folder is None else str(folder), "user": user})
            self.broker_pid = self._answer(argv[0])
        except BaseException:
            self.stop()
            raise

    def _answer(self, program: str) -> int:
        """Process id that the guard tells."""
        line = "" if self._process.stdout is None else self._process.stdout.readline()
        if not line:
            raise TransportError(f"the guard could not start {program}")
        told = json.loads(line)
        if "error" in told:
            raise TransportError(f"{program} did not start: {told['error']}")
        return int(told["pid"])

    def _order(self, order: dict[str, object]) -> None:
        if self._process.stdin is None or self._process.stdin.closed:
            raise TransportError("the broker is not running")
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def watch(self, session: int) -> None:
        """When the broker ends, whatever is left of this session is killed (a node agent is a session leader)."""
        self._order({"session": session})

    def runs(self) -> bool:
        """True while the broker process lives."""
        return self.broker_pid in guard.members(self.pid)

    def stop(self) -> None:
        """End broker and guard; twice does no harm."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(3 * guard.GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            guard.end_sessions([self.pid], 0.0)
        if self._process.stdout is not None:
            self._process.stdout.close()
