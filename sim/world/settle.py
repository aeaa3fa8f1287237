"""From a world that has ended to its outcome: energies on reporting slots, jobs, deliveries, totals, broken rules.

Limits are settled as means over 15 minutes (Dutch settlement period). A deadline is missed when a job ends more than one
second after it, or never.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from grid.assets.site_asset import Bill
from grid.heat_account import HeatAccount
from grid.horizon import FloatArray, Horizon
from grid.series import Series
from scheduler.contract_bill import contract_lines
from scheduler.facility import Site
from scheduler.outcome import CarDeparture, JobOutcome, MeteredEnergy, Outcome, Violation, ViolationKind
from scheduler.scenario import Scenario
from sim.key_figures import key_figures
from sim.totals import totals
from sim.world.assets.charging import ChargingWorld
from sim.world.assets.heat import HeatWorld
from sim.world.contracts import contract_violations, nominated_kw
from sim.world.deliveries import deliveries
from sim.world.feeders import feeder_violations
from sim.world.flows import FLOWS
from sim.world.mains_settled import attribution, backup_violations, mains_outcomes
from sim.world.migrations import required_moves

if TYPE_CHECKING:
    from sim.world.simulated import SimulatedWorld
    from sim.world.work import SimulatedJob

DEADLINE_TOLERANCE = timedelta(seconds=1)
HOUR = timedelta(hours=1)
LIMIT_TOLERANCE_KW = 1e-6
BALANCE_TOLERANCE_KWH = 1e-6


def metered(world: SimulatedWorld, horizon: Horizon) -> MeteredEnergy:
    """Energy of every site on the slots of ``horizon``."""
    names = [site.name for site in world.scenario.sites]
    parts = [world.meters[name].energies(horizon.edges_s) for name in names]
    flows = {flow: np.stack([flows[i] for flows, _ in parts]) for i, flow in enumerate(FLOWS)}
    return MeteredEnergy(soc_kwh=np.stack([soc for _, soc in parts]), **flows)


def settle(world: SimulatedWorld, reporting: Horizon, baseline: Outcome | None) -> Outcome:
    """The outcome of ``world``, which has reached its end.

    Raises:
        ValueError: ``baseline`` has another seed, or 15 minutes do not divide the horizon.
    """
    if baseline is not None and baseline.seed != world.truth.seed:
        raise ValueError(f"a baseline of seed {baseline.seed} proves nothing about a world of seed {world.truth.seed}")
    scenario = replace(world.scenario, horizon=world.horizon, events=world.events, sites=_with_reached_peaks(world))
    if world.begun_from is not None:
        scenario = replace(scenario, contracts=scenario.contracts.begun(world.begun_from.peaks))
    settlement = world.horizon.with_step(world.scenario.settlement)
    energy = metered(world, settlement)
    meters = [world.meters[site.name] for site in scenario.sites]
    bills = [meter.bill for meter in meters]
    net_kw = (energy.import_kwh - energy.export_kwh) / settlement.step_h
    nominated = nominated_kw(world, settlement)
    means_kw = (energy.import_kwh / settlement.step_h, energy.export_kwh / settlement.step_h)
    lines = contract_lines(scenario, settlement, *means_kw, nominated)
    jobs = tuple(_job_outcome(world, job) for job in world.jobs.values())
    dropped = _dropped(world)
    moves = required_moves(scenario)
    not_moved = tuple(name for name in moves if name not in world.library.finished_s and name not in _arrived_before(world))
    plan = world.plans[-1][1] if world.plans else None
    mains = mains_outcomes(world)
    violations = (
        *_energy_violations(world, settlement, energy),
        *feeder_violations(world, settlement, energy),
        *contract_violations(world, settlement, energy),
        *backup_violations(world, mains),
        *_assets_not_followed(world),
        *(_late(world, outcome) for outcome in jobs if outcome.missed and outcome.job not in dropped),
        *_data_violations(world, scenario, not_moved, dropped),
    )
    return Outcome(
        policy=plan.policy if plan else "none",
        plan_id=plan.id if plan else "",
        seed=world.truth.seed,
        stressed=world.truth.stressed,
        horizon=reporting,
        sites=tuple(site.name for site in scenario.sites),
        energy=metered(world, reporting),
        jobs=jobs,
        deliveries=deliveries(world, settlement, net_kw, baseline),
        totals=totals(scenario, settlement, energy, jobs, dropped, not_moved, reduce(Bill.plus, bills, Bill()), nominated),
        violations=violations,
        network=None,
        log=tuple((_instant(world, moment_s), text) for moment_s, text in world.log),
        settlement=settlement,
        net_import_kw=net_kw,
        departures=_departures(world),
        contracts=lines,
        key_figures=key_figures(
            scenario, settlement, energy, np.stack([meter.made_kwh(settlement.edges_s) for meter in meters]), bills, lines
        ),
        heat=_heat(world),
        mains=mains,
        attribution=attribution(world),
    )


def _heat(world: SimulatedWorld) -> HeatAccount | None:
    """Heat reused at all sites; None when no site reuses heat."""
    found = [asset.account for meter in world.meters.values() for asset in meter.assets if isinstance(asset, HeatWorld)]
    return reduce(HeatAccount.plus, found) if found else None


def _departures(world: SimulatedWorld) -> tuple[CarDeparture, ...]:
    """Every car that left a charging point, by site and asset."""
    return tuple(
        CarDeparture(name, asset.name, session, gained, missing)
        for name, meter in world.meters.items()
        for asset in meter.assets
        if isinstance(asset, ChargingWorld)
        for session, gained, missing in asset.departed()
    )


def _assets_not_followed(world: SimulatedWorld) -> list[Violation]:
    """Assets that could not do what the plan wanted, the largest failure of each."""
    found = []
    for name, meter in world.meters.items():
        for asset in meter.assets:
            if asset.short_kwh > BALANCE_TOLERANCE_KWH:
                advice = f"Ask less of {asset.name}: {asset.why_short}."
                when = None if asset.first_short_s is None else _instant(world, asset.first_short_s)
                subject, kind = f"{asset.name} of {name}", ViolationKind.ASSET_NOT_FOLLOWED
                found.append(Violation(kind, subject, asset.short_kwh, 0.0, "kWh less", when, world.truth.seed, advice))
    return found


def _with_reached_peaks(world: SimulatedWorld) -> tuple[Site, ...]:
    """The sites, with the peak that a world which began in the middle had reached before."""
    before = world.begun_from.peak_kw if world.begun_from else {}
    return tuple(
        replace(
            site,
            tariff=replace(site.tariff, peak_reached_kw=max(site.tariff.peak_reached_kw, before.get(site.name, 0.0))),
        )
        for site in world.scenario.sites
    )


def _instant(world: SimulatedWorld, moment_s: float) -> datetime:
    return world.horizon.start + timedelta(seconds=moment_s)


def _job_outcome(world: SimulatedWorld, job: SimulatedJob) -> JobOutcome:
    """What became of a job; one that still runs when the world stops has no end."""
    worked_h = (world.env.now - job.since_s) / 3600.0 if job.running else 0.0
    finished = None if job.finished_s is None else _instant(world, job.finished_s)
    return JobOutcome(
        job=job.job.name,
        site=job.site,
        started=None if job.started_s is None else _instant(world, job.started_s),
        finished=finished,
        deadline=job.job.deadline,
        missed=finished is None or finished > job.job.deadline + DEADLINE_TOLERANCE,
        restarts=job.restarts,
        energy_kwh=job.energy_kwh + job.power_kw * worked_h,
        failures=tuple(job.failures_hit),
        late_h=job.late_h(),
        pieces=job.pieces,
        moves=job.moves,
    )


def _dropped(world: SimulatedWorld) -> frozenset[str]:
    """Jobs and migrations that the plans left out on purpose and no later plan took up again."""
    dropped: set[str] = set()
    for _, plan in world.plans:
        dropped -= {run.job for run in plan.runs} | {transfer.migration for transfer in plan.transfers}
        dropped |= {item.name for item in plan.dropped}
    return frozenset(dropped)


def _arrived_before(world: SimulatedWorld) -> frozenset[str]:
    """Required moves that were complete when the world began."""
    if world.begun_from is None:
        return frozenset()
    size = {dataset.name: dataset.size_tb for dataset in world.scenario.datasets}
    moved = world.begun_from.moved_tb
    return frozenset(name for name, volume in moved.items() if name in size and volume >= size[name] - 1e-9)


def _late(world: SimulatedWorld, outcome: JobOutcome) -> Violation:
    """A missed deadline, with what caused it as far as the world knows."""
    hit = ", ".join(outcome.failures)
    cause = f"Caused by the injected failure of {hit}. " if hit else ""
    end = world.now() if outcome.finished is None else outcome.finished
    late = end - outcome.deadline
    unit = "h late" if outcome.finished is not None else "h late and not done"
    advice = cause + _advice(world, outcome, late)
    seed = world.truth.seed
    return Violation(ViolationKind.DEADLINE, outcome.job, late / HOUR, 0.0, unit, outcome.finished, seed, advice)


def _advice(world: SimulatedWorld, outcome: JobOutcome, late: timedelta) -> str:
    """What would bring a late job in, of what its release and the last plan that has it leave open."""
    job = world.jobs[outcome.job].job
    plan = next((plan for _, plan in reversed(world.plans) if plan.runs_of(job.name)), None)
    if plan is None:
        return "No plan ran it: plan it, or drop it with a reason."
    first = max(0, plan.horizon.ceil_slot(job.release))
    room = min(run.start for run in plan.runs_of(job.name)) - first
    needed = plan.horizon.slots_for(late)
    if room <= 0:
        return f"{job.name} can begin no earlier than planned: give it a later deadline, or drop it with a reason."
    if room < needed:
        return (
            f"{job.name} can begin {slots_words(room)} earlier at most, which does not make up for it: give it a later deadline "
            "as well, or drop it with a reason."
        )
    longer = world.jobs[outcome.job].true_s > job.duration.total_seconds()
    rest = ", or raise planning.duration_margin" if longer and not outcome.failures else ""
    return f"Plan {job.name} {slots_words(needed)} earlier{rest}."


def slots_words(count: int) -> str:
    """``1 slot``, ``2 slots``."""
    return f"{count} slot{'' if count == 1 else 's'}"


def _energy_violations(world: SimulatedWorld, settlement: Horizon, energy: MeteredEnergy) -> tuple[Violation, ...]:
    """Broken limits, worst value of each kind at each site."""
    found: list[Violation | None] = []
    for s, site in enumerate(world.scenario.sites):
        for kind, kwh, limit in (
            (ViolationKind.IMPORT_LIMIT, energy.import_kwh[s], site.connection.import_limit_kw),
            (ViolationKind.EXPORT_LIMIT, energy.export_kwh[s], site.connection.export_limit_kw),
        ):
            found.append(_worst_over(world, settlement, kind, site, kwh / settlement.step_h, limit))
        found.append(_unserved(world, settlement, site, energy.unserved_kwh[s]))
        found.append(_balance(world, settlement, site, s, energy))
        found.append(_soc(world, site))
    return tuple(violation for violation in found if violation is not None)


def _worst_over(
    world: SimulatedWorld, settlement: Horizon, kind: ViolationKind, site: Site, mean_kw: FloatArray, limit: Series
) -> Violation | None:
    """The 15-minute mean that exceeds its limit most, or None."""
    limits = limit.mean(settlement)
    worst = int(np.argmax(mean_kw - limits))
    over = float(mean_kw[worst] - limits[worst])
    if over <= LIMIT_TOLERANCE_KW:
        return None
    word = "import" if kind is ViolationKind.IMPORT_LIMIT else "export"
    advice = (
        f"Plan {over:.3g} kW less {word} at {site.name} at {settlement.time(worst):%H:%M} UTC, "
        "or raise planning.limit_margin or chance_level so that forecast errors fit."
    )
    value, bound, seed = float(mean_kw[worst]), float(limits[worst]), world.truth.seed
    return Violation(kind, site.name, value, bound, "kW (15-minute mean)", settlement.time(worst), seed, advice)


def _unserved(world: SimulatedWorld, settlement: Horizon, site: Site, unserved_kwh: FloatArray) -> Violation | None:
    total = float(unserved_kwh.sum()) - world.meters[site.name].lost_kwh  # what a fault of the mains left is told with it
    if total <= BALANCE_TOLERANCE_KWH:
        return None
    worst = int(np.argmax(unserved_kwh))
    advice = f"{site.name} has no grid to fall back on: plan less load there, or leave more in its battery."
    when = settlement.time(worst)
    return Violation(ViolationKind.UNSERVED, site.name, total, 0.0, "kWh", when, world.truth.seed, advice)


def _balance(world: SimulatedWorld, settlement: Horizon, site: Site, s: int, energy: MeteredEnergy) -> Violation | None:
    """The meter's own check: what comes in is what goes out."""
    rest = balance_kwh(energy)[s]
    worst = int(np.argmax(np.abs(rest)))
    if abs(float(rest[worst])) <= BALANCE_TOLERANCE_KWH:
        return None
    advice = "The simulator's meter is wrong: report this as a fault of ozzo, with the scenario and the seed."
    value, when = float(rest[worst]), settlement.time(worst)
    return Violation(ViolationKind.ENERGY_BALANCE, site.name, value, 0.0, "kWh", when, world.truth.seed, advice)


