"""The search: relaxation, first incumbents, neighbourhoods solved exactly, and the whole model at the end.

1. The relaxation gives the bound, reduced costs and a load that is nearly right.
2. Incumbents: both baselines, and what the relaxation decided whole with the rest placed at least cost; each is
   evaluated (jobs fixed, energy optimised: ``evaluate.py``) and improved by re-placing single jobs.
3. All classes together, over the few columns that cost next to nothing beyond the relaxation.
4. Columns whose reduced cost exceeds incumbent - bound can be in no better plan and are left out (exact).
5. Some classes are freed, all others stay where they are, and HiGHS solves that small model from the incumbent; this
   goes round through several kinds of neighbourhood until the gap is reached or nothing helps any more.
6. What is left goes to HiGHS as a whole, from the incumbent.

All stops at the asked gap. Choices come from a fixed seed and node limits, so the same problem gives the same plan
unless the wall time runs out or somebody interrupts.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grid.errors import SolverError
from grid.horizon import FloatArray
from scheduler.asset_runs import AssetRun, what_assets_ask, with_draw
from scheduler.optimiser.asset_rows.forms import solved_runs
from scheduler.optimiser.codec import JOB_FAMILIES, SHARED_FAMILIES, cells, decode, encode, task_columns
from scheduler.optimiser.compiled import Compiled
from scheduler.optimiser.evaluate import evaluate
from scheduler.optimiser.highs import Answer, Limits, StopAsked, solve_integer, solve_linear
from scheduler.optimiser.improve import place_rest, reinsert
from scheduler.optimiser.model import ModelParts
from scheduler.optimiser.neighbourhoods import WHOLE, Neighbourhoods
from scheduler.optimiser.restrict import BoolArray, hold, restrict, rows_of, without_columns
from scheduler.optimiser.settle import settle, settle_with_room
from scheduler.plan import EnergySchedule
from scheduler.policies import Progress
from scheduler.policies.schedule import Schedule, it_power_kw
from scheduler.problem import Problem
from scheduler.resting import with_rest
from scheduler.scenario import PlanningSettings

RELAXATION_SHARE = 0.8
"""Share of the time that the relaxation may take, so that some is left for a plan."""

EVALUATION_SHARE = 0.05
"""Share of the time that the evaluation of one schedule may take."""

EVALUATION_NODES = 50
"""Branch-and-bound nodes of an evaluation."""

SMALL_COLUMNS = 1_500
"""Whole columns that a neighbourhood or a model may have to be solved at once with little risk."""

WARM_ITERATIONS = 2_000
"""Simplex iterations from an earlier vertex; when it takes more, it was not near, and the relaxation is solved anew."""

LARGE_COLUMNS = 5_000
"""Neighbourhoods do not grow beyond this."""

PROMISING = 0.1
"""Neighbourhoods use only columns whose reduced cost is below this share of incumbent - bound; others seldom help."""

NODES = 10
"""Branch-and-bound nodes of a neighbourhood; most of the gain comes at the root."""

NEARLY_FREE_COLUMNS = 2_000
"""Whole columns of least reduced cost with which all classes are solved together."""

NEARLY_FREE_NODES = 50
"""Branch-and-bound nodes of that solve."""

GROWTH = 1.5
"""A neighbourhood that was searched through without gain makes the next ones larger by this factor."""

IDLE_ROUNDS = 12
"""Neighbourhoods without gain after which the search goes on to the whole model."""


def enough_gap(settings: PlanningSettings) -> float:
    """The largest gap that counts as proven: the asked one, or the solver's own accuracy where that is coarser."""
    return max(settings.relative_gap, WHOLE) + 1e-9


