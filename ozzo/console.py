"""What a person sees while ozzo works: phases with their time, the last line of news, tables at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.record import RunRecord

WORDS = {
    "load": "Reading the scenario",
    "plan": "Planning (MILP)",
    "baselines": "Planning the baselines",
    "network": "Loading the electrical network",
    "rehearse": "Rehearsing in the simulated world",
    "command": "Commanding the nodes",
    "report": "Writing the report",
}


class Console:
    """Progress on standard error; tables on standard output. In a terminal the last line of news is updated in place.

    Args:
        quiet: print no tables (``--json``).
    """

    def __init__(self, *, quiet: bool) -> None:
        from rich.console import Console as RichConsole

        self.quiet = quiet
        self._err = RichConsole(stderr=True, highlight=False)
        self._status: object | None = None
        self._phase = ""

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """A phase of the run, with its wall time at the end."""
        words = WORDS.get(name, name)
        self._phase = words
        began = time.monotonic()
        if not self._err.is_terminal:
            self._err.print(f"{words} ...")
            yield
        else:
            with self._err.status(words) as status:
                self._status = status
                try:
                    yield
                finally:
                    self._status = None
        self._err.print(f"{words}: {time.monotonic() - began:.1f} s")

    def line(self, text: str) -> None:
        """One line of news."""
        from rich.status import Status

        if isinstance(self._status, Status):
            self._status.update(f"{self._phase}: {text}")
        else:
            self._err.print(f"  {text}", markup=False, soft_wrap=True)

    def tables(self, record: RunRecord, folder: Path) -> None:
        """The summary for people."""
        from rich.console import Console as RichConsole

        from sim.report.tables import print_tables

        print_tables(record, RichConsole(file=sys.stdout, highlight=False))
        self._err.print(f"Report: {folder / 'report.html'}", markup=False, soft_wrap=True)
