"""What stands behind ``ozzo slurm``: queue, plan, shed and restore as text or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ozzo.answer_tables import rendered, table
from ozzo.engines.slurm import QueuedJob, Slurm, SlurmError

if TYPE_CHECKING:
    from ozzo.engines.slurm_plan import Action, Queue
    from scheduler.facility import Site
    from scheduler.outcome import Verdict
    from scheduler.plan import Plan

Say = Callable[[str], None]


def queue_text(partition: str, conf: Path | None, *, as_json: bool) -> tuple[str, bool]:
    """The queue with what each user allows; False when a comment cannot be read.

    Raises:
        SlurmError: Slurm did not answer.
    """
    rows = [_queue_row(job) for job in Slurm(partition, conf).queue()]
    good = not any(row["fault"] for row in rows)
    if as_json:
        return json.dumps({"partition": partition, "jobs": rows}, indent=1), good
    made = table(f"Partition {partition}", "job", "name", "user", "state", "nodes (-)", "cores (-)", "ozzo may", "done by (UTC)")
    for row in rows:
        may = row["fault"] or ("" if row["deadline"] is None else "move and pause it" if row["pausable"] else "move it")
        cells = (row["name"], row["user"], row["state"] + (", held" if row["held"] else ""), str(row["nodes"]), str(row["cores"]))
        made.add_row(str(row["job"]), *cells, may, (row["deadline"] or "")[:16])
    return rendered(made), good


def _queue_row(job: QueuedJob) -> dict[str, Any]:
    from ozzo.engines.slurm_plan import wish_of

    row: dict[str, Any] = {"job": job.number, "name": job.name, "user": job.user, "state": job.state, "held": job.held}
    row |= {"nodes": job.nodes, "cores": job.cores, "deadline": None, "pausable": False, "fault": None}
    try:
        wish = wish_of(job)
    except ValueError as error:
        return row | {"fault": str(error)}
    return row if wish is None else row | {"deadline": wish.deadline.astimezone(UTC).isoformat(), "pausable": wish.pausable}


def plan_text(
    scenario: Path, site: str, partition: str, conf: Path | None, *, apply: bool, as_json: bool, say: Say
) -> tuple[str, bool]:
    """Plan, rehearse, and say or do what it means for the queue.

    False beside the text when the plan failed its rehearsal, or a job could not be planned.

    Raises:
        InputError: the scenario is wrong.
        SlurmError: Slurm did not answer or refused, or scenario and cluster do not fit.
    """
    from ozzo.engines.slurm_plan import actions, with_queue
    from scheduler.build import build_problem
    from scheduler.document import load_scenario
    from scheduler.on_grid import on_grid
    from scheduler.optimiser.policy import MilpPolicy
    from scheduler.placement import assign_nodes
    from sim.network_check import load
    from sim.rehearsal import rehearse

    slurm = Slurm(partition, conf)
    loaded = load_scenario(scenario, progress=say)
    queue = with_queue(loaded, site, slurm.queue(), datetime.now(UTC), slurm.size())
    network = None if loaded.network is None else load(loaded.network)
    policy = MilpPolicy() if network is None else on_grid(MilpPolicy(), queue.scenario, network)
    plan = assign_nodes(queue.scenario, policy.plan(build_problem(queue.scenario), progress=say))
    verdict = rehearse(queue.scenario, plan, network=network).verdict
    todo = actions(queue, plan)
    if apply and verdict.passed:
        carry_out(slurm, todo, say)
    applied = apply and verdict.passed
    good = verdict.passed and not queue.findings
    if as_json:
        return json.dumps(_plan_json(queue, plan, verdict, todo, applied=applied), indent=1), good
    return _plan_tables(queue, plan, verdict, todo, applied=applied), good


def carry_out(slurm: Slurm, todo: Iterable[Action], say: Say) -> None:
    """The actions, in their order.

    Raises:
        SlurmError: Slurm refused one; what came before it is done.
    """
    from ozzo.engines.slurm_plan import Do

    for action in todo:
        say(f"job {action.job}: {action.do} ({action.why})")
        match action.do:
            case Do.START_NOW:
                slurm.release(action.job)
            case Do.START_AT:
                if action.at is None:
                    raise SlurmError(f"job {action.job}: no moment to start at")
                slurm.start_at(action.job, action.at)
            case Do.HOLD:
                slurm.hold(action.job)
            case Do.SUSPEND:
                slurm.suspend([action.job])
            case Do.RESUME:
                slurm.resume([action.job])


def _plan_json(queue: Queue, plan: Plan, verdict: Verdict, todo: list[Action], *, applied: bool) -> dict[str, Any]:
    return {
        "from": plan.horizon.start.isoformat(),
        "planned": sorted(queue.ours),
        "others": queue.others,
        "not_planned": [asdict(finding) for finding in queue.findings],
        "status": str(plan.status),
        "gap": plan.gap,
        "objective_eur": plan.objective_eur,
        "verdict": "passed" if verdict.passed else "failed",
        "violations": [f"{violation.kind} {violation.subject}: {violation.advice}" for violation in verdict.violations],
        "actions": [
            {"job": action.job, "do": str(action.do), "at": action.at.isoformat() if action.at else None, "why": action.why}
            for action in todo
        ],
        "applied": applied,
    }


def _plan_tables(queue: Queue, plan: Plan, verdict: Verdict, todo: list[Action], *, applied: bool) -> str:
    begins = f"{plan.horizon.start:%Y-%m-%d %H:%M} UTC"
    made = table(f"What the plan from {begins} means for the queue", "job", "do", "why")
    for action in todo:
        made.add_row(str(action.job), str(action.do), action.why)
    lines = [f"{len(queue.ours)} jobs planned, {queue.others} others hold nodes; {plan.status}, {plan.objective_eur:.4f} EUR."]
    lines += [f"Not planned: {finding}" for finding in queue.findings]
    lines += [f"Broken rule: {violation.kind} {violation.subject}. {violation.advice}" for violation in verdict.violations]
    if not verdict.passed:
        lines.append("The plan failed its rehearsal: nothing was done.")
    else:
        lines.append("Done." if applied else "Nothing was done (--apply does it).")
    return rendered(made, *lines)


def shed_text(
    scenario: Path, site: str, kw: float, reason: str, partition: str, conf: Path | None, book: Path, *, as_json: bool
) -> tuple[str, bool]:
    """Shed load; False when less than asked could be freed.

    Raises:
        InputError: the scenario is wrong.
        SlurmError: Slurm refused, there is no such site, or load was shed already.
    """
    from ozzo.engines.slurm_shed import shed

    done = shed(Slurm(partition, conf), _site(scenario, site), kw, reason, book)
    enough = done.kw >= kw - 1e-9
    if as_json:
        return json.dumps(asdict(done), indent=1), enough
    words = f"Partition {partition} is closed; {len(done.jobs)} jobs suspended, {done.kw:.3f} of {kw:.3f} kW freed."
    return words + ("" if enough else " Nothing else may be paused."), enough


def restore_text(partition: str, conf: Path | None, book: Path, *, as_json: bool) -> str:
    """Give back what was shed.

    Raises:
        InputError: the book cannot be read.
        SlurmError: nothing was shed, or Slurm refused.
    """
    from ozzo.engines.slurm_shed import restore

    done = restore(Slurm(partition, conf), book)
    if as_json:
        return json.dumps(asdict(done), indent=1)
    return f"{len(done.jobs)} jobs resumed, partition {partition} {'open' if done.was_open else 'left closed, as it was'}."


def _site(scenario: Path, name: str) -> Site:
    from scheduler.document import load_scenario

    loaded = load_scenario(scenario)
    found = next((site for site in loaded.sites if site.name == name), None)
    if found is None:
        raise SlurmError(f"the scenario has no site {name!r}; there are {', '.join(site.name for site in loaded.sites)}")
    return found
