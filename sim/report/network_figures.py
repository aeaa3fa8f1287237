"""Pictures of the electrical network over the day, and of where data lives."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from grid.horizon import FloatArray, Horizon
from scheduler.data import Tier
from scheduler.outcome import Outcome
from sim.record import RunRecord
from sim.report.axes import Clock, Figure, band, layout, steps, time_axis, value_axis
from sim.report.frames import events, placement_after, site_names
from sim.report.tables import policy_words

TIER_COLOURS = {Tier.HOT: "var(--hot)", Tier.COLD: "var(--cold)", Tier.FROZEN: "var(--frozen)"}


def _lines(outcome: Outcome) -> dict[str, FloatArray]:
    """Lowest and highest voltage and highest loadings on the slots of the power flow; NaN where none was computed."""
    network = outcome.network
    if network is None:
        return {}
    worst = {"low": network.voltage_pu.min(axis=1), "high": network.voltage_pu.max(axis=1)}
    for name, loading in (("line", network.line_loading_pct), ("transformer", network.transformer_loading_pct)):
        if loading.shape[1]:
            worst[name] = loading.max(axis=1)
    lines = {}
    for name, values in worst.items():
        lines[name] = np.full(network.horizon.slots, np.nan)
        lines[name][list(network.slots)] = values
    return lines


def _limit(clock: Clock, horizon: Horizon, value: float, name: str, *, legend: bool, **more: Any) -> dict[str, Any]:
    style = {"color": "var(--bad)", "width": 1.4}
    values = np.full(horizon.slots, value)
    return steps(clock, horizon, values, name, "var(--bad)", line=style, showlegend=legend, legendgroup="limit", **more)


def voltage_figure(record: RunRecord, clock: Clock) -> Figure | None:
    """Lowest and highest voltage of all buses, beside run-at-once; None without a power flow."""
    outcome = record.outcome
    if outcome is None or outcome.network is None:
        return None
    horizon, rules, lines = outcome.network.horizon, record.scenario.rehearsal, _lines(outcome)
    number = {"hovertemplate": "%{y:.4f}"}
    traces = [
        steps(clock, horizon, lines["high"], "highest voltage of all buses", "var(--site1)", **number),
        steps(clock, horizon, lines["low"], "lowest voltage of all buses", "var(--site0)", **number),
    ]
    other = record.baselines.get("fifo")
    if other is not None and other.network is not None:
        style = {"dash": "dot", "width": 1.2}
        label = f"lowest, {policy_words('fifo')}"
        traces.append(steps(clock, other.network.horizon, _lines(other)["low"], label, "var(--faint)", line=style, **number))
    low, high = rules.voltage_low_pu, rules.voltage_high_pu
    traces.append(_limit(clock, horizon, low, f"limits {low:g} and {high:g} pu", legend=True, hoverinfo="skip"))
    traces.append(_limit(clock, horizon, high, "limit", legend=False, hoverinfo="skip"))
    return {
        "data": traces,
        "layout": layout(
            320,
            xaxis=time_axis(clock, record.scenario.horizon),
            yaxis=value_axis("voltage (per unit)", tickformat=".2f"),
        ),
    }


def loading_figure(record: RunRecord, clock: Clock) -> Figure | None:
    """Highest loading of lines and transformers, beside run-at-once; None without a power flow."""
    outcome = record.outcome
    if outcome is None or outcome.network is None:
        return None
    lines, traces, horizon = _lines(outcome), [], outcome.network.horizon
    compared = record.baselines.get("fifo")
    for kind, colour in (("transformer", "var(--site2)"), ("line", "var(--site0)")):
        if kind in lines:
            traces.append(steps(clock, horizon, lines[kind], f"highest {kind} loading", colour))
        if compared is not None and compared.network is not None and kind in _lines(compared):
            style = {"dash": "dot", "width": 1.2}
            label = f"{kind}, {policy_words('fifo')}"
            traces.append(steps(clock, compared.network.horizon, _lines(compared)[kind], label, colour, line=style, opacity=0.7))
    limit = record.scenario.rehearsal.loading_limit_pct
    traces.append(_limit(clock, horizon, limit, f"limit {limit:g} %", legend=True, hoverinfo="skip"))
    return {
        "data": traces,
        "layout": layout(
            320,
            xaxis=time_axis(clock, record.scenario.horizon),
            yaxis=value_axis("loading (% of rated)", rangemode="tozero"),
            shapes=[band(clock, event.start, event.end) for event in events(record)],
        ),
    }


def placement_figure(record: RunRecord) -> Figure | None:
    """Volume at each site before and after, by tier of the data; None without datasets."""
    datasets = record.scenario.datasets
    if not datasets:
        return None
    after, names = placement_after(record), site_names(record)
    tier_of = {site.name: site.tier for site in record.scenario.sites}
    rows = [[f"{name} ({tier_of[name]})" for name in names for _ in range(2)], ["before", "after"] * len(names)]
    traces = []
    for tier in Tier:
        volume: Counter[tuple[str, str]] = Counter()
        for dataset in datasets:
            if dataset.tier is tier:
                for site in dataset.sites:
                    volume[site, "before"] += dataset.size_tb  # type: ignore[assignment]
                for site in after[dataset.name]:
                    volume[site, "after"] += dataset.size_tb  # type: ignore[assignment]
        if volume:
            values = [round(float(volume[name, when]), 4) for name in names for when in ("before", "after")]
            bar = {"type": "bar", "orientation": "h", "name": f"{tier} data", "x": values, "y": rows}
            traces.append(
                bar | {"marker": {"color": TIER_COLOURS[tier]}, "hovertemplate": f"%{{x:.3g}} TB {tier}<extra></extra>"}
            )
    axis = value_axis("site", autorange="reversed", showdividers=False)
    return {
        "data": traces,
        "layout": layout(
            120 + 58 * len(names),
            barmode="stack",
            hovermode="closest",
            xaxis=value_axis("data held (TB, decimal)", rangemode="tozero"),
            yaxis=axis,
        ),
    }
