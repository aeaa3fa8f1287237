"""Plans in the same worlds: pairing, confidence, and what is counted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.build import build_problem
from scheduler.placement import assign_nodes
from scheduler.policies.registry import POLICIES
from scheduler.scenario import ErrorModel, PlanningSettings
from sim.paired import Realised, paired_difference, realise_all
from sim.rehearsal import realise
from tests.factory import job, small_scenario


def came_to(*eur: float) -> Realised:
    """Costs in worlds in which nothing else happened."""
    none = np.zeros(len(eur))
    return Realised(np.array(eur), none, none, none)


def test_interval_by_hand() -> None:
    """Differences 1, 2 and 3: mean 2, deviation 1, t quantile of two degrees of freedom 4.3027, so 2 +- 2.484."""
    found = paired_difference(came_to(11.0, 22.0, 33.0), came_to(10.0, 20.0, 30.0))
    assert found.mean_eur == pytest.approx(2.0)
    assert found.half_width_eur == pytest.approx(4.302653 / np.sqrt(3), rel=1e-6)
    assert not found.certain
    assert paired_difference(came_to(11.0, 22.0, 32.9), came_to(10.0, 21.0, 31.9)).certain


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=20), st.floats(-5, 5))
def test_what_worlds_have_in_common_cancels(eur: list[float], more: float) -> None:
    """A plan that is dearer by the same amount in every world is so without doubt, however much the worlds differ."""
    found = paired_difference(came_to(*[value + more for value in eur]), came_to(*eur))
    assert found.mean_eur == pytest.approx(more, abs=1e-9)
    assert found.half_width_eur < 1e-9


def test_one_pair_proves_nothing_and_unequal_ones_are_refused() -> None:
    """The interval of one pair is infinite; other numbers of worlds are no pairs."""
    assert not paired_difference(came_to(3.0), came_to(1.0)).certain
    for other in (came_to(1.0, 2.0), came_to()):
        with pytest.raises(ValueError, match="cannot be paired"):
            paired_difference(came_to() if not len(other.objective_eur) else came_to(1.0), other)


def test_counts_are_those_of_each_world() -> None:
    """Cost, missed deadlines and broken rules of every world are those of its own run; jobs that overrun miss."""
    tight = job("tight", duration_h=4, deadline_h=4)
    errors = ErrorModel(duration_low=0.9, duration_high=1.3, command_delay_s=0.0)
    scenario = small_scenario(jobs=(tight,), errors=errors, planning=PlanningSettings(duration_quantile=None))
    plan = assign_nodes(scenario, POLICIES["fifo"]().plan(build_problem(scenario)))
    seeds = range(20, 30)
    found = realise_all(scenario, plan, seeds)
    each = [realise(scenario, plan, seed) for seed in seeds]
    assert found.objective_eur == pytest.approx([outcome.totals.objective_eur for outcome in each])
    assert found.misses.tolist() == [float(outcome.totals.deadline_misses) for outcome in each]
    assert found.violations.tolist() == [float(len(outcome.violations)) for outcome in each]
    assert 0 < found.misses.sum() < 10


def test_the_margin_of_time_keeps_deadlines() -> None:
    """A job of 3 h between 10 and 14: planned for the cheapest 3 h it may overrun, planned by its quantile it never does."""
    errors = ErrorModel(duration_low=0.9, duration_high=1.3, command_delay_s=0.0)
    noon = job("noon", release_h=10, deadline_h=14, duration_h=3)
    missed = []
    for level in (None, 1.0):
        planning = PlanningSettings(duration_quantile=level, limit_margin=0.0)
        scenario = small_scenario(jobs=(noon,), datasets=(), errors=errors, planning=planning)
        plan = assign_nodes(scenario, POLICIES["milp"]().plan(build_problem(scenario)))
        missed.append(realise_all(scenario, plan, range(12)).misses.sum())
    assert missed[0] > 0
    assert missed[1] == 0
