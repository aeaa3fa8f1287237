"""What a meter has counted: cumulative energies at the ends of pieces of constant power, from which any slot is a difference."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from grid.horizon import FloatArray

FLOWS: tuple[str, ...] = (
    "it_kwh",
    "load_kwh",
    "import_kwh",
    "export_kwh",
    "renewable_kwh",
    "renewable_used_kwh",
    "curtailed_kwh",
    "charge_kwh",
    "discharge_kwh",
    "unserved_kwh",
)
"""Energies that are accumulated, in this order."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Constant powers of a site (kW) that do not depend on its battery; its facility power is the load without assets."""

    it_kw: float
    load_kw: float
    available_kw: float
    net_limit_kw: float
    export_room_kw: float
    made_kw: float
    pue: float
    facility_kw: float


class FlowLog:
    """Cumulative energies of one site; instants are seconds after the start of its horizon.

    Attributes:
        end_s: instant up to which there is something.
    """

    def __init__(self, soc_kwh: float) -> None:
        self.end_s = 0.0
        self._edges_s: list[float] = [0.0]
        self._totals: list[tuple[float, ...]] = [tuple(0.0 for _ in FLOWS)]
        self._socs: list[float] = [soc_kwh]
        self._made_kwh: list[float] = [0.0]

    def add(self, powers_kw: tuple[float, ...], made_kw: float, soc_kwh: float, end_s: float) -> None:
        """A piece of constant powers (in the order of ``FLOWS``) up to ``end_s``, with the state of charge at its end.

        Args:
            powers_kw: the powers.
            made_kw: what biogas units and generators give.
            soc_kwh: state of charge at the end.
            end_s: the end.
        """
        hours = (end_s - self.end_s) / 3600.0
        self._totals.append(tuple(total + power * hours for total, power in zip(self._totals[-1], powers_kw, strict=True)))
        self._edges_s.append(end_s)
        self._socs.append(soc_kwh)
        self._made_kwh.append(self._made_kwh[-1] + made_kw * hours)
        self.end_s = end_s

    def energies(self, edges_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Energies between instants, and the state of charge at each instant but the first.

        Returns:
            ``[len(FLOWS), n - 1]`` kWh and ``[n - 1]`` kWh for ``n`` instants.
        """
        asked = slice(max(0, bisect_right(self._edges_s, edges_s[0]) - 1), bisect_right(self._edges_s, edges_s[-1]) + 1)
        known, totals = np.array(self._edges_s[asked]), np.array(self._totals[asked])
        flows = np.stack([np.diff(np.interp(edges_s, known, totals[:, i])) for i in range(len(FLOWS))])
        return flows, np.interp(edges_s[1:], known, np.array(self._socs[asked]))

    def made_kwh(self, edges_s: FloatArray) -> FloatArray:
        """What biogas units and generators gave between instants, ``[n - 1]`` kWh."""
        made: FloatArray = np.diff(np.interp(edges_s, np.array(self._edges_s), np.array(self._made_kwh)))
        return made

    def total(self, flow: str) -> float:
        """All of one energy so far, kWh."""
        return self._totals[-1][FLOWS.index(flow)]

    def soc_bounds_kwh(self) -> tuple[float, float]:
        """Lowest and highest state of charge so far (pieces are linear, so it lies at a piece's end)."""
        return min(self._socs), max(self._socs)
