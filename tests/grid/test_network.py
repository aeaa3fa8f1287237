"""The electrical network: AC power flow against pandapower, balances, refusals."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.errors import FeedError, PowerFlowError
from grid.horizon import Horizon
from grid.network import Network, load_network
from grid.network_scenarios import scenario_flows
from tests.grid.conftest import CODE

DAY = Horizon(datetime(2023, 5, 10, 22, tzinfo=UTC), timedelta(minutes=15), 96)
START = "2016-05-12T00:00"
SITES = {"hall": "LV4.101 Bus 32", "cabinet": "LV4.101 Bus 10"}
RNG = np.random.default_rng(5)
IMPORTS = {"hall": RNG.uniform(-30, 30, 96), "cabinet": RNG.uniform(-15, 15, 96), "vault": np.full(96, 4.0)}


def test_voltages_and_loadings_are_those_of_pandapower(network: Network) -> None:
    """Every bus, line and transformer of several slots agrees with a plain runpp of the same SimBench net."""
    import pandapower as pp

    slots = [0, 30, 52, 80]
    result = network.power_flow(DAY, START, IMPORTS, SITES, household_scale=2.0, slots=slots, confirm=0)
    load_p, load_q, sun = network.households_kw(DAY, START, 2.0)
    net = pp.from_json_string(network.grid_json)
    position = {name: row for row, name in enumerate(net.bus["name"])}
    for row, slot in enumerate(slots):
        net.load[["p_mw", "q_mvar"]] = 0.0
        for bus, p, q in zip(network.load_buses, load_p[slot], load_q[slot], strict=True):
            net.load.loc[bus, ["p_mw", "q_mvar"]] += np.array([p, q]) / 1e3
        for bus, p in zip(network.sgen_buses, sun[slot], strict=True):
            net.load.loc[bus, "p_mw"] -= p / 1e3
        for site, name in SITES.items():
            net.load.loc[position[name], "p_mw"] += IMPORTS[site][slot] / 1e3
        pp.runpp(net, numba=False, tolerance_mva=1e-10)
        assert result.voltage_pu[row] == pytest.approx(net.res_bus["vm_pu"].to_numpy(), abs=1e-9)
        assert result.line_loading_pct[row] == pytest.approx(net.res_line["loading_percent"].to_numpy(), abs=1e-6)
        assert result.transformer_loading_pct[row] == pytest.approx(net.res_trafo["loading_percent"].to_numpy(), abs=1e-6)
        assert result.grid_import_kw[row] == pytest.approx(1e3 * net.res_ext_grid["p_mw"].sum(), abs=1e-6)
        losses = net.res_line["pl_mw"].sum() + net.res_trafo["pl_mw"].sum()
        assert result.losses_kw[row] == pytest.approx(1e3 * losses, abs=1e-6)


@pytest.mark.slow
def test_the_net_of_record_holds_what_simbench_holds(network: Network) -> None:
    """SimBench's own net with its own first profile values gives the same flow as ours without sites."""
    import pandapower as pp
    import simbench

    net = simbench.get_simbench_net(CODE)
    values = simbench.get_absolute_values(net, profiles_instead_of_study_cases=True)
    slot = 132 * 96 + 50  # 12 May 2016, 12:30
    net.load["p_mw"] = values[("load", "p_mw")].loc[slot]
    net.load["q_mvar"] = values[("load", "q_mvar")].loc[slot]
    net.sgen["p_mw"] = values[("sgen", "p_mw")].loc[slot]
    pp.runpp(net, numba=False, tolerance_mva=1e-10)
    ours = network.power_flow(DAY, START, {}, {}, slots=[50], confirm=0)
    assert ours.voltage_pu[0] == pytest.approx(net.res_bus["vm_pu"].to_numpy(), abs=1e-9)
    assert ours.line_loading_pct[0] == pytest.approx(net.res_line["loading_percent"].to_numpy(), abs=1e-6)
    assert ours.transformer_loading_pct[0, 0] == pytest.approx(net.res_trafo["loading_percent"].iloc[0], abs=1e-6)


def test_what_is_fed_in_is_used_or_lost(network: Network) -> None:
    """Grid import = loads - sun + sites + losses within 1e-6 kW in every slot, and losses are positive."""
    result = network.power_flow(DAY, START, IMPORTS, SITES, household_scale=1.5)
    load, _, sun = network.households_kw(DAY, START, 1.5)
    drawn = load.sum(axis=1) - sun.sum(axis=1) + IMPORTS["hall"] + IMPORTS["cabinet"]
    assert result.grid_import_kw == pytest.approx(drawn + result.losses_kw, abs=1e-6)
    assert (result.losses_kw > 1.0).all()  # the transformer alone loses 1.2 kW
    assert set(result.site_bus) == set(SITES)
    assert result.bus_names[result.site_bus["hall"]] == SITES["hall"]


