"""A scenario, loaded: everything a plan, a rehearsal or a run needs, on one time axis, without files.

``scheduler.document`` reads the YAML document and makes one of these; tests may build one directly.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from grid.contracts.book import ContractBook
from grid.horizon import Horizon
from grid.mains import FaultRates, MainsFault
from grid.response.event import CapacityEvent
from scheduler.data import Dataset
from scheduler.facility import FeederLine, Link, Site
from scheduler.workload import Job, Tenant


@dataclass(frozen=True, slots=True)
class Weights:
    """What the objective weighs, by name.

    Attributes:
        carbon_eur_per_kg: price of the carbon of imported energy.
        carbon_signal: ``average`` or ``marginal``: the intensity that the objective uses. Reports always state average.
        unserved_eur_per_kwh: price of facility load that no source can serve.
        lateness_eur_per_h: price of each hour after the deadline (as realised; the planner keeps deadlines hard).
    """

    carbon_eur_per_kg: float = 0.1
    carbon_signal: str = "average"
    unserved_eur_per_kwh: float = 5.0
    lateness_eur_per_h: float = 1.0


PEAK_HEADROOM = 1.1
"""Assumption: real power never exceeds this times the highest forecast (a site does not say what its plant is rated at)."""


@dataclass(frozen=True, slots=True)
class FutureSettings:
    """How the futures of a two-stage plan are drawn (``scheduler.futures``).

    Attributes:
        count: futures that the plan weighs.
        draws: futures that are drawn and reduced to ``count``; an even number, because they come in pairs of opposite errors.
        seed: of the draws; None takes the scenario's.
    """

    count: int = 8
    draws: int = 200
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class PlanningSettings:
    """How the planner works. Quantiles are those of the scenario's error model (``scheduler.quantiles``).

    Attributes:
        relative_gap: the solver may stop when the proven gap is at or below this.
        time_limit_s: wall time after which the incumbent is returned.
        limit_margin: share of each connection limit that the plan leaves free for forecast error.
        duration_margin: share added to each run time, after its quantile, before it is rounded up to slots.
        lead_slots: slots between a decision and the first slot it may change.
        stability_eur_per_move: what a later plan must gain for each job that has not begun and moves to another site than in
            the plan in force; it is in the planned objective, and nobody pays it.
        renewable_quantile: the plan counts on the sun and wind that come short with this probability; 0.5 is the forecast.
        load_quantile: it reserves the fixed load that is exceeded with one minus this probability; 0.5 is the forecast.
        duration_quantile: it gives jobs the share of their asked run time that is enough with this probability; None is the
            run time that was asked for.
        chance_level: probability with which net import stays within each limit of connections and feeders in each slot; their
            margins then follow from the forecasts' quantiles (``scheduler.chance``) and ``limit_margin`` does not count. None
            takes ``limit_margin`` off.
        coarse_factor: slots that are one coarse slot where the large-scale solver plans from nothing: first on coarse slots, then
            on its own from there; at least 2. None: on its own slots alone. The reference ignores it.
        scenarios: the futures of a two-stage plan.
        reasons: each job's reason is found; a simulation that nobody reads may leave that out (no document can).
    """

    relative_gap: float = 0.01
    time_limit_s: float = 30.0
    limit_margin: float = 0.05
    duration_margin: float = 0.0
    lead_slots: int = 1
    stability_eur_per_move: float = 0.01
    renewable_quantile: float = 0.5
    load_quantile: float = 0.5
    duration_quantile: float | None = 1.0
    chance_level: float | None = None
    coarse_factor: int | None = None
    scenarios: FutureSettings = field(default_factory=FutureSettings)
    reasons: bool = True


@dataclass(frozen=True, slots=True)
class ErrorModel:
    """What differs between the forecast and the simulated truth; every draw is a named stream of the seed.

    Attributes:
        solar_sigma, wind_sigma: standard deviation of the relative error of available power.
        load_sigma: standard deviation of the relative error of each site's fixed load (overhead and idle nodes).
        temperature_sigma_k: standard deviation of the error of the outdoor temperature of sites with ``cooling``.
        error_correlation_h: time constant of the errors (first-order autoregressive, exact in continuous time).
        duration_low, duration_high: true run time / asked run time is uniform in this range.
        command_delay_s: mean of the exponential delay of a command.
        command_loss: probability that a command is lost on its way; it is sent again ``command_repeat_s`` later.
        link_rate_low: share of a link's rate that other traffic leaves is uniform between this and 1, drawn anew each hour.
        node_failures: number of nodes that fail in a stressed rehearsal.
        repair_h: time until a failed node is back.
        outages_per_year, outage_minutes: outages of each site's mains, and their mean length.
        dips_per_year, dip_s: dips of its voltage, and their mean length.
        restart_minutes: time that nodes which lost their power take to come back once it is there.
    """

    solar_sigma: float = 0.15
    wind_sigma: float = 0.15
    load_sigma: float = 0.0
    temperature_sigma_k: float = 0.0
    error_correlation_h: float = 3.0
    duration_low: float = 0.7
    duration_high: float = 1.0
    command_delay_s: float = 2.0
    command_loss: float = 0.0
    command_repeat_s: float = 10.0
    link_rate_low: float = 1.0
    node_failures: int = 1
    repair_h: float = 2.0
    outages_per_year: float = 0.0
    outage_minutes: float = 60.0
    dips_per_year: float = 0.0
    dip_s: float = 0.2
    restart_minutes: float = 5.0

    @property
    def fault_rates(self) -> FaultRates:
        """How often mains fail."""
        return FaultRates(self.outages_per_year, self.outage_minutes * 60.0, self.dips_per_year, self.dip_s)


@dataclass(frozen=True, slots=True)
class RehearsalSettings:
    """What a plan must survive before it may command anything.

    Attributes:
        stressed_runs: rehearsals with forecast error, duration error, node failure and delays; each with its own seed, so its
            weather and run times are other than those of the nominal run.
        deadline_miss_tolerance: largest share of jobs that may miss their deadline in a stressed run (the nominal run
            tolerates none). Jobs that an injected failure hit (it took their work, or they had to wait for the repair) do
            not count: no plan can promise those.
        voltage_low_pu, voltage_high_pu: band of the voltage (EN 50160: +-10 %), checked on 15-minute means (those of the
            slot when it is shorter) in every slot: stricter than EN 50160's 95 % of the week, coarser than its 10 minutes.
        loading_limit_pct: largest loading of lines and transformers.
        battery_tolerance_kwh: how far a realised state of charge may leave its bounds (numerical only).
        mains_outages: outages of the mains in each stressed run, at sites and times where the plan works (``ErrorModel`` says
            how long they last), beside those that are drawn by rate or given.
    """

    stressed_runs: int = 2
    deadline_miss_tolerance: float = 0.02
    voltage_low_pu: float = 0.9
    voltage_high_pu: float = 1.1
    loading_limit_pct: float = 100.0
    battery_tolerance_kwh: float = 1e-6
    mains_outages: int = 0


class BusinessCase(StrEnum):
    """Published business cases that a report can put beside a run (their figures: ``sim.report.business_case``)."""

    MRA_HUBS = "mra_hubs"


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """Which electrical network lies behind the sites.

    Attributes:
        simbench: SimBench code, for example ``1-LV-semiurb4--0-sw``; None when it comes from a file.
        profile_start: naive local start in the profile year 2016 that the horizon's start maps to, ISO format.
        household_scale: factor on all loads of the network.
        json: pandapower file that it comes from instead.
    """

    simbench: str | None
    profile_start: str
    household_scale: float = 1.0
    json: Path | None = None

    @property
    def name(self) -> str:
        """SimBench code, or name of the file."""
        return self.simbench or (self.json.name if self.json else "")


@dataclass(frozen=True, slots=True)
class Scenario:
    """A whole scenario.

    Attributes:
        name: short id.
        title: one sentence for people.
        seed: the one seed of every random draw.
        horizon: planning horizon.
        sites, links, datasets, jobs, events: the world.
        tenants: those who share it; jobs without one have no limit of their own.
        feeders: electrical limits that several sites share, each site in at most one.
        contracts: contracts of sites with their grid operator.
        weights, planning, errors, rehearsal: settings by name.
        network: electrical network, or None for sites that share none.
        time_zone: IANA name for display at the edges.
        provenance: sentences on which numbers are real, derived or assumed.
        beyond_horizon: names of jobs that cannot end inside the horizon and were left out of it.
        business_case: published business case that the report puts beside the run, or None.
        mains_faults: faults of the mains at given times, which every simulated world has and no plan knows (Unix seconds).
    """

    name: str
    title: str
    seed: int
    horizon: Horizon
    sites: tuple[Site, ...]
    links: tuple[Link, ...] = ()
    datasets: tuple[Dataset, ...] = ()
    jobs: tuple[Job, ...] = ()
    events: tuple[CapacityEvent, ...] = ()
    weights: Weights = field(default_factory=Weights)
    planning: PlanningSettings = field(default_factory=PlanningSettings)
    errors: ErrorModel = field(default_factory=ErrorModel)
    rehearsal: RehearsalSettings = field(default_factory=RehearsalSettings)
    network: NetworkSpec | None = None
    time_zone: str = "Europe/Amsterdam"
    provenance: tuple[str, ...] = ()
    beyond_horizon: tuple[str, ...] = ()
    tenants: tuple[Tenant, ...] = ()
    feeders: tuple[FeederLine, ...] = ()
    contracts: ContractBook = field(default_factory=ContractBook)
    business_case: BusinessCase | None = None
    mains_faults: tuple[MainsFault, ...] = ()

    def site(self, name: str) -> Site:
        """The site of that name.

        Raises:
            KeyError: there is none.
        """
        for site in self.sites:
            if site.name == name:
                return site
        raise KeyError(name)

    @property
    def settlement(self) -> timedelta:
        """Metering period of peak charges and events: 15 minutes (Dutch imbalance settlement period)."""
        return timedelta(minutes=15)
