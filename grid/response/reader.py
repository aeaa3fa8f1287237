"""Reading an untrusted JSON object piece by piece, collecting every finding instead of stopping at the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

from grid.errors import Finding, InputError
from grid.response.timing import Duration, parse_duration, parse_instant

MOST_ITEMS = 5_000
"""Longest list that is read."""


class Reader:
    """Collects findings while it reads one object."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.findings: list[Finding] = []
        self.notices: list[str] = []

    def wrong(self, field: str, found: object, expected: str, nearest: str | None = None) -> None:
        """Note a finding."""
        self.findings.append(Finding(self.file, None, field, _short(found), expected, nearest))

    def refuse(self) -> NoReturn:
        """Raise all findings.

        Raises:
            InputError: always.
        """
        raise InputError(self.findings)

    def check(self) -> None:
        """Raise all findings so far, if there are any."""
        if self.findings:
            self.refuse()

    def text(self, value: Any, field: str) -> str | None:
        """A text of 1 to 128 characters, or None with a finding."""
        if isinstance(value, str) and 1 <= len(value) <= 128:
            return value
        self.wrong(field, value, "a text of 1 to 128 characters")
        return None

    def mapping(self, value: Any, field: str) -> Mapping[str, Any]:
        """An object, empty with a finding when it is none; absent is empty."""
        if value is None:
            return {}
        if isinstance(value, Mapping):
            return value
        self.wrong(field, value, "an object")
        return {}

    def items(self, value: Any, field: str) -> Sequence[Any]:
        """A list of bounded length, empty with a finding when it is none; absent is empty."""
        if value is None:
            return ()
        if isinstance(value, list) and len(value) <= MOST_ITEMS:
            return value
        self.wrong(field, value, f"a list of at most {MOST_ITEMS} items")
        return ()

    def duration(self, value: Any, field: str) -> Duration | None:
        """A duration, or None when absent or wrong."""
        if value is None:
            return None
        try:
            return parse_duration(value if isinstance(value, str) else repr(value))
        except ValueError as error:
            self.wrong(field, value, f"an ISO 8601 duration such as PT1H ({error})")
            return None

    def instant(self, value: Any, field: str, now: datetime) -> datetime | None:
        """An instant, or None when absent or wrong."""
        if value is None:
            return None
        try:
            return parse_instant(value if isinstance(value, str) else repr(value), now)
        except ValueError as error:
            self.wrong(field, value, f"an RFC 3339 instant with time zone ({error})")
            return None


def _short(value: object) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
