"""Compiled code is there before any test that has little time: compiling must not eat a time limit."""

from __future__ import annotations

import pytest

from scheduler.optimiser.large.solve import LargeLimits, solve_case
from tests.cases import tiny, with_jobs


@pytest.fixture(scope="session", autouse=True)
def compiled() -> None:
    """Every kernel is compiled, by a case with a job of each kind, a battery and copies of a dataset."""
    case = tiny(E=4.0, Pc=2.0, Pd=2.0, soc0=2.0, ms=[0], md=[0], mc=[0.1], mgb=[10.0])
    jobs = [{"typ": kind, "p": 2, "entries": [(0, 0.0, 0, kind - 1 if kind < 2 else -1)]} for kind in range(3)]
    solve_case(with_jobs(case, *jobs), LargeLimits(1.0, 0.0))
