"""HiGHS, spoken to in one place: arrays in, an answer with a mapped status out.

Every model status of HiGHS goes through ``STATUS``; what is not in the table is ``UNKNOWN``, never success.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from grid.errors import SolverError
from grid.horizon import FloatArray
from scheduler.optimiser.compiled import Compiled
from scheduler.plan import SolveStatus

STATUS: dict[str, SolveStatus] = {
    "kOptimal": SolveStatus.OPTIMAL,
    "kModelEmpty": SolveStatus.OPTIMAL,
    "kObjectiveTarget": SolveStatus.OPTIMAL,
    "kTimeLimit": SolveStatus.TIME_LIMIT,
    "kIterationLimit": SolveStatus.TIME_LIMIT,
    "kSolutionLimit": SolveStatus.TIME_LIMIT,
    "kInfeasible": SolveStatus.INFEASIBLE,
    "kInterrupt": SolveStatus.INTERRUPTED,
    "kHighsInterrupt": SolveStatus.INTERRUPTED,
}
"""``HighsModelStatus`` by name. ``kSolutionLimit`` is also what a node limit reports. ``kObjectiveTarget``:
as good as was asked for; whether that closes the gap is for the caller to compute."""

SEED = 20_22
"""Random seed of the solver: fixed, so that the same input gives the same plan."""

StopAsked = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Limits:
    """When the solver may stop.

    Attributes:
        time_s: wall time; a safety only, because it is not reproducible.
        gap: relative gap.
        nodes: branch-and-bound nodes, or None.
        target_eur: an objective that is good enough, or None.
    """

    time_s: float
    gap: float = 0.0
    nodes: int | None = None
    target_eur: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What HiGHS answered.

    Attributes:
        status: mapped; words: in its own words.
        values: primal values of the columns, or None when there is no feasible point.
        objective: with the offset, or None.
        bound: proven lower bound with the offset, or None.
        row_dual, column_dual: of a linear programme, else None; basis: of HiGHS, the same.
    """

    status: SolveStatus
    words: str
    values: FloatArray | None
    objective: float | None
    bound: float | None
    row_dual: FloatArray | None = None
    column_dual: FloatArray | None = None
    basis: Any = None


def never() -> bool:
    """Nobody asks to stop."""
    return False


def solve_linear(
    model: Compiled,
    limits: Limits,
    stop: StopAsked = never,
    method: str = "ipm",
    basis: Any = None,
    iterations: int | None = None,
) -> Answer:
    """Solve the relaxation without integrality; primal, dual and bound at a vertex.

    The interior point method with crossover is about twice as fast as the simplex method on these models, unless this begins at
    a ``basis`` (of HiGHS, not necessarily complete) near the optimum; ``iterations`` limits what it may cost when it is not.
    """
    if not len(model.cost):
        return _empty(model)
    solver = _load(model, limits, stop, whole=False)
    solver.setOptionValue("solver", method)
    if iterations is not None:
        solver.setOptionValue("simplex_iteration_limit", iterations)
    if basis is not None:
        solver.setBasis(basis)
    solver.run()
    status, words = _status(solver)
    solution = solver.getSolution()
    if status is not SolveStatus.OPTIMAL:
        return Answer(status, words, None, None, None)
    value = solver.getInfo().objective_function_value
    return Answer(
        status,
        words,
        np.array(solution.col_value),
        value,
        value,
        np.array(solution.row_dual),
        np.array(solution.col_dual),
        solver.getBasis(),
    )


def solve_integer(
    model: Compiled,
    limits: Limits,
    start: FloatArray | None = None,
    stop: StopAsked = never,
    improved: Callable[[float, float], None] | None = None,
) -> Answer:
    """Solve with integrality, from a starting point when one is given.

    Args:
        model: the programme.
        limits: when to stop.
        start: values of all columns (a feasible point), or None.
        stop: asked again and again; True ends the solve with the incumbent.
        improved: called with objective and bound when a better point was found.
    """
    if not len(model.cost):
        return _empty(model)
    solver = _load(model, limits, stop, whole=True)
    if improved is not None:

        def report(event: Any) -> None:
            data = event.data_out
            improved(data.objective_function_value, data.mip_dual_bound)

        solver.cbMipImprovingSolution.subscribe(report)
    if start is not None:
        import highspy

        point = highspy.HighsSolution()
        point.col_value = start.tolist()
        point.value_valid = True
        solver.setSolution(point)
    solver.run()
    status, words = _status(solver)
    info = solver.getInfo()
    values = objective = None
    if info.primal_solution_status == 2:  # kSolutionStatusFeasible
        values, objective = np.array(solver.getSolution().col_value), info.objective_function_value
    bound = info.mip_dual_bound if model.integer.any() else info.objective_function_value
    known = np.isfinite(bound) and status is not SolveStatus.INFEASIBLE
    return Answer(status, words, values, objective, float(bound) if known else None)


def _empty(model: Compiled) -> Answer:
    """Nothing to decide: only the constant is left, when no row is broken."""
    feasible = bool((model.row_lower <= 1e-7).all() and (model.row_upper >= -1e-7).all())
    if not feasible:
        return Answer(SolveStatus.INFEASIBLE, "a row without columns is broken", None, None, None)
    none = np.zeros(0)
    return Answer(
        SolveStatus.OPTIMAL, "nothing to decide", none, model.offset, model.offset, np.zeros(len(model.row_lower)), none
    )


def _status(solver: Any) -> tuple[SolveStatus, str]:
    """Mapped status of the last run, and the solver's own words."""
    status = solver.getModelStatus()
    words = f"HiGHS {solver.version()}: {solver.modelStatusToString(status)}"
    return STATUS.get(status.name, SolveStatus.UNKNOWN), words


def _load(model: Compiled, limits: Limits, stop: StopAsked, *, whole: bool) -> Any:
    """A solver that holds ``model``, with options and the interruption set."""
    import highspy

    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(model.cost), len(model.row_lower)
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = model.cost, model.lower, model.upper
    lp.offset_ = model.offset
    lp.row_lower_, lp.row_upper_ = model.row_lower, model.row_upper
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = (
        model.matrix.indptr,
        model.matrix.indices,
        model.matrix.data,
    )
    if whole:
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        lp.integrality_ = [kinds[int(flag)] for flag in model.integer]
    solver = highspy.Highs()
    solver.silent()
    options = {
        "threads": 1,
        "random_seed": SEED,
        "time_limit": max(0.0, limits.time_s),
        "mip_rel_gap": max(0.0, limits.gap),
        "mip_abs_gap": 1e-9,
    }
    if limits.nodes is not None:
        options["mip_max_nodes"] = limits.nodes
    if limits.target_eur is not None and whole:
        options["objective_target"] = limits.target_eur
    for name, value in options.items():
        solver.setOptionValue(name, value)
    if solver.passModel(lp) == highspy.HighsStatus.kError:
        raise SolverError("HiGHS refused the model")

    def interrupt(event: Any) -> None:
        if stop():
            event.interrupt()

    for callback in (solver.cbSimplexInterrupt, solver.cbIpmInterrupt, solver.cbMipInterrupt):
        callback.subscribe(interrupt)
    return solver
