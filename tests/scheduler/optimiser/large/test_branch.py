"""Branching on sites: what it proves is true, it proves what prices cannot, and it ends when asked."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest

from grid.horizon import FloatArray
from scheduler.optimiser.case_maker import make_case
from scheduler.optimiser.large import beside as beside_module
from scheduler.optimiser.large.beside import Beside
from scheduler.optimiser.large.branch import LOOKS, Node, Tree
from scheduler.optimiser.large.case import Case
from scheduler.optimiser.large.dual import Dual
from scheduler.optimiser.large.size_bound import SizeDual
from tests.cases import tiny, with_jobs
from tests.scheduler.optimiser.large.test_bound import known
from tests.scheduler.optimiser.large.test_solve import MEDIUM


def never() -> bool:
    """Nobody asks to stop."""
    return False


def priced(case: Case, sweeps: int = 40) -> Dual:
    """Prices of ``case`` after some sweeps, size rows included where there are some."""
    dual = Dual(case)
    for _ in range(sweeps):
        dual.step()
    dual.evaluate(dual.mean_lam, dual.mean_mu)
    sized = SizeDual(dual)
    if not sized.rows:
        return dual
    for _ in range(sweeps):
        sized.step()
    sized.evaluate(sized.mean_lam, sized.mean_mu)
    return sized


def between_two_suns() -> Case:
    """One job of 2 kW for an hour, two sites with 1 kW of sun beyond their load, import at 0.1 EUR."""
    return with_jobs(tiny(sites=2, slots=1, ren=2.0), {"pw": 2.0, "entries": [(0, 0.0, 0, -1), (1, 0.0, 0, -1)]})


@pytest.mark.parametrize("seed", range(1000, 1030))
def test_what_branching_proves_is_true(seed: int) -> None:
    """Random problems: the bound only rises, from that of the prices, and never above the optimum of the exact model."""
    case, optimum = known(seed)
    root = priced(case)
    tree, told = Tree(root), [root.bound]
    end = time.perf_counter() + 60.0
    tree.grow(end, lambda: tree.splits >= 12, told.append, patient=True)
    assert told == sorted(told)
    assert tree.bound >= root.bound
    assert tree.bound <= optimum + 1e-6 * max(1.0, abs(optimum))


def test_whole_jobs_prove_what_prices_cannot() -> None:
    """Half of the job in each sun costs nothing; the whole job imports 1 kW, wherever it is: 0.1 EUR."""
    root = priced(between_two_suns(), sweeps=200)
    assert root.bound == pytest.approx(0.0, abs=0.005)
    tree = Tree(root)
    tree.grow(time.perf_counter() + 60.0, never, lambda _: None, patient=True)
    assert 0.08 <= tree.bound <= 0.1 + 1e-9, "20 sweeps of a part come near it"


def test_two_parts_hold_every_plan() -> None:
    """One part closes all other entries of the split job, the other one that entry alone; no further entry is closed."""
    whole = Node(priced(between_two_suns(), sweeps=200), np.zeros(2, dtype=bool))
    parts = whole.split()
    assert parts is not None
    there, elsewhere = parts
    assert there.sum() == elsewhere.sum() == 1
    assert (there ^ elsewhere).all()


def test_a_closed_entry_is_left_at_once() -> None:
    """Who had a share there begins as dropped; load and use are those of what is left, and sweeps never come back to it."""
    case = make_case(MEDIUM, 2)
    root = priced(case)
    entry = int(root.classes.entry[np.argmax(root.y)])
    closed = np.arange(len(case.es)) == entry
    node = Node(root, closed)
    k, at = node.classes, int(np.flatnonzero(node.classes.entry == entry)[0])
    owner = int(np.searchsorted(k.ep, at, side="right")) - 1
    assert node.dropx[owner] == k.count[owner]
    node.settle(never)
    assert node.y[at] == 0.0
    again = counted_afresh(node)
    assert node.load == pytest.approx(again[0], abs=1e-6)
    assert node.use == pytest.approx(again[1], abs=1e-6)
    assert root.y[np.flatnonzero(root.classes.entry == entry)[0]] > 0.0, "the parent is as it was"


def counted_afresh(node: Dual) -> tuple[FloatArray, FloatArray]:
    """Load and use of a fractional plan, counted afresh."""
    case, k = node.case, node.classes
    load, use = np.zeros((case.S, case.T)), np.zeros_like(case.cap)
    for i, job in enumerate(k.first):
        for n in range(k.ep[i], k.ep[i + 1]):
            e = k.entry[n]
            for q in range(k.window[n], k.window[n + 1]):
                t = case.ea[e] + q - k.window[n]
                load[case.es[e], t] += node.entry_kw[e] * node.xk[q]
                use[:, case.es[e], t] += case.res[job] * node.xu[q]
    return load, use


def test_jobs_that_are_whole_end_it() -> None:
    """One site: nobody is split, so nothing is branched on and the bound stays that of the prices."""
    case = with_jobs(tiny(ren=2.0), {"pw": 2.0})
    root = priced(case, sweeps=100)
    tree = Tree(root)
    tree.grow(time.perf_counter() + 60.0, never, lambda _: None, patient=True)
    assert tree.splits == 0
    assert tree.bound == root.bound


def test_identical_jobs_are_never_torn_apart() -> None:
    """A class of several jobs is not split: closing an entry for one of them would close it for all."""
    job = {"pw": 2.0, "entries": [(0, 0.0, 0, -1), (1, 0.0, 0, -1)]}
    root = priced(with_jobs(tiny(sites=2, slots=1, ren=3.0), job, job, job), sweeps=100)
    assert root.classes.count.tolist() == [3.0]
    assert Node(root, np.zeros(6, dtype=bool)).split() is None


def test_a_stop_keeps_what_is_proven() -> None:
    """Asked to stop in the middle of a split, the bound is that of the node that was to be split."""
    root = priced(make_case(MEDIUM, 1))
    tree, asked = Tree(root), []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 5

    tree.grow(time.perf_counter() + 60.0, stop, lambda _: None, patient=True)
    assert root.bound <= tree.bound < np.inf


def test_no_more_nodes_than_there_is_memory_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for three nodes it ends when there are more of them, and what is proven until then stays."""
    root = priced(make_case(MEDIUM, 1))
    tree = Tree(root)
    monkeypatch.setattr(
        "scheduler.optimiser.large.branch.MOST_BYTES", 3 * Node(root, np.zeros(len(root.case.es), dtype=bool)).nbytes
    )
    tree.grow(time.perf_counter() + 60.0, never, lambda _: None, patient=True)
    assert tree.splits == 3
    assert tree.full
    assert tree.bound >= root.bound


