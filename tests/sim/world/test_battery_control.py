"""Local energy management: what the battery does at an instant, case by case, and the plan's intent behind it."""

from __future__ import annotations

import numpy as np
import pytest

from grid.assets.battery import Battery
from scheduler.plan import BatteryControl
from sim.world.battery_control import Instant, Intent, battery_power, intents
from tests.factory import small_scenario
from tests.sim.hand import hand_plan

BATTERY = Battery(10.0, 5.0, 4.0, 0.95, 0.95, 5.0, 1.0, 0.02)
FAR = 1000.0
FOLLOW, SELF = BatteryControl.FOLLOW_PLAN, BatteryControl.SELF_CONSUMPTION


def intent(**changes: float) -> Intent:
    """A slot in which the plan leaves the battery alone at 5 kWh."""
    values: dict[str, float] = {
        "charge_kw": 0.0,
        "discharge_kw": 0.0,
        "from_grid_kw": 0.0,
        "to_grid_kw": 0.0,
        "load_kw": 1.0,
        "used_kw": 0.0,
        "curtailed_kw": 0.0,
        "net_kw": 0.0,
        "export_kw": 0.0,
        "leaves_unused": 0.0,
        "buys_back": 0.0,
        "wait_kwh": 0.0,
        "floor_kwh": 1.0,
        "start_s": 0.0,
        "start_kwh": 5.0,
        "rate_kw": 0.0,
    }
    return Intent(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("control", "load_kw", "sun_kw", "soc_kwh", "limit_kw", "room_kw", "plan", "expected_kw"),
    [
        # self-consumption
        (SELF, 1.0, 3.0, 5.0, FAR, FAR, {}, 2.0),  # charges the surplus
        (SELF, 1.0, 9.0, 5.0, FAR, FAR, {}, 5.0),  # no more than the terminal takes
        (SELF, 3.0, 1.0, 5.0, FAR, FAR, {}, -2.0),  # discharges into the deficit
        (SELF, 9.0, 1.0, 5.0, FAR, FAR, {}, -4.0),  # no more than the terminal gives
        (SELF, 3.0, 1.0, 1.0, FAR, FAR, {}, 0.0),  # never below the reserve
        (SELF, 1.0, 3.0, 10.0, FAR, FAR, {}, 0.0),  # full
        # charging by plan
        (FOLLOW, 1.0, 3.0, 5.0, FAR, FAR, {"charge_kw": 2.0}, 2.0),  # sun as planned
        (FOLLOW, 1.0, 1.5, 5.0, FAR, FAR, {"charge_kw": 2.0}, 0.5),  # less sun: does not buy what was to come from the sun
        (FOLLOW, 1.0, 0.0, 5.0, FAR, FAR, {"charge_kw": 2.0, "from_grid_kw": 1.5}, 1.5),  # buys what the plan meant to buy
        (FOLLOW, 1.0, 0.0, 6.0, FAR, FAR, {"charge_kw": 2.0, "from_grid_kw": 1.5}, 0.0),  # ahead of plan: buys nothing
        (FOLLOW, 1.0, 0.0, 5.0, 1.2, FAR, {"charge_kw": 2.0, "from_grid_kw": 1.5}, 0.2),  # no further than the import limit
        # discharging by plan
        (FOLLOW, 2.0, 0.0, 5.0, FAR, FAR, {"discharge_kw": 1.5}, -1.5),
        (FOLLOW, 1.0, 0.0, 5.0, FAR, FAR, {"discharge_kw": 1.5}, -1.0),  # less load than planned: does not export it
        (FOLLOW, 1.0, 2.5, 5.0, FAR, 2.0, {"discharge_kw": 0.5, "to_grid_kw": 0.5}, -0.5),  # exports beside the sun
        (FOLLOW, 1.0, 5.0, 5.0, FAR, 2.0, {"discharge_kw": 0.5, "to_grid_kw": 0.5}, 2.0),  # more sun than goes out: takes it in
        (FOLLOW, 1.0, 0.0, 5.0, FAR, FAR, {"discharge_kw": 1.5, "to_grid_kw": 0.5}, -1.5),  # unless the plan meant to
        (FOLLOW, 1.0, 0.0, 5.0, FAR, 0.0, {"discharge_kw": 1.5, "to_grid_kw": 0.5}, -1.0),  # and the grid takes it
        (FOLLOW, 2.0, 0.0, 4.0, FAR, FAR, {"discharge_kw": 1.5, "floor_kwh": 4.0}, 0.0),  # fell behind: keeps what must be left
        # surplus that nobody planned
        (FOLLOW, 1.0, 4.0, 5.0, FAR, 1.0, {}, 2.0),  # what the grid refuses is charged
        (FOLLOW, 1.0, 4.0, 5.0, FAR, FAR, {"export_kw": 1.0}, 0.0),  # exported when it is worth no more later
        (FOLLOW, 1.0, 4.0, 5.0, FAR, FAR, {"export_kw": 1.0, "buys_back": 1.0}, 2.0),  # kept beyond the planned export when it is
        # surplus that the plan leaves alone: 2 kW of 4 kW, load 1 kW and export 1 kW
        (FOLLOW, 1.0, 4.0, 5.0, FAR, 1.0, {"used_kw": 2.0, "curtailed_kw": 2.0, "export_kw": 1.0}, 0.0),
        (FOLLOW, 1.0, 5.0, 5.0, FAR, 1.0, {"used_kw": 2.0, "curtailed_kw": 2.0, "export_kw": 1.0}, 1.0),  # more sun: only that
        (FOLLOW, 1.0, 4.0, 4.0, FAR, 1.0, {"used_kw": 2.0, "curtailed_kw": 2.0, "export_kw": 1.0}, 2.0),  # behind plan: takes it
        # energy ahead of the plan
        (FOLLOW, 2.0, 0.0, 6.0, FAR, FAR, {}, -2.0),  # given back into the deficit
        (FOLLOW, 2.0, 0.0, 6.0, FAR, FAR, {"wait_kwh": 3.0}, 0.0),  # dearer slots can still take it
        # limits in force
        (FOLLOW, 3.0, 0.0, 5.0, 2.0, FAR, {}, -1.0),  # helps to keep the limit
        (FOLLOW, 3.0, 0.0, 4.0, 2.0, FAR, {"floor_kwh": 4.0}, -1.0),  # also below the floor
        (FOLLOW, 3.0, 0.0, 1.0, 2.0, FAR, {}, 0.0),  # but not below the reserve
        (FOLLOW, 3.0, 0.0, 5.0, -2.0, 1.0, {}, -4.0),  # an event asks for export: as much as terminal and grid take
        (FOLLOW, 1.0, 0.0, 5.0, -2.0, 1.0, {}, -2.0),  # here 1 kW of load and 1 kW that the grid takes
    ],
)
def test_battery_power(
    control: BatteryControl,
    load_kw: float,
    sun_kw: float,
    soc_kwh: float,
    limit_kw: float,
    room_kw: float,
    plan: dict[str, float],
    expected_kw: float,
) -> None:
    """Battery power (charging positive) in each case."""
    now = Instant(load_kw, sun_kw, limit_kw, room_kw)
    setting = battery_power(BATTERY, control, soc_kwh, now, intent(**plan) if control is FOLLOW else None, 0.0)
    assert setting.power_kw == pytest.approx(expected_kw)


