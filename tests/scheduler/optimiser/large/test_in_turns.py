"""Thousands of jobs beside assets: the energy side with all rows of the reference, and plans of both in turns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.horizon import FloatArray
from scheduler.asset_runs import with_draw
from scheduler.in_force import schedule_in_force
from scheduler.optimiser import seam
from scheduler.optimiser.highs import Limits, never
from scheduler.optimiser.large.energy import feeder_sites
from scheduler.optimiser.large.full_dual import FullDual, Meters, Standing, even_load, simplified, with_extra
from scheduler.optimiser.large.full_energy import FullEnergy
from scheduler.optimiser.large.in_turns import in_turns
from scheduler.optimiser.large.policy import LargeFound, LargePolicy
from scheduler.optimiser.large.site_part import beyond_a_case, energy_of_sites, sites_beyond
from scheduler.optimiser.large.translate import case_of
from scheduler.optimiser.large.warm import Warm
from scheduler.optimiser.policy import MilpPolicy
from scheduler.optimiser.seam import OptimiserPolicy
from scheduler.optimiser.sleep_rows import dearest_core_kw
from scheduler.plan import Plan, SolveStatus
from scheduler.policies.schedule import it_power_kw
from scheduler.problem import Problem
from scheduler.resting import with_rest
from scheduler.scenario import PlanningSettings
from tests.scheduler.checks import check_feeders, check_plan
from tests.scheduler.optimiser.large.compared import Compared
from tests.scheduler.optimiser.large.rich_problems import KINDS, rich_problem

PROVEN = PlanningSettings(relative_gap=1e-6, time_limit_s=60.0)
QUICK = PlanningSettings(relative_gap=0.003, time_limit_s=2.0)
AWAKE = tuple(kind for kind in KINDS if kind != "sleep")
"""What the reference proves optima of: what a sleeping node saves is counted after its search."""


def check(problem: Problem, plan: Plan) -> None:
    """Every rule, with what assets draw and sleeping nodes save in the fixed load."""
    standing = with_draw(with_rest(problem, schedule_in_force(problem, plan)), plan.assets)
    check_plan(standing, plan)
    check_feeders(standing, plan)


def meters_of(problem: Problem) -> tuple[Meters, FloatArray]:
    """The whole energy side, and the most load that it may have."""
    dual = FullDual(problem)
    return dual.meters, dual.most


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("seed", range(3000, 3010))
def test_plan_is_near_the_proven_optimum_and_its_bound_is_true(seed: int) -> None:
    """Heat, cars, biogas, generators, wear by depth, dear exports, peaks by windows beside jobs: within 2 %, no false proof."""
    problem = rich_problem(seed, PROVEN, AWAKE)
    best = MilpPolicy().plan(problem)
    assert best.gap is not None
    assert best.gap <= 2e-6, "the reference proved nothing"
    plan = LargePolicy().plan(replace(problem, settings=QUICK))
    check(problem, plan)
    found = Compared(plan, best)
    assert found.untrue() is None
    assert plan.objective_eur <= best.objective_eur + 0.02 * abs(best.objective_eur) + 0.003, found.figures


@pytest.mark.parametrize("seed", [3100, 3101, 3102, 3103])
def test_sleeping_nodes_are_planned_beside(seed: int) -> None:
    """The bound is below what the reference found, and the plan is no dearer than 2 % above that."""
    problem = rich_problem(seed, replace(PROVEN, time_limit_s=10.0), ("sleep",))
    best = MilpPolicy().plan(problem)
    plan = LargePolicy().plan(replace(problem, settings=QUICK))
    check(problem, plan)
    assert plan.bound_eur is not None
    assert plan.bound_eur <= best.objective_eur + 1e-6 * abs(best.objective_eur)
    assert plan.objective_eur <= best.objective_eur + 0.02 * abs(best.objective_eur)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(4000, 4040), draw=st.integers(0, 2**16))
def test_a_price_on_the_load_proves_a_bound_of_every_load(seed: int, draw: int) -> None:
    """Random prices and loads: energy with everything whole costs no less than the load is priced plus what the price proves."""
    problem = rich_problem(seed, PROVEN)
    meters, most = meters_of(problem)
    rng = np.random.default_rng(draw)
    lam, load = rng.uniform(-0.2, 0.6, most.shape), rng.uniform(0.0, 1.0, most.shape) * np.minimum(most, 3.0)
    for part in meters.parts:
        proven = part.price_load(lam)
        paid = float((lam * load)[part.sites].sum())
        assert part.relaxed_eur(load) - paid >= proven - 1e-6
        flows, _ = part.settled(load, Limits(0.5), never)
        assert set(flows) == {"charge", "discharge", "renewable_used", "unserved"}


@pytest.mark.parametrize("seed", range(4100, 4106))
def test_parts_sum_up_to_the_reference_without_jobs(seed: int) -> None:
    """Energy of the parts for no load at all is what the reference plans for the problem without its jobs."""
    problem = replace(
        rich_problem(seed, PROVEN, ("heat", "charging", "wear", "window peak")), jobs=(), copies=(), copy_limit_gb=None
    )
    case = case_of(simplified(problem, nothing_beside(problem)))
    nothing = np.zeros(problem.fixed_kw.shape)
    alone = MilpPolicy().plan(problem)
    assert Meters(problem, case, nothing).relaxed_eur(nothing) <= alone.objective_eur + 1e-6
    apart = sum(MilpPolicy().plan(energy_of_sites(problem, sites)).objective_eur for sites in feeder_sites(case))
    assert apart == pytest.approx(alone.objective_eur, abs=1e-5)


def nothing_beside(problem: Problem) -> Standing:
    """Only the fixed load."""
    none = np.zeros(len(problem.window_peaks))
    return Standing(problem.fixed_kw, np.zeros(problem.fixed_kw.shape), none, none)


def test_what_stands_beside_a_load_is_what_the_reference_would_draw() -> None:
    """A reluctant energy side serves just the load; what it says stands beside it is fixed load plus what the cars draw."""
    problem = rich_problem(4205, PROVEN, ("charging",))
    meters, most = meters_of(problem)
    load = np.minimum(even_load(problem), most)
    standing = meters.standing(load, np.zeros(load.shape) + 0.1, 1e3)
    flows, runs = meters.settled(load, Limits(5.0), never)
    drawn = with_draw(problem, runs).fixed_kw
    assert runs
    assert standing.other_kw.sum() == pytest.approx(drawn.sum(), abs=1e-5)  # the same energy, perhaps in slots of the same price
    assert set(flows) == {"charge", "discharge", "renewable_used", "unserved"}


def test_heat_makes_load_cheaper_and_sleep_makes_it_dearer() -> None:
    """What a kW of jobs costs beside its facility power: never more where heat is sold, never less where nodes sleep."""
    signs = {}
    for kind in ("heat", "sleep"):
        found = []
        for seed in range(4300, 4312):
            problem = rich_problem(seed, PROVEN, (kind,))
            meters, most = meters_of(problem)
            found.append(meters.standing(np.minimum(0.5 * even_load(problem), most), np.full(most.shape, 0.1), 1e3).extra)
        signs[kind] = (min(array.min() for array in found), max(array.max() for array in found))
    assert signs["heat"][0] < -1e-4
    assert signs["heat"][1] <= 1e-9
    assert signs["sleep"][0] >= -1e-9
    assert signs["sleep"][1] > 1e-4


def test_a_worth_of_heat_becomes_a_price_of_the_place() -> None:
    """The mean of the extra price over a job's window, times its energy, is added to what its place costs."""
    problem = rich_problem(4301, PROVEN, ("heat",))
    extra = np.arange(problem.fixed_kw.size, dtype=np.float64).reshape(problem.fixed_kw.shape)
    none = np.zeros(0)
    priced = with_extra(problem, Standing(problem.fixed_kw, extra, none, none))
    for before, after in zip(problem.jobs, priced.jobs, strict=True):
        for old, new in zip(before.options, after.options, strict=True):
            window = extra[old.site, max(before.release, old.earliest) : before.deadline]
            if not len(window):
                continue
            assert new.cost_eur == pytest.approx(old.cost_eur + window.mean() * old.power_kw * before.work)