def test_who_waits_for_the_core_gets_it_when_bounds_hardly_rise(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a rate that no split reaches it ends after the first look; a patient tree goes on."""
    monkeypatch.setattr("scheduler.optimiser.large.branch.LEAST_RATE", 1e9)
    monkeypatch.setattr("scheduler.optimiser.large.branch.LOOK_SECONDS", 0.0)
    case = make_case(MEDIUM, 1)
    hasty, patient = Tree(priced(case)), Tree(priced(case))
    end = time.perf_counter() + 60.0
    hasty.grow(end, never, lambda _: None, patient=False)
    patient.grow(end, lambda: patient.splits > LOOKS, lambda _: None, patient=True)
    assert hasty.splits == LOOKS
    assert patient.splits > LOOKS


@pytest.mark.parametrize("few", [True, False])
def test_the_second_core_branches_on_few_jobs_only(monkeypatch: pytest.MonkeyPatch, few: bool) -> None:
    """The bound that branching proves becomes that of the search; with too many jobs nothing is split."""
    if not few:
        monkeypatch.setattr(beside_module, "MANY_JOBS", 0)
    grown: list[Tree] = []
    grow = Tree.grow

    def watched(self: Tree, end: float, _done: Callable[[], bool], told: Callable[[float], None], *, patient: bool) -> None:
        grow(self, end, lambda: self.splits >= 3, told, patient=patient)
        grown.append(self)

    monkeypatch.setattr(Tree, "grow", watched)
    dual = Dual(make_case(MEDIUM, 4))
    dual.step()
    dual.evaluate(dual.mean_lam, dual.mean_mu)
    side = Beside(dual, time.perf_counter() + 2.0, 2.0, None)
    side.start()
    side._thread.join()
    side.check()
    assert len(grown) == few
    if few:
        assert dual.bound >= grown[0].bound
