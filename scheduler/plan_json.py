"""A plan as JSON data and back, without loss.

Version 1. Keys of the document (required unless said otherwise, unknown keys are refused):

==================  ======================================================================================
key                 value
==================  ======================================================================================
``version``         1
``id``              unique id of the plan
``policy``          name of the policy that made it
``horizon``         ``start`` (ISO 8601, UTC), ``step_s``, ``slots``
``sites``           names, in the order of the arrays
``runs``            list of ``job``, ``site``, ``start``, ``end`` (slots, half-open), ``nodes``; runs below full speed also have
                    ``speed``, ``power`` and ``use`` (shares of full speed, of its power and of its resources; 1 when left out)
``transfers``       list of ``migration``, ``dataset``, ``source``, ``target``, ``start``, ``end``, ``rate_mbit_per_s``
``energy``          one ``[site][slot]`` array per name: ``it_kw``, ``load_kw``, ``import_kw``, ``export_kw``, ``renewable_kw``,
                    ``renewable_used_kw``, ``charge_kw``, ``discharge_kw``, ``soc_kwh`` (end of slot), ``unserved_kw``
``dropped``         list of ``name``, ``reason``
``reasons``         by name of job or migration: ``kind``, ``text``, ``numbers``
``battery_control`` ``follow_plan`` or ``self_consumption``
``objective_eur``   value of the weighted objective; ``bound_eur``, ``gap``: number or null
``status``          how the solve ended
``solver``          the solver's words
``build_s``         wall time of building; ``solve_s``: of solving
``breakdown_eur``   parts of the objective by name
``assets``          only with assets: list of ``site``, ``asset``, ``kind``, ``cost_eur``, ``carbon_g``, and a number a
                    slot of ``draw_kw`` and of each of ``series`` (by name, unit in the name)
``expected``        only of a plan for several futures: ``objective_eur``, ``bound_eur`` and ``gap`` (number or null),
                    ``one_future_eur``, and a list each of ``probabilities`` and ``costs_eur``
``network``         only of a plan that was held to a network in AC: see ``scheduler.network_json``
==================  ======================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from grid.errors import Finding, InputError
from grid.horizon import Horizon
from scheduler.asset_runs import AssetRun
from scheduler.network_json import network_from_dict, network_to_dict
from scheduler.plan import (
    BatteryControl,
    Dropped,
    EnergySchedule,
    Expected,
    Plan,
    Reason,
    ReasonKind,
    Run,
    SolveStatus,
    Transfer,
)

VERSION = 1

_NUMBER = (int, float)
_MAYBE = (int, float, type(None))
_PLAN = {
    "version": int,
    "id": str,
    "policy": str,
    "horizon": dict,
    "sites": list,
    "runs": list,
    "transfers": list,
    "energy": dict,
    "dropped": list,
    "reasons": dict,
    "battery_control": str,
    "objective_eur": _NUMBER,
    "bound_eur": _MAYBE,
    "gap": _MAYBE,
    "status": str,
    "solver": str,
    "build_s": _NUMBER,
    "solve_s": _NUMBER,
    "breakdown_eur": dict,
}
_EXPECTED = {
    "objective_eur": _NUMBER,
    "bound_eur": _MAYBE,
    "gap": _MAYBE,
    "one_future_eur": _NUMBER,
    "probabilities": list,
    "costs_eur": list,
}
_ASSET = {"site": str, "asset": str, "kind": str, "cost_eur": _NUMBER, "carbon_g": _NUMBER, "draw_kw": list, "series": dict}
_HORIZON = {"start": str, "step_s": int, "slots": int}
_RUN = {"job": str, "site": str, "start": int, "end": int, "nodes": list}
_SHARES = {"speed": _NUMBER, "power": _NUMBER, "use": _NUMBER}
_TRANSFER = {
    "migration": str,
    "dataset": str,
    "source": str,
    "target": str,
    "start": int,
    "end": int,
    "rate_mbit_per_s": _NUMBER,
}
_REASON = {"kind": str, "text": str, "numbers": dict}
_DROPPED = {"name": str, "reason": dict}


def plan_to_dict(plan: Plan) -> dict[str, Any]:
    """The plan as data that ``json`` can write; see the module's docstring for the keys."""
    data: dict[str, Any] = {
        "version": VERSION,
        "id": plan.id,
        "policy": plan.policy,
        "horizon": {
            "start": plan.horizon.start.isoformat(),
            "step_s": round(plan.horizon.step_s),
            "slots": plan.horizon.slots,
        },
        "sites": list(plan.sites),
        "runs": [_run_to_dict(run) for run in plan.runs],
        "transfers": [{key: getattr(transfer, key) for key in _TRANSFER} for transfer in plan.transfers],
        "energy": {name: getattr(plan.energy, name).tolist() for name in EnergySchedule.names()},
        "dropped": [{"name": item.name, "reason": _reason_to_dict(item.reason)} for item in plan.dropped],
        "reasons": {name: _reason_to_dict(reason) for name, reason in plan.reasons.items()},
        "battery_control": plan.battery_control.value,
        "objective_eur": plan.objective_eur,
        "bound_eur": plan.bound_eur,
        "gap": plan.gap,
        "status": plan.status.value,
        "solver": plan.solver,
        "build_s": plan.build_s,
        "solve_s": plan.solve_s,
        "breakdown_eur": dict(plan.breakdown_eur),
    }
    if plan.assets:
        data["assets"] = [_asset_to_dict(run) for run in plan.assets]
    if plan.expected is not None:
        data["expected"] = expected_to_dict(plan.expected)
    if plan.network is not None:
        data["network"] = network_to_dict(plan.network)
    return data


