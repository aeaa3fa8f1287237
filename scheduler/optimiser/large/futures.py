"""Several futures in the price decomposition: every site serves the same load in each of them, jobs see one price.

The load of a site is one, what it costs depends on the future ``w`` of probability ``p[w]``. Let the energy side serve
``served[w]`` in each, with the rows ``load = served[w]`` and multipliers ``p[w] lam[w]``. A job then pays ``lam = sum of p[w]
lam[w]``, so the job side (sweeps, best responses, moves) does not change at all, and the energy side falls into one problem for
each future::

    sum over w of p[w] (least of C_w(served[w]) - lam[w] . served[w])    instead of    least of C(served) - lam . served

Both are lower bounds for any multipliers; at the best ones the first is that of the two-stage programme, whose relaxed energy
side is convex. Here ``lam[w] = lam + offset[w]`` with ``sum of p[w] offset[w] = 0``, kept so by construction: the price search
moves ``lam`` as ever, and ``offset[w]`` by what the futures serve more or less than their mean (method of multipliers for
scenarios: Rockafellar and Wets 1991, progressive hedging).

The futures stand below each other as if they were more sites, so one call of ``prox.serve`` answers for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from grid.horizon import FloatArray
from scheduler.optimiser.large.case import Case
from scheduler.optimiser.large.dual import FEEDER_STEP, Dual
from scheduler.optimiser.large.energy import BINARY_SECONDS, EnergyBlock, feeder_sites
from scheduler.optimiser.large.prox import serve
from scheduler.optimiser.large.row_prices import answer_kw, driven


@dataclass(frozen=True, slots=True, eq=False)
class FutureCases:
    """One case a future; they differ in sun and wind (``ren``) and fixed power (``a``) only.

    Attributes:
        mean: the case with the mean of both, by which the search for prices is scaled.
        cases: of each future.
        shares: probabilities, ``[W]``, summing to 1.
    """

    mean: Case
    cases: tuple[Case, ...]
    shares: FloatArray


def future_cases(case: Case, renewable_kw: FloatArray, fixed_kw: FloatArray, shares: FloatArray) -> FutureCases:
    """The futures of a case.

    Args:
        case: everything else.
        renewable_kw: sun and wind of each future, ``[W, S, T]``.
        fixed_kw: fixed facility power of each, the same shape.
        shares: probabilities, ``[W]``.

    Raises:
        ValueError: probabilities that are not positive or do not sum to 1.
    """
    if not (shares > 0).all() or abs(float(shares.sum()) - 1.0) > 1e-9:
        raise ValueError(f"probabilities must be above 0 and sum to 1, found {shares.tolist()}")
    cases = tuple(
        replace(case, ren=np.ascontiguousarray(sun), a=np.ascontiguousarray(fixed))
        for sun, fixed in zip(renewable_kw, fixed_kw, strict=True)
    )
    mean = replace(
        case,
        ren=np.ascontiguousarray(np.tensordot(shares, renewable_kw, 1)),
        a=np.ascontiguousarray(np.tensordot(shares, fixed_kw, 1)),
    )
    return FutureCases(mean, cases, shares)


class MeanBlock:
    """The energy side of some sites over all futures: one exact linear programme each, weighted by its probability."""

    def __init__(self, futures: FutureCases, parts: list[EnergyBlock]) -> None:
        self.parts, self._shares, self.sites = parts, futures.shares, parts[0].sites

    def fix_load(self, load: FloatArray) -> tuple[float, list[dict[str, FloatArray]]]:
        """Expected least cost for a load ``[S, T]``; of each future the flows by family, ``[n, T]``."""
        found = [part.fix_load(load) for part in self.parts]
        return float(sum(p * value for p, (value, _) in zip(self._shares, found, strict=True))), [flows for _, flows in found]

    def theta(self) -> FloatArray:
        """Mean value of stored energy in the last solves, ``[n, T]`` EUR/kWh."""
        mean: FloatArray = np.tensordot(self._shares, np.stack([part.theta() for part in self.parts]), 1)
        return mean

    def settled(self, load: FloatArray, time_s: float = BINARY_SECONDS) -> tuple[float, list[dict[str, FloatArray]]]:
        """As ``fix_load``, with batteries in one direction a slot in every future; the last thing to ask."""
        found = [part.settled(load, time_s / len(self.parts)) for part in self.parts]
        return float(sum(p * value for p, (value, _) in zip(self._shares, found, strict=True))), [flows for _, flows in found]


def mean_blocks(futures: FutureCases, most_kw: FloatArray) -> list[MeanBlock]:
    """The energy side of every feeder over all futures; ``most_kw`` bounds the load where it is free, ``[S, T]``."""
    return [
        MeanBlock(futures, [EnergyBlock(case, sites, most_kw, feeders=True) for case in futures.cases])
        for sites in feeder_sites(futures.mean)
    ]


class Stack:
    """All futures below each other, as ``W * S`` sites, for one call of ``prox.serve``."""

    def __init__(self, futures: FutureCases, dual: Dual) -> None:
        case, count = futures.mean, len(futures.shares)
        self.count, self.shares, self._dt = count, futures.shares, case.dt
        self.fixed, self.sun = (np.concatenate([getattr(c, name) for c in futures.cases]) for name in ("a", "ren"))
        self._flat = {name: self.spread(getattr(case, name)) for name in ("pue", "gmax", "emax", "pi", "po", "E", "soc_min")}
        self._flat |= {
            name: self.spread(getattr(case, name)) for name in ("Pc", "Pd", "eta_c", "eta_d", "wear", "soc0", "soc_end")
        }
        self._flat |= {"unserved": self.spread(case.unserved), "over_peak": self.spread(dual.over_peak)}
        self._limit, self._penalty = self.spread(dual.events.limit), self.spread(dual.events.penalty)
        self.floor, self.charge = self.spread(case.pk0), self.spread(case.dc)

    def spread(self, array: FloatArray) -> FloatArray:
        """The same for every future: ``[S, ...]`` to ``[W * S, ...]``."""
        return np.ascontiguousarray(np.tile(array, (self.count, *[1] * (array.ndim - 1))))

    def mean(self, array: FloatArray) -> FloatArray:
        """Probability-weighted mean: ``[W * S, ...]`` to ``[S, ...]``."""
        parts = array.reshape(self.count, -1, *array.shape[1:])
        found: FloatArray = np.ascontiguousarray(np.tensordot(self.shares, parts, 1))
        return found

    def centred(self, array: FloatArray) -> FloatArray:
        """What of ``[W * S, T]`` differs between futures: its mean over them is 0."""
        return array - self.spread(self.mean(array))

    def serve(
        self, lam: FloatArray, rho: FloatArray, load: FloatArray, most: FloatArray, peak: FloatArray, adder: FloatArray,
        served: FloatArray, battery: FloatArray,
    ) -> FloatArray:  # fmt: skip
        """Fill ``served`` and ``battery`` (``[W * S, T]``) with every future's answer; returns the worth of its peak, EUR/kW.

        Args:
            lam: price of the load in each future, ``[W * S, T]``, EUR per kW and slot.
            rho: stiffness, ``[S]``.
            load: wanted, ``[S, T]`` kW.
            most: upper bound of the load, ``[S, T]`` kW.
            peak: import above which the peak charge counts, ``[W * S]`` kW.
            adder: of limits that sites share, on import and on the worth of export, ``[2, W * S, T]``.
            served: filled with the load that is served.
            battery: filled with the battery power, charging positive.
        """
        f, price, value = self._flat, np.empty_like(served), np.empty(len(peak))
        buy, sell = f["pi"] + adder[0] / self._dt, f["po"] + adder[1] / self._dt
        serve(
            self._dt, self.fixed, f["pue"], self.sun, f["gmax"], f["emax"], buy, sell, self._limit, self._penalty, f["unserved"],
            peak, f["over_peak"], f["E"], f["soc_min"], f["Pc"], f["Pd"], f["eta_c"], f["eta_d"], f["wear"], f["soc0"],
            f["soc_end"], lam, self.spread(rho), self.spread(load), self.spread(most), price, served, battery, value,
        )  # fmt: skip
        return value

    def next_peak(self, peak: FloatArray, value: FloatArray, most_step: float) -> FloatArray:
        """The paid peak of every future, a step of at most ``most_step`` towards its price."""
        step = np.clip((value - self.charge) / np.maximum(self.charge, 1e-9), -1.0, 1.0) * most_step
        found: FloatArray = np.where(self.charge > 0, np.maximum(self.floor, peak * (1.0 + step)), peak)
        return found


class FutureDual(Dual):
    """The price search over several futures.

    Attributes (beside those of ``Dual``, whose ``served``, ``battery``, ``peak`` and ``adder`` are means over futures):
        stack: the futures below each other.
        offset, mean_offset, best_offset: of the price of each future from ``lam``, from its running mean, from the best one,
            ``[W * S, T]``.
        batteries, peaks, adders: of each future.
        thetas: value of stored energy in each future at the last bound, ``[W, S, T]``.
        row_prices, mean_row_prices: of the rows in each future, and their running mean, ``[W, Q]``.
    """

    def __init__(self, futures: FutureCases, seed: int = 0) -> None:
        super().__init__(futures.mean, seed=seed)
        self.futures, self.stack = futures, Stack(futures, self)
        shape = self.stack.fixed.shape
        self.offset, self.mean_offset, self.best_offset = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self.batteries, self.adders = np.zeros(shape), np.zeros(shape)
        self.peaks = self.stack.spread(self.peak)
        self.row_prices, self.mean_row_prices = (np.zeros((len(futures.shares), len(self.case.rows))) for _ in range(2))
        self.thetas = np.zeros((len(futures.shares), self.case.S, self.case.T))
        self._each: list[MeanBlock] = []
        self._split = self.mean_offset

    def step(self) -> float:
        """As ``Dual.step``; the offsets have a running mean as ``lam`` has."""
        keep = self.kept()
        gap = super().step()
        self.mean_offset = keep * self.mean_offset + (1 - keep) * self.offset
        self.mean_row_prices = keep * self.mean_row_prices + (1 - keep) * self.row_prices
        return gap

    def evaluate(self, lam: FloatArray, mu: FloatArray) -> float:
        """The bound that these prices prove, with the offsets that belong to them; keeps the best."""
        best = lam is self.best[0]
        split = self.offset if lam is self.lam else self.best_offset if best else self.mean_offset
        self._split, before = self.stack.centred(split), self.bound
        total = super().evaluate(lam, mu)
        if self.bound > before:
            self.best_offset = self._split.copy()
        return total

    def _answer(self, rho: FloatArray) -> None:
        stack = self.stack
        served = np.empty_like(stack.fixed)
        lam = stack.spread(self.lam) + self.offset
        adder = self.all_adders(self.row_prices)
        value = stack.serve(lam, rho, self.load, self.most, self.peaks, adder, served, self.batteries)
        self.row_prices = self.driven_rows(self.row_prices, rho, self.peaks, adder, served, self.batteries)
        self.peaks = stack.next_peak(self.peaks, value, 0.05 / (1.0 + self.sweeps / 30.0))
        self.served, self.battery, self.peak = stack.mean(served), stack.mean(self.batteries), stack.mean(self.peaks)
        self.offset = stack.centred(self.offset - stack.spread(rho)[:, None] * stack.centred(served))

    def all_adders(self, row_prices: FloatArray) -> FloatArray:
        """As ``adders_at`` of every future, for prices of its rows ``[W, Q]``: ``[2, W * S, T]``."""
        case = self.case
        each = [case.rows.adders(price, case.S, case.T) for price in row_prices]
        return (
            self.adders + np.concatenate(each, axis=1)
            if len(case.rows)
            else np.broadcast_to(self.adders, (2, *self.adders.shape))
        )

    def driven_rows(
        self,
        row_prices: FloatArray,
        rho: FloatArray,
        peaks: FloatArray,
        adder: FloatArray,
        served: FloatArray,
        batteries: FloatArray,
    ) -> FloatArray:
        """Prices of the rows, ``[W, Q]``, a step on from an answer of every future (arguments as of ``Stack.serve``)."""
        case, events = self.case, (self.events.limit, self.events.penalty)
        if not len(case.rows):
            return row_prices
        found = []
        for w, future in enumerate(self.futures.cases):
            mine = slice(w * case.S, (w + 1) * case.S)
            grid = answer_kw(future, events, peaks[mine], self.over_peak, adder[:, mine], served[mine], batteries[mine])
            found.append(driven(case.rows, row_prices[w], grid, case.pue, rho))
        return np.stack(found)

    def _energy_bound(self, lam: FloatArray) -> float:
        case, shares = self.case, self.futures.shares
        if not self.blocks:
            self._each = mean_blocks(self.futures, self.most)
            self.blocks = [part for block in self._each for part in block.parts[:1]]
        total, adders = 0.0, np.zeros((len(shares), case.S, case.T))
        split = self._split.reshape(len(shares), case.S, case.T)
        for block in self._each:
            for w, part in enumerate(block.parts):
                total += float(shares[w]) * part.price_load(lam + split[w])[0]
                adders[w] += part.feeder_adders()
                self.thetas[w, block.sites] = part.theta()
        self.adders = (1.0 - FEEDER_STEP) * self.adders + FEEDER_STEP * adders.reshape(self.adders.shape)
        self.adder = self.stack.mean(self.adders)
        return total
