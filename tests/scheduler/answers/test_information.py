"""Values of knowing more: by hand, never negative, and honest about what is not proven."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scheduler.answers.information import Range, value_of_information
from scheduler.futures import Future
from scheduler.optimiser.two_stage import TwoStagePolicy
from scheduler.policies.fifo import Fifo
from scheduler.problem import Problem
from tests.scheduler.problems import flat_problem, task


def gamble() -> Problem:
    """A job of 1 kW; slot 0 at 300 EUR/MWh has 4 kW of sun or none, slot 2 costs 140, the others 900."""
    flat = flat_problem([300.0, 900.0, 140.0, 900.0], task("a", work=1))
    sun = [np.array([[4.0, 0.0, 0.0, 0.0]]), np.zeros((1, 4))]
    futures = tuple(Future(0.5, kw, flat.fixed_kw) for kw in sun)
    return replace(flat, renewable_kw=(sun[0] + sun[1]) / 2, futures=futures)


def test_values_by_hand() -> None:
    """Two-stage 0.14, the forecast's place 0.15, known beforehand (0 + 0.14) / 2 = 0.07: VSS 0.01 and EVPI 0.07."""
    problem = gamble()
    found = value_of_information(problem, TwoStagePolicy().plan(problem), informed=True)
    assert found.one_future_eur == pytest.approx(0.15)
    assert found.informed is not None
    assert found.perfect is not None
    ranges = [found.two_stage, found.stochastic, found.informed, found.perfect]
    assert [value.least for value in ranges] == pytest.approx([0.14, 0.01, 0.07, 0.07], abs=1e-6)
    assert [value.most for value in ranges] == pytest.approx([0.14, 0.01, 0.07, 0.07], abs=1e-6)


def test_what_is_not_proven_has_no_end() -> None:
    """Without a bound VSS has a least value only; plans of a rule bound nothing, so EVPI has no upper end."""
    problem = gamble()
    plan = TwoStagePolicy().plan(problem)
    assert plan.expected is not None
    unproven = replace(plan, expected=replace(plan.expected, bound_eur=None, gap=None))
    found = value_of_information(problem, unproven, informed=True, policy=Fifo())
    assert found.informed is not None
    assert found.stochastic.least == pytest.approx(0.01)
    assert found.stochastic.most is None
    assert found.informed.least is None
    assert found.informed.most == pytest.approx(0.15)
    assert found.perfect == Range(None, None)


def test_nothing_asked_nothing_told_and_one_future_is_refused() -> None:
    """EVPI only when asked for; a plan that was not made for several futures is refused."""
    problem = gamble()
    found = value_of_information(problem, TwoStagePolicy().plan(problem), informed=False)
    assert found.perfect is None
    assert found.informed is None
    with pytest.raises(ValueError, match="was not made for several futures"):
        value_of_information(problem, Fifo().plan(problem), informed=False)


def test_certain_things_leave_nothing_to_know() -> None:
    """With one certain future the two-stage plan is the plan, and nothing is worth anything."""
    problem = replace(gamble(), futures=())
    found = value_of_information(problem, TwoStagePolicy().plan(problem), informed=True)
    assert found.stochastic.least == pytest.approx(0.0, abs=1e-9)
    assert found.stochastic.most == pytest.approx(0.0, abs=1e-6)
    assert found.perfect is None
