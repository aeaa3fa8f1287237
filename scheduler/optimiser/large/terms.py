"""Terms of jobs that not all of their kind have, and the room that the compiled code needs for them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from grid.horizon import FloatArray
from scheduler.optimiser.large.case import PIECED, Case, IntArray
from scheduler.optimiser.restrict import BoolArray


class Terms(NamedTuple):
    """Terms on which jobs may pause, their power-cap curves, and the room that the longest of their responses needs.

    Attributes:
        run, gap: least length of a piece and of a pause, slots, at least 1, ``[J]``.
        restart: price of each piece after the first, EUR, ``[J]``.
        special: jobs whose response is ``special.special``, ``[J]``.
        modes: number of modes of the curve of a job, or 0, ``[J]``; speed, power: of each mode, rising speed, ``[J, K]``.
        reals, marks: numbers and bytes of ``pieces.tables_of``.
    """

    run: IntArray
    gap: IntArray
    restart: FloatArray
    special: BoolArray
    modes: IntArray
    speed: FloatArray
    power: FloatArray
    reals: int
    marks: int


def terms_of(case: Case) -> Terms:
    """The terms of the jobs of a case."""
    run, gap = np.maximum(1, case.least_run), np.maximum(1, case.least_gap)
    reals = marks = 0
    modes = (case.curve_speed > 0.0).sum(axis=1).astype(np.int64)
    special = (case.typ == PIECED) | (modes > 0)
    for j in np.flatnonzero(special):
        entries = slice(int(case.ep[j]), int(case.ep[j + 1]))
        length, work = int(case.dl[j] - case.ea[entries].min(initial=case.dl[j])), int(case.p[j])
        if modes[j]:
            reals = max(reals, int(3 * modes[j] * length + 3 * (modes[j] + 1)))
        elif run[j] <= work <= length:
            reals = max(reals, _reals(length, work, int(run[j]), int(gap[j])))
            marks = max(marks, (length + 1) * (work + 1))
    return Terms(run, gap, case.restart, special, modes, case.curve_speed, case.curve_power, reals, marks)


def _reals(length: int, work: int, run: int, gap: int) -> int:
    """Numbers that a response needs: two rows of ``running``, and those of ``ready`` and of pauses that are asked for."""
    return 2 * (work + 1) + (run + 1 + min(gap, length) + 1) * (work - run + 1)
