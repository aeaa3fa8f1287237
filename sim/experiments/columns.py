"""Columns of a sweep's table (``sweep.parquet``), one row a run; docs/output.md prints these lists.

First what was run, then its figures, then where they come from. Times and places of origin differ from sweep to sweep; all
else is the same when the same runs are carried out again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from scheduler.objective import PARTS
from sim.experiments.design import Parameter, Run, Sweep, shown_value
from sim.experiments.sweep_fields import Value
from sim.report.summary import TOTAL_KEYS

if TYPE_CHECKING:
    import pyarrow as pa

IDENTITY: dict[str, tuple[str, str]] = {
    "run": ("int64", "position of the run in the sweep, from 0"),
    "key": ("string", "digest of all that decides the run's figures"),
    "scenario": ("string", "name of the scenario's file, without ending"),
    "policy": ("string", "policy that planned"),
    "seed": ("int64", "seed of the draws"),
}
"""What was run: type and meaning."""

COUNTS = ("deadline_misses", "dropped")
FIGURES: dict[str, tuple[str, str]] = (
    {name: ("int64" if name in COUNTS else "double", words) for name, words in TOTAL_KEYS.items() if name != "breakdown_eur"}
    | {
        "unserved_kwh": ("double", "kWh; facility load that no source served"),
        "broken_rules": ("int64", "rules that were broken while the plan was carried out, missed deadlines included"),
        "planned_objective_eur": ("double", "EUR; the weighted objective as planned"),
        "bound_eur": ("double", "EUR; proven lower bound of the planned objective; null when nothing was proven"),
        "gap": ("double", "objective minus bound, over the absolute objective, as planned; null when nothing was proven"),
        "status": ("string", "how the solve ended"),
        "voltage_low_pu": ("double", "per unit; lowest voltage of all buses and slots; null without a network"),
        "voltage_high_pu": ("double", "per unit; highest voltage"),
        "line_loading_pct": ("double", "%; highest loading of a line"),
        "transformer_loading_pct": ("double", "%; highest loading of a transformer"),
    }
    | {f"part.{name}_eur": ("double", f"EUR; part '{name}' of the objective as realised") for name in PARTS}
)
"""Figures of a run: type and meaning."""

ORIGIN: dict[str, tuple[str, str]] = {
    "version": ("string", "version of ozzo"),
    "scenario_sha256": ("string", "SHA-256 of the scenario file and the files that it names"),
    "machine": ("string", "name of the machine that carried it out"),
    "python": ("string", "version of Python there"),
    "finished": ("string", "when it was done, UTC"),
    "wall_s": ("double", "s; wall time of the run"),
    "build_s": ("double", "s; wall time of building the plan's model"),
    "solve_s": ("double", "s; wall time of solving it"),
    "attempts": ("int64", "1, or more when workers were lost with it"),
}
"""Where the figures come from: type and meaning."""

OF_THIS_SWEEP: tuple[str, ...] = ("machine", "python", "finished", "wall_s", "build_s", "solve_s", "attempts")
"""Columns that may differ when the same runs are carried out again."""


def parameter_column(label: str) -> str:
    """Name of a parameter's column."""
    return f"param.{label}"


def _kind(parameter: Parameter) -> str:
    """Arrow type of a parameter's column: numbers and truth values as they are, else text."""
    given = [value for value in parameter.values if value is not None]
    if all(isinstance(value, bool) for value in given):
        return "bool"
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in given)
    return "double" if numeric else "string"


def _cell(kind: str, value: Value) -> Any:
    """A parameter's value as its column holds it."""
    if kind == "double" and isinstance(value, int | float):
        return float(value)
    return value if value is None or kind == "bool" else shown_value(value)


def identity(sweep: Sweep, run: Run) -> dict[str, Any]:
    """What was run, by column."""
    own = {"run": run.index, "key": run.key, "scenario": run.scenario.label, "policy": run.policy, "seed": run.seed}
    values = zip(sweep.parameters, run.values, strict=True)
    return own | {parameter_column(parameter.label): _cell(_kind(parameter), value) for parameter, value in values}


def schema(sweep: Sweep) -> pa.Schema:
    """Columns of a sweep's table with their Arrow types."""
    import pyarrow as pa

    own = [(name, kind) for name, (kind, _) in IDENTITY.items()]
    values = [(parameter_column(parameter.label), _kind(parameter)) for parameter in sweep.parameters]
    rest = [(name, kind) for name, (kind, _) in (FIGURES | ORIGIN).items()]
    types = {"double": pa.float64(), "int64": pa.int64(), "string": pa.string(), "bool": pa.bool_()}
    return pa.schema([(name, types[kind]) for name, kind in [*own, *values, *rest]])


def table(sweep: Sweep, rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Rows as a table, in the order of the sweep; a column that a row lacks is null there."""
    import pyarrow as pa

    ordered = sorted(rows, key=lambda row: int(row["run"]))
    wanted = schema(sweep)
    return pa.table({field.name: pa.array([row.get(field.name) for row in ordered], field.type) for field in wanted}, wanted)
