"""The vertex of one model's relaxation as the start for that of another, so that little has to be solved again.

A basis says of every column and row whether it is basic or at which bound it lies. It is carried over by name: cell by cell for
energy, and for jobs by the class that holds the same jobs, because classes are numbered anew in every model. What the other
model has not, begins at its lower bound (columns) or basic (rows); the solver completes what does not fit together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scheduler.optimiser.codec import JOB_FAMILIES
from scheduler.optimiser.compiled import Compiled
from scheduler.optimiser.model import ModelParts

CLASS_COLUMNS = frozenset([*JOB_FAMILIES, "mode_share"])
"""Families of columns whose index is a class, or begins with one."""

CLASS_ROWS = frozenset(
    (
        *("assignment", "interruptible_work", "interruptible_once", "malleable_work", "malleable_once", "malleable_data"),
        *("piece_begins", "least_run", "least_gap", "after", "data_first", "copy_bought"),
    )
)
"""The same for rows."""


@dataclass(frozen=True, slots=True, eq=False)
class Vertex:
    """A solved relaxation.

    Attributes:
        parts, model: the model; basis: of HiGHS.
    """

    parts: ModelParts
    model: Compiled
    basis: Any


def carried_basis(before: Vertex, parts: ModelParts, model: Compiled) -> Any:
    """The basis of ``before`` as a start for ``model`` (a HiGHS basis that need not be complete)."""
    import highspy

    status, classes = highspy.HighsBasisStatus, _same_classes(before.parts, parts)
    basis = highspy.HighsBasis()
    basis.col_status = _carried(
        before.model.columns, model.columns, before.basis.col_status, classes, CLASS_COLUMNS, [status.kLower] * len(model.cost)
    )
    basis.row_status = _carried(
        before.model.rows, model.rows, before.basis.row_status, classes, CLASS_ROWS, [status.kBasic] * len(model.row_lower)
    )
    basis.valid = basis.alien = True
    return basis


def _same_classes(before: ModelParts, parts: ModelParts) -> dict[int, int]:
    """For each class the earlier one that holds the first of its jobs that was there, by name."""
    known = {before.problem.jobs[j].name: c for j, c in before.class_of.items()}
    found: dict[int, int] = {}
    for c, group in enumerate(parts.classes):
        names = (parts.problem.jobs[j].name for j in group.members)
        earlier = next((known[name] for name in names if name in known), None)
        if earlier is not None:
            found[c] = earlier
    return found


def _carried(
    old: Mapping[str, Mapping[Any, int]],
    new: Mapping[str, Mapping[Any, int]],
    status: list[Any],
    classes: Mapping[int, int],
    by_class: frozenset[str],
    start: list[Any],
) -> list[Any]:
    """``start`` with the status of every column (or row) that the earlier model has too."""
    for family, index in new.items():
        earlier = old.get(family, {})
        for key, place in index.items():
            there = earlier.get(_renamed(key, classes) if family in by_class else key)
            if there is not None:
                start[place] = status[there]
    return start


def _renamed(key: Any, classes: Mapping[int, int]) -> Any:
    """An index with the number that its class had; -1 where there was none."""
    if isinstance(key, tuple):
        return (classes.get(key[0], -1), *key[1:])
    return classes.get(key, -1)
