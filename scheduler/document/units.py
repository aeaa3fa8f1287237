"""Units that a document may write, and their conversion; exact in decimal, so ``0.015 MWh`` is 15 kWh and nothing else."""

from __future__ import annotations

import difflib
import math
import re
from decimal import Decimal, DecimalException

DIMENSIONS: tuple[dict[str, str], ...] = (
    {"W": "0.001", "kW": "1", "MW": "1e3", "GW": "1e6"},
    {"Wh": "0.001", "kWh": "1", "MWh": "1e3", "GWh": "1e6"},
    {"EUR/MWh": "1", "EUR/kWh": "1e3", "ct/kWh": "10"},
    {"EUR/kW": "1", "EUR/MW": "0.001"},
    {"g/kWh": "1", "kg/MWh": "1", "kg/kWh": "1e3", "t/MWh": "1e3"},
    {"EUR/kg": "1", "EUR/t": "0.001"},
    {"EUR": "1", "kEUR": "1e3"},
    {"EUR/h": "1"},
    {"MB": "1e-6", "GB": "0.001", "TB": "1", "PB": "1e3", "MiB": "1.048576e-6", "GiB": "0.001073741824", "TiB": "1.099511627776"},
    {"kbit/s": "0.001", "Mbit/s": "1", "Gbit/s": "1e3", "kB/s": "0.008", "MB/s": "8", "GB/s": "8e3"},
    {"s": "1", "min": "60", "h": "3600", "d": "86400"},
    {"m": "1", "km": "1000"},
    {"deg": "1"},
    {"degC": "1"},
    {"K": "1"},
    {"pu": "1"},
    {"pu/kW": "1", "pu/MW": "0.001"},
    {"share": "1", "%": "0.01"},
    {"pct": "1", "%": "1"},
)
"""One table a dimension: what one of each unit is worth, relative to the others (bytes are decimal, KiB-like are binary)."""

_TEXT = re.compile(r"^\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?)\s*(.*?)\s*$", re.ASCII | re.DOTALL)


class UnitError(ValueError):
    """A text is no number in the wanted unit.

    Attributes:
        expected: what should stand there.
        nearest: the nearest valid unit, or None.
    """

    def __init__(self, expected: str, nearest: str | None = None) -> None:
        super().__init__(expected)
        self.expected = expected
        self.nearest = nearest


def units_like(unit: str) -> dict[str, str]:
    """Units that convert to ``unit``, with their worth.

    Raises:
        KeyError: ``unit`` is in no table.
    """
    for table in DIMENSIONS:
        if unit in table:
            return table
    raise KeyError(unit)


def convert(value: object, unit: str) -> float:
    """``value`` (a number in ``unit``, or text like ``0.015 MWh``) as a finite number in ``unit``.

    Raises:
        UnitError: no number, not finite, or a unit that is unknown or of another kind.
    """
    table = units_like(unit)
    others = ", ".join(other for other in table if other != unit)
    expected = f"a number in {unit}" + (
        f" (or text with a unit: {unit}, {others})" if others else f" (or text such as '1 {unit}')"
    )
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise UnitError(expected)
    if not isinstance(value, str):
        number = float(value) if abs(value) < 1e300 else math.inf
        if not math.isfinite(number):
            raise UnitError(expected)
        return number
    match = _TEXT.match(value) if len(value) <= 100 else None
    if match is None:
        raise UnitError(expected)
    digits, written = match.groups()
    if re.match(r",\d", written):
        raise UnitError(expected, value.strip().replace(",", ".", 1))  # a decimal comma
    if written and written not in table:
        raise UnitError(expected, nearest_unit(written, unit))
    try:
        number = float(Decimal(digits) * Decimal(table[written or unit]) / Decimal(table[unit]))
    except (DecimalException, OverflowError) as error:
        raise UnitError(expected) from error
    if not math.isfinite(number):
        raise UnitError(expected)
    return number


def nearest_unit(written: str, unit: str) -> str | None:
    """The unit of the same kind as ``unit`` that ``written`` most likely meant."""
    table = units_like(unit)
    if any(written in other for other in DIMENSIONS):
        return unit  # a real unit, of another kind
    alike = [name for name in table if name.lower() == written.lower()]
    if alike:
        return unit if unit in alike else alike[0]
    return nearest(written, list(table))


def nearest(name: str, names: list[str]) -> str | None:
    """The name of ``names`` that is nearest to ``name``, or None when none is near."""
    by_lower = {other.lower(): other for other in reversed(names)}
    close = difflib.get_close_matches(name[:100].lower(), list(by_lower), n=1, cutoff=0.55)
    return by_lower[close[0]] if close else None
