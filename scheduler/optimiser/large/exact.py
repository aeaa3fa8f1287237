"""The exact polish: neighbourhoods of a plan solved by HiGHS, some jobs free and all others as they are.

The model is that of ``scheduler.optimiser.plain``. A small case is one neighbourhood: the whole model is solved, and what HiGHS
proves is a bound of the case too. Larger ones are improved piece by piece: the jobs of a stretch of time, perhaps at one site, or
jobs by chance (Danna, Rothberg and Le Pape 2005 for the idea of neighbourhoods that a MILP solver searches). Where a plan must
serve all load, unserved load is so dear in the model that its optimum does. The model does not know workflows: a case with any is
not polished.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from grid.horizon import FloatArray
from scheduler.last_resort import SERVING_EUR_PER_KWH
from scheduler.optimiser.compiled import Compiled
from scheduler.optimiser.highs import Answer, Limits, solve_integer
from scheduler.optimiser.large.case import MALLEABLE, Case, IntArray, Solution
from scheduler.optimiser.large.curves import fastest, work_of
from scheduler.optimiser.large.decisions import load_and_use, own_costs, owner_of
from scheduler.optimiser.large.dual import Dual
from scheduler.optimiser.large.primal import Primal
from scheduler.optimiser.plain import plain_model, plain_size
from scheduler.optimiser.plain_columns import Columns
from scheduler.optimiser.restrict import BoolArray

WHOLE_COLUMNS = 6_000
"""Columns of the plain model up to which it is solved as a whole."""

POLISH_COLUMNS = 20_000
"""Columns up to which neighbourhoods are solved; above, moving jobs one by one brings more in the same time."""

POLISH_SHARE = 0.4
"""Share of the time for a plan that is kept for the polish."""

WHOLE_SHARE = 0.8
"""Share of the polish for the whole model; neighbourhoods have the rest when it was not solved."""

FREE_COLUMNS = 1_500
"""About how many columns of jobs are free in a neighbourhood at first."""


@dataclass(frozen=True, slots=True)
class Gained:
    """What a polish brought: objective before and after, EUR, whether the optimum is proven, and neighbourhoods solved."""

    before: float
    after: float
    proven: bool
    rounds: int


def time_for_polish(case: Case) -> float:
    """Share of the time that the polish of ``case`` should have."""
    return POLISH_SHARE if not len(case.after) and plain_size(case)[0] <= POLISH_COLUMNS else 0.0


def polish(
    case: Case, primal: Primal, dual: Dual, end: float, gap: float, stop: Callable[[], bool], seed: int = 0
) -> Gained | None:
    """Improve the best plan of ``primal`` until ``end`` (of ``time.perf_counter``), and the bound of ``dual`` where proven.

    Raises:
        SolverError: HiGHS refused the model.
    """
    size = plain_size(case)[0]
    if size > POLISH_COLUMNS or not case.J or len(case.after) or time.perf_counter() >= end or stop():
        return None
    if not np.isfinite(primal.objective):
        primal.repair()
        primal.judge("repaired", None)
    before = primal.objective
    work = _Polish(case, primal, seed)
    proven = size <= WHOLE_COLUMNS and work.whole(dual, end, gap, stop)
    while not proven and time.perf_counter() < end and not stop() and primal.objective - dual.bound > gap * abs(primal.objective):
        work.piece(end, stop)
    return Gained(before, primal.objective, proven, work.rounds)


class _Polish:
    """The plain model and the plan as a point of it."""

    def __init__(self, case: Case, primal: Primal, seed: int) -> None:
        self.case, self.primal = case, primal
        self.serving = replace(case, unserved=np.maximum(case.unserved, SERVING_EUR_PER_KWH)) if case.must_serve else case
        self.model, self.columns = plain_model(self.serving), Columns(case)
        self.owner = _owners(case, self.columns, len(self.model.cost))
        self.size = np.bincount(self.owner[self.owner >= 0], minlength=case.J)
        self.rounds, self._free = 0, FREE_COLUMNS
        self._rng = np.random.default_rng(seed)

    def whole(self, dual: Dual, end: float, gap: float, stop: Callable[[], bool]) -> bool:
        """Solve the whole model from the plan; True when the optimum is proven up to ``gap``."""
        now = time.perf_counter()
        answer = self._solve(np.ones(self.case.J, dtype=bool), Limits(WHOLE_SHARE * (end - now), 0.5 * gap), stop)
        if answer.bound is not None:
            bound = answer.bound - 1e-7 * max(1.0, abs(answer.bound)) - self._serving_extra_eur()
            dual.bound = max(dual.bound, bound)
        return self.primal.objective - dual.bound <= gap * abs(self.primal.objective) + 1e-6

    def _serving_extra_eur(self) -> float:
        """What the plan's unserved load costs more in the model than in the case, EUR.

        Every plan that leaves as little unserved costs at least the model's bound less this.
        """
        if not self.case.must_serve:
            return 0.0
        dark_kw = self.primal.dark_kw(load_and_use(self.case, self.primal.solution())[0])
        return float(((self.serving.unserved - self.case.unserved)[:, None] * dark_kw).sum()) * self.case.dt

    def piece(self, end: float, stop: Callable[[], bool]) -> None:
        """Solve one neighbourhood."""
        begun = time.perf_counter()
        free = self._neighbourhood()
        self._solve(free, Limits(min(end - begun, 0.25 * (end - begun) + 0.2), 1e-4), stop)
        self.rounds += 1
        if free.all() or time.perf_counter() - begun > 0.15 * (end - begun):
            self._free = max(100, int(0.8 * self._free))
        else:
            self._free = int(1.2 * self._free)

    def _solve(self, free: BoolArray, limits: Limits, stop: Callable[[], bool]) -> Answer:
        """Solve with the jobs ``free`` free and all others as they are; a better plan is taken over."""
        point = _point(self.case, self.columns, self.primal.solution(), len(self.model.cost))
        kept = (self.owner >= 0) & ~free[np.maximum(self.owner, 0)]
        model: Compiled = replace(
            self.model, lower=np.where(kept, point, self.model.lower), upper=np.where(kept, point, self.model.upper)
        )
        start = self._start(model, point, limits, stop)
        answer = solve_integer(model, limits, start, stop)
        if answer.values is not None:
            adopt(self.case, self.primal, self.columns.solution(answer.values))
        return answer

    def _start(self, model: Compiled, point: FloatArray, limits: Limits, stop: Callable[[], bool]) -> FloatArray | None:
        """The plan as a feasible point: its decisions, with the energy side that HiGHS finds for them."""
        jobs = np.arange(len(point)) < self.columns.size
        fixed = replace(model, lower=np.where(jobs, point, model.lower), upper=np.where(jobs, point, model.upper))
        return solve_integer(fixed, Limits(limits.time_s, 1e-6), stop=stop).values

    def _neighbourhood(self) -> BoolArray:
        """Jobs to free, about ``self._free`` columns of them: near each other in time, or any."""
        case, found, rng = self.case, self.primal.solution(), self._rng
        middle = np.where(found.choice >= 0, found.run_slot[np.minimum(found.run_ptr[:-1], max(0, len(found.run_slot) - 1))], -1)
        middle = np.where(found.choice >= 0, middle, (case.rel + case.dl) // 2)
        seed = int(rng.integers(case.J))
        distance = np.abs(middle - middle[seed]) + rng.random(case.J)
        if rng.random() < 0.4:
            distance = rng.random(case.J)
        site = np.where(found.choice >= 0, case.es[np.maximum(found.choice, 0)], -1)
        if rng.random() < 0.5:
            distance = distance + np.where((site == site[seed]) | (site < 0), 0, case.T)
        order = np.argsort(distance, kind="stable")
        number = int(np.searchsorted(np.cumsum(self.size[order]), self._free)) + 2
        free = np.zeros(case.J, dtype=bool)
        free[order[:number]] = True
        return free


def adopt(case: Case, primal: Primal, found: Solution) -> bool:
    """Make ``found`` the best plan of ``primal`` when its exact objective is lower; the search itself is then over."""
    owner = owner_of(case, found)
    whole = case.typ[owner] != MALLEABLE
    asked, eco = np.where(whole, 1.0, found.run_full), np.where(whole, 0.0, found.run_eco)
    shares = _enough(case, found, owner, asked, eco)
    if shares is None:
        return False
    full, eco = shares
    made = replace(found, run_full=full, run_eco=eco)
    load, taken = load_and_use(case, made)
    if (taken > case.cap + 1e-6 * np.maximum(1.0, case.cap)).any():
        return False
    runs = found.choice >= 0
    copies = np.unique(case.em[found.choice[runs]])
    total = float(case.drop[~runs].sum() + own_costs(case, made).sum() + case.mc[copies[copies >= 0]].sum())
    total += primal.energy(load)[0]
    unserved = primal.unserved_now()
    if unserved > primal.unserved_kwh or (unserved == primal.unserved_kwh and total >= primal.objective - 1e-9):
        return False
    primal.jobs = primal.jobs._replace(room=found.run_ptr.astype(np.int64))
    choice, length, slot = (array.astype(np.int64) for array in (found.choice, np.diff(found.run_ptr), found.run_slot))
    primal.best = (choice, length, slot, full + case.power2[owner] * eco, full + eco)
    primal.objective, primal.unserved_kwh = total, unserved
    return True


def _enough(
    case: Case, found: Solution, owner: IntArray, full: FloatArray, eco: FloatArray
) -> tuple[FloatArray, FloatArray] | None:
    """Shares with the solver's rounding of work made up for at full speed; None when there is no room for it."""
    done = np.bincount(owner, work_of(case, owner, full, eco), case.J)
    short = np.where((found.choice >= 0) & (case.typ == MALLEABLE), np.maximum(0.0, case.p - done), 0.0)
    if (short > 1e-4).any():
        return None
    made, slower = full.copy(), eco.copy()
    for j in np.flatnonzero(short > 0.0):
        span = slice(found.run_ptr[j], found.run_ptr[j + 1])
        speed, all_full, all_eco = fastest(case, int(j))
        room = np.maximum(0.0, 1.0 - made[span] - slower[span])
        add = np.minimum(room, np.maximum(0.0, short[j] / speed - np.concatenate(([0.0], np.cumsum(room)[:-1]))))
        made[span] += all_full * add
        slower[span] += all_eco * add
    return made, slower


