"""First come, first served: against a slow plain account, and every job's part of the energy against the meter."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.horizon import Horizon
from grid.series import Series
from scheduler.sleep import Sleep
from sim.energy_core.fifo import FifoRun, run_fifo
from sim.energy_core.layout import MeteredSite
from sim.energy_core.meter import meter_sites
from sim.energy_core.nodes import NodeKind, PowerCurve
from sim.energy_core.shares import attribute
from sim.world.flows import FLOWS
from sim.world.meter import SiteMeter
from tests.factory import START, site

LOAD = FLOWS.index("load_kwh")


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace as it was drawn: run times by kind, infinite where a job may not run."""

    kinds: tuple[NodeKind, ...]
    submission_s: list[float]
    nodes: list[int]
    duration_s: list[list[float]]
    node_kw: list[list[float]]

    def run(self, **more: float) -> FifoRun:
        """By the energy core."""
        return run_fifo(self.kinds, self.submission_s, self.duration_s, self.nodes, self.node_kw, **more)


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    """Up to 25 jobs on up to 3 kinds of nodes, some of which sleep; times in whole seconds."""
    sleeps = st.one_of(
        st.none(),
        st.builds(
            Sleep,
            st.sampled_from([0.0, 60.0, 900.0]),
            st.sampled_from([0.0, 0.01]),
            st.sampled_from([0.0, 7.0, 100.0]),
            st.sampled_from([0.0, 0.09]),
            st.sampled_from([0.0, 30.0]),
            st.sampled_from([0.05, 0.3]),
        ),
    )
    kinds = tuple(
        NodeKind(f"kind-{k}", draw(st.integers(1, 4)), PowerCurve.linear(draw(st.sampled_from([0.0, 0.1])), 0.5), draw(sleeps))
        for k in range(draw(st.integers(1, 3)))
    )
    widest = max(kind.count for kind in kinds)
    home = next(k for k, kind in enumerate(kinds) if kind.count == widest)
    moments, widths, durations, powers, moment = [], [], [], [], 0.0
    for _ in range(draw(st.integers(1, 25))):
        moment += draw(st.sampled_from([0.0, 1.0, 50.0, 700.0, 5000.0]))
        moments.append(moment)
        widths.append(draw(st.integers(1, widest)))
        row = [draw(st.sampled_from([1.0, 40.0, 600.0, 4000.0, math.inf])) for _ in kinds]
        row[home] = 300.0 if math.isinf(row[home]) else row[home]
        durations.append(row)
        powers.append([draw(st.sampled_from([0.0, 0.2, 0.5])) for _ in kinds])
    return Trace(kinds, moments, widths, durations, powers)


@dataclass(slots=True)
class Account:
    """What the plain account finds: times and energy of each job, energy of free nodes, end."""

    times: list[tuple[float, float, float]]
    own_kwh: list[float]
    free_kwh: float
    end_s: float


def plain(trace: Trace) -> Account:
    """The same trace node by node, with nothing clever: all nodes are looked at for every job."""
    free_from = [[0.0] * kind.count for kind in trace.kinds]
    times: list[tuple[float, float, float]] = []
    own: list[float] = []
    free_kwh, clock = 0.0, 0.0
    for submitted, width, durations, powers in zip(trace.submission_s, trace.nodes, trace.duration_s, trace.node_kw, strict=True):
        clock = max(clock, submitted)
        usable = [k for k, kind in enumerate(trace.kinds) if math.isfinite(durations[k]) and kind.count >= width]
        moments = sorted({clock, *(at for row in free_from for at in row if at > clock)})
        clock, k = next((at, k) for at in moments for k in usable if sum(since <= at for since in free_from[k]) >= width)
        kind = trace.kinds[k]
        order = sorted((i for i, since in enumerate(free_from[k]) if since <= clock), key=lambda i: -free_from[k][i])[:width]
        ready, energy = [], 0.0
        for i in order:
            pause = clock - free_from[k][i]
            free_kwh += kind.rest_kwh(pause)
            wait = 0.0
            if kind.sleep is not None and pause > kind.sleep.after_s:
                lying = max(0.0, kind.sleep.after_s + kind.sleep.down_s - pause)
                wait = lying + kind.sleep.up_s
                energy += (lying * kind.sleep.down_kw + kind.sleep.up_s * kind.sleep.up_kw) / 3600.0
            ready.append(clock + wait)
        begin = max(ready)
        energy += sum((begin - at) * kind.idle_kw for at in ready) / 3600.0
        energy += width * powers[k] * durations[k] / 3600.0
        for i in order:
            free_from[k][i] = begin + durations[k]
        times.append((clock, begin, begin + durations[k]))
        own.append(energy)
    end = max(stop for _, _, stop in times)
    for kind, row in zip(trace.kinds, free_from, strict=True):
        free_kwh += sum(kind.rest_kwh(end - since) for since in row)
    return Account(times, own, free_kwh, end)


