"""What a person may ask of a closed loop, by name, as a command line or a sweep file gives it; every fault told at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from scheduler.document.units import UnitError, convert, nearest
from sim.loop.settings import Foresight, LoopSettings, Mode


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that cannot be meant.

    Attributes:
        name: what was asked for; found, expected: in words; nearest: the nearest valid word, or None.
    """

    name: str
    found: str
    expected: str
    nearest: str | None = None


class _Refused(ValueError):
    """A value is not one of this name; says what is expected and what is near."""

    def __init__(self, expected: str, near: str | None = None) -> None:
        super().__init__(expected)
        self.expected, self.near = expected, near


def _span(unit: str, least: float, words: str) -> Callable[[object], timedelta]:
    """A reader of lengths of time that are given in ``unit`` or with one of their own."""

    def read(value: object) -> timedelta:
        try:
            seconds = convert(value if isinstance(value, str) else f"{value} {unit}", unit)
        except UnitError as error:
            raise _Refused(f"{words}: {error.expected}", error.nearest) from error
        found = timedelta(seconds=round(seconds * {"min": 60.0, "h": 3600.0}[unit]))
        if found.total_seconds() < least:
            raise _Refused(words)
        return found

    return read


def _word(kind: type[Mode | Foresight]) -> Callable[[object], Any]:
    """A reader of one of some words."""

    def read(value: object) -> Mode | Foresight:
        words = [str(member) for member in kind]
        if value not in words:
            raise _Refused(f"one of {', '.join(words)}", nearest(str(value), words))
        return kind(value)

    return read


def _names(value: object) -> tuple[str, ...]:
    """One name or several."""
    given = value if isinstance(value, list | tuple) else [value]
    if not given or not all(isinstance(name, str) and name for name in given):
        raise _Refused("the name of a site, or a list of them")
    return tuple(dict.fromkeys(str(name) for name in given))


READERS: dict[str, tuple[str, Callable[[object], Any]]] = {
    "replan_minutes": ("replan", _span("min", 60.0, "the time from one plan to the next, at least a minute")),
    "mode": ("mode", _word(Mode)),
    "pilot": ("pilot", _names),
    "gate_minutes": ("gate", _span("min", 0.0, "the time before which what begins is committed, at least 0")),
    "window_h": ("window", _span("h", 3600.0, "how far a plan looks ahead, at least an hour")),
    "foresight": ("foresight", _word(Foresight)),
}
"""Names that may be asked for: the field of ``LoopSettings`` and who reads it."""


def read_asked(values: Mapping[str, object], sites: Sequence[str] | None = None) -> tuple[dict[str, Any], list[Fault]]:
    """Fields of ``LoopSettings`` from values by name, and every fault.

    Args:
        values: by the names of ``READERS``.
        sites: names of the scenario's sites; None: they are not looked at.
    """
    fields: dict[str, Any] = {}
    faults: list[Fault] = []
    for name, value in values.items():
        field, read = READERS[name]
        try:
            fields[field] = read(value)
        except _Refused as refused:
            faults.append(Fault(name, repr(value), refused.expected, refused.near))
    pilot = fields.get("pilot", ())
    for site in pilot if sites is not None else ():
        if site not in (sites or ()):
            faults.append(
                Fault("pilot", repr(site), f"sites of the scenario: {', '.join(sites or ())}", nearest(site, list(sites or ())))
            )
    if fields.get("mode") is Mode.PILOT and "pilot" not in values:
        faults.append(Fault("pilot", "nothing", "the sites that a pilot commands"))
    return fields, faults


def settings_of(values: Mapping[str, object], policy: str) -> LoopSettings:
    """The settings of values that have no fault; sites of a pilot count with mode pilot only, so that a sweep may try modes.

    Raises:
        ValueError: there is one after all, in words.
    """
    fields, faults = read_asked(values)
    if faults:
        raise ValueError("; ".join(f"{fault.name}: found {fault.found}; expected {fault.expected}" for fault in faults))
    if fields.get("mode") is not Mode.PILOT:
        fields.pop("pilot", None)
    return LoopSettings(policy=policy, **fields)
