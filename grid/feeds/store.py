"""Answers of live feeds on disk: the last good one of each feed with the time at which it was fetched.

One JSON file a feed, named by what was asked (never by who asked: no token is in it), written to a temporary name and moved
into place, so a reader never sees half a file and a failed fetch never harms the answer before it.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from grid.cache import cache_folder
from grid.errors import FeedError

FOLDER_VARIABLE = "OZZO_FEEDS"


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer.

    Attributes:
        body: the text that the server sent.
        fetched_at: when, UTC.
    """

    body: str
    fetched_at: datetime


def feed_folder(environment: Mapping[str, str]) -> Path:
    """Folder of the answers: ``$OZZO_FEEDS``, else ``feeds`` in the user's cache folder."""
    given = environment.get(FOLDER_VARIABLE, "")
    return Path(given) if given else cache_folder() / "feeds"


def stored_path(folder: Path, identity: Mapping[str, str]) -> Path:
    """File of the feed with this ``identity``: another question, another file."""
    text = json.dumps(dict(sorted(identity.items())))
    words = re.sub(r"[^A-Za-z0-9.-]+", "_", "-".join(filter(None, (identity.get("kind"), identity.get("area")))))
    return folder / f"{words[:60]}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.json"


def load(folder: Path, identity: Mapping[str, str]) -> Stored | None:
    """The last good answer, or None when there is none.

    Raises:
        FeedError: there is a file, and it is damaged or about something else.
    """
    path = stored_path(folder, identity)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        stored = Stored(str(content["body"]), datetime.fromisoformat(content["fetched_at"]).astimezone(UTC))
        same = content["identity"] == dict(identity)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise FeedError(f"{path}: a damaged answer ({type(error).__name__}); delete it and fetch again") from error
    if not same:
        raise FeedError(f"{path}: an answer to another question; delete it and fetch again")
    return stored


def save(folder: Path, identity: Mapping[str, str], stored: Stored) -> Path:
    """Keep ``stored`` as the last good answer, readable by its owner only.

    Raises:
        FeedError: the folder cannot be written.
    """
    path = stored_path(folder, identity)
    content = {"identity": dict(identity), "fetched_at": stored.fetched_at.astimezone(UTC).isoformat(), "body": stored.body}
    temporary = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=folder, prefix=path.stem, suffix=".part", delete=False
        ) as file:
            temporary = Path(file.name)
            json.dump(content, file)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise FeedError(f"{folder}: answers cannot be kept here: {error}") from error
    return path
