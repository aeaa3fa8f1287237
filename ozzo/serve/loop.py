"""``ozzo serve``: who may speak, in which mode, and one session after the other until somebody says stop."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from grid.errors import Finding, InputError, TransportError
from ozzo.book import few
from ozzo.clock import AcceleratedClock
from ozzo.commanding import understood
from ozzo.fleet import Agents, LocalAgents, specs_of
from ozzo.serve.clock import clock_for
from ozzo.serve.documents import Document, fingerprint
from ozzo.serve.evidence import Mode
from ozzo.serve.fleet import StandingFleet
from ozzo.serve.leader import Leadership
from ozzo.serve.options import COMMAND_LINE, STATES, ServeOptions, option_findings, unknown
from ozzo.serve.overrides import Rules
from ozzo.serve.parts import Parts
from ozzo.serve.planner import Planner
from ozzo.serve.promotion import initial_mode
from ozzo.serve.session import Session
from ozzo.serve.state import FILE, ServeState
from ozzo.serve.status import status
from ozzo.serve.status_page import page_html
from ozzo.serve.telling import inventory, places_of
from ozzo.serve.world import Limited, Twin
from ozzo.web.events import EventServer
from scheduler.document import load_scenario
from scheduler.scenario import Scenario

BIRTHS_S, OWN_BIRTHS_S = 6.0, 60.0
"""Wall seconds that nodes get to announce themselves: those behind a broker that was named (they speak every 5 s), and ours."""
BROKER_S = 3.0
"""Wall seconds between two tries to reach the broker."""


def serve(options: ServeOptions, say: Callable[[str], None], on_limit: Limited | None = None) -> int:
    """Serve a scenario until SIGTERM, Ctrl-C, or with ``once`` the end of its horizon; the exit code.

    Args:
        options: how.
        say: takes a line for people.
        on_limit: answers a sudden limit instead of the ladder of the plan in force (see ``ozzo.serve.world.Limited``).

    Raises:
        InputError: scenario, options or state are wrong, or evidence for the mode is missing; nothing was started.
        TransportError: another controller serves this state or has taken over, or the broker cannot be used.
    """
    digest = fingerprint(options.scenario)
    scenario = load_scenario(options.scenario, progress=say)
    findings = option_findings(options, scenario)
    if findings:
        raise InputError(findings)
    folder = options.state or STATES / scenario.name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    stop = threading.Event()
    with ServeState.open(folder / FILE) as state, signals(stop):
        state.examine()
        _belongs(state, scenario, folder)
        lead = Leadership(folder, options.lease_s)
        try:
            if not _lead(lead, state, stop, say, standby=options.standby):
                return 0
            lead.keep(lambda _: None)  # the loop sees it in its next round, and says it
            scenario, digest = as_it_is_now(options.scenario, scenario, digest, say)
            mode, options = initial_mode(options, state)  # only now: what is written is for the one who leads
            document = str(options.scenario.resolve())
            state.keep_facts(inventory=inventory(scenario), thresholds=thresholds_dict(options), document=document)
            return Lives(options, scenario, digest, folder, state, lead, stop, say, on_limit).run(mode)
        finally:
            lead.close()


@contextmanager
def signals(stop: threading.Event) -> Iterator[None]:
    """SIGTERM and Ctrl-C ask the loop to leave; a second Ctrl-C ends it as ever. Only in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, _frame: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def as_it_is_now(document: Path, scenario: Scenario, digest: str, say: Callable[[str], None]) -> tuple[Scenario, str]:
    """The scenario to begin with, and its digest: a standby may have waited for days since it read the document.

    Args:
        document: its file.
        scenario: as it was read.
        digest: of what was read.
        say: takes a line for people.
    """
    found = fingerprint(document)
    if found in {"", digest}:
        return scenario, digest
    try:
        return load_scenario(document, progress=say), found
    except InputError as error:
        say(f"the document has changed and is faulty, the one that was read before is served: {error}")
        return scenario, digest


