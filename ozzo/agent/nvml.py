"""NVIDIA GPUs through NVML: what they draw and how much they may.

The calls are those of the NVML API reference ("Device Queries", "Device Commands"); powers are milliwatts there. They are made by
nvidia-ml-py (``pip install 'ozzo[nvml]'``), which loads the driver's ``libnvidia-ml.so.1``. Setting a limit needs root.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from grid.errors import HardwareError

DEVICE = Path("/dev/nvidiactl")
"""It is there when NVIDIA's driver is loaded."""
MISSING = "nvidia-ml-py is not installed (pip install 'ozzo[nvml]')"


@contextmanager
def _told(what: str) -> Iterator[Any]:
    """The library; its errors become ours.

    Raises:
        HardwareError: the library is missing, or a call failed.
    """
    try:
        import pynvml
    except ImportError as error:
        raise HardwareError(MISSING) from error
    try:
        yield pynvml
    except pynvml.NVMLError as error:
        raise HardwareError(f"{what}: {error}") from error


def driver_loaded() -> bool:
    """True when it is worth asking for GPUs (loading the library costs every agent time and memory)."""
    return DEVICE.exists()


class Gpus:
    """All GPUs of the machine; a meter and a limiter."""

    source = "nvml"

    def __init__(self, rest_kw: float) -> None:
        """Open the library.

        Args:
            rest_kw: what the node draws beside its GPUs (for a cap: the most that it may), kW.

        Raises:
            HardwareError: no library, no driver, or no GPU.
        """
        self._rest_kw = rest_kw
        with _told("NVML") as library:
            library.nvmlInit()
            self._devices = [library.nvmlDeviceGetHandleByIndex(i) for i in range(library.nvmlDeviceGetCount())]
        if not self._devices:
            raise HardwareError("NVML knows no GPU")

    @property
    def names(self) -> tuple[str, ...]:
        """Product name of each.

        Raises:
            HardwareError: the library does not tell.
        """
        with _told("name of a GPU") as library:
            found = [library.nvmlDeviceGetName(device) for device in self._devices]
        return tuple(name.decode() if isinstance(name, bytes) else str(name) for name in found)

    def read_kw(self) -> float:
        """What they draw now, with ``rest_kw``, kW.

        Raises:
            HardwareError: one of them does not tell.
        """
        with _told("power of a GPU") as library:
            return self._rest_kw + sum(int(library.nvmlDeviceGetPowerUsage(device)) for device in self._devices) * 1e-6

    def power_kw(self) -> float | None:
        """The same; None when one of them does not tell."""
        try:
            return self.read_kw()
        except HardwareError:
            return None

    def limit(self, cap_kw: float) -> float:
        """Give every GPU an equal share of what the cap leaves beside ``rest_kw``; the cap that was read back, kW.

        Raises:
            HardwareError: the share is below what a GPU can be held to, or another limit is in force afterwards.
        """
        share_mw = int((cap_kw - self._rest_kw) * 1e6 / len(self._devices))
        total_mw = 0
        with _told("power limit of a GPU") as library:
            ranges = [library.nvmlDeviceGetPowerManagementLimitConstraints(device) for device in self._devices]
            for number, (least_mw, _) in enumerate(ranges):
                if share_mw < least_mw:
                    raise HardwareError(f"GPU {number} cannot be held to {share_mw * 1e-3:g} W, only to {least_mw * 1e-3:g} W")
            for number, (device, (_, most_mw)) in enumerate(zip(self._devices, ranges, strict=True)):
                wanted_mw = min(share_mw, most_mw)
                library.nvmlDeviceSetPowerManagementLimit(device, wanted_mw)
                read_mw = library.nvmlDeviceGetEnforcedPowerLimit(device)
                if read_mw > wanted_mw + 1000:
                    raise HardwareError(f"GPU {number}: {wanted_mw * 1e-3:g} W was set, {read_mw * 1e-3:g} W is in force")
                total_mw += read_mw
        return self._rest_kw + total_mw * 1e-6
