"""Drawn sessions: the same for the same seed, never more cars than points, never more cars that give back than there can be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.assets.charging_draw import Bidirectional, Plug, Town, Wave, draw_sessions
from grid.assets.charging_sessions import Session
from grid.chance import stream
from tests.factory import day_horizon

TOWN = Town(
    points=40,
    sessions=60,
    waves=(Wave(0.7, 18.0, 31.5, 1.5, 1.0), Wave(0.3, 8.5, 17.0, 1.0, 1.0)),
    plugs=(Plug(0.5, 11.0), Plug(0.5, 3.7)),
    mean_kwh=18.0,
    sd_kwh=9.0,
    efficiency=0.9,
    grid_minutes=30,
)
HORIZON = day_horizon(120, 15)
"""Thirty hours from local midnight."""


def at_once(sessions: tuple[Session, ...]) -> int:
    """Most sessions at the same time."""
    moments = sorted({session.arrival_h for session in sessions})
    return max((sum(one.arrival_h <= t < one.departure_h for one in sessions) for t in moments), default=0)


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), points=st.integers(1, 80), grid=st.sampled_from([15, 30, 60]), early=st.floats(-12, 0))
def test_every_session_is_possible(seed: int, points: int, grid: int, early: float) -> None:
    """Within the horizon and on the grid, its energy reachable, no more cars at once than points, and all cars counted."""
    town = replace(TOWN, points=points, grid_minutes=grid)
    drawn = draw_sessions(town, early, HORIZON, np.random.default_rng(seed), "car")
    assert len(drawn.sessions) + drawn.turned_away == town.sessions
    assert at_once(drawn.sessions) <= points
    assert len({session.name for session in drawn.sessions}) == len(drawn.sessions)
    for session in drawn.sessions:
        assert 0.0 <= session.arrival_h < session.departure_h <= 30.0
        for hours in (session.arrival_h, session.departure_h, session.energy_kwh / session.power_kw / 0.9):
            assert hours * 60 / grid == pytest.approx(round(hours * 60 / grid), abs=1e-9)
        assert session.energy_kwh <= session.power_kw * 0.9 * (session.departure_h - session.arrival_h) + 1e-9


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), points=st.integers(0, 40), cars=st.integers(0, 80), consent=st.sampled_from([0.0, 0.5, 1.0]))
def test_no_more_give_back_than_points_and_cars(seed: int, points: int, cars: int, consent: float) -> None:
    """At once at most the bidirectional points, in all at most the capable cars, none without consent; batteries hold it."""
    town = replace(TOWN, bidirectional=Bidirectional(points, cars, 10.0, 50.0, 0.3, consent))
    drawn = draw_sessions(town, 0.0, HORIZON, np.random.default_rng(seed))
    able = tuple(session for session in drawn.sessions if session.discharge_kw > 0)
    giving = tuple(session for session in able if session.gives)
    assert len(able) <= cars
    assert at_once(able) <= points
    if consent in {0.0, 1.0}:
        assert giving == (able if consent else ())
    assert all(session.full_kwh >= 50.0 and session.minimum_kwh <= 15.0 + 1e-9 for session in able)


def test_with_room_for_all_every_capable_car_gives() -> None:
    """145 points and 100 cars among 200: 100 give back, as in the study."""
    town = replace(TOWN, points=200, sessions=200, bidirectional=Bidirectional(145, 100, 10.0, 50.0, 0.3, 1.0))
    drawn = draw_sessions(town, 0.0, HORIZON, stream(145, "test"))
    assert sum(session.gives for session in drawn.sessions) == min(145, 100)


def test_the_seed_decides_everything() -> None:
    """Twice the same stream gives the same sessions, another one others."""
    first, second, other = (draw_sessions(TOWN, 0.0, HORIZON, stream(seed, "charging")) for seed in (1, 1, 2))
    assert first == second
    assert first != other


def test_cars_come_when_their_wave_comes() -> None:
    """Without spread evening cars stay from six to half past seven, morning cars from half past eight to five."""
    waves = tuple(replace(wave, arrival_sd_h=0.0, departure_sd_h=0.0) for wave in TOWN.waves)
    drawn = draw_sessions(
        replace(TOWN, waves=waves, points=60, plugs=(Plug(1.0, 22.0),)), 0.0, day_horizon(32), stream(3, "charging")
    )
    assert {(session.arrival_h, session.departure_h) for session in drawn.sessions} == {(18.0, 31.5), (8.5, 17.0)}
    assert drawn.turned_away == 0
