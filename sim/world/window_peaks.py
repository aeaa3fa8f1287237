"""Peaks of capacity tariffs in the world: what a later plan has to know of them."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

from grid.horizon import Horizon
from sim.world.steps import in_force

if TYPE_CHECKING:
    from sim.world.simulated import SimulatedWorld


def window_peaks_kw(world: SimulatedWorld, then_s: float) -> dict[str, dict[str, float]]:
    """Peak of each charge until ``then_s`` (seconds after the world's start), by site and key of the charge.

    Settlement periods that are over count as metered, later ones as planned.
    """
    now_s, quarter_s = world.env.now, world.scenario.settlement.total_seconds()
    ahead, found, book = in_force(world.plans, now_s, then_s), {}, world.scenario.contracts
    if not book.tariffs:
        return {}
    if world.begun_from is not None:
        book = book.begun(world.begun_from.peaks)
    over = int(now_s // quarter_s)
    for name, meter in world.meters.items():
        peaks = {}
        for _, charge in book.peak_charges(name, world.scenario.horizon):
            peak = charge.reached_kw
            if over:
                periods = Horizon(world.horizon.start, timedelta(seconds=quarter_s), over)
                peak += charge.paid_kw(meter.import_kw(quarter_s, over), periods)
            for from_s, until_s, plan in ahead:
                first_s = plan.horizon.start_s - world.horizon.start_s
                first = max(0, int((from_s - first_s) // plan.horizon.step_s))
                last = min(plan.horizon.slots, math.ceil((until_s - first_s) / plan.horizon.step_s))
                counted = charge.slots(plan.horizon)[first:last]
                planned = plan.energy.import_kw[plan.sites.index(name), first:last][counted]
                peak = max(peak, float(planned.max(initial=0.0)))
            peaks[charge.key] = peak
        if peaks:
            found[name] = peaks
    return found