def balance_kwh(energy: MeteredEnergy) -> FloatArray:
    """What comes in minus what goes out, ``[S, T]`` kWh; zero when the balance closes."""
    inward = energy.import_kwh + energy.renewable_used_kwh + energy.discharge_kwh + energy.unserved_kwh
    outward: FloatArray = energy.load_kwh + energy.charge_kwh + energy.export_kwh
    rest: FloatArray = inward - outward
    return rest


def _soc(world: SimulatedWorld, site: Site) -> Violation | None:
    if site.battery is None:
        return None
    lowest, highest = world.meters[site.name].soc_bounds_kwh()
    tolerance = world.scenario.rehearsal.battery_tolerance_kwh
    subject, kind, seed = f"battery of {site.name}", ViolationKind.STATE_OF_CHARGE, world.truth.seed
    if highest > site.battery.energy_kwh + tolerance:
        advice = "Charge less: the battery cannot hold it."
        return Violation(kind, subject, highest, site.battery.energy_kwh, "kWh", None, seed, advice)
    backup = world.meters[site.name].bridged_kwh > 0  # the reserve is there for a fault of the mains
    if lowest < (0.0 if backup else site.battery.reserve_soc_kwh) - tolerance:
        advice = "Discharge less: the reserve is kept for backup."
        return Violation(kind, subject, lowest, site.battery.reserve_soc_kwh, "kWh", None, seed, advice)
    return None


