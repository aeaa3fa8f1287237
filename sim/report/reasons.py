"""Why each job and each move is where and when it is, beside where run-at-once would have put it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from scheduler.plan import Plan, Reason, ReasonKind
from sim.record import RunRecord
from sim.report.frames import pieces, pieces_of, transfers

COMPARED = "fifo"
"""Baseline that ``moved`` is measured against: run at once."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Where and when a job (or a move of data) is, and why.

    Attributes:
        name: job or migration; what: ``job`` or ``move``.
        site: where (target of a move), or None when it is not done.
        start, end: first start and last end as planned, UTC.
        deadline: UTC, or None.
        usual_site, usual_start: where and when run-at-once starts it, or None when that is not known.
        moved: it runs at another site, or starts at another time, than run-at-once would have it.
        kind: reason; text: in words; numbers: figures behind it, unit in each key.
    """

    name: str
    what: str
    site: str | None
    start: datetime | None
    end: datetime | None
    deadline: datetime | None
    usual_site: str | None
    usual_start: datetime | None
    moved: bool
    kind: str
    text: str
    numbers: dict[str, float] = field(default_factory=dict)

    @property
    def shift_h(self) -> float | None:
        """Hours later than run-at-once (negative: earlier), or None when one of the two is not known."""
        if self.start is None or self.usual_start is None:
            return None
        return (self.start - self.usual_start).total_seconds() / 3600


def reasons_in_force(record: RunRecord) -> dict[str, Reason]:
    """The reason of each job and migration: of the latest plan that still decided about it."""
    found: dict[str, Reason] = {}
    for entry in record.plans:
        dropped = {item.name: item.reason for item in entry.plan.dropped}
        for name, reason in (entry.plan.reasons | dropped).items():
            if reason.kind is not ReasonKind.ALREADY_RUNNING or name not in found:
                found[name] = reason
    return found


def _usual(plan: Plan | None) -> dict[str, tuple[str, datetime]]:
    usual: dict[str, tuple[str, datetime]] = {}
    for piece in pieces_of(plan) if plan else ():
        if piece.job not in usual or piece.start < usual[piece.job][1]:
            usual[piece.job] = (piece.site, piece.start)
    for transfer in plan.transfers if plan else ():
        usual.setdefault(transfer.migration, (transfer.target, plan.horizon.time(transfer.start)))  # type: ignore[union-attr]
    return usual


def decisions(record: RunRecord) -> tuple[Decision, ...]:
    """One decision for each job of the scenario and each transfer or dropped move, jobs first."""
    if not record.plans:
        return ()
    why, usual = reasons_in_force(record), _usual(record.baseline_plans.get(COMPARED))
    spans: dict[str, tuple[str, datetime, datetime]] = {}
    for piece in pieces(record):
        _, start, end = spans.get(piece.job, (piece.site, piece.start, piece.end))
        spans[piece.job] = (piece.site, min(start, piece.start), max(end, piece.end))
    deadlines: dict[str, datetime | None] = {job.name: job.deadline for job in record.scenario.jobs}
    moves: dict[str, None] = {}
    for transfer, start, end in transfers(record):
        _, begun, done = spans.get(transfer.migration, (transfer.target, start, end))
        spans[transfer.migration] = (transfer.target, min(begun, start), max(done, end))
        moves[transfer.migration] = None
    moves |= {item.name: None for item in record.plans[-1].plan.dropped if item.name not in deadlines}
    for dataset in record.scenario.datasets:
        deadlines.setdefault(dataset.name, dataset.move_by)
    names = [(job.name, "job") for job in record.scenario.jobs] + [(name, "move") for name in moves]
    found = []
    for name, what in names:
        span, before = spans.get(name), usual.get(name)
        reason = why.get(name)
        moved = span is not None and before is not None and span[:2] != before
        found.append(
            Decision(
                name,
                what,
                span[0] if span else None,
                span[1] if span else None,
                span[2] if span else None,
                deadlines.get(name),
                before[0] if before else None,
                before[1] if before else None,
                moved,
                str(reason.kind) if reason else "",
                reason.text if reason else "",
                reason.numbers if reason else {},
            )
        )
    return tuple(found)
