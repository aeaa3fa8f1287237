"""The MILP as a Pyomo model: variables here, one constraint family a function in the modules beside it.

Letters: ``c`` class of identical jobs, ``e`` option of it (a site), ``k`` mode of a malleable job, ``m`` migration, ``o`` target
of it, ``s`` site, ``t`` slot, ``v`` event, ``r`` resource, ``q`` copy, ``f`` feeder, ``i`` place in its chain. Powers kW,
energies kWh, money EUR; the sign convention is that of ``docs/model.md``.

Variables (all not negative but ``flow_kw`` and ``drop_pu``):

========================  ====================================================================================
``start[c, e, t]``        number of rigid jobs of the class that start there and then (whole)
``at_site[c, e]``         number of interruptible or malleable jobs of the class at that site (whole)
``run[c, e, t]``          number of interruptible jobs of the class that run there and then (whole)
``mode_share[c,e,t,k]``   slots' worth of work time of malleable jobs of the class there and then in that mode
``begin[c, e, t]``        1 when a piece of an interruptible job begins there and then (only where pieces matter)
``ended[c, t]``           1 when a job that others come after is done before the slot (binary; not for rigid jobs)
``data_there[c, e, t]``   1 when all data of a malleable job has arrived there before the slot (binary)
``bought[q]``             1 when the copy is bought (binary)
``drop[c]``               number of jobs of the class that do not run
``chosen[m, o]``          1 when the migration goes to that target (binary)
``share[m, o, t]``        share of the full rate of the transfer
``undone[m]``             1 when a required migration is not done
``job_kw[s, t]``          IT power of jobs
``it_kw[s, t]``           IT power of jobs and transfers
``import_kw, export_kw, renewable_used_kw, charge_kw, discharge_kw, soc_kwh, unserved_kw [s, t]``
``peak_excess_kw[s]``     highest import above the peak already reached
``window_peak_kw[n]``     highest import in the slots of a peak charge of its own, above the peak already reached
``flow_kw[f, i, t]``      net import of the site at that place of the feeder and of all sites behind it
``drop_pu[f, i, t]``      voltage drop from the transformer to that place
``overshoot_kw[v, t]``    net import above an event's limit
``soc_missing_kwh[s]``    energy missing in the battery at the end
``layer_kwh[s, j, t]``    energy in a layer of the cells, and what is taken out of it (``layer_out_kwh``): only where depth wears
``importing[s, t]``       1 import, 0 export: only where exporting could earn more than importing costs (binary)
``awake, woken, slept``    [i, t] nodes of the sleepers ``i`` that are awake in the slot, that wake up and fall asleep before it
``asset<number>_...``     of each asset, see the room ``asset_rows``
``charging[s, t]``        1 charge, 0 discharge: only where burning energy could pay (binary)
========================  ====================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from grid.horizon import FloatArray
from scheduler.optimiser.classes import JobClass, job_classes
from scheduler.problem import Problem

if TYPE_CHECKING:
    from scheduler.optimiser.asset_rows.forms import AssetRows

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
        assets: what each asset of the problem adds, in its order; whole: families of its variables that must be whole.
        dearest_core_kw: largest IT power per core of any job at each site, ``[S]``.
        class_of: class of each job that is in one.
    """

    problem: Problem
    classes: tuple[JobClass, ...]
    model: Any
    impossible_eur: float
    dearest_core_kw: FloatArray
    proportional: dict[int, tuple[int, float]] = field(default_factory=dict)
    assets: tuple[AssetRows, ...] = ()
    whole: set[str] = field(default_factory=set)
    class_of: dict[int, int] = field(init=False)

    def __post_init__(self) -> None:
        self.class_of = {j: c for c, group in enumerate(self.classes) for j in group.members}

    def linear(self, row: Row, constant: float = 0.0) -> Any:
        """A linear expression of ``row``."""
        from pyomo.core.expr.numeric_expr import LinearExpression

        return LinearExpression(constant=constant, linear_coefs=row[0], linear_vars=row[1])


