"""What a node draws: by the meter that its settings name, else the best that the machine offers, else a model of the node.

Rooms: ``rapl`` (processors), ``nvml`` (GPUs), ``redfish`` and ``dcmi`` (the management controller's meter of the whole machine),
``limiter`` (caps that the hardware holds). What takes a second is read in a thread; the agent's loop never waits for a meter.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from grid.errors import HardwareError
from ozzo.agent.cgroup import jobs_folder
from ozzo.agent.config import AgentConfig
from ozzo.agent.dcmi import Dcmi, find_ipmitool
from ozzo.agent.nvml import Gpus, driver_loaded
from ozzo.agent.rapl import POWERCAP, RaplMeter, zones
from ozzo.agent.redfish import Redfish

STAT = Path("/proc/stat")
ASK_S = 5.0
"""Time between two readings of a slow meter."""
STALE_S = 20.0
"""A reading that is older is none."""


class Meter(Protocol):
    """Something that knows what the node draws."""

    @property
    def source(self) -> str:
        """Where the figure comes from, in one word."""

    def power_kw(self) -> float | None:
        """Mean power since the call before, kW; None at the first call, or when it cannot be read."""


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


class Sum:
    """Two meters of parts of one node, such as its processors and its GPUs.

    Attributes:
        source: both names.
    """

    def __init__(self, one: Meter, other: Meter) -> None:
        self._one, self._other = one, other
        self.source = f"{one.source}+{other.source}"

    def power_kw(self) -> float | None:
        """Both together, kW; None when one does not tell."""
        one_kw, other_kw = self._one.power_kw(), self._other.power_kw()
        return None if one_kw is None or other_kw is None else one_kw + other_kw


class SlowMeter:
    """A meter that takes its time, read by a thread from the first call on.

    Attributes:
        source: what measures.
    """

    def __init__(self, read_kw: Callable[[], float], source: str, note: Callable[[str], None], ask_s: float = ASK_S) -> None:
        """Begin.

        Args:
            read_kw: reads once, kW; raises ``HardwareError``.
            source: what measures.
            note: takes a line when it can no longer be read (once for each reason).
            ask_s: time between two readings.
        """
        self.source, self._read_kw, self._note, self._ask_s = source, read_kw, note, ask_s
        self._last: tuple[float, float] | None = None
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def power_kw(self) -> float | None:
        """The last reading, kW; None when there is none yet, or it is stale."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._go_on, name=f"meter {self.source}", daemon=True)
            self._thread.start()
        last = self._last
        return None if last is None or time.monotonic() > last[1] + STALE_S else last[0]

    def _go_on(self) -> None:
        told = ""
        while not self._end.is_set():
            try:
                self._last, told = (self._read_kw(), time.monotonic()), ""
            except HardwareError as error:
                if str(error) != told:
                    told = str(error)
                    self._note(f"power by {self.source}: {told}")
            self._end.wait(self._ask_s)

    def close(self) -> None:
        """End the thread; it may finish its last reading."""
        self._end.set()


def meter_for(config: AgentConfig, note: Callable[[str], None], root: Path = POWERCAP, stat: Path = STAT) -> Meter | None:
    """The meter of a node; what the settings name and the machine does not have is told, and then nothing measures.

    Args:
        config: settings of the agent: ``power``, ``idle_kw``, ``peak_kw``, ``rest_kw``, ``redfish``.
        note: takes what a person must know.
        root: the powercap folder.
        stat: ``/proc/stat``.
    """
    if config.power == "redfish":
        return SlowMeter(Redfish(config.redfish_login()).read_kw, "redfish", note)
    if config.power == "dcmi":
        program = find_ipmitool()
        if program is None:
            note("power: dcmi was asked for, and ipmitool is not installed; the node tells no power")
            return None
        return SlowMeter(Dcmi(program).read_kw, "dcmi", note)
    found = _fast(config, note, root)
    if found is None and config.power in {"auto", "model"} and config.peak_kw is not None:
        return ModelMeter(config.idle_kw, config.peak_kw, stat)
    return found


def _fast(config: AgentConfig, note: Callable[[str], None], root: Path) -> Meter | None:
    """Processors, GPUs, or both, as asked for; ``auto`` takes processors, and GPUs where there are any."""
    packages = tuple(zone for zone in zones(root) if zone.number("energy_uj") is not None)
    asked = ("rapl", "nvml") if config.power == "auto" else tuple(config.power.split("+"))
    rapl = RaplMeter(packages, config.rest_kw) if "rapl" in asked and packages else None
    gpus, why = None, f"no readable package in {root}" if "rapl" in asked and rapl is None else ""
    if "nvml" in asked and (config.power != "auto" or driver_loaded()):
        try:
            gpus = Gpus(0.0 if "rapl" in asked else config.rest_kw)
        except HardwareError as error:
            why = str(error)
    if config.power == "auto":
        return rapl if rapl is None or gpus is None else Sum(rapl, gpus)
    if why:
        note(f"power: {config.power} was asked for: {why}; the node tells no power")
        return None
    return Sum(rapl, gpus) if rapl is not None and gpus is not None else rapl or gpus


def probe(root: Path = POWERCAP, cgroup: str = "auto", config: AgentConfig | None = None) -> list[tuple[str, str]]:
    """What this machine offers to an agent: name of the driver, and what was found.

    Args:
        root: the powercap folder.
        cgroup: as in the agent's settings.
        config: settings of an agent, to ask its Redfish controller.
    """
    folder, why = jobs_folder(cgroup, "ozzo-probe")
    if folder is not None:
        folder.rmdir()
    return [
        ("cgroup v2", f"jobs can be frozen and killed as one, below {folder.parent}" if folder else f"no ({why})"),
        ("rapl", _probe_rapl(root)),
        ("nvml", _probe(lambda: f"{', '.join((found := Gpus(0.0)).names)}: {found.read_kw() * 1e3:g} W now")),
        ("redfish", _probe_redfish(config)),
        ("dcmi", _probe_dcmi()),
        ("model", "always, from idle_kw and peak_kw of the settings"),
    ]


def _probe(look: Callable[[], str]) -> str:
    try:
        return look()
    except HardwareError as error:
        return f"no ({error})"


def _probe_rapl(root: Path) -> str:
    found = zones(root)
    if not found:
        return f"none in {root}"
    readable = [zone.name for zone in found if zone.number("energy_uj") is not None]
    limits = [zone.name for zone in found if any(zone.path.glob("constraint_*_power_limit_uw"))]
    counters = f"{', '.join(readable)}: energy counters" if readable else "packages, but their counters need more rights"
    return f"{counters}; power limits of {', '.join(limits)}" if limits else counters


def _probe_redfish(config: AgentConfig | None) -> str:
    if config is None or config.redfish is None:
        return "not asked (name an agent's settings with a redfish controller)"
    machine = Redfish(config.redfish_login())
    try:
        return _probe(lambda: f"{machine.read_kw() * 1e3:g} W now")
    finally:
        machine.close()


def _probe_dcmi() -> str:
    program = find_ipmitool()
    return "no (ipmitool is not installed)" if program is None else _probe(lambda: f"{Dcmi(program).read_kw() * 1e3:g} W now")
