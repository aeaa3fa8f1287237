"""The rehearsal's look at single phases: where the network's description has them, EN 50160 is judged phase by phase.

A balanced power flow spreads every household evenly and so hides that one phase of a cabinet lies low while another lies high.
The rules are those of ``grid.three_phase.phase_faults``, on the means of the slots over the horizon that was carried out; the
standard takes means of 10 minutes over a week, so a single day is judged more strictly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from grid.horizon import FloatArray, Horizon
from scheduler.outcome import Violation, ViolationKind

if TYPE_CHECKING:
    from grid.network import Network
    from grid.three_phase import PhaseFault, PhaseResult

KINDS: dict[str, ViolationKind] = {
    "voltage_band": ViolationKind.PHASE_VOLTAGE,
    "voltage_limit": ViolationKind.PHASE_VOLTAGE,
    "unbalance": ViolationKind.UNBALANCE,
    "line_loading": ViolationKind.PHASE_LOADING,
    "transformer_loading": ViolationKind.PHASE_LOADING,
}
"""Kind of violation of each rule."""
SHARE_UNIT = "share of the means"


@dataclass(frozen=True, slots=True)
class PhaseTask:
    """What is checked.

    Attributes:
        horizon: slots of the powers; profile_start: naive local time in the profile year that it begins at.
        net_kw: net import of each site that has a bus, ``[slots]``; site_bus: its bus.
        household_scale: factor on the network's own loads; loading_limit_pct: of lines and transformers.
        seed: of the execution.
    """

    horizon: Horizon
    profile_start: datetime
    net_kw: Mapping[str, FloatArray]
    site_bus: Mapping[str, str]
    household_scale: float
    loading_limit_pct: float
    seed: int


def check_phases(network: Network, task: PhaseTask) -> tuple[dict[str, float], tuple[Violation, ...]] | None:
    """Worst values by name (unit in the name) and every broken rule; None when the network has no three-phase description.

    Raises:
        NetworkError, PowerFlowError: the network cannot be used, or a slot has no solution (names slot and bus).
    """
    from grid.phase_flow import PhaseFlow, has_three_phases
    from grid.three_phase import phase_faults

    if not has_three_phases(network):
        return None
    flow = PhaseFlow(network, task.site_bus)
    result = flow.flow(task.horizon, task.profile_start, task.net_kw, task.household_scale)
    faults = phase_faults(result, loading_limit_pct=task.loading_limit_pct)
    if not faults:
        return worst_values(result), ()
    nobody = {site: np.zeros(task.horizon.slots) for site in task.net_kw}
    alone = flow.flow(task.horizon, task.profile_start, nobody, task.household_scale)
    without = {_rule(fault): fault.element for fault in phase_faults(alone, loading_limit_pct=task.loading_limit_pct)}
    return worst_values(result), tuple(_violations(task, faults, without))


def worst_values(result: PhaseResult) -> dict[str, float]:
    """Lowest and highest voltage of any phase and highest unbalance."""
    return {
        "phase_voltage_low_pu": float(result.voltage_pu.min()),
        "phase_voltage_high_pu": float(result.voltage_pu.max()),
        "unbalance_pct": float(result.unbalance_pct.max()),
    }


def _rule(fault: PhaseFault) -> tuple[str, float]:
    """Which rule a fault breaks; both ends of the voltage's outermost band have one name and two limits."""
    return fault.rule, fault.limit


def _violations(task: PhaseTask, faults: list[PhaseFault], without: Mapping[tuple[str, float], str]) -> Iterator[Violation]:
    """Each fault with what to change: whether the rule is broken without any site, and where, decides."""
    for fault in faults:
        when = task.horizon.time(fault.slot)
        if _rule(fault) in without:
            advice = (
                f"The loads of the network alone break this rule, with no site at all, at {without[_rule(fault)]}: move "
                "single-phase loads to another phase, use a stronger network or a smaller household_scale."
            )
        else:
            site = max(task.net_kw, key=lambda name: abs(float(task.net_kw[name][fault.slot])))
            word = "import" if task.net_kw[site][fault.slot] >= 0 else "export"
            advice = (
                f"Without the sites this rule would hold: lower the {word} limit of {site} (the largest at {when:%H:%M} UTC), or "
                "move single-phase loads to another phase."
            )
        unit = SHARE_UNIT if fault.unit == "share" else fault.unit
        yield Violation(KINDS[fault.rule], fault.element, fault.value, fault.limit, unit, when, task.seed, advice)
