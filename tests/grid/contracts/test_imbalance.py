"""Imbalance settlement: what is taken more or less than nominated, beyond the day-ahead price of it."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.contracts.imbalance import ImbalanceContract
from grid.horizon import Horizon
from grid.series import Series
from tests.factory import START

QUARTERS = Horizon(START, timedelta(minutes=15), 8)
POWERS = st.lists(st.floats(-5, 5), min_size=8, max_size=8)


def contract(short: list[float], long: list[float], market: list[float]) -> ImbalanceContract:
    """Prices of one site; lists of 2 are hourly, of 8 quarter-hourly."""

    def series(values: list[float]) -> Series:
        return Series.on(QUARTERS.with_step(timedelta(hours=2) / len(values)), values, "EUR/MWh")

    return ImbalanceContract("brp", ("hall",), series(short), series(long), (series(market),))


def test_by_hand() -> None:
    """1 kWh more at 250 instead of 100, then 2 kWh less at 40 instead of 100: 0.15 and 0.12 EUR beyond the day-ahead price."""
    found = contract([250.0] * 2, [40.0] * 2, [100.0] * 2).settle(
        "hall", np.zeros(8), np.array([1.0, -2.0, *[0.0] * 6]), QUARTERS
    )
    assert (found.short_kwh.sum(), found.long_kwh.sum()) == (1.0, 2.0)
    assert (found.short_eur.sum(), found.long_eur.sum()) == (pytest.approx(0.15), pytest.approx(0.12))


@given(nominated=POWERS, actual=POWERS, short=POWERS, long=POWERS, market=st.lists(st.floats(-50, 300), min_size=2, max_size=2))
def test_the_whole_bill_is_day_ahead_and_imbalance(
    nominated: list[float], actual: list[float], short: list[float], long: list[float], market: list[float]
) -> None:
    """Metered energy at the hourly day-ahead price plus the settlement is: nominated at day-ahead, the rest at its own price."""
    plan, real = np.array(nominated), np.array(actual)
    prices = (100.0 * np.array(short), 100.0 * np.array(long))
    found = contract(prices[0].tolist(), prices[1].tolist(), market).settle("hall", plan, real, QUARTERS)
    day_ahead = np.repeat(market, 4)
    ours = (real @ day_ahead) / 1000.0 + found.short_eur.sum() + found.long_eur.sum()
    off = real - plan
    theirs = plan @ day_ahead + np.maximum(0.0, off) @ prices[0] - np.maximum(0.0, -off) @ prices[1]
    assert ours == pytest.approx(theirs / 1000.0, abs=1e-9)
    assert (found.short_kwh * found.long_kwh == 0.0).all()
    assert (found.short_kwh - found.long_kwh).tolist() == off.tolist()


def test_hourly_and_quarter_hourly_prices_are_both_read() -> None:
    """A day-ahead price of an hour holds in its four quarters; one of a quarter only there."""
    hourly = contract([300.0] * 2, [0.0] * 2, [100.0, 200.0])
    finer = contract([300.0] * 2, [0.0] * 2, [100.0] * 4 + [200.0] * 4)
    more = np.arange(8.0)
    assert hourly.settle("hall", np.zeros(8), more, QUARTERS).short_eur == pytest.approx(
        finer.settle("hall", np.zeros(8), more, QUARTERS).short_eur
    )
    one = contract([300.0] * 2, [0.0] * 2, [100.0, 200.0, *[100.0] * 6]).settle("hall", np.zeros(8), np.ones(8), QUARTERS)
    assert one.short_eur.tolist() == pytest.approx([0.2, 0.1, *[0.2] * 6])
