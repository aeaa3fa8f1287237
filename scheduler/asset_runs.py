"""Assets of sites in a problem and in a plan: who stands where, what they do, and how it counts.

A plan's ``load_kw`` is the load that is left for the site's other sources: facility power plus what assets draw, less what they
give. So every rule for energy (dispatch, settling, the meter, batteries) holds for a site with assets as it stands.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from grid.assets.site_asset import Bill, SiteAsset, Trajectory
from grid.horizon import FloatArray

if TYPE_CHECKING:
    from scheduler.problem import Problem


@dataclass(frozen=True, slots=True)
class PlacedAsset:
    """An asset in a problem.

    Attributes:
        site: index of its site.
        asset: the asset as it is at the start of the problem.
    """

    site: int
    asset: SiteAsset


@dataclass(frozen=True, slots=True, eq=False)
class AssetRun:
    """What a plan wants of one asset, in slots of the plan.

    Attributes:
        site, asset, kind: name of the site, name and kind of the asset.
        series: named series of its kind, ``[T]`` each, unit in the name.
        draw_kw: net draw at the site's balance, ``[T]``; output is negative.
        cost_eur, carbon_g: what it owes by itself (``Bill``).
    """

    site: str
    asset: str
    kind: str
    series: Trajectory
    draw_kw: FloatArray
    cost_eur: float
    carbon_g: float


def run_of(problem: Problem, placed: PlacedAsset, series: Trajectory) -> AssetRun:
    """The run of one asset with this trajectory."""
    asset, bill = placed.asset, placed.asset.bill(series, problem.horizon.step_h)
    site = problem.sites[placed.site]
    return AssetRun(site, asset.name, asset.kind, series, asset.draw_kw(series), bill.cost_eur, bill.carbon_g)


def rule_runs(problem: Problem, it_kw: FloatArray) -> tuple[AssetRun, ...]:
    """Every asset by its own plain rule; ``it_kw`` is ``[S, T]``."""
    return tuple(run_of(problem, item, item.asset.rule(problem.horizon, it_kw[item.site])) for item in problem.assets)


def runs_again(problem: Problem, runs: Iterable[AssetRun], it_kw: FloatArray) -> tuple[AssetRun, ...]:
    """The same decisions at another IT power, ``[S, T]``."""
    known = {(run.site, run.asset): run.series for run in runs}
    return tuple(
        run_of(
            problem,
            item,
            item.asset.trajectory(known[problem.sites[item.site], item.asset.name], problem.horizon, it_kw[item.site]),
        )
        for item in problem.assets
    )


def with_draw(problem: Problem, runs: Iterable[AssetRun]) -> Problem:
    """The problem with what assets draw and give in its fixed load, for everything that settles energy."""
    fixed = problem.fixed_kw.copy()
    for run in runs:
        fixed[problem.sites.index(run.site)] += run.draw_kw
    return replace(problem, fixed_kw=fixed)


def bill_of(runs: Iterable[AssetRun]) -> Bill:
    """What all of them owe together."""
    total = Bill()
    for run in runs:
        total = total.plus(Bill(run.cost_eur, run.carbon_g))
    return total


def what_assets_ask(problem: Problem) -> str:
    """A hint for problems that have no plan because assets ask for what no site can take; empty without assets."""
    names = ", ".join(sorted(f"{item.asset.name} of {problem.sites[item.site]}" for item in problem.assets))
    return (
        names and f"; what {names} must give may be more than load, battery and export limit take: lower it, or raise the limit"
    )
