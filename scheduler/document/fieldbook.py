"""What the models say about a place of the document: its type, its fields, its choices, its description."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from scheduler.document.model import Document
from scheduler.document.places import SitePart
from scheduler.document.tree import Place


def annotation_at(place: Place) -> Any:
    """Annotation of the field at ``place`` (positions in lists do not matter), or None when there is none."""
    here: Any = Document
    for key in place:
        models = models_in(here)
        if isinstance(key, int):
            continue
        if here is dict or get_origin(here) is dict:
            here = SitePart
            continue
        info = next((info for model in models if (info := field_of(model, key)) is not None), None)
        if info is None:
            return None
        here = info.annotation
    return here


def field_of(model: type[BaseModel], key: str) -> FieldInfo | None:
    """The field of ``model`` that the document calls ``key``."""
    return next((info for name, info in model.model_fields.items() if (info.alias or name) == key), None)


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation such as ``tuple[SitePart, ...] | None``."""
    if isinstance(annotation, type) and not get_args(annotation) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) is dict:
        return None
    return next((model for model in map(model_in, get_args(annotation)) if model is not None), None)


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Every model inside an annotation: more than one where a list holds several kinds of things."""
    found = model_in(annotation)
    if found is None or (isinstance(annotation, type) and not get_args(annotation)):
        return [] if found is None else [found]
    return [model for part in get_args(annotation) for model in models_in(part)]


def fields_at(place: Place, kind: object = None) -> list[str]:
    """Names of the fields of the mapping at ``place``; where it may be of several kinds, of ``kind`` (of all when unknown)."""
    models = models_in(annotation_at(place))
    models = [model for model in models if kind in _kinds(model)] or models
    return list(dict.fromkeys(info.alias or name for model in models for name, info in model.model_fields.items()))


def choices_at(place: Place) -> list[str]:
    """Values that the field at ``place`` may have."""
    return _choices_at(tuple(key for key in place if isinstance(key, str)))


@lru_cache(maxsize=1000)
def _choices_at(place: tuple[str, ...]) -> list[str]:
    schema = TypeAdapter(annotation_at(place)).json_schema()
    values = schema.get("enum") or [schema.get("const")]
    for definition in schema.get("$defs", {}).values():
        values = definition.get("enum", values)
    return [str(value) for value in values]


def describe(place: Place) -> str:
    """The description of the field at ``place``, in brackets."""
    model = model_in(annotation_at(place[:-1]))
    info = field_of(model, str(place[-1])) if model else None
    return f" ({info.description.rstrip('.')})" if info and info.description else ""


def kinds_at(place: Place) -> list[str]:
    """Kinds that the entry of a list at ``place`` may have."""
    return [kind for model in models_in(annotation_at(place)) for kind in _kinds(model)]


def _kinds(model: type[BaseModel]) -> list[str]:
    """Kinds of a model whose ``kind`` is fixed."""
    field = field_of(model, "kind")
    return (
        [] if field is None or get_origin(field.annotation) is not Literal else [str(kind) for kind in get_args(field.annotation)]
    )
