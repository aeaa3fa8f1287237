"""Jobs over time: one row a job when there are few, lanes per site when there are many."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from scheduler.workload import Job
from sim.record import RunRecord
from sim.report.axes import Clock, Figure, band, layout, site_colour, time_axis, value_axis
from sim.report.frames import Piece, events, pieces, site_names
from sim.report.reasons import Decision, decisions

ROWS_AT_MOST = 60
"""Above this number of jobs, jobs share lanes."""

_HOVER = (
    "<b>%{customdata[0]}</b> at %{customdata[1]}<br>%{customdata[2]} to %{customdata[3]}"
    "<br>deadline %{customdata[4]}, slack %{customdata[5]}<br>%{customdata[6]}<extra></extra>"
)


def lanes(spans: Sequence[tuple[datetime, datetime]]) -> list[int]:
    """Lane of each half-open span (any order): the first lane that is free when it begins; as few lanes as possible."""
    free_at: list[datetime] = []
    chosen = [0] * len(spans)
    for index in sorted(range(len(spans)), key=lambda k: (spans[k][0], spans[k][1])):
        start, end = spans[index]
        lane = next((k for k, until in enumerate(free_at) if until <= start), len(free_at))
        if lane == len(free_at):
            free_at.append(end)
        free_at[lane] = end
        chosen[index] = lane
    return chosen


def _wrapped(text: str, width: int = 60) -> str:
    """Text with line breaks for a hover box."""
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + len(word) + 1 > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return "<br>".join([*lines, line])


def _bars(
    site: str, colour: str, found: list[tuple[Piece, float]], clock: Clock, known: dict[str, Job], why: dict[str, Decision]
) -> dict[str, Any]:
    custom = []
    for piece, _ in found:
        deadline = known[piece.job].deadline
        slack_h = (deadline - max(p.end for p, _ in found if p.job == piece.job)).total_seconds() / 3600
        decision = why.get(piece.job)
        words = (clock.words(piece.start), clock.words(piece.end), clock.words(deadline), f"{slack_h:.2g} h")
        custom.append([piece.job, piece.site, *words, _wrapped(decision.text) if decision else ""])
    return {
        "type": "bar",
        "orientation": "h",
        "name": site,
        "base": [clock.axis(piece.start) for piece, _ in found],
        "x": [(piece.end - piece.start).total_seconds() * 1000 for piece, _ in found],
        "y": [row for _, row in found],
        "width": 0.78,
        "marker": {"color": colour, "line": {"width": 0}},
        "customdata": custom,
        "hovertemplate": _HOVER,
    }


def _count_words(count: int) -> str:
    return "1 job" if count == 1 else f"{count} jobs"


def gantt_figure(record: RunRecord, clock: Clock) -> Figure | None:
    """Every piece of every job of the plan in force, coloured by site; None without a plan or a job."""
    if not record.plans or not record.scenario.jobs:
        return None
    few = len(record.scenario.jobs) <= ROWS_AT_MOST
    return _rows_figure(record, clock) if few else _lanes_figure(record, clock)


def _known_pieces(record: RunRecord) -> list[Piece]:
    """Pieces of jobs and sites that the scenario knows (an altered plan may name others; its verdict says so)."""
    jobs, sites = {job.name for job in record.scenario.jobs}, set(site_names(record))
    return [piece for piece in pieces(record) if piece.job in jobs and piece.site in sites]


def _missed(record: RunRecord) -> dict[str, datetime]:
    """End (or deadline, when it never ended) of each job that missed its deadline."""
    jobs = record.outcome.jobs if record.outcome else ()
    return {job.job: job.finished or job.deadline for job in jobs if job.missed}


def _marker(name: str, symbol: str, colour: str, points: list[tuple[datetime, float, str]], clock: Clock) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [clock.axis(moment) for moment, _, _ in points],
        "y": [row for _, row, _ in points],
        "text": [text for _, _, text in points],
        "marker": {"symbol": symbol, "size": 13, "color": colour, "line": {"width": 2, "color": colour}},
        "hovertemplate": f"%{{text}}: {name} %{{x|%a %-d %b %H:%M}}<extra></extra>",
    }


def _rows_figure(record: RunRecord, clock: Clock) -> Figure:
    horizon, names = record.scenario.horizon, site_names(record)
    known, why = {job.name: job for job in record.scenario.jobs}, {d.name: d for d in decisions(record)}
    found = _known_pieces(record)
    first = {piece.job: piece for piece in reversed(found)}
    order = sorted(first.values(), key=lambda piece: (names.index(piece.site), piece.start, piece.job))
    order_names = [piece.job for piece in order] + [job.name for job in record.scenario.jobs if job.name not in first]
    row = {name: float(len(order_names) - 1 - k) for k, name in enumerate(order_names)}
    begin, end = horizon.start, horizon.end
    windows = [(max(known[n].release, begin), min(known[n].deadline, end), row[n]) for n in order_names]
    traces: list[dict[str, Any]] = [
        {
            "type": "bar",
            "orientation": "h",
            "name": "may run (release to deadline)",
            "base": [clock.axis(release) for release, _, _ in windows],
            "x": [max(0.0, (deadline - release).total_seconds() * 1000) for release, deadline, _ in windows],
            "y": [where for _, _, where in windows],
            "width": 0.86,
            "marker": {"color": "var(--window)", "line": {"width": 0}},
            "hoverinfo": "skip",
        }
    ]
    for s, site in enumerate(names):
        mine = [(piece, row[piece.job]) for piece in found if piece.site == site]
        if mine:
            traces.append(_bars(site, site_colour(s), mine, clock, known, why))
    deadlines = [(known[n].deadline, row[n], n) for n in order_names if begin <= known[n].deadline <= end]
    traces.append(_marker("deadline", "line-ns", "var(--ink)", deadlines, clock))
    results = record.outcome.jobs if record.outcome else ()
    ended = [(job.finished, row[job.job], job.job) for job in results if job.finished and job.job in row]
    if ended:
        traces.append(_marker("realised end", "circle-open", "var(--ink)", ended, clock) | {"marker": _dot("var(--ink)")})
    missed = [(moment, row[name], name) for name, moment in _missed(record).items() if name in row]
    if missed:
        traces.append(_marker("deadline missed", "x-thin", "var(--bad)", missed, clock))
    labels = [name if name in first else f"{name} (not done)" for name in order_names]
    axis = value_axis(
        "job",
        tickvals=[row[n] for n in order_names],
        ticktext=labels,
        range=[-0.6, len(row) - 0.4],
        showgrid=False,
        zeroline=False,
    )
    return _finish(record, clock, traces, axis, 130 + 24 * len(row))


def _dot(colour: str) -> dict[str, Any]:
    return {"symbol": "circle", "size": 7, "color": "var(--paper)", "line": {"width": 2, "color": colour}}


def _lanes_figure(record: RunRecord, clock: Clock) -> Figure:
    names = site_names(record)
    known, why = {job.name: job for job in record.scenario.jobs}, {d.name: d for d in decisions(record)}
    found, offset = _known_pieces(record), 0
    traces: list[dict[str, Any]] = []
    ticks: list[tuple[float, str]] = []
    edges: list[float] = []
    rows: dict[str, float] = {}
    for s, site in reversed(list(enumerate(names))):
        mine = [piece for piece in found if piece.site == site]
        chosen = lanes([(piece.start, piece.end) for piece in mine])
        count = max(chosen, default=0) + 1
        if mine:
            placed = [(piece, float(offset + count - 1 - lane)) for piece, lane in zip(mine, chosen, strict=True)]
            rows |= {piece.job: where for piece, where in placed}
            traces.insert(0, _bars(site, site_colour(s), placed, clock, known, why))
        ticks.append((offset + (count - 1) / 2, f"{site}<br>{_count_words(len({piece.job for piece in mine}))}"))
        offset += count + 1
        edges.append(offset - 1.0)
    missed = [(moment, rows[name], name) for name, moment in _missed(record).items() if name in rows]
    if missed:
        traces.append(_marker("deadline missed", "x-thin", "var(--bad)", missed, clock))
    places, labels = [where for where, _ in ticks], [text for _, text in ticks]
    axis = value_axis(
        "jobs at once, by site", tickvals=places, ticktext=labels, range=[-1, offset - 0.5], showgrid=False, zeroline=False
    )
    figure = _finish(record, clock, traces, axis, min(1400, max(420, 120 + 8 * offset)))
    line = {"color": "var(--axis)", "width": 1}
    figure["layout"]["shapes"] += [
        {"type": "line", "xref": "paper", "yref": "y", "x0": 0, "x1": 1, "y0": y, "y1": y, "line": line} for y in edges[:-1]
    ]
    return figure


def _finish(record: RunRecord, clock: Clock, traces: list[dict[str, Any]], axis: dict[str, Any], height: int) -> Figure:
    return {
        "data": traces,
        "layout": layout(
            height,
            barmode="overlay",
            hovermode="closest",
            xaxis=time_axis(clock, record.scenario.horizon),
            yaxis=axis,
            shapes=[band(clock, event.start, event.end) for event in events(record)],
        ),
    }
