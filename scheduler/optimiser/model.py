"""The MILP as a Pyomo model: variables here, one constraint family a function in the modules beside it.

Letters: ``c`` class of identical jobs, ``e`` option of it (a site), ``m`` migration, ``o`` target of it, ``s`` site,
``t`` slot, ``v`` event, ``r`` resource. Powers kW, energies kWh, money EUR; the sign convention is that of ``docs/model.md``.

Variables (all not negative):

========================  ====================================================================================
``start[c, e, t]``        number of rigid jobs of the class that start there and then (whole)
``at_site[c, e]``         number of interruptible jobs of the class at that site (whole)
``run[c, e, t]``          number of interruptible jobs of the class that run there and then (whole)
``drop[c]``               number of jobs of the class that do not run
``chosen[m, o]``          1 when the migration goes to that target (binary)
``share[m, o, t]``        share of the full rate of the transfer
``undone[m]``             1 when a required migration is not done
``job_kw[s, t]``          IT power of jobs
``it_kw[s, t]``           IT power of jobs and transfers
``import_kw, export_kw, renewable_used_kw, charge_kw, discharge_kw, soc_kwh, unserved_kw [s, t]``
``peak_excess_kw[s]``     highest import above the peak already reached
``overshoot_kw[v, t]``    net import above an event's limit
``soc_missing_kwh[s]``    energy missing in the battery at the end
``importing[s, t]``       1 import, 0 export: only where exporting could earn more than importing costs (binary)
``charging[s, t]``        1 charge, 0 discharge: only where burning energy could pay (binary)
========================  ====================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scheduler.optimiser.classes import JobClass, job_classes
from scheduler.problem import Problem

Row = tuple[list[float], list[Any]]
"""Coefficients and Pyomo variables of a linear sum under construction."""


@dataclass(slots=True)
class ModelParts:
    """A Pyomo model under construction and what it was made from.

    Attributes:
        problem: the problem.
        classes: job classes that can run somewhere.
        model: the ``ConcreteModel``.
        impossible_eur: price of the jobs that can run nowhere: a constant of the objective.
        proportional: resource index and kW per unit of it, by site, where the power of every job is proportional to its
            use of that resource, so that its capacity is a limit on ``job_kw``.
    """

    problem: Problem
    classes: tuple[JobClass, ...]
    model: Any
    impossible_eur: float
    proportional: dict[int, tuple[int, float]] = field(default_factory=dict)

    def linear(self, row: Row, constant: float = 0.0) -> Any:
        """A linear expression of ``row``."""
        from pyomo.core.expr.numeric_expr import LinearExpression

        return LinearExpression(constant=constant, linear_coefs=row[0], linear_vars=row[1])


def build_model(problem: Problem) -> ModelParts:
    """The whole MILP of ``problem``."""
    import pyomo.environ as pyo

    from scheduler.optimiser import data_rows, energy_rows, job_rows, objective_rows

    classes = job_classes(problem)
    possible = {j for group in classes for j in group.members}
    impossible = sum(task.drop_eur for j, task in enumerate(problem.jobs) if j not in possible)
    parts = ModelParts(problem, classes, pyo.ConcreteModel(), float(impossible))
    _job_variables(parts, pyo)
    _data_variables(parts, pyo)
    _energy_variables(parts, pyo)
    for family in (*job_rows.FAMILIES, *data_rows.FAMILIES, *energy_rows.FAMILIES):
        family(parts)
    objective_rows.add_objective(parts)
    return parts


def add_rows(parts: ModelParts, name: str, rows: Iterable[tuple[Any, Any]]) -> None:
    """Add the constraint family ``name`` from pairs of index and relation."""
    import pyomo.environ as pyo

    relations = dict(rows)
    setattr(parts.model, name, pyo.Constraint(list(relations), rule=lambda _, *key: relations[key if len(key) > 1 else key[0]]))


def _job_variables(parts: ModelParts, pyo: Any) -> None:
    """Variables of jobs, only where a job can be."""
    rigid, slots, places = [], [], []
    for c, group in enumerate(parts.classes):
        for e, possible in enumerate(group.slots):
            if group.rigid:
                rigid += [(c, e, t) for t in possible]
            elif possible:
                places.append((c, e))
                slots += [(c, e, t) for t in possible]
    parts.model.start = pyo.Var(rigid, domain=pyo.NonNegativeIntegers)
    parts.model.at_site = pyo.Var(places, domain=pyo.NonNegativeIntegers)
    parts.model.run = pyo.Var(slots, domain=pyo.NonNegativeIntegers)
    droppable = [c for c, group in enumerate(parts.classes) if not group.task.pinned]
    parts.model.drop = pyo.Var(droppable, domain=pyo.NonNegativeReals)


def _data_variables(parts: ModelParts, pyo: Any) -> None:
    """Variables of migrations, only in their window."""
    options, shares = [], []
    for m, task in enumerate(parts.problem.migrations):
        for o in range(len(task.options)):
            options.append((m, o))
            shares += [(m, o, t) for t in range(task.release, task.deadline)]
    parts.model.chosen = pyo.Var(options, domain=pyo.Binary)
    parts.model.share = pyo.Var(shares, domain=pyo.NonNegativeReals, bounds=(0, 1))
    required = [m for m, task in enumerate(parts.problem.migrations) if task.required]
    parts.model.undone = pyo.Var(required, domain=pyo.NonNegativeReals)


def _energy_variables(parts: ModelParts, pyo: Any) -> None:
    """Variables of power and energy with their simple bounds."""
    problem, model = parts.problem, parts.model
    sites, slots = range(len(problem.sites)), range(problem.horizon.slots)
    cells = [(s, t) for s in sites for t in slots]
    stored = [(s, t) for s, t in cells if problem.batteries[s] is not None]
    green = [(s, t) for s, t in cells if problem.renewable_kw[s, t] > 0]

    def limited(array: np.ndarray[Any, Any]) -> Any:
        return lambda _, s, t: (0.0, float(array[s, t]))

    def battery(value: Any) -> Any:
        return lambda _, s, _t: value(problem.batteries[s], s)

    model.job_kw = pyo.Var(cells, domain=pyo.NonNegativeReals)
    model.it_kw = pyo.Var(cells, domain=pyo.NonNegativeReals)
    model.import_kw = pyo.Var(cells, bounds=limited(problem.import_limit_kw))
    model.export_kw = pyo.Var(cells, bounds=limited(problem.export_limit_kw))
    model.renewable_used_kw = pyo.Var(green, bounds=limited(problem.renewable_kw))
    model.unserved_kw = pyo.Var(cells, domain=pyo.NonNegativeReals)
    model.charge_kw = pyo.Var(stored, bounds=battery(lambda unit, _: (0.0, unit.charge_kw)))
    model.discharge_kw = pyo.Var(stored, bounds=battery(lambda unit, _: (0.0, unit.discharge_kw)))
    floor = battery(lambda unit, s: (min(unit.reserve_soc_kwh, problem.initial_soc_kwh[s]), unit.energy_kwh))
    model.soc_kwh = pyo.Var(stored, bounds=floor)
    model.soc_missing_kwh = pyo.Var([s for s in sites if problem.batteries[s]], domain=pyo.NonNegativeReals)
    model.peak_excess_kw = pyo.Var([s for s in sites if problem.peak_eur_per_kw[s] > 0], domain=pyo.NonNegativeReals)
    events = [(v, t) for v, event in enumerate(problem.events) for t in range(event.start, event.end)]
    model.overshoot_kw = pyo.Var(events, domain=pyo.NonNegativeReals)
    model.importing = pyo.Var([cell for cell in cells if export_pays(problem, *cell)], domain=pyo.Binary)
    model.charging = pyo.Var([cell for cell in stored if burning_pays(problem, cell[0])], domain=pyo.Binary)


def export_pays(problem: Problem, site: int, slot: int) -> bool:
    """True where selling what was bought in the same slot would pay, so that a binary must forbid it."""
    return bool(problem.export_eur_per_kwh[site, slot] > problem.import_weight_eur_per_kwh[site, slot])


def burning_pays(problem: Problem, site: int) -> bool:
    """True where charging and discharging at once could pay: only when energy itself has a negative price somewhere.

    Surplus can always be curtailed for nothing, so with import weights at or above zero energy is never worth less
    than nothing, and losing it in the battery gains nothing.
    """
    return bool((problem.import_weight_eur_per_kwh[site] < 0).any())
