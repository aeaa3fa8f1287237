"""The front of cost against carbon: what a kilogram of carbon less costs, plan by plan.

The problem is solved for a row of carbon prices, from 0 (only cost counts) to one at which practically only carbon counts.
Each solve of the reference starts from the schedules of all earlier ones, so a plan that was good at one price is not lost at
the next; the large-scale solver starts from the prices of the one before. A solve proves ``cost + price * carbon >= bound`` for
every plan; what it leaves open is the point's gap. The price of leaving a job out rises with the carbon price by more than the
carbon it can cause, so that no point saves carbon by doing less. Points that another one beats in both figures are taken off the
front and listed as such. Plans between two points that no carbon price makes best (inside a dent of the front) are not found
this way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from grid.assets.charging import ChargingFleet
from scheduler.answers.warm import Planned, plan_from
from scheduler.asset_runs import PlacedAsset, bill_of, run_of
from scheduler.objective import breakdown_eur
from scheduler.optimiser.interrupt import Interruption
from scheduler.plan import Plan
from scheduler.policies import Progress, silent
from scheduler.policies.schedule import Schedule, dropped_eur, fixed_eur
from scheduler.problem import Problem

LOW, HIGH, ONLY_CARBON = 0.1, 10.0, 100.0
"""Carbon prices in units of the price at which carbon weighs as much as energy: least and most of the row, and the last one."""

LOSSES = 2.0
"""Carbon of a job is at most this many times that of its own energy (a battery loses some on the way)."""

SAME = 1e-6
"""Figures closer than this (EUR, kg) are the same."""


@dataclass(frozen=True, slots=True)
class Point:
    """One plan of the front.

    Attributes:
        carbon_eur_per_kg: carbon price that it was made for.
        cost_eur: objective without the price of carbon; carbon_kg: of imports, with the intensity of the objective.
        gap: of the weighted objective at that price, or None when nothing was proven.
        dropped: jobs and required moves that are not done.
        solve_s: wall time.
        beaten_by: index of a point that is better in one figure and not worse in the other, or None.
    """

    carbon_eur_per_kg: float
    cost_eur: float
    carbon_kg: float
    gap: float | None
    dropped: int
    solve_s: float
    beaten_by: int | None = None


@dataclass(frozen=True, slots=True)
class Front:
    """All points in the order of their carbon price.

    Attributes:
        points: the points, also those that are beaten.
    """

    points: tuple[Point, ...]

    @property
    def kept(self) -> tuple[Point, ...]:
        """Points that no other one beats, by rising cost."""
        return tuple(sorted((p for p in self.points if p.beaten_by is None), key=lambda point: point.cost_eur))


def carbon_prices(problem: Problem, points: int) -> tuple[float, ...]:
    """Carbon prices of the row, EUR per kg.

    0, then geometric around the price at which carbon weighs as much as energy, then one at which practically only carbon counts.

    Raises:
        ValueError: fewer than two points.
    """
    if points < 2:
        raise ValueError("a front has at least two points")
    intensity = float(problem.carbon_g_per_kwh.mean()) / 1000.0
    price = float(np.abs(problem.import_eur_per_kwh).mean())
    equal = price / intensity if intensity > 0 and price > 0 else 1.0
    between = np.geomspace(LOW, HIGH, points - 2) if points > 2 else np.zeros(0)
    return (0.0, *(float(equal * factor) for factor in between), equal * ONLY_CARBON)


def front(problem: Problem, prices_eur_per_kg: Sequence[float], progress: Progress = silent) -> Front:
    """The front for these carbon prices.

    Raises:
        SolverError: a solve failed in a way that leaves no plan.
        Interrupted: a person asked to stop.
    """
    found: list[Point] = []
    known: dict[str, Schedule] = {}
    before: Planned | None = None
    with Interruption() as stop:
        for number, price in enumerate(prices_eur_per_kg, 1):
            progress(f"point {number} of {len(prices_eur_per_kg)}: carbon at {price:.3g} EUR/kg")
            before = plan_from(_with_price(problem, price), known, progress, stop, before)
            known[f"plan at {price:.3g} EUR/kg"] = before.schedule
            found.append(_point(problem, before.plan, before.schedule, price))
    return Front(beaten(found))


def beaten(points: Sequence[Point]) -> tuple[Point, ...]:
    """The points, each with the index of the one that beats it; of equal ones the first stays."""
    told = []
    for i, point in enumerate(points):
        better = [
            k
            for k, other in enumerate(points)
            if k != i
            and other.cost_eur <= point.cost_eur + SAME
            and other.carbon_kg <= point.carbon_kg + SAME
            and (k < i or other.cost_eur < point.cost_eur - SAME or other.carbon_kg < point.carbon_kg - SAME)
        ]
        told.append(replace(point, beaten_by=better[0] if better else None))
    return tuple(told)


def kg_per_eur(before: Point, after: Point) -> float:
    """Carbon saved per EUR extra from one point of the front to the next, kg/EUR."""
    extra = after.cost_eur - before.cost_eur
    return (before.carbon_kg - after.carbon_kg) / extra if extra > 0 else float("inf")


def _with_price(problem: Problem, carbon_eur_per_kg: float) -> Problem:
    """The problem with another carbon price, and with prices of leaving jobs out that rise with it."""
    worst_kg_per_kwh = float(problem.carbon_g_per_kwh.max()) / 1000.0 * float(problem.pue.max())
    jobs = []
    for task in problem.jobs:
        energy_kwh = task.work * problem.horizon.step_h * max((option.power_kw for option in task.options), default=0.0)
        jobs.append(replace(task, drop_eur=task.drop_eur + carbon_eur_per_kg * LOSSES * worst_kg_per_kwh * energy_kwh))
    assets = tuple(_missing_dearer(item, carbon_eur_per_kg * LOSSES * worst_kg_per_kwh) for item in problem.assets)
    weights = replace(problem.weights, carbon_eur_per_kg=carbon_eur_per_kg)
    return replace(problem, jobs=tuple(jobs), assets=assets, weights=weights)


def _missing_dearer(item: PlacedAsset, extra_eur_per_kwh: float) -> PlacedAsset:
    """Charging points with a price of missing energy that is so much higher at the point; other assets as they are."""
    fleet = item.asset
    if not isinstance(fleet, ChargingFleet):
        return item
    missing = fleet.missing_eur_per_kwh + extra_eur_per_kwh / fleet.charge_efficiency
    return replace(item, asset=replace(fleet, missing_eur_per_kwh=missing))


def _point(problem: Problem, plan: Plan, schedule: Schedule, price: float) -> Point:
    """Figures of a plan; its cost with the prices of last resort that hold without a carbon price, the same for all points."""
    owed = bill_of(run_of(problem, item, run.series) for item, run in zip(problem.assets, plan.assets, strict=True))
    parts = breakdown_eur(
        _with_price(problem, 0.0),
        plan.energy,
        dropped_eur=dropped_eur(problem, schedule),
        fixed_eur=fixed_eur(problem, schedule),
        assets=owed,
    )
    carbon = problem.horizon.step_h * float((plan.energy.import_kw * problem.carbon_g_per_kwh).sum()) / 1000.0
    carbon += owed.carbon_g / 1000.0
    return Point(price, sum(parts.values()), carbon, plan.gap, len(plan.dropped), plan.build_s + plan.solve_s)
