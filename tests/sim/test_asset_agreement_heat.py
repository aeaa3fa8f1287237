"""A plan of heat reuse replays in the simulated world as it was planned."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from grid.assets.heat_reuse import HeatReuse
from grid.series import Series
from tests.factory import day_horizon
from tests.sim.assets_hand import assert_replays, with_assets
from tests.sim.test_asset_agreement_cooling import SUMMER, cooled, outdoor


@settings(max_examples=15, deadline=None)
@given(
    share=st.floats(0.1, 1.0),
    supply_c=st.sampled_from([25.0, 55.0, 75.0]),
    heat_kw=st.floats(0.0, 4.0),
    demand=st.lists(st.floats(0.0, 3.0), min_size=12, max_size=12),
    buffer_kwh=st.sampled_from([0.0, 2.0, 10.0]),
    level=st.floats(0.0, 1.0),
    loss=st.sampled_from([0.0, 0.02, 0.3]),
    heat_eur=st.sampled_from([0.0, 0.03, 0.2]),
    minutes=st.sampled_from([30, 60]),
    warm_c=st.sampled_from([None, 5.0, 18.0, 28.0]),
)
def test_trajectory_replays(
    share: float,
    supply_c: float,
    heat_kw: float,
    demand: list[float],
    buffer_kwh: float,
    level: float,
    loss: float,
    heat_eur: float,
    minutes: int,
    warm_c: float | None,
) -> None:
    """Random heat pumps and buffers: heat in the buffer, flows, cost and objective within 1e-6 of the plan, no broken rule."""
    horizon = day_horizon(12 * 60 // minutes, minutes)
    unit = HeatReuse(
        "heat",
        share,
        30.0,
        supply_c,
        0.5,
        heat_kw,
        Series.on(day_horizon(12), demand, "kW", "test demand"),
        idle_it_kw=0.4,
        buffer_kwh=buffer_kwh,
        initial_kwh=level * buffer_kwh,
        loss_per_h=loss,
        heat_eur_per_kwh=heat_eur,
        running_eur_per_kwh=0.002,
        pumps_kw_per_kw=0.01,
        spared=None
        if warm_c is None
        else outdoor(horizon, warm_c, 4.0).with_values(SUMMER.spared_kw_per_kw(outdoor(horizon, warm_c, 4.0).values)),
    )
    scenario = with_assets(unit, slots=horizon.slots, minutes=minutes)
    scenario = scenario if warm_c is None else cooled(scenario, warm_c, 4.0)
    plan = assert_replays(scenario, {"store_kwh": "store_kwh"})
    delivered = plan.assets[0].series["delivered_kw"]
    assert (delivered <= plan.assets[0].series["demand_kw"] + 1e-9).all()
