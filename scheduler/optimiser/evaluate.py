"""The energy side of a schedule: quickly a sound answer, then a better one by branch and bound within limits.

Jobs and transfers are fixed, so what is whole here is only whether a battery charges or discharges and whether a site
imports or exports, and that only at some prices, and what assets decide whole (see the room ``asset_rows``). Without such
columns one linear programme is exact. With them its
answer is rounded: for batteries by carrying the rest over to the next slot, so that a battery that would do a bit of
both in every slot alternates at the same mean; for meters to the nearer side. Every choice of these columns is feasible
(the battery may idle, load may go unserved), so the programme that is left has an answer. Whole choices of assets are not all
feasible; where their rounding leaves no answer, branch and bound looks for the first one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from grid.horizon import FloatArray
from scheduler.optimiser.compiled import Compiled
from scheduler.optimiser.highs import Limits, StopAsked, never, solve_integer, solve_linear
from scheduler.optimiser.neighbourhoods import WHOLE
from scheduler.optimiser.restrict import BoolArray

LEAST_SECONDS = 5.0
SECONDS_PER_COLUMN = 2e-4
"""One linear programme of energy alone may always take this long (and so much more a column): there is a plan at all."""


def evaluate(
    model: Compiled, carried: BoolArray, limits: Limits, stop: StopAsked, *, must: bool
) -> tuple[FloatArray, float] | None:
    """Values of all columns and objective of a good answer; None when there is none or time is up.

    Args:
        model: energy only, everything else fixed.
        carried: columns that are rounded with the rest carried over, in order of time.
        limits: of branch and bound.
        stop: asked again and again.
        must: an answer is needed even without time, or when somebody asked to stop.
    """
    least = LEAST_SECONDS + SECONDS_PER_COLUMN * len(model.cost)
    asked, quick = (never, Limits(least)) if must else (stop, Limits(max(limits.time_s, 0.0)))
    relaxed = solve_linear(model, quick, asked, method="simplex")
    if relaxed.values is None or relaxed.objective is None:
        return None
    whole = np.round(relaxed.values[model.integer])
    if np.abs(relaxed.values[model.integer] - whole).max(initial=0.0) <= WHOLE:
        return relaxed.values, relaxed.objective
    sides = np.where(carried, _carry_over(relaxed.values, carried), np.round(relaxed.values))
    fixed = np.where(model.integer, np.clip(sides, 0.0, 1.0), 0.0)
    lower, upper = np.where(model.integer, fixed, model.lower), np.where(model.integer, fixed, model.upper)
    rounded = solve_linear(replace(model, lower=lower, upper=upper), quick, asked, method="simplex")
    best = None
    if rounded.values is not None and rounded.objective is not None:
        best = rounded.values, rounded.objective
        if rounded.objective - relaxed.objective <= limits.gap * abs(rounded.objective):
            return best
    heeded = stop
    if best is None and must:
        limits, heeded = Limits(max(least, limits.time_s), limits.gap), never
    if limits.time_s > 0 and not heeded():
        answer = solve_integer(model, limits, rounded.values, heeded)
        if answer.values is not None and answer.objective is not None and (best is None or answer.objective < best[1]):
            best = answer.values, answer.objective
    return best


def _carry_over(values: FloatArray, carried: BoolArray) -> FloatArray:
    """``values`` with the columns ``carried`` rounded in turn, each with the rest of those before it."""
    rounded, rest = values.copy(), 0.0
    for column in np.flatnonzero(carried):
        wanted = values[column] + rest
        rounded[column] = 1.0 if wanted >= 0.5 else 0.0
        rest = wanted - rounded[column]
    return rounded
