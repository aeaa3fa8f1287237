"""What stands behind ``ozzo sweep``: the file checked, the runs carried out, progress shown, and what came of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid.errors import Finding, InputError, Interrupted
from ozzo.version import __version__

if TYPE_CHECKING:
    from sim.experiments.sweep import Engine, News, SweepResult

SHOWN = 10
"""Failed runs that are named; ``sweep.json`` holds all."""
TENTHS = 10
"""How often progress is told where there is no terminal."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for.

    Attributes:
        file: sweep file. out: folder, or None for ``sweeps/<name>``. workers: processes, or None for all cores.
        dask: address of a scheduler, or None.
    """

    file: Path
    out: Path | None = None
    workers: int | None = None
    dask: str | None = None


def sweep(wish: Wish, *, as_json: bool) -> tuple[str, int]:
    """Carry out a sweep; returns the text to print and the exit code (1 when runs failed).

    Raises:
        InputError: the sweep file, its scenarios, a value or an option is wrong, or the folder holds another sweep.
        ExperimentError: the folder cannot be written, or workers do not start.
        Interrupted: a person pressed Ctrl-C.
    """
    if wish.dask is not None and wish.workers is not None:
        expected = "either; a cluster has the workers that it has"
        raise InputError([Finding("--workers", None, "", "together with --dask", expected)])
    from sim.experiments.sweep import run_sweep
    from sim.experiments.sweep_file import load_sweep

    plan = load_sweep(wish.file, version=__version__)
    folder = wish.out or Path("sweeps") / plan.name
    engine = None if wish.dask is None else _cluster(wish.dask)
    news: list[News] = []
    try:
        with _shown(plan.name) as show:

            def tell(item: News) -> None:
                """Remember how far it is, and show it."""
                news.append(item)
                del news[:-1]
                show(item)

            result = run_sweep(plan, folder, workers=wish.workers, engine=engine, tell=tell)
    except KeyboardInterrupt as stop:
        done = news[-1].done if news else 0
        words = f"interrupted; {done} of {plan.size} runs are finished and kept in {folder}; the same command goes on from there"
        raise Interrupted(words) from stop
    code = 1 if result.failed else 0
    return (json.dumps(result_dict(result), indent=2) if as_json else _told(result)), code


def _cluster(address: str) -> AbstractContextManager[Engine]:
    """A Dask cluster.

    Raises:
        InputError: Dask is not installed, or nothing answers at the address.
    """
    from sim.experiments.dask_engine import DaskEngine

    return DaskEngine(address)


@contextmanager
def _shown(name: str) -> Iterator[Callable[[News], None]]:
    """Shows news on standard error: a bar in a terminal, a line a tenth elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield _lines(name)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(name, total=None)

        def show(news: News) -> None:
            """Move the bar; what needs words is printed above it."""
            failed = f", {news.failed} failed" if news.failed else ""
            bar.update(task, total=news.runs, completed=news.done + news.failed, description=name + failed)
            if news.words:
                bar.console.print(news.words, markup=False, soft_wrap=True)

        yield show


def _lines(name: str) -> Callable[[News], None]:
    """News as lines on standard error."""
    told = -1

    def show(news: News) -> None:
        """A line for every tenth, and for what needs words."""
        nonlocal told
        tenth = TENTHS * (news.done + news.failed) // max(1, news.runs)
        if news.words:
            sys.stderr.write(f"  {news.words}\n")
        if tenth > told:
            told = tenth
            failed = f", {news.failed} failed" if news.failed else ""
            sys.stderr.write(f"  {name}: {news.done} of {news.runs} runs{failed}\n")
        sys.stderr.flush()

    return show


def result_dict(result: SweepResult) -> dict[str, Any]:
    """What a sweep came to, as plain JSON values; keys in docs/output.md."""
    return {
        "folder": str(result.folder),
        "table": str(result.table),
        "kept": result.kept,
        **{name: result.facts[name] for name in ("name", "runs", "done", "failed", "lost_workers", "workers", "wall_s")},
    }


def _told(result: SweepResult) -> str:
    """The same for people."""
    here = result.done - result.kept
    before = f", {result.kept} had been finished before" if result.kept else ""
    lines = [f"{here} of {result.runs} runs carried out in {result.wall_s:.1f} s{before}: {result.table}"]
    lines += [f"  run {run} failed: {why}" for run, why in result.failed[:SHOWN]]
    rest = len(result.failed) - SHOWN
    if rest > 0:
        lines.append(f"  ... and {rest} more, in {result.folder / 'sweep.json'}")
    if result.lost:
        lines.append(f"  {len(result.lost)} worker processes were lost; what they were at was carried out again")
    if result.done:
        lines.append(f"Page of it: ozzo report {result.folder}")
    return "\n".join(lines)
