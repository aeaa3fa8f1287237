"""The linear model over the year: figures of its first days, and that they are differences and not a formality."""

from __future__ import annotations

from ozzo.bench.linear import full_kw, measure_linear
from tests.factory import day_horizon, site


def test_the_first_days_are_within_the_target() -> None:
    """Two days: 99 % of voltages within 0.005 pu and of loadings within 2 percentage points, but not exactly zero."""
    told: list[str] = []
    figures = measure_linear(told.append, slots=192)
    assert set(figures) == {"linear_voltage_p99_pu", "linear_loading_p99_pct"}
    assert 1e-6 < figures["linear_voltage_p99_pu"] < 0.005
    assert 1e-3 < figures["linear_loading_p99_pct"] < 2.0
    assert figures == measure_linear(slots=192)
    assert any("quarter-hours 0 to 192" in line for line in told)


def test_full_power_is_what_busy_nodes_add() -> None:
    """Four nodes of 0.1 to 0.5 kW at a PUE of 1.2."""
    assert abs(full_kw(site(day_horizon(), "hall")) - 1.2 * 4 * 0.4) < 1e-12
