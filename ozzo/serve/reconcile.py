"""After a restart: what was ordered, what nodes say is there, and what follows. No input or output.

Rules, in this order, for each process that was ordered and whose end is not known:

1. its node says it has ended well: it is done;
2. its node says it has ended badly, and has answered our order to run with *applied*: it has failed (the end is that run's);
3. it is there, or its node knows nothing of it: the order is stated again to the same node. A node that has it goes on, one that
   had it end well says so, one that never heard of it starts it: once, because job and node are the same.

A process that a node has and that nobody ordered (a state that was restored from a copy) is adopted when the job has no other
process and was not over; else it is stopped. Nothing is ever started elsewhere here: that is for the next plan.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ozzo.book import Key
from ozzo.commands import JobWish, NodeState
from ozzo.orders import Order


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a birth leads to.

    Attributes:
        ended: ends to book, by job and node.
        restate: orders to give again.
        adopt: processes to take on as if they had been ordered to do what they do.
        stop: processes that nobody wants.
    """

    ended: dict[Key, int]
    restate: tuple[Order, ...]
    adopt: dict[Key, JobWish]
    stop: tuple[Key, ...]


def reconcile(
    state: NodeState,
    given: Mapping[Key, Order],
    exits: Mapping[Key, int],
    *,
    started: Collection[Key] = (),
    mine: str = "",
) -> Reconciled:
    """What follows from a node's state at its birth, or at ours.

    Args:
        state: what the node says.
        given: last order by job and node, of all nodes; a process that was given up has the order to stop.
        exits: ends that are booked.
        started: processes whose order to run was answered *applied*.
        mine: what the names of this controller's jobs begin with.
    """
    node, ended, restate = state.node, {}, []
    for key, order in given.items():
        if key[1] != node or key in exits:
            continue
        code = state.ended.get(key[0])
        there = key[0] in state.jobs
        if not there and code is not None and (code == 0 or (key in started and order.desired.state is not JobWish.STOPPED)):
            ended[key] = code
        else:
            restate.append(order)
    adopt: dict[Key, JobWish] = {}
    stop: list[Key] = []
    for job, wish in state.jobs.items():
        key = (job, node)
        if not job.startswith(mine) or wish is JobWish.STOPPED or (key in given and key not in exits):
            continue
        known = any(other[0] == job for other in given)
        if known:
            stop.append(key)
        else:
            adopt[key] = wish
    return Reconciled(ended, tuple(restate), adopt, tuple(stop))
