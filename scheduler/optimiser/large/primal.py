"""The plan: jobs moved one by one at prices that answer, first with soft limits, then with hard ones and exact costs.

Phase *tracked*: a cell costs ``lam * load + rho / 2 (load - served)^2`` where ``served`` is what the energy side would serve at
that price; overload is allowed at a price. ``served`` follows the jobs (``prox``), ``rho`` and the price of overload rise until
nothing is overloaded. Phase *exact*: capacity is hard, cells cost what their supply steps cost, batteries are planned anew now
and then. Every candidate is judged by the exact energy side (``judge``); the best one is kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from grid.horizon import FloatArray
from scheduler.optimiser.large.adopt import adopt
from scheduler.optimiser.large.case import Case, IntArray
from scheduler.optimiser.large.cells import Grid, flexible, grid_of
from scheduler.optimiser.large.decisions import own_costs, solution_of
from scheduler.optimiser.large.dual import Dual
from scheduler.optimiser.large.improve import Likely, anneal, construct, datasets_of, relieve
from scheduler.optimiser.large.judge import UNSERVED_KWH, Judge
from scheduler.optimiser.large.links import by_level
from scheduler.optimiser.large.prox import serve
from scheduler.optimiser.large.row_prices import answer_kw, driven, limits_for_moves
from scheduler.optimiser.large.sizes import with_size_rows
from scheduler.optimiser.large.state import recount
from scheduler.optimiser.large.tuning import MANY_JOBS, USUAL, Tuning

RELIEF_TRIES = 40
"""Most jobs of an overloaded cell that are tried elsewhere before the cheapest of them moves."""

HURRIED_TRIES = 3
"""The same when the time is up."""

EAGER = 0.25
"""Share of moves that begin with a job that is dropped or in an overloaded cell."""

QUICK_SHARE = 0.2
"""Share of the time of a first pass that may do."""

TWICE_SHARE = 0.5
"""Share of the time of the first of two passes."""

SOFT_SHARE = 0.85
"""Share of the tracked phase after which overload has its full price."""

EXTRA_ROUNDS = 300
"""Most rounds of clearing what is still overloaded after the tracked phase."""

CLEAR_SECONDS = 0.2
"""Most time of one of these rounds."""

EXTRA_SHARE = 0.06
"""Most time of all of them, as a share of the tracked phase's."""

UNSERVED_FACTOR = 100.0
"""Factor on the price of unserved load where moves are priced, when a plan must serve everything."""

ROOMS = 10
"""How often between two judgements what rows have left is shared among their sites anew."""

ROW_FOLLOW = 0.05
"""Least stiffness, as a factor on ``rho``, with which prices rise where the load breaks a row."""


