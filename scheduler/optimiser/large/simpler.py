"""A problem whose energy side a case cannot say, made simpler: all that stands at its meters beside the jobs is fixed load."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from grid.assets.battery import Battery
from grid.horizon import FloatArray
from scheduler.problem import EventLimit, Problem

LOWERED = 0.98
"""Share of its present level at which a window's peak costs in the simpler problem, so that it can fall."""


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """What stands at the meters beside the jobs.

    Attributes:
        other_kw: fixed load, assets and what sleeping nodes spare, ``[S, T]``.
        extra: what a kW of IT power costs beyond its facility power, EUR per kW and slot, ``[S, T]``.
        peak_kw: level of each window peak, ``[number]``; shared: its price in each slot that binds it, EUR per kW, ``[number]``.
    """

    other_kw: FloatArray
    extra: FloatArray
    peak_kw: FloatArray
    shared: FloatArray

    def towards(self, other: Standing, step: float) -> Standing:
        """So far on the way to ``other``."""
        names = ("other_kw", "extra", "peak_kw", "shared")
        return Standing(*((1.0 - step) * getattr(self, name) + step * getattr(other, name) for name in names))


def alone(problem: Problem) -> Standing:
    """Nothing beside the fixed load."""
    none = np.zeros(len(problem.window_peaks))
    return Standing(problem.fixed_kw, np.zeros(problem.fixed_kw.shape), none, none)


def simplified(problem: Problem, standing: Standing) -> Problem:
    """``problem`` as a case can say it, with what stands beside its jobs."""
    return replace(
        problem,
        fixed_kw=np.maximum(0.0, standing.other_kw),
        renewable_kw=problem.renewable_kw + np.maximum(0.0, -standing.other_kw),
        export_eur_per_kwh=np.minimum(problem.export_eur_per_kwh, problem.import_weight_eur_per_kwh),
        batteries=tuple(_evenly_worn(unit) for unit in problem.batteries),
        events=(*problem.events, *_peaks_as_events(problem, standing)),
        window_peaks=(),
        assets=(),
        sleepers=(),
        futures=(),
    )


def with_extra(problem: Problem, standing: Standing) -> Problem:
    """``problem`` with the mean of what a kW costs beside its facility power in the fixed costs of each job's options."""
    sums = np.concatenate((np.zeros((len(problem.sites), 1)), np.cumsum(standing.extra, axis=1)), axis=1)
    jobs = []
    for task in problem.jobs:
        options = []
        for option in task.options:
            first = max(task.release, option.earliest)
            mean = (sums[option.site, task.deadline] - sums[option.site, first]) / max(1, task.deadline - first)
            options.append(replace(option, cost_eur=option.cost_eur + float(mean) * option.power_kw * task.work))
        jobs.append(replace(task, options=tuple(options)))
    return replace(problem, jobs=tuple(jobs))


def _peaks_as_events(problem: Problem, standing: Standing) -> list[EventLimit]:
    """Import above the levels of window peaks at their prices, as events where there is no event of the scenario.

    In a slot that several peaks count, one limit holds: the mean of their levels weighted with their prices, at the sum of these.
    """
    price, level = np.zeros(problem.fixed_kw.shape), np.zeros(problem.fixed_kw.shape)
    for number, peak in enumerate(problem.window_peaks):
        slots, each = list(peak.slots), float(standing.shared[number])
        price[peak.site, slots] += each
        level[peak.site, slots] += each * max(peak.reached_kw, LOWERED * float(standing.peak_kw[number]))
    for event in problem.events:
        price[event.site, event.start : event.end] = 0.0
    found = []
    for site in {peak.site for peak in problem.window_peaks}:
        terms = np.stack((price[site], level[site]))
        edges = np.flatnonzero((np.diff(terms, axis=1) != 0.0).any(axis=0)) + 1
        for first, end in zip([0, *edges.tolist()], [*edges.tolist(), len(price[site])], strict=True):
            each = float(price[site, first])
            if each > 0.0:
                kw, eur = float(level[site, first]) / each, each / problem.horizon.step_h
                found.append(EventLimit("peak", site, first, end, kw, eur))
    return found


def _evenly_worn(unit: Battery | None) -> Battery | None:
    """A battery whose wear by depth is that of its mean layer, at any depth."""
    if unit is None or unit.wear is None:
        return unit
    mean = sum(share * price for share, price in unit.wear.layers)
    return replace(unit, wear=None, wear_eur_per_kwh=unit.wear_eur_per_kwh + mean / unit.discharge_efficiency)
