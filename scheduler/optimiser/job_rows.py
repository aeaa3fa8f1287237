"""Constraint families of jobs: assignment, interruptible work, capacity, IT power, shares of tenants.

Windows are not rows: ``start``, ``run`` and ``mode_share`` exist only inside them
(``scheduler.optimiser.classes.possible_slots``). What only some kinds of jobs need is in ``kind_rows``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from scheduler.optimiser.classes import JobClass
from scheduler.optimiser.model import ModelParts, Row, add_rows
from scheduler.problem import FULL_SPEED, RESOURCES, Mode, Problem

Amount = Callable[[JobClass, int, Mode], float]
"""What a job of a class has of something at one of its options in one of its modes, for example its IT power."""


def assignment(parts: ModelParts) -> None:
    """Every job runs at one site or is dropped.

    For each class: starts at all sites and slots + jobs at all sites + dropped = number of jobs,
    ``sum start[c, e, t] + sum at_site[c, e] + drop[c] = n[c]``. Commanded (pinned) jobs have no ``drop``.
    """
    model = parts.model

    def rows() -> Iterator[tuple[int, Any]]:
        for c, group in enumerate(parts.classes):
            chosen = [model.drop[c]] if c in model.drop else []
            for e, slots in enumerate(group.slots):
                if group.rigid:
                    chosen += [model.start[c, e, t] for t in slots]
                elif slots:
                    chosen.append(model.at_site[c, e])
            yield c, parts.linear(([1.0] * len(chosen), chosen)) == group.count

    add_rows(parts, "assignment", rows())


def interruptible_work(parts: ModelParts) -> None:
    """Interruptible jobs get all their slots at the site they are at.

    ``sum_t run[c, e, t] = work[c] * at_site[c, e]``.
    """
    model = parts.model

    def rows() -> Iterator[tuple[tuple[int, int], Any]]:
        for c, e in model.at_site:
            group = parts.classes[c]
            if group.malleable:
                continue
            slots = [model.run[c, e, t] for t in group.slots[e]]
            yield (c, e), parts.linear(([1.0] * len(slots) + [-float(group.task.work)], [*slots, model.at_site[c, e]])) == 0

    add_rows(parts, "interruptible_work", rows())


def interruptible_once(parts: ModelParts) -> None:
    """No job runs twice in one slot, and none where it is not: ``run[c, e, t] <= at_site[c, e]``."""
    model = parts.model
    rows = ((key, parts.linear(([1.0, -1.0], [model.run[key], model.at_site[key[:2]]])) <= 0) for key in model.run)
    add_rows(parts, "interruptible_once", rows)


def job_power(parts: ModelParts) -> None:
    """IT power of jobs is the sum over those that run.

    ``job_kw[s, t] = sum power_kw[c, s] * (starts in (t - work, t] + runs in t + sum_k power[k] * mode_share[k] in t)``. Where
    the power of every job is proportional to its use of one resource, that resource's capacity is the upper bound of ``job_kw``.
    """
    model, problem = parts.model, parts.problem
    parts.proportional.update(_proportional(parts))
    sums = _sums(parts, lambda group, e, mode: group.task.options[e].power_kw * mode.power)
    for s, (r, kw_per_unit) in parts.proportional.items():
        for t in range(problem.horizon.slots):
            model.job_kw[s, t].setub(kw_per_unit * float(problem.capacity[r, s, t]))

    def rows() -> Iterator[tuple[tuple[int, int], Any]]:
        for cell in model.job_kw:
            coefs, chosen = sums.get(cell, ([], []))
            yield cell, parts.linear(([*coefs, -1.0], [*chosen, model.job_kw[cell]])) == 0

    add_rows(parts, "job_power", rows())


def capacity(parts: ModelParts) -> None:
    """Running jobs never use more of a resource than a site has: ``use[r, s, t] <= capacity[r, s, t]``.

    A malleable job uses its resources for the shares of the slot in which it works, in whatever mode. Rows are left out
    where they cannot bind: where the bound of ``job_kw`` says the same, or where another resource of the same site is
    always scarcer for every job.
    """
    problem = parts.problem

    def rows() -> Iterator[tuple[tuple[int, int, int], Any]]:
        for r, s in _scarce(parts):
            sums = _sums(parts, _use_of(r), only=s)
            for (_, t), row in sums.items():
                yield (r, s, t), parts.linear(row) <= float(problem.capacity[r, s, t])

    add_rows(parts, "capacity", rows())


def tenant_share(parts: ModelParts) -> None:
    """The jobs of a tenant never use more than its share: ``sum use of its jobs[r, s, t] <= share * capacity[r, s, t]``.

    Its commanded (pinned) jobs may already hold more; then that is the limit.
    """
    problem = parts.problem

    def rows() -> Iterator[tuple[tuple[int, int, int, int], Any]]:
        for n in range(len(problem.tenants)):
            limit = tenant_limit(problem, n)
            for r in range(len(RESOURCES)):
                sums = _sums(parts, _use_of(r, n))
                for (s, t), row in sums.items():
                    yield (n, r, s, t), parts.linear(row) <= float(limit[r, s, t])

    add_rows(parts, "tenant_share", rows())


def _use_of(resource: int, tenant: int | None = None) -> Amount:
    """Use of a resource, by the jobs of one tenant when it is given."""

    def amount(group: JobClass, _option: int, _mode: Mode) -> float:
        return group.task.resources[resource] if tenant in (None, group.task.tenant) else 0.0

    return amount


def tenant_limit(problem: Problem, tenant: int) -> np.ndarray[Any, Any]:
    """The most that the jobs of a tenant may use, ``[R, S, T]``."""
    held = np.zeros_like(problem.capacity)
    for task in problem.jobs:
        if task.tenant == tenant:
            for slot in task.pinned:
                held[:, task.options[0].site, slot] += task.resources
    limit: np.ndarray[Any, Any] = np.maximum(problem.tenants[tenant].share * problem.capacity, held)
    return limit


def modes_of(group: JobClass) -> tuple[Mode, ...]:
    """Modes that a class may run in."""
    return group.task.modes if group.malleable else (FULL_SPEED,)


def variables_of(parts: ModelParts, c: int, e: int, t: int) -> list[Any]:
    """Variables by which a class works at an option from slot ``t`` on (rigid) or in it, one a mode."""
    model, group = parts.model, parts.classes[c]
    if group.malleable:
        return [model.mode_share[c, e, t, k] for k in range(len(group.task.modes))]
    return [model.start[c, e, t] if group.rigid else model.run[c, e, t]]


def _sums(parts: ModelParts, amount: Amount, only: int | None = None) -> dict[tuple[int, int], Row]:
    """For each site and slot the linear sum of ``amount(class, option, mode)`` over the jobs that run there and then."""
    sums: dict[tuple[int, int], Row] = defaultdict(lambda: ([], []))
    for c, group in enumerate(parts.classes):
        for e, slots in enumerate(group.slots):
            site = group.task.options[e].site
            if only is not None and site != only:
                continue
            values = [amount(group, e, mode) for mode in modes_of(group)]
            if not any(values):
                continue
            length = group.task.work if group.rigid else 1
            for t in slots:
                for value, variable in zip(values, variables_of(parts, c, e, t), strict=True):
                    for slot in range(t, t + length):
                        coefs, chosen = sums[site, slot]
                        coefs.append(value)
                        chosen.append(variable)
    return sums


def _users(parts: ModelParts, site: int) -> list[tuple[JobClass, float]]:
    """Classes that can be at ``site``, with their power there in each of their modes."""
    return [
        (group, option.power_kw * mode.power)
        for group in parts.classes
        for option, slots in zip(group.task.options, group.slots, strict=True)
        if option.site == site and slots
        for mode in modes_of(group)
    ]


def _proportional(parts: ModelParts) -> dict[int, tuple[int, float]]:
    """Sites where power is proportional to one resource, with that resource and the kW per unit of it."""
    found = {}
    for s in range(len(parts.problem.sites)):
        users = _users(parts, s)
        for r in range(len(RESOURCES)):
            ratios = {round(power / group.task.resources[r], 12) if group.task.resources[r] else 0.0 for group, power in users}
            if len(ratios) == 1 and min(ratios) > 0:
                found[s] = (r, min(ratios))
                break
    return found


def _scarce(parts: ModelParts) -> list[tuple[int, int]]:
    """Pairs of resource and site that need rows of their own."""
    pairs = []
    least = parts.problem.capacity.min(axis=2)
    most = parts.problem.capacity.max(axis=2)
    for s in range(len(parts.problem.sites)):
        users = [np.array(group.task.resources) for group, _ in _users(parts, s)]
        if not users:
            continue
        need = np.array(users)
        covered = {parts.proportional[s][0]} if s in parts.proportional else set[int]()
        for r in range(len(RESOURCES)):
            if r in covered or not need[:, r].any():
                continue
            implied = any(
                most[k, s] > 0 and least[r, s] > 0 and (need[:, r] / least[r, s] <= need[:, k] / most[k, s] + 1e-12).all()
                for k in covered
            )
            if not implied:
                pairs.append((r, s))
                covered.add(r)
    return pairs


FAMILIES = (assignment, interruptible_work, interruptible_once, job_power, capacity, tenant_share)
