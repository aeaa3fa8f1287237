"""The plan of emergency generators replays in the simulated world as it was planned."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.assets.generator import Generator
from tests.sim.assets_hand import assert_replays, with_assets


@settings(max_examples=10, deadline=None)
@given(
    start_h=st.floats(0, 4),
    width_h=st.floats(2, 8),
    length_h=st.sampled_from([0.0, 0.5, 1.5]),
    test_kw=st.floats(0, 10),
    flexible_kw=st.sampled_from([0.0, 4.0]),
    fuel=st.sampled_from([0.05, 0.45]),
    minutes=st.sampled_from([30, 60]),
)
def test_trajectory_replays(
    start_h: float, width_h: float, length_h: float, test_kw: float, flexible_kw: float, fuel: float, minutes: int
) -> None:
    """Random sets of generators: flows, fuel, carbon and objective within 1e-6 of the plan, no rule broken, one whole test."""
    unit = Generator(
        "emergency",
        2,
        10.0,
        60.0,
        fuel,
        860.0,
        flexible_kw=flexible_kw,
        test_h=length_h,
        test_kw=test_kw,
        test_from_h=start_h,
        test_to_h=start_h + width_h,
    )
    plan = assert_replays(with_assets(unit, slots=12 * 60 // minutes, minutes=minutes), {})
    slots, starts = unit.test_slots(plan.horizon)
    assert np.count_nonzero(plan.assets[0].series["test"]) == (slots if starts else 0)
    if not flexible_kw:
        assert (plan.assets[0].series["power_kw"][plan.assets[0].series["test"] < 0.5] == 0.0).all()
