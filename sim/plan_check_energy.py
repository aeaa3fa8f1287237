"""Checks of a plan's energy: load as the jobs cause it, balance, batteries, limits, feeders, events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from grid.assets.battery import Battery
from grid.horizon import FloatArray
from grid.quantile_series import QuantileSeries
from scheduler.facility import Site
from scheduler.outcome import Violation, ViolationKind
from scheduler.plan import Plan, Run
from scheduler.scenario import PEAK_HEADROOM
from scheduler.workload import Job
from sim.world.migrations import end_power_kw, way

if TYPE_CHECKING:
    from sim.plan_check import Checked

BALANCE_KWH = 1e-6
"""How far a balance or a recursion may be off in any slot."""

LIMIT_KW = 1e-5
"""How far a power may exceed its limit (rounding of a solver)."""

DROP_PU = 1e-6
"""The same for a voltage drop."""


def check_energy(checked: Checked) -> Iterator[Violation]:
    """Violations of the rules for energy, worst slot of each kind at each site."""
    low, high = _load_bounds_kw(checked)
    for s, site in enumerate(checked.scenario.sites):
        yield from _signs(checked, s, site)
        yield from _load(checked, s, site, low[s], high[s])
        yield from _sources(checked, s, site)
        yield from _balance(checked, s, site)
        yield from _battery(checked, s, site)
        yield from _limits(checked, s, site)
    yield from _feeders(checked)
    yield from _events(checked)


def _worst(
    checked: Checked, kind: ViolationKind, subject: str, over: FloatArray, tolerance: float, value: FloatArray, limit: FloatArray,
    unit: str, advice: str,
) -> Iterator[Violation]:  # fmt: skip
    """One violation for the slot where ``over`` is largest, when it exceeds ``tolerance``."""
    slot = int(np.argmax(over))
    if float(over[slot]) > tolerance:
        moment = checked.time(slot)
        yield Violation(kind, subject, float(value[slot]), float(limit[slot]), unit, moment, None, advice)


def _load_bounds_kw(checked: Checked) -> tuple[FloatArray, FloatArray]:
    """IT power that jobs and transfers cause, ``[S, T]`` kW: on the nodes they have, and on the dearest that fit.

    A planner that decides on sites before nodes may count the dearest node that fits, so the plan lies between the two.
    """
    scenario, index = checked.scenario, {site.name: s for s, site in enumerate(checked.scenario.sites)}
    low = np.zeros((len(scenario.sites), checked.horizon.slots))
    high = np.zeros_like(low)
    for run in checked.plan.runs:
        job = checked.jobs.get(run.job)
        if job is None or run.site not in index:
            continue
        least, most = _job_kw(scenario.sites[index[run.site]], job, run)
        low[index[run.site], max(0, run.start) : run.end] += least * run.power
        high[index[run.site], max(0, run.start) : run.end] += most * run.power
    for transfer in checked.plan.transfers:
        ends = end_power_kw(way(scenario.links, transfer.source, transfer.target), transfer.rate_mbit_per_s)
        for name, power in zip((transfer.source, transfer.target), ends, strict=True):
            if name in index:
                low[index[name], max(0, transfer.start) : transfer.end] += power
                high[index[name], max(0, transfer.start) : transfer.end] += power
    return low, high


def _job_kw(site: Site, job: Job, run: Run) -> tuple[float, float]:
    """IT power (kW) of a run: on its nodes, and if all of them were of the dearest group that fits."""
    core_kw = {f"{site.name}.{group.name}-{i}": group.core_kw for group in site.nodes for i in range(group.count)}
    fits = [
        group.core_kw
        for group in site.nodes
        if group.count >= job.nodes and group.cores >= job.cores and group.gpus >= job.gpus and group.memory_gb >= job.memory_gb
    ]
    dearest = job.nodes * job.cores * max(fits or [group.core_kw for group in site.nodes])
    cheapest = job.nodes * job.cores * min(fits or [group.core_kw for group in site.nodes])
    exact = job.cores * sum(core_kw.get(node, 0.0) for node in run.nodes) if run.nodes else cheapest
    return min(exact, dearest), max(exact, dearest)


def drawn_kw(plan: Plan, site: str) -> FloatArray:
    """Net draw of all assets of a site in a plan, ``[T]`` kW."""
    drawn = np.zeros(plan.horizon.slots)
    for run in plan.assets:
        if run.site == site:
            drawn = drawn + run.draw_kw
    return drawn


def _signs(checked: Checked, s: int, site: Site) -> Iterator[Violation]:
    """Every flow is positive in its own direction."""
    for name in checked.plan.energy.names():
        values = getattr(checked.plan.energy, name)[s]
        if name == "load_kw":
            values = values - drawn_kw(checked.plan, site.name)  # assets may give more than the facility draws
        advice = f"energy.{name} of {site.name} is negative; every flow is positive in its own direction."
        zero = np.zeros_like(values)
        kind = ViolationKind.STATE_OF_CHARGE if name == "soc_kwh" else ViolationKind.ENERGY_BALANCE
        unit = "kWh" if name == "soc_kwh" else "kW"
        yield from _worst(checked, kind, f"{site.name} {name}", -values, LIMIT_KW, values, zero, unit, advice)


def _load(checked: Checked, s: int, site: Site, low: FloatArray, high: FloatArray) -> Iterator[Violation]:
    """Facility load is what its nodes, jobs and transfers draw, the fixed part between forecast and planned quantile."""
    energy = checked.plan.energy
    error = checked.scenario.errors.load_sigma * _normal_quantile(checked.scenario.planning.load_quantile)
    idle, pue = site.idle_on(checked.horizon), site.pue_on(checked.horizon)
    careful = idle * max(0.0, 1.0 + error)
    fixed_low, fixed_high = (careful, careful) if error <= 0 else (idle, careful)
    least, most = fixed_low + pue * low, fixed_high + pue * high
    drawn = drawn_kw(checked.plan, site.name)
    least, most = least + drawn, most + drawn
    hours, load = checked.horizon.step_h, energy.load_kw[s]
    advice = f"The planned load of {site.name} is not what its idle nodes, jobs and transfers draw: plan again."
    kind, subject = ViolationKind.ENERGY_BALANCE, f"load of {site.name}"
    yield from _worst(checked, kind, subject, (least - load) * hours, BALANCE_KWH, load, least, "kW", advice)
    yield from _worst(checked, kind, subject, (load - most) * hours, BALANCE_KWH, load, most, "kW", advice)


def _sources(checked: Checked, s: int, site: Site) -> Iterator[Violation]:
    """Sun and wind as forecast (the quantile of it that the plan is to count on), and no more used than there is."""
    energy, horizon, day = checked.plan.energy, checked.horizon, checked.scenario.horizon
    errors, depth = checked.scenario.errors, _normal_quantile(checked.scenario.planning.renewable_quantile)
    forecast = np.zeros(horizon.slots)
    for series, sigma in ((site.solar_kw, errors.solar_sigma), (site.wind_kw, errors.wind_sigma)):
        if series is not None:
            of_day = (series.edges_s[1:] > day.start_s) & (series.edges_s[:-1] < day.end_s)
            named = series.table.max(axis=0) if isinstance(series, QuantileSeries) else series.values
            most = PEAK_HEADROOM * max(0.0, float(named[of_day].max(initial=0.0)))
            power = series.values
            if isinstance(series, QuantileSeries) and depth != 0:
                power = np.minimum(np.maximum(0.0, _read_at(series, depth)), most)
            elif sigma > 0 and depth != 0:
                power = np.minimum(np.maximum(0.0, series.values + depth * sigma * series.values), most)
            forecast += np.maximum(0.0, series.with_values(power, series.source).mean(horizon))
    available, used = energy.renewable_kw[s], energy.renewable_used_kw[s]
    kind, subject, hours = ViolationKind.ENERGY_BALANCE, f"sun and wind of {site.name}", horizon.step_h
    advice = f"The plan's sun and wind at {site.name} are not the forecast."
    yield from _worst(
        checked, kind, subject, np.abs(available - forecast) * hours, BALANCE_KWH, available, forecast, "kW", advice
    )
    advice = f"The plan uses more sun and wind at {site.name} than there is."
    yield from _worst(checked, kind, subject, (used - forecast) * hours, BALANCE_KWH, used, forecast, "kW", advice)


def _read_at(forecast: QuantileSeries, depth: float) -> FloatArray:
    """The forecast at a standard normal score, ``[n]``: on the line through the two levels around it, or the two nearest."""
    from scipy.special import ndtri

    scores = ndtri(forecast.levels)
    upper = min(max(int(np.sum(scores < depth)), 1), len(scores) - 1)
    share = (depth - scores[upper - 1]) / (scores[upper] - scores[upper - 1])
    value: FloatArray = (1.0 - share) * forecast.table[upper - 1] + share * forecast.table[upper]
    return value


def _normal_quantile(level: float) -> float:
    """Quantile of the standard normal distribution."""
    from scipy.special import ndtri

    return 0.0 if level == 0.5 else float(ndtri(level))


def _balance(checked: Checked, s: int, site: Site) -> Iterator[Violation]:
    """Import + used + discharge + unserved = load + charge + export in every slot, and nothing unserved."""
    energy = checked.plan.energy
    inward = energy.import_kw[s] + energy.renewable_used_kw[s] + energy.discharge_kw[s] + energy.unserved_kw[s]
    outward = energy.load_kw[s] + energy.charge_kw[s] + energy.export_kw[s]
    rest = (inward - outward) * checked.horizon.step_h
    zero = np.zeros_like(rest)
    advice = f"Energy at {site.name} does not balance: what comes in is not what goes out."
    yield from _worst(checked, ViolationKind.ENERGY_BALANCE, site.name, np.abs(rest), BALANCE_KWH, rest, zero, "kWh", advice)
    unserved = energy.unserved_kw[s]
    advice = f"{site.name} cannot serve its load in this slot: move jobs away from it, or raise its import limit."
    yield from _worst(checked, ViolationKind.UNSERVED, site.name, unserved, LIMIT_KW, unserved, zero, "kW", advice)


def _battery(checked: Checked, s: int, site: Site) -> Iterator[Violation]:
    """State of charge in [reserve, capacity] and consistent with the powers, powers within limits, never both at once."""
    energy, subject = checked.plan.energy, f"battery of {site.name}"
    charge, discharge, soc = energy.charge_kw[s], energy.discharge_kw[s], energy.soc_kwh[s]
    battery, zero = site.battery, np.zeros(checked.horizon.slots)
    if battery is None:
        used = charge + discharge
        advice = f"{site.name} has no battery."
        yield from _worst(checked, ViolationKind.BATTERY_POWER, subject, used, LIMIT_KW, used, zero, "kW", advice)
        return
    kind = ViolationKind.STATE_OF_CHARGE
    capacity, reserve = zero + battery.energy_kwh, zero + battery.reserve_soc_kwh
    advice = f"The battery holds {battery.energy_kwh:g} kWh: charge less before, or discharge earlier."
    yield from _worst(checked, kind, subject, soc - capacity, BALANCE_KWH, soc, capacity, "kWh", advice)
    advice = f"{battery.reserve_soc_kwh:g} kWh are kept in reserve: discharge less before."
    yield from _worst(checked, kind, subject, reserve - soc, BALANCE_KWH, soc, reserve, "kWh", advice)
    expected = _start_kwh(checked, site, battery) + np.cumsum(
        (charge * battery.charge_efficiency - discharge / battery.discharge_efficiency) * checked.horizon.step_h
    )
    advice = "State of charge does not follow from the planned charging and discharging and their efficiencies."
    tolerance = BALANCE_KWH * np.sqrt(checked.horizon.slots)
    yield from _worst(checked, kind, subject, np.abs(soc - expected), tolerance, soc, expected, "kWh", advice)
    kind = ViolationKind.BATTERY_POWER
    for word, power, limit in (("charge", charge, battery.charge_kw), ("discharge", discharge, battery.discharge_kw)):
        advice = f"The battery can {word} at {limit:g} kW."
        yield from _worst(checked, kind, subject, power - limit, LIMIT_KW, power, zero + limit, "kW", advice)
    both = np.minimum(charge, discharge)
    advice = "Charging and discharging at once only burns energy: use one of the two, the difference is the same."
    yield from _worst(checked, ViolationKind.CHARGE_AND_DISCHARGE, subject, both, LIMIT_KW, both, zero, "kW", advice)


def _start_kwh(checked: Checked, site: Site, battery: Battery) -> float:
    """State of charge when the plan begins."""
    if checked.observation is None:
        return battery.initial_soc_kwh
    return checked.observation.soc_kwh.get(site.name, battery.initial_soc_kwh)


def _limits(checked: Checked, s: int, site: Site) -> Iterator[Violation]:
    """Import and export within the connection's limits."""
    energy, horizon = checked.plan.energy, checked.horizon
    for kind, word, power, series in (
        (ViolationKind.IMPORT_LIMIT, "import", energy.import_kw[s], site.connection.import_limit_kw),
        (ViolationKind.EXPORT_LIMIT, "export", energy.export_kw[s], site.connection.export_limit_kw),
    ):
        limit = series.mean(horizon)
        worst = float(np.max(power - limit))
        advice = f"Plan {worst:.3g} kW less {word} at {site.name} in this slot."
        yield from _worst(checked, kind, site.name, power - limit, LIMIT_KW, power, limit, "kW", advice)


