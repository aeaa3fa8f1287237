"""Jobs of a scenario from the three sources that a document may name."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from grid.chance import stream
from grid.errors import FeedError
from grid.horizon import Horizon
from scheduler.document.context import Context
from scheduler.document.sources import Sources, find_file
from scheduler.document.work import MOST_JOBS
from scheduler.workload import Job, JobKind, PowerCap

STREAM = "jobs"
"""Name of the stream of random numbers that generated jobs are drawn from."""


def scenario_jobs(context: Context, sources: Sources, horizon: Horizon) -> tuple[tuple[Job, ...], tuple[str, ...]]:
    """Every job that can end inside the horizon, its window cut to it, with a unique name; and the names of the rest.

    What is wrong with a trace or a job model becomes a finding.
    """
    from scheduler.traces import fit_to_horizon

    jobs = [*listed_jobs(context, horizon), *trace_jobs(context, sources, horizon), *generated_jobs(context, sources, horizon)]
    seen: set[str] = set()
    named = []
    for job in jobs:
        name = job.name
        while name in seen:
            name = f"{name}.{job.origin}"
        seen.add(name)
        named.append(job if name == job.name else replace(job, name=name))
    kept, beyond = fit_to_horizon(tuple(named), horizon, context.document.planning.duration_margin)
    return with_those_before(kept, beyond)


def with_those_before(kept: tuple[Job, ...], beyond: tuple[str, ...]) -> tuple[tuple[Job, ...], tuple[str, ...]]:
    """Jobs whose predecessors are all among them; the names of the rest are added to ``beyond``."""
    out = set(beyond)
    while late := [job.name for job in kept if out.intersection(job.after)]:
        kept = tuple(job for job in kept if job.name not in late)
        out.update(late)
        beyond = (*beyond, *late)
    return kept, beyond


def listed_jobs(context: Context, horizon: Horizon) -> list[Job]:
    """Jobs that the document lists one by one."""
    jobs = []
    for index, part in enumerate(context.document.workload.jobs):
        place = context.place("workload", "jobs", index)
        release = context.moment(part.release, (*place, "release"), horizon.start)
        deadline = context.moment(part.deadline, (*place, "deadline"), horizon.end)
        due = context.moment(part.due, (*place, "due"))
        if release is None or deadline is None:
            continue
        late = context.document.weights.lateness_eur_per_h if part.late_eur_per_h is None else part.late_eur_per_h
        jobs.append(
            Job(
                name=part.name,
                kind=JobKind.MALLEABLE if part.power_caps else part.kind,
                release=release,
                deadline=deadline,
                duration=timedelta(minutes=part.duration_minutes),
                nodes=part.nodes,
                cores=part.cores,
                gpus=part.gpus,
                memory_gb=part.memory_gb,
                sites=part.sites or all_sites(context),
                inputs=part.inputs,
                drop_eur=part.drop_eur * part.priority,
                command=part.command,
                due=due,
                late_eur_per_h=0.0 if due is None else late * part.priority,
                min_run=timedelta(minutes=part.min_run_minutes),
                min_gap=timedelta(minutes=part.min_gap_minutes),
                restart_eur=part.restart_eur,
                power_caps=tuple(PowerCap(cap.speed, cap.power) for cap in part.power_caps),
                after=part.after,
                tenant=part.tenant,
                move_eur=part.move_eur,
            )
        )
    return jobs


def all_sites(context: Context) -> tuple[str, ...]:
    """Every site that has nodes."""
    return tuple(site.name for site in context.document.sites if site.nodes)


def trace_jobs(context: Context, sources: Sources, horizon: Horizon) -> list[Job]:
    """Jobs of the trace, moved to the horizon when they were submitted at another time."""
    from scheduler.traces import read_opendc_tasks

    part = context.document.workload.trace
    if part is None:
        return []
    place = ("workload", "trace")
    path = find_file(context, sources, part.opendc, (*place, "opendc"))
    start = context.moment(part.from_, (*place, "from"), horizon.start)
    if path is None or start is None:
        return []
    end = context.moment(part.to, (*place, "to"), start + (horizon.end - horizon.start))
    if end is None:
        return []
    try:
        jobs = read_opendc_tasks(
            path,
            start=start,
            end=end,
            sites=part.sites or all_sites(context),
            limit=part.limit,
            deadline_slack=timedelta(hours=part.deadline_slack_h),
            drop_eur=part.drop_eur,
            node_cores=part.node_cores,
        )
    except FeedError as error:
        context.report((*place, "opendc"), str(error), "a trace with jobs in the period")
        return []
    if len(jobs) > MOST_JOBS:
        expected = f"at most {MOST_JOBS} jobs: a shorter period, or a limit"
        context.report((*place, "limit"), f"{len(jobs)} jobs in the period", expected)
        return []
    shift = horizon.start - start
    if shift:
        context.notes.append(
            f"Derived: the trace's jobs were moved by {shift / timedelta(days=1):g} days to the horizon's start."
        )
    return [replace(job, release=job.release + shift, deadline=job.deadline + shift) for job in jobs]


def generated_jobs(context: Context, sources: Sources, horizon: Horizon) -> list[Job]:
    """Jobs drawn from the model; the seed of the scenario decides them."""
    from scheduler.generator import JobClass, read_model, sample

    part = context.document.workload.generator
    if part is None:
        return []
    place = ("workload", "generator")
    path = find_file(context, sources, part.model, (*place, "model"))
    if path is None:
        return []
    classes = tuple(
        JobClass(
            name=kind.name,
            share=kind.share,
            kind=kind.kind,
            slack=timedelta(hours=kind.slack_h),
            sites=kind.sites,
            inputs=kind.inputs,
            drop_eur=kind.drop_eur,
        )
        for kind in part.classes
    )
    try:
        jobs = sample(
            read_model(path),
            horizon,
            part.jobs,
            stream(context.document.seed, STREAM),
            sites=part.sites or all_sites(context),
            classes=classes or (JobClass(),),
            shortest=timedelta(minutes=part.shortest_minutes),
            longest=None if part.longest_minutes is None else timedelta(minutes=part.longest_minutes),
        )
    except FeedError as error:
        context.report((*place, "model"), str(error), "a job model that fits the horizon")
        return []
    return list(jobs)
