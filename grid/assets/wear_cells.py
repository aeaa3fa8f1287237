"""Wear of two kinds of cells, from the life models of blast-lite 1.1.1 (NREL, BSD-3-Clause).

The figures are what ``benchmarks/calibrate_wear.py`` printed: ten years at 25 degrees Celsius, losses spread evenly.
``lfp``: a 250 Ah prismatic lithium iron phosphate cell, tested at depths of 0.8 to 1 only (doi 10.1016/j.est.2023.109042); its
wear is nearly even in depth. ``nmc``: a 75 Ah nickel manganese cobalt pouch cell (NREL, 2017; depth 0.8 in nearly all tests); the
deepest tenths cost eight times as much per kWh as shallow ones. The makers of the models say that the life of a pack is 20 to
30 % below that of its cells; ``PACK`` is the middle of that.
"""

from __future__ import annotations

from dataclasses import dataclass

from grid.assets.wear import DepthWear

PACK = 0.75
"""Life of a pack as a share of that of its cells."""

HOURS_A_YEAR = 8760.0


@dataclass(frozen=True, slots=True)
class CellLife:
    """How a kind of cell loses capacity.

    Attributes:
        slopes: share of the capacity lost per cycle and unit of depth, by tenth of depth.
        held_per_year: share lost a year at full, beyond what is lost at empty (a straight line through floats of 10 to 100 %).
    """

    slopes: tuple[float, ...]
    held_per_year: float


CELLS: dict[str, CellLife] = {
    "lfp": CellLife((2.421e-05,) * 3 + (2.577e-05,) + (2.591e-05,) * 6, 0.005144),
    "nmc": CellLife((1.395e-05,) * 3 + (2.518e-05, 4.334e-05, 5.763e-05, 7.177e-05) + (1.158e-04,) * 3, 0.01358),
}


def wear_of(cell: str, replacement_eur_per_kwh: float, end_of_life: float) -> DepthWear:
    """Prices of wear of a battery that is replaced when ``end_of_life`` (share) of its capacity is left.

    Losing the share ``x`` of the capacity costs ``x * replacement / (1 - end_of_life) / PACK`` per kWh of capacity.

    Raises:
        KeyError: a kind of cell that is not in ``CELLS``.
        ValueError: an end of life outside [0, 1).
    """
    if not 0 <= end_of_life < 1:
        raise ValueError("end of life lies in [0, 1)")
    life = CELLS[cell]
    price = replacement_eur_per_kwh / (1.0 - end_of_life) / PACK
    layers: list[tuple[float, float]] = []
    for slope in life.slopes:
        share = 1.0 / len(life.slopes)
        if layers and layers[-1][1] == slope * price:
            share += layers.pop()[0]
        layers.append((share, slope * price))
    return DepthWear(tuple(layers), life.held_per_year * price / HOURS_A_YEAR)
