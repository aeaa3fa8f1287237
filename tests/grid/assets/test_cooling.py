"""Cooling: the PUE at a temperature by hand, its course, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.assets.cooling import Cooling

GIVEN: dict[str, Any] = {
    "conversion_share": 0.06,
    "fan_share": 0.04,
    "free_below_c": 10.0,
    "free_until_c": 20.0,
    "chilled_c": 18.0,
    "approach_k": 12.0,
    "carnot_share": 0.45,
}


def cooling(**changes: Any) -> Cooling:
    """Free up to 10 degC, none from 20 degC on."""
    return Cooling(**(GIVEN | changes))


def test_by_hand() -> None:
    """At 5 degC only losses and fans; at 30 degC a chiller of COP 0.45 * 291.15 / 24 takes 1.1 kW, at 15 degC half of that."""
    cop = 0.45 * 291.15 / 24
    half = 0.45 * 291.15 / 9
    expected = [1.1, 1.1 + 1.1 / cop, 1.1 + 0.55 / min(half, 12.0)]
    assert cooling().pue([5.0, 30.0, 15.0]) == pytest.approx(expected)
    assert cooling().spared_kw_per_kw([5.0, 30.0]) == pytest.approx([0.0, 1 / cop])


def test_a_sharp_change_over() -> None:
    """Without a span outdoor air takes all up to that temperature and nothing above."""
    assert cooling(free_until_c=10.0).free_share([9.0, 10.0, 10.1]).tolist() == [1.0, 1.0, 0.0]


@given(first=st.floats(-40, 45), warmer=st.floats(0, 30), share=st.floats(0.2, 0.7), approach=st.floats(0, 20))
def test_warmer_never_cools_better(first: float, warmer: float, share: float, approach: float) -> None:
    """The PUE never falls as it gets warmer, is never below that of free cooling, and free cooling is a share."""
    unit = cooling(carnot_share=share, approach_k=approach)
    cold, hot = unit.pue(np.array([first, first + warmer]))
    assert 1.1 - 1e-12 <= cold <= hot + 1e-12
    assert 0.0 <= float(unit.free_share(first)) <= 1.0


@pytest.mark.parametrize(
    "changes",
    [
        {"conversion_share": -0.1},
        {"fan_share": -0.1},
        {"approach_k": -1.0},
        {"free_below_c": 21.0},
        {"carnot_share": 0.0},
        {"carnot_share": 1.1},
        {"highest_cop": 0.0},
    ],
)
def test_impossible_parameters_are_refused(changes: dict[str, float]) -> None:
    """Negative losses, free cooling that ends before it begins, a chiller better than Carnot: no such cooling."""
    with pytest.raises(ValueError, match="cooling"):
        cooling(**changes)
