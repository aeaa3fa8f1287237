"""What commanding has come to, in the words of the report; no input or output."""

from __future__ import annotations

from collections.abc import Iterable

from ozzo.book import few
from ozzo.ledger import Counts
from sim.record import Commanding


def tally(
    counts: Counts,
    ends: tuple[tuple[str, ...], tuple[str, ...]],
    notes: Iterable[str],
    about: tuple[str, int, float],
    silent: tuple[str, ...],
) -> Commanding:
    """The totals.

    Args:
        counts: of the commands.
        ends: jobs that ended well, and jobs that did not although they should have by now.
        notes: sentences; empty ones are left out.
        about: transport in words, number of nodes, scenario seconds per wall second.
        silent: nodes that do not speak.
    """
    run, failed = ends
    notes = list(notes)
    if counts.silent:
        notes.append(f"{counts.silent} commands were not answered before their not-after.")
    if failed:
        notes.append(f"Jobs that did not end well: {few(failed)}.")
    transport, nodes, speed = about
    return Commanding(
        transport=transport,
        nodes=nodes,
        commands=counts.commands,
        accepted=counts.accepted,
        applied=counts.applied,
        failed=counts.failed,
        late=counts.late,
        jobs_run=len(run),
        worst_ack_s=counts.worst_ack_s,
        speed=speed,
        note=" ".join(note for note in notes if note),
        jobs_failed=len(failed),
        silent_nodes=silent,
    )
