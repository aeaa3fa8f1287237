"""The price search of a problem whose energy side a case cannot say: the bound from all its rows, the answers from a simpler one.

The simpler problem (``simplified``) has everything that stands at a meter beside the jobs as fixed load, as the whole energy
side does it for the load of now. Prices are driven on that; with the load, what stands beside it moves, step by step. What a
kW of IT power costs or earns through other rows (heat that it gives, nodes that it wakes) is added to its price.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from grid.assets.battery import Battery
from grid.horizon import FloatArray
from scheduler.asset_runs import AssetRun
from scheduler.optimiser.highs import Limits, StopAsked
from scheduler.optimiser.large.case import Case
from scheduler.optimiser.large.dual import FEEDER_STEP, Dual, event_grid
from scheduler.optimiser.large.energy import EnergyBlock, feeder_sites
from scheduler.optimiser.large.full_energy import FLOWS, FullEnergy
from scheduler.optimiser.large.site_part import sites_beyond
from scheduler.optimiser.large.translate import case_of
from scheduler.optimiser.sleep_rows import dearest_core_kw
from scheduler.problem import EventLimit, Problem, WindowPeak

PLAIN_FLOWS = {"renewable_used": "renewable"}
"""Names of ``FLOWS`` that are others in an ``EnergyBlock``."""

ANSWER_STEP = 0.5
"""How far what stands beside the jobs moves towards the newest answer."""

RELUCTANT, READY = 0.3, 0.03
"""``reluctance`` of the energy side at first and once prices have settled."""

READY_SWEEPS = 100
"""Sweeps after which it is least."""

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


class Meters:
    """The whole energy side of a problem: of the sites that need it by ``FullEnergy``, each part of what is tied on its own.

    Args:
        problem: the problem.
        case: a case of its sites, slots and ties.
        most_kw: no load of jobs can be above this, ``[S, T]``.
    """

    def __init__(self, problem: Problem, case: Case, most_kw: FloatArray) -> None:
        self.problem, self.case = problem, case
        beyond, dearest = sites_beyond(problem), dearest_core_kw(problem)
        self.parts = [FullEnergy(problem, sites, dearest, most_kw) for sites in feeder_sites(case) if beyond[sites].any()]
        self.plain = [sites for sites in feeder_sites(case) if not beyond[sites].any()]
        endless = np.full(problem.fixed_kw.shape, np.inf)
        self.blocks = [EnergyBlock(case, sites, endless, feeders=True) for sites in self.plain]

    def relaxed_eur(self, load: FloatArray) -> float:
        """Least energy cost of a load, ``[S, T]`` kW of IT, when nothing must be whole, EUR.

        Raises:
            SolverError: no optimum, with the status of HiGHS.
        """
        return sum(part.relaxed_eur(load) for part in self.parts) + sum(block.fix_load(load)[0] for block in self.blocks)

    def settled(self, load: FloatArray, limits: Limits, stop: StopAsked) -> tuple[dict[str, FloatArray], tuple[AssetRun, ...]]:
        """Flows (``FLOWS``, ``[S, T]`` kW) and runs of assets, in their order, for a load, with everything whole that must be.

        Args:
            load: ``[S, T]`` kW of IT.
            limits: for all parts together.
            stop: asked often.

        Raises:
            SolverError: no answer keeps every rule.
        """
        flows, runs = {name: np.zeros(load.shape) for name in FLOWS}, list[AssetRun]()
        each = replace(limits, time_s=limits.time_s / max(1, sum(part.whole for part in self.parts)))
        for part in self.parts:
            found, of_part = part.settled(load, each, stop)
            runs += of_part
            for name, array in flows.items():
                array[part.sites] = found[name]
        for block in self.blocks:
            settled = block.settled(load)[1]
            for name, array in flows.items():
                array[block.sites] = settled[PLAIN_FLOWS.get(name, name)]
        problem = self.problem
        order = {(problem.sites[placed.site], placed.asset.name): k for k, placed in enumerate(problem.assets)}
        return flows, tuple(sorted(runs, key=lambda run: order[run.site, run.asset]))

    def standing(self, load: FloatArray, lam: FloatArray, reluctance: float) -> Standing:
        """What stands beside a load, ``[S, T]`` kW of IT (arguments as of ``FullEnergy.answer``).

        Raises:
            SolverError: no optimum, with the status of HiGHS.
        """
        problem = self.problem
        found = Standing(
            problem.fixed_kw.copy(),
            np.zeros(load.shape),
            np.zeros(len(problem.window_peaks)),
            np.zeros(len(problem.window_peaks)),
        )
        for part in self.parts:
            answer = part.answer(load, lam, reluctance)
            found.other_kw[part.sites], found.extra[part.sites] = answer.other_kw, answer.extra
            mine = [n for n, peak in enumerate(problem.window_peaks) if peak.site in part.sites]
            found.peak_kw[mine], found.shared[mine] = answer.peak_kw, answer.shared
        return found


def simplified(problem: Problem, standing: Standing) -> Problem:
    """``problem`` as a case can say it, with what stands beside its jobs."""
    events = [of_peak for n, peak in enumerate(problem.window_peaks) for of_peak in _as_events(problem, peak, n, standing)]
    return replace(
        problem,
        fixed_kw=np.maximum(0.0, standing.other_kw),
        renewable_kw=problem.renewable_kw + np.maximum(0.0, -standing.other_kw),
        export_eur_per_kwh=np.minimum(problem.export_eur_per_kwh, problem.import_weight_eur_per_kwh),
        batteries=tuple(_evenly_worn(unit) for unit in problem.batteries),
        events=(*problem.events, *events),
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


def _as_events(problem: Problem, peak: WindowPeak, number: int, standing: Standing) -> list[EventLimit]:
    """Import above the level of a window's peak at its price, for each run of its slots."""
    level = max(peak.reached_kw, LOWERED * float(standing.peak_kw[number]))
    price = float(standing.shared[number]) / problem.horizon.step_h
    slots = np.array(peak.slots)
    runs = np.split(slots, np.flatnonzero(np.diff(slots) != 1) + 1)
    return [EventLimit(peak.name, peak.site, int(run[0]), int(run[-1]) + 1, level, price) for run in runs]


