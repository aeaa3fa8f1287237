"""Many sites metered at once: their energies over a horizon, in total or by reporting slot.

The result does not depend on the reporting step: slots are parts of pieces of constant power, and totals are summed apart
from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from grid.horizon import FloatArray, Horizon
from sim.energy_core import kernel
from sim.energy_core.layout import MeteredSite, lay_out
from sim.world.flows import FLOWS


@dataclass(frozen=True, slots=True, eq=False)
class Metered:
    """Energies of some sites.

    Import and export are those of the connection, each positive; charge and discharge are those of the battery's terminal.
    In every slot import + renewable_used + discharge + unserved = load + charge + export.

    Attributes:
        sites: their names.
        totals_kwh: over the horizon, ``[sites, 10]`` in the order of ``sim.world.meter.FLOWS``.
        soc_kwh: at the end; lowest_soc_kwh, highest_soc_kwh: ever, ``[sites]``.
        pieces: pieces of constant power, ``[sites]``.
        slots: the reporting slots, or None.
        slot_kwh: energies by slot, ``[sites, slots, 10]`` (no slots without reporting).
        slot_soc_kwh: state of charge at the end of each slot, ``[sites, slots]``.
    """

    sites: tuple[str, ...]
    totals_kwh: FloatArray
    soc_kwh: FloatArray
    lowest_soc_kwh: FloatArray
    highest_soc_kwh: FloatArray
    pieces: npt.NDArray[np.int64]
    slots: Horizon | None
    slot_kwh: FloatArray
    slot_soc_kwh: FloatArray

    def total_kwh(self, flow: str) -> FloatArray:
        """One energy of every site over the horizon, by its name in ``FLOWS``, ``[sites]``.

        Raises:
            ValueError: no such name.
        """
        found: FloatArray = self.totals_kwh[:, FLOWS.index(flow)]
        return found

    def by_slot_kwh(self, flow: str) -> FloatArray:
        """One energy by reporting slot, by its name in ``FLOWS``, ``[sites, slots]``.

        Raises:
            ValueError: no such name.
        """
        found: FloatArray = self.slot_kwh[:, :, FLOWS.index(flow)]
        return found

    def imbalance_kwh(self) -> float:
        """The largest amount by which a site's balance of energies is off, over the horizon."""
        flow = dict(zip(FLOWS, self.totals_kwh.T, strict=True))
        comes = flow["import_kwh"] + flow["renewable_used_kwh"] + flow["discharge_kwh"] + flow["unserved_kwh"]
        goes = flow["load_kwh"] + flow["charge_kwh"] + flow["export_kwh"]
        return float(np.abs(comes - goes).max())


def meter_sites(sites: Sequence[MeteredSite], horizon: Horizon, report: timedelta | None = None) -> Metered:
    """Meter ``sites`` over ``horizon``, each exactly and by itself.

    Args:
        sites: the sites.
        horizon: the period.
        report: length of a reporting slot, which must divide the horizon; None keeps totals only.

    Raises:
        ValueError: what ``lay_out`` and ``Horizon.with_step`` refuse.
    """
    layout = lay_out(sites, horizon)
    slots = None if report is None else horizon.with_step(report)
    n, count = len(sites), 0 if slots is None else slots.slots
    totals, soc, low, high = np.zeros((n, len(FLOWS))), np.zeros(n), np.zeros(n), np.zeros(n)
    pieces, log, log_soc = np.zeros(n, np.int64), np.zeros((n, count, len(FLOWS))), np.zeros((n, count))
    step_s = 1.0 if slots is None else slots.step_s
    kernel.meter(*layout.arguments(), step_s, totals, soc, low, high, pieces, log, log_soc)
    return Metered(tuple(metered.site.name for metered in sites), totals, soc, low, high, pieces, slots, log, log_soc)
