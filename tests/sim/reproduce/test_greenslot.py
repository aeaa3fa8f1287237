"""GreenSlot: the week of work as published, both schedulers' rules on paper, energy by hand, and the published saving."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import FeedError, InputError
from ozzo.commands_reproduce import greenslot as command
from sim.reproduce import greenslot_weeks
from sim.reproduce.greenslot import END_MIN, WEEK_MIN, baseline, greenslot, outcome
from sim.reproduce.greenslot_jobs import ALWAYS_W, KINDS, NODES, SLEEP_W, IntArray, Work, price_usd, week_of_work
from sim.reproduce.greenslot_weeks import read_weeks, rows

DARK = np.zeros(WEEK_MIN)


def work(*jobs: tuple[int, int, int, int, int]) -> Work:
    """Jobs as (flow, stage, arrival, length, due); the latest begin does not count later stages."""
    columns = [np.array(column, dtype=np.int64) for column in zip(*jobs, strict=True)]
    flow, stage, arrival, length, due = columns
    return Work(flow, stage, arrival, length, due - length, due, np.full(len(jobs), 105.0))


def busy(made: Work, begin: IntArray) -> int:
    """Most nodes in use at once."""
    change = np.zeros(2 * WEEK_MIN)
    np.add.at(change, begin, 1)
    np.add.at(change, begin + made.length, -1)
    return int(np.cumsum(change).max())


def test_the_week_is_the_published_one() -> None:
    """352 jobs in 28 workflows, one of each kind every half hour, deadlines Tuesday to Friday, means near the published."""
    made = week_of_work(0)
    assert len(made) == 352
    assert len(np.unique(made.flow)) == sum(kind.number for kind in KINDS) == 28
    assert sorted(set(made.arrival.tolist())) == [570 + 30 * k for k in range(12)]
    assert made.due.min() == 1440 + 9 * 60
    assert made.due.max() == END_MIN
    means = []
    for kind, flows in zip(KINDS, (range(8), range(8, 20), range(20, 28)), strict=True):
        wide = np.isin(made.flow, flows) & (made.power_w == 105.0)
        assert wide.sum() == kind.number * kind.wide
        assert made.length[wide].min() >= kind.least
        assert made.length[wide].max() <= kind.most
        means.append(float(made.length[wide].mean()) / kind.mean)
    assert means == pytest.approx([1.0, 1.0, 1.0], abs=0.1)
    assert week_of_work(0).length.tolist() == made.length.tolist()
    assert week_of_work(1).length.tolist() != made.length.tolist()


def test_latest_begin_counts_the_stages_that_follow() -> None:
    """First job of W1: its own 8 minutes, 1 of splitting, the longest of 16, and 5 of collecting before Tuesday 9:00."""
    made = week_of_work(0)
    first = int(np.flatnonzero((made.flow == 0) & (made.stage == 0))[0])
    longest = int(made.length[(made.flow == 0) & (made.stage == 2)].max())
    assert made.latest[first] == made.due[first] - 8 - 1 - longest - 5


def test_baseline_runs_at_once_and_in_order_of_slack() -> None:
    """16 nodes, 17 jobs: the one with the most slack waits for the first free node; a stage waits for the one before."""
    jobs = [(k, 0, 600, 60 + k, 3000 - k) for k in range(17)]
    begin = baseline(work(*jobs))
    assert begin.tolist() == [660 + 1] + [600] * 16
    chain = baseline(work((0, 0, 600, 60, 3000), (0, 1, 600, 30, 3000), (0, 1, 600, 90, 3000), (0, 2, 600, 5, 3000)))
    assert chain.tolist() == [600, 660, 660, 750]


def test_greenslot_waits_for_the_night_when_there_is_no_sun() -> None:
    """An hour of work that arrives at noon runs from 23:00; when it must be done by 18:00 it runs at once; price-blind always."""
    night, day = work((0, 0, 720, 60, 2880)), work((0, 0, 720, 60, 1080))
    assert greenslot(night, DARK).tolist() == [23 * 60]
    assert greenslot(day, DARK).tolist() == [720]
    assert greenslot(night, DARK, priced=False).tolist() == [720]


def test_greenslot_waits_for_the_sun() -> None:
    """Sun for one job, for the 75 minutes that a job reserves: the first gets it, the second takes the night."""
    sun = DARK.copy()
    sun[14 * 60 : 14 * 60 + 75] = (ALWAYS_W + NODES * SLEEP_W + 105.0 - SLEEP_W) / 1000.0
    begin = greenslot(work((0, 0, 600, 60, 2880), (1, 0, 600, 60, 2881)), sun)
    assert begin.tolist() == [14 * 60, 23 * 60]


def test_energy_of_a_week_by_hand() -> None:
    """One job of an hour at noon on Monday in the dark, and with 1 kW of sun in that hour."""
    made = work((0, 0, 720, 60, 2880))
    always = (ALWAYS_W + NODES * SLEEP_W) / 1000.0
    begin = np.array([720])
    dark = outcome(made, begin, DARK)
    energy = always * END_MIN / 60 + (105.0 - SLEEP_W) / 1000.0
    assert dark.brown_kwh == pytest.approx(energy)
    assert dark.green_share == 0.0
    day_h = 4 * 14 + 7  # Monday to Thursday 9 to 23 h, Friday 9 to 16 h
    assert dark.cost_usd == pytest.approx(always * (0.13 * day_h + 0.08 * (END_MIN / 60 - day_h)) + 0.0964 * 0.13)
    sun = DARK.copy()
    sun[720:780] = 1.0
    assert outcome(made, begin, sun).green_kwh == pytest.approx(always + 0.0964)
    assert dark.utilisation == pytest.approx(60 / END_MIN / NODES)
    assert outcome(made, np.array([2850]), DARK).missed == 1
    assert dark.missed == 0


jobs = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 300), st.integers(1, 400)), min_size=1, max_size=40
)


@given(jobs, st.integers(0, 3))
def test_both_keep_to_nodes_and_stages(made: list[tuple[int, int, int, int]], sunny: int) -> None:
    """Nobody begins before its arrival or before the stage before it has ended, and 16 nodes are enough."""
    arrivals = {flow: arrival for flow, _, arrival, _ in made}
    ordered = sorted(made, key=lambda job: (arrivals[job[0]], job[0], job[1]))
    bundle = work(*[(flow, stage, arrivals[flow], length, 4000) for flow, stage, _, length in ordered])
    sun = DARK.copy()
    sun[600 * sunny : 600 * sunny + 500] = 1.5
    for begin in (baseline(bundle), greenslot(bundle, sun)):
        assert (begin >= bundle.arrival).all()
        assert busy(bundle, begin) <= NODES
        for job in range(len(bundle)):
            before = (bundle.flow == bundle.flow[job]) & (bundle.stage == bundle.stage[job] - 1)
            assert (begin[before] + bundle.length[before] <= begin[job]).all()
        assert outcome(bundle, begin, sun).missed == 0


def test_prices_of_the_clock() -> None:
    """Dear from 9 to 23 h."""
    price = price_usd(WEEK_MIN)
    assert price[8 * 60 + 59] == price[23 * 60] == price[1440] == 0.08
    assert price[9 * 60] == price[22 * 60 + 59] == 0.13


def irradiance(path: Path, hours: int, *, skip: int | None = None) -> Path:
    """Hours from Wednesday 1 January 2020 on: a sine by day."""
    lines = ["Year,Month,Day,Hour,Minute,GHI"]
    for hour in range(hours):
        at = datetime(2020, 1, 1) + timedelta(hours=hour)  # noqa: DTZ001 - local standard time
        ghi = max(0.0, 900 * np.sin(np.pi * (at.hour - 6) / 12))
        if hour != skip:
            lines.append(f"{at.year},{at.month},{at.day},{at.hour},30,{ghi:.1f}")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_whole_weeks_of_a_file(tmp_path: Path) -> None:
    """The first Monday is 6 January; a week with a missing hour is left out."""
    weeks = read_weeks(irradiance(tmp_path / "sun.csv", 20 * 24))
    assert [week.monday.day for week in weeks] == [6, 13]
    assert weeks[0].green_kw[12 * 60] == pytest.approx(2.3 * 0.9)
    assert [week.monday.day for week in read_weeks(irradiance(tmp_path / "hole.csv", 20 * 24, skip=130))] == [13]


@pytest.mark.parametrize(
    "text", ["Year,Month,Day,Hour\n", "Year,Month,Day,Hour,GHI\n2020,1,1,x,5\n", "Year,Month,Day,Hour,GHI\n"]
)
def test_a_wrong_file_is_told(tmp_path: Path, text: str) -> None:
    """Columns, numbers, no week."""
    (tmp_path / "sun.csv").write_text(text)
    with pytest.raises(FeedError, match=r"sun\.csv"):
        read_weeks(tmp_path / "sun.csv")
    with pytest.raises(InputError, match="--sun"):
        command(tmp_path / "sun.csv", 0, 48.0, as_json=True, say=lambda _: None)


def test_no_data_folder_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a file and without OZZO_DATA."""
    monkeypatch.delenv("OZZO_DATA", raising=False)
    with pytest.raises(InputError, match="OZZO_DATA"):
        command(None, 0, 48.0, as_json=True, say=lambda _: None)


