"""Pictures of energy: balance, plan against limit, state of charge, and one for each event."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np

from grid.horizon import FloatArray
from grid.response.event import CapacityEvent
from sim.record import RunRecord
from sim.report.axes import Clock, Figure, band, layout, numbers, site_colour, steps, time_axis, value_axis
from sim.report.frames import (
    PLAN,
    Flows,
    events,
    planned,
    planned_in_force,
    realised_by_policy,
    signals,
    site_names,
)
from sim.report.tables import policy_words

SUPPLY: tuple[tuple[str, str, str], ...] = (
    ("renewable_used_kw", "sun and wind", "var(--sun)"),
    ("discharge_kw", "battery out", "var(--battery)"),
    ("import_kw", "import", "var(--grid)"),
    ("unserved_kw", "not served", "var(--bad)"),
)
USE: tuple[tuple[str, str, str], ...] = (
    ("base_kw", "idle, cooling, overhead", "var(--base)"),
    ("it_kw", "jobs and transfers (IT)", "var(--jobs)"),
    ("charge_kw", "battery in", "var(--battery2)"),
    ("export_kw", "export", "var(--export)"),
)


def shown_flows(record: RunRecord) -> tuple[Flows | None, str]:
    """Flows that the balance shows and their name: realised when there was an execution, else planned."""
    by_policy = realised_by_policy(record)
    if PLAN in by_policy:
        return by_policy[PLAN], "realised"
    return planned_in_force(record), "planned"


def _stack(record: RunRecord, clock: Clock, values: FloatArray, name: str, colour: str, sign: int) -> dict[str, Any]:
    trace = steps(
        clock,
        record.scenario.horizon,
        sign * values,
        name,
        colour,
        stackgroup="supply" if sign > 0 else "use",
        fillcolor=colour,
        line={"width": 0},
        customdata=numbers([*values, values[-1]]),
        hovertemplate="%{customdata:.2f} kW",
    )
    if sign < 0:
        trace["legendgroup"] = "use"
    return trace


def balance_figure(record: RunRecord, flows: Flows, clock: Clock, site: int | None) -> Figure:
    """Supply stacked above zero, use below it; the two are equal in every slot. ``site`` None: all sites together."""

    def of(name: str) -> FloatArray:
        """The flow ``name`` of the site, or of all sites together."""
        values = flows[name] if name != "base_kw" else flows["load_kw"] - flows["it_kw"]
        total: FloatArray = values.sum(axis=0) if site is None else values[site]
        return total

    traces = []
    for parts, sign in ((SUPPLY, 1), (USE, -1)):
        for name, label, colour in parts:
            values = of(name)
            if name == "base_kw" and any(place.assets for place in record.scenario.sites):
                label += ", assets"  # noqa: PLW2901 - what cars and heat pumps draw is in it, less what units give
            if np.nanmax(np.abs(values)) > 1e-9:
                traces.append(_stack(record, clock, values, label, colour, sign))
    curtailed, supply = of("curtailed_kw"), sum(of(name) for name, _, _ in SUPPLY)
    if np.nanmax(curtailed) > 1e-9:
        top = steps(clock, record.scenario.horizon, supply + curtailed, "curtailed (above supply)", "var(--sunline)")
        top["line"] |= {"dash": "dot", "width": 1.6}
        top |= {"customdata": numbers([*curtailed, curtailed[-1]]), "hovertemplate": "%{customdata:.2f} kW"}
        traces.append(top)
    shapes = [
        band(clock, event.start, event.end) for event in events(record) if site in {None, site_names(record).index(event.site)}
    ]
    return {
        "data": traces,
        "layout": layout(
            430,
            xaxis=time_axis(clock, record.scenario.horizon),
            yaxis=value_axis("use  |  supply, mean power (kW)", zerolinewidth=2, zeroline=True),
            shapes=shapes,
        ),
    }


def limit_figure(record: RunRecord, clock: Clock) -> Figure:
    """Net power at each connection (import above zero), planned and realised, against its limits."""
    horizon, names = record.scenario.horizon, site_names(record)
    plan, by_policy = planned_in_force(record), realised_by_policy(record)
    limits = signals(record)
    rows, traces = len(names), list[dict[str, Any]]()
    axes: dict[str, Any] = {}
    notes: list[dict[str, Any]] = []
    gap = 32 / (165 * rows)
    tall = (1 - gap * (rows - 1)) / rows
    for s, name in enumerate(names):
        axis = "" if s == 0 else str(s + 1)
        top = 1 - s * (tall + gap)
        lines: list[tuple[str, FloatArray, str, dict[str, Any]]] = []
        if "fifo" in by_policy:
            flows = by_policy["fifo"]
            style = {"width": 1.2, "dash": "dot"}
            lines.append((policy_words("fifo"), (flows["import_kw"] - flows["export_kw"])[s], "var(--faint)", style))
        if plan is not None:
            lines.append(("planned", (plan["import_kw"] - plan["export_kw"])[s], "var(--plan)", {"width": 1.6, "dash": "dash"}))
        if PLAN in by_policy:
            lines.append(("realised", (by_policy[PLAN]["import_kw"] - by_policy[PLAN]["export_kw"])[s], "var(--ink)", {}))
        far: list[str] = []
        span = [0.0, *(float(bound) for _, values, _, _ in lines for bound in (np.nanmin(values), np.nanmax(values)))]
        reach = max((float(np.nanmax(np.abs(values))) for _, values, _, _ in lines), default=1.0) or 1.0
        for label, values in (("import limit", limits["import_limit_kw"][s]), ("export limit", -limits["export_limit_kw"][s])):
            near = np.abs(values) <= 3 * reach
            if near.any():
                lines.append((label, values, "var(--bad)", {"width": 1.4}))
                span += [float(values[near].min()), float(values[near].max())]
            if not near.all():
                far.append(f"{float(np.abs(values).max()):g} kW {'in' if label == 'import limit' else 'out'}")
        for label, values, colour, style in lines:
            first = not any(trace["name"] == label for trace in traces)
            place = {"yaxis": f"y{axis}", "legendgroup": label, "showlegend": first, "connectgaps": False}
            traces.append(steps(clock, horizon, values, label, colour, line=style, hovertemplate="%{y:.2f} kW", **place))
        mine = [event for event in events(record) if event.site == name]
        if mine:
            first = not any(trace["name"] == "event limit" for trace in traces)
            traces.append(_event_limits(mine, clock) | {"yaxis": f"y{axis}", "showlegend": first, "legendgroup": "event limit"})
            span += [event.limit_kw for event in mine]
        axes[f"yaxis{axis}"] = value_axis("kW", domain=[max(0.0, top - tall), top], zeroline=True, range=_room(span))
        notes += _row_title(name, far, top)
    shapes = [
        band(clock, event.start, event.end, f"y{names.index(event.site) + 1 if names.index(event.site) else ''} domain")
        for event in events(record)
    ]
    bottom, height = time_axis(clock, horizon, anchor=f"y{rows if rows > 1 else ''}"), 130 + 165 * rows
    legend = {"orientation": "h", "x": 0, "xanchor": "left", "y": 1 + 26 / (height - 100), "yanchor": "bottom"}
    return {
        "data": traces,
        "layout": layout(height, xaxis=bottom, **axes, annotations=notes, shapes=shapes, hoversubplots="axis", legend=legend),
    }


def _event_limits(found: list[CapacityEvent], clock: Clock) -> dict[str, Any]:
    """The limits of a site's events, each over its own period."""
    x: list[str | None] = []
    y: list[float | None] = []
    for event in found:
        x += [clock.axis(event.start), clock.axis(event.end), None]
        y += [event.limit_kw, event.limit_kw, None]
    line = {"color": "var(--eventline)", "width": 2.5}
    trace = {"type": "scatter", "mode": "lines", "name": "event limit", "x": x, "y": y, "line": line}
    return trace | {"hovertemplate": "%{y:.2f} kW", "connectgaps": False}


