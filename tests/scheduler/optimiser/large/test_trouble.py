"""Numerical trouble on the energy side: solved afresh, and told when nothing helps."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from grid.errors import SolverError
from scheduler.optimiser.large.energy import AFRESH, TROUBLE, EnergyBlock
from tests.cases import tiny

OPTIONS = ("presolve", "simplex_strategy", "solver")


class Troubled:
    """HiGHS, but for the first ``times`` runs its status is ``status``, whatever it found; keeps each run's options."""

    def __init__(self, solver: Any, times: int, status: str) -> None:
        self._solver, self._left, self._status = solver, times, status
        self.runs: list[dict[str, object]] = []

    def __getattr__(self, name: str) -> Any:
        told = {"getModelStatus": self._status_now, "modelStatusToString": self._words}
        return told[name] if name in told else getattr(self._solver, name)

    def run(self) -> None:
        """Solve."""
        self._left -= 1
        self.runs.append({name: self._solver.getOptionValue(name)[1] for name in OPTIONS})
        self._solver.run()

    def _status_now(self) -> Any:
        """The status, or trouble."""
        return SimpleNamespace(name=self._status) if self._left >= 0 else self._solver.getModelStatus()

    def _words(self, status: Any) -> str:
        """What HiGHS calls it."""
        return "in trouble" if isinstance(status, SimpleNamespace) else str(self._solver.modelStatusToString(status))


def block() -> tuple[EnergyBlock, np.ndarray, float]:
    """Two sites with batteries, prices of load, and what they are worth by the solver itself."""
    rng = np.random.default_rng(5)
    case = tiny(sites=2, slots=12, pi=rng.uniform(0.1, 0.4, (2, 12)), E=2.0, Pc=1.0, Pd=1.0, eta_c=0.9, eta_d=0.9, gmax=9.0)
    made = EnergyBlock(case, np.arange(2), np.full((2, 12), 3.0), feeders=False)
    lam = rng.uniform(0.0, 0.6, (2, 12))
    return made, lam, made.price_load(lam)[0]


@pytest.mark.parametrize("status", TROUBLE)
@pytest.mark.parametrize("times", range(1, len(AFRESH) + 1))
def test_trouble_is_solved_afresh_by_other_ways_and_leaves_no_option_behind(times: int, status: str) -> None:
    """As many ways as needed, each with its own options; the value is the optimum."""
    made, lam, value = block()
    usual = {name: made._solver.getOptionValue(name)[1] for name in OPTIONS}
    troubled = Troubled(made._solver, times, status)
    made._solver = troubled
    assert made.price_load(lam)[0] == pytest.approx(value, rel=1e-9)
    assert troubled.runs == [usual] + [usual | options for options in AFRESH[:times]]
    assert {name: troubled.getOptionValue(name)[1] for name in usual} == usual
    assert made.price_load(0.5 * lam)[0] == pytest.approx(block()[0].price_load(0.5 * lam)[0], rel=1e-9)


def test_trouble_that_no_way_solves_is_told() -> None:
    """With the sites and the words of HiGHS."""
    made, lam, _ = block()
    made._solver = Troubled(made._solver, len(AFRESH) + 1, "kUnknown")
    with pytest.raises(SolverError, match=r"the energy side of sites \[0, 1\]: in trouble"):
        made.price_load(lam)


def test_an_answer_that_is_no_trouble_is_not_asked_again() -> None:
    """No programme is infeasible by bad luck: it is told at once."""
    made, lam, _ = block()
    troubled = Troubled(made._solver, 1, "kInfeasible")
    made._solver = troubled
    with pytest.raises(SolverError):
        made.price_load(lam)
    assert len(troubled.runs) == 1
