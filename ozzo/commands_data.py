"""What stands behind ``ozzo data``: datasets told in words or as JSON, progress shown, and what came of every file."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ozzo.datasets import table

if TYPE_CHECKING:
    from ozzo.datasets.shelf import FileState, Tell

WIDTH = 120


def listed(names: list[str], *, as_json: bool) -> str:
    """Datasets with all that is known of them.

    Raises:
        InputError: a name that is not in the list.
    """
    datasets = table.chosen(names, table.DATASETS)
    if as_json:
        return json.dumps({"datasets": [asdict(item) for item in datasets]}, indent=2)
    return "\n\n".join(_told(item) for item in datasets)


def _told(item: table.Dataset) -> str:
    """One dataset in words."""
    sizes = [file.size for file in item.files]
    known = sum(size for size in sizes if size is not None)
    size = _amount(known) if None not in sizes else "size not known"
    pinned = sum(1 for file in item.files if file.sha256)
    sums = "all checksums known" if pinned == len(sizes) else f"{pinned} checksums known; the first download records the others"
    rows = {
        "what": item.about,
        "licence": item.licence,
        "cite": item.citation,
        "from": item.home,
        "files": f"{len(sizes)}, {size}, {sums}",
    }
    lines = [
        textwrap.fill(f"{key:<8} {text}", WIDTH, initial_indent="  ", subsequent_indent=" " * 11, break_long_words=False)
        for key, text in rows.items()
    ]
    return "\n".join([item.name, *lines])


def _amount(size: int) -> str:
    """Bytes for people, decimal."""
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"


def bring(names: list[str], folder: Path, *, force: bool, as_json: bool) -> tuple[str, int]:
    """Download datasets; returns the text to print and the exit code (1 when a file is not as it should be).

    Raises:
        InputError: a name that is not in the list, or a broken record in the folder.
        FeedError: the folder cannot be written, or another ``get`` works in it.
    """
    from ozzo.datasets.shelf import get

    datasets = table.chosen(names, table.DATASETS)
    with _shown() as tell:
        states = get(datasets, folder, tell, force=force)
    return _outcome(states, folder, as_json=as_json)


def verified(names: list[str], folder: Path, *, as_json: bool) -> tuple[str, int]:
    """Verify datasets; without names those of which at least one file is there. Returns the text and the exit code.

    Raises:
        InputError: a name that is not in the list, or a broken record in the folder.
    """
    from ozzo.datasets.shelf import State, verify

    states = verify(table.chosen(names, table.DATASETS), folder)
    if not names:
        present = {state.dataset for state in states if state.state is not State.MISSING}
        states = [state for state in states if state.dataset in present]
    return _outcome(states, folder, as_json=as_json)


def _outcome(states: list[FileState], folder: Path, *, as_json: bool) -> tuple[str, int]:
    """Every file with its state, and the exit code; nothing at all is not good either."""
    from ozzo.datasets.shelf import State

    good = bool(states) and all(state.state in (State.BROUGHT, State.RIGHT) for state in states)
    if as_json:
        answer = {"folder": str(folder), "good": good, "files": [asdict(state) for state in states]}
        return json.dumps(answer, indent=2), int(not good)
    if not states:
        return f"no file of a known dataset is in {folder}; 'ozzo data list' shows what there is", 1
    lines = [f"{state.state:<10} {state.path}" + (f": {state.words}" if state.words else "") for state in states]
    return "\n".join(lines), int(not good)


@contextmanager
def _shown() -> Iterator[Tell]:
    """Shows progress on standard error: a bar in a terminal, a line at the end of a file elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield _lines()
        return
    with Progress(TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), console=console) as bar:
        tasks: dict[str, TaskID] = {}

        def show(file: table.DataFile, have: int, whole: int | None) -> None:
            """Move the bar of a file."""
            if file.path not in tasks:
                tasks[file.path] = bar.add_task(file.path, total=whole)
            bar.update(tasks[file.path], completed=have, total=whole)

        yield show


def _lines() -> Callable[[table.DataFile, int, int | None], None]:
    """Progress as lines: where a file begins or goes on, and where it is whole."""
    begun: set[str] = set()

    def show(file: table.DataFile, have: int, whole: int | None) -> None:
        """A line where something is new."""
        size = "size not said" if whole is None else _amount(whole)
        if file.path not in begun:
            begun.add(file.path)
            sys.stderr.write(f"  {file.path}: {size}" + (f", of which {_amount(have)} are there\n" if have else "\n"))
        elif have == whole:
            sys.stderr.write(f"  {file.path}: all there\n")
        sys.stderr.flush()

    return show
