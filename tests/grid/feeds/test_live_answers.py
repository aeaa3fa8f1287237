"""Answers of ENTSO-E and Electricity Maps: resolutions, repeated values, missing hours, what is refused."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import FeedError
from grid.feeds.electricity_maps import answer_carbon
from grid.feeds.entsoe import generation, prices
from grid.feeds.reading import FaultKind
from tests.ozzo.feed_server import START, carbon, entsoe_generation, entsoe_prices


@given(
    st.lists(st.integers(-50_000, 400_000).map(lambda cents: cents / 100), min_size=2, max_size=100), st.sampled_from([15, 60])
)
def test_prices_come_back_as_they_were_sent(values: list[float], minutes: int) -> None:
    """Any prices, negative ones too, in quarters or hours: values, first instant and step are those of the document."""
    reading = prices(entsoe_prices(START, list(values), minutes), "answer")
    assert reading.values.tolist() == values
    assert reading.edges_s[0] == START.timestamp()
    assert set(np.diff(reading.edges_s)) == {60.0 * minutes}
    assert (reading.unit, reading.faults) == ("EUR/MWh", ())


def test_a_position_that_is_left_out_repeats_the_value_before() -> None:
    """Curve type A03 writes a value once while it lasts."""
    sent = [10.0, None, None, 40.0, None, 60.0]
    assert prices(entsoe_prices(START, sent), "answer").values.tolist() == [10.0, 10.0, 10.0, 40.0, 40.0, 60.0]


def test_generation_is_the_sum_of_its_types_in_kw() -> None:
    """Sun of 1 to 4 MW and wind of 10 MW: 11,000 to 14,000 kW by quarter."""
    reading = generation(entsoe_generation(START, {"B16": [1.0, 2.0, 3.0, 4.0], "B19": [10.0] * 4}), "answer")
    assert reading.values.tolist() == [11_000.0, 12_000.0, 13_000.0, 14_000.0]
    assert set(np.diff(reading.edges_s)) == {900.0}
    one = generation(entsoe_generation(START, {"B16": [1.0, 2.0]}), "answer")
    assert one.values.tolist() == [1000.0, 2000.0]


def test_documents_that_are_refused() -> None:
    """Another unit, another document, no series in it, a price that is a word."""
    whole = entsoe_prices(START, [1.0, 2.0])
    empty = whole[: whole.index("<Period>")] + "</TimeSeries></Publication_MarketDocument>"
    for text, says in (
        (whole.replace("MWH", "KWH"), "price_Measure_Unit.name KWH; expected MWH"),
        (entsoe_generation(START, {"B16": [1.0, 2.0]}), "not a Publication_MarketDocument"),
        (empty, "without a single price"),
        (whole.replace(">1.0<", ">dear<"), "not a document of prices"),
        (whole.replace("PT60M", "PT7M"), "not a document of prices"),
    ):
        with pytest.raises(FeedError, match=says):
            prices(text, "answer")
    made = entsoe_generation(START, {"B16": [1.0, 2.0]})
    for text, says in (
        (made.replace("MAW", "KWT"), "quantity_Measure_Unit.name KWT; expected MAW"),
        (made.replace(">1.0<", ">much<"), "not a document of generation"),
        (made[:-5], "cut off"),
    ):
        with pytest.raises(FeedError, match=says):
            generation(text, "answer")


@pytest.mark.parametrize("key", ["data", "history", "forecast"])
def test_average_intensity_in_each_shape(key: str) -> None:
    """Range, history and forecast carry the same rows; a null is a missing value, and the source says average."""
    reading = answer_carbon(carbon(START, [300.0, None, 280.0], key), "answer")
    assert reading.values[[0, 2]].tolist() == [300.0, 280.0]
    assert [fault.kind for fault in reading.faults] == [FaultKind.NOT_A_NUMBER]
    assert "average" in reading.source


def test_answers_of_electricity_maps_that_are_refused() -> None:
    """Direct emission factors, times without a zone, no list, a single row."""
    two: list[float | None] = [300.0, 290.0]
    local = (START + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S")
    for text, says in (
        (carbon(START, two, emissionFactorType="direct"), "emission factors direct; expected lifecycle"),
        (carbon(START, two, datetime=local), "a time without a zone"),
        ('{"error": "Invalid auth-token"}', "not an answer of Electricity Maps"),
        ("[]", "not an answer of Electricity Maps"),
        (carbon(START, [300.0]), "1 different times"),
    ):
        with pytest.raises(FeedError, match=says):
            answer_carbon(text, "answer")
