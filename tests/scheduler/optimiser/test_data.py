"""Migrations in the plan: required moves, staging copies, shared links, jobs after their data."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from scheduler.build import build_problem
from scheduler.data import Dataset, Tier
from scheduler.optimiser.policy import MilpPolicy
from scheduler.policies.registry import POLICIES
from tests.factory import START, job, small_scenario
from tests.scheduler.checks import check_plan


def test_job_waits_for_its_data() -> None:
    """A job at the vault that reads the dataset that moves there starts after the last transfer, in every policy."""
    scenario = small_scenario(jobs=(job("verify", sites=("vault",), inputs=("scans",), duration_h=1),))
    problem = build_problem(scenario)
    for maker in POLICIES.values():
        plan = maker().plan(problem)
        check_plan(problem, plan)
        assert plan.runs[0].start >= max(piece.end for piece in plan.transfers)


def test_staging_opens_only_when_it_pays() -> None:
    """A stageable input is copied to the only site that can run the job, and not at all when the job can run at home."""
    photos = Dataset("photos", Tier.HOT, 0.4, ("cabinet",), ("cabinet", "hall"), stageable=True)
    far = small_scenario(datasets=(photos,), jobs=(job("index", sites=("hall",), inputs=("photos",)),))
    near = replace(far, jobs=(job("index", sites=("cabinet",), inputs=("photos",)),))
    for scenario, copies in ((far, 1), (near, 0)):
        problem = build_problem(scenario)
        for maker in POLICIES.values():
            plan = maker().plan(problem)
            check_plan(problem, plan)
            assert not plan.dropped
            assert len({piece.migration for piece in plan.transfers}) == copies


def test_transfers_share_a_link() -> None:
    """Two moves over one link that together need 8 h at full rate both arrive by their common deadline."""
    data = tuple(Dataset(name, Tier.FROZEN, 1.8, ("hall",), ("vault",), START + timedelta(hours=9)) for name in ("a", "b"))
    problem = build_problem(small_scenario(datasets=data, jobs=()))
    plan = MilpPolicy().plan(problem)
    check_plan(problem, plan)
    assert not plan.dropped
