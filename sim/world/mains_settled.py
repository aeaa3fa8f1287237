"""Faults of the mains and whose energy it was, in the settlement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scheduler.outcome import Attribution, EnergyShare, MainsOutcome, Violation, ViolationKind
from sim.world.assets.generator import GeneratorWorld

if TYPE_CHECKING:
    from sim.world.simulated import SimulatedWorld

UNSERVED_KWH = 1e-6


def mains_outcomes(world: SimulatedWorld) -> tuple[MainsOutcome, ...]:
    """Every fault that ended inside the horizon, in order of time."""
    ended = [fault for fault in world.outages.found if fault.start < world.horizon.end]
    return tuple(sorted(ended, key=lambda fault: (fault.start, fault.site)))


def backup_violations(world: SimulatedWorld, faults: tuple[MainsOutcome, ...]) -> tuple[Violation, ...]:
    """Sites with emergency generators whose fixed load nothing carried for a time; of others nobody promised it."""
    found = []
    for fault in faults:
        meter = world.meters[fault.site]
        if fault.unserved_kwh > UNSERVED_KWH and any(isinstance(asset, GeneratorWorld) for asset in meter.assets):
            advice = (
                f"Leave more in the battery of {fault.site} for backup (reserve_soc_kwh), or let its generators start sooner."
            )
            kind, seed = ViolationKind.BACKUP, world.truth.seed
            subject = f"{fault.site} in {fault.name}"
            found.append(Violation(kind, subject, fault.unserved_kwh, 0.0, "kWh", fault.start, seed, advice))
    return tuple(found)


def attribution(world: SimulatedWorld) -> Attribution:
    """Whose energy the load of every site was."""
    shares = [
        EnergyShare(str(owner.kind), owner.name, site, share.own_kwh, share.shared_kwh)
        for site, meter in world.meters.items()
        for owner, share in meter.shares.shares().items()
    ]
    return Attribution(
        shares=tuple(sorted(shares, key=lambda share: (share.kind, share.name, share.site))),
        nobody_kwh={site: meter.shares.nobody_kwh for site, meter in world.meters.items()},
        assets_kwh={site: meter.shares.assets_kwh for site, meter in world.meters.items()},
        load_kwh={site: meter.load_kwh for site, meter in world.meters.items()},
    )
