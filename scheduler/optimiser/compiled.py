"""The Pyomo model as arrays, ready for HiGHS: ``min c x + offset``, ``row_lower <= A x <= row_upper``, bounds, integrality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from grid.horizon import FloatArray
from scheduler.optimiser.model import ModelParts

INTEGER_FAMILIES = ("start", "at_site", "run", "ended", "data_there", "bought", "chosen", "importing", "charging")
"""Variables that must be whole, family by family."""


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """A mixed-integer linear programme.

    Attributes:
        cost, offset: objective.
        matrix: ``A``, scipy compressed sparse columns.
        row_lower, row_upper: limits of the rows, infinite where there is none.
        lower, upper: bounds of the columns.
        integer: which columns must be whole.
        columns: of each variable family, the column of each index.
        rows: of each constraint family, the row of each index.
    """

    cost: FloatArray
    offset: float
    matrix: Any
    row_lower: FloatArray
    row_upper: FloatArray
    lower: FloatArray
    upper: FloatArray
    integer: npt.NDArray[np.bool_]
    columns: dict[str, dict[Any, int]]
    rows: dict[str, dict[Any, int]]


def compile_model(parts: ModelParts) -> Compiled:
    """Arrays of the model, by Pyomo's standard-form compiler (the fastest of its ways out, see docs/model.md)."""
    import pyomo.environ as pyo
    from pyomo.repn.plugins.standard_form import LinearStandardFormCompiler

    form = LinearStandardFormCompiler().write(parts.model, mixed_form=True)
    infinity = float("inf")
    sense = np.array([row.bound_type for row in form.rows], dtype=np.int8)
    rhs = np.asarray(form.rhs, dtype=np.float64)
    place = {id(variable): i for i, variable in enumerate(form.columns)}
    columns: dict[str, dict[Any, int]] = {}
    size = len(form.columns)
    lower, upper, integer = np.zeros(size), np.full(size, infinity), np.zeros(size, dtype=bool)
    for family in parts.model.component_objects(pyo.Var):
        whole = family.local_name in INTEGER_FAMILIES or family.local_name in parts.whole
        index = columns[family.local_name] = {}
        for key, variable in family.items():
            column = place.get(id(variable))
            if column is not None:  # a variable that no row and no cost mentions stays 0
                index[key] = column
                lower[column] = variable.lb if variable.lb is not None else -infinity
                if variable.ub is not None:
                    upper[column] = variable.ub
                integer[column] = whole
    rows: dict[str, dict[Any, int]] = {}
    for i, row in enumerate(form.rows):
        constraint = row.constraint
        rows.setdefault(constraint.parent_component().local_name, {})[constraint.index()] = i
    return Compiled(
        cost=np.asarray(form.c.todense(), dtype=np.float64).ravel(),
        offset=float(form.c_offset[0]),
        matrix=form.A.tocsc(),
        row_lower=np.where(sense <= 0, rhs, -infinity),
        row_upper=np.where(sense >= 0, rhs, infinity),
        lower=lower,
        upper=upper,
        integer=integer,
        columns=columns,
        rows=rows,
    )
