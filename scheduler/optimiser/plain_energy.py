"""Energy side of the plain model of a case: columns and rows as arrays (families in ``scheduler.optimiser.plain``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from grid.horizon import FloatArray
from scheduler.optimiser.large.case import Case, IntArray


class RowSink(Protocol):
    """What takes rows and nonzeros."""

    def family(self, name: str, lower: FloatArray, upper: FloatArray) -> int:
        """Begin a family; returns its first row."""

    def put(self, row: IntArray, column: IntArray, value: FloatArray | float) -> None:
        """Nonzeros of rows."""


@dataclass(frozen=True, slots=True, eq=False)
class EnergyColumns:
    """Columns of the energy side.

    Attributes:
        cost, lower, upper, integer: of each column.
        offset: constant part of the cost (peaks are paid above ``pk0`` only).
        families: first column (from the first of this side) and number of columns of each family.
    """

    cost: FloatArray
    lower: FloatArray
    upper: FloatArray
    integer: npt.NDArray[np.bool_]
    offset: float
    families: dict[str, tuple[int, int]]


class _Side:
    """Columns while they are collected; ``at`` gives the first column of a family."""

    def __init__(self, first: int) -> None:
        self.parts: list[tuple[FloatArray, FloatArray, FloatArray, npt.NDArray[np.bool_]]] = []
        self.families: dict[str, tuple[int, int]] = {}
        self.first, self.size = first, 0

    def add(self, name: str, cost: FloatArray, lower: Any, upper: Any, *, whole: bool = False) -> IntArray:
        """A family of columns of the shape of ``cost``; returns their numbers in that shape."""
        shape, count = cost.shape, cost.size
        low, high = (np.broadcast_to(np.asarray(limit, dtype=np.float64), shape).ravel() for limit in (lower, upper))
        self.parts.append((cost.ravel(), low, high, np.full(count, whole)))
        self.families[name] = (self.size, count)
        numbers = self.first + self.size + np.arange(count).reshape(shape)
        self.size += count
        return numbers


def energy_side(case: Case, first: int, rows: RowSink) -> EnergyColumns:
    """Columns of the energy side, numbered from ``first`` on, and their rows; jobs add their load to the family balance."""
    side, infinity = _Side(first), np.inf
    sites, slots = case.S, case.T
    each = np.ones((sites, slots))
    importing = side.add("import", case.pi * case.dt, 0.0, case.gmax)
    exporting = side.add("export", -case.po * case.dt, 0.0, case.emax)
    renewable = side.add("renewable", 0.0 * each, 0.0, case.ren)
    unserved = side.add("unserved", case.unserved[:, None] * case.dt * each, 0.0, infinity)
    peak = side.add("peak", case.dc, case.pk0, infinity)
    balance = rows.family("balance", case.a.ravel(), case.a.ravel())
    row = balance + np.arange(sites * slots)
    for columns, sign in ((importing, 1.0), (exporting, -1.0), (renewable, 1.0), (unserved, 1.0)):
        rows.put(row, columns.ravel(), sign)
    _batteries(case, side, rows, row.reshape(sites, slots))
    above = rows.family("peak", np.full(sites * slots, -infinity), np.zeros(sites * slots)) + np.arange(sites * slots)
    rows.put(above, importing.ravel(), 1.0)
    rows.put(above, np.repeat(peak, slots), -1.0)
    _events(case, side, rows, importing, exporting)
    _feeders(case, rows, importing, exporting)
    _shared(case, rows, importing, exporting)
    cost, lower, upper = (np.concatenate([part[k] for part in side.parts]) for k in range(3))
    integer = np.concatenate([part[3] for part in side.parts])
    return EnergyColumns(cost, lower, upper, integer, -float(case.dc @ case.pk0), side.families)


def _batteries(case: Case, side: _Side, rows: RowSink, balance: IntArray) -> None:
    """Families battery, charge and discharge, of the sites that have one."""
    have = np.flatnonzero(case.E > 0)
    count, slots, infinity = len(have), case.T, np.inf
    each = np.ones((count, slots))
    wear = case.wear[have, None] * case.dt / 2 * each
    charge = side.add("charge", wear, 0.0, case.Pc[have, None])
    discharge = side.add("discharge", wear, 0.0, case.Pd[have, None])
    least = np.minimum(case.soc_min, case.soc0)[have, None] * each
    soc = side.add("soc", 0.0 * each, least, np.maximum(case.E, case.soc0)[have, None])
    allowed = np.isfinite(case.missing[have])
    missing = side.add("missing", np.where(allowed, case.missing[have], 0.0), 0.0, np.where(allowed, infinity, 0.0))
    charging = side.add("charging", 0.0 * each, 0.0, 1.0, whole=True)
    rows.put(balance[have].ravel(), charge.ravel(), -1.0)
    rows.put(balance[have].ravel(), discharge.ravel(), 1.0)

    begin = np.zeros((count, slots))
    begin[:, 0] = case.soc0[have]
    row = rows.family("battery", begin.ravel(), begin.ravel()) + np.arange(count * slots).reshape(count, slots)
    rows.put(row.ravel(), soc.ravel(), 1.0)
    rows.put(row[:, 1:].ravel(), soc[:, :-1].ravel(), -1.0)
    rows.put(row.ravel(), charge.ravel(), np.repeat(-case.eta_c[have] * case.dt, slots))
    rows.put(row.ravel(), discharge.ravel(), np.repeat(case.dt / case.eta_d[have], slots))

    end = rows.family("final", case.soc_end[have], np.full(count, infinity)) + np.arange(count)
    rows.put(end, soc[:, -1], 1.0)
    rows.put(end, missing, 1.0)

    size = count * slots
    one = rows.family("charge", np.full(size, -infinity), np.zeros(size)) + np.arange(size)
    rows.put(one, charge.ravel(), 1.0)
    rows.put(one, charging.ravel(), np.repeat(-case.Pc[have], slots))
    most = np.repeat(case.Pd[have], slots)
    one = rows.family("discharge", np.full(size, -infinity), most) + np.arange(size)
    rows.put(one, discharge.ravel(), 1.0)
    rows.put(one, charging.ravel(), most)


def _events(case: Case, side: _Side, rows: RowSink, importing: IntArray, exporting: IntArray) -> None:
    """Family event: one row and one column of excess for each event and slot."""
    length = case.dr_end - case.dr_start
    event = np.repeat(np.arange(len(length)), length)
    slot = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length) + case.dr_start[event]
    excess = side.add("excess", case.dr_penalty[event] * case.dt, 0.0, np.inf)
    row = rows.family("event", np.full(len(event), -np.inf), case.dr_limit_kw[event]) + np.arange(len(event))
    site = case.dr_site[event]
    rows.put(row, importing[site, slot], 1.0)
    rows.put(row, exporting[site, slot], -1.0)
    rows.put(row, excess, -1.0)


def _feeders(case: Case, rows: RowSink, importing: IntArray, exporting: IntArray) -> None:
    """Families head and voltage of the feeders that have sites."""
    slots = case.T
    chains = [np.flatnonzero(case.fid == feeder) for feeder in range(len(case.flim))]
    used = [feeder for feeder, chain in enumerate(chains) if len(chain)]
    limit = np.repeat(case.flim[used], slots)
    head = rows.family("head", -limit, limit)
    for place, feeder in enumerate(used):
        row = head + place * slots + np.tile(np.arange(slots), len(chains[feeder]))
        rows.put(row, importing[chains[feeder]].ravel(), 1.0)
        rows.put(row, exporting[chains[feeder]].ravel(), -1.0)
    count = sum(len(chains[feeder]) for feeder in used) * slots
    voltage = rows.family("voltage", np.full(count, -case.vtol), np.full(count, case.vtol))
    for feeder in used:
        chain = chains[feeder]
        along = np.cumsum(case.vco[chain])
        for place in range(len(chain)):
            # net import of another site flows through every line that both have in common
            effect = np.repeat(np.minimum(along, along[place]), slots)
            row = voltage + np.tile(np.arange(slots), len(chain))
            rows.put(row, importing[chain].ravel(), effect)
            rows.put(row, exporting[chain].ravel(), -effect)
            voltage += slots


def _shared(case: Case, rows: RowSink, importing: IntArray, exporting: IntArray) -> None:
    """Family shared: every other limit on imports and exports together."""
    shared = case.rows
    row = rows.family("shared", np.full(len(shared), -np.inf), shared.limit) + shared.row
    slot = shared.slot[shared.row]
    rows.put(row, importing[shared.site, slot], shared.imports)
    rows.put(row, exporting[shared.site, slot], shared.exports)
