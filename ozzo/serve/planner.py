"""Planning and rehearsing in a thread beside the loop: one plan at a time, begun from what was seen, fetched when it is ready."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from grid.errors import OzzoError
from ozzo.serve.world import PlannerWorld
from scheduler.build import build_problem
from scheduler.controller import Controller, Decision, Record
from scheduler.on_grid import on_grid
from scheduler.outcome import Verdict
from scheduler.plan import Plan
from scheduler.policies.registry import POLICIES
from scheduler.scenario import Scenario
from scheduler.world import Observation
from sim.rehearsal import rehearse


@dataclass(frozen=True, slots=True)
class Planned:
    """What came of planning.

    Attributes:
        cause: why; scenario: that was planned; seen: the observation.
        aside: jobs that the observation calls finished although they only stand aside.
        decision: what the controller decided; None when it failed.
        error: why it failed, or empty.
    """

    cause: str
    scenario: Scenario
    seen: Observation
    aside: frozenset[str]
    decision: Decision | None
    error: str = ""


class Planner:
    """Makes one plan at a time with the one controller of the house.

    Attributes:
        controller: its scenario is that of the latest plan.
    """

    def __init__(self, scenario: Scenario, network: Any, record: Record, say: Callable[[str], None]) -> None:
        self._network, self._say = network, say
        self._world = PlannerWorld(scenario.horizon.start)
        self._maker = POLICIES["milp"]()  # one for all plans: it remembers prices
        self._scenario = scenario
        self._record = record
        self.controller = self._controller(scenario)
        self._thread: threading.Thread | None = None
        self._result: Planned | None = None

    def _controller(self, scenario: Scenario) -> Controller:
        policy = on_grid(self._maker, scenario, self._network)
        return Controller(scenario, policy, self._world, self._judged, self._noted, self._say)

    def _judged(self, scenario: Scenario, plan: Plan, observation: Observation | None) -> Verdict:
        return rehearse(scenario, plan, observation=observation, network=self._network, progress=self._say).verdict

    def _noted(self, kind: str, at: datetime, payload: Mapping[str, object]) -> None:
        self._record(kind, at, payload)

    @property
    def busy(self) -> bool:
        """True while a plan is being made, or waits to be fetched."""
        return self._thread is not None

    def resume(self, scenario: Scenario, plan: Plan, seen: Observation) -> None:
        """Begin from a plan that is in force, made in an earlier life."""
        self.controller.resume(build_problem(scenario, seen), plan, Verdict(True, plan.id, ()))

    def begin(self, scenario: Scenario, cause: str, seen: Observation, aside: frozenset[str], now: datetime) -> None:
        """Start to plan from what was seen (see ``Planned``).

        Raises:
            RuntimeError: it is at work.
        """
        if self.busy:
            raise RuntimeError("a plan is being made")
        if scenario.horizon != self.controller.scenario.horizon or scenario.sites != self.controller.scenario.sites:
            self.controller = self._controller(scenario)  # another document: nothing of the old plan is in its slots
        self.controller.scenario = scenario
        self._world.moment, self._world.snapshot, self._world.commanded = now, seen, None
        self._result = None
        self._thread = threading.Thread(target=self._work, args=(scenario, cause, seen, aside), name="planner", daemon=True)
        self._thread.start()

    def _work(self, scenario: Scenario, cause: str, seen: Observation, aside: frozenset[str]) -> None:
        try:
            decision = self.controller.replan(cause, seen.slot)
        except (OzzoError, ValueError) as error:
            self._result = Planned(cause, scenario, seen, aside, None, str(error) or type(error).__name__)
        except Exception as error:  # noqa: BLE001 - a thread has nobody to raise to; the loop records it and goes on commanding
            self._result = Planned(cause, scenario, seen, aside, None, f"{type(error).__name__}: {error}")
        else:
            self._result = Planned(cause, scenario, seen, aside, decision)
        finally:
            self.controller.forget()

    def fetch(self) -> Planned | None:
        """What came of it, once; None while it is at work or when nothing was asked."""
        if self._thread is None or self._thread.is_alive():
            return None
        self._thread.join()
        self._thread = None
        return self._result