def test_only_sites_that_need_it_have_the_rows_of_the_reference() -> None:
    """Sites without anything that a case cannot say stay with the lighter programme; all sites of a feeder go together."""
    problem = next(
        problem
        for seed in range(4400, 4500)
        if not (problem := rich_problem(seed, PROVEN, ("charging",))).feeders and len(problem.sites) == 3
    )
    meters, _ = meters_of(problem)
    (site,) = np.flatnonzero(sites_beyond(problem))
    assert [part.sites.tolist() for part in meters.parts] == [[site]]
    assert sorted(s for sites in meters.plain for s in sites.tolist()) == [s for s in range(3) if s != site]


def test_the_seam_takes_it_and_a_second_plan_keeps_places() -> None:
    """A large problem with assets is planned by prices; planned again it starts from the plan in force, by its memory."""
    problem = replace(rich_problem(4500, PROVEN, ("charging",)), settings=QUICK)
    assert beyond_a_case(problem)
    before = seam.REFERENCE_COLUMNS
    try:
        seam.REFERENCE_COLUMNS = -1
        policy = OptimiserPolicy()
        first = policy.plan(problem)
        again = policy.replan(problem, first)
    finally:
        seam.REFERENCE_COLUMNS = before
    assert "turns" in first.solver
    assert again.objective_eur <= first.objective_eur + 0.01 * abs(first.objective_eur)
    check(problem, again)


