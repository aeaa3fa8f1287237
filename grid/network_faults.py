"""What is wrong with a pandapower net before anything is computed on it: every fault at once, each with its element.

A power flow on such a net would stop somewhere inside a library, or worse, answer with voltages that are no number.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from grid.errors import NetworkFault

LEAST_OHM = 1e-9
"""A line below this impedance counts as one of zero; a closed bus-bus switch says the same without a singular matrix."""

UNMODELLED = (
    "gen", "storage", "trafo3w", "shunt", "ward", "xward", "motor", "impedance", "dcline", "svc", "tcsc", "ssc", "vsc",
    "asymmetric_sgen",
)  # fmt: skip
"""Tables of pandapower whose power or impedance this model would forget."""

MOST_NAMED = 5
"""Buses named when a whole part of the net hangs in the air."""


def network_faults(net: Any) -> list[NetworkFault]:
    """Every fault of a net: missing slack, disconnected buses, lines without impedance, elements that are not modelled.

    Args:
        net: a pandapower net; names are given already (``named``).
    """
    found = [*_names(net), *_unmodelled(net), *_lines(net), *_transformers(net), *_loads(net)]
    slack = net.ext_grid[net.ext_grid["in_service"].astype(bool)]
    if not len(slack):
        return [
            *found,
            NetworkFault("ext_grid", "no external grid in service", "one ext_grid (the slack) that holds the voltage"),
        ]
    return [*found, *_disconnected(net)]


def named(net: Any) -> None:
    """Give every element that the net leaves without a name the name of its table and index, and make all of them text."""
    for table in ("bus", "line", "trafo", "load", "sgen", "asymmetric_load"):
        part = net[table]
        if not len(part):
            continue
        given = [None] * len(part) if "name" not in part else list(part["name"])
        part["name"] = [
            f"{table} {index}" if name is None or str(name).strip() in {"", "nan", "None"} else str(name).strip()
            for index, name in zip(part.index, given, strict=True)
        ]


def _names(net: Any) -> Iterator[NetworkFault]:
    """Buses are called by their names, so these must differ."""
    for name in net.bus["name"][net.bus["name"].duplicated()].unique():
        yield NetworkFault(f"bus {name!r}", "the name twice", "bus names that differ")
    for name, out in zip(net.bus["name"], ~net.bus["in_service"].astype(bool), strict=True):
        if out:
            yield NetworkFault(f"bus {name!r}", "out of service", "buses in service; leave the others out of the file")


def _unmodelled(net: Any) -> Iterator[NetworkFault]:
    for table in UNMODELLED:
        if table in net and len(net[table]):
            yield NetworkFault(table, f"{len(net[table])} of them", "a net without any; this element is not modelled")


def _lines(net: Any) -> Iterator[NetworkFault]:
    line = net.line
    for name, length, r, x, rated in zip(
        line["name"], line["length_km"], line["r_ohm_per_km"], line["x_ohm_per_km"], line["max_i_ka"], strict=True
    ):
        ohm = float(length) * abs(complex(r, x))
        if not np.isfinite(ohm) or ohm < LEAST_OHM:
            yield NetworkFault(
                f"line {name!r}", f"an impedance of {ohm:g} ohm", "more than zero; join buses with a closed switch"
            )
        if not (np.isfinite(rated) and rated > 0):
            yield NetworkFault(f"line {name!r}", f"max_i_ka {rated:g}", "a rated current above 0 kA")


def _transformers(net: Any) -> Iterator[NetworkFault]:
    trafo = net.trafo
    for name, rated, vk in zip(trafo["name"], trafo["sn_mva"], trafo["vk_percent"], strict=True):
        if not (np.isfinite(rated) and rated > 0):
            yield NetworkFault(f"trafo {name!r}", f"sn_mva {rated:g}", "a rated power above 0 MVA")
        if not (np.isfinite(vk) and vk > 0):
            yield NetworkFault(f"trafo {name!r}", f"vk_percent {vk:g}", "a short-circuit voltage above 0 %")


def _loads(net: Any) -> Iterator[NetworkFault]:
    for table in ("load", "sgen"):
        part = net[table]
        bad = ~np.isfinite(part[["p_mw", "q_mvar"]].to_numpy(np.float64)).all(axis=1)
        for name in part["name"][bad] if len(part) else ():
            yield NetworkFault(f"{table} {name!r}", "a power that is no number", "p_mw and q_mvar as finite numbers")
    columns = [name for name in net.load.columns if name.startswith("const_")]
    shares = net.load[columns].fillna(0.0).to_numpy(np.float64)
    zip_loads = (shares != 0.0).any(axis=1)
    for name in net.load["name"][zip_loads]:
        yield NetworkFault(f"load {name!r}", "a share of constant impedance or current", "loads of constant power")


def _disconnected(net: Any) -> Iterator[NetworkFault]:
    """Buses that no path of lines, transformers and closed switches joins to a slack."""
    from pandapower.topology import unsupplied_buses

    alone = sorted(unsupplied_buses(net))
    for bus in alone[:MOST_NAMED]:
        yield NetworkFault(f"bus {net.bus.at[bus, 'name']!r}", "no path to the external grid", "every bus connected to it")
    if len(alone) > MOST_NAMED:
        yield NetworkFault(
            "bus", f"{len(alone) - MOST_NAMED} more buses without a path to the external grid", "every bus connected"
        )
