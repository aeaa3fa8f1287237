"""Answers of ENTSO-E's Transparency Platform: day-ahead prices (A44) and generation by type (A75), as XML.

The documents are parsed by ``entsoe-py``, which knows their curve types (a position that is left out in A03 repeats the value
before it) and resolutions. Here the answer is first checked for being whole, for its currency and its units; prices become
EUR/MWh, generation (MW) becomes kW. An acknowledgement document carries the platform's reason, which becomes the error.
"""

from __future__ import annotations

import re

import numpy as np

from grid.errors import FeedError
from grid.feeds.reading import Reading, regular

PRICES, GENERATION = "Publication_MarketDocument", "GL_MarketDocument"
_REASON = re.compile(r"<text>(.*?)</text>", re.DOTALL)


def prices(answer: str, source: str) -> Reading:
    """Day-ahead prices in EUR/MWh on the finest resolution that the answer has.

    Args:
        answer: the XML document.
        source: its name for messages and reports.

    Raises:
        FeedError: it is no such document, it is cut off, or in another currency or unit.
    """
    _whole(answer, PRICES, source)
    _only(answer, "currency_Unit.name", "EUR", source)
    _only(answer, "price_Measure_Unit.name", "MWH", source)
    from entsoe.parsers import parse_prices

    try:
        by_step = parse_prices(_body(answer, PRICES))
    except (AttributeError, ValueError, KeyError, TypeError, NotImplementedError) as error:
        raise FeedError(f"{source}: not a document of prices: {error}") from error
    for name, step_s in (("15min", 900.0), ("30min", 1800.0), ("60min", 3600.0)):
        series = by_step[name]
        if len(series):
            return _reading(series, step_s, "EUR/MWh", source)
    raise FeedError(f"{source}: a document of prices without a single price")


def generation(answer: str, source: str) -> Reading:
    """Actual generation in kW, the sum of all types in the answer.

    Args:
        answer: the XML document.
        source: its name for messages and reports.

    Raises:
        FeedError: as for prices.
    """
    _whole(answer, GENERATION, source)
    _only(answer, "quantity_Measure_Unit.name", "MAW", source)
    from entsoe.parsers import parse_generation

    try:
        frame = parse_generation(_body(answer, GENERATION), nett=True)
    except (AttributeError, ValueError, KeyError, TypeError, NotImplementedError) as error:
        raise FeedError(f"{source}: not a document of generation: {error}") from error
    if not len(frame):
        raise FeedError(f"{source}: a document of generation without a single value")
    total = frame.sum(axis=1, min_count=frame.shape[1]) * 1000.0
    return _reading(total, None, "kW", source)


def _reading(series: object, step_s: float | None, unit: str, source: str) -> Reading:
    """A pandas series on an index of instants as a reading."""
    import pandas as pd

    table = pd.Series(series)
    index = pd.DatetimeIndex(pd.to_datetime(table.index, utc=True))
    times = index.as_unit("us").asi8 / 1e6
    return regular(times, np.asarray(table.to_numpy(dtype=np.float64)), unit, source, step_s=step_s)


def _whole(answer: str, kind: str, source: str) -> None:
    """The answer is a document of this kind and reaches its end."""
    if "Acknowledgement_MarketDocument" in answer:
        reason = _REASON.search(answer)
        raise FeedError(f"{source}: ENTSO-E answers: {reason[1].strip()[:200] if reason else 'no data, without a reason'}")
    if f"<{kind}" not in answer:
        raise FeedError(f"{source}: not a {kind} of ENTSO-E")
    if not answer.rstrip().endswith(f"</{kind}>"):
        raise FeedError(f"{source}: the document is cut off before its end")


def _body(answer: str, kind: str) -> str:
    """The document without what stands before its first element, which the parser would warn of."""
    return answer[answer.index(f"<{kind}") :]


def _only(answer: str, element: str, expected: str, source: str) -> None:
    """Every ``element`` says ``expected``, and there is one."""
    found = set(re.findall(rf"<{re.escape(element)}>\s*(.*?)\s*</", answer))
    if found != {expected}:
        raise FeedError(f"{source}: {element} {', '.join(sorted(found)) or 'is missing'}; expected {expected}")
