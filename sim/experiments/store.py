"""The folder of a sweep: every finished run is there at once and whole, so that nothing is lost when the sweep is killed.

======================  ==============================================================================================
file                    holds
======================  ==============================================================================================
``sweep.yaml``          the sweep file as it was run
``parts/<key>.parquet`` one row, of a run that is finished; gone once merged
``plans/<key>.json``    with ``redraw: truth``: the one plan that every seed meets
``sweep.parquet``       all rows in the order of the sweep (``sim.experiments.columns``)
``sweep.json``          what was swept, with digests, version, machine; how far it came; runs that failed
``report.html``         the page, when ``ozzo report`` was asked for it
======================  ==============================================================================================

Only one sweep at a time works in a folder (a lock that the operating system gives back when its holder dies). Runs are found
again by their key; a folder with runs of another sweep is refused, so that nothing is mixed up or lost.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from grid.errors import ExperimentError, Finding, InputError
from sim.experiments.columns import FIGURES, ORIGIN, identity, table
from sim.experiments.design import Run, Sweep
from sim.report.files import write_whole

PARTS, PLANS, TABLE, FACTS, COPY, LOCK = "parts", "plans", "sweep.parquet", "sweep.json", "sweep.yaml", ".lock"


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Errors of the disk as one that says what to do.

    Raises:
        ExperimentError: in place of any error of the operating system.
    """
    try:
        yield
    except OSError as error:
        words = f"{folder} cannot be written: {error.strerror or error}"
        raise ExperimentError(f"{words}. What is finished is kept; the same command goes on from there.") from error


class Store:
    """The folder of one sweep, held alone while open (a context).

    Args:
        folder: made when it is not there.
        sweep: what is to be run.

    Attributes:
        rows: figures and origin of finished runs, by key.
        spoilt: part files that could not be read and were removed; their runs are carried out again.
    """

    def __init__(self, folder: Path, sweep: Sweep) -> None:
        self.folder, self.sweep = folder, sweep
        self.rows: dict[str, dict[str, Any]] = {}
        self.spoilt: list[str] = []
        self._runs = {run.index: run for run in sweep.runs()}
        self._lock: IO[str] | None = None

    def __enter__(self) -> Self:
        self._refuse_a_strange_place()
        with writing(self.folder):
            (self.folder / PARTS).mkdir(parents=True, exist_ok=True)
            self._lock = (self.folder / LOCK).open("w", encoding="utf-8")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise ExperimentError(f"another sweep is at work in {self.folder}; wait for it, or choose another --out") from error
        try:
            with writing(self.folder):
                self._read()
        except BaseException:
            self._lock.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._lock is not None:
            self._lock.close()

    def _refuse_a_strange_place(self) -> None:
        """Nothing is written among things of somebody else.

        Raises:
            InputError: a file is there, or a folder that holds something and no part of a sweep.
        """
        found = ""
        if self.folder.is_dir():
            strange = next((path.name for path in sorted(self.folder.iterdir()) if path.name != LOCK), "")
            if strange and not (self.folder / PARTS).is_dir():
                found = f"a folder that holds {strange} and no sweep"
        elif self.folder.exists():
            found = "a file"
        if found:
            expected = "a new or empty folder, or that of this sweep"
            raise InputError([Finding(str(self.folder), None, "--out", found, expected)])

    def _read(self) -> None:
        """Find the finished runs, and sweep up what a killed writer left.

        Raises:
            InputError: the folder holds runs that this sweep does not have.
        """
        for folder in (self.folder, self.folder / PARTS, self.folder / PLANS):
            for left in folder.glob(".*.part"):
                left.unlink()
        self.rows, self.spoilt = finished(self.folder)
        for name in self.spoilt:
            (self.folder / name).unlink()
        known = {run.key for run in self._runs.values()}
        strange = [key for key in self.rows if key not in known]
        if strange:
            found = f"{len(strange)} finished runs that this sweep does not have"
            expected = (
                "an empty folder, or the folder of this very sweep: a scenario or a file that it names, a value or the version "
                "changed (more seeds, values, policies or scenarios may be added)"
            )
            raise InputError([Finding(str(self.folder), None, "", found, expected)])

    def missing(self) -> list[Run]:
        """Runs that are not finished, in order."""
        return [run for run in self._runs.values() if run.key not in self.rows]

    def add(self, index: int, figures: dict[str, Any]) -> None:
        """Keep the figures of the run at ``index``.

        Raises:
            ExperimentError: the disk is full, or the folder cannot be written.
        """
        run = self._runs[index]
        row = figures | identity(self.sweep, run)
        with writing(self.folder):
            _write_table(self.folder / PARTS / f"{run.key}.parquet", table(self.sweep, [row]), brief=True)
        self.rows[run.key] = row

    def merge(self) -> Path:
        """Write the one table of all finished runs and remove their parts; returns its path.

        Raises:
            ExperimentError: as of ``add``.
        """
        rows = [
            identity(self.sweep, run) | {name: self.rows[run.key].get(name) for name in FIGURES | ORIGIN}
            for run in self._runs.values()
            if run.key in self.rows
        ]
        path = self.folder / TABLE
        with writing(self.folder):
            _write_table(path, table(self.sweep, rows))
            for part in (self.folder / PARTS).glob("*.parquet"):
                part.unlink()
        return path

    def describe(self, facts: dict[str, Any]) -> None:
        """Write ``sweep.json`` and the copy of the sweep file."""
        words = json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        source = Path(self.sweep.file).read_bytes()
        with writing(self.folder):
            write_whole(self.folder / FACTS, lambda part: part.write_text(words, encoding="utf-8"))
            write_whole(self.folder / COPY, lambda part: part.write_bytes(source))


def _write_table(path: Path, rows: Any, *, brief: bool = False) -> None:
    """A table as a compressed file, which appears whole or not at all and is on the disk before it appears.

    ``brief``: of one row and gone soon; what makes large tables small or quick to search is left out, which halves the time.
    """
    how: dict[str, Any] = {"compression": "zstd"}
    if brief:
        how = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    from pyarrow import parquet

    def write(part: Path) -> None:
        """Fill the file beside ``path``."""
        with part.open("wb") as file:
            parquet.write_table(rows, file, **how)
            file.flush()
            os.fsync(file.fileno())

    write_whole(path, write)


def finished(folder: Path) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Rows of all finished runs of a folder by key, and names of files in it that could not be read.

    Raises:
        InputError: its merged table is no table of a sweep.
    """
    import pyarrow as pa
    from pyarrow import parquet

    rows: dict[str, dict[str, Any]] = {}
    spoilt: list[str] = []
    whole = folder / TABLE
    for path in [*([whole] if whole.is_file() else []), *sorted((folder / PARTS).glob("*.parquet"))]:
        try:
            rows |= {row["key"]: row for row in parquet.read_table(path).to_pylist()}
        except (pa.ArrowInvalid, KeyError) as error:
            if path == whole:
                raise InputError([Finding(str(path), None, "", "no table of a sweep", "one that 'ozzo sweep' wrote")]) from error
            spoilt.append(str(path.relative_to(folder)))
    return rows, spoilt
