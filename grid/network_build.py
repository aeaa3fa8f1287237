"""A network of SimBench or of a pandapower file taken apart into arrays; the only place that loads simbench (5 to 15 s).

pandapower builds its internal model once (one power flow) and the admittances are read from there, so lines, transformers,
taps, switches and joined buses are pandapower's reading of the data and not a second one.
"""

from __future__ import annotations

import copy
import difflib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from grid.ac_flow import IntArray
from grid.cache import Arrays
from grid.engine_check import check_engines, extreme_states
from grid.errors import NetworkError, NetworkFault, PowerFlowError
from grid.feeds.simbench_codes import simbench_codes
from grid.horizon import FloatArray
from grid.network import ALL_PHASES
from grid.network_faults import named, network_faults

# Columns of pandapower's internal tables (pandapower.pypower.idx_brch and idx_bus).
F_BUS, T_BUS, BASE_KV = 0, 1, 9


def build_arrays(code: str) -> Arrays:
    """Everything that ``grid.network.Network`` holds of a SimBench code, as arrays.

    Raises:
        PowerFlowError: SimBench does not know the code, or the network has elements that are not modelled here.
    """
    net, values = _simbench_net(code)
    named(net)
    if not (net.load["in_service"].all() and (net.load["scaling"] == 1.0).all() and net.sgen["in_service"].all()):
        raise PowerFlowError(f"network {code}: loads out of service or scaled are not modelled")
    loads = Users(
        net.load["bus"].to_numpy(np.int64),
        values[("load", "p_mw")].to_numpy(np.float64),
        values[("load", "q_mvar")].to_numpy(np.float64),
    )
    sun = values[("sgen", "p_mw")].to_numpy(np.float64).reshape(-1, len(net.sgen))
    return _arrays(code, net, loads, Users(net.sgen["bus"].to_numpy(np.int64), sun, np.zeros_like(sun)))


def build_json_arrays(path: Path) -> Arrays:
    """Everything that ``grid.network.Network`` holds of a pandapower JSON file; its loads and generators stay as they are.

    Loads of single phases count as the rest do; their phases are kept for ``grid.phase_flow``.

    Raises:
        NetworkError: with everything that is wrong with the network.
        PowerFlowError: the file is no pandapower net.
    """
    net = read_json(path)
    sgens = _static(net, "sgen", "p_mw", "q_mvar")
    if np.abs(sgens.q_mvar).max(initial=0.0) > 0:
        raise NetworkError(path.name, [NetworkFault("sgen", "reactive power", "static generators of power factor 1 (q_mvar 0)")])
    single = [_static(net, "asymmetric_load", f"p_{phase}_mw", f"q_{phase}_mvar") for phase in "abc"]
    parts = [_static(net, "load", "p_mw", "q_mvar"), *single]
    loads = Users(*(np.concatenate([getattr(part, name) for part in parts], axis=-1) for name in ("buses", "p_mw", "q_mvar")))
    phases = np.repeat([ALL_PHASES, 0, 1, 2], [len(part.buses) for part in parts])
    return _arrays(path.name, net, loads, sgens) | {"load_phases": phases}


@dataclass(frozen=True, slots=True, eq=False)
class Users:
    """Loads or generators of a net: their buses (pandapower's index) and power, ``[slots, users]`` (one row: constant)."""

    buses: IntArray
    p_mw: FloatArray
    q_mvar: FloatArray


def _static(net: Any, table: str, active: str, reactive: str) -> Users:
    """Users of a table with the power that stands there, times its scaling, where in service."""
    part = net[table]
    factor = (part["scaling"] * part["in_service"]).to_numpy(np.float64)
    power = (part[name].to_numpy(np.float64) * factor for name in (active, reactive))
    p_mw, q_mvar = (row[None, :] for row in power)
    return Users(part["bus"].to_numpy(np.int64), p_mw, q_mvar)


