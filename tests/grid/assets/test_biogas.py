"""The biogas unit: its physics keep gas, its rule keeps every limit, impossible parameters are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.assets.biogas import BiogasChp
from tests.factory import day_horizon

GIVEN: dict[str, Any] = {
    "name": "digester",
    "power_kw": 10.0,
    "electrical_efficiency": 0.4,
    "thermal_efficiency": 0.5,
    "gas_kw": 10.0,
    "store_kwh": 60.0,
    "initial_kwh": 30.0,
}


def unit(**changes: Any) -> BiogasChp:
    """A unit that empties its store when it runs (25 kW of gas at full power, 10 kW come in)."""
    return BiogasChp(**(GIVEN | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"power_kw": 0.0},
        {"electrical_efficiency": 1.1},
        {"electrical_efficiency": 0.6, "thermal_efficiency": 0.5},
        {"store_kwh": -1.0},
        {"lowest_kwh": 40.0},
        {"gas_kw": -1.0},
        {"minimum_load": 1.5},
        {"start_eur": -1.0},
    ],
)
def test_impossible_parameters_are_refused(changes: dict[str, float]) -> None:
    """More out than in, a negative store, gas, load or price: no such unit."""
    with pytest.raises(ValueError, match="biogas"):
        unit(**changes)


def test_one_hour_by_hand() -> None:
    """4 kW at 40 % burn as much as comes in, 10 kW burn 15 kWh of store, nothing fills it until the flare takes 20 kWh."""
    power = np.array([4.0, 10.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    series = unit().trajectory({"power_kw": power}, day_horizon(7), np.zeros(7))
    assert series["store_kwh"] == pytest.approx([30, 15, 25, 35, 45, 55, 60])
    assert series["flared_kw"] == pytest.approx([0, 0, 0, 0, 0, 0, 5])
    assert series["heat_kw"] == pytest.approx(power / 0.4 * 0.5)


def test_bill_counts_starts_upkeep_and_heat() -> None:
    """Two starts at 3 EUR, 30 kWh at 0.1 EUR, 37.5 kWh of heat at 0.2 EUR; no carbon, but 85 kWh of gas declared at 200 g."""
    asset = unit(start_eur=3.0, running_eur_per_kwh=0.1, heat_eur_per_kwh=0.2, biogenic_g_per_kwh=200.0, store_kwh=90.0)
    power = np.array([10.0, 0.0, 10.0, 10.0])
    series = asset.trajectory({"power_kw": power}, day_horizon(4), np.zeros(4))
    bill = asset.bill(series, 1.0)
    burnt = float(series["power_kw"].sum()) / 0.4
    assert bill.cost_eur == pytest.approx(2 * 3.0 + 0.1 * 0.4 * burnt - 0.2 * 0.5 * burnt)
    assert bill.carbon_g == 0.0
    assert asset.biogenic_kg(series, 1.0) == pytest.approx(0.2 * burnt)
    assert unit(start_eur=3.0, initially_on=True).bill({**series, "heat_kw": np.zeros(4)}, 1.0).cost_eur == pytest.approx(3.0)


@given(
    power=st.lists(st.floats(-5, 20), min_size=1, max_size=12),
    gas_kw=st.floats(0, 40),
    initial=st.floats(5, 60),
    minutes=st.sampled_from([15, 60]),
)
def test_no_gas_is_lost(power: list[float], gas_kw: float, initial: float, minutes: int) -> None:
    """Whatever is asked for: what came in is burnt, flared or in the store, which stays within its bounds."""
    asset, horizon = unit(gas_kw=gas_kw, initial_kwh=initial, lowest_kwh=5.0), day_horizon(len(power), minutes)
    series = asset.trajectory({"power_kw": np.array(power)}, horizon, np.zeros(len(power)))
    used = (series["power_kw"] / 0.4 + series["flared_kw"]).sum() * horizon.step_h
    assert used + series["store_kwh"][-1] == pytest.approx(initial + gas_kw * len(power) * horizon.step_h, abs=1e-6)
    assert series["store_kwh"].min() >= 5.0
    assert series["store_kwh"].max() <= 60.0
    assert (series["power_kw"] >= 0).all()
    assert (series["power_kw"] <= 10.0).all()


@given(
    gas_kw=st.floats(0, 40),
    initial=st.floats(5, 60),
    least_h=st.floats(0, 4),
    slots=st.integers(1, 24),
    minutes=st.sampled_from([15, 30, 60]),
)
def test_the_rule_runs_long_enough_at_full_power_and_leaves_the_gas(
    gas_kw: float, initial: float, least_h: float, slots: int, minutes: int
) -> None:
    """The rule gives full power or none, runs its least time, and at the end the gas of the start is there again."""
    asset, horizon = unit(gas_kw=gas_kw, initial_kwh=initial, lowest_kwh=5.0, minimum_run_h=least_h), day_horizon(slots, minutes)
    series = asset.rule(horizon, np.zeros(slots))
    assert set(np.unique(series["power_kw"])) <= {0.0, 10.0}
    assert series["store_kwh"][-1] >= asset.left_at_end_kwh(slots * horizon.step_h) - 1e-9
    on = np.concatenate(([0], series["on"], [0]))
    begins, ends = np.flatnonzero(np.diff(on) > 0), np.flatnonzero(np.diff(on) < 0)
    assert all(end - begin >= least_h / horizon.step_h - 1e-9 or end == slots for begin, end in zip(begins, ends, strict=True))
