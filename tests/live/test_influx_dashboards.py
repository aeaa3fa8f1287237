"""Every query of every panel, run by a real influxd that a run's telemetry was written to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grid.errors import TransportError
from grid.horizon import FloatArray
from ozzo.dashboards import overview
from ozzo.influx import InfluxSettings, write_points
from ozzo.telemetry import job_counts, points, write_telemetry
from sim.record import RunRecord
from sim.report.frames import PLAN, event_limit_kw, planned_in_force, realised_by_policy, signals, site_names
from sim.report.summary import summary
from tests.live.influx_bridge import Influx, running_influx
from tests.live.real_run import real_record
from tests.records import example_record

pytestmark = pytest.mark.live
BUCKET = "ozzo"
SECRET = "token-that-nobody-may-see"


@pytest.fixture(scope="module")
def program() -> str:
    """Debian's influxd, or a skip with its reason (a failure in CI, where it must be there)."""
    found = shutil.which("influxd")
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("influxd is not installed, and CI must have it (package influxdb)")
    if found is None:
        pytest.skip("influxd is not installed (Debian package influxdb)")
    return found


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    """The run whose telemetry is written: a real one, with an event half-way and a power flow."""
    return real_record(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def influx(program: str, record: RunRecord, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    """A real influxd that holds the telemetry of ``record`` and of a second run, written by the unmodified client."""
    folder = tmp_path_factory.mktemp("influx")
    with running_influx(program, folder, BUCKET) as server:
        run = folder / "20260101T000000Z-almere"
        run.mkdir()
        names = {"URL": server.bridge_url, "TOKEN": SECRET, "ORG": "ozzo", "BUCKET": BUCKET}
        told: list[str] = []
        write_telemetry(record, run, told.append, {f"OZZO_INFLUX_{name}": value for name, value in names.items()})
        assert "points in InfluxDB" in told[-1], told
        assert not any(SECRET in line for line in told)
        # a second run under the same measurements (made by hand, of another day) must not show in the first
        write_points(points(example_record(blocked=True), "another run"), settings(server))
        yield server


def settings(server: Influx, **changes: Any) -> InfluxSettings:
    """Settings of the bridge."""
    values = {"url": server.bridge_url, "token": SECRET, "org": "ozzo", "bucket": BUCKET} | changes
    return InfluxSettings(**values)


def panel(title: str) -> dict[str, Any]:
    """The panel whose title begins with ``title``."""
    return next(item for item in overview()["panels"] if item["title"].startswith(title))


def filled(query: str, record: RunRecord, site: str = ".*") -> str:
    """A query with Grafana's variables replaced as Grafana does it."""
    horizon = record.scenario.horizon
    period = f"time >= {int(horizon.start_s)}s AND time < {int(horizon.end_s)}s"
    for name, value in {
        "$timeFilter": period,
        "$__interval": f"{int(horizon.step_s)}s",
        "$run": "20260101T000000Z-almere",
        "$site": site,
    }.items():
        query = query.replace(name, value)
    assert "$" not in query.replace("$/", ""), query
    return query


def series(influx: Influx, record: RunRecord, title: str, number: int, site: str = ".*") -> dict[str, FloatArray]:
    """Values over the slots of the horizon (NaN where no row came) by the site of the series (empty without)."""
    target = panel(title)["targets"][number]
    horizon, found = record.scenario.horizon, {}
    for part in influx.query(filled(target["query"], record, site), BUCKET):
        values = np.full(horizon.slots, np.nan)
        for row in part["values"]:
            values[round((row[0] - horizon.start_s) / horizon.step_s)] = row[-1]
        found[part.get("tags", {}).get("site", "")] = values
    return found


def test_every_panel_query_returns_rows(influx: Influx, record: RunRecord) -> None:
    """Each query of each panel and variable runs on a real InfluxDB and returns at least one row with a number."""
    checked = 0
    for item in overview()["panels"]:
        for target in item["targets"]:
            found = influx.query(filled(target["query"], record), BUCKET)
            values = [value for part in found for row in part["values"] for value in row[1:]]
            assert any(isinstance(value, int | float) for value in values), (item["title"], target["query"])
            checked += 1
    assert checked >= 24


def test_variables_list_runs_and_sites(influx: Influx, record: RunRecord) -> None:
    """The run variable lists both runs, the site variable the sites of the chosen run."""
    queries = {item["name"]: item.get("query") for item in overview()["templating"]["list"]}
    runs = influx.query(queries["run"], BUCKET)[0]["values"]
    assert {row[1] for row in runs} == {"20260101T000000Z-almere", "another run"}
    sites = influx.query(filled(queries["site"], record), BUCKET)[0]["values"]
    assert [row[1] for row in sites] == sorted(site.name for site in record.scenario.sites)


@pytest.mark.parametrize(
    ("title", "key", "baseline"),
    [
        ("Gap", "gap", None),
        ("Weighted objective", "objective_eur", None),
        ("Carbon", "carbon_kg", None),
        ("Deadline misses", "deadline_misses", None),
        ("Better than run at once", "percent", "fifo"),
    ],
)
def test_single_figures_equal_the_summary(influx: Influx, record: RunRecord, title: str, key: str, baseline: str | None) -> None:
    """Every stat panel shows the figure of the summary, and the verdict is 1 for passed."""
    figures = summary(record)
    wanted = figures["better_than"][baseline][key] if baseline else figures[key]
    rows = influx.query(filled(panel(title)["targets"][0]["query"], record), BUCKET)[0]["values"]
    assert rows[0][1] == pytest.approx(wanted, rel=1e-12)
    verdict = influx.query(filled(panel("Verdict")["targets"][0]["query"], record), BUCKET)[0]["values"]
    assert verdict[0][1] == 1


def test_power_against_limit_equals_the_record(influx: Influx, record: RunRecord) -> None:
    """Realised and planned net power, both limits and the event's limit come back slot by slot, for one site."""
    plan, real, told = planned_in_force(record), realised_by_policy(record)[PLAN], signals(record)
    assert plan is not None
    for s, site in enumerate(site_names(record)):
        wanted = [
            real["import_kw"][s] - real["export_kw"][s],
            plan["import_kw"][s] - plan["export_kw"][s],
            told["import_limit_kw"][s],
            -told["export_limit_kw"][s],
        ]
        for number, values in enumerate(wanted):
            found = series(influx, record, "Power against limit", number, site)
            assert list(found) == [site]
            np.testing.assert_allclose(found[site], values, rtol=0, atol=1e-12)
    hall = site_names(record).index("hall")
    wanted_kw = event_limit_kw(record)[hall]
    assert np.isfinite(wanted_kw).sum() == 8  # two hours
    np.testing.assert_array_equal(series(influx, record, "Power against limit", 4, "hall")["hall"], wanted_kw)


def test_sums_over_sites_equal_the_record(influx: Influx, record: RunRecord) -> None:
    """Sun and wind used and curtailed, the forecast, and jobs running and queued are sums over sites."""
    plan, real = planned_in_force(record), realised_by_policy(record)[PLAN]
    assert plan is not None
    counts = job_counts(record)
    for title, number, values in [
        ("Sun and wind", 0, real["renewable_used_kw"].sum(axis=0)),
        ("Sun and wind", 1, real["curtailed_kw"].sum(axis=0)),
        ("Sun and wind", 2, plan["renewable_kw"].sum(axis=0)),
        ("Jobs", 0, sum(site["running"] for site in counts.values())),
        ("Jobs", 1, sum(site["queued"] for site in counts.values())),
    ]:
        np.testing.assert_allclose(series(influx, record, title, number)[""], values, rtol=0, atol=1e-9)


def test_charge_price_carbon_and_network_equal_the_record(influx: Influx, record: RunRecord) -> None:
    """State of charge, price, carbon intensity, voltage and loading come back slot by slot."""
    real, plan, told = realised_by_policy(record)[PLAN], planned_in_force(record), signals(record)
    assert plan is not None
    assert record.outcome is not None
    network = record.outcome.network
    assert network is not None
    cabinet, hall = (site_names(record).index(name) for name in ("cabinet-a", "hall"))
    for title, number, site, values in [
        ("State of charge", 0, "cabinet-a", real["soc_kwh"][cabinet]),
        ("State of charge", 1, "cabinet-a", plan["soc_kwh"][cabinet]),
        ("Price and carbon", 0, "hall", told["import_eur_per_mwh"][hall]),
        ("Price and carbon", 1, "hall", told["average_g_per_kwh"][hall]),
        ("Network voltage", 0, "", network.voltage_pu.min(axis=1)),
        ("Network voltage", 1, "", network.voltage_pu.max(axis=1)),
        ("Network loading", 0, "", network.line_loading_pct.max(axis=1)),
        ("Network loading", 1, "", network.transformer_loading_pct.max(axis=1)),
    ]:
        np.testing.assert_allclose(series(influx, record, title, number)[site], values, rtol=0, atol=1e-12, err_msg=title)


def test_events_equal_the_record(influx: Influx, record: RunRecord) -> None:
    """The table of events holds target, baseline and delivery of the record."""
    part = influx.query(filled(panel("Demand-response events")["targets"][0]["query"], record), BUCKET)[0]
    row = dict(zip(part["columns"], part["values"][0], strict=True))
    assert record.outcome is not None
    delivery = record.outcome.deliveries[0]
    for name in ("limit_kw", "baseline_kw", "actual_kw", "worst_kw", "delivered_kw"):
        assert row[name] == pytest.approx(getattr(delivery, name))
    assert (row["event"], row["site"], row["time"]) == (delivery.event, "hall", delivery.start.timestamp())


def test_the_client_spoke_the_second_version(influx: Influx) -> None:
    """The client sent its token in the header that InfluxDB 2 wants, in batches, to the v2 path."""
    assert len(influx.requests) > 1 or influx.requests
    assert set(influx.requests) == {(f"Token {SECRET}", "/api/v2/write")}


def test_a_refusal_is_told_without_the_token(influx: Influx) -> None:
    """A bucket that does not exist is an error that says what was refused, and never shows the token."""
    with pytest.raises(TransportError, match="answered 404") as caught:
        write_points(list(points(example_record(), "x"))[:3], settings(influx, bucket="nowhere"))
    assert SECRET not in str(caught.value)


def test_an_unreachable_server_does_not_spoil_the_run(tmp_path: Path) -> None:
    """Without a server the run keeps its SQLite telemetry, and the reason is told and kept in the run folder."""
    names = {"URL": "http://127.0.0.1:9", "TOKEN": SECRET, "ORG": "o", "BUCKET": "b"}
    told: list[str] = []
    count = write_telemetry(
        example_record(), tmp_path, told.append, {f"OZZO_INFLUX_{name}": value for name, value in names.items()}
    )
    assert count > 1000
    assert (tmp_path / "telemetry.sqlite").exists()
    kept = (tmp_path / "influx-error.txt").read_text(encoding="utf-8")
    assert "127.0.0.1:9" in kept
    assert "NOT in InfluxDB" in told[-1]
    assert SECRET not in kept + "".join(told)
