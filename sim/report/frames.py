"""A record on one time axis: what files, telemetry and pictures all read, so that they cannot disagree.

Everything is on the slots of the scenario's horizon, sites in the scenario's order, shape ``[S, T]``; powers are means
of a slot in kW and each positive in its own direction; not known is NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from grid.contracts.limits import Direction
from grid.horizon import FloatArray, Horizon
from grid.response.event import CapacityEvent
from scheduler.allowed import allowed_kw
from scheduler.outcome import MeteredEnergy, Outcome
from scheduler.plan import EnergySchedule, Plan, Transfer
from sim.record import RunRecord

PLAN = "plan"
"""Name of the plan in force wherever policies stand side by side; whichever policy made it."""

POWERS: tuple[str, ...] = (
    "it_kw",
    "load_kw",
    "import_kw",
    "export_kw",
    "renewable_kw",
    "renewable_used_kw",
    "curtailed_kw",
    "charge_kw",
    "discharge_kw",
    "unserved_kw",
)
"""Names of the mean powers that planned and realised flows share; ``soc_kwh`` (end of slot) stands beside them."""

Flows = dict[str, FloatArray]


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a job as it was in force, with its instants.

    Attributes:
        job, site: names; start, end: instants, UTC; nodes: names of its nodes.
    """

    job: str
    site: str
    start: datetime
    end: datetime
    nodes: tuple[str, ...]


def site_names(record: RunRecord) -> tuple[str, ...]:
    """Names of the sites in the order of every array of this module."""
    return tuple(site.name for site in record.scenario.sites)


def planned(plan: Plan, horizon: Horizon, sites: tuple[str, ...]) -> Flows:
    """A plan's flows on ``horizon``; NaN before its first slot.

    Raises:
        ValueError: the plan has another step than ``horizon`` or does not lie in it.
    """
    first = horizon.floor_slot(plan.horizon.start)
    last = first + plan.horizon.slots
    if plan.horizon.step != horizon.step or first < 0 or last > horizon.slots or horizon.time(first) != plan.horizon.start:
        raise ValueError(f"plan {plan.id} is not on the slots of the scenario")
    rows = [plan.sites.index(name) for name in sites]
    flows: Flows = {}
    for name in EnergySchedule.names():
        values = np.full((len(sites), horizon.slots), np.nan)
        values[:, first:last] = getattr(plan.energy, name)[rows]
        flows[name] = values
    flows["curtailed_kw"] = flows["renewable_kw"] - flows["renewable_used_kw"]
    return flows


def planned_in_force(record: RunRecord) -> Flows | None:
    """Flows of the plan that was in force in each slot, or None when there was no plan."""
    if not record.plans:
        return None
    horizon, sites = record.scenario.horizon, site_names(record)
    flows = planned(record.plans[0].plan, horizon, sites)
    for later in record.plans[1:]:
        newer = planned(later.plan, horizon, sites)
        first = horizon.floor_slot(later.plan.horizon.start)
        for name, values in flows.items():
            values[:, first:] = newer[name][:, first:]
    return flows


def realised(outcome: Outcome, horizon: Horizon, sites: tuple[str, ...]) -> Flows:
    """Realised flows on ``horizon``: exact means of the metered energy (whose slots may be shorter or longer)."""
    rows = [outcome.sites.index(name) for name in sites]
    edges, wanted = outcome.horizon.edges_s, horizon.edges_s
    same = outcome.horizon == horizon
    flows: Flows = {}
    for name in MeteredEnergy.names():
        values = getattr(outcome.energy, name)[rows]
        if name == "soc_kwh":
            flows[name] = values.copy() if same else np.stack([np.interp(wanted[1:], edges[1:], row) for row in values])
        elif same:
            flows[name.replace("_kwh", "_kw")] = values / horizon.step_h
        else:
            sums = np.concatenate([np.zeros((len(rows), 1)), np.cumsum(values, axis=1)], axis=1)
            means = np.stack([np.diff(np.interp(wanted, edges, row)) for row in sums]) / horizon.step_h
            flows[name.replace("_kwh", "_kw")] = means
    return flows


def realised_by_policy(record: RunRecord) -> dict[str, Flows]:
    """Realised flows of the plan in force (key ``plan``) and of each baseline (its policy name)."""
    horizon, sites = record.scenario.horizon, site_names(record)
    return {name: realised(outcome, horizon, sites) for name, outcome in outcomes(record).items()}


def outcomes(record: RunRecord) -> dict[str, Outcome]:
    """The executions that are compared: of the plan in force (key ``plan``) and of each baseline."""
    own = {PLAN: record.outcome} if record.outcome is not None else {}
    return own | record.baselines


def signals(record: RunRecord) -> Flows:
    """What the planner was told: sun and wind forecast, limits, prices and average carbon intensity.

    Keys: ``solar_kw``, ``wind_kw``, ``import_limit_kw``, ``export_limit_kw``, ``import_eur_per_mwh``,
    ``export_eur_per_mwh``, ``average_g_per_kwh``.
    """
    horizon, sites = record.scenario.horizon, record.scenario.sites
    nothing = np.zeros(horizon.slots)
    return {
        "solar_kw": np.stack([site.solar_kw.mean(horizon) if site.solar_kw else nothing for site in sites]),
        "wind_kw": np.stack([site.wind_kw.mean(horizon) if site.wind_kw else nothing for site in sites]),
        "import_limit_kw": np.stack([allowed_kw(record.scenario, site, Direction.IMPORT, horizon) for site in sites]),
        "export_limit_kw": np.stack([allowed_kw(record.scenario, site, Direction.EXPORT, horizon) for site in sites]),
        "import_eur_per_mwh": np.stack([site.tariff.import_eur_per_mwh.mean(horizon) for site in sites]),
        "export_eur_per_mwh": np.stack([site.tariff.export_eur_per_mwh.mean(horizon) for site in sites]),
        "average_g_per_kwh": np.stack([site.carbon.average_g_per_kwh.mean(horizon) for site in sites]),
    }


