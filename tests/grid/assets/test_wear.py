"""Wear by depth: rainflow agrees, a linear programme agrees, the cells of the table are what they say."""

from __future__ import annotations

import numpy as np
import pytest
import rainflow
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from grid.assets.battery import Battery
from grid.assets.wear import DepthWear, cycles_eur, wear_eur
from grid.assets.wear_cells import CELLS, PACK, wear_of

ENERGY = 10.0
WEAR = DepthWear(((0.2, 0.01), (0.3, 0.02), (0.5, 0.05)), 0.001)

paths = st.lists(st.integers(0, 40), min_size=2, max_size=14).map(lambda steps: ENERGY * np.array(steps) / 40)


def owed(path: np.ndarray) -> float:
    """Price of a path of the state of charge, kWh."""
    moves = np.diff(path)
    return cycles_eur(WEAR, ENERGY, float(path[0]), np.maximum(0, moves), np.maximum(0, -moves))


def by_rainflow(path: np.ndarray) -> float:
    """The same by ASTM E1049: full cycles, and half cycles that discharge."""
    total = 0.0
    for depth, _, count, first, last in rainflow.extract_cycles(path):
        if count == 1.0 or path[last] < path[first]:
            total += WEAR.depth_eur(ENERGY, depth)
    return total


@settings(max_examples=300, deadline=None)
@given(paths)
def test_equals_rainflow(path: np.ndarray) -> None:
    """Any path that begins full costs what its rainflow cycles cost."""
    path = np.concatenate(([ENERGY], path))
    assert owed(path) == pytest.approx(by_rainflow(path), abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(paths)
def test_a_linear_programme_finds_the_same(path: np.ndarray) -> None:
    """Free to take from any layer, a programme pays exactly what the cheapest-first rule pays."""
    room, slots = WEAR.room_kwh(ENERGY), len(path) - 1
    start = WEAR.filled_kwh(ENERGY, float(path[0]))
    count = len(room) * slots  # columns: level of each layer after each slot, then what is taken out of it
    price = np.concatenate((np.zeros(count), np.repeat([price for _, price in WEAR.layers], slots)))
    sums, rows, least = np.zeros((slots, 2 * count)), np.zeros((count, 2 * count)), np.zeros(count)
    for j in range(len(room)):
        for t in range(slots):
            here = j * slots + t
            sums[t, here] = 1.0
            rows[here, here] = rows[here, count + here] = -1.0
            if t:
                rows[here, here - 1] = 1.0
            else:
                least[here] = -start[j]
    bounds = [(0, each) for each in np.repeat(room, slots)] + [(0, None)] * count
    answer = linprog(price, A_ub=rows, b_ub=least, A_eq=sums, b_eq=path[1:], bounds=bounds)
    assert answer.status == 0
    assert answer.fun == pytest.approx(owed(path), abs=1e-7)


def test_a_cycle_in_a_cycle_by_hand() -> None:
    """Full to 5, up to 6, down to 3: 2 kWh at 0.01, 3 at 0.02; then 1 at 0.01 again, 2 more at 0.05."""
    assert owed(np.array([10.0, 5.0, 6.0, 3.0])) == pytest.approx(2 * 0.01 + 3 * 0.02 + 1 * 0.01 + 2 * 0.05)


def test_all_parts_of_the_price_by_hand() -> None:
    """Per kWh through the terminal, by depth in the cells, and standing."""
    battery = Battery(ENERGY, 5, 5, 0.8, 0.5, 4.0, wear_eur_per_kwh=0.1, wear=WEAR)
    total = wear_eur(battery, 4.0, np.array([2.0, 0.0]), np.array([0.0, 1.0]), np.array([5.6, 3.6]), 0.5)
    standing = 0.001 * 0.5 * (4.0 / 2 + 5.6 + 3.6 / 2)
    assert total == pytest.approx(
        0.1 * 3.0 / 2 + 2.0 * 0.01 + standing
    )  # 1 kWh given takes 2 from the cells, all of the first layer


def test_in_and_out_at_once_passes_through_the_cheapest_layer() -> None:
    """Nothing moves, yet a kWh went through."""
    assert cycles_eur(WEAR, ENERGY, 5.0, np.array([1.0]), np.array([1.0])) == pytest.approx(0.01)


def test_prices_of_cells() -> None:
    """Losing three tenths costs a new battery; a full cycle a day for the life of the model costs its loss."""
    wear = wear_of("nmc", 300.0, 0.7)
    full = sum(CELLS["nmc"].slopes) / 10
    assert wear.depth_eur(1.0, 1.0) == pytest.approx(full * 300.0 / 0.3 / PACK)
    assert wear.held_eur_per_kwh_h * 8760 == pytest.approx(0.01358 * 300.0 / 0.3 / PACK)
    assert len(wear.layers) == 6
    assert wear.layers[0][0] == pytest.approx(0.3)
    assert wear.dearest_eur_per_kwh / wear.layers[0][1] == pytest.approx(8.3, abs=0.01)


@pytest.mark.parametrize(
    ("layers", "held", "words"),
    [
        (((0.5, 0.1),), 0.0, "sum to 1"),
        ((), 0.0, "sum to 1"),
        (((0.5, 0.2), (0.5, 0.1)), 0.0, "do not fall"),
        (((1.0, -0.1),), 0.0, "not negative"),
        (((1.0, 0.1),), -1.0, "not negative"),
    ],
)
def test_wrong_prices(layers: tuple[tuple[float, float], ...], held: float, words: str) -> None:
    """What cannot be priced is refused."""
    with pytest.raises(ValueError, match=words):
        DepthWear(layers, held)


def test_wrong_life() -> None:
    """An end of life of everything would never come."""
    with pytest.raises(ValueError, match="end of life"):
        wear_of("lfp", 100.0, 1.0)
