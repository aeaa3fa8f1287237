"""Files in the user's cache folder: things that take long to make and that a version and a name decide.

A cache is never trusted: its key is inside the file, a file that cannot be read or has another key is made again, and it is
written to a temporary name and moved into place, so that two programs at once never see half a file.
"""

from __future__ import annotations

import json
import os
import re
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray[Any, np.dtype[Any]]]


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/ozzo``, by default ``~/.cache/ozzo`` (XDG Base Directory Specification 0.8)."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache") / "ozzo"


def cached(name: str, key: Mapping[str, str], build: Callable[[], Arrays], folder: Path | None = None) -> Arrays:
    """Arrays from the cache, made by ``build`` when the cache does not have them.

    Args:
        name: name of the file without ending.
        key: everything that decides the content (versions, codes); another key means another file.
        build: makes the arrays (no object arrays; text as a unicode array).
        folder: cache folder, by default the user's.
    """
    identity = json.dumps(dict(sorted(key.items())))
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", "-".join([name, *(key[k] for k in sorted(key))]))
    path = (folder or cache_folder()) / f"{stem}.npz"
    arrays = _load(path, identity)
    if arrays is None:
        arrays = build()
        _store(path, identity, arrays)
    return arrays


def _load(path: Path, identity: str) -> Arrays | None:
    """What the file holds, or None when it is absent, damaged or about something else (it is then made again)."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            if str(file["_key"]) != identity:
                return None
            return {name: file[name] for name in file.files if name != "_key"}
    except (OSError, ValueError, KeyError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error, struct.error):
        return None


def _store(path: Path, identity: str, arrays: Arrays) -> None:
    """Write the file in one step. A folder that cannot be written (read-only home) only means: no cache."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.stem, suffix=".part", delete=False) as file:
            temporary = Path(file.name)
            np.savez(file, **{"_key": np.array(identity), **arrays})  # type: ignore[arg-type]  # its stub takes a flag first
        temporary.replace(path)
    except OSError:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
