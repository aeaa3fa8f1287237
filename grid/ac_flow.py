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

from grid.errors import PowerFlowError
from grid.horizon import FloatArray

ComplexArray = npt.NDArray[np.complex128]
IntArray = npt.NDArray[np.int64]

TOLERANCE_MVA = 1e-8
"""Largest power mismatch of a solved slot (pandapower's default ``tolerance_mva``)."""

MAX_ITERATIONS = 200
STEP_PU = 1e-12

LEAST_VOLTAGE_PU = 1e-3
"""A slot with a voltage below this somewhere counts as unsolved, whatever its mismatch: nothing is supplied there."""


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


@dataclass(frozen=True, slots=True, eq=False)
class Impedance:
    """An admittance made ready for the iteration, once for all slots.

    Attributes:
        matrix: node admittance matrix, sparse.
        rest: nodes that are no slack.
        times: multiplication of currents ``[rest, N]`` with the impedance matrix of the rest.
        no_load: voltages of the rest without any load, ``[rest]``.
    """

    matrix: Any
    rest: IntArray
    times: Sweeps
    no_load: ComplexArray


def impedance(admittance: Admittance) -> Impedance:
    """The impedance of a network, made once."""
    matrix = admittance.bus_matrix()
    rest = np.setdiff1d(np.arange(admittance.size), admittance.slack)
    sweeps = Sweeps.of(matrix[rest][:, rest])
    drive: ComplexArray = -(matrix[rest][:, admittance.slack] @ admittance.slack_voltage)
    return Impedance(matrix, rest, sweeps, sweeps(drive[:, None])[:, 0])


@dataclass(frozen=True, slots=True, eq=False)
class Sweeps:
    """Sparse triangular factors, applied entry by entry to whole rows of slots.

    In a radial network there are about two entries a node, so a forward and a backward sweep cost next to nothing, and no
    threads of a linear algebra library wait for each other (decision 0011).

    Attributes:
        row_order, column_order: where each equation goes, where each unknown comes from.
        lower, upper: entries below and above the diagonal as (row, column, value), in the order of use.
        pivots: inverse of the diagonal of the upper factor.
    """

    row_order: IntArray
    column_order: IntArray
    lower: tuple[tuple[int, int, complex], ...]
    upper: tuple[tuple[tuple[int, complex], ...], ...]
    pivots: ComplexArray

    @classmethod
    def of(cls, admittance: Any) -> Sweeps:
        """Factors of a sparse square matrix.

        Raises:
            PowerFlowError: it is singular.
        """
        from scipy.sparse.linalg import splu

        try:
            found = splu(admittance.tocsc(), permc_spec="MMD_AT_PLUS_A")
        except RuntimeError as error:
            raise PowerFlowError("the admittances of the network are singular: a part of it hangs in the air") from error
        lower, upper = found.L.tocoo(), found.U.tocsc()
        below = [(int(i), int(j), complex(v)) for i, j, v in zip(lower.row, lower.col, lower.data, strict=True) if i > j]
        spans = [slice(upper.indptr[j], upper.indptr[j + 1]) for j in range(upper.shape[0])]
        above = tuple(
            tuple((int(i), complex(v)) for i, v in zip(upper.indices[span], upper.data[span], strict=True) if i < j)
            for j, span in enumerate(spans)
        )
        in_order = tuple(sorted(below, key=lambda entry: entry[1]))
        return cls(found.perm_r.astype(np.int64), found.perm_c.astype(np.int64), in_order, above, 1.0 / upper.diagonal())

    def __call__(self, current: ComplexArray) -> ComplexArray:
        """Voltages ``[rest, N]`` that drive these currents."""
        found = np.empty_like(current)
        found[self.row_order] = current
        scratch = np.empty_like(found[0])
        for row, column, value in self.lower:
            found[row] -= np.multiply(found[column], value, out=scratch)
        for column in range(len(found) - 1, -1, -1):
            found[column] *= self.pivots[column]
            for row, value in self.upper[column]:
                found[row] -= np.multiply(found[column], value, out=scratch)
        return found[self.column_order]


def solve(admittance: Admittance, injection_pu: ComplexArray, ready: Impedance | None = None) -> Solution:
    """Voltages for injections ``[N, size]``; slots without a solution are marked by their mismatch, never hidden.

    Args:
        admittance: of the network.
        injection_pu: injection at every node, load negative.
        ready: its impedance, when it was made before.
    """
    ready = ready or impedance(admittance)
    rest, no_load = ready.rest, ready.no_load[:, None]
    power: ComplexArray = np.conj(np.ascontiguousarray(injection_pu[:, rest].T))
    voltage: ComplexArray = np.repeat(no_load, power.shape[1], axis=1)
    linear = voltage
    current = np.empty_like(voltage)
    iterations = 0
    with np.errstate(all="ignore"):  # a slot that diverges is told by its mismatch below
        for iterations in range(1, MAX_ITERATIONS + 1):
            np.conjugate(voltage, out=current)
            following = ready.times(np.divide(power, current, out=current))
            following += no_load
            if iterations == 1:
                linear = following
            step = np.fmax.reduce(np.abs((following - voltage).view(np.float64)), axis=None, initial=0.0)
            voltage = following
            if not step > STEP_PU:  # fmax leaves out slots that have no number any more
                break
        whole = np.empty((admittance.size, power.shape[1]), dtype=np.complex128)
        whole[admittance.slack] = admittance.slack_voltage[:, None]
        first = whole.copy()
        whole[rest], first[rest] = voltage, linear
        found = voltage * np.conj((ready.matrix @ whole)[rest])
        mismatch = np.abs(found - np.conj(power)).max(axis=0, initial=0.0) * admittance.base_mva
        mismatch[~(np.abs(whole).min(axis=0) > LEAST_VOLTAGE_PU)] = np.inf
    return Solution(whole.T, first.T, mismatch, iterations)


def slack_power_mva(admittance: Admittance, voltage: ComplexArray) -> ComplexArray:
    """Power that the slack buses feed into the network, MVA, ``[N]``."""
    current = (admittance.bus_matrix()[admittance.slack] @ voltage.T).T
    power: ComplexArray = (voltage[:, admittance.slack] * np.conj(current)).sum(axis=1) * admittance.base_mva
    return power


def branch_currents_pu(admittance: Admittance, voltage: ComplexArray) -> tuple[ComplexArray, ComplexArray]:
    """Currents into every branch at its from and to end, per unit, each ``[N, branches]``."""
    at_from, at_to = admittance.branch_matrices()
    return (at_from @ voltage.T).T, (at_to @ voltage.T).T
