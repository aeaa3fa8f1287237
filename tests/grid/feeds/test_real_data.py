"""The readers on the real files, read in place (OZZO_DATA)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from grid.assets.solar import irradiance
from grid.feeds.electricity_maps import read_carbon
from grid.feeds.market_prices import read_market_prices
from grid.feeds.open_meteo import read_weather
from grid.feeds.reading import FaultKind
from grid.horizon import Horizon

pytestmark = pytest.mark.data


@pytest.mark.parametrize(
    ("name", "zone", "missing_days"),
    [
        ("NL_2022", "Europe/Amsterdam", ["2022-09-02T22:00Z"]),
        ("NL_2023", "Europe/Amsterdam", ["2023-06-29T22:00Z"]),
        ("FR_2023", "Europe/Paris", ["2023-11-29T23:00Z"]),
        ("BE_2023", "Europe/Brussels", []),
        ("DE-LU_2023", "Europe/Berlin", []),
    ],
)
def test_known_faults_of_the_price_files(data: Path, name: str, zone: str, missing_days: list[str]) -> None:
    """Exactly the faults that the data's own description lists: an invented and a missing hour, and whole missing days."""
    reading = read_market_prices(data / "prices_eur" / f"{name}.csv", zone)
    assert [fault.where for fault in reading.faults if fault.kind is FaultKind.GAP] == missing_days
    others = [fault.kind for fault in reading.faults if fault.kind is not FaultKind.GAP]
    assert others == [FaultKind.INVENTED_HOUR, FaultKind.MISSING_SECOND_HOUR]
    assert len(reading.values) == 8760
    assert reading.missing == 24 * len(missing_days) + 1


def test_real_prices_equal_the_published_year(data: Path) -> None:
    """The means of 2022 and 2023 agree with the ones in the data's description (USD at 1.07764)."""
    for year, dollars in ((2022, 261), (2023, 103)):
        mean = np.nanmean(read_market_prices(data / "prices_eur" / f"NL_{year}.csv").values)
        assert mean == pytest.approx(dollars / 1.07764, abs=1.0)


def test_real_carbon_has_no_fault(data: Path) -> None:
    """Four years without a gap; the Dutch mean is 318.8 g/kWh."""
    reading = read_carbon(data / "carbon" / "NL_2021-2024.parquet")
    assert reading.faults == ()
    assert reading.values.mean() == pytest.approx(318.8, abs=0.05)
    assert len(reading.values) == 35_064


def test_real_weather_is_on_a_fixed_clock(data: Path) -> None:
    """Frankfurt's clock is UTC+1 all year, London's wind has its mean of 14.3 km/h, and the warmest hour stays put in UTC."""
    frankfurt = read_weather(data / "weather" / "DE-LU_2022.json")
    assert frankfurt.times_s[0] == datetime(2021, 12, 31, 23, tzinfo=UTC).timestamp()
    assert np.diff(frankfurt.times_s).tolist() == [3600.0] * 8759
    london = read_weather(data / "weather" / "GB_2022.json")
    assert london.wind_m_per_s.mean() * 3.6 == pytest.approx(14.3, abs=0.05)


def test_satellite_irradiance_agrees_with_the_clear_sky_and_the_closure(data: Path) -> None:
    """On measured-like irradiance (NSRDB, Los Angeles, UTC-8) GHI = DHI + DNI cos(zenith), and clear hours fit the model."""
    rows = np.genfromtxt(data / "weather" / "solar_radiation.csv", delimiter=",", names=True)
    zenith = rows["Solar_Zenith_Angle"]
    day = zenith < 85
    closure = rows["DHI"] + rows["DNI"] * np.cos(np.deg2rad(zenith)) - rows["GHI"]
    assert np.abs(closure[day]).max() < 1.6
    moments = np.array(
        [
            (
                datetime(int(r["Year"]), int(r["Month"]), int(r["Day"]), int(r["Hour"]), int(r["Minute"]), tzinfo=UTC)
                + timedelta(hours=8)
            ).timestamp()
            for r in rows[:8760]
        ]
    )
    sky = irradiance(moments, np.zeros(len(moments)), 34.1, -118.2, 100.0)
    high = zenith[:8760] < 60
    assert np.abs(sky.zenith_deg - zenith[:8760])[high].max() < 0.5
    clearest = np.quantile((rows["GHI"][:8760] / np.maximum(sky.clear_ghi, 1))[high], 0.8)
    assert 0.95 < clearest < 1.15  # the climatology of turbidity that pvlib ships is too hazy for this hill above the basin


def test_day_of_the_surf_scenario(data: Path) -> None:
    """Prices, carbon and weather of 5 July 2022 are as configs/surf_amsterdam.yaml tells."""
    day = Horizon(datetime(2022, 7, 4, 22, tzinfo=UTC), timedelta(hours=1), 24)
    price = read_market_prices(data / "prices_eur" / "NL_2022.csv").within(day).series().mean(day)
    carbon = read_carbon(data / "carbon" / "NL_2021-2024.parquet").within(day).series().mean(day)
    assert (round(price[8]), round(price[14])) == (400, 193)
    assert (carbon.max(), carbon.min()) == (pytest.approx(490, abs=15), pytest.approx(190, abs=10))
    cloud = read_weather(data / "weather" / "GB_2022.json").at("cloud_pct", day.edges_s[:-1])
    assert cloud[6:11].mean() < 40
    assert cloud[12:18].mean() > 80
