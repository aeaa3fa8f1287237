"""The policy ``milp-two-stage`` at scale: one placement for several futures by price decomposition (``futures.py``)."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from scheduler.optimiser.expected import expected_of, status_of
from scheduler.optimiser.highs import StopAsked
from scheduler.optimiser.interrupt import Interruption
from scheduler.optimiser.stages import point_future
from scheduler.plan import BatteryControl, Plan, SolveStatus
from scheduler.policies import Progress, silent
from scheduler.policies.assemble import make_plan
from scheduler.policies.schedule import Schedule, it_power_kw, task_eur
from scheduler.problem import Problem

if TYPE_CHECKING:
    from grid.horizon import FloatArray
    from scheduler.optimiser.large.futures import FutureCases

FIRST_SHARE = 0.3
"""Share of the time for the plan of one future."""


@dataclass(frozen=True, slots=True)
class LargeTwoStagePolicy:
    """Places jobs for several futures; knows what a case can say (``translate.two_stage_obstacles``).

    Attributes:
        stop: asked again and again; True returns the incumbent. None: Ctrl-C asks.
    """

    stop: StopAsked | None = None

    @property
    def name(self) -> str:
        """``milp-two-stage``: the same policy as the reference, for larger problems."""
        return "milp-two-stage"

    def plan(self, problem: Problem, progress: Progress = silent) -> Plan:
        """The plan of least expected cost found, with a proven bound of the expected cost in ``expected``.

        Raises:
            ValueError: the problem has something that only the reference can say.
            SolverError: the energy side could not be solved.
        """
        with Interruption() as interruption:
            return self._plan(problem, progress, self.stop or interruption)

    def _plan(self, problem: Problem, progress: Progress, stop: StopAsked) -> Plan:
        from scheduler.optimiser.large.futures import future_cases
        from scheduler.optimiser.large.policy import energy_of
        from scheduler.optimiser.large.solve import LargeLimits, solve_case
        from scheduler.optimiser.large.translate import case_of, schedule_of, two_stage_obstacles

        obstacles = two_stage_obstacles(problem)
        if obstacles:
            raise ValueError(f"the large-scale solver does not know {'; '.join(obstacles)}")
        begun = time.perf_counter()
        point, settings = case_of(problem), problem.settings
        drawn = problem.futures or (point_future(problem),)
        shares = np.array([future.probability for future in drawn])
        sun, fixed = (np.stack([getattr(future, name) for future in drawn]) for name in ("renewable_kw", "fixed_kw"))
        futures = future_cases(point, sun, fixed, shares)
        built = time.perf_counter()
        limits = LargeLimits(FIRST_SHARE * settings.time_limit_s, settings.relative_gap)
        alone = schedule_of(problem, solve_case(point, limits, progress, stop).solution)
        progress(f"large: {len(drawn)} futures")
        left = LargeLimits(max(0.0, settings.time_limit_s - (time.perf_counter() - begun)), settings.relative_gap)
        found = solve_case(futures.mean, left, progress, stop, futures=futures)
        placed = [schedule_of(problem, found.solution), alone]
        costs = [expected_costs(problem, schedule, futures) for schedule in placed]
        best = int(np.argmin([shares @ cost for cost in costs]))
        plan = make_plan(
            problem,
            placed[best],
            energy_of(problem, placed[best], point),
            policy=self.name,
            control=BatteryControl.FOLLOW_PLAN,
            status=SolveStatus.UNKNOWN,
            solver=f"price decomposition over {len(drawn)} futures, {found.dual.sweeps} sweeps, {found.primal.rounds} rounds"
            + ("; the placement for one future was better" if best else ""),
            solve_s=time.perf_counter() - built,
            build_s=built - begun,
        )
        expected = expected_of(shares, costs[best], costs[1], found.bound)
        return replace(plan, expected=expected, status=status_of(problem, plan, expected, stop))


def expected_costs(problem: Problem, schedule: Schedule, futures: FutureCases) -> FloatArray:
    """Whole cost of ``schedule`` in each future, EUR, its energy settled anew in each, ``[W]``."""
    from scheduler.optimiser.large.futures import mean_blocks

    load, task = it_power_kw(problem, schedule), sum(task_eur(problem, schedule).values())
    total = np.full(len(futures.shares), task)
    for block in mean_blocks(futures, np.full(load.shape, np.inf)):
        total += [part.settled(load)[0] for part in block.parts]
    return total
