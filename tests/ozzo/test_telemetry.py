"""Telemetry: points of a record, the SQLite store, and the settings of InfluxDB."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import InputError
from ozzo.influx import InfluxSettings
from ozzo.node_power import NodePower
from ozzo.telemetry import Point, job_counts, points, write_sqlite, write_telemetry
from sim.record import RunRecord
from sim.report.frames import PLAN, realised_by_policy
from tests.factory import START
from tests.records import example_record


@pytest.fixture(scope="module")
def record() -> RunRecord:
    """A finished run."""
    return example_record()


def test_every_measurement_is_there(record: RunRecord) -> None:
    """A finished run gives points of all nine measurements; identity (tags and time) is unique in each."""
    found = list(points(record, "r"))
    kinds = Counter(point.measurement for point in found)
    assert set(kinds) == {"plan", "actual", "forecast", "limits", "events", "jobs", "job_runs", "network", "result"}
    assert kinds["actual"] == 3 * 3 * 96
    keys = Counter((point.measurement, tuple(sorted(point.tags.items())), point.time) for point in found)
    assert max(keys.values()) == 1


def test_what_nodes_drew_is_told(record: RunRecord, tmp_path: Path) -> None:
    """Means of nodes are points of a tenth measurement, with site, node and what measured as tags, in the SQLite file, too."""
    means = [NodePower(f"hall.rack-{i}", START, 0.25 + i, "rapl") for i in range(2)]
    (one, _) = [point for point in points(record, "r", means) if point.measurement == "nodes"]
    assert (one.tags, one.fields) == ({"run": "r", "site": "hall", "node": "hall.rack-0", "source": "rapl"}, {"power_kw": 0.25})
    write_telemetry(record, tmp_path, lambda _: None, {}, means)
    with closing(sqlite3.connect(tmp_path / "telemetry.sqlite")) as store:
        assert store.execute("SELECT node, power_kw FROM nodes").fetchall() == [("hall.rack-0", 0.25), ("hall.rack-1", 1.25)]


def test_a_field_keeps_its_type(record: RunRecord) -> None:
    """InfluxDB refuses a field that is once a whole number and once not: each field has one type in its measurement."""
    types: dict[tuple[str, str], set[type]] = {}
    for point in points(record, "r"):
        for name, value in point.fields.items():
            types.setdefault((point.measurement, name), set()).add(type(value))
    assert {key: kinds for key, kinds in types.items() if len(kinds) != 1} == {}
    assert {kind for kinds in types.values() for kind in kinds} == {float, int, str}


@pytest.mark.parametrize("partial", [{"blocked": True}, {"interrupted": "plan"}])
def test_partial_records_give_what_they_hold(partial: dict[str, object]) -> None:
    """A blocked or interrupted run still writes its forecast and limits, and no result of a plan that never ran."""
    found = list(points(example_record(**partial), "r"))  # type: ignore[arg-type]
    assert {"forecast", "limits"} <= {point.measurement for point in found}
    assert not [point for point in found if point.measurement in {"actual", "result"} and point.tags["policy"] == PLAN]


def test_sqlite_holds_the_record(record: RunRecord, tmp_path: Path) -> None:
    """The SQLite file is in WAL mode, holds every point, and its realised import sums to the outcome's total."""
    told: list[str] = []
    count = write_telemetry(record, tmp_path, told.append, {})
    with closing(sqlite3.connect(tmp_path / "telemetry.sqlite")) as store:
        assert store.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        tables = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert sum(store.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables) == count
        (total,) = store.execute("SELECT sum(import_kw) FROM actual WHERE policy = 'plan'").fetchone()
        (text,) = store.execute("SELECT text FROM events").fetchone()
    assert record.outcome is not None
    assert total * record.scenario.horizon.step_h == pytest.approx(record.outcome.totals.import_kwh)
    assert text.startswith("peak-1 at cabinet: baseline 0.90 kW")
    assert len(told) == 1


def test_sqlite_quotes_names(tmp_path: Path) -> None:
    """Names with quotes are names, not SQL."""
    odd = 'a"; DROP TABLE x; --'
    write_sqlite([Point(odd, {'t"': "v"}, {'f"': 1.5}, START)], tmp_path / "t.sqlite")
    with closing(sqlite3.connect(tmp_path / "t.sqlite")) as store:
        assert store.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall() == [(odd,)]


