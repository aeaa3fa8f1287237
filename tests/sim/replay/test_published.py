"""Figures that others published or measured, met on the same real data (docs/researcher.md says what they are)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sim.replay.measure import HOUR_S
from sim.replay.run import Result, Wish, replay
from sim.replay.signal import Period, on_period
from sim.traces.signals import CARBON, read_signal

START = datetime(2024, 3, 1, tzinfo=UTC)
HOSTS, IDLE_KW, RUNNING_W = 277, 0.032, 90.7
"""STEAM's cluster: idle power of a host, and what a running job of 16 processors adds (PEERS: same energy as its load file)."""
LAST_END_S = 124 * 86400 - (16 * 3600 + 120) + 13 * 3600 - 42
"""From the first arrival (30 June 16:02:00) to the last end (1 November 12:59:18)."""


def surf(data: Path, policy: str) -> Result:
    """The SURF trace of 2022 moved to March 2024, every job done within 24 hours of its arrival where it can be."""
    wish = Wish(
        jobs=str(data / "jobs" / "surf_2022_tasks.parquet"),
        carbon=str(data / "carbon" / "NL_2021-2024.parquet"),
        policy=policy,
        start=START,
        done_within_h=24.0,
        watts=RUNNING_W / 16,
    )
    return replay(wish)


@pytest.mark.data
@pytest.mark.slow
def test_bounds_of_the_steam_cluster(data: Path) -> None:
    """58.66 MWh and 14.42 t plain; the bound is 9.75 % lower with one run a job and 10.2 % when jobs may pause."""
    found = surf(data, "oracle").figures
    carbon = read_signal(str(data / "carbon" / "NL_2021-2024.parquet"), CARBON)
    begin_s = START.timestamp()
    part = on_period(carbon, Period(begin_s, begin_s + LAST_END_S), option="", file="", repair=False)
    idle_kg = HOSTS * IDLE_KW * float(part.integral(begin_s + LAST_END_S) - part.integral(begin_s)) / HOUR_S / 1000
    idle_kwh = HOSTS * IDLE_KW * LAST_END_S / HOUR_S
    assert found.carbon_relative is not None
    assert found.bound_contiguous is not None
    assert found.bound_interruptible is not None
    plain_kg = found.carbon_kg / found.carbon_relative
    assert found.energy_kwh + idle_kwh == pytest.approx(58_660, abs=10)
    assert plain_kg + idle_kg == pytest.approx(14_420, abs=10)
    whole, pieces = (
        100 * plain_kg * (1 - bound) / (plain_kg + idle_kg) for bound in (found.bound_contiguous, found.bound_interruptible)
    )
    assert whole == pytest.approx(9.75, abs=0.05)
    assert pieces == pytest.approx(10.2, abs=0.05)
    assert found.deadline_misses == 0


@pytest.mark.data
@pytest.mark.slow
def test_a_rule_of_the_past_reaches_less_than_foresight(data: Path) -> None:
    """EuroSys'24 asks for it: a simple rule, its share of the bound, and a policy that sees ahead."""
    simple, ahead = surf(data, "threshold").figures, surf(data, "wait-awhile").figures
    assert simple.carbon_relative is not None
    assert ahead.carbon_relative is not None
    assert ahead.carbon_relative == pytest.approx(ahead.bound_interruptible)
    assert ahead.carbon_relative < simple.carbon_relative < 1.0
