"""Why a job is where it is: costs and differences that can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from grid.assets.battery import Battery
from grid.assets.generator import Generator
from grid.errors import InputError
from scheduler.answers.energy import SiteEnergy
from scheduler.answers.places import Places, schedule_of
from scheduler.answers.why import Why, why
from scheduler.asset_runs import PlacedAsset, run_of
from scheduler.build import build_problem
from scheduler.optimiser.policy import MilpPolicy
from scheduler.plan import Plan, Run
from scheduler.policies.fifo import Fifo
from scheduler.problem import Problem
from scheduler.workload import Job, JobKind
from tests.factory import job, small_scenario
from tests.scheduler.answers.hand import JOB_KW, one_site, problem_of
from tests.sim.hand import hand_plan

PRICES = [200.0, 150.0, 100.0, 50.0, 300.0, 300.0]


def answer(*jobs: Job, name: str = "a", runs: tuple[Run, ...] = (), prices: list[float] = PRICES) -> Why:
    """The answer about ``name`` when the hall runs ``runs``."""
    scenario = one_site(prices, jobs)
    return why(problem_of(scenario), hand_plan(scenario, runs), name)


def test_cost_here_and_second_best_are_price_times_energy() -> None:
    """An hour of 0.48 kW at 50 EUR/MWh costs 2.4 ct; the next start costs 100 EUR/MWh; at once costs 200."""
    found = answer(job("a", duration_h=1, deadline_h=6), runs=(Run("a", "hall", 3, 4),))
    assert found.place is not None
    assert found.place.cost_eur == pytest.approx(JOB_KW * 0.05)
    by_label = {other.label: other for other in found.alternatives}
    second, at_once = by_label["second-best start here"], by_label["as soon as possible here"]
    assert second.place is not None
    assert second.place.slots == (2,)
    assert second.extra_eur == pytest.approx(JOB_KW * 0.05)
    assert at_once.extra_eur == pytest.approx(JOB_KW * 0.15)
    assert second.text == f"energy {JOB_KW * 0.05:+.4f}"
    assert found.obstacles == ()


def test_a_full_slot_names_the_job_that_holds_it() -> None:
    """Job b holds the only node in the cheapest hour: a is told by how much that costs it, and who is there."""
    jobs = (job("a", duration_h=1, deadline_h=6), job("b", duration_h=1, deadline_h=6))
    found = answer(*jobs, runs=(Run("a", "hall", 2, 3), Run("b", "hall", 3, 4)))
    (obstacle,) = found.obstacles
    assert f"{JOB_KW * 0.05:.4f} EUR less" in obstacle
    assert "03:00-04:00 lacks cores: b run" in obstacle


def test_a_deadline_that_costs_is_told() -> None:
    """Due by 03:00 it pays 100 EUR/MWh; an hour more would let it pay 50."""
    found = answer(job("a", duration_h=1, deadline_h=3.5), runs=(Run("a", "hall", 2, 3),))
    (obstacle,) = found.obstacles
    assert obstacle.startswith(f"Its deadline 03:00 costs {JOB_KW * 0.05:.4f} EUR: 1 h later")


def test_pieces_take_the_cheapest_hours_that_are_left() -> None:
    """A job in pieces planned in hours 0 and 1 has its best other hours in 2 and 3: 150 instead of 350 EUR/MWh."""
    found = answer(job("a", kind=JobKind.INTERRUPTIBLE, deadline_h=6), runs=(Run("a", "hall", 0, 2),))
    (other,) = (other for other in found.alternatives if other.label.startswith("best time here"))
    assert other.place is not None
    assert other.place.slots == (2, 3)
    assert other.extra_eur == pytest.approx(-JOB_KW * 0.2)


def test_the_battery_is_planned_anew_for_every_place() -> None:
    """A full battery that must not be refilled carries the job in the dear hour: it costs nothing there, whatever the price."""
    battery = Battery(10.0, 5.0, 5.0, 1.0, 1.0, 10.0, 0.0, 0.0)
    scenario = one_site([100.0, 1000.0], (job("a", duration_h=1, deadline_h=2),), battery=battery)
    problem = replace(problem_of(scenario), final_soc_kwh=np.zeros(1))
    found = why(problem, hand_plan(scenario, (Run("a", "hall", 1, 2),)), "a")
    assert found.place is not None
    assert found.place.cost_eur == pytest.approx(0.0, abs=1e-9)


def test_a_peak_that_the_job_raises_is_its_cost() -> None:
    """At equal prices the peak charge of 1 EUR/kW is paid for the job's own power."""
    scenario = one_site([100.0] * 3, (job("a", duration_h=1, deadline_h=3),), peak_eur_per_kw=1.0)
    found = why(problem_of(scenario), hand_plan(scenario, (Run("a", "hall", 0, 1),)), "a")
    assert found.place is not None
    assert found.place.parts_eur["peak"] == pytest.approx(JOB_KW)