def test_somebody_who_asks_to_stop_gets_the_plan_so_far() -> None:
    """Stopped at once: still a plan that keeps every rule, and it says that it was interrupted."""
    problem = replace(rich_problem(4501, PROVEN, ("biogas", "heat")), settings=QUICK)
    plan = LargePolicy(stop=lambda: True).plan(problem)
    assert plan.status is SolveStatus.INTERRUPTED
    check(problem, plan)


def test_no_time_is_time_for_a_plan() -> None:
    """With a tenth of a second there is a plan that keeps every rule, and its bound is true."""
    problem = rich_problem(4502, PROVEN, ("wear", "window peak"))
    plan = LargePolicy().plan(replace(problem, settings=PlanningSettings(relative_gap=0.0, time_limit_s=0.1)))
    check(problem, plan)
    assert Compared(plan, MilpPolicy().plan(problem)).untrue() is None


def test_sleeping_needs_the_dearest_core_of_the_jobs() -> None:
    """Without jobs of its own the energy side is told what a core of them draws: a full site has all its nodes awake."""
    problem = rich_problem(4600, PROVEN, ("sleep",))
    (group, *_), dearest = problem.sleepers, dearest_core_kw(problem)
    assert dearest[group.site] > 0.0
    case = case_of(simplified(problem, nothing_beside(problem)))
    sites = next(sites for sites in feeder_sites(case) if group.site in sites)
    part = FullEnergy(problem, sites, dearest, np.full(problem.fixed_kw.shape, np.inf))
    full = np.zeros(problem.fixed_kw.shape)
    full[group.site] = dearest[group.site] * problem.capacity[0, group.site]
    idle = part.answer(np.zeros(full.shape), np.zeros(full.shape) + 0.1, 1e3).other_kw
    busy = part.answer(full, np.zeros(full.shape) + 0.1, 1e3).other_kw
    row = sites.tolist().index(group.site)
    assert busy[row].sum() == pytest.approx(problem.fixed_kw[group.site].sum(), abs=1e-6)
    assert idle[row].sum() < busy[row].sum() - 1e-3


def test_jobs_are_planned_at_the_prices_of_the_whole() -> None:
    """``in_turns`` hands prices that prove a bound to the planner of jobs, and takes the best of the turns."""
    problem = replace(rich_problem(4503, PROVEN, ("heat", "charging")), settings=replace(QUICK, relative_gap=0.0))
    seen, said = list[Warm](), list[str]()

    def plan_jobs(part: Problem, warm: Warm) -> LargeFound:
        assert not beyond_a_case(part)
        seen.append(warm)
        return LargePolicy().search(part, lambda _: None, never, warm)

    found = in_turns(problem, plan_jobs, lambda _: None, said.append, never)
    assert found.number == len(seen) == sum(line.startswith("turn") for line in said)
    costs = [float(line.split(": ")[1].split(" EUR")[0]) for line in said if line.startswith("turn")]
    relaxed = FullDual(problem).meters.relaxed_eur(it_power_kw(problem, found.schedule))
    assert relaxed <= min(costs) + 1e-3
