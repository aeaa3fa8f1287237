"""The seam of a site's assets: what every kind of asset behind a meter says about itself.

An asset takes *decisions* (named series of its planner) and its own physics makes a *trajectory* of them: every named series of
the kind, one value a slot. The net draw is positive when the asset takes power from the site and negative when it gives power.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

from grid.horizon import FloatArray, Horizon

Trajectory = dict[str, FloatArray]
"""Named series of an asset, ``[T]`` each; the unit is in the name."""


@dataclass(frozen=True, slots=True)
class Bill:
    """What an asset owes by itself, beside the electricity at the meter of its site.

    Attributes:
        cost_eur: fuel, starts and upkeep, less what its heat earns.
        carbon_g: fossil carbon dioxide of its own fuel (biogenic carbon is not in it).
    """

    cost_eur: float = 0.0
    carbon_g: float = 0.0

    def plus(self, other: Bill) -> Bill:
        """Both together."""
        return Bill(self.cost_eur + other.cost_eur, self.carbon_g + other.carbon_g)


class SiteAsset(Protocol):
    """An asset of a site; frozen, its parameters only.

    Attributes:
        kind: word of the document for this kind.
        names: series of its trajectories, in order, decisions first (of some kinds they depend on the asset).
        name: name, unique in its site.
    """

    kind: ClassVar[str]

    @property
    def names(self) -> tuple[str, ...]:
        """Series of its trajectories, in order."""

    @property
    def name(self) -> str:
        """Name, unique in its site."""

    def begun(self, state: Mapping[str, float]) -> Self:
        """The asset as it is once it has the state that the world observed (keys of its own; empty: as it is)."""

    def rule(self, horizon: Horizon, it_kw: FloatArray) -> Trajectory:
        """The trajectory of a plain rule that knows no price and breaks no limit; ``it_kw`` is the site's IT power, ``[T]``."""

    def trajectory(self, decisions: Mapping[str, FloatArray], horizon: Horizon, it_kw: FloatArray) -> Trajectory:
        """What the physics make of decisions (other keys are ignored)."""

    def draw_kw(self, series: Mapping[str, FloatArray]) -> FloatArray:
        """Net draw at the site's balance, ``[T]`` kW."""

    def bill(self, series: Mapping[str, FloatArray], step_h: float) -> Bill:
        """What the trajectory owes."""
