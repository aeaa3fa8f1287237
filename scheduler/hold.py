"""The plan in force with some loads held for a while: what a sudden limit makes of it until a new plan takes over.

A held plan only takes away: what is paused goes on behind its last planned piece, what is capped makes up for it there, what has
not begun at the site begins after the hold, and everything else is as it was. So it needs no solving and no rehearsal. It minds
no deadline and no capacity after the hold; the plan that follows does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from scheduler.plan import EnergySchedule, Plan, Run
from scheduler.rungs import Step, StepKind

ALL_DONE = 1e-9
"""Work below this, in slots, is none."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Steps of one site that hold until a slot.

    Attributes:
        site: its name.
        until: first slot of the plan's horizon in which they hold no longer.
        steps: what is given up.
    """

    site: str
    until: int
    steps: tuple[Step, ...]


def tail(plan: Plan, slot: int, name: str) -> Plan:
    """The rest of a plan from a slot on, on a horizon of its own, under another name.

    Raises:
        ValueError: no slot is left.
    """
    kept = {part: getattr(plan.energy, part)[:, slot:].copy() for part in EnergySchedule.names()}
    later = (run for run in plan.runs if run.end > slot)
    runs = (replace(run, start=max(0, run.start - slot), end=run.end - slot) if slot else run for run in later)
    transfers = (
        replace(piece, start=max(0, piece.start - slot), end=piece.end - slot) for piece in plan.transfers if piece.end > slot
    )
    assets = (
        replace(run, series={key: values[slot:] for key, values in run.series.items()}, draw_kw=run.draw_kw[slot:])
        for run in plan.assets
    )
    return replace(
        plan,
        id=name,
        horizon=plan.horizon.tail(slot),
        runs=tuple(runs),
        transfers=tuple(transfers),
        energy=EnergySchedule(**kept),
        assets=tuple(assets),
    )


def held(plan: Plan, slot: int, holds: Iterable[Hold], name: str) -> Plan:
    """The rest of ``plan`` from ``slot`` on, with ``holds`` in force.

    Args:
        plan: the plan.
        slot: the present slot of its horizon.
        holds: at most one a site; those that are over change nothing.
        name: id of the plan that is made.

    Returns:
        Its energy is what was planned, less what the steps free of load and import while they hold; IT power is left as it was.
    """
    rest = tail(plan, slot, name)
    runs, load, imports = list(rest.runs), rest.energy.load_kw, rest.energy.import_kw
    for hold in holds:
        until = min(hold.until - slot, rest.horizon.slots)
        if until <= 0:
            continue
        runs = _held_runs(runs, hold, until, rest.horizon.slots)
        freed_kw = sum(step.kw for step in hold.steps if step.kind is not StepKind.DISCHARGE)
        s = rest.sites.index(hold.site)
        for series in (load, imports):
            series[s, :until] = (series[s, :until] - freed_kw).clip(min=0.0)
    ordered = sorted(runs, key=lambda run: (run.start, run.job))
    return replace(rest, runs=tuple(ordered), energy=replace(rest.energy, load_kw=load, import_kw=imports))


def _held_runs(runs: list[Run], hold: Hold, until: int, slots: int) -> list[Run]:
    """Runs with one hold in force in the slots before ``until``."""
    asked = {step.name: step for step in hold.steps if step.kind is not StepKind.DISCHARGE}  # of several, the last goes furthest
    by_job: dict[str, list[Run]] = {}
    for run in runs:
        by_job.setdefault(run.job, []).append(run)
    kept: list[Run] = []
    for job, mine in by_job.items():
        here = [run for run in mine if run.site == hold.site and run.start < until]
        step = asked.get(job)
        running = any(run.start == 0 for run in mine)
        if not here or (running and step is None):
            kept += mine
        elif step is not None and step.kind is StepKind.STOP:
            continue
        elif step is not None and step.kind is StepKind.CAP:
            kept += _capped(mine, step, until, slots)
        elif running or len(mine) > 1:
            kept += _paused(mine, until, slots)
        else:  # it has not begun: the whole piece later, so that a rigid one stays in one
            later = until - mine[0].start
            kept += _clipped([replace(mine[0], start=until, end=mine[0].end + later)], slots)
    return kept


def _paused(runs: list[Run], until: int, slots: int) -> list[Run]:
    """A job whose pieces before ``until`` are done behind its last one."""
    cut = [min(run.end, until) - run.start for run in runs if run.start < until]
    rest = [run if run.start >= until else replace(run, start=until) for run in runs if run.end > until]
    last = max(runs, key=lambda run: run.end)
    begin = max(last.end, until)
    return _clipped([*rest, replace(last, start=begin, end=begin + sum(cut))], slots)


def _capped(runs: list[Run], step: Step, until: int, slots: int) -> list[Run]:
    """A malleable job at the step's pace before ``until``; what it does less is done behind its last piece."""
    found, missing = [], 0.0
    for run in runs:
        if run.start >= until:
            found.append(run)
            continue
        end = min(run.end, until)
        found.append(replace(run, end=end, speed=min(run.speed, step.speed), power=min(run.power, step.power)))
        missing += (end - run.start) * max(0.0, run.speed - step.speed)
        if run.end > until:
            found.append(replace(run, start=until))
    last = max(runs, key=lambda run: run.end)
    whole, part = divmod(missing / last.speed, 1.0)
    behind = int(whole) + (1 if part > ALL_DONE else 0)
    return _clipped([*found, replace(last, start=last.end, end=last.end + behind)], slots)


def _clipped(runs: Iterable[Run], slots: int) -> list[Run]:
    """Runs inside the horizon."""
    inside = (run if run.end <= slots else replace(run, end=slots) for run in runs)
    return [run for run in inside if run.end > run.start]
