"""The page of a front of cost against carbon: one file, opens offline, drawn like the report of a run."""

from __future__ import annotations

from typing import Any

from scheduler.answers.pareto import Front, Point, kg_per_eur
from sim.report.axes import Figure, layout, numbers, value_axis
from sim.report.markup import figure, note, section, table, text
from sim.report.page import POLICY, asset, script_json

CAPTION = (
    "Every point is a whole plan. Cost is the weighted objective without the price of carbon; carbon is that of imported energy "
    "with the intensity that the planner uses. The gap is what the solver left open at the carbon price of the point."
)


def pareto_figure(front: Front) -> Figure:
    """Cost to the right, carbon upwards; points that are beaten are hollow."""
    beaten = [point for point in front.points if point.beaten_by is not None]
    data = [_trace(front.kept, "front", "lines+markers", {"color": "var(--grid)", "size": 10})]
    data[0]["line"] = {"color": "var(--grid)", "width": 2}
    if beaten:
        hollow = {"color": "var(--faint)", "size": 10, "symbol": "circle-open"}
        data.append(_trace(tuple(beaten), "beaten by another plan", "markers", hollow))
    axes = {"xaxis": value_axis("cost without the price of carbon (EUR)"), "yaxis": value_axis("carbon of imports (kg)")}
    return {"data": data, "layout": layout(460, **axes, hovermode="closest")}


def pareto_html(name: str, title: str, front: Front) -> str:
    """The page."""
    from plotly.offline import get_plotlyjs

    shown = section("Cost against carbon", figure("pareto", "Front of cost against carbon", CAPTION) + _table(front))
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{text(name)}: cost against carbon</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<style>\n{asset('page.css')}</style>\n</head>\n<body>\n<header><h1>{text(title or name)}</h1></header>\n<main>\n"
        "<noscript><p>The picture needs JavaScript; the table is readable without.</p></noscript>\n"
        f"{shown}</main>\n"
        f'<script type="application/json" id="figures">{script_json({"pareto": pareto_figure(front)})}</script>\n'
        f"<script>{get_plotlyjs()}</script>\n<script>\n{asset('page.js')}</script>\n</body>\n</html>\n"
    )


def _trace(points: tuple[Point, ...], name: str, mode: str, marker: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": mode,
        "name": name,
        "x": numbers([point.cost_eur for point in points]),
        "y": numbers([point.carbon_kg for point in points]),
        "marker": marker,
        "customdata": [[f"{point.carbon_eur_per_kg:.3g}", _gap(point)] for point in points],
        "hovertemplate": "%{x:.2f} EUR, %{y:.2f} kg<br>made for carbon at %{customdata[0]} EUR/kg, gap %{customdata[1]}",
    }


def _gap(point: Point) -> str:
    return "unproven" if point.gap is None else f"{point.gap:.2%}"


def _table(front: Front) -> str:
    """The figures, those of beaten points last."""
    kept, rows = front.kept, []
    for k, point in enumerate(kept):
        step = f"{kg_per_eur(kept[k - 1], point):.2f}" if k else ""
        rows.append((f"{point.carbon_eur_per_kg:.3g}", f"{point.cost_eur:.2f}", f"{point.carbon_kg:.2f}", step, _gap(point)))
    for point in front.points:
        if point.beaten_by is not None:
            rows.append(
                (f"{point.carbon_eur_per_kg:.3g}", f"{point.cost_eur:.2f}", f"{point.carbon_kg:.2f}", "beaten", _gap(point))
            )
    heads = ("made for carbon at (EUR/kg)", "cost (EUR)", "carbon (kg)", "saved per EUR extra (kg)", "gap")
    return table(heads, rows, numeric=range(5)) + note("Saved per EUR extra: from the point before it on the front.")
