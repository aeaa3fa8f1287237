"""OpenADR event objects that come from files, for ``ozzo run`` and ``ozzo what-if``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid.errors import Finding, InputError
from grid.response.openadr import parse_event

if TYPE_CHECKING:
    from grid.response.event import CapacityEvent
    from scheduler.scenario import Scenario


def file_events(
    scenario: Scenario, files: Iterable[tuple[Path, Any]], say: Callable[[str], None]
) -> list[tuple[CapacityEvent, ...]]:
    """Capacity events of each file, in the order of the files; what of a file is not heeded is said.

    Args:
        scenario: names the sites and the horizon.
        files: path and JSON value of each.
        say: takes what is not heeded, in words.

    Raises:
        InputError: a file holds no valid OpenADR event object, or names a site that is not there; all findings of all files.
    """
    sites = tuple(site.name for site in scenario.sites)
    findings: list[Finding] = []
    found: list[tuple[CapacityEvent, ...]] = []
    for path, value in files:
        try:
            events = parse_event(
                value,
                sites=sites,
                horizon=scenario.horizon,
                seed=scenario.seed,
                file=str(path),
                notice=partial(_told, say, path),
                lenient=False,
            )
        except InputError as error:
            findings += error.findings
        else:
            found.append(events)
    if findings:
        raise InputError(findings)
    return found


def _told(say: Callable[[str], None], path: Path, line: str) -> None:
    say(f"{path}: {line}")
