"""Power caps of a job from a table of measured GPU power limits: its fields, and the caps that they make.

A cap is one measured limit: its speed is the run time at the largest limit over that at this one. Its power is that of the whole
job above idle: the GPUs' share falls as measured, the rest stays. What one GPU draws when it idles is not in the table; taking
nothing off for it is on the careful side, because it makes caps look as if they spared less. A limit that draws no less than a
larger one brings no cap.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from grid.errors import InputError
from scheduler.document.fields import Count, Part, Text, Unit, about
from scheduler.document.signals import PATH_WORDS
from scheduler.document.tree import Place, shown
from scheduler.gpu_limits import LimitCurve, read_limits
from scheduler.workload import PowerCap

if TYPE_CHECKING:
    from scheduler.document.context import Context
    from scheduler.document.sources import Sources

SAME = 1e-9
"""Speeds and powers that differ by less are the same."""


class PowerTablePart(Part):
    """A workload in a measured table of GPU power limits, from which the power caps of a job come."""

    gpu_limits: Annotated[
        Text,
        about(
            f"{PATH_WORDS} of a CSV file with the columns dataset, network, batch_size, optimizer, power_limit (W),"
            " time_per_epoch and average_power (W, one GPU without its host), as Zeus publishes them.",
            min_length=1,
        ),
    ]
    dataset: Annotated[Text, about("Dataset of the workload, as in the table.", min_length=1)]
    network: Annotated[Text, about("Network of the workload, as in the table.", min_length=1)]
    batch_size: Annotated[Count, about("Batch size of the workload, as in the table.", ge=1)]
    optimizer: Annotated[Text | None, about("Its optimiser; may be left out where the table has one only.")] = None
    limits_w: Annotated[
        tuple[Annotated[float, Field(gt=0)], ...],
        about("Power limits (W) that may be set, within those measured; every measured one when left out."),
    ] = ()
    gpu_share: Annotated[
        float, about("Share of the job's power above idle that its GPUs draw without a limit.", gt=0, le=1), Unit("share")
    ]


def read_power_tables(context: Context, sources: Sources) -> None:
    """Power caps of every job that takes them from a table; what is wrong becomes a finding."""
    from scheduler.document.sources import find_file

    for index, job in enumerate(context.document.workload.jobs):
        part, place = job.power_table, (*context.place("workload", "jobs", index), "power_table")
        if part is None or not context.checked.trusts(place):
            continue
        path = find_file(context, sources, part.gpu_limits, (*place, "gpu_limits"))
        if path is None:
            continue
        try:
            curves = read_limits(path)
        except InputError as error:
            context.tree.findings += [finding for finding in error.findings if finding not in context.tree.findings]
            continue
        curve = _curve(context, part, curves, place)
        if curve is not None and _measured(context, part, curve, place):
            sources.power_caps[index] = caps_of(curve, part.limits_w, part.gpu_share)


def _curve(context: Context, part: PowerTablePart, curves: tuple[LimitCurve, ...], place: Place) -> LimitCurve | None:
    """The curve of the workload, or None with a finding at the first field that leaves none (or at optimizer, several)."""
    asked = (part.dataset, part.network, str(part.batch_size), part.optimizer)
    left = curves
    for k, name in enumerate(("dataset", "network", "batch_size", "optimizer")):
        if name == "optimizer" and part.optimizer is None:
            break
        names = list(dict.fromkeys(curve.workload[k] for curve in left))
        left = tuple(curve for curve in left if curve.workload[k] == asked[k])
        if not left:
            near = difflib.get_close_matches(str(asked[k]), names, n=1, cutoff=0.3)
            expected = f"a {name} that the table has{' for what stands above' if k else ''}: {', '.join(names[:12])}"
            context.report((*place, name), shown(getattr(part, name)), expected, near[0] if near else None)
            return None
    if len(left) > 1:
        names = [curve.workload[3] for curve in left]
        context.report((*place, "optimizer"), "nothing", f"one of the table's: {', '.join(names)}", line=context.tree.line(place))
        return None
    return left[0]


def _measured(context: Context, part: PowerTablePart, curve: LimitCurve, place: Place) -> bool:
    """Every limit lies within those that were measured."""
    low, high = curve.limits_w[0], curve.limits_w[-1]
    wrong = [(index, limit) for index, limit in enumerate(part.limits_w) if not low <= limit <= high]
    for index, limit in wrong:
        context.report((*place, "limits_w", index), f"{limit:g} W", f"a limit within those measured, {low:g} to {high:g} W")
    return not wrong


def caps_of(curve: LimitCurve, limits_w: tuple[float, ...], gpu_share: float) -> tuple[PowerCap, ...]:
    """The caps of a curve, from the highest power down; full speed is not among them.

    Args:
        curve: the measured curve.
        limits_w: limits, or empty for all that were measured.
        gpu_share: share of the job's power above idle that its GPUs draw without a limit.
    """
    caps: list[PowerCap] = []
    speed, power = 1.0, 1.0
    for limit in sorted(limits_w or curve.limits_w, reverse=True):
        slow, watts = curve.at(limit)
        next_speed, next_power = 1.0 / slow, 1.0 - gpu_share * (1.0 - watts / curve.power_w[-1])
        if next_power < power - SAME:  # no slower for nothing
            speed, power = next_speed, next_power
            caps.append(PowerCap(min(1.0, speed), power))
    return tuple(caps)
