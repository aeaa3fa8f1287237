"""The large-scale solver as a policy: ``Problem -> Plan`` with bound and gap."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from grid.horizon import FloatArray
from scheduler.optimiser.highs import StopAsked
from scheduler.optimiser.interrupt import Interruption
from scheduler.optimiser.settle import settle
from scheduler.plan import BatteryControl, EnergySchedule, Plan, SolveStatus
from scheduler.policies import Progress, silent
from scheduler.policies.assemble import make_plan
from scheduler.policies.schedule import Schedule, it_power_kw
from scheduler.problem import Problem

if TYPE_CHECKING:
    from scheduler.optimiser.large.case import Case

BINARY_SECONDS = 5.0
"""Most time for the directions of the batteries of one feeder in a schedule that is given."""


@dataclass(frozen=True, slots=True)
class LargePolicy:
    """The policy ``milp`` at scale: price decomposition for problems that a case can say (``translate.obstacles_to_scale``).

    Attributes:
        stop: asked again and again; True returns the incumbent. None: Ctrl-C asks.
    """

    stop: StopAsked | None = None

    @property
    def name(self) -> str:
        """``milp``: the same policy as the reference, for larger problems."""
        return "milp"

    def plan(self, problem: Problem, progress: Progress = silent) -> Plan:
        """The best plan found, with a proven bound.

        Raises:
            ValueError: the problem has something that only the reference can say.
            SolverError: the energy side could not be solved.
        """
        with Interruption() as interruption:
            return self._plan(problem, progress, self.stop or interruption)

    def _plan(self, problem: Problem, progress: Progress, stop: StopAsked) -> Plan:
        from scheduler.optimiser.large.solve import LargeLimits, solve_case
        from scheduler.optimiser.large.translate import case_of, obstacles_to_scale, schedule_of

        obstacles = obstacles_to_scale(problem)
        if obstacles:
            raise ValueError(f"the large-scale solver does not know {'; '.join(obstacles)}")
        begun = time.perf_counter()
        case = case_of(problem)
        progress(f"large: {case.J} jobs, {case.S} sites, {case.T} slots, {len(case.es)} places to be")
        built = time.perf_counter()
        settings = problem.settings
        limits = LargeLimits(max(0.0, settings.time_limit_s - (built - begun)), settings.relative_gap)
        found = solve_case(case, limits, progress, stop)
        schedule = schedule_of(problem, found.solution)
        plan = make_plan(
            problem,
            schedule,
            _energy(problem, it_power_kw(problem, schedule), found.primal.blocks, found.primal.flows),
            policy=self.name,
            control=BatteryControl.FOLLOW_PLAN,
            status=SolveStatus.UNKNOWN,
            solver=f"price decomposition, {found.dual.sweeps} sweeps, {found.primal.rounds} rounds",
            solve_s=time.perf_counter() - built,
            bound_eur=found.bound,
            build_s=built - begun + found.build_s,
        )
        status = found.status if plan.status is not SolveStatus.INFEASIBLE else SolveStatus.INFEASIBLE
        if status is SolveStatus.OPTIMAL and (plan.gap is None or plan.gap > max(settings.relative_gap, 1e-6)):
            status = SolveStatus.TIME_LIMIT
        return replace(plan, status=status, solve_s=time.perf_counter() - built)


def energy_of(problem: Problem, schedule: Schedule, case: Case) -> EnergySchedule:
    """Best energy of a schedule for the sun, wind and fixed load of ``case``.

    Raises:
        SolverError: the energy side could not be solved.
    """
    from scheduler.optimiser.large.energy import EnergyBlock, feeder_sites

    load = it_power_kw(problem, schedule)
    blocks = [EnergyBlock(case, sites, np.full(load.shape, np.inf), feeders=True) for sites in feeder_sites(case)]
    flows = []
    for block in blocks:
        flow = block.fix_load(load)[1]
        flows.append(block.with_binaries(BINARY_SECONDS)[2] if block.both_ways(flow) else flow)
    return _energy(problem, load, blocks, flows)


def _energy(problem: Problem, it_kw: FloatArray, blocks: list, flows: list[dict[str, FloatArray]]) -> EnergySchedule:  # type: ignore[type-arg]
    """Energy schedule from the flows of all blocks."""
    parts = {name: np.zeros_like(it_kw) for name in ("charge", "discharge", "renewable", "unserved")}
    for block, flow in zip(blocks, flows, strict=True):
        for name, array in parts.items():
            array[block.sites] = flow[name]
    return settle(problem, it_kw, parts["charge"], parts["discharge"], parts["renewable"], parts["unserved"])
