"""AC power flow of many slots at once, on admittances that pandapower made.

The network equations are ``Y V = conj(S / V)`` with the voltage of the slack buses given. With the buses split into slack
(R) and the rest (L) they become a fixed point,

    V_L = w + inv(Y_LL) conj(S_L / V_L),    w = -inv(Y_LL) Y_LR V_R,

which contracts for every load that a distribution network can carry (Z-bus method; Bazrafshan and Gatsis, IEEE Trans. Power
Systems 33 (2018) 1301). ``Y_LL`` is factorised once and all slots iterate together. Whatever the iteration did, a slot counts
as solved only when its power mismatch at every bus is below pandapower's own tolerance, so a solved slot is a solution of
the full AC equations and not an approximation.

Sign: ``S`` is injection into the network, so a load is negative. Per unit of ``base_mva``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from grid.horizon import FloatArray

ComplexArray = npt.NDArray[np.complex128]
IntArray = npt.NDArray[np.int64]

TOLERANCE_MVA = 1e-8
"""Largest power mismatch of a solved slot (pandapower's default ``tolerance_mva``)."""

MAX_ITERATIONS = 200
STEP_PU = 1e-13


@dataclass(frozen=True, slots=True, eq=False)
class Admittance:
    """Sparse admittances of a network, per unit.

    Attributes:
        size: number of electrical nodes.
        bus_rows, bus_columns, bus_values: entries of the node admittance matrix.
        branch_rows, branch_columns: entries of the branch matrices; from_values, to_values: current at either end.
        branches: number of branches.
        slack: nodes with given voltage; slack_voltage: that voltage.
        base_mva: power base.
    """

    size: int
    bus_rows: IntArray
    bus_columns: IntArray
    bus_values: ComplexArray
    branch_rows: IntArray
    branch_columns: IntArray
    from_values: ComplexArray
    to_values: ComplexArray
    branches: int
    slack: IntArray
    slack_voltage: ComplexArray
    base_mva: float

    def bus_matrix(self) -> Any:
        """Node admittance matrix, sparse, ``[size, size]``."""
        from scipy.sparse import csc_matrix

        return csc_matrix((self.bus_values, (self.bus_rows, self.bus_columns)), shape=(self.size, self.size))

    def branch_matrices(self) -> tuple[Any, Any]:
        """Matrices that give the current into each branch at its from and its to end, ``[branches, size]``."""
        from scipy.sparse import csr_matrix

        shape = (self.branches, self.size)
        places = (self.branch_rows, self.branch_columns)
        return csr_matrix((self.from_values, places), shape=shape), csr_matrix((self.to_values, places), shape=shape)


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """Voltages of all slots.

    Attributes:
        voltage: complex node voltages, ``[N, size]``.
        linear: first iterate, ``[N, size]``: a linear estimate that exists even where no solution does.
        mismatch_mva: largest power mismatch of each slot, ``[N]``.
        iterations: of the slowest slot.
    """

    voltage: ComplexArray
    linear: ComplexArray
    mismatch_mva: FloatArray
    iterations: int

    @property
    def solved(self) -> npt.NDArray[np.bool_]:
        """True for each slot that satisfies the AC equations."""
        return np.isfinite(self.mismatch_mva) & (self.mismatch_mva <= TOLERANCE_MVA)


def solve(admittance: Admittance, injection_pu: ComplexArray) -> Solution:
    """Voltages for injections ``[N, size]``; slots without a solution are marked by their mismatch, never hidden."""
    from scipy.sparse.linalg import splu

    matrix = admittance.bus_matrix()
    slack = admittance.slack
    rest = np.setdiff1d(np.arange(admittance.size), slack)
    factors = splu(matrix[rest][:, rest].tocsc())
    no_load = factors.solve(-(matrix[rest][:, slack] @ admittance.slack_voltage))
    power = injection_pu[:, rest]
    voltage = np.broadcast_to(no_load, power.shape)
    linear = voltage
    iterations = 0
    with np.errstate(all="ignore"):  # a slot that diverges is told by its mismatch below
        for iterations in range(1, MAX_ITERATIONS + 1):
            following = no_load + factors.solve(np.ascontiguousarray(np.conj(power / voltage).T)).T
            if iterations == 1:
                linear = following
            step = np.abs(following - voltage).max(axis=1)
            voltage = following
            if not (step > STEP_PU).any():
                break
        whole = np.empty(injection_pu.shape, dtype=np.complex128)
        whole[:, slack] = admittance.slack_voltage
        whole[:, rest] = voltage
        first = whole.copy()
        first[:, rest] = linear
        found = whole * np.conj((matrix @ whole.T).T)
        mismatch = np.abs(found - injection_pu)[:, rest].max(axis=1) * admittance.base_mva
    return Solution(whole, first, mismatch, iterations)


def slack_power_mva(admittance: Admittance, voltage: ComplexArray) -> ComplexArray:
    """Power that the slack buses feed into the network, MVA, ``[N]``."""
    current = (admittance.bus_matrix() @ voltage.T).T[:, admittance.slack]
    power: ComplexArray = (voltage[:, admittance.slack] * np.conj(current)).sum(axis=1) * admittance.base_mva
    return power


def branch_currents_pu(admittance: Admittance, voltage: ComplexArray) -> tuple[ComplexArray, ComplexArray]:
    """Currents into every branch at its from and to end, per unit, each ``[N, branches]``."""
    at_from, at_to = admittance.branch_matrices()
    return (at_from @ voltage.T).T, (at_to @ voltage.T).T
