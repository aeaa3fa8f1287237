"""Sweeps over the fractional plan keep the books, never make it dearer, and price entries as plain Python does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.optimiser.case_maker import Size, make_case
from scheduler.optimiser.large.case import INTERRUPTIBLE, RIGID, Case
from scheduler.optimiser.large.dual import Dual
from scheduler.optimiser.large.size_bound import SizeDual
from tests.cases import tiny, with_jobs
from tests.scheduler.optimiser.large.test_branch import counted_afresh

SMALL = Size("small", 40, 3, 24, 0.5, None, 10.0, 0)


def cost(dual: Dual, lam: np.ndarray, mu: np.ndarray, served: np.ndarray, firm: tuple[np.ndarray, np.ndarray]) -> float:
    """What a sweep of stiffness ``firm`` minimises here, where nobody needs a copy, EUR (head of ``fractional``)."""
    case = dual.case
    apart = dual.load - served
    stiff = firm[1][:, :, None]
    over = np.maximum(0.0, mu + stiff * (dual.use - case.cap))
    scarce = float(((over**2 - mu**2) / (2.0 * stiff)).sum())
    own = float(dual.own.sum() + (dual.dropx * case.drop[dual.classes.first]).sum())
    return own + float((lam * apart + 0.5 * firm[0][:, None] * apart**2).sum()) + scarce


@pytest.mark.parametrize("sized", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_books_are_kept_and_a_sweep_never_costs_more(seed: int, sized: bool) -> None:
    """After each of 25 sweeps: loads by a fresh count, whole classes, and no more than before at the multipliers of before."""
    case = make_case(SMALL, seed)
    case.em[:] = -1
    base = Dual(case, seed=seed)
    base.step()
    dual = SizeDual(base, seed) if sized else base
    assert not sized or len(dual.case.cap) > len(case.cap)
    k, gained = dual.classes, 0.0
    for _ in range(25):
        lam, mu, served = dual.lam.copy(), dual.mu.copy(), dual.served.copy()
        firm = dual.stiffness()
        before = cost(dual, lam, mu, served, firm)
        dual.step()
        after = cost(dual, lam, mu, served, firm)
        assert after <= before + 1e-9 * max(1.0, abs(before))
        gained += before - after
        load, use = counted_afresh(dual)
        assert np.allclose(dual.load, load, atol=1e-7)
        assert np.allclose(dual.use, use, atol=1e-7)
        for c, count in enumerate(k.count):
            assert dual.y[k.ep[c] : k.ep[c + 1]].sum() + dual.dropx[c] == pytest.approx(count, abs=1e-7)
    assert gained > 0.0


def by_hand(case: Case, job: int, lam: np.ndarray, mu: np.ndarray) -> float:
    """Cost of the best response of a job of one core at site 0, tried slot by slot: those without room for it are closed."""
    need, work = case.res[job, 0], int(case.p[job])
    price = [case.pw[job] * lam[0, t] + need * mu[0, 0, t] if need <= case.cap[0, 0, t] + 1e-9 else np.inf for t in range(case.T)]
    if case.typ[job] == RIGID:
        return float(min(sum(price[a : a + work]) for a in range(case.T - work + 1)))
    return float(sum(sorted(price)[:work]))


@settings(max_examples=60)
@given(
    st.sampled_from([RIGID, INTERRUPTIBLE]),
    st.integers(1, 4),
    st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.0]), min_size=6, max_size=6),
    st.lists(st.floats(-1.0, 1.0), min_size=6, max_size=6),
    st.lists(st.floats(0.0, 1.0), min_size=6, max_size=6),
)
def test_entries_cost_what_trying_costs(kind: int, work: int, cap: list[float], lam: list[float], mu: list[float]) -> None:
    """Slots that have no room for a job of two cores are closed; the others cost their power and their core."""
    case = with_jobs(tiny(slots=6, cap=[[cap]]), {"typ": kind, "p": work, "res": 2.0, "pw": 3.0})
    dual = Dual(case)
    prices = np.array([lam]), np.array([[mu]])
    dual.evaluate(*prices)
    assert float(dual.cost[0]) == pytest.approx(by_hand(case, 0, *prices))
