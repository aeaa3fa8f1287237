"""Directions of batteries: never both in one slot, as cheap as the exact model, and within the time that is given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.horizon import FloatArray
from scheduler.optimiser.large.case import Case
from scheduler.optimiser.large.energy import LEAST_BINARY_SECONDS, EnergyBlock
from scheduler.optimiser.plain import solve_plain
from scheduler.plan import SolveStatus
from tests.cases import tiny


def paid(slots: int = 8, seed: int = 0) -> Case:
    """Two batteries with losses, import paid for in about half of the slots, little export."""
    rng = np.random.default_rng(seed)
    pi = rng.uniform(-0.4, 0.4, (2, slots))
    return tiny(
        sites=2, slots=slots, pi=pi, po=pi - 0.05, gmax=4.0, emax=1.0, E=2.0, Pc=2.0, Pd=2.0, soc0=1.0, eta_c=0.8, eta_d=0.8,
        wear=0.01,
    )  # fmt: skip


def block_of(case: Case) -> EnergyBlock:
    """All sites of the case."""
    return EnergyBlock(case, np.arange(case.S), np.full((case.S, case.T), np.inf), feeders=False)


def nothing(case: Case) -> FloatArray:
    """No job runs."""
    return np.zeros((case.S, case.T))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_settled_energy_costs_what_the_exact_model_says(seed: int) -> None:
    """No battery is used both ways, and no directions are cheaper (the model of ``plain``, which has a binary for each slot)."""
    case = paid(seed=seed)
    block = block_of(case)
    value, flows = block.settled(nothing(case), 60.0)
    assert not block.both_ways(flows)
    truth = solve_plain(case, 60.0)
    assert truth.status is SolveStatus.OPTIMAL
    assert value == pytest.approx(truth.objective, rel=1e-4, abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_kept_directions_are_a_plan_and_leave_no_trace(seed: int) -> None:
    """What they cost is not below the programme, which is afterwards as it was."""
    case = paid(seed=seed)
    block = block_of(case)
    value, flows = block.fix_load(nothing(case))
    found, slots = block._one_way(flows)
    assert block.fix_load(nothing(case))[0] == pytest.approx(value)
    assert slots.any() == block.both_ways(flows)
    if found is not None:
        assert not block.both_ways(found.flows)
        assert found.value >= value - 1e-9


def test_the_limit_counts_from_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block that has solved for minutes gets the same time as a new one: HiGHS' limit is one of the run."""
    case = next(case for case in (paid(seed=seed) for seed in range(100)) if _needs_binaries(case))
    block = block_of(case)
    for _ in range(300):
        block.fix_load(nothing(case))
    assert block._solver.getRunTime() > 0.0
    monkeypatch.setattr(type(block._solver), "getRunTime", lambda _self: 3600.0)
    block.settled(nothing(case), 2.0)
    assert LEAST_BINARY_SECONDS <= block._solver.getOptionValue("time_limit")[1] <= 2.0


def test_without_time_for_binaries_the_kept_directions_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Binaries that find nothing lose nothing: the plan is the one with the directions kept."""
    case = next(case for case in (paid(seed=seed) for seed in range(100)) if _needs_binaries(case))
    block = block_of(case)
    kept = block._one_way(block.fix_load(nothing(case))[1])[0]
    assert kept is not None
    monkeypatch.setattr(EnergyBlock, "_with_binaries", lambda *_: None)
    value, flows = block.settled(nothing(case), 2.0)
    assert value == pytest.approx(kept.value)
    assert not block.both_ways(flows)


def _needs_binaries(case: Case) -> bool:
    """Whether keeping directions costs something, and can be done."""
    block = block_of(case)
    value, flows = block.fix_load(nothing(case))
    kept = block._one_way(flows)[0]
    return kept is not None and kept.value > value + 1e-3
