"""What the second core does while the first one searches for a plan: better bounds by prices and branching, then a plan too.

The search for a plan is a matter of luck: two searches with other random draws end at gaps that differ by half a percentage point
and more on a thousand jobs, and twice the time on one of them brings less than the better one of two. Compiled code lets go of
the interpreter, so both cores work.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from scheduler.optimiser.large.branch import Tree
from scheduler.optimiser.large.dual import Dual
from scheduler.optimiser.large.primal import Primal
from scheduler.optimiser.large.size_bound import SizeDual
from scheduler.optimiser.large.tuning import FEW_JOBS, MANY_JOBS

BOUND_SHARE = 0.15
"""Share of the second core's time for better prices, when it searches for a plan too."""

BRANCH_SHARE, FEW_BRANCH_SHARE = 0.4, 0.65
"""Share of its time after which branching ends, when it searches for a plan too: usually, and with few jobs."""

WORTH = 0.001
"""Relative rise of the bound that better prices must promise for the rest of the time to go on instead of a plan."""

CHUNK_SHARE = 0.05
"""Share of the time after which that is asked again."""

RIVAL_SHARE = 0.5
"""Share of the time that a second search of many jobs needs to find what the first one does not; with less, bounds go on."""

PLAIN_SHARE, MANY_PLAIN_SHARE = 0.4, 0.2
"""Share of the time for better prices that goes to those of the resources alone, before size rows get theirs; with many jobs."""

PRICE_SHARE = 0.5
"""Share of the second core's time for better prices before it branches, when it makes no plan."""

SPARE_SHARE = 0.03
"""Share of the time that the second search ends early, because it looks at the clock only now and then."""

SWEEPS = 20
"""Sweeps from bound to bound."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Beside:
    """A thread that improves the bound of ``dual`` and, when it may, searches for a second plan.

    Attributes:
        rival: the second search, or None when it has not begun.
    """

    def __init__(self, dual: Dual, end: float, seconds: float, second: Callable[[], Primal] | None) -> None:
        """Nothing runs yet.

        Args:
            dual: the price search.
            end: when bounds end, of ``time.perf_counter``.
            seconds: of the search for plans.
            second: makes the second search; None when the bound is all there is to do.
        """
        self.rival: Primal | None = None
        self._dual, self._end, self._seconds, self._second = dual, end, seconds, second
        self._halt = threading.Event()
        self._failed: list[Exception] = []
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def halt(self) -> None:
        """Ask it to stop, and wait until it has."""
        self._halt.set()
        self._thread.join()

    def check(self) -> None:
        """Nothing when all went well.

        Raises:
            Exception: whatever went wrong in the thread, as it was raised there.
        """
        if self._failed:
            raise self._failed[0]

    def _over(self, end: float) -> bool:
        """Whether it is ``end`` or somebody asked to stop."""
        return time.perf_counter() >= end or self._halt.is_set()

    def _bounds(self, begun: float, end: float) -> Dual | None:
        """Better prices from ``begun`` to ``end``, of the resources alone, then of size rows too; the search that has the best.

        None where there is nothing to go on from: several futures, or the time is over.
        """
        if type(self._dual) is not Dual:  # several futures: size rows are not made for them
            self._dual.run(end, self._halt.is_set, every=SWEEPS)
            return None
        share = PLAIN_SHARE if self._dual.case.J < MANY_JOBS else MANY_PLAIN_SHARE
        self._dual.run(begun + share * (end - begun), self._halt.is_set, every=SWEEPS)
        if self._over(end):
            return None
        sized = SizeDual(self._dual)
        prices = sized if sized.rows else self._dual
        prices.run(end, self._halt.is_set, every=SWEEPS)
        return prices

    def _go_on(self, prices: Dual | None, begun: float, end: float) -> None:
        """Better prices still, as long as the bound rises so fast that ``WORTH`` is in reach by ``end``.

        What it misses shrinks about as one over the time since ``begun``, so it rises ever more slowly.
        """
        if prices is None:
            return
        seen = [(time.perf_counter(), prices.bound)]
        while not self._over(end):
            prices.run(min(end, time.perf_counter() + CHUNK_SHARE * self._seconds), self._halt.is_set, every=SWEEPS)
            seen.append((time.perf_counter(), prices.bound))
            if len(seen) < 3:  # a bound may stand still for one chunk
                continue
            (before_s, before), _, (now, bound) = seen[-3:]
            left_s, gone_s = end - now, now - begun
            if (bound - before) / (now - before_s) * left_s * gone_s / (left_s + gone_s) < WORTH * abs(before):
                return

    def _branch(self, prices: Dual | None, end: float, *, patient: bool) -> bool:
        """Bounds by branching until ``end``, or until they hardly rise when not ``patient``; whether anything was split.

        With many jobs a node takes seconds, and nothing is.
        """
        if prices is None or prices.case.J >= MANY_JOBS or self._over(end):
            return False

        def told(bound: float) -> None:
            self._dual.bound = max(self._dual.bound, bound)

        tree = Tree(prices)
        tree.grow(end, self._halt.is_set, told, patient=patient)
        return tree.splits > 0

    def _work(self) -> None:
        """A fault is kept for the caller."""
        try:
            begun = time.perf_counter()
            if begun >= self._end:
                return
            if self._second is None:
                prices = self._bounds(begun, begun + PRICE_SHARE * (self._end - begun))
                if not self._branch(prices, self._end, patient=True) and not self._over(self._end):
                    (self._dual if prices is None else prices).run(self._end, self._halt.is_set, every=SWEEPS)
                return
            few = self._dual.case.J < FEW_JOBS
            prices = self._bounds(begun, min(self._end, begun + BOUND_SHARE * self._seconds))
            until = begun + (FEW_BRANCH_SHARE if few else BRANCH_SHARE) * self._seconds
            end = begun + (1.0 - SPARE_SHARE) * self._seconds
            if not self._branch(prices, min(self._end, until), patient=few):
                self._go_on(prices, begun, min(self._end, end))
            left = end - time.perf_counter()
            if left <= 0.0 or self._halt.is_set():
                return
            if prices is not None and self._dual.case.J >= MANY_JOBS and left < RIVAL_SHARE * self._seconds:
                prices.run(min(self._end, end), self._halt.is_set, every=SWEEPS)
            else:
                self.rival = self._second()
                self.rival.run(left, self._halt.is_set)
        except Exception as error:  # noqa: BLE001 - a thread has nobody to raise to; ``check`` raises it for the caller
            self._failed.append(error)
