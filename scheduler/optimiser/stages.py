"""Two stages from one model: what is decided before the weather is known, and what is decided again in every future.

The model of one future (``model.py``) has two kinds of columns. The first stage is what must be commanded beforehand: jobs,
moves, copies, and the IT power that they draw. The second stage is what a site settles on the spot: import, export, curtailment,
battery, unserved load, the paid peak, overshoot of events, and what follows from them. With ``A`` the rows of the first stage
alone, and ``T`` and ``W`` what the rows of the second stage hold of both, the model over futures ``w`` of probability ``p[w]`` is

    min c x + sum over w of p[w] d y[w]    with    A x in its limits,    T x + W y[w] in the limits of w    for every w

(the deterministic equivalent of a two-stage stochastic programme with recourse: Dantzig 1955; Birge and Louveaux 2011, ch. 2).
Futures differ in sun and wind (upper bounds of ``renewable_used_kw``) and fixed load (right-hand sides of ``balance``). It is
built from the compiled arrays, so every row of the energy side, feeders included, is in it by construction. Each future's second
stage knows its whole course: batteries are a little cleverer than a site can be that sees only the present.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from grid.errors import SolverError
from grid.horizon import FloatArray
from scheduler.futures import Future
from scheduler.optimiser.codec import TASK_FAMILIES, cells
from scheduler.optimiser.compiled import Compiled
from scheduler.optimiser.evaluate import evaluate
from scheduler.optimiser.highs import Limits, never
from scheduler.optimiser.restrict import BoolArray, restrict
from scheduler.optimiser.settle import settle
from scheduler.plan import EnergySchedule
from scheduler.policies.schedule import Schedule, it_power_kw, task_eur
from scheduler.problem import Problem

FIRST_STAGE = frozenset((*TASK_FAMILIES, "mode_share", "share", "job_kw", "it_kw"))
"""Families of columns that are the same in every future."""

SECOND_STAGE = frozenset(
    (
        "import_kw", "export_kw", "renewable_used_kw", "unserved_kw", "charge_kw", "discharge_kw", "soc_kwh", "soc_missing_kwh",
        "peak_excess_kw", "window_peak_kw", "overshoot_kw", "flow_kw", "drop_pu", "importing", "charging", "layer_kwh",
        "layer_out_kwh",
    )
)  # fmt: skip
"""Families of columns that every future has for itself."""

RECOURSE_SECONDS, RECOURSE_NODES = 5.0, 50
"""Limits of branch and bound on the energy of one future, where negative or high export prices need binaries."""


class Stages:
    """The two stages of one compiled model.

    Args:
        problem: prices and limits; its own sun, wind and fixed load are not used.
        model: compiled for sun and wind at or above those of every future that is asked for, so that each has its columns.

    Raises:
        ValueError: the model has columns of which it is not known when they are decided.
    """

    def __init__(self, problem: Problem, model: Compiled) -> None:
        unknown = set(model.columns) - FIRST_STAGE - SECOND_STAGE
        if unknown:
            raise ValueError(f"no stage is known for the columns {', '.join(sorted(unknown))}")
        self._problem, self._model = problem, model
        self.second: BoolArray = np.zeros(len(model.cost), dtype=bool)
        for family in SECOND_STAGE:
            self.second[list(model.columns.get(family, {}).values())] = True
        self.rows: BoolArray = np.diff(model.matrix[:, np.flatnonzero(self.second)].tocsr().indptr) > 0

    def over(self, futures: Sequence[Future]) -> Compiled:
        """The model over ``futures``: the first one keeps the model's columns and rows, the others follow behind.

        ``columns`` and ``rows`` name those of the first stage and of the first future; directions of batteries are named for all
        (``charging[s, t, w]`` from the second future on).
        """
        import scipy.sparse as sp

        parts = [self._of(future) for future in futures]
        model, first, again, rows = parts[0], ~self.second, np.flatnonzero(self.second), np.flatnonzero(self.rows)
        cost = model.cost.copy()
        cost[self.second] *= futures[0].probability
        if len(futures) == 1:
            return replace(model, cost=cost)
        linking = model.matrix.tocsr()[rows].tocsc()
        left = linking @ sp.diags(first.astype(float))
        blocks: list[list[Any]] = [[model.matrix, *[None] * (len(futures) - 1)]]
        for w in range(1, len(futures)):
            row: list[Any] = [left, *[None] * (len(futures) - 1)]
            row[w] = linking[:, again]
            blocks.append(row)
        others = parts[1:]
        return Compiled(
            cost=np.concatenate([cost, *[future.probability * model.cost[again] for future in futures[1:]]]),
            offset=model.offset,
            matrix=sp.bmat(blocks, format="csc"),
            row_lower=np.concatenate([model.row_lower, *[part.row_lower[rows] for part in others]]),
            row_upper=np.concatenate([model.row_upper, *[part.row_upper[rows] for part in others]]),
            lower=np.concatenate([model.lower, *[part.lower[again] for part in others]]),
            upper=np.concatenate([model.upper, *[part.upper[again] for part in others]]),
            integer=np.concatenate([model.integer, *[part.integer[again] for part in others]]),
            columns={**model.columns, "charging": self._directions(len(futures), again)},
            rows=model.rows,
        )

    def recourse(self, it_kw: FloatArray, future: Future) -> tuple[float, EnergySchedule]:
        """Least cost of energy in a future when jobs and transfers draw ``it_kw`` (``[S, T]``), and the flows.

        Raises:
            SolverError: the energy of this future could not be solved.
        """
        model = self._of(future)
        values = np.zeros(len(model.cost))
        for cell, column in model.columns["it_kw"].items():
            values[column] = it_kw[cell]
        part = restrict(replace(model, cost=np.where(self.second, model.cost, 0.0), offset=0.0), values, self.second)
        modes = np.zeros(len(model.cost), dtype=bool)
        modes[list(model.columns.get("charging", {}).values())] = True
        found = evaluate(part, modes[self.second], Limits(RECOURSE_SECONDS, nodes=RECOURSE_NODES), never, must=True)
        if found is None:
            raise SolverError("the energy of one future could not be solved")
        values[self.second], cost = found
        names = ("charge_kw", "discharge_kw", "renewable_used_kw", "unserved_kw")
        flows = [cells(model, name, values, it_kw.shape) for name in names]
        return cost, settle(with_future(self._problem, future), it_kw, *flows)

    def costs(self, schedule: Schedule, futures: Sequence[Future]) -> FloatArray:
        """Whole cost of ``schedule`` in each of ``futures``, EUR, when energy is settled anew in each."""
        it_kw, task = it_power_kw(self._problem, schedule), sum(task_eur(self._problem, schedule).values())
        return np.array([task + self.recourse(it_kw, future)[0] for future in futures])

    def _of(self, future: Future) -> Compiled:
        """The model with the sun, wind and fixed load of one future."""
        model = self._model
        upper, row_lower, row_upper = model.upper.copy(), model.row_lower.copy(), model.row_upper.copy()
        for cell, column in model.columns.get("renewable_used_kw", {}).items():
            upper[column] = future.renewable_kw[cell]
        for cell, row in model.rows.get("balance", {}).items():
            row_lower[row] = row_upper[row] = future.fixed_kw[cell]
        return replace(model, upper=upper, row_lower=row_lower, row_upper=row_upper)

    def _directions(self, futures: int, again: Any) -> dict[Any, int]:
        """Columns of the batteries' directions in all futures."""
        size, place = len(self._model.cost), {int(column): k for k, column in enumerate(again)}
        named: dict[Any, int] = dict(self._model.columns.get("charging", {}))
        for w in range(1, futures):
            begin = size + (w - 1) * len(again)
            named |= {(*cell, w): begin + place[column] for cell, column in self._model.columns.get("charging", {}).items()}
        return named


def with_future(problem: Problem, future: Future) -> Problem:
    """The problem as it is when ``future`` is what comes."""
    return replace(problem, renewable_kw=future.renewable_kw, fixed_kw=future.fixed_kw, futures=())


def point_future(problem: Problem) -> Future:
    """What the plan of one future counts on, as a certain future."""
    return Future(1.0, problem.renewable_kw, problem.fixed_kw)


def roomy(problem: Problem) -> Problem:
    """The problem with sun and wind at their most over all futures, so that its model has the columns of every one."""
    most = np.maximum.reduce([problem.renewable_kw, *(future.renewable_kw for future in problem.futures)])
    return replace(problem, renewable_kw=most)
