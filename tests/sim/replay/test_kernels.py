"""Compiled choices against plain ones, on random jobs and signals."""

from __future__ import annotations

import heapq
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.replay.batch import Batch, whole
from sim.replay.kernels import CHEAPEST, SAVING_PER_TIME, area, best_begins, quantile_of_time
from sim.replay.kernels_capacity import area as area_of_capacity
from sim.replay.kernels_capacity import cheapest_fit, queued
from sim.replay.measure import best_contiguous, best_pieces, measure
from sim.replay.policies.easy import Easy
from sim.replay.policies.fifo import Fifo
from sim.replay.policies.greenslot import GreenSlot
from sim.replay.policies.milp import Milp
from sim.replay.policies.registry import POLICIES
from tests.sim.replay.hand import HOUR, ZERO, batch, signal

QUARTERS = 4
HOURS = 40

jobs = st.lists(
    st.tuples(
        st.integers(0, 10 * QUARTERS).map(lambda q: q / QUARTERS),
        st.integers(1, 6 * QUARTERS).map(lambda q: q / QUARTERS),
        st.integers(0, 10 * QUARTERS).map(lambda q: q / QUARTERS),
    ),
    min_size=1,
    max_size=6,
).map(sorted)
values = st.lists(st.integers(0, 30).map(float), min_size=HOURS, max_size=HOURS)


