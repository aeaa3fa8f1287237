"""Wind in air of another density, beside windpowerlib's own chain of models."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from grid.assets.wind import POWER_LAW_EXPONENT, wind_power
from tests.grid.assets.test_wind import DAY, windy

FIVE_MINUTES = DAY.with_step(timedelta(minutes=5))


def test_density_is_corrected_as_windpowerlib_itself_does_it() -> None:
    """The chain of windpowerlib (power law, linear gradient, barometric density) gives the same kW at every moment."""
    from windpowerlib import ModelChain, WindTurbine

    found = windy(96_000.0, 28.0)
    power = wind_power(found, DAY, rated_kw=800.0, turbine="E48/800", hub_height_m=80.0)
    moments = (power.edges_s[:-1] + power.edges_s[1:]) / 2
    columns = {
        ("wind_speed", 10): found.at("wind_m_per_s", moments),
        ("temperature", 2): found.at("temperature_c", moments) + 273.15,
        ("pressure", 0): found.pressure_at(moments),
        ("roughness_length", 0): np.full(len(moments), 0.1),
    }
    table = pd.DataFrame(columns, index=pd.to_datetime(moments, unit="s", utc=True))
    chain = ModelChain(
        WindTurbine(turbine_type="E48/800", hub_height=80.0),
        wind_speed_model="hellman",
        density_model="barometric",
        temperature_model="linear_gradient",
        density_correction=True,
        hellman_exp=POWER_LAW_EXPONENT,
    ).run_model(table)
    theirs = np.clip(np.asarray(chain.power_output) / 1000.0, 0.0, 800.0)
    assert power.mean(FIVE_MINUTES) == pytest.approx(theirs, abs=1e-6)
    assert "kg/m3 on average" in power.source
