"""Power-cap curves of malleable jobs: any modes, of which a slot may have shares.

A slot of such a job is kept as two numbers, its share of power and its share of use. What it does at best with them is ``use *
f(power / use)``, where ``f`` is the concave envelope of speed over power of its modes; so the shares of the modes follow. In a
``Solution`` the two numbers have the form that they have with two modes: ``run_full`` and ``run_eco`` are the shares of full
power and of the job's least power (``Case.power2``) that give them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grid.horizon import FloatArray
from scheduler.optimiser.large.case import Case, IntArray

EPS = 1e-12


def envelope(speed: FloatArray, power: FloatArray) -> IntArray:
    """Modes on the concave envelope of speed over power, by rising power; of modes of one power the fastest."""
    order = np.lexsort((-speed, power))
    kept: list[int] = []
    for k in order.tolist():
        if kept and power[k] - power[kept[-1]] <= EPS:
            continue
        while len(kept) > 1 and _rise(speed, power, kept[-2], kept[-1]) <= _rise(speed, power, kept[-1], k) + EPS:
            kept.pop()
        kept.append(k)
    return np.array(kept, dtype=np.int64)


def _rise(speed: FloatArray, power: FloatArray, one: int, other: int) -> float:
    """Speed gained for each unit of power from one mode to the other."""
    return float((speed[other] - speed[one]) / (power[other] - power[one]))


def mode_shares(speed: FloatArray, power: FloatArray, use: float, power_share: float) -> tuple[float, ...]:
    """Shares of the modes that do most in a slot with these shares of use and power.

    Args:
        speed: of each mode, ``[K]``.
        power: of each mode, ``[K]``.
        use: share of the slot in which the job works, at most 1.
        power_share: its mean power over the slot as a share of full power.

    Returns:
        A share of the slot for each mode, ``K`` of them, that sum to ``use``.
    """
    shares = [0.0] * len(speed)
    on = envelope(speed, power)
    mean = power_share / use if use > 0.0 else 0.0
    n = int(np.clip(np.searchsorted(power[on], mean), 1, max(1, len(on) - 1)))
    low, high = int(on[n - 1]), int(on[min(n, len(on) - 1)])
    part = 0.0 if low == high else float(np.clip((mean - power[low]) / (power[high] - power[low]), 0.0, 1.0))
    shares[low] += use * (1.0 - part)
    shares[high] += use * part
    return tuple(shares)


def form_of(power: Sequence[float], shares: Sequence[float]) -> tuple[float, float]:
    """``run_full`` and ``run_eco`` of a slot with these shares of the modes of these powers."""
    least = min(power)
    use = sum(shares)
    kw = sum(share * each for share, each in zip(shares, power, strict=True))
    eco = (use - kw) / (1.0 - least) if least < 1.0 - EPS else 0.0
    return use - eco, eco


def lines(case: Case) -> tuple[FloatArray, FloatArray]:
    """The envelopes of all curves as lines: what a slot does is the least of ``by_use * use + by_power * power``.

    Returns:
        ``by_use`` and ``by_power``, ``[J, K]`` each; jobs without a curve have lines that mean nothing.
    """
    by_use, by_power = np.zeros(case.curve_speed.shape), np.zeros(case.curve_speed.shape)
    for j in np.flatnonzero(case.has_curve):
        modes = case.curve_speed[j] > 0.0
        speed, power = case.curve_speed[j, modes], case.curve_power[j, modes]
        on = envelope(speed, power)
        slope = np.diff(speed[on]) / np.diff(power[on]) if len(on) > 1 else np.zeros(1)
        begin = speed[on][: len(slope)] - slope * power[on][: len(slope)]
        pad = case.curve_speed.shape[1] - len(slope)
        by_use[j], by_power[j] = np.append(begin, np.full(pad, begin[-1])), np.append(slope, np.full(pad, slope[-1]))
    return by_use, by_power


def work_of(case: Case, owner: IntArray, full: FloatArray, eco: FloatArray) -> FloatArray:
    """Work done in slots of the jobs ``owner`` with the shares ``full`` and ``eco`` (of a ``Solution``), slots at full speed."""
    done: FloatArray = full + case.speed2[owner] * eco
    bent = case.has_curve[owner]
    if bent.any():
        by_use, by_power = lines(case)
        of = owner[bent]
        use, kw = (full + eco)[bent], (full + case.power2[owner] * eco)[bent]
        done[bent] = (by_use[of] * use[:, None] + by_power[of] * kw[:, None]).min(axis=1)
    return done


def fastest(case: Case, job: int) -> tuple[float, float, float]:
    """Speed of the fastest mode of a malleable job, and the ``full`` and ``eco`` of a slot that has it whole."""
    if not case.has_curve[job]:
        return 1.0, 1.0, 0.0
    modes = case.curve_speed[job] > 0.0
    speed, power = case.curve_speed[job, modes], case.curve_power[job, modes]
    best = int(np.lexsort((power, -speed))[0])
    full, eco = form_of(power.tolist(), [float(k == best) for k in range(len(speed))])
    return float(speed[best]), full, eco
