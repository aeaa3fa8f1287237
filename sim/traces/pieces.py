"""Text files read in pieces: blocks of numbered lines, so that a trace of any length needs memory for its numbers only."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TextIO, cast

import numpy as np

from grid.errors import Finding, InputError
from grid.horizon import FloatArray

BLOCK = 1 << 16
"""Lines of one piece."""


def blocks(path: str, size: int = BLOCK) -> Iterator[list[str]]:
    """The lines of a text file, ``size`` at a time; a name that ends with ``.gz`` is decompressed.

    Raises:
        InputError: the file cannot be read, is cut off, or is no text.
    """
    try:
        with _opened(path) as file:
            while block := list(islice(file, size)):
                yield block
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(
            [Finding(path, None, "", f"{type(error).__name__}: {error}"[:160], "a text file that can be read")]
        ) from error


def _opened(path: str) -> TextIO:
    if path.endswith(".gz"):
        return cast("TextIO", gzip.open(path, "rt", encoding="utf-8-sig"))
    return Path(path).open(encoding="utf-8-sig")


def numbers(cells: list[str], width: int) -> FloatArray | None:
    """Rows of ``width`` numbers from their cells, ``[n, width]``, or None when they are not all numbers or not as many."""
    if len(cells) % width:
        return None
    try:
        return np.array(cells, dtype=np.float64).reshape(-1, width)
    except ValueError:
        return None


def number(text: str) -> float:
    """One number, ``NaN`` when it is none."""
    try:
        return float(text)
    except ValueError:
        return float("nan")
