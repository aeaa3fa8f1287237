"""Sensitivities of voltages and loadings: held against finite differences of the AC power flow itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.errors import PowerFlowError
from grid.horizon import Horizon
from grid.network import Network
from grid.sensitivity import Linearisation, linearise, voltage_derivative

DAY = Horizon(datetime(2023, 5, 10, 22, tzinfo=UTC), timedelta(minutes=15), 96)
START = "2016-05-12T00:00"
SITES = {"hall": "LV4.101 Bus 32", "cabinet": "LV4.101 Bus 10", "hub": "LV4.101 Bus 28"}
SLOTS = (0, 33, 52, 80)


def around(network: Network, powers: tuple[float, ...], scale: float = 1.0) -> Linearisation:
    """The linearisation with constant net imports."""
    imports = {name: np.full(96, power) for name, power in zip(SITES, powers, strict=True)}
    return linearise(network, DAY, START, imports, SITES, household_scale=scale, slots=SLOTS)


POWER = st.floats(-40.0, 80.0).filter(lambda power: abs(power) > 1.0)


@settings(max_examples=25, deadline=None)
@given(powers=st.tuples(POWER, POWER, POWER), scale=st.floats(0.3, 2.5), site=st.integers(0, 2))
def test_derivative_is_the_limit_of_ac_differences(network: Network, powers: tuple[float, ...], scale: float, site: int) -> None:
    """Central differences of two AC solutions 0.2 kW apart agree at every bus, line and transformer of every slot.

    A line whose current almost vanishes has a kink in its loading, and a difference across it says nothing; such cells
    (below 1 % of loading in the state) are left out.
    """
    base = around(network, powers, scale)
    less, more = (
        around(network, tuple(p + (h if k == site else 0.0) for k, p in enumerate(powers)), scale).state for h in (-0.1, 0.1)
    )
    assert base.voltage_per_kw[:, :, site] == pytest.approx((more.voltage_pu - less.voltage_pu) / 0.2, abs=1e-8)
    lines = (more.line_loading_pct - less.line_loading_pct) / 0.2
    loaded = base.state.line_loading_pct > 1.0
    assert base.line_per_kw[:, :, site][loaded] == pytest.approx(lines[loaded], abs=1e-3)
    transformer = (more.transformer_loading_pct - less.transformer_loading_pct) / 0.2
    loaded = base.state.transformer_loading_pct > 5.0
    assert base.transformer_per_kw[:, :, site][loaded] == pytest.approx(transformer[loaded], abs=1e-3)
    assert loaded.any() or (base.state.transformer_loading_pct <= 5.0).all()


def test_the_prediction_is_exact_where_it_was_made_and_close_nearby(network: Network) -> None:
    """At its own state it repeats AC; 10 kW away at every site it is wrong by the square of the step at most."""
    base, far = around(network, (20.0, 10.0, 5.0)), around(network, (30.0, 20.0, 15.0))
    assert base.predict(base.import_kw)[0] == pytest.approx(base.state.voltage_pu, abs=1e-15)
    voltage, line, transformer = base.predict(far.import_kw)
    near = np.abs(base.predict(base.import_kw + 5.0)[0] - around(network, (25.0, 15.0, 10.0)).state.voltage_pu).max()
    error = np.abs(voltage - far.state.voltage_pu).max()
    assert 0 < error < 5e-4
    assert near == pytest.approx(error / 4, rel=0.2)  # second order: half the step, a quarter of the error
    assert line == pytest.approx(far.state.line_loading_pct, abs=2.0)
    assert transformer == pytest.approx(far.state.transformer_loading_pct, abs=0.5)


def test_signs_are_those_of_a_distribution_grid(network: Network) -> None:
    """More import lowers every voltage, at its own bus all but most, and loads the transformer.

    All but most, because loads of constant power further out amplify the drop.
    """
    base = around(network, (20.0, 10.0, 5.0))
    assert (base.voltage_per_kw <= 1e-12).all()
    for k, name in enumerate(SITES):
        own = base.voltage_per_kw[:, base.state.site_bus[name], k]
        assert (own <= 0.95 * base.voltage_per_kw[:, :, k].min(axis=1)).all()
    assert (base.transformer_per_kw[base.state.transformer_loading_pct[:, 0] > 5.0] > 0).all()


def test_no_site_and_a_site_at_the_slack(network: Network) -> None:
    """Without sites there is nothing to derive; load at the slack bus moves no voltage."""
    alone = linearise(network, DAY, START, {}, {}, slots=SLOTS)
    assert alone.voltage_per_kw.shape == (4, 44, 0)
    assert alone.predict(np.zeros((4, 0)))[0] == pytest.approx(alone.state.voltage_pu, abs=0)
    size = network.admittance.size
    flat = np.ones((1, size), dtype=np.complex128)
    none = voltage_derivative(network.admittance, flat, np.zeros((1, size), dtype=np.complex128), network.admittance.slack)
    assert not none.any()


def test_beyond_what_the_network_carries_is_refused(network: Network) -> None:
    """No derivative of a state that does not exist."""
    with pytest.raises(PowerFlowError, match=r"converge|edge"):
        around(network, (20.0, 4000.0, 5.0))
    size = network.admittance.size
    heavy = np.full((1, size), -2.0, dtype=np.complex128)
    free = np.setdiff1d(np.arange(size), network.admittance.slack)
    with pytest.raises(PowerFlowError, match="does not settle"):
        voltage_derivative(network.admittance, np.full((1, size), 0.001 + 0j), heavy, free[:1])
