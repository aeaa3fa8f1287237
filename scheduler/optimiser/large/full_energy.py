"""The energy side of some sites with everything that the reference knows, for IT power that is given or has a price.

The rows are the reference's own (``scheduler.optimiser.model``) for a problem without jobs, whose ``job_kw`` is set from outside.
So an asset, a battery that wears by depth or a node that sleeps means here what it means there.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from grid.errors import SolverError
from grid.horizon import FloatArray
from scheduler.asset_runs import AssetRun
from scheduler.optimiser.asset_rows.forms import solved_runs
from scheduler.optimiser.codec import cells
from scheduler.optimiser.compiled import Compiled
from scheduler.optimiser.evaluate import evaluate
from scheduler.optimiser.highs import Answer, Limits, StopAsked, never, solve_linear
from scheduler.optimiser.large.case import IntArray
from scheduler.optimiser.large.site_part import energy_of_sites
from scheduler.optimiser.policy import compiled
from scheduler.plan import SolveStatus
from scheduler.problem import Problem

OF_LOAD = ("balance", "it_power", "job_power")
"""Rows through which a kW of a job costs what a kW of facility power costs; what it costs through others is its ``extra``."""

MISSING_EUR_PER_KW = 1e4
"""Price of a kW of load that is missing in a slot: above all that energy can be worth."""

LP_SECONDS = 60.0
"""Most time for one linear programme of the energy side."""

FLOWS = ("charge", "discharge", "renewable_used", "unserved")
"""Flows that settle a plan, by the names of the reference's variables without ``_kw``."""

LIMITED = {"import": "import_kw", "export": "export_kw", "soc": "soc_kwh", "charge": "charge_kw", "discharge": "discharge_kw"}
"""What ``EnergyBlock.marginals`` tells of limits, and the variables that have these limits."""


@dataclass(frozen=True, slots=True, eq=False)
class SiteAnswer:
    """What the energy side does for a load.

    Attributes (``[n, T]``, sites of the block):
        other_kw: all that stands at the meters but IT power: fixed load, assets, what sleeping nodes spare.
        extra: cost of one kW more of IT power beyond what it costs as facility power, EUR per kW and slot (heat that it gives,
            nodes that it wakes).
        peak_kw: planned level of each window peak, above which more is paid, ``[number]``; shared: its price, shared by the slots
            that bind it, EUR per kW, ``[number]``.
    """

    other_kw: FloatArray
    extra: FloatArray
    peak_kw: FloatArray
    shared: FloatArray


class OutOfTimeError(SolverError):
    """A programme was not solved because somebody asked to stop, or time was up."""


@dataclass(frozen=True, slots=True, eq=False)
class Relaxed:
    """What a load costs when nothing must be whole.

    Attributes:
        eur: cost, without that of missing load.
        unserved_kw: load that goes unserved; missing_kw: load that is missing, because an asset gives more than the sites and
            their connections take; both a row for each site that was asked.
    """

    eur: float
    unserved_kw: FloatArray
    missing_kw: FloatArray


