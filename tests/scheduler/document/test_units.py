"""Units: exact conversion, and kind words for wrong ones."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.document.units import DIMENSIONS, UnitError, convert, nearest, nearest_unit, units_like

PAIRS = [(unit, other) for table in DIMENSIONS for unit in table for other in table if units_like(other) is table]


@pytest.mark.parametrize(
    ("value", "unit", "number"),
    [
        (15, "kWh", 15.0),
        ("15", "kWh", 15.0),
        ("15 kWh", "kWh", 15.0),
        ("0.015 MWh", "kWh", 15.0),
        ("100W", "kW", 0.1),
        ("1e3 W", "kW", 1.0),
        ("-3.5 MW", "kW", -3500.0),
        ("12 ct/kWh", "EUR/MWh", 120.0),
        ("0.12 EUR/kWh", "EUR/MWh", 120.0),
        ("1 Gbit/s", "Mbit/s", 1000.0),
        ("1 MB/s", "Mbit/s", 8.0),
        ("500 GB", "TB", 0.5),
        ("64 GiB", "GB", 68.719476736),
        ("2 h", "min", 120.0),
        ("5 %", "share", 0.05),
        ("80 EUR/t", "EUR/kg", 0.08),
    ],
)
def test_conversion(value: object, unit: str, number: float) -> None:
    """Numbers stay, texts are converted exactly in decimal."""
    assert convert(value, unit) == number


@pytest.mark.parametrize(
    ("value", "unit", "hint"),
    [
        ("15 kwh", "kWh", "kWh"),
        ("15 KWH", "kWh", "kWh"),
        ("15 kW", "kWh", "kWh"),
        ("15 mbit/s", "Mbit/s", "Mbit/s"),
        ("15 minutes", "min", "min"),
        ("15 parsec", "kWh", None),
        ("fifteen", "kWh", None),
        ("1,5 kWh", "kWh", "1.5 kWh"),
        (True, "kWh", None),
        ([1], "kWh", None),
        (float("nan"), "kWh", None),
        (10**400, "kWh", None),
        ("1e999 kWh", "kWh", None),
        ("٣ kWh", "kWh", None),
        ("1" * 200, "kWh", None),
    ],
)
def test_refusal_names_the_nearest_unit(value: object, unit: str, hint: str | None) -> None:
    """What is no number in the unit is refused; a misspelt unit brings the nearest valid one."""
    with pytest.raises(UnitError) as caught:
        convert(value, unit)
    assert caught.value.nearest == hint
    assert unit in caught.value.expected


@given(st.floats(-1e9, 1e9), st.sampled_from(PAIRS))
def test_there_and_back(number: float, pair: tuple[str, str]) -> None:
    """Converting to another unit of the kind and back gives the number again."""
    unit, other = pair
    there = convert(f"{number!r} {unit}", other)
    assert math.isclose(convert(f"{there!r} {other}", unit), number, rel_tol=1e-12, abs_tol=1e-300)


@given(st.text(max_size=30))
def test_any_text_is_a_number_or_a_unit_error(text: str) -> None:
    """No text gives anything but a finite number or a UnitError."""
    try:
        number = convert(text, "kWh")
    except UnitError:
        return
    assert math.isfinite(number)


def test_nearest_is_none_for_something_else() -> None:
    """A name that resembles nothing gets no suggestion."""
    assert nearest("zzzz", ["cabinet", "hall"]) is None
    assert nearest("CABINETT", ["cabinet", "hall"]) == "cabinet"
    assert nearest_unit("qq", "kWh") is None
