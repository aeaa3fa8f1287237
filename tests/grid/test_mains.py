"""Faults of the mains: what power supplies bridge, what rates give, and faults that touch."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.chance import stream
from grid.mains import YEAR_S, FaultRates, MainsFault, apart, draw_faults


@pytest.mark.parametrize(
    ("retained", "length_s", "bridged"),
    [(0.0, 0.02, True), (0.0, 0.03, False), (0.7, 0.5, True), (0.69, 0.5, False), (0.8, 10.0, True), (0.8, 11.0, False)],
)
def test_power_supplies_bridge_what_the_iti_curve_says(retained: float, length_s: float, bridged: bool) -> None:
    """20 ms without voltage, 0.5 s at 70 %, 10 s at 80 %: not a bit more."""
    assert MainsFault("dip", "hall", 0.0, length_s, retained).bridged is bridged


@pytest.mark.parametrize(("length_s", "retained"), [(0.0, 0.0), (-1.0, 0.0), (1.0, 1.1), (1.0, -0.1)])
def test_a_fault_that_is_none_is_refused(length_s: float, retained: float) -> None:
    """No length, or a voltage outside 0 to 1, is an error that names the fault."""
    with pytest.raises(ValueError, match="storm"):
        MainsFault("storm", "hall", 0.0, length_s, retained)


def test_rates_give_as_many_faults_as_they_say() -> None:
    """In 200 years at 2 outages of an hour and 5 dips a year: 400 and 1000 within four deviations, the same at a seed."""
    rates = FaultRates(2.0, 3600.0, 5.0, 0.2)
    found = draw_faults(stream(3, "mains:hall"), "hall", rates, 200 * YEAR_S)
    outages = [fault for fault in found if fault.name.startswith("outage")]
    assert abs(len(outages) - 400) < 4 * 20
    assert abs(len(found) - len(outages) - 1000) < 4 * 32
    assert abs(sum(fault.length_s for fault in outages) / len(outages) - 3600) < 4 * 3600 / 20
    assert all(fault.retained_pu < 0.9 for fault in found)
    assert found == draw_faults(stream(3, "mains:hall"), "hall", rates, 200 * YEAR_S)


def test_no_rates_give_no_faults() -> None:
    """Mains fail only where somebody says so."""
    assert draw_faults(stream(3, "mains:hall"), "hall", FaultRates(), 1e9) == ()


FAULT = st.builds(MainsFault, st.just("f"), st.sampled_from(["a", "b"]), st.floats(0, 100), st.floats(0.1, 50), st.floats(0, 0.9))


@given(st.lists(FAULT, max_size=12))
def test_faults_made_apart_cover_the_same_time_and_never_touch(faults: list[MainsFault]) -> None:
    """Whatever touches at a site becomes one fault over all of it; others stay."""
    found = apart(faults)
    for site in ("a", "b"):
        mine = sorted((fault for fault in found if fault.site == site), key=lambda fault: fault.start_s)
        assert all(before.end_s < after.start_s for before, after in pairwise(mine))
        for fault in (fault for fault in faults if fault.site == site):
            assert any(one.start_s <= fault.start_s and fault.end_s <= one.end_s + 1e-9 for one in mine)
