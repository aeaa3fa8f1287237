"""A network from a file, phase by phase with its sites: against pandapower's flow of three phases."""

from __future__ import annotations

import copy
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grid.errors import PowerFlowError
from grid.horizon import Horizon
from grid.network import ALL_PHASES, Network, load_json_network, load_network
from grid.phase_flow import PhaseFlow, has_three_phases, phase_shares
from tests.grid.nets import village, written
from tests.grid.test_three_phase import feeder

HOUR = Horizon(datetime(2026, 7, 1, tzinfo=UTC), timedelta(minutes=15), 4)
SITE_BUS = 300
"""Row of the bus of the site in these tests, far out on the feeder."""


def feeder_for_files() -> Any:
    """The IEEE European feeder with the column that pandapower 3 wants and its own example lacks."""
    net = feeder()
    net.trafo["tap_dependency_table"] = False
    return net


@pytest.fixture(scope="module")
def net() -> Any:
    """The IEEE European feeder with its single-phase loads, one load of all phases and a panel."""
    import pandapower as pp

    net = feeder_for_files()
    pp.create_load(net, net.bus.index[500], p_mw=0.006, q_mvar=0.001)
    pp.create_sgen(net, net.bus.index[700], p_mw=0.003)
    return net


@pytest.fixture(scope="module")
def network(net: Any, tmp_path_factory: pytest.TempPathFactory) -> Network:
    """The same, written to a file and read."""
    folder = tmp_path_factory.mktemp("feeder")
    return load_json_network(written(net, folder / "feeder.json"), cache=folder)


@pytest.mark.slow
def test_a_network_with_sites_is_solved_as_pandapower_solves_it(net: Any, network: Network) -> None:
    """runpp_3ph agrees within 1e-3 pu at every bus and phase, with 6 kW of a site spread evenly and smaller loads."""
    import pandapower as pp

    other = copy.deepcopy(net)
    other.sgen = other.sgen.iloc[:0]  # stands there as what runpp_3ph is exact with
    pp.create_asymmetric_sgen(other, other.bus.index[700], p_a_mw=0.001, p_b_mw=0.001, p_c_mw=0.001)
    for table in ("asymmetric_load", "load"):
        other[table]["scaling"] *= 0.6
    third = 0.002
    pp.create_asymmetric_load(other, other.bus.index[SITE_BUS], p_a_mw=third, p_b_mw=third, p_c_mw=third)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pp.runpp_3ph(other, numba=False)
    flow = PhaseFlow(network, {"hall": network.bus_names[SITE_BUS]})
    result = flow.flow(HOUR, "2016-07-01T00:00", {"hall": np.full(4, 6.0)}, 0.6)
    expected = other.res_bus_3ph[["vm_a_pu", "vm_b_pu", "vm_c_pu"]].to_numpy()
    assert result.voltage_pu.shape == (4, len(network.bus_names), 3)
    for row in range(4):
        assert result.voltage_pu[row] == pytest.approx(expected, abs=1e-3)
    with pytest.raises(PowerFlowError, match="no net import given for site 'hall'"):
        flow.flow(HOUR, "2016-07-01T00:00", {})


@pytest.mark.slow
def test_a_site_pulls_all_phases_alike(network: Network) -> None:
    """Six more kilowatts of a site lower all three phases at its bus by about the same."""
    flow = PhaseFlow(network, {"hall": network.bus_names[SITE_BUS]})
    powers = {"hall": np.array([0.0, 6.0, 0.0, 6.0])}
    volts = flow.flow(HOUR, "2016-07-01T00:00", powers).voltage_pu[:, SITE_BUS]
    drop = volts[0] - volts[1]
    assert (drop > 1e-4).all()
    assert np.ptp(drop) < 0.1 * drop.mean()
    assert volts[2:] == pytest.approx(volts[:2])


def test_which_networks_describe_three_phases(network: Network, tmp_path: Path) -> None:
    """A feeder with single-phase loads and zero-sequence data does; one without such data, or such loads, does not."""
    import pandapower as pp

    assert has_three_phases(network)
    assert set(network.load_phases) == {0, 1, 2, ALL_PHASES}
    assert not has_three_phases(load_network("1-LV-rural1--0-sw"))
    plain = village(1)
    assert not has_three_phases(load_json_network(written(plain, tmp_path / "plain.json"), cache=tmp_path))
    pp.create_asymmetric_load(plain, 4, p_a_mw=0.003)
    without = load_json_network(written(plain, tmp_path / "single.json"), cache=tmp_path)
    assert list(without.load_phases) == [ALL_PHASES] * len(plain.load) + [0, 1, 2]
    assert not has_three_phases(without)


def test_shares_by_hand() -> None:
    """A load of phase b has all of it there; one of all phases a third in each; every row sums to 1."""
    shares = phase_shares(np.array([1, ALL_PHASES, 0]))
    assert shares.tolist() == [[0.0, 1.0, 0.0], [1 / 3, 1 / 3, 1 / 3], [1.0, 0.0, 0.0]]
