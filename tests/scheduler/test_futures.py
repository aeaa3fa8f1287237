"""Futures: what is drawn, that it is reduced without loss of probability, and that nothing uncertain gives none."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scheduler.build import build_problem
from scheduler.futures import reduce_draws
from scheduler.scenario import ErrorModel, FutureSettings, PlanningSettings
from scheduler.world import Observation
from sim.world.truth import Truth
from tests.factory import small_scenario

POINTS = arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 4)), elements=st.integers(-5, 5).map(float))


def settings_of(count: int = 4, draws: int = 60, seed: int | None = None) -> PlanningSettings:
    """Planning with so many futures."""
    return PlanningSettings(scenarios=FutureSettings(count, draws, seed))


@given(POINTS, st.integers(1, 6))
def test_reduction_keeps_probability_and_chooses_different_points(points: np.ndarray, count: int) -> None:
    """Shares sum to 1 in falling order; the chosen points differ; all of them are kept when there are few enough."""
    chosen, share = reduce_draws(points, count)
    assert share.sum() == pytest.approx(1.0)
    assert (share > 0).all()
    assert (np.diff(share) <= 0).all()
    distinct = len(np.unique(points, axis=0))
    assert len(chosen) == len(np.unique(points[chosen], axis=0)) == min(count, distinct)


def test_reduction_by_hand() -> None:
    """Of two clusters and one point apart, the first choice is the middle of the larger cluster, then the far ones follow."""
    points = np.array([[0.0], [1.0], [2.0], [50.0], [51.0], [200.0]])
    chosen, share = reduce_draws(points, 3)
    assert sorted(points[chosen, 0].tolist()) in ([1.0, 50.0, 200.0], [2.0, 50.0, 200.0], [1.0, 51.0, 200.0])
    assert share == pytest.approx([3 / 6, 2 / 6, 1 / 6])


def test_futures_are_possible_and_their_mean_is_near_the_forecast() -> None:
    """Probabilities sum to 1, sun is physical and dark at night; 40 of 200 paired draws keep the day's energy within 5 %."""
    scenario = small_scenario(planning=settings_of(40, 200), errors=ErrorModel(load_sigma=0.1))
    problem = build_problem(scenario)
    shares = np.array([future.probability for future in problem.futures])
    assert shares.sum() == pytest.approx(1.0)
    assert len(shares) == 40
    for future in problem.futures:
        assert (future.renewable_kw >= 0).all()
        assert (future.fixed_kw >= 0).all()
        assert (future.renewable_kw[problem.renewable_kw == 0] == 0).all()
        assert future.renewable_kw.max() <= 1.1 * problem.renewable_kw.max() + 1e-9
    sun = sum(future.probability * future.renewable_kw for future in problem.futures)
    load = sum(future.probability * future.fixed_kw for future in problem.futures)
    assert np.sum(sun) == pytest.approx(problem.renewable_kw.sum(), rel=0.05)
    assert np.sum(load) == pytest.approx(problem.fixed_kw.sum(), rel=0.02)


def test_same_seed_same_futures_and_never_the_truth() -> None:
    """One seed decides the draws, another gives others; at the scenario's own seed none of them is the simulated truth."""
    scenario = small_scenario(planning=settings_of())
    one, same = build_problem(scenario).futures, build_problem(scenario).futures
    other = build_problem(replace(scenario, planning=settings_of(seed=99))).futures
    assert all(np.array_equal(a.renewable_kw, b.renewable_kw) for a, b in zip(one, same, strict=True))
    assert not any(np.array_equal(a.renewable_kw, b.renewable_kw) for a in one for b in other)
    truth = Truth(scenario, scenario.seed, stressed=False).solar_kw["hall"].mean(scenario.horizon)
    assert all(np.abs(future.renewable_kw[1] - truth).max() > 0.1 for future in one)


def test_futures_are_drawn_once_and_behave_like_a_tuple() -> None:
    """Asking again gives the same objects; slices and lengths are those of a tuple."""
    futures = build_problem(small_scenario(planning=settings_of())).futures
    assert futures[0] is futures[0]
    assert futures[:2] == tuple(futures)[:2]
    assert len(futures) == len(tuple(futures)) == 4


def test_nothing_uncertain_gives_no_futures() -> None:
    """Without deviations there is nothing to weigh; wind's deviation alone counts only where there is wind."""
    assert not build_problem(small_scenario(errors=ErrorModel(solar_sigma=0.0))).futures
    assert build_problem(small_scenario(errors=ErrorModel(solar_sigma=0.0, load_sigma=0.1))).futures


def test_the_rest_of_a_day_has_the_rest_of_its_futures() -> None:
    """With all draws kept, an observation cuts the futures to the slots that are left, and a finer step changes no mean."""
    scenario = small_scenario(planning=settings_of(20, 20))
    seen = Observation(6, scenario.horizon.time(6), frozenset(), (), {}, {}, {}, {})
    finer = replace(scenario, horizon=scenario.horizon.with_step(timedelta(minutes=15)))
    whole = _sorted([future.renewable_kw[1] for future in build_problem(scenario).futures])
    rest = _sorted([future.renewable_kw[1] for future in build_problem(scenario, seen).futures])
    fine = _sorted([future.renewable_kw[1].reshape(24, 4).mean(axis=1) for future in build_problem(finer).futures])
    assert rest == pytest.approx(whole[:, 6:])
    assert fine == pytest.approx(whole)


def _sorted(courses: list[np.ndarray]) -> np.ndarray:
    """Courses in the order of their sun at noon."""
    stacked = np.stack(courses)
    return stacked[np.argsort(stacked[:, -12])]
