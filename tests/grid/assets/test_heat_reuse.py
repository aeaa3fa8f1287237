"""Heat reuse: its physics by hand, what they keep, its rule, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.assets.heat_reuse import HeatReuse, slot_minimum
from grid.errors import SeriesError
from grid.series import Series
from tests.factory import day_horizon

DAY = day_horizon()


def unit(**changes: Any) -> HeatReuse:
    """Half of the IT power as heat of 30 degC, raised to 70 degC at half of Carnot (COP 4.289), 5 kW demanded all day."""
    given: dict[str, Any] = {
        "name": "heat",
        "share": 0.5,
        "source_c": 30.0,
        "supply_c": 70.0,
        "carnot_share": 0.5,
        "heat_kw": 8.0,
        "demand_kw": Series.constant(5.0, DAY, "kW", "test"),
        "idle_it_kw": 4.0,
        "buffer_kwh": 10.0,
        "initial_kwh": 5.0,
    }
    return HeatReuse(**(given | changes))


def test_one_hour_by_hand() -> None:
    """6 kW made take 6 / 4.289 kW of electricity and the rest from the IT; 5 are delivered, so 1 kWh more is in the buffer."""
    heat = unit(loss_per_h=0.0, pumps_kw_per_kw=0.01, spared=Series.constant(0.2, DAY, "1", "test"))
    horizon = day_horizon(1)
    series = heat.trajectory({"made_kw": np.array([6.0]), "delivered_kw": np.array([5.0])}, horizon, np.array([20.0]))
    power = 6.0 / 4.289375
    assert series["store_kwh"] == pytest.approx([6.0])
    assert series["source_kw"] == pytest.approx([6.0 - power])
    assert series["power_kw"] == pytest.approx([power + 0.06])
    assert heat.draw_kw(series) == pytest.approx([power + 0.06 - 0.2 * (6.0 - power)])
    account = heat.account(series, 1.0)
    assert (account.delivered_kwh, account.electricity_kwh) == pytest.approx((5.0, power + 0.06))


def test_loss_is_exact_whatever_the_step() -> None:
    """10 % an hour: after four quarters of an hour as after one hour; 5 kWh alone become 4.5."""
    heat = unit(loss_per_h=0.1)
    for slots, minutes in ((1, 60), (4, 15)):
        nothing = {"made_kw": np.zeros(slots), "delivered_kw": np.zeros(slots)}
        series = heat.trajectory(nothing, day_horizon(slots, minutes), np.zeros(slots))
        assert series["store_kwh"][-1] == pytest.approx(4.5)
        flowing = {"made_kw": np.full(slots, 3.0), "delivered_kw": np.full(slots, 2.0)}
        series = heat.trajectory(flowing, day_horizon(slots, minutes), np.full(slots, 20.0))
        assert series["store_kwh"][-1] == pytest.approx(4.5 + 0.1 / -np.log(0.9))


def test_no_more_heat_than_the_it_gives() -> None:
    """4 kW of idle nodes and 2 kW of jobs give 3 kW of heat, from which 3 / (1 - 1 / COP) are made, not the 8 asked for."""
    series = unit().trajectory({"made_kw": np.array([8.0]), "delivered_kw": np.array([0.0])}, day_horizon(1), np.array([2.0]))
    assert series["made_kw"] == pytest.approx([3.0 / (1.0 - 1.0 / 4.289375)])
    assert series["source_kw"] == pytest.approx([3.0])


def test_warm_water_needs_no_heat_pump() -> None:
    """Heat of 70 degC for a network of 60: no electricity, all heat from the IT."""
    heat = unit(source_c=70.0, supply_c=60.0)
    series = heat.trajectory({"made_kw": np.array([3.0]), "delivered_kw": np.array([3.0])}, day_horizon(1), np.array([20.0]))
    assert (series["power_kw"][0], series["source_kw"][0]) == (0.0, 3.0)


def test_heat_earns_only_where_it_is_demanded() -> None:
    """Asked to deliver 9 kW where 5 are demanded: 5 kWh at 0.08 EUR and 0.1 EUR a kg, and upkeep of what was made."""
    heat = unit(heat_eur_per_kwh=0.08, avoided_eur_per_kg=0.1, running_eur_per_kwh=0.01)
    series = heat.trajectory({"made_kw": np.array([6.0]), "delivered_kw": np.array([9.0])}, day_horizon(1), np.array([20.0]))
    bill = heat.bill(series, 1.0)
    assert bill.cost_eur == pytest.approx(0.06 - 5.0 * (0.08 + 0.1 * 1.68 / 7.9125))
    assert bill.carbon_g == 0.0
    nobody = unit(demand_kw=Series.constant(0.0, DAY, "kW", "test"), heat_eur_per_kwh=0.08)
    series = nobody.trajectory({"made_kw": np.array([6.0]), "delivered_kw": np.array([9.0])}, day_horizon(1), np.array([20.0]))
    assert nobody.bill(series, 1.0).cost_eur == 0.0


def test_demand_of_a_slot_is_its_lowest() -> None:
    """Quarters of 4, 2, 7 and 5 kW in an hour: 2 kW can be delivered all the time."""
    quarters = Series.on(day_horizon(8, 15), [4.0, 2.0, 7.0, 5.0, 3.0, 3.0, 3.0, 6.0], "kW", "test")
    assert slot_minimum(quarters, day_horizon(2)).tolist() == [2.0, 3.0]
    assert slot_minimum(Series.constant(5.0, DAY, "kW", "test"), day_horizon(3, 20)).tolist() == [5.0] * 3
    with pytest.raises(SeriesError, match="covers"):
        slot_minimum(quarters, day_horizon(3))


asked = st.lists(st.tuples(st.floats(-2, 12), st.floats(-2, 12), st.floats(0, 20)), min_size=1, max_size=12)


@given(asked=asked, initial=st.floats(0, 10), loss=st.sampled_from([0.0, 0.05]), minutes=st.sampled_from([15, 60]))
def test_whatever_is_asked_for_the_physics_hold(
    asked: list[tuple[float, float, float]], initial: float, loss: float, minutes: int
) -> None:
    """Heat is neither lost nor won but for the buffer's loss; no limit of IT, demand, heat pump and buffer is broken."""
    heat, horizon = unit(initial_kwh=initial, loss_per_h=loss), day_horizon(len(asked), minutes)
    made, delivered, it_kw = (np.array(column) for column in zip(*asked, strict=True))
    series = heat.trajectory({"made_kw": made, "delivered_kw": delivered}, horizon, it_kw)
    kept, counted = heat.kept(horizon.step_h)
    before = np.concatenate(([initial], series["store_kwh"][:-1]))
    change = kept * before + counted * (series["made_kw"] - series["delivered_kw"])
    assert series["store_kwh"] == pytest.approx(change, abs=1e-9)
    assert (series["source_kw"] <= 0.5 * (4.0 + it_kw) + 1e-9).all()
    assert series["made_kw"].max() <= 8.0
    assert series["delivered_kw"].max() <= 5.0
    for name in ("made_kw", "delivered_kw", "store_kwh"):
        assert series[name].min() >= 0.0
    assert series["store_kwh"].max() <= 10.0


