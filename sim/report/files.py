"""The run folder: figures, plan, verdict, tables as Parquet, the page; each file appears whole or not at all.

==========================  ==========================================================================================
file                        holds
==========================  ==========================================================================================
``summary.json``            the figures of the run (keys: ``sim.report.summary.KEYS``)
``plan.json``               the plan in force at the end (``plan-1.json`` ... the plans before it); absent without a plan
``verdict.json``            verdict of each plan in force, with violations, worst values and seeds; absent without a plan
``timeseries.parquet``      one row a policy, site and slot: planned and realised flows, limits, prices, carbon, voltage
``jobs.parquet``            one row a policy and job: where and when, as planned and as realised, and why
``departures.parquet``      one row a policy and car at a charging point: when, and its battery at departure, planned and realised
``energy_shares.parquet``   one row a policy, site and job or migration: its part of the site's load; and nobody's and assets'
``network.parquet``         one row a policy and power flow: lowest and highest voltage, highest loadings, element names
``report.html``             the page
==========================  ==========================================================================================
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sim.record import RunRecord
from sim.report.charging import departure_rows
from sim.report.page import report_html
from sim.report.rows import job_rows, network_rows, timeseries_columns
from sim.report.shares import share_rows
from sim.report.summary import iso, summary, violation_entry


def run_folder(base: Path, name: str, now: datetime) -> Path:
    """Make and return a new, empty folder ``<base>/<UTC time>-<name>``; a number is added when it is taken.

    Raises:
        ValueError: ``now`` has no time zone.
    """
    if now.tzinfo is None:
        raise ValueError("the time of a run folder needs a time zone")
    safe = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name).strip(".") or "run"
    stem = f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{safe}"
    base.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        folder = base / (stem if number == 1 else f"{stem}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
        else:
            return folder


def write_whole(path: Path, write: Callable[[Path], object]) -> Path:
    """Let ``write`` fill a file beside ``path``, then put it in place in one step."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def _write_json(path: Path, value: object) -> Path:
    words = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return write_whole(path, lambda part: part.write_text(words, encoding="utf-8"))


def _write_parquet(path: Path, columns: dict[str, Any]) -> Path:
    """Columns of equal length as a compressed Parquet file; NaN stays NaN, None becomes null."""
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    return write_whole(path, lambda part: parquet.write_table(table, part, compression="zstd"))


def verdict_to_dict(record: RunRecord) -> list[dict[str, Any]]:
    """Verdict of each plan in force, in order."""
    return [
        {
            "plan_id": entry.verdict.plan_id,
            "cause": entry.cause,
            "since": iso(entry.since),
            "passed": entry.verdict.passed,
            "violations": [violation_entry(violation) for violation in entry.verdict.violations],
            "worst": dict(entry.verdict.worst),
            "seeds": list(entry.verdict.seeds),
        }
        for entry in record.plans
    ]


def _columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}


def write_run(record: RunRecord, folder: Path) -> tuple[Path, ...]:
    """Write everything that the record holds into ``folder`` (which exists); returns the files.

    A partial record (interrupted, or blocked by its verdict) gives the files for which it has content.
    """
    from scheduler.plan_json import plan_to_dict

    written = [_write_json(folder / "summary.json", summary(record))]
    for number, entry in enumerate(record.plans, start=1):
        name = "plan.json" if number == len(record.plans) else f"plan-{number}.json"
        written.append(_write_json(folder / name, plan_to_dict(entry.plan)))
    if record.plans:
        written.append(_write_json(folder / "verdict.json", verdict_to_dict(record)))
    written.append(_write_parquet(folder / "timeseries.parquet", timeseries_columns(record)))
    tables = {
        "jobs": job_rows(record),
        "network": network_rows(record),
        "departures": departure_rows(record),
        "energy_shares": share_rows(record),
    }
    for name, rows in tables.items():
        if rows:
            written.append(_write_parquet(folder / f"{name}.parquet", _columns(rows)))
    page = report_html(record)
    written.append(write_whole(folder / "report.html", lambda part: part.write_text(page, encoding="utf-8")))
    return tuple(written)
