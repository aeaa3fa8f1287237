"""Size rows in the bound: prices for them too, from where the prices of the resources alone have settled.

A size row (``sizes``) holds for every plan, because whole jobs are whole; fractions of jobs break it. So a price on it proves
more than prices of resources alone can (decision 0013), and what is proved stays true for any price that is not negative: it is
the same Lagrangian on a case with more rows.
"""

from __future__ import annotations

import numpy as np

from grid.horizon import FloatArray
from scheduler.optimiser.large.dual import Dual
from scheduler.optimiser.large.sizes import with_size_rows

LEAST_PART = 0.05
"""Sizes below this part of the smallest site have no row here: more rows than in the search, which they would slow down more."""

MOST_ROWS = 8
"""Most rows of one resource here."""

GOES_ON = ("xk", "xu", "y", "dropx", "own", "bought", "sigma")
"""The fractional plan, in arrays that both searches share: the search for a plan is guided by the newer one."""

COPIED = (
    "load", "served", "lam", "mean_lam", "adder", "row_price", "mean_row_price", "nu", "peak", "battery", "facility_price",
    "over_peak",
)  # fmt: skip


class SizeDual(Dual):
    """The price search of ``base``, gone on with size rows; whatever it proves becomes the bound of ``base``.

    ``base`` must not step again afterwards: its fractional plan moves on here, and its load does not.
    """

    def __init__(self, base: Dual, seed: int = 0) -> None:
        sizes = with_size_rows(base.case, LEAST_PART, MOST_ROWS)
        super().__init__(sizes.case, base.classes, seed)
        self.base, self.rows = base, len(sizes.size)
        for name in GOES_ON:
            setattr(self, name, getattr(base, name))
        for name in COPIED:
            setattr(self, name, getattr(base, name).copy())
        self.most, self.blocks, self.sweeps, self.head_start = base.most, base.blocks, base.sweeps, base.head_start
        self.rho_use = sizes.extended(base.rho_use, 2)
        self.mu, self.mean_mu = sizes.padded(base.mu), sizes.padded(base.mean_mu)
        self.use[:] = self._uses()
        self.bound = base.bound

    def evaluate(self, lam: FloatArray, mu: FloatArray) -> float:
        """The bound that these prices prove, which ``base`` takes over when it is better."""
        total = super().evaluate(lam, mu)
        self.base.bound = max(self.base.bound, self.bound)
        return total

    def _uses(self) -> FloatArray:
        """What the fractional plan uses of each row, ``[R, S, T]``."""
        case, k = self.case, self.classes
        length = np.diff(k.window)
        index = np.repeat(np.arange(len(k.entry)), length)
        slot = case.ea[k.entry][index] + np.arange(len(index)) - k.window[index]
        job = np.repeat(k.first, np.diff(k.ep))[index]
        use = np.zeros_like(case.cap)
        for r in range(len(use)):
            np.add.at(use[r], (case.es[k.entry][index], slot), case.res[job, r] * self.xu[: len(index)])
        return use