@dataclass(slots=True)
class Search:
    """State of one search.

    Attributes:
        parts, model: the model and its arrays.
        progress: told about every better incumbent.
        stop: True when somebody interrupted.
        deadline: ``time.perf_counter`` value after which only the incumbent counts; the first one may come after it.
        incumbent: vector of the best known plan.
        objective: its value; bound: proven lower bound.
        origin: where the incumbent came from, in words.
        words: what the solver said last.
        start_basis: where the relaxation starts, or None; basis: where it ended, or None.
    """

    parts: ModelParts
    model: Compiled
    progress: Progress
    stop: StopAsked
    deadline: float
    incumbent: FloatArray | None = None
    objective: float = float("inf")
    bound: float = float("-inf")
    origin: str = ""
    words: str = "no relaxation in time"
    start_basis: Any = None
    basis: Any = None
    _tasks: BoolArray = field(init=False)
    _task_rows: BoolArray = field(init=False)
    _modes: BoolArray = field(init=False)
    _class_columns: list[list[int]] = field(init=False)

    def __post_init__(self) -> None:
        self._tasks = task_columns(self.model)
        self._task_rows = rows_of(self.model, self._tasks)
        self._modes = np.zeros(len(self.model.cost), dtype=bool)
        self._modes[list(self.model.columns.get("charging", {}).values())] = True
        self._class_columns = [[] for _ in self.parts.classes]
        for family in JOB_FAMILIES:
            for key, column in self.model.columns.get(family, {}).items():
                self._class_columns[key if isinstance(key, int) else key[0]].append(column)

    @property
    def gap(self) -> float:
        """Relative gap of the incumbent, not below 0; infinite while there is no incumbent or no bound."""
        if not np.isfinite(self.objective):
            return float("inf")
        return max(0.0, (self.objective - self.bound) / max(abs(self.objective), 1e-9))

    def run(self, starts: dict[str, Schedule]) -> None:
        """Search from the given schedules; afterwards ``incumbent`` holds the best plan.

        Raises:
            SolverError: not even the given schedules could be evaluated.
        """
        relaxed = None if self._finished() else self._relax()
        if relaxed is not None and relaxed.values is not None and not self.model.integer.any():
            self._keep(relaxed.values, self.bound, "linear programme")  # nothing is whole: the relaxation is the plan
        for name, schedule in starts.items():
            if self.incumbent is None or not self._finished():
                self.consider(schedule, name)
        if self.incumbent is None:
            raise SolverError(f"the solver could not evaluate any schedule{what_assets_ask(self.parts.problem)}")
        if relaxed is not None and relaxed.values is not None and not self._finished():
            self._from_relaxation(relaxed)
        if relaxed is not None and not self._finished():
            self._nearly_free(relaxed)
        if relaxed is not None and not self._finished():
            self._neighbourhoods(relaxed)
        if not self._finished():
            self._whole(relaxed)

    def schedule(self) -> Schedule:
        """Decisions of the incumbent."""
        return decode(self.parts, self.model, self._values())

    def energy(self, schedule: Schedule, values: FloatArray | None = None) -> EnergySchedule:
        """Energy of ``values`` (the incumbent when None) with the IT power of ``schedule``."""
        values = self._values() if values is None else values
        power = it_power_kw(self.parts.problem, schedule)
        return self._settled(power, values, with_rest(self.parts.problem, schedule))

    def asset_runs(self, schedule: Schedule, values: FloatArray | None = None) -> tuple[AssetRun, ...]:
        """What ``values`` (the incumbent when None) want of the assets, with the IT power of ``schedule``."""
        values = self._values() if values is None else values
        return solved_runs(self.parts, self.model, values, it_power_kw(self.parts.problem, schedule))

    def consider(self, schedule: Schedule, origin: str) -> FloatArray | None:
        """Evaluate a schedule, keep it when it is better; its vector, or None when the model refuses it.

        The first one is evaluated whatever the time, quickly, so that there is a plan at all.
        """
        values = encode(self.parts, self.model, schedule)
        if values is None or not hold(self.model, values, self._task_rows):
            return None
        free = ~self._tasks
        settings = self.parts.problem.settings
        limits = Limits(min(EVALUATION_SHARE * settings.time_limit_s, self._left()), settings.relative_gap / 4, EVALUATION_NODES)
        found = evaluate(restrict(self.model, values, free), self._modes[free], limits, self.stop, must=self.incumbent is None)
        if found is None:
            return None
        values[free], objective = found
        self._keep(values, objective, origin)
        return values

    def _values(self) -> FloatArray:
        if self.incumbent is None:
            raise SolverError("there is no incumbent")
        return self.incumbent

    def _left(self) -> float:
        return max(0.0, self.deadline - time.perf_counter())

    def _finished(self) -> bool:
        return self._reached() or self.stop() or self._left() <= 0.0

    def _reached(self) -> bool:
        """True when the asked gap is proven."""
        return self.gap <= enough_gap(self.parts.problem.settings)

    def _keep(self, values: FloatArray, objective: float, origin: str) -> bool:
        """Keep a better incumbent; True when it is better by more than rounding."""
        if objective >= self.objective - 1e-7 * max(1.0, abs(self.objective)):
            return False
        self.incumbent, self.objective, self.origin = values, objective, origin
        known = f", bound {self.bound:.4f} EUR, gap {100 * self.gap:.2f} %" if np.isfinite(self.bound) else ""
        self.progress(f"{origin}: {objective:.4f} EUR{known}")
        return True

    def _relax(self) -> Answer | None:
        """Bound and prices from the relaxation; None when it could not be finished."""
        near = {"method": "simplex", "basis": self.start_basis, "iterations": WARM_ITERATIONS}
        ways: tuple[dict[str, Any], ...] = (*((near,) if self.start_basis is not None else ()), {}, {"method": "simplex"})
        if not self.model.integer.any():
            ways = ways[::-1]  # only energy: few rows and many columns, where the simplex method is twice as fast
        for way in ways:
            answer = solve_linear(self.model, Limits(RELAXATION_SHARE * self._left()), self.stop, **way)
            self.words = answer.words
            if answer.bound is not None or self._finished():
                break
        if answer.bound is None:
            return None
        self.basis = answer.basis
        self.bound = max(self.bound, answer.bound)
        self.progress(f"relaxation: bound {self.bound:.4f} EUR")
        return answer

    def _settled(self, it_kw: FloatArray, values: FloatArray, problem: Problem | None = None) -> EnergySchedule:
        """Energy of ``values``; what ``it_kw`` takes less than they had (free work that earned nothing) is curtailed.

        ``problem`` is the model's own, or that with the fixed load that sleeping nodes leave.
        """
        problem = problem or self.parts.problem
        if self.parts.assets:
            problem = with_draw(problem, solved_runs(self.parts, self.model, values, it_kw))
        names = ("charge_kw", "discharge_kw", "renewable_used_kw", "unserved_kw", "it_kw")
        charge, discharge, used, unserved, had = (cells(self.model, name, values, it_kw.shape) for name in names)
        less = np.maximum(0.0, problem.pue * (had - it_kw))
        powers = (charge, discharge, np.maximum(0.0, used - less), unserved)
        return settle_with_room(problem, it_kw, powers) if problem.sleepers else settle(problem, it_kw, *powers)

    def _from_relaxation(self, relaxed: Answer) -> None:
        """Place what the relaxation decided whole, then the rest, then improve job by job."""
        values = relaxed.values
        if values is None:
            return
        problem, best = self.parts.problem, self.schedule()
        power = cells(self.model, "it_kw", values, (len(problem.sites), problem.horizon.slots))
        energy = self._settled(power, values)
        kept = self._whole_part(values, best)
        self._improve(place_rest(problem, kept, energy), "relaxation and greedy")
        if not self._finished():
            self._improve(best, "re-placed baseline")

    def _improve(self, schedule: Schedule, origin: str, rounds: int = 10) -> None:
        """Evaluate exactly and re-place single jobs in turn, as long as it helps."""
        problem, before = self.parts.problem, float("inf")
        for _ in range(rounds):
            values = self.consider(schedule, origin)
            if values is None or self._finished():
                return
            objective = float(self.model.cost @ values) + self.model.offset
            if objective > before - 1e-4 * abs(before):
                return
            before = objective
            schedule = decode(self.parts, self.model, values)
            schedule = reinsert(problem, schedule, self.energy(schedule, values))

    def _whole_part(self, values: FloatArray, best: Schedule) -> Schedule:
        """Schedule of the classes that are whole in ``values``; its migrations, when not whole, as in ``best``."""
        whole = values.copy()
        for columns in self._class_columns:
            part = values[columns][self.model.integer[columns]]
            if np.abs(part - np.round(part)).max(initial=0.0) > WHOLE:
                whole[columns] = 0.0
        chosen = list(self.model.columns.get("chosen", {}).values())
        clear = bool(np.abs(values[chosen] - np.round(values[chosen])).max(initial=0.0) <= WHOLE)
        schedule = decode(self.parts, self.model, whole)
        if not clear:
            jobs = self.parts.problem.jobs
            free = {j: place for j, place in schedule.jobs.items() if not jobs[j].options[place.option].migrations}
            schedule = Schedule(free, dict(best.targets), {m: share.copy() for m, share in best.shares.items()})
        return schedule

    def _useful(self, relaxed: Answer | None, part: float = 1.0) -> BoolArray:
        """Columns that a better plan could use: those whose reduced cost does not exceed ``part`` of incumbent - bound.

        With ``part`` 1 leaving out the others loses nothing.
        """
        if relaxed is None or relaxed.column_dual is None:
            return np.ones(len(self.model.cost), dtype=bool)
        room = part * (self.objective - self.bound) + 1e-6 * max(1.0, abs(self.objective))
        at_zero = (relaxed.values is not None) & (self.model.lower == 0)
        gone: BoolArray = self.model.integer & at_zero & (relaxed.column_dual > room)
        return ~gone

    def _nearly_free(self, relaxed: Answer) -> None:
        """Solve over all classes with the columns that cost next to nothing beyond the relaxation.

        A tight relaxation has good plans among them, and they are few enough for branch and bound.
        """
        if relaxed.column_dual is None:
            return
        dual = relaxed.column_dual
        choices = np.flatnonzero(self._tasks & self.model.integer)
        if len(choices) <= SMALL_COLUMNS:
            return
        most = np.sort(dual[choices])[min(NEARLY_FREE_COLUMNS, len(choices)) - 1]
        free = ~self._tasks | (dual <= most) | (self._values() > 0.5)
        for family in ("drop", "begin", "data_there", "ended", *SHARED_FAMILIES):
            free[list(self.model.columns.get(family, {}).values())] = True
        self._solve_part(free, "columns that cost next to nothing", NEARLY_FREE_NODES)

    def _neighbourhoods(self, relaxed: Answer) -> None:
        """Free some classes, solve exactly, keep what is better; until nothing helps for a while."""
        idle, columns_allowed = 0, float(SMALL_COLUMNS)
        around = Neighbourhoods(self.parts, self.model, self._class_columns, self._values)
        for origin, order in around.kinds(relaxed):
            if self._finished() or idle >= IDLE_ROUNDS:
                return
            if int((self._useful(relaxed) & self.model.integer).sum()) <= SMALL_COLUMNS:
                return  # the whole model is as small as a neighbourhood
            useful = self._useful(relaxed, PROMISING) | (self._values() > 0.5)
            classes = around.within(order, np.array([useful[columns].sum() for columns in self._class_columns]), columns_allowed)
            free = ~self._tasks
            for family in SHARED_FAMILIES:
                free[list(self.model.columns.get(family, {}).values())] = True
            for c in classes:
                columns = np.array(self._class_columns[c])
                free[columns[useful[columns]]] = True
            if self._solve_part(free, origin):
                idle = 0
            else:
                idle, columns_allowed = idle + 1, min(columns_allowed * GROWTH, LARGE_COLUMNS)

    def _solve_part(self, free: BoolArray, origin: str, nodes: int = NODES) -> bool:
        """Solve over ``free`` with everything else as in the incumbent; True when it got better."""
        values = self._values()
        target = self.parts.problem.settings.relative_gap
        enough = self.bound / (1.0 - target) if self.bound > 0 else None
        limits = Limits(self._left(), gap=min(1e-3, target / 4), nodes=nodes, target_eur=enough)
        answer = solve_integer(restrict(self.model, values, free), limits, values[free], self.stop)
        if answer.values is None or answer.objective is None:
            return False
        better = values.copy()
        better[free] = answer.values
        return self._keep(better, answer.objective, origin)

    def _whole(self, relaxed: Answer | None) -> None:
        """HiGHS on the whole model from the incumbent, without the columns that cannot be in a better plan."""
        useful = self._useful(relaxed) | (self._values() > 0.5)
        reduced = without_columns(self.model, ~useful)
        limits = Limits(self._left(), gap=self.parts.problem.settings.relative_gap, nodes=20_000)
        answer = solve_integer(reduced, limits, self._values(), self.stop)
        self.words = answer.words
        if answer.bound is not None:
            self.bound = max(self.bound, min(answer.bound, self.objective))
        if answer.values is not None and answer.objective is not None:
            self._keep(answer.values, answer.objective, "branch and bound")