def expected_to_dict(expected: Expected) -> dict[str, Any]:
    """What a plan costs over its futures, as plain data."""
    lists = {"probabilities": list(expected.probabilities), "costs_eur": list(expected.costs_eur)}
    return {key: getattr(expected, key) for key in _EXPECTED} | lists


def plan_from_dict(data: Mapping[str, Any], file: str = "plan.json") -> Plan:
    """The plan that ``plan_to_dict`` wrote.

    Args:
        data: parsed JSON.
        file: name for error messages.

    Raises:
        InputError: unknown or missing keys, wrong types, unknown version, arrays of the wrong shape; all findings at once.
    """
    reader = _Reader(file)
    maybe = {"expected": dict, "assets": list, "network": dict}
    given = {key: kind for key, kind in maybe.items() if isinstance(data, Mapping) and key in data}
    top = reader.mapping(data, "", _PLAN | given)
    if top.get("version", VERSION) != VERSION:
        reader.wrong("version", top["version"], f"version {VERSION}")
    reader.stop_if_wrong()
    horizon = _horizon(reader, top["horizon"])
    sites = tuple(reader.text(name, f"sites[{i}]") for i, name in enumerate(top["sites"]))
    runs = [_run(reader, row, f"runs[{i}]") for i, row in enumerate(top["runs"])]
    transfers = [reader.mapping(row, f"transfers[{i}]", _TRANSFER) for i, row in enumerate(top["transfers"])]
    energy = _energy(reader, top["energy"], (len(sites), horizon.slots if horizon else 0))
    dropped = [_dropped(reader, row, f"dropped[{i}]") for i, row in enumerate(top["dropped"])]
    reasons = {name: _reason(reader, row, f"reasons.{name}") for name, row in top["reasons"].items()}
    control = reader.member(BatteryControl, top["battery_control"], "battery_control")
    status = reader.member(SolveStatus, top["status"], "status")
    breakdown = reader.numbers(top["breakdown_eur"], "breakdown_eur")
    slots = horizon.slots if horizon else 0
    assets = [_asset(reader, row, f"assets[{i}]", slots) for i, row in enumerate(top.get("assets", ()))]
    expected = _expected(reader, top["expected"]) if "expected" in top else None
    network = network_from_dict(top["network"], reader.wrong) if "network" in top else None
    reader.stop_if_wrong()
    if horizon is None or energy is None or control is None or status is None:
        raise AssertionError("a wrong part was read without a finding")
    return Plan(
        id=top["id"],
        policy=top["policy"],
        horizon=horizon,
        sites=sites,
        runs=tuple(run for run in runs if run),
        transfers=tuple(Transfer(**row) for row in transfers),
        energy=energy,
        dropped=tuple(item for item in dropped if item),
        reasons={name: reason for name, reason in reasons.items() if reason},
        battery_control=control,
        objective_eur=top["objective_eur"],
        bound_eur=top["bound_eur"],
        gap=top["gap"],
        status=status,
        solver=top["solver"],
        build_s=top["build_s"],
        solve_s=top["solve_s"],
        breakdown_eur=breakdown,
        expected=expected,
        network=network,
        assets=tuple(run for run in assets if run),
    )


