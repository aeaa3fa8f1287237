"""The policy ``shift_only``: the optimiser's plan when cars may be charged later, and give nothing back.

Beside the plan with discharge it says what discharge is worth: cost (shift only) - cost (shift + discharge). Everything else of
the problem, batteries of sites included, is as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from grid.assets.charging import ChargingFleet
from scheduler.optimiser.seam import OptimiserPolicy
from scheduler.plan import Plan
from scheduler.policies import Progress, silent
from scheduler.problem import Problem
from scheduler.scenario import Scenario

SHIFT_ONLY = "shift_only"


@dataclass(frozen=True, slots=True)
class ShiftOnlyPolicy:
    """The policy ``shift_only``; of a problem in which no car may give back it makes the plan of ``milp``."""

    @property
    def name(self) -> str:
        """``shift_only``."""
        return SHIFT_ONLY

    def plan(self, problem: Problem, progress: Progress = silent) -> Plan:
        """The optimiser's plan without discharge of cars.

        Raises:
            SolverError: the solver failed in a way that leaves no plan at all.
        """
        assets = tuple(
            replace(item, asset=replace(item.asset, discharge=False)) if isinstance(item.asset, ChargingFleet) else item
            for item in problem.assets
        )
        return replace(OptimiserPolicy().plan(replace(problem, assets=assets), progress), policy=self.name)


def cars_give(scenario: Scenario) -> bool:
    """True when some car of the scenario may give back."""
    fleets = (asset for site in scenario.sites for asset in site.assets if isinstance(asset, ChargingFleet))
    return any(fleet.may_give(group) for fleet in fleets for group in fleet.groups)
