"""Grid capacity in reports: peaks of feeders before and after, shares, words, and the section of the page."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scheduler.facility import FeederLine
from scheduler.network_limits import ElementKind, Headroom, NetworkReport
from scheduler.problem import Feeder
from sim.record import RunRecord
from sim.report.grid_capacity import grid_capacity, overloaded_words
from sim.report.page import report_html
from sim.report.sections import Page
from sim.report.sections_grid import grid_section
from sim.report.summary import summary
from tests.records import example_record

REPORT = NetworkReport(
    2, 98, 4e-6, 3e-6, 0.008, 0.001, (Headroom(ElementKind.TRANSFORMER, "T1", 160.0, 155.0),), ("it <is> full",)
)


def with_feeders(hall_kw: float) -> RunRecord:
    """The example record with the hall and the vault each on a feeder."""
    record = example_record()
    sites = record.problem.sites
    lines = (FeederLine("room-hall", ("hall",), hall_kw, (0.0,), 0.05), FeederLine("room-vault", ("vault",), 1e6, (0.0,), 0.05))
    feeders = tuple(Feeder(line.name, (sites.index(line.sites[0]),), line.limit_kw, (0.0,), 0.05) for line in lines)
    return replace(record, scenario=replace(record.scenario, feeders=lines), problem=replace(record.problem, feeders=feeders))


def test_peaks_and_shares_are_those_of_the_outcomes() -> None:
    """Half of the rooms are above a rating that the hall's peak passes by a half; the loadings are the power flow's maxima."""
    record = example_record()
    assert record.outcome is not None
    net = (record.outcome.energy.import_kwh - record.outcome.energy.export_kwh) / record.outcome.horizon.step_h
    peak = float(abs(net[record.problem.sites.index("hall")]).max())
    record = with_feeders(peak / 1.5)
    found = grid_capacity(record)
    assert found is not None
    after = {entry["element"]: entry["after_pct"] for entry in found["elements"]}
    assert after["room-hall"] == pytest.approx(150.0)
    assert found["overloaded_after"]["room"] == 0.5
    assert "rooms" in overloaded_words(found)
    assert "50 % after" in overloaded_words(found)
    assert record.outcome is not None
    assert record.outcome.network is not None
    for name, peak_pct in zip(
        record.outcome.network.line_names, record.outcome.network.line_loading_pct.max(axis=0), strict=True
    ):
        assert after[name] == pytest.approx(peak_pct)


def test_without_anything_to_say_there_is_no_section() -> None:
    """No power flow and no feeder: no figures, no section."""
    record = example_record()
    assert record.outcome is not None
    bare = {name: replace(outcome, network=None) for name, outcome in record.baselines.items()}
    record = replace(record, outcome=replace(record.outcome, network=None), baselines=bare)
    assert grid_capacity(record) is None
    assert summary(record)["grid_capacity"] is None
    assert grid_section(Page.of(record)) == ""


def test_the_page_tells_what_the_plan_foresaw() -> None:
    """Rounds, errors, released capacity and what is left broken stand in the page, escaped; the summary has the same."""
    record = example_record()
    entry = record.plans[-1]
    record = replace(record, plans=(*record.plans[:-1], replace(entry, plan=replace(entry.plan, network=REPORT))))
    body = grid_section(Page.of(record))
    assert "98 linear limits" in body
    assert "made again 2 times" in body
    assert "4e-06 pu" in body
    assert "it &lt;is&gt; full" in body
    assert "Capacity that the plan releases" in body
    assert "Grid capacity" in report_html(record)
    assert summary(record)["network_plan"]["headroom"][0]["released"] == 5.0
