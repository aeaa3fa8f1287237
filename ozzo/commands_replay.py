"""What stands behind ``ozzo replay``: one replay, or the list of policies, as a table or as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from grid.errors import Finding, InputError
from ozzo.answer_tables import rendered, table

if TYPE_CHECKING:
    from sim.replay.run import Result, Wish


@dataclass(frozen=True, slots=True)
class Request:
    """What stands on the command line; see ``sim.replay.run.Wish``."""

    jobs: str
    carbon: str
    price: str | None
    policy: str
    start: str | None
    horizon: float | None
    wait: str
    done_within: float | None
    machines: int | None
    watts: float
    place: str
    time_zone: str
    repair: bool


def replay_text(request: Request, *, as_json: bool) -> str:
    """Run a replay and tell what came of it.

    Raises:
        InputError: files or settings are wrong.
    """
    from sim.replay.run import replay

    result = replay(_wish(request))
    return json.dumps(_content(result), indent=1) if as_json else _shown(result)


def policies_text(*, as_json: bool) -> str:
    """All policies with what they know and follow."""
    from sim.replay.policies.registry import POLICIES

    rows = [
        {
            "policy": policy.name,
            "follows": policy.follows,
            "knows": policy.knows.value,
            "knows_length": policy.knows_length,
            "pauses": policy.pauses,
            "heeds_machines": policy.heeds_machines,
            "source": policy.source,
        }
        for policy in POLICIES.values()
    ]
    if as_json:
        return json.dumps({"policies": rows}, indent=1)
    made = table("Policies of ozzo replay", "policy", "follows", "knows", "length", "pauses", "machines", "source")
    for row in rows:
        yes = ["known" if row["knows_length"] else "", "yes" if row["pauses"] else "", "heeded" if row["heeds_machines"] else ""]
        made.add_row(str(row["policy"]), str(row["follows"]), str(row["knows"]), *yes, str(row["source"]))
    return rendered(made)


def _wish(request: Request) -> Wish:
    """Texts read as what they mean.

    Raises:
        InputError: a start or place that cannot be read; both at once.
    """
    from sim.replay.run import Wish

    findings: list[Finding] = []
    start = _moment(request.start, findings)
    latitude, longitude = _place(request.place, findings)
    if findings:
        raise InputError(findings)
    return Wish(
        jobs=request.jobs,
        carbon=request.carbon,
        price=request.price,
        policy=request.policy,
        start=start,
        horizon_h=request.horizon,
        wait=request.wait,
        done_within_h=request.done_within,
        machines=request.machines,
        watts=request.watts,
        latitude=latitude,
        longitude=longitude,
        time_zone=request.time_zone,
        repair=request.repair,
    )


def _moment(text: str | None, findings: list[Finding]) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        findings.append(Finding("", None, "--start", repr(text), "a time with its zone, for example 2024-03-01T00:00Z"))
        return None


def _place(text: str, findings: list[Finding]) -> tuple[float, float]:
    try:
        latitude, longitude = (float(part) for part in text.split(":"))
        if math.isfinite(latitude) and math.isfinite(longitude):
            return latitude, longitude
    except ValueError:
        pass
    findings.append(Finding("", None, "--place", repr(text), "degrees north and east as LAT:LON, for example 52.37:4.90"))
    return 0.0, 0.0


def _content(result: Result) -> dict[str, Any]:
    from sim.replay.run import share_of_bound

    return {
        "policy": result.policy.name,
        "knows": result.policy.knows.value,
        "jobs": result.jobs,
        "first_arrival": result.first.isoformat(),
        "last_end": result.last.isoformat(),
        "machines": result.machines,
        **asdict(result.figures),
        "price_unit": result.price_unit,
        "share_of_bound": share_of_bound(result.figures, result.policy),
        "repairs": result.repairs,
        "notes": list(result.notes),
    }


def _shown(result: Result) -> str:
    from sim.replay.run import share_of_bound

    figures = result.figures
    title = f"{result.policy.name}: {result.jobs} jobs from {result.first:%Y-%m-%dT%H:%MZ} to {result.last:%Y-%m-%dT%H:%MZ}"
    made = table(title, "figure", "value (n)")
    rows: tuple[tuple[str, float | None, str], ...] = (
        ("carbon relative to running at once", figures.carbon_relative, ".4f"),
        ("least possible, one run a job", figures.bound_contiguous, ".4f"),
        ("least possible, jobs may pause", figures.bound_interruptible, ".4f"),
        ("share of the possible saving", share_of_bound(figures, result.policy), ".3f"),
        ("cost relative to running at once", figures.cost_relative, ".4f"),
        ("energy (kWh)", figures.energy_kwh, ".3f"),
        ("carbon (kg)", figures.carbon_kg, ".3f"),
        (f"cost (of {result.price_unit})", figures.cost, ".2f"),
        ("mean wait (h)", figures.mean_wait_h, ".3f"),
        ("deadlines missed", float(figures.deadline_misses), ".0f"),
        ("most processors at once", figures.peak_cpus, ".0f"),
    )
    for name, value, form in rows:
        if value is not None:
            made.add_row(name, format(value, form))
    mended = [f"{file}: {count} {kind}" for file, counts in result.repairs.items() for kind, count in counts.items()]
    return rendered(made, *mended, *result.notes)
