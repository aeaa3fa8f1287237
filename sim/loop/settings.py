"""How a closed loop is run, and what is kept of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from scheduler.outcome import Outcome


class Mode(StrEnum):
    """What the controller's plans may do."""

    SHADOW = "shadow"
    """the baseline is commanded; plans are made, rehearsed and scored beside it, and command nothing"""
    PILOT = "pilot"
    """named sites are commanded by the controller, all others run the baseline"""
    LIVE = "live"
    """the controller commands everything"""


class Foresight(StrEnum):
    """What is known of prices and carbon intensity ahead."""

    KNOWN = "known"
    """the series itself"""
    PAST = "past"
    """carbon is forecast from the past only; day-ahead prices are known once they are published, and forecast beyond that"""


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """How a closed loop is run.

    Attributes:
        replan: from one plan to the next; whole seconds, at least a minute.
        mode: what plans may do; pilot: names of the commanded sites (with mode pilot only).
        policy: who plans; baseline: who runs what the controller does not, and whom it is compared with.
        gate: gate closure: what begins less than this after a plan is made is committed and stays; None: the scenario's lead.
        window: how far a plan looks ahead; None: to the end of the horizon.
        foresight: of prices and carbon.
        submitted_only: a job is unknown before its release; otherwise all are known from the start.
        rehearse: plans must pass their rehearsal before they command anything. Baselines are what is done today: nobody
            rehearses them.
        power_flow: heed the network behind the scenario, in plans and rehearsals.
        reasons: find and keep the reason of every job in every plan; months of them need hours and gigabytes.
    """

    replan: timedelta = timedelta(hours=1)
    mode: Mode = Mode.LIVE
    pilot: tuple[str, ...] = ()
    policy: str = "milp"
    baseline: str = "fifo"
    gate: timedelta | None = None
    window: timedelta | None = None
    foresight: Foresight = Foresight.KNOWN
    submitted_only: bool = True
    rehearse: bool = True
    power_flow: bool = True
    reasons: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One plan of the loop.

    Attributes:
        moment: when it was made, UTC; slot: first slot that it decides.
        jobs: known and not done; runs: pieces planned; dropped: jobs that it leaves out.
        objective_eur, bound_eur, gap: as planned, over what is left of its window.
        status: how the solve ended, or ``no plan`` when nothing was known to plan.
        passed: its rehearsal passed (True without one); broken: rules that it broke there, in words.
        commanded: the world was told to carry it out (at the commanded sites).
        plan_eur, baseline_eur: in shadow: both plans carried out in the same rehearsed world, EUR; else None.
        cpu_s: computing time of planning and rehearsing, all threads.
    """

    moment: datetime
    slot: int
    jobs: int
    runs: int
    dropped: int
    objective_eur: float
    bound_eur: float | None
    gap: float | None
    status: str
    passed: bool
    broken: tuple[str, ...]
    commanded: bool
    plan_eur: float | None = None
    baseline_eur: float | None = None
    cpu_s: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class LoopResult:
    """What a closed loop came to.

    Attributes:
        settings: how it was run.
        outcome: of the whole horizon, as it really came.
        steps: every plan, in order.
        mean_delay_h: mean time from the release of a job to its start (jobs that began).
        cpu_s: computing time by part of the loop; wall_s: of all of it.
    """

    settings: LoopSettings
    outcome: Outcome
    steps: tuple[Step, ...]
    mean_delay_h: float
    cpu_s: dict[str, float] = field(default_factory=dict)
    wall_s: float = 0.0
