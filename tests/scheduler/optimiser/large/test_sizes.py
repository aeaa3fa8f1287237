"""Size rows: true for every plan that keeps capacity, and only for sizes that matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.optimiser.case_maker import make_case
from scheduler.optimiser.large.case import MALLEABLE
from scheduler.optimiser.large.sizes import LEAST_PART, MOST_ROWS, with_size_rows
from tests.scheduler.optimiser.large.test_solve import MEDIUM


@given(seed=st.integers(0, 10_000), site=st.integers(0, 2), tries=st.integers(1, 200))
@settings(max_examples=60, deadline=None)
def test_rows_hold_where_capacity_holds(seed: int, site: int, tries: int) -> None:
    """Any set of whole jobs that fits into a site and slot keeps every size row there."""
    case = make_case(MEDIUM, seed)
    wide = with_size_rows(case).case
    rng = np.random.default_rng(seed)
    site, slot = site % case.S, int(rng.integers(case.T))
    chosen: list[int] = []
    for j in rng.permutation(case.J)[:tries]:
        if case.typ[j] != MALLEABLE and (case.res[[*chosen, int(j)]].sum(axis=0) <= case.cap[:, site, slot]).all():
            chosen.append(int(j))
    assert (wide.res[chosen].sum(axis=0) <= wide.cap[:, site, slot] + 1e-9).all()


def test_two_large_jobs_do_not_share_a_slot() -> None:
    """A size above half of the site has a row that lets one of them in, where capacity alone is kept on average by 1.9."""
    case = make_case(MEDIUM, 0)
    typ, res = np.zeros_like(case.typ), np.zeros_like(case.res)
    res[:, 0], res[0, 0] = 1.0, 16.0
    sizes = with_size_rows(replace(case, typ=typ, res=res, cap=np.full_like(case.cap, 30.0)))
    row = len(case.cap) + int(np.flatnonzero(sizes.size == 16.0)[0])
    assert sizes.case.res[0, row] == 1.0
    assert not sizes.case.res[1:, row].any()
    assert (sizes.case.cap[row] == 1.0).all()
    assert sizes.part[row - len(case.cap)] == 16.0 / 30.0
    assert 1.0 not in sizes.size  # 1 of 30 is below the least part: no row
    assert LEAST_PART * 30.0 > 1.0


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_few_rows_and_the_resources_stay(seed: int) -> None:
    """At most a few rows a resource; the resources themselves stay first and as they were; malleable jobs count in no row."""
    case = make_case(MEDIUM, seed)
    sizes = with_size_rows(case)
    resources = len(case.cap)
    assert len(sizes.case.cap) == resources + len(sizes.size) == sizes.case.res.shape[1]
    assert (np.bincount(sizes.resource, minlength=resources) <= MOST_ROWS).all()
    assert np.array_equal(sizes.case.cap[:resources], case.cap)
    assert np.array_equal(sizes.case.res[:, :resources], case.res)
    assert not sizes.case.res[case.typ == MALLEABLE, resources:].any()
    prices = np.arange(1.0, resources + 1.0)
    assert np.array_equal(sizes.extended(prices, 2)[resources:], prices[sizes.resource] * sizes.size**2)
    assert not sizes.padded(case.cap)[resources:].any()


def test_no_whole_job_no_row() -> None:
    """Malleable jobs alone need none: their shares fill what is left."""
    case = make_case(MEDIUM, 0)
    sizes = with_size_rows(replace(case, typ=np.full_like(case.typ, MALLEABLE)))
    assert len(sizes.size) == 0
    assert sizes.case.cap.shape == case.cap.shape
