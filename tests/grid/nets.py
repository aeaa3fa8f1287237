"""Small pandapower nets for the tests of networks from files and of the two engines."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import highspy  # noqa: F401 - before pandapower, see grid.network
import numpy as np
import pandapower as pp


def village(seed: int = 0, buses: int = 6) -> Any:
    """A random low-voltage village: a transformer on some tap, a tree of cables with some twins, loads, and a bus-bus switch.

    An open switch ends a spare cable, so that every kind of switch is there.
    """
    rng = np.random.default_rng(seed)
    net = pp.create_empty_network(name="village")
    high = pp.create_bus(net, 20.0, name="MV")
    low = pp.create_bus(net, 0.4, name="busbar")
    pp.create_ext_grid(net, high, vm_pu=1.02)
    pp.create_transformer_from_parameters(
        net, high, low, name="T1", sn_mva=0.4, vn_hv_kv=20.0, vn_lv_kv=0.4, vkr_percent=1.4, vk_percent=6.0, pfe_kw=0.9,
        i0_percent=0.3, shift_degree=float(rng.choice([0, 150])), tap_side=str(rng.choice(["hv", "lv"])), tap_neutral=0,
        tap_min=-2, tap_max=2, tap_step_percent=2.5, tap_pos=int(rng.integers(-2, 3)), tap_changer_type="Ratio",
        parallel=int(rng.integers(1, 3)),
    )  # fmt: skip
    joined = pp.create_bus(net, 0.4, name="busbar 2")
    pp.create_switch(net, low, joined, et="b", closed=True)
    nodes = [low, joined]
    for k in range(buses):
        end = pp.create_bus(net, 0.4, name=f"cabinet {k}")
        _cable(net, int(rng.choice(nodes)), end, f"L{k}", float(rng.uniform(0.02, 0.2)), int(rng.integers(1, 3)))
        pp.create_load(net, end, p_mw=float(rng.uniform(0.0, 0.02)), q_mvar=float(rng.uniform(-0.002, 0.005)), scaling=0.9)
        nodes.append(end)
    pp.create_sgen(net, nodes[-1], p_mw=0.01)
    spare = _cable(net, nodes[0], nodes[-1], "spare", 0.1, 1)
    pp.create_switch(net, nodes[-1], spare, et="l", closed=False)
    return net


def _cable(net: Any, start: int, end: int, name: str, length_km: float, parallel: int) -> int:
    """A cable of NAYY 4x150 size (0.208 ohm/km, 0.08 ohm/km, 261 nF/km, 270 A; pandapower's standard types)."""
    index = pp.create_line_from_parameters(
        net, start, end, length_km, r_ohm_per_km=0.208, x_ohm_per_km=0.08, c_nf_per_km=261.0, max_i_ka=0.27, name=name,
        parallel=parallel,
    )  # fmt: skip
    return int(index)


def written(net: Any, path: Path) -> Path:
    """The net as a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pp.to_json(net, str(path))
    return path
