"""The page: its figures are the record's, it loads nothing from outside, and every picture can be read."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.horizon import Horizon
from scheduler.outcome import Outcome
from scheduler.plan import Run
from sim.record import RunRecord
from sim.report.axes import Clock
from sim.report.gantt import ROWS_AT_MOST, gantt_figure, lanes
from sim.report.page import report_html
from sim.report.sections import headline_words
from sim.report.summary import summary
from sim.report.tables import ROWS, number
from tests.factory import START, job
from tests.records import example_record


class Parsed(HTMLParser):
    """What a test wants to know of a page: tables, links and loads, texts of tiles, embedded figures."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.addresses: list[str] = []
        self.tiles: list[str] = []
        self.plots: list[str] = []
        self.ids: set[str] = set()
        self.stack: list[str] = []
        self.open: list[str] = []
        self.figures = ""
        self.script = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what the tag says."""
        values = {name: value or "" for name, value in attrs}
        self.addresses += [values[name] for name in ("src", "href", "action", "data", "poster") if name in values]
        self.ids |= {values["id"]} if "id" in values else set()
        if "data-figure" in values:
            self.plots.append(values["data-figure"])
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")
        self.script = values.get("id", "other") if tag == "script" else self.script
        if tag not in {"meta", "link", "br", "input"}:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Every tag that opens also closes, in order."""
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep texts where they belong."""
        if "script" in self.stack:
            self.figures += data if self.script == "figures" else ""
        elif self.stack and ("td" in self.stack or "th" in self.stack):
            self.rows[-1][-1] += data
        elif self.stack and self.stack[-1] == "b":
            self.tiles.append(data)


@pytest.fixture(scope="module")
def record() -> RunRecord:
    """A finished run with an event."""
    return example_record()


@pytest.fixture(scope="module")
def page(record: RunRecord) -> str:
    """Its page."""
    return report_html(record)


@pytest.fixture(scope="module")
def parsed(page: str) -> Parsed:
    """The page, parsed; tags nest properly or this fails."""
    return Parsed(page)


def pictures(record: RunRecord) -> dict[str, Any]:
    """The pictures that the page of a record embeds."""
    found: dict[str, Any] = json.loads(Parsed(report_html(record)).figures)
    return found


def test_table_shows_the_figures_of_the_summary(record: RunRecord, parsed: Parsed) -> None:
    """Each row of the first table stands for plan and baselines exactly as in the summary."""
    figures = summary(record)
    rows = {row[0]: row[1:] for row in parsed.rows if row}
    for key, label, unit, decimals in ROWS:
        wanted = [number(entry[key], decimals) for entry in (figures, *figures["baselines"].values())]
        assert rows[f"{label} ({unit})"] == wanted


def test_headline_says_the_gain(record: RunRecord, page: str, parsed: Parsed) -> None:
    """The headline and the lead carry gains, gap and verdict of the summary."""
    figures = summary(record)
    headline = page.split("<h1>")[1].split("</h1>", maxsplit=1)[0]
    gain = figures["better_than"]["fifo"]
    assert f"EUR\u00a0{gain['eur']:.2f} ({gain['percent']:.1f}\u00a0%) better than run at once" in headline
    assert f"EUR\u00a0{figures['better_than']['wait_for_sun']['eur']:.2f}" in headline
    assert "passed its rehearsal" in headline
    assert f"within {100 * figures['gap']:.2f} %" in page
    assert parsed.tiles[:2] == ["passed", f"{figures['objective_eur']:.2f} EUR"]


def penalised(fifo_eur: float, own_eur: float = 0.0) -> RunRecord:
    """A record in which run-at-once and the plan pay these event penalties."""
    record = example_record()
    assert record.outcome is not None

    def paying(outcome: Outcome, eur: float) -> Outcome:
        """``outcome`` with a penalty on top."""
        totals = outcome.totals
        parts = totals.breakdown_eur | {"event_penalty": eur}
        return replace(outcome, totals=replace(totals, objective_eur=totals.objective_eur + eur, breakdown_eur=parts))

    baselines = record.baselines | {"fifo": paying(record.baselines["fifo"], fifo_eur)}
    return replace(record, outcome=paying(record.outcome, own_eur), baselines=baselines)


def test_event_penalty_in_a_gain_is_named() -> None:
    """The headline names how much of a gain is event penalty; the lead gives the gain without it; others stay silent."""
    plain = summary(example_record())["better_than"]["fifo"]
    assert plain["event_penalty_eur"] == 0
    record = penalised(5.0)
    gain = summary(record)["better_than"]["fifo"]
    assert (gain["eur"], gain["event_penalty_eur"]) == (pytest.approx(plain["eur"] + 5), 5)
    words = headline_words(summary(record))
    assert "run at once (EUR\u00a05.00 of it event penalty)" in words
    assert words.count("penalty") == 1
    assert f"without them the plan is EUR\u00a0{plain['eur']:.2f} better than run at once." in report_html(record)
    assert "penalt" not in headline_words(summary(example_record()))


def test_penalty_that_hides_or_makes_a_gain_is_turned_the_right_way() -> None:
    """When the plan pays the penalty, or only the penalty makes the gain, the words give the gain without penalties."""
    plain = summary(example_record())["better_than"]["fifo"]["eur"]
    words = headline_words(summary(penalised(0.0, own_eur=100.0)))
    assert f"worse than run at once (without event penalties EUR\u00a0{plain:.2f} better)" in words


def test_nothing_is_loaded_from_outside(page: str, parsed: Parsed) -> None:
    """No address in the page leads out of it, no style imports another, and the browser is told to refuse all the same."""
    assert all(address.startswith("#") for address in parsed.addresses)
    assert {address[1:] for address in parsed.addresses} <= parsed.ids
    style = page.split("<style>")[1].split("</style>", maxsplit=1)[0]
    assert "@import" not in style
    assert "url(" not in style
    assert "default-src 'none'" in page.split("</head>", maxsplit=1)[0]
    assert len(page.encode()) < 12e6


def test_every_place_has_its_picture(parsed: Parsed) -> None:
    """Each place and each button of the page names a picture that is embedded, and none is embedded in vain."""
    assert set(parsed.plots) == set(json.loads(parsed.figures))


@pytest.mark.parametrize("partial", [{}, {"blocked": True}, {"interrupted": "plan"}, {"minutes": 60}])
def test_plotly_accepts_every_picture(partial: dict[str, Any]) -> None:
    """Plotly validates each picture; each has titled axes with a unit or a noun, and more than one series has a legend."""
    from plotly import graph_objects as go

    for name, spec in pictures(example_record(**partial)).items():
        figure = go.Figure(spec)
        axes = [axis for key, axis in spec["layout"].items() if re.match(r"[xy]axis", key)]
        assert axes, name
        assert all(axis["title"]["text"] for axis in axes), name
        assert all(trace.name for trace in figure.data), name
        assert figure.layout.font.size >= 11


def test_every_colour_is_defined(page: str, record: RunRecord) -> None:
    """Each colour variable that a picture uses is defined for light and for dark, so nothing falls back to grey."""
    style = page.split("<style>")[1].split("</style>", maxsplit=1)[0]
    light, dark = style.split("@media (prefers-color-scheme: dark)")
    used = set(re.findall(r"var\((--\w+)\)", json.dumps(pictures(record))))
    assert [name for name in sorted(used) if f"{name}:" not in light or f"{name}:" not in dark.split("} }")[0]] == []


def test_stacks_of_the_balance_are_equal(record: RunRecord) -> None:
    """In every slot the supply stack is as high as the use stack is deep, for all sites and for each."""
    for name, spec in pictures(record).items():
        if not name.startswith("balance"):
            continue
        sums: dict[str, Any] = dict.fromkeys(("supply", "use"), np.zeros(1))
        for trace in spec["data"]:
            if "stackgroup" in trace:
                sums[trace["stackgroup"]] = sums[trace["stackgroup"]] + np.array(trace["y"])
        np.testing.assert_allclose(sums["supply"], -np.asarray(sums["use"]), atol=4e-4)  # rounded to 4 decimals


def test_texts_of_a_scenario_are_no_markup() -> None:
    """A name with markup stays text, in tables and in the embedded pictures."""
    record = example_record()
    evil = '</script><img src="http://x.example/y" onerror="alert(1)">'
    jobs = (replace(record.scenario.jobs[0], name=evil), *record.scenario.jobs[1:])
    page = report_html(replace(record, scenario=replace(record.scenario, jobs=jobs, title=evil)))
    assert evil not in page
    assert "<img" not in page.replace("<img ", "", 0).split('<script type="application/json"')[0]
    assert all(address.startswith("#") for address in Parsed(page).addresses)


@pytest.mark.parametrize(
    ("partial", "words"),
    [
        ({"blocked": True}, "failed its rehearsal: nothing may be commanded"),
        ({"interrupted": "plan"}, "Interrupted in phase “plan”"),
    ],
)
def test_partial_runs_say_so(partial: dict[str, Any], words: str) -> None:
    """A blocked or interrupted run has a page that says so first, with what is known."""
    page = report_html(example_record(**partial))
    assert words in page.split("</h1>")[0]
    assert "Which numbers are real" in page


def many_jobs(count: int) -> RunRecord:
    """A record with ``count`` jobs of one hour, ten at once."""
    record = example_record()
    jobs = tuple(job(f"job-{k}", duration_h=1) for k in range(count))
    slot = [(k // 10) % 23 * 4 for k in range(count)]
    runs = tuple(Run(f"job-{k}", "hall", slot[k], slot[k] + 4) for k in range(count))
    entry = record.plans[0]
    plans = (replace(entry, plan=replace(entry.plan, runs=runs, dropped=(), reasons={})),)
    return replace(record, scenario=replace(record.scenario, jobs=jobs), plans=plans)


def test_many_jobs_share_lanes() -> None:
    """600 jobs stay in one picture of a readable height with every job once; the page stays far below 12 MB."""
    record = many_jobs(600)
    figure = gantt_figure(record, Clock.of(record.scenario.horizon, "Europe/Amsterdam"))
    assert figure is not None
    names = [entry[0] for trace in figure["data"] for entry in trace.get("customdata", [])]
    assert sorted(names) == sorted(job.name for job in record.scenario.jobs)
    assert figure["layout"]["height"] <= 1400
    assert len(report_html(record).encode()) < 8e6


def test_few_jobs_have_a_row_each() -> None:
    """Up to the limit each job has its own row with its name; one job more and they share lanes."""
    clock = Clock.of(example_record().scenario.horizon, "Europe/Amsterdam")
    few, more = gantt_figure(many_jobs(ROWS_AT_MOST), clock), gantt_figure(many_jobs(ROWS_AT_MOST + 1), clock)
    assert few is not None
    assert more is not None
    assert len(few["layout"]["yaxis"]["ticktext"]) == ROWS_AT_MOST
    assert len(more["layout"]["yaxis"]["ticktext"]) == 3


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12)), max_size=40))
def test_lanes_never_overlap_and_are_few(spans: list[tuple[int, int]]) -> None:
    """Two spans of one lane never overlap, and there are only as many lanes as spans at once."""
    moments = [(START + timedelta(hours=a), START + timedelta(hours=a + d)) for a, d in spans]
    chosen = lanes(moments)
    for k, lane in enumerate(chosen):
        for other in range(k):
            if chosen[other] == lane:
                assert moments[k][1] <= moments[other][0] or moments[other][1] <= moments[k][0]
    at_once = max((sum(a <= t < a + d for a, d in spans) for t in range(60)), default=0)
    assert max(chosen, default=-1) + 1 == at_once


@pytest.mark.parametrize(
    ("start", "words", "changes"),
    [
        (datetime(2022, 6, 30, 22, tzinfo=UTC), "local time, Europe/Amsterdam (UTC+2)", False),
        (datetime(2022, 3, 26, 23, tzinfo=UTC), "time in UTC+1 (Europe/Amsterdam changes its clock in this period)", True),
    ],
)
def test_axes_name_their_zone(start: datetime, words: str, changes: bool) -> None:
    """An axis names its zone; on a day that changes the clock it keeps one offset and says so, and tables stay local."""
    clock = Clock.of(Horizon(start, timedelta(minutes=15), 92), "Europe/Amsterdam")
    assert (clock.title, clock.changes) == (words, changes)
    assert clock.words(datetime(2022, 3, 27, 2, tzinfo=UTC)) == "Sun 27 Mar 04:00"


def test_single_phases_are_told_where_the_network_describes_them() -> None:
    """The section on the network states the worst phase and the unbalance with their units; without figures it is silent."""
    record = example_record()
    assert record.outcome is not None
    assert "Single phases" not in report_html(record)
    phases = {"phase_voltage_low_pu": 0.9312, "phase_voltage_high_pu": 1.0521, "unbalance_pct": 1.237}
    page = report_html(replace(record, outcome=replace(record.outcome, phases=phases)))
    words = page.split("Single phases, judged by EN 50160", 1)[1].split("</p>", 1)[0]
    assert "lowest voltage of a single phase (per unit) 0.9312" in words
    assert "1.0521" in words
    assert "(%) 1.24" in words
