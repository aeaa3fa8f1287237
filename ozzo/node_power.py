"""What nodes say that they draw, as means over the slots of the horizon: bounded however often they speak."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from grid.horizon import Horizon
from ozzo.commands import NodeState


@dataclass(frozen=True, slots=True)
class NodePower:
    """Mean IT power of a node in a slot.

    Attributes:
        node: its name, ``SITE.GROUP-NUMBER``.
        time: start of the slot, UTC.
        power_kw: mean of what the node told in it, kW.
        source: what measured it, such as ``rapl`` or ``model``; the last one when it changed.
    """

    node: str
    time: datetime
    power_kw: float
    source: str

    @property
    def site(self) -> str:
        """Site of the node."""
        return self.node.rpartition(".")[0]


@dataclass(slots=True)
class _Mean:
    """Sum and number of samples, and what measured the last one."""

    total_kw: float = 0.0
    count: int = 0
    source: str = ""


class PowerLog:
    """Means by node and slot. Use it from one thread."""

    def __init__(self, horizon: Horizon) -> None:
        """Begin.

        Args:
            horizon: its slots; what is told before or after them is left out.
        """
        self._horizon = horizon
        self._means: dict[tuple[str, int], _Mean] = {}

    def take(self, state: NodeState, at: datetime) -> None:
        """A node has told its state at scenario instant ``at``; one without a figure counts for nothing."""
        if state.power_kw is None or not self._horizon.start <= at < self._horizon.end:
            return
        mean = self._means.setdefault((state.node, self._horizon.floor_slot(at)), _Mean())
        mean.total_kw += state.power_kw
        mean.count += 1
        mean.source = state.power_source

    def means(self) -> tuple[NodePower, ...]:
        """The means so far, by node and time."""
        return tuple(
            NodePower(node, self._horizon.time(slot), mean.total_kw / mean.count, mean.source)
            for (node, slot), mean in sorted(self._means.items())
        )
