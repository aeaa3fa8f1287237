"""Three phases at the cabinets: against pandapower's own flow of three phases, symmetry, and the rules of EN 50160."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.errors import NetworkError, PowerFlowError
from grid.three_phase import ThreePhaseGrid, phase_faults, phase_loads


def feeder() -> Any:
    """The IEEE European low-voltage feeder, 907 buses and 55 single-phase loads, as pandapower ships it."""
    import highspy  # noqa: F401 - before pandapower, see grid.network
    from pandapower.networks import ieee_european_lv_asymmetric

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ieee_european_lv_asymmetric("on_peak_566")


@pytest.fixture(scope="module")
def net() -> Any:
    """The feeder, made once."""
    return feeder()


@pytest.fixture(scope="module")
def grid(net: Any) -> ThreePhaseGrid:
    """The feeder with its own loads."""
    return ThreePhaseGrid(net, phase_loads(net)[0])


@pytest.mark.parametrize("factor", [0.5, 1.0])
def test_voltages_of_each_phase_are_those_of_pandapower(net: Any, grid: ThreePhaseGrid, factor: float) -> None:
    """runpp_3ph agrees within 1e-3 pu at every bus and phase, 0.01 points of unbalance, 0.05 points of loading."""
    import copy

    import pandapower as pp

    other = copy.deepcopy(net)
    other.asymmetric_load["scaling"] *= factor
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pp.runpp_3ph(other, numba=False)
    result = grid.flow(factor * phase_loads(net)[1][None])
    expected = other.res_bus_3ph[["vm_a_pu", "vm_b_pu", "vm_c_pu"]].to_numpy()
    assert result.voltage_pu[0] == pytest.approx(expected, abs=1e-3)
    assert result.unbalance_pct[0] == pytest.approx(other.res_bus_3ph["unbalance_percent"].to_numpy(), abs=0.01)
    assert result.line_loading_pct[0] == pytest.approx(other.res_line_3ph["loading_percent"].to_numpy(), abs=0.05)
    assert result.transformer_loading_pct[0] == pytest.approx(other.res_trafo_3ph["loading_percent"].to_numpy(), abs=0.05)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.floats(0.0, 2.0))
def test_the_phases_have_no_names(net: Any, grid: ThreePhaseGrid, seed: int, factor: float) -> None:
    """Every load moved on by one phase moves every voltage on by one phase; magnitudes of unbalance and loading stay."""
    loads = phase_loads(net)[1]
    mixed = factor * loads[np.random.default_rng(seed).permutation(len(loads))]
    one, moved = grid.flow(mixed[None]), grid.flow(np.roll(mixed, 1, axis=1)[None])
    assert moved.voltage_pu == pytest.approx(np.roll(one.voltage_pu, 1, axis=2), abs=1e-7)
    assert moved.unbalance_pct == pytest.approx(one.unbalance_pct, abs=1e-5)
    assert moved.line_loading_pct == pytest.approx(one.line_loading_pct, abs=1e-3)


def test_equal_phases_are_balanced(net: Any, grid: ThreePhaseGrid) -> None:
    """Loads spread evenly leave no negative sequence, and the same voltage in each phase."""
    even = np.repeat(phase_loads(net)[1].sum(axis=1, keepdims=True) / 3, 3, axis=1)
    result = grid.flow(even[None])
    assert result.unbalance_pct.max() < 1e-6
    assert np.ptp(result.voltage_pu, axis=2).max() < 1e-9
    assert phase_faults(result) == []


def test_a_single_phase_pulls_its_own_voltage_down(net: Any, grid: ThreePhaseGrid) -> None:
    """A kilowatt more in phase b of one load lowers the voltage of b there, and the flow names no fault yet."""
    buses, loads = phase_loads(net)
    more = loads.copy()
    more[10, 1] += 1e-3
    before, after = grid.flow(loads[None]), grid.flow(more[None])
    assert after.voltage_pu[0, buses[10], 1] < before.voltage_pu[0, buses[10], 1] - 1e-4
    assert phase_faults(after) == []


def test_every_broken_rule_names_element_and_slot(net: Any, grid: ThreePhaseGrid) -> None:
    """Three slots, the last with six times the load: voltages, unbalance, lines and transformer are all told, with slot 2."""
    loads = phase_loads(net)[1]
    faults = phase_faults(grid.flow(np.array([1.0, 1.0, 6.0])[:, None, None] * loads))
    assert {fault.rule for fault in faults} == {
        "voltage_band",
        "voltage_limit",
        "unbalance",
        "line_loading",
        "transformer_loading",
    }
    assert {fault.slot for fault in faults} == {2}
    low, high = (fault for fault in faults if fault.rule == "voltage_limit")
    assert low.value < low.limit
    assert high.value > high.limit
    assert any(fault.element.endswith("phase a") for fault in faults)


def test_one_slot_in_a_hundred_may_leave_the_usual_band(net: Any, grid: ThreePhaseGrid) -> None:
    """Of 100 means one at 0.88 pu is inside the 95 % rule; of ten it is not."""
    loads = phase_loads(net)[1]
    result = grid.flow(np.repeat(loads[None], 100, axis=0))
    result.voltage_pu[7, 3, 2] = 0.88
    assert phase_faults(result) == []
    few = grid.flow(np.repeat(loads[None], 10, axis=0))
    few.voltage_pu[7, 3, 2] = 0.88
    (fault,) = phase_faults(few)
    assert (fault.rule, fault.slot, fault.element) == ("voltage_band", 7, f"{few.bus_names[3]} phase c")


def test_what_cannot_be_solved_is_refused(net: Any, grid: ThreePhaseGrid) -> None:
    """A thousand times the load: an error with slot and bus; wrong shapes and numbers: an error; a faulty net: all its faults."""
    loads = phase_loads(net)[1]
    with pytest.raises(PowerFlowError, match="slot 1: no power flow of three phases") as caught:
        grid.flow(np.array([1.0, 1000.0])[:, None, None] * loads)
    assert caught.value.slot == 1
    assert caught.value.bus in {str(name) for name in net.bus["name"]}
    for wrong in (loads, loads[None, :-1], np.full((1, *loads.shape), np.nan)):
        with pytest.raises(PowerFlowError, match="must be finite"):
            grid.flow(wrong)
    bare = feeder()
    bare.line = bare.line.drop(columns="r0_ohm_per_km")
    with pytest.raises(PowerFlowError, match="r0_ohm_per_km not given"):
        ThreePhaseGrid(bare, phase_loads(bare)[0])
    broken = feeder()
    broken.line.loc[0, "length_km"] = 0.0
    with pytest.raises(NetworkError, match="impedance of 0 ohm"):
        ThreePhaseGrid(broken, phase_loads(broken)[0])
