"""What one more unit of everything scarce is worth, per site and slot: energy, capacity, flexibility.

For problems of the reference all figures are duals of the linear relaxation of the optimiser's whole model (at scale:
``scheduler.answers.values_at_scale``): jobs may be split there, so energy has one price in each slot, battery, connection and
the times of all jobs adapted to it. That is why they come from the relaxation and not from the plan: a plan of whole jobs has no
price for a small change. They hold for small changes; where an optimum lies in a corner, one more and one less are worth
differently, and a dual lies between the two.

==============================  ==========================================================================================
``facility_eur_per_kwh``        cost of one kWh more of facility load (dual of ``balance``)
``it_eur_per_kwh``              cost of one kWh more of IT load: the same times PUE
``capacity_eur_per_h``          saving by one more core (GPU, GB) for an hour: dual of ``capacity``; where power is
                                proportional to a resource, its capacity is the bound of ``job_kw``, and the dual is that
                                bound's. 0 where the model has no row because another resource is always scarcer
``import_eur_per_kwh``          saving by one kW more of import limit for an hour: dual of the bound of ``import_kw``
``export_eur_per_kwh``          the same for export
``battery_energy_eur_per_kwh``  saving by one kWh more of battery over the horizon: duals of the bounds of ``soc_kwh``, summed
``battery_power_eur_per_kw``    saving by one kW more of charging and discharging power: duals of their bounds, summed
==============================  ==========================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grid.errors import SolverError
from grid.horizon import FloatArray
from scheduler.optimiser.codec import cells
from scheduler.optimiser.compiled import Compiled, compile_model
from scheduler.optimiser.highs import Answer, Limits, solve_linear
from scheduler.optimiser.interrupt import Interruption
from scheduler.optimiser.model import ModelParts, build_model
from scheduler.optimiser.seam import at_scale
from scheduler.policies import Progress, silent
from scheduler.problem import RESOURCES, Problem

AT_BOUND = 1e-7
"""A column within this of its upper bound is at it."""


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """Marginal values; arrays ``[S, T]``, those of batteries ``[S]``. Savings are positive, costs of load too.

    Attributes:
        objective_eur: optimum of the relaxation or bound of the decomposition, a lower limit of every plan.
        facility_eur_per_kwh, it_eur_per_kwh: cost of one kWh more of load.
        capacity_eur_per_h: by resource, saving by one more of it for an hour.
        import_eur_per_kwh, export_eur_per_kwh: saving by one kW more of limit for an hour.
        battery_energy_eur_per_kwh, battery_power_eur_per_kw: saving over the horizon.
        source: what the figures are duals of: ``relaxation`` or ``decomposition``.
    """

    objective_eur: float
    facility_eur_per_kwh: FloatArray
    it_eur_per_kwh: FloatArray
    capacity_eur_per_h: dict[str, FloatArray]
    import_eur_per_kwh: FloatArray
    export_eur_per_kwh: FloatArray
    battery_energy_eur_per_kwh: FloatArray
    battery_power_eur_per_kw: FloatArray
    source: str = "relaxation"


def values(problem: Problem, progress: Progress = silent) -> Values:
    """Marginal values of ``problem``, from the solver that would plan it.

    Raises:
        SolverError: the relaxation could not be solved in the scenario's time.
    """
    if at_scale(problem, progress):
        from scheduler.answers.values_at_scale import values_at_scale

        return values_at_scale(problem, progress)
    from pyomo.common.gc_manager import PauseGC

    with PauseGC():
        parts = build_model(problem)
        model = compile_model(parts)
    with Interruption() as stop:
        answer = solve_linear(model, Limits(problem.settings.time_limit_s), stop)
        if answer.row_dual is None:
            answer = solve_linear(model, Limits(problem.settings.time_limit_s), stop, method="simplex")
    if answer.row_dual is None or answer.column_dual is None or answer.values is None or answer.objective is None:
        raise SolverError(f"the relaxation has no prices: {answer.words}")
    return _read(parts, model, answer)


def _read(parts: ModelParts, model: Compiled, answer: Answer) -> Values:
    """Values from the duals."""
    problem, shape = parts.problem, parts.problem.fixed_kw.shape
    step_h = problem.horizon.step_h
    duals = answer.row_dual if answer.row_dual is not None else np.zeros(len(model.row_lower))
    balance = _rows(model, "balance", duals, shape) / step_h

    def saved(family: str) -> FloatArray:
        """Saving by a higher upper bound of a family, EUR per unit of the bound, ``[S, T]``."""
        return cells(model, family, _bound_savings(model, answer), shape)

    capacity = {name: np.zeros(shape) for name in RESOURCES}
    for (r, s, t), row in model.rows.get("capacity", {}).items():
        capacity[RESOURCES[r]][s, t] = max(0.0, -duals[row]) / step_h
    job_kw = saved("job_kw")
    for s, (r, kw_per_unit) in parts.proportional.items():
        capacity[RESOURCES[r]][s] += kw_per_unit * job_kw[s] / step_h
    return Values(
        objective_eur=float(answer.objective or 0.0),
        facility_eur_per_kwh=balance,
        it_eur_per_kwh=balance * problem.pue,
        capacity_eur_per_h=capacity,
        import_eur_per_kwh=saved("import_kw") / step_h,
        export_eur_per_kwh=saved("export_kw") / step_h,
        battery_energy_eur_per_kwh=saved("soc_kwh").sum(axis=1),
        battery_power_eur_per_kw=(saved("charge_kw") + saved("discharge_kw")).sum(axis=1),
    )


def _bound_savings(model: Compiled, answer: Answer) -> FloatArray:
    """For each column, what a higher upper bound saves per unit: minus its reduced cost where it lies at that bound."""
    if answer.column_dual is None or answer.values is None:
        return np.zeros(len(model.cost))
    at = np.isfinite(model.upper) & (answer.values >= model.upper - AT_BOUND)
    saving: FloatArray = np.where(at, np.maximum(0.0, -answer.column_dual), 0.0)
    return saving


def _rows(model: Compiled, family: str, duals: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Duals of a family indexed by site and slot, ``[S, T]``."""
    found = np.zeros(shape)
    for cell, row in model.rows.get(family, {}).items():
        found[cell] = duals[row]
    return found
