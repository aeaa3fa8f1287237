"""Whether what a job's owner asks for can be meant: soft deadline, pieces, power caps, tenant, and the order of jobs."""

from __future__ import annotations

from scheduler.document.context import Context
from scheduler.document.tree import Place
from scheduler.document.work import JobPart
from scheduler.workload import JobKind


def check_terms(context: Context, job: JobPart, place: Place) -> None:
    """One job's own terms."""
    if job.tenant is not None:
        context.known((*place, "tenant"), job.tenant, "tenant", context.names("tenants"))
    _due(context, job, place)
    _pieces(context, job, place)
    _move(context, job, place)
    if job.capped and "kind" in job.model_fields_set and job.kind is not JobKind.MALLEABLE:
        expected = f"malleable (or no kind at all) for a job with {'power_caps' if job.power_caps else 'a power_table'}"
        context.report((*place, "kind"), f"'{job.kind}'", expected, needs=[(*place, "power_caps"), (*place, "power_table")])
    if job.power_table is not None:
        _table(context, job, place)


def _table(context: Context, job: JobPart, place: Place) -> None:
    """A table of GPU power limits is for a job with GPUs, and stands in place of caps."""
    where = (*place, "power_table")
    if job.power_caps:
        context.report(where, "a table beside power_caps", "one of the two", needs=[(*place, "power_caps")])
    if job.gpus == 0:
        context.report(
            where, "a table of GPU power limits for a job without GPUs", "gpus of at least 1", needs=[(*place, "gpus")]
        )


def _move(context: Context, job: JobPart, place: Place) -> None:
    """What runs in one piece is not moved while it runs."""
    if job.move_eur is not None and job.kind is JobKind.RIGID and not job.capped:
        expected = "kind: interruptible or malleable, for a rigid job runs in one piece at one site"
        context.report((*place, "move_eur"), f"{job.move_eur:g} EUR for a job of kind rigid", expected, needs=[(*place, "kind")])


def check_order(context: Context) -> None:
    """Every job comes only after jobs that the document lists, and none after itself, by whatever way."""
    names = context.names("workload", "jobs")
    before = {}
    for index, job in enumerate(context.document.workload.jobs):
        place = context.place("workload", "jobs", index)
        for at, name in enumerate(job.after):
            context.known((*place, "after", at), name, "listed job", names)
        before[job.name] = (place, job.after)
    told: set[str] = set()
    for name, (place, _) in before.items():
        circle = _circle({other: after for other, (_, after) in before.items()}, name)
        if circle and not told.intersection(circle):
            told.update(circle)
            found = f"a circle: {' after '.join(circle)}"
            needs = [before[other][0] for other in circle]
            context.report((*place, "after"), found, "jobs that can be put in an order", needs=needs)


def _circle(after: dict[str, tuple[str, ...]], start: str) -> list[str]:
    """The shortest way from ``start`` back to itself along ``after``, both ends included; empty when there is none."""
    ways, seen = [[start]], {start}
    while ways:
        longer = []
        for way in ways:
            for name in after.get(way[-1], ()):
                if name == start:
                    return [*way, start]
                if name not in seen:
                    seen.add(name)
                    longer.append([*way, name])
        ways = longer
    return []


def _due(context: Context, job: JobPart, place: Place) -> None:
    """A soft deadline lies inside the job's window, and a price of lateness has one."""
    where = (*place, "due")
    if job.due is None:
        if job.late_eur_per_h is not None:
            context.report(
                (*place, "late_eur_per_h"), "a price of lateness", "due, the soft deadline that it counts from", needs=[where]
            )
        return
    horizon = context.horizon
    due = context.moment(job.due, where)
    if horizon is None or due is None:
        return
    release = context.moment(job.release, (*place, "release"), horizon.start)
    deadline = context.moment(job.deadline, (*place, "deadline"), horizon.end)
    if release is None or deadline is None or deadline <= release:
        return
    if not release < due <= deadline:
        expected = f"after the release and not after the deadline, so up to {context.local(deadline)}"
        needs = [(*place, "release"), (*place, "deadline"), ("horizon",)]
        context.report(where, context.local(due), expected, needs=needs)


def _pieces(context: Context, job: JobPart, place: Place) -> None:
    """Only interruptible jobs have pieces, and no piece must be longer than the job."""
    needs = [(*place, "kind"), (*place, "power_caps")]
    if job.kind is not JobKind.INTERRUPTIBLE:
        for name, unit in (("min_run_minutes", "minutes"), ("min_gap_minutes", "minutes"), ("restart_eur", "EUR")):
            if getattr(job, name) > 0:
                expected = "kind: interruptible, for only such jobs run in pieces of whole slots"
                context.report(
                    (*place, name), f"{getattr(job, name):g} {unit} for a job of kind {job.kind}", expected, needs=needs
                )
    elif job.min_run_minutes > job.duration_minutes:
        expected = f"at most duration_minutes, which is {job.duration_minutes:g} minutes"
        needs.append((*place, "duration_minutes"))
        context.report((*place, "min_run_minutes"), f"{job.min_run_minutes:g} minutes", expected, needs=needs)
