"""Chance constraints on the limits of connections and feeders: ``P(net import <= limit) >= planning.chance_level``.

The plan counts on the median forecast. What net import (fixed load less sun and wind) may differ from it is drawn ``DRAWS`` times
from the error model or from the quantiles of the forecasts (``scheduler.draws``), with streams that the simulated truth does not
use. The margin of a slot is the quantile of that difference at ``chance_level``, in either direction, and is taken off the
limit: import of a site, export of a site, net import and net export of a feeder, and the voltage drop and rise at each of its
sites. Limits are settled as means of 15 minutes, so a longer slot takes the largest margin of its quarters, each against the
slot's mean forecast. Drawing the sum counts that errors of different sources and sites are independent, which a sum of
quantiles does not.

The quantile is the order statistic two standard deviations above the level (binomial, so the true quantile is above it in about
one of fifty slots); where the level is so high that no such draw exists, it is the largest draw. The probability is that of
each slot and each limit alone, not that of a whole day.

A limit is never reduced below what the fixed load, less the forecast of sun and wind, needs: a margin must not make a feasible
site infeasible. In such a slot the level is not promised. A feeder has one limit for all slots, so its margin is the largest of
any slot: careful in all others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from grid.contracts.group import GroupCap
from grid.horizon import FloatArray, Horizon
from scheduler.draws import draw_site, uncertain
from scheduler.facility import FeederLine
from scheduler.scenario import Scenario

DRAWS = 1000
"""Even: draws come in pairs of opposite errors."""


@dataclass(frozen=True, slots=True, eq=False)
class ChanceMargins:
    """What the limits of a problem lose for forecast errors; nothing is negative.

    Attributes:
        import_kw, export_kw: of each site in each slot, ``[S, T]``.
        feeder_kw, feeder_pu: of each feeder: net import or export of all its sites, and voltage drop or rise, ``[F]``.
        group_import_kw, group_export_kw: of each cap on a group of sites in each slot, ``[G, T]``.
    """

    import_kw: FloatArray
    export_kw: FloatArray
    feeder_kw: FloatArray
    feeder_pu: FloatArray
    group_import_kw: FloatArray
    group_export_kw: FloatArray


def chance_margins(scenario: Scenario, horizon: Horizon) -> ChanceMargins | None:
    """The margins of ``planning.chance_level`` on the slots of ``horizon``, or None when the scenario sets no level."""
    level = scenario.planning.chance_level
    if level is None:
        return None
    shape = (len(scenario.sites), horizon.slots)
    feeders, groups = scenario.feeders, scenario.contracts.groups
    if not uncertain(scenario):
        none, alone = np.zeros((len(groups), horizon.slots)), np.zeros(len(feeders))
        return ChanceMargins(np.zeros(shape), np.zeros(shape), alone, alone, none, none)
    more = {site.name: _differences(scenario, s, horizon) for s, site in enumerate(scenario.sites)}
    head, drop = np.zeros(len(feeders)), np.zeros(len(feeders))
    for f, feeder in enumerate(feeders):
        head[f], drop[f] = _feeder_margin(feeder, [more[name] for name in feeder.sites], level)
    return ChanceMargins(
        import_kw=np.stack([_worst(sample_quantile(more[site.name], level), horizon.slots) for site in scenario.sites]),
        export_kw=np.stack([_worst(sample_quantile(-more[site.name], level), horizon.slots) for site in scenario.sites]),
        feeder_kw=head,
        feeder_pu=drop,
        group_import_kw=_group_margins(groups, more, 1.0, level, horizon.slots),
        group_export_kw=_group_margins(groups, more, -1.0, level, horizon.slots),
    )


def _group_margins(
    groups: tuple[GroupCap, ...], more: dict[str, FloatArray], sign: float, level: float, slots: int
) -> FloatArray:
    """Margin of each group's cap, ``[G, T]`` kW; ``sign`` is 1 for import and -1 for export.

    Imports are summed and not netted, so a member that needs less does not make room where it already imports nothing: only
    what members need more is counted, which is on the careful side.
    """
    margins = np.zeros((len(groups), slots))
    for g, group in enumerate(groups):
        needed = np.sum([np.maximum(0.0, sign * more[name]) for name in group.members], axis=0)
        margins[g] = _worst(sample_quantile(needed, level), slots)
    return margins


def _differences(scenario: Scenario, s: int, horizon: Horizon) -> FloatArray:
    """Net import less its forecast of the site of index ``s``, nothing else changed, ``[DRAWS, periods]`` kW.

    Periods are the slots, or the metering periods where slots are longer; the forecast is the mean of the whole slot.
    """
    site, periods = scenario.sites[s], _periods(scenario, horizon)
    available, load = draw_site(scenario, site, periods, DRAWS // 2, scenario.seed, "chance")
    forecast = np.zeros(horizon.slots)
    for series in (site.solar_kw, site.wind_kw):
        if series is not None:
            forecast += np.maximum(0.0, series.mean(horizon))
    times = periods.slots // horizon.slots
    difference: FloatArray = (load - np.repeat(site.idle_on(horizon), times)) - (available - np.repeat(forecast, times))
    return difference


def _periods(scenario: Scenario, horizon: Horizon) -> Horizon:
    """The horizon in the steps in which limits are settled: at most the metering period."""
    return horizon.with_step(min(horizon.step, scenario.settlement))


def _worst(of_periods: FloatArray, slots: int) -> FloatArray:
    """The largest value of each slot, ``[T]``."""
    largest: FloatArray = of_periods.reshape(slots, -1).max(axis=1)
    return largest


def sample_quantile(draws: FloatArray, level: float) -> FloatArray:
    """Careful quantile of each column of ``draws`` ``[n, T]`` at ``level``, at least 0."""
    count = len(draws)
    wanted = count * level + 2.0 * math.sqrt(count * level * (1.0 - level))
    place = min(count, math.ceil(wanted)) - 1
    value: FloatArray = np.maximum(0.0, np.partition(draws, place, axis=0)[place])
    return value


def _feeder_margin(feeder: FeederLine, more: list[FloatArray], level: float) -> tuple[float, float]:
    """Margin on the rating (kW) and on the voltage band (pu): the largest of any slot, site and direction."""
    through = np.cumsum(np.stack(more)[::-1], axis=0)[::-1]
    rating = max(float(sample_quantile(sign * through[0], level).max()) for sign in (1.0, -1.0))
    drops = np.cumsum(np.array(feeder.drop_pu_per_kw)[:, None, None] * through, axis=0)
    band = max(float(sample_quantile(sign * drop, level).max()) for sign in (1.0, -1.0) for drop in drops)
    return rating, band
