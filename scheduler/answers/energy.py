"""The energy side of one site as a small programme: what the site's energy costs when its IT power is given.

The same rows and prices as the optimiser's model (``scheduler.optimiser.energy_rows``), for one site and from arrays, so that
a change of one job can be priced exactly, battery and connection planned anew, in a few milliseconds. Limits that several
sites share (feeders) are not in it.

The cost is convex in the IT power as long as no binary is needed. The dual of the balance row is then a slope of it, so that
``floor_eur + slope @ extra`` is a proven lower limit of the cost with ``extra`` more IT power: places can be ranked by it and
only the best few need to be solved.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from grid.assets.battery import Battery
from grid.assets.wear import DepthWear
from grid.errors import SolverError
from grid.horizon import FloatArray
from scheduler.last_resort import last_resorts
from scheduler.optimiser.compiled import Compiled
from scheduler.optimiser.highs import Limits, solve_integer, solve_linear
from scheduler.optimiser.model import burning_pays, export_pays
from scheduler.problem import Problem

IntArray = npt.NDArray[np.int_]

LIMITS = Limits(time_s=10.0, gap=1e-6)
"""One site takes milliseconds; the time is a safety where binaries are needed."""


@dataclass(frozen=True, slots=True, eq=False)
class SiteCost:
    """What a site's energy costs.

    Attributes:
        parts_eur: parts of the objective by name, EUR.
        carbon_kg: of the import, with the intensity of the objective.
        peak_kw: highest import.
        unserved_kwh: facility load that nothing serves.
        chosen: slots that were chosen for a job in pieces, ascending; empty without one.
    """

    parts_eur: dict[str, float]
    carbon_kg: float
    peak_kw: float
    unserved_kwh: float
    chosen: tuple[int, ...] = ()

    @property
    def total_eur(self) -> float:
        """Sum of the parts."""
        return sum(self.parts_eur.values())


@dataclass(frozen=True, slots=True, eq=False)
class SiteDuals:
    """What a little more is worth at a site while all jobs stay where they are, ``[T]`` each.

    Attributes:
        load_eur_per_kwh: cost of one more kWh of facility load in that slot; below 0 where load earns money.
        import_limit_eur_per_kw: saved by one more kW of import limit in that slot.
    """

    load_eur_per_kwh: FloatArray
    import_limit_eur_per_kw: FloatArray


@dataclass(slots=True)
class _Builder:
    """Columns and rows of a programme under construction."""

    cost: dict[str, list[FloatArray]] = field(default_factory=dict)
    lower: list[FloatArray] = field(default_factory=list)
    upper: list[FloatArray] = field(default_factory=list)
    whole: list[npt.NDArray[np.bool_]] = field(default_factory=list)
    entries: list[tuple[IntArray, IntArray, FloatArray]] = field(default_factory=list)
    row_lower: list[FloatArray] = field(default_factory=list)
    row_upper: list[FloatArray] = field(default_factory=list)
    columns: int = 0
    rows: int = 0

    def add(
        self,
        count: int,
        upper: float | FloatArray = np.inf,
        lower: float | FloatArray = 0.0,
        *,
        whole: bool = False,
        **cost_eur: float | FloatArray,
    ) -> IntArray:
        """Indices of ``count`` new columns; ``cost_eur`` by part of the objective."""
        first = self.columns
        self.columns += count
        self.lower.append(np.broadcast_to(lower, count).astype(np.float64))
        self.upper.append(np.broadcast_to(upper, count).astype(np.float64))
        self.whole.append(np.full(count, whole))
        for part, value in cost_eur.items():
            row = np.zeros(self.columns)
            row[first:] = value
            self.cost.setdefault(part, []).append(row)
        return np.arange(first, self.columns)

    def limit(
        self, lower: float | FloatArray, upper: float | FloatArray, *terms: tuple[float | FloatArray, IntArray], count: int
    ) -> IntArray:
        """Indices of ``count`` new rows ``lower <= sum of coefficient * column <= upper``."""
        first = self.rows
        self.rows += count
        rows = np.arange(first, self.rows)
        for coefficient, columns in terms:
            self.entries.append((rows, columns, np.broadcast_to(coefficient, count).astype(np.float64)))
        self.row_lower.append(np.broadcast_to(lower, count).astype(np.float64))
        self.row_upper.append(np.broadcast_to(upper, count).astype(np.float64))
        return rows

    def parts(self) -> dict[str, FloatArray]:
        """Cost of every column by part of the objective."""
        found = {}
        for part, rows in self.cost.items():
            found[part] = np.zeros(self.columns)
            for row in rows:
                found[part][: len(row)] += row
        return found

    def compiled(self, parts: dict[str, FloatArray]) -> Compiled:
        """The programme as arrays for HiGHS."""
        from scipy.sparse import coo_matrix

        rows, columns, values = (np.concatenate(piece) for piece in zip(*self.entries, strict=True))
        matrix = coo_matrix((values, (rows, columns)), shape=(self.rows, self.columns)).tocsc()
        return Compiled(
            cost=np.sum(list(parts.values()), axis=0),
            offset=0.0,
            matrix=matrix,
            row_lower=np.concatenate(self.row_lower),
            row_upper=np.concatenate(self.row_upper),
            lower=np.concatenate(self.lower),
            upper=np.concatenate(self.upper),
            integer=np.concatenate(self.whole),
            columns={},
            rows={},
        )


@dataclass(slots=True)
class SiteEnergy:
    """The programme of one site.

    Attributes:
        problem: prices and limits.
        site: index of the site.
        base_it_kw: IT power of everything else, ``[T]``.
    """

    problem: Problem
    site: int
    base_it_kw: FloatArray
    _model: Compiled = field(init=False)
    _parts: dict[str, FloatArray] = field(init=False)
    _balance: IntArray = field(init=False)
    _import: IntArray = field(init=False)
    _unserved: IntArray = field(init=False)
    _slope: tuple[float, FloatArray] | None = None

    def __post_init__(self) -> None:
        builder = _Builder()
        self._build(builder)
        self._parts = builder.parts()
        self._model = builder.compiled(self._parts)

    def cost(self, extra_it_kw: FloatArray | float = 0.0) -> SiteCost:
        """The least cost with ``extra_it_kw`` (``[T]`` or one number) on top of the base.

        Raises:
            SolverError: the programme could not be solved.
        """
        return self._answer(self._with_load(self._model, extra_it_kw), self._parts)

    def slope(self) -> tuple[float, FloatArray]:
        """Lower limit of the cost at the base, EUR, and its slope in EUR per kW of IT power in each slot, ``[T]``."""
        if self._slope is not None:
            return self._slope
        relaxed = solve_linear(self._with_load(self._model, 0.0), LIMITS, method="simplex")
        if relaxed.bound is None or relaxed.row_dual is None:
            raise SolverError(f"the energy of {self.problem.sites[self.site]} could not be priced: {relaxed.words}")
        self._slope = relaxed.bound, relaxed.row_dual[self._balance] * self.problem.pue[self.site]
        return self._slope

    def cheapest_slots(self, power_kw: float, work: int, allowed: FloatArray, slot_eur: FloatArray) -> SiteCost:
        """The best ``work`` slots among ``allowed`` (1.0 or 0.0, ``[T]``) for a job in pieces, ``slot_eur`` added to each.

        Raises:
            SolverError: the programme could not be solved.
        """
        builder = _Builder()
        self._build(builder)
        slots = self.problem.horizon.slots
        runs = builder.add(slots, allowed, whole=True, lateness=slot_eur)
        builder.entries.append((self._balance, runs, -self.problem.pue[self.site] * power_kw))
        row = builder.limit(float(work), float(work), count=1)
        builder.entries.append((np.repeat(row, slots), runs, np.ones(slots)))
        parts = builder.parts()
        return self._answer(self._with_load(builder.compiled(parts), 0.0), parts, runs)

    def _with_load(self, model: Compiled, extra_it_kw: FloatArray | float) -> Compiled:
        """The programme with the facility load of the base and ``extra_it_kw``."""
        s, lower, upper = self.site, model.row_lower.copy(), model.row_upper.copy()
        load = self.problem.fixed_kw[s] + self.problem.pue[s] * (self.base_it_kw + extra_it_kw)
        lower[self._balance] = upper[self._balance] = load
        return replace(model, row_lower=lower, row_upper=upper)

    def _answer(self, model: Compiled, parts: dict[str, FloatArray], runs: IntArray | None = None) -> SiteCost:
        whole = bool(model.integer.any())
        answer = solve_integer(model, LIMITS) if whole else solve_linear(model, LIMITS, method="simplex")
        if answer.values is None:
            raise SolverError(f"the energy of {self.problem.sites[self.site]} could not be priced: {answer.words}")
        values, step_h = answer.values, self.problem.horizon.step_h
        imported = values[self._import]
        return SiteCost(
            {part: float(cost @ values) for part, cost in parts.items()},
            float(step_h * imported @ self.problem.carbon_g_per_kwh[self.site]) / 1000.0,
            float(imported.max()),
            float(step_h * values[self._unserved].sum()),
            () if runs is None else tuple(np.flatnonzero(values[runs] > 0.5).tolist()),
        )

    def _build(self, b: _Builder) -> None:
        """Columns and rows; the right-hand side of the balance is filled in later."""
        problem, s = self.problem, self.site
        slots, step_h = problem.horizon.slots, problem.horizon.step_h
        price, carbon = problem.import_eur_per_kwh[s], problem.carbon_g_per_kwh[s] / 1000.0 * problem.weights.carbon_eur_per_kg
        resort, battery = last_resorts(problem)[s], problem.batteries[s]
        imported = b.add(slots, problem.import_limit_kw[s], energy_import=step_h * price, carbon=step_h * carbon)
        exported = b.add(slots, problem.export_limit_kw[s], energy_export=-step_h * problem.export_eur_per_kwh[s])
        used = b.add(slots, problem.renewable_kw[s])
        unserved = b.add(slots, unserved=step_h * resort.unserved_eur_per_kwh)
        terms: list[tuple[Any, IntArray]] = [(1.0, imported), (-1.0, exported), (1.0, used), (1.0, unserved)]
        if battery is not None:
            terms += self._battery(b, resort.missing_eur_per_kwh)
        self._balance = b.limit(0.0, 0.0, *terms, count=slots)
        self._import, self._unserved = imported, unserved
        if problem.peak_eur_per_kw[s] > 0:
            peak = b.add(1, peak=float(problem.peak_eur_per_kw[s]))
            b.limit(-np.inf, float(problem.peak_reached_kw[s]), (1.0, imported), (-1.0, np.repeat(peak, slots)), count=slots)
        for charge in problem.window_peaks:
            if charge.site == s:
                counted, among = imported[list(charge.slots)], len(charge.slots)
                peak = b.add(1, peak=charge.eur_per_kw)
                b.limit(-np.inf, charge.reached_kw, (1.0, counted), (-1.0, np.repeat(peak, among)), count=among)
        for event in problem.events:
            if event.site == s:
                inside, count = slice(event.start, event.end), event.end - event.start
                over = b.add(count, event_penalty=step_h * event.penalty_eur_per_kwh)
                b.limit(-np.inf, event.limit_kw, (1.0, imported[inside]), (-1.0, exported[inside]), (-1.0, over), count=count)
        both = np.array([t for t in range(slots) if export_pays(problem, s, t)], dtype=np.int_)
        if len(both):
            flag = b.add(len(both), 1.0, whole=True)
            most_in, most_out = problem.import_limit_kw[s, both], problem.export_limit_kw[s, both]
            b.limit(-np.inf, 0.0, (1.0, imported[both]), (-most_in, flag), count=len(both))
            b.limit(-np.inf, most_out, (1.0, exported[both]), (most_out, flag), count=len(both))

    def _battery(self, b: _Builder, missing_eur_per_kwh: float) -> list[tuple[Any, IntArray]]:
        """Battery columns and rows; its terms of the balance."""
        problem, s = self.problem, self.site
        battery, slots, step_h = problem.batteries[s], problem.horizon.slots, problem.horizon.step_h
        if battery is None:
            return []
        start, wear = float(problem.initial_soc_kwh[s]), step_h * battery.wear_eur_per_kwh / 2
        charge = b.add(slots, battery.charge_kw, battery_wear=wear)
        discharge = b.add(slots, battery.discharge_kw, battery_wear=wear)
        held = np.full(slots, step_h * battery.wear.held_eur_per_kwh_h if battery.wear else 0.0)
        held[-1] /= 2
        soc = b.add(slots, battery.energy_kwh, min(battery.reserve_soc_kwh, start), battery_wear=held)
        missing = b.add(1, soc_shortfall=missing_eur_per_kwh)
        if battery.wear is not None:
            self._layers(b, battery, battery.wear, discharge, soc)
        before = np.zeros(slots)
        before[0] = start
        rows = b.limit(
            before,
            before,
            (1.0, soc),
            (-battery.charge_efficiency * step_h, charge),
            (step_h / battery.discharge_efficiency, discharge),
            count=slots,
        )
        b.entries.append((rows[1:], soc[:-1], np.full(slots - 1, -1.0)))
        b.limit(float(problem.final_soc_kwh[s]), np.inf, (1.0, soc[-1:]), (1.0, missing), count=1)
        if burning_pays(problem, s):
            flag = b.add(slots, 1.0, whole=True)
            b.limit(-np.inf, 0.0, (1.0, charge), (-battery.charge_kw, flag), count=slots)
            b.limit(-np.inf, battery.discharge_kw, (1.0, discharge), (battery.discharge_kw, flag), count=slots)
        return [(1.0, discharge), (-1.0, charge)]

    def _layers(self, b: _Builder, battery: Battery, wear: DepthWear, discharge: IntArray, soc: IntArray) -> None:
        """Wear by depth and by charge held, as ``scheduler.optimiser.wear_rows`` has it."""
        slots, step_h = self.problem.horizon.slots, self.problem.horizon.step_h
        start = wear.filled_kwh(battery.energy_kwh, float(self.problem.initial_soc_kwh[self.site]))
        held: list[tuple[Any, IntArray]] = []
        out: list[tuple[Any, IntArray]] = []
        for room, before, (_, price) in zip(wear.room_kwh(battery.energy_kwh), start, wear.layers, strict=True):
            layer, taken = b.add(slots, float(room)), b.add(slots, battery_wear=price)
            least = np.zeros(slots)
            least[0] = before
            rows = b.limit(least, np.inf, (1.0, taken), (1.0, layer), count=slots)
            b.entries.append((rows[1:], layer[:-1], np.full(slots - 1, -1.0)))
            held.append((1.0, layer))
            out.append((1.0, taken))
        b.limit(0.0, 0.0, *held, (-1.0, soc), count=slots)
        b.limit(0.0, np.inf, *out, (-step_h / battery.discharge_efficiency, discharge), count=slots)
