"""A biogas unit's plan replays in the simulated world as it was planned."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.assets.biogas import BiogasChp
from tests.sim.assets_hand import assert_replays, with_assets


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(
    power_kw=st.floats(1, 12),
    efficiency=st.floats(0.25, 0.45),
    gas_kw=st.floats(0, 30),
    store_kwh=st.floats(5, 80),
    level=st.floats(0, 1),
    least=st.sampled_from([0.0, 0.4, 1.0]),
    run_h=st.sampled_from([0.0, 1.5, 3.0]),
    start_eur=st.sampled_from([0.0, 0.5]),
    heat_eur=st.sampled_from([0.0, 0.03]),
    minutes=st.sampled_from([30, 60]),
)
def test_trajectory_replays(
    power_kw: float,
    efficiency: float,
    gas_kw: float,
    store_kwh: float,
    level: float,
    least: float,
    run_h: float,
    start_eur: float,
    heat_eur: float,
    minutes: int,
) -> None:
    """Random units: output, gas in the store, flows, cost and objective within 1e-6 of the plan, and no broken rule."""
    unit = BiogasChp(
        "digester",
        power_kw,
        efficiency,
        0.4,
        gas_kw,
        store_kwh,
        lowest_kwh=0.1 * store_kwh,
        initial_kwh=(0.1 + 0.9 * level) * store_kwh,
        minimum_load=least,
        minimum_run_h=run_h,
        start_eur=start_eur,
        running_eur_per_kwh=0.02,
        heat_eur_per_kwh=heat_eur,
    )
    assert_replays(with_assets(unit, minutes=minutes), {"store_kwh": "store_kwh"})
