"""What a node draws: by the counters of its processors (RAPL), else by a model of the node; and a cap that RAPL enforces.

RAPL is read and set through Linux' powercap folder (kernel documentation, Documentation/power/powercap/powercap.rst): ``energy_uj``
counts microjoules up to ``max_energy_range_uj`` and begins again at 0; ``constraint_N_power_limit_uw`` with the name ``long_term`` is
the limit of a package in microwatts. It sees packages (processors, and with them their memory controllers), not the whole node: fans,
disks and power supplies are not in it, so a node's figure is that plus what the settings say of the rest.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

POWERCAP = Path("/sys/class/powercap")
STAT = Path("/proc/stat")


class Meter(Protocol):
    """Something that knows what the node draws."""

    @property
    def source(self) -> str:
        """Where the figure comes from, in one word."""

    def power_kw(self) -> float | None:
        """Mean power since the call before, kW; None at the first call, or when it cannot be read."""


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

    def limit_file(self) -> Path | None:
        """File of the long-term limit, or None when this package has none."""
        for name in sorted(self.path.glob("constraint_*_name")):
            with contextlib.suppress(OSError):
                if name.read_text(encoding="ascii").strip() == "long_term":
                    file = name.with_name(name.name.replace("_name", "_power_limit_uw"))
                    return file if file.exists() else None
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


class ModelMeter:
    """A node without a meter: idle power, and in proportion to the busy time of its processors up to its peak.

    Attributes:
        source: ``model``.
    """

    source = "model"

    def __init__(self, idle_kw: float, peak_kw: float, stat: Path = STAT) -> None:
        """Begin.

        Args:
            idle_kw, peak_kw: power with all processors idle and busy, kW.
            stat: ``/proc/stat``.
        """
        self._idle_kw, self._peak_kw, self._stat = idle_kw, peak_kw, stat
        self._before: tuple[int, int] | None = None

    def power_kw(self) -> float | None:
        """Mean power since the call before, kW (fields of the first line of ``/proc/stat``: proc(5); waiting is idle)."""
        try:
            fields = [int(field) for field in self._stat.read_text(encoding="ascii").splitlines()[0].split()[1:9]]
            busy, whole = sum(fields) - fields[3] - fields[4], sum(fields)
        except (OSError, ValueError, IndexError):
            return None
        before, self._before = self._before, (busy, whole)
        if before is None or whole <= before[1]:
            return None
        share = min(1.0, max(0.0, (busy - before[0]) / (whole - before[1])))
        return self._idle_kw + share * (self._peak_kw - self._idle_kw)


class RaplCap:
    """The long-term limits of all packages, set for a cap of the node and given back as they were."""

    def __init__(self, packages: tuple[Zone, ...], rest_kw: float) -> None:
        """Remember the limits that are there.

        Args:
            packages: packages with a limit that may be written.
            rest_kw: what the node draws beside its packages, kW.
        """
        self._rest_kw = rest_kw
        self._files = [file for zone in packages if (file := zone.limit_file()) is not None]
        self._first: dict[Path, str] = {}

    def hold(self, cap_kw: float | None) -> float | None:
        """Set the limits so that the node stays under ``cap_kw`` (None: the limits as they were before).

        Every package gets the same share of what the rest of the node leaves, and never more than it had.

        Returns:
            Sum of the limits now, kW, as read back; None when nothing was set.

        Raises:
            OSError: a limit cannot be written.
        """
        if not self._files or (cap_kw is None and not self._first):
            return None
        share_uw = None if cap_kw is None else round(max(0.0, cap_kw - self._rest_kw) / len(self._files) * 1e9)
        total_uw = 0
        for file in self._files:
            first = self._first.setdefault(file, file.read_text(encoding="ascii").strip())
            value = first if share_uw is None else str(min(share_uw, int(first)))
            file.write_text(value, encoding="ascii")
            total_uw += int(file.read_text(encoding="ascii"))
        if cap_kw is None:
            self._first.clear()
        return total_uw * 1e-9


def meter_for(setting: str, idle_kw: float, peak_kw: float | None, root: Path = POWERCAP) -> Meter | None:
    """The meter of a node.

    Args:
        setting: ``auto`` (RAPL, else the model), ``rapl``, ``model`` or ``none``.
        idle_kw, peak_kw: of the node; without a peak there is no model.
        root: the powercap folder.
    """
    packages = tuple(zone for zone in zones(root) if zone.number("energy_uj") is not None)
    if setting in {"auto", "rapl"} and packages:
        return RaplMeter(packages, 0.0)
    if setting in {"auto", "model"} and peak_kw is not None:
        return ModelMeter(idle_kw, peak_kw)
    return None
