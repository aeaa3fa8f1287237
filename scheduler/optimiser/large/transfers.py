"""Transfers that are planned slot by slot, beside thousands of jobs: jobs first, then what they need.

For the jobs a transfer is a copy that is bought: it can be read from the first slot in which it can have arrived
(``as_copies``). Where and when jobs run then says which transfers are needed, and until when; the reference plans these, the
required moves and the energy side, with the jobs as a load that is given (``as_load``). What cannot be delivered in time is
put off for the jobs to when it can come if all go in turn, and they are planned again from where they are. In the last round they
may wait only for what the round before could deliver, from then on. What is missing even so is dropped with its jobs.

The jobs' part alone leaves out the power and the links of transfers and what required moves cost beyond the least, so what it
proves, less what a transfer may earn where import has a price below zero, is a bound for the whole (``least_eur``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from scheduler.data_tasks import MBIT_PER_TB, slot_tb
from scheduler.policies.schedule import Schedule, it_power_kw
from scheduler.problem import Copy, JobTask, MigrationOption, MigrationTask, Problem

JOBS_SHARE = (0.6, 0.5, 0.6)
"""Share of the time that is left which the jobs have in each of at most three rounds; transfers have the rest."""

RELUCTANCE = 0.1
"""What a copy must save beyond its own cost to be looked for, as a share of what a mean job's energy costs."""

ARRIVED = 1e-9
"""Share of a slot up to which nothing is transferred in it."""

Way = tuple[int, int]
"""Index of a migration and of its target."""


@dataclass(frozen=True, slots=True)
class Need:
    """A transfer that jobs wait for.

    Attributes:
        way: which.
        before: slot in which the first of its readers starts.
        readers: indices of the jobs.
        worth: price of dropping all of them, EUR.
    """

    way: Way
    before: int
    readers: tuple[int, ...]
    worth: float


def ways_of(problem: Problem, task: JobTask, option: int) -> tuple[Way, ...]:
    """The transfers that ``task`` needs at its option ``option``."""
    site = task.options[option].site
    return tuple((m, _target(problem.migrations[m], site)) for m in task.options[option].migrations)


def _target(task: MigrationTask, site: int) -> int:
    """Option of a migration that brings the data to ``site``."""
    return next(o for o, option in enumerate(task.options) if option.site == site)


@dataclass(frozen=True, slots=True, eq=False)
class JobsPart:
    """The jobs' part of a problem.

    Attributes:
        problem: transfers are copies in it.
        options: for each job, which options of the whole problem its options are.
    """

    problem: Problem
    options: tuple[tuple[int, ...], ...]

    def in_full(self, schedule: Schedule) -> Schedule:
        """A schedule of this part with the options of the whole problem."""
        return Schedule({j: replace(place, option=self.options[j][place.option]) for j, place in schedule.jobs.items()})


@dataclass(frozen=True, slots=True, eq=False)
class WaitRules:
    """Which transfers jobs may wait for, and at what price.

    Attributes:
        arrives: slots from which on the data of some ways can be read, later than it could be at best.
        closed: ways that nobody may wait for.
        only: the ways that jobs may wait for; None: all that are not closed.
        expected: copies cost what they are expected to: their power, and ``RELUCTANCE``; otherwise what they cost at least.
    """

    arrives: Mapping[Way, int] = field(default_factory=dict)
    closed: frozenset[Way] = frozenset()
    only: frozenset[Way] | None = None
    expected: bool = False

    def allows(self, ways: tuple[Way, ...]) -> bool:
        """Whether jobs may wait for all of ``ways``."""
        return self.closed.isdisjoint(ways) and (self.only is None or self.only.issuperset(ways))


