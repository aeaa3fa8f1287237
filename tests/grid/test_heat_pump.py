"""Coefficients of performance follow the temperatures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.heat_pump import LEAST_LIFT_K, chiller_cop, heat_pump_cop


def test_by_hand() -> None:
    """Half of Carnot from 30 to 70 degC: 0.5 * 343.15 / 40; 40 % of Carnot from 10 up to 40 degC: 0.4 * 283.15 / 30."""
    assert heat_pump_cop(30.0, 70.0, 0.5) == pytest.approx(4.289375)
    assert float(chiller_cop(10.0, 40.0, 0.4)) == pytest.approx(3.775333)


def test_a_source_as_warm_as_the_supply_needs_no_heat_pump() -> None:
    """45 degC water heats a network of 40 degC by itself."""
    assert math.isinf(heat_pump_cop(45.0, 40.0, 0.5))
    assert math.isinf(heat_pump_cop(40.0, 40.0, 0.5))


def test_no_machine_is_worse_than_a_heater() -> None:
    """One per cent of Carnot over 150 K would be below 1: an electric heater gives 1."""
    assert heat_pump_cop(0.0, 150.0, 0.01) == 1.0


@given(source=st.floats(-10, 60), lift=st.floats(0.1, 80), more=st.floats(0.1, 20), share=st.floats(0.1, 0.7))
def test_more_lift_never_helps(source: float, lift: float, more: float, share: float) -> None:
    """A larger difference of temperatures never raises a COP; neither is above Carnot's of the least lift."""
    high, low = heat_pump_cop(source, source + lift, share), heat_pump_cop(source, source + lift + more, share)
    assert low <= high * (1 + (more + lift) / 250)  # a warmer supply raises Carnot's numerator by at most that
    assert high <= (source + lift + 273.15) / LEAST_LIFT_K
    cold = chiller_cop(source, np.array([source + lift, source + lift + more]), share, highest=20.0)
    assert cold[1] <= cold[0] <= 20.0
