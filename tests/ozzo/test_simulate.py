"""``ozzo simulate`` and ``ozzo bench loop`` as a person uses them: figures, words, wrong input."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grid.errors import InputError
from ozzo.bench.loop import LoopBench, LoopBenchOptions, as_json, measure, print_table
from ozzo.commands_simulate import Wish, simulate
from sim.loop.surf import MonthOptions, compared, loop_of, month_scenario
from sim.reproduce import steam
from tests.sim.experiments.sweeps import hall

ASKED: dict[str, object] = {"replan_minutes": "4 h", "mode": "live", "foresight": "known"}


def quiet(_: str) -> None:
    """Nobody listens."""


def findings(wish: Wish) -> dict[str, str]:
    """Expected words of each finding by option."""
    with pytest.raises(InputError) as error:
        simulate(wish, as_json=False, say=quiet)
    return {finding.field: str(finding) for finding in error.value.findings}


def test_loop_and_baseline_beside_each_other(tmp_path: Path) -> None:
    """Eight hours at four: two plans; a baseline beside itself differs in nothing, and the table holds its figures."""
    wish = Wish(hall(tmp_path), ASKED, policy="fifo")
    told = json.loads(simulate(wish, as_json=True, say=quiet))
    assert told["plans"]["plans"] == len(told["steps"]) == 2
    assert told["realised"] == told["realised_baseline"]
    assert told["carbon_less_pct"] == 0.0
    assert told["realised"]["done"] == told["realised"]["jobs"] == 3
    text = simulate(wish, as_json=False, say=quiet)
    assert f"{told['realised']['carbon_kg']:.2f}" in text
    assert "2 plans, 2 commanded, 0 refused" in text


def test_every_wrong_option_is_told_at_once(tmp_path: Path) -> None:
    """Interval, mode, gate, site, policy and baseline are wrong: six findings with the nearest words."""
    asked = {"replan_minutes": "0", "mode": "piolt", "gate_minutes": "x", "pilot": ["hal"], "foresight": "pats"}
    found = findings(Wish(hall(tmp_path), asked, policy="mlip", baseline="milp"))
    assert found.keys() == {"--replan-every", "--mode", "--gate", "--site", "--foresight", "--policy", "--baseline"}
    for option, near in (("--mode", "pilot"), ("--site", "hall"), ("--foresight", "past"), ("--policy", "milp")):
        assert f"did you mean '{near}'" in found[option]
    assert "--site" in findings(Wish(hall(tmp_path), ASKED | {"pilot": ["hall"]}))
    assert "--site" in findings(Wish(hall(tmp_path), ASKED | {"mode": "pilot"}))


def test_a_past_that_the_scenario_does_not_hold_is_told(tmp_path: Path) -> None:
    """Prices that begin with the horizon: a forecast from the past is refused, with what would do."""
    file = hall(tmp_path)
    text = file.read_text(encoding="utf-8").replace("{constant_eur_per_mwh: 200}", "{csv: sun.csv, time: start, value: kw}")
    file.write_text(text, encoding="utf-8")
    wish = Wish(file, ASKED | {"foresight": "past"}, policy="fifo")
    assert "a week before the horizon" in findings(wish)["--foresight"]


def tiny_case() -> steam.Case:
    """Made here: six jobs within six hours on a carbon intensity that falls at noon; a week of the same before."""
    hours = 300.0 - 100.0 * np.cos((np.arange(24 * 20) % 24 - 12) / 24 * 2 * np.pi)
    submitted = np.array([0.0, 600.0, 3700.0, 7300.0, 9000.0, 20000.0])
    length = np.array([1800.0, 60.0, 5400.0, 900.0, 7200.0, 72_000.0])
    latest = np.maximum(submitted, submitted + steam.DAY_S - length)
    return steam.Case(steam.Jobs(submitted, length, latest), hours[168:], hours[:168], float((submitted + length).max()))


def one_job_case(length_s: float) -> steam.Case:
    """One job from the start on."""
    made, length = tiny_case(), np.array([length_s])
    return replace(made, jobs=steam.Jobs(np.zeros(1), length, np.maximum(0.0, steam.DAY_S - length)), end_s=length_s)


@pytest.fixture(scope="module")
def bench() -> LoopBench:
    """The tiny case in closed loop, as the bench has it."""
    case, options = tiny_case(), MonthOptions(days=1.0, hosts=3, rounds=20)
    loop = loop_of(case, options)
    return LoopBench(LoopBenchOptions(Path("data"), 1.0, 3), compared(case, options, loop), 1.0, 0.9, 100.0, (0.1, 0.2))


def test_the_loop_of_a_trace_is_metered_as_the_reproduction_counts_it(bench: LoopBench) -> None:
    """Carbon by the world's meter over its horizon is that of the jobs at their starts plus the idle hosts', to 1e-9."""
    loop, case = bench.month.loop, tiny_case()
    starts = np.array([(job.started - steam.START).total_seconds() for job in loop.outcome.jobs if job.started is not None])
    end_h = (loop.outcome.horizon.end - steam.START).total_seconds() / 3600.0
    idle_g = 3 * steam.IDLE_KW * float(case.cumulative[round(end_h)])
    assert len(starts) == 6
    assert loop.outcome.totals.carbon_kg == pytest.approx((case.job_carbon_g(starts) + idle_g) / 1000.0, rel=1e-9)


def test_the_loop_saves_within_the_proven_limit(bench: LoopBench) -> None:
    """Every plan passes, no job is left or late, and the saving is above nothing and not above what perfect foresight could."""
    once, closed, _ = bench.month.rows
    assert bench.month.not_run == closed.late == 0  # the bound is that of plans without late jobs
    assert all(step.passed for step in bench.month.loop.steps)
    assert once.saving_pct == 0.0
    assert closed.bound_pct is not None
    assert 0.0 < closed.saving_pct <= closed.bound_pct + 1e-9
    assert closed.most_hosts <= 3


def test_a_job_of_more_than_a_day_gets_time_to_be_planned() -> None:
    """It cannot end within 24 hours, nor begin before the next plan: its deadline is two hours after it would end at once."""
    short, long = (job for length_s in (7200.0, 100_000.0) for job in month_scenario(one_job_case(length_s), 1).jobs)
    assert (short.deadline - short.release).total_seconds() == steam.DAY_S
    assert (long.deadline - long.release).total_seconds() == 100_000.0 + 7200.0


def test_the_bench_tells_time_rows_and_plans(bench: LoopBench) -> None:
    """Table and JSON hold clock, computing, target and the three rows."""
    told = json.loads(as_json(bench))
    assert (told["surf_month_s"], told["surf_month_cpu_s"], told["target_s"]) == (1.0, 0.9, 600.0)
    assert [row["name"] for row in told["rows"]] == ["at once", "closed loop", "hourly heuristic"]
    out = io.StringIO()
    print_table(bench, out)
    assert "6 jobs of 1 days" in out.getvalue()
    assert f"{bench.month.rows[1].saving_pct:.2f}" in out.getvalue()


def test_data_that_is_not_there_is_told(tmp_path: Path) -> None:
    """An empty folder: one finding that names what it should hold."""
    with pytest.raises(InputError) as error:
        measure(LoopBenchOptions(tmp_path), quiet)
    assert "surf_2022_tasks.parquet" in error.value.findings[0].expected
