"""The plan over several futures: the same moves of jobs, cells priced by the mean of what every future's energy side asks.

The tracked phase needs a price and a target of each cell only, so it takes the mean over futures of what they serve. In the
exact phase a cell costs the mean of piecewise linear costs, one a future, each with its own sun and battery schedule. A mean of
these is piecewise linear again: its breaks are those of all futures, and its slope changes at each by the probability times what
the future's slope changes by. So the compiled code sees a cell as ever, with more steps. A site pays there for its highest mean
import; what the plan is judged by is exact for every future (``futures.MeanBlock``), peaks included.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from grid.horizon import FloatArray
from scheduler.optimiser.large.cells import Grid, flexible, grid_of
from scheduler.optimiser.large.futures import FutureCases, FutureDual, mean_blocks
from scheduler.optimiser.large.primal import Primal
from scheduler.optimiser.large.tuning import Tuning

WIDE_KW = 1e9
"""Width of a step without an end (that of unserved load)."""


class FuturePrimal(Primal):
    """Search for one placement over several futures at the prices of ``dual``."""

    def __init__(self, futures: FutureCases, dual: FutureDual, tuning: Tuning, seed: int = 0) -> None:
        super().__init__(futures.mean, dual, tuning, seed)
        self._over, self._futures, self._stack = dual, futures, dual.stack
        dear = self.priced_case.unserved
        self._priced = [replace(case, unserved=dear) for case in futures.cases]
        self._offset, self._peaks = dual.best_offset.copy(), dual.peaks.copy()
        self._batteries, self._thetas = dual.batteries.copy(), dual.thetas.copy()
        self._row_prices = dual.mean_row_prices.copy()
        self._over_blocks = mean_blocks(futures, np.full((self.case.S, self.case.T), np.inf))
        self._blocks = self._over_blocks  # type: ignore[assignment]  # what ``finish`` asks of a block, a mean of blocks answers

    def energy(self, load: FloatArray) -> tuple[float, FloatArray]:
        """Expected exact energy cost of a load, and the mean battery power, ``[S, T]`` kW."""
        shares = self._futures.shares
        total, batteries, dark = 0.0, np.zeros((len(shares), *load.shape)), np.zeros_like(load)
        for block in self._over_blocks:
            value, flows = block.fix_load(load)
            total += value
            for w, flow in enumerate(flows):
                batteries[w, block.sites] = flow["charge"] - flow["discharge"]
                dark[block.sites] += shares[w] * flow["unserved"]
        self._dark = dark
        self._batteries = batteries.reshape(self._batteries.shape)
        return total, self._stack.mean(self._batteries)

    def answer(self, rho: float) -> None:
        """As ``Primal.answer``, in every future; the offsets of their prices follow what they serve."""
        stack, dual = self._stack, self._over
        served, stiff = np.empty_like(stack.fixed), dual.rho * rho
        most = np.full((self.case.S, self.case.T), WIDE_KW)
        lam = stack.spread(self.lam) + self._offset
        adder = dual.all_adders(self._row_prices)
        value = stack.serve(lam, stiff, self.state.load, most, self._peaks, adder, served, self._batteries)
        self._row_prices = dual.driven_rows(self._row_prices, stiff, self._peaks, adder, served, self._batteries)
        self._peaks = stack.next_peak(self._peaks, value, 0.003)
        self.served, self._battery, self.peak = stack.mean(served), stack.mean(self._batteries), stack.mean(self._peaks)
        moved = self.tuning.follow * stack.spread(stiff)[:, None] * stack.centred(served)
        self._offset = stack.centred(self._offset - moved)

    def _exact_grid(self, part: float) -> Grid:
        dual, shape = self._over, (len(self._futures.shares), self.case.S, self.case.T)
        batteries, adders = self._batteries.reshape(shape), dual.adders.reshape(shape)
        grids = [
            grid_of(
                self._with_rows(case, batteries[w]),
                flexible(case, batteries[w], self._thetas[w], part),
                dual.events.limit,
                dual.events.penalty,
                self.mu,
                adders[w],
            )
            for w, case in enumerate(self._priced)
        ]
        wide = self.case.cap  # with size rows
        return mean_grid(grids, self._futures.shares)._replace(cap=wide, stiff=np.zeros(wide.shape[:2]))


def mean_grid(grids: list[Grid], shares: FloatArray) -> Grid:
    """Cells that cost the mean of what they cost in each grid, up to a constant; fixed power is that of the first one.

    Args:
        grids: of the same sites and slots, in which ``fixed``, ``base``, ``width``, ``value``, ``imports`` and ``steps`` differ.
        shares: weights, ``[W]``, summing to 1.
    """
    first = grids[0]
    start = np.stack([grid.fixed - grid.base for grid in grids])  # demand without jobs, counted from the free supply
    most = start.max(axis=0)
    places, slopes, bought = [], [], []
    for grid, share, own in zip(grids, shares, start, strict=True):
        used = np.arange(grid.width.shape[2]) < grid.steps[:, :, None]
        ends = np.cumsum(np.where(used, np.minimum(grid.width, WIDE_KW), 0.0), axis=2)
        begins = (most - own)[:, :, None] + np.concatenate((np.zeros_like(ends[:, :, :1]), ends[:, :, :-1]), axis=2)
        places.append(np.where(used, begins, 2 * WIDE_KW))
        slopes.append(share * np.where(used, np.diff(grid.value, axis=2, prepend=0.0), 0.0))
        bought.append(share * np.where(used, np.diff(grid.imports, axis=2, prepend=0.0), 0.0))
    nothing = np.zeros((*most.shape, 1))
    place = np.concatenate([nothing, *places], axis=2)
    order = np.argsort(place, axis=2, kind="stable")
    place = np.take_along_axis(place, order, axis=2)
    value, imports = (
        np.ascontiguousarray(np.cumsum(np.take_along_axis(np.concatenate([nothing, *parts], axis=2), order, axis=2), axis=2))
        for parts in (slopes, bought)
    )
    width = np.diff(place, axis=2, append=4 * WIDE_KW)
    steps = (place < 2 * WIDE_KW).sum(axis=2).astype(np.int64)
    return first._replace(base=first.fixed - most, width=np.ascontiguousarray(width), value=value, imports=imports, steps=steps)
