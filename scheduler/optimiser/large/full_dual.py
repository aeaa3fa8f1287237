"""The price search of a problem whose energy side a case cannot say: the bound from all its rows, the answers from a simpler one.

Prices are driven on the simpler problem (``simpler``); with the load, what stands beside it moves, step by step. What a kW of IT
power costs or earns through other rows (heat that it gives, nodes that it wakes) is in ``lam``, and is taken off it before the
simpler energy side is asked.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from grid.horizon import FloatArray
from scheduler.optimiser.large.dual import FEEDER_STEP, Dual, event_grid
from scheduler.optimiser.large.energy import EnergyBlock
from scheduler.optimiser.large.full_energy import OutOfTimeError
from scheduler.optimiser.large.meters import Meters
from scheduler.optimiser.large.simpler import alone, simplified
from scheduler.optimiser.large.site_part import sites_beyond
from scheduler.optimiser.large.translate import case_of
from scheduler.problem import Problem

ANSWER_STEP = 0.5
"""How far what stands beside the jobs moves towards the newest answer."""

RELUCTANT, READY = 0.3, 0.03
"""``reluctance`` of the energy side at first and once prices have settled."""

READY_SWEEPS = 100
"""Sweeps after which it is least."""


class FullDual(Dual):
    """The price search of ``problem``, on what ``simplified`` makes of it.

    Args:
        problem: with something that a case cannot say, without migrations.
        seed: of the order of sweeps.

    Raises:
        SolverError: the energy side could not be solved.
    """

    def __init__(self, problem: Problem, seed: int = 0) -> None:
        super().__init__(case_of(simplified(problem, alone(problem))), seed=seed)
        self.meters = Meters(problem, self.case, self.most, sites_beyond(problem))
        self.blocks = [EnergyBlock(self.case, sites, self.most, feeders=True) for sites in self.meters.plain]
        shared = self.case.rows.site
        tied = [part.sites for part in self.meters.parts]
        self._tied = [sites for sites in tied if (self.case.fid[sites] >= 0).any() or np.isin(sites, shared).any()]
        self.standing = self.meters.standing(np.minimum(even_load(problem), self.most), self.lam, RELUCTANT, must=True)
        self._stand()

    def marginals(self, lam: FloatArray) -> dict[str, FloatArray]:
        """As of any price search, from all rows of the energy side."""
        found = super().marginals(lam)
        for part in self.meters.parts:
            for name, array in part.marginals(lam).items():
                found[name][part.sites] = array
        return found

    def _answer(self, rho: FloatArray) -> None:
        self.lam = self.lam - self.standing.extra
        super()._answer(rho)
        self.lam = self.lam + self.standing.extra

    def _energy_bound(self, lam: FloatArray) -> float:
        """As of any price search; minus infinity where there is a bound already and no time for another one."""
        must = not np.isfinite(self.bound)
        try:
            total = sum(block.price_load(lam)[0] for block in self.blocks)
            total += sum(part.price_load(lam, must=must) for part in self.meters.parts)
            late = min(1.0, self.age / READY_SWEEPS)
            reluctance = RELUCTANT * (READY / RELUCTANT) ** late
            newest = self.meters.standing(np.clip(self.load, 0.0, self.most), lam, reluctance, must=must)
        except OutOfTimeError:
            return -np.inf
        self.standing = self.standing.towards(newest, ANSWER_STEP)
        self._stand()
        self._adders(lam)
        return total

    def _adders(self, lam: FloatArray) -> None:
        """Move the price of what sites share towards that of the simpler problem."""
        if not self._tied and not (self.case.fid >= 0).any() and not len(self.case.rows):
            return
        blocks = [EnergyBlock(self.case, sites, self.most, feeders=True) for sites in self._tied]
        for block in blocks:
            block.price_load(lam - self.standing.extra)
        adder = sum((block.feeder_adders() for block in (*blocks, *self.blocks)), np.zeros(lam.shape))
        self.adder = (1.0 - FEEDER_STEP) * self.adder + FEEDER_STEP * adder

    def _stand(self) -> None:
        """Put what stands beside the jobs now into the case."""
        simpler = simplified(self.meters.problem, self.standing)
        self.case.a[:], self.case.ren[:] = simpler.fixed_kw, simpler.renewable_kw
        events = simpler.events
        self.events = event_grid(
            replace(
                self.case,
                dr_site=np.array([event.site for event in events], dtype=np.int64),
                dr_start=np.array([event.start for event in events], dtype=np.int64),
                dr_end=np.array([event.end for event in events], dtype=np.int64),
                dr_limit_kw=np.array([event.limit_kw for event in events]),
                dr_penalty=np.array([event.penalty_eur_per_kwh for event in events]),
            )
        )


def even_load(problem: Problem) -> FloatArray:
    """IT power of jobs that are spread evenly over their sites and windows, ``[S, T]`` kW."""
    change = np.zeros((len(problem.sites), problem.horizon.slots + 1))
    for task in problem.jobs:
        for option in task.options:
            first = max(task.release, option.earliest)
            if first < task.deadline:
                power = option.power_kw * task.work / (task.deadline - first) / len(task.options)
                change[option.site, first] += power
                change[option.site, task.deadline] -= power
    load: FloatArray = np.cumsum(change, axis=1)[:, :-1]
    return load
