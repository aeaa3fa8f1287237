"""``ozzo feed fetch`` and ``ozzo feed show``: keep the last good answer of every feed of a scenario, and tell how old they are.

A new answer is read as a scenario would read it before it takes the place of the one before; a failed fetch, or an answer that
cannot be read, leaves the last good one, which grows stale and then too old.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from grid.errors import FeedError, Finding, InputError
from grid.feeds import store
from grid.feeds.live import FeedSpec, Freshness, parse, told
from grid.feeds.reading import iso
from ozzo.feeds.endpoints import question
from ozzo.feeds.http import Client

if TYPE_CHECKING:
    from grid.feeds.open_meteo import Weather
    from grid.feeds.reading import Reading
    from grid.horizon import Horizon


@dataclass(frozen=True, slots=True)
class FeedState:
    """How a feed stands.

    Attributes:
        feed, kind: of the scenario.
        freshness: fresh, stale, too old or missing.
        fetched_at: when the last good answer came (ISO, UTC), or None.
        age_minutes: its age, or None.
        covers: what it holds, in words; empty when there is none.
        fetched: True when this command fetched it.
        error: why it could not be fetched or read; empty when nothing was wrong.
    """

    feed: str
    kind: str
    freshness: Freshness
    fetched_at: str | None
    age_minutes: float | None
    covers: str
    fetched: bool = False
    error: str = ""

    @property
    def usable(self) -> bool:
        """True when a scenario may use it."""
        return self.freshness in {Freshness.FRESH, Freshness.STALE}


def feed_states(
    scenario: Path,
    *,
    fetch: bool,
    force: bool = False,
    only: Sequence[str] = (),
    client: Client | None = None,
    environment: Mapping[str, str] = os.environ,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> list[FeedState]:
    """The state of every feed of ``scenario`` (of those in ``only``, when given), after fetching where that is asked for.

    Args:
        scenario: the document.
        fetch: fetch what is not fresh.
        force: fetch what is fresh too.
        only: names of feeds.
        client: asks the services.
        environment: tokens, and the folder of answers.
        now: the clock.

    Raises:
        InputError: the document is wrong, has no feed of a name in ``only``, or none at all.
    """
    from scheduler.document import scenario_feeds

    specs, horizon = scenario_feeds(scenario, environment=environment)
    _refuse_unknown(scenario, [spec.name for spec in specs], only)
    folder = store.feed_folder(environment)
    asks = client or Client()
    states = []
    for spec in specs:
        if only and spec.name not in only:
            continue
        state = _state(spec, folder, now())
        if fetch and (force or state.freshness is not Freshness.FRESH or state.error):
            error = _fetch(spec, horizon, folder, asks, environment, now())
            state = _state(spec, folder, now(), fetched=not error, error=error)
        states.append(state)
    return states


def _refuse_unknown(scenario: Path, names: Sequence[str], only: Sequence[str]) -> None:
    """Every name that is asked for is that of a feed, and there is one."""
    if not names:
        raise InputError([Finding(str(scenario), None, "feeds", "no feeds", "at least one feed to fetch or show")])
    expected = f"the name of a feed: {', '.join(names)}"
    findings = [
        Finding("--feed", None, "", repr(name), expected, next(iter(get_close_matches(name, names, 1)), None))
        for name in only
        if name not in names
    ]
    if findings:
        raise InputError(findings)


def _fetch(spec: FeedSpec, horizon: Horizon, folder: Path, client: Client, environment: Mapping[str, str], now: datetime) -> str:
    """Fetch and keep an answer; empty, or why there is no new one."""
    try:
        body = client.get(question(spec, horizon, now, environment))
        parse(spec, body, f"answer to feed {spec.name}")
        store.save(folder, spec.identity, store.Stored(body, now))
    except FeedError as error:
        return _without(str(error), environment.get(spec.token_variable, ""))
    return ""


def _without(text: str, token: str) -> str:
    """The text without the token, should a server have repeated it."""
    return text.replace(token.strip(), "(token)") if token.strip() else text


def _state(spec: FeedSpec, folder: Path, now: datetime, *, fetched: bool = False, error: str = "") -> FeedState:
    """What the store holds of a feed."""
    try:
        stored = store.load(folder, spec.identity)
        if stored is None:
            return FeedState(spec.name, str(spec.kind), Freshness.MISSING, None, None, "", fetched, error)
        covers = _covers(parse(spec, stored.body, f"feed {spec.name}"))
    except FeedError as fault:
        return FeedState(spec.name, str(spec.kind), Freshness.MISSING, None, None, "", fetched, error or str(fault))
    age = now - stored.fetched_at
    minutes = round(age.total_seconds() / 60, 1)
    return FeedState(
        spec.name, str(spec.kind), spec.freshness(age), stored.fetched_at.isoformat(), minutes, covers, fetched, error
    )


def _covers(content: Reading | Weather) -> str:
    """Period, number of steps, range of values and faults of an answer, in words."""
    from grid.feeds.reading import Reading

    faults = f", {len(content.faults)} faults" if content.faults else ""
    if not isinstance(content, Reading):
        return f"{iso(content.times_s[0])} to {iso(content.times_s[-1])}, {len(content.times_s)} hours of weather{faults}"
    low, high = float(np.nanmin(content.values)), float(np.nanmax(content.values))
    steps = f"{len(content.values)} steps, {low:g} to {high:g} {content.unit}"
    return f"{iso(content.edges_s[0])} to {iso(content.edges_s[-1])}, {steps}{faults}"


def states_text(states: Sequence[FeedState], *, as_json: bool) -> str:
    """The states for people, or as JSON."""
    if as_json:
        return json.dumps({"feeds": [asdict(state) for state in states]}, indent=2)
    lines = []
    for state in states:
        age = "" if state.age_minutes is None else f", {_aged(state.age_minutes)} old"
        lines.append(f"{state.feed} ({state.kind}): {state.freshness}{age}{', just fetched' if state.fetched else ''}")
        lines += [f"  {state.covers}"] if state.covers else []
        lines += [f"  could not be fetched or read: {state.error}"] if state.error else []
    return "\n".join(lines)


def _aged(minutes: float) -> str:
    return told(timedelta(minutes=minutes))
