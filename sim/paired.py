"""Plans beside each other in the same simulated worlds: one truth a seed, met by every plan, so that differences are paired.

Two plans that are compared at one seed meet the same sun, wind, loads, run times and delays (``sim.world.truth``). What differs
from seed to seed then cancels in the difference, whose mean is known much better than either cost. Its 95 % confidence interval
is that of Student's t distribution, which is right for normal differences and near enough for a few dozen of others. No power
flow is solved and no node fails: failures look at the plan, so runs with them cannot be paired.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from grid.horizon import FloatArray
from scheduler.plan import Plan
from scheduler.policies import Progress, silent
from scheduler.scenario import Scenario
from sim.rehearsal import realise

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Realised:
    """What one plan came to in each world.

    Attributes:
        objective_eur: weighted objective as realised, ``[N]``, in the order of the seeds.
        misses: deadlines that were missed, ``[N]``; unserved_kwh: load that no source served, ``[N]``.
        violations: rules that were broken, missed deadlines included, ``[N]``.
    """

    objective_eur: FloatArray
    misses: FloatArray
    unserved_kwh: FloatArray
    violations: FloatArray


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean of paired differences and half the width of its 95 % confidence interval, EUR.

    ``half_width_eur`` is infinite for a single pair, which says nothing about the spread.
    """

    mean_eur: float
    half_width_eur: float

    @property
    def certain(self) -> bool:
        """True when the interval does not hold 0."""
        return abs(self.mean_eur) > self.half_width_eur


def realise_all(scenario: Scenario, plan: Plan, seeds: Sequence[int], progress: Progress = silent) -> Realised:
    """Carry ``plan`` out in one world for each of ``seeds``."""
    rows = []
    for seed in seeds:
        outcome = realise(scenario, plan, seed)
        totals, unserved = outcome.totals, float(outcome.energy.unserved_kwh.sum())
        rows.append((totals.objective_eur, float(totals.deadline_misses), unserved, float(len(outcome.violations))))
    progress(f"{plan.policy}: {len(rows)} worlds")
    columns = np.array(rows, dtype=np.float64).reshape(-1, 4).T
    return Realised(*columns)


def paired_difference(plan: Realised, reference: Realised) -> Difference:
    """How much dearer ``plan`` was than ``reference`` in the same worlds (negative: cheaper).

    Raises:
        ValueError: they were not realised in equally many worlds, or in none.
    """
    count = len(plan.objective_eur)
    if count != len(reference.objective_eur) or not count:
        raise ValueError(f"{count} and {len(reference.objective_eur)} worlds cannot be paired")
    each = plan.objective_eur - reference.objective_eur
    if count == 1:
        return Difference(float(each[0]), float("inf"))
    from scipy.stats import t

    quantile = float(t.ppf(0.5 + CONFIDENCE / 2, count - 1))
    return Difference(float(each.mean()), quantile * float(each.std(ddof=1)) / float(np.sqrt(count)))
