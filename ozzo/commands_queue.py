"""What stands behind ``ozzo slurm`` and ``ozzo kubernetes``: queue, plan, shed and restore as text or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ozzo.answer_tables import rendered, table
from ozzo.engines.queue import Action, Do, Engine, QueuedJob

if TYPE_CHECKING:
    from ozzo.engines.queue_plan import Queue
    from scheduler.outcome import Verdict
    from scheduler.plan import Plan

Say = Callable[[str], None]


def queue_text(engine: Engine, *, as_json: bool) -> tuple[str, bool]:
    """The queue with what each user allows; False when a wish cannot be read.

    Raises:
        EngineError: the cluster did not answer.
    """
    rows = [_queue_row(job) for job in engine.queue()]
    good = not any(row["faults"] for row in rows)
    if as_json:
        return json.dumps({"cluster": engine.kind, "queue": engine.title, "jobs": rows}, indent=1), good
    made = table(engine.title.capitalize(), "job", "name", "user", "state", "tasks (-)", "cores (-)", "ozzo may", "done by (UTC)")
    for row in rows:
        may = "; ".join(row["faults"]) or row["note"]
        may = may or ("" if row["deadline"] is None else "move and pause it" if row["pausable"] else "move it")
        cells = (
            row["name"],
            row["user"],
            row["state"] + (", held" if row["held"] else ""),
            str(row["tasks"]),
            f"{row['cores']:g}",
        )
        made.add_row(str(row["job"]), *cells, may, (row["deadline"] or "")[:16])
    return rendered(made), good


def _queue_row(job: QueuedJob) -> dict[str, Any]:
    row: dict[str, Any] = {"job": job.key, "name": job.name, "user": job.user, "state": str(job.state), "held": job.held}
    row |= {"tasks": job.tasks, "cores": job.cores, "memory_gb": job.memory_gb, "gpus": job.gpus, "limit_s": job.limit_s}
    row |= {"deadline": None, "pausable": False, "note": job.note, "faults": list(job.faults)}
    if job.wish is None:
        return row
    return row | {"deadline": job.wish.deadline.astimezone(UTC).isoformat(), "pausable": job.wish.pausable}


def plan_text(engine: Engine, scenario: Path, site: str, *, apply: bool, as_json: bool, say: Say) -> tuple[str, bool]:
    """Plan, rehearse, and say or do what it means for the queue.

    False beside the text when the plan failed its rehearsal, has no place for a job, or could not do all with ``apply``.

    Raises:
        InputError: the scenario is wrong.
        EngineError: the cluster did not answer or refused, or scenario and cluster do not fit.
    """
    from ozzo.engines.queue_plan import actions, left_out, with_queue
    from scheduler.build import build_problem
    from scheduler.document import load_scenario
    from scheduler.on_grid import on_grid
    from scheduler.optimiser.policy import MilpPolicy
    from scheduler.placement import assign_nodes
    from sim.network_check import load
    from sim.rehearsal import rehearse

    loaded = load_scenario(scenario, progress=say)
    queue = with_queue(loaded, site, engine.queue(), datetime.now(UTC), engine.size(), engine.kind)
    network = None if loaded.network is None else load(loaded.network)
    policy = MilpPolicy() if network is None else on_grid(MilpPolicy(), queue.scenario, network)
    plan = assign_nodes(queue.scenario, policy.plan(build_problem(queue.scenario), progress=say))
    verdict = rehearse(queue.scenario, plan, network=network).verdict
    queue = replace(queue, findings=(*queue.findings, *left_out(queue, plan)))
    todo = actions(queue, plan)
    applied = apply and verdict.passed
    undone = carry_out(engine, todo, say) if applied else []
    good = verdict.passed and not queue.findings and not undone
    if as_json:
        told = _plan_json(queue, plan, verdict, todo, applied=applied) | {"not_done": undone}
        return json.dumps(told, indent=1), good
    return _plan_tables(queue, plan, verdict, todo, undone, applied=applied), good


def carry_out(engine: Engine, todo: Iterable[Action], say: Say) -> list[str]:
    """Do the actions in their order; those that were not done because the queue has changed or is closed, with the reason.

    Raises:
        EngineError: the cluster refused one; what came before it is done.
    """
    undone = []
    opened = engine.opened()
    for action in todo:
        say(f"job {action.job}: {action.do} ({action.why})")
        if not opened and action.do in {Do.START_NOW, Do.START_AT, Do.RESUME}:
            otherwise = "the queue is closed (load is shed?)"
        else:
            otherwise = engine.carry_out(action)
        if otherwise:
            undone.append(f"job {action.job}: not {action.do}: {otherwise}")
            say(undone[-1])
    return undone


def _plan_json(queue: Queue, plan: Plan, verdict: Verdict, todo: list[Action], *, applied: bool) -> dict[str, Any]:
    return {
        "from": plan.horizon.start.isoformat(),
        "planned": sorted(queue.ours),
        "others": len(queue.others),
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


def _plan_tables(queue: Queue, plan: Plan, verdict: Verdict, todo: list[Action], undone: list[str], *, applied: bool) -> str:
    begins = f"{plan.horizon.start:%Y-%m-%d %H:%M} UTC"
    made = table(f"What the plan from {begins} means for the queue", "job", "do", "why")
    for action in todo:
        made.add_row(str(action.job), str(action.do), action.why)
    lines = [
        f"{len(queue.ours)} jobs planned, {len(queue.others)} others hold nodes; {plan.status}, {plan.objective_eur:.4f} EUR."
    ]
    lines += [f"Not planned: {finding}" for finding in queue.findings]
    lines += [f"Broken rule: {violation.kind} {violation.subject}. {violation.advice}" for violation in verdict.violations]
    lines += [f"Not done: {line}" for line in undone]
    if not verdict.passed:
        lines.append("The plan failed its rehearsal: nothing was done.")
    else:
        lines.append("Done." if applied else "Nothing was done (--apply does it).")
    return rendered(made, *lines)


def shed_text(
    engine: Engine, scenario: Path, site: str, kw: float, reason: str, book: Path, *, as_json: bool
) -> tuple[str, bool]:
    """Shed load; False when less than asked could be freed.

    Raises:
        InputError: the scenario is wrong.
        EngineError: the cluster refused, there is no such site, or load was shed already.
    """
    from ozzo.engines.queue_plan import site_of
    from ozzo.engines.queue_shed import shed
    from scheduler.document import load_scenario

    done = shed(engine, site_of(load_scenario(scenario), site), kw, reason, book)
    enough = done.kw >= kw - 1e-9
    if as_json:
        return done.model_dump_json(indent=1), enough
    words = f"{done.title.capitalize()}: {len(done.jobs)} jobs suspended, {done.kw:.3f} of {kw:.3f} kW freed."
    words += f" {len(done.waiting)} of ours that waited are held." if done.waiting else ""
    return words + ("" if enough else " Nothing else may be paused."), enough


def restore_text(engine: Engine, book: Path, *, as_json: bool) -> str:
    """Give back what was shed.

    Raises:
        InputError: the book cannot be read.
        EngineError: nothing was shed, or the cluster refused.
    """
    from ozzo.engines.queue_shed import restore

    done = restore(engine, book)
    if as_json:
        return done.model_dump_json(indent=1)
    words = f"{done.title.capitalize()}: {len(done.jobs)} jobs resumed, {len(done.waiting)} that waited are let go"
    return f"{words}, {'open' if done.was_open else 'left closed, as it was'}."
