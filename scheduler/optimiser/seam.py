"""One problem, two solvers behind one seam: which of them plans.

The reference (``policy.MilpPolicy``) knows everything and proves optima of small problems; the large-scale solver
(``large.policy.LargePolicy``) knows nearly all of it and is made for many jobs. ``OptimiserPolicy`` takes the large one where
the reference would be slow and the large one knows all that is asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from scheduler.optimiser.highs import StopAsked
from scheduler.optimiser.memory import PriceMemory
from scheduler.optimiser.policy import MilpPolicy
from scheduler.plan import Plan
from scheduler.policies import Progress, Replanning, silent
from scheduler.problem import Problem

REFERENCE_COLUMNS = 60_000
"""Columns of jobs up to which the reference plans: it then proves gaps that the decomposition cannot close."""


@dataclass(frozen=True, slots=True)
class OptimiserPolicy:
    """The policy ``milp``: the reference for small problems, price decomposition for large ones.

    Attributes:
        stop: asked again and again; True returns the incumbent. None: Ctrl-C asks.
        memory: what the large-scale solver remembers from plan to plan.
    """

    stop: StopAsked | None = None
    memory: PriceMemory = field(default_factory=PriceMemory)

    @property
    def name(self) -> str:
        """``milp``."""
        return "milp"

    def plan(self, problem: Problem, progress: Progress = silent) -> Plan:
        """The best plan found, with a proven bound; the plan names the solver that made it.

        Raises:
            SolverError: the solver failed in a way that leaves no plan at all.
        """
        return self.solver(problem, progress).plan(problem, progress)

    def replan(self, problem: Problem, before: Plan, progress: Progress = silent) -> Plan:
        """The best plan found from what the plan in force still holds.

        Raises:
            SolverError: the solver failed in a way that leaves no plan at all.
        """
        return self.solver(problem, progress).replan(problem, before, progress)

    def solver(self, problem: Problem, progress: Progress = silent) -> Replanning:
        """The solver for ``problem``."""
        if not at_scale(problem, progress):
            return MilpPolicy(self.stop)
        from scheduler.optimiser.large.policy import LargePolicy

        return LargePolicy(self.stop, self.memory)


def at_scale(problem: Problem, progress: Progress = silent, *, two_stage: bool = False) -> bool:
    """True when the large-scale solver plans ``problem`` (for several futures); what keeps a large one from it is told."""
    from scheduler.optimiser.large.translate import columns_estimate, obstacles_to_scale, two_stage_obstacles

    if columns_estimate(problem) <= REFERENCE_COLUMNS:
        return False
    obstacles = two_stage_obstacles(problem) if two_stage else obstacles_to_scale(problem)
    if obstacles:
        progress(f"the reference plans, and may be slow: only it knows {'; '.join(obstacles)}")
    return not obstacles
