"""Every policy by name."""

from __future__ import annotations

from collections.abc import Callable

from scheduler.optimiser.seam import OptimiserPolicy
from scheduler.optimiser.shift_only import ShiftOnlyPolicy
from scheduler.optimiser.two_stage import TwoStagePolicy
from scheduler.policies import Policy
from scheduler.policies.fifo import Fifo
from scheduler.policies.wait_for_sun import WaitForSun

POLICIES: dict[str, Callable[[], Policy]] = {
    "milp": OptimiserPolicy,
    "milp-two-stage": TwoStagePolicy,
    "shift_only": ShiftOnlyPolicy,
    "fifo": Fifo,
    "wait_for_sun": WaitForSun,
}
"""Makers of the policies: the optimiser, the optimiser over several futures or without discharge of cars, and baselines."""

BASELINES: tuple[str, ...] = ("fifo", "wait_for_sun")
"""Names of the baselines that every report shows beside the plan."""