def read_json(path: Path) -> Any:
    """The pandapower net of a JSON file, all elements named, those out of service left out.

    Raises:
        PowerFlowError: the file cannot be read as a pandapower net.
        NetworkError: the net is faulty.
    """
    import highspy  # noqa: F401 - before pandapower, see grid.network
    import pandapower as pp

    try:
        text = path.read_text(encoding="utf-8")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of older file formats, which pandapower converts
            net = pp.from_json_string(text)
    except OSError as error:
        raise PowerFlowError(f"{path} cannot be read: {error.strerror}") from error
    except Exception as error:  # pandapower raises whatever its decoders raise
        raise PowerFlowError(f"{path} is no pandapower net ({type(error).__name__}: {str(error)[:80]})") from error
    if not isinstance(net, pp.pandapowerNet):
        raise PowerFlowError(f"{path} is JSON, but no pandapower net (pandapower.to_json writes one)")
    for table in ("line", "trafo"):
        out = net[table].index[~net[table]["in_service"].astype(bool)]
        net[table] = net[table].drop(out)
        net.switch = net.switch[~((net.switch["et"] == table[0]) & net.switch["element"].isin(out))]
    named(net)
    faults = network_faults(net)
    if faults:
        raise NetworkError(path.name, faults)
    return net


def _arrays(name: str, net: Any, loads: Users, sgens: Users) -> Arrays:
    """The net as arrays, checked: pandapower solves it, and power-grid-model says the same.

    Raises:
        NetworkError: the net is faulty. PowerFlowError: no solution, or the two engines differ.
    """
    import highspy  # noqa: F401 - first: pandapower loads ortools when it is there, whose HiGHS would shadow this one
    import pandapower as pp

    faults = network_faults(net)
    if faults:
        raise NetworkError(name, faults)
    bare = _bare(net)
    try:
        pp.runpp(bare, numba=False)
    except pp.LoadflowNotConverged as error:
        raise PowerFlowError(f"network {name}: no power flow even without any load") from error
    place = {int(index): row for row, index in enumerate(net.bus.index)}
    load_buses, sgen_buses = (np.array([place[int(bus)] for bus in users.buses], dtype=np.int64) for users in (loads, sgens))
    arrays = {
        **_electrical(name, bare),
        "load_buses": load_buses,
        "load_p_mw": loads.p_mw,
        "load_q_mvar": loads.q_mvar,
        "load_phases": np.full(len(loads.buses), ALL_PHASES, dtype=np.int64),
        "sgen_buses": sgen_buses,
        "sgen_p_mw": sgens.p_mw,
        "grid_json": np.array(pp.to_json(bare, filename=None)),
    }
    check_engines(name, bare, extreme_states(len(net.bus), (load_buses, loads.p_mw, loads.q_mvar), (sgen_buses, sgens.p_mw)))
    return arrays


def _electrical(name: str, net: Any) -> Arrays:
    """Admittances, ratings and names of a net that pandapower has solved.

    Raises:
        PowerFlowError: pandapower's internal order is not what it was, or an element is switched off.
    """
    internal = net._ppc["internal"]  # noqa: SLF001 - pandapower has no public access to its admittances
    lookup = net._pd2ppc_lookups  # noqa: SLF001 - same
    nodes = np.array([lookup["bus"][index] for index in net.bus.index], dtype=np.int64)
    voltage = internal["V"]
    if not np.abs(np.abs(voltage[nodes]) - net.res_bus["vm_pu"].to_numpy()).max() <= 1e-12:
        raise PowerFlowError(f"network {name}: pandapower's internal order of buses is not what it was")
    bus = internal["Ybus"].tocoo()
    at_from, at_to = internal["Yf"].tocsr(), internal["Yt"].tocsr()
    branch_rows, branch_columns = _joint_pattern(at_from, at_to)
    rows = np.flatnonzero(internal["branch_is"])
    line_rows, line_pct = _ratings(net, "line", rows)
    transformer_rows, transformer_pct = _ratings(net, "trafo", rows)
    return {
        "bus_names": net.bus["name"].to_numpy(np.str_),
        "line_names": net.line["name"].to_numpy(np.str_),
        "transformer_names": net.trafo["name"].to_numpy(np.str_),
        "transformer_buses": net.bus.loc[net.trafo["lv_bus"], "name"].to_numpy(np.str_),
        "bus_nodes": nodes,
        "size": np.array(bus.shape[0]),
        "bus_rows": bus.row.astype(np.int64),
        "bus_columns": bus.col.astype(np.int64),
        "bus_values": bus.data.astype(np.complex128),
        "branch_rows": branch_rows,
        "branch_columns": branch_columns,
        "from_values": np.asarray(at_from[branch_rows, branch_columns]).ravel().astype(np.complex128),
        "to_values": np.asarray(at_to[branch_rows, branch_columns]).ravel().astype(np.complex128),
        "branches": np.array(at_from.shape[0]),
        "slack": np.asarray(internal["ref"], dtype=np.int64),
        "slack_voltage": voltage[internal["ref"]].astype(np.complex128),
        "base_mva": np.array(float(net._ppc["baseMVA"])),  # noqa: SLF001 - same
        "line_branches": line_rows,
        "transformer_branches": transformer_rows,
        "line_pct": line_pct,
        "transformer_pct": transformer_pct,
    }