def test_intents_split_planned_power() -> None:
    """Charging above the planned surplus is meant to be bought, discharging above the planned deficit to be sold."""
    scenario = small_scenario()
    power = np.zeros(24)
    power[2], power[20] = 1.0, -2.0  # at night: all of the charge is bought, the discharge exceeds the idle load of 0.34 kW
    power[12] = 1.0  # at noon: 6 kW of sun
    plan = hand_plan(scenario, battery_kw={"cabinet": power})
    found = intents(scenario.site("cabinet"), plan, scenario.horizon.start_s)
    assert found[2].from_grid_kw == pytest.approx(1.0)
    assert found[12].from_grid_kw == 0.0
    assert found[20].to_grid_kw == pytest.approx(2.0 - 0.34)
    assert found[12].start_kwh == pytest.approx(5.0 + 0.95)
    assert found[12].planned_kwh(12.5 * 3600) == pytest.approx(5.0 + 0.95 * 1.5)
    end = 5.0 + 2 * 0.95 - 2 / 0.95
    assert found[23].floor_kwh == pytest.approx(end)
    assert found[0].floor_kwh == pytest.approx(max(1.0, end - 2 * 0.95))  # later charging restores 1.9 kWh
    assert found[0].buys_back
    assert not found[23].buys_back  # nothing is bought after the last slot
    assert {(item.charge_kw, item.discharge_kw) for item in intents(scenario.site("hall"), plan, 0.0)} == {(0.0, 0.0)}
