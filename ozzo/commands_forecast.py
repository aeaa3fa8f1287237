"""What stands behind ``ozzo forecast``: how well each way to forecast does, and how real errors are."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grid.errors import FeedError, Finding, InputError
from grid.horizon import FloatArray
from ozzo.answer_tables import rendered, table

if TYPE_CHECKING:
    from grid.feeds.day_ahead import DayAhead
    from grid.forecasts.errors import ErrorModel
    from grid.forecasts.methods import Past
    from grid.forecasts.scores import Score

LEADS_H = (1, 3, 6, 12, 24, 36, 48)
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
STEP_H = 6
"""Hours between two forecasts that are scored."""
WINDOW = 60
"""Past errors (of the same hour of the day) from which the quantiles around a forecast come."""
DAY_AHEAD = {"SE": ("wind", "hydro", "nuclear"), "CISO": ("solar", "wind")}
"""Zones of the data folder with real day-ahead forecasts, and of what."""
SUN = {"CISO": (34.1, -118.2)}
"""Latitude and longitude of zones with sun (of the irradiance that goes with CISO; the fleet is wider than one place)."""


@dataclass(frozen=True, slots=True)
class Row:
    """Scores of one method at one lead.

    Attributes:
        method: name; lead_h: hours ahead.
        score: what it scored.
    """

    method: str
    lead_h: int
    score: Score


def score_text(
    series: Path | None, column: str | None, zone: str, what: str, at: tuple[float, float] | None, *, as_json: bool
) -> str:
    """Scores of every method on a file, or on a zone of the data folder, at all leads.

    Raises:
        InputError: the file or the zone cannot be used.
    """
    past, edges, unit, source, real = _series(series, column, zone, what)
    place = at or (SUN.get(zone) if series is None and what == "solar" else None)
    try:
        rows = scores(past, edges, place, real)
    except FeedError as error:
        raise _refused("--series", str(error), "a longer hourly series") from error
    if as_json:
        entries = [{"method": row.method, "lead_h": row.lead_h, **asdict(row.score)} for row in rows]
        faults = real.faults if real is not None else {}
        return json.dumps({"series": source, "unit": unit, "left_out": faults, "rows": entries}, indent=1)
    heads = (
        "lead (h)",
        f"MAE ({unit})",
        f"RMSE ({unit})",
        f"bias ({unit})",
        "MAE (%)",
        "pinball (-)",
        "CRPS (-)",
        "80 % holds (%)",
    )
    made = table(f"Forecasts of {source}, made every {STEP_H} hours", "method", *heads)
    for row in rows:
        s = row.score
        shares = (s.mae_pct, s.pinball, s.crps, None if s.cover_80 is None else 100 * s.cover_80)
        texts = ["" if value is None else f"{value:.1f}" for value in shares]
        made.add_row(row.method, str(row.lead_h), f"{s.mae:.1f}", f"{s.rmse:.1f}", f"{s.bias:+.1f}", *texts)
    return rendered(made, *_left_out(real))


def scores(values: FloatArray, edges: FloatArray, place: tuple[float, float] | None, real: DayAhead | None) -> list[Row]:
    """All rows for an hourly series, ``[T]``, with the real day-ahead forecast beside it where there is one."""
    from grid.forecasts import methods as ways
    from grid.forecasts.scores import score

    clear = ways.clear_sky_w_per_m2(edges, *place) if place is not None else None
    past = ways.Past(values, clear)
    made = np.arange(ways.HISTORY_H + max(LEADS_H), len(values) - max(LEADS_H), STEP_H)
    needs = ways.HISTORY_H + 24 * (WINDOW + 10) + 2 * max(LEADS_H)
    if len(values) < needs:
        raise FeedError(f"{len(values)} hours are too few to score forecasts on: at least {needs} are needed")
    rows = []
    for name, way in ways.METHODS.items():
        for lead in LEADS_H if name != "smart" or clear is not None else ():
            point, truth = way(past, made, lead), values[made + lead]
            rows.append(Row(name, lead, score(truth, point, _quantiles(name, past, made, lead, point, truth), LEVELS)))
    if real is not None:
        point, truth = real.forecast[made + 24], values[made + 24]
        rows.append(Row("day_ahead", 24, score(truth, point, _around(point, truth, 24), LEVELS)))
    return rows


def _quantiles(name: str, past: Past, made: Any, lead: int, point: FloatArray, truth: FloatArray) -> FloatArray:
    """Quantiles of a method: its own where it has some, else its point with the quantiles of its last known errors."""
    from grid.forecasts import methods as ways

    if name == "climatology":
        return ways.climatology_quantiles(past, made, lead, LEVELS)
    return _around(point, truth, lead)


def _around(point: FloatArray, truth: FloatArray, lead: int) -> FloatArray:
    from grid.forecasts import methods as ways

    per_day = 24 // STEP_H  # errors of the same hour of the day only
    found = np.full((len(point), len(LEVELS)), np.nan)
    for first in range(per_day):
        one = slice(first, None, per_day)
        found[one] = ways.error_quantiles(point[one], truth[one], 24, lead, WINDOW, LEVELS)
    return found


def fit_text(zone: str | None = None, what: str | None = None, out: Path | None = None, *, as_json: bool) -> str:
    """Real day-ahead errors of zones and fuels of the data folder: size, shape, how long they last, and drawn again.

    Args:
        zone: one zone only.
        what: one fuel only.
        out: file for the fit, of one zone and fuel.
        as_json: as JSON, not as a table.

    Raises:
        InputError: no data folder, a file in it cannot be used, there is no such zone and fuel, or ``out`` cannot be written or
            would have to hold several fits.
    """
    pairs = [(name, fuel) for name, fuels in DAY_AHEAD.items() for fuel in fuels]
    wanted = [pair for pair in pairs if zone in (None, pair[0]) and what in (None, pair[1])]
    if not wanted:
        raise _refused("--zone, --what", f"{zone}, {what}", f"one of {_there()}")
    if out is not None and len(wanted) > 1:
        found = f"{len(wanted)} fits: {', '.join(' '.join(pair) for pair in wanted)}"
        raise _refused("--out", found, "one fit, so --zone and --what beside it")
    fitted = [_fit(*pair) for pair in wanted]
    rows = [row for row, _ in fitted]
    if out is not None:
        _write(out, *wanted[0], fitted[0][1])
    if as_json:
        return json.dumps({"rows": rows}, indent=1)
    heads = (
        "sigma (-)",
        "MAE (% of capacity)",
        "lasts (h)",
        "lag 1, real (-)",
        "lag 1, drawn (-)",
        "std, real (%)",
        "std, drawn (%)",
    )
    made = table("Day-ahead errors: what errors.solar_sigma, wind_sigma and error_correlation_h would be", "zone", "of", *heads)
    for row in rows:
        made.add_row(
            row["zone"], row["what"], f"{row['relative_sigma']:.3f}", f"{row['mae_pct_of_capacity']:.2f}",
            f"{row['time_constant_h']:.1f}", f"{row['lag1_real']:.3f}", f"{row['lag1_drawn']:.3f}",
            f"{row['std_real_pct']:.2f}", f"{row['std_drawn_pct']:.2f}",
        )  # fmt: skip
    return rendered(made)


def _there() -> str:
    """Zones with a day-ahead forecast, and of what."""
    return "; ".join(f"{name}: {', '.join(fuels)}" for name, fuels in DAY_AHEAD.items())


def _write(out: Path, zone: str, fuel: str, model: ErrorModel) -> None:
    from grid.forecasts.error_file import errors_text

    first, last = (datetime.fromtimestamp(float(edge), UTC) for edge in _day_ahead(zone, fuel).edges_s[[0, -1]])
    period = f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"
    source = f"errors of the day-ahead forecast of {fuel}, {zone}, {period}, as shares of its highest power"
    made_by = f"ozzo forecast fit --zone {zone} --what {fuel} --out {out.name}"
    try:
        out.write_text(errors_text(model, unit="MW", source=source, made_by=made_by), encoding="utf-8")
    except OSError as error:
        raise _refused("--out", str(error), "a file that can be written") from error


def _fit(zone: str, fuel: str) -> tuple[dict[str, Any], ErrorModel]:
    """A row of the table, and the fit."""
    from grid.forecasts.errors import fit_errors, lag_correlation, relative_sigma

    real = _day_ahead(zone, fuel)
    model = fit_errors(real.forecast, real.truth, 1.0)
    drawn = model.draw(real.forecast, np.random.default_rng(0), 4)
    apart = (real.truth - real.forecast) / model.capacity
    again = (drawn - real.forecast) / model.capacity
    again[:, ~np.isfinite(apart)] = np.nan
    row = {
        "zone": zone,
        "what": fuel,
        "hours": int(np.isfinite(apart).sum()),
        "left_out": real.faults,
        "capacity_mw": model.capacity,
        "relative_sigma": relative_sigma(real.forecast, real.truth),
        "mae_pct_of_capacity": 100.0 * float(np.nanmean(np.abs(apart))),
        "time_constant_h": model.time_constant_h,
        "lag1_real": lag_correlation(apart),
        "lag1_drawn": float(np.mean([lag_correlation(run) for run in again])),
        "std_real_pct": 100.0 * float(np.nanstd(apart)),
        "std_drawn_pct": 100.0 * float(np.nanstd(again)),
        "quantiles_real_pct": [100.0 * float(q) for q in np.nanquantile(apart, (0.05, 0.5, 0.95))],
        "quantiles_drawn_pct": [100.0 * float(q) for q in np.nanquantile(again, (0.05, 0.5, 0.95))],
    }
    return row, model


def _series(
    series: Path | None, column: str | None, zone: str, what: str
) -> tuple[FloatArray, FloatArray, str, str, DayAhead | None]:
    """Values, edges, unit and name of what is scored, and the real forecast beside it."""
    if series is not None:
        return (*_file(series, column), None)
    if what == "carbon":
        from grid.feeds.electricity_maps import read_carbon

        try:
            reading = read_carbon(_data_folder() / f"carbon/{zone}_2021-2024.parquet")
        except FeedError as error:
            raise _refused("--zone", str(error), "a zone of the folder carbon, such as NL") from error
        return reading.values, reading.edges_s, reading.unit, f"{zone}, carbon intensity", None
    if zone not in DAY_AHEAD or what not in DAY_AHEAD[zone]:
        raise _refused("--zone, --what", f"{zone}, {what}", f"one of {_there()}; or carbon of NL, DE, BE, FR, GB, NO or IS")
    real = _day_ahead(zone, what)
    return real.truth, real.edges_s, "MW", real.source, real


def _file(path: Path, column: str | None) -> tuple[FloatArray, FloatArray, str, str]:
    """An hourly series of a CSV file: a column of times (UTC) and one of values."""
    import pandas as pd

    try:
        frame = pd.read_csv(path)
        times = pd.to_datetime(frame.iloc[:, 0], utc=True)
    except (OSError, ValueError, IndexError) as error:
        raise _refused("--series", f"{path}: {error}", "a CSV file whose first column holds times") from error
    name = column or (frame.columns[1] if len(frame.columns) > 1 else "")
    if name not in frame.columns:
        raise _refused("--column", name or "nothing", f"one of {', '.join(frame.columns[1:])}")
    values = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64)
    seconds = times.dt.as_unit("s").astype("int64").to_numpy(dtype=np.float64)
    off = np.flatnonzero(np.diff(seconds) != 3600.0)
    if len(off):
        found = f"{path}, line {int(off[0]) + 3}: not one hour after the line before"
        raise _refused("--series", found, "an hourly series without gaps, in ascending order")
    return values, np.concatenate((seconds, seconds[-1:] + 3600.0)), "-", f"{path.name}, {name}"


def _day_ahead(zone: str, fuel: str) -> DayAhead:
    from grid.feeds.day_ahead import read_day_ahead

    try:
        return read_day_ahead(_data_folder() / f"generation/{zone}_direct_emissions.csv", fuel)
    except FeedError as error:
        raise _refused("OZZO_DATA", str(error), "the folder of real data, with generation/ in it") from error


def _left_out(real: DayAhead | None) -> list[str]:
    if real is None:
        return []
    return ["Hours left out as faulty: " + ", ".join(f"{name} {count}" for name, count in real.faults.items()) + "."]


def _data_folder() -> Path:
    folder = os.environ.get("OZZO_DATA")
    if not folder:
        raise _refused("OZZO_DATA", "nothing", "the folder of real data (score also takes a file: --series)")
    return Path(folder)


def _refused(field: str, found: str, expected: str) -> InputError:
    return InputError([Finding(file="", line=None, field=field, found=found, expected=expected)])
