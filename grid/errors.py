"""Errors of the whole house, one tree.

::

    OzzoError
    |-- InputError            a file or argument that a person wrote is wrong; carries every Finding (exit code 2)
    |-- SeriesError           a time series does not cover what is asked of it, or holds no number
    |-- FeedError             outside data could not be read or is not what it says it is
    |-- PowerFlowError        the AC power flow did not converge or the network is unusable
    |   `-- NetworkError      the network itself is faulty; carries every NetworkFault
    |-- SolverError           the solver failed in a way that leaves no plan
    |-- RehearsalRefused      a plan did not pass its rehearsal, so it may not command anything
    |-- ExperimentError       an experiment cannot go on (its folder cannot be written, its workers do not start)
    |-- TransportError        broker or transport could not be reached or refused us
    |-- HardwareError         a power meter or a power limit of a machine cannot be read or set
    `-- Interrupted           a person pressed Ctrl-C; what was done so far is kept
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong in one place of an input file.

    Attributes:
        file: path as the person gave it.
        line: 1-based line, or None when the finding concerns the file as a whole.
        field: dotted path of the field, for example ``sites[2].battery.energy_kwh``; empty for the whole file.
        found: what stands there, shortened.
        expected: what should stand there, in words.
        nearest: the nearest valid name, or None.
    """

    file: str
    line: int | None
    field: str
    found: str
    expected: str
    nearest: str | None = None

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        where = " ".join(f"{part}:" for part in (place, self.field) if part)
        hint = f" (did you mean {self.nearest!r}?)" if self.nearest else ""
        return f"{where} found {self.found}; expected {self.expected}{hint}"


class OzzoError(Exception):
    """Root of every error that ozzo raises on purpose."""


class InputError(OzzoError):
    """Something a person wrote is wrong; ``findings`` holds all of it at once."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings: tuple[Finding, ...] = tuple(findings)
        super().__init__("\n".join(str(finding) for finding in self.findings))


class SeriesError(OzzoError):
    """A time series does not cover the asked period, or holds values that are no numbers."""


class FeedError(OzzoError):
    """Outside data could not be read, or is not what it says it is."""


class PowerFlowError(OzzoError):
    """The AC power flow did not converge, or the network cannot be used; names bus and slot.

    Attributes:
        bus: name of the worst bus, or None.
        slot: slot without a solution, or None.
    """

    def __init__(self, message: str, *, bus: str | None = None, slot: int | None = None) -> None:
        super().__init__(message)
        self.bus, self.slot = bus, slot


@dataclass(frozen=True, slots=True)
class NetworkFault:
    """One thing that is wrong with an electrical network.

    Attributes:
        element: table and name, for example ``line 'L7'``.
        found, expected: in words.
    """

    element: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.element}: found {self.found}; expected {self.expected}"


class NetworkError(PowerFlowError):
    """An electrical network that cannot be used; ``faults`` holds all that is wrong with it at once."""

    def __init__(self, network: str, faults: Iterable[NetworkFault]) -> None:
        self.faults: tuple[NetworkFault, ...] = tuple(faults)
        super().__init__("\n".join(f"network {network}: {fault}" for fault in self.faults))


class SolverError(OzzoError):
    """The solver failed in a way that leaves no plan at all."""


class RehearsalRefused(OzzoError):
    """A plan that did not pass its rehearsal was about to command nodes."""


class HardwareError(OzzoError):
    """A power meter or a power limit of a machine cannot be read or set, or does not do what it was told."""


class ExperimentError(OzzoError):
    """An experiment cannot go on: its folder cannot be written or read, or its workers do not start."""


class TransportError(OzzoError):
    """Broker or transport could not be reached, or refused us."""


class Interrupted(OzzoError):
    """A person interrupted the work; what was done so far has been kept."""
