"""The plan: which job runs where and when, which data moves, what energy flows, and why.

A plan is a value: it can be saved as JSON, read back, altered, shown and replayed. Everything in it is in slots
of its own ``horizon``; half-open ``[start, end)``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from grid.horizon import FloatArray, Horizon
from scheduler.asset_runs import AssetRun
from scheduler.network_limits import NetworkReport


class SolveStatus(StrEnum):
    """How a solve ended. Anything unknown maps to ``UNKNOWN``, never to success."""

    OPTIMAL = "optimal"
    """proven within the asked gap"""
    TIME_LIMIT = "time_limit"
    """incumbent returned, gap above the asked one"""
    INFEASIBLE = "infeasible"
    """not everything could be satisfied; the plan serves the rest and names the conflicts"""
    HEURISTIC = "heuristic"
    """made by a rule that proves nothing"""
    INTERRUPTED = "interrupted"
    """a person stopped it; incumbent returned"""
    UNKNOWN = "unknown"
    """the solver reported something that is not in the mapping"""


class BatteryControl(StrEnum):
    """How a site drives its battery while the plan is carried out."""

    FOLLOW_PLAN = "follow_plan"
    """planned power, corrected to keep limits and to catch surplus that would be curtailed"""
    SELF_CONSUMPTION = "self_consumption"
    """charge with local surplus, discharge into local deficit; knows no price"""


class ReasonKind(StrEnum):
    """Why something is where and when it is."""

    CHEAPEST = "cheapest"
    """least cost of energy and carbon among all places and times that were free"""
    LOCAL_SURPLUS = "local_surplus"
    """runs on sun or wind that would otherwise be exported or curtailed"""
    EVENT = "event"
    """kept clear of a demand-response event"""
    CAPACITY = "capacity"
    """the better place or time was full"""
    DEADLINE = "deadline"
    """no other time before its deadline"""
    DATA = "data"
    """its data decides the place or the earliest time"""
    AFTER = "after"
    """the jobs that it comes after decide whether and when it can run"""
    PEAK = "peak"
    """another time would have raised the paid peak"""
    RUN_AT_ONCE = "run_at_once"
    """the policy starts everything as soon as it fits"""
    WAIT_FOR_SUN = "wait_for_sun"
    """the policy waited for local sun"""
    ALREADY_RUNNING = "already_running"
    """was commanded before this plan"""
    NO_PLACE = "no_place"
    """no site can hold it"""
    CONFLICT = "conflict"
    """requirements contradict each other"""


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason and the numbers behind it.

    Attributes:
        kind: the reason.
        text: a sentence that a citizen can read.
        numbers: figures behind the sentence, unit in each key (for example ``saved_eur``).
    """

    kind: ReasonKind
    text: str
    numbers: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """One uninterrupted piece of a job at one site.

    Attributes:
        job, site: names.
        start, end: slots, half-open.
        nodes: names of the nodes it occupies (as many as its gang width); empty before node assignment.
        speed: work done in each of its slots, in slots at full speed (below 1 only for malleable jobs).
        power: mean IT power in each slot, as a share of that at full speed.
        use: share of each slot in which it works, and so holds its resources.
    """

    job: str
    site: str
    start: int
    end: int
    nodes: tuple[str, ...] = ()
    speed: float = 1.0
    power: float = 1.0
    use: float = 1.0


@dataclass(frozen=True, slots=True)
class Transfer:
    """A piece of a migration at a constant rate.

    Attributes:
        migration, dataset: names.
        source, target: names of sites.
        start, end: slots, half-open.
        rate_mbit_per_s: constant rate in these slots.
    """

    migration: str
    dataset: str
    source: str
    target: str
    start: int
    end: int
    rate_mbit_per_s: float


@dataclass(frozen=True, slots=True)
class Dropped:
    """A job or migration that the plan does not do.

    Attributes:
        name: job or migration.
        reason: which limit binds, in words, with numbers.
    """

    name: str
    reason: Reason


