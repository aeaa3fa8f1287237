"""What the optimiser remembers from one plan to the next: prices, and the instant at which their horizon began.

Places of jobs are not remembered here but read from the plan in force, because a plan that did not pass its rehearsal was never
commanded; its prices are good all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from scheduler.in_force import schedule_in_force, slots_gone
from scheduler.plan import Plan
from scheduler.problem import Problem

if TYPE_CHECKING:
    from scheduler.optimiser.large.case import Case
    from scheduler.optimiser.large.warm import Warm


@dataclass(slots=True)
class PriceMemory:
    """Prices of the last large plan.

    Attributes:
        start: of the horizon of ``warm``, UTC; None when nothing is known.
        warm: prices and places.
    """

    start: datetime | None = None
    warm: Warm | None = None

    def keep(self, start: datetime, warm: Warm) -> None:
        """Remember ``warm``, of a horizon that begins at ``start``."""
        self.start, self.warm = start, warm

    def recall(self, problem: Problem, case: Case, before: Plan) -> Warm | None:
        """A warm start for ``problem`` (``case`` in arrays): the prices kept, shifted, with the places of the plan ``before``.

        None when nothing is known, or it is of other sites, resources or slot lengths, or of a later horizon.
        """
        if self.warm is None or self.start is None:
            return None
        known = replace(problem.horizon, start=self.start)
        gone = slots_gone(known, problem.horizon)
        if gone is None or gone >= self.warm.slots:
            return None
        warm = self.warm.shifted(gone, problem.horizon.slots)
        return with_places(warm, problem, before) if warm.fits(case) else None


def with_places(warm: Warm, problem: Problem, before: Plan) -> Warm:
    """``warm`` with the jobs of ``problem`` where the plan ``before`` still has them."""
    import numpy as np

    from scheduler.optimiser.large.translate import run_of

    schedule = schedule_in_force(problem, before)
    site, count = np.full(len(problem.jobs), -1, dtype=np.int64), np.zeros(len(problem.jobs), dtype=np.int64)
    slots: list[int] = []
    shares: list[tuple[float, float]] = []
    for j, task in enumerate(problem.jobs):
        place = schedule.jobs.get(j)
        if place is None:
            continue
        site[j], count[j] = task.options[place.option].site, len(place.slots)
        slots += place.slots
        shares += [run_of(task, share) for share in place.shares or ((),) * len(place.slots)]
    parts = np.array(shares, dtype=np.float64).reshape(-1, 2)
    return replace(
        warm,
        names=tuple(task.name for task in problem.jobs),
        site=site,
        run_ptr=np.concatenate(([0], np.cumsum(count))).astype(np.int64),
        run_slot=np.array(slots, dtype=np.int64),
        run_full=np.ascontiguousarray(parts[:, 0]),
        run_eco=np.ascontiguousarray(parts[:, 1]),
    )
