"""How voltages and loadings answer to the net import of the sites, slot by slot: the derivative of the AC equations.

The voltages of ``grid.ac_flow`` satisfy ``V = w + Z conj(S / V)`` with ``Z = inv(Y_LL)``. A small change of the injections
changes them by

    dV = Z (conj(dS / V) - conj(S / V^2) conj(dV)),

which is linear in the real numbers and is iterated as the flow itself is: it contracts wherever the flow does. Every slot and
every site is carried in the same iteration, on one factorisation. Currents follow from voltages by the admittances of the
branches. The loading of an element is that of its fuller end, and so is its derivative. A loading has a kink where the flow turns
round (houses that export at noon, sites that then import), so ``predict`` carries the complex currents along linearly and takes
their magnitude at the end; ``line_per_kw`` and ``transformer_per_kw`` are tangents, as a linear programme needs them.

Sites are loads of power factor 1, as in ``grid.network``: their net import changes only active power.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from grid.ac_flow import Admittance, ComplexArray, IntArray, branch_currents_pu, solve
from grid.errors import PowerFlowError
from grid.horizon import FloatArray, Horizon
from grid.network import Network
from grid.network_result import NetworkResult

ACCURACY_PU = 1e-12
"""Change of the voltage derivative (per MW) at which the iteration ends."""

MAX_ITERATIONS = 200


@dataclass(frozen=True, slots=True, eq=False)
class Ends:
    """Currents of both ends of some elements, in percent of their rating, as complex linear functions of net import.

    Attributes:
        current: in the state, ``[2, N, E]``; per_kw: its derivative, ``[2, N, E, K]``.
    """

    current: ComplexArray
    per_kw: ComplexArray

    def loading(self, change_kw: FloatArray) -> FloatArray:
        """Loading of the fuller end in percent, ``[N, E]``, after a change of net imports ``[N, 1, K]`` in kW."""
        moved: FloatArray = np.abs(self.current + (self.per_kw * change_kw).sum(axis=3)).max(axis=0)
        return moved

    def tangent(self) -> FloatArray:
        """Percentage points of loading per kW at the fuller end, ``[N, E, K]``; zero where no current flows."""
        size = np.abs(self.current)
        slope = np.real(np.conj(self.current)[..., None] * self.per_kw) / np.where(size > 0, size, 1.0)[..., None]
        fuller: FloatArray = np.where((size[0] >= size[1])[..., None], slope[0], slope[1])
        return fuller


@dataclass(frozen=True, slots=True, eq=False)
class Linearisation:
    """Voltages and loadings as linear functions of the net import of the sites, around one state for each slot.

    Attributes:
        state: the AC solution around which it holds, of ``N`` slots.
        sites: names of the sites that have a bus, ``[K]``.
        import_kw: their net import in that state (import positive), ``[N, K]``.
        voltage_per_kw: pu per kW of net import, ``[N, buses, K]`` (more import: lower voltage, negative).
        line_per_kw, transformer_per_kw: percentage points of loading per kW, ``[N, elements, K]``.
        line_ends, transformer_ends: complex current of both ends of each element and its derivative.
    """

    state: NetworkResult
    sites: tuple[str, ...]
    import_kw: FloatArray
    voltage_per_kw: FloatArray
    line_per_kw: FloatArray
    transformer_per_kw: FloatArray
    line_ends: Ends
    transformer_ends: Ends

    def predict(self, import_kw: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Voltages in pu, line and transformer loadings in percent, ``[N, elements]`` each, for net imports ``[N, K]`` in kW."""
        change = (import_kw - self.import_kw)[:, None, :]
        return (
            self.state.voltage_pu + (self.voltage_per_kw * change).sum(axis=2),
            self.line_ends.loading(change),
            self.transformer_ends.loading(change),
        )


def linearise(
    network: Network,
    horizon: Horizon,
    profile_start: str | datetime,
    site_import_kw: Mapping[str, npt.ArrayLike],
    site_bus: Mapping[str, str],
    *,
    household_scale: float = 1.0,
    slots: tuple[int, ...] | None = None,
    confirm: int = 0,
) -> Linearisation:
    """The linearisation around the AC solution with these net imports; arguments as of ``Network.power_flow``.

    Raises:
        PowerFlowError: the power flow has no solution in a slot, its derivative does not settle there, or the input is wrong.
        FeedError: the horizon leaves the profile year.
    """
    result = network.power_flow(
        horizon, profile_start, site_import_kw, site_bus, household_scale=household_scale, slots=slots, confirm=confirm
    )
    chosen, buses = list(result.slots), list(result.site_bus.values())
    imports = np.zeros((len(chosen), 0))
    if buses:
        imports = np.stack([np.asarray(site_import_kw[name], dtype=np.float64)[chosen] for name in result.site_bus], axis=1)
    users = tuple(part[chosen] for part in network.households_kw(horizon, profile_start, household_scale))
    injection_pu = _injection_pu(network, users, imports, buses)
    solution = solve(network.admittance, injection_pu)
    if not solution.solved.all():
        slot = chosen[int(np.argmin(solution.solved))]
        raise PowerFlowError(f"network {network.code}: slot {slot} is at the edge of what it can carry", slot=slot)
    voltage, nodes = solution.voltage, network.bus_nodes[buses]
    derivative = voltage_derivative(network.admittance, voltage, injection_pu, nodes) / 1e3
    line = _ends(network, voltage, derivative, network.line_branches, network.line_pct)
    transformer = _ends(network, voltage, derivative, network.transformer_branches, network.transformer_pct)
    magnitude = np.real(np.conj(voltage)[:, :, None] * derivative) / np.abs(voltage)[:, :, None]
    return Linearisation(
        state=result,
        sites=tuple(result.site_bus),
        import_kw=imports,
        voltage_per_kw=magnitude[:, network.bus_nodes, :],
        line_per_kw=line.tangent(),
        transformer_per_kw=transformer.tangent(),
        line_ends=line,
        transformer_ends=transformer,
    )


