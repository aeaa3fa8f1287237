"""A scenario around the present whose site is a small cluster, for tests of engines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path


def cluster_day(path: Path, nodes: int = 4, minutes: int = 15) -> Path:
    """A day from the last hour on: dear now, cheap in two hours."""
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    prices = path.with_suffix(".csv")
    rows = [f"{start + timedelta(hours=h):%Y-%m-%dT%H:%M+00:00},{30 if h in (3, 4, 5) else 200}" for h in range(25)]
    prices.write_text("\n".join(["time,price", *rows]) + "\n")
    path.write_text(
        f"""ozzo: 1
name: cluster
time_zone: UTC
horizon: {{start: {start:%Y-%m-%dT%H:%M}, hours: 24, step_minutes: {minutes}}}
planning: {{relative_gap: 0.001, time_limit_s: 250}}
signals:
  price: {{csv: {prices.name}, time: time, value: price, unit: EUR/MWh}}
  carbon_average: {{constant_g_per_kwh: 300}}
sites:
  - name: hall
    tier: cold
    nodes: [{{name: node, count: {nodes}, cores: 2, memory_gb: 4, idle_kw: 0.1, peak_kw: 0.5}}]
    connection: {{import_limit_kw: 10, export_limit_kw: 0}}
"""
    )
    return path
