"""Two engines must say the same before a network is used: pandapower (the model of record) and power-grid-model.

They read the same elements in their own ways, so a misread line, tap or switch shows as a difference, and the element is named.
Checked when a network is built, at states that span its year: nothing at all, the most load, the most sun. The answer is
kept with the network in the cache, whose key holds the versions of both engines.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grid.ac_flow import LEAST_VOLTAGE_PU, ComplexArray, IntArray
from grid.errors import PowerFlowError
from grid.horizon import FloatArray
from grid.power_grid import PowerGrid

VOLTAGE_PU = 1e-5
"""Largest difference in voltage at a bus."""

LOADING_PCT = 0.01
"""Largest difference in the loading of a line, in percentage points."""

QUANTITIES = (("bus", VOLTAGE_PU, "pu"), ("line", LOADING_PCT, "%"), ("transformer", LOADING_PCT, "%"))


def extreme_states(
    buses: int, loads: tuple[IntArray, FloatArray, FloatArray], generators: tuple[IntArray, FloatArray]
) -> ComplexArray:
    """Injections in MVA ``[3, buses]``: nothing, the slot of most load, and the slot of most generation.

    Args:
        buses: number of buses.
        loads: bus, active and reactive power (MW, Mvar, ``[slots, loads]``).
        generators: bus and active power (MW, ``[slots, generators]``).
    """
    load_buses, p_mw, q_mvar = loads
    sun_buses, sun_mw = generators
    state = np.zeros((3, buses), dtype=np.complex128)
    totals = p_mw.sum(axis=1), sun_mw.sum(axis=1)
    for row, total in enumerate(totals, start=1):
        slot = int(np.argmax(total)) if len(total) else 0
        load_slot, sun_slot = min(slot, len(p_mw) - 1), min(slot, len(sun_mw) - 1)
        if load_slot >= 0:
            np.subtract.at(state[row], load_buses, p_mw[load_slot] + 1j * q_mvar[load_slot])
        if sun_slot >= 0:
            np.add.at(state[row], sun_buses, sun_mw[sun_slot].astype(np.complex128))
    return state


def check_engines(name: str, net: Any, injection_mva: ComplexArray) -> None:
    """Compare both engines at these states.

    Args:
        name: of the network, for messages.
        net: pandapower net with exactly one load at every bus, in the order of its buses, and nothing else that injects.
        injection_mva: states, load negative, ``[N, buses]``.

    Raises:
        NetworkError: the net cannot be handed over.
        PowerFlowError: no solution, or the engines differ; names the element.
    """
    other = PowerGrid(net).flow(injection_mva)
    for row, state in enumerate(injection_mva):
        newton(name, net, state, ("the state without load", "its slot of most load", "its slot of most generation")[row % 3])
        ours = net.res_bus["vm_pu"], net.res_line["loading_percent"], net.res_trafo["loading_percent"]
        names = net.bus["name"], net.line["name"], net.trafo["name"]
        for kind, limit, unit, mine, theirs, named in zip(
            ("bus", "line", "transformer"),
            (VOLTAGE_PU, LOADING_PCT, LOADING_PCT),
            ("pu", "%", "%"),
            ours,
            other,
            names,
            strict=True,
        ):
            difference = np.abs(mine.to_numpy(np.float64) - theirs[row])
            if len(difference) and not (difference <= limit).all():
                worst = int(np.argmax(np.where(np.isnan(difference), np.inf, difference)))
                raise PowerFlowError(
                    f"network {name}: pandapower and power-grid-model differ at {kind} {named.iloc[worst]!r}: "
                    f"{mine.iloc[worst]:.7g} and {theirs[row, worst]:.7g} {unit} (at most {limit:g} is allowed)"
                )
    net.load["p_mw"], net.load["q_mvar"] = 0.0, 0.0


def newton(name: str, net: Any, injection_mva: ComplexArray, where: str) -> tuple[FloatArray, FloatArray]:
    """Voltage magnitude (pu) and angle (degrees) of every bus by pandapower's Newton-Raphson, the model of record.

    Args:
        name: of the network, for messages.
        net: pandapower net with exactly one load at every bus, in the order of its buses.
        injection_mva: at every bus, load negative, ``[buses]``.
        where: slot and so on, for messages.

    Raises:
        PowerFlowError: it did not converge, or leaves a bus without voltage.
    """
    import highspy  # noqa: F401 - first: pandapower loads ortools when it is there, whose HiGHS would shadow this one
    import pandapower as pp

    net.load["p_mw"], net.load["q_mvar"] = -injection_mva.real, -injection_mva.imag
    try:
        pp.runpp(net, numba=False, init="auto", tolerance_mva=1e-8)
    except pp.LoadflowNotConverged as error:
        raise PowerFlowError(f"network {name}: the AC power flow does not converge in {where}") from error
    vm = net.res_bus["vm_pu"].to_numpy(np.float64)
    if not (vm > LEAST_VOLTAGE_PU).all():
        dead = str(net.bus["name"].iloc[int(np.argmin(np.nan_to_num(vm)))])
        raise PowerFlowError(f"network {name}: the AC power flow leaves bus {dead} without voltage in {where}", bus=dead)
    return vm, net.res_bus["va_degree"].to_numpy(np.float64)
