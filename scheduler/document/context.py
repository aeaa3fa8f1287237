"""What every check of a document's meaning needs: the document, its places and lines, its clock and horizon."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from grid.errors import Finding
from grid.horizon import Horizon
from scheduler.document.fields import Moment
from scheduler.document.model import Document
from scheduler.document.salvage import Checked
from scheduler.document.templates import original
from scheduler.document.tree import Key, Place, Tree, dotted, shown
from scheduler.document.units import nearest

SETTLEMENT = timedelta(minutes=15)


@dataclass(slots=True)
class Context:
    """A document that is being checked.

    Attributes:
        tree: the file; findings are added to it.
        origins: places that come from a template.
        checked: what the schema check left, with the places to mistrust.
        document: that document.
        zone: its clock.
        horizon: its horizon, or None when that is wrong.
        environment: environment variables that paths may name.
        notes: sentences on what was repaired while reading.
        told: findings of these checks, so that none is told twice.
    """

    tree: Tree
    origins: Mapping[Place, Place]
    checked: Checked
    document: Document
    environment: Mapping[str, str]
    zone: ZoneInfo
    horizon: Horizon | None
    notes: list[str]
    told: set[Finding] = field(default_factory=set)

    def place(self, *keys: Key) -> Place:
        """Place in the file of what stands at ``keys`` in the document."""
        return self.checked.place(*keys)

    def report(
        self,
        place: Place,
        found: str,
        expected: str,
        near: str | None = None,
        *,
        needs: Iterable[Place] = (),
        line: int | None = None,
    ) -> None:
        """Add a finding at ``place``, unless it rests on something (``place`` or ``needs``) that is itself wrong."""
        if not self.checked.trusts(place, *needs):
            return
        written = original(place, self.origins)
        finding = Finding(self.tree.file, line or self.tree.line(written), dotted(written), found, expected, near)
        if finding not in self.told:
            self.told.add(finding)
            self.tree.findings.append(finding)

    def written(self, place: Place, default: object = None) -> str:
        """What the file says at ``place``, in a few words."""
        return shown(self.tree.value(original(place, self.origins), default))

    def names(self, *collection: str) -> list[str]:
        """Every name that a list of the file gives (also in entries that are wrong otherwise)."""
        entries = self.tree.value(collection)
        named = [entry.get("name") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
        return [name for name in named if isinstance(name, str)]

    def of_every_site(self, *fields: str) -> list[Place]:
        """Places of these fields in every site of the file; what a check of "any site" rests on."""
        entries = self.tree.value(("sites",))
        return [("sites", index, name) for index in range(len(entries) if isinstance(entries, list) else 0) for name in fields]

    def known(self, place: Place, name: str, kind: str, names: list[str]) -> bool:
        """True when ``name`` is one of ``names``; else a finding."""
        if name in names:
            return True
        expected = f"the name of a {kind}: {', '.join(names[:20])}" if names else f"the name of a {kind}; there is none"
        self.report(place, shown(name), expected, nearest(name, names))
        return False

    def unique(self, *collection: Key) -> None:
        """Every name in a list of the file stands there once."""
        entries = self.tree.value(collection)
        first: dict[str, Place] = {}
        for index, entry in enumerate(entries) if isinstance(entries, list) else ():
            name = entry.get("name") if isinstance(entry, dict) else None
            place: Place = (*collection, index, "name")
            if isinstance(name, str) and name in first:
                self.report(
                    place,
                    f"the name {shown(name)} twice",
                    f"unique names; the first stands in line {self.tree.line(first[name])}",
                )
            elif isinstance(name, str):
                first[name] = place

    def moment(self, moment: Moment | None, place: Place, default: datetime | None = None) -> datetime | None:
        """The instant of a moment in UTC (``default`` when it is left out), or None with a finding."""
        if moment is None:
            return default
        if moment.after is not None and self.horizon is None:
            return None
        try:
            return moment.resolve(self.zone, self.horizon.start if self.horizon else None)
        except (ValueError, OverflowError) as error:
            self.report(place, shown(moment.written), str(error))
            return None

    def local(self, moment: datetime) -> str:
        """An instant on the document's clock, for people."""
        return moment.astimezone(self.zone).strftime("%Y-%m-%dT%H:%M%z")


def open_context(tree: Tree, origins: Mapping[Place, Place], checked: Checked, environment: Mapping[str, str]) -> Context | None:
    """The context of what is left of a document, its horizon resolved; None when nothing is left."""
    document = checked.document
    if document is None:
        return None
    context = Context(tree, origins, checked, document, environment, ZoneInfo(document.time_zone), None, [])
    context.horizon = _horizon(context)
    return context


def _horizon(context: Context) -> Horizon | None:
    """The horizon, or None with findings."""
    part = context.document.horizon
    if not context.checked.trusts(("horizon",), ("time_zone",)):
        return None
    start = context.moment(part.start, ("horizon", "start"))
    if part.start.after is not None:
        context.report(
            ("horizon", "start"), shown(part.start.written), "a date and a time; only other moments count from this one"
        )
    if start is None:
        return None
    before = len(context.tree.findings)
    step, length = timedelta(minutes=part.step_minutes), timedelta(hours=part.hours)
    if (start - datetime(1970, 1, 1, tzinfo=UTC)) % SETTLEMENT:
        expected = "a start on a full quarter of an hour (the metering period)"
        context.report(("horizon", "start"), shown(part.start.written), expected)
    if step.microseconds or (SETTLEMENT % step and step % SETTLEMENT):
        expected = "a step that divides 15 minutes or is a multiple of them, such as 5, 15 or 60"
        context.report(("horizon", "step_minutes"), f"{part.step_minutes:g} minutes", expected)
    elif length % step or length % SETTLEMENT:
        expected = f"a whole number of slots of {part.step_minutes:g} minutes and of quarters of an hour"
        context.report(("horizon", "hours"), f"{part.hours:g} hours", expected)
    if len(context.tree.findings) > before:
        return None
    return Horizon(start, step, length // step)
