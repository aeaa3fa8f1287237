"""Emergency generators: their rule tests once and early, what they owe is fuel, impossible parameters are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.assets.generator import Generator
from tests.factory import day_horizon

GIVEN: dict[str, Any] = {
    "name": "emergency",
    "units": 2,
    "unit_kw": 20.0,
    "start_s": 60.0,
    "fuel_eur_per_kwh": 0.45,
    "carbon_g_per_kwh": 860.0,
    "test_h": 1.0,
    "test_kw": 10.0,
    "test_to_h": 24.0,
}


def unit(**changes: Any) -> Generator:
    """Two units of 20 kW that owe a test of an hour at 10 kW."""
    return Generator(**(GIVEN | changes))


@pytest.mark.parametrize(
    "changes",
    [{"units": 0}, {"unit_kw": 0.0}, {"start_s": -1.0}, {"flexible_kw": 41.0}, {"test_kw": 41.0}, {"test_to_h": 0.5}],
)
def test_impossible_parameters_are_refused(changes: dict[str, float]) -> None:
    """No unit, no power, negative times, more power than all units have, a window shorter than the test: refused."""
    with pytest.raises(ValueError, match="generator"):
        unit(**changes)


def test_fuel_and_carbon_by_hand() -> None:
    """10 kWh cost 4.50 EUR and emit 8.6 kg."""
    asset, horizon = unit(), day_horizon(4)
    bill = asset.bill(asset.rule(horizon, np.zeros(4)), horizon.step_h)
    assert bill.cost_eur == pytest.approx(4.5)
    assert bill.carbon_g == pytest.approx(8600.0)


@given(start=st.floats(0, 10), width=st.floats(1, 14), length=st.floats(0.25, 3), minutes=st.sampled_from([15, 30, 60]))
def test_the_rule_tests_once_within_the_window(start: float, width: float, length: float, minutes: int) -> None:
    """One unbroken test as early as slots allow, wholly in its window, or none where no slots fit."""
    horizon = day_horizon(12 * 60 // minutes, minutes)
    asset = unit(test_h=min(length, width), test_from_h=start, test_to_h=start + width)
    slots, starts = asset.test_slots(horizon)
    at = np.flatnonzero(asset.rule(horizon, np.zeros(horizon.slots))["test"])
    if not starts:
        assert not len(at)
        return
    assert at.tolist() == list(range(starts[0], starts[0] + slots))
    assert at[0] * horizon.step_h >= start - 1e-9
    assert (at[-1] + 1) * horizon.step_h <= min(start + width, 12.0) + 1e-9
    assert slots * horizon.step_h >= min(length, width) - 1e-9


def test_what_was_seen_of_the_test_counts() -> None:
    """Before it the window moves with the clock, during it the rest goes on at once, after it none is due."""
    asset = unit(test_from_h=6.0, test_to_h=10.0)
    waits = asset.begun({"hours": 4.0, "tested": 0.0, "test_left_h": 0.0})
    assert (waits.test_from_h, waits.test_to_h, waits.test_h) == (2.0, 6.0, 1.0)
    goes_on = asset.begun({"hours": 7.0, "tested": 1.0, "test_left_h": 0.5})
    assert (goes_on.test_from_h, goes_on.test_to_h, goes_on.test_h) == (0.0, 0.5, 0.5)
    assert asset.begun({"hours": 9.0, "tested": 1.0, "test_left_h": 0.0}).test_h == 0.0
    assert asset.begun({}) is asset