def _run_to_dict(run: Run) -> dict[str, Any]:
    data: dict[str, Any] = {"job": run.job, "site": run.site, "start": run.start, "end": run.end, "nodes": list(run.nodes)}
    return data | {key: getattr(run, key) for key in _SHARES if getattr(run, key) != 1.0}


def _reason_to_dict(reason: Reason) -> dict[str, Any]:
    return {"kind": reason.kind.value, "text": reason.text, "numbers": dict(reason.numbers)}


class _Reader:
    """Checks data piece by piece and keeps every finding."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.findings: list[Finding] = []

    def wrong(self, field: str, found: object, expected: str) -> None:
        """Note a finding."""
        self.findings.append(Finding(self.file, None, field, repr(found)[:60], expected))

    def stop_if_wrong(self) -> None:
        """Raise everything that was found so far."""
        if self.findings:
            raise InputError(self.findings)

    def mapping(self, data: object, field: str, keys: Mapping[str, Any]) -> dict[str, Any]:
        """``data`` as a mapping with exactly these keys and types."""
        if not isinstance(data, Mapping):
            self.wrong(field, data, "an object")
            return {}
        for key in data:
            if key not in keys:
                self.wrong(f"{field}.{key}".lstrip("."), data[key], f"only the keys {', '.join(keys)}")
        for key, kind in keys.items():
            if key not in data:
                self.wrong(f"{field}.{key}".lstrip("."), None, "a value")
            elif not isinstance(data[key], kind) or isinstance(data[key], bool):
                names = [part.__name__ for part in (kind if isinstance(kind, tuple) else (kind,))]
                self.wrong(f"{field}.{key}".lstrip("."), data[key], " or ".join(names))
            elif not _sane(data[key]):
                self.wrong(f"{field}.{key}".lstrip("."), data[key], SANE)
        return {key: value for key, value in data.items() if key in keys}

    def text(self, value: object, field: str) -> str:
        """``value`` as text."""
        if not isinstance(value, str):
            self.wrong(field, value, "text")
        return str(value)

    def member(self, kind: type[Any], value: object, field: str) -> Any:
        """``value`` as a member of an enumeration, or None with a finding."""
        if value in {member.value for member in kind}:
            return kind(value)
        self.wrong(field, value, f"one of {', '.join(member.value for member in kind)}")
        return None

    def numbers(self, data: object, field: str) -> dict[str, float]:
        """``data`` as numbers by name."""
        if not isinstance(data, Mapping):
            self.wrong(field, data, "an object")
            return {}
        for key, value in data.items():
            if not isinstance(value, _NUMBER) or isinstance(value, bool):
                self.wrong(f"{field}.{key}", value, "a number")
            elif not _sane(value):
                self.wrong(f"{field}.{key}", value, SANE)
        return dict(data)


SANE = "a number that is one, whole ones below 2**53"


def _sane(value: object) -> bool:
    """False for NaN, and for whole numbers that no float holds exactly; anything else passes."""
    if isinstance(value, int):
        return abs(value) < 2**53
    return not (isinstance(value, float) and math.isnan(value))


def _asset_to_dict(run: AssetRun) -> dict[str, Any]:
    row = {key: getattr(run, key) for key in ("site", "asset", "kind", "cost_eur", "carbon_g")}
    series = {name: values.tolist() for name, values in run.series.items()}
    return {**row, "draw_kw": run.draw_kw.tolist(), "series": series}


def _asset(reader: _Reader, data: object, field: str, slots: int) -> AssetRun | None:
    before = len(reader.findings)
    row = reader.mapping(data, field, _ASSET)
    if len(reader.findings) > before:
        return None
    given = {"draw_kw": row["draw_kw"], **{f"series.{name}": values for name, values in row["series"].items()}}
    arrays = {}
    for name, values in given.items():
        try:
            array = np.array(values, dtype=np.float64)
        except (ValueError, TypeError, OverflowError):
            reader.wrong(f"{field}.{name}", values, "numbers, one a slot")
            continue
        if array.shape != (slots,) or not np.isfinite(array).all():
            reader.wrong(f"{field}.{name}", array.shape, f"{slots} finite numbers")
        arrays[name] = array
    if len(reader.findings) > before:
        return None
    series = {name: arrays[f"series.{name}"] for name in row["series"]}
    fixed = row["site"], row["asset"], row["kind"]
    return AssetRun(*fixed, series, arrays["draw_kw"], float(row["cost_eur"]), float(row["carbon_g"]))


def _horizon(reader: _Reader, data: object) -> Horizon | None:
    before = len(reader.findings)
    row = reader.mapping(data, "horizon", _HORIZON)
    if len(reader.findings) > before:
        return None
    try:
        return Horizon(datetime.fromisoformat(row["start"]), timedelta(seconds=row["step_s"]), row["slots"])
    except (ValueError, OverflowError) as error:
        reader.wrong("horizon", row, f"a horizon ({error})")
        return None


def _run(reader: _Reader, data: object, field: str) -> Run | None:
    before = len(reader.findings)
    shares = {key: kind for key, kind in _SHARES.items() if isinstance(data, Mapping) and key in data}
    row = reader.mapping(data, field, _RUN | shares)
    if len(reader.findings) > before:
        return None
    nodes = tuple(reader.text(node, f"{field}.nodes[{i}]") for i, node in enumerate(row["nodes"]))
    return Run(row["job"], row["site"], row["start"], row["end"], nodes, **{key: float(row[key]) for key in shares})


def _reason(reader: _Reader, data: object, field: str) -> Reason | None:
    before = len(reader.findings)
    row = reader.mapping(data, field, _REASON)
    if len(reader.findings) > before:
        return None
    kind = reader.member(ReasonKind, row["kind"], f"{field}.kind")
    numbers = reader.numbers(row["numbers"], f"{field}.numbers")
    return Reason(kind, row["text"], numbers) if kind else None


def _dropped(reader: _Reader, data: object, field: str) -> Dropped | None:
    before = len(reader.findings)
    row = reader.mapping(data, field, _DROPPED)
    if len(reader.findings) > before:
        return None
    reason = _reason(reader, row["reason"], f"{field}.reason")
    return Dropped(row["name"], reason) if reason else None


def _expected(reader: _Reader, data: object) -> Expected | None:
    before = len(reader.findings)
    row = reader.mapping(data, "expected", _EXPECTED)
    if len(reader.findings) > before:
        return None
    for name in ("probabilities", "costs_eur"):
        reader.numbers(dict(enumerate(row[name])), f"expected.{name}")
        row[name] = tuple(row[name])
    if len(row["probabilities"]) != len(row["costs_eur"]):
        reader.wrong("expected.costs_eur", len(row["costs_eur"]), "as many costs as probabilities")
    return Expected(**row)


def _energy(reader: _Reader, data: Mapping[str, Any], shape: tuple[int, int]) -> EnergySchedule | None:
    names = EnergySchedule.names()
    before = len(reader.findings)
    row = reader.mapping(data, "energy", dict.fromkeys(names, list))
    arrays = []
    for name in names:
        if name not in row:
            continue
        try:
            array = np.array(row[name], dtype=np.float64)
        except (ValueError, TypeError, OverflowError):
            reader.wrong(f"energy.{name}", row[name], "numbers as [site][slot]")
            continue
        if array.shape != shape or not np.isfinite(array).all():
            reader.wrong(f"energy.{name}", array.shape, f"finite numbers of shape {list(shape)}")
        arrays.append(array)
    return EnergySchedule(*arrays) if len(reader.findings) == before else None
