"""Which nodes are there: by their answers to this controller and the age of their last word, never by a will alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from ozzo.commands import NodeState

SILENT_S = 20.0
"""Wall seconds without a word after which a node counts as lost (it speaks every 5 s, and its lease is 15 s)."""
CERTAIN_S = 80.0
"""Wall seconds after its last word at which a lost node is surely in failsafe: lease, and the time that a keeper waits for its
agent (``alone_s``, 60 s), and a margin."""


@dataclass(frozen=True, slots=True)
class NodeView:
    """What is known of a node now.

    Attributes:
        name: of the node.
        present: it has answered this controller and speaks.
        age_s: wall seconds since its last word, None when there was none.
        certain: it is lost, and surely in its failsafe.
        state: what it said last.
    """

    name: str
    present: bool
    age_s: float | None
    certain: bool
    state: NodeState | None


class Presence:
    """Who was heard when."""

    def __init__(self, nodes: Iterable[str], certain_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._nodes, self._certain_s, self._monotonic = tuple(nodes), certain_s, monotonic
        self._began_s = monotonic()
        self._heard_s: dict[str, float] = {}
        self.answered: set[str] = set()

    def heard(self, node: str, *, answers: bool) -> None:
        """A node spoke; ``answers``: it has heard this controller (what was retained at a broker has not)."""
        self._heard_s[node] = self._monotonic()
        if answers:
            self.answered.add(node)

    def present(self, node: str, silent: Collection[str]) -> bool:
        """True for a node that has answered this controller and speaks."""
        heard_s = self._heard_s.get(node)
        quiet = heard_s is None or self._monotonic() - heard_s >= SILENT_S
        return node in self.answered and node not in silent and not quiet

    def views(self, silent: Collection[str], states: Mapping[str, NodeState]) -> dict[str, NodeView]:
        """What is known of each node now.

        Args:
            silent: nodes whose will came since their last word.
            states: last words.
        """
        now, found = self._monotonic(), {}
        for name in self._nodes:
            heard_s = self._heard_s.get(name)
            quiet_s = now - (heard_s if heard_s is not None else self._began_s)
            present = self.present(name, silent)
            age_s = None if heard_s is None else quiet_s
            found[name] = NodeView(name, present, age_s, not present and quiet_s >= self._certain_s, states.get(name))
        return found