def test_other_sites_and_data_that_is_not_there() -> None:
    """Every other site of the job is answered; no single move gains more than the plan's gap leaves open."""
    problem = build_problem(small_scenario())
    plan = MilpPolicy().plan(problem)
    found = why(problem, plan, "transcode")
    assert {other.site for other in found.alternatives} == {"cabinet", "hall"}
    least = min(other.extra_eur for other in found.alternatives if other.extra_eur is not None)
    assert plan.bound_eur is not None
    assert least >= plan.bound_eur - plan.objective_eur - 1e-6


@pytest.mark.parametrize("policy", [MilpPolicy(), Fifo()], ids=["milp", "fifo"])
def test_site_costs_add_up_to_the_plan(policy: MilpPolicy | Fifo) -> None:
    """The energy programmes of all sites together cost what the optimiser says, and never more than a rule's dispatch."""
    problem = build_problem(small_scenario())
    plan = policy.plan(problem)
    priced = sum(SiteEnergy(problem, s, plan.energy.it_kw[s]).cost().total_eur for s in range(len(problem.sites)))
    energy = plan.objective_eur - plan.breakdown_eur["dropped"] - plan.breakdown_eur["fixed"]
    if isinstance(policy, MilpPolicy):
        assert priced == pytest.approx(energy, abs=1e-6)
    else:
        assert priced <= energy + 1e-6


def test_ranking_loses_no_place() -> None:
    """The best start found by lower limits is the best of all starts priced one by one."""
    problem, plan = _planned()
    for j, task in enumerate(problem.jobs):
        places = Places.of(problem, schedule_of(problem, plan), j)
        for e in range(len(task.options)):
            if task.kind is JobKind.RIGID:
                free = places.free(e)
                best = places.best(e, free)
                every = [places.price(e, tuple(range(t, t + task.work))).cost_eur for t in places.starts(free)]
                assert (best is None) == (not every)
                assert best is None or best.cost_eur == pytest.approx(min(every), abs=1e-9)


def test_unknown_job_gives_the_nearest_name() -> None:
    """A misspelt job is an input error that names the nearest one."""
    problem, plan = _planned()
    with pytest.raises(InputError) as caught:
        why(problem, plan, "transcod")
    assert caught.value.findings[0].nearest == "transcode"


def _planned() -> tuple[Problem, Plan]:
    problem = build_problem(small_scenario())
    return problem, Fifo().plan(problem)


def test_assets_stay_as_planned() -> None:
    """A generator that gives what the job's hour needs leaves nothing to import: the job costs what export would earn."""
    scenario = one_site(PRICES, (job("a", duration_h=1, deadline_h=6),))
    problem, plan = problem_of(scenario), hand_plan(scenario, (Run("a", "hall", 3, 4),))
    unit = Generator("emergency", 1, 50.0, 0.0, 0.4, 860.0, flexible_kw=50.0)
    problem = replace(problem, assets=(PlacedAsset(0, unit),))
    power = np.zeros(len(PRICES))
    power[3] = float(problem.fixed_kw[0, 3]) + JOB_KW
    run = run_of(problem, problem.assets[0], {"power_kw": power, "test": np.zeros(len(PRICES))})
    found = why(problem, replace(plan, assets=(run,)), "a")
    assert found.place is not None
    assert found.place.cost_eur == pytest.approx(JOB_KW * float(problem.export_eur_per_kwh[0, 3]))
