"""What a sweep tells: its table, one cell a scenario and combination of values, policies summarised and compared in each.

Policies are compared with the sweep's reference on the seeds that both finished. All p values of one figure are raised together
(``stats.holm``), because a reader looks at all of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from grid.errors import Finding, InputError
from grid.horizon import FloatArray
from sim.experiments.columns import parameter_column
from sim.experiments.stats import LEVEL, Paired, Summary, holm, paired, pareto, summarise
from sim.experiments.store import FACTS, finished

TOLD: tuple[str, ...] = (
    "objective_eur", "cost_eur", "carbon_kg", "peak_kw", "import_kwh", "deadline_misses", "dropped",
    "unserved_kwh", "broken_rules",
)  # fmt: skip
"""Figures that are summarised for each policy."""
COMPARED: tuple[str, ...] = ("objective_eur", "cost_eur", "carbon_kg", "peak_kw")
"""Figures in which policies are compared."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A scenario with one combination of values.

    Attributes:
        scenario: its label. values: by label of the parameter, as the table holds them.
        rows: by policy, then by seed.
    """

    scenario: str
    values: dict[str, Any]
    rows: dict[str, dict[int, dict[str, Any]]]

    @property
    def values_words(self) -> str:
        """The values for people; empty without parameters."""
        return ", ".join(f"{label} {_number(value)}" for label, value in self.values.items())

    def column(self, policy: str, figure: str, seeds: Sequence[int] | None = None) -> FloatArray:
        """A figure of a policy by seed (of all its seeds in order, if none are given)."""
        mine = self.rows[policy]
        return np.array([mine[seed][figure] for seed in (sorted(mine) if seeds is None else seeds)], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Results:
    """A sweep's folder, read.

    Attributes:
        folder: where it is. facts: ``sweep.json``. cells: in the order of the sweep. rows: finished runs.
    """

    folder: Path
    facts: dict[str, Any]
    cells: tuple[Cell, ...]
    rows: tuple[dict[str, Any], ...]

    @property
    def reference(self) -> str:
        """Policy that the others are compared with."""
        return str(self.facts["reference"])

    @property
    def scenarios(self) -> tuple[str, ...]:
        """Labels of the scenarios, in the order of the sweep."""
        return tuple(dict.fromkeys(cell.scenario for cell in self.cells))

    @property
    def policies(self) -> tuple[str, ...]:
        """Policies with finished runs, in the order of the sweep."""
        return tuple(dict.fromkeys(policy for cell in self.cells for policy in cell.rows))

    def words(self, cell: Cell) -> str:
        """A cell for people: its values, and its scenario when there are several or no values."""
        told = cell.values_words
        return told if told and len(self.scenarios) == 1 else ", ".join(filter(None, (cell.scenario, told)))


@dataclass(frozen=True, slots=True)
class Comparison:
    """A policy beside the reference in one cell and figure.

    Attributes:
        cell: where. policy: who. figure: column. found: statistics of the differences, policy minus reference.
        reference_mean: mean of the reference on the same seeds.
        t_holm, wilcoxon_holm: p values raised for all comparisons of this figure.
    """

    cell: Cell
    policy: str
    figure: str
    found: Paired
    reference_mean: float
    t_holm: float | None
    wilcoxon_holm: float | None

    @property
    def share(self) -> float | None:
        """Mean difference as a share of the reference's mean; None when that is not above 0."""
        return self.found.mean / self.reference_mean if self.reference_mean > 0 else None


@dataclass(frozen=True, slots=True)
class Point:
    """A policy in one cell, in the picture of cost against carbon.

    Attributes:
        cell, policy: which. cost_eur, carbon_kg: means over seeds.
        undone: jobs late or not done and load not served, in a mean run; such a point is not on the front, because doing less
            is cheaper.
        on_front: no other point of the scenario that does all work is better in one and not worse in the other.
    """

    cell: Cell
    policy: str
    cost_eur: float
    carbon_kg: float
    undone: bool
    on_front: bool


