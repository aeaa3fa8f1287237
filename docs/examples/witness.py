"""A job that leaves word: ``python witness.py FILE SECONDS`` notes its start and its end (or stop) in FILE, with name and node.

It counts its own time in steps, so time that it stands frozen does not count. The trial of ``ozzo serve`` lets its jobs run this
instead of ``sleep``, so that what happened is told by the jobs themselves.
"""

import os
import signal
import sys
import time

STEP_S = 0.05


def note(file: str, what: str) -> None:
    """One line, in one write: many jobs write into the same file."""
    line = f"{what} {os.environ.get('OZZO_JOB', '?')} {os.environ.get('OZZO_NODE', '?')} {os.getpid()}\n"
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, line.encode())
    os.close(descriptor)


def main(file: str, seconds: float) -> None:
    """Start, take the time, end; or be stopped."""

    def stopped(*_: object) -> None:
        note(file, "stopped")
        sys.exit(143)

    signal.signal(signal.SIGTERM, stopped)
    note(file, "start")
    for _ in range(max(1, round(seconds / STEP_S))):
        time.sleep(STEP_S)
    note(file, "end")


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
