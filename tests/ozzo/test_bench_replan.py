"""``ozzo bench replan``: what changes is what is said to change, and every figure of the table can be checked."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ozzo.bench.perturb import EVENT_SHARE, perturbed
from ozzo.bench.replan import (
    AFRESH,
    COLD,
    WARM,
    ReplanOptions,
    ReplanResult,
    Solved,
    as_json,
    measure,
    places_changed,
    print_table,
)
from scheduler.optimiser.case_file import read_case, write_case
from scheduler.optimiser.case_maker import Size, make_case
from scheduler.optimiser.large.case import Case
from scheduler.optimiser.large.decisions import load_and_use
from scheduler.scenario import ErrorModel
from tests.cases import all_dropped, decided, first_fit, tiny, with_jobs

ROOT = Path(__file__).parent.parent.parent
FEW = Size("few", 60, 3, 48, 0.5, None, 10.0, 0)


@given(seed=st.integers(0, 1000), share=st.sampled_from([0.01, 0.1, 0.5]))
@settings(max_examples=20, deadline=None)
def test_changed_case_is_a_case(seed: int, share: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    """It is read back by the reader that refuses broken instances; so many jobs are new, the others are what they were."""
    case = make_case(FEW, seed % 5)
    news = perturbed(case, first_fit(case), seed, share)
    path = tmp_path_factory.mktemp("changed") / "case.npz"
    write_case(path, news.case)
    assert read_case(path).J == case.J
    assert news.replaced == max(1, round(share * case.J))
    assert sum(name.startswith("new") for name in news.names) == news.replaced
    for j, name in enumerate(news.names):
        if name.isdecimal():
            assert news.case.dl[j] == case.dl[j]
            old, new = slice(case.ep[j], case.ep[j + 1]), slice(news.case.ep[j], news.case.ep[j + 1])
            assert case.es[old].tolist() == news.case.es[new].tolist()
            assert case.ea[old].tolist() == news.case.ea[new].tolist()
    assert set(news.case.pw) <= set(case.pw)


def test_new_event_bites() -> None:
    """Its limit is three quarters of what the site was to import on average in its two hours, after all other events."""
    case = make_case(FEW, 1)
    plan = first_fit(case)
    news = perturbed(case, plan, 3)
    span = slice(news.start, news.end)
    net = (case.a + case.pue * load_and_use(case, plan)[0] - case.ren)[news.site, span]
    assert (news.end - news.start) * case.dt == pytest.approx(2.0)
    assert news.limit_kw == pytest.approx(EVENT_SHARE * net.mean())
    assert len(news.case.dr_site) == len(case.dr_site) + 1
    assert news.case.dr_site[-1] == news.site


def test_no_import_no_event() -> None:
    """Where the sun covers everything there is no event to add, and without jobs there are no new ones."""
    case = tiny(ren=50.0)
    news = perturbed(case, all_dropped(case), 1)
    assert (news.site, news.replaced, len(news.case.dr_site)) == (-1, 0, 0)


def test_forecast_changes_by_the_error_that_is_asked_for() -> None:
    """No error leaves sun and wind as they are; the usual one has about its standard deviation, and neighbours are alike."""
    case = replace(make_case(replace(FEW, slots=2000), 1), ren=np.ones((3, 2000)))
    plan = all_dropped(case)
    still = perturbed(case, plan, 1, error=ErrorModel(solar_sigma=0.0)).case.ren
    assert np.array_equal(still, case.ren)
    error = perturbed(case, plan, 1).case.ren - 1.0
    assert error.std() == pytest.approx(0.15, rel=0.2)
    assert np.corrcoef(error[:, :-1].ravel(), error[:, 1:].ravel())[0, 1] == pytest.approx(np.exp(-0.5 / 3.0), abs=0.03)


def test_places_are_compared_job_by_job() -> None:
    """One job at another site, one in another slot, one as it was, one new, one dropped."""
    two = [(0, 0.0, 0, -1), (1, 0.0, 0, -1)]
    case = with_jobs(tiny(sites=2), *[{"entries": two} for _ in range(5)])
    before = decided((0, [0]), (2, [0]), (4, [0]), (6, [0]), (8, [0]))
    after = decided((1, [0]), (2, [1]), (4, [0]), (7, [3]), (-1, []))
    news = replace(perturbed(case, before, 1, 0.0), case=case, names=("0", "1", "2", "new-3", "4"))
    assert places_changed(case, before, news, after) == (1, 1, 3)


def checked(case: Case) -> ReplanResult:
    """A short run of everything."""
    return measure(case, ReplanOptions(0.6, 0.2), lambda _: None)


def test_three_solves_are_made_and_checked() -> None:
    """First plan, warm and from nothing: each valid, with a gap between the checked objective and the bound."""
    result = checked(make_case(FEW, 2))
    assert [solve.name for solve in result.solves] == [COLD, WARM, AFRESH]
    assert result.exit_code == 0
    for solve in result.solves:
        assert solve.faults == ()
        assert solve.objective_eur is not None
        assert solve.gap == pytest.approx((solve.objective_eur - solve.bound_eur) / abs(solve.objective_eur))
    warm = result.solves[1]
    assert warm.old is not None
    assert warm.moved is not None
    assert warm.shifted is not None
    assert warm.moved + warm.shifted <= warm.old <= result.jobs - result.replaced
    listed = json.loads(as_json(result))
    assert listed["solves"][1]["limit_s"] == 0.2
    assert listed["machine"]["cores"] >= 1


def test_wrong_solutions_are_said_and_fail() -> None:
    """A fault, or an objective below the bound, is in the table, and the exit code is 1."""
    good = Solved(COLD, 1.0, 1.0, "optimal", 10.0, 9.0, 0.1, 0, (), 0.5)
    bad = replace(good, name=WARM, faults=("capacity: site 0",))
    below = replace(good, name=AFRESH, objective_eur=8.0, gap=-0.125)
    result = ReplanResult("x", 1, 1, 1, 0, {}, (good, bad, below))
    assert result.exit_code == 1
    out = io.StringIO()
    print_table(result, out)
    assert "WRONG: again, warm: capacity: site 0" in out.getvalue()
    assert "below the bound" in out.getvalue()
    assert ReplanResult("x", 1, 1, 1, 0, {}, (good,)).exit_code == 0


def ozzo(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line as a user calls it."""
    command = [sys.executable, "-c", "from ozzo.cli import main; main()", "bench", "replan", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=240, env=environment)


@pytest.mark.slow
def test_command_line(tmp_path: Path) -> None:
    """A file is measured and printed as JSON, and the limit of the warm plan is a tenth of the other."""
    path = tmp_path / "few.npz"
    write_case(path, make_case(FEW, 3))
    done = ozzo(str(path), "--time", "1", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["jobs"], found["replaced"]) == (60, 1)
    assert [solve["limit_s"] for solve in found["solves"]] == [1.0, 0.1, 1.0]


@pytest.mark.parametrize(("arguments", "words"), [(("--size", "XS"), "--size"), (("nowhere.npz",), "no such file")])
def test_what_cannot_be_measured_is_refused(arguments: tuple[str, ...], words: str) -> None:
    """An unknown size and a missing file are findings, not tracebacks."""
    done = ozzo(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
