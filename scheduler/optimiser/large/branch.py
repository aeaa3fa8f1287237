"""Branching on sites: a bound that prices alone cannot prove.

At the best prices some jobs are split between sites, because a fraction of a large job fits where the whole one does not. No plan
does that, so such a job is either at one of its entries (or dropped) or not at it: two cases, *nodes*, each with prices of its
own, and the lower of their bounds holds for all plans (Land and Doig 1960; with Lagrangian bounds Fisher 1981). The node with the
lowest bound is split next. Entries are closed by an infinite price, so everything else of the case stays as it is.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from grid.horizon import FloatArray
from scheduler.optimiser.large.dual import Dual
from scheduler.optimiser.large.groups import Classes
from scheduler.optimiser.restrict import BoolArray

SWEEPS = 20
"""Sweeps in which a node finds its prices."""

EVERY = 10
"""Sweeps from bound to bound in a node."""

WHOLE = 0.98
"""From this share at one entry (or dropped) on a job counts as whole."""

LOOKS, LOOK_SECONDS = 2, 0.6
"""Splits and seconds after which is asked whether they bring enough."""

LEAST_RATE = 3e-4
"""Relative rise of the bound per second below which splitting ends when something else waits for the time."""

MOST_BYTES = 256_000_000
"""Memory of all open nodes from which on none is split."""

ITS_OWN = (
    "xk", "xu", "y", "dropx", "own", "load", "use", "served", "lam", "mu", "mean_lam", "mean_mu", "adder", "row_price",
    "mean_row_price", "nu", "battery", "facility_price", "bought", "sigma", "price", "use_price", "cost", "peak",
)  # fmt: skip
"""Arrays of a price search that each node has for itself."""


class Node(Dual):
    """The price search of ``parent`` with some entries closed; begins where the parent is."""

    def __init__(self, parent: Dual, closed: BoolArray) -> None:
        """Nothing is swept yet.

        Args:
            parent: a price search that has been evaluated.
            closed: entries of eligibility that no job may use here, ``[N]``; those of jobs alone in their class.
        """
        self.__dict__.update(parent.__dict__)
        for name in ITS_OWN:
            setattr(self, name, getattr(parent, name).copy())
        self.closed = closed
        self.case = replace(parent.case, ec=np.where(closed, np.inf, parent.case.ec))
        self.lam, self.mu = parent.best[0].copy(), parent.best[1].copy()
        self.mean_lam, self.mean_mu = self.lam.copy(), self.mu.copy()
        self.bound = -np.inf
        self._take_out(closed)

    def _take_out(self, closed: BoolArray) -> None:
        """Whoever has a share at a closed entry begins as dropped."""
        case, k = self.case, self.classes
        owner = np.repeat(np.arange(len(k.first)), np.diff(k.ep))
        for i in np.unique(owner[closed[k.entry] & (self.y > 0.0)]):
            for n in range(k.ep[i], k.ep[i + 1]):
                e, job = k.entry[n], k.first[i]
                span = slice(int(k.window[n]), int(k.window[n + 1]))
                slots = slice(int(case.ea[e]), int(case.ea[e]) + span.stop - span.start)
                self.load[case.es[e], slots] -= self.entry_kw[e] * self.xk[span]
                self.use[:, case.es[e], slots] -= case.res[job][:, None] * self.xu[span]
                self.xk[span], self.xu[span], self.y[n] = 0.0, 0.0, 0.0
            self.dropx[i], self.own[i] = k.count[i], 0.0

    @property
    def nbytes(self) -> int:
        """Memory of what this node has for itself, bytes."""
        return sum(getattr(self, name).nbytes for name in ITS_OWN)

    def settle(self, done: Callable[[], bool]) -> None:
        """Prices for what is left; at least the bound of the parent's prices."""
        self.evaluate(*self.best)
        for n in range(SWEEPS):
            if done():
                return
            self.step()
            if (n + 1) % EVERY == 0:
                self.evaluate(self.mean_lam, self.mean_mu)

    def split(self) -> tuple[BoolArray, BoolArray] | None:
        """What is closed in the two parts: all other entries of the job that is split most, or the one; None when none is."""
        case, k = self.case, self.classes
        worst = _most_split(k, self.y, self.dropx, case.pw * case.p)
        if worst < 0:
            return None
        entries = k.entry[k.ep[worst] : k.ep[worst + 1]]
        chosen = entries[int(np.argmax(self.y[k.ep[worst] : k.ep[worst + 1]]))]
        elsewhere, there = self.closed.copy(), self.closed.copy()
        there[entries[entries != chosen]] = True
        elsewhere[chosen] = True
        return there, elsewhere


def _most_split(classes: Classes, y: FloatArray, dropx: FloatArray, size: FloatArray) -> int:
    """Class of one job with the most energy outside its largest share, or -1 when all are whole."""
    if not len(classes.first):
        return -1
    largest = dropx.copy()
    np.maximum.at(largest, np.repeat(np.arange(len(classes.first)), np.diff(classes.ep)), y)
    weight = np.where((classes.count == 1) & (largest < WHOLE), (1.0 - largest) * size[classes.first], -1.0)
    worst = int(np.argmax(weight))
    return worst if weight[worst] > 0.0 else -1


@dataclass(slots=True)
class Tree:
    """Nodes that together hold every plan.

    Attributes:
        root: the price search of the whole case, evaluated.
        splits: how many nodes were split.
    """

    root: Dual
    splits: int = 0
    _open: list[tuple[float, int, Node]] = field(default_factory=list)
    _whole: float = np.inf  # lowest bound of the nodes in which nobody is split

    def __post_init__(self) -> None:
        """The whole case is one node."""
        whole = Node(self.root, np.zeros(len(self.root.case.es), dtype=bool))
        whole.bound, whole.best = self.root.bound, self.root.best
        self._open.append((whole.bound, 0, whole))

    @property
    def bound(self) -> float:
        """No plan of the case costs less, EUR."""
        return min([self._whole] + [bound for bound, _, _ in self._open[:1]])

    @property
    def full(self) -> bool:
        """Whether there is no memory for more nodes."""
        return len(self._open) * self._open[0][2].nbytes > MOST_BYTES if self._open else False

    def grow(self, end: float, done: Callable[[], bool], told: Callable[[float], None], *, patient: bool) -> None:
        """Split the node with the lowest bound again and again.

        Args:
            end: of ``time.perf_counter``; it may end before, when there is nothing to split or no memory (``MOST_BYTES``).
            done: asked often; what is not finished then does not count.
            told: the bound, after every split.
            patient: go on until ``end``; otherwise only while the bound rises by ``LEAST_RATE`` of itself a second.
        """
        begun, before, first = time.perf_counter(), self.bound, self.splits
        while self._open and not self.full and time.perf_counter() < end and not done():
            bound, _, node = self._open[0]
            parts = node.split()
            if parts is None or bound >= self._whole:
                heapq.heappop(self._open)
                self._whole = min(self._whole, bound)
                continue
            made = []
            for closed in parts:
                part = Node(node, closed)
                part.settle(lambda: done() or time.perf_counter() >= end)
                made.append(part)
            heapq.heappop(self._open)
            self.splits += 1
            for n, part in enumerate(made):
                heapq.heappush(self._open, (max(bound, part.bound), 2 * self.splits + n, part))
            told(self.bound)
            now = time.perf_counter()
            if not patient and self.splits - first >= LOOKS and now - begun >= LOOK_SECONDS:
                if self.bound - before < LEAST_RATE * abs(before) * (now - begun):
                    return
                begun, before, first = now, self.bound, self.splits