def _injection_pu(network: Network, users: tuple[FloatArray, ...], import_kw: FloatArray, buses: list[int]) -> ComplexArray:
    """Injection at every electrical node (load negative), per unit, ``[N, nodes]``.

    Args:
        network: the network.
        users: load P, load Q and generation of its own users, kW and kvar, as of ``Network.households_kw``.
        import_kw: net import of the sites, ``[N, K]``.
        buses: where they are, ``[K]``.
    """
    load_p, load_q, sun = users
    injection = np.zeros((network.admittance.size, len(load_p)), dtype=np.complex128)
    np.add.at(injection, network.bus_nodes[network.load_buses], -(load_p + 1j * load_q).T)
    np.add.at(injection, network.bus_nodes[network.sgen_buses], sun.T)
    np.add.at(injection, network.bus_nodes[buses], -import_kw.T)
    per_unit: ComplexArray = injection.T / (1e3 * network.admittance.base_mva)
    return per_unit


def voltage_derivative(
    admittance: Admittance, voltage: ComplexArray, injection_pu: ComplexArray, nodes: IntArray
) -> ComplexArray:
    """Derivative of the complex node voltages by the active load at some nodes, pu per MW, ``[N, size, K]``.

    Args:
        admittance: of the network.
        voltage: solution, pu, ``[N, size]``.
        injection_pu: injections that it belongs to, ``[N, size]``.
        nodes: where the load changes, ``[K]``; at a slack node nothing changes.

    Raises:
        PowerFlowError: it does not settle, because a slot is at the edge of what the network can carry.
    """
    from scipy.sparse.linalg import splu

    rest = np.setdiff1d(np.arange(admittance.size), admittance.slack)
    factors = splu(admittance.bus_matrix()[rest][:, rest].tocsc())
    free, power = voltage[:, rest], injection_pu[:, rest]
    count, size, width = len(free), len(rest), len(nodes)
    found = np.zeros((count, admittance.size, width), dtype=np.complex128)
    if not width:
        return found

    def impedance(current: ComplexArray) -> ComplexArray:
        """``Z`` times currents ``[N, size, K]``."""
        flat = np.ascontiguousarray(current.transpose(1, 0, 2)).reshape(size, count * width)
        answer: ComplexArray = factors.solve(flat).reshape(size, count, width).transpose(1, 0, 2)
        return answer

    here = (rest[:, None] == nodes[None, :]).astype(np.float64)
    direct = impedance(-here[None, :, :] / (admittance.base_mva * np.conj(free)[:, :, None]))
    feedback = np.conj(power / free**2)[:, :, None]
    derivative = direct
    for _ in range(MAX_ITERATIONS):
        with np.errstate(all="ignore"):  # what grows without end is told below
            following = direct - impedance(feedback * np.conj(derivative))
            step = np.abs(following - derivative).max()
        derivative = following
        if step <= ACCURACY_PU * max(1.0, float(np.abs(derivative).max())):
            found[:, rest, :] = derivative
            return found
    raise PowerFlowError("the derivative of the power flow does not settle: the network is at the edge of what it can carry")


def _ends(network: Network, voltage: ComplexArray, derivative: ComplexArray, branches: IntArray, pct: FloatArray) -> Ends:
    """Currents of the elements on ``branches`` and their derivatives, in percent of the rating at either end."""
    count, size, width = derivative.shape
    flat = derivative.transpose(0, 2, 1).reshape(count * width, size)
    current, per_kw = [], []
    for here, along, share in zip(
        branch_currents_pu(network.admittance, voltage), branch_currents_pu(network.admittance, flat), pct.T, strict=True
    ):
        current.append(here[:, branches] * share)
        cells = along.reshape(count, width, network.admittance.branches)[:, :, branches].transpose(0, 2, 1)
        per_kw.append(cells * share[:, None])
    return Ends(np.stack(current), np.stack(per_kw))