def _belongs(state: ServeState, scenario: Scenario, folder: Path) -> None:
    """The state of one scenario is not used for another.

    Raises:
        InputError: it is another's.
    """
    owner = state.fact("scenario")
    if owner is None:
        state.keep_facts(scenario=scenario.name, id=uuid4().hex[:6], round=1)
    elif owner != scenario.name:
        found = f"the state of scenario {owner!r}"
        raise InputError([Finding(str(folder), None, "", found, f"one of {scenario.name!r}, or a folder that does not exist")])


def _lead(lead: Leadership, state: ServeState, stop: threading.Event, say: Callable[[str], None], *, standby: bool) -> bool:
    """Get the lease: at once, or as a standby when it is free; False when somebody said stop first.

    Raises:
        TransportError: another controller holds it, and this is no standby.
    """
    if lead.take():
        return True
    held = state.leader()
    who = f"process {held[0]}, epoch {held[1]}" if held else "another controller"
    if not standby:
        raise TransportError(f"{who} serves this state; --standby waits until its lease has run out")
    say(f"standing by: {who} serves this state")
    if not lead.wait(stop):
        return False
    state.append("takeover", datetime.now(UTC), {"from": who, "pid": os.getpid()})
    say(f"taking over from {who}")
    return True


class Lives:
    """One session after another: a new one for each mode, for a document with other nodes, and for the same day again."""

    def __init__(
        self,
        options: ServeOptions,
        scenario: Scenario,
        digest: str,
        folder: Path,
        state: ServeState,
        lead: Leadership,
        stop: threading.Event,
        say: Callable[[str], None],
        on_limit: Limited | None,
    ) -> None:
        self._options, self._scenario, self._folder, self._state = options, scenario, folder, state
        self._lead, self._stop, self._say, self._on_limit = lead, stop, say, on_limit
        self._network: Any = None
        self._document = Document(options.scenario, load_scenario, digest)

    def run(self, mode: Mode) -> int:
        """Serve; the exit code."""
        clock = self._clock()
        while True:
            ended, session = self._live(mode, clock)
            self._scenario = session.scenario
            if ended == "stop":
                self._say("leaving; jobs on nodes with agents of their own go on")
                return 0
            if ended == "mode":
                mode = Mode(self._state.fact("mode"))
                self._options = replace(self._options, nodes=tuple(self._state.fact("pilot_nodes") or ()))
                self._say(f"the mode is {mode} now")
            elif ended == "nodes":
                self._state.keep_facts(inventory=inventory(self._scenario))
                horizon = self._scenario.horizon
                clock = clock if horizon.start <= clock.now() < horizon.end else self._clock()
            elif self._options.once:
                return self._result()
            else:
                self._again()
                clock = self._clock()

    def _clock(self) -> AcceleratedClock:
        return clock_for(self._scenario, self._options.day_seconds, self._state.fact("clock"))

    def _again(self) -> None:
        """Begin the horizon once more: the same jobs under new names."""
        number = int(self._state.fact("round") or 1) + 1
        self._state.forget_jobs({job for job, _ in self._state.orders()})
        for job in self._state.works():
            self._state.keep_work(job, None)
        self._state.keep_facts(round=number, plan=None, clock=None, energy=None, events=None)
        self._say(f"the horizon is over and begins again (round {number})")

    def _result(self) -> int:
        """0 when no job failed or was doubled in the horizon that is over."""
        works = self._state.works()
        bad = sorted(name for name, work in works.items() if work["stage"] != "done")
        doubled = self._state.fact("doubled") or []
        self._say(f"the horizon is over: {len(works) - len(bad)} jobs done, {len(bad)} not, {len(doubled)} doubled")
        return 1 if bad or doubled else 0

    def _live(self, mode: Mode, clock: AcceleratedClock) -> tuple[str, Session]:
        """One session, with all that it needs."""
        scenario = self._with_events(self._scenario, clock)
        if scenario.network is not None and self._network is None:
            from sim.network_check import load

            self._network = load(scenario.network)

        def record(kind: str, at: datetime, payload: Mapping[str, object]) -> None:
            self._state.append(kind, at, dict(payload))

        def check(body: Mapping[str, Any]) -> None:
            understood(scenario, body, clock.now())

        fleet = self._fleet(mode, scenario, clock)
        try:
            page = (lambda: page_html(status(self._folder))) if self._options.page else None
            with EventServer(self._folder, port=self._options.port, check=check, page=page) as server:
                if page is not None:
                    self._say(f"page: {server.url} (any user; the password is the token in {server.token_file})")
                self._say(f"{mode}: POST OpenADR events to {server.url}/events (bearer token in {server.token_file})")
                self._state.append("session", datetime.now(UTC), {"mode": str(mode), "epoch": self._state.epoch()})
                session = Session(
                    Parts(
                        options=self._options,
                        mode=mode,
                        scenario=scenario,
                        document=self._document,
                        state=self._state,
                        clock=clock,
                        fleet=fleet,
                        planner=Planner(scenario, self._network, record, lambda _: None),
                        twin=Twin(scenario),
                        inbox=server.inbox,
                        lost=self._lead.check,
                        stop=self._stop,
                        say=self._say,
                        understood=lambda known, body, now: understood(known, body, now, self._say),
                        on_limit=self._on_limit,
                    )
                )
                return session.run(), session
        finally:
            if fleet is not None:
                fleet.close()

    def _with_events(self, scenario: Scenario, clock: AcceleratedClock) -> Scenario:
        """The scenario with events of earlier lives that are not over."""
        events = list(scenario.events)
        for kept in self._state.fact("events") or ():
            try:
                events += understood(scenario, kept["body"], datetime.fromisoformat(kept["at"]))
            except InputError as error:  # it was for another document
                self._say(f"an event of an earlier life does not fit any more: {error}")
        now = clock.now()
        return replace(scenario, events=tuple(event for event in dict.fromkeys(events) if event.end > now))

    def _agents(self, mode: Mode, scenario: Scenario) -> Agents:
        """Agents behind the broker that was named, or broker and agents of our own."""
        specs = specs_of(scenario, self._options.nodes if mode is Mode.PILOT else None)
        if self._options.broker is None:
            return LocalAgents(scenario.name, specs, self._folder / "agents")
        from ozzo.remote import RemoteAgents, controller_credentials

        options = self._options
        where = options.broker or ""
        return RemoteAgents(controller_credentials(where, scenario.name, options.password_file, options.ca_file), specs)

    def _fleet(self, mode: Mode, scenario: Scenario, clock: AcceleratedClock) -> StandingFleet | None:
        """The nodes, or None for a shadow; a broker that is away is waited for."""
        if mode is Mode.SHADOW:
            return None
        if mode is Mode.PILOT and not self._options.nodes:
            raise InputError([Finding(COMMAND_LINE, None, "--node", "nothing", "the nodes of the pilot; start it with --node")])
        known = inventory(scenario)["node"]
        gone = [name for name in self._options.nodes if name not in known] if mode is Mode.PILOT else []
        if gone and len(gone) == len(self._options.nodes):
            raise InputError([unknown("--node", name, known, "a node of the scenario") for name in gone])
        if gone:
            self._say(f"the document does not name these nodes of the pilot any more: {few(gone)}")
        run = f"{self._state.fact('id')}.{self._state.fact('round')}/"
        told = ""
        while not self._stop.is_set():
            fleet = StandingFleet(
                scenario,
                self._state,
                self._agents(mode, scenario),
                clock,
                permit=self._lead.check,
                run=run,
                certain_s=self._options.certain_s,
                progress=self._say,
            )
            fleet.know(Rules(self._state.overrides(), places_of(scenario)))
            try:
                fleet.start(OWN_BIRTHS_S if self._options.broker is None else BIRTHS_S)
            except TransportError as error:
                if self._options.broker is None or self._lead.check() or "no broker" not in str(error):
                    raise
                if str(error) != told:
                    told = str(error)
                    self._say(f"{error}; trying again")
                self._stop.wait(BROKER_S)
            else:
                try:
                    fleet.meet()
                except BaseException:
                    fleet.close()
                    raise
                return fleet
        return None


def thresholds_dict(options: ServeOptions) -> dict[str, float]:
    """What a promotion asks for, as JSON values."""
    asked = options.thresholds
    return {"rehearsals": asked.rehearsals, "clean_h": asked.clean_h, "error_pct": asked.error_pct}


__all__ = ["serve"]