@settings(max_examples=12)
@given(st.lists(st.integers(0, 95), min_size=1, max_size=20, unique=True))
def test_a_slot_does_not_know_its_neighbours(network: Network, slots: list[int]) -> None:
    """Computed alone, in any order or all together, a slot has the same result."""
    whole = network.power_flow(DAY, START, IMPORTS, SITES, confirm=0)
    part = network.power_flow(DAY, START, IMPORTS, SITES, slots=slots, confirm=0)
    assert part.slots == tuple(slots)
    assert part.voltage_pu == pytest.approx(whole.voltage_pu[slots], abs=1e-12)
    assert part.transformer_loading_pct == pytest.approx(whole.transformer_loading_pct[slots], abs=1e-9)


def test_chunks_do_not_change_the_result(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """Solved seven slots at a time the day is the same."""
    whole = network.power_flow(DAY, START, IMPORTS, SITES, confirm=0)
    monkeypatch.setattr("grid.network.CHUNK", 7)
    parts = network.power_flow(DAY, START, IMPORTS, SITES, confirm=0)
    assert parts.voltage_pu == pytest.approx(whole.voltage_pu, abs=1e-12)


@settings(max_examples=20)
@given(st.sampled_from([1, 5, 10, 15, 20, 30, 60]), st.integers(0, 14))
def test_household_energy_does_not_depend_on_the_step(network: Network, minutes: int, offset_minutes: int) -> None:
    """Four hours of loads hold the same energy in any step, also from a start that is no quarter of an hour."""
    start = f"2016-05-12T16:{offset_minutes:02d}"
    horizon = Horizon(DAY.start, timedelta(minutes=minutes), 240 // minutes)
    load, _, sun = network.households_kw(horizon, start)
    fine = Horizon(DAY.start, timedelta(minutes=1), 240)
    fine_load, _, fine_sun = network.households_kw(fine, start)
    assert load.sum(axis=0) * horizon.step_h == pytest.approx(fine_load.sum(axis=0) / 60, rel=1e-9)
    assert sun.sum() * horizon.step_h == pytest.approx(fine_sun.sum() / 60, rel=1e-9)


def test_import_lowers_and_export_lifts_the_voltage_at_the_site(network: Network) -> None:
    """At the far end of a feeder: 15 kW of import pull the voltage down, 15 kW of export push it up."""
    bus = network.bus_index(SITES["cabinet"])
    voltage = [
        network.power_flow(DAY, START, {"c": np.full(96, power)}, {"c": SITES["cabinet"]}, confirm=0).voltage_pu[:, bus]
        for power in (15.0, 0.0, -15.0)
    ]
    assert (voltage[0] < voltage[1]).all()
    assert (voltage[1] < voltage[2]).all()


def test_a_slot_without_solution_names_itself_and_its_bus(network: Network) -> None:
    """Two megawatts at the end of a cable cannot be carried: an error with slot, time and bus, never a result."""
    told: list[str] = []
    power = np.zeros(96)
    power[7] = 2000.0
    with pytest.raises(PowerFlowError, match=r"does not converge in slot 7 \(2023-05-10T23:45Z\), worst bus LV4.101 Bus 10"):
        network.power_flow(DAY, START, {"c": power}, {"c": SITES["cabinet"]}, progress=told.append)
    assert any("slot 7" in line for line in told)


def test_pandapower_has_the_last_word(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the fast method and pandapower differ, the result is refused."""
    monkeypatch.setattr("grid.network.AGREEMENT_PU", -1.0)
    with pytest.raises(PowerFlowError, match="differ by"):
        network.power_flow(DAY, START, IMPORTS, SITES, slots=[1, 2], confirm=1)


def test_slots_that_the_fast_method_leaves_open_go_to_pandapower(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a single iteration the fast method solves nothing; pandapower does, and the result is the same."""
    expected = network.power_flow(DAY, START, IMPORTS, SITES, slots=[3, 60], confirm=0)
    monkeypatch.setattr("grid.ac_flow.MAX_ITERATIONS", 1)
    result = network.power_flow(DAY, START, IMPORTS, SITES, slots=[3, 60], confirm=0)
    assert result.voltage_pu == pytest.approx(expected.voltage_pu, abs=1e-9)
    assert result.transformer_loading_pct == pytest.approx(expected.transformer_loading_pct, abs=1e-5)


def test_wrong_arguments_are_refused(network: Network) -> None:
    """Unknown bus (with the nearest name), missing site, wrong length, no number, slots outside, a day outside the year."""
    flat = {"a": np.zeros(96)}
    with pytest.raises(PowerFlowError, match=r"did you mean 'LV4.101 Bus 32'"):
        network.power_flow(DAY, START, flat, {"a": "LV4.101 Buss 32"})
    with pytest.raises(PowerFlowError, match="no net import given for site 'b'"):
        network.power_flow(DAY, START, flat, {"b": SITES["hall"]})
    for wrong in (np.zeros(95), np.full(96, np.nan), np.zeros((96, 1))):
        with pytest.raises(PowerFlowError, match="96 finite numbers"):
            network.power_flow(DAY, START, {"a": wrong}, {"a": SITES["hall"]})
    for slots in ([], [96], [-1]):
        with pytest.raises(PowerFlowError, match="do not lie in a horizon"):
            network.power_flow(DAY, START, flat, {"a": SITES["hall"]}, slots=slots)
    with pytest.raises(FeedError, match="profile year"):
        network.power_flow(DAY, "2016-12-31T12:00", flat, {"a": SITES["hall"]})


def test_unknown_codes_are_refused(tmp_path: Path) -> None:
    """A word that is no SimBench code, and a code that SimBench does not have."""
    with pytest.raises(FeedError, match="not of the form"):
        load_network("semiurb4", cache=tmp_path)
    with pytest.raises(PowerFlowError, match="SimBench has no network"):
        load_network("1-LV-semiurb9--0-sw", cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_cached_network_needs_neither_simbench_nor_pandapower(network: Network, network_cache: Path) -> None:
    """From the cache the network is the same, and a power flow without confirmation imports neither library."""
    again = load_network(CODE, cache=network_cache)
    assert again.bus_names == network.bus_names
    assert np.array_equal(again.load_p_mw, network.load_p_mw)
    program = f"""
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from grid.horizon import Horizon
from grid.network import load_network
day = Horizon(datetime(2023, 5, 10, 22, tzinfo=UTC), timedelta(minutes=15), 96)
network = load_network({CODE!r}, cache=Path({str(network_cache)!r}))
network.power_flow(day, {START!r}, {{"a": [1.0] * 96}}, {{"a": "LV4.101 Bus 32"}}, confirm=0)
sys.exit(any(name in sys.modules for name in ("simbench", "pandapower", "pandas")))
"""
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=120).returncode == 0


def test_scenarios_together_are_what_each_is_alone(network: Network) -> None:
    """Twelve scenarios of two sites, more than one batch: the same voltages, loadings and losses as one by one."""
    imports = {site: RNG.uniform(-20, 20, (12, 96)) for site in SITES}
    together = scenario_flows(network, DAY, START, imports, SITES, household_scale=1.5)
    assert len(together) == 12
    for k in (0, 5, 11):
        alone = network.power_flow(DAY, START, {site: power[k] for site, power in imports.items()}, SITES, household_scale=1.5)
        assert together[k].voltage_pu == pytest.approx(alone.voltage_pu, abs=1e-12)
        assert together[k].line_loading_pct == pytest.approx(alone.line_loading_pct, abs=1e-9)
        assert together[k].losses_kw == pytest.approx(alone.losses_kw, abs=1e-9)
        assert together[k].site_bus == alone.site_bus


def test_a_scenario_without_solution_names_itself(network: Network) -> None:
    """The second batch holds the bad scenario; its number, slot and bus are told. Wrong shapes are refused."""
    imports = {"cabinet": np.zeros((12, 96))}
    imports["cabinet"][11, 7] = 2000.0
    at = {"cabinet": SITES["cabinet"]}
    with pytest.raises(PowerFlowError, match=r"scenario 11: .* slot 7 .*worst bus LV4.101 Bus 10") as caught:
        scenario_flows(network, DAY, START, imports, at)
    assert (caught.value.slot, caught.value.bus) == (7, SITES["cabinet"])
    for wrong in ({}, {"cabinet": np.zeros(96)}, {"cabinet": np.zeros((2, 95))}, {"cabinet": np.full((2, 96), np.nan)}):
        with pytest.raises(PowerFlowError, match="must be finite"):
            scenario_flows(network, DAY, START, wrong, at)