def test_job_counts_by_hand(record: RunRecord) -> None:
    """At 10:00 `train` waits in its pause after its morning piece, and `render` waits for 11:00; at 12:00 both run."""
    counts, per_hour = job_counts(record)["hall"], 4
    at_ten, at_noon = 10 * per_hour, 12 * per_hour
    assert counts["running"][at_ten] == 0
    assert counts["queued"][at_ten] == 4  # train (paused), render, backup, transcode
    assert counts["running"][at_noon] == 2  # train, render
    assert counts["done"][at_noon] == 2  # nightly, backup (both done early)


def test_jobs_are_in_one_state(record: RunRecord) -> None:
    """In every slot a job is running, queued, done or not yet released: the counts never exceed the jobs of the site."""
    for counts in job_counts(record).values():
        total = counts["running"] + counts["queued"] + counts["done"]
        assert (np.diff(counts["done"]) >= 0).all()
        assert total.max() <= total[-1]


@given(hours=st.integers(1, 24), values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8))
def test_sqlite_gives_back_what_was_written(tmp_path_factory: pytest.TempPathFactory, hours: int, values: list[float]) -> None:
    """Every float comes back bit for bit, at its instant."""
    path = tmp_path_factory.mktemp("t") / "t.sqlite"
    written = [Point("m", {"k": str(k)}, {"v": value}, START + timedelta(hours=hours)) for k, value in enumerate(values)]
    assert write_sqlite(written, path) == len(values)
    with closing(sqlite3.connect(path)) as store:
        found = dict(store.execute("SELECT k, v FROM m").fetchall())
        times = store.execute("SELECT DISTINCT time FROM m").fetchall()
    assert [found[str(k)] for k in range(len(values))] == values
    assert times == [((START + timedelta(hours=hours)).isoformat(),)]


def test_no_url_no_influx() -> None:
    """Without an address InfluxDB is not written, whatever else is set."""
    assert InfluxSettings.from_environment({"OZZO_INFLUX_TOKEN": "t"}) is None


def test_half_a_configuration_is_an_input_error() -> None:
    """All missing names and a wrong address are told at once, without showing the address (it may hold a password)."""
    with pytest.raises(InputError) as caught:
        InfluxSettings.from_environment({"OZZO_INFLUX_URL": "user:pass@host", "OZZO_INFLUX_ORG": "o"})
    fields = {finding.field for finding in caught.value.findings}
    assert fields == {"OZZO_INFLUX_URL", "OZZO_INFLUX_TOKEN", "OZZO_INFLUX_BUCKET"}
    assert "pass" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://user:pass@influx.example:8086", "an address with a password"),
        ("http://192.0.2.7:8086", "plain http to 192.0.2.7"),
        ("http://[::1", "no address of a service"),
        ("https://influx.example:99999", "no address of a service"),
        ("https://", "no address of a service"),
    ],
)
def test_a_token_goes_over_tls_or_not_at_all(url: str, says: str) -> None:
    """Plain http is for this machine only; addresses that cannot be are findings; no password of one is shown."""
    others = {"OZZO_INFLUX_TOKEN": "s3cret", "OZZO_INFLUX_ORG": "o", "OZZO_INFLUX_BUCKET": "b"}
    with pytest.raises(InputError, match="OZZO_INFLUX_URL") as caught:
        InfluxSettings.from_environment({"OZZO_INFLUX_URL": url} | others)
    assert says in str(caught.value)
    assert "pass" not in str(caught.value)
    for fine in ("http://localhost:8086", "http://127.0.0.1:8086", "http://[::1]:8086", "https://influx.example"):
        assert InfluxSettings.from_environment({"OZZO_INFLUX_URL": fine} | others) is not None


def test_secrets_are_never_shown() -> None:
    """Neither the token nor a password in the address stands in what settings show of themselves."""
    settings = InfluxSettings("https://user:pass@influx.example:8086/x", "s3cret", "o", "b")
    assert "s3cret" not in repr(settings)
    assert "pass" not in repr(settings)
    assert settings.shown_url == "https://influx.example:8086/x"


def test_actual_equals_the_flows(record: RunRecord) -> None:
    """Points of `actual` are the realised flows, slot by slot."""
    flows = realised_by_policy(record)["fifo"]
    found = [
        p for p in points(record, "r") if p.measurement == "actual" and p.tags["policy"] == "fifo" and p.tags["site"] == "hall"
    ]
    np.testing.assert_array_equal([point.fields["export_kw"] for point in found], flows["export_kw"][1])