def _owners(case: Case, columns: Columns, size: int) -> IntArray:
    """Job of every column, -1 for copies and the energy side."""
    owner = np.full(size, -1)
    owner[columns.drop : columns.drop + case.J] = np.arange(case.J)
    chosen = columns.site >= 0
    owner[columns.site[chosen]] = columns.job[chosen]
    for name, span in columns.spans:
        owner[columns.first[name] : columns.first[name] + len(span.slot)] = columns.job[span.entry]
    return owner


def _point(case: Case, columns: Columns, found: Solution, size: int) -> FloatArray:
    """The decisions of ``found`` as values of the columns; the energy side is left at 0."""
    point = np.zeros(size)
    point[columns.drop + np.flatnonzero(found.choice < 0)] = 1.0
    chosen = found.choice[found.choice >= 0]
    site = columns.site[chosen]
    point[site[site >= 0]] = 1.0
    copies = np.unique(case.em[chosen])
    point[columns.move + copies[copies >= 0]] = 1.0
    owner = np.repeat(np.arange(case.J), np.diff(found.run_ptr))
    full, eco = np.zeros((case.J, case.T)), np.zeros((case.J, case.T))
    full[owner, found.run_slot], eco[owner, found.run_slot] = found.run_full, found.run_eco
    first = np.full(case.J, -1)
    runs = np.diff(found.run_ptr) > 0
    first[runs] = found.run_slot[found.run_ptr[:-1][runs]]
    for name, span in columns.spans:
        job = columns.job[span.entry]
        here = found.choice[job] == span.entry
        if name == "done":
            value = work_of(case, job, full[job, span.slot], eco[job, span.slot])
        elif name == "begin":
            value = (full[job, span.slot] > 0.0) & ((span.slot == 0) | (full[job, span.slot - 1] == 0.0))
        else:
            value = {"start": first[job] == span.slot, "eco": eco[job, span.slot]}.get(name, full[job, span.slot])
        point[columns.first[name] : columns.first[name] + len(span.slot)] = np.where(here, value, 0.0)
    return point
