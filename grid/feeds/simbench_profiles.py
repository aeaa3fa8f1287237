"""Profiles of sun, wind and biomass from SimBench: 15-minute series of the year 2016, based on measurements.

They come inside the wheel of ``simbench`` (data under ODbL 1.0): ``PV1``-``PV8``, ``WP1``-``WP12``, ``BM1``-``BM5``,
``Hydro1``-``Hydro3``, per unit of installed power. The files are read without importing the package, which takes seconds.
Cite: Meinecke et al., "SimBench", Energies 13 (2020) 3290, doi:10.3390/en13123290.
"""

from __future__ import annotations

import difflib
import importlib.metadata
import importlib.util
import re
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from grid.cache import Arrays, cached
from grid.errors import FeedError
from grid.horizon import FloatArray, Horizon
from grid.series import Series

PROFILE_YEAR = datetime(2016, 1, 1)  # noqa: DTZ001 - the profiles keep a local clock without a zone
PROFILE_STEP_S = 900.0
PROFILE_STEPS = 366 * 96


def scenario_of(code: str) -> str:
    """The SimBench scenario (0 today, 1 and 2 future) in a code such as ``1-LV-semiurb4--0-sw``.

    Raises:
        FeedError: the code is not a SimBench code.
    """
    match = re.fullmatch(r"1-[A-Z]+-.*-([012])-(?:sw|no_sw)", code)
    if match is None:
        raise FeedError(f"SimBench code {code!r} is not of the form 1-LV-semiurb4--0-sw")
    return match[1]


def simbench_folder(scenario: str) -> Path:
    """Folder of the CSV files of a scenario inside the installed package.

    Raises:
        FeedError: the package is not installed or has no such folder.
    """
    spec = importlib.util.find_spec("simbench")
    if spec is None or not spec.submodule_search_locations:
        raise FeedError("the package simbench is not installed")
    folder = Path(next(iter(spec.submodule_search_locations))) / "networks" / f"1-complete_data-mixed-all-{scenario}-sw"
    if not folder.is_dir():
        raise FeedError(f"simbench {importlib.metadata.version('simbench')} has no folder {folder.name}")
    return folder


def profile_moments_s(horizon: Horizon, profile_start: str | datetime) -> FloatArray:
    """Slot edges in seconds since the start of the profile year, shape ``[slots + 1]``.

    Args:
        horizon: its start stands at ``profile_start``; from there both clocks run alike.
        profile_start: naive local start in the profile year.

    Raises:
        FeedError: not a naive time, or the horizon leaves the profile year.
    """
    try:
        start = datetime.fromisoformat(profile_start) if isinstance(profile_start, str) else profile_start
    except ValueError as error:
        raise FeedError(f"profile start {profile_start!r} is not an ISO time") from error
    if start.tzinfo is not None:
        raise FeedError(f"profile start {profile_start} has a zone; the profiles keep a naive local clock of {PROFILE_YEAR.year}")
    first = (start - PROFILE_YEAR).total_seconds()
    moments = first + (horizon.edges_s - horizon.start_s)
    if first < 0 or moments[-1] > PROFILE_STEPS * PROFILE_STEP_S:
        end = start + timedelta(seconds=horizon.step_s * horizon.slots)
        raise FeedError(f"{start} to {end} leaves the profile year {PROFILE_YEAR.year}")
    return moments


def _read_renewables(scenario: str) -> Arrays:
    """Every measured renewable profile of a scenario, by name."""
    import pyarrow.csv as pc

    path = simbench_folder(scenario) / "RESProfile.csv"
    table = pc.read_csv(path, parse_options=pc.ParseOptions(delimiter=";"))
    if table.num_rows != PROFILE_STEPS:
        raise FeedError(f"{path.name}: {table.num_rows} rows, expected {PROFILE_STEPS}")
    names = [name for name in table.column_names if re.fullmatch(r"(PV|WP|BM|Hydro)\d+", name)]
    return {name: table[name].to_numpy().astype(np.float64) for name in names}


def renewable_profile(
    code: str, profile: str, horizon: Horizon, profile_start: str | datetime, *, cache: Path | None = None
) -> Series:
    """A renewable profile per unit of installed power, at its own step of 15 minutes, over ``horizon``.

    Args:
        code: SimBench code; only its scenario (0, 1 or 2) matters here.
        profile: ``PV1`` to ``PV8``, ``WP1`` to ``WP12``, ``BM1`` to ``BM5``, ``Hydro1`` to ``Hydro3``.
        horizon: period to cover.
        profile_start: naive local time in 2016 that the horizon's start maps to.
        cache: cache folder, by default the user's.

    Raises:
        FeedError: unknown code or profile (with the nearest name), or the horizon leaves the year.
    """
    moments = profile_moments_s(horizon, profile_start)
    scenario = scenario_of(code)
    key = {"simbench": importlib.metadata.version("simbench"), "scenario": scenario}
    profiles = cached("simbench-renewables", key, lambda: _read_renewables(scenario), cache)
    if profile not in profiles:
        nearest = difflib.get_close_matches(profile, profiles, 1, 0.4)
        hint = f" (did you mean {nearest[0]!r}?)" if nearest else ""
        raise FeedError(f"SimBench has no renewable profile {profile!r}; there are {', '.join(profiles)}{hint}")
    first = int(moments[0] // PROFILE_STEP_S)
    last = int(-(-moments[-1] // PROFILE_STEP_S))
    edges = horizon.start_s + PROFILE_STEP_S * np.arange(first, last + 1) - moments[0]
    start = PROFILE_YEAR + timedelta(seconds=float(moments[0]))
    return Series(
        edges, profiles[profile][first:last], "1", f"SimBench {profile} from {start:%Y-%m-%d %H:%M} of the profile year"
    )


def profile_means(columns: FloatArray, moments_s: FloatArray) -> FloatArray:
    """Exact time-weighted means of 15-minute columns between neighbouring moments, ``[len(moments) - 1, columns]``."""
    position = moments_s / PROFILE_STEP_S
    first = int(np.floor(position[0]))
    rows = columns[first : int(np.ceil(position[-1]))]
    if np.array_equal(position, np.rint(position)) and (np.diff(position) == 1).all():
        return rows.copy()
    cumulative = np.vstack([np.zeros(columns.shape[1]), np.cumsum(rows, axis=0)])
    whole = np.minimum(np.floor(position).astype(np.int64) - first, len(rows) - 1)
    part = (position - first - whole)[:, None]
    at = cumulative[whole] + part * rows[whole]
    means: FloatArray = np.diff(at, axis=0) / np.diff(position)[:, None]
    return means
