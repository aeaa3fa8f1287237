"""Caps that the hardware holds: set, read back, and believed only then; until then, and when they fail, jobs are frozen instead.

::

    cap stated --> jobs are frozen under it --> limit set and read back --> jobs go on, throttled by the hardware
                          ^                                |
                          '--- it fails, or the node is measured above its cap

A limit may take a second to set (Redfish), so a thread does it. A limit stays when the agent leaves: its jobs may go on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from grid.errors import HardwareError
from ozzo.agent.config import AgentConfig
from ozzo.agent.nvml import Gpus
from ozzo.agent.rapl import POWERCAP, RaplLimiter, zones
from ozzo.agent.redfish import Redfish

OVER = 1.05
"""A node that is measured above this share of its cap is not held by its hardware."""
OVER_COUNT = 3
"""So many readings in a row count; one alone may still hold power from before the limit."""
ROUNDED_KW = 0.001
"""Hardware counts in units of its own: a limit that reads back 1 W higher is the one that was asked for."""
AGAIN_S = 30.0
"""A limit that could not be set is tried again after this long."""


class Limiter(Protocol):
    """Something that can hold the node's power."""

    @property
    def source(self) -> str:
        """What limits, in one word."""

    def limit(self, cap_kw: float) -> float:
        """Set the limit; the cap that is in force by what was read back, kW. Raises ``HardwareError``."""


def limiter_for(config: AgentConfig, note: Callable[[str], None], root: Path = POWERCAP) -> Limiter | None:
    """The limiter that the settings name; None without one, and when the machine does not have it, which is told."""
    if config.cap_by == "redfish":
        return Redfish(config.redfish_login())
    if config.cap_by == "nvml":
        try:
            return Gpus(config.rest_kw)
        except HardwareError as error:
            note(f"cap_by: nvml was asked for: {error}; caps are held by freezing jobs")
    if config.cap_by == "rapl":
        packages = zones(root)
        if packages:
            return RaplLimiter(packages, config.rest_kw)
        note(f"cap_by: rapl was asked for: none in {root}; caps are held by freezing jobs")
    return None


class HardwareCap:
    """The cap of a node in the hands of its hardware. ``want``, ``holds`` and ``saw`` are for the agent's thread."""

    def __init__(self, limiter: Limiter, changed: Callable[[], None], note: Callable[[str], None]) -> None:
        """Begin; nothing is set before a cap is wanted.

        Args:
            limiter: sets the limit.
            changed: called in another thread when ``holds`` may say something else than before.
            note: takes a line when a limit cannot be set or does not hold (once for each reason).
        """
        self._limiter, self._changed, self._note = limiter, changed, note
        self._wanted_kw: float | None = None
        self._held_kw: float | None = None
        self._done_kw: float | None = None
        self._over, self._told, self._closed = 0, "", False
        self._turn = threading.Condition()
        self._thread: threading.Thread | None = None

    def want(self, cap_kw: float | None) -> None:
        """A cap is in force from now on; None: no cap was ever stated, and the hardware is left as it is."""
        if cap_kw is None:
            return
        with self._turn:
            if cap_kw == self._wanted_kw:
                return
            self._wanted_kw, self._held_kw, self._over = cap_kw, None, 0
            self._turn.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._go_on, name="hardware cap", daemon=True)
            self._thread.start()

    def holds(self, cap_kw: float | None) -> bool:
        """True when the hardware is known to hold this cap: then no job needs to stand still for it."""
        with self._turn:
            return cap_kw is not None and self._wanted_kw == cap_kw and self._held_kw is not None

    def saw(self, power_kw: float | None) -> None:
        """The node was measured; above its cap for long, its hardware is not believed until another cap is stated."""
        with self._turn:
            cap_kw = self._held_kw
            if cap_kw is None or power_kw is None:
                return
            self._over = self._over + 1 if power_kw > OVER * cap_kw else 0
            if self._over < OVER_COUNT:
                return
            self._held_kw = None
        self._tell(f"the node draws {power_kw:g} kW under a hardware cap of {cap_kw:g} kW; jobs are frozen instead")
        self._changed()

    def _go_on(self) -> None:
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._closed or self._wanted_kw != self._done_kw)
                if self._closed or self._wanted_kw is None:
                    return
                wanted_kw = self._wanted_kw
            try:
                self._set(wanted_kw)
            except HardwareError as error:
                self._done_kw = None
                self._tell(f"{error}; jobs are frozen instead")
                self._pause(wanted_kw)
            else:
                self._done_kw, self._told = wanted_kw, ""
                self._changed()

    def _set(self, wanted_kw: float) -> None:
        """Set the limit and believe it.

        Raises:
            HardwareError: it cannot be set, or a higher one is in force.
        """
        held_kw = self._limiter.limit(wanted_kw)
        if held_kw > wanted_kw + ROUNDED_KW:
            raise HardwareError(f"{held_kw:g} kW is in force where {wanted_kw:g} kW was asked for")
        with self._turn:
            if self._wanted_kw == wanted_kw:
                self._held_kw = held_kw

    def _pause(self, failed_kw: float) -> None:
        """Wait before the next try, or until another cap is wanted."""
        with self._turn:
            self._turn.wait_for(lambda: self._closed or self._wanted_kw != failed_kw, AGAIN_S)

    def _tell(self, text: str) -> None:
        if text != self._told:
            self._told = text
            self._note(f"hardware cap by {self._limiter.source}: {text}")

    def close(self) -> None:
        """End the thread; the limit stays. A limit that is being set is waited for, so that nothing is set afterwards."""
        with self._turn:
            self._closed = True
            self._turn.notify()
        if self._thread is not None:
            self._thread.join()
