"""The scenario's document while it is served: it may be written anew at any time, which is how days, jobs and forecasts go on."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

from grid.errors import OzzoError
from scheduler.scenario import Scenario

LOOK_S = 5.0
"""Wall seconds between two looks at the file."""


def fingerprint(path: Path) -> str:
    """SHA-256 of the document; empty when it cannot be read (it may be in the middle of being replaced)."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


class Document:
    """Watches a document and loads it in a thread when it has changed; a faulty one is told once and does not count.

    Attributes:
        digest: of the document in use.
        refused: what is wrong with the last one, or empty.
    """

    def __init__(self, path: Path, load: Callable[[Path], Scenario], digest: str) -> None:
        self._path, self._load, self.digest = path, load, digest
        self._looked_s, self._seen = time.monotonic(), digest
        self._thread: threading.Thread | None = None
        self._loaded: Scenario | None = None
        self.refused = ""

    def look(self) -> Scenario | None:
        """The new scenario when the document has changed and holds; None otherwise. Call it often; it looks now and then."""
        if self._thread is not None:
            if self._thread.is_alive():
                return None
            self._thread = None
            loaded, self._loaded = self._loaded, None
            if loaded is not None:
                self.digest = self._seen
            return loaded
        if time.monotonic() < self._looked_s + LOOK_S:
            return None
        self._looked_s = time.monotonic()
        digest = fingerprint(self._path)
        if digest and digest != self._seen:
            self._seen = digest
            self._thread = threading.Thread(target=self._read, name="document", daemon=True)
            self._thread.start()
        return None

    def _read(self) -> None:
        try:
            self._loaded, self.refused = self._load(self._path), ""
        except OzzoError as error:
            self.refused = str(error)
        except Exception as error:  # noqa: BLE001 - a thread has nobody to raise to; the document before it stays in use
            self.refused = f"{type(error).__name__}: {error}"