@dataclass(frozen=True, slots=True, eq=False)
class EnergySchedule:
    """Planned power per site and slot (mean kW, each ``[S, T]``, each positive in its own direction).

    Attributes:
        it_kw: IT power of jobs and transfers (without idle power).
        load_kw: facility power, all included; where a site has assets, plus what they draw and less what they give (it may be
            negative then).
        import_kw, export_kw: at the meter.
        renewable_kw: sun and wind available; renewable_used_kw: of that, used (the rest is curtailed).
        charge_kw, discharge_kw: at the battery terminal.
        soc_kwh: state of charge at the end of each slot.
        unserved_kw: load that no source serves.
    """

    it_kw: FloatArray
    load_kw: FloatArray
    import_kw: FloatArray
    export_kw: FloatArray
    renewable_kw: FloatArray
    renewable_used_kw: FloatArray
    charge_kw: FloatArray
    discharge_kw: FloatArray
    soc_kwh: FloatArray
    unserved_kw: FloatArray

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Names of the arrays, in order."""
        return tuple(cls.__dataclass_fields__)

    @classmethod
    def zeros(cls, sites: int, slots: int) -> EnergySchedule:
        """All arrays zero (own memory each)."""
        return cls(*(np.zeros((sites, slots)) for _ in cls.names()))


@dataclass(frozen=True, slots=True)
class Expected:
    """What a plan costs over futures, its placement the same in all of them, its energy settled anew in each.

    Attributes:
        objective_eur: probability-weighted mean of ``costs_eur``.
        bound_eur: proven lower bound on that mean over all placements, or None.
        gap: ``(objective - bound) / max(|objective|, 1e-9)``, or None.
        one_future_eur: the same mean for the placement that is made for one future only (the plan without futures).
        probabilities, costs_eur: of each future.
    """

    objective_eur: float
    bound_eur: float | None
    gap: float | None
    one_future_eur: float
    probabilities: tuple[float, ...]
    costs_eur: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A plan.

    Attributes:
        id: unique id (UUIDv7 text).
        policy: name of what made it (``milp``, ``milp-two-stage``, ``fifo``, ``wait_for_sun``).
        horizon: slots that runs, transfers and energy refer to.
        sites: names, in the order of the arrays.
        runs, transfers: what to do, sorted by start.
        energy: planned flows.
        dropped: what is not done, and why.
        reasons: why each job and migration is where and when it is, by name.
        battery_control: how sites drive their batteries.
        objective_eur: value of the weighted objective as planned.
        bound_eur: proven lower bound on it, or None.
        gap: ``(objective - bound) / max(|objective|, 1e-9)``, or None.
        status: how the solve ended.
        solver: what the solver itself said, in its words.
        build_s, solve_s: wall times.
        breakdown_eur: parts of the objective by name; they sum to it.
        expected: what it costs over futures, when it was made for several (then ``bound_eur`` and ``gap`` are None); None too
            when a job had to be moved afterwards because it found no nodes.
        network: what an AC power flow of every slot says of it; None without a network, when it was
            not asked, or when a job had to be moved afterwards.
        assets: what each asset of a site does.
    """

    id: str
    policy: str
    horizon: Horizon
    sites: tuple[str, ...]
    runs: tuple[Run, ...]
    transfers: tuple[Transfer, ...]
    energy: EnergySchedule
    dropped: tuple[Dropped, ...]
    reasons: dict[str, Reason]
    battery_control: BatteryControl
    objective_eur: float
    bound_eur: float | None
    gap: float | None
    status: SolveStatus
    solver: str
    build_s: float
    solve_s: float
    breakdown_eur: dict[str, float]
    expected: Expected | None = None
    network: NetworkReport | None = None
    assets: tuple[AssetRun, ...] = ()

    def runs_of(self, job: str) -> tuple[Run, ...]:
        """Pieces of ``job`` in order of time; empty when it is dropped or unknown."""
        return tuple(run for run in self.runs if run.job == job)
