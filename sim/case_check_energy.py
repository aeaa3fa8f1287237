"""Least cost of the energy side of a case for a given load, feeder by feeder, by a programme of its own (scipy).

Sites that share neither a feeder nor a row share nothing, so each group is optimised alone. First without the rule that a
battery never charges and discharges in one slot; only when the cheapest flows break it, again with it (whole numbers). Both are
exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from grid.horizon import FloatArray
from scheduler.optimiser.large.case import Case, IntArray

BOTH_WAYS_KW = 1e-7
"""Charging and discharging below this at once is rounding."""


def least_energy_cost(case: Case, load_kw: FloatArray) -> float | None:
    """Exact cost, EUR, of the cheapest flows for the IT power ``load_kw`` (``[S, T]``) of the jobs; None when there are none."""
    total_eur = 0.0
    for sites in _tied(case):
        cost_eur = _Group(case, sites, load_kw[sites]).least()
        if cost_eur is None:
            return None
        total_eur += cost_eur
    return total_eur


def _tied(case: Case) -> list[IntArray]:
    """Sites that share something, directly or by way of others."""
    shared = [set(np.flatnonzero(case.fid == feeder).tolist()) for feeder in range(len(case.flim))]
    shared += [set(part.tolist()) for part in np.split(case.rows.site, case.rows.ptr[1:-1])]
    groups: list[set[int]] = []
    for tied in [*shared, *({site} for site in range(case.S))]:
        others = [group for group in groups if group & tied]
        groups = [group for group in groups if not group & tied] + ([tied.union(*others)] if tied else [])
    return [np.array(sorted(group), dtype=np.int64) for group in groups]


@dataclass(slots=True, eq=False)
class _Block:
    """Variables of one kind, ``n`` sites by ``T`` slots: their place, cost and bounds."""

    first: int
    cost: FloatArray
    lower: FloatArray
    upper: FloatArray


class _Group:
    """The programme of some sites, in the order of the chains of their feeders."""

    def __init__(self, case: Case, sites: IntArray, load_kw: FloatArray) -> None:
        self.case, self.sites, self.slots = case, sites, case.T
        self.need_kw = case.a[sites] + case.pue[sites] * load_kw
        self.shape = (len(sites), case.T)
        self.blocks: dict[str, _Block] = {}
        self.size = 0
        dt, infinity = case.dt, np.inf
        self._block("import", case.pi[sites] * dt, 0.0, case.gmax[sites])
        self._block("export", -case.po[sites] * dt, 0.0, case.emax[sites])
        self._block("sun_and_wind", 0.0, 0.0, case.ren[sites])
        self._block("unserved", case.unserved[sites, None] * dt, 0.0, infinity)
        wear, has = case.wear[sites, None] * dt / 2, (case.E[sites, None] > 0)
        self._block("charge", wear, 0.0, case.Pc[sites, None] * has)
        self._block("discharge", wear, 0.0, case.Pd[sites, None] * has)
        least = np.broadcast_to(np.minimum(case.soc_min, case.soc0)[sites, None] * has, self.shape)
        self._block("stored", 0.0, least, np.maximum(case.E, case.soc0)[sites, None])
        paid = np.isfinite(case.missing[sites, None])
        price = np.where(paid, case.missing[sites, None], 0.0)
        self._block("missing", price, 0.0, np.where(paid, infinity, 0.0), columns=1)
        self._block("above_peak", case.dc[sites, None], 0.0, infinity, columns=1)

    def _block(self, name: str, cost: Any, lower: Any, upper: Any, columns: int | None = None) -> None:
        shape = (self.shape[0], columns or self.shape[1])
        arrays = [np.broadcast_to(np.asarray(value, dtype=np.float64), shape).ravel() for value in (cost, lower, upper)]
        self.blocks[name] = _Block(self.size, *arrays)
        self.size += shape[0] * shape[1]

    def _matrix(self, parts: dict[str, Any], rows: int) -> Any:
        """Rows from a sparse matrix for each block; blocks that are not named get zeros."""
        from scipy.sparse import csr_matrix, hstack

        return hstack([parts.get(name, csr_matrix((rows, len(block.cost)))) for name, block in self.blocks.items()], format="csr")

    def _rows(self) -> list[tuple[Any, FloatArray, FloatArray]]:
        """Every family of rows but charge and discharge: matrix, lower and upper limits."""
        from scipy.sparse import diags, identity, kron

        case, sites, (count, slots) = self.case, self.sites, self.shape
        one, size, infinity = identity(count * slots, format="csr"), count * slots, np.inf
        need = self.need_kw.ravel()
        balance = {"import": one, "export": -one, "sun_and_wind": one, "unserved": one, "charge": -one, "discharge": one}
        found = [(self._matrix(balance, size), need, need)]
        step = kron(identity(count), diags([1.0, -1.0], [0, -1], shape=(slots, slots)))
        into, out = case.eta_c[sites] * case.dt, case.dt / case.eta_d[sites]
        stored = {"stored": step, "charge": kron(diags(-into), identity(slots)), "discharge": kron(diags(out), identity(slots))}
        begin = np.zeros(self.shape)
        begin[:, 0] = case.soc0[sites] * (case.E[sites] > 0)
        found.append((self._matrix(stored, size), begin.ravel(), begin.ravel()))
        last = kron(identity(count), np.eye(1, slots, slots - 1))
        wanted = case.soc_end[sites] * (case.E[sites] > 0)
        found.append((self._matrix({"stored": last, "missing": identity(count)}, count), wanted, np.full(count, infinity)))
        peak = {"import": one, "above_peak": -kron(identity(count), np.ones((slots, 1)))}
        found.append((self._matrix(peak, size), np.full(size, -infinity), np.repeat(case.pk0[sites], slots)))
        for feeder in np.unique(case.fid[sites][case.fid[sites] >= 0]):
            found += self._feeder(int(feeder))
        return [*found, *self._shared()]

    def _shared(self) -> list[tuple[Any, FloatArray, FloatArray]]:
        """The rows of these sites, one after the other."""
        from scipy.sparse import lil_matrix

        shared, place = self.case.rows, {int(site): i for i, site in enumerate(self.sites)}
        found = []
        for q in range(len(shared)):
            terms = range(int(shared.ptr[q]), int(shared.ptr[q + 1]))
            if int(shared.site[terms[0]]) not in place:
                continue
            taken, given = (lil_matrix((1, self.shape[0] * self.slots)) for _ in range(2))
            for k in terms:
                cell = place[int(shared.site[k])] * self.slots + int(shared.slot[q])
                taken[0, cell], given[0, cell] = shared.imports[k], shared.exports[k]
            matrix = self._matrix({"import": taken.tocsr(), "export": given.tocsr()}, 1)
            found.append((matrix, np.array([-np.inf]), np.array([shared.limit[q]])))
        return found

    def _feeder(self, feeder: int) -> list[tuple[Any, FloatArray, FloatArray]]:
        """Flow through the head, and the drop of voltage up to each site of the chain."""
        from scipy.sparse import csr_matrix, identity, kron

        case, chain = self.case, np.flatnonzero(self.case.fid[self.sites] == feeder)
        count = len(chain)
        behind = np.triu(np.ones((count, count)))  # flow through a site is what all sites from it on import
        drop = np.tril(np.ones((count, count))) @ (case.vco[self.sites[chain]][:, None] * behind)
        limit = float(case.flim[feeder])
        found = []
        for effect, most in ((behind[:1], limit), (drop, case.vtol)):
            wide = np.zeros((len(effect), self.shape[0]))
            wide[:, chain] = effect
            matrix = kron(csr_matrix(wide), identity(self.slots), format="csr")
            limits = np.full(matrix.shape[0], most)
            found.append((self._matrix({"import": matrix, "export": -matrix}, matrix.shape[0]), -limits, limits))
        return found

    def _events(self) -> tuple[Any, FloatArray, FloatArray] | None:
        """Excess of net import over the limit of each event in each of its slots, in variables of their own."""
        from scipy.sparse import csr_matrix

        case, place = self.case, {int(site): i for i, site in enumerate(self.sites)}
        cells, limits, prices = [], [], []
        for event in range(len(case.dr_site)):
            if int(case.dr_site[event]) in place:
                slots = np.arange(case.dr_start[event], case.dr_end[event])
                cells.append(place[int(case.dr_site[event])] * self.slots + slots)
                limits.append(np.full(len(slots), case.dr_limit_kw[event]))
                prices.append(np.full(len(slots), case.dr_penalty[event] * case.dt))
        if not cells:
            return None
        cell, limit = np.concatenate(cells), np.concatenate(limits)
        rows = np.arange(len(cell))
        self._excess(np.concatenate(prices))
        pick = csr_matrix((np.ones(len(cell)), (rows, cell)), shape=(len(cell), self.shape[0] * self.slots))
        excess = csr_matrix((-np.ones(len(cell)), (rows, rows)))
        matrix = self._matrix({"import": pick, "export": -pick, "excess": excess}, len(cell))
        return matrix, np.full(len(cell), -np.inf), limit

    def _excess(self, price: FloatArray) -> None:
        self.blocks["excess"] = _Block(self.size, price, np.zeros(len(price)), np.full(len(price), np.inf))
        self.size += len(price)

    def least(self) -> float | None:
        """Exact least cost, or None when no flows are feasible."""
        events = self._events()
        rows = self._rows() + ([events] if events else [])
        values, cost_eur = self._solve(rows, whole=False)
        if values is None:
            return None
        charge, discharge = (self._values(values, name) for name in ("charge", "discharge"))
        if (np.minimum(charge, discharge) > BOTH_WAYS_KW).any():
            values, cost_eur = self._solve(rows, whole=True)
        return cost_eur

    def _values(self, values: FloatArray, name: str) -> FloatArray:
        block = self.blocks[name]
        return values[block.first : block.first + len(block.cost)]

    def _solve(self, rows: list[tuple[Any, FloatArray, FloatArray]], *, whole: bool) -> tuple[FloatArray | None, float | None]:
        """Optimal values and cost; with ``whole``, a battery either charges or discharges in a slot."""
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import csr_matrix, hstack, vstack

        matrix = vstack([part[0] for part in rows], format="csr")
        lower, upper = (np.concatenate([part[k] for part in rows]) for k in (1, 2))
        cost, low, high = (np.concatenate([getattr(b, k) for b in self.blocks.values()]) for k in ("cost", "lower", "upper"))
        integrality = np.zeros(self.size)
        if whole:
            count = self.shape[0] * self.slots
            matrix = hstack([matrix, csr_matrix((matrix.shape[0], count))], format="csr")
            for name, slope, most in (("charge", -1.0, 0.0), ("discharge", 1.0, 1.0)):
                power_kw = self.blocks[name].upper
                pick = csr_matrix(
                    (np.ones(count), (np.arange(count), self.blocks[name].first + np.arange(count))), shape=(count, self.size)
                )
                direction = csr_matrix((slope * power_kw, (np.arange(count), np.arange(count))), shape=(count, count))
                matrix = vstack([matrix, hstack([pick, direction])], format="csr")
                lower, upper = np.append(lower, np.full(count, -np.inf)), np.append(upper, most * power_kw)
            cost, low, high = np.append(cost, np.zeros(count)), np.append(low, np.zeros(count)), np.append(high, np.ones(count))
            integrality = np.append(integrality, np.ones(count))
        answer = milp(
            cost,
            integrality=integrality,
            bounds=Bounds(low, high),
            constraints=LinearConstraint(matrix, lower, upper),
            options={"mip_rel_gap": 1e-9},
        )
        return (answer.x, float(answer.fun)) if answer.status == 0 else (None, None)