class FullEnergy:
    """The energy side of some sites.

    Args:
        problem: the problem.
        sites: indices of its sites, ascending, as for ``site_part.energy_of_sites``.
        dearest_core_kw: largest IT power per core of any job at each site of the problem, ``[S]`` kW.
        most_kw: no load of jobs can be above this, ``[S, T]``.

    Attributes:
        until: of ``time.perf_counter``; stop: asked often. Beyond them programmes that need not be solved are given up.
    """

    def __init__(self, problem: Problem, sites: IntArray, dearest_core_kw: FloatArray, most_kw: FloatArray) -> None:
        self.sites, self._most = sites, np.ascontiguousarray(most_kw[sites])
        self.problem = energy_of_sites(problem, sites)
        self.shape = self.problem.fixed_kw.shape
        self._dearest = dearest_core_kw[sites]
        self._parts, model = compiled(self.problem, self._dearest)
        self._model, self._more, self._less = _with_slack(model)
        self._load_rows, self._load = self._cells("rows", "job_power"), self._cells("columns", "job_kw")
        self._balance, self._it = self._cells("rows", "balance"), self._cells("columns", "it_kw")
        self._model.upper[self._load] = np.inf
        other = np.ones(len(self._model.row_lower), dtype=bool)
        for family in OF_LOAD:
            other[self._cells("rows", family)] = False
        self._other = other
        self._basis: dict[str, Any] = {}
        self.until, self.stop = math.inf, never
        modes = np.zeros(len(self._model.cost), dtype=bool)
        modes[list(self._model.columns.get("charging", {}).values())] = True
        self._modes = modes

    def _cells(self, kind: str, family: str) -> IntArray:
        """Rows or columns of a family by site and slot, ``[n, T]``."""
        known = getattr(self._model, kind)[family]
        found: IntArray = np.array([[known[s, t] for t in range(self.shape[1])] for s in range(self.shape[0])], dtype=np.int64)
        return found

    def price_load(self, lam: FloatArray, *, must: bool = False) -> float:
        """Least of energy cost minus ``lam`` times load with nothing whole: a bound for any load of jobs.

        Args:
            lam: EUR per kW of IT and slot, ``[S, T]`` of all sites.
            must: whatever the time.

        Raises:
            OutOfTimeError: there was no time for it.
            SolverError: no optimum, with the status of HiGHS.
        """
        return self._solved("price", self._priced(lam), must=must)[1]

    def marginals(self, lam: FloatArray) -> dict[str, FloatArray]:
        """What a little more of each thing is worth at these prices, as ``EnergyBlock.marginals`` tells it, ``[n, T]`` each.

        Args:
            lam: EUR per kW of IT and slot, ``[S, T]`` of all sites.

        Raises:
            SolverError: no optimum, with the status of HiGHS.
        """
        solved = self._solved("price", self._priced(lam), must=True)[0]
        if solved.row_dual is None or solved.column_dual is None:
            raise SolverError(f"the energy side of {', '.join(self.problem.sites)} has no prices: {solved.words}")
        saved = np.maximum(0.0, -solved.column_dual)
        found = {name: cells(self._model, family, saved, self.shape) for name, family in LIMITED.items()}
        for family in ("import_or_export", "charge_or_discharge"):
            for (way, s, t), row in self._model.rows.get(family, {}).items():  # the limit is a factor of a binary there
                found[way][s, t] += max(0.0, -float(solved.row_dual[row]))
        core = np.zeros(self.shape)
        for (s, t), row in self._model.rows.get("awake_enough", {}).items():
            core[s, t] = self._dearest[s] * max(0.0, -float(solved.row_dual[row]))
        return found | {"balance": solved.row_dual[self._balance], "load": saved[self._load], "core": core}

    def _priced(self, lam: FloatArray) -> Compiled:
        """The model with a price on the load instead of a load."""
        model = self._model
        cost, upper = model.cost.copy(), model.upper.copy()
        row_lower, row_upper = model.row_lower.copy(), model.row_upper.copy()
        cost[self._load], upper[self._load] = -lam[self.sites], self._most
        row_lower[self._load_rows], row_upper[self._load_rows] = -np.inf, np.inf
        return replace(model, cost=cost, upper=upper, row_lower=row_lower, row_upper=row_upper)

    def answer(self, load: FloatArray, lam: FloatArray, reluctance: float, *, must: bool = False) -> SiteAnswer:
        """What the energy side does near ``load`` when nothing must be whole, and what load costs there.

        It may serve more or less load where that pays at the prices ``lam``, each kW at a loss of ``reluctance`` times the mean
        price of its site. So an asset makes room where jobs would pay for it, which it had no reason to for a load that is given.

        Args:
            load: ``[S, T]`` kW of all sites.
            lam: EUR per kW of IT and slot, ``[S, T]`` of all sites.
            reluctance: above 0.
            must: whatever the time.

        Raises:
            OutOfTimeError: there was no time for it.
            SolverError: no optimum, with the status of HiGHS.
        """
        given, mine = self._given(load), lam[self.sites]
        loss = reluctance * np.abs(mine).mean(axis=1, keepdims=True)
        cost, upper = given.cost.copy(), given.upper.copy()
        cost[self._more], cost[self._less] = loss - mine, loss + mine
        upper[self._less] = load[self.sites]
        upper[self._more] = np.maximum(0.0, self._most - upper[self._less])
        solved, _, values = self._solved("load", replace(given, cost=cost, upper=upper), must=must)
        dual: FloatArray = np.zeros(0) if solved.row_dual is None else solved.row_dual
        through = self._model.matrix.T @ np.where(self._other, dual, 0.0)
        peaks = self.problem.window_peaks
        level = [peak.reached_kw + _value(self._model, values, "window_peak_kw", n) for n, peak in enumerate(peaks)]
        rows = self._model.rows.get("window_peak", {})
        binding = np.zeros(len(peaks))
        for key, row in rows.items():
            binding[key[0]] += dual[row] < -1e-9
        price = np.array([peak.eur_per_kw for peak in peaks])
        return SiteAnswer(
            self._beside(values),
            -through[self._it] - through[self._load],
            np.array(level, dtype=np.float64),
            price / np.maximum(1.0, binding),
        )

    def relaxed(self, load: FloatArray, fixed_kw: FloatArray | None = None) -> Relaxed:
        """Least energy cost for ``load`` when nothing must be whole.

        Args:
            load: ``[S, T]`` kW of all sites.
            fixed_kw: in place of the problem's, ``[S, T]`` kW of all sites.

        Raises:
            SolverError: no optimum, with the status of HiGHS.
        """
        given = self._given(load, fixed_kw)
        cost, upper = given.cost.copy(), given.upper.copy()
        cost[self._more], upper[self._more] = MISSING_EUR_PER_KW, np.inf
        _, eur, values = self._solved("load", replace(given, cost=cost, upper=upper), must=True)
        missing = values[self._more]
        unserved = cells(self._model, "unserved_kw", values, self.shape)
        return Relaxed(eur - MISSING_EUR_PER_KW * float(missing.sum()), unserved, missing)

    @property
    def whole(self) -> bool:
        """Whether something must be whole."""
        return bool(self._model.integer.any())

    def settled(
        self, load: FloatArray, limits: Limits, stop: StopAsked, fixed_kw: FloatArray | None = None
    ) -> tuple[dict[str, FloatArray], tuple[AssetRun, ...]]:
        """Flows (``FLOWS``, ``[n, T]`` kW) and runs of assets for ``load``, with everything whole that must be.

        Args:
            load: ``[S, T]`` kW of all sites.
            limits: of branch and bound.
            stop: asked often.
            fixed_kw: in place of the problem's, ``[S, T]`` kW of all sites.

        Raises:
            SolverError: no answer keeps every rule.
        """
        found = evaluate(self._given(load, fixed_kw), self._modes, limits, stop, must=True)
        if found is None:
            raise SolverError(f"no energy side for the load of {', '.join(self.problem.sites)}")
        flows = {name: cells(self._model, f"{name}_kw", found[0], self.shape) for name in FLOWS}
        return flows, solved_runs(self._parts, self._model, found[0], np.ascontiguousarray(load[self.sites]))

    def _given(self, load: FloatArray, fixed_kw: FloatArray | None = None) -> Compiled:
        """The model with the rows of ``job_power`` for a load, and those of ``balance`` for another fixed load."""
        row_lower, row_upper = self._model.row_lower.copy(), self._model.row_upper.copy()
        row_lower[self._load_rows] = row_upper[self._load_rows] = -load[self.sites]
        if fixed_kw is not None:
            more = fixed_kw[self.sites] - self.problem.fixed_kw
            row_lower[self._balance] += more
            row_upper[self._balance] += more
        return replace(self._model, row_lower=row_lower, row_upper=row_upper)

    def _solved(self, name: str, model: Compiled, *, must: bool) -> tuple[Answer, float, FloatArray]:
        """The programme solved from the basis that the last one of this name ended with: answer, objective, values.

        Where that ends in trouble it is solved afresh, then by the interior point method. ``must``: whatever the time.
        """
        stop, sites, words = never if must else self.stop, ", ".join(self.problem.sites), ""
        for way in ({"method": "simplex", "basis": self._basis.get(name)}, {"method": "simplex"}, {"method": "ipm"}):
            left = LP_SECONDS if must else min(LP_SECONDS, self.until - time.perf_counter())
            if left <= 0.0 or stop():
                raise OutOfTimeError(f"no time for the energy side of {sites}")
            answer = solve_linear(model, Limits(left), stop, **way)
            if answer.objective is not None and answer.values is not None:
                self._basis[name] = answer.basis
                return answer, answer.objective, answer.values
            words = answer.words
            if answer.status is SolveStatus.INFEASIBLE:
                break
        raise SolverError(f"the energy side of {sites}: {words}")

    def _beside(self, values: FloatArray) -> FloatArray:
        """Net import and battery, sun, wind and unserved load, less facility power of IT: what else stands at the meters."""
        signs = {"import": 1.0, "export": -1.0, "renewable_used": 1.0, "unserved": 1.0, "discharge": 1.0, "charge": -1.0}
        total: FloatArray = -self.problem.pue * values[self._it]
        for name, sign in signs.items():
            total = total + sign * cells(self._model, f"{name}_kw", values, self.shape)
        return total


def _with_slack(model: Compiled) -> tuple[Compiled, IntArray, IntArray]:
    """The model with two more columns in each row of ``job_power``, shut, and their numbers: more load, less load than given."""
    known = model.rows["job_power"]
    rows = np.array(list(known.values()))
    n, size = len(rows), len(model.cost)
    one = sp.csc_matrix((np.ones(n), (rows, np.arange(n))), shape=(len(model.row_lower), n))
    grid = np.empty((1 + max(s for s, _ in known), 1 + max(t for _, t in known)), dtype=np.int64)
    for k, cell in enumerate(known):
        grid[cell] = k
    nothing = np.zeros(2 * n)
    wider = replace(
        model,
        cost=np.append(model.cost, nothing),
        matrix=sp.hstack([model.matrix, one, -one], format="csc"),
        lower=np.append(model.lower, nothing),
        upper=np.append(model.upper, nothing),
        integer=np.append(model.integer, np.zeros(2 * n, dtype=bool)),
    )
    return wider, size + grid, size + n + grid


def _value(model: Compiled, values: FloatArray, family: str, key: Any) -> float:
    """Value of a variable, 0 when the model left it out."""
    column = model.columns.get(family, {}).get(key)
    return 0.0 if column is None else float(values[column])
