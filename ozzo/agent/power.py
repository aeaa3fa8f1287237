"""What a node draws: by the counters of its processors (RAPL), else by a model of the node.

RAPL is read through Linux' powercap folder (kernel documentation, Documentation/power/powercap/powercap.rst): ``energy_uj``
counts microjoules up to ``max_energy_range_uj`` and begins again at 0. It sees packages (processors, and with them their memory
controllers), not the whole node: fans, disks and power supplies are not in it, so ``rest_kw`` of the settings is added.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ozzo.agent.cgroup import jobs_folder

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
            idle_kw: power with all processors idle, kW.
            peak_kw: power with all of them busy, kW.
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


def meter_for(setting: str, idle_kw: float, peak_kw: float | None, rest_kw: float = 0.0, root: Path = POWERCAP) -> Meter | None:
    """The meter of a node.

    Args:
        setting: ``auto`` (RAPL, else the model), ``rapl``, ``model`` or ``none``.
        idle_kw: of the node.
        peak_kw: of the node; without it there is no model.
        rest_kw: what the node draws beside its packages.
        root: the powercap folder.
    """
    packages = tuple(zone for zone in zones(root) if zone.number("energy_uj") is not None)
    if setting in {"auto", "rapl"} and packages:
        return RaplMeter(packages, rest_kw)
    if setting in {"auto", "model"} and peak_kw is not None:
        return ModelMeter(idle_kw, peak_kw)
    return None


def probe(root: Path = POWERCAP, cgroup: str = "auto") -> list[tuple[str, str]]:
    """What this machine offers to an agent: name of the driver, and what was found.

    Args:
        root: the powercap folder.
        cgroup: as in the agent's settings.
    """
    folder, why = jobs_folder(cgroup, "ozzo-probe")
    if folder is not None:
        folder.rmdir()
    found = zones(root)
    readable = [zone.name for zone in found if zone.number("energy_uj") is not None]
    rapl = f"none in {root}"
    if found:
        rapl = f"{', '.join(readable)}: energy counters" if readable else "packages, but their counters need more rights"
    return [
        ("cgroup v2", f"jobs can be frozen and killed as one, below {folder.parent}" if folder else f"no ({why})"),
        ("rapl", rapl),
        ("model", "always, from idle_kw and peak_kw of the settings"),
    ]
