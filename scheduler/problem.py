"""The optimisation problem, ready for any solver: arrays per site and slot, tasks with their options.

Index letters: ``r`` resource, ``s`` site, ``t`` slot, ``j`` job, ``e`` option of a job, ``m`` migration, ``l`` link.
Powers are kW, energies kWh, money EUR, times slots. ``IT power`` times ``pue`` is facility power.
``Problem -> Plan`` is the seam: every solver and every baseline policy implements ``scheduler.policies.Policy``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from grid.assets.battery import Battery
from grid.horizon import FloatArray, Horizon
from scheduler.asset_runs import PlacedAsset
from scheduler.futures import Future
from scheduler.network_limits import NetworkCut
from scheduler.scenario import PlanningSettings, Weights
from scheduler.sleep import Sleepers
from scheduler.workload import JobKind

RESOURCES: tuple[str, ...] = ("cores", "gpus", "memory_gb")


@dataclass(frozen=True, slots=True)
class Mode:
    """One way to run a malleable job: a point of its power-cap curve.

    Attributes:
        speed: work done in a slot, as a share of that at full speed, in (0, 1].
        power: IT power, as a share of that at full speed, in (0, 1].
    """

    speed: float
    power: float


FULL_SPEED = Mode(1.0, 1.0)
"""The only mode of rigid and interruptible jobs."""


@dataclass(frozen=True, slots=True)
class JobOption:
    """One site where a job may run.

    Attributes:
        site: index of the site.
        power_kw: IT power that the job adds there while it runs.
        cost_eur: fixed cost of choosing it.
        earliest: first slot in which it may run there.
        migrations: indices of the migrations that must have delivered before it may run there.
        copy: index into ``Problem.copies`` of the copy that must be bought, or -1.
    """

    site: int
    power_kw: float
    cost_eur: float
    earliest: int
    migrations: tuple[int, ...] = ()
    copy: int = -1


@dataclass(frozen=True, slots=True)
class JobTask:
    """A job in slots.

    Attributes:
        name: name of the job.
        kind: rigid (one block), interruptible (any slots, one site) or malleable (shares of slots, one site).
        work: slots of work at full speed, at least 1.
        release, deadline: it runs inside the half-open window ``[release, deadline)``.
        resources: use of each of ``RESOURCES`` while it runs (whole job).
        options: where it may run; empty when nothing is possible (then it is dropped with a reason).
        drop_eur: price of not running it.
        pinned: slots that are already commanded and must be in the plan (a running job), else empty.
        obstacles: for each site that cannot be an option, why, in words.
        due, late_eur_per_slot: soft deadline and its price. Rigid: for each slot by which the end passes ``due``. Others: for
            each slot (malleable: share of a slot) used at or after ``due``.
        min_run, min_gap: least length of a piece and of a pause, slots; interruptible jobs only. The last piece too.
        restart_eur: price of every piece after the first (checkpoint and restart); interruptible jobs only.
        modes: ways to run a malleable job; shares of all modes in a slot sum to at most 1, resources are used for the
            shares, work done is ``sum speed * share``, at least ``work``. Others: full speed only.
        after: indices of jobs that must have ended before this one starts (workflow). When one of them is dropped, so is
            this one.
        tenant: index into ``Problem.tenants``, or -1.
    """

    name: str
    kind: JobKind
    work: int
    release: int
    deadline: int
    resources: tuple[float, ...]
    options: tuple[JobOption, ...]
    drop_eur: float
    pinned: tuple[int, ...] = ()
    obstacles: tuple[str, ...] = ()
    due: int | None = None
    late_eur_per_slot: float = 0.0
    min_run: int = 1
    min_gap: int = 0
    restart_eur: float = 0.0
    modes: tuple[Mode, ...] = (FULL_SPEED,)
    after: tuple[int, ...] = ()
    tenant: int = -1


def slots_needed(task: JobTask) -> int:
    """Slots that a job takes at its fastest."""
    if task.kind is not JobKind.MALLEABLE:
        return task.work
    return math.ceil(task.work / max(mode.speed for mode in task.modes) - 1e-9)


@dataclass(frozen=True, slots=True)
class MigrationOption:
    """One target of a migration.

    Attributes:
        site: index of the target site.
        links: indices of the links on the way.
        rate_mbit_per_s: largest rate (least of the links).
        source_kw, target_kw: IT power added at source and target at that rate; proportional below.
        cost_eur: fixed cost of choosing it.
    """

    site: int
    links: tuple[int, ...]
    rate_mbit_per_s: float
    source_kw: float
    target_kw: float
    cost_eur: float = 0.0


@dataclass(frozen=True, slots=True)
class MigrationTask:
    """A pausable move (or staging copy) of one dataset.

    Attributes:
        name: ``<dataset>`` for a required move, ``<dataset>@<site>`` for a staging copy.
        dataset: name of the dataset.
        source: index of the site it is read from.
        size_tb: volume left to move, decimal terabytes.
        release, deadline: transfers lie in ``[release, deadline)``; a job that needs it starts after the last one.
        required: True when the tier rule asks for it; False when only a job's choice opens it.
        drop_eur: price of not finishing a required move.
        options: possible targets, exactly one is chosen when it is done.
    """

    name: str
    dataset: str
    source: int
    size_tb: float
    release: int
    deadline: int
    required: bool
    drop_eur: float
    options: tuple[MigrationOption, ...]


@dataclass(frozen=True, slots=True)
class EventLimit:
    """Net import (import - export) of a site in ``[start, end)`` should stay at or below a limit.

    Attributes:
        name: name of the event.
        site: index of the site.
        start, end: slots, half-open.
        limit_kw: largest net import.
        penalty_eur_per_kwh: price of each kWh above it.
    """

    name: str
    site: int
    start: int
    end: int
    limit_kw: float
    penalty_eur_per_kwh: float


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of a dataset that jobs may share and whose transfer is not planned slot by slot.

    Attributes:
        name: ``<dataset>@<site>``.
        site: index of the target site.
        cost_eur: price, paid once.
        volume_gb: volume; all copies to a site must fit into ``Problem.copy_limit_gb``.
    """

    name: str
    site: int
    cost_eur: float
    volume_gb: float


