"""Ways to forecast: what each says by hand, and that none knows the future."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.forecasts import methods as ways
from grid.forecasts.methods import HISTORY_H, METHODS, Past

HOURS = HISTORY_H + 120
CLEAR = np.clip(np.sin((np.arange(HOURS) % 24 - 6) * np.pi / 12), 0, None) * 900


def test_by_hand() -> None:
    """A series that counts the hours: what each way says six and thirty hours ahead."""
    count = np.arange(float(HOURS))
    made = np.array([HISTORY_H + 10])
    assert ways.persistence(Past(count), made, 6).tolist() == [HISTORY_H + 10]
    assert ways.day_persistence(Past(count), made, 6).tolist() == [HISTORY_H + 10 + 6 - 24]
    assert ways.day_persistence(Past(count), made, 30).tolist() == [HISTORY_H + 10 + 30 - 48]
    assert ways.climatology(Past(count), made, 24) == pytest.approx([HISTORY_H + 10 - 24 * 13.5])
    assert ways.climatology_quantiles(Past(count), made, 24, (0.0, 1.0)).tolist() == [[HISTORY_H + 10 - 24 * 27, HISTORY_H + 10]]
    mean, now = HISTORY_H + 10 + 6 - 24 - 24 * 3.0, HISTORY_H + 10 - 24 * 3.0
    assert ways.week_mean(Past(count), made, 6) == pytest.approx([mean + (made[0] - now) * ways.FADES**6])


def test_smart_persistence_knows_the_sun() -> None:
    """Half a clear sky stays half a clear sky, at noon and at night."""
    past = Past(0.5 * CLEAR, CLEAR)
    made = np.array([HISTORY_H + 11])
    for lead in (1, 6, 12, 24, 30):
        assert ways.smart(past, made, lead) == pytest.approx(0.5 * CLEAR[made + lead], abs=1e-9)
    with pytest.raises(ValueError, match="clear sky"):
        ways.smart(Past(CLEAR), made, 1)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(METHODS)), st.integers(1, 48), st.integers(HISTORY_H + 48, HOURS - 49), st.integers(0, 2**16))
def test_nothing_knows_the_future(name: str, lead: int, made: int, seed: int) -> None:
    """Whatever comes after the moment of the forecast changes nothing of it."""
    values = np.random.default_rng(seed).uniform(1, 100, HOURS)
    other = values.copy()
    other[made + 1 :] = np.random.default_rng(seed + 1).uniform(1, 100, HOURS - made - 1)
    at = np.array([made])
    said, again = (METHODS[name](Past(series, CLEAR), at, lead) for series in (values, other))
    assert np.array_equal(said, again, equal_nan=True)


def test_quantiles_of_errors_use_known_errors_only() -> None:
    """A forecast 48 hours ahead, made daily, knows the errors of two days ago and before."""
    point, truth = np.zeros(8), np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    found = ways.error_quantiles(point, truth, 24, 48, 3, (0.0, 0.5, 1.0))
    assert np.isnan(found[:4]).all()
    assert found[4].tolist() == [1.0, 2.0, 3.0]
    assert found[7].tolist() == [4.0, 5.0, 6.0]


def test_clear_sky_of_amsterdam() -> None:
    """Dark at midnight, about 850 W/m2 at noon in June (solar time), less in December."""
    june = 1_718_928_000.0 + 3600.0 * np.arange(25.0)  # 2024-06-21 00:00 UTC
    sun = ways.clear_sky_w_per_m2(june, 52.37, 4.9)
    assert sun[0] == 0.0
    assert 800 < sun[11] < 950
    winter = ways.clear_sky_w_per_m2(june + 183 * 86400.0, 52.37, 4.9)
    assert 100 < winter.max() < 250
