"""Business case of hubs: published figures as published, arithmetic on each set alone, simulated figures beside them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from scheduler.scenario import BusinessCase
from sim.record import RunRecord
from sim.report.business_case import CASES, SIMULATED, business_case
from sim.report.page import report_html
from sim.report.sections import Page
from sim.report.sections_business import business_section
from sim.report.summary import summary
from tests.records import example_record

MONEY = ("capex_meur", "avoided_reinforcement_low_meur", "avoided_reinforcement_high_meur", "avoided_cost_meur_per_year")


def with_case(*, interrupted: str | None = None) -> RunRecord:
    """The example record of a scenario that names the case of the hubs."""
    record = example_record(interrupted=interrupted)
    return replace(record, scenario=replace(record.scenario, business_case=BusinessCase.MRA_HUBS))


def test_published_figures_are_those_of_the_source() -> None:
    """Set A, one hub: 10, 13 to 20, 13 a year. Set B, 20 hubs: 160, 320, 200 a year (004:2550-2574). Payback 0.77 and 0.80."""
    found = business_case(with_case())
    assert found is not None
    one, twenty = found["published"]
    assert [one["hubs"], *(one[key] for key in MONEY)] == [1, 10.0, 13.0, 20.0, 13.0]
    assert [twenty["hubs"], *(twenty[key] for key in MONEY)] == [20, 160.0, 320.0, 320.0, 200.0]
    assert one["payback_years"] == pytest.approx(0.77, abs=0.005)
    assert twenty["payback_years"] == pytest.approx(0.80)
    assert all("004:2550-2574" in entry["source"] for entry in found["published"])


def test_arithmetic_is_shown_as_such_and_meets_neither_set() -> None:
    """A x 20 is 200, 260 to 400, 260; B / 20 is 8, 16, 10; neither replaces a published figure, and neither equals one."""
    found = business_case(with_case())
    assert found is not None
    rows = {entry["words"]: [entry["hubs"], *(entry[key] for key in MONEY)] for entry in found["arithmetic"]}
    assert rows == {"A x 20": [20, 200.0, 260.0, 400.0, 260.0], "B / 20": [1, 8.0, 16.0, 16.0, 10.0]}
    published = {entry["set"]: [entry[key] for key in MONEY] for entry in found["published"]}
    assert rows["A x 20"][1:] != published["B"]
    assert rows["B / 20"][1:] != published["A"]
    assert all("payback_years" not in entry for entry in found["arithmetic"])


def test_simulated_figures_are_those_of_the_run() -> None:
    """Before is run at once and after is the run, each figure as in the summary; nothing of it is in the published amounts."""
    record = with_case()
    figures = summary(record)
    found = figures["business_case"]
    for side, entry in (("before", figures["baselines"]["fifo"]), ("after", figures)):
        assert found[side]["hubs"] == figures["sites"]
        for key, *_ in SIMULATED:
            assert found[side][key] == (entry[key] if key in entry else entry["kpis"][key])
    other = business_case(replace(record, baselines={}))
    assert other is not None
    assert (other["before"], other["published"]) == (None, found["published"])
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_page_keeps_the_sets_apart() -> None:
    """Two published rows, two rows of arithmetic under their own heading, then the simulation; the notes say what it is not."""
    body = business_section(Page.of(with_case()))
    published, arithmetic, simulated = (part for part in body.split("<h3>"))
    assert published.count("<tr>") == 3
    assert ">13 to 20<" in published
    assert ">0.77<" in published
    assert ">0.80<" in published
    assert "A x 20" not in published
    assert ">260 to 400<" in arithmetic
    assert "What ozzo simulated with 3 hubs" in simulated
    assert "neither confirms nor refutes" in simulated
    assert "<h2>Business case</h2>" in report_html(with_case())


def test_without_a_case_or_an_execution_nothing_is_said() -> None:
    """No case: null and no section. A case and no execution: the published figures alone."""
    assert summary(example_record())["business_case"] is None
    assert business_section(Page.of(example_record())) == ""
    stopped = with_case(interrupted="plan")
    assert summary(stopped)["business_case"]["after"] is None
    assert "simulated with" not in business_section(Page.of(stopped))


def test_every_case_that_a_scenario_may_name_has_its_figures() -> None:
    """Each name of the document is in the data, with a source for each set and notes for the reader."""
    assert set(CASES) == set(BusinessCase)
    for case in CASES.values():
        assert case.notes
        assert all(one.source for one in case.sets)
