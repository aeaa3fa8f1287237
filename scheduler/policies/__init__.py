"""Policies: everything that turns a ``Problem`` into a ``Plan``, behind one interface.

The optimiser (``scheduler.optimiser``) and the baselines are all policies, so any of them can be compared,
rehearsed and commanded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from scheduler.plan import Plan
from scheduler.problem import Problem

Progress = Callable[[str], None]
"""Called with a short line whenever there is something to tell (incumbent, bound, gap)."""


def silent(_: str) -> None:
    """A ``Progress`` that tells nobody."""


class Policy(Protocol):
    """Turns a problem into a plan."""

    @property
    def name(self) -> str:
        """Name in reports, for example ``milp``."""

    def plan(self, problem: Problem, progress: Progress = silent) -> Plan:
        """The plan for ``problem``; never raises for an infeasible one, but drops and says why.

        Raises:
            SolverError: the solver failed in a way that leaves no plan at all.
        """


@runtime_checkable
class Replanning(Policy, Protocol):
    """A policy that plans faster when it knows the plan in force."""

    def replan(self, problem: Problem, before: Plan, progress: Progress = silent) -> Plan:
        """The plan for ``problem``, searched for from what ``before`` still holds; bound, gap and statuses as of ``plan``.

        Args:
            problem: the problem, of a horizon that ends with that of ``before`` or later.
            before: the plan in force.
            progress: told what happens.

        Raises:
            SolverError: the solver failed in a way that leaves no plan at all.
        """


__all__ = ["Policy", "Progress", "Replanning", "silent"]
