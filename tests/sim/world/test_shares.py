"""Whose energy the load was: by hand, and in random worlds with jobs, transfers, sleep and caps, to 1e-9 of the meter."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.build import build_problem
from scheduler.outcome import Attribution, EnergyShare
from scheduler.placement import assign_nodes
from scheduler.plan import Run, Transfer
from scheduler.policies.registry import POLICIES
from scheduler.scenario import ErrorModel
from scheduler.sleep import Sleep
from sim.rehearsal import realise
from tests.factory import small_scenario
from tests.sim.hand import EXACT, hand_plan

SLEEP = Sleep(600.0, 0.01, 60.0, 0.12, 300.0, 0.3)


def parts_of(found: Attribution | None, site: str) -> tuple[float, float]:
    """Sum of the parts of one site, and its meter."""
    assert found is not None
    mine = [share for share in found.shares if share.site == site]
    own = sum(share.own_kwh + share.shared_kwh for share in mine)
    return own + found.nobody_kwh[site] + found.assets_kwh[site], found.load_kwh[site]


def share_of(found: Attribution | None, name: str, site: str) -> EnergyShare:
    """The share of one job or migration."""
    assert found is not None
    return next(share for share in found.shares if (share.name, share.site) == (name, site))


def test_two_jobs_and_a_transfer_by_hand() -> None:
    """Two nodes of four for two hours beside one node for one: 1.2 x 0.4 kW a node each, 0.58 kW of the rest by nodes."""
    scenario = small_scenario(errors=EXACT)
    runs = (
        Run("render", "hall", 0, 3, ("hall.rack-0", "hall.rack-1")),
        Run("nightly", "hall", 1, 2, ("hall.rack-2",)),
    )
    move = Transfer("scans", "scans", "hall", "vault", 0, 4, 500.0)
    found = realise(scenario, hand_plan(scenario, runs, (move,)), 1).attribution
    rest_kw = 0.1 + 1.2 * 0.4
    render, nightly = share_of(found, "render", "hall"), share_of(found, "nightly", "hall")
    assert render.own_kwh == pytest.approx(3 * 1.2 * 0.8)
    assert nightly.own_kwh == pytest.approx(1.2 * 0.4)
    assert render.shared_kwh == pytest.approx(rest_kw * (2 + 2 / 3))
    assert nightly.shared_kwh == pytest.approx(rest_kw / 3)
    scans = share_of(found, "scans", "vault")
    assert scans.own_kwh == pytest.approx(4 * 1.2 * 0.1)
    assert scans.shared_kwh == 0.0
    assert found is not None
    assert found.nobody_kwh["hall"] == pytest.approx(21 * rest_kw)


@settings(max_examples=15)
@given(
    st.sampled_from(["fifo", "wait_for_sun"]),
    st.integers(0, 1000),
    st.booleans(),
    st.floats(0.2, 1.0),
    st.floats(0.0, 0.5),
    st.integers(0, 2),
)
def test_parts_add_up_to_every_meter(policy: str, seed: int, stressed: bool, low: float, loss: float, outages: int) -> None:
    """Whatever fails, is lost, shared, asleep or late: at every site the parts are the meter's load to 1e-9 kWh."""
    errors = ErrorModel(
        load_sigma=0.1,
        command_loss=loss,
        link_rate_low=low,
        outages_per_year=200.0 * outages,
        outage_minutes=30.0,
        node_failures=2,
    )
    base = small_scenario(errors=errors)
    sites = tuple(replace(one, nodes=tuple(replace(group, sleep=SLEEP) for group in one.nodes)) for one in base.sites)
    scenario = replace(base, sites=sites, rehearsal=replace(base.rehearsal, mains_outages=outages))
    plan = assign_nodes(scenario, POLICIES[policy]().plan(build_problem(scenario)))
    outcome = realise(scenario, plan, seed, stressed=stressed)
    for s, site in enumerate(outcome.sites):
        total, meter = parts_of(outcome.attribution, site)
        assert total == pytest.approx(meter, abs=1e-9)
        assert meter == pytest.approx(float(outcome.energy.load_kwh[s].sum()), abs=1e-9)


def test_lost_commands_come_later_and_from_the_seed() -> None:
    """With every second command lost a job starts a whole number of repetitions late, the same at the same seed."""
    scenario = small_scenario(errors=replace(EXACT, command_loss=0.5, command_repeat_s=60.0))
    plan = hand_plan(scenario, (Run("render", "hall", 1, 4, ("hall.rack-0", "hall.rack-1")),))
    delays = []
    for seed in (*range(20), 3):
        started = next(job.started for job in realise(scenario, plan, seed).jobs if job.job == "render")
        assert started is not None
        delays.append((started - scenario.horizon.time(1)).total_seconds())
    assert all(delay >= 0 and delay % 60 == pytest.approx(0.0, abs=1e-6) for delay in delays)
    assert delays[3] == delays[20]
    assert len(set(delays)) > 1
