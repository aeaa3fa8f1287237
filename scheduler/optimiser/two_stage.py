"""The policy ``milp-two-stage``: places jobs and moves for several futures at once, energy settled anew in each.

First the plan for one future is sought, as the policy ``milp`` does; its placement starts the search over all futures
(``stages.py``), so what is found is never dearer in expectation than that. The energy schedule of the plan, which sites then
follow with their own corrections, is the best one of its placement for what the problem counts on (``renewable_kw`` and
``fixed_kw``).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from scheduler.optimiser.expected import expected_of, status_of
from scheduler.optimiser.highs import StopAsked
from scheduler.optimiser.interrupt import Interruption
from scheduler.optimiser.policy import MilpPolicy, compiled, nothing
from scheduler.optimiser.seam import at_scale
from scheduler.optimiser.search import Search
from scheduler.optimiser.stages import Stages, point_future, roomy, with_future
from scheduler.plan import BatteryControl, Plan, SolveStatus
from scheduler.policies import Progress, silent
from scheduler.policies.assemble import make_plan
from scheduler.policies.fifo import fifo_schedule
from scheduler.policies.schedule import it_power_kw
from scheduler.policies.wait_for_sun import wait_for_sun_schedule
from scheduler.problem import Problem

FIRST_SHARE = 0.4
"""Share of the time for the plan of one future."""


@dataclass(frozen=True, slots=True)
class TwoStagePolicy:
    """The policy ``milp-two-stage``; of a problem without futures, with assets, or with nodes that sleep, it makes ``milp``'s.

    Attributes:
        stop: asked again and again; True returns the incumbent. None: Ctrl-C asks.
    """

    stop: StopAsked | None = None

    @property
    def name(self) -> str:
        """``milp-two-stage``."""
        return "milp-two-stage"

    def plan(self, problem: Problem, progress: Progress = silent) -> Plan:
        """The plan of least expected cost found, with a proven bound of the expected cost in ``expected``.

        Raises:
            SolverError: the solver failed in a way that leaves no plan at all.
        """
        if problem.assets or problem.sleepers:
            progress("several futures are not planned for sites with assets or nodes that sleep: the plan is that of milp")
            return replace(MilpPolicy(self.stop).plan(problem, progress), policy=self.name)
        if at_scale(problem, progress, two_stage=True):
            from scheduler.optimiser.large.two_stage import LargeTwoStagePolicy

            return LargeTwoStagePolicy(self.stop).plan(problem, progress)
        with Interruption() as interruption:
            return self._plan(problem, progress, self.stop or interruption)

    def _plan(self, problem: Problem, progress: Progress, stop: StopAsked) -> Plan:
        begun = time.perf_counter()
        point, limit = point_future(problem), problem.settings.time_limit_s
        futures = problem.futures or (point,)
        parts, model = compiled(roomy(problem))
        stages = Stages(problem, model)
        built = time.perf_counter()
        starts = {"fifo": fifo_schedule(problem), "wait_for_sun": wait_for_sun_schedule(problem), "nothing": nothing(problem)}
        share = FIRST_SHARE if problem.futures else 1.0
        first = Search(replace(parts, problem=problem), stages.over((point,)), progress, stop, begun + share * limit)
        first.run(starts)
        search, alone = first, first.schedule()
        if problem.futures:
            progress(f"{len(futures)} futures; the plan for one of them starts the search")
            main = with_future(problem, futures[0])
            search = Search(replace(parts, problem=main), stages.over(futures), progress, stop, begun + limit)
            search.run({"the plan for one future": alone, **starts})
        schedule = search.schedule()
        shares = np.array([future.probability for future in futures])
        expected = expected_of(shares, stages.costs(schedule, futures), stages.costs(alone, futures), search.bound)
        plan = make_plan(
            problem,
            schedule,
            stages.recourse(it_power_kw(problem, schedule), point)[1],
            policy=self.name,
            control=BatteryControl.FOLLOW_PLAN,
            status=SolveStatus.UNKNOWN,
            solver=f"{search.words}; {len(futures)} futures; best plan from: {search.origin}",
            solve_s=time.perf_counter() - built,
            build_s=built - begun,
        )
        return replace(plan, expected=expected, status=status_of(problem, plan, expected, stop))
