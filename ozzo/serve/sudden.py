"""Sudden limits under ``ozzo serve``: a meter of the twin above a limit is answered from the ladder of the plan in force."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from ozzo.fast_path import FastPath
from ozzo.limit_watch import TOLERANCE_KW, LimitWatch
from ozzo.serve.fleet import StandingFleet
from ozzo.serve.state import ServeState
from ozzo.serve.world import Twin
from scheduler.controller import Decision
from scheduler.plan import Plan
from scheduler.scenario import Scenario

A_MOMENT = timedelta(milliseconds=1)
"""Longer than the rounding of instants."""
SETTLE = timedelta(seconds=10)
"""Assumption: scenario time in which what was given up shows at the meter; before that no more is asked for by ``look``."""


class SuddenLimits:
    """The fast path with the hands of a serving controller; used by its loop. It writes its own entries of the journal."""

    def __init__(
        self,
        scenario: Scenario,
        state: ServeState,
        fleet: StandingFleet | None,
        twin: Twin,
        put: Callable[[Plan], None],
        say: Callable[[str], None],
    ) -> None:
        """Prepare; ``follow`` gives it plans.

        Args:
            scenario: sites and nodes.
            state: takes what was decided.
            fleet: nodes that are capped; None in a shadow.
            twin: its meters count.
            put: puts a held plan into force now.
            say: takes a line for people.
        """
        self._state, self._fleet, self._twin, self._put, self._end = state, fleet, twin, put, scenario.horizon.end
        self._now = self._quiet_until = scenario.horizon.start
        self._fast = FastPath(scenario, self, self._record, say)
        self._watch = LimitWatch(self, self._fast, tuple(site.name for site in scenario.sites))

    def _record(self, kind: str, at: datetime, payload: Mapping[str, object]) -> None:
        self._state.append(kind, at, dict(payload))

    def hold(self, plan: Plan) -> None:
        """See ``ozzo.fast_path.Hands``."""
        self._put(plan)
        self._quiet_until = self._now + SETTLE

    def cap(self, caps_kw: Mapping[str, float]) -> None:
        """See ``ozzo.fast_path.Hands``."""
        if self._fleet is not None:
            self._fleet.cap(caps_kw)

    def reading(self, site: str) -> tuple[float, float]:
        """Net import of a site and the limit on it now, kW; nothing and no limit before the first plan."""
        return (0.0, float("inf")) if self._twin.world is None else self._twin.world.reading(site)

    def follow(self, decision: Decision) -> None:
        """A plan was commanded: its ladders count from the start of its horizon."""
        self._fast.follow(decision.problem, decision.plan)

    def on_limit(self, site: str, limit_kw: float, cause: str, now: datetime) -> bool:
        """Answer a limit that holds now; one that is still to come is seen by ``look`` when it holds.

        Args:
            site: its name.
            limit_kw: largest net import.
            cause: in words.
            now: scenario instant.

        Returns:
            True when something was given up.
        """
        self._now = now
        self._twin.advance(now + A_MOMENT)  # what was announced now holds then
        net_kw, limit_now_kw = self.reading(site)
        if now >= self._end or limit_kw < limit_now_kw - TOLERANCE_KW or net_kw <= limit_now_kw + TOLERANCE_KW:
            return False
        answer = self._fast.on_limit(site, limit_now_kw, net_kw, now, cause, battery=False)
        self._watch.planned([site], now)
        return answer is not None and bool(answer.steps)

    def look(self, now: datetime) -> list[str]:
        """Answer every meter that is above its limit; why to plan again."""
        self._now = now
        if not self._quiet_until <= now < self._end:
            self._fast.tick(now)  # holds end all the same
            return []
        return [f"meter above the limit at {site}" for site in self._watch.to_plan(self._watch.look(now), now)]