def _evenly_worn(unit: Battery | None) -> Battery | None:
    """A battery whose wear by depth is that of its mean layer, at any depth."""
    if unit is None or unit.wear is None:
        return unit
    mean = sum(share * price for share, price in unit.wear.layers)
    return replace(unit, wear=None, wear_eur_per_kwh=unit.wear_eur_per_kwh + mean / unit.discharge_efficiency)


class FullDual(Dual):
    """The price search of ``problem``, on what ``simplified`` makes of it.

    Args:
        problem: with something that a case cannot say, without migrations.
        seed: of the order of sweeps.

    Raises:
        SolverError: the energy side could not be solved.
    """

    def __init__(self, problem: Problem, seed: int = 0) -> None:
        nothing = np.zeros(len(problem.window_peaks))
        alone = Standing(problem.fixed_kw, np.zeros(problem.fixed_kw.shape), nothing, nothing)
        super().__init__(case_of(simplified(problem, alone)), seed=seed)
        self.meters = Meters(problem, self.case, self.most)
        self.blocks = [EnergyBlock(self.case, sites, self.most, feeders=True) for sites in self.meters.plain]
        self.standing = self.meters.standing(np.minimum(even_load(problem), self.most), self.lam, RELUCTANT)
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
        total = sum(block.price_load(lam)[0] for block in self.blocks)
        total += sum(part.price_load(lam) for part in self.meters.parts)
        late = min(1.0, self.age / READY_SWEEPS)
        newest = self.meters.standing(np.clip(self.load, 0.0, self.most), lam, RELUCTANT * (READY / RELUCTANT) ** late)
        self.standing = self.standing.towards(newest, ANSWER_STEP)
        self._stand()
        if (self.case.fid >= 0).any() or len(self.case.rows):
            tied = [EnergyBlock(self.case, part.sites, self.most, feeders=True) for part in self.meters.parts]
            for block in tied:
                block.price_load(lam - self.standing.extra)
            adder = sum((block.feeder_adders() for block in (*tied, *self.blocks)), np.zeros(lam.shape))
            self.adder = (1.0 - FEEDER_STEP) * self.adder + FEEDER_STEP * adder
        return total

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
