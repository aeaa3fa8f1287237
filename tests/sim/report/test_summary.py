"""The figures of a run: documented keys, right values, partial records."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from grid.heat_account import HeatAccount
from sim.report.kpis import KPI_KEYS
from sim.report.summary import BASELINE_KEYS, KEYS, TOTAL_KEYS, summary
from sim.report.tables import print_tables
from tests.records import example_record

DOCS = Path(__file__).parents[3] / "docs" / "output.md"


@pytest.mark.parametrize("partial", [{}, {"blocked": True}, {"interrupted": "plan"}])
def test_keys_are_exactly_the_documented_ones(partial: dict[str, object]) -> None:
    """Complete or partial, a summary has every documented key and no other, and is strict JSON."""
    figures = summary(example_record(**partial))  # type: ignore[arg-type]
    assert set(figures) == set(KEYS)
    assert all(set(entry) == set(BASELINE_KEYS) for entry in figures["baselines"].values())
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures


def test_docs_list_every_key() -> None:
    """docs/output.md has a row for every key, with the words of the code."""
    words = DOCS.read_text(encoding="utf-8")
    assert [key for key, meaning in (KEYS | BASELINE_KEYS).items() if f"| `{key}` | {meaning} |" not in words] == []


def test_docs_list_every_key_figure() -> None:
    """docs/output.md has a row for every key figure with the words of the code, and a run has exactly those."""
    words = DOCS.read_text(encoding="utf-8")
    assert [key for key, meaning in KPI_KEYS.items() if f"| `{key}` | {meaning} |" not in words] == []
    figures = summary(example_record())
    for entry in (figures, *figures["baselines"].values()):
        assert set(entry["kpis"]) == set(KPI_KEYS)


def test_totals_are_those_of_the_outcome() -> None:
    """Cost, carbon and the rest are the outcome's totals; parts of the objective sum to it."""
    record = example_record()
    figures = summary(record)
    assert record.outcome is not None
    for key in TOTAL_KEYS:
        assert figures[key] == getattr(record.outcome.totals, key)
        assert figures["baselines"]["fifo"][key] == getattr(record.baselines["fifo"].totals, key)
    assert sum(figures["breakdown_eur"].values()) == pytest.approx(figures["objective_eur"])


def test_better_than_is_on_the_realised_objective() -> None:
    """The gain is the difference of realised objectives, in EUR and per cent of the baseline's."""
    figures = summary(example_record())
    for name, gain in figures["better_than"].items():
        theirs = figures["baselines"][name]["objective_eur"]
        assert gain["eur"] == pytest.approx(theirs - figures["objective_eur"])
        assert gain["percent"] == pytest.approx(100 * gain["eur"] / theirs)


def test_a_baseline_that_costs_nothing_has_no_percent() -> None:
    """A share of nothing is not a number: percent is null, the difference stays."""
    record = example_record()
    fifo = record.baselines["fifo"]
    free = replace(fifo, totals=replace(fifo.totals, objective_eur=0.0))
    gain = summary(replace(record, baselines={"fifo": free}))["better_than"]["fifo"]
    assert gain["percent"] is None
    assert gain["eur"] < 0


def test_blocked_run_says_what_is_broken() -> None:
    """A failed verdict gives `failed`, the violation with its advice, and null totals; baselines stay."""
    figures = summary(example_record(blocked=True))
    assert figures["verdict"] == "failed"
    assert figures["cost_eur"] is None
    assert figures["violations"][0]["kind"] == "state_of_charge"
    assert figures["violations"][0]["advice"]
    assert figures["baselines"]["fifo"]["cost_eur"] is not None
    assert figures["better_than"] == {}


def test_network_names_the_worst_element() -> None:
    """The worst voltage and loading carry value, element and instant, for the plan and for baselines."""
    record = example_record()
    assert record.outcome is not None
    network = record.outcome.network
    assert network is not None
    figures = summary(record)
    assert figures["network"]["voltage_low_pu"]["value"] == network.voltage_pu.min()
    assert figures["network"]["line_loading_pct"]["element"] == "line 2"
    assert figures["baselines"]["fifo"]["network"]["voltage_low_pu"]["element"] == "bus 3"


def test_tables_say_the_figures() -> None:
    """The terminal shows each figure of the plan and of each baseline, the gain and the verdict; markup in a title is text."""
    record = example_record()
    record = replace(record, scenario=replace(record.scenario, title="a [bold]title[/nonsense]"))
    console = Console(width=140, record=True, file=StringIO())
    print_tables(record, console)
    words, figures = console.export_text(), summary(record)
    assert "a [bold]title[/nonsense]" in words
    assert f"{figures['objective_eur']:.2f}" in words
    assert f"{figures['baselines']['fifo']['carbon_kg']:.1f}" in words
    assert f"{figures['better_than']['fifo']['eur']:.2f} EUR" in words
    assert "Verdict of the rehearsal: passed" in words


def test_a_worse_plan_is_called_worse() -> None:
    """A plan that realised a higher objective than a baseline is never shown as a gain."""
    record = example_record()
    assert record.outcome is not None
    dear = replace(record.outcome, totals=replace(record.outcome.totals, objective_eur=99.0))
    console = Console(width=140, record=True, file=StringIO())
    print_tables(replace(record, outcome=dear), console)
    assert "WORSE than run at once" in console.export_text()


def test_heat_is_told_beside_the_carbon_of_the_site() -> None:
    """Nothing without heat reuse; 7,912.5 kWh delivered are 1,000 m3 of gas and 1,680 kg, and the site's own carbon stays."""
    record = example_record()
    assert summary(record)["heat"] is None
    assert record.outcome is not None
    heated = replace(record, outcome=replace(record.outcome, heat=HeatAccount(7912.5, 2000.0, 100.0)))
    figures = summary(heated)
    assert figures["heat"] == pytest.approx(
        {
            "delivered_mwh": 7.9125,
            "gas_avoided_m3": 1000.0,
            "co2_avoided_kg": 1680.0,
            "electricity_kwh": 2000.0,
            "cooling_saved_kwh": 100.0,
        }
    )
    assert figures["carbon_kg"] == summary(record)["carbon_kg"]
