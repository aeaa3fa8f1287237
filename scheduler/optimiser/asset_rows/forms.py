"""Linear expressions of an asset's variables that outlive the Pyomo model: they name columns and hold no objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from grid.horizon import FloatArray
from scheduler.asset_runs import AssetRun, PlacedAsset, run_of
from scheduler.optimiser.compiled import Compiled

if TYPE_CHECKING:
    from scheduler.optimiser.model import ModelParts

Term = tuple[float, str, Any]
"""Coefficient, family and index of a variable."""

Bound = float | Mapping[Any, float]
"""A bound of all variables of a family, or that of each index."""


@dataclass(frozen=True, slots=True)
class Form:
    """``constant + sum of terms``."""

    terms: tuple[Term, ...] = ()
    constant: float = 0.0

    def value(self, model: Compiled, values: FloatArray) -> float:
        """Value at a solution; a variable that the model left out is 0."""
        columns = ((coef, model.columns.get(family, {}).get(key)) for coef, family, key in self.terms)
        return self.constant + sum(coef * float(values[column]) for coef, column in columns if column is not None)


@dataclass(frozen=True, slots=True)
class AssetRows:
    """What an asset hands back to the model.

    Attributes:
        site: index of its site.
        draw: net draw at the site's balance by slot, kW.
        cost: what it owes by itself, EUR; carbon: fossil carbon dioxide of its own fuel, g.
        decisions: named series, from which the asset's physics make its trajectory.
    """

    site: int
    draw: tuple[Form, ...]
    cost: Form = Form()
    carbon: Form = Form()
    decisions: dict[str, tuple[Form, ...]] = field(default_factory=dict)

    def decided(self, model: Compiled, values: FloatArray) -> dict[str, FloatArray]:
        """Decisions of a solution, ``[T]`` each."""
        return {name: np.array([form.value(model, values) for form in forms]) for name, forms in self.decisions.items()}


AddRows = Callable[["ModelParts", int, PlacedAsset], AssetRows]


class Builder:
    """Adds the families of one asset to the model; every name begins with ``asset<number>_``."""

    def __init__(self, parts: ModelParts, number: int) -> None:
        self._parts, self._prefix = parts, f"asset{number}_"

    def variable(
        self, name: str, index: Sequence[Any], lower: Bound = 0.0, upper: Bound | None = None, *, whole: bool = False
    ) -> str:
        """Add a family of variables (``whole``: binary) within bounds, one for all or one an index; returns its name."""
        import pyomo.environ as pyo

        def bounds(_: Any, *key: Any) -> tuple[float | None, ...]:
            at = key if len(key) > 1 else key[0]
            return tuple(bound[at] if isinstance(bound, Mapping) else bound for bound in (lower, upper))

        family = self._prefix + name
        domain = pyo.Binary if whole else pyo.Reals
        setattr(self._parts.model, family, pyo.Var(list(index), domain=domain, bounds=bounds))
        if whole:
            self._parts.whole.add(family)
        return family

    def row(self, name: str, rows: Sequence[tuple[Any, Sequence[Term], float | None, float | None]]) -> None:
        """Add a family of rows ``lower <= sum of terms <= upper``, from index, terms, lower and upper (None: no limit)."""
        from scheduler.optimiser.model import add_rows

        def relations() -> Any:
            for key, terms, lower, upper in rows:
                body = self._parts.linear(row_of(self._parts.model, terms))
                if lower is not None and lower == upper:
                    yield key, body == lower
                elif lower is None:
                    yield key, body <= upper
                elif upper is None:
                    yield key, body >= lower
                else:
                    yield key, (lower, body, upper)

        add_rows(self._parts, self._prefix + name, relations())


def row_of(model: Any, terms: Sequence[Term]) -> tuple[list[float], list[Any]]:
    """Coefficients and Pyomo variables of terms."""
    return [coef for coef, _, _ in terms], [getattr(model, family)[key] for _, family, key in terms]


def solved_runs(parts: ModelParts, model: Compiled, values: FloatArray, it_kw: FloatArray) -> tuple[AssetRun, ...]:
    """What a solution wants of every asset when sites draw the IT power ``it_kw``, ``[S, T]``."""
    problem = parts.problem
    return tuple(
        run_of(problem, item, item.asset.trajectory(rows.decided(model, values), problem.horizon, it_kw[item.site]))
        for item, rows in zip(problem.assets, parts.assets, strict=True)
    )
