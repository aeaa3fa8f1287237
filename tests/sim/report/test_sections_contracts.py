"""The report on contracts: every line as planned and as realised, sums by site, nothing without contracts."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from grid.contracts.book import ContractBook
from grid.contracts.capacity_tariff import CapacityTariff, TariffVersion, TariffWindow
from grid.contracts.group import GroupCap
from grid.contracts.windows import DailyWindow
from scheduler.contract_bill import Charge, ContractLine, contract_lines
from sim.record import RunRecord
from sim.report.contract_figures import WORDS, contract_figures
from sim.report.page import report_html
from sim.report.sections import Page
from sim.report.sections_contracts import contracts_section
from sim.report.summary import summary
from sim.report.tables import penalty_kinds, without_penalty
from tests.records import example_record


def record_with_contracts() -> RunRecord:
    """The example with a cap on cabinet and hall that its day exceeds, and a capacity tariff of the hall."""
    record = example_record()
    whole_day = TariffWindow("all", DailyWindow(0, 24 * 60), 2.0)
    tariff = CapacityTariff("peaks", ("hall",), "Europe/Amsterdam", (TariffVersion(date(2020, 1, 1), (whole_day,)),))
    book = ContractBook(groups=(GroupCap("group", ("cabinet", "hall"), 1.0, over_eur_per_kwh=3.0),), tariffs=(tariff,))
    scenario = replace(record.scenario, contracts=book)
    assert record.outcome is not None
    energy, step_h = record.outcome.energy, record.outcome.horizon.step_h
    lines = contract_lines(scenario, record.outcome.horizon, energy.import_kwh / step_h, energy.export_kwh / step_h)
    return replace(record, scenario=scenario, outcome=replace(record.outcome, contracts=lines))


def test_no_contracts_no_section() -> None:
    """A run without contracts has no such section and an empty list."""
    assert contracts_section(Page.of(example_record())) == ""
    assert summary(example_record())["contracts"] == []


def test_every_line_and_the_sum_of_each_site() -> None:
    """Two shares of the cap and a peak, realised beside planned; the sums by site are those of their lines."""
    record = record_with_contracts()
    figures = contract_figures(record)
    assert [(line["site"], line["charge"], line["unit"]) for line in figures] == [
        ("cabinet", "above_group_cap", "kWh"),
        ("hall", "above_group_cap", "kWh"),
        ("hall", "peak", "kW"),
    ]
    assert summary(record)["contracts"] == figures
    assert all(line["planned_eur"] is not None for line in figures)
    assert figures[2]["eur"] == pytest.approx(2.0 * figures[2]["quantity"])
    page = report_html(record)
    row = page.split(">sum<", 2)[2].split("</tr>", 1)[0]
    assert f">{figures[1]['eur'] + figures[2]['eur']:,.2f}<" in row
    assert contract_figures(replace(record, plans=()))[0]["planned_eur"] is None


def test_every_charge_has_its_words() -> None:
    """No line of a bill stands in the page without words."""
    assert set(WORDS) == set(Charge)
    assert ContractLine("c", "s", Charge.REWARD, 1.0, "kWh", -1.0).eur < 0


def test_penalties_of_contracts_are_named_in_a_gain() -> None:
    """Of 9 EUR 2 are event and 3 contract penalties: 4 are left; without any there is nothing to say."""
    gain = {"eur": 9.0, "percent": 10.0, "event_penalty_eur": 2.0, "contracts_eur": 3.0}
    assert without_penalty(gain) == pytest.approx(4.0)
    assert penalty_kinds(gain) == "event and contract penalties"
    assert penalty_kinds(gain | {"event_penalty_eur": 0.0}) == "contract penalties"
    assert without_penalty(gain | {"event_penalty_eur": 0.0, "contracts_eur": 0.0}) is None