def read_results(folder: str | Path) -> Results:
    """The sweep in ``folder``, finished or not.

    Raises:
        InputError: there is no sweep, or it has no finished run.
    """
    folder = Path(folder)
    facts = _facts(folder)
    rows, spoilt = finished(folder)
    if spoilt:
        raise InputError([Finding(str(folder / name), None, "", "no Parquet file", "one row of a run") for name in spoilt])
    if not rows:
        raise InputError([Finding(str(folder), None, "", "no finished run", "at least one; 'ozzo sweep' carries them out")])
    ordered = tuple(sorted(rows.values(), key=lambda row: int(row["run"])))
    labels = [str(parameter["label"]) for parameter in facts["parameters"]]
    cells: dict[tuple[Any, ...], Cell] = {}
    for row in ordered:
        values = {label: row.get(parameter_column(label)) for label in labels}
        key = (row["scenario"], *values.values())
        cell = cells.setdefault(key, Cell(row["scenario"], values, {}))
        cell.rows.setdefault(row["policy"], {})[int(row["seed"])] = row
    return Results(folder, facts, tuple(cells.values()), ordered)


def _facts(folder: Path) -> dict[str, Any]:
    """What ``sweep.json`` says.

    Raises:
        InputError: it is not there, or not what a sweep writes.
    """
    file = folder / FACTS
    expected = "the folder of a sweep, as 'ozzo sweep' wrote it"
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError([Finding(str(file), None, "", "no such file", expected)]) from error
    except (OSError, ValueError) as error:
        raise InputError([Finding(str(file), None, "", f"a file that cannot be read ({error})", expected)]) from error
    needed = {"name", "reference", "parameters", "policies", "seeds", "scenarios"}
    missing = sorted(needed - set(facts)) if isinstance(facts, dict) else sorted(needed)
    if missing:
        raise InputError([Finding(str(file), None, name, "nothing", expected) for name in missing])
    return dict(facts)


def summaries(results: Results, level: float = LEVEL) -> list[tuple[Cell, str, dict[str, Summary]]]:
    """Every policy in every cell: cell, policy, and the summary of each figure of ``TOLD``."""
    return [
        (cell, policy, {figure: summarise(cell.column(policy, figure), level) for figure in TOLD})
        for cell in results.cells
        for policy in cell.rows
    ]


def comparisons(results: Results, figure: str, reference: str | None = None, level: float = LEVEL) -> list[Comparison]:
    """Every other policy beside the reference in one figure, in every cell where both have seeds in common.

    Args:
        results: of the sweep.
        figure: a column of ``FIGURES``.
        reference: another policy than the sweep's reference.
        level: confidence of intervals.

    Raises:
        InputError: no run was planned by ``reference``.
    """
    beside = reference or results.reference
    planned = sorted({policy for cell in results.cells for policy in cell.rows})
    if beside not in planned:
        raise InputError([Finding("--reference", None, "", repr(beside), f"a policy of this sweep: {', '.join(planned)}")])
    found: list[tuple[Cell, str, Paired, float]] = []
    for cell in results.cells:
        for policy in cell.rows:
            seeds = sorted(cell.rows[policy].keys() & cell.rows.get(beside, {}).keys())
            if policy != beside and seeds:
                other = cell.column(beside, figure, seeds)
                pairs = paired(cell.column(policy, figure, seeds), other, level)
                found.append((cell, policy, pairs, float(other.mean())))
    by_t = holm([pairs.t_p for _, _, pairs, _ in found])
    by_ranks = holm([pairs.wilcoxon_p for _, _, pairs, _ in found])
    return [
        Comparison(cell, policy, figure, pairs, mean, t_p, rank_p)
        for (cell, policy, pairs, mean), t_p, rank_p in zip(found, by_t, by_ranks, strict=True)
    ]


def front(results: Results, scenario: str) -> list[Point]:
    """Mean cost and carbon of every policy in every cell of a scenario, and which points are on the front."""
    means = [
        (cell, policy, _mean(cell, policy, "cost_eur"), _mean(cell, policy, "carbon_kg"), _undone(cell, policy))
        for cell in results.cells
        if cell.scenario == scenario
        for policy in cell.rows
    ]
    whole = [k for k, (*_, undone) in enumerate(means) if not undone]
    kept = {whole[k] for k in pareto(np.array([means[k][2:4] for k in whole]).reshape(-1, 2))}
    return [Point(*mean, on_front=k in kept) for k, mean in enumerate(means)]


def _mean(cell: Cell, policy: str, figure: str) -> float:
    return float(cell.column(policy, figure).mean())


def _undone(cell: Cell, policy: str) -> bool:
    """True when some run left something undone."""
    work = sum(_mean(cell, policy, figure) for figure in ("deadline_misses", "dropped"))
    return work > 0 or _mean(cell, policy, "unserved_kwh") > 1e-6


def _number(value: Any) -> str:
    """A parameter's value as short as it is."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
