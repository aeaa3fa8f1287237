"""Values over time, piecewise constant, with unit and source.

``values[i]`` holds on ``[edges_s[i], edges_s[i + 1])`` (Unix seconds, UTC). Means over slots are exact
time-weighted integrals, so nothing that is computed from a series depends on the step it is read with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grid.errors import SeriesError
from grid.horizon import FloatArray, Horizon


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """A piecewise-constant series.

    Attributes:
        edges_s: strictly ascending Unix seconds, shape ``[n + 1]``.
        values: finite numbers, shape ``[n]``.
        unit: unit of the values, for example ``kW`` or ``EUR/MWh``.
        source: where the values come from, in words that a report can print.

    Raises:
        SeriesError: shapes do not fit, edges do not ascend, or a value is not finite.
    """

    edges_s: FloatArray
    values: FloatArray
    unit: str
    source: str = ""

    def __post_init__(self) -> None:
        edges = np.asarray(self.edges_s, dtype=np.float64)
        values = np.asarray(self.values, dtype=np.float64)
        if edges.ndim != 1 or values.ndim != 1 or len(edges) != len(values) + 1 or len(values) == 0:
            raise SeriesError(f"{self.source or 'series'}: {len(values)} values need {len(values) + 1} edges, found {len(edges)}")
        if not np.isfinite(values).all():
            raise SeriesError(f"{self.source or 'series'}: value {int(np.argmin(np.isfinite(values)))} is not a number")
        if not (np.diff(edges) > 0).all():
            raise SeriesError(
                f"{self.source or 'series'}: times do not ascend at position {int(np.argmin(np.diff(edges) > 0)) + 1}"
            )
        edges.setflags(write=False)
        values.setflags(write=False)
        object.__setattr__(self, "edges_s", edges)
        object.__setattr__(self, "values", values)

    @classmethod
    def constant(cls, value: float, horizon: Horizon, unit: str, source: str = "") -> Series:
        """One value over the whole of ``horizon``."""
        return cls(np.array([horizon.start_s, horizon.end_s]), np.array([value]), unit, source)

    @classmethod
    def on(cls, horizon: Horizon, values: npt.ArrayLike, unit: str, source: str = "") -> Series:
        """One value a slot of ``horizon``."""
        return cls(horizon.edges_s, np.asarray(values, dtype=np.float64), unit, source)

    def covers(self, horizon: Horizon) -> bool:
        """True when every instant of ``horizon`` has a value."""
        return bool(self.edges_s[0] <= horizon.start_s and self.edges_s[-1] >= horizon.end_s)

    def at(self, moment_s: float) -> float:
        """Value at the instant ``moment_s`` (Unix seconds).

        Raises:
            SeriesError: the series has no value there.
        """
        index = int(np.searchsorted(self.edges_s, moment_s, side="right")) - 1
        if not 0 <= index < len(self.values):
            raise SeriesError(f"{self.source or 'series'} has no value at Unix second {moment_s:.0f}")
        return float(self.values[index])

    def integral(self, moments_s: npt.ArrayLike) -> FloatArray:
        """Integral in value seconds from the first edge to each of ``moments_s`` (any shape)."""
        cumulative = np.concatenate(([0.0], np.cumsum(self.values * np.diff(self.edges_s))))
        return np.interp(np.asarray(moments_s, dtype=np.float64), self.edges_s, cumulative)

    def mean(self, horizon: Horizon) -> FloatArray:
        """Exact mean in every slot of ``horizon``, shape ``[slots]``.

        Raises:
            SeriesError: the series does not cover the horizon.
        """
        if not self.covers(horizon):
            raise SeriesError(
                f"{self.source or 'series'} covers Unix seconds {self.edges_s[0]:.0f} to {self.edges_s[-1]:.0f}, "
                f"the horizon needs {horizon.start_s:.0f} to {horizon.end_s:.0f}"
            )
        edges = horizon.edges_s
        aligned = np.searchsorted(self.edges_s, edges)
        if len(self.edges_s) > aligned[-1] and np.array_equal(self.edges_s[aligned], edges) and (np.diff(aligned) == 1).all():
            return self.values[aligned[:-1]].copy()  # same steps: no rounding by integrating
        mean: FloatArray = np.diff(self.integral(edges)) / horizon.step_s
        return mean

    def change_points_s(self, start_s: float, end_s: float) -> FloatArray:
        """Edges strictly inside ``(start_s, end_s)``."""
        edges = self.edges_s
        inside: FloatArray = edges[(edges > start_s) & (edges < end_s)]
        return inside

    def scaled(self, factor: float, unit: str | None = None, source: str | None = None) -> Series:
        """The series times ``factor``."""
        return Series(self.edges_s, self.values * factor, unit or self.unit, self.source if source is None else source)

    def with_values(self, values: npt.ArrayLike, source: str | None = None) -> Series:
        """Other values on the same edges."""
        return Series(self.edges_s, np.asarray(values, dtype=np.float64), self.unit, self.source if source is None else source)
