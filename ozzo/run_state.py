"""What a run is asked to do, and what of it is done so far."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from grid.response.event import CapacityEvent
from ozzo.node_power import NodePower
from ozzo.version import __version__
from scheduler.build import build_problem
from scheduler.optimiser.shift_only import SHIFT_ONLY, cars_give
from scheduler.outcome import Outcome
from scheduler.plan import Plan
from scheduler.problem import Problem
from scheduler.scenario import Scenario
from sim.record import Commanding, PlanInForce, RunRecord

BASELINES = ("fifo", "wait_for_sun")
OPTIMISER = "milp"


def baselines_of(scenario: Scenario) -> tuple[str, ...]:
    """Baselines of a run: where cars may give back, also the plan that only shifts their charging (what discharge is worth)."""
    return (*BASELINES, SHIFT_ONLY) if cars_give(scenario) else BASELINES


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How to run.

    Attributes:
        scenario: document; events: files of OpenADR event objects that arrive during the run.
        runs: folder that the run folder is made in; seed: another seed than the scenario's.
        day_seconds: wall seconds that 24 hours take while nodes are commanded.
        nodes: command node agents; port: loopback port of the event endpoint (0: a free one).
        broker: folder of credentials or URL of a broker with agents that are there already; password_file, ca_file: with a URL.
    """

    scenario: Path
    events: tuple[Path, ...]
    runs: Path
    seed: int | None
    day_seconds: float
    nodes: bool
    port: int
    broker: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None


@dataclass
class RunState:
    """What is done so far; a record can be made of it at any time."""

    scenario: Scenario
    options: RunOptions
    folder: Path
    command_line: str
    began: float
    known_events: tuple[CapacityEvent, ...] = ()
    problem: Problem | None = None
    plans: list[PlanInForce] = field(default_factory=list)
    outcome: Outcome | None = None
    stressed: tuple[Outcome, ...] = ()
    baselines: dict[str, Outcome] = field(default_factory=dict)
    baseline_plans: dict[str, Plan] = field(default_factory=dict)
    commanding: Commanding | None = None
    power: tuple[NodePower, ...] = ()
    phases_s: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    interrupted: str | None = None

    def record(self) -> RunRecord:
        """The record of what is done so far."""
        return RunRecord(
            scenario=self.scenario,
            problem=self.problem if self.problem is not None else build_problem(self.scenario),
            plans=tuple(self.plans),
            outcome=self.outcome,
            stressed=self.stressed,
            baselines=self.baselines,
            baseline_plans=self.baseline_plans,
            commanding=self.commanding,
            phases_s=dict(self.phases_s),
            wall_s=time.monotonic() - self.began,
            command_line=self.command_line,
            version=__version__,
            interrupted=self.interrupted,
            notes=tuple(self.notes),
        )
