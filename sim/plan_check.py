"""An independent check of a plan against its scenario, before anything is simulated.

It shares nothing with the optimiser or its problem: every rule is read from the scenario again and stated here a second
time, so that a fault in the planner is found and not repeated. ``sim.plan_check_work`` checks jobs and nodes,
``sim.plan_check_terms`` what was agreed on jobs, ``sim.plan_check_data`` datasets and links, ``sim.plan_check_energy`` batteries,
balance and limits, ``sim.plan_check_assets`` other assets of sites, ``sim.plan_check_contracts`` contracts.

A demand-response event is soft: exceeding its limit costs its penalty. It is a violation only when the plan does not count it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np

from grid.horizon import Horizon
from scheduler.outcome import Violation, ViolationKind
from scheduler.plan import EnergySchedule, Plan
from scheduler.scenario import Scenario
from scheduler.workload import Job
from scheduler.world import JobState, Observation
from sim.plan_check_assets import asset_shapes, check_assets
from sim.plan_check_contracts import check_contracts
from sim.plan_check_data import check_data
from sim.plan_check_energy import check_energy
from sim.plan_check_terms import check_terms
from sim.plan_check_work import check_work


@dataclass(frozen=True)
class Checked:
    """What is checked, and short ways to it."""

    scenario: Scenario
    plan: Plan
    observation: Observation | None

    @cached_property
    def horizon(self) -> Horizon:
        """Slots that the plan must refer to."""
        return self.scenario.horizon if self.observation is None else self.scenario.horizon.tail(self.observation.slot)

    @cached_property
    def jobs(self) -> dict[str, Job]:
        """Every job by name."""
        return {job.name: job for job in self.scenario.jobs}

    @cached_property
    def started(self) -> dict[str, JobState]:
        """Jobs that had begun, by name."""
        return {state.job: state for state in self.observation.started} if self.observation else {}

    @cached_property
    def finished(self) -> frozenset[str]:
        """Jobs that were done."""
        return self.observation.finished if self.observation else frozenset()

    @cached_property
    def dropped(self) -> frozenset[str]:
        """Names of the jobs and migrations that the plan leaves out, with a reason."""
        return frozenset(item.name for item in self.plan.dropped if item.reason.text.strip())

    def time(self, slot: int) -> datetime:
        """First instant of a slot, UTC."""
        return self.horizon.time(slot)


def check_plan(scenario: Scenario, plan: Plan, observation: Observation | None = None) -> tuple[Violation, ...]:
    """Every rule that ``plan`` breaks in ``scenario``, worst value of each; empty when it may be rehearsed.

    Args:
        scenario: the scenario that was planned.
        plan: of the whole horizon, or of the rest of it after ``observation``.
        observation: the state from which the plan decides.
    """
    checked = Checked(scenario, plan, observation)
    shape = _shape(checked)
    if shape:
        return shape
    return (
        *_names(checked),
        *check_work(checked),
        *check_terms(checked),
        *check_data(checked),
        *check_energy(checked),
        *check_assets(checked),
        *check_contracts(checked),
    )


def _shape(checked: Checked) -> tuple[Violation, ...]:
    """The plan's axes; when they are wrong nothing else can be read."""
    plan, found = checked.plan, []
    if plan.horizon != checked.horizon:
        advice = f"Plan for {checked.horizon.slots} slots from {checked.horizon.start:%Y-%m-%d %H:%M} UTC."
        value, limit = float(plan.horizon.slots), float(checked.horizon.slots)
        found.append(Violation(ViolationKind.WINDOW, "horizon", value, limit, "slots", plan.horizon.start, None, advice))
    expected = tuple(site.name for site in checked.scenario.sites)
    if plan.sites != expected:
        advice = f"Give the sites of the scenario in their order: {', '.join(expected)}."
        value, limit = float(len(plan.sites)), float(len(expected))
        found.append(Violation(ViolationKind.UNKNOWN_NAME, "sites", value, limit, "sites", None, None, advice))
    for name in EnergySchedule.names():
        array = getattr(plan.energy, name)
        wanted = (len(expected), checked.horizon.slots)
        if array.shape != wanted:
            advice = f"energy.{name} needs the shape {wanted}, it has {array.shape}."
            value, limit = float(array.size), float(np.prod(wanted))
            found.append(Violation(ViolationKind.ENERGY_BALANCE, name, value, limit, "values", None, None, advice))
        elif not np.isfinite(array).all():
            advice = f"energy.{name} holds values that are no numbers; plan again."
            value = float(np.count_nonzero(~np.isfinite(array)))
            found.append(Violation(ViolationKind.ENERGY_BALANCE, name, value, 0.0, "values", None, None, advice))
    return (*found, *asset_shapes(checked))


def _names(checked: Checked) -> tuple[Violation, ...]:
    """Every name in the plan is one of the scenario's."""
    scenario, plan = checked.scenario, checked.plan
    sites = {site.name for site in scenario.sites}
    nodes = {node for site in scenario.sites for node in site.node_names()}
    datasets = {dataset.name for dataset in scenario.datasets}
    moves = datasets | {f"{dataset}@{site}" for dataset in datasets for site in sites}
    used = [
        *((run.job, checked.jobs, "job") for run in plan.runs),
        *((run.site, sites, "site") for run in plan.runs),
        *((node, nodes, "node") for run in plan.runs for node in run.nodes),
        *((transfer.dataset, datasets, "dataset") for transfer in plan.transfers),
        *((transfer.migration, moves, "migration") for transfer in plan.transfers),
        *((end, sites, "site") for transfer in plan.transfers for end in (transfer.source, transfer.target)),
        *((item.name, moves | set(checked.jobs), "job or migration") for item in plan.dropped),
    ]
    unknown = sorted({(name, kind) for name, known, kind in used if name not in known})
    return tuple(
        Violation(ViolationKind.UNKNOWN_NAME, name, 1.0, 0.0, "names", None, None, f"The scenario has no {kind} {name!r}.")
        for name, kind in unknown
    )
