"""Jobs of a scenario from the three sources that a document may name."""

from __future__ import annotations

from datetime import timedelta

from grid.horizon import Horizon
from scheduler.document.context import Context
from scheduler.document.sources import Sources
from scheduler.workload import Job


def listed_jobs(context: Context, horizon: Horizon) -> list[Job]:
    """Jobs that the document lists one by one."""
    jobs = []
    for index, part in enumerate(context.document.workload.jobs):
        place = context.place("workload", "jobs", index)
        release = context.moment(part.release, (*place, "release"), horizon.start)
        deadline = context.moment(part.deadline, (*place, "deadline"), horizon.end)
        if release is None or deadline is None:
            continue
        jobs.append(
            Job(
                name=part.name,
                kind=part.kind,
                release=release,
                deadline=deadline,
                duration=timedelta(minutes=part.duration_minutes),
                nodes=part.nodes,
                cores=part.cores,
                gpus=part.gpus,
                memory_gb=part.memory_gb,
                sites=part.sites or all_sites(context),
                inputs=part.inputs,
                drop_eur=part.drop_eur,
                command=part.command,
            )
        )
    return jobs


def all_sites(context: Context) -> tuple[str, ...]:
    """Every site that has nodes."""
    return tuple(site.name for site in context.document.sites if site.nodes)


def trace_jobs(context: Context, sources: Sources, horizon: Horizon) -> list[Job]:
    """Jobs of the trace."""
    return []


def generated_jobs(context: Context, sources: Sources, horizon: Horizon) -> list[Job]:
    """Jobs drawn from the model."""
    return []
