"""What knowing more is worth, on the planner's own futures: the value of the stochastic solution and of perfect information.

With ``Q(x, w)`` the cost of a placement ``x`` when future ``w`` comes and energy is settled for it (Birge and Louveaux 2011,
chapter 4):

- ``RP = min over x of E Q(x, w)``: the two-stage plan;
- ``EEV = E Q(x1, w)`` with ``x1`` the placement of the plan for one future, the forecast;
- ``WS = E min over x of Q(x, w)``: a plan for every future, as if it were known beforehand;
- value of the stochastic solution ``VSS = EEV - RP``, expected value of perfect information ``EVPI = RP - WS``; neither is
  below 0.

Plans are proven within gaps only, so each value is a range. ``RP`` lies between the proven bound and the cost of the plan found,
and ``WS`` between the means of both over the futures. ``EEV`` is exact for the placement that was found: another one within its
gap may have another. Everything is about the futures that were drawn: other draws give other values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grid.errors import Interrupted
from scheduler.optimiser.seam import OptimiserPolicy
from scheduler.optimiser.stages import with_future
from scheduler.plan import Plan, SolveStatus
from scheduler.policies import Policy, Progress, silent
from scheduler.problem import Problem


@dataclass(frozen=True, slots=True)
class Range:
    """A value that is known to lie in ``[least, most]``, EUR; an end is None when nothing is proven about it."""

    least: float | None
    most: float | None


@dataclass(frozen=True, slots=True)
class Information:
    """Values of knowing more, EUR over the planned horizon.

    Attributes:
        two_stage: RP; one_future_eur: EEV; informed: WS, or None when it was not asked for.
        stochastic: VSS; perfect: EVPI, or None when it was not asked for.
    """

    two_stage: Range
    one_future_eur: float
    informed: Range | None
    stochastic: Range
    perfect: Range | None


def value_of_information(
    problem: Problem, plan: Plan, *, informed: bool, policy: Policy | None = None, progress: Progress = silent
) -> Information:
    """VSS of a two-stage plan, and EVPI when ``informed`` (it takes one plan for every future).

    Args:
        problem: with futures; it should count on the forecast, so that the plan for one future is the expected-value plan.
        plan: of the policy ``milp-two-stage``, with ``expected``.
        informed: compute what perfect information is worth.
        policy: makes the plans for single futures; the optimiser when None.
        progress: told what is going on.

    Raises:
        ValueError: the plan has no expected cost.
        Interrupted: somebody asked to stop.
    """
    expected = plan.expected
    if expected is None:
        raise ValueError(f"plan {plan.id} by {plan.policy} was not made for several futures")
    two_stage = Range(expected.bound_eur, expected.objective_eur)
    stochastic = Range(
        max(0.0, expected.one_future_eur - expected.objective_eur),
        None if two_stage.least is None else max(0.0, expected.one_future_eur - two_stage.least),
    )
    known = _informed(problem, policy or OptimiserPolicy(), progress) if informed and problem.futures else None
    return Information(
        two_stage, expected.one_future_eur, known, stochastic, None if known is None else _perfect(two_stage, known)
    )


def _informed(problem: Problem, policy: Policy, progress: Progress) -> Range:
    """WS: the mean of the bounds and of the costs of plans for each future alone."""
    shares, costs, bounds = [], list[float](), list[float | None]()
    for w, future in enumerate(problem.futures):
        plan = policy.plan(with_future(problem, future))
        if plan.status is SolveStatus.INTERRUPTED:
            raise Interrupted
        progress(f"future {w + 1} of {len(problem.futures)} known beforehand: {plan.objective_eur:.4f} EUR")
        shares.append(future.probability)
        costs.append(plan.objective_eur)
        bounds.append(plan.bound_eur)
    proven = [bound for bound in bounds if bound is not None]
    least = float(np.dot(shares, proven)) if len(proven) == len(shares) else None
    return Range(least, float(np.dot(shares, costs)))


def _perfect(two_stage: Range, informed: Range) -> Range:
    """EVPI: between the nearest and the furthest ends of RP and WS, not below 0."""
    least = None
    if two_stage.least is not None and informed.most is not None:
        least = max(0.0, two_stage.least - informed.most)
    most = None
    if two_stage.most is not None and informed.least is not None:
        most = max(0.0, two_stage.most - informed.least)
    return Range(least, most)
