"""Neighbourhoods of an incumbent: which job classes are freed together, in what order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grid.chance import stream
from grid.horizon import FloatArray
from scheduler.optimiser.compiled import Compiled
from scheduler.optimiser.highs import SEED, Answer
from scheduler.optimiser.model import ModelParts
from scheduler.optimiser.restrict import BoolArray

WHOLE = 1e-6
"""A value this near to a whole number is whole."""


@dataclass(frozen=True, slots=True)
class Neighbourhoods:
    """Kinds of neighbourhood in turn, by chance from a fixed seed.

    Attributes:
        parts: the model's parts.
        model: its arrays.
        class_columns: columns of each class.
        incumbent: gives the vector of the incumbent.
    """

    parts: ModelParts
    model: Compiled
    class_columns: list[list[int]]
    incumbent: Callable[[], FloatArray]

    def kinds(self, relaxed: Answer) -> Iterator[tuple[str, FloatArray]]:
        """Neighbourhoods in turn, each the order in which classes enter: left open by the relaxation, slots, sites, chance."""
        rng = stream(SEED, "neighbourhoods")
        open_classes = self._open(relaxed)
        size = len(self.parts.classes)
        makers: tuple[tuple[str, Callable[[], FloatArray]], ...] = (
            ("neighbourhood of some slots", lambda: self._by_slots(rng)),
            ("neighbourhood of two sites", lambda: self._by_sites(rng)),
            ("neighbourhood by chance", lambda: rng.random(size)),
        )
        if open_classes.any():
            yield "what the relaxation left open", np.where(open_classes, rng.random(size), np.inf)
        while True:
            for name, maker in makers:
                order = maker()
                yield name, np.where(self._dropped(), order - size, order)

    @staticmethod
    def within(order: FloatArray, weight: npt.NDArray[np.int64], most: float) -> list[int]:
        """Classes in ascending ``order`` (infinite: never) as long as their columns stay within what solves quickly."""
        ranked = [int(c) for c in np.argsort(order, kind="stable") if np.isfinite(order[c])]
        total = 0
        taken: list[int] = []
        for c in ranked:
            total += int(weight[c])
            if taken and total > most:
                break
            taken.append(c)
        return taken

    def _open(self, relaxed: Answer) -> BoolArray:
        """Classes that the relaxation did not decide whole."""
        values = relaxed.values
        if values is None:
            return np.zeros(len(self.parts.classes), dtype=bool)
        away = np.abs(values - np.round(values)) > WHOLE
        return np.array([away[columns].any() for columns in self.class_columns], dtype=bool)

    def _dropped(self) -> BoolArray:
        """Classes of which a job is dropped in the incumbent."""
        columns, values = self.model.columns.get("drop", {}), self.incumbent()
        return np.array([c in columns and values[columns[c]] > 0.5 for c in range(len(self.parts.classes))], dtype=bool)

    def _by_slots(self, rng: np.random.Generator) -> FloatArray:
        """Order by distance in time from a random slot."""
        centre = rng.integers(self.parts.problem.horizon.slots)
        mean = self._centres(lambda key: float(key[2]), 0.0)
        return np.abs(mean - centre) + rng.random(len(mean))

    def _by_sites(self, rng: np.random.Generator) -> FloatArray:
        """Classes that run at one of two random sites first."""
        pair = rng.choice(len(self.parts.problem.sites), size=min(2, len(self.parts.problem.sites)), replace=False)
        site = self._centres(lambda key: float(self.parts.classes[key[0]].task.options[key[1]].site), -1.0)
        return np.where(np.isin(site, pair), rng.random(len(site)), 1.0 + rng.random(len(site)))

    def _centres(self, value: Callable[[tuple[int, ...]], float], default: float) -> FloatArray:
        """For each class ``value(key)`` of one column that the incumbent uses; keys are class, option, slot (and mode)."""
        found, values = np.full(len(self.parts.classes), default), self.incumbent()
        for family in ("start", "run", "mode_share"):
            for key, column in self.model.columns.get(family, {}).items():
                if values[column] > (WHOLE if family == "mode_share" else 0.5):
                    found[key[0]] = value(key)
        return found
