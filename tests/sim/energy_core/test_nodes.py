"""Kinds of nodes: measured curves, sleep, and what is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.sleep import Sleep
from sim.energy_core.nodes import NodeKind, PowerCurve

SLEEP = Sleep(300.0, 0.0086, 7.0, 0.14, 7.0, 0.14)
"""8.6 W asleep, 7 s each way (GreenSlot, SC'11); the power of a transition is an assumption of this test."""


def test_a_measured_curve_is_straight_between_its_points() -> None:
    """Half way between two points: half way between their powers; at a point: its power."""
    curve = PowerCurve((0.0, 0.25, 1.0), (0.1, 0.3, 0.4))
    assert curve.kw([0.0, 0.125, 0.25, 0.625, 1.0]) == pytest.approx([0.1, 0.2, 0.3, 0.35, 0.4])
    with pytest.raises(ValueError, match="between 0 and 1"):
        curve.kw(1.2)


@pytest.mark.parametrize(
    ("use", "power", "words"),
    [
        ((0.0, 1.0), (0.1,), "as many powers"),
        ((0.1, 1.0), (0.1, 0.2), "from 0 to 1"),
        ((0.0, 0.5), (0.1, 0.2), "from 0 to 1"),
        ((0.0, 0.5, 0.5, 1.0), (0.1, 0.2, 0.2, 0.3), "ascend"),
        ((0.0, 0.5, 1.0), (0.1, 0.3, 0.2), "never falls"),
        ((0.0, 1.0), (-0.1, 0.2), "no negative"),
        ((0.0, 1.0), (0.1, math.nan), "finite"),
    ],
)
def test_what_is_no_curve_is_refused(use: tuple[float, ...], power: tuple[float, ...], words: str) -> None:
    """The error says what a curve needs."""
    with pytest.raises(ValueError, match=words):
        PowerCurve(use, power)


def test_sleep_and_kinds_refuse_nonsense() -> None:
    """Every wrong value of a sleep in one error; a kind without nodes."""
    with pytest.raises(ValueError, match=r"after_s = -1\.0, up_kw = inf"):
        Sleep(-1.0, 0.0, 1.0, 0.1, 1.0, math.inf)
    with pytest.raises(ValueError, match="0 nodes"):
        NodeKind("none", 0, PowerCurve.linear(0.1, 0.2))


@given(st.floats(0.0, 5000.0), st.sampled_from([0.05, 0.1, 0.2]))
def test_sleeping_pays_from_worth_s_on(pause_s: float, idle_kw: float) -> None:
    """A pause spent asleep from its start takes less energy than idling exactly when it is longer than ``worth_s``."""
    whole_s = SLEEP.down_s + SLEEP.up_s
    asleep_kws = SLEEP.transition_kwh * 3600 + SLEEP.power_kw * (pause_s - whole_s)
    worth = SLEEP.worth_s(idle_kw)
    if pause_s >= whole_s and abs(pause_s - worth) > 1e-6:
        assert (asleep_kws < idle_kw * pause_s) == (pause_s > worth)
    assert SLEEP.worth_s(SLEEP.power_kw) == math.inf
