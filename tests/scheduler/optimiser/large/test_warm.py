"""Warm starts: what is kept, what is not, and plans that are right whatever the earlier plan was."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ozzo.bench.perturb import perturbed
from scheduler.optimiser.case_maker import Size, make_case
from scheduler.optimiser.large import replan
from scheduler.optimiser.large.case import RIGID, Case, Solution
from scheduler.optimiser.large.decisions import own_costs
from scheduler.optimiser.large.dual import Dual
from scheduler.optimiser.large.primal import Primal
from scheduler.optimiser.large.replan import begin_again, go_on, lay, start_prices
from scheduler.optimiser.large.solve import LargeLimits, never, silent, solve_case
from scheduler.optimiser.large.tuning import STRICT, USUAL, Tuning
from scheduler.optimiser.large.warm import Warm, job_numbers, warm_of
from sim.case_check import check_case
from tests.cases import decided, first_fit, tiny, with_jobs
from tests.scheduler.optimiser.large.test_solve import MEDIUM, solved

TWO = [(0, 0.0, 0, -1), (1, 0.0, 0, -1)]


def known(case: Case, plan: Solution, names: tuple[str, ...] | None = None) -> Warm:
    """A warm start with prices that nobody has driven."""
    return warm_of(case, Dual(case), plan, names)


def same(one: Solution, other: Solution) -> bool:
    """Equal in every array."""
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in Solution.__dataclass_fields__)


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_places_of_the_same_case_are_all_kept(seed: int) -> None:
    """A plan laid on its own case is that plan, whatever its jobs, and so is the state of a search that begins with it."""
    case = make_case(replace(MEDIUM, jobs=40), seed)
    plan = first_fit(case)
    assert same(known(case, plan).placed(case, job_numbers(case)), plan)
    primal = Primal(case, _priced(case, plan), Tuning())
    lay(primal, plan)
    primal.judge("", None)
    assert same(primal.solution(), plan)
    assert primal.objective == pytest.approx(check_case(case, plan).objective_eur, rel=1e-6)


def test_copies_that_a_site_has_no_volume_for_any_more_are_given_up() -> None:
    """The site takes 100 GB instead of 1,000: of two copies of 60 GB the one with more readers stays, and the plan is legal."""
    copies = {"ms": [1, 1], "md": [0, 1], "mc": [0.1, 0.1], "mgb": [60.0, 60.0]}
    jobs = [{"entries": [(1, 0.0, 0, m), (0, 5.0, 0, -1)]} for m in (0, 1, 1)]
    case = with_jobs(tiny(2, 4, **copies), *jobs)
    plan = first_fit(case)
    assert (case.es[plan.choice] == 1).all()
    tight = replace(case, gbmax=np.array([1000.0, 100.0]))
    primal = Primal(tight, _priced(tight, plan), Tuning())
    lay(primal, plan)
    assert primal.state.choice.tolist() == [-1, plan.choice[1], plan.choice[2]]
    found = solve_case(tight, LargeLimits(0.5, 0.0), warm=known(case, plan)).solution
    assert check_case(tight, found).findings == ()
    assert (found.choice >= 0).all()


def _priced(case: Case, plan: Solution) -> Dual:
    """Prices begun warm."""
    dual = Dual(case)
    start_prices(dual, known(case, plan), plan)
    return dual


def counted_own(case: Case, plan: Solution, j: int) -> float:
    """Fixed cost and lateness of job ``j``, slot by slot."""
    entry, span = int(plan.choice[j]), slice(int(plan.run_ptr[j]), int(plan.run_ptr[j + 1]))
    if entry < 0:
        return 0.0
    slots, shares = plan.run_slot[span], (plan.run_full + plan.run_eco)[span]
    late = sum(float(share) for slot, share in zip(slots, shares, strict=True) if slot >= case.soft[j])
    if case.typ[j] == RIGID:
        late = max(0.0, float(slots[-1] + 1 - case.soft[j]))
    return float(case.ec[entry] + late * case.wt[j])


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_earlier_plan_is_a_fractional_plan(seed: int) -> None:
    """Shares of classes, load, use and own costs of the price search are those of the plan, job by job."""
    case = make_case(replace(MEDIUM, jobs=40, templates=7), seed)
    plan = first_fit(case)
    dual, k = _priced(case, plan), Dual(case).classes
    assert len(k.first) < case.J
    primal = Primal(case, dual, Tuning())
    lay(primal, plan)
    assert np.allclose(dual.load, primal.state.load)
    assert np.allclose(dual.use, primal.state.use[: len(dual.use)])  # size rows follow
    runs = plan.choice >= 0
    own = np.array([counted_own(case, plan, j) for j in range(case.J)])
    assert np.allclose(own_costs(case, plan), own)
    assert np.allclose(own[runs], primal.state.own[runs])
    assert dual.own.sum() == pytest.approx(own.sum())
    assert dual.dropx.sum() == pytest.approx((~runs).sum())
    assert np.allclose(np.add.reduceat(np.append(dual.y, 0.0), k.ep[:-1])[np.diff(k.ep) > 0] + dual.dropx, k.count)


@given(seed=st.integers(0, 1000), share=st.sampled_from([0.0, 0.1, 0.4, 1.0]))
@settings(max_examples=12, deadline=None)
def test_plan_after_news_is_valid(seed: int, share: float) -> None:
    """An event, another forecast and new jobs: the warm plan keeps every rule and its bound is true, in next to no time."""
    case = make_case(replace(MEDIUM, jobs=60), seed)
    before = solve_case(case, LargeLimits(0.1))
    news = perturbed(case, before.solution, seed, share)
    warm = warm_of(case, before.dual, before.solution)
    solved(news.case, 0.1, 0.0, warm=warm, names=news.names)


def test_nothing_new_is_never_worse() -> None:
    """Without news the plan in force and its bound are there at once, in no time at all."""
    case = make_case(MEDIUM, 4)
    before = solved(case, 1.0)
    again = solved(case, 0.0, warm=warm_of(case, before.dual, before.solution))
    assert again.objective <= before.objective + 1e-6
    assert again.bound >= Dual(case).evaluate(Dual(case).lam, Dual(case).mu)
    assert again.dual.sweeps == 0


def _after_news(seed: int) -> tuple[Primal, Solution]:
    """A search that begins with an earlier plan, and that plan, after much has changed."""
    case = make_case(replace(MEDIUM, jobs=60), seed)
    before = solve_case(case, LargeLimits(0.1))
    news = perturbed(case, before.solution, seed, 0.2)
    warm = warm_of(case, before.dual, before.solution)
    placed = warm.placed(news.case, news.names)
    dual = Dual(news.case)
    start_prices(dual, warm, placed)
    return Primal(news.case, dual, USUAL), placed


def _never_near(_: float) -> bool:
    """No plan is good enough, nor nearly."""
    return False


@pytest.fixture
def patient() -> Iterator[None]:
    """Soft limits whatever carrying over took: a busy machine is no reason to fail."""
    with patch.object(replan, "SOFTEN", 0.0):
        yield


@pytest.mark.usefixtures("patient")
@given(seed=st.integers(0, 1000))
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_soft_limits_never_make_a_plan_worse(seed: int) -> None:
    """Prices are driven and the plan goes through soft limits again: valid and never dearer, and all other settings stay."""
    primal, placed = _after_news(seed)
    primal.tuning, end, bound = STRICT, time.perf_counter() + 1.5, primal.dual.bound
    assert begin_again(primal, placed, end, 0.0, _never_near, silent)
    carried = primal.objective
    assert primal.dual.sweeps > 0
    assert primal.dual.bound >= bound
    go_on(primal, end, never, silent, soften=True)
    assert primal.tuning == replace(STRICT, tracked=replan.TRACKED, cleans=replan.CLEANS)
    assert primal.objective <= carried + 1e-9
    verdict = check_case(primal.dual.case, primal.solution())
    assert not verdict.findings
    assert verdict.objective_eur == pytest.approx(primal.objective, rel=1e-6)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(("within", "cooled"), [(1.6, 0), (1.4, 1), (0.9, 0)])
def test_a_plan_that_is_nearly_good_enough_cools_down_first(monkeypatch: pytest.MonkeyPatch, within: float, cooled: int) -> None:
    """Within one and a half times the asked gap it cools down first; farther away it does not, and within it nothing is done."""
    primal, placed = _after_news(4)
    passed: list[float] = []
    monkeypatch.setattr(replan, "refine", lambda *given_: passed.append(given_[1]))
    soften = begin_again(primal, placed, time.perf_counter() + 3.0, 0.0, lambda times: within <= times, silent)
    assert len(passed) == cooled
    assert soften is (within > 1.0)


def test_cooling_down_leaves_the_settings() -> None:
    """Its temperatures are its own: what comes after has the usual ones."""
    primal, placed = _after_news(6)
    begin_again(primal, placed, time.perf_counter(), 0.0, _never_near, silent)
    heats: list[float] = []
    with patch.object(Primal, "exact", lambda self, *_: heats.append(self.tuning.exact_hot)):
        replan.refine(primal, time.perf_counter() + 60.0, never, silent)
    assert heats == [replan.EXACT_HOT]
    assert primal.tuning is USUAL


def test_soft_limits_without_time_leave_the_plan_as_it_is() -> None:
    """Time that ran out while prices were driven: the plan carried over is still there, and nothing is broken."""
    primal, placed = _after_news(5)
    begin_again(primal, placed, time.perf_counter() + 1.0, 0.0, _never_near, silent)
    carried = primal.objective
    go_on(primal, time.perf_counter() - 1.0, never, silent, soften=True)
    assert primal.objective <= carried
    assert not check_case(primal.dual.case, primal.solution()).findings


def test_a_plan_is_not_softened_where_no_time_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """With all time gone for carrying over, or a plan that is good enough, no price moves and the plan only cools down."""
    primal, placed = _after_news(3)
    assert not begin_again(primal, placed, time.perf_counter(), 0.0, _never_near, silent)
    carried: list[Solution] = []
    monkeypatch.setattr(replan, "carry_over", lambda _primal, plan, *_rest: carried.append(plan))
    assert not begin_again(primal, placed, time.perf_counter() + 600.0, 0.0, lambda _: True, silent)
    assert carried == [placed]
    assert primal.dual.sweeps == 0
    go_on(primal, time.perf_counter(), never, silent, soften=False)
    assert primal.tuning is USUAL


def test_prices_prove_what_they_proved() -> None:
    """The bound of the earlier prices on the same case is there before the first sweep."""
    case = make_case(MEDIUM, 5)
    before = solved(case, 1.0)
    dual = Dual(case)
    start_prices(dual, warm_of(case, before.dual, before.solution), before.solution)
    assert dual.evaluate(*before.dual.best) == pytest.approx(dual.bound, rel=1e-9)


def test_jobs_are_known_by_their_names() -> None:
    """Jobs in another order, one gone and one new: the others keep their places, the new one has none."""
    case = with_jobs(tiny(), {"p": 1}, {"p": 2}, {"p": 1})
    warm = known(case, decided((0, [3]), (1, [1, 2]), (2, [0])), ("a", "b", "c"))
    other = with_jobs(tiny(), {"p": 1}, {"p": 1}, {"p": 2})
    placed = warm.placed(other, ("c", "new", "b"))
    assert placed.choice.tolist() == [0, -1, 2]
    assert placed.run_slot.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "changed",
    [{"p": 2}, {"rel": 3, "entries": [(0, 0.0, 3, -1), (1, 0.0, 3, -1)]}, {"dl": 2}, {"entries": [(1, 0.0, 0, -1)]}],
    ids=["more work", "later", "earlier deadline", "other sites"],
)
def test_place_that_a_job_may_not_have_any_more_is_given_up(changed: dict[str, object]) -> None:
    """Other work, another window, another site: the job has no place, the one beside it keeps its own."""
    case = with_jobs(tiny(sites=2), {"entries": TWO}, {"entries": TWO})
    warm = known(case, decided((0, [2]), (2, [2])))
    placed = warm.placed(with_jobs(tiny(sites=2), {"entries": TWO} | changed, {"entries": TWO}), ("0", "1"))
    assert placed.choice[0] == -1
    assert case.es[warm.site[1]] == 0
    assert placed.run_slot.tolist() == [2]


def test_kinds_that_changed_give_up_what_they_may_not_do() -> None:
    """Pieces are nothing for a rigid job, slow shares nothing for a whole one; too little work is no place."""
    soft = with_jobs(tiny(), {"typ": 1, "p": 2}, {"typ": 2, "p": 2}, {"typ": 2, "p": 2})
    plan = decided((0, [0, 2]), (1, [0, 1, 2], [0.5, 0.5, 0.3], [0.5, 0.5, 0.0]), (2, [1, 2], [1.0, 1.0], [0.0, 0.0]))
    warm = known(soft, plan)
    assert same(warm.placed(soft, job_numbers(soft)), plan)
    hard = with_jobs(tiny(), {"p": 2}, {"typ": 1, "p": 3}, {"typ": 2, "p": 3})
    assert warm.placed(hard, job_numbers(hard)).choice.tolist() == [-1, -1, -1]


def test_cheapest_entry_at_the_site_is_taken() -> None:
    """A job with two ways to be at its site takes the one with the lower fixed cost."""
    case = with_jobs(tiny(), {"entries": [(0, 0.5, 0, -1), (0, 0.2, 0, -1)]})
    assert known(case, decided((0, [1]))).placed(case, ("0",)).choice.tolist() == [1]


@given(one=st.integers(0, 20), two=st.integers(0, 20), slots=st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_shifting_twice_is_shifting_once(one: int, two: int, slots: int) -> None:
    """Two steps of time are one long one for the places; what began before the new start keeps the rest of its slots."""
    case = make_case(replace(MEDIUM, jobs=30), 3)
    warm = known(case, first_fit(case))
    twice, once = warm.shifted(one, case.T).shifted(two, slots), warm.shifted(one + two, slots)
    for name in ("site", "run_ptr", "run_slot", "run_full", "run_eco"):
        assert np.array_equal(getattr(twice, name), getattr(once, name)), name
    assert once.lam.shape == (case.S, slots)
    assert once.mu.shape == (case.cap.shape[0], case.S, slots)
    assert once.run_slot.min(initial=0) >= 0
    assert once.run_slot.max(initial=0) < slots


def test_new_slots_have_the_prices_of_a_day_before() -> None:
    """48 half hours, moved by 10: the last 10 slots are those of the same clock time; half a day knows only its last slot."""
    case = make_case(replace(MEDIUM, jobs=5, slots=48), 1)
    warm = known(case, first_fit(case))
    moved = warm.shifted(10)
    assert np.array_equal(moved.lam[:, :38], warm.lam[:, 10:])
    assert np.array_equal(moved.lam[:, 38:], warm.lam[:, :10])
    short = make_case(replace(MEDIUM, jobs=5, slots=24), 1)
    held = known(short, first_fit(short)).shifted(20)
    assert np.array_equal(held.lam[:, 4:], np.repeat(known(short, first_fit(short)).lam[:, 23:], 20, axis=1))
    for gone, slots in ((-1, 5), (3, 0)):
        with pytest.raises(ValueError, match="cannot begin"):
            warm.shifted(gone, slots)


def test_moved_horizon_is_planned_warm() -> None:
    """The rest of a case, planned from the whole one's prices and places: valid, with jobs where they were."""
    case = with_jobs(tiny(slots=6, pi=[[0.5, 0.5, 0.1, 0.2, 0.3, 0.9]]), {"p": 1}, {"p": 2}, {"p": 1, "dl": 1})
    before = solved(case, 0.2)
    rest = with_jobs(tiny(slots=5, pi=[[0.5, 0.1, 0.2, 0.3, 0.9]]), {"p": 1}, {"p": 2})
    warm = warm_of(case, before.dual, before.solution).shifted(1, 5)
    after = solved(rest, 0.0, warm=warm)
    assert after.solution.run_slot.tolist() == [1, 1, 2]