def _feeders(checked: Checked) -> Iterator[Violation]:
    """Flow through the head of each feeder and voltage drop at each of its sites, added up from its far end."""
    index = {site.name: s for s, site in enumerate(checked.scenario.sites)}
    net = checked.plan.energy.import_kw - checked.plan.energy.export_kw
    kind, zero = ViolationKind.FEEDER, np.zeros(checked.horizon.slots)
    for feeder in checked.scenario.feeders:
        flow, flows = zero, []
        for name in reversed(feeder.sites):
            flow = flow + net[index[name]]
            flows.append(flow)
        head = np.abs(flow)
        advice = f"Less import, or less export, at {', '.join(feeder.sites)} together."
        yield from _worst(
            checked, kind, feeder.name, head - feeder.limit_kw, LIMIT_KW, head, zero + feeder.limit_kw, "kW", advice
        )
        drop, worst = zero, zero
        for per_kw, through in zip(feeder.drop_pu_per_kw, reversed(flows), strict=True):
            drop = drop + per_kw * through
            worst = np.maximum(worst, np.abs(drop))
        limit = zero + feeder.drop_limit_pu
        advice = f"Less import, or less export, at the far end of {feeder.name} ({feeder.sites[-1]})."
        yield from _worst(checked, kind, f"{feeder.name} voltage", worst - limit, DROP_PU, worst, limit, "pu", advice)


