"""OR-tools CP-SAT on the exact plain model of a case, in whole numbers. A rival only: OR-tools is an optional package.

Scaling, and what it can lose: powers are whole W (a slot may waste up to 1 W, jobs' power is counted to 1/100 W), states of
charge are whole W times a slot (a slot may lose one), shares of malleable jobs are twentieths of a slot; resources, volumes and
the speed of second modes are rounded against the solution to 1/1000, voltage drops to a millionth of the largest, prices as
far as 64 bits go. So the solutions are feasible, their exact cost is computed afterwards with the unscaled energy side, and
the bound is one of the scaled model, not of the instance.

OR-tools brings a HiGHS of its own: in a process that has loaded highspy it cannot be loaded any more.
"""

from __future__ import annotations

import time
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np

from grid.errors import OzzoError
from grid.horizon import FloatArray
from scheduler.optimiser.compiled import Compiled
from scheduler.optimiser.highs import SEED
from scheduler.optimiser.large.case import Case
from scheduler.optimiser.plain import PlainAnswer, plain_model
from scheduler.optimiser.plain_columns import Columns
from scheduler.plan import SolveStatus

SHARES = 20
W_A_KW = 1000
FINE = 100
"""Parts of a W in which jobs' power is counted."""
ROUNDING = 1e-6
IN_WATTS = ("Pc", "Pd", "gmax", "emax", "ren", "flim", "dr_limit_kw")
SCALING = "powers in W, energy in W times a slot, shares in twentieths; its bound is of the scaled model"
STATUS = {
    "OPTIMAL": SolveStatus.OPTIMAL,
    "FEASIBLE": SolveStatus.TIME_LIMIT,
    "UNKNOWN": SolveStatus.TIME_LIMIT,
    "INFEASIBLE": SolveStatus.INFEASIBLE,
}


def solve_cpsat(case: Case, time_s: float, gap: float, workers: int) -> PlainAnswer:
    """Build the scaled model and let CP-SAT solve it with ``workers`` threads; ``time_s`` covers both.

    Raises:
        OzzoError: OR-tools is not installed.
    """
    try:
        from ortools.sat.python import cp_model
    except ModuleNotFoundError as error:
        raise OzzoError("OR-tools is not installed: 'pip install ortools', or leave CP-SAT out with --against highs") from error
    except ImportError as error:
        raise OzzoError(f"OR-tools cannot be loaded ({error}); leave CP-SAT out with --against highs") from error
    began = time.perf_counter()
    case = in_watts(case)
    columns = Columns(case)
    compiled = plain_model(case)
    per_unit = _steps(compiled, case)
    model = cp_model.CpModel()
    words = f"CP-SAT {version('ortools')}, {workers} workers"
    quantum = _objective(model, compiled, per_unit, _variables(model, compiled, per_unit))
    _start(model, compiled, per_unit, case)
    in_time = _rows(model, compiled, per_unit, case, began + time_s)
    build_s = time.perf_counter() - began
    if not in_time:
        return PlainAnswer(None, None, None, SolveStatus.TIME_LIMIT, f"{words}: not built in time", build_s, 0.0)
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = max(0.1, time_s - build_s)
    solver.parameters.num_workers = workers
    solver.parameters.random_seed = SEED
    # as it comes, presolve alone takes longer than the time limits here
    solver.parameters.max_presolve_iterations = 1
    solver.parameters.cp_model_probing_level = 0
    solver.parameters.relative_gap_limit = gap
    status = STATUS.get(solver.status_name(solver.solve(model)), SolveStatus.UNKNOWN)
    response = solver.response_proto
    values = np.array(response.solution, dtype=np.float64) / per_unit if len(response.solution) else None
    bound = float(response.best_objective_bound) if np.isfinite(response.best_objective_bound) else None
    return PlainAnswer(
        solution=None if values is None else columns.solution(values),
        objective=None if values is None else float(response.objective_value),
        bound=None if bound is None or abs(bound) * quantum > 2**62 else bound,
        status=status,
        words=words,
        build_s=build_s,
        solve_s=time.perf_counter() - began - build_s,
    )


def in_watts(case: Case) -> Case:
    """``case`` with its limits of power rounded down to whole W and its energies to whole W times a slot."""

    def down(value: FloatArray, unit: float) -> FloatArray:
        rounded: FloatArray = np.floor(value / unit + ROUNDING) * unit
        return rounded

    watt, stored = 1.0 / W_A_KW, case.dt / W_A_KW
    limits: dict[str, Any] = {name: down(getattr(case, name), watt) for name in IN_WATTS}
    limits |= {name: down(getattr(case, name), stored) for name in ("E", "soc0", "soc_min", "soc_end")}
    limits["pk0"] = -down(-case.pk0, watt)
    return replace(case, **limits)


def _steps(model: Compiled, case: Case) -> FloatArray:
    """Whole steps in one unit of each column."""
    steps = np.ones(len(model.cost))
    units = dict.fromkeys(("full", "eco"), float(SHARES))
    units |= dict.fromkeys(("import", "export", "renewable", "unserved", "peak", "charge", "discharge", "excess"), float(W_A_KW))
    units |= dict.fromkeys(("soc", "missing"), W_A_KW / case.dt)
    for name, unit in units.items():
        steps[model.columns[name]["first"] : model.columns[name]["end"]] = unit
    return steps


