"""Demand-response events in the settlement: what was delivered against limit and baseline, and how the baseline is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grid.horizon import FloatArray, Horizon
from grid.response.event import CapacityEvent
from grid.series import Series
from scheduler.objective import overlap_h
from scheduler.outcome import EventDelivery, Outcome

if TYPE_CHECKING:
    from sim.world.simulated import SimulatedWorld

PLAN_BEFORE = "rehearsed plan before the event, same seed"
PLAN_WITHOUT = "plan without the event, same seed"
"""Baseline of an event that was known before the first plan was made (``sim.rehearsal.event_baseline``)."""
NO_BASELINE = "not stated: no plan without the event is known"


def deliveries(
    world: SimulatedWorld, settlement: Horizon, net_kw: FloatArray, baseline: Outcome | None
) -> tuple[EventDelivery, ...]:
    """Every event that touches the world's period.

    Args:
        world: that has ended.
        settlement: slots of the settlement.
        net_kw: net import of each site on them, ``[S, T]`` kW.
        baseline: the same world without the events, or None.
    """
    index = {site.name: s for s, site in enumerate(world.scenario.sites)}
    return tuple(
        _delivery(event, settlement, net_kw[index[event.site]], _baseline(world, event, baseline))
        for event in world.events
        if _touches(event, world.horizon)
    )


def _touches(event: CapacityEvent, horizon: Horizon) -> bool:
    return event.start < horizon.end and event.end > horizon.start


def _baseline(world: SimulatedWorld, event: CapacityEvent, baseline: Outcome | None) -> tuple[float | None, str]:
    """Mean net import of ``event``'s period (inside the horizon) without it, and how that is known.

    A baseline that knew the event itself passes on its own baseline of it.
    """
    if baseline is None:
        return None, NO_BASELINE
    for known in baseline.deliveries:
        if (known.event, known.site, known.start) == (event.name, event.site, event.start):
            return known.baseline_kw, known.baseline_method
    start_s, end_s = _inside(event, world.horizon)
    horizon, net_kw = baseline.settlement, baseline.net_import_kw
    if horizon is None or net_kw is None or horizon.start_s > start_s or horizon.end_s < end_s:
        return None, NO_BASELINE
    between = Series.on(horizon, net_kw[baseline.sites.index(event.site)], "kW").integral([start_s, end_s])
    method = PLAN_WITHOUT if event.received <= world.scenario.horizon.start else PLAN_BEFORE
    return float(between[1] - between[0]) / (end_s - start_s), method


def _inside(event: CapacityEvent, horizon: Horizon) -> tuple[float, float]:
    """Unix seconds of the part of the event that lies in the horizon."""
    return max(event.start.timestamp(), horizon.start_s), min(event.end.timestamp(), horizon.end_s)


def _delivery(event: CapacityEvent, settlement: Horizon, net_kw: FloatArray, baseline: tuple[float | None, str]) -> EventDelivery:
    """Proof of delivery against the limit and the baseline, settled as ``scheduler.objective`` prices it.

    Args:
        event: the event.
        settlement: slots of 15 minutes.
        net_kw: mean net import on them at the event's site.
        baseline: mean net import without the event, and how that is known.
    """
    hours = overlap_h(settlement, *_inside(event, settlement))
    actual_kw = float(hours @ net_kw / hours.sum())
    baseline_kw, method = baseline
    return EventDelivery(
        event=event.name,
        site=event.site,
        start=event.start,
        end=event.end,
        limit_kw=event.limit_kw,
        baseline_kw=baseline_kw,
        actual_kw=actual_kw,
        worst_kw=float(net_kw[hours > 0].max()),
        delivered_kw=None if baseline_kw is None else baseline_kw - actual_kw,
        shortfall_kwh=float(hours @ np.maximum(0.0, net_kw - event.limit_kw)),
        baseline_method=method,
    )