@given(
    demand=st.lists(st.floats(0, 12), min_size=24, max_size=24),
    it_kw=st.floats(0, 20),
    initial=st.floats(0, 10),
    loss=st.sampled_from([0.0, 0.05, 0.5]),
    minutes=st.sampled_from([15, 30, 60]),
)
def test_the_rule_leaves_the_heat_of_the_start(
    demand: list[float], it_kw: float, initial: float, loss: float, minutes: int
) -> None:
    """The rule delivers no more than is demanded, and leaves at the end what must be left."""
    heat = unit(demand_kw=Series.on(DAY, demand, "kW", "test"), initial_kwh=initial, loss_per_h=loss)
    horizon = day_horizon(24 * 60 // minutes, minutes)
    series = heat.rule(horizon, np.full(horizon.slots, it_kw))
    assert (series["delivered_kw"] <= series["demand_kw"]).all()
    assert series["store_kwh"][-1] >= heat.left_at_end_kwh(horizon) - 1e-9


def test_begun_keeps_what_must_be_left() -> None:
    """Observed with 2 kWh: it goes on from there, and 5 kWh are still to be left; nothing observed changes nothing."""
    heat = unit()
    later = heat.begun({"store_kwh": 2.0})
    assert (later.initial_kwh, later.final_kwh, later.left_at_end_kwh(DAY)) == (2.0, 5.0, 5.0)
    assert heat.begun({}) is heat
    assert heat.begun({"store_kwh": 99.0}).initial_kwh == 10.0


@pytest.mark.parametrize(
    "changes",
    [
        {"share": 0.0},
        {"share": 1.1},
        {"carnot_share": 0.0},
        {"loss_per_h": 1.0},
        {"initial_kwh": 11.0},
        {"initial_kwh": -1.0},
        {"heat_kw": -1.0},
        {"heat_eur_per_kwh": -0.1},
        {"demand_kw": Series.constant(-1.0, DAY, "kW", "test")},
    ],
)
def test_impossible_parameters_are_refused(changes: dict[str, Any]) -> None:
    """More heat than power, a better heat pump than Carnot's, an overfull buffer, negative heat or demand: no such reuse."""
    with pytest.raises(ValueError, match="heat"):
        unit(**changes)
