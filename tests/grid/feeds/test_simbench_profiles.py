"""Profiles of SimBench, read without simbench."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from grid.errors import FeedError
from grid.feeds.simbench_profiles import profile_moments_s, renewable_profile, scenario_of
from grid.horizon import Horizon

CODE = "1-LV-semiurb4--0-sw"
DAY = Horizon(datetime(2023, 5, 10, 22, tzinfo=UTC), timedelta(minutes=15), 96)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder of its own."""
    return tmp_path_factory.mktemp("cache")


def test_sun_is_per_unit_and_dark_at_night(cache: Path) -> None:
    """A day of sun lies between 0 and 1, is zero around midnight and above half in its best quarter of an hour."""
    series = renewable_profile(CODE, "PV4", DAY, "2016-05-12T00:00", cache=cache)
    values = series.mean(DAY)
    assert values[:12].max() == values[-12:].max() == 0.0
    assert 0.5 < values.max() <= 1.0
    assert values.sum() / 4 == pytest.approx(3.8, abs=0.05)  # kWh per kWp, as configs/almere.yaml says
    assert "PV4" in series.source


def test_energy_does_not_depend_on_the_step(cache: Path) -> None:
    """Read in 5, 15 or 60 minutes, from a start that is no quarter of an hour, the energy is the same."""
    energies = []
    for minutes in (5, 15, 60):
        horizon = Horizon(DAY.start, timedelta(minutes=minutes), 24 * 60 // minutes)
        series = renewable_profile(CODE, "WP10", horizon, "2016-05-12T00:07", cache=cache)
        energies.append(series.mean(horizon).sum() * horizon.step_h)
    assert energies == pytest.approx([energies[0]] * 3, rel=1e-12)


def test_profile_clock_runs_with_the_horizon(cache: Path) -> None:
    """Starting an hour later in the profile year shows the same values an hour earlier."""
    first = renewable_profile(CODE, "PV4", DAY, "2016-05-12T00:00", cache=cache).mean(DAY)
    second = renewable_profile(CODE, "PV4", DAY, datetime(2016, 5, 12, 1), cache=cache).mean(DAY)  # noqa: DTZ001 - naive clock
    assert np.array_equal(first[4:], second[:-4])


def test_second_read_comes_from_the_cache_and_a_damaged_one_is_made_again(tmp_path: Path) -> None:
    """A cache file that is cut short, empty or nonsense gives the same values as a fresh one."""
    fresh = renewable_profile(CODE, "PV1", DAY, "2016-05-12T00:00", cache=tmp_path).values
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    for damage in (whole[: len(whole) // 2], b"", b"nonsense" * 50, whole[:-5000] + b"x" * 5000):
        file.write_bytes(damage)
        assert np.array_equal(renewable_profile(CODE, "PV1", DAY, "2016-05-12T00:00", cache=tmp_path).values, fresh)
        assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_neither_simbench_nor_pandas_is_imported(cache: Path) -> None:
    """Reading a profile must not cost the seconds that simbench takes to import."""
    program = f"""
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from grid.feeds.simbench_profiles import renewable_profile
from grid.horizon import Horizon
day = Horizon(datetime(2023, 5, 10, tzinfo=UTC), timedelta(hours=1), 4)
renewable_profile({CODE!r}, "PV4", day, "2016-05-12", cache=Path({str(cache)!r}))
sys.exit(any(name in sys.modules for name in ("simbench", "pandapower", "pandas")))
"""
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=120).returncode == 0


@pytest.mark.parametrize(
    ("code", "profile", "start", "message"),
    [
        (CODE, "PW4", "2016-05-12T00:00", "did you mean 'WP4'"),
        ("semiurb4", "PV4", "2016-05-12T00:00", "not of the form"),
        (CODE, "PV4", "2016-12-31T12:00", "leaves the profile year"),
        (CODE, "PV4", "2015-12-31T23:00", "leaves the profile year"),
        (CODE, "PV4", "May 12th", "not an ISO time"),
        (CODE, "PV4", "2016-05-12T00:00Z", "has a zone"),
    ],
)
def test_wrong_names_and_times_are_refused(cache: Path, code: str, profile: str, start: str, message: str) -> None:
    """Unknown profile (with the nearest name), unknown code, a time outside 2016, no time, a time with a zone."""
    with pytest.raises(FeedError, match=message):
        renewable_profile(code, profile, DAY, start, cache=cache)


def test_scenario_is_in_the_code_and_the_year_has_a_leap_day() -> None:
    """The digit before the last part is the scenario; 1 March 2016 is day 60 of the year."""
    assert [scenario_of(f"1-LV-rural1--{i}-no_sw") for i in "012"] == ["0", "1", "2"]
    assert profile_moments_s(DAY, "2016-03-01T00:00")[0] == 60 * 86400
