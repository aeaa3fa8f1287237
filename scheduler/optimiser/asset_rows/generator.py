"""Rows of emergency generators: one test run in its window, and flexible output where that is allowed.

``sum of begins = 1``; ``test[t] = sum of begins in the last L slots``; ``test_kw * test <= p <= max(flexible, test_kw * test)``
(linear: ``p <= flexible + max(0, test_kw - flexible) * test``). Backup itself is the reserve of the site's battery, a hard floor
that the document's reader sizes (``scheduler.document.assets_generator``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grid.assets.generator import Generator
from scheduler.asset_runs import PlacedAsset
from scheduler.optimiser.asset_rows.forms import AssetRows, Builder, Form

if TYPE_CHECKING:
    from scheduler.optimiser.model import ModelParts


def add(parts: ModelParts, number: int, placed: PlacedAsset) -> AssetRows:
    """Variables and rows of one set of generators."""
    unit = placed.asset
    if not isinstance(unit, Generator):
        raise TypeError(f"no generator: {unit!r}")
    slots, step_h = range(parts.problem.horizon.slots), parts.problem.horizon.step_h
    build = Builder(parts, number)
    power = build.variable("power_kw", slots, 0.0, max(unit.flexible_kw, unit.test_kw))
    length, starts = unit.test_slots(parts.problem.horizon)
    begin = build.variable("begin", starts, 0.0, 1.0, whole=True)
    if starts:
        build.row("once", [(0, [(1.0, begin, t) for t in starts], 1.0, 1.0)])
    tests = [tuple((1.0, begin, k) for k in range(t - length + 1, t + 1) if k in starts) for t in slots]
    more = max(0.0, unit.test_kw - unit.flexible_kw)
    high, low = [], []
    for t in slots:
        high.append((t, [(1.0, power, t), *((-more, family, k) for _, family, k in tests[t])], None, unit.flexible_kw))
        low.append((t, [(1.0, power, t), *((-unit.test_kw, family, k) for _, family, k in tests[t])], 0.0, None))
    build.row("most", high)
    build.row("least", low)
    return AssetRows(
        site=placed.site,
        draw=tuple(Form(((-1.0, power, t),)) for t in slots),
        cost=Form(tuple((step_h * unit.fuel_eur_per_kwh, power, t) for t in slots)),
        carbon=Form(tuple((step_h * unit.carbon_g_per_kwh, power, t) for t in slots)),
        decisions={
            "power_kw": tuple(Form(((1.0, power, t),)) for t in slots),
            "test": tuple(Form(tests[t]) for t in slots),
        },
    )
