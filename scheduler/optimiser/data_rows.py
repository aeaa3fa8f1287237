"""Constraint families of data: targets, volume, shared links, and jobs that wait for their data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from scheduler.data_tasks import slot_tb
from scheduler.optimiser.model import ModelParts, Row, add_rows


def target(parts: ModelParts) -> None:
    """A required migration goes to one target or is not done; a staging copy is made at most once.

    ``sum_o chosen[m, o] + undone[m] = 1``; for a staging copy ``chosen[m, o] <= 1`` is its bound.
    """
    model = parts.model

    def rows() -> Iterator[tuple[int, Any]]:
        for m in model.undone:
            chosen = [model.chosen[m, o] for o in range(len(parts.problem.migrations[m].options))]
            yield m, parts.linear(([1.0] * (len(chosen) + 1), [*chosen, model.undone[m]])) == 1

    add_rows(parts, "target", rows())


def volume(parts: ModelParts) -> None:
    """A chosen migration moves its whole volume in its window, and one that is not chosen moves nothing.

    ``sum_t slot_tb[m, o] * share[m, o, t] = size_tb[m] * chosen[m, o]``, divided by the size.
    """
    model, problem = parts.model, parts.problem

    def rows() -> Iterator[tuple[tuple[int, int], Any]]:
        for m, o in model.chosen:
            task = problem.migrations[m]
            part = slot_tb(task.options[o].rate_mbit_per_s, problem.horizon) / task.size_tb
            shares = [model.share[m, o, t] for t in range(task.release, task.deadline)]
            yield (m, o), parts.linear(([part] * len(shares) + [-1.0], [*shares, model.chosen[m, o]])) == 0

    add_rows(parts, "volume", rows())


def share_of_chosen(parts: ModelParts) -> None:
    """Nothing flows to a target that is not chosen: ``share[m, o, t] <= chosen[m, o]`` (makes the relaxation tighter)."""
    model = parts.model
    rows = ((key, parts.linear(([1.0, -1.0], [model.share[key], model.chosen[key[:2]]])) <= 0) for key in model.share)
    add_rows(parts, "share_of_chosen", rows)


def link_rate(parts: ModelParts) -> None:
    """Transfers share a link's rate: ``sum rate[m, o] * share[m, o, t] <= rate[l]`` over the migrations whose way uses it.

    Divided by the link's rate.
    """
    model, problem = parts.model, parts.problem
    sums: dict[tuple[int, int], Row] = defaultdict(lambda: ([], []))
    for m, o, t in model.share:
        option = problem.migrations[m].options[o]
        for link in option.links:
            coefs, shares = sums[link, t]
            coefs.append(option.rate_mbit_per_s / float(problem.link_mbit_per_s[link]))
            shares.append(model.share[m, o, t])
    add_rows(parts, "link_rate", ((key, parts.linear(row) <= 1) for key, row in sums.items() if len(row[0]) > 1))


def data_first(parts: ModelParts) -> None:
    """A job starts only after its data has arrived.

    Rigid: jobs started up to ``t`` are at most the share of the volume that arrived before ``t``,
    ``sum_{k <= t} start[c, e, k] <= slot_tb / size_tb * sum_{k < t} share[m, o, k]``; interruptible: the same for
    ``run[c, e, t]`` alone; malleable: for ``data_there[c, e, t]``, which is whole, with
    ``sum_k mode_share[c, e, t, k] <= data_there[c, e, t]`` (``kind_rows``). Such classes hold one job, so a share below 1
    allows none.
    """
    model, problem = parts.model, parts.problem

    def rows() -> Iterator[tuple[tuple[int, int, int, int], Any]]:
        for c, group in enumerate(parts.classes):
            for e, (option, slots) in enumerate(zip(group.task.options, group.slots, strict=True)):
                for m in option.migrations:
                    task = problem.migrations[m]
                    o = next(o for o, way in enumerate(task.options) if way.site == option.site)
                    part = slot_tb(task.options[o].rate_mbit_per_s, problem.horizon) / task.size_tb
                    for t in slots:
                        if group.rigid:
                            begun = [model.start[c, e, k] for k in slots if k <= t]
                        else:
                            begun = [model.data_there[c, e, t] if group.malleable else model.run[c, e, t]]
                        arrived = [model.share[m, o, k] for k in range(task.release, min(t, task.deadline))]
                        row = [1.0] * len(begun) + [-part] * len(arrived), begun + arrived
                        yield (c, e, m, t), parts.linear(row) <= 0

    add_rows(parts, "data_first", rows())


FAMILIES = (target, volume, share_of_chosen, link_rate, data_first)
