"""The compiled energy side of one site against scipy: what it serves for a wanted load minimises the smoothed cost."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from scheduler.optimiser.large.case import Case
from scheduler.optimiser.large.prox import serve
from tests.cases import tiny

Reals = npt.NDArray[np.float64]
RHO = 0.3
SLOTS = 5
PIECES = 400
"""Pieces of the parabola in the linear programme that stands for the exact answer."""


@st.composite
def sites(draw: st.DrawFn) -> tuple[Case, Reals, Reals]:
    """One site with sun, export, perhaps an event and a battery; a price and a wanted load."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    price = rng.uniform(0.05, 0.5, (1, SLOTS))
    battery = draw(st.booleans())
    size = rng.uniform(1.0, 4.0)
    case = tiny(
        slots=SLOTS,
        a=rng.uniform(0.2, 2.0, (1, SLOTS)),
        pue=rng.uniform(1.0, 1.5, (1, SLOTS)),
        ren=rng.uniform(0.0, 3.0, (1, SLOTS)) * (rng.random((1, SLOTS)) < 0.5),
        gmax=rng.uniform(3.0, 6.0, (1, 1)),
        emax=rng.choice([0.0, 1.5]),
        pi=price,
        po=price * rng.uniform(0.0, 0.9),
        E=size * battery,
        Pc=size * rng.choice([0.3, 1.0]),
        Pd=size * rng.choice([0.3, 1.0]),
        soc0=0.5 * size * battery,
        soc_min=0.1 * size * battery,
        eta_c=0.9,
        eta_d=0.9,
        wear=rng.choice([0.0, 0.03]),
    )
    return case, rng.uniform(0.0, 0.8, (1, SLOTS)), rng.uniform(0.0, 3.0, (1, SLOTS))


def served(case: Case, lam: Reals, wanted: Reals, most: float) -> tuple[Reals, Reals]:
    """Served load and battery power of the compiled code, ``[T]`` kW."""
    shape = (1, case.T)
    price, load, battery, value = (np.empty(shape) for _ in range(4))
    never = np.full(shape, np.inf)
    serve(
        case.dt, case.a, case.pue, case.ren, case.gmax, case.emax, case.pi, case.po, never, np.zeros(shape), case.unserved,
        np.array([1e6]), np.zeros(1), case.E, case.soc_min, case.Pc, case.Pd, case.eta_c, case.eta_d, case.wear, case.soc0,
        case.soc_end, lam, np.array([RHO]), wanted, np.full(shape, most), price, load, battery, value[0],
    )  # fmt: skip
    return load[0], battery[0]


def smoothed(case: Case, lam: Reals, wanted: Reals, most: float, load: Reals | None = None) -> float:
    """Least smoothed cost by a linear programme with a parabola of many pieces (a lower bound of it); for ``load`` if given."""
    slots = case.T
    size = 9 * slots
    at = dict(
        zip(("imp", "exp", "ren", "uns", "ch", "dis", "soc", "load", "over"), np.arange(size).reshape(9, slots), strict=True)
    )
    cost = np.zeros(size)
    cost[at["imp"]], cost[at["exp"]] = case.pi[0], -case.po[0]
    cost[at["uns"]], cost[at["load"]], cost[at["over"]] = case.unserved[0], -lam[0], 1.0
    cost[at["ch"]] = cost[at["dis"]] = case.wear[0] / 2
    has = float(case.E[0] > 0)
    low, high = np.zeros(size), np.full(size, np.inf)
    for name, limit in (("imp", case.gmax[0]), ("exp", case.emax[0]), ("ren", case.ren[0]), ("load", most)):
        high[at[name]] = limit
    high[at["ch"]], high[at["dis"]], high[at["soc"]] = case.Pc[0] * has, case.Pd[0] * has, case.E[0]
    low[at["soc"]] = case.soc_min[0]
    low[at["soc"][-1]] = max(case.soc_min[0], case.soc_end[0])
    if load is not None:
        low[at["load"]] = high[at["load"]] = load
    equal, right = np.zeros((2 * slots, size)), np.zeros(2 * slots)
    for t in range(slots):
        for name, sign in (("imp", 1.0), ("exp", -1.0), ("ren", 1.0), ("uns", 1.0), ("ch", -1.0), ("dis", 1.0)):
            equal[t, at[name][t]] = sign
        equal[t, at["load"][t]], right[t] = -case.pue[0, t], case.a[0, t]
        row = slots + t
        equal[row, at["soc"][t]] = 1.0
        equal[row, at["ch"][t]], equal[row, at["dis"][t]] = -case.eta_c[0], 1.0 / case.eta_d[0]
        if t:
            equal[row, at["soc"][t - 1]] = -1.0
        else:
            right[row] = case.soc0[0]
    above, most_rows = [], []
    if load is None:
        for t in range(slots):
            for point in np.linspace(0.0, most, PIECES):  # tangents of rho / 2 (load - wanted)^2
                off = point - wanted[0, t]
                row_above = np.zeros(size)
                row_above[at["load"][t]], row_above[at["over"][t]] = RHO * off, -1.0
                above.append(row_above)
                most_rows.append(RHO * off * point - RHO / 2 * off * off)
    answer = linprog(
        cost,
        np.array(above) if above else None,
        np.array(most_rows) if above else None,
        equal,
        right,
        np.column_stack((low, high)),
    )
    assert answer.status == 0, answer.message
    smooth = 0.0 if load is None else float(RHO / 2 * ((load - wanted[0]) ** 2).sum())
    return float(answer.fun) + smooth


@settings(max_examples=30)
@given(sites())
def test_served_load_is_the_cheapest(given_site: tuple[Case, Reals, Reals]) -> None:
    """The exact cost of what is served is that of the linear programme whose pieces lie at or below the parabola."""
    case, lam, wanted = given_site
    most = 4.0
    load, battery = served(case, lam, wanted, most)
    assert (load >= -1e-9).all()
    assert (load <= most + 1e-9).all()
    assert (battery <= case.Pc[0] + 1e-9).all()
    assert (battery >= -case.Pd[0] - 1e-9).all()
    least = smoothed(case, lam, wanted, most)
    cost = smoothed(case, lam, wanted, most, load)
    assert cost >= least - 1e-6
    assert cost <= least + 2e-3 * max(1.0, abs(least))


def test_site_without_battery_serves_until_the_price_is_met() -> None:
    """Price 0.5 of power that costs 0.2: ``rho`` times what is served above the wanted 1 kW equals the difference."""
    case = tiny(slots=1, a=0.0, pi=0.2)
    load, battery = served(case, np.array([[0.5]]), np.array([[1.0]]), 10.0)
    assert load[0] == pytest.approx(1.0 + 0.3 / RHO)
    assert battery[0] == 0.0


@pytest.mark.parametrize("prices", [[0.1, 0.9], [12.0, 90.0], [-40.0, -6.0], [300.0, 2500.0]])
def test_stored_energy_may_be_worth_any_price(prices: list[float]) -> None:
    """Charge in the cheap hour, discharge in the dear one, as full at the end as at the start, whatever a kWh costs."""
    case = tiny(slots=2, a=2.0, pi=[prices], po=-5000.0, unserved=5000.0, E=4.0, Pc=1.0, Pd=1.0, soc0=2.0)
    _, battery = served(case, np.zeros((1, 2)), np.zeros((1, 2)), 0.0)
    assert battery == pytest.approx([1.0, -1.0], abs=1e-5)
