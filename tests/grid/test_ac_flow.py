"""The fixed point of many slots: its sparse sweeps, and slots that must not count as solved."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csc_matrix

from grid.ac_flow import Admittance, Sweeps, solve
from grid.errors import PowerFlowError


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_sweeps_solve_what_a_dense_solver_solves(nodes: int, slots: int, seed: int) -> None:
    """A random tree with some loops: the same voltages as ``numpy.linalg.solve``, also from rows that are no copies."""
    rng = np.random.default_rng(seed)
    matrix = np.zeros((nodes, nodes), dtype=np.complex128)
    pairs = [(k, int(rng.integers(k))) for k in range(1, nodes)]
    pairs += [(int(a), int(b)) for a, b in rng.integers(0, nodes, (nodes // 8, 2)) if a != b]
    for a, b in pairs:
        y = complex(*rng.uniform(0.5, 2.0, 2))
        matrix[[a, b], [b, a]] -= y
        matrix[[a, b], [a, b]] += y
    matrix[0, 0] += 1 - 1j
    current = rng.normal(size=(nodes, slots)) + 1j * rng.normal(size=(nodes, slots))
    before = current.copy()
    assert Sweeps.of(csc_matrix(matrix))(current) == pytest.approx(np.linalg.solve(matrix, current), rel=1e-9, abs=1e-9)
    assert np.array_equal(current, before)


def test_a_part_in_the_air_is_an_error() -> None:
    """Admittances without a path to the slack are singular; that is said and no voltage comes out."""
    with pytest.raises(PowerFlowError, match="hangs in the air"):
        Sweeps.of(csc_matrix(np.array([[1.0 + 0j, -1.0], [-1.0, 1.0]])))


def line(slack_pu: complex) -> Admittance:
    """Two nodes, one line of impedance 0.1 pu."""
    y = 10.0 + 0j
    return Admittance(
        size=2,
        bus_rows=np.array([0, 0, 1, 1]),
        bus_columns=np.array([0, 1, 0, 1]),
        bus_values=np.array([y, -y, -y, y]),
        branch_rows=np.array([0, 0]),
        branch_columns=np.array([0, 1]),
        from_values=np.array([y, -y]),
        to_values=np.array([-y, y]),
        branches=1,
        slack=np.array([0]),
        slack_voltage=np.array([slack_pu]),
        base_mva=1.0,
    )


def test_the_voltage_is_that_of_the_quadratic() -> None:
    """V (v - 1) = -p z has the root (1 + sqrt(1 - 4 p z)) / 2; beyond 4 p z = 1 there is none, and the slot says so."""
    drawn = np.array([0.0, 1.0, 2.0, 2.4, 2.6])
    found = solve(line(1.0), np.column_stack([np.zeros(5), -drawn]).astype(np.complex128))
    assert found.solved.tolist() == [True, True, True, True, False]
    expected = (1 + np.sqrt(1 - 0.4 * drawn[:4])) / 2
    assert np.abs(found.voltage[:4, 1]) == pytest.approx(expected, abs=1e-9)


def test_no_voltage_is_no_solution() -> None:
    """A slack without voltage gives zeros with no mismatch at all, and numbers that are none never count either."""
    dead = solve(line(0.0), np.zeros((1, 2), dtype=np.complex128))
    assert not dead.solved.any()
    odd = solve(line(1.0), np.array([[0.0, np.nan], [0.0, -0.5]], dtype=np.complex128))
    assert odd.solved.tolist() == [False, True]
