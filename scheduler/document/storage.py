"""Where real datasets lie: the node that keeps a site's data, and the folders of datasets below its root.

The plan itself needs none of this. ``ozzo run --broker`` and ``ozzo serve`` need it to command a plan's migrations to nodes.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from scheduler.data import Storage
from scheduler.document.fields import Name, Part, about
from scheduler.document.tree import Place, shown
from scheduler.document.units import nearest

if TYPE_CHECKING:
    from scheduler.document.context import Context
    from scheduler.document.places import SitePart


class StoragePart(Part):
    """The node that keeps a site's data; with it on both ends a plan's migrations are commanded to real nodes."""

    node: Annotated[Name, about("The node of this site that keeps its data, as <group>-<number>.")]
    root: Annotated[Name, about("What the settings of its agent call the folder (data.roots) that datasets lie in.")]
    release: Annotated[
        bool,
        about("Replicas that a plan has moved away are deleted here, once the copy is proven; they stay when left out."),
        Field(strict=True),
    ] = False


def check_storage(context: Context, site: SitePart, place: Place) -> None:
    """The node that keeps the data is one of the site's."""
    if site.storage is None:
        return
    names = [f"{group.name}-{i}" for group in site.nodes for i in range(group.count)]
    if site.storage.node in names:
        return
    few = f"{', '.join(names[:5])}{f' and {len(names) - 5} more' if len(names) > 5 else ''}"
    expected = f"a node of {site.name}: {few}" if names else f"a node of {site.name}, which has none"
    where = (*place, "storage", "node")
    context.report(where, shown(site.storage.node), expected, nearest(site.storage.node, names), needs=[(*place, "nodes")])


def check_folders(context: Context) -> None:
    """No dataset lies in the folder of another one: whoever releases the one would take the other along."""
    first: dict[str, int] = {}
    datasets = context.document.datasets
    for index, dataset in enumerate(datasets):
        first.setdefault(dataset.path or dataset.name, index)
    for index, dataset in enumerate(datasets):
        mine = dataset.path or dataset.name
        around = [mine, *(str(above) for above in PurePosixPath(mine).parents)]
        for folder in around:
            at = first.get(folder, index)
            if at != index:
                where = (*context.place("datasets", index), "path" if dataset.path is not None else "name")
                expected = f"a folder that is not in that of {datasets[at].name}, which is {folder!r}"
                context.report(where, repr(mine), expected, needs=[context.place("datasets", at)])
                break


def build_storage(part: SitePart) -> Storage | None:
    """Where a site without findings keeps its data."""
    told = part.storage
    return None if told is None else Storage(f"{part.name}.{told.node}", told.root, release=told.release)
