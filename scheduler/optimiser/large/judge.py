"""What a plan costs: the exact energy side as the judge of every candidate, and the best one without overload.

The moves of jobs (``primal``) know costs only as their cells have them; here they are exact.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from grid.errors import SolverError
from grid.horizon import FloatArray
from scheduler.optimiser.large.case import Case, IntArray, Solution
from scheduler.optimiser.large.decisions import load_and_use, own_costs, solution_of
from scheduler.optimiser.large.dual import Dual
from scheduler.optimiser.large.energy import BINARY_SECONDS, EnergyBlock, feeder_sites
from scheduler.optimiser.large.state import State, jobs_of, new_state

UNSERVED_KWH = 1e-6
"""Unserved load up to which a plan serves everything."""


class Judge:
    """A plan under construction and the best one found.

    Attributes:
        case: the problem; dual: its price search.
        jobs, state: of the plan under construction.
        objective, unserved_kwh: of the best plan: EUR, and load that it leaves unserved beyond what no placement of jobs could
            serve, kWh (0 where that only has a price); infinite while there is none.
        best: its decisions.
    """

    def __init__(self, case: Case, dual: Dual) -> None:
        self.case, self.dual = case, dual
        self.jobs = jobs_of(case)
        self.state: State = new_state(case, self.jobs)
        self._blocks = [EnergyBlock(case, sites, np.full((case.S, case.T), np.inf), feeders=True) for sites in feeder_sites(case)]
        self._battery = dual.battery.copy()
        self._dark = np.zeros((case.S, case.T))
        self._never_served_kwh: float | None = None
        self.objective, self.unserved_kwh, self.best = np.inf, np.inf, self._snapshot()

    def judge(self, origin: str, report: Callable[[str], None] | None = None) -> float:
        """Exact objective of the plan as it stands; keeps it when it is the best without overload."""
        case, state = self.case, self.state
        total, self._battery = self.energy(state.load)
        own, copies = float(state.own.sum()), float(case.mc[state.copies > 0].sum())
        total += own + copies
        clean = bool((state.use <= case.cap + 1e-6).all())
        if clean and (self.unserved_now(), total) < self.rank:
            self.objective, self.unserved_kwh, self.best = total, self.unserved_now(), self._snapshot()
        if report is not None:
            gap = (total - self.dual.bound) / max(1e-9, abs(total))
            how, dropped = "" if clean else " (overloaded)", int((state.choice < 0).sum())
            report(f"{origin}: {total:.3f} EUR{how}, gap {gap:.4f}, dropped {dropped}, copies {copies:.2f}")
        return total

    @property
    def rank(self) -> tuple[float, float]:
        """Unserved load (kWh, beyond what is inevitable) and objective (EUR) of the best plan: lower is better."""
        return self.unserved_kwh, self.objective

    def energy(self, load: FloatArray) -> tuple[float, FloatArray]:
        """Exact energy cost of a load and the battery power, ``[S, T]`` kW; what goes unserved is kept for ``unserved_now``."""
        total, battery, dark = 0.0, np.zeros_like(load), np.zeros_like(load)
        for block in self._blocks:
            value, flows = block.fix_load(load)
            total += value
            battery[block.sites] = flows["charge"] - flows["discharge"]
            dark[block.sites] = flows["unserved"]
        self._dark = dark
        return total, battery

    def dark_kw(self, load: FloatArray) -> FloatArray:
        """What ``load`` leaves unserved, ``[S, T]`` kW."""
        self.energy(load)
        return self._dark.copy()

    def unserved_now(self) -> float:
        """What the load of the last ``energy`` leaves unserved beyond what no jobs would, kWh; 0 where that only has a price."""
        kwh = float(self._dark.sum()) * self.case.dt
        if not self.case.must_serve or kwh <= UNSERVED_KWH:
            return 0.0
        if self._never_served_kwh is None:
            dark = self._dark
            self.energy(np.zeros_like(dark))
            self._never_served_kwh, self._dark = float(self._dark.sum()) * self.case.dt, dark
        beyond = kwh - self._never_served_kwh
        return beyond if beyond > UNSERVED_KWH else 0.0

    def settle(self) -> float:
        """Exact objective of the best plan, battery directions included; there must be one.

        Raises:
            SolverError: the plan overloads a site, or the energy side could not be solved.
        """
        case, found = self.case, self.solution()
        load, use = load_and_use(case, found)
        if (use > case.cap + 1e-6).any():
            raise SolverError("the plan found overloads a site: this is a fault of the solver")
        runs = found.choice >= 0
        copies = np.unique(case.em[found.choice[runs]])
        total = float(case.drop[~runs].sum() + own_costs(case, found).sum() + case.mc[copies[copies >= 0]].sum())
        settled = [block.settled(load, BINARY_SECONDS / len(self._blocks)) for block in self._blocks]
        self.flows: list[dict[str, FloatArray]] = [flows for _, flows in settled]
        self.objective = total + sum(value for value, _ in settled)
        return self.objective

    @property
    def blocks(self) -> list[EnergyBlock]:
        """Energy side of each feeder, in the order of ``flows``."""
        return self._blocks

    def solution(self) -> Solution:
        """The best plan."""
        return solution_of(self.case, self.jobs.room, *self.best)

    def _snapshot(self) -> tuple[IntArray, IntArray, IntArray, FloatArray, FloatArray]:
        s = self.state
        return s.choice.copy(), s.length.copy(), s.slot.copy(), s.kw.copy(), s.part.copy()