def _data_violations(
    world: SimulatedWorld, scenario: Scenario, not_moved: tuple[str, ...], dropped: frozenset[str]
) -> tuple[Violation, ...]:
    """Replicas where the tier rule allows none, and moves that were late or not done."""
    found = []
    seed, library = world.truth.seed, world.library
    for dataset in scenario.datasets:
        for site in sorted(library.replicas[dataset.name] - set(dataset.sites) - set(dataset.allowed_sites)):
            advice = f"Do not bring {dataset.name} ({dataset.tier}) to {site}; it may lie at {', '.join(dataset.allowed_sites)}."
            found.append(Violation(ViolationKind.TIER_RULE, dataset.name, 1.0, 0.0, "replicas", None, seed, advice))
    for name, dataset in required_moves(scenario).items():
        end = scenario.horizon.end if dataset.move_by is None else min(dataset.move_by, scenario.horizon.end)
        arrived_s = library.finished_s.get(name)
        # what was there at the observation that the world begins with came at 0 s, and was in time for all that is known here
        late = arrived_s is not None and arrived_s > 0.0 and _instant(world, arrived_s) > end + DEADLINE_TOLERANCE
        if late or (name in not_moved and name not in dropped):
            left_tb = dataset.size_tb - library.moved_until_tb(name, world.env.now)
            advice = f"Finish moving {name} by {end:%Y-%m-%d %H:%M} UTC, or drop the move with a reason."
            value = 0.0 if late else max(0.0, left_tb)
            found.append(Violation(ViolationKind.TIER_RULE, name, value, 0.0, "TB left to move", end, seed, advice))
    return tuple(found)
