"""The document against its models: every finding with its line, and as much of the document as can still be checked further."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from grid.errors import Finding
from scheduler.document.model import Document
from scheduler.document.places import SitePart
from scheduler.document.salvage import Checked, take_out
from scheduler.document.templates import original
from scheduler.document.tree import Place, Tree
from scheduler.document.wording import finding_of

ROUNDS = 50
MANY_FAULTS = 1000
"""A document with more faults than this is told the first ones and not checked further."""


def check_schema(tree: Tree, data: dict[str, Any], origins: Mapping[Place, Place]) -> Checked:
    """Validate ``data`` (changed in place), add every finding to ``tree.findings``, and salvage the rest."""
    checked = Checked(None)
    seen: set[tuple[Place, str]] = set()
    if data.get("sites") == []:
        tree.findings.append(Finding(tree.file, tree.line(("sites",)), "sites", "an empty list", "at least one site"))
    for round_ in range(ROUNDS):
        try:
            checked.document = Document.model_validate(data)
            break
        except ValidationError as problem:
            faults = [
                (checked.place(*_clean(error["loc"], data)), error)
                for error in problem.errors(include_url=False)[: MANY_FAULTS + 1]
            ]
            faults = [fault for fault in faults if not _only_follows(*fault, faults)]
            for place, error in faults:
                written = original(place, origins)
                follows = round_ > 0 and not checked.trusts(place)
                if (written, error["type"]) not in seen and not follows:
                    seen.add((written, error["type"]))
                    tree.findings.append(finding_of(tree, written, error))
            if len(faults) > MANY_FAULTS or not take_out(data, faults, checked):
                break
    _check_unused_templates(tree)
    return checked


def _only_follows(place: Place, error: Any, faults: Sequence[tuple[Place, Any]]) -> bool:
    """True for a list that is too short only because pydantic leaves out the entries that are wrong themselves."""
    return error["type"] == "too_short" and any(len(other) > len(place) and other[: len(place)] == place for other, _ in faults)


def _clean(loc: Sequence[str | int], data: Any) -> Place:
    """Location without pydantic's own steps (names of validators and unions), which are no keys of the data."""
    place: list[str | int] = []
    here: Any = data
    for position, key in enumerate(loc):
        last = position == len(loc) - 1
        if isinstance(here, dict) and (key in here or last):
            place.append(key)
            here = here.get(key)
        elif isinstance(here, list) and isinstance(key, int) and (key < len(here) or last):
            place.append(key)
            here = here[key] if key < len(here) else None
    return tuple(place)


def _check_unused_templates(tree: Tree) -> None:
    """Templates that no site uses are checked too, as far as a part of a site can be."""
    templates, sites = tree.data.get("site_templates"), tree.data.get("sites")
    if not isinstance(templates, dict) or not isinstance(sites, list):
        return
    used = {site.get("like") for site in sites if isinstance(site, dict) and isinstance(site.get("like"), str)}
    for name, template in templates.items():
        if name in used or not isinstance(template, dict):
            continue
        try:
            SitePart.model_validate({"name": "template", **template})
        except ValidationError as problem:
            for error in problem.errors(include_url=False):
                if error["type"] != "missing":
                    place = ("site_templates", name, *_clean(error["loc"], template))
                    tree.findings.append(finding_of(tree, place, error))
