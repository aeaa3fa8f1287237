"""A file of fitted errors: what ``ozzo forecast fit --out`` writes and a scenario reads.

JSON with ``ozzo_errors`` (1, the version), ``source`` and ``made_by`` (in words), ``capacity`` and ``unit`` (of what was fitted),
``step_h``, ``keeps`` (lag-1 correlation of the normal scores), ``bounds`` (levels of the forecast between the classes, shares of
the capacity, ascending) and ``errors`` (of each class, ascending: truth less forecast, shares of the capacity). Each class is
kept as ``QUANTILES`` of its errors at evenly spaced ranks.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from grid.errors import FeedError
from grid.forecasts.errors import ErrorModel

VERSION = 1
QUANTILES = 200


def errors_text(model: ErrorModel, *, unit: str, source: str, made_by: str) -> str:
    """The fit as JSON text.

    Args:
        model: the fit.
        unit: of its capacity.
        source: what the errors are of, in words.
        made_by: the command that made it.
    """
    ranks = (np.arange(QUANTILES) + 0.5) / QUANTILES
    kept = []
    for errors in model.sorted_errors:
        middle = (np.arange(len(errors)) + 0.5) / len(errors)
        kept.append([round(float(value), 6) for value in np.interp(ranks, middle, errors)])
    content = {
        "ozzo_errors": VERSION,
        "source": source,
        "made_by": made_by,
        "capacity": model.capacity,
        "unit": unit,
        "step_h": model.step_h,
        "keeps": round(model.keeps, 6),
        "bounds": [round(float(value), 6) for value in model.bounds],
    }
    head = json.dumps(content, indent=1, ensure_ascii=False)[:-2]
    return head + ',\n "errors": [\n  ' + ",\n  ".join(json.dumps(row) for row in kept) + "\n ]\n}\n"


def read_errors(path: Path) -> ErrorModel:
    """The fit of a file.

    Raises:
        FeedError: the file cannot be read, or a field is not what it should be; names file, field, found and expected.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FeedError(f"{path}: not a file of fitted errors: {error}") from error
    if not isinstance(content, dict) or content.get("ozzo_errors") != VERSION:
        found = content.get("ozzo_errors") if isinstance(content, dict) else type(content).__name__
        raise FeedError(f"{path}: ozzo_errors: found {found!r}; expected {VERSION}, as ozzo forecast fit --out writes it")
    capacity, step_h = _number(path, content, "capacity", above=0.0), _number(path, content, "step_h", above=0.0)
    keeps = _number(path, content, "keeps")
    if not 0.0 <= keeps < 1.0:
        raise FeedError(f"{path}: keeps: found {keeps:g}; expected a number from 0 to below 1")
    bounds, rows = _numbers(path, "bounds", content.get("bounds")), content.get("errors")
    if not isinstance(rows, list) or len(rows) != len(bounds) + 1:
        found = f"{len(rows)} lists" if isinstance(rows, list) else type(rows).__name__
        raise FeedError(f"{path}: errors: found {found}; expected {len(bounds) + 1} lists, one more than bounds")
    errors = tuple(_numbers(path, f"errors[{number}]", row) for number, row in enumerate(rows))
    for name, values in (("bounds", bounds), *((f"errors[{number}]", row) for number, row in enumerate(errors))):
        if (np.diff(values) < 0).any():
            raise FeedError(f"{path}: {name}: found numbers that fall; expected ascending ones")
    empty = [number for number, row in enumerate(errors) if not len(row)]
    if empty:
        raise FeedError(f"{path}: errors[{empty[0]}]: found an empty list; expected the errors of a class")
    return ErrorModel(capacity, bounds, errors, keeps, step_h)


def _number(path: Path, content: dict[str, Any], name: str, above: float | None = None) -> float:
    value = content.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise FeedError(f"{path}: {name}: found {value!r}; expected a number")
    if above is not None and value <= above:
        raise FeedError(f"{path}: {name}: found {value:g}; expected a number above {above:g}")
    return float(value)


def _numbers(path: Path, name: str, values: object) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    fine = isinstance(values, list) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    array = np.asarray(values if fine else [], dtype=np.float64)
    if not fine or not np.isfinite(array).all():
        raise FeedError(f"{path}: {name}: found {type(values).__name__} with something else in it; expected a list of numbers")
    return array
