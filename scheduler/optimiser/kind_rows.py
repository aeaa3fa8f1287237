"""Constraint families that only some kinds of jobs need: malleable ones, pieces of interruptible ones, workflows.

A family without such a job is empty and costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scheduler.optimiser.job_rows import modes_of, variables_of
from scheduler.optimiser.model import ModelParts, Row, add_rows

SlotRows = Iterator[tuple[tuple[int, int, int], Any]]


def malleable_work(parts: ModelParts) -> None:
    """Malleable jobs get all their work done at the site they are at, faster or slower.

    ``sum_t sum_k speed[k] * mode_share[c, e, t, k] >= work[c] * at_site[c, e]``.
    """
    model = parts.model

    def rows() -> Iterator[tuple[tuple[int, int], Any]]:
        for c, e in model.at_site:
            group = parts.classes[c]
            if group.malleable:
                speeds = [mode.speed for mode in group.task.modes] * len(group.slots[e])
                shares = [variable for t in group.slots[e] for variable in variables_of(parts, c, e, t)]
                yield (c, e), parts.linear(([*speeds, -float(group.task.work)], [*shares, model.at_site[c, e]])) >= 0

    add_rows(parts, "malleable_work", rows())


def malleable_once(parts: ModelParts) -> None:
    """A malleable job works at most all of a slot, and only where it is: ``sum_k mode_share[c, e, t, k] <= at_site[c, e]``."""
    model = parts.model

    def rows() -> SlotRows:
        for c, e in model.at_site:
            if parts.classes[c].malleable:
                for t in parts.classes[c].slots[e]:
                    shares = variables_of(parts, c, e, t)
                    yield (c, e, t), parts.linear(([1.0] * len(shares) + [-1.0], [*shares, model.at_site[c, e]])) <= 0

    add_rows(parts, "malleable_once", rows())


def malleable_data(parts: ModelParts) -> None:
    """A malleable job works only when its data is there: ``sum_k mode_share[c, e, t, k] <= data_there[c, e, t]``.

    Half of the data must not allow half of a slot, so ``data_there`` is whole (``data_rows.data_first`` says when it may be 1).
    """
    model = parts.model

    def rows() -> SlotRows:
        for c, e, t in model.data_there:
            shares = variables_of(parts, c, e, t)
            yield (c, e, t), parts.linear(([1.0] * len(shares) + [-1.0], [*shares, model.data_there[c, e, t]])) <= 0

    add_rows(parts, "malleable_data", rows())


def piece_begins(parts: ModelParts) -> None:
    """A piece begins in a slot in which the job runs and did not run right before.

    ``run[c, e, t] - run[c, e, t - 1] <= begin[c, e, t]``; ``begin`` exists only where ``min_run`` slots in a row are possible.
    Beginnings are whole where runs are: a larger one only costs.
    """
    model = parts.model

    def rows() -> SlotRows:
        for c, e, t in model.run:
            if parts.classes[c].in_pieces:
                row: Row = ([1.0], [model.run[c, e, t]])
                for family, slot in ((model.run, t - 1), (model.begin, t)):
                    if (c, e, slot) in family:
                        row[0].append(-1.0)
                        row[1].append(family[c, e, slot])
                yield (c, e, t), parts.linear(row) <= 0

    add_rows(parts, "piece_begins", rows())


def least_run(parts: ModelParts) -> None:
    """A piece that began less than ``min_run`` slots ago still runs.

    ``sum_{t - min_run < k <= t} begin[c, e, k] <= run[c, e, t]``.
    """
    model = parts.model

    def rows() -> SlotRows:
        for c, e, t in model.run:
            group = parts.classes[c]
            begins = [model.begin[c, e, k] for k in range(t - group.task.min_run + 1, t + 1) if (c, e, k) in model.begin]
            if group.in_pieces and begins:
                yield (c, e, t), parts.linear(([1.0] * len(begins) + [-1.0], [*begins, model.run[c, e, t]])) <= 0

    add_rows(parts, "least_run", rows())


def least_gap(parts: ModelParts) -> None:
    """A piece that ended less than ``min_gap`` slots ago allows no new one.

    ``run[c, e, t] + sum_{t < k <= t + min_gap} begin[c, e, k] <= at_site[c, e]``.
    """
    model = parts.model

    def rows() -> SlotRows:
        for c, e, t in model.run:
            gap = parts.classes[c].task.min_gap
            begins = [model.begin[c, e, k] for k in range(t + 1, t + gap + 1) if (c, e, k) in model.begin]
            if parts.classes[c].in_pieces and gap > 1 and begins:
                chosen = [model.run[c, e, t], *begins, model.at_site[c, e]]
                yield (c, e, t), parts.linear(([1.0] * (len(begins) + 1) + [-1.0], chosen)) <= 0

    add_rows(parts, "least_gap", rows())


def ended_before(parts: ModelParts) -> None:
    """A job is done before a slot when all its work is done by then, and then it works no more.

    ``work[c] * ended[c, t] <= sum_{k < t} speed * (run or mode_share)[c, k]``, ``ended[c, t] <= ended[c, t']`` for the next slot
    ``t'`` that counts, and ``(run or sum_k mode_share)[c, e, k] + ended[c, t] <= 1`` for the slots ``t <= k < t'``.
    """
    model = parts.model
    slots_of: dict[int, list[int]] = {}
    for c, t in model.ended:
        slots_of.setdefault(c, []).append(t)

    def rows() -> Iterator[tuple[tuple[str, int, int, int], Any]]:
        for c, slots in slots_of.items():
            group = parts.classes[c]
            speeds = [mode.speed for mode in modes_of(group)]
            for t, later in zip(slots, [*slots[1:], parts.problem.horizon.slots], strict=True):
                ended = model.ended[c, t]
                if (c, later) in model.ended:
                    yield ("stays", c, t, 0), parts.linear(([1.0, -1.0], [ended, model.ended[c, later]])) <= 0
                done: Row = ([float(group.task.work)], [ended])
                for e, possible in enumerate(group.slots):
                    for k in possible:
                        variables = variables_of(parts, c, e, k)
                        if k < t:
                            done[0].extend(-speed for speed in speeds)
                            done[1].extend(variables)
                        elif k < later:
                            yield ("over", c, k, e), parts.linear(([1.0] * (len(variables) + 1), [*variables, ended])) <= 1
                yield ("work", c, t, 0), parts.linear(done) <= 0

    add_rows(parts, "ended_before", rows())


def after(parts: ModelParts) -> None:
    """A job starts only when every job that it comes after has ended; when one of these is dropped, so is it.

    Rigid: ``sum_{k <= t} start[c, k] <= ended[before, t]``; others: ``run[c, t]`` or ``sum_k mode_share[c, t, k]`` alone. For a
    rigid predecessor ``ended[before, t]`` is the sum of its starts that end by ``t``.
    """
    model = parts.model

    def rows() -> Iterator[tuple[tuple[int, int, int], Any]]:
        for c, group in enumerate(parts.classes):
            if group.task.pinned:
                continue
            begins = sorted({t for slots in group.slots for t in slots})
            for before in group.task.after:
                for t in begins:
                    ended = _ended(parts, parts.class_of[before], t)
                    chosen = [
                        variable
                        for e, slots in enumerate(group.slots)
                        for k in slots
                        if k == t or (group.rigid and k < t)
                        for variable in variables_of(parts, c, e, k)
                    ]
                    row = [1.0] * len(chosen) + [-1.0] * len(ended), chosen + ended
                    yield (c, before, t), parts.linear(row) <= 0

    def _ended(parts: ModelParts, c: int, t: int) -> list[Any]:
        group = parts.classes[c]
        if not group.rigid:
            return [model.ended[c, t]]
        return [model.start[c, e, k] for e, slots in enumerate(group.slots) for k in slots if k + group.task.work <= t]

    add_rows(parts, "after", rows())


FAMILIES = (
    malleable_work,
    malleable_once,
    malleable_data,
    piece_begins,
    least_run,
    least_gap,
    ended_before,
    after,
)