def plain_cost(series: list[float], begin_h: float, end_h: float) -> float:
    """Value hours between two quarters of an hour, quarter by quarter."""
    return sum(series[q // QUARTERS] for q in range(round(begin_h * QUARTERS), round(end_h * QUARTERS))) / QUARTERS


@given(jobs, values)
def test_best_run_is_the_best_of_all_quarters(made: list[tuple[float, float, float]], series: list[float]) -> None:
    """No begin on a quarter of an hour is cheaper, and the earliest of equal ones is taken."""
    runs = best_contiguous(batch(made, series), signal(series))
    for (arrival, length, wait), begin in zip(made, (runs.begin_s - ZERO) / HOUR, strict=True):
        tried = [arrival + q / QUARTERS for q in range(round(wait * QUARTERS) + 1)]
        costs = [plain_cost(series, at, at + length) for at in tried]
        assert plain_cost(series, begin, begin + length) == pytest.approx(min(costs))
        assert begin == pytest.approx(next(at for at, cost in zip(tried, costs, strict=True) if cost <= min(costs) + 1e-9))


@given(jobs, values)
def test_saving_per_time_is_the_best_of_all_quarters(made: list[tuple[float, float, float]], series: list[float]) -> None:
    """No begin on a quarter of an hour saves more for each hour until the end."""
    columns = np.array(made) * HOUR
    starts, steps, numbers, prefix = signal(series).arrays()
    found = best_begins(ZERO + columns[:, 0], columns[:, 1], columns[:, 2], 0.0, SAVING_PER_TIME, starts, steps, numbers, prefix)
    for (arrival, length, wait), begin in zip(made, (found - ZERO) / HOUR, strict=True):

        def rate(at: float, arrival: float = arrival, length: float = length) -> float:
            saved = plain_cost(series, arrival, arrival + length) - plain_cost(series, at, at + length)
            return saved / (at - arrival + length)

        assert rate(begin) == pytest.approx(max(rate(arrival + q / QUARTERS) for q in range(round(wait * QUARTERS) + 1)))


@given(jobs, values)
def test_offsets_are_kept_to(made: list[tuple[float, float, float]], series: list[float]) -> None:
    """With offsets of an hour, every begin is whole hours after the arrival and the cheapest of those."""
    columns = np.array(made) * HOUR
    found = best_begins(ZERO + columns[:, 0], columns[:, 1], columns[:, 2], HOUR, CHEAPEST, *signal(series).arrays())
    for (arrival, length, wait), begin in zip(made, (found - ZERO) / HOUR, strict=True):
        costs = [plain_cost(series, arrival + k, arrival + k + length) for k in range(int(wait) + 1)]
        assert plain_cost(series, begin, begin + length) == pytest.approx(min(costs))
        assert (begin - arrival) % 1 == pytest.approx(0.0)


@given(jobs, values)
def test_pieces_are_the_cheapest_quarters(made: list[tuple[float, float, float]], series: list[float]) -> None:
    """The pieces cost what the cheapest quarters of the window cost, lie in it, do not overlap, and are the whole job."""
    runs = best_pieces(batch(made, series), signal(series))
    assert runs.work_s(len(made)) == pytest.approx(np.array([length for _, length, _ in made]) * HOUR)
    for job, (arrival, length, wait) in enumerate(made):
        mine = runs.job == job
        begin, end = (runs.begin_s[mine] - ZERO) / HOUR, (runs.end_s[mine] - ZERO) / HOUR
        assert begin[0] >= arrival - 1e-9
        assert end[-1] <= arrival + length + wait + 1e-9
        assert (begin[1:] > end[:-1]).all()
        window = range(round(arrival * QUARTERS), round((arrival + length + wait) * QUARTERS))
        cheapest = sorted(series[q // QUARTERS] for q in window)[: round(length * QUARTERS)]
        cost = sum(plain_cost(series, low, high) for low, high in zip(begin, end, strict=True))
        assert cost == pytest.approx(sum(cheapest) / QUARTERS)


@given(st.integers(1, 4), st.integers(0, 3), values, st.floats(0.1, 1.0))
def test_stretched_pieces_are_the_best_of_all_choices(length: int, wait: int, series: list[float], parallel: float) -> None:
    """Of all ways to give each hour 0, 1 or 2 copies that do the work (with less in one hour), none emits less."""
    gain = np.diff(1 / (1 - parallel + parallel / np.arange(1, 3)), prepend=0.0)
    made = batch([(0.0, float(length), float(wait))], series)
    runs = best_pieces(made, made.carbon, gain)
    emitted = float((runs.scale * (made.carbon.integral(runs.end_s) - made.carbon.integral(runs.begin_s))).sum()) / HOUR
    hours = length + wait
    speed = np.concatenate(([0.0], np.cumsum(gain)))
    least = np.inf
    for copies in itertools.product(range(3), repeat=hours):
        work = sum(speed[c] for c in copies)
        carbon = sum(c * series[hour] for hour, c in enumerate(copies))
        for hour, c in enumerate(copies):  # one hour may hold its last copy for a part of the time
            spare = work - length
            if c and 0 <= spare <= gain[c - 1] + 1e-12:
                least = min(least, carbon - spare / gain[c - 1] * series[hour])
    assert emitted == pytest.approx(least, abs=1e-6)


@pytest.mark.slow
@given(jobs, values)
def test_no_policy_beats_its_bound(made: list[tuple[float, float, float]], series: list[float]) -> None:
    """Every policy without stretching emits at least its bound, does all the work, and begins nobody before the arrival."""
    bundle = batch(made, series, price=series, mean_h=1.0)
    for policy in POLICIES.values():
        runs = policy.runs(bundle)
        figures = measure(bundle, runs, np.ones(len(made)))
        assert (runs.begin_s >= bundle.arrival_s[runs.job] - 1e-6).all(), policy.name
        assert set(runs.job) == set(range(len(made))), policy.name
        if policy.name == "carbonscaler":
            continue
        assert runs.work_s(len(made)) == pytest.approx(bundle.length_s), policy.name
        assert figures.deadline_misses == 0, policy.name
        bound = figures.bound_interruptible if policy.pauses else figures.bound_contiguous
        if figures.carbon_relative is not None and bound is not None:
            assert figures.carbon_relative >= bound - 1e-9, policy.name
            assert figures.bound_interruptible is not None
            assert figures.bound_interruptible <= bound + 1e-9


def plain_queue(made: list[tuple[float, float]], widths: list[float], machines: int) -> list[float]:
    """First come, first served, one job after the other."""
    running: list[tuple[float, float]] = []
    free, last = float(machines), 0.0
    found = []
    for (arrival, length), width in zip(made, widths, strict=True):
        now = max(arrival, last)
        while running and running[0][0] <= now:
            free += heapq.heappop(running)[1]
        while free < width:
            now, back = heapq.heappop(running)
            free += back
            while running and running[0][0] <= now:
                free += heapq.heappop(running)[1]
        found.append(now)
        free -= width
        heapq.heappush(running, (now + length, width))
        last = now
    return found


queues = st.lists(st.tuples(st.integers(0, 12), st.integers(1, 9), st.integers(1, 4)), min_size=1, max_size=12).map(sorted)


@given(queues)
def test_queue_is_that_of_a_plain_loop(made: list[tuple[int, int, int]]) -> None:
    """Begins without backfilling, one by one."""
    arrival, length, width = (np.array(column, dtype=np.float64) for column in zip(*made, strict=True))
    found = queued(arrival, length, width, 4.0, False)
    expected = plain_queue([(float(a), float(n)) for a, n, _ in made], [float(w) for *_, w in made], 4)
    assert found == pytest.approx(np.array(expected))


@given(queues)
def test_backfilling_never_exceeds_the_machine_nor_delays_the_first(made: list[tuple[int, int, int]]) -> None:
    """At most 4 processors; the first job that has to wait begins when it would without backfilling, or earlier."""
    arrival, length, width = (np.array(column, dtype=np.float64) for column in zip(*made, strict=True))
    easy, plain = queued(arrival, length, width, 4.0, True), queued(arrival, length, width, 4.0, False)
    assert (easy >= arrival).all()
    times = np.concatenate((easy, easy + length))
    change = np.concatenate((width, -width))
    assert np.cumsum(change[np.lexsort((change, times))]).max() <= 4.0
    delayed = np.flatnonzero(plain > arrival)
    if len(delayed):
        assert easy[delayed[0]] <= plain[delayed[0]] + 1e-9


@given(queues, values)
def test_cheapest_fit_is_the_cheapest_with_room(made: list[tuple[int, int, int]], series: list[float]) -> None:
    """Job after job against a plain search over hours; slots of an hour on 4 processors."""
    arrival, length, width = (np.array(column, dtype=np.float64) for column in zip(*made, strict=True))
    used = np.zeros(300)
    latest = ZERO + (arrival + 5) * HOUR
    order = np.arange(len(made))
    found = cheapest_fit(
        order, ZERO + arrival * HOUR, length * HOUR, latest, width, 4.0, ZERO, HOUR, used, *signal(series + [0.0] * 200).arrays()
    )
    taken = np.zeros(300)
    for job in range(len(made)):
        a, n, w = int(arrival[job]), int(length[job]), width[job]
        room = [s for s in range(a, 250) if taken[s : s + n].max() + w <= 4]
        inside = [s for s in room if s <= a + 5]
        costs = {s: sum((series + [0.0] * 300)[s : s + n]) for s in inside}
        begin = round((found[job] - ZERO) / HOUR)
        if inside:
            assert costs[begin] == pytest.approx(min(costs.values()))
        else:
            assert begin == room[0]
        taken[begin : begin + n] += w
    assert used == pytest.approx(taken)


@given(values, st.floats(0.0, 20.0), st.floats(0.5, 20.0), st.floats(0.05, 0.95))
def test_quantile_of_time(series: list[float], begin: float, span: float, share: float) -> None:
    """At least the share of the time is at or below it, and less than that strictly below it."""
    made = signal(series)
    low, high = ZERO + begin * HOUR, ZERO + (begin + span) * HOUR
    found = quantile_of_time(low, high, share, made.start_s, made.step_s, made.values)
    edges = np.unique(np.clip(np.concatenate(([low, high], made.start_s + HOUR * np.arange(HOURS + 1))), low, high))
    at = made.values[((edges[:-1] + 1e-6 - made.start_s) // HOUR).astype(int)]
    long = np.diff(edges)
    assert long[at <= found].sum() >= share * span * HOUR - 1e-3
    assert long[at < found].sum() < share * span * HOUR + 1e-3


@given(values, st.floats(-5.0, 50.0))
def test_both_areas_are_the_integral(series: list[float], hour: float) -> None:
    """Compiled integrals, and the vectorised one, before, in and after the signal."""
    made = signal(series)
    moment = ZERO + hour * HOUR
    expected = float(made.integral(np.array([moment]))[0])
    for compiled in (area, area_of_capacity):
        assert compiled(moment, *made.arrays()) == pytest.approx(expected, abs=1e-6)
    inside = min(max(hour, 0.0), float(HOURS))
    plain = sum(series[: int(inside)]) + (series[int(inside)] * (inside % 1) if inside < HOURS else 0.0)
    assert expected == pytest.approx(plain * HOUR, abs=1e-3)


@given(queues, values)
def test_placed_jobs_keep_to_the_machine(made: list[tuple[int, int, int]], series: list[float]) -> None:
    """greenslot, milp, easy and fifo never use more than the 4 processors there are."""
    rows = [(float(a), float(n), 5.0) for a, n, _ in made]
    bundle: Batch = batch(rows, series + [1.0] * 100, cpus=[float(w) for *_, w in made], machines=4)
    for policy in (GreenSlot(), Milp(slot_s=HOUR, block=5), Milp(slot_s=HOUR, choices=2), Easy(), Fifo()):
        runs = policy.runs(bundle)
        assert runs.peak(bundle.cpus) <= 4.0 + 1e-9, policy
        assert runs.work_s(len(made)) == pytest.approx(bundle.length_s), policy


def test_whole_runs_at_once() -> None:
    """The baseline of every figure."""
    made = batch([(0.0, 1.0, 0.0), (1.0, 2.0, 0.0)], [2, 4, 6])
    figures = measure(made, whole(made, made.arrival_s), np.array([1.0, 0.5]))
    assert figures.energy_kwh == pytest.approx(2.0)
    assert figures.carbon_kg == pytest.approx((2 + 0.5 * 10) / 1000)
    assert figures.carbon_relative == 1.0
    assert figures.cost is None