def _variables(model: Any, compiled: Compiled, per_unit: FloatArray) -> FloatArray:
    """Add the variables; returns their upper bounds in steps."""
    balance = compiled.rows["balance"]
    demand = -compiled.matrix[balance["first"] : balance["end"]].minimum(0).sum(axis=1)
    highest = float(compiled.row_upper[balance["first"] : balance["end"]].max() + demand.max()) if balance["end"] else 0.0
    upper = np.where(np.isfinite(compiled.upper), compiled.upper, 2.0 * highest + compiled.lower + 1.0)
    low = np.ceil(compiled.lower * per_unit - ROUNDING).astype(np.int64)
    high = np.maximum(low, np.floor(upper * per_unit + ROUNDING).astype(np.int64))
    for first, last in zip(low.tolist(), high.tolist(), strict=True):
        model.proto.variables.add().domain.extend([first, last])
    return high.astype(np.float64)


def _objective(model: Any, compiled: Compiled, per_unit: FloatArray, high: FloatArray) -> float:
    """Costs as whole numbers, as fine as 64 bits allow; returns the whole units in one EUR."""
    cost = compiled.cost / per_unit
    most = max(1e-9, float(np.abs(cost) @ high))
    quantum = 10.0 ** min(12, int(np.floor(np.log10(2.0**58 / most))))
    whole = np.round(cost * quantum).astype(np.int64)
    some = np.flatnonzero(whole)
    target = model.proto.objective
    target.vars.extend(some.tolist())
    target.coeffs.extend(whole[some].tolist())
    target.scaling_factor = 1.0 / quantum
    target.offset = compiled.offset * quantum
    return quantum


def _start(model: Any, compiled: Compiled, per_unit: FloatArray, case: Case) -> None:
    """A first point, without which CP-SAT often finds none in time: every job dropped, batteries idle, all else imported."""
    point = np.maximum(0.0, compiled.lower)
    families = {name: slice(span["first"], span["end"]) for name, span in compiled.columns.items()}
    need_kw = np.clip(np.ceil(case.a * W_A_KW - ROUNDING) / W_A_KW, 0.0, None)
    import_kw = np.minimum(need_kw, case.gmax)
    event = np.repeat(np.arange(len(case.dr_site)), case.dr_end - case.dr_start)
    slot = np.concatenate([np.arange(a, b) for a, b in zip(case.dr_start, case.dr_end, strict=True)] or [event])
    have = case.E > 0
    point[families["drop"]] = 1.0
    point[families["import"]] = import_kw.ravel()
    point[families["unserved"]] = (need_kw - import_kw).ravel()
    point[families["peak"]] = np.maximum(case.pk0, import_kw.max(axis=1))
    point[families["soc"]] = np.repeat(case.soc0[have], case.T)
    allowed = np.isfinite(case.missing)
    point[families["missing"]] = np.where(allowed, np.maximum(0.0, case.soc_end - case.soc0), 0.0)[have]
    point[families["excess"]] = np.maximum(0.0, import_kw[case.dr_site[event], slot] - case.dr_limit_kw[event])
    hint = model.proto.solution_hint
    hint.vars.extend(range(len(point)))
    hint.values.extend(np.round(point * per_unit).astype(np.int64).tolist())


def _rows(model: Any, compiled: Compiled, per_unit: FloatArray, case: Case, until: float) -> bool:
    """Add the rows, each family with its own scale; False when the time was over before they were all there."""
    matrix = compiled.matrix.tocsr()
    resource = 1.0 if (case.res == np.round(case.res)).all() else 1000.0
    drops = compiled.rows["voltage"]
    largest = float(np.abs(matrix[drops["first"] : drops["end"]]).max()) if drops["end"] > drops["first"] else 0.0
    scale = dict.fromkeys(("peak", "charge", "discharge", "event", "head"), float(W_A_KW))
    scale["final"] = W_A_KW / case.dt
    scale |= {"amount": 1000.0 * SHARES, "within_share": float(SHARES), "capacity": SHARES * resource, "volume": 1000.0}
    scale |= {"balance": float(W_A_KW * FINE), "battery": 1000.0 * W_A_KW / case.dt, "voltage": 1e6 * W_A_KW / (largest or 1.0)}
    waste = {"balance": (0.0, float(FINE)), "battery": (-1000.0, 0.0)}
    for name, span in compiled.rows.items():
        first, end = span["first"], span["end"]
        block = matrix[first:end]
        lower, upper = (limit[first:end] * scale.get(name, 1.0) for limit in (compiled.row_lower, compiled.row_upper))
        value = block.data * scale.get(name, 1.0) / per_unit[block.indices]
        if name in waste:
            lower, upper = np.round(lower) + waste[name][0], np.round(upper) + waste[name][1]
        if not np.isfinite(lower).any():  # rounded so that a row that holds in steps holds exactly
            value = np.ceil(value - ROUNDING)
        elif name == "amount":
            value = np.floor(value + ROUNDING)
        coefficients, columns = np.round(value).astype(np.int64).tolist(), block.indices.tolist()
        lows = np.maximum(np.ceil(lower - ROUNDING), -(2.0**60)).astype(np.int64).tolist()
        ups = np.minimum(np.floor(upper + ROUNDING), 2.0**60).astype(np.int64).tolist()
        pointer = block.indptr.tolist()
        for row in range(end - first):
            if row % 1000 == 0 and time.perf_counter() > until:
                return False
            linear = model.proto.constraints.add().linear
            linear.vars.extend(columns[pointer[row] : pointer[row + 1]])
            linear.coeffs.extend(coefficients[pointer[row] : pointer[row + 1]])
            linear.domain.extend([lows[row], ups[row]])
    return True