@dataclass(frozen=True, slots=True)
class Feeder:
    """A chain of sites behind one transformer, linearised DistFlow (Baran and Wu 1989, without losses).

    The flow through a site is the net import of itself and all sites behind it in the chain.

    Attributes:
        name: name of the feeder.
        sites: indices of the sites, from the transformer outwards.
        limit_kw: rating: flow through the first site lies within plus or minus this.
        drop_pu_per_kw: voltage drop at each site per kW of flow through it, same length as ``sites``.
        drop_limit_pu: the drop, accumulated from the transformer, lies within plus or minus this at every site.
    """

    name: str
    sites: tuple[int, ...]
    limit_kw: float
    drop_pu_per_kw: tuple[float, ...]
    drop_limit_pu: float


@dataclass(frozen=True, slots=True, eq=False)
class GroupLimit:
    """What several sites may take from and give to the grid together; imports and exports are summed, not netted.

    Attributes:
        name: name of the contract.
        sites: indices of the members.
        import_kw, export_kw: largest sum in each slot, ``[T]`` kW, the planning margin already taken off; infinite: no limit.
    """

    name: str
    sites: tuple[int, ...]
    import_kw: FloatArray
    export_kw: FloatArray


@dataclass(frozen=True, slots=True)
class WindowPeak:
    """A peak charge of one site that counts in some slots only.

    Attributes:
        name: ``<tariff>: <key>``.
        site: index of the site.
        slots: slots that count, ascending, at least one.
        eur_per_kw: price of each kW of the highest import in them above ``reached_kw``.
        reached_kw: peak that is paid for already.
    """

    name: str
    site: int
    slots: tuple[int, ...]
    eur_per_kw: float
    reached_kw: float


