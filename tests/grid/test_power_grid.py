"""The second engine: it says what pandapower says, and a misread element is found and named."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid import power_grid
from grid.engine_check import check_engines, extreme_states
from grid.errors import NetworkError, PowerFlowError
from grid.network import Network
from grid.network_build import _bare
from grid.network_faults import named
from grid.power_grid import PowerGrid
from tests.grid.nets import village
from tests.grid.test_network import DAY, START


def loaded(seed: int) -> tuple[Any, Any]:
    """A village with a load at every bus and nothing else, and three states of it."""
    net = village(seed)
    named(net)
    rng = np.random.default_rng(seed)
    injection = np.zeros((3, len(net.bus)), dtype=np.complex128)
    injection[1:] = rng.uniform(-0.02, 0.01, (2, len(net.bus))) + 1j * rng.uniform(-0.005, 0.002, (2, len(net.bus)))
    return _bare(net), injection


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_both_engines_read_any_village_alike(seed: int) -> None:
    """Taps on either side, shifts, parallel cables, switches: voltages to 1e-5 pu and loadings to 0.01 points, or an error."""
    check_engines("village", *loaded(seed))


def test_the_year_of_simbench(network: Network) -> None:
    """A day of SimBench's suburb: Newton and the iterative method within 1e-8 pu of ours, the linear one within 1e-3."""
    grid = PowerGrid(network.pandapower_net)
    injection = network.injection_mva(*network.households_kw(DAY, START), {}, {})
    ours = network.power_flow(DAY, START, {}, {}, confirm=0)
    for method, within in (("newton_raphson", 1e-8), ("iterative_current", 1e-8), ("linear", 1e-3)):
        voltage, line, transformer = grid.flow(injection, method=method)
        assert voltage == pytest.approx(ours.voltage_pu, abs=within)
        assert line == pytest.approx(ours.line_loading_pct, abs=1e4 * within)
        assert transformer == pytest.approx(ours.transformer_loading_pct, abs=1e4 * within)


def test_a_misread_line_is_found_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the converter reads one line with twice its resistance, loading refuses and names an element and both values."""
    read = power_grid._lines

    def misread(*arguments: Any) -> Any:
        lines = read(*arguments)
        lines["r1"][2] *= 2
        return lines

    monkeypatch.setattr(power_grid, "_lines", misread)
    with pytest.raises(PowerFlowError, match=r"pandapower and power-grid-model differ at bus 'cabinet \d'"):
        check_engines("village", *loaded(0))


def test_a_misread_rating_is_found_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Voltages agree, but a line's rating is read wrong: the line is named."""
    convert = power_grid.convert

    def misread(net: Any, **options: Any) -> Any:
        found = convert(net, **options)
        found.line_a[1] *= 1.1
        return found

    monkeypatch.setattr(power_grid, "convert", misread)
    with pytest.raises(PowerFlowError, match="differ at line 'L1'"):
        check_engines("village", *loaded(3))


def test_transformers_that_cannot_be_handed_over_are_named() -> None:
    """A shift of 17 degrees and a phase shifter."""
    net, injection = loaded(0)
    net.trafo["shift_degree"] = 17.0
    net.trafo["tap_step_degree"] = 1.0
    with pytest.raises(NetworkError) as caught:
        check_engines("village", net, injection)
    assert [fault.element for fault in caught.value.faults] == ["trafo 'T1'", "trafo 'T1'"]


def test_a_slot_without_solution_is_an_error_with_its_number() -> None:
    """Three slots, the second of them beyond what the cables can carry."""
    net, injection = loaded(0)
    injection[1] -= 20.0
    with pytest.raises(PowerFlowError, match="no power flow for slot 1") as caught:
        PowerGrid(net).flow(injection)
    assert caught.value.slot == 1


def test_extreme_states_are_those_of_the_year() -> None:
    """Nothing; the slot of most load with its own generation; the slot of most generation with its own load."""
    load, sun = np.array([[1.0], [3.0], [2.0]]), np.array([[5.0], [0.0], [1.0]])
    states = extreme_states(2, (np.array([0]), load, 0.1 * load), (np.array([1]), sun))
    assert states == pytest.approx(np.array([[0, 0], [-3 - 0.3j, 0], [-1 - 0.1j, 5]]))


def test_a_third_opinion(network: Network) -> None:
    """lightsim2grid, where it is installed, finds the same voltages in some slots of the day (1e-6 pu)."""
    lightsim = pytest.importorskip("lightsim2grid.gridmodel")
    net = network.pandapower_net
    injection = network.injection_mva(*network.households_kw(DAY, START), {}, {})
    ours = network.power_flow(DAY, START, {}, {}, confirm=0)
    check_engines("suburb", net, injection[:1])
    assert net.switch["closed"].all()  # lightsim2grid leaves switches out and says so
    for column in ("min_p_mw", "max_p_mw", "min_q_mvar", "max_q_mvar"):
        if column in net.load:
            net.load[column] = net.load[column].astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = lightsim.init_from_pandapower(net)
    for slot in (0, 40, 80):
        for bus, power in enumerate(injection[slot]):
            model.change_p_load(bus, -power.real)
            model.change_q_load(bus, -power.imag)
        start = model.dc_pf(np.ones(len(net.bus), dtype=np.complex128), 1, 1e-8)
        voltage = model.ac_pf(start, 20, 1e-10)
        assert len(voltage), "no solution"
        assert np.abs(voltage)[: len(net.bus)] == pytest.approx(ours.voltage_pu[slot], abs=1e-6)
