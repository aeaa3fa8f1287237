"""Compile (or load from the cache) everything that a solve needs, before its clock starts."""

from __future__ import annotations

from functools import cache

import numpy as np

from scheduler.optimiser.large.case import Case
from scheduler.optimiser.large.dual import Dual
from scheduler.optimiser.large.primal import Primal
from scheduler.optimiser.large.replan import trial_pass
from scheduler.optimiser.large.tuning import Tuning


@cache
def compile_kernels() -> None:
    """Run every kernel once on three jobs at one site; the second call in a process does nothing.

    More than a minute when the sources are new to this machine, about a second when the cache has them.
    """
    case = _small_case()
    dual = Dual(case)
    dual.step()
    dual.evaluate(dual.lam, dual.mu)
    primal = Primal(case, dual, Tuning())
    primal.trial()
    trial_pass(primal)


def _small_case() -> Case:
    """One site with a battery, an event and a feeder; one job of each kind; one copy of a dataset."""
    slots, whole = 4, np.int64
    grid, each = np.ones((1, slots)), np.ones(1)
    return Case(
        name="small",
        dt=1.0,
        cap=np.full((1, 1, slots), 2.0),
        a=grid.copy(),
        pue=grid.copy(),
        ren=grid.copy(),
        E=2.0 * each,
        Pc=each.copy(),
        Pd=each.copy(),
        soc0=each.copy(),
        soc_min=0.0 * each,
        eta_c=0.95 * each,
        eta_d=0.95 * each,
        wear=0.02 * each,
        gmax=10.0 * grid,
        emax=10.0 * grid,
        pi=0.1 * grid,
        po=0.01 * grid,
        pk0=3.0 * each,
        dc=each.copy(),
        unserved=5.0 * each,
        dr_site=np.zeros(1, dtype=whole),
        dr_start=np.zeros(1, dtype=whole),
        dr_end=np.ones(1, dtype=whole),
        dr_limit_kw=each.copy(),
        dr_penalty=each.copy(),
        fid=np.zeros(1, dtype=whole),
        flim=100.0 * each,
        vco=0.001 * each,
        vtol=1.0,
        typ=np.array([0, 1, 2], dtype=whole),
        p=np.array([1, 2, 1], dtype=whole),
        rel=np.zeros(3, dtype=whole),
        dl=np.full(3, slots, dtype=whole),
        soft=np.full(3, 2, dtype=whole),
        wt=np.full(3, 0.01),
        res=np.ones((3, 1)),
        pw=np.ones(3),
        drop=np.full(3, 5.0),
        ep=np.arange(4, dtype=whole),
        es=np.zeros(3, dtype=whole),
        ec=np.zeros(3),
        ea=np.zeros(3, dtype=whole),
        em=np.array([0, -1, -1], dtype=whole),
        ms=np.zeros(1, dtype=whole),
        md=np.zeros(1, dtype=whole),
        mc=np.full(1, 0.01),
        mgb=each.copy(),
        gbmax=10.0 * each,
        after_ptr=np.array([0, 0, 0, 1], dtype=whole),
        after=np.zeros(1, dtype=whole),
    )