@dataclass(frozen=True, slots=True)
class TenantShare:
    """The most that the jobs of one tenant may use together.

    Attributes:
        name: name of the tenant.
        share: of each resource of each site in each slot, in (0, 1].
    """

    name: str
    share: float


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Everything that a solver may know.

    Attributes (arrays ``[S, T]`` unless said otherwise):
        horizon: slots of this problem.
        sites: names, ``[S]``.
        capacity: resources free for jobs, ``[R, S, T]``.
        fixed_kw: facility power without any job.
        pue: facility kW per kW of IT.
        renewable_kw: sun and wind available (forecast), can be curtailed.
        import_limit_kw, export_limit_kw: limits of connections and of sites' own contracts, the planning margin already taken
            off.
        import_eur_per_kwh, export_eur_per_kwh: prices at the meter, export counted as revenue.
        carbon_g_per_kwh: intensity of import used in the objective.
        batteries: per site, or None, ``[S]``.
        initial_soc_kwh: state of charge at the start, ``[S]``; 0 without battery.
        final_soc_kwh: state of charge at least to be left at the end, ``[S]``.
        peak_eur_per_kw, peak_reached_kw: peak charge and the peak already reached, ``[S]``.
        link_mbit_per_s: rate of each link, ``[L]``.
        jobs, migrations, events: the tasks.
        weights, settings: of the scenario.
        time_zone: IANA name of the zone in which reasons tell times.
        copies, copy_limit_gb: copies that can be bought, and the volume of them that each site can take, ``[S]``.
        feeders: electrical limits that sites share.
        groups: limits of contracts that sites share.
        window_peaks: peak charges of capacity tariffs that do not simply count all slots.
        tenants: tenants with a share of their own.
        cuts: linear limits of the electrical network.
        assets: other assets behind the meters.
        sleepers: nodes that sleep when they have nothing to do; ``fixed_kw`` counts them as awake.
        futures: what else than ``renewable_kw`` and ``fixed_kw`` may come, for two-stage plans; empty: nothing is uncertain.
    """

    horizon: Horizon
    sites: tuple[str, ...]
    capacity: FloatArray
    fixed_kw: FloatArray
    pue: FloatArray
    renewable_kw: FloatArray
    import_limit_kw: FloatArray
    export_limit_kw: FloatArray
    import_eur_per_kwh: FloatArray
    export_eur_per_kwh: FloatArray
    carbon_g_per_kwh: FloatArray
    batteries: tuple[Battery | None, ...]
    initial_soc_kwh: FloatArray
    final_soc_kwh: FloatArray
    peak_eur_per_kw: FloatArray
    peak_reached_kw: FloatArray
    links: tuple[str, ...]
    link_mbit_per_s: FloatArray
    jobs: tuple[JobTask, ...]
    migrations: tuple[MigrationTask, ...]
    events: tuple[EventLimit, ...]
    weights: Weights
    settings: PlanningSettings
    time_zone: str = "UTC"
    copies: tuple[Copy, ...] = ()
    copy_limit_gb: FloatArray | None = None
    feeders: tuple[Feeder, ...] = ()
    tenants: tuple[TenantShare, ...] = ()
    futures: Sequence[Future] = ()
    cuts: tuple[NetworkCut, ...] = ()
    assets: tuple[PlacedAsset, ...] = ()
    groups: tuple[GroupLimit, ...] = ()
    window_peaks: tuple[WindowPeak, ...] = ()
    sleepers: tuple[Sleepers, ...] = ()

    @property
    def import_weight_eur_per_kwh(self) -> FloatArray:
        """Price of import with carbon priced in, ``[S, T]``."""
        weight: FloatArray = self.import_eur_per_kwh + self.carbon_g_per_kwh / 1000.0 * self.weights.carbon_eur_per_kg
        return weight