def test_names_must_be_one_a_job() -> None:
    """Too few names, or one twice, cannot say which job is which."""
    case = with_jobs(tiny(), {}, {})
    for names in (("a",), ("a", "a")):
        with pytest.raises(ValueError, match="for 2 jobs"):
            known(case, decided((0, [0]), (1, [1])), names)


def test_another_grid_is_refused() -> None:
    """Prices of a case with other slots, or with longer ones, say nothing."""
    case = make_case(MEDIUM, 4)
    warm = known(case, first_fit(case))
    for other in (make_case(replace(MEDIUM, slots=24), 4), replace(case, dt=1.0)):
        with pytest.raises(ValueError, match="same sites, slots and resources"):
            solve_case(other, LargeLimits(0.1), warm=warm)


def test_jobs_that_nobody_knows_are_planned_from_nothing() -> None:
    """With no job of before left, only the prices are warm, and the plan is as good as one from nothing."""
    case = make_case(Size("fresh", 60, 3, 24, 1.0, None, 10.0, 0), 6)
    before = solved(case, 0.5)
    names = tuple(f"other {j}" for j in range(case.J))
    after = solved(case, 1.0, warm=warm_of(case, before.dual, before.solution), names=names)
    assert after.objective <= before.objective * 1.05
    assert (after.solution.choice >= 0).any()
