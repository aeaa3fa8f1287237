"""The independent check of what was agreed on jobs, tenants and feeders: a good plan passes, each altered one is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from scheduler.facility import FeederLine
from scheduler.outcome import ViolationKind
from scheduler.plan import Dropped, Plan, Reason, ReasonKind, Run
from scheduler.scenario import Scenario
from scheduler.workload import JobKind, PowerCap, Tenant
from scheduler.world import JobState, Observation
from sim.plan_check import check_plan
from tests.factory import START, small_scenario
from tests.sim.hand import good_plan, good_runs, good_transfers, hand_plan

K = ViolationKind


def with_job(name: str, **changes: Any) -> Scenario:
    """The small scenario with one job changed."""
    scenario = small_scenario()
    return replace(scenario, jobs=tuple(replace(job, **changes) if job.name == name else job for job in scenario.jobs))


def kinds(scenario: Scenario, plan: Plan) -> set[ViolationKind]:
    """Kinds of the violations found."""
    return {violation.kind for violation in check_plan(scenario, plan)}


def train_in(*pieces: tuple[int, int]) -> tuple[Run, ...]:
    """The good runs with ``train`` in these pieces."""
    rest = tuple(run for run in good_runs() if run.job != "train")
    return rest + tuple(Run("train", "hall", start, end, ("hall.rack-2",)) for start, end in pieces)


def paced(*runs: Run) -> tuple[Scenario, Plan]:
    """``train`` (5 h of work) as a malleable job with one cap, and a plan of these runs of it."""
    scenario = with_job("train", kind=JobKind.MALLEABLE, power_caps=(PowerCap(0.5, 0.4),))
    rest = tuple(run for run in good_runs() if run.job != "train")
    return scenario, hand_plan(scenario, rest + runs, good_transfers())


FULL = Run("train", "hall", 8, 12, ("hall.rack-2",))
SLOW = Run("train", "hall", 12, 14, ("hall.rack-2",), 0.5, 0.4, 1.0)


@pytest.mark.parametrize(
    ("slow", "expected"),
    [
        (SLOW, set()),
        (replace(SLOW, start=13, end=14, speed=0.75, power=0.7), {K.WINDOW}),  # a mix of both modes, but not all the work
        (replace(SLOW, power=0.3), {K.PACE}),  # half of the work for less than the cap needs
        (replace(SLOW, power=0.6), {K.PACE}),  # more power than any mix of the modes gives at that speed and use
        (replace(SLOW, use=1.1, speed=0.55, power=0.44), {K.PACE}),  # more than the whole slot
    ],
)
def test_pace(slow: Run, expected: set[ViolationKind]) -> None:
    """4 h at full speed and 2 h at half do the 5 h; less work, another curve, or more than a slot are refused."""
    scenario, plan = paced(FULL, slow)
    assert kinds(scenario, plan) == expected


def test_only_malleable_jobs_have_a_pace() -> None:
    """A rigid job at half speed is refused, whatever its power."""
    scenario = small_scenario()
    runs = tuple(replace(run, speed=0.5, power=0.5, use=0.5) if run.job == "render" else run for run in good_runs())
    assert K.PACE in kinds(scenario, hand_plan(scenario, runs, good_transfers()))


def test_load_follows_the_pace() -> None:
    """A plan that counts full power for a slow piece has a load that its jobs do not cause."""
    scenario, plan = paced(FULL, SLOW)
    wrong = hand_plan(scenario, tuple(replace(run, speed=1.0, power=1.0) for run in plan.runs), good_transfers())
    assert kinds(scenario, replace(plan, energy=wrong.energy)) == {K.ENERGY_BALANCE}


@pytest.mark.parametrize(
    ("terms", "pieces", "expected"),
    [
        ({"min_run": timedelta(hours=2)}, ((8, 11), (13, 15)), set()),
        ({"min_run": timedelta(hours=2)}, ((8, 12), (13, 14)), {K.PIECES}),  # the last piece is too short
        ({"min_run": timedelta(minutes=61)}, ((8, 12), (13, 14)), {K.PIECES}),  # rounded up to two slots
        ({"min_gap": timedelta(hours=2)}, ((8, 11), (13, 15)), set()),
        ({"min_gap": timedelta(hours=2)}, ((8, 11), (12, 14)), {K.PIECES}),  # one hour of pause
        ({"min_run": timedelta(hours=5)}, ((8, 11), (11, 13)), set()),  # two runs, one piece
    ],
)
def test_pieces(terms: dict[str, timedelta], pieces: tuple[tuple[int, int], ...], expected: set[ViolationKind]) -> None:
    """Least lengths of pieces and pauses of the interruptible job."""
    scenario = with_job("train", **terms)
    assert kinds(scenario, hand_plan(scenario, train_in(*pieces), good_transfers())) == expected


def test_order() -> None:
    """``transcode`` (12 to 14) may come after ``index`` (10 to 12) but not after ``train`` (until 15), nor a dropped job."""
    assert kinds(with_job("transcode", after=("index",)), good_plan(small_scenario())) == set()
    assert kinds(with_job("transcode", after=("train",)), good_plan(small_scenario())) == {K.ORDER}
    scenario = with_job("transcode", after=("nightly",))
    runs = tuple(run for run in good_runs() if run.job != "nightly")
    plan = hand_plan(scenario, runs, good_transfers())
    assert kinds(scenario, plan) == {K.ORDER}
    both = tuple(run for run in runs if run.job != "transcode")
    assert kinds(scenario, hand_plan(scenario, both, good_transfers())) == set()


def test_order_in_a_plan_of_the_rest() -> None:
    """What was done before the observation has ended; what had begun need not wait any more."""
    scenario = with_job("transcode", after=("nightly", "backup"))
    seen = Observation(12, scenario.horizon.time(12), frozenset({"nightly", "index", "render", "train"}), (), {}, {}, {}, {})
    rest = scenario.horizon.tail(12)
    runs = (Run("transcode", "hall", 0, 2, ("hall.rack-0",)),)
    plan = hand_plan(scenario, runs, (replace(good_transfers()[0], start=1, end=3),), horizon=rest)
    assert {violation.kind for violation in check_plan(scenario, plan, seen)} == {K.ORDER}  # backup is neither done nor run
    done = replace(seen, finished=seen.finished | {"backup"})
    assert check_plan(scenario, plan, done) == ()


def test_tenant_share() -> None:
    """Two gang nodes and one more at slot 9 are three of four: within 75 %, not within half."""
    scenario = small_scenario()
    jobs = tuple(replace(job, tenant="t" if job.name in {"render", "train"} else None) for job in scenario.jobs)
    for share, expected in ((0.75, set()), (0.5, {K.TENANT_SHARE})):
        limited = replace(scenario, jobs=jobs, tenants=(Tenant("t", share),))
        assert kinds(limited, good_plan(limited)) == expected


def test_malleable_jobs_of_a_tenant_count_with_their_share() -> None:
    """Before nodes are assigned, half of a slot counts as half of the cores."""
    scenario, plan = paced(FULL, replace(SLOW, start=12, end=14, speed=0.5, power=0.5, use=0.5))
    runs = tuple(replace(run, nodes=()) for run in plan.runs)
    shares = replace(
        scenario,
        jobs=tuple(replace(job, tenant="t" if job.name == "train" else None) for job in scenario.jobs),
        tenants=(Tenant("t", 0.25),),
    )
    assert kinds(shares, replace(plan, runs=runs)) == set()
    assert kinds(replace(shares, tenants=(Tenant("t", 0.2),)), replace(plan, runs=runs)) == {K.TENANT_SHARE}


@pytest.mark.parametrize(
    ("name", "terms", "owed_eur"),
    [
        ("render", {"due": START + timedelta(hours=10), "late_eur_per_h": 2.0}, 4.0),  # rigid, ends at 12
        ("train", {"due": START + timedelta(hours=10), "late_eur_per_h": 2.0}, 6.0),  # of 8-11 and 13-15 three slots after 10
        ("train", {"due": START + timedelta(hours=10, minutes=30), "late_eur_per_h": 2.0}, 6.0),  # inside a slot: from its start
    ],
)
def test_lateness_must_be_counted(name: str, terms: dict[str, Any], owed_eur: float) -> None:
    """A plan may be late when its objective counts it, and not when it counts less."""
    scenario = with_job(name, **terms)
    plan = good_plan(scenario)
    assert kinds(scenario, replace(plan, breakdown_eur={"lateness": owed_eur})) == set()
    assert kinds(scenario, replace(plan, breakdown_eur={"lateness": owed_eur - 0.01})) == {K.NOT_COUNTED}


def test_restarts_must_be_counted() -> None:
    """``train`` runs in two pieces: one restart."""
    scenario = with_job("train", restart_eur=3.0)
    plan = good_plan(scenario)
    assert kinds(scenario, replace(plan, breakdown_eur={"fixed": 3.0})) == set()
    assert kinds(scenario, replace(plan, breakdown_eur={"fixed": 2.9})) == {K.NOT_COUNTED}


@pytest.mark.parametrize(
    ("move_eur", "fixed_eur", "expected"),
    [(None, 5.0, {K.TWO_SITES}), (5.0, 5.0, set()), (5.0, 0.0, {K.NOT_COUNTED})],
)
def test_a_started_job_moves_at_its_price(move_eur: float | None, fixed_eur: float, expected: set[ViolationKind]) -> None:
    """``train`` began in the hall; a plan of the rest may have it in the cabinet only when that has a price, which is counted."""
    scenario = with_job("train", sites=("cabinet", "hall"), move_eur=move_eur)
    done = frozenset({"index", "render", "backup", "nightly", "transcode"})
    state = JobState("train", "hall", ("hall.rack-2",), 2, running=True)
    seen = Observation(12, scenario.horizon.time(12), done, (state,), {}, {}, {}, {})
    runs = (Run("train", "cabinet", 1, 3, ("cabinet.rack-0",)),)
    moves = (replace(good_transfers()[0], start=1, end=3),)
    plan = hand_plan(scenario, runs, moves, horizon=scenario.horizon.tail(12))
    plan = replace(plan, breakdown_eur={"fixed": fixed_eur})
    assert {violation.kind for violation in check_plan(scenario, plan, seen)} == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda feeder, _: feeder, set()),
        (lambda feeder, head: replace(feeder, limit_kw=head - 0.01), {K.FEEDER}),
        (
            lambda feeder, head: replace(feeder, drop_pu_per_kw=(0.06 / head, 0.0)),
            {K.FEEDER},
        ),  # 0.06 pu at the first site already
    ],
)
def test_feeder(change: Callable[[FeederLine, float], FeederLine], expected: set[ViolationKind]) -> None:
    """Hall and vault behind one transformer: the sum of their net imports, in either direction, and the voltage drop."""
    scenario = small_scenario()
    plan = good_plan(scenario)
    net = (plan.energy.import_kw - plan.energy.export_kw)[1:].sum(axis=0)
    head = float(abs(net).max())
    feeder = change(FeederLine("street", ("hall", "vault"), head, (0.04 / head, 0.0), 0.05), head)
    assert kinds(replace(scenario, feeders=(feeder,)), plan) == expected


def test_successor_dropped_with_a_reason_passes() -> None:
    """A dropped job that others come after is no fault when these are dropped too."""
    scenario = with_job("transcode", after=("nightly",))
    runs = tuple(run for run in good_runs() if run.job not in {"nightly", "transcode"})
    plan = hand_plan(scenario, runs, good_transfers())
    told = tuple(Dropped(item.name, Reason(ReasonKind.AFTER, "comes after a job that is not run")) for item in plan.dropped)
    assert kinds(scenario, replace(plan, dropped=told)) == set()
