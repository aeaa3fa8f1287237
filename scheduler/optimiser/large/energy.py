"""The energy side as a linear programme per block of sites, exact, kept in HiGHS between solves.

Columns of a site (all per slot but ``peak``): import, export, renewable used, unserved, charge, discharge, state of charge,
overshoot of each event, IT load, and the paid peak. The IT load is fixed for a plan, or free with a price on it for the bound.
A block holds all sites that share something: a feeder, or a row of the case.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from grid.errors import SolverError
from grid.horizon import FloatArray
from scheduler.optimiser.large.case import Case, IntArray
from scheduler.optimiser.large.energy_build import Build
from scheduler.optimiser.restrict import BoolArray

BINARY_SECONDS = 5.0
"""Most time for the directions of the batteries of a block, where the linear programme used both at once."""

LEAST_BINARY_SECONDS = 0.5
"""Least time for them when they are looked for at all."""

BINARY_GAP = 1e-5
"""Relative gap up to which directions are as good as the best."""

BOTH_KW = 1e-7
"""Power in both directions from which on a battery is used both ways."""

TROUBLE = ("kUnknown", "kSolveError", "kIterationLimit", "kNotset")
"""Model statuses of HiGHS that say nothing of the programme, only of the way to its optimum."""

AFRESH: tuple[dict[str, str | int], ...] = (
    {"presolve": "off"},
    {"presolve": "on", "simplex_strategy": 4},
    {"presolve": "on", "solver": "ipm"},
)
"""Options of HiGHS to try without the last basis: dual simplex; primal simplex, presolved; interior point, presolved."""

FAMILIES = ("import", "export", "renewable", "unserved", "charge", "discharge", "soc", "load")


@dataclass(frozen=True, slots=True, eq=False)
class _Settled:
    """Cost, EUR, values of all columns, and flows by family."""

    value: float
    columns: FloatArray
    flows: dict[str, FloatArray]


def _both_ways(flows: dict[str, FloatArray]) -> BoolArray:
    """Where a battery charges and discharges in one slot, ``[n, T]``."""
    both: BoolArray = np.minimum(flows["charge"], flows["discharge"]) > BOTH_KW
    return both


class EnergyBlock:
    """The energy side of some sites.

    Args:
        case: the problem.
        sites: indices of the sites, ascending.
        feeders: add the rows of the feeders whose sites these are, and the other rows that they share.
        most_kw: upper bound of the IT load, ``[S, T]``.
    """

    def __init__(self, case: Case, sites: IntArray, most_kw: FloatArray, *, feeders: bool) -> None:
        self.case, self.sites = case, sites
        self._slots = np.arange(case.T)
        self.at: dict[str, IntArray] = {}
        build = Build()
        self._site_columns(build, most_kw)
        self._site_rows(build)
        self.feeder_rows: list[tuple[int, int, float, IntArray]] = []
        if feeders:
            self._feeder_rows(build)
            self._shared_rows(build)
        self.offset = -float((case.dc[sites] * case.pk0[sites]).sum())
        self.cost = np.concatenate(build.cost)
        self._solver = self._load(build)

    def price_load(self, lam: FloatArray) -> tuple[float, FloatArray]:
        """Least of energy cost minus ``lam`` times load; returns it and the load, ``[n, T]`` kW.

        Args:
            lam: EUR per kW of IT and slot, ``[S, T]``.
        """
        n = len(self.sites)
        columns = self.at["load"].ravel()
        self._solver.changeColsCost(len(columns), columns.astype(np.int32), -np.ascontiguousarray(lam[self.sites].ravel()))
        value, values = self._run()
        return value + self.offset, values[self.at["load"]].reshape(n, self.case.T)

    def fix_load(self, load: FloatArray) -> tuple[float, dict[str, FloatArray]]:
        """Least energy cost for a fixed load ``[S, T]``; returns it and the flows by family, ``[n, T]`` each."""
        columns = self.at["load"].ravel().astype(np.int32)
        fixed = np.ascontiguousarray(load[self.sites].ravel())
        self._solver.changeColsBounds(len(columns), columns, fixed, fixed)
        value, values = self._run()
        return value + self.offset, self._flows(values)

    def _flows(self, values: FloatArray) -> dict[str, FloatArray]:
        """Flows by family, ``[n, T]`` each, and the paid ``peak``, ``[n]``, among the values of all columns."""
        return {name: values[index] for name, index in self.at.items() if name != "missing"}

    def duals(self) -> FloatArray:
        """Row duals of the last solve."""
        return np.asarray(self._solver.getSolution().row_dual)

    def feeder_adders(self) -> FloatArray:
        """What the feeder rows of the last solve add to the price of net import, ``[S, T]`` EUR per kW and slot."""
        adder = np.zeros((self.case.S, self.case.T))
        dual = self.duals()
        for site, through, coefficient, rows in self.feeder_rows:
            del site
            adder[through] -= coefficient * dual[rows]
        return adder

    def theta(self) -> FloatArray:
        """Value of stored energy in the last solve, ``[n, T]`` EUR/kWh."""
        dual = self.duals()
        return np.stack([-dual[rows] for rows in self.soc_rows])

    def marginals(self) -> dict[str, FloatArray]:
        """What a little more of each thing was worth in the last solve, ``[n, T]`` each.

        ``balance``: cost of one kW more of facility load in a slot, EUR per kW and slot. By family: what one unit more of its
        upper limit would save, EUR per unit, 0 where the limit does not bind.
        """
        solution = self._solver.getSolution()
        reduced, dual = np.asarray(solution.col_dual), np.asarray(solution.row_dual)
        limits = ("import", "export", "soc", "charge", "discharge", "load")
        saved = {name: np.maximum(0.0, -reduced[self.at[name]]) for name in limits}
        return {"balance": np.stack([dual[rows] for rows in self.balance])} | saved

    def both_ways(self, flows: dict[str, FloatArray]) -> bool:
        """True when a battery charges and discharges in one slot, which binaries must forbid."""
        return bool(_both_ways(flows).any())

    def _one_way(self, flows: dict[str, FloatArray]) -> tuple[_Settled | None, BoolArray]:
        """Least cost when each battery slot that was used both ways keeps the direction in which it moved more energy.

        Again and again, because other slots may be used both ways then; bounds are as before afterwards. Returns that, or None
        where no such directions keep every rule, and the slots in question, ``[n, T]``.
        """
        case, solver = self.case, self._solver
        most = {"charge": case.Pc, "discharge": case.Pd}
        shut = {name: np.zeros(flows["charge"].shape, dtype=bool) for name in most}
        found = None
        while found is None:
            more = _both_ways(flows)
            charges = flows["charge"] * case.eta_c[self.sites, None] >= flows["discharge"] / case.eta_d[self.sites, None]
            shut["discharge"] |= more & charges
            shut["charge"] |= more & ~charges
            for name, closed in shut.items():
                columns = self.at[name][closed].astype(np.int32)
                solver.changeColsBounds(len(columns), columns, np.zeros(len(columns)), np.zeros(len(columns)))
            if self._optimise().name != "kOptimal":
                break
            made = self._found()
            flows = made.flows
            if not self.both_ways(flows):
                found = made
        for name, closed in shut.items():
            columns = self.at[name][closed].astype(np.int32)
            upper = np.broadcast_to(most[name][self.sites, None], closed.shape)[closed]
            solver.changeColsBounds(len(columns), columns, np.zeros(len(columns)), np.ascontiguousarray(upper))
        return found, shut["charge"] | shut["discharge"]

    def _with_binaries(self, slots: BoolArray, time_s: float, start: FloatArray | None) -> _Settled | None:
        """Solve again with one more binary for each of the battery slots ``slots``, ``[n, T]``, for about ``time_s``.

        ``start``: values of all columns to begin from, without the new binaries.
        """
        import highspy

        case, solver = self.case, self._solver
        site = self.sites[np.nonzero(slots)[0]]
        n = len(site)
        charge, discharge = self.at["charge"][slots], self.at["discharge"][slots]
        flag = solver.getNumCol() + np.arange(n)
        solver.addVars(n, np.zeros(n), np.ones(n))
        solver.changeColsIntegrality(n, flag.astype(np.int32), np.array([highspy.HighsVarType.kInteger] * n))
        columns = np.concatenate([np.stack([charge, flag], axis=1), np.stack([discharge, flag], axis=1)]).astype(np.int32)
        ones = np.ones(n)
        values = np.concatenate([np.stack([ones, -case.Pc[site]], axis=1), np.stack([ones, case.Pd[site]], axis=1)])
        solver.addRows(
            2 * n,
            np.full(2 * n, -np.inf),
            np.concatenate([np.zeros(n), case.Pd[site]]),
            4 * n,
            np.arange(0, 4 * n, 2, dtype=np.int32),
            columns.ravel(),
            values.ravel(),
        )
        solver.setOptionValue("presolve", "choose")
        solver.setOptionValue("time_limit", time_s)  # of this run: HiGHS' clock of all runs does not count
        solver.setOptionValue("mip_rel_gap", BINARY_GAP)
        if start is not None:
            point = highspy.HighsSolution()
            point.col_value = np.concatenate([start, start[charge] > BOTH_KW]).tolist()
            solver.setSolution(point)
        solver.run()
        feasible = solver.getInfo().primal_solution_status == int(highspy.SolutionStatus.kSolutionStatusFeasible)
        return self._found() if feasible else None

    def settled(self, load: FloatArray, time_s: float = BINARY_SECONDS) -> tuple[float, dict[str, FloatArray]]:
        """As ``fix_load``, with batteries in one direction a slot; binaries may stay, so it is the last thing to ask.

        First each slot that was used both ways keeps the direction in which it moved more energy. Where that costs more than
        ``BINARY_GAP`` above the programme, these slots get binaries, and others when they are used both ways then, for about
        ``time_s`` (HiGHS looks at the clock between its steps only).

        Raises:
            SolverError: no directions were found.
        """
        value, flows = self.fix_load(load)
        if not self.both_ways(flows):
            return value, flows
        end = time.perf_counter() + time_s
        best, slots = self._one_way(flows)
        if best is not None and best.value - value <= BINARY_GAP * max(1e-9, abs(value)):
            return best.value, best.flows
        start, chosen = None if best is None else best.columns, slots
        while chosen.any() and (best is None or time.perf_counter() < end):
            found = self._with_binaries(chosen, max(LEAST_BINARY_SECONDS, end - time.perf_counter()), start)
            if found is None:
                break
            chosen, start = _both_ways(found.flows), found.columns
            if not chosen.any() and (best is None or found.value < best.value):
                best = found
        if best is None:
            status = self._solver.modelStatusToString(self._solver.getModelStatus())
            raise SolverError(f"the energy side with battery directions: {status}")
        return best.value, best.flows

    def _found(self) -> _Settled:
        """What the last solve found."""
        values = np.asarray(self._solver.getSolution().col_value)
        return _Settled(float(self._solver.getInfo().objective_function_value) + self.offset, values, self._flows(values))

    def _run(self) -> tuple[float, FloatArray]:
        """Solve; returns the objective and the values of all columns.

        Raises:
            SolverError: no optimum, with the status of HiGHS.
        """
        status = self._optimise()
        if status.name != "kOptimal":
            raise SolverError(f"the energy side of sites {self.sites.tolist()}: {self._solver.modelStatusToString(status)}")
        solution = self._solver.getSolution()
        return float(self._solver.getInfo().objective_function_value), np.asarray(solution.col_value)

    def _optimise(self) -> Any:
        """Solve from the last basis; where that ends in trouble, afresh, each of ``AFRESH`` in turn. Returns the last status."""
        solver = self._solver
        solver.run()
        for options in AFRESH:
            if solver.getModelStatus().name not in TROUBLE:
                break
            before = {name: solver.getOptionValue(name)[1] for name in options}
            for name, value in options.items():
                solver.setOptionValue(name, value)
            solver.clearSolver()
            solver.run()
            for name, value in before.items():
                solver.setOptionValue(name, value)
        return solver.getModelStatus()

    def _site_columns(self, build: Build, most_kw: FloatArray) -> None:
        """Columns of every family, ``[n, T]`` indices each."""
        case, dt = self.case, self.case.dt
        parts: dict[str, list[IntArray]] = {name: [] for name in (*FAMILIES, "peak", "missing")}
        for s in self.sites:
            zero = np.zeros(case.T)
            half = zero + case.wear[s] * dt / 2
            parts["import"].append(build.add_columns(case.pi[s] * dt, 0.0, case.gmax[s]))
            parts["export"].append(build.add_columns(-case.po[s] * dt, 0.0, case.emax[s]))
            parts["renewable"].append(build.add_columns(zero, 0.0, np.maximum(0.0, case.ren[s])))
            parts["unserved"].append(build.add_columns(zero + case.unserved[s] * dt, 0.0, np.inf))
            parts["charge"].append(build.add_columns(half, 0.0, case.Pc[s] if case.E[s] > 0 else 0.0))
            parts["discharge"].append(build.add_columns(half, 0.0, case.Pd[s] if case.E[s] > 0 else 0.0))
            floor = zero + min(case.soc_min[s], case.soc0[s])
            parts["soc"].append(build.add_columns(zero, floor, max(case.E[s], case.soc0[s])))
            allowed = np.isfinite(case.missing[s])
            price = np.array([case.missing[s] if allowed else 0.0])
            parts["missing"].append(build.add_columns(price, 0.0, np.inf if allowed else 0.0))
            parts["load"].append(build.add_columns(zero, 0.0, most_kw[s]))
            parts["peak"].append(build.add_columns(np.array([case.dc[s]]), case.pk0[s], np.inf))
        self.at = {name: np.stack(columns) for name, columns in parts.items()}

    def _site_rows(self, build: Build) -> None:
        """Balance, state of charge, peak, events."""
        case, dt, at = self.case, self.case.dt, self.at
        self.balance: list[IntArray] = []
        self.soc_rows: list[IntArray] = []
        for i, s in enumerate(self.sites):
            terms = [(at["import"][i], 1.0), (at["export"][i], -1.0), (at["renewable"][i], 1.0), (at["unserved"][i], 1.0)]
            terms += [(at["discharge"][i], 1.0), (at["charge"][i], -1.0), (at["load"][i], -case.pue[s])]
            self.balance.append(build.add_rows(case.a[s], case.a[s], case.T, *terms))
            moved = [(at["charge"][i], -case.eta_c[s] * dt), (at["discharge"][i], dt / case.eta_d[s])]
            start = np.zeros(case.T)
            start[0] = case.soc0[s]
            rows = build.add_rows(start, start, case.T, (at["soc"][i], 1.0), *moved)
            self.soc_rows.append(rows)
            build.triplets.append((rows[1:], at["soc"][i][:-1], np.full(case.T - 1, -1.0)))
            build.add_rows(case.soc_end[s], np.inf, 1, (at["soc"][i][-1:], 1.0), (at["missing"][i], 1.0))
            peak = np.repeat(at["peak"][i], case.T)
            build.add_rows(-np.inf, 0.0, case.T, (at["import"][i], 1.0), (peak, -1.0))
            for v in np.flatnonzero(case.dr_site == s):
                span = slice(case.dr_start[v], case.dr_end[v])
                n = int(case.dr_end[v] - case.dr_start[v])
                over = build.add_columns(np.full(n, case.dr_penalty[v] * dt), 0.0, np.inf)
                terms = [(at["import"][i][span], 1.0), (at["export"][i][span], -1.0), (over, -1.0)]
                build.add_rows(-np.inf, case.dr_limit_kw[v], n, *terms)

    def _feeder_rows(self, build: Build) -> None:
        """Flow through the head and accumulated voltage drop of every feeder among these sites."""
        case, at = self.case, self.at
        position = {int(s): i for i, s in enumerate(self.sites)}
        for f in np.unique(case.fid[self.sites]):
            if f < 0:
                continue
            chain = [int(s) for s in self.sites if case.fid[s] == f]
            for end in (None, *chain):
                # through the head all net imports count once; the drop at a site counts each as often as its way shares
                if end is None:
                    factors, limit = dict.fromkeys(chain, 1.0), float(case.flim[f])
                else:
                    upto = [s for s in chain if s <= end]
                    factors = {s: float(sum(case.vco[u] for u in upto if u <= s)) for s in chain}
                    limit = case.vtol
                terms = []
                for s, factor in factors.items():
                    terms += [(at["import"][position[s]], factor), (at["export"][position[s]], -factor)]
                rows = build.add_rows(-limit, limit, case.T, *terms)
                self.feeder_rows += [(-1 if end is None else end, s, factor, rows) for s, factor in factors.items()]

    def _shared_rows(self, build: Build) -> None:
        """The rows of the case whose sites are among these."""
        rows = self.case.rows
        position = np.full(self.case.S, -1)
        position[self.sites] = np.arange(len(self.sites))
        mine = np.flatnonzero(position[rows.site[rows.ptr[:-1]]] >= 0)
        if not len(mine):
            return
        number = np.full(len(rows), -1)
        number[mine] = build.add_rows(-np.inf, rows.limit[mine], len(mine))
        terms = number[rows.row] >= 0
        row, place, slot = number[rows.row][terms], position[rows.site[terms]], rows.slot[rows.row][terms]
        for name, weight in (("import", rows.imports[terms]), ("export", rows.exports[terms])):
            used = weight != 0.0
            build.triplets.append((row[used], self.at[name][place[used], slot[used]], weight[used]))

    def _load(self, build: Build) -> Any:
        """HiGHS with the programme in it."""
        import highspy

        rows = np.concatenate([part[0] for part in build.triplets])
        columns = np.concatenate([part[1] for part in build.triplets])
        values = np.concatenate([part[2] for part in build.triplets])
        matrix = sp.csc_matrix((values, (rows, columns)), shape=(build.rows, build.columns))
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = build.columns, build.rows
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = self.cost, np.concatenate(build.lower), np.concatenate(build.upper)
        lp.row_lower_, lp.row_upper_ = np.concatenate(build.row_lower), np.concatenate(build.row_upper)
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = matrix.indptr, matrix.indices, matrix.data
        solver = highspy.Highs()
        solver.silent()
        solver.setOptionValue("threads", 1)
        solver.setOptionValue("presolve", "off")  # the first solve is a third faster without, and later ones begin at a basis
        if solver.passModel(lp) == highspy.HighsStatus.kError:
            raise SolverError("HiGHS refused the energy side")
        return solver


def feeder_sites(case: Case) -> list[IntArray]:
    """Sites that are tied by a feeder or by a row, however many steps apart; sites without one stand alone."""
    groups = [np.flatnonzero(case.fid == f) for f in np.unique(case.fid) if f >= 0]
    groups += [np.array([s]) for s in np.flatnonzero(case.fid < 0)]
    if not len(case.rows):
        return groups
    group = np.zeros(case.S, dtype=np.int64)
    for number, sites in enumerate(groups):
        group[sites] = number
    first = case.rows.site[case.rows.ptr[:-1]][case.rows.row]
    ties = sp.coo_matrix((np.ones(len(first)), (group[first], group[case.rows.site])), shape=(len(groups), len(groups)))
    parts, part = sp.csgraph.connected_components(ties, directed=False)
    return [np.flatnonzero(part[group] == number) for number in range(parts)]
