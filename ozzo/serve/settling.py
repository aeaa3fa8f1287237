"""What slots came to when they are over: error of the forecast, violations, and how energy and data stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from ozzo.serve.evidence import Mode
from ozzo.serve.fleet import StandingFleet
from ozzo.serve.observe import observation_to_dict
from ozzo.serve.state import ServeState
from ozzo.serve.works import Stage, Work
from ozzo.serve.world import Twin
from scheduler.plan import Plan
from scheduler.scenario import Scenario


class Settling:
    """Records slots in order, each once."""

    def __init__(self, state: ServeState, twin: Twin, mode: Mode, now: datetime) -> None:
        self._state, self._twin, self._mode, self._until = state, twin, mode, now

    def settle(
        self, scenario: Scenario, now: datetime, plan: Plan | None, fleet: StandingFleet | None
    ) -> Iterator[tuple[str, float, str]]:
        """Record the slots that are over; yields a sudden limit (site, kW, cause) for each in which a meter was above its own."""
        horizon = scenario.horizon
        first, last = max(0, horizon.ceil_slot(self._until)), min(horizon.slots, horizon.floor_slot(now))
        if last <= first:
            return
        for slot in range(first, last):
            start = horizon.time(slot)
            done = self._twin.settled(start, horizon.step)
            if done is None:
                continue
            self._state.keep_slot(
                replace(done, violations=(*done.violations, *self._missed(scenario, plan, fleet, start, start + horizon.step)))
            )
            for text in done.violations:
                site = text.partition(" ")[0]
                yield site, self._twin.limit_kw(site, start), "the meter was above the limit"
        self._until = horizon.time(last)
        coming = horizon.ceil_slot(now)
        seen = self._twin.observe(scenario, coming) if coming < horizon.slots else None
        if seen is not None:
            self._state.keep_facts(energy=observation_to_dict(seen))

    def _missed(
        self, scenario: Scenario, plan: Plan | None, fleet: StandingFleet | None, since: datetime, until: datetime
    ) -> tuple[str, ...]:
        """Jobs whose deadline fell into ``(since, until]``, that were planned and are not done, and jobs that failed in it."""
        works: dict[str, Work] = fleet.works if fleet is not None else {}
        done = {name for name, work in works.items() if work.stage is Stage.DONE}
        if self._mode is not Mode.LIVE:
            done |= self._twin.finished()
        planned = {run.job for run in plan.runs} if plan is not None else set()
        late = [j.name for j in scenario.jobs if since < j.deadline <= until and j.name in planned and j.name not in done]
        bad = [n for n, w in works.items() if w.stage is Stage.FAILED and w.ended is not None and since < w.ended <= until]
        return (*(f"job {name} missed its deadline" for name in late), *(f"job {name} failed" for name in bad))