def _room(span: list[float]) -> list[float]:
    """A range that holds all of ``span`` with a little room around it."""
    low, high = min(span), max(span)
    room = 0.08 * (high - low) or 1.0
    return [round(low - room, 4) if low < 0 else 0.0, round(high + room, 4)]


def _row_title(name: str, far: list[str], top: float) -> list[dict[str, Any]]:
    """Name of the site above its row, and the limits that lie far outside the picture, in words."""
    place = {"xref": "paper", "yref": "paper", "y": top, "yanchor": "bottom", "showarrow": False}
    notes = [place | {"x": 0, "xanchor": "left", "text": f"<b>{name}</b>"}]
    if far:
        words = f"limits off scale: {', '.join(far)}"  # short: it stands beside the name on a telephone too
        notes.append(place | {"x": 1, "xanchor": "right", "text": words, "font": {"size": 11, "color": "var(--bad)"}})
    return notes


def charge_figure(record: RunRecord, clock: Clock) -> Figure | None:
    """State of charge of every battery, per cent of its capacity; None without a battery."""
    horizon = record.scenario.horizon
    by_policy = realised_by_policy(record)
    shown: list[tuple[Flows | None, str, dict[str, Any]]] = [
        (planned_in_force(record), "planned", {"dash": "dash", "width": 1.4}),
        (by_policy.get(PLAN), "realised", {}),
    ]
    traces: list[dict[str, Any]] = []
    for s, site in enumerate(record.scenario.sites):
        if site.battery is None:
            continue
        for flows, label, style in shown:
            if flows is None:
                continue
            kwh = np.concatenate(([site.battery.initial_soc_kwh], flows["soc_kwh"][s]))
            shown_once = label == "realised" or PLAN not in by_policy
            name = site.name if shown_once else f"{site.name}, {label}"
            trace = steps(clock, horizon, kwh[:-1], name, site_colour(s), line={"shape": "linear"} | style)
            trace |= {"y": numbers(100 * kwh / site.battery.energy_kwh), "customdata": numbers(kwh)}
            trace |= {"legendgroup": site.name, "showlegend": shown_once}
            traces.append(trace | {"hovertemplate": "%{y:.0f} % = %{customdata:.2f} kWh"})
        if site.battery.reserve_soc_kwh > 0:
            reserve = np.full(horizon.slots, 100 * site.battery.reserve_soc_kwh / site.battery.energy_kwh)
            dotted = {"dash": "dot", "width": 1.2}
            traces.append(steps(clock, horizon, reserve, f"{site.name}, reserve", site_colour(s), line=dotted, hoverinfo="skip"))
            traces[-1] |= {"legendgroup": site.name, "showlegend": False}
    if not traces:
        return None
    return {
        "data": traces,
        "layout": layout(
            330,
            xaxis=time_axis(clock, horizon),
            yaxis=value_axis("charge (% of capacity)", range=[0, 104]),
            shapes=[band(clock, event.start, event.end) for event in events(record)],
        ),
    }