def _events(checked: Checked) -> Iterator[Violation]:
    """What a plan imports above the limits of all events together is in its objective (``event_penalty``)."""
    counted = checked.plan.breakdown_eur.get("event_penalty")
    if counted is None:
        return
    horizon, names = checked.horizon, [site.name for site in checked.scenario.sites]
    known = checked.observation.moment if checked.observation else horizon.start
    owed, dearest, worst = 0.0, 0.0, None
    for event in checked.scenario.events:
        if event.received > known:
            continue
        first, last = max(0, horizon.floor_slot(event.start)), min(horizon.slots, horizon.ceil_slot(event.end))
        if first >= last:
            continue
        s = names.index(event.site)
        net = (checked.plan.energy.import_kw[s] - checked.plan.energy.export_kw[s])[first:last]
        eur = float(np.maximum(0.0, net - event.limit_kw).sum()) * horizon.step_h * event.penalty_eur_per_kwh
        owed += eur
        if eur > dearest:
            dearest, worst = eur, (event, float(net.max()), checked.time(first + int(np.argmax(net))))
    if worst is not None and owed > counted + 1e-6 * max(1.0, owed):
        event, net_kw, when = worst
        advice = (
            f"Net import of {event.site} exceeds event {event.name}; the plan owes {owed:.2f} EUR for its events and counts "
            f"{counted:.2f} EUR: plan again with them."
        )
        yield Violation(ViolationKind.EVENT_LIMIT, event.name, net_kw, event.limit_kw, "kW", when, None, advice)
