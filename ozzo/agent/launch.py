"""Start a program that dies with its parent: ``python -S -E launch.py PROGRAM ARGUMENT...`` (where setpriv(1) is missing)."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

if __name__ == "__main__":
    parent = os.getppid()
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG, kept over execve (prctl(2))
    if os.getppid() != parent:
        sys.exit(1)  # the parent died in between
    try:
        os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606
    except OSError as error:
        sys.exit(f"{sys.argv[1]}: {error.strerror}")
