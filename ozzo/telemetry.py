"""Telemetry of a run: plan, forecast, actual, limits, events, jobs and network as points in time.

Every point has a measurement, tags (who), fields (what) and an instant in scenario time (UTC). ``run`` is a tag of each.

=============  =====================================  ==================================================================
measurement    tags beside ``run``                    fields
=============  =====================================  ==================================================================
``plan``       ``policy``, ``site``                   planned mean kW of a slot, ``soc_kwh`` at its end
``actual``     ``policy``, ``site``                   realised mean kW of a slot, ``soc_kwh``, ``voltage_pu``
``forecast``   ``site``                               ``solar_kw``, ``wind_kw``, prices in EUR/MWh, ``average_g_per_kwh``
``limits``     ``site``                               ``import_limit_kw``, ``export_limit_kw``, ``event_limit_kw``
``events``     ``site``, ``event``                    target, baseline and delivery in kW, ``text``; at the event's start
``jobs``       ``site``                               jobs ``running``, ``queued``, ``done`` during a slot
``job_runs``   ``site``, ``job``                      ``hours``, ``missed``, ``energy_kwh``, ``reason``; at a job's start
``network``    ``policy``                             lowest and highest voltage, highest loadings, their elements
``nodes``      ``site``, ``node``, ``source``         ``power_kw`` that node agents told, mean of a slot (nodes were commanded)
``result``     ``policy``                             totals of the run, ``gap``, ``verdict`` (1 passed); at the first slot
=============  =====================================  ==================================================================

``policy`` is ``plan`` for the plan in force, else the baseline's name. SQLite is the default store; InfluxDB is written as
well when it is configured (``ozzo.influx``).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from grid.horizon import FloatArray
from ozzo.node_power import NodePower
from sim.record import RunRecord
from sim.report.files import write_whole
from sim.report.frames import (
    PLAN,
    POWERS,
    Flows,
    event_limit_kw,
    outcomes,
    pieces,
    realised,
    signals,
    site_names,
    site_voltage_pu,
)
from sim.report.reasons import reasons_in_force
from sim.report.rows import network_rows, planned_by_policy
from sim.report.summary import TOTAL_KEYS, better_than, verdict_of

COUNTS = frozenset({"deadline_misses", "dropped"})
"""Totals that are whole numbers."""

Value = float | int | str


@dataclass(frozen=True, slots=True)
class Point:
    """One point.

    Attributes:
        measurement: its kind; tags: who; fields: what (floats, integers, strings), at least one; time: instant, UTC.
    """

    measurement: str
    tags: dict[str, str]
    fields: dict[str, Value]
    time: datetime


def _rows(record: RunRecord, measurement: str, tags: Mapping[str, str], fields: Mapping[str, FloatArray]) -> Iterator[Point]:
    """One point a site and slot; NaN fields are left out, and so are points without any field."""
    horizon = record.scenario.horizon
    for s, site in enumerate(site_names(record)):
        for t in range(horizon.slots):
            values: dict[str, Value] = {name: float(array[s, t]) for name, array in fields.items() if not np.isnan(array[s, t])}
            if values:
                yield Point(measurement, {**tags, "site": site}, values, horizon.time(t))


def _flows(flows: Flows) -> Flows:
    return {name: flows[name] for name in (*POWERS, "soc_kwh")}


def _energy(record: RunRecord, run: str) -> Iterator[Point]:
    horizon, sites = record.scenario.horizon, site_names(record)
    for policy, flows in planned_by_policy(record).items():
        yield from _rows(record, "plan", {"run": run, "policy": policy}, _flows(flows))
    for policy, outcome in outcomes(record).items():
        fields = _flows(realised(outcome, horizon, sites)) | {"voltage_pu": site_voltage_pu(outcome, horizon, sites)}
        yield from _rows(record, "actual", {"run": run, "policy": policy}, fields)
    told = signals(record)
    limits = {"import_limit_kw": told.pop("import_limit_kw"), "export_limit_kw": told.pop("export_limit_kw")}
    yield from _rows(record, "forecast", {"run": run}, told)
    yield from _rows(record, "limits", {"run": run}, limits | {"event_limit_kw": event_limit_kw(record)})


def _events(record: RunRecord, run: str) -> Iterator[Point]:
    for delivery in record.outcome.deliveries if record.outcome else ():
        baseline = "not stated" if delivery.baseline_kw is None else f"{delivery.baseline_kw:.2f} kW"
        words = f"baseline {baseline}, target {delivery.limit_kw:.2f} kW, realised {delivery.actual_kw:.2f} kW"
        fields: dict[str, Value] = {
            "limit_kw": delivery.limit_kw,
            "actual_kw": delivery.actual_kw,
            "worst_kw": delivery.worst_kw,
            "shortfall_kwh": delivery.shortfall_kwh,
            "hours": (delivery.end - delivery.start) / timedelta(hours=1),
            "text": f"{delivery.event} at {delivery.site}: {words}",
        }
        if delivery.baseline_kw is not None and delivery.delivered_kw is not None:
            fields |= {"baseline_kw": delivery.baseline_kw, "delivered_kw": delivery.delivered_kw}
        yield Point("events", {"run": run, "site": delivery.site, "event": delivery.event}, fields, delivery.start)


def job_counts(record: RunRecord) -> dict[str, dict[str, FloatArray]]:
    """Jobs running, queued and done per site and slot, by the site of the job, ``[T]`` each; planned when not realised.

    A job is queued from its release to its start, running in every slot that one of its pieces touches, done in the slots
    after its end. Pauses of an interruptible job count as queued.
    """
    horizon = record.scenario.horizon
    ends = {job.job: job.finished for job in (record.outcome.jobs if record.outcome else ()) if job.finished}
    by_job: dict[str, list[tuple[datetime, datetime, str]]] = {}
    for piece in pieces(record):
        end = min(piece.end, ends.get(piece.job, piece.end))
        if end > piece.start:
            by_job.setdefault(piece.job, []).append((piece.start, end, piece.site))
    counts = {site: {name: np.zeros(horizon.slots) for name in ("running", "queued", "done")} for site in site_names(record)}
    for job in record.scenario.jobs:
        spans = by_job.get(job.name)
        if not spans:
            continue
        busy = np.zeros(horizon.slots, dtype=bool)
        for start, end, _ in spans:
            busy[max(0, horizon.floor_slot(start)) : horizon.ceil_slot(end)] = True
        last = min(horizon.slots, horizon.ceil_slot(max(end for _, end, _ in spans)))
        here, slots = counts[spans[0][2]], np.arange(horizon.slots)
        waiting = ~busy & (slots >= horizon.floor_slot(job.release)) & (slots < last)
        here["running"] += busy
        here["queued"] += waiting
        here["done"] += slots >= last
    return counts


def _jobs(record: RunRecord, run: str) -> Iterator[Point]:
    if not record.plans:
        return
    horizon = record.scenario.horizon
    for site, arrays in job_counts(record).items():
        for t in range(horizon.slots):
            yield Point(
                "jobs", {"run": run, "site": site}, {name: int(array[t]) for name, array in arrays.items()}, horizon.time(t)
            )
    why = reasons_in_force(record)
    for job in record.outcome.jobs if record.outcome else ():
        if job.site is None or job.started is None:
            continue
        facts: dict[str, Value] = {"missed": int(job.missed), "restarts": job.restarts, "energy_kwh": job.energy_kwh}
        if job.finished is not None:
            facts["hours"] = (job.finished - job.started) / timedelta(hours=1)
        if job.job in why:
            facts["reason"] = str(why[job.job].kind)
        yield Point("job_runs", {"run": run, "site": job.site, "job": job.job}, facts, job.started)


def _network(record: RunRecord, run: str) -> Iterator[Point]:
    for row in network_rows(record):
        fields = {name: value for name, value in row.items() if name not in {"policy", "time"} and value is not None}
        yield Point("network", {"run": run, "policy": row["policy"]}, fields, row["time"])


def _result(record: RunRecord, run: str) -> Iterator[Point]:
    verdict, gains = verdict_of(record), better_than(record)
    for policy, outcome in outcomes(record).items():
        totals = asdict(outcome.totals)
        fields: dict[str, Value] = {
            name: int(totals[name]) if name in COUNTS else float(totals[name]) for name in TOTAL_KEYS if name != "breakdown_eur"
        }
        if policy == PLAN:
            fields["verdict"] = int(verdict == "passed")
            if record.plans and record.plans[0].plan.gap is not None:
                fields["gap"] = record.plans[0].plan.gap
            for name, gain in gains.items():
                fields |= {f"better_than_{name}_{unit}": value for unit, value in gain.items() if value is not None}
        yield Point("result", {"run": run, "policy": policy}, fields, record.scenario.horizon.start)


def points(record: RunRecord, run: str, power: Iterable[NodePower] = ()) -> Iterator[Point]:
    """Every point of a record, complete or partial, and of what nodes drew; ``run`` names the run (the run folder's name)."""
    for make in (_energy, _events, _jobs, _network, _result):
        yield from make(record, run)
    for mean in power:
        tags = {"run": run, "site": mean.site, "node": mean.node, "source": mean.source}
        yield Point("nodes", tags, {"power_kw": mean.power_kw}, mean.time)


def write_sqlite(found: Iterable[Point], path: Path) -> int:
    """Write points into a new SQLite file, one table a measurement (``time`` as ISO 8601 UTC); returns their number.

    The file is in WAL mode, so that readers never wait for a later writer.
    """
    by_kind: dict[str, list[Point]] = {}
    for point in found:
        by_kind.setdefault(point.measurement, []).append(point)

    def fill(part: Path) -> None:
        """Make the whole file beside its place."""
        with closing(sqlite3.connect(part)) as store:
            with store:
                for kind, rows in by_kind.items():
                    _fill_table(store, kind, rows)
            store.execute("PRAGMA journal_mode=WAL")

    write_whole(path, fill)
    return sum(len(rows) for rows in by_kind.values())


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _fill_table(store: sqlite3.Connection, kind: str, rows: list[Point]) -> None:
    tags = sorted({name for row in rows for name in row.tags})
    types: dict[str, str] = {}
    for row in rows:
        for name, value in row.fields.items():
            types.setdefault(name, "TEXT" if isinstance(value, str) else "INTEGER" if isinstance(value, int) else "REAL")
    columns = ["time TEXT NOT NULL", *(f"{_quoted(name)} TEXT NOT NULL" for name in tags)]
    columns += [f"{_quoted(name)} {kind_of}" for name, kind_of in types.items()]
    key = ", ".join(["time", *map(_quoted, tags)])
    store.execute(f"CREATE TABLE {_quoted(kind)} ({', '.join(columns)}, PRIMARY KEY ({key})) WITHOUT ROWID")
    marks = ", ".join("?" * len(columns))
    store.executemany(
        f"INSERT OR REPLACE INTO {_quoted(kind)} VALUES ({marks})",  # noqa: S608 - names are quoted, values are bound
        (
            (
                row.time.astimezone(UTC).isoformat(),
                *(row.tags.get(name, "") for name in tags),
                *(row.fields.get(name) for name in types),
            )
            for row in rows
        ),
    )


def write_telemetry(
    record: RunRecord,
    folder: Path,
    progress: Callable[[str], None],
    environment: Mapping[str, str] | None = None,
    power: Iterable[NodePower] = (),
) -> int:
    """Write the telemetry of a run to ``folder/telemetry.sqlite`` and, when configured, to InfluxDB; returns the points.

    An InfluxDB that cannot be written does not spoil the run: the reason is told through ``progress`` and kept in
    ``folder/influx-error.txt``, and the SQLite file holds everything.

    Args:
        record: the run, complete or partial.
        folder: the run folder; its name is the tag ``run``.
        progress: told what was written where.
        environment: where the InfluxDB settings stand, by default the process environment.
        power: what nodes said that they draw.

    Raises:
        InputError: InfluxDB is configured by half (the SQLite file is written before).
    """
    from grid.errors import TransportError
    from ozzo.influx import InfluxSettings, write_points

    found = list(points(record, folder.name, power))
    count = write_sqlite(found, folder / "telemetry.sqlite")
    progress(f"telemetry: {count:,} points in telemetry.sqlite")
    settings = InfluxSettings.from_environment(os.environ if environment is None else environment)
    if settings is not None:
        try:
            write_points(found, settings)
        except TransportError as error:
            (folder / "influx-error.txt").write_text(f"{error}\n", encoding="utf-8")
            progress(f"telemetry is NOT in InfluxDB: {error}")
        else:
            progress(f"telemetry: {count:,} points in InfluxDB at {settings.shown_url}, bucket {settings.bucket}")
    return count