def build_model(problem: Problem, dearest_core_kw: FloatArray | None = None) -> ModelParts:
    """The whole MILP of ``problem``.

    Args:
        problem: the problem.
        dearest_core_kw: largest IT power per core of any job at each site, ``[S]``, where the jobs are not among those of the
            problem; None: of these.
    """
    import pyomo.environ as pyo

    from scheduler.optimiser import (
        asset_rows,
        common_rows,
        contract_rows,
        data_rows,
        energy_rows,
        job_rows,
        kind_rows,
        network_rows,
        objective_rows,
        sleep_rows,
        wear_rows,
    )

    classes = job_classes(problem)
    possible = {j for group in classes for j in group.members}
    impossible = sum(task.drop_eur for j, task in enumerate(problem.jobs) if j not in possible)
    dearest = sleep_rows.dearest_core_kw(problem) if dearest_core_kw is None else dearest_core_kw
    parts = ModelParts(problem, classes, pyo.ConcreteModel(), float(impossible), dearest)
    _job_variables(parts, pyo)
    _kind_variables(parts, pyo)
    _data_variables(parts, pyo)
    _energy_variables(parts, pyo)
    wear_rows.add_variables(parts)
    sleep_rows.add_variables(parts)
    parts.assets = asset_rows.add_assets(parts)
    for family in (
        *job_rows.FAMILIES,
        *kind_rows.FAMILIES,
        *data_rows.FAMILIES,
        *energy_rows.FAMILIES,
        *wear_rows.FAMILIES,
        *common_rows.FAMILIES,
        *network_rows.FAMILIES,
        *contract_rows.FAMILIES,
        *sleep_rows.FAMILIES,
    ):
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
                slots += [(c, e, t) for t in possible if not group.malleable]
    parts.model.start = pyo.Var(rigid, domain=pyo.NonNegativeIntegers)
    parts.model.at_site = pyo.Var(places, domain=pyo.NonNegativeIntegers)
    parts.model.run = pyo.Var(slots, domain=pyo.NonNegativeIntegers)
    droppable = [c for c, group in enumerate(parts.classes) if not group.task.pinned]
    parts.model.drop = pyo.Var(droppable, domain=pyo.NonNegativeReals)


def _kind_variables(parts: ModelParts, pyo: Any) -> None:
    """Variables of malleable jobs, of pieces, of workflows and of copies."""
    shares, begins, waits = [], [], []
    for c, group in enumerate(parts.classes):
        for e, possible in enumerate(group.slots):
            if group.malleable:
                shares += [(c, e, t, k) for t in possible for k in range(len(group.task.modes))]
                waits += [(c, e, t) for t in possible if group.task.options[e].migrations]
            elif group.in_pieces:
                room, length = set(possible), group.task.min_run
                begins += [(c, e, t) for t in possible if room.issuperset(range(t, t + length))]
    parts.model.mode_share = pyo.Var(shares, domain=pyo.NonNegativeReals)
    parts.model.begin = pyo.Var(begins, domain=pyo.NonNegativeReals)
    parts.model.data_there = pyo.Var(waits, domain=pyo.Binary)
    parts.model.ended = pyo.Var(end_slots(parts), domain=pyo.Binary)
    parts.model.bought = pyo.Var(range(len(parts.problem.copies)), domain=pyo.Binary)


def end_slots(parts: ModelParts) -> list[tuple[int, int]]:
    """Classes that others come after, with the slots in which one of these might begin (rigid ones need no variable)."""
    found: dict[tuple[int, int], None] = {}
    for group in parts.classes:
        begins = sorted({t for slots in group.slots for t in slots})
        for before in group.task.after:
            c = parts.class_of[before]
            if not parts.classes[c].rigid:
                found.update(dict.fromkeys((c, t) for t in begins))
    return sorted(found)


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
    model.window_peak_kw = pyo.Var(range(len(problem.window_peaks)), domain=pyo.NonNegativeReals)
    events = [(v, t) for v, event in enumerate(problem.events) for t in range(event.start, event.end)]
    model.overshoot_kw = pyo.Var(events, domain=pyo.NonNegativeReals)
    chain = [(f, i, t) for f, feeder in enumerate(problem.feeders) for i in range(len(feeder.sites)) for t in slots]
    rating = {f: feeder.limit_kw for f, feeder in enumerate(problem.feeders)}
    band = {f: feeder.drop_limit_pu for f, feeder in enumerate(problem.feeders)}
    model.flow_kw = pyo.Var(chain, bounds=lambda _, f, i, _t: (-rating[f], rating[f]) if i == 0 else (None, None))
    model.drop_pu = pyo.Var(chain, bounds=lambda _, f, _i, _t: (-band[f], band[f]))
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
