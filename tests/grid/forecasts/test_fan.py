"""Fitted errors as quantiles around another forecast, and the file that keeps a fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grid.errors import FeedError
from grid.forecasts.error_file import errors_text, read_errors
from grid.forecasts.errors import ErrorModel, fit_errors
from grid.forecasts.fan import LEVELS, fan
from grid.series import Series
from tests.grid.forecasts.test_errors import skewed

BY_HAND = ErrorModel(100.0, np.array([0.4]), (np.array([-0.2, 0.0, 0.4]), np.array([-0.1, 0.1])), 0.8, 1.0)
"""Two classes: up to 0.4 of the capacity, and above."""


def forecast(*values_kw: float) -> Series:
    """These powers, hour by hour."""
    return Series(3600.0 * np.arange(len(values_kw) + 1.0), np.array(values_kw), "kW", "test")


def test_quantiles_by_hand() -> None:
    """Half of a plant of 10 kW is in the second class: errors of 1 kW either way; 2 kW in the first, whose median error is 0."""
    made = fan(BY_HAND, forecast(5.0, 2.0), 10.0, dark=False)
    assert made.values.tolist() == pytest.approx([5.0, 2.0])
    assert made.table[0].tolist() == pytest.approx([4.0, 0.0])
    assert made.table[-1].tolist() == pytest.approx([6.0, 6.0])
    assert made.lasts_h == pytest.approx(-1.0 / np.log(0.8))


def test_night_stays_dark_and_nothing_leaves_the_capacity() -> None:
    """Nothing comes of a sun that is not there; of wind it may; a forecast at the capacity has nothing above it."""
    assert not fan(BY_HAND, forecast(0.0), 10.0, dark=True).table.any()
    assert fan(BY_HAND, forecast(0.0), 10.0, dark=False).table[-1, 0] == pytest.approx(4.0)
    assert fan(BY_HAND, forecast(10.0), 10.0, dark=True).table.max() == 10.0
    with pytest.raises(ValueError, match="above 0"):
        fan(BY_HAND, forecast(1.0), 0.0, dark=True)


def test_quantiles_are_those_of_drawn_errors() -> None:
    """Of 4,000 courses that the fit draws as many lie below each quantile as its level says (0.02 at most)."""
    told, truth = skewed(5_000, 0.9, 1)
    model = fit_errors(told, truth, 1.0)
    some = told[:24]
    drawn = model.draw(some, np.random.default_rng(3), 4_000)
    made = fan(model, Series(3600.0 * np.arange(25.0), some, "kW", "test"), model.capacity, dark=False)
    below = np.array([(drawn <= row).mean() for row in made.table])
    assert below == pytest.approx(np.array(LEVELS), abs=0.02)


def test_a_fit_is_kept_in_a_file(tmp_path: Path) -> None:
    """Written and read again it draws the same errors, within what 200 quantiles keep."""
    told, truth = skewed(3_000, 0.9, 2)
    model = fit_errors(told, truth, 1.0)
    file = tmp_path / "errors.json"
    file.write_text(errors_text(model, unit="MW", source="test", made_by="a test"))
    again = read_errors(file)
    assert (again.capacity, again.step_h) == (model.capacity, model.step_h)
    assert again.time_constant_h == pytest.approx(model.time_constant_h, rel=1e-3)
    one, two = (fit.draw(told[:48], np.random.default_rng(5), 200) for fit in (model, again))
    assert np.abs(one - two).mean() < 0.003 * model.capacity


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"ozzo_errors": 2}, "ozzo_errors: found 2"),
        ({"capacity": 0}, "capacity: found 0"),
        ({"step_h": "1"}, "step_h: found '1'"),
        ({"keeps": 1.0}, "keeps: found 1"),
        ({"keeps": True}, "keeps: found True"),
        ({"bounds": [0.5, 0.4]}, "errors: found 2 lists; expected 3"),
        ({"bounds": ["x"]}, "bounds: found list"),
        ({"errors": [[0.0]]}, "errors: found 1 lists; expected 2"),
        ({"errors": [[0.0], []]}, "errors[1]: found an empty list"),
        ({"errors": [[0.2, 0.1], [0.0]]}, "errors[0]: found numbers that fall"),
        ({"errors": None}, "errors: found NoneType"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, change: dict[str, Any], field: str) -> None:
    """File, field, found and expected."""
    content = json.loads(errors_text(BY_HAND, unit="MW", source="test", made_by="a test"))
    file = tmp_path / "errors.json"
    file.write_text(json.dumps(content | change))
    with pytest.raises(FeedError) as error:
        read_errors(file)
    assert field in str(error.value)
    assert "errors.json" in str(error.value)
    assert "expected" in str(error.value)


def test_no_json_and_no_file(tmp_path: Path) -> None:
    """Text that is no JSON, a list, and a file that is not there."""
    file = tmp_path / "errors.json"
    for text in ("time,value\n", "[1]"):
        file.write_text(text)
        with pytest.raises(FeedError, match=r"errors\.json"):
            read_errors(file)
    with pytest.raises(FeedError, match=r"none\.json"):
        read_errors(tmp_path / "none.json")
