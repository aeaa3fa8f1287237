"""Columns, rows and nonzeros of a linear programme while they are collected."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grid.horizon import FloatArray
from scheduler.optimiser.large.case import IntArray


@dataclass(slots=True)
class Build:
    """Columns, rows and nonzeros under construction."""

    cost: list[FloatArray] = field(default_factory=list)
    lower: list[FloatArray] = field(default_factory=list)
    upper: list[FloatArray] = field(default_factory=list)
    row_lower: list[FloatArray] = field(default_factory=list)
    row_upper: list[FloatArray] = field(default_factory=list)
    triplets: list[tuple[IntArray, IntArray, FloatArray]] = field(default_factory=list)
    columns: int = 0
    rows: int = 0

    def add_columns(self, cost: FloatArray, lower: FloatArray | float, upper: FloatArray | float) -> IntArray:
        """Append columns; returns their indices."""
        n = len(cost)
        self.cost.append(cost)
        self.lower.append(np.broadcast_to(np.asarray(lower, dtype=float), n))
        self.upper.append(np.broadcast_to(np.asarray(upper, dtype=float), n))
        self.columns += n
        return np.arange(self.columns - n, self.columns)

    def add_rows(self, lower: FloatArray | float, upper: FloatArray | float, n: int, *terms: tuple[IntArray, Any]) -> IntArray:
        """Append ``n`` rows, each with one coefficient in every array of columns given; returns their indices."""
        rows = np.arange(self.rows, self.rows + n)
        for columns, values in terms:
            self.triplets.append((rows, columns, np.broadcast_to(np.asarray(values, dtype=float), n)))
        self.row_lower.append(np.broadcast_to(np.asarray(lower, dtype=float), n))
        self.row_upper.append(np.broadcast_to(np.asarray(upper, dtype=float), n))
        self.rows += n
        return rows