@pytest.mark.slow
def test_the_command_tells_rows_and_differences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of the cases: sun lowers the cost more than the night alone; table and JSON have the same figures."""
    sun = irradiance(tmp_path / "sun.csv", 13 * 24)
    found = rows(read_weeks(sun), lambda _: None, cases=("average", "no sun"))
    assert found[1].green_pct is None
    assert found[0].cost_pct < found[1].cost_pct < 0
    assert found[0].missed == 0
    monkeypatch.setattr(greenslot_weeks, "rows", lambda *_, **__: found)
    told = json.loads(command(sun, 0, 48.0, as_json=True, say=lambda _: None))["rows"]
    assert [row["case"] for row in told] == ["average", "no sun"]
    assert told[0]["published_cost_pct"] is None  # another sun than the one that the average week is compared on
    assert told[1]["difference_points"] == pytest.approx(found[1].cost_pct + 13.0)
    table = command(sun, 0, 48.0, as_json=False, say=lambda _: None)
    assert f"{found[0].cost_pct:+.1f}" in table
    assert "another series" in " ".join(table.split())


@pytest.mark.data
@pytest.mark.slow
def test_a_quarter_less_than_easy_on_an_average_week(data: Path) -> None:
    """The published bar: 25 % below EASY backfilling in a week of 26 % sun, and no deadline missed."""
    weeks = read_weeks(data / "weather" / "solar_radiation.csv")
    assert len(weeks) > 150
    average = rows(weeks, lambda _: None, cases=("average",))[0]
    assert average.baseline_green_pct == pytest.approx(26, abs=1)
    assert average.cost_pct <= -25.0
    assert average.missed == average.baseline_missed == 0
    assert average.published_cost_pct == -25.0


def test_how_far_a_plan_looks_decides_what_is_saved_without_sun() -> None:
    """Two nights of work on Monday morning, due on Friday: 24 hours ahead half of it runs by day, 48 hours ahead none."""
    jobs = [(flow, 0, 600, 480, 4 * 1440) for flow in range(2 * 16)]
    near, far = (greenslot(work(*jobs), DARK, look_h=hours) for hours in (24.0, 48.0))
    by_day = [(begin % 1440 >= 9 * 60) & (begin % 1440 < 23 * 60) for begin in (near, far)]
    assert [int(found.sum()) for found in by_day] == [len(jobs) // 2, 0]
