"""Site templates: ``like: cabinet`` takes over every field of a template that the site does not write itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grid.errors import Finding
from scheduler.document.tree import Place, Tree, dotted, shown
from scheduler.document.units import nearest


def fill_templates(tree: Tree) -> tuple[dict[str, Any], dict[Place, Place]]:
    """The document with every template filled in, and for each place taken over the place in the template.

    Mappings are merged key by key, lists are taken over whole. Unknown templates are added to ``tree.findings``.
    """
    data = plain_copy(tree.data)
    origins: dict[Place, Place] = {}
    sites, templates = data.get("sites"), data.get("site_templates", {})
    if not isinstance(sites, list):
        return data, origins
    templates = templates if isinstance(templates, dict) else {}
    for index, site in enumerate(sites):
        if not isinstance(site, dict) or not isinstance(site.get("like"), str):
            continue
        place: Place = ("sites", index)
        template = templates.get(site["like"])
        if isinstance(template, dict):
            _merge(site, template, place, ("site_templates", site["like"]), origins)
        elif site["like"] not in templates:
            names = [str(name) for name in templates]
            expected = (
                f"one of the site_templates: {', '.join(names[:20])}"
                if names
                else "a template under site_templates; there is none"
            )
            near = nearest(site["like"], names)
            where = (*place, "like")
            tree.findings.append(Finding(tree.file, tree.line(where), dotted(where), shown(site["like"]), expected, near))
    return data, origins


def plain_copy(value: Any) -> Any:
    """A copy in which nothing is shared, not even what the document wrote once and used twice."""
    if isinstance(value, dict):
        return {key: plain_copy(item) for key, item in value.items()}
    return [plain_copy(item) for item in value] if isinstance(value, list) else value


def _merge(into: dict[str, Any], template: dict[str, Any], place: Place, origin: Place, origins: dict[Place, Place]) -> None:
    for key, value in template.items():
        if key not in into:
            into[key] = plain_copy(value)
            origins[(*place, key)] = (*origin, key)
        elif isinstance(into[key], dict) and isinstance(value, dict):
            _merge(into[key], value, (*place, key), (*origin, key), origins)


def original(place: Place, origins: Mapping[Place, Place]) -> Place:
    """Where what stands at ``place`` was written."""
    for length in range(len(place), 0, -1):
        if place[:length] in origins:
            return origins[place[:length]] + place[length:]
    return place
