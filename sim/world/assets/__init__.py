"""Room of the assets in the simulated world: one module a kind, which carries a plan's trajectory out with its own physics.

To add a kind: a module here, one line in ``KINDS``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from grid.assets.site_asset import SiteAsset
from sim.world.assets.biogas import BiogasWorld
from sim.world.assets.charging import ChargingWorld
from sim.world.assets.follower import AssetWorld, Note
from sim.world.assets.generator import GeneratorWorld
from sim.world.assets.heat import HeatWorld

KINDS: dict[str, Callable[[Any, Note], AssetWorld]] = {
    "biogas": BiogasWorld,
    "charging": ChargingWorld,
    "generator": GeneratorWorld,
    "heat": HeatWorld,
}
"""World of each kind of asset."""


def asset_world(asset: SiteAsset, note: Note, origin_s: float = 0.0) -> AssetWorld:
    """The asset in a world whose horizon begins at the Unix second ``origin_s``, from its initial state.

    Raises:
        KeyError: a kind that the world does not know.
    """
    world = KINDS[asset.kind](asset, note)
    world.origin_s = origin_s
    return world
