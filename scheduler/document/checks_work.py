"""Whether the work of a document can be done at all: jobs, datasets and events against sites, links and the horizon."""

from __future__ import annotations

from datetime import datetime, timedelta

from scheduler.document.checks_terms import check_order, check_terms
from scheduler.document.context import Context
from scheduler.document.places import NodesPart
from scheduler.document.storage import check_folders
from scheduler.document.tree import Place
from scheduler.document.work import DatasetPart, EventPart, JobPart


def check_work(context: Context) -> None:
    """Jobs, datasets and events."""
    sites = context.names("sites")
    workload = context.document.workload
    for name in ("trace", "generator"):
        part = getattr(workload, name)
        for index, site in enumerate((part.sites if part else None) or ()):
            context.known(("workload", name, "sites", index), site, "site", sites)
    for index, kind in enumerate(workload.generator.classes if workload.generator else ()):
        place = context.place("workload", "generator", "classes", index)
        for at, name in enumerate(kind.sites or ()):
            context.known((*place, "sites", at), name, "site", sites)
        for at, name in enumerate(kind.inputs):
            context.known((*place, "inputs", at), name, "dataset", context.names("datasets"))
    for index, dataset in enumerate(context.document.datasets):
        _dataset(context, dataset, context.place("datasets", index))
    check_folders(context)
    for index, job in enumerate(workload.jobs):
        place = context.place("workload", "jobs", index)
        known = [context.known((*place, "sites", at), name, "site", sites) for at, name in enumerate(job.sites or ())]
        _window(context, job, place)
        check_terms(context, job, place)
        if all(known):
            _width(context, job, place)
            _inputs(context, job, place)
    check_order(context)
    for index, event in enumerate(context.document.events):
        _event(context, event, context.place("events", index))


def _window(context: Context, job: JobPart, place: Place) -> None:
    """A job's deadline lies after its release, and its run time fits between them, in whole slots of the horizon."""
    horizon = context.horizon
    if horizon is None:
        return
    release = context.moment(job.release, (*place, "release"), horizon.start)
    deadline = context.moment(job.deadline, (*place, "deadline"), horizon.end)
    if release is None or deadline is None:
        return
    window = [(*place, "release"), (*place, "deadline"), ("horizon",)]
    if deadline <= release:
        if job.deadline is None:
            expected = f"a release before the horizon's end, {context.local(horizon.end)}"
            context.report((*place, "release"), context.local(release), expected, needs=window)
            return
        expected = f"a deadline after the job's release, {context.local(release)}"
        context.report((*place, "deadline"), context.local(deadline), expected, needs=window)
        return
    margin = context.document.planning.duration_margin
    work = horizon.slots_for(timedelta(minutes=job.duration_minutes) * (1.0 + margin))
    room = min(horizon.floor_slot(deadline), horizon.slots) - max(horizon.ceil_slot(release), 0)
    if work > room:
        step = horizon.step / timedelta(minutes=1)
        found = f"{job.duration_minutes:g} minutes ({work} slots of {step:g} minutes)"
        expected = f"at most the {max(room, 0)} whole slots between release and deadline inside the horizon"
        context.report((*place, "duration_minutes"), found, expected, needs=[*window, ("planning", "duration_margin")])


def _width(context: Context, job: JobPart, place: Place) -> None:
    """Some node at the job's sites can hold one member of its gang, and some group of such nodes the whole gang."""
    groups = [group for site in context.document.sites if job.sites is None or site.name in job.sites for group in site.nodes]
    whole = [*context.of_every_site("name", "nodes"), (*place, "sites")]
    for name, words in (("cores", "cores"), ("gpus", "GPUs"), ("memory_gb", "GB of memory")):
        most = max((getattr(group, name) for group in groups), default=0)
        if getattr(job, name) > most:
            found = f"{getattr(job, name):g} {words} on one node"
            expected = f"at most {most:g}, the most that a node at its sites has"
            context.report((*place, name), found, expected, needs=whole)
            return
    fitting = [group for group in groups if _holds(group, job)]
    if not fitting:
        found = f"{job.cores} cores, {job.gpus} GPUs and {job.memory_gb:g} GB on one node"
        context.report(place, found, "a node at its sites that has all of them", needs=whole)
        return
    most = max(group.count for group in fitting)
    if job.nodes > most:
        expected = f"at most {most}, the most that a group of nodes at its sites has"
        context.report((*place, "nodes"), f"{job.nodes} nodes at once", expected, needs=whole)


def _holds(group: NodesPart, job: JobPart) -> bool:
    return group.cores >= job.cores and group.gpus >= job.gpus and group.memory_gb >= job.memory_gb


def _inputs(context: Context, job: JobPart, place: Place) -> None:
    """Inputs exist, and at least one of the job's sites may hold all of them."""
    datasets = {dataset.name: dataset for dataset in context.document.datasets}
    possible = set(job.sites) if job.sites is not None else {site.name for site in context.document.sites}
    needs = [*context.of_every_site("name", "tier"), ("datasets",), (*place, "sites")]
    for index, name in enumerate(job.inputs):
        where = (*place, "inputs", index)
        if not context.known(where, name, "dataset", context.names("datasets")) or name not in datasets:
            return
        dataset = datasets[name]
        readable = set(dataset.sites) | set(allowed_sites(context, dataset))
        if not possible & readable:
            found = f"{name!r}, which is or may be at {', '.join(sorted(readable))}"
            context.report(where, found, f"a dataset at one of its sites: {', '.join(sorted(possible))}", needs=needs)
            return
        possible &= readable