class Primal(Judge):
    """Search for a plan of one case at the prices of ``dual``.

    Attributes:
        scale: mean cost of a job, EUR.
        stiffness: price of overload at a factor of 1, EUR per unit of overload, per unit, ``[R, S]``.
        priced_case: the case with the prices by which moves are chosen.
    """

    def __init__(self, case: Case, dual: Dual, tuning: Tuning = USUAL, seed: int = 0) -> None:
        self.sizes = with_size_rows(case)
        case = self.sizes.case
        super().__init__(case, dual)
        self.tuning, self.seed = tuning, seed
        self.priced_case = replace(case, unserved=UNSERVED_FACTOR * case.unserved) if case.must_serve else case
        self.lam, self.mu = dual.best[0].copy(), self.sizes.padded(dual.best[1])
        self._first_mu = self.mu.copy()
        self.stiffness = self.sizes.extended(dual.rho_use, 2)
        late = tuning.settled + (SOFT_SHARE - tuning.settled) * np.clip((0.5 - self.sizes.part) / 0.5, 0.0, 1.0)
        self._settled = np.concatenate([np.full(len(dual.rho_use), SOFT_SHARE), late])
        self.served, self.peak = dual.served.copy(), dual.peak.copy()
        dual.evaluate(*dual.best)
        self._theta = np.zeros((case.S, case.T))
        for block in dual.blocks:
            self._theta[block.sites] = block.theta()
        self._row_price = dual.mean_row_price.copy()
        self._feeder_adder = dual.adder.copy()
        self._adder = dual.adders_at(self._row_price).copy()
        self._rng, self._rooms = np.random.default_rng(seed), ROOMS if len(case.rows) else 1
        k = dual.classes
        self._datasets = datasets_of(case, k)
        self._likely = Likely(k.of, k.ep, k.window, dual.y, dual.xu)
        self.scale = max(1e-9, abs(dual.bound) / max(1, case.J))
        self._base = grid_of(
            self.priced_case,
            flexible(case, self._battery, self._theta, 0.0),
            dual.events.limit,
            dual.events.penalty,
            self.mu,
            self._feeder_adder,
        )
        self.rounds, self._rate = 0, 2000.0
        self.deadline = np.inf

    def start(self) -> None:
        """A first plan: every job where it costs least at the prices, the largest first."""
        case = self.case
        grid = self._tracked_grid(self.tuning.soft, self._tight(0.0))
        dual, k = self.dual, self.dual.classes
        adopt(self.jobs, self.state, k.of, k.ep, k.entry, k.window, dual.y, dual.xk, dual.xu, self.tuning.adopted)
        recount(self.jobs, grid, self.state)
        size = (case.res / np.maximum(1e-9, case.res.max(axis=0, initial=0.0))).sum(axis=1) * case.p
        opened = np.where(self.dual.bought > 0.5, 1, -1).astype(np.int64)
        order = by_level(self.jobs.links, np.argsort(-size, kind="stable"))
        construct(self.jobs, grid, self.state, order, 1.0, opened, self.dual.longest)

    def run(
        self, seconds: float, done: Callable[[], bool], report: Callable[[str], None] | None = None, *, quick: bool = False
    ) -> None:
        """Both phases within ``seconds``; ends early when ``done()``.

        ``quick``: a first pass takes a fifth of the time, because a gap that is asked for is often reached in it. Below
        ``MANY_JOBS`` there are two passes: where a plan ends up is partly luck, and the better of two is seldom a bad one.
        """
        begun = time.perf_counter()
        self.start()
        judged = time.perf_counter()
        self.judge("first plan", report)
        self.deadline = end = (
            begun + seconds - min(0.2 * seconds, 2.0 * (time.perf_counter() - judged))
        )  # the rest: the last judgement
        for share in self.passes(quick=quick):
            now = time.perf_counter()
            self.both_phases(now + share * (end - now), done, report)
            if done():
                return

    def both_phases(
        self, until: float, done: Callable[[], bool], report: Callable[[str], None] | None = None, gone: float = 0.0
    ) -> None:
        """From the plan as it stands and the best prices to the end of the exact phase at ``until`` (of ``time.perf_counter``).

        ``gone``: share of the tracked phase that is left out, its softest and hottest part.
        """
        now = time.perf_counter()
        self._take_prices()
        took = self.tuning.tracked * max(0.0, until - now)
        self.tracked(now - took * gone / (1.0 - gone), now + took, done, report)
        if done():
            return
        self.repair()
        made = self.judge("repaired", report)
        if (self.unserved_now(), made - 1e-9) > self.rank:
            self.lay_out(self.best)
            self.judge("best so far", report)
        self.exact(until, done, report)

    def passes(self, *, quick: bool) -> tuple[float, ...]:
        """Share that each pass has of the time that is left then; in each, both phases from the best prices on."""
        first = (QUICK_SHARE,) if quick else ()
        return (*first, TWICE_SHARE, 1.0) if self.case.J < MANY_JOBS else (*first, 1.0)

    def trial(self) -> None:
        """Every compiled function once."""
        self.start()
        self._rounds_of(self._tracked_grid(self.tuning.stiff, self._tight(1.0)), 2, self.scale, 2, self._focus(), 0.5)
        self.answer(self.tuning.stiff)
        self.repair()

    def one_round(self) -> None:
        """A round of the tracked phase at its hottest: as many moves as there are jobs, and the energy side's answer."""
        tune = self.tuning
        grid = self._tracked_grid(tune.soft, self._tight(0.0))
        recount(self.jobs, grid, self.state)
        self._rounds_of(grid, self.case.J, self.scale * tune.hot, tune.jobs, self._focus(), EAGER)
        self.answer(tune.soft)

    def tracked(self, begun: float, end: float, done: Callable[[], bool], report: Callable[[str], None] | None = None) -> None:
        """Soft limits that harden."""
        tune, case = self.tuning, self.case
        share, rho = 0.0, tune.soft
        last = begun
        while share < 1.0 and not done():
            share = min(1.0, (time.perf_counter() - begun) / max(1e-9, end - begun))
            over = self.state.use - case.cap
            if share > SOFT_SHARE:
                self._bump(over)
            rho = tune.soft * (tune.stiff / tune.soft) ** share
            grid = self._tracked_grid(rho, self._tight(share))
            recount(self.jobs, grid, self.state)
            self._anneal(grid, (end - begun) / 100, self.scale * tune.hot * (tune.cold / tune.hot) ** share, tune.jobs)
            self.answer(rho)
            step = tune.follow * self.dual.rho[:, None] * rho * (self.state.load - self.served)
            if len(case.rows):
                step = np.where((step > 0.0) & self._crowded(), step * np.maximum(1.0, ROW_FOLLOW / rho), step)
            self.lam = np.clip(self.lam + step, -1.0, case.unserved[:, None] * case.pue * case.dt)
            now = time.perf_counter()
            if share > SOFT_SHARE and (self.state.use <= case.cap + 1e-7).all():
                self.judge("tracked", None)
            if now - last > (end - begun) / tune.cleans and share < 1.0:
                last = now
                self._try_clean()
            if report is not None and last == now:
                excess = float(np.maximum(0.0, self.state.use - case.cap).sum() / case.cap.sum())
                self.judge(f"tracked rho {rho:.2f} over {excess:.5f} rate {self._rate:.0f}", report)

        if not done():
            self._clear(end + EXTRA_SHARE * (end - begun), rho)

    def _crowded(self) -> npt.NDArray[np.bool_]:
        """Sites and slots whose load breaks a row, ``[S, T]``."""
        case, rows = self.case, self.case.rows
        net = case.a + self._battery - case.ren + case.pue * self.state.load
        over = rows.left_side(np.clip(net, 0.0, case.gmax), np.clip(-net, 0.0, case.emax)) > rows.limit
        found = np.zeros((case.S, case.T), dtype=np.bool_)
        terms = over[rows.row]
        found[rows.site[terms], rows.slot[rows.row][terms]] = True
        return found

    def _clear(self, until: float, rho: float) -> None:
        """Move jobs out of the cells that are still overloaded, at prices that rise there until nothing is."""
        tune, heat = self.tuning, self.scale * self.tuning.cold
        for _ in range(EXTRA_ROUNDS):
            over = self.state.use - self.case.cap
            if (over <= 1e-7).all() or time.perf_counter() > until:
                return
            self._bump(over)
            grid = self._tracked_grid(rho, self._tight(1.0))
            recount(self.jobs, grid, self.state)
            focus = self._focus()
            count = min(200 + 40 * len(focus), max(50, int(self._rate * CLEAR_SECONDS)))
            self._rounds_of(grid, count, heat, tune.jobs, focus, 0.8)

    def _try_clean(self) -> None:
        """Make a plan without overload from where the search is, judge it, and go back to where the search was."""
        kept = self._snapshot()
        self.repair()
        self.judge("clean", None)
        self.lay_out(kept)

    def exact(self, end: float, done: Callable[[], bool], report: Callable[[str], None] | None = None) -> None:
        """Hard capacity and exact costs until ``end``."""
        tune = self.tuning
        begun = time.perf_counter()
        while (now := time.perf_counter()) < end and not done():
            share = (now - begun) / max(1e-9, end - begun)
            heat = self.scale * tune.exact_hot * (tune.exact_cold / tune.exact_hot) ** share
            seconds = min((end - begun) / 8, max(0.05, end - now))
            for _ in range(self._rooms):
                grid = self._exact_grid(tune.flex * (1.0 - share))
                recount(self.jobs, grid, self.state)
                self._anneal(grid, seconds / self._rooms, heat, tune.jobs)
            self.judge("exact", report)

    def _exact_grid(self, part: float) -> Grid:
        """Cells priced by their steps of supply; batteries may leave their schedule by ``part`` of their power."""
        flex = flexible(self.case, self._battery, self._theta, part)
        events = self.dual.events
        return grid_of(self.case_for_moves(), flex, events.limit, events.penalty, self.mu, self._feeder_adder)

    def case_for_moves(self) -> Case:
        """The case with the prices by which moves are chosen, and with what rows leave each site for the plan as it stands."""
        return self._with_rows(self.priced_case, self._battery)

    def _with_rows(self, case: Case, battery: FloatArray) -> Case:
        """``case`` with what rows leave each site for the plan as it stands, with batteries at ``battery``, ``[S, T]`` kW."""
        if not len(case.rows):
            return case
        most = limits_for_moves(case, self.state.load, battery, self._rng)
        return replace(case, gmax=most[0], emax=most[1])

    def repair(self) -> None:
        """Move jobs out of overloaded cells with hard capacity, and try again what is dropped."""
        case, state, jobs = self.case, self.state, self.jobs
        grid = self._tracked_grid(self.tuning.stiff, np.zeros(len(self._settled)))
        recount(jobs, grid, state)
        tries = RELIEF_TRIES if time.perf_counter() < self.deadline else HURRIED_TRIES
        relieve(jobs, grid, state, self.dual.longest, tries)
        opened = np.zeros(max(1, len(case.mc)), dtype=np.int64)
        construct(jobs, grid, state, by_level(jobs.links, np.argsort(-case.drop, kind="stable")), 0.5, opened, self.dual.longest)

    def finish(self) -> float:
        """Exact objective of the best plan, battery directions included; a plan without overload is made if there is none yet."""
        if not np.isfinite(self.objective):
            self.repair()
            self.judge("repaired", None)
        return self.settle()

    def _take_prices(self) -> None:
        """The best prices known, with none for size rows."""
        lam, mu = self.dual.best
        self.lam, self.mu = lam.copy(), self.sizes.padded(mu)
        self._first_mu = self.mu.copy()

    def _tight(self, share: float) -> FloatArray:
        """Factor on the price of overload of each row, ``[R]``, when ``share`` of the tracked phase is over."""
        tune = self.tuning
        factor: FloatArray = tune.loose * (tune.tight / tune.loose) ** np.minimum(1.0, share / self._settled)
        return factor

    def _bump(self, over: FloatArray) -> None:
        """Part of the price of what is overloaded stays for a while."""
        tune = self.tuning
        more = (self.mu - self._first_mu) * tune.fade
        more += np.maximum(0.0, over) * self.stiffness[:, :, None] * tune.tight * tune.bump
        self.mu = self._first_mu + more

    def _tracked_grid(self, rho: float, tight: FloatArray) -> Grid:
        """Cells priced by tracking, with overload at a price (hard when ``tight``, ``[R]``, is 0)."""
        stiff = self.stiffness * tight[:, None]
        return self._base._replace(lam=self.lam, target=self.served, rho=self.dual.rho * rho, stiff=stiff, mu=self.mu)

    def _anneal(self, grid: Grid, seconds: float, heat: float, jobs: int) -> None:
        """About ``seconds`` of ruin and recreate at a temperature in EUR."""
        count = max(20, int(self._rate * seconds))
        begun = time.perf_counter()
        self._rounds_of(grid, count, heat, jobs, self._focus(), EAGER)
        self._rate = count / max(1e-6, time.perf_counter() - begun)

    def _rounds_of(self, grid: Grid, count: int, heat: float, jobs: int, focus: IntArray, eager: float) -> None:
        """``count`` rounds of ruin and recreate."""
        anneal(
            self.jobs, grid, self.state, self._datasets, self.dual.bought, self._likely, self.dual.longest, count, heat, heat,
            self.seed * 1_000_003 + self.rounds, jobs, focus, eager,
        )  # fmt: skip
        self.rounds += 1

    def _focus(self) -> IntArray:
        """Jobs that are dropped or run in an overloaded cell, or in one that was not served when it had to be."""
        state, case = self.state, self.case
        hurt: npt.NDArray[np.bool_] = state.choice < 0
        over = (state.use > case.cap + 1e-7).any(axis=0)
        if case.must_serve:
            over = over | (self._dark > UNSERVED_KWH)
        if over.any():
            count = np.where(hurt, 0, state.length)
            owner = np.repeat(np.arange(case.J), count)
            first = np.concatenate(([0], np.cumsum(count)))[:-1]
            index = self.jobs.room[owner] + np.arange(len(owner)) - first[owner]
            site = case.es[np.where(hurt, 0, state.choice)]
            crowded = np.asarray(over)[site[owner], state.slot[index]]
            np.asarray(hurt)[owner[crowded]] = True
        return np.flatnonzero(hurt).astype(np.int64)

    def answer(self, rho: float) -> None:
        """The energy side's answer to the load at the tracked price; moves the paid peak towards its price."""
        case, dual = self.case, self.dual
        price, value = np.empty((case.S, case.T)), np.empty(case.S)
        most = np.full((case.S, case.T), 1e9)
        serve(
            case.dt, case.a, case.pue, case.ren, case.gmax, case.emax, case.pi + self._adder[0] / case.dt,
            case.po + self._adder[1] / case.dt,
            dual.events.limit, dual.events.penalty, case.unserved, self.peak, dual.over_peak, case.E, case.soc_min, case.Pc,
            case.Pd,
            case.eta_c, case.eta_d, case.wear, case.soc0, case.soc_end, self.lam, dual.rho * rho, self.state.load, most, price,
            self.served,
            self._battery, value,
        )  # fmt: skip
        if len(case.rows):
            events = dual.events.limit, dual.events.penalty
            grid = answer_kw(case, events, self.peak, dual.over_peak, self._adder, self.served, self._battery)
            self._row_price = driven(case.rows, self._row_price, grid, case.pue, dual.rho * rho)
            self._adder = self._feeder_adder + case.rows.adders(self._row_price, case.S, case.T)
        step = np.clip((value - case.dc) / np.maximum(case.dc, 1e-9), -1.0, 1.0) * 0.003
        self.peak = np.where(case.dc > 0, np.maximum(case.pk0, self.peak * (1.0 + step)), self.peak)

    @property
    def priced(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Battery power, value of stored energy and price of feeders as they stand, ``[S, T]`` each."""
        return self._battery, self._theta, self._feeder_adder

    def lay_out(self, kept: tuple[IntArray, IntArray, IntArray, FloatArray, FloatArray]) -> None:
        """These decisions (entry, number of slots, and slots with shares in the room of each job), and what follows from them."""
        s = self.state
        for now, before in zip((s.choice, s.length, s.slot, s.kw, s.part), kept, strict=True):
            now[:] = before
        placed = solution_of(self.case, self.jobs.room, *kept)
        s.own[:] = np.where(s.choice < 0, self.case.drop, own_costs(self.case, placed))
        recount(self.jobs, self._base, self.state)