@given(traces())
def test_the_event_loop_agrees_with_a_plain_account(trace: Trace) -> None:
    """When each job gets its nodes, begins and ends; its energy; the energy of free nodes: to 1e-9 of a slow account."""
    found, wanted = trace.run(), plain(trace)
    assert np.column_stack((found.granted_s, found.start_s, found.end_s)) == pytest.approx(np.array(wanted.times), rel=1e-12)
    assert found.own_kwh == pytest.approx(np.array(wanted.own_kwh), rel=1e-9, abs=1e-12)
    hours = np.diff(found.edges_s) / 3600.0
    assert float((found.free_kw * hours).sum()) == pytest.approx(wanted.free_kwh, rel=1e-9, abs=1e-9)
    assert float((found.held_kw * hours).sum()) == pytest.approx(sum(wanted.own_kwh), rel=1e-9, abs=1e-9)
    assert found.edges_s[-1] == wanted.end_s


@given(traces())
def test_nobody_overtakes_and_no_node_serves_two(trace: Trace) -> None:
    """Grants come in the order of submission and never before it; no kind ever has more held nodes than nodes."""
    found = trace.run()
    assert (np.diff(found.granted_s) >= 0).all()
    assert (found.granted_s >= trace.submission_s).all()
    assert (found.start_s >= found.granted_s).all()
    for k, kind in enumerate(trace.kinds):
        mine = found.kind == k
        for moment in found.granted_s[mine]:
            there = mine & (found.granted_s <= moment) & (moment < found.end_s)
            assert int(found.nodes[there].sum()) <= kind.count
    assert found.held.min() >= 0
    assert found.held[-1] > 0  # the account ends when the last job does


@given(traces(), st.sampled_from([1.0, 1.3]), st.sampled_from([0.0, 2.0]), st.sampled_from([0.0, 20_000.0]))
def test_parts_of_jobs_add_up_to_the_meter(trace: Trace, pue: float, overhead_kw: float, later_s: float) -> None:
    """Own, shared and nobody's energy make up what the world's meter and the core count as load, to 1e-9."""
    run = trace.run(least_end_s=later_s)
    shares = attribute(run, pue=pue, overhead_kw=overhead_kw)
    assert min(shares.own_kwh.min(), shares.shared_kwh.min(), shares.nobody_kwh) >= -1e-12
    horizon = Horizon(START, timedelta(seconds=1), int(run.edges_s[-1]))
    held, free = run.series(horizon)
    place = replace(site(Horizon(START, timedelta(seconds=horizon.slots), 1), "hall", nodes=0), pue=pue, overhead_kw=overhead_kw)
    core = meter_sites([MeteredSite(place, it_kw=held, idle_it_kw=free)], horizon)
    assert shares.total_kwh == pytest.approx(core.totals_kwh[0, LOAD], rel=1e-9)
    meter = SiteMeter(place, horizon, (), 0.0, float(free.values[0]))
    for at, power, idle in zip(held.edges_s[:-1] - horizon.start_s, held.values, free.values, strict=True):
        meter.set_it_kw(float(at), float(power), float(idle))
    meter.meter_to(float(horizon.slots))
    flows, _ = meter.energies(np.array([horizon.start_s, horizon.end_s]))
    assert float(shares.job_kwh.sum()) + shares.nobody_kwh == pytest.approx(float(flows[LOAD, 0]), rel=1e-9)


