"""What happened when a plan was carried out (in the simulator or on nodes), and the verdict on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from grid.heat_account import HeatAccount
from grid.horizon import FloatArray, Horizon
from grid.network_result import NetworkResult
from scheduler.contract_bill import ContractLine
from scheduler.key_figures import KeyFigures


class ViolationKind(StrEnum):
    """Rules that a plan or its execution can break; the names appear in verdicts."""

    UNKNOWN_NAME = "unknown_name"
    WINDOW = "window"
    """a run outside its job's release and deadline, or of the wrong length"""
    DEADLINE = "deadline"
    TWO_SITES = "job_on_two_sites"
    NOT_PLANNED = "job_not_planned"
    """a job is neither run nor dropped with a reason"""
    CAPACITY = "capacity"
    SITE_NOT_ALLOWED = "site_not_allowed"
    """a job runs at a site that is not among its sites"""
    PACE = "pace"
    """a job runs at a speed and power that none of its modes gives"""
    PIECES = "pieces"
    """a piece of a job, or a pause in it, is too short"""
    ORDER = "order"
    """a job starts before one that it comes after has ended"""
    TENANT_SHARE = "tenant_share"
    """the jobs of a tenant use more than its share of a site"""
    NOT_COUNTED = "not_counted"
    """the plan owes for something and its objective leaves it out"""
    TIER_RULE = "tier_rule"
    DATA_MISSING = "data_missing"
    """a job runs where its data is not"""
    LINK_RATE = "link_rate"
    STATE_OF_CHARGE = "state_of_charge"
    BATTERY_POWER = "battery_power"
    CHARGE_AND_DISCHARGE = "charge_and_discharge"
    ENERGY_BALANCE = "energy_balance"
    IMPORT_LIMIT = "import_limit"
    EXPORT_LIMIT = "export_limit"
    FEEDER = "feeder"
    """the sites of a feeder together exceed its rating or its voltage limit"""
    TRANSPORT_RIGHT = "transport_right"
    """a site takes or gives more than its transport right allows"""
    CAPACITY_LIMITATION = "capacity_limitation"
    """a site takes or gives more than a capacity limitation leaves it"""
    GROUP_CAP = "group_cap"
    """the members of a group together take or give more than their common right"""
    EVENT_LIMIT = "event_limit"
    ASSET_POWER = "asset_power"
    """an asset of a site draws or gives what it cannot"""
    ASSET_STORE = "asset_store"
    """what an asset stores is out of bounds or does not follow from its powers"""
    ASSET_RUN = "asset_run"
    """an asset runs too short, or leaves out what is due"""
    BACKUP = "backup"
    """a site with emergency generators did not carry its fixed load through a fault of the mains"""
    ASSET_NOT_FOLLOWED = "asset_not_followed"
    """an asset could not do what the plan wanted of it"""
    UNSERVED = "unserved"
    VOLTAGE_BAND = "voltage_band"
    LINE_LOADING = "line_loading"
    TRANSFORMER_LOADING = "transformer_loading"
    PHASE_VOLTAGE = "phase_voltage"
    """the voltage of a single phase breaks a rule of EN 50160"""
    UNBALANCE = "unbalance"
    """the phases of a bus differ too much"""
    PHASE_LOADING = "phase_loading"
    """a single phase of a line or transformer carries too much"""
    POWER_FLOW = "power_flow"
    """the AC power flow has no solution: the grid cannot carry this"""


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule.

    Attributes:
        kind: which rule.
        subject: job, dataset, site, battery, line or bus that breaks it.
        value, limit, unit: the worst value, its limit and their unit.
        when: instant of the worst value, UTC, or None.
        seed: seed of the rehearsal that showed it, or None for a check of the plan itself.
        advice: what to change so that it passes.
    """

    kind: ViolationKind
    subject: str
    value: float
    limit: float
    unit: str
    when: datetime | None
    seed: int | None
    advice: str

    def __str__(self) -> str:
        when = f" at {self.when:%Y-%m-%d %H:%M} UTC" if self.when else ""
        seed = f" (seed {self.seed})" if self.seed is not None else ""
        return f"{self.kind}: {self.subject}{when}: {self.value:.6g} {self.unit}, limit {self.limit:.6g}{seed}. {self.advice}"


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """What became of a job.

    Attributes:
        job: name; site: where it ran, or None when it never did.
        started, finished: first start and final end, UTC, or None.
        deadline: its deadline, UTC.
        missed: finished after the deadline, or never.
        restarts: times it had to begin again after a node failure.
        energy_kwh: IT energy above idle that it used.
        failures: nodes whose failure took its work or that it (or a job that it comes after) had to wait for.
        late_h: hours of lateness against its soft deadline: rigid, of its end; others, of the time that they worked after it.
        pieces: times it began to work after a pause, the first included; moves: times it changed its site.
    """

    job: str
    site: str | None
    started: datetime | None
    finished: datetime | None
    deadline: datetime
    missed: bool
    restarts: int
    energy_kwh: float
    failures: tuple[str, ...] = ()
    late_h: float = 0.0
    pieces: int = 1
    moves: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class MeteredEnergy:
    """Realised energy per site and reporting slot, kWh, each ``[S, T]``, each positive in its own direction.

    Attributes:
        it_kwh: IT energy of jobs and transfers; load_kwh: facility load, all included.
        import_kwh, export_kwh: at the meter.
        renewable_kwh: sun and wind available; renewable_used_kwh: used; curtailed_kwh: the rest.
        charge_kwh, discharge_kwh: at the battery terminal.
        soc_kwh: state of charge at the end of each reporting slot.
        unserved_kwh: load that no source served.
    """

    it_kwh: FloatArray
    load_kwh: FloatArray
    import_kwh: FloatArray
    export_kwh: FloatArray
    renewable_kwh: FloatArray
    renewable_used_kwh: FloatArray
    curtailed_kwh: FloatArray
    charge_kwh: FloatArray
    discharge_kwh: FloatArray
    soc_kwh: FloatArray
    unserved_kwh: FloatArray

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Names of the arrays, in order."""
        return tuple(cls.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class CarDeparture:
    """How a car left its charging point.

    Attributes:
        site, asset, session: names of the site, its charging points and the stay.
        gained_kwh: in its battery since arrival; missing_kwh: less than it was to gain.
    """

    site: str
    asset: str
    session: str
    gained_kwh: float
    missing_kwh: float


@dataclass(frozen=True, slots=True)
class MainsOutcome:
    """What came of a fault of a site's mains.

    Attributes:
        name: of the fault; site: where.
        start, end: period, UTC.
        retained_pu: voltage that was left, as a share of the nominal one.
        bridged: power supplies rode through it by themselves.
        dark_s: time in which nothing carried the site.
        battery_kwh, generator_kwh: what carried it instead; unserved_kwh: fixed load that nothing carried.
        jobs_saved: jobs that stopped at a checkpoint; jobs_lost: jobs that lost their work.
    """

    name: str
    site: str
    start: datetime
    end: datetime
    retained_pu: float
    bridged: bool
    dark_s: float
    battery_kwh: float
    generator_kwh: float
    unserved_kwh: float
    jobs_saved: int
    jobs_lost: int


@dataclass(frozen=True, slots=True)
class EnergyShare:
    """What one job or migration answers for of a site's load.

    Attributes:
        kind: ``job`` or ``migration``; name: its name; site: where.
        own_kwh: facility energy of the IT power that it added.
        shared_kwh: its part of overhead and idle nodes (jobs only).
    """

    kind: str
    name: str
    site: str
    own_kwh: float
    shared_kwh: float


@dataclass(frozen=True, slots=True)
class Attribution:
    """Whose energy the load of all sites was; the parts add up to it.

    Attributes:
        shares: of jobs and migrations, each at each site where it was.
        nobody_kwh: by site, drawn while no job held a node; assets_kwh: by site, net draw of assets and emergency generators.
        load_kwh: by site, what its meter counted.
    """

    shares: tuple[EnergyShare, ...]
    nobody_kwh: dict[str, float]
    assets_kwh: dict[str, float]
    load_kwh: dict[str, float]

    @property
    def own_kwh(self) -> float:
        """All that jobs and migrations added by themselves."""
        return sum(share.own_kwh for share in self.shares)

    @property
    def shared_kwh(self) -> float:
        """All that jobs share of overhead and idle nodes."""
        return sum(share.shared_kwh for share in self.shares)


@dataclass(frozen=True, slots=True)
class EventDelivery:
    """Proof of delivery of one demand-response event at one site.

    Settled on 15-minute means of the net import; a quarter that the event covers in part counts with that share of its hours.

    Attributes:
        event, site: names.
        start, end: period, UTC.
        limit_kw: target: largest net import.
        baseline_kw: net import without the event, mean over the period (a named method, see ``baseline_method``); None
            when no plan without the event is known.
        actual_kw: realised net import, mean over the period.
        worst_kw: highest 15-minute mean net import of a quarter that the event touches.
        delivered_kw: baseline - actual, mean; None without a baseline.
        shortfall_kwh: energy above the limit.
        baseline_method: how the baseline was made.
    """

    event: str
    site: str
    start: datetime
    end: datetime
    limit_kw: float
    baseline_kw: float | None
    actual_kw: float
    worst_kw: float
    delivered_kw: float | None
    shortfall_kwh: float
    baseline_method: str


@dataclass(frozen=True, slots=True)
class Totals:
    """Totals of an outcome; the keys of ``ozzo run --json``.

    Attributes:
        cost_eur: energy cost: import, minus export revenue, plus peak charge, battery wear, penalties of events and
            contracts (imbalance included), and refilling what a battery lacks at the end.
        carbon_kg: import times average carbon intensity.
        import_kwh, export_kwh, curtailed_kwh: sums over sites.
        self_used_kwh: sun and wind used at the sites (used minus exported, not below 0 in any site and slot).
        peak_kw: sum over sites of the highest 15-minute mean import.
        deadline_misses: jobs that ended late, or never and were not dropped on purpose.
        dropped: jobs and migrations that were not done.
        objective_eur: the weighted objective, as realised.
        breakdown_eur: its parts by name; they sum to it.
    """

    cost_eur: float
    carbon_kg: float
    import_kwh: float
    export_kwh: float
    curtailed_kwh: float
    self_used_kwh: float
    peak_kw: float
    deadline_misses: int
    dropped: int
    objective_eur: float
    breakdown_eur: dict[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """One execution of a plan.

    Attributes:
        policy: policy of the plan; plan_id: its id.
        seed: seed of the random draws; stressed: whether faults were injected.
        horizon: reporting slots of ``energy``.
        sites: names, order of the arrays.
        energy: realised energy.
        jobs: what became of each job; deliveries: of each event.
        totals: totals.
        violations: rules broken while it was carried out.
        network: AC power flow, or None when there is no network or it was not asked for.
        log: notable happenings in order of time, ``(instant UTC, text)``.
        settlement: slots of 15 minutes on which peaks, events and the network are judged, or None when not known.
        net_import_kw: mean import minus export on them, ``[S, settlement slots]``.
        phases: worst values of single phases by name, unit in the name; None where the network does not describe them.
        heat: heat reused at all sites, or None when no site reuses heat.
        departures: every car that left a charging point.
        contracts: what contracts with the grid operator cost and bring, line by line.
        key_figures: energies, powers and money of each site, or None when not known.
        mains: what came of each fault of the mains that ended inside the horizon.
        attribution: whose energy the load was, or None when not known.
    """

    policy: str
    plan_id: str
    seed: int
    stressed: bool
    horizon: Horizon
    sites: tuple[str, ...]
    energy: MeteredEnergy
    jobs: tuple[JobOutcome, ...]
    deliveries: tuple[EventDelivery, ...]
    totals: Totals
    violations: tuple[Violation, ...]
    network: NetworkResult | None
    log: tuple[tuple[datetime, str], ...] = ()
    settlement: Horizon | None = None
    net_import_kw: FloatArray | None = None
    phases: dict[str, float] | None = None
    heat: HeatAccount | None = None
    departures: tuple[CarDeparture, ...] = ()
    contracts: tuple[ContractLine, ...] = ()
    key_figures: KeyFigures | None = None
    mains: tuple[MainsOutcome, ...] = ()
    attribution: Attribution | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict of a rehearsal.

    Attributes:
        passed: only then may the plan command anything.
        plan_id: plan that was rehearsed.
        violations: every broken rule, worst value each.
        worst: worst values by name, unit in the name (``voltage_low_pu``, ``transformer_loading_pct``, ...).
        seeds: seeds of the runs, nominal first.
    """

    passed: bool
    plan_id: str
    violations: tuple[Violation, ...]
    worst: dict[str, float] = field(default_factory=dict)
    seeds: tuple[int, ...] = ()
