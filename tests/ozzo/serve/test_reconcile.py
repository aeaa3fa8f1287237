"""Restarts: any prefix of a journal and any births, and no job is started twice and none is lost."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from ozzo.book import Key
from ozzo.commands import JobState, JobWish, NodeState
from ozzo.orders import Order
from ozzo.serve.reconcile import Reconciled, reconcile
from tests.factory import START

NODES = ("hall.rack-0", "hall.rack-1")
JOBS = ("a.1/index", "a.1/render", "a.1/train")


def order(job: str, node: str, wish: JobWish = JobWish.RUNNING) -> Order:
    """An order."""
    return Order(START, node, JobState(job=job, state=wish, argv=("sleep", "1")), "a test", "plan", START)


def said(node: str, jobs: dict[str, JobWish] | None = None, ended: dict[str, int] | None = None) -> NodeState:
    """What a node says of itself."""
    return NodeState(node=node, pid=1, event="birth", jobs=jobs or {}, ended=ended or {}, at=datetime.now(UTC))


@dataclass
class FakeNode:
    """A fake of a node agent: it keeps wishes and ends as the real one does, and counts how often each job was started.

    It does not run processes: a job ends when ``end`` is called.
    """

    name: str
    jobs: dict[str, JobWish] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    starts: dict[str, int] = field(default_factory=dict)

    def take(self, order: Order) -> None:
        """Carry an order out, as ``ozzo.agent.jobs.JobTable`` does."""
        job, wish = order.desired.job, order.desired.state
        if wish is JobWish.RUNNING and job not in self.jobs:
            if self.ended.get(job) == 0:
                return
            self.ended.pop(job, None)
            self.starts[job] = self.starts.get(job, 0) + 1
            self.jobs[job] = wish
        elif job in self.jobs and wish is JobWish.STOPPED:
            del self.jobs[job]
            self.ended[job] = -15
        elif job in self.jobs:
            self.jobs[job] = wish

    def end(self, job: str) -> None:
        """A process ends well by itself."""
        if self.jobs.get(job) is JobWish.RUNNING:
            del self.jobs[job]
            self.ended[job] = 0

    def state(self) -> NodeState:
        """What it says."""
        return said(self.name, dict(self.jobs), dict(self.ended))


steps = st.lists(
    st.tuples(
        st.sampled_from(["give", "deliver", "end", "hear", "restart"]), st.sampled_from(JOBS), st.sampled_from(list(JobWish))
    ),
    max_size=40,
)


def apply(found: Reconciled, given: dict[Key, Order], exits: dict[Key, int], node: FakeNode) -> None:
    """What a fleet does with it."""
    exits.update(found.ended)
    for key, wish in found.adopt.items():
        given[key] = order(*key, wish)
        node.take(given[key])
    for item in found.restate:
        node.take(item)
    for key in found.stop:
        node.take(order(*key, JobWish.STOPPED))


@settings(max_examples=300, deadline=None)
@given(steps)
def test_any_history_and_any_restart_starts_nothing_twice_and_loses_nothing(history: list[tuple[str, str, JobWish]]) -> None:
    """Orders that may be lost on the way, ends that nobody heard, restarts at any point: one start a wish to run, all ends known.

    A job that was not stopped has exactly one start when it was ever given, and its end is booked after the last restart.
    """
    there = {name: FakeNode(name) for name in NODES}
    nodes = {job: there[NODES[i % 2]] for i, job in enumerate(JOBS)}  # each job on one node
    given_orders: dict[Key, Order] = {}
    exits: dict[Key, int] = {}
    stopped: set[str] = set()
    for what, job, wish in history:
        node = nodes[job]
        key = (job, node.name)
        if what == "give" and exits.get(key) != 0 and (wish is JobWish.RUNNING or key in given_orders):
            if wish is not JobWish.STOPPED and job in stopped:
                continue
            given_orders[key] = order(job, node.name, wish)  # in the state first, whether or not it arrives
            if wish is JobWish.STOPPED:
                stopped.add(job)
        elif what == "deliver" and key in given_orders:
            node.take(given_orders[key])
        elif what == "end":
            node.end(job)
        elif what == "hear" and key in given_orders and node.ended.get(job) == 0:
            exits[key] = 0
        elif what == "restart":
            apply(reconcile(node.state(), given_orders, exits, mine="a.1/"), given_orders, exits, node)
    for node in there.values():
        apply(reconcile(node.state(), given_orders, exits, mine="a.1/"), given_orders, exits, node)
        for job in JOBS:
            node.end(job)
        apply(reconcile(node.state(), given_orders, exits, mine="a.1/"), given_orders, exits, node)
    for (job, name), last in given_orders.items():
        node = nodes[job]
        assert node.starts.get(job, 0) <= 1, f"{job} was started twice"
        if job not in stopped and last.desired.state is JobWish.RUNNING:
            assert node.starts[job] == 1, f"{job} was lost"
            assert exits[job, name] == 0, f"the end of {job} was lost"


def test_an_end_that_nobody_heard_is_booked() -> None:
    """Ended well: done. Ended badly after it was applied: failed. Ended badly before our order was applied: started again."""
    known = {(job, NODES[0]): order(job, NODES[0]) for job in JOBS}
    state = said(NODES[0], {}, {JOBS[0]: 0, JOBS[1]: 3, JOBS[2]: 3})
    found = reconcile(state, known, {}, started={(JOBS[1], NODES[0])}, mine="a.1/")
    assert found.ended == {(JOBS[0], NODES[0]): 0, (JOBS[1], NODES[0]): 3}
    assert [item.desired.job for item in found.restate] == [JOBS[2]]


def test_what_nobody_ordered_is_adopted_or_stopped() -> None:
    """A job with no other process is taken on; one that was given elsewhere is stopped; another controller's is left alone."""
    state = said(NODES[0], {JOBS[0]: JobWish.PAUSED, JOBS[1]: JobWish.RUNNING, "b.1/index": JobWish.RUNNING})
    found = reconcile(state, {(JOBS[1], NODES[1]): order(JOBS[1], NODES[1])}, {}, mine="a.1/")
    assert found.adopt == {(JOBS[0], NODES[0]): JobWish.PAUSED}
    assert found.stop == ((JOBS[1], NODES[0]),)


def test_a_process_that_was_given_up_is_told_to_stop() -> None:
    """Its node is back with the job still there: the order to stop is what it hears."""
    key = (JOBS[0], NODES[0])
    given_up = replace(order(*key, JobWish.STOPPED), reason="its node was lost")
    found = reconcile(said(NODES[0], {JOBS[0]: JobWish.RUNNING}), {key: given_up}, {}, mine="a.1/")
    assert found.restate == (given_up,)
    assert not found.ended
    assert not found.adopt