def event_figure(record: RunRecord, event: CapacityEvent, clock: Clock) -> Figure:
    """Net import of the event's site around the event: without it, with it, and the target."""
    horizon, names = record.scenario.horizon, site_names(record)
    s, by_policy, traces = names.index(event.site), realised_by_policy(record), []
    first = record.plans[0] if record.plans else None
    if first is not None and event.received > first.since:
        before = planned(first.plan, horizon, names)
        label = "planned before the event was known"
        line: dict[str, Any] = {"dash": "dot"}
        traces.append(steps(clock, horizon, (before["import_kw"] - before["export_kw"])[s], label, "var(--faint)", line=line))
    plan = planned_in_force(record)
    if plan is not None:
        net = (plan["import_kw"] - plan["export_kw"])[s]
        traces.append(steps(clock, horizon, net, "planned", "var(--plan)", line={"dash": "dash"}))
    if PLAN in by_policy:
        net = (by_policy[PLAN]["import_kw"] - by_policy[PLAN]["export_kw"])[s]
        traces.append(steps(clock, horizon, net, "realised", "var(--ink)", line={"width": 2.2}))
    ends = [clock.axis(event.start), clock.axis(event.end)]
    levels = [("target", event.limit_kw, "var(--eventline)")]
    delivery = next(
        (d for d in (record.outcome.deliveries if record.outcome else ()) if (d.event, d.site) == (event.name, event.site)), None
    )
    if delivery is not None and delivery.baseline_kw is not None:
        levels.append(("baseline, mean", delivery.baseline_kw, "var(--bad)"))
    for label, value, colour in levels:
        level: dict[str, Any] = {"type": "scatter", "mode": "lines", "name": label, "x": ends, "y": numbers([value, value])}
        level["line"] = {"color": colour, "width": 3}
        traces.append(level | {"hovertemplate": "%{y:.2f}"})
    margin = timedelta(hours=3)
    window = [clock.axis(max(horizon.start, event.start - margin)), clock.axis(min(horizon.end, event.end + margin))]
    inside = slice(max(0, horizon.floor_slot(event.start - margin)), max(1, horizon.ceil_slot(event.end + margin)))
    seen = [y for t in traces for y in (t["y"][inside] if len(t["y"]) > horizon.slots else t["y"]) if y is not None]
    room = 0.06 * (max(seen) - min(seen)) + 0.05
    return {
        "data": traces,
        "layout": layout(
            320,
            xaxis=time_axis(clock, horizon, range=window),
            yaxis=value_axis("net import (kW)", zeroline=True, range=[round(min(seen) - room, 3), round(max(seen) + room, 3)]),
            shapes=[band(clock, event.start, event.end)],
        ),
    }
