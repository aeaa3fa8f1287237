"""A worker of a sweep: reads a task a line, answers with a line, and is gone when the sweep is.

Run as ``python -m sim.experiments.worker``. Standard output carries answers only; whatever a library prints goes to standard
error. Line by line, JSON: first ``{"ready": pid}``, then for each task ``{"row": {...}}`` or ``{"trouble": "..."}``, with
the computing time of this process so far as ``cpu_s``.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import sys
import time
import traceback
from typing import IO, Any

from grid.errors import OzzoError

DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


def answer(task: dict[str, Any]) -> dict[str, Any]:
    """A row of figures, or what went wrong in words (the traceback of what nobody foresaw goes to standard error)."""
    from sim.experiments.one_run import carry_out

    try:
        return {"row": carry_out(task)}
    except OzzoError as error:
        return {"trouble": str(error)}
    except Exception as error:  # noqa: BLE001 - a run that fails in whatever way is told, and the others go on
        traceback.print_exc()
        return {"trouble": f"{type(error).__name__}: {error}"}


def serve(tasks: IO[str], answers: IO[str]) -> None:
    """Answer tasks until they end.

    What is loaded until the first task is done stays for good, so it is kept from the collector, which otherwise goes through all
    of it again and again: a sixth of the time of small runs.
    """
    gc.disable()
    from sim.experiments import one_run  # noqa: F401 - loaded before the first task

    answers.write(json.dumps({"ready": os.getpid()}) + "\n")
    answers.flush()
    for line in tasks:
        told = answer(json.loads(line)) | {"cpu_s": time.process_time()}
        answers.write(json.dumps(told, allow_nan=False) + "\n")
        answers.flush()
        if not gc.isenabled():
            gc.freeze()
            gc.enable()


def main() -> None:
    """Keep standard output to ourselves, die when the sweep dies, and serve."""
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the sweep hears it and ends us
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        try:
            serve(sys.stdin, answers)
        except BrokenPipeError:
            os._exit(1)  # the sweep is gone; there is nobody to tell


if __name__ == "__main__":
    main()
