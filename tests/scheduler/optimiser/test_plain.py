"""The plain model of a case is exact: it finds what trying everything finds, and says what the independent check says."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.optimiser.case_maker import SIZES, Size, make_case
from scheduler.optimiser.compiled import Compiled
from scheduler.optimiser.large.case import Case
from scheduler.optimiser.plain import plain_model, plain_size, solve_plain
from scheduler.plan import SolveStatus
from sim.case_check import check_case
from sim.case_check_energy import least_energy_cost
from tests.cases import decided, tiny, with_jobs


def everything(case: Case) -> float:
    """Least objective of all decisions of a case without malleable jobs, each priced by the independent check."""
    options = []
    for job in range(case.J):
        mine: list[tuple[int, tuple[int, ...]]] = [(-1, ())]
        for entry in range(int(case.ep[job]), int(case.ep[job + 1])):
            slots = range(int(case.ea[entry]), int(case.dl[job]))
            for chosen in itertools.combinations(slots, int(case.p[job])):
                if case.typ[job] == 1 or chosen[-1] - chosen[0] == len(chosen) - 1:
                    mine.append((entry, chosen))
        options.append(mine)
    verdicts = (check_case(case, decided(*choice)) for choice in itertools.product(*options))
    return min(verdict.objective_eur for verdict in verdicts if verdict.objective_eur is not None)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Two sites on a feeder, four slots, a battery, sun, an event, a copy, and two jobs that compete for room."""
    seed = draw(st.integers(0, 10_000))
    rng = np.random.default_rng(seed)
    case = tiny(
        sites=2,
        cap=rng.integers(1, 4, (1, 2, 4)),
        a=rng.uniform(0.0, 2.0, (2, 4)),
        pue=1.25,
        ren=rng.uniform(0.0, 3.0, (2, 4)),
        pi=rng.uniform(0.05, 0.6, (2, 4)),
        po=rng.uniform(-0.1, 0.05, (2, 4)),
        gmax=rng.uniform(2.0, 6.0, (2, 1)),
        emax=rng.uniform(0.0, 2.0, (2, 1)),
        E=[4.0, 0.0],
        Pc=[2.0, 0.0],
        Pd=[2.0, 0.0],
        soc0=[2.0, 0.0],
        eta_c=0.9,
        eta_d=0.9,
        wear=0.02,
        pk0=2.0,
        dc=0.5,
        dr_site=[0, 1],
        dr_start=[1, 0],
        dr_end=[3, 2],
        dr_limit_kw=[0.5, 1.0],
        dr_penalty=[0.8, 0.8],
        fid=0,
        flim=[7.0],
        vco=rng.uniform(0.001, 0.01, 2),
        ms=[1, 1],
        md=[0, 1],
        mc=[0.1, 0.2],
        mgb=[60.0, 50.0],
        gbmax=100.0,
    )
    jobs = [
        {
            "typ": int(rng.integers(0, 2)),
            "p": int(rng.integers(1, 3)),
            "soft": int(rng.integers(1, 4)),
            "wt": rng.uniform(0.0, 0.3),
            "res": float(rng.integers(1, 3)),
            "pw": rng.uniform(0.5, 2.0),
            "drop": rng.uniform(0.5, 3.0),
            "entries": [(0, 0.1, 0, -1), (1, 0.0, int(rng.integers(0, 4)), int(rng.integers(-1, 2)))],
        }
        for _ in range(2)
    ]
    return with_jobs(case, *jobs)