def _simbench_net(code: str) -> tuple[Any, Any]:
    """The pandapower net and its absolute profile values.

    Raises:
        PowerFlowError: SimBench does not know the code; names the nearest.
    """
    import highspy  # noqa: F401 - before pandapower, see grid.network

    if code not in simbench_codes():
        nearest = difflib.get_close_matches(code, simbench_codes(), 1, 0.0)
        raise PowerFlowError(f"SimBench has no network {code!r} (did you mean {nearest[0]!r}?)")
    import simbench

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # simbench 1.6 leans on pandas behaviour that will change
        warnings.simplefilter("ignore", DeprecationWarning)
        net = simbench.get_simbench_net(code)
        values = simbench.get_absolute_values(net, profiles_instead_of_study_cases=True)
    return net, values


def _joint_pattern(first: Any, second: Any) -> tuple[Any, Any]:
    """Rows and columns where either of two sparse matrices has an entry."""
    both = (abs(first) + abs(second)).tocoo()
    return both.row.astype(np.int64), both.col.astype(np.int64)


def _ratings(net: Any, element: str, in_service: Any) -> tuple[Any, FloatArray]:
    """Branch of each element and percent of its rating per unit of current at from and to end.

    Loading is current over rated current, as pandapower's ``loading_percent`` (``trafo_loading='current'``).

    Raises:
        PowerFlowError: an element is out of service.
    """
    table = net[element]
    if not len(table):
        return np.zeros(0, dtype=np.int64), np.zeros((0, 2))
    first, last = net._pd2ppc_lookups["branch"][element]  # noqa: SLF001 - pandapower has no public access
    branches = np.searchsorted(in_service, np.arange(first, last))
    if not np.isin(np.arange(first, last), in_service).all():
        off = table["name"].to_numpy()[~np.isin(np.arange(first, last), in_service)]
        raise PowerFlowError(f"{element} {off[0]!r} is switched off at both ends, which is not modelled; leave it out")
    internal = net._ppc["internal"]  # noqa: SLF001 - same
    ends = internal["branch"][branches][:, [F_BUS, T_BUS]].real.astype(np.int64)
    base_ka = float(net._ppc["baseMVA"]) / (np.sqrt(3) * internal["bus"][ends, BASE_KV].real)  # noqa: SLF001 - same
    if element == "line":
        rated_ka = (table["max_i_ka"] * table["df"] * table["parallel"]).to_numpy(np.float64)[:, None]
    else:
        apparent = (table["sn_mva"] * table["parallel"] * table["df"]).to_numpy(np.float64)[:, None]
        rated_ka = apparent / (np.sqrt(3) * table[["vn_hv_kv", "vn_lv_kv"]].to_numpy(np.float64))
    percent: FloatArray = 100.0 * base_ka / rated_ka
    return branches.astype(np.int64), percent


def _bare(net: Any) -> Any:
    """A copy of the net with one load of no power at every bus and nothing else that injects power; profiles left out."""
    import highspy  # noqa: F401 - first: pandapower loads ortools when it is there, whose HiGHS would shadow this one
    import pandapower as pp

    bare = copy.deepcopy(net)
    bare.profiles = {}
    for table in ("load", "sgen", "asymmetric_load"):
        bare[table] = bare[table].iloc[:0]
    for index in bare.bus.index:
        pp.create_load(bare, index, p_mw=0.0, q_mvar=0.0, name=f"at {bare.bus.at[index, 'name']}")
    return bare
