"""Peak charges that count in some slots: the optimum by hand, beside the one charge that counts all, and in other models."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.assets.battery import Battery
from grid.contracts.book import ContractBook
from grid.contracts.capacity_tariff import CapacityTariff, TariffVersion, TariffWindow
from grid.contracts.windows import DailyWindow
from scheduler.answers.energy import SiteEnergy
from scheduler.build import build_problem
from scheduler.marginal import Meter
from scheduler.optimiser.large.site_part import beyond_a_case
from scheduler.optimiser.policy import MilpPolicy
from scheduler.problem import JobOption, Problem, WindowPeak
from scheduler.workload import JobKind
from scheduler.world import Observation
from tests.factory import small_scenario
from tests.scheduler.checks import check_plan
from tests.scheduler.problems import flat_problem, task


def peak(*slots: int, eur_per_kw: float = 1.0, reached_kw: float = 0.0) -> WindowPeak:
    """A charge of the first site."""
    return WindowPeak("test", 0, slots, eur_per_kw, reached_kw)


def test_jobs_leave_a_dear_window_and_stay_below_what_was_reached() -> None:
    """Two jobs of 1 kW go to the slots without a charge; with 2 kW reached already they go where energy is cheap."""
    jobs = [task(name) for name in ("a", "b")]
    cheap_early = flat_problem([50.0, 50.0, 100.0, 100.0], *jobs)
    plan = MilpPolicy().plan(replace(cheap_early, window_peaks=(peak(0, 1),)))
    assert {run.start for run in plan.runs} <= {2, 3}
    assert plan.objective_eur == pytest.approx(0.2)
    reached = replace(cheap_early, window_peaks=(peak(0, 1, reached_kw=2.0),))
    plan = MilpPolicy().plan(reached)
    check_plan(reached, plan)
    assert {run.start for run in plan.runs} <= {0, 1}
    assert plan.breakdown_eur["peak"] == pytest.approx(0.0)
    assert plan.objective_eur == pytest.approx(0.1)


def test_two_peaks_in_one_day() -> None:
    """Two jobs must run in the dear window and two may run anywhere: each window has a peak of 1 kW, at its own price."""
    jobs = [task(f"j{j}", deadline=2 if j < 2 else 4) for j in range(4)]
    problem = replace(flat_problem([100.0] * 4, *jobs), window_peaks=(peak(0, 1, eur_per_kw=2.0), peak(2, 3, eur_per_kw=1.0)))
    plan = MilpPolicy().plan(problem)
    assert np.allclose(plan.energy.import_kw[0], 1.0)
    assert plan.breakdown_eur["peak"] == pytest.approx(3.0)
    assert beyond_a_case(problem) == ["peak charges that count in some slots only"]


def random_problem(seed: int) -> Problem:
    """A site with a battery, sun, a base load and a few jobs in eight slots."""
    rng = np.random.default_rng(seed)
    jobs = [
        task(f"j{j}", JobKind.INTERRUPTIBLE, work=int(rng.integers(1, 4)), options=(JobOption(0, 1.0, 0.0, 0),))
        for j in range(int(rng.integers(1, 4)))
    ]
    problem = flat_problem([float(price) for price in rng.integers(20, 300, 8)], *jobs)
    battery = Battery(4.0, 2.0, 2.0, 0.95, 0.95, 2.0, 0.0, 0.01)
    return replace(
        problem,
        fixed_kw=rng.choice([0.2, 0.7], problem.fixed_kw.shape),
        renewable_kw=rng.choice([0.0, 1.5], problem.renewable_kw.shape),
        batteries=(battery,),
        initial_soc_kwh=np.array([2.0]),
        final_soc_kwh=np.array([2.0]),
    )


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), eur=st.floats(0.1, 3.0), reached=st.sampled_from([0.0, 0.6]))
def test_a_window_of_all_slots_is_the_peak_charge_and_less_of_it_costs_less(seed: int, eur: float, reached: float) -> None:
    """Three optima: the old peak charge is that of a window of everything; a window of half the slots is not dearer."""
    bare = random_problem(seed)
    old = replace(bare, peak_eur_per_kw=np.array([eur]), peak_reached_kw=np.array([reached]))
    everything = replace(bare, window_peaks=(peak(*range(8), eur_per_kw=eur, reached_kw=reached),))
    half = replace(bare, window_peaks=(peak(*range(4), eur_per_kw=eur, reached_kw=reached),))
    one, same, less = (MilpPolicy().plan(problem) for problem in (old, everything, half))
    for problem, plan in ((everything, same), (half, less)):
        check_plan(problem, plan)
        site = SiteEnergy(problem, 0, plan.energy.it_kw[0]).cost()
        assert site.total_eur == pytest.approx(plan.objective_eur, abs=1e-5)
        meter = Meter.of(problem, plan.energy)
        assert meter.window_kw[0] == pytest.approx(
            max(reached, plan.energy.import_kw[0, list(problem.window_peaks[0].slots)].max())
        )
    assert one.objective_eur == pytest.approx(same.objective_eur, abs=1e-6)
    assert less.objective_eur <= same.objective_eur + 1e-6


def evening(eur: float, *, whole_day: bool = False) -> ContractBook:
    """A capacity tariff of the cabinet."""
    window = DailyWindow(0, 24 * 60) if whole_day else DailyWindow(17 * 60, 21 * 60)
    version = TariffVersion(date(2020, 1, 1), (TariffWindow("w", window, eur),))
    return ContractBook(tariffs=(CapacityTariff("peaks", ("cabinet",), "Europe/Amsterdam", (version,)),))


def test_a_tariff_of_the_whole_day_is_one_that_every_solver_knows() -> None:
    """One charge over all slots becomes the site's peak charge, with what was observed; a window stays a charge of its own."""
    base = small_scenario()
    sites = tuple(replace(site, tariff=replace(site.tariff, peak_eur_per_kw=0.0)) for site in base.sites)
    whole = replace(base, sites=sites, contracts=evening(4.0, whole_day=True))
    problem = build_problem(whole)
    assert (problem.peak_eur_per_kw.tolist(), problem.window_peaks) == ([4.0, 0.0, 0.0], ())
    seen = Observation(
        6, whole.horizon.time(6), frozenset(), (), {}, {"cabinet": 9.0}, {}, {}, peaks={"cabinet": {"w 2022-07 v1": 3.5}}
    )
    assert build_problem(whole, seen).peak_reached_kw.tolist() == [3.5, 0.0, 0.0]
    (charge,) = build_problem(replace(whole, contracts=evening(4.0))).window_peaks
    assert (charge.name, charge.site, charge.slots, charge.eur_per_kw) == ("peaks: w 2022-07 v1", 0, (17, 18, 19, 20), 4.0)
    late = replace(seen, slot=19, moment=whole.horizon.time(19))
    (charge,) = build_problem(replace(whole, contracts=evening(4.0)), late).window_peaks
    assert (charge.slots, charge.reached_kw) == ((0, 1), 3.5)
    past = replace(seen, slot=21, moment=whole.horizon.time(21))
    assert build_problem(replace(whole, contracts=evening(4.0)), past).window_peaks == ()
