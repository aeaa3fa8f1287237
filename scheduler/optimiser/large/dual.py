"""Prices: fractional decisions and multipliers, driven to where they agree, with the bound that they prove."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from grid.horizon import FloatArray
from scheduler.optimiser.large.bound import GroupIndex, capacity_price_total
from scheduler.optimiser.large.case import Case
from scheduler.optimiser.large.energy import EnergyBlock, feeder_sites
from scheduler.optimiser.large.fractional import buy, class_costs, refresh_prices, rows_of, sweep
from scheduler.optimiser.large.groups import Classes, classes_of
from scheduler.optimiser.large.prox import serve
from scheduler.optimiser.large.row_prices import answer_kw, driven
from scheduler.optimiser.large.terms import terms_of

MARGINALS = ("balance", "import", "export", "soc", "charge", "discharge", "load")
"""What ``EnergyBlock.marginals`` tells."""

FEEDER_STEP = 0.3
"""Share of the newest price of feeder limits in the one that is used; alone it would jump between corners."""

STIFFNESS, USE_STIFFNESS, COPY_STIFFNESS = 1.0, 1.0, 1.0

FIRM, SOFT = 0.5, 0.1
"""Factors on stiffness in the first sweeps and in late ones: the closer prices are, the softer they move (decision 0025)."""

FIRM_SWEEPS, SOFT_SWEEPS = 6, 36
"""Sweeps after which it begins to become softer, and after which it does not any more."""

HEAD_START = 15
"""Sweeps that prices of a warm start count as having had."""

SCARCE = 0.0005
"""Share of the jobs that the fractional plan drops, from which on prices of capacity stay stiff: they have far to rise."""


@dataclass(slots=True)
class EventGrid:
    """Events as arrays on the grid: the limit and penalty that hold in each slot."""

    limit: FloatArray
    penalty: FloatArray


def event_grid(case: Case) -> EventGrid:
    """One limit per slot; where several events touch a slot the tightest one with the sum of penalties (exact for one)."""
    limit, penalty = np.full((case.S, case.T), np.inf), np.zeros((case.S, case.T))
    for s, a, b, kw, eur in zip(case.dr_site, case.dr_start, case.dr_end, case.dr_limit_kw, case.dr_penalty, strict=True):
        limit[s, a:b] = np.minimum(limit[s, a:b], kw)
        penalty[s, a:b] += eur
    return EventGrid(limit, penalty)


def densities(case: Case, classes: Classes) -> FloatArray:
    """Most power per unit of each resource among the jobs of each site, ``[R, S]`` kW; infinite where power needs none of it."""
    owner = np.repeat(classes.first, np.diff(classes.ep))
    site, power = case.es[classes.entry], case.entry_kw()[classes.entry]
    most = np.zeros((case.cap.shape[0], case.S))
    for r in range(len(most)):
        need = case.res[owner, r]
        with np.errstate(divide="ignore", invalid="ignore"):
            np.maximum.at(most[r], site, np.where(need > 0, power / need, np.where(power > 0, np.inf, 0.0)))
    return most


def densest_load(case: Case, classes: Classes) -> FloatArray:
    """No load can be above this, ``[S, T]`` kW: the power of the densest job on the whole of each resource."""
    most = np.full((case.S, case.T), np.inf)
    for density, cap in zip(densities(case, classes), case.cap, strict=True):
        limit = np.where(np.isinf(density)[:, None], np.inf, np.where(np.isinf(density), 0.0, density)[:, None] * cap)
        most = np.minimum(most, limit)
    total = np.zeros(case.S)
    each = np.repeat(classes.count, np.diff(classes.ep))
    np.add.at(total, case.es[classes.entry], case.entry_kw()[classes.entry] * each)
    least: FloatArray = np.minimum(most, total[:, None]) * (1 + 1e-9) + 1e-9
    return least


class Dual:
    """State of the price search on one case."""

    def __init__(self, case: Case, classes: Classes | None = None, seed: int = 0) -> None:
        self.case = case
        self.classes = classes if classes is not None else classes_of(case)
        self.groups = GroupIndex(case, self.classes)
        self.entry_kw, self.terms, self.class_rows = case.entry_kw(), terms_of(case), rows_of(case, self.classes)
        self.events = event_grid(case)
        self.most = densest_load(case, self.classes)
        self._rng = np.random.default_rng(seed)
        c, k = case, self.classes
        n_entries, n_classes = len(k.entry), len(k.first)
        self.longest = int(np.diff(k.window).max(initial=1)) + 1
        size = int(k.window[-1])
        self.xk, self.xu = np.zeros(size), np.zeros(size)
        self.y, self.dropx = np.zeros(n_entries), k.count.copy()
        self.own = np.zeros(n_classes)
        self.load, self.use = np.zeros((c.S, c.T)), np.zeros_like(c.cap)
        self.served = np.zeros((c.S, c.T))
        self.lam = np.clip(c.pi, 0.01, None) * c.dt * c.pue
        self.mu = np.zeros_like(c.cap)
        self.adder = np.zeros((c.S, c.T))
        self.row_price, self.mean_row_price = np.zeros(len(c.rows)), np.zeros(len(c.rows))
        self.nu = np.zeros(c.S)
        self.over_peak = np.where(c.dc > 0, c.dc / c.dt, 0.0)
        self.battery = np.zeros((c.S, c.T))
        self.facility_price = np.zeros((c.S, c.T))
        self.bought = np.zeros(len(c.mc))
        self.sigma = np.zeros(n_entries)
        self._users()
        energy = float((c.pw * c.p).sum())
        total = float(np.clip(c.cap[0].sum(), 1e-9, None))
        mean_price = float(np.mean(np.clip(c.pi, 0.01, None)) * c.dt * 1.2)
        share = c.cap[0].mean(axis=1) / max(1e-9, c.cap[0].mean(axis=1).sum())
        mean_load = np.maximum(energy / c.T * share, 1e-3)
        self.peak = np.maximum(c.pk0, np.maximum(1e-3, c.a.mean(axis=1) + c.pue.mean(axis=1) * mean_load))
        self.rho = STIFFNESS * mean_price / mean_load
        use_total = np.maximum((c.res * c.p[:, None]).sum(axis=0), 1e-9)
        value = mean_price * energy / use_total
        self.rho_use = USE_STIFFNESS * value[:, None] / np.maximum(c.cap.mean(axis=2), 1e-9)
        del total
        self.price, self.use_price = self.lam.copy(), self.mu.copy()
        self.mean_lam, self.mean_mu = self.lam.copy(), self.mu.copy()
        self.bound, self.best = -np.inf, (self.lam.copy(), self.mu.copy())
        self.blocks: list[EnergyBlock] = []
        self.cost = np.empty(n_entries)
        self.sweeps, self.head_start = 0, 0

    def _users(self) -> None:
        """Entries that use each copy."""
        c, k = self.case, self.classes
        copy = c.em[k.entry]
        copy = np.where(np.diff(k.window) > 0, copy, -1)
        order = np.argsort(copy, kind="stable")
        order = order[copy[order] >= 0]
        self.users = order.astype(np.int64)
        counts = np.bincount(copy[order], minlength=len(c.mc)) if len(order) else np.zeros(len(c.mc), dtype=np.int64)
        self.users_ptr = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
        self.count_of_entry = np.repeat(k.count, np.diff(k.ep))
        self.rho_copy = np.zeros(len(k.entry))
        if len(order):
            self.rho_copy[order] = COPY_STIFFNESS * (c.mc[copy[order]] + 1e-3) / np.maximum(1, counts[copy[order]])

    def step(self) -> float:
        """One sweep over the jobs, one answer of the energy side, new multipliers; returns the gap of the linearised problem."""
        c, k = self.case, self.classes
        rho, rho_use = self.stiffness()
        refresh_prices(self.load, self.use, self.served, self.lam, rho, self.mu, rho_use, c.cap, self.price, self.use_price)
        perm = self._rng.permutation(len(k.first))
        gap = sweep(
            perm, k.ep, k.entry, k.window, k.count, k.first, c.es, c.ec, c.ea, c.em, c.typ, c.p, c.dl, c.soft, c.wt,
            self.class_rows, self.entry_kw, c.drop, c.speed2, c.power2, c.cap, self.xk, self.xu, self.y, self.dropx, self.own,
            self.load, self.use, self.served, self.lam, rho, self.mu, rho_use, self.price, self.use_price, self.sigma,
            self.rho_copy, self.bought, self.longest, self.terms,
        )  # fmt: skip
        if len(self.users):
            buy(
                self.bought,
                self.users_ptr,
                self.users,
                self.y,
                self.count_of_entry,
                self.sigma,
                self.rho_copy,
                c.mc + self.nu[c.ms] * c.mgb,
            )
            volume = np.bincount(c.ms, self.bought * c.mgb, minlength=c.S)
            scale = float(c.mc.sum() / max(1e-9, c.mgb.sum()))
            self.nu = np.maximum(0.0, self.nu + scale * (volume - c.gbmax) / np.maximum(1.0, c.gbmax))
        self._answer(rho)
        self.lam = self.lam + rho[:, None] * (self.load - self.served)
        self.mu = np.maximum(0.0, self.mu + rho_use[:, :, None] * (self.use - c.cap))
        keep = self.kept()
        self.mean_lam = keep * self.mean_lam + (1 - keep) * self.lam
        self.mean_mu = keep * self.mean_mu + (1 - keep) * self.mu
        self.mean_row_price = keep * self.mean_row_price + (1 - keep) * self.row_price
        self.sweeps += 1
        return float(gap)

    @property
    def age(self) -> int:
        """Sweeps that the prices have had, with those that a warm start counts for."""
        return self.sweeps + self.head_start

    def kept(self) -> float:
        """Share of the mean prices that the next sweep leaves as it is."""
        return 0.0 if self.age < 3 else (0.8 if self.age < 40 else 0.9)

    def stiffness(self) -> tuple[FloatArray, FloatArray]:
        """Stiffness of the next sweep: of load, ``[S]`` EUR per kW and slot, per kW, and of use, ``[R, S]``, per unit."""
        late = min(1.0, max(0.0, (self.age - FIRM_SWEEPS) / (SOFT_SWEEPS - FIRM_SWEEPS)))
        factor = FIRM * (SOFT / FIRM) ** late
        scarce = float(self.dropx.sum()) > SCARCE * self.case.J
        return self.rho * factor, self.rho_use * (1.0 if scarce else factor)

    def _answer(self, rho: FloatArray) -> None:
        """What the energy side serves at these prices and this stiffness, and the paid peak a step further towards its price."""
        c = self.case
        value, adder = np.empty(c.S), self.adders_at(self.row_price)
        serve(
            c.dt, c.a, c.pue, c.ren, c.gmax, c.emax, c.pi + adder[0] / c.dt, c.po + adder[1] / c.dt, self.events.limit,
            self.events.penalty, c.unserved, self.peak, self.over_peak, c.E, c.soc_min, c.Pc, c.Pd, c.eta_c, c.eta_d, c.wear,
            c.soc0,
            c.soc_end, self.lam, rho, self.load, self.most, self.facility_price, self.served, self.battery, value,
        )  # fmt: skip
        step = np.clip((value - c.dc) / np.maximum(c.dc, 1e-9), -1.0, 1.0) * (0.05 / (1.0 + self.sweeps / 30.0))
        if len(c.rows):
            events = self.events.limit, self.events.penalty
            grid = answer_kw(c, events, self.peak, self.over_peak, adder, self.served, self.battery)
            self.row_price = driven(c.rows, self.row_price, grid, c.pue, rho)
        self.peak = np.where(c.dc > 0, np.maximum(c.pk0, self.peak * (1.0 + step)), self.peak)

    def adders_at(self, row_price: FloatArray) -> FloatArray:
        """What feeders and rows add to the price of import and to the worth of export, ``[2, S, T]`` EUR per kW and slot."""
        c = self.case
        return self.adder + c.rows.adders(row_price, c.S, c.T) if len(c.rows) else np.broadcast_to(self.adder, (2, c.S, c.T))

    def evaluate(self, lam: FloatArray, mu: FloatArray) -> float:
        """The bound that these prices prove; keeps the best."""
        c, k = self.case, self.classes
        class_costs(
            k.ep, k.entry, k.window, k.first, c.es, c.ec, c.ea, c.typ, c.p, c.dl, c.soft, c.wt, self.class_rows, self.entry_kw,
            c.speed2, c.power2, c.cap, lam, mu, self.longest, self.cost, self.terms,
        )  # fmt: skip
        jobs = self.groups.value(c, k, self.cost, c.mc + (self.nu[c.ms] * c.mgb if len(c.mc) else 0.0))
        total = jobs + self._energy_bound(lam) - capacity_price_total(c, mu) - float(self.nu @ c.gbmax)
        if total > self.bound:
            self.bound, self.best = total, (lam.copy(), mu.copy())
        return total

    def marginals(self, lam: FloatArray) -> dict[str, FloatArray]:
        """What ``EnergyBlock.marginals`` tells of all sites at these prices, and ``core``: the worth of a core where nodes sleep.

        ``[S, T]`` each.
        """
        found = {name: np.zeros(lam.shape) for name in (*MARGINALS, "core")}
        for block in self.blocks:
            block.price_load(lam)
            for name, array in block.marginals().items():
                found[name][block.sites] = array
        return found

    def _energy_bound(self, lam: FloatArray) -> float:
        """Least of energy cost minus ``lam`` times load; the price of feeder limits follows."""
        c = self.case
        if not self.blocks:
            self.blocks = [EnergyBlock(c, sites, self.most, feeders=True) for sites in feeder_sites(c)]
        energy = sum(block.price_load(lam)[0] for block in self.blocks)
        adder = sum((block.feeder_adders() for block in self.blocks), np.zeros((c.S, c.T)))
        self.adder = (1.0 - FEEDER_STEP) * self.adder + FEEDER_STEP * adder
        return energy

    def run(self, end: float, done: Callable[[], bool], every: int = 10) -> None:
        """Sweeps until the time ``end`` (of ``time.perf_counter``) or until ``done()``, with bounds in between.

        A sweep that would not end in time is not begun, nor a bound after ``done()`` when there is one already. At least one
        sweep is made, whatever the time, and a bound if there is none yet.
        """
        took = 0.0
        while True:
            begun = time.perf_counter()
            self.step()
            over = time.perf_counter() + took >= end
            asked = done()
            if not (asked and np.isfinite(self.bound)) and (self.sweeps % every == 0 or over or asked):
                self.evaluate(self.mean_lam, self.mean_mu)
                if self.sweeps <= 2 * every:
                    self.evaluate(self.lam, self.mu)
            took = max(0.5 * took, time.perf_counter() - begun)
            if over or asked:
                return
