"""What can still be checked of a document that has findings: wrong values are taken out, or a stand-in is put in their place."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from scheduler.document.fieldbook import annotation_at, field_of, model_in
from scheduler.document.model import Document
from scheduler.document.templates import plain_copy
from scheduler.document.tree import Place


@dataclass(slots=True)
class Checked:
    """What is left of a document after its schema findings.

    Attributes:
        document: the document, without the parts that are wrong; None when too little is left.
        doubtful: places that were taken out because their value is wrong; what depends on them is not judged.
        kept: for each list that lost entries, the original positions of those that stayed.
    """

    document: Document | None
    doubtful: set[Place] = field(default_factory=set)
    kept: dict[Place, list[int]] = field(default_factory=dict)
    _around: set[Place] = field(default_factory=set)

    def place(self, *keys: str | int) -> Place:
        """Place in the file of what stands at ``keys`` in ``document``."""
        place: Place = ()
        for key in keys:
            positions = self.kept.get(place)
            if isinstance(key, int) and positions is not None and key < len(positions):
                place = (*place, positions[key])
            else:
                place = (*place, key)
        return place

    def mistrust(self, place: Place) -> None:
        """Note that the value at ``place`` is wrong."""
        self.doubtful.add(place)
        self._around.update(place[:length] for length in range(len(place) + 1))

    def trusts(self, *places: Place) -> bool:
        """True when nothing at, above or below these places was taken out."""
        for place in places:
            if place in self._around or any(place[:length] in self.doubtful for length in range(len(place))):
                return False
        return True


def take_out(data: dict[str, Any], faults: Sequence[tuple[Place, Any]], checked: Checked) -> bool:
    """Take what is wrong out of ``data``, or put a stand-in where something is required; False when nothing can be done."""
    wrong: set[Place] = set()
    for place, error in faults:
        if error["type"] == "extra_forbidden":
            wrong.add(place)
            continue
        checked.mistrust(place)
        stand_in = _stand_in(place)
        if stand_in is not None and _put(data, place, stand_in, checked):
            continue
        whole = place[:-1] if error["type"] == "missing" else place
        if not whole:
            return False
        wrong.add(whole)
    for place in sorted(
        wrong, key=lambda where: (len(where), [key if isinstance(key, int) else -1 for key in where]), reverse=True
    ):
        _remove(data, place, checked)
    return True


_CANDIDATES: tuple[Any, ...] = (1, 0, "x", "2016-01-01T00:00", "hot", ["x"], ["x", "y"])


def _stand_in(place: Place) -> Any:
    """A valid value for the required field at ``place``, so that the rest can be checked; None when it is not required."""
    return None if isinstance(place[-1], int) else plain_copy(_stand_in_at(tuple(key for key in place if isinstance(key, str))))


@lru_cache(maxsize=1000)
def _stand_in_at(place: tuple[str, ...]) -> Any:
    model = model_in(annotation_at(place[:-1]))
    info = None if model is None else field_of(model, place[-1])
    return None if info is None or not info.is_required() else _valid(info)


def _valid(info: FieldInfo) -> Any:
    model = info.annotation
    if isinstance(model, type) and issubclass(model, BaseModel):
        required = {name: field for name, field in model.model_fields.items() if field.is_required()}
        return {field.alias or name: _valid(field) for name, field in required.items()}
    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[info.annotation, Field(), *info.metadata])  # type: ignore[arg-type]
    for candidate in _CANDIDATES:
        try:
            adapter.validate_python(candidate)
        except ValidationError:
            continue
        return candidate
    return None


def _put(data: dict[str, Any], place: Place, value: Any, checked: Checked) -> bool:
    """Put ``value`` at the original ``place``; False when what should hold it is no mapping."""
    here: Any = data
    for depth, key in enumerate(place[:-1]):
        positions = checked.kept.get(place[:depth])
        if isinstance(here, list) and isinstance(key, int):
            index = key if positions is None else _position(positions, key)
            here = here[index] if index is not None and index < len(here) else None
        else:
            here = here.get(key) if isinstance(here, dict) else None
    if not isinstance(here, dict) or here.get(str(place[-1])) == value:
        return False
    here[str(place[-1])] = value
    return True


def _position(positions: list[int], key: int) -> int | None:
    """Where the original position ``key`` is now."""
    index = bisect_left(positions, key)
    return index if index < len(positions) and positions[index] == key else None


def _remove(data: dict[str, Any], place: Place, checked: Checked) -> None:
    """Take out the entry at the original ``place``, if it is still there."""
    here: Any = data
    for depth, key in enumerate(place):
        last = depth == len(place) - 1
        if isinstance(here, list) and isinstance(key, int):
            positions = checked.kept.setdefault(place[:depth], list(range(len(here))))
            index = _position(positions, key)
            if index is None:
                return
            if last:
                del here[index], positions[index]
            else:
                here = here[index]
        elif isinstance(here, dict) and key in here:
            if last:
                del here[key]
            else:
                here = here[key]
        else:
            return
