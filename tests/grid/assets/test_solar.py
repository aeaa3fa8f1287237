"""Sun from cloud cover: physics that must hold whatever the weather."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.assets.solar import cloud_factor, irradiance, solar_power
from grid.errors import FeedError
from grid.feeds.open_meteo import Weather
from grid.feeds.reading import Fault, FaultKind
from grid.horizon import Horizon

START = datetime(2023, 6, 20, 22, tzinfo=UTC)  # local midnight in Almere, the longest day
DAY = Horizon(START, timedelta(minutes=15), 96)
ALMERE = (52.37, 5.22)


def weather(cloud: float = 0.0, temperature_c: float = 20.0, wind: float = 3.0, hours: int = 25) -> Weather:
    """Constant weather in Almere."""
    times = START.timestamp() + 3600.0 * np.arange(hours, dtype=np.float64)
    return Weather(
        times,
        np.full(hours, temperature_c),
        np.full(hours, 60.0),
        np.full(hours, cloud),
        np.full(hours, wind),
        *ALMERE,
        elevation_m=0.0,
        source="test",
    )


def test_closure_of_irradiance_and_dark_nights() -> None:
    """Everywhere GHI = DHI + DNI cos(zenith); with the sun below the horizon all of them are zero."""
    moments = DAY.edges_s[:-1] + 450.0
    sky = irradiance(moments, np.linspace(0, 100, 96), *ALMERE, 0.0)
    beam = sky.dni * np.maximum(np.cos(np.deg2rad(sky.zenith_deg)), 0.0)
    low = sky.zenith_deg > 87  # there Erbs puts the rest of the beam into the diffuse part
    assert (sky.dhi + beam)[~low] == pytest.approx(sky.ghi[~low], abs=1e-6)
    night = sky.zenith_deg > 90
    assert night.any()
    assert sky.ghi[night].max() == sky.dni[night].max() == sky.dhi[night].max() == 0.0
    assert (sky.ghi <= sky.clear_ghi + 1e-9).all()


def test_longest_day_has_its_clear_sky_energy() -> None:
    """A clear 21 June in Almere gives about 8 kWh/m2, the sun highest at about 13:40 local time."""
    moments = DAY.edges_s[:-1] + 450.0
    sky = irradiance(moments, np.zeros(96), *ALMERE, 0.0)
    assert sky.ghi.sum() / 4 / 1000 == pytest.approx(8.0, abs=0.4)
    assert (13.2 * 4) < np.argmin(sky.zenith_deg) < (14.0 * 4)


def test_no_power_at_night_and_never_above_the_inverter() -> None:
    """Zero around midnight; a cold, clear noon on a small inverter is cut at its rating."""
    series = solar_power(weather(temperature_c=-10, wind=10), DAY, peak_kw=10, inverter_kw=5)
    assert series.mean(DAY)[:12].max() == 0.0
    assert series.values.max() == pytest.approx(5.0)
    assert "no measured irradiance" in series.source
    assert solar_power(weather(), DAY, peak_kw=10).values.max() < 10 / 1.1


def test_cloud_takes_three_quarters_and_never_adds() -> None:
    """Kasten and Czeplak: a full cover leaves a quarter; half a cover hardly hurts."""
    assert cloud_factor([0, 100]).tolist() == [1.0, 0.25]
    assert cloud_factor(50) == pytest.approx(0.929, abs=0.001)
    clear = solar_power(weather(0), DAY, peak_kw=10).mean(DAY).sum()
    grey = solar_power(weather(100), DAY, peak_kw=10).mean(DAY).sum()
    assert 0.15 < grey / clear < 0.35


def test_south_beats_north_and_west_is_late() -> None:
    """A tilted plane to the south yields more than one to the north; one to the west has its centre in the afternoon."""
    south, north, west, east = (
        solar_power(weather(), DAY, peak_kw=1, tilt_deg=40, azimuth_deg=a).mean(DAY) for a in (180, 0, 270, 90)
    )
    hours = (np.arange(96) + 0.5) / 4
    centre = [float((power * hours).sum() / power.sum()) for power in (east, south, west)]
    assert south.sum() > north.sum()
    assert centre == sorted(centre)


@settings(max_examples=15)
@given(st.floats(0.5, 500), st.floats(0, 100), st.floats(-20, 40), st.floats(0, 25))
def test_power_is_proportional_to_the_plant_and_in_its_bounds(
    peak_kw: float, cloud: float, temperature_c: float, wind: float
) -> None:
    """Whatever the weather, power lies between 0 and the inverter's rating and scales with the plant."""
    conditions = weather(cloud, temperature_c, wind)
    noon = Horizon(START + timedelta(hours=10), timedelta(hours=1), 4)
    power = solar_power(conditions, noon, peak_kw=peak_kw).mean(noon)
    assert (power >= 0).all()
    assert (power <= peak_kw / 1.1 + 1e-9).all()
    assert power == pytest.approx(peak_kw * solar_power(conditions, noon, peak_kw=1.0).mean(noon), rel=1e-9)


def test_energy_does_not_depend_on_the_step() -> None:
    """The same day read in 5, 15 and 60 minutes holds the same energy."""
    energies = []
    for minutes in (5, 15, 60):
        horizon = Horizon(START, timedelta(minutes=minutes), 24 * 60 // minutes)
        energies.append(solar_power(weather(30), horizon, peak_kw=10).mean(horizon).sum() * horizon.step_h)
    assert energies == pytest.approx([energies[0]] * 3, rel=1e-12)


def test_weather_that_is_missing_or_senseless_parameters() -> None:
    """A horizon beyond the weather, faults without a repair, and parameters out of range are feed errors."""
    with pytest.raises(FeedError, match="does not cover"):
        solar_power(weather(hours=10), DAY, peak_kw=1)
    broken = weather()
    values = broken.cloud_pct.copy()
    values[12] = np.nan
    holed = Weather(
        broken.times_s, broken.temperature_c, broken.humidity_pct, values, broken.wind_m_per_s, *ALMERE,
        elevation_m=0.0, source="holed", faults=(Fault(FaultKind.NOT_A_NUMBER, "noon", 1),),
    )  # fmt: skip
    with pytest.raises(FeedError, match="repair"):
        solar_power(holed, DAY, peak_kw=1)
    assert solar_power(holed, DAY, peak_kw=1, repair="interpolate").mean(DAY).sum() > 0
    for peak_kw, tilt_deg, inverter_kw in ((0.0, 35.0, None), (1.0, 120.0, None), (1.0, 35.0, -1.0)):
        with pytest.raises(FeedError, match="solar"):
            solar_power(weather(), DAY, peak_kw=peak_kw, tilt_deg=tilt_deg, inverter_kw=inverter_kw)
