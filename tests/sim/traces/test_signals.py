"""Shapes of carbon and price files: each is told by its columns, and read through the readers of the grid."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from grid.errors import InputError
from grid.feeds.reading import FaultKind
from sim.traces.signals import CARBON, PRICE, Kind, read_signal

JANUARY = datetime(2024, 1, 1, tzinfo=UTC).timestamp()

SHAPES: list[tuple[Kind, str, str, float]] = [
    (
        CARBON,
        (
            "Datetime (UTC),Country,Carbon intensity gCO₂eq/kWh (direct),Carbon intensity gCO₂eq/kWh (Life cycle)\n"
            "2024-01-01 00:00:00,NL,1,250\n2024-01-01 01:00:00,NL,2,260\n"
        ),
        "g/kWh",
        3600,
    ),
    (
        CARBON,
        "datetime,zone_name,carbon_intensity_avg\n2024-01-01 00:00:00+00:00,NL,250\n2024-01-01 01:00:00+00:00,NL,260\n",
        "g/kWh",
        3600,
    ),
    (
        CARBON,
        (
            "DATETIME,GAS,CARBON_INTENSITY,CARBON_INTENSITY_perc\n"
            "2024-01-01 00:00:00+00:00,9,250,1\n2024-01-01 00:30:00+00:00,9,260,1\n"
        ),
        "g/kWh",
        1800,
    ),
    (
        CARBON,
        (
            '"Datetime (UTC)","Forecast Carbon Intensity (gCO2/kWh)","Actual Carbon Intensity (gCO2/kWh)"\n'
            "2024-01-01T00:00Z,1,250\n2024-01-01T00:30Z,2,260\n"
        ),
        "g/kWh",
        1800,
    ),
    (CARBON, "Time,Carbon Intensity\n2024-01-01 00:00:00,250\n2024-01-01 01:00:00,260\n", "g/kWh", 3600),
    (
        PRICE,
        (
            '"MTU (UTC)","Area","Day-ahead Price (EUR/MWh)"\n"01/01/2024 00:00:00 - 01/01/2024 00:15:00","BZN|FR","250"\n'
            '"01/01/2024 00:15:00 - 01/01/2024 00:30:00","BZN|FR","260"\n'
        ),
        "EUR/MWh",
        900,
    ),
    (
        PRICE,
        (
            "MTU (CET/CEST),Day-ahead Price [GBP/MWh]\n"
            "01.01.2024 01:00 - 01.01.2024 02:00,250\n01.01.2024 02:00 - 01.01.2024 03:00,260\n"
        ),
        "GBP/MWh",
        3600,
    ),
    (PRICE, "Datetime,Price (EUR/MWh)\n2024-01-01 01:00:00,250\n2024-01-01 02:00:00,260\n", "EUR/MWh", 3600),
    (
        PRICE,
        "Datetime (UTC),Datetime (Local),Price (USD/MWh)\n2024-01-01 00:00:00+00:00,x,250\n2024-01-01 01:00:00+00:00,y,260\n",
        "USD/MWh",
        3600,
    ),
]


@pytest.mark.parametrize(("kind", "text", "unit", "step_s"), SHAPES)
def test_every_shape_is_the_same_series(tmp_path: Path, kind: Kind, text: str, unit: str, step_s: float) -> None:
    """250 and 260 from the first moment of 2024, UTC, whatever the columns are called."""
    path = tmp_path / "made.csv"
    path.write_text(text, encoding="utf-8")
    reading = read_signal(str(path), kind)
    assert list(reading.values) == [250, 260]
    assert reading.edges_s[0] == JANUARY
    assert reading.edges_s[1] - reading.edges_s[0] == step_s
    assert reading.unit == unit
    assert reading.faults == ()


def test_autumn_in_an_entsoe_export(tmp_path: Path) -> None:
    """The hour that the clock shows twice is two hours."""
    hours = ["01:00", "02:00", "02:00", "03:00"]
    rows = [f"29/10/2023 {hour}:00 - x,{value}" for value, hour in enumerate(hours)]
    (tmp_path / "made.csv").write_text("MTU (CET/CEST),Day-ahead Price (EUR/MWh)\n" + "\n".join(rows))
    reading = read_signal(str(tmp_path / "made.csv"), PRICE)
    assert list(reading.values) == [0, 1, 2, 3]
    assert reading.faults == ()


def test_mixed_clocks_are_refused(tmp_path: Path) -> None:
    """The first line that differs from most is named."""
    (tmp_path / "made.csv").write_text(
        "datetime,carbon_intensity\n2024-01-01 00:00+00:00,1\n2024-01-01 01:00,2\n2024-01-01 02:00+00:00,3\n"
    )
    with pytest.raises(InputError, match=r"made\.csv:3: --carbon: found 2 times with a zone and 1 without; expected one clock"):
        read_signal(str(tmp_path / "made.csv"), CARBON)


def test_faults_are_listed_not_mended(tmp_path: Path) -> None:
    """Gap, repeated row, no number."""
    rows = ["00:00,1", "01:00,2", "01:00,3", "04:00,x"]
    (tmp_path / "made.csv").write_text("datetime,carbon_intensity\n" + "\n".join(f"2024-01-01 {row}" for row in rows))
    reading = read_signal(str(tmp_path / "made.csv"), CARBON)
    assert {fault.kind for fault in reading.faults} == {FaultKind.DUPLICATE, FaultKind.GAP, FaultKind.NOT_A_NUMBER}


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("made.csv", "a,b\n1,2\n", "found a, b; expected a column of times"),
        ("made.csv", "datetime,price\n2024-01-01,1\n", "--carbon: carbon"),
        ("made.csv", "", "expected a column of times"),
        ("made.csv", "datetime,carbon_intensity\nnow,1\n", "no time in 'now,1'"),
        ("made.parquet", "no Parquet", "truncated"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, name: str, text: str, says: str) -> None:
    """One finding with the option."""
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as error:
        read_signal(str(tmp_path / name), CARBON)
    assert says in str(error.value)
    assert "--carbon" in str(error.value)
    assert len(error.value.findings) == 1


def test_wrong_intervals_and_no_file_are_told(tmp_path: Path) -> None:
    """The line is named."""
    (tmp_path / "made.csv").write_text("MTU (UTC),Day-ahead Price (EUR/MWh)\n01/01/2024 00:00 - x,1\nlater,2\n")
    with pytest.raises(InputError, match=r"made\.csv:3: no interval in 'later,2'"):
        read_signal(str(tmp_path / "made.csv"), PRICE)
    with pytest.raises(InputError, match="--price: found no such file"):
        read_signal(str(tmp_path / "none.csv"), PRICE)


def test_parquet_of_prices(tmp_path: Path) -> None:
    """A column of times and one of prices; without one of them the columns are listed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    stamps = pa.array([int(JANUARY), int(JANUARY) + 3600], pa.timestamp("s"))
    pq.write_table(pa.table({"time": stamps, "price_eur_per_mwh": [250.0, 260.0]}), tmp_path / "made.parquet")
    assert list(read_signal(str(tmp_path / "made.parquet"), PRICE).values) == [250, 260]
    with pytest.raises(InputError, match="time, price_eur_per_mwh"):
        read_signal(str(tmp_path / "made.parquet"), CARBON)


def test_xml_of_prices_is_entsoes_answer(tmp_path: Path) -> None:
    """Another document is refused by the reader of such answers."""
    (tmp_path / "made.xml").write_text("<other/>")
    with pytest.raises(InputError, match="not a Publication_MarketDocument"):
        read_signal(str(tmp_path / "made.xml"), PRICE)


@pytest.mark.data
def test_real_files(data: Path) -> None:
    """Four folders of real data, each by its shape."""
    assert read_signal(str(data / "carbon" / "NL_2021-2024.parquet"), CARBON).faults == ()
    assert len(read_signal(str(data / "prices" / "NL_2023.csv"), PRICE).values) == 8760
    assert read_signal(str(data / "prices" / "NL_2023.csv"), PRICE).unit == "USD/MWh"
    assert read_signal(str(data / "prices_eur" / "NL_2023.csv"), PRICE).unit == "EUR/MWh"
    assert read_signal(str(data / "lwa" / "fr_ci.csv"), CARBON).faults == ()
