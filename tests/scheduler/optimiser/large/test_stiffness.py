"""How stiff prices are driven: firm at first, softer as they settle, and firm for capacity as long as jobs are dropped."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.optimiser.case_maker import make_case
from scheduler.optimiser.large.dual import FIRM, FIRM_SWEEPS, HEAD_START, SOFT, SOFT_SWEEPS, Dual
from scheduler.optimiser.large.replan import start_prices
from scheduler.optimiser.large.size_bound import SizeDual
from scheduler.optimiser.large.warm import warm_of
from tests.cases import first_fit
from tests.scheduler.optimiser.large.test_solve import MEDIUM


def _factors(dual: Dual) -> tuple[float, float]:
    """By how much load and use are softer than their full stiffness."""
    rho, use = dual.stiffness()
    for given_, full in ((rho, dual.rho), (use, dual.rho_use)):
        assert np.allclose(given_ / full, (given_ / full).flat[0])
    return float(rho[0] / dual.rho[0]), float(use[0, 0] / dual.rho_use[0, 0])


def test_prices_become_softer() -> None:
    """From the firm factor to the soft one, by a constant ratio in between."""
    dual = Dual(make_case(MEDIUM, 1))
    dual.dropx[:] = 0.0
    seen = []
    for sweeps in (0, FIRM_SWEEPS, (FIRM_SWEEPS + SOFT_SWEEPS) // 2, SOFT_SWEEPS, 10 * SOFT_SWEEPS):
        dual.sweeps = sweeps
        seen.append(_factors(dual))
    assert seen == [pytest.approx((f, f)) for f in (FIRM, FIRM, (FIRM * SOFT) ** 0.5, SOFT, SOFT)]


def test_scarce_capacity_stays_firm() -> None:
    """Prices of capacity have their full stiffness while more than one job in 2,000 is dropped; those of load have not."""
    dual = Dual(make_case(MEDIUM, 1))
    dual.sweeps = SOFT_SWEEPS
    dual.dropx[:] = 0.001
    assert _factors(dual) == pytest.approx((SOFT, 1.0))
    dual.dropx[:] = 0.0002
    assert _factors(dual) == pytest.approx((SOFT, SOFT))


def test_a_warm_start_begins_softer() -> None:
    """Prices that were right count as swept already, and so do those with size rows that go on from them."""
    case = make_case(MEDIUM, 1)
    plan = first_fit(case)
    dual = Dual(case)
    start_prices(dual, warm_of(case, Dual(case), plan), plan)
    dual.dropx[:] = 0.0
    part = (HEAD_START - FIRM_SWEEPS) / (SOFT_SWEEPS - FIRM_SWEEPS)
    assert _factors(dual)[0] == pytest.approx(FIRM * (SOFT / FIRM) ** part)
    assert dual.kept() == 0.8
    assert _factors(SizeDual(dual))[0] == pytest.approx(_factors(dual)[0])


@given(seed=st.integers(0, 1000))
@settings(max_examples=8, deadline=None)
def test_a_sweep_moves_prices_by_that_stiffness(seed: int) -> None:
    """The multiplier of load rises by the stiffness of the sweep times what the jobs use beyond what is served."""
    dual = Dual(make_case(MEDIUM, seed))
    for _ in range(3):
        before, (rho, use) = dual.lam.copy(), dual.stiffness()
        capacity = dual.mu.copy()
        dual.step()
        assert np.allclose(dual.lam, before + rho[:, None] * (dual.load - dual.served))
        assert np.allclose(dual.mu, np.maximum(0.0, capacity + use[:, :, None] * (dual.use - dual.case.cap)))
