"""Prices of last resort: of charge that is missing at the end, and of facility load that no source serves.

Neither is a market price. Each is set so far above what energy can be worth that a plan resorts to it only when nothing
else is left. For one site let ``D`` bound what one kWh at the site's busbar can save or earn in any slot::

    D = max(0, dearest import weight, dearest export price) + penalties of all events at once + peak charge / least period

Serving a kWh from the battery, or not at all, saves at most its import (with carbon), the penalty of every event that
counts it, and the peak charge on the mean power that it adds to one metering period; sold, it earns at most the export
price and, under an event that asks for export, the penalty. All of that is at most ``D``.

*Missing charge* costs ``(D + wear / 2) / charge efficiency + H + MARGIN`` per kWh in the cells, ``H`` what holding a kWh to the
end wears. A kWh in the cells brings at most ``discharge efficiency * D``, which is less, so emptying the battery never pays;
and refilling one costs at most ``(D + wear / 2) / charge efficiency + H``, which is less too, so a battery that can be refilled
is.

*Unserved load* costs ``weights.unserved_eur_per_kwh``, or more where that is not above everything else: at least ``D + MARGIN``
and, with a battery, what emptying the cells for it costs (missing charge / discharge efficiency + wear / 2 + MARGIN; wear / 2
with the price of the deepest layer of the cells, where wear has a price by depth). So load goes unserved only where the
connection, sun, wind and battery together cannot serve it, and never more than the load: a kWh beyond it would cost more than
it can save, earn or leave in the battery.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from grid.assets.battery import Battery
from grid.horizon import FloatArray, Horizon
from scheduler.problem import Problem

MARGIN_EUR_PER_KWH = 0.01
"""Assumption: by how much a price of last resort is above what it must exceed, so that no tie is left to chance."""

METERING_H = 0.25
"""Metering period of peak charges: 15 minutes."""

SERVING_EUR_PER_KWH = 10_000.0
"""Price of unserved load with which a solver is asked for a plan that leaves none which can be served: above what a kWh of jobs
is worth, and small enough for the tolerances of a solver."""


@dataclass(frozen=True, slots=True)
class LastResort:
    """Prices of last resort of one site.

    Attributes:
        missing_eur_per_kwh: per kWh missing in the cells at the end; 0 without battery.
        unserved_eur_per_kwh: per kWh of facility load that no source serves.
    """

    missing_eur_per_kwh: float
    unserved_eur_per_kwh: float


def last_resort(
    battery: Battery | None,
    import_weight_eur_per_kwh: FloatArray,
    export_eur_per_kwh: FloatArray,
    penalties: Iterable[tuple[int, int, float]],
    peak_eur_per_kw: float,
    step_h: float,
    unserved_eur_per_kwh: float,
) -> LastResort:
    """Prices of one site: the one definition, for plans and for what was realised.

    Args:
        battery: of the site.
        import_weight_eur_per_kwh: price of import with carbon, ``[T]``.
        export_eur_per_kwh: price of export, ``[T]``.
        penalties: first slot, slot after the last one, and price per kWh of each event at the site.
        peak_eur_per_kw: peak charge.
        step_h: length of a slot; the shorter of it and the metering period is what a kWh weighs most on.
        unserved_eur_per_kwh: the price that was asked for.
    """
    at_once = np.zeros(len(import_weight_eur_per_kwh))
    for start, end, penalty in penalties:
        at_once[start:end] += penalty
    energy = max(0.0, float(import_weight_eur_per_kwh.max()), float(export_eur_per_kwh.max()))
    dear = energy + float(at_once.max()) + peak_eur_per_kw / min(METERING_H, step_h)
    missing, unserved = 0.0, dear + MARGIN_EUR_PER_KWH
    if battery is not None:
        half_wear = battery.wear_eur_per_kwh / 2
        held = battery.wear.held_eur_per_kwh_h * step_h * len(at_once) if battery.wear else 0.0
        missing = (dear + half_wear) / battery.charge_efficiency + held + MARGIN_EUR_PER_KWH
        emptied = missing / battery.discharge_efficiency + half_wear + battery.dearest_wear_eur_per_kwh
        unserved = max(unserved, emptied + MARGIN_EUR_PER_KWH)
    return LastResort(missing, max(unserved, unserved_eur_per_kwh))


def last_resorts(problem: Problem) -> tuple[LastResort, ...]:
    """Prices of every site of a problem, as planned."""
    weight = problem.import_weight_eur_per_kwh
    return tuple(
        last_resort(
            battery,
            weight[s],
            problem.export_eur_per_kwh[s],
            [(event.start, event.end, event.penalty_eur_per_kwh) for event in problem.events if event.site == s],
            float(problem.peak_eur_per_kw[s]) + _window_peaks_eur_per_kw(problem, s),
            problem.horizon.step_h,
            problem.weights.unserved_eur_per_kwh,
        )
        for s, battery in enumerate(problem.batteries)
    )


def serving(problem: Problem) -> Problem:
    """``problem`` with unserved load so dear that a job is rather late or dropped: its optimum serves all load that it can."""
    return replace(problem, weights=replace(problem.weights, unserved_eur_per_kwh=SERVING_EUR_PER_KWH))


def serving_extra_eur(problem: Problem, unserved_kw: FloatArray) -> float:
    """What ``unserved_kw``, ``[S, T]``, costs more in ``serving(problem)`` than in ``problem``, EUR."""
    prices = zip(last_resorts(serving(problem)), last_resorts(problem), strict=True)
    more = np.array([high.unserved_eur_per_kwh - usual.unserved_eur_per_kwh for high, usual in prices])
    return float((more[:, None] * unserved_kw).sum()) * problem.horizon.step_h


def _window_peaks_eur_per_kw(problem: Problem, site: int) -> float:
    """The most that one kW more in one slot can cost in the peak charges of a site that count in some slots only."""
    at_once = np.zeros(problem.horizon.slots)
    for peak in problem.window_peaks:
        if peak.site == site:
            at_once[list(peak.slots)] += peak.eur_per_kw
    return float(at_once.max())


def slots_touched(horizon: Horizon, start_s: float, end_s: float) -> tuple[int, int]:
    """First slot that ``[start_s, end_s)`` touches and the slot after the last one; equal when it touches none."""
    edges = horizon.edges_s
    first = int(np.searchsorted(edges[1:], start_s, side="right"))
    last = int(np.searchsorted(edges[:-1], end_s, side="left"))
    return first, max(first, last)
