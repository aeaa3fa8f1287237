"""What a change of IT power costs when the battery keeps to its planned power.

With the battery fixed, the cost of a slot is a convex piecewise-linear function of the site's net load: lost export
revenue (or nothing, where it would be curtailed) while sun and wind last, then import with its carbon, an event's
penalty above its limit, the peak charge above the peak that is paid anyway, and the price of unserved load at the end.
A real optimum may also move the battery, so these figures never understate what a change costs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grid.horizon import FloatArray
from scheduler.last_resort import last_resorts
from scheduler.plan import EnergySchedule
from scheduler.problem import Problem


@dataclass(slots=True)
class Meter:
    """Cost of every site and slot as a function of net load.

    Attributes:
        problem: prices and limits.
        demand_kw: facility load plus charge minus discharge, ``[S, T]``; changed by ``add``.
        peak_kw: import that is paid for anyway, ``[S]``.
        window_kw: the same for each peak charge of its own (``Problem.window_peaks``).
        unserved_eur_per_kwh: price of last resort of unserved load, ``[S]``.
    """

    problem: Problem
    demand_kw: FloatArray
    peak_kw: FloatArray
    unserved_eur_per_kwh: FloatArray
    window_kw: tuple[float, ...] = ()

    @classmethod
    def of(cls, problem: Problem, energy: EnergySchedule) -> Meter:
        """The meter around a planned energy schedule."""
        demand = energy.load_kw + energy.charge_kw - energy.discharge_kw
        peak = np.maximum(problem.peak_reached_kw, energy.import_kw.max(axis=1))
        unserved = np.array([price.unserved_eur_per_kwh for price in last_resorts(problem)])
        windows = (
            max(charge.reached_kw, float(energy.import_kw[charge.site, list(charge.slots)].max()))
            for charge in problem.window_peaks
        )
        return cls(problem, demand, peak, unserved, tuple(windows))

    def add(self, site: int, slots: list[int], it_kw: float | FloatArray) -> None:
        """Add IT power (kW, may be negative; one number, or one a slot) in some slots."""
        self.demand_kw[site, slots] += self.problem.pue[site, slots] * it_kw

    def import_kw(self, site: int, extra_it_kw: float | FloatArray = 0.0) -> FloatArray:
        """Import of each slot with extra IT power, ``[T]`` kW."""
        problem = self.problem
        net = self.demand_kw[site] + problem.pue[site] * extra_it_kw - problem.renewable_kw[site]
        imported: FloatArray = np.clip(net, 0.0, problem.import_limit_kw[site])
        return imported

    def cost_eur(self, site: int, extra_it_kw: float | FloatArray = 0.0) -> FloatArray:
        """Cost of each slot with extra IT power, ``[T]`` EUR; a peak that several slots raise is counted in each."""
        problem = self.problem
        net = self.demand_kw[site] + problem.pue[site] * extra_it_kw - problem.renewable_kw[site]
        imported = np.clip(net, 0.0, problem.import_limit_kw[site])
        unserved = np.maximum(net, 0.0) - imported
        price = problem.export_eur_per_kwh[site]
        exported = np.where(price > 0, np.clip(-net, 0.0, problem.export_limit_kw[site]), 0.0)
        rate = problem.import_weight_eur_per_kwh[site] * imported - price * exported
        rate = rate + self.unserved_eur_per_kwh[site] * unserved
        for event in problem.events:
            if event.site == site:
                over = np.maximum(0.0, (imported - exported)[event.start : event.end] - event.limit_kw)
                rate[event.start : event.end] += event.penalty_eur_per_kwh * over
        peak = problem.peak_eur_per_kw[site] * np.maximum(0.0, imported - self.peak_kw[site])
        for charge, paid_kw in zip(problem.window_peaks, self.window_kw, strict=False):
            if charge.site == site:
                slots = list(charge.slots)
                peak[slots] += charge.eur_per_kw * np.maximum(0.0, imported[slots] - paid_kw)
        cost: FloatArray = problem.horizon.step_h * rate + peak
        return cost

    def extra_eur(self, site: int, it_kw: float | FloatArray) -> FloatArray:
        """What extra IT power would cost in each slot, ``[T]`` EUR."""
        return self.cost_eur(site, it_kw) - self.cost_eur(site)

    def extra_carbon_kg(self, site: int, it_kw: float | FloatArray) -> FloatArray:
        """Carbon of the import that extra IT power would cause in each slot (intensity of the objective), ``[T]`` kg."""
        more = self.import_kw(site, it_kw) - self.import_kw(site)
        carbon: FloatArray = self.problem.horizon.step_h * more * self.problem.carbon_g_per_kwh[site] / 1000.0
        return carbon

    def surplus_kw(self, site: int) -> FloatArray:
        """Sun and wind above what the site draws, ``[T]`` kW."""
        surplus: FloatArray = np.maximum(0.0, self.problem.renewable_kw[site] - self.demand_kw[site])
        return surplus