def test_three_jobs_by_hand() -> None:
    """Two nodes: the wide job waits for both, the third waits behind it all the same; overhead is split by nodes."""
    kinds = [NodeKind("host", 2, PowerCurve.linear(0.1, 0.5))]
    run = run_fifo(kinds, [0.0, 10.0, 20.0], [3600.0, 1800.0, 3600.0], [1, 2, 1], least_end_s=10_800.0)
    assert run.granted_s == pytest.approx([0.0, 3600.0, 5400.0])
    assert run.end_s == pytest.approx([3600.0, 5400.0, 9000.0])
    assert run.own_kwh == pytest.approx([0.5, 0.5, 0.5])
    shares = attribute(run, pue=1.5, overhead_kw=1.0)
    assert shares.own_kwh == pytest.approx([0.75, 0.75, 0.75])
    assert shares.shared_kwh == pytest.approx([1.0 + 0.15, 0.5, 1.0 + 0.15])  # the idle node beside it, 0.1 kW times PUE
    assert shares.nobody_kwh == pytest.approx(0.5 * (1.0 + 1.5 * 0.2))
    assert shares.total_kwh == pytest.approx(3.0 + 1.5 * (1.5 + 0.2 + 0.1))


def test_a_sleeping_node_by_hand() -> None:
    """Idle for a minute, 10 s on its way down, asleep; a job waits 30 s for it and pays; longer while it is going down."""
    kinds = [NodeKind("host", 1, PowerCurve.linear(0.1, 0.5), Sleep(60.0, 0.01, 10.0, 0.2, 30.0, 0.4))]
    run = run_fifo(kinds, [1000.0, 1200.0], [100.0, 100.0])
    assert run.start_s == pytest.approx([1030.0, 1230.0])
    free_kws = (60 * 0.1 + 10 * 0.2 + 930 * 0.01) + (60 * 0.1 + 10 * 0.2)
    assert float((run.free_kw * np.diff(run.edges_s)).sum()) == pytest.approx(free_kws)
    assert run.own_kwh * 3600 == pytest.approx([30 * 0.4 + 50, 30 * 0.4 + 50])
    early = run_fifo(kinds, [64.0], [100.0])
    assert early.start_s == pytest.approx([64.0 + 6.0 + 30.0])
    assert early.own_kwh * 3600 == pytest.approx([6 * 0.2 + 30 * 0.4 + 50])


def test_the_first_kind_with_room_is_taken_at_its_own_speed() -> None:
    """The fast kind first, then the slow one; a job that may not run on the fast kind leaves it alone."""
    kinds = [NodeKind("fast", 1, PowerCurve.linear(0.1, 1.0)), NodeKind("slow", 2, PowerCurve.linear(0.05, 0.3))]
    run = run_fifo(kinds, [0.0, 0.0, 0.0], [[100.0, 300.0], [math.inf, 300.0], [100.0, 300.0]])
    assert run.kind.tolist() == [0, 1, 1]
    assert run.end_s == pytest.approx([100.0, 300.0, 300.0])
    assert run.own_kwh * 3600 == pytest.approx([100.0, 90.0, 90.0])


def test_what_cannot_be_run_is_refused_all_at_once() -> None:
    """Every fault in one error, with how many jobs have it and the first of them."""
    kinds = [NodeKind("host", 2, PowerCurve.linear(0.1, 0.5))]
    with pytest.raises(ValueError, match=r"2 jobs submitted before the job above it \(the first: 1, 2\)") as caught:
        run_fifo(kinds, [5.0, 1.0, -2.0, 7.0], [1.0, 0.0, 1.0, 1.0], [1, 3, 0, 1], [0.1, 0.1, 0.1, -1.0])
    for words in (
        "before the start",
        "without a node",
        "without a positive run time",
        "power that is negative",
        "no kind of node to fit on",
    ):
        assert words in str(caught.value)
    with pytest.raises(ValueError, match="0 jobs on 1 kinds"):
        run_fifo(kinds, [], [])
    with pytest.raises(ValueError, match="duration_s has the shape"):
        run_fifo(kinds, [0.0, 1.0], [1.0, 1.0, 1.0])
    run = run_fifo(kinds, [0.0], [1.0])
    with pytest.raises(ValueError, match="PUE is at least 1"):
        attribute(run, pue=0.9)
    with pytest.raises(ValueError, match="account ends after 1 s"):
        run.series(Horizon(START, timedelta(seconds=2), 1))


def test_moments_that_unix_seconds_cannot_tell_apart_fall_together() -> None:
    """Two jobs a tenth of a microsecond apart: the series has ascending edges and the power after both."""
    kinds = [NodeKind("host", 2, PowerCurve.linear(0.0, 0.5))]
    run = run_fifo(kinds, [100.0, 100.0 + 1e-7], [500.0, 800.0])
    held, _ = run.series(Horizon(START, timedelta(seconds=600), 1))
    assert isinstance(held, Series)
    assert held.values.tolist() == pytest.approx([0.0, 1.0, 0.5])
