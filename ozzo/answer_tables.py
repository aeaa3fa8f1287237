"""How answers are printed: rich tables and sentences as one text, the same on a terminal, in a file and in a test."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

WIDTH = 130
"""Columns of tables that do not go to a terminal."""


def rendered(*things: Any) -> str:
    """Rich tables and plain lines as text, as wide as the terminal (``WIDTH`` when there is none)."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)
    with console.capture() as capture:
        for thing in things:
            console.print(thing, markup=False, soft_wrap=isinstance(thing, str))
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def table(title: str, *columns: str) -> Table:
    """An empty table; columns whose name ends with a unit in brackets are aligned to the right."""
    from rich.markup import escape
    from rich.table import Table

    made = Table(title=escape(title), title_justify="left")
    for column in columns:
        made.add_column(column, justify="right" if column.endswith(")") else "left")
    return made


def percent(gap: float | None) -> str:
    """A gap in words."""
    return "nothing proven" if gap is None else f"{gap:.2%}"
