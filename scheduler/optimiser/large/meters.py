"""The whole energy side of a problem, part by part: what is tied together is one part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from grid.horizon import FloatArray
from scheduler.asset_runs import AssetRun
from scheduler.optimiser.highs import Limits, StopAsked
from scheduler.optimiser.large.case import Case
from scheduler.optimiser.large.energy import EnergyBlock, feeder_sites
from scheduler.optimiser.large.full_energy import FLOWS, FullEnergy, Relaxed
from scheduler.optimiser.large.simpler import Standing
from scheduler.optimiser.restrict import BoolArray
from scheduler.optimiser.sleep_rows import dearest_core_kw
from scheduler.problem import Problem

PLAIN_FLOWS = {"renewable_used": "renewable"}
"""Names of ``FLOWS`` that are others in an ``EnergyBlock``."""


class Meters:
    """The energy side: ``FullEnergy`` of the parts that need it, ``EnergyBlock`` of the others.

    Args:
        problem: the problem.
        case: a case of its sites, slots and ties.
        most_kw: no load of jobs can be above this, ``[S, T]``.
        beyond: sites whose parts need it, ``[S]``.
    """

    def __init__(self, problem: Problem, case: Case, most_kw: FloatArray, beyond: BoolArray) -> None:
        self.problem, tied, dearest = problem, feeder_sites(case), dearest_core_kw(problem)
        self.parts = [FullEnergy(problem, sites, dearest, most_kw) for sites in tied if beyond[sites].any()]
        self.plain = [sites for sites in tied if not beyond[sites].any()]
        endless = np.full(problem.fixed_kw.shape, np.inf)
        self._blocks = [EnergyBlock(case, sites, endless, feeders=True) for sites in self.plain]

    def limit(self, until: float, stop: StopAsked) -> None:
        """Programmes that need not be solved are given up from ``until`` (of ``time.perf_counter``) on, or when asked to stop."""
        for part in self.parts:
            part.until, part.stop = until, stop

    @property
    def whole(self) -> int:
        """Number of parts in which something must be whole."""
        return sum(part.whole for part in self.parts)

    def relaxed(self, load: FloatArray, fixed_kw: FloatArray | None = None) -> Relaxed:
        """What a load costs when nothing must be whole (arguments as of ``FullEnergy.relaxed``), of all sites.

        Raises:
            SolverError: no optimum, with the status of HiGHS.
        """
        eur, unserved, missing = 0.0, np.zeros(load.shape), np.zeros(load.shape)
        for part in self.parts:
            found = part.relaxed(load, fixed_kw)
            eur += found.eur
            unserved[part.sites], missing[part.sites] = found.unserved_kw, found.missing_kw
        for block in self._blocks:
            value, flows = block.fix_load(load)
            eur += value
            unserved[block.sites] = flows["unserved"]
        return Relaxed(eur, unserved, missing)

    def settled(
        self, load: FloatArray, limits: Limits, stop: StopAsked, fixed_kw: FloatArray | None = None
    ) -> tuple[dict[str, FloatArray], tuple[AssetRun, ...]]:
        """Flows (``FLOWS``, ``[S, T]`` kW) and runs of assets, in their order, for a load, with everything whole that must be.

        Args:
            load: ``[S, T]`` kW of IT.
            limits: for all parts together.
            stop: asked often.
            fixed_kw: of the parts that need all rows, in place of the problem's, ``[S, T]`` kW.

        Raises:
            SolverError: no answer keeps every rule.
        """
        flows, runs = {name: np.zeros(load.shape) for name in FLOWS}, list[AssetRun]()
        each = replace(limits, time_s=limits.time_s / max(1, self.whole))
        for part in self.parts:
            found, of_part = part.settled(load, each, stop, fixed_kw)
            runs += of_part
            for name, array in flows.items():
                array[part.sites] = found[name]
        for block in self._blocks:
            settled = block.settled(load)[1]
            for name, array in flows.items():
                array[block.sites] = settled[PLAIN_FLOWS.get(name, name)]
        problem = self.problem
        order = {(problem.sites[placed.site], placed.asset.name): k for k, placed in enumerate(problem.assets)}
        return flows, tuple(sorted(runs, key=lambda run: order[run.site, run.asset]))

    def standing(self, load: FloatArray, lam: FloatArray, reluctance: float, *, must: bool = False) -> Standing:
        """What stands beside a load, ``[S, T]`` kW of IT (arguments as of ``FullEnergy.answer``).

        Raises:
            OutOfTimeError: there was no time for it.
            SolverError: no optimum, with the status of HiGHS.
        """
        problem, peaks = self.problem, len(self.problem.window_peaks)
        found = Standing(problem.fixed_kw.copy(), np.zeros(load.shape), np.zeros(peaks), np.zeros(peaks))
        for part in self.parts:
            answer = part.answer(load, lam, reluctance, must=must)
            found.other_kw[part.sites], found.extra[part.sites] = answer.other_kw, answer.extra
            mine = [n for n, peak in enumerate(problem.window_peaks) if peak.site in part.sites]
            found.peak_kw[mine], found.shared[mine] = answer.peak_kw, answer.shared
        return found
