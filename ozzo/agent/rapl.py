"""RAPL: the energy counters and the power limits of a machine's processors.

Read and written through Linux' powercap folder (kernel documentation, Documentation/power/powercap/powercap.rst): ``energy_uj``
counts microjoules up to ``max_energy_range_uj`` and begins again at 0; ``constraint_N_power_limit_uw`` is a limit on the mean
over a window, ``constraint_N_name`` tells which (``long_term``, ``short_term``), ``enabled`` switches the limits of a zone on. It
sees packages (processors, and with them their memory controllers), not the whole node: fans, disks and power supplies are not in
it, so ``rest_kw`` of the settings is added.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from grid.errors import HardwareError

POWERCAP = Path("/sys/class/powercap")
ROUNDED_UW = 1_000_000
"""The kernel rounds a limit to the processor's own unit (an eighth of a watt is usual); more than 1 W off is another limit."""
LIMITED = ("long_term", "short_term")
"""Constraints that get the limit; others (such as ``peak_power``) last milliseconds and stay as they are."""


@dataclass(frozen=True, slots=True)
class Zone:
    """A package of RAPL.

    Attributes:
        path: its folder; name: as it calls itself, such as ``package-0``.
    """

    path: Path
    name: str

    def number(self, file: str) -> int | None:
        """A number in one of its files, or None."""
        try:
            return int((self.path / file).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None


def zones(root: Path = POWERCAP) -> tuple[Zone, ...]:
    """The packages below ``root``, in order; zones inside a package (cores, memory) are part of it and left out."""
    found = []
    for path in sorted(root.glob("intel-rapl:*")):
        with contextlib.suppress(OSError):
            name = (path / "name").read_text(encoding="ascii").strip()
            if path.name.count(":") == 1 and name.startswith("package-"):
                found.append(Zone(path, name))
    return tuple(found)


class RaplMeter:
    """Packages by their energy counters.

    Attributes:
        source: ``rapl``.
    """

    source = "rapl"

    def __init__(self, packages: tuple[Zone, ...], rest_kw: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin.

        Args:
            packages: at least one.
            rest_kw: what the node draws beside them, kW.
            clock: seconds.
        """
        self._packages, self._rest_kw, self._clock = packages, rest_kw, clock
        self._before: dict[str, tuple[int, float]] = {}

    def power_kw(self) -> float | None:
        """Mean power since the call before, kW; a counter that began again once in between is counted right."""
        total_kw, whole = self._rest_kw, True
        for zone in self._packages:
            now_uj, at_s = zone.number("energy_uj"), self._clock()
            before = self._before.get(zone.name)
            if now_uj is None:
                self._before.pop(zone.name, None)
                whole = False
                continue
            self._before[zone.name] = (now_uj, at_s)
            if before is None or at_s <= before[1]:
                whole = False
                continue
            used_uj = now_uj - before[0]
            if used_uj < 0:
                used_uj += (zone.number("max_energy_range_uj") or 0) + 1
            if used_uj < 0:
                whole = False  # no range is told, so nobody knows how much it was
                continue
            total_kw += used_uj / (at_s - before[1]) * 1e-9
        return total_kw if whole else None


@dataclass(frozen=True, slots=True)
class RaplLimiter:
    """The packages' own limits hold the node under a cap.

    Attributes:
        packages: at least one.
        rest_kw: most that the node draws beside them, kW.
    """

    packages: tuple[Zone, ...]
    rest_kw: float
    source = "rapl"

    def limit(self, cap_kw: float) -> float:
        """Give every package an equal share of what the cap leaves beside ``rest_kw``; the cap that was read back, kW.

        Raises:
            HardwareError: nothing is left for the packages, a limit cannot be written, or another one is in force afterwards.
        """
        share_uw = round((cap_kw - self.rest_kw) * 1e9 / len(self.packages))
        if share_uw <= 0:
            raise HardwareError(f"a cap of {cap_kw:g} kW leaves the processors nothing beside rest_kw {self.rest_kw:g}")
        return self.rest_kw + sum(_limit_package(zone, share_uw) for zone in self.packages) * 1e-9


def _limit_package(zone: Zone, limit_uw: int) -> int:
    """Limit a package; what is in force afterwards, microwatts.

    Raises:
        HardwareError: it has no such limit, or it is not in force afterwards.
    """
    found = 0
    for path in sorted(zone.path.glob("constraint_*_name")):
        number = path.name.split("_")[1]
        try:
            if path.read_text(encoding="ascii").strip() not in LIMITED:
                continue
            most_uw = zone.number(f"constraint_{number}_max_power_uw") or 0
            wanted_uw = min(limit_uw, most_uw) if most_uw else limit_uw
            (zone.path / f"constraint_{number}_power_limit_uw").write_text(str(wanted_uw), encoding="ascii")
        except OSError as error:
            raise HardwareError(f"{zone.name}: limit of {path.name}: {error.strerror}") from error
        read_uw = zone.number(f"constraint_{number}_power_limit_uw")
        if read_uw is None or abs(read_uw - wanted_uw) > ROUNDED_UW:
            raise HardwareError(f"{zone.name}: a limit of {wanted_uw * 1e-6:g} W was written, {read_uw} uW is in force")
        found = max(found, read_uw)
    if not found:
        raise HardwareError(f"{zone.name} has no power limit")
    with contextlib.suppress(OSError):  # some kernels have limits that are always on; what counts is what is read next
        (zone.path / "enabled").write_text("1", encoding="ascii")
    if zone.number("enabled") not in {1, None}:
        raise HardwareError(f"{zone.name}: its limits are switched off, and cannot be switched on")
    return found
