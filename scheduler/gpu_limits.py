"""What a power limit does to a GPU: measured run time and power of training under limits, as curves that cannot be gamed.

The tables are those of Zeus (You, Chung, Chowdhury, "Zeus: Understanding and Optimizing GPU Energy Consumption of DNN Training",
NSDI 2023): columns ``dataset, network, batch_size, optimizer, power_limit`` (W), ``time_per_epoch`` (s), ``average_power`` (W,
the board of the GPU without its host). Every point was measured once, so a higher limit sometimes comes out slower. Run time that
never rises with the limit, and power that never falls, are the nearest curves in the sense of least squares (pool adjacent
violators: Ayer, Brunk, Ewing, Reid, Silverman, "An empirical distribution function for sampling with incomplete information",
Annals of Mathematical Statistics 26, 1955). Between measured limits curves are straight; beyond them nothing is known, and
asking is an error.
"""

from __future__ import annotations

import csv
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from grid.errors import Finding, InputError

KEYS = ("dataset", "network", "batch_size", "optimizer")
NUMBERS = ("power_limit", "time_per_epoch", "average_power")


@dataclass(frozen=True, slots=True)
class LimitCurve:
    """One training workload on one kind of GPU under power limits.

    Attributes:
        workload: dataset, network, batch size and optimiser.
        limits_w: measured limits, ascending.
        slowdown: run time at each limit over that at the largest one, at least 1, never rising.
        power_w: mean power of one GPU at each limit, never falling; it may exceed a limit that the board does not hold.
    """

    workload: tuple[str, str, str, str]
    limits_w: tuple[float, ...]
    slowdown: tuple[float, ...]
    power_w: tuple[float, ...]

    def at(self, limit_w: float) -> tuple[float, float]:
        """Slowdown, and power of one GPU in W, under a limit.

        Raises:
            ValueError: the limit lies outside those that were measured.
        """
        low, high = self.limits_w[0], self.limits_w[-1]
        if not low <= limit_w <= high:
            raise ValueError(f"{'/'.join(self.workload)}: a limit of {limit_w} W was not measured; {low:g} to {high:g} W were")
        k = max(1, bisect_left(self.limits_w, limit_w))
        if k == len(self.limits_w):  # a single limit was measured
            return self.slowdown[0], self.power_w[0]
        part = (limit_w - self.limits_w[k - 1]) / (self.limits_w[k] - self.limits_w[k - 1])
        slow, power = ((row[k - 1] + part * (row[k] - row[k - 1])) for row in (self.slowdown, self.power_w))
        return slow, power

    def under(self, limit_w: float, duration_s: float, gpus: int, host_kw: float) -> tuple[float, float]:
        """Run time (s) and IT power of a node (kW) under a limit, as ``fifo.run_fifo`` takes them.

        Args:
            limit_w: of each GPU.
            duration_s: run time at the largest measured limit.
            gpus: GPUs of the node, all at work.
            host_kw: what the node draws beside its GPUs.

        Raises:
            ValueError: the limit lies outside those that were measured.
        """
        slow, power_w = self.at(limit_w)
        return duration_s * slow, host_kw + gpus * power_w / 1000.0

    def energy(self, limit_w: float) -> float:
        """Energy of the GPU for the same work under a limit, over that at the largest one.

        Raises:
            ValueError: the limit lies outside those that were measured.
        """
        slow, power_w = self.at(limit_w)
        return slow * power_w / (self.slowdown[-1] * self.power_w[-1])


def monotone(values: Sequence[float]) -> tuple[float, ...]:
    """The never falling values nearest to ``values`` (least squares, equal weights)."""
    blocks: list[tuple[float, int]] = []  # mean and length
    for value in values:
        mean, length = value, 1
        while blocks and blocks[-1][0] > mean:
            before, count = blocks.pop()
            mean, length = (before * count + mean * length) / (count + length), count + length
        blocks.append((mean, length))
    return tuple(mean for mean, length in blocks for _ in range(length))


def limit_curve(workload: tuple[str, str, str, str], points: Sequence[tuple[float, float, float]]) -> LimitCurve:
    """A curve from measured points (limit in W, run time in any unit, power in W), in any order, each limit once."""
    limits, times, powers = zip(*sorted(points), strict=True)
    smooth = tuple(-value for value in monotone([-time for time in times]))
    return LimitCurve(workload, limits, tuple(value / smooth[-1] for value in smooth), monotone(powers))


def read_limits(path: Path) -> tuple[LimitCurve, ...]:
    """The curves of a table, in the order in which its workloads come.

    Raises:
        InputError: every line that is no measurement, or measures a workload at a limit twice; or columns that are missing.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError([Finding(str(path), None, "", str(error), "a CSV file of GPU power limits")]) from error
    reader = csv.DictReader(lines)
    absent = [name for name in (*KEYS, *NUMBERS) if name not in (reader.fieldnames or ())]
    if absent:
        raise InputError(
            [Finding(str(path), 1, name, "no such column", "columns " + ", ".join((*KEYS, *NUMBERS))) for name in absent]
        )
    findings: list[Finding] = []
    found: dict[tuple[str, ...], dict[float, tuple[float, float, float]]] = {}
    for row in reader:
        numbers = [_number(row[name]) for name in NUMBERS]
        wrong = [name for name, value in zip(NUMBERS, numbers, strict=True) if value is None]
        findings += [Finding(str(path), reader.line_num, name, str(row[name]), "a number above 0") for name in wrong]
        if wrong:
            continue
        limit, time, power = (value for value in numbers if value is not None)
        points = found.setdefault(tuple(row[name] for name in KEYS), {})
        if limit in points:
            findings.append(
                Finding(str(path), reader.line_num, "power_limit", f"{limit:g} again", "each limit of a workload once")
            )
        points[limit] = (limit, time, power)
    if not found and not findings:
        findings.append(Finding(str(path), None, "", "no line", "measurements"))
    if findings:
        raise InputError(findings)
    return tuple(limit_curve((key[0], key[1], key[2], key[3]), list(points.values())) for key, points in found.items())


def _number(text: str | None) -> float | None:
    """A finite number above 0, or None."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