def allowed_sites(context: Context, dataset: DatasetPart) -> tuple[str, ...]:
    """Sites that may hold a replica, in the order of the document."""
    return tuple(
        site.name
        for site in context.document.sites
        if (dataset.allowed_sites is None or site.name in dataset.allowed_sites)
        and (site.tier is dataset.tier or (dataset.tier_rule == "sector" and dataset.allowed_sites is not None))
    )


def _dataset(context: Context, dataset: DatasetPart, place: Place) -> None:
    """Some site may hold the dataset, its replicas have room, and a way leads there from where it is."""
    sites = context.names("sites")
    known = [context.known((*place, "sites", at), name, "site", sites) for at, name in enumerate(dataset.sites)]
    known += [
        context.known((*place, "allowed_sites", at), name, "site", sites) for at, name in enumerate(dataset.allowed_sites or ())
    ]
    _distinct(context, dataset.sites, (*place, "sites"))
    _move_by(context, dataset, place)
    if not all(known):
        return
    allowed = allowed_sites(context, dataset)
    needs = [*context.of_every_site("name", "tier"), (*place, "sites"), (*place, "allowed_sites")]
    tiers = {site.name: site.tier for site in context.document.sites}
    if dataset.allowed_sites is not None and dataset.tier_rule == "tier":
        wrong = [name for name in dataset.allowed_sites if name in tiers and tiers[name] is not dataset.tier]
        if wrong:
            found = f"{wrong[0]!r}, a site of tier {tiers[wrong[0]]}"
            expected = f"sites of tier {dataset.tier}, or tier_rule: sector where the sector wants it otherwise"
            context.report((*place, "allowed_sites"), found, expected, needs=needs)
            return
    if not allowed:
        found = f"{dataset.name!r} is allowed nowhere: no site has tier {dataset.tier}"
        context.report(
            (*place, "tier"), found, f"a site of tier {dataset.tier}, or allowed_sites with tier_rule: sector", needs=needs
        )
        return
    if dataset.replicas is not None and dataset.replicas > min(len(dataset.sites), len(allowed)):
        found = f"{dataset.replicas} replicas"
        expected = (
            f"at most {min(len(dataset.sites), len(allowed))}: it is at {len(dataset.sites)} sites and allowed at {len(allowed)}"
        )
        context.report((*place, "replicas"), found, expected, needs=needs)
    stray = [name for name in dataset.sites if name not in allowed]
    if stray and not set(allowed) & _reach(context, stray[0]):
        expected = f"links from {stray[0]} to an allowed site ({', '.join(allowed)}), so that it can be moved there"
        context.report((*place, "sites"), f"a replica at {stray[0]} that must move", expected, needs=[*needs, ("links",)])


def _distinct(context: Context, names: tuple[str, ...], place: Place) -> None:
    for index, name in enumerate(names):
        if name in names[:index]:
            context.report((*place, index), f"{name!r} twice", "each site once")


def _move_by(context: Context, dataset: DatasetPart, place: Place) -> None:
    if dataset.move_by is None or context.horizon is None:
        return
    where = (*place, "move_by")
    moment = context.moment(dataset.move_by, where)
    if moment is not None and moment <= context.horizon.start:
        context.report(where, context.local(moment), f"after the horizon's start, {context.local(context.horizon.start)}")


def _reach(context: Context, start: str) -> set[str]:
    """Sites that links join to ``start``."""
    reached, new = {start}, {start}
    while new:
        new = {end for link in context.document.links for end in link.ends if set(link.ends) & reached} - reached
        reached |= new
    return reached


def _event(context: Context, event: EventPart, place: Place) -> None:
    """An event's site exists and can keep it at all, and its period lies inside the horizon."""
    if context.known((*place, "site"), event.site, "site", context.names("sites")):
        _reachable(context, event, place)
    horizon = context.horizon
    if horizon is None:
        return
    start, end = context.moment(event.start, (*place, "start")), context.moment(event.end, (*place, "end"))
    context.moment(event.received, (*place, "received"))
    if start is None or end is None:
        return
    needs = [("horizon",), (*place, "start"), (*place, "end")]
    if end <= start:
        context.report((*place, "end"), context.local(end), f"after the event's start, {context.local(start)}", needs=needs)
    elif end - start > horizon.end - horizon.start:
        hours, most = (end - start) / timedelta(hours=1), (horizon.end - horizon.start) / timedelta(hours=1)
        expected = f"at most the {most:g} hours of the horizon, {_period(context, horizon.start, horizon.end)}"
        context.report((*place, "end"), f"an event of {hours:g} hours", expected, needs=needs)
    elif start < horizon.start or end > horizon.end:
        where, moment = ((*place, "start"), start) if start < horizon.start else ((*place, "end"), end)
        context.report(
            where,
            context.local(moment),
            f"an event inside the horizon, {_period(context, horizon.start, horizon.end)}",
            needs=needs,
        )


def _reachable(context: Context, event: EventPart, place: Place) -> None:
    """An event that asks for export asks for no more than the connection may export."""
    for index, site in enumerate(context.document.sites):
        if site.name == event.site:
            connection = context.place("sites", index, "connection")
            windows = [window.export_limit_kw for window in site.connection.windows if window.export_limit_kw is not None]
            most = max([site.connection.export_limit_kw, *windows])
            if event.limit_kw < -most:
                expected = f"at least {0.0 - most:g} kW: {site.name} may export {most:g} kW, so no plan can keep to less"
                context.report((*place, "limit_kw"), f"{event.limit_kw:g} kW", expected, needs=[connection])


def _period(context: Context, start: datetime, end: datetime) -> str:
    return f"{context.local(start)} to {context.local(end)}"
