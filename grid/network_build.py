"""A SimBench network taken apart into arrays; the only place that loads simbench (5 to 15 s).

pandapower builds its internal model once (one power flow) and the admittances are read from there, so lines, transformers,
taps, switches and joined buses are pandapower's reading of the data and not a second one.
"""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np

from grid.cache import Arrays
from grid.errors import PowerFlowError
from grid.horizon import FloatArray

# Columns of pandapower's internal tables (pandapower.pypower.idx_brch and idx_bus).
F_BUS, T_BUS, BASE_KV = 0, 1, 9


def build_arrays(code: str) -> Arrays:
    """Everything that ``grid.network.Network`` holds, as arrays.

    Raises:
        PowerFlowError: SimBench does not know the code, or the network has elements that are not modelled here.
    """
    import highspy  # noqa: F401 - first: pandapower loads ortools when it is there, whose HiGHS would shadow this one
    import pandapower as pp

    net, values = _simbench_net(code)
    _refuse_unmodelled(code, net)
    pp.runpp(net, numba=False)
    internal = net._ppc["internal"]  # noqa: SLF001 - pandapower has no public access to its admittances
    lookup = net._pd2ppc_lookups  # noqa: SLF001 - same
    place = {int(index): row for row, index in enumerate(net.bus.index)}
    nodes = np.array([lookup["bus"][index] for index in net.bus.index], dtype=np.int64)
    voltage = internal["V"]
    if np.abs(np.abs(voltage[nodes]) - net.res_bus["vm_pu"].to_numpy()).max() > 1e-12:
        raise PowerFlowError(f"network {code}: pandapower's internal order of buses is not what it was")
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
        "load_buses": np.array([place[int(index)] for index in net.load["bus"]], dtype=np.int64),
        "load_p_mw": values[("load", "p_mw")].to_numpy(np.float64),
        "load_q_mvar": values[("load", "q_mvar")].to_numpy(np.float64),
        "sgen_buses": np.array([place[int(index)] for index in net.sgen["bus"]], dtype=np.int64),
        "sgen_p_mw": values[("sgen", "p_mw")].to_numpy(np.float64).reshape(-1, len(net.sgen)),
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
        "grid_json": np.array(_bare_json(net)),
    }


def _simbench_net(code: str) -> tuple[Any, Any]:
    """The pandapower net and its absolute profile values.

    Raises:
        PowerFlowError: SimBench does not know the code.
    """
    import highspy  # noqa: F401 - before pandapower, see grid.network
    import simbench

    if code not in simbench.collect_all_simbench_codes():
        raise PowerFlowError(f"SimBench has no network {code!r}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # simbench 1.6 leans on pandas behaviour that will change
        warnings.simplefilter("ignore", DeprecationWarning)
        net = simbench.get_simbench_net(code)
        values = simbench.get_absolute_values(net, profiles_instead_of_study_cases=True)
    return net, values


def _refuse_unmodelled(code: str, net: Any) -> None:
    """Say so when the network has parts whose power this model would forget.

    Raises:
        PowerFlowError: there are such parts.
    """
    forgotten = [part for part in ("gen", "storage", "trafo3w", "shunt", "ward", "xward", "motor", "impedance") if len(net[part])]
    if forgotten:
        raise PowerFlowError(
            f"network {code} has {', '.join(forgotten)}, which is not modelled; choose a low-voltage code of scenario 0"
        )
    if not (net.load["in_service"].all() and (net.load["scaling"] == 1.0).all() and net.sgen["in_service"].all()):
        raise PowerFlowError(f"network {code}: loads out of service or scaled are not modelled")
    if net.bus["name"].duplicated().any():
        raise PowerFlowError(f"network {code}: bus names are not unique")


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
        raise PowerFlowError(f"a {element} is out of service, which is not modelled")
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


def _bare_json(net: Any) -> str:
    """The net as JSON with one load at every bus and nothing else that injects power; profiles left out."""
    import highspy  # noqa: F401 - first: pandapower loads ortools when it is there, whose HiGHS would shadow this one
    import pandapower as pp

    bare = copy.deepcopy(net)
    bare.profiles = {}
    bare.sgen = bare.sgen.iloc[:0]
    bare.load = bare.load.iloc[:0]
    for index in bare.bus.index:
        pp.create_load(bare, index, p_mw=0.0, q_mvar=0.0, name=f"at {bare.bus.at[index, 'name']}")
    text: str = pp.to_json(bare, filename=None)
    return text
