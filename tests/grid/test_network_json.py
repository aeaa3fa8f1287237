"""Networks from pandapower files: what they hold, and every fault of one at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grid.errors import NetworkError, PowerFlowError
from grid.horizon import Horizon
from grid.network import load_json_network
from tests.grid.nets import village, written

HOUR = Horizon(datetime(2026, 7, 1, tzinfo=UTC), timedelta(minutes=15), 4)


def faults(net: Any, tmp_path: Path) -> list[str]:
    """What loading the net complains of."""
    with pytest.raises(NetworkError) as caught:
        load_json_network(written(net, tmp_path / "net.json"), cache=tmp_path)
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize("seed", range(4))
def test_a_file_is_solved_as_pandapower_solves_it(seed: int, tmp_path: Path) -> None:
    """Voltages and loadings of the file's own loads, plus 5 kW at a cabinet, in every slot and in any year."""
    import pandapower as pp

    net = village(seed)
    network = load_json_network(written(net, tmp_path / "net.json"), cache=tmp_path)
    result = network.power_flow(HOUR, "2026-07-01T00:00", {"a": np.full(4, 5.0)}, {"a": "cabinet 3"}, household_scale=2.0)
    net.load["p_mw"] *= 2
    net.load["q_mvar"] *= 2
    pp.create_load(net, net.bus.index[net.bus["name"] == "cabinet 3"][0], p_mw=0.005)
    pp.runpp(net, numba=False, tolerance_mva=1e-10)
    for row in range(4):
        assert result.voltage_pu[row] == pytest.approx(net.res_bus["vm_pu"].to_numpy(), abs=1e-9)
        assert result.line_loading_pct[row] == pytest.approx(net.res_line["loading_percent"].to_numpy(), abs=1e-6)
        assert result.transformer_loading_pct[row] == pytest.approx(net.res_trafo["loading_percent"].to_numpy(), abs=1e-6)


def test_single_phases_and_what_is_out_of_service(tmp_path: Path) -> None:
    """Loads of single phases count with their sum; lines and loads out of service do not count."""
    import pandapower as pp

    net = village(1)
    pp.create_asymmetric_load(net, 4, p_a_mw=0.003, p_b_mw=0.001, q_c_mvar=0.0005)
    net.line.loc[net.line["name"] == "spare", "in_service"] = False
    net.load.loc[0, "in_service"] = False
    network = load_json_network(written(net, tmp_path / "net.json"), cache=tmp_path)
    assert "spare" not in network.line_names
    result = network.power_flow(HOUR, "2026-07-01T00:00", {}, {}, slots=[0])
    pp.runpp(net, numba=False, tolerance_mva=1e-10)
    assert result.voltage_pu[0] == pytest.approx(net.res_bus["vm_pu"].to_numpy(), abs=1e-9)


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    """No slack, a line of no length, one without rating, two buses of one name, a generator, a load of no number: all named."""
    import pandapower as pp

    net = village()
    net.ext_grid["in_service"] = False
    net.line.loc[net.line["name"] == "L2", "length_km"] = 0.0
    net.line.loc[net.line["name"] == "L1", "max_i_ka"] = 0.0
    net.bus.loc[net.bus["name"] == "cabinet 4", "name"] = "cabinet 3"
    pp.create_gen(net, 3, p_mw=0.01)
    net.load.loc[0, "p_mw"] = float("nan")
    net.trafo["sn_mva"] = 0.0
    told = " | ".join(faults(net, tmp_path))
    for words in (
        "ext_grid: found no external grid in service",
        "line 'L2': found an impedance of 0 ohm",
        "line 'L1': found max_i_ka 0",
        "bus 'cabinet 3': found the name twice",
        "gen: found 1 of them",
        "load 'load 0': found a power that is no number",
        "trafo 'T1': found sn_mva 0",
    ):
        assert words in told
    assert told.count(" | ") == 6


def test_a_disconnected_bus_is_named(tmp_path: Path) -> None:
    """Buses behind a line out of service are named, the first five of many; nothing gets into the cache."""
    import pandapower as pp

    net = village()
    for name in ("lost", "alone"):
        pp.create_bus(net, 0.4, name=name)
    told = faults(net, tmp_path)
    assert told == [
        f"bus {name!r}: found no path to the external grid; expected every bus connected to it" for name in ("lost", "alone")
    ]
    for k in range(5):
        pp.create_bus(net, 0.4, name=f"far {k}")
    told = faults(net, tmp_path)
    assert len(told) == 6
    assert told[-1].startswith("bus: found 2 more")
    assert list(tmp_path.glob("*.npz")) == []


def test_constant_impedance_and_reactive_generators_are_refused(tmp_path: Path) -> None:
    """Loads that follow the voltage, and generators with reactive power, would silently be something else here."""
    net = village()
    net.load.loc[1, "const_z_p_percent"] = 40.0
    assert faults(net, tmp_path) == [
        "load 'load 1': found a share of constant impedance or current; expected loads of constant power"
    ]
    net = village()
    net.sgen["q_mvar"] = 0.001
    assert faults(net, tmp_path) == ["sgen: found reactive power; expected static generators of power factor 1 (q_mvar 0)"]


@pytest.mark.parametrize(
    ("text", "says"), [("{}", "but no pandapower net"), ("no json", "is no pandapower net"), (None, "cannot be read")]
)
def test_a_file_that_is_no_net(text: str | None, says: str, tmp_path: Path) -> None:
    """JSON of something else, no JSON, no file: one error each, that says which."""
    path = tmp_path / "net.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(PowerFlowError, match=says):
        load_json_network(path, cache=tmp_path)


def test_loads_that_no_grid_can_carry(tmp_path: Path) -> None:
    """A file whose own loads have no power flow is refused when it is loaded, not answered with some voltages."""
    net = village()
    net.load["p_mw"] = 5.0
    with pytest.raises(PowerFlowError, match="power flow"):
        load_json_network(written(net, tmp_path / "net.json"), cache=tmp_path)


def test_a_changed_file_is_another_network(tmp_path: Path) -> None:
    """The cache goes by content: the same name with other content is read anew."""
    path = written(village(0), tmp_path / "net.json")
    first = load_json_network(path, cache=tmp_path)
    again = load_json_network(path, cache=tmp_path)
    assert np.array_equal(first.load_p_mw, again.load_p_mw)
    other = load_json_network(written(village(2), path), cache=tmp_path)
    assert not np.array_equal(first.load_p_mw, other.load_p_mw)
