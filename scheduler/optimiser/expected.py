"""What a plan costs over several futures, and how its solve ended: the same words for the reference and at scale."""

from __future__ import annotations

import numpy as np

from grid.horizon import FloatArray
from scheduler.optimiser.highs import StopAsked
from scheduler.optimiser.search import enough_gap
from scheduler.plan import Expected, Plan, SolveStatus
from scheduler.problem import Problem


def expected_of(shares: FloatArray, costs: FloatArray, one_future: FloatArray, bound_eur: float) -> Expected:
    """Expected cost with its bound and gap.

    Args:
        shares: probabilities of the futures, ``[W]``.
        costs: of the plan in each, EUR, ``[W]``.
        one_future: the same of the placement that was made for one future.
        bound_eur: no placement is expected to cost less; infinite when nothing is proven.
    """
    mean = float(shares @ costs)
    known = min(bound_eur, mean) if np.isfinite(bound_eur) else None
    return Expected(
        objective_eur=mean,
        bound_eur=known,
        gap=None if known is None else (mean - known) / max(abs(mean), 1e-9),
        one_future_eur=float(shares @ one_future),
        probabilities=tuple(shares.tolist()),
        costs_eur=tuple(costs.tolist()),
    )


def status_of(problem: Problem, plan: Plan, expected: Expected, stop: StopAsked) -> SolveStatus:
    """How the solve ended; proven is the gap of the expected cost."""
    if stop():
        return SolveStatus.INTERRUPTED
    if plan.status is SolveStatus.INFEASIBLE:
        return SolveStatus.INFEASIBLE
    proven = expected.gap is not None and expected.gap <= enough_gap(problem.settings)
    return SolveStatus.OPTIMAL if proven else SolveStatus.TIME_LIMIT
