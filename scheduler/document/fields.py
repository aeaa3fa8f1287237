"""What the attributes of a document are made of: numbers with a unit, names, moments, times of day.

Every attribute is ``Annotated[type, about("description", limits), Unit("kWh")]`` with its default behind it: unit, default and
description are data, from which the reference page, the JSON Schema, the checks and the unit conversion all come.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from scheduler.document.units import UnitError, convert, units_like

MOMENT_WORDS = "a moment such as 2016-05-19T08:30 (local), 2016-05-19T08:30+02:00 or +20h (after the horizon's start)"
TIME_WORDS = "a time of day from 00:00 to 24:00 in quotes, such as '17:00'"
DAY_WORDS = "a local day such as 2023-03-26"
FOLDER_WORDS = "names of letters, digits, '.', '_' and '-' joined by '/', none of them beginning with '.' or '-' (at most 300)"
NAME_WORDS = "a name of letters, digits, '.', '_' and '-' that begins with a letter or a digit (at most 80)"


class Part(BaseModel):
    """A part of the document: unknown fields are findings, values do not change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def about(
    description: str, *, ge: float | None = None, gt: float | None = None, le: float | None = None, min_length: int | None = None
) -> Any:
    """Description and limits of an attribute."""
    return Field(description=description, ge=ge, gt=gt, le=le, min_length=min_length)


@dataclass(frozen=True, slots=True)
class Unit:
    """Marks a number with the unit it is kept in, and lets the document write it as text in any unit of the same kind."""

    name: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The number's own schema, after conversion."""
        return core_schema.no_info_before_validator_function(self._convert, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """A number, or text with one of the units."""
        inner = handler(schema)
        variants = inner.pop("anyOf", None) or [
            {key: inner.pop(key) for key in list(inner) if key not in ("description", "title")}
        ]
        names = "|".join(re.escape(unit).replace("/", "\\/") for unit in units_like(self.name))
        pattern = rf"^\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*({names})?\s*$"
        return {**inner, "anyOf": [*variants, {"type": "string", "pattern": pattern}], "unit": self.name}

    def _convert(self, value: object) -> object:
        if value is None:
            return None  # the field itself decides whether it may be empty
        try:
            return convert(value, self.name)
        except UnitError as error:
            raise custom(error.expected, error.nearest) from error


def custom(expected: str, nearest: str | None = None, *, line_of: str = "", found: str = "") -> PydanticCustomError:
    """An error that says what was expected; ``line_of`` names the field of a mapping that it is about."""
    context = {"expected": expected, "nearest": nearest or "", "line_of": line_of, "found": found}
    return PydanticCustomError("ozzo", "expected {expected}", context)


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment as written: local, with an offset from UTC, or counted from the horizon's start.

    Attributes:
        written: the text of the document.
        stamp: date and time, naive when local; None when ``after`` counts.
        after: time after the horizon's start; None when ``stamp`` counts.
    """

    written: str
    stamp: datetime | None
    after: timedelta | None

    def resolve(self, zone: ZoneInfo, start: datetime | None = None) -> datetime:
        """The instant in UTC; ``start`` is the horizon's start.

        Raises:
            ValueError: a local time that the clock change skips or shows twice, or an offset without a start.
        """
        if self.stamp is None:
            if start is None or self.after is None:
                raise ValueError("a date and a time; the horizon itself cannot count from its start")
            return start + self.after
        if self.stamp.tzinfo is not None:
            return self.stamp.astimezone(UTC)
        return local_to_utc(self.stamp, zone)


def local_to_utc(naive: datetime, zone: ZoneInfo) -> datetime:
    """Instant of a naive local time.

    Raises:
        ValueError: the clock change skips it or shows it twice; the text says what to write.
    """
    first, second = (naive.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == second:
        return first
    if first.astimezone(zone).replace(tzinfo=None) != naive:
        raise ValueError(f"a local time that exists: the clocks of {zone.key} skip {naive:%H:%M} on {naive:%Y-%m-%d}")
    raise ValueError(
        f"a time with its offset from UTC: the clocks of {zone.key} show {naive:%H:%M} twice on {naive:%Y-%m-%d}, "
        f"as {first.astimezone(zone).isoformat()} and {second.astimezone(zone).isoformat()}"
    )


_AFTER = re.compile(r"^\+\s*(\d{1,7}(?:\.\d{1,6})?)\s*(min|h|d)$", re.ASCII)


def _moment(value: object) -> Moment | None:
    if value is None or isinstance(value, Moment):
        return value
    if isinstance(value, str):
        match = _AFTER.match(value.strip())
        if match is not None:
            return Moment(value, None, timedelta(seconds=convert(f"{match[1]} {match[2]}", "s")))
        try:
            stamp = datetime.fromisoformat(value.strip())
        except ValueError:
            stamp = None
        if stamp is not None and 1970 <= stamp.year <= 2200:
            return Moment(value, stamp, None)
    raise custom(MOMENT_WORDS)


def _minutes(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, str):
        if value.strip() == "24:00":
            return 24 * 60
        try:
            clock = time.fromisoformat(value.strip())
        except ValueError:
            clock = None
        if clock is not None and clock.tzinfo is None and not clock.second and not clock.microsecond and ":" in value:
            return clock.hour * 60 + clock.minute
    raise custom(TIME_WORDS)


def _day(value: object) -> date | None:
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value.strip(), re.ASCII):
        try:
            day = date.fromisoformat(value.strip())
        except ValueError:
            day = None
        if day is not None and 1970 <= day.year <= 2200:
            return day
    raise custom(DAY_WORDS)


def _name(value: object) -> str | None:
    if value is None or (isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", value, re.ASCII)):
        return value
    raise custom(NAME_WORDS)


def _folder(value: object) -> str | None:
    if value is None or (isinstance(value, str) and len(value) <= 300 and re.fullmatch(FOLDER, value)):
        return value
    raise custom(FOLDER_WORDS)


FOLDER = r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*"
_FOLDER_SCHEMA = {"type": "string", "pattern": f"^{FOLDER}$", "maxLength": 300}
_NAME_SCHEMA = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$"}
_MOMENT_SCHEMA = {"type": "string", "description": MOMENT_WORDS}
_DAY_SCHEMA = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "description": DAY_WORDS}
_TIME_SCHEMA = {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$"}

Name = Annotated[str, BeforeValidator(_name), WithJsonSchema(_NAME_SCHEMA)]
Folder = Annotated[str, BeforeValidator(_folder), WithJsonSchema(_FOLDER_SCHEMA)]
When = Annotated[Moment, BeforeValidator(_moment), WithJsonSchema(_MOMENT_SCHEMA)]
TimeOfDay = Annotated[int, BeforeValidator(_minutes), WithJsonSchema(_TIME_SCHEMA)]
Day = Annotated[date, BeforeValidator(_day), WithJsonSchema(_DAY_SCHEMA)]
Count = Annotated[int, Field(strict=True)]
Text = Annotated[str, Field(strict=True, max_length=2000)]
