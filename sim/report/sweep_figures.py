"""Pictures of a sweep for its page, in plotly's format: distributions of a figure, and cost against carbon."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sim.experiments.analysis import Point, Results, front
from sim.report.axes import Figure, layout, numbers, site_colour, value_axis

FIGURES: dict[str, str] = {
    "objective_eur": "weighted objective (EUR)",
    "cost_eur": "energy cost (EUR)",
    "carbon_kg": "carbon of imports (kg)",
    "peak_kw": "peaks of the sites, summed (kW)",
}
"""Figures that are drawn: column and words with the unit."""
MOST_CELLS = 24
"""Cells in a picture of distributions; more could not be told apart."""


def distribution_figure(results: Results, figure: str) -> Figure:
    """A box with all its points for each policy in each cell; the line in a box is the median, the dashed one the mean."""
    cells = results.cells[:MOST_CELLS]
    data = [_boxes(results, policy, figure, site_colour(k), rank=k) for k, policy in enumerate(results.policies)]
    long = len(cells) > 8
    axis = {"tickangle": 30 if long else 0, "automargin": True, "gridcolor": "var(--rule)", "type": "category"}
    return {
        "data": [trace for trace in data if trace["y"]],
        "layout": layout(440, xaxis=axis, yaxis=value_axis(FIGURES[figure]), boxmode="group", hovermode="closest"),
    }


def _boxes(results: Results, policy: str, figure: str, colour: str, rank: int) -> dict[str, Any]:
    """The boxes of one policy."""
    x: list[str] = []
    y: list[float | None] = []
    told: list[str] = []
    for cell in results.cells[:MOST_CELLS]:
        if policy in cell.rows:
            values = numbers(cell.column(policy, figure))
            x += [_label(results.words(cell))] * len(values)
            y += values
            told += [f"seed {seed}" for seed in sorted(cell.rows[policy])]
    return {
        "type": "box",
        "name": policy,
        "x": x,
        "y": y,
        "text": told,
        "boxpoints": "all",
        "boxmean": True,
        "jitter": 0.5,
        "pointpos": 0,
        "marker": {"color": colour, "size": 4, "opacity": 0.55},
        "line": {"color": colour, "width": 1.6},
        "offsetgroup": str(rank),
        "hoveron": "points+boxes",
    }


def _label(words: str) -> str:
    """A setting under its boxes, a line a value."""
    return words.replace(", ", "<br>")


def pareto_figure(results: Results, scenario: str) -> Figure:
    """Mean cost to the right, mean carbon upwards; the line is the front, hollow points leave something undone."""
    points = front(results, scenario)
    kept = sorted((point for point in points if point.on_front), key=lambda point: point.cost_eur)
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": "front",
        "x": numbers([point.cost_eur for point in kept]),
        "y": numbers([point.carbon_kg for point in kept]),
        "line": {"color": "var(--grid)", "width": 2, "dash": "dot"},
        "hoverinfo": "skip",
    }
    traces = [
        _points(results, [point for point in points if point.policy == policy], site_colour(k))
        for k, policy in enumerate(results.policies)
        if any(point.policy == policy for point in points)
    ]
    axes = {"xaxis": value_axis("mean energy cost (EUR)"), "yaxis": value_axis("mean carbon of imports (kg)")}
    return {"data": [*([line] if len(kept) > 1 else []), *traces], "layout": layout(460, **axes, hovermode="closest")}


def _points(results: Results, points: Sequence[Point], colour: str) -> dict[str, Any]:
    """The points of one policy, of which there is at least one."""
    symbols = ["circle-open" if point.undone else "circle" if point.on_front else "diamond" for point in points]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": points[0].policy,
        "x": numbers([point.cost_eur for point in points]),
        "y": numbers([point.carbon_kg for point in points]),
        "marker": {"color": colour, "size": 10, "symbol": symbols},
        "text": [results.words(point.cell) + ("; leaves work undone" if point.undone else "") for point in points],
        "hovertemplate": "%{text}<br>%{x:.2f} EUR, %{y:.2f} kg",
    }
