"""Checks of a plan's data: tier rule, moves in time, links not overfilled, every job's inputs where it runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from grid.horizon import FloatArray
from scheduler.data import Dataset
from scheduler.outcome import Violation, ViolationKind
from scheduler.plan import Transfer
from sim.world.migrations import DONE_TB, MBIT_PER_TB, required_moves, way

if TYPE_CHECKING:
    from sim.plan_check import Checked

RATE_SLACK = 1e-6
"""Relative rounding allowed on link rates and volumes."""


def check_data(checked: Checked) -> Iterator[Violation]:
    """Violations of the rules for datasets and links."""
    datasets = {dataset.name: dataset for dataset in checked.scenario.datasets}
    transfers = [transfer for transfer in checked.plan.transfers if transfer.dataset in datasets]
    for transfer in transfers:
        yield from _transfer(checked, datasets[transfer.dataset], transfer)
    yield from _targets(transfers)
    yield from _links(checked, transfers)
    yield from _tier_rule(checked, transfers)
    yield from _inputs(checked, datasets, transfers)


def _present(checked: Checked, dataset: Dataset) -> set[str]:
    """Sites that hold a whole replica when the plan begins."""
    sites = set(dataset.sites)
    if checked.observation is not None:
        for migration, target in checked.observation.moved_to.items():
            moved = checked.observation.moved_tb.get(migration, 0.0)
            if migration.partition("@")[0] == dataset.name and moved >= dataset.size_tb - DONE_TB:
                sites.add(target)
    return sites


def _transfer(checked: Checked, dataset: Dataset, transfer: Transfer) -> Iterator[Violation]:
    """One piece: inside the horizon, from a replica, to a site that may hold one, over links that exist."""
    name, horizon = transfer.dataset, checked.horizon
    if transfer.start < 0 or transfer.end > horizon.slots or transfer.start >= transfer.end:
        advice = f"The transfer of {name} in [{transfer.start}, {transfer.end}) is empty or outside the plan's slots."
        yield Violation(ViolationKind.WINDOW, name, float(transfer.end), float(horizon.slots), "slot", None, None, advice)
        return
    when = checked.time(transfer.start)
    if transfer.target not in dataset.allowed_sites:
        allowed = ", ".join(dataset.allowed_sites) or "no site"
        advice = f"{name} is {dataset.tier} and may lie at {allowed}, not at {transfer.target}: change the target."
        end = checked.time(transfer.end)
        yield Violation(ViolationKind.TIER_RULE, name, 1.0, 0.0, "replicas out of tier", end, None, advice)
    if transfer.source not in _present(checked, dataset):
        advice = f"{transfer.source} holds no replica of {name} to read from."
        yield Violation(ViolationKind.DATA_MISSING, name, 0.0, 1.0, "replicas", when, None, advice)
    if not way(checked.scenario.links, transfer.source, transfer.target):
        advice = f"No link leads from {transfer.source} to {transfer.target}."
        yield Violation(ViolationKind.LINK_RATE, name, transfer.rate_mbit_per_s, 0.0, "Mbit/s", when, None, advice)
    if transfer.rate_mbit_per_s <= 0:
        advice = f"The transfer of {name} has no rate."
        yield Violation(ViolationKind.LINK_RATE, name, transfer.rate_mbit_per_s, 0.0, "Mbit/s", when, None, advice)


def _targets(transfers: list[Transfer]) -> Iterator[Violation]:
    """A migration is of one dataset and has one target, and a staging copy goes where its name says."""
    for migration in sorted({transfer.migration for transfer in transfers}):
        pieces = [transfer for transfer in transfers if transfer.migration == migration]
        targets = sorted({transfer.target for transfer in pieces})
        dataset, _, named = migration.partition("@")
        if len(targets) > 1 or (named and targets != [named]) or any(piece.dataset != dataset for piece in pieces):
            advice = f"{migration} is one migration of {dataset}: give it one target ({' or '.join(targets)})."
            yield Violation(ViolationKind.TIER_RULE, migration, float(len(targets)), 1.0, "targets", None, None, advice)


def _links(checked: Checked, transfers: list[Transfer]) -> Iterator[Violation]:
    """Transfers on one link share its rate."""
    load: dict[str, FloatArray] = {link.name: np.zeros(checked.horizon.slots) for link in checked.scenario.links}
    for transfer in transfers:
        for link in way(checked.scenario.links, transfer.source, transfer.target):
            load[link.name][max(0, transfer.start) : transfer.end] += transfer.rate_mbit_per_s
    for link in checked.scenario.links:
        slot = int(np.argmax(load[link.name]))
        value = float(load[link.name][slot])
        if value > link.rate_mbit_per_s * (1 + RATE_SLACK):
            advice = f"Transfers on {link.name} share its rate: slow them down or put them at other times."
            limit, when = link.rate_mbit_per_s, checked.time(slot)
            yield Violation(ViolationKind.LINK_RATE, link.name, value, limit, "Mbit/s", when, None, advice)


def _volume_tb(checked: Checked, transfers: list[Transfer], migration: str, before: int) -> float:
    """Volume of ``migration`` that has arrived at the start of slot ``before``, what was moved earlier included."""
    moved = checked.observation.moved_tb.get(migration, 0.0) if checked.observation else 0.0
    step_s = checked.horizon.step_s
    for transfer in transfers:
        if transfer.migration == migration:
            slots = max(0, min(transfer.end, before) - transfer.start)
            moved += transfer.rate_mbit_per_s * slots * step_s / MBIT_PER_TB
    return moved


def _tier_rule(checked: Checked, transfers: list[Transfer]) -> Iterator[Violation]:
    """A dataset that lies where its tier does not allow is moved in time, or that is dropped with a reason."""
    horizon = checked.horizon
    for name, dataset in required_moves(checked.scenario).items():
        if name in checked.dropped:
            continue
        end = horizon.slots
        if dataset.move_by is not None:
            end = min(end, max(0, horizon.floor_slot(dataset.move_by)))
        moved = _volume_tb(checked, transfers, name, end)
        if moved < dataset.size_tb * (1 - RATE_SLACK) - DONE_TB:
            where = ", ".join(site for site in dataset.sites if site not in dataset.allowed_sites)
            targets = " or ".join(dataset.allowed_sites) or "an allowed site"
            advice = (
                f"{name} is {dataset.tier} and lies at {where}: move all of it to {targets} "
                f"by {horizon.time(end):%Y-%m-%d %H:%M} UTC, or drop the move with a reason."
            )
            when = horizon.time(end)
            yield Violation(ViolationKind.TIER_RULE, name, moved, dataset.size_tb, "TB moved in time", when, None, advice)


def _inputs(checked: Checked, datasets: dict[str, Dataset], transfers: list[Transfer]) -> Iterator[Violation]:
    """A job runs where its inputs are: from the start, or after the last transfer that brings them."""
    first: dict[tuple[str, str], int] = {}
    for run in checked.plan.runs:
        key = (run.job, run.site)
        first[key] = min(first.get(key, run.start), run.start)
    for (name, site), start in sorted(first.items()):
        job = checked.jobs.get(name)
        if job is None or name in checked.started:
            continue
        for item in job.inputs:
            dataset = datasets[item]
            if site in _present(checked, dataset):
                continue
            coming = {transfer.migration for transfer in transfers if transfer.dataset == item and transfer.target == site}
            arrived = max((_volume_tb(checked, transfers, migration, start) for migration in coming), default=0.0)
            if arrived < dataset.size_tb * (1 - RATE_SLACK) - DONE_TB:
                advice = f"{name} reads {item}: run it where a replica is, or after all of {item} has arrived at {site}."
                when, size = checked.time(max(0, start)), dataset.size_tb
                yield Violation(ViolationKind.DATA_MISSING, name, arrived, size, "TB at the site", when, None, advice)
