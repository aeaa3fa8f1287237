"""The committed dashboards are the generated ones, and they keep the rules of a good dashboard."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ozzo.dashboards import UID, files, overview, write_dashboards

COMMITTED = Path(__file__).parents[2] / "dashboards"


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    """The generated operator overview."""
    return overview()


def test_committed_files_are_the_generated_ones() -> None:
    """Every file under dashboards/ equals what the code makes; run `ozzo dashboards` when this fails."""
    made = files()
    found = {
        str(path.relative_to(COMMITTED)): path.read_text(encoding="utf-8") for path in COMMITTED.rglob("*") if path.is_file()
    }
    assert found == made


def test_write_dashboards_writes_all_files(tmp_path: Path) -> None:
    """The command's function writes every file whole, leaves nothing beside, and may be repeated."""
    for _ in range(2):
        paths = write_dashboards(tmp_path / "out")
    assert {str(path.relative_to(tmp_path / "out")) for path in paths} == set(files())
    assert len([path for path in (tmp_path / "out").rglob("*") if path.is_file()]) == len(files())


def test_uid_and_panel_ids(dashboard: dict[str, Any]) -> None:
    """The dashboard has its fixed uid, and every panel its own number, title and description."""
    assert dashboard["uid"] == UID
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    assert all(panel["title"] and panel["description"] for panel in dashboard["panels"])


def test_no_field_that_grafana_does_not_know(dashboard: dict[str, Any]) -> None:
    """Fields that the SDK writes and @grafana/schema does not have are gone (docs/decisions/0005)."""
    assert [name for item in dashboard["templating"]["list"] for name in item if name.startswith("auto")] == []
    assert [panel["title"] for panel in dashboard["panels"] if panel["type"] == "table" and "footer" in panel["options"]] == []


def test_every_panel_has_a_unit(dashboard: dict[str, Any]) -> None:
    """A number without a unit is no information."""
    assert [panel["title"] for panel in dashboard["panels"] if not panel["fieldConfig"]["defaults"].get("unit")] == []


def test_panels_do_not_overlap(dashboard: dict[str, Any]) -> None:
    """No two panels share a cell of the grid, and none is wider than it."""
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    assert all(place.get("x", 0) + place["w"] <= 24 for place in places)
    for a, b in itertools.combinations(places, 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        assert beside or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"], (a, b)


def test_the_data_source_variable_is_used_everywhere(dashboard: dict[str, Any]) -> None:
    """Panels, queries and variables all name the data source variable, so that the dashboard fits any server."""
    wanted = {"type": "influxdb", "uid": "${datasource}"}
    variables = {item["name"]: item for item in dashboard["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "influxdb"
    assert all(item["datasource"] == wanted for item in variables.values() if item["type"] == "query")
    for panel in dashboard["panels"]:
        assert panel["datasource"] == wanted
        assert all(target["datasource"] == wanted for target in panel["targets"])


def test_queries_are_influxql_and_bounded(dashboard: dict[str, Any]) -> None:
    """Every query is one InfluxQL SELECT, raw, bounded in time and by run; no Flux."""
    for panel in dashboard["panels"]:
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) >= 1
        for target in panel["targets"]:
            query = target["query"]
            assert target["rawQuery"] is True
            assert query.startswith("SELECT ")
            assert "$timeFilter" in query
            assert '"run" =~ /^$run$/' in query
            assert not re.search(r"\|>|from\(bucket|;", query)


def test_provisioning_names_variables_only() -> None:
    """Provisioning is valid YAML, asks for InfluxQL, and takes address, bucket and token from the environment."""
    made = files()
    source = yaml.safe_load(made["provisioning/datasources/ozzo.yaml"])["datasources"][0]
    assert (source["type"], source["jsonData"]["version"]) == ("influxdb", "InfluxQL")
    assert source["url"] == "$OZZO_INFLUX_URL"
    assert source["secureJsonData"]["httpHeaderValue1"] == "Token $OZZO_INFLUX_TOKEN"
    provider = yaml.safe_load(made["provisioning/dashboards/ozzo.yaml"])["providers"][0]
    assert provider["options"]["path"] == "$OZZO_DASHBOARDS"
