"""A problem of fewer sites, and what of a problem's energy side the arrays of a case cannot say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from grid.horizon import FloatArray
from scheduler.optimiser.large.case import IntArray
from scheduler.optimiser.restrict import BoolArray
from scheduler.problem import Problem


def beyond_a_case(problem: Problem) -> list[str]:
    """What of the energy side only the rows of the reference can say, in words; empty when a case can say it all."""
    found = []
    if problem.assets:
        found.append("assets of sites beyond sun, wind and battery")
    if problem.sleepers:
        found.append("nodes that sleep")
    if any(battery and battery.wear for battery in problem.batteries):
        found.append("wear of batteries by depth or by charge held")
    if _dear_export(problem).any():
        found.append("hours in which exporting pays more than importing costs")
    if problem.window_peaks:
        found.append("peak charges that count in some slots only")
    return found


def sites_beyond(problem: Problem) -> BoolArray:
    """The sites with something of ``beyond_a_case``, ``[S]``."""
    named = {placed.site for placed in problem.assets} | {group.site for group in problem.sleepers}
    named |= {peak.site for peak in problem.window_peaks}
    named |= {s for s, battery in enumerate(problem.batteries) if battery is not None and battery.wear is not None}
    found: BoolArray = np.asarray(_dear_export(problem).any(axis=1))
    found[sorted(named)] = True
    return found


def _dear_export(problem: Problem) -> BoolArray:
    """Where exporting pays more than importing costs, ``[S, T]``."""
    dear: BoolArray = problem.export_eur_per_kwh > problem.import_weight_eur_per_kwh
    return dear


def energy_of_sites(problem: Problem, sites: IntArray) -> Problem:
    """The energy side of these sites alone, without jobs and transfers.

    Args:
        problem: the problem.
        sites: indices of the sites, ascending: one part of ``energy.feeder_sites``. A feeder, a group or a cut of which it has
            some sites and not others is one that cannot bind, so it is left out.
    """
    index = {int(s): i for i, s in enumerate(sites)}

    def mine(of: Iterable[int]) -> tuple[int, ...] | None:
        """Indices here of sites that are all here, else None."""
        found = [index.get(s) for s in of]
        return None if None in found else tuple(i for i in found if i is not None)

    def rows(array: FloatArray) -> FloatArray:
        part: FloatArray = np.ascontiguousarray(array[sites])
        return part

    return replace(
        problem,
        sites=tuple(problem.sites[s] for s in sites),
        capacity=np.ascontiguousarray(problem.capacity[:, sites]),
        fixed_kw=rows(problem.fixed_kw),
        pue=rows(problem.pue),
        renewable_kw=rows(problem.renewable_kw),
        import_limit_kw=rows(problem.import_limit_kw),
        export_limit_kw=rows(problem.export_limit_kw),
        import_eur_per_kwh=rows(problem.import_eur_per_kwh),
        export_eur_per_kwh=rows(problem.export_eur_per_kwh),
        carbon_g_per_kwh=rows(problem.carbon_g_per_kwh),
        batteries=tuple(problem.batteries[s] for s in sites),
        initial_soc_kwh=rows(problem.initial_soc_kwh),
        final_soc_kwh=rows(problem.final_soc_kwh),
        peak_eur_per_kw=rows(problem.peak_eur_per_kw),
        peak_reached_kw=rows(problem.peak_reached_kw),
        jobs=(),
        migrations=(),
        copies=(),
        copy_limit_gb=None,
        tenants=(),
        futures=(),
        events=tuple(replace(event, site=index[event.site]) for event in problem.events if event.site in index),
        feeders=tuple(replace(feeder, sites=here) for feeder in problem.feeders if (here := mine(feeder.sites)) is not None),
        groups=tuple(replace(group, sites=here) for group in problem.groups if (here := mine(group.sites)) is not None),
        cuts=tuple(
            replace(cut, sites=here) for cut in (cut.scaled() for cut in problem.cuts) if (here := mine(cut.sites)) is not None
        ),
        window_peaks=tuple(replace(peak, site=index[peak.site]) for peak in problem.window_peaks if peak.site in index),
        assets=tuple(replace(placed, site=index[placed.site]) for placed in problem.assets if placed.site in index),
        sleepers=tuple(replace(group, site=index[group.site]) for group in problem.sleepers if group.site in index),
    )