def as_copies(problem: Problem, rules: WaitRules | None = None) -> JobsPart:
    """The jobs' part of ``problem``: transfers are copies, and places that ``rules`` do not allow are none.

    Of several transfers that a place needs the one of the highest price counts; a required move costs its readers nothing. A
    problem without migrations is its own jobs' part.
    """
    if not problem.migrations:
        return JobsPart(problem, tuple(tuple(range(len(task.options))) for task in problem.jobs))
    rules = WaitRules() if rules is None else rules
    found: dict[Way, int] = {}
    copies: list[Copy] = []
    more = _expected_eur(problem) if rules.expected else {}
    for task in problem.jobs:
        for e in range(len(task.options)):
            for way in ways_of(problem, task, e):
                if way not in found:
                    found[way] = len(copies)
                    move, option = problem.migrations[way[0]], problem.migrations[way[0]].options[way[1]]
                    price = 0.0 if move.required else option.cost_eur + more.get(way, 0.0)
                    copies.append(Copy(f"{move.dataset}@{problem.sites[option.site]}", option.site, price, 0.0))
    jobs, kept = [], []
    for task in problem.jobs:
        ways = [ways_of(problem, task, e) for e in range(len(task.options))]
        open_ = tuple(e for e in range(len(task.options)) if rules.allows(ways[e]))
        options = []
        for e in open_:
            copy = max((found[way] for way in ways[e]), key=lambda c: copies[c].cost_eur, default=-1)
            first = max([task.options[e].earliest, *(rules.arrives.get(way, 0) for way in ways[e])])
            options.append(replace(task.options[e], migrations=(), copy=copy, earliest=first))
        jobs.append(replace(task, options=tuple(options)))
        kept.append(open_)
    part = replace(problem, jobs=tuple(jobs), migrations=(), copies=tuple(copies), copy_limit_gb=None)
    return JobsPart(part, tuple(kept))


def _expected_eur(problem: Problem) -> dict[Way, float]:
    """What the power of each transfer is expected to cost, and what it must save besides, EUR."""
    price = float(np.maximum(0.0, problem.import_weight_eur_per_kwh).mean())
    energy = [task.work * max((option.power_kw for option in task.options), default=0.0) for task in problem.jobs]
    least = RELUCTANCE * float(np.mean(energy or [0.0])) * problem.horizon.step_h * price
    return {
        (m, o): price * _facility_kwh(problem, task, option) + least
        for m, task in enumerate(problem.migrations)
        for o, option in enumerate(task.options)
    }


def in_turn(problem: Problem, needs: list[Need]) -> dict[Way, int]:
    """Slots in which the data of ``needs`` arrives when they go one after the other, the earliest needed first, at full rate.

    A link carries one at a time here, so all of them can keep to these slots together.
    """
    free = [0] * len(problem.links)
    found: dict[Way, int] = {}
    for need in sorted(needs, key=lambda need: need.before):
        task = problem.migrations[need.way[0]]
        option = task.options[need.way[1]]
        begin = max([task.release, *(free[link] for link in option.links)])
        end = begin + math.ceil(task.size_tb / slot_tb(option.rate_mbit_per_s, problem.horizon) - 1e-9)
        for link in option.links:
            free[link] = end
        found[need.way] = end
    return found


def arrivals(both: Schedule) -> dict[Way, int]:
    """Slots in which the transfers of ``both`` have arrived."""
    return {(m, o): int(np.flatnonzero(both.shares[m] > ARRIVED)[-1]) + 1 for m, o in both.targets.items()}


def needs_of(problem: Problem, schedule: Schedule) -> list[Need]:
    """The transfers that the jobs of ``schedule`` wait for."""
    readers: dict[Way, list[int]] = {}
    for j, place in schedule.jobs.items():
        for way in ways_of(problem, problem.jobs[j], place.option):
            readers.setdefault(way, []).append(j)
    return [
        Need(
            way,
            min(schedule.jobs[j].slots[0] for j in jobs),
            tuple(jobs),
            sum(problem.jobs[j].drop_eur for j in jobs),
        )
        for way, jobs in readers.items()
    ]


def one_target_each(needs: list[Need]) -> list[Need]:
    """Of several targets of one migration the one that is worth most: a dataset moves to one site."""
    best: dict[int, Need] = {}
    for need in needs:
        known = best.get(need.way[0])
        if known is None or need.worth > known.worth:
            best[need.way[0]] = need
    return list(best.values())


