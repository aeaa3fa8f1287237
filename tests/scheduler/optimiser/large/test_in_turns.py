"""Thousands of jobs beside assets: the energy side with all rows of the reference, and plans of both in turns."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.errors import SolverError
from grid.horizon import FloatArray
from scheduler.asset_runs import bill_of, with_draw
from scheduler.in_force import schedule_in_force
from scheduler.network_limits import ElementKind, NetworkCut
from scheduler.objective import breakdown_eur
from scheduler.optimiser import seam
from scheduler.optimiser.highs import Limits, never
from scheduler.optimiser.large.energy import feeder_sites
from scheduler.optimiser.large.full_dual import FullDual, even_load
from scheduler.optimiser.large.full_energy import FLOWS, FullEnergy, SiteAnswer
from scheduler.optimiser.large.in_turns import in_turns
from scheduler.optimiser.large.meters import Meters
from scheduler.optimiser.large.policy import LargePolicy
from scheduler.optimiser.large.simpler import Standing, alone, simplified, with_extra
from scheduler.optimiser.large.site_part import beyond_a_case, energy_of_sites, sites_beyond
from scheduler.optimiser.large.translate import case_of
from scheduler.optimiser.large.warm import Warm
from scheduler.optimiser.memory import with_places
from scheduler.optimiser.policy import MilpPolicy
from scheduler.optimiser.seam import OptimiserPolicy
from scheduler.optimiser.settle import settle
from scheduler.optimiser.sleep_rows import dearest_core_kw
from scheduler.plan import Plan, SolveStatus
from scheduler.policies.feeders import overload_kw
from scheduler.policies.schedule import Schedule, it_power_kw, task_eur
from scheduler.problem import Feeder, Problem
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


def without_batteries(problem: Problem) -> Problem:
    """The same sites with nothing that stores, and nothing shared."""
    sites = len(problem.sites)
    none = np.zeros(sites)
    return replace(problem, batteries=(None,) * sites, initial_soc_kwh=none, final_soc_kwh=none, feeders=())


def meters_of(problem: Problem) -> tuple[Meters, FloatArray]:
    """The whole energy side, and the most load that it may have."""
    dual = FullDual(problem)
    return dual.meters, dual.most


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("seed", range(3000, 3006))
def test_plan_is_near_the_proven_optimum_and_its_bound_is_true(seed: int) -> None:
    """Any of heat, cars, biogas, generators, wear by depth, dear exports, peaks by windows, caps, cuts and negative prices.

    Within 2 % of the optimum, and the bound as it was proven (a plan's own is cut to its cost) is not above that.
    """
    problem = rich_problem(seed, PROVEN, AWAKE)
    best = MilpPolicy().plan(problem)
    assert best.gap is not None
    assert best.gap <= 2e-6, "the reference proved nothing"
    dual = FullDual(problem)
    dual.run(time.perf_counter() + 0.5, never)
    assert dual.bound <= best.objective_eur + 2e-6 * abs(best.objective_eur) + 2e-6, "a false proof"
    plan = LargePolicy().plan(replace(problem, settings=QUICK))
    check(problem, plan)
    found = Compared(plan, best)
    assert found.untrue() is None
    assert plan.objective_eur <= best.objective_eur + 0.02 * abs(best.objective_eur) + 0.003, found.figures


@pytest.mark.parametrize("seed", [3101, 3102])
def test_sleeping_nodes_are_planned_beside(seed: int) -> None:
    """The bound is below what the reference found, and the plan is no dearer than 2 % above that."""
    problem = rich_problem(seed, replace(PROVEN, time_limit_s=3.0), ("sleep",))
    best = MilpPolicy().plan(problem)
    plan = LargePolicy().plan(replace(problem, settings=QUICK))
    check(problem, plan)
    assert plan.bound_eur is not None
    assert plan.bound_eur <= best.objective_eur + 1e-6 * abs(best.objective_eur)
    assert plan.objective_eur <= best.objective_eur + 0.02 * abs(best.objective_eur)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(4000, 4040), draw=st.integers(0, 2**16))
def test_a_price_on_the_load_proves_a_bound_of_every_load(seed: int, draw: int) -> None:
    """Random prices and loads: energy, by the objective's prices, costs no less than the load is priced plus what is proven."""
    problem = rich_problem(seed, PROVEN, AWAKE)
    meters, most = meters_of(problem)
    rng = np.random.default_rng(draw)
    lam, load = rng.uniform(-0.2, 0.6, most.shape), rng.uniform(0.0, 1.0, most.shape) * np.minimum(most, 3.0)
    for part in meters.parts:
        proven = part.price_load(lam)
        paid = float((lam * load)[part.sites].sum())
        found = part.relaxed(load)
        if not found.missing_kw.any():
            assert found.eur - paid >= proven - 1e-6
            flows, runs = part.settled(load, Limits(0.5), never)
            settled = settle(with_draw(part.problem, runs), load[part.sites], *(flows[name] for name in FLOWS))
            cost = sum(breakdown_eur(part.problem, settled, assets=bill_of(runs)).values())
            assert cost >= found.eur - 1e-5
            assert cost - paid >= proven - 1e-5


@pytest.mark.parametrize("seed", range(4100, 4104))
def test_parts_sum_up_to_the_reference_without_jobs(seed: int) -> None:
    """Energy of the parts for no load at all is what the reference plans for the problem without its jobs, ties included."""
    problem = rich_problem(seed, PROVEN, ("heat", "charging", "wear", "window peak", "group", "cut"))
    problem = replace(problem, jobs=(), copies=(), copy_limit_gb=None)
    case = case_of(simplified(problem, alone(problem)))
    nothing = np.zeros(problem.fixed_kw.shape)
    whole = MilpPolicy().plan(problem).objective_eur
    found = Meters(problem, case, nothing, sites_beyond(problem)).relaxed(nothing)
    apart = sum(MilpPolicy().plan(energy_of_sites(problem, sites)).objective_eur for sites in feeder_sites(case))
    assert not found.unserved_kw.any()
    assert not found.missing_kw.any()
    assert found.eur == pytest.approx(whole, abs=1e-5)  # nothing must be whole here
    assert apart == pytest.approx(whole, abs=1e-5)


@pytest.mark.parametrize("weight", [0.0, 1e-9, 1.0])
def test_a_cut_that_names_sites_without_effect_is_kept(weight: float) -> None:
    """A limit on two sites names a third one first, with hardly any weight: the plan keeps it as the reference does."""
    problem = next(
        problem
        for seed in range(4000, 4300)
        if not (problem := rich_problem(seed, PROVEN, ("charging",))).feeders
        and len(problem.sites) == 3
        and problem.assets[0].site == 0
    )
    net = MilpPolicy().plan(problem).energy
    used = (net.import_kw - net.export_kw)[:2].sum(axis=0)
    slot = int(used.argmax())
    limit = float(0.7 * used[slot])
    cut = NetworkCut(ElementKind.TRANSFORMER, "T", slot, (2, 0, 1), (weight, 1.0, 1.0), limit)
    plan = LargePolicy().plan(replace(problem, cuts=(cut,), settings=QUICK))
    best = MilpPolicy().plan(replace(problem, cuts=(cut,)))
    drawn = (plan.energy.import_kw - plan.energy.export_kw)[:, slot]
    assert drawn[0] + drawn[1] + weight * drawn[2] <= limit + 1e-6
    assert plan.objective_eur <= best.objective_eur + 0.02 * abs(best.objective_eur)


@pytest.mark.slow
def test_sleeping_nodes_behind_a_tight_feeder() -> None:
    """What nodes really spare counts against the feeder, and no load goes unserved for its price."""
    problem = without_batteries(rich_problem(3115, QUICK, ("sleep",)))
    asleep = problem.sleepers[0].site
    pair = tuple(sorted((asleep, (asleep + 1) % len(problem.sites))))
    free = LargePolicy().plan(problem).energy
    limit = 0.8 * float((free.import_kw - free.export_kw)[list(pair)].sum(axis=0).max())
    tight = replace(problem, feeders=(Feeder("f", pair, limit, (0.0, 0.0), 1.0),))
    plan = LargePolicy().plan(replace(tight, settings=PlanningSettings(relative_gap=0.01, time_limit_s=10.0)))
    assert overload_kw(tight, plan.energy) <= 1e-6
    assert plan.energy.unserved_kw.max() <= 1e-6
    check(tight, plan)


@pytest.mark.parametrize("seed", [3002, 3023])
def test_what_an_asset_must_give_finds_a_load(seed: int) -> None:
    """A test run at a site that exports nothing: jobs run while it gives, or the reference plans; no error where one does."""
    problem = without_batteries(rich_problem(seed, PROVEN, ("generator",)))
    problem = replace(problem, export_limit_kw=np.zeros(problem.export_limit_kw.shape))
    best = MilpPolicy().plan(problem)
    plan = LargePolicy().plan(replace(problem, settings=QUICK))
    check(problem, plan)
    assert plan.assets[0].series["test"].sum() == 2
    assert plan.objective_eur <= best.objective_eur + 0.05 * abs(best.objective_eur)


def test_trouble_after_a_turn_keeps_its_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the energy side has no further answer, the plan of the first turn is settled, and the reason is told."""
    thorough = PlanningSettings(relative_gap=0.0, time_limit_s=6.0)
    problem = replace(rich_problem(4503, PROVEN, ("heat", "charging")), settings=thorough)
    said: list[str] = []
    answer = FullEnergy.answer

    def troubled(part: FullEnergy, load: FloatArray, lam: FloatArray, reluctance: float, *, must: bool = False) -> SiteAnswer:
        if any(line.startswith("turn") for line in said):
            raise SolverError("numerical trouble")
        return answer(part, load, lam, reluctance, must=must)

    monkeypatch.setattr(FullEnergy, "answer", troubled)
    plan = LargePolicy().plan(problem, said.append)
    check(problem, plan)
    assert sum(line.startswith("turn") for line in said) == 1
    assert "no further turn: numerical trouble" in said
    assert "in turns: 1" in plan.solver


def test_what_stands_beside_a_load_is_what_the_reference_would_draw() -> None:
    """A reluctant energy side serves just the load; what it says stands beside it is fixed load plus what the cars draw."""
    problem = rich_problem(4205, PROVEN, ("charging",))
    meters, most = meters_of(problem)
    load = np.minimum(even_load(problem), most)
    standing = meters.standing(load, np.full(load.shape, 0.1), 1e3)
    _, runs = meters.settled(load, Limits(5.0), never)
    drawn = with_draw(problem, runs).fixed_kw
    assert runs
    assert drawn.sum() > problem.fixed_kw.sum() + 0.1
    assert standing.other_kw.sum() == pytest.approx(drawn.sum(), abs=1e-5)  # the same energy, perhaps in slots of the same price


def test_heat_makes_load_cheaper_and_sleep_makes_it_dearer() -> None:
    """What a kW of jobs costs beside its facility power: never more where heat is sold, never less where nodes sleep."""
    signs = {}
    for kind in ("heat", "sleep"):
        found = []
        for seed in range(4300, 4305):
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


def test_the_seam_takes_it_and_plans_again_from_the_plan_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large problem with assets is planned by prices; planned again, its jobs begin where the plan in force has them."""
    problem = replace(rich_problem(4500, PROVEN, ("charging",)), settings=QUICK)
    assert beyond_a_case(problem)
    monkeypatch.setattr(seam, "REFERENCE_COLUMNS", -1)
    policy = OptimiserPolicy()
    first = policy.plan(problem)
    assert "turns" in first.solver
    assert policy.memory.warm is not None
    placed = with_places(policy.memory.warm, problem, first).site
    assert (placed >= 0).sum() == len(schedule_in_force(problem, first).jobs) > 0
    said: list[str] = []
    again = policy.replan(problem, first, said.append)
    assert any(line.startswith("plan carried over") for line in said)
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
    case = case_of(simplified(problem, alone(problem)))
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
    """``in_turns`` hands prices to the planner of jobs and takes the best turn; prices come back with the worth of heat."""
    problem = replace(rich_problem(4503, PROVEN, ("heat", "charging")), settings=replace(QUICK, relative_gap=0.0))
    seen, said = list[Warm](), list[str]()

    class Found:
        def __init__(self, schedule: Schedule, warm: Warm) -> None:
            self.schedule, self.warm = schedule, warm

    def plan_jobs(part: Problem, warm: Warm) -> Found:
        assert not beyond_a_case(part)
        seen.append(warm)
        found = LargePolicy().search(part, lambda _: None, never, warm)
        assert found.warm is not None
        return Found(found.schedule, found.warm)

    found = in_turns(problem, plan_jobs, lambda _: None, said.append, never)
    assert found.number == len(seen) == sum(line.startswith("turn") for line in said)
    costs = [float(line.split(": ")[1].split(" EUR")[0]) for line in said if line.startswith("turn")]
    looked = FullDual(problem).meters.relaxed(it_power_kw(problem, found.schedule)).eur
    assert looked + sum(task_eur(problem, found.schedule).values()) == pytest.approx(min(costs), abs=1e-3)
    bound = FullDual(problem).evaluate(found.warm.lam, found.warm.mu)
    assert bound == pytest.approx(found.bound_eur, rel=0.1)
