"""What speaks for giving a controller more power: counts since it got its mode, and what is asked for; no input or output."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

STEPS = ("shadow", "pilot", "live")


class Mode(StrEnum):
    """How much a controller may do."""

    SHADOW = "shadow"
    """it plans and writes down, and commands nothing"""
    PILOT = "pilot"
    """it commands the nodes that were named"""
    LIVE = "live"
    """it commands all nodes"""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What a promotion asks for.

    Attributes:
        rehearsals: plans that passed their rehearsal, at least.
        clean_h: hours of scenario time since the last violation, at least.
        error_pct: mean error of the planned import of all sites, as a share of what was metered, at most.
    """

    rehearsals: int = 20
    clean_h: float = 24.0
    error_pct: float = 25.0


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot that is over.

    Attributes:
        start: first instant, scenario time, UTC.
        metered_kwh: import of all sites; error_kwh: sum over the sites of the difference to the plan, each positive.
        hours: length.
        violations: what was broken in it, in words.
    """

    start: datetime
    metered_kwh: float
    error_kwh: float
    hours: float
    violations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a controller has shown in its present mode.

    Attributes:
        passed, failed: rehearsals.
        served_h: scenario time that is settled.
        clean_h: of it, since the last violation.
        error_pct: error of the forecast of import; None when nothing was metered.
        violations: number of all violations.
        last_violation: in words, or empty.
    """

    passed: int = 0
    failed: int = 0
    served_h: float = 0.0
    clean_h: float = 0.0
    error_pct: float | None = None
    violations: int = 0
    last_violation: str = ""


def evidence(passed: int, failed: int, slots: Iterable[Slot]) -> Evidence:
    """Sum up rehearsals and slots (in order of time)."""
    served_h = clean_h = metered_kwh = error_kwh = 0.0
    violations, last = 0, ""
    for slot in slots:
        served_h, metered_kwh, error_kwh = served_h + slot.hours, metered_kwh + slot.metered_kwh, error_kwh + slot.error_kwh
        clean_h = 0.0 if slot.violations else clean_h + slot.hours
        violations += len(slot.violations)
        last = slot.violations[-1] if slot.violations else last
    error_pct = 100.0 * error_kwh / metered_kwh if metered_kwh > 0 else None
    return Evidence(passed, failed, served_h, clean_h, error_pct, violations, last)


def lacking(found: Evidence, asked: Thresholds) -> tuple[str, ...]:
    """What is missing for a promotion, in sentences with numbers; empty when nothing is."""
    missing = []
    if found.passed < asked.rehearsals:
        missing.append(f"{found.passed} rehearsals passed; {asked.rehearsals} are asked for")
    if found.clean_h < asked.clean_h - 1e-9:
        last = f" (the last: {found.last_violation})" if found.last_violation else ""
        missing.append(f"{found.clean_h:.2f} h without a violation{last}; {asked.clean_h:g} h are asked for")
    if found.error_pct is None:
        missing.append(f"no import was metered, so the forecast has no error yet; at most {asked.error_pct:g} % is asked for")
    elif found.error_pct > asked.error_pct:
        missing.append(f"the forecast of import was wrong by {found.error_pct:.1f} %; at most {asked.error_pct:g} % is asked for")
    return tuple(missing)


def next_step(mode: Mode, to: Mode) -> str:
    """Why ``to`` is no promotion by one step from ``mode``, or empty. Going back is always allowed."""
    have, want = STEPS.index(mode), STEPS.index(to)
    if want == have:
        return f"the mode is {mode} already"
    return f"from {mode} the next step is {STEPS[have + 1]}" if want > have + 1 else ""