def event_limit_kw(record: RunRecord) -> FloatArray:
    """Lowest limit on net import that an event sets in any part of a slot; NaN without event."""
    horizon, sites = record.scenario.horizon, site_names(record)
    limit = np.full((len(sites), horizon.slots), np.nan)
    for event in events(record):
        first, last = max(0, horizon.floor_slot(event.start)), min(horizon.slots, horizon.ceil_slot(event.end))
        row = limit[sites.index(event.site)]
        row[first:last] = np.fmin(row[first:last], event.limit_kw)
    return limit


def events(record: RunRecord) -> tuple[CapacityEvent, ...]:
    """Events of the scenario and those that arrived during the run (known by their delivery), in order of time."""
    known = {(event.name, event.site, event.start): event for event in record.scenario.events}
    for delivery in record.outcome.deliveries if record.outcome else ():
        key = (delivery.event, delivery.site, delivery.start)
        if key not in known:
            since = min((plan.since for plan in record.plans if delivery.event in plan.cause), default=delivery.start)
            known[key] = CapacityEvent(*key, delivery.end, delivery.limit_kw, 0.0, since)
    return tuple(sorted(known.values(), key=lambda event: (event.start, event.site)))


def site_voltage_pu(outcome: Outcome, horizon: Horizon, sites: tuple[str, ...]) -> FloatArray:
    """Voltage at the bus of each site, mean of the power flows in each slot; NaN where there is none."""
    voltage = np.full((len(sites), horizon.slots), np.nan)
    network = outcome.network
    if network is None or not network.slots:
        return voltage
    slot = np.array([horizon.floor_slot(network.horizon.time(k)) for k in network.slots])
    inside = (slot >= 0) & (slot < horizon.slots)
    flows = np.bincount(slot[inside], minlength=horizon.slots)
    for name, bus in network.site_bus.items():
        sums = np.bincount(slot[inside], weights=network.voltage_pu[inside, bus], minlength=horizon.slots)
        voltage[sites.index(name), flows > 0] = sums[flows > 0] / flows[flows > 0]
    return voltage


def _in_force(record: RunRecord) -> list[tuple[Plan, datetime]]:
    """Each plan and the instant until which it was in force."""
    plans = [entry.plan for entry in record.plans]
    ends = [plan.horizon.start for plan in plans[1:]] + [record.scenario.horizon.end]
    return list(zip(plans, ends, strict=False))  # no plan: no end either


def pieces(record: RunRecord) -> tuple[Piece, ...]:
    """Planned runs, each as long as its plan was in force; parts that go on under the next plan are joined."""
    found: list[Piece] = []
    for plan, end in _in_force(record):
        for run in plan.runs:
            start, stop = plan.horizon.time(run.start), min(plan.horizon.time(run.end), end)
            if start >= stop:
                continue
            before = next((k for k, p in enumerate(found) if (p.job, p.site, p.end) == (run.job, run.site, start)), None)
            if before is None:
                found.append(Piece(run.job, run.site, start, stop, run.nodes))
            else:
                found[before] = Piece(run.job, run.site, found[before].start, stop, run.nodes or found[before].nodes)
    return tuple(sorted(found, key=lambda piece: (piece.start, piece.site, piece.job)))


def pieces_of(plan: Plan) -> tuple[Piece, ...]:
    """Runs of one plan with their instants."""
    return tuple(
        Piece(run.job, run.site, plan.horizon.time(run.start), plan.horizon.time(run.end), run.nodes) for run in plan.runs
    )


def transfers(record: RunRecord) -> tuple[tuple[Transfer, datetime, datetime], ...]:
    """Transfers as long as their plan was in force, with their instants."""
    found = []
    for plan, end in _in_force(record):
        for transfer in plan.transfers:
            start, stop = plan.horizon.time(transfer.start), min(plan.horizon.time(transfer.end), end)
            if start < stop:
                found.append((transfer, start, stop))
    return tuple(sorted(found, key=lambda item: (item[1], item[0].migration)))


def placement_after(record: RunRecord) -> Mapping[str, tuple[str, ...]]:
    """Sites of each dataset at the end: those from before, the source of a required move replaced by its target.

    A staging copy (``<dataset>@<site>``) adds its target.
    """
    after = {dataset.name: list(dataset.sites) for dataset in record.scenario.datasets}
    for transfer, _, _ in transfers(record):
        held = after.setdefault(transfer.dataset, [])  # an altered plan may name a dataset that is not there
        if transfer.target not in held:
            held.append(transfer.target)
        if transfer.migration == transfer.dataset and transfer.source in held and len(held) > 1:
            held.remove(transfer.source)
    return {name: tuple(held) for name, held in after.items()}