def as_load(problem: Problem, schedule: Schedule, needs: list[Need]) -> tuple[Problem, list[Way]]:
    """The rest of ``problem``: its jobs as a load that is given, the transfers ``needs`` as required, and the required moves.

    Returns it with, for each of its migrations, which of ``problem`` it is and the target of its first option.
    """
    asked = {need.way[0]: need for need in needs}
    moves: list[MigrationTask] = []
    ways: list[Way] = []
    for m, task in enumerate(problem.migrations):
        need = asked.get(m)
        if need is not None:
            target = (task.options[need.way[1]],)
            price = need.worth + (task.drop_eur if task.required else 0.0)
            moves.append(replace(task, required=True, options=target, deadline=min(task.deadline, need.before), drop_eur=price))
            ways.append(need.way)
        elif task.required:
            moves.append(task)
            ways.append((m, 0))
    only_jobs = Schedule(dict(schedule.jobs))
    load = problem.fixed_kw + problem.pue * it_power_kw(problem, only_jobs)
    return replace(problem, jobs=(), fixed_kw=load, migrations=tuple(moves), futures=()), ways


def with_transfers(schedule: Schedule, rest: Schedule, ways: list[Way]) -> Schedule:
    """``schedule`` with the transfers of ``rest``, a schedule of the problem of ``as_load``."""
    both = Schedule(dict(schedule.jobs))
    for k, option in rest.targets.items():
        m, first = ways[k]
        both.targets[m], both.shares[m] = first + option, rest.shares[k]
    return both


def least_eur(problem: Problem) -> float:
    """What the transfers of ``problem`` cost at least beside the jobs' part, EUR; below 0 where they may earn.

    Each required move costs its cheapest target or is not done. More load costs no less where importing has a price and no
    other site gains by it: flows that serve it serve less, too. At a price below zero each kWh may earn that much, and a battery
    may hold it back with losses; where sites share a limit on what flows back, each kWh may let another one export
    (``_room_eur_per_kwh``).
    """
    least = sum(
        min([task.drop_eur, *(option.cost_eur for option in task.options)]) for task in problem.migrations if task.required
    )
    most_kwh = sum(max((_facility_kwh(problem, task, way) for way in task.options), default=0.0) for task in problem.migrations)
    units = [unit for unit in problem.batteries if unit is not None]
    kept = min((unit.charge_efficiency * unit.discharge_efficiency for unit in units), default=1.0)
    paid = max(0.0, -float(problem.import_weight_eur_per_kwh.min())) / kept
    return least - most_kwh * (paid + _room_eur_per_kwh(problem))


def _room_eur_per_kwh(problem: Problem) -> float:
    """The most that a kWh of load at one site can be worth because another site of its feeder or network may export for it."""
    ratios = [1.0] * len(problem.feeders)
    weights = [np.cumsum(feeder.drop_pu_per_kw) for feeder in problem.feeders]
    weights += [np.abs(np.array(cut.per_kw)) for cut in problem.cuts]
    ratios += [float(each[each > 0.0].max() / each[each > 0.0].min()) for each in weights if (each > 0.0).any()]
    if not ratios or not (problem.export_limit_kw > 0.0).any():
        return 0.0
    return max(ratios) * max(0.0, float(problem.export_eur_per_kwh.max()))


def _facility_kwh(problem: Problem, task: MigrationTask, option: MigrationOption) -> float:
    """Most energy that a transfer to ``option`` takes at both ends, kWh of facility."""
    hours = task.size_tb * MBIT_PER_TB / option.rate_mbit_per_s / 3600.0
    most = problem.pue.max(axis=1)
    return float(hours * (option.source_kw * most[task.source] + option.target_kw * most[option.site]))


def delivered(needs: list[Need], both: Schedule) -> tuple[list[Need], list[Need]]:
    """Of ``needs``, those that ``both`` brings, and those that it does not."""
    there = [need for need in needs if both.targets.get(need.way[0]) == need.way[1]]
    return there, [need for need in needs if need not in there]


def without_readers(problem: Problem, schedule: Schedule, missing: list[Need]) -> Schedule:
    """``schedule`` without the jobs that wait for ``missing``, and without those that come after them."""
    gone = {j for need in missing for j in need.readers}
    while True:
        more = {j for j in schedule.jobs if j not in gone and not gone.isdisjoint(problem.jobs[j].after)}
        if not more:
            return Schedule({j: place for j, place in schedule.jobs.items() if j not in gone})
        gone |= more
