"""A part of a compiled model: some columns stay free, all others keep a value."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from grid.horizon import FloatArray
from scheduler.optimiser.compiled import Compiled

BoolArray = npt.NDArray[np.bool_]


def restrict(model: Compiled, values: FloatArray, free: BoolArray) -> Compiled:
    """The model over the columns ``free``, the others fixed to ``values``; rows that hold no free column are left out.

    The caller answers for it that these rows hold. ``columns`` and ``rows`` of the result are empty.
    """
    fixed = np.where(free, 0.0, values)
    activity = model.matrix @ fixed
    matrix = model.matrix[:, np.flatnonzero(free)].tocsr()
    used = np.diff(matrix.indptr) > 0
    return Compiled(
        cost=model.cost[free],
        offset=model.offset + float(model.cost @ fixed),
        matrix=matrix[np.flatnonzero(used)].tocsc(),
        row_lower=(model.row_lower - activity)[used],
        row_upper=(model.row_upper - activity)[used],
        lower=model.lower[free],
        upper=model.upper[free],
        integer=model.integer[free],
        columns={},
        rows={},
    )


def rows_of(model: Compiled, columns: BoolArray) -> BoolArray:
    """Rows in which at least one column has an entry and every one of them is in ``columns``."""
    entries = np.diff(model.matrix.tocsr().indptr)
    others = np.diff(model.matrix[:, np.flatnonzero(~columns)].tocsr().indptr)
    only: BoolArray = (entries > 0) & (others == 0)
    return only


def hold(model: Compiled, values: FloatArray, rows: BoolArray) -> bool:
    """True when ``values`` keep these rows, up to the solver's accuracy."""
    activity = (model.matrix @ values)[rows]
    slack = 1e-6 * np.maximum(1.0, np.abs(activity))
    above, below = activity - model.row_upper[rows], model.row_lower[rows] - activity
    return bool((above <= slack).all() and (below <= slack).all())


def without_columns(model: Compiled, gone: BoolArray) -> Compiled:
    """The model with the columns ``gone`` fixed at 0; nothing else changes."""
    return Compiled(
        model.cost,
        model.offset,
        model.matrix,
        model.row_lower,
        model.row_upper,
        model.lower,
        np.where(gone, 0.0, model.upper),
        model.integer,
        model.columns,
        model.rows,
    )
