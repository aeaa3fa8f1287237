"""Feeders in the settlement: flow through the head and voltage drop at each site, as means over 15 minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grid.horizon import FloatArray, Horizon
from scheduler.facility import FeederLine
from scheduler.outcome import MeteredEnergy, Violation, ViolationKind

if TYPE_CHECKING:
    from sim.world.simulated import SimulatedWorld

TOLERANCE_KW = 1e-6
TOLERANCE_PU = 1e-9


def feeder_violations(world: SimulatedWorld, settlement: Horizon, energy: MeteredEnergy) -> tuple[Violation, ...]:
    """Broken ratings and voltage bands, the worst 15 minutes of each feeder."""
    index = {site.name: s for s, site in enumerate(world.scenario.sites)}
    net_kw = (energy.import_kwh - energy.export_kwh) / settlement.step_h
    found = []
    for feeder in world.scenario.feeders:
        head, drop = feeder_load(feeder, net_kw[[index[name] for name in feeder.sites]])
        for subject, values, limit, tolerance, unit in (
            (feeder.name, head, feeder.limit_kw, TOLERANCE_KW, "kW (15-minute mean)"),
            (f"{feeder.name} voltage", drop, feeder.drop_limit_pu, TOLERANCE_PU, "pu (15-minute mean)"),
        ):
            worst = int(np.argmax(values))
            if values[worst] > limit + tolerance:
                when, seed = settlement.time(worst), world.truth.seed
                advice = (
                    f"Plan less import, or less export, at {', '.join(feeder.sites)} at {when:%H:%M} UTC, or raise "
                    "planning.limit_margin or chance_level so that forecast errors fit."
                )
                found.append(Violation(ViolationKind.FEEDER, subject, float(values[worst]), limit, unit, when, seed, advice))
    return tuple(found)


def feeder_load(feeder: FeederLine, net_kw: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Flow through the head (kW, either way) and largest voltage drop or rise (pu) of each slot, ``[T]`` each.

    Args:
        feeder: the chain of sites.
        net_kw: net import of its sites in their order, ``[sites, T]``.
    """
    through = np.cumsum(net_kw[::-1], axis=0)[::-1]
    drops = np.cumsum(np.array(feeder.drop_pu_per_kw)[:, None] * through, axis=0)
    head: FloatArray = np.abs(through[0])
    drop: FloatArray = np.abs(drops).max(axis=0)
    return head, drop
