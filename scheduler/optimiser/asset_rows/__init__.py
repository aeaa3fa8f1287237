"""Room of the assets in the reference MILP: one module a kind, which adds its own variables and rows.

A kind's ``add(parts, number, placed)`` names its families ``asset<number>_...`` (``Builder.variable``) and returns ``AssetRows``.
To add a kind: a module here, one line in ``KINDS``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scheduler.optimiser.asset_rows import biogas, charging, generator, heat
from scheduler.optimiser.asset_rows.forms import AddRows, AssetRows

if TYPE_CHECKING:
    from scheduler.optimiser.model import ModelParts

KINDS: dict[str, AddRows] = {"biogas": biogas.add, "charging": charging.add, "generator": generator.add, "heat": heat.add}
"""Rows of each kind of asset."""


def add_assets(parts: ModelParts) -> tuple[AssetRows, ...]:
    """Variables and rows of every asset of the problem.

    Raises:
        ValueError: a kind that the optimiser does not know.
    """
    unknown = sorted({item.asset.kind for item in parts.problem.assets} - set(KINDS))
    if unknown:
        raise ValueError(f"the optimiser does not know assets of the kind {', '.join(unknown)}")
    return tuple(KINDS[item.asset.kind](parts, number, item) for number, item in enumerate(parts.problem.assets))