@pytest.mark.slow
@settings(max_examples=15)
@given(cases())
def test_optimum_is_that_of_trying_everything(case: Case) -> None:
    """Optimum of the MILP equals the best of all decisions, priced by code that shares nothing with it."""
    answer = solve_plain(case, 60.0)
    assert answer.status is SolveStatus.OPTIMAL
    assert answer.objective == pytest.approx(everything(case), abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_objective_is_what_the_check_says(seed: int) -> None:
    """A made-up case with all kinds of jobs: a feasible solution, its exact objective is the claimed one, above the bound."""
    case = make_case(Size("tiny", 20, 3, 24, 0.5, None, 60.0, 0), seed)
    assert set(case.typ) == {0, 1, 2}
    answer = solve_plain(case, 60.0, gap=1e-3)
    assert answer.solution is not None
    assert answer.objective is not None
    assert answer.bound is not None
    verdict = check_case(case, answer.solution)
    assert verdict.feasible, verdict.findings
    assert verdict.objective_eur is not None
    assert verdict.objective_eur <= answer.objective + 1e-6  # the check may move energy better than an incumbent within the gap
    assert answer.bound <= verdict.objective_eur + 1e-6
    assert answer.objective - answer.bound <= 1e-3 * abs(answer.objective) + 1e-6


def test_malleable_job_mixes_its_modes() -> None:
    """Full speed in the cheap slot; the other slot of work in the two dear ones in eco mode, 0.55 kWh for 0.7 of the work.

    A job that must be done within the first slot has no choice.
    """
    case = with_jobs(tiny(slots=3, a=0.0, pi=[[0.1, 1.0, 1.0]]), {"typ": 2, "p": 1, "dl": 1}, {"typ": 2, "p": 2, "rel": 0})
    answer = solve_plain(case, 10.0)
    assert answer.objective == pytest.approx(0.1 + 0.1 + 0.55 * (1 / 0.7))
    assert answer.solution is not None
    assert answer.solution.run_eco.sum() == pytest.approx(1 / 0.7, abs=1e-6)


def test_jobs_without_a_place_are_dropped() -> None:
    """No entry at all, or entries that begin too late for the job."""
    case = with_jobs(tiny(pi=0.0), {"drop": 3.0, "entries": []}, {"p": 2, "drop": 4.0, "entries": [(0, 0.0, 3, -1)]})
    answer = solve_plain(case, 10.0)
    assert answer.objective == pytest.approx(7.0)
    assert answer.solution is not None
    assert answer.solution.choice.tolist() == [-1, -1]


def test_size_is_known_before_building() -> None:
    """The estimate that decides whether the model fits is within a tenth of what is built."""
    case = make_case(SIZES["S"], 1)
    model: Compiled = plain_model(case)
    columns, nonzeros = plain_size(case)
    assert columns == pytest.approx(len(model.cost), rel=0.1)
    assert nonzeros == pytest.approx(model.matrix.nnz, rel=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_a_tight_feeder_costs_the_same_on_both_sides(seed: int) -> None:
    """Three sites behind lines that are too thin, no jobs: load goes unserved, as much as the independent check says."""
    rng = np.random.default_rng(seed)
    case = tiny(
        sites=3, a=rng.uniform(2.0, 4.0, (3, 4)), ren=rng.uniform(0.0, 9.0, (3, 4)), emax=9.0, po=0.05, fid=0, flim=[7.0],
        vco=rng.uniform(0.003, 0.01, 3),
    )  # fmt: skip
    free = least_energy_cost(replace(case, vtol=1e3, flim=np.array([1e3])), np.zeros((3, 4)))
    thin = least_energy_cost(case, np.zeros((3, 4)))
    assert free is not None
    assert thin is not None
    assert thin > free + 0.01
    assert solve_plain(case, 10.0).objective == pytest.approx(thin, abs=1e-6)


def test_copies_stay_within_the_volume_of_their_site() -> None:
    """Two cheap jobs that need 60 and 50 GB where 100 fit: the dearer drop is kept, the other job is dropped."""
    case = tiny(pi=0.0, ms=[0, 0], md=[0, 1], mc=[0.1, 0.1], mgb=[60.0, 50.0], gbmax=100.0)
    case = with_jobs(case, {"drop": 2.0, "entries": [(0, 0.0, 0, 0)]}, {"drop": 3.0, "entries": [(0, 0.0, 0, 1)]})
    assert solve_plain(case, 10.0).objective == pytest.approx(2.1)


def test_second_mode_of_a_job_is_its_own() -> None:
    """Half the work for a fifth of the power: the job of one slot runs two slots in its second mode."""
    case = with_jobs(tiny(a=0.0), {"typ": 2, "p": 1, "speed2": 0.5, "power2": 0.2})
    assert solve_plain(case, 10.0).objective == pytest.approx(0.04)


def test_batteries_at_the_end_cost_the_same_on_both_sides() -> None:
    """A battery that must end fuller than it began: the dearer what is missing, the more it costs, most when nothing may be."""
    case = tiny(
        sites=2, pi=[[0.1, 0.4, 0.1, 0.4]], E=[4.0, 0.0], Pc=1.0, Pd=2.0, soc0=[1.0, 0.0], soc_end=[3.0, 0.0], eta_c=0.9
    )  # fmt: skip
    costs = []
    for missing in (0.05, 0.2, float("inf")):
        priced = replace(case, missing=np.full(2, missing))
        expected = least_energy_cost(priced, np.zeros((2, 4)))
        assert expected is not None
        assert solve_plain(priced, 10.0).objective == pytest.approx(expected, abs=1e-6)
        costs.append(expected)
    assert costs[0] + 0.01 < costs[1]
    assert costs[1] + 0.01 < costs[2]
