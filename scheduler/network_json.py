"""What AC says of a plan, as JSON data and back: the key ``network`` of ``plan.json`` and of every output.

==========================  ==============================================================================================
key                         value
==========================  ==============================================================================================
``rounds``                  how often the plan was made again with further limits
``cuts``                    linear limits in the last plan
``voltage_error_max_pu``    largest difference of linear and AC voltage, all buses and slots; null without an AC solution
``voltage_error_p99_pu``    what 99 % of these differences stay below
``loading_error_max_pct``   same of lines and transformers, percentage points; ``loading_error_p99_pct``
``headroom``                list of ``kind`` (transformer, line, feeder), ``element``, ``rating``, ``peak`` and ``released``
                            (rating minus peak); kVA at nominal voltage, of feeders kW; of lines the fullest five
``left``                    list of sentences: what is beyond a limit in the AC solution of the plan; empty when it holds
==========================  ==============================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from scheduler.network_limits import ElementKind, Headroom, NetworkReport

_ERRORS = ("voltage_error_max_pu", "voltage_error_p99_pu", "loading_error_max_pct", "loading_error_p99_pct")
_ROOM = ("kind", "element", "rating", "peak", "released")

Wrong = Callable[[str, object, str], None]
"""Notes a finding: field, what was found, what was expected."""


def network_to_dict(report: NetworkReport) -> dict[str, Any]:
    """The report as data that ``json`` can write."""
    rooms = [asdict(room) | {"kind": str(room.kind), "released": room.released} for room in report.headroom]
    return asdict(report) | {"headroom": rooms, "left": list(report.left)}


def network_from_dict(data: object, wrong: Wrong) -> NetworkReport | None:
    """The report that ``network_to_dict`` wrote, or None with a finding for each fault.

    Args:
        data: parsed JSON.
        wrong: takes the findings.
    """
    found: list[str] = []

    def fault(field: str, value: object, expected: str) -> None:
        found.append(field)
        wrong(field, value, expected)

    if not isinstance(data, Mapping):
        fault("network", data, "an object")
        return None
    keys = ("rounds", "cuts", *_ERRORS, "headroom", "left")
    _same_keys(data, "network", keys, fault)
    _kinds(data, fault)
    if found:
        return None
    rooms = [_room(room, f"network.headroom[{i}]", fault) for i, room in enumerate(data["headroom"])]
    for i, sentence in enumerate(data["left"]):
        if not isinstance(sentence, str):
            fault(f"network.left[{i}]", sentence, "text")
    if found:
        return None
    headroom = tuple(room for room in rooms if room is not None)
    return NetworkReport(**{**{key: data[key] for key in keys}, "headroom": headroom, "left": tuple(data["left"])})


def _kinds(data: Mapping[str, Any], fault: Wrong) -> None:
    """Every value of the report has its kind."""
    for key in ("rounds", "cuts"):
        if not isinstance(data.get(key), int) or isinstance(data.get(key), bool):
            fault(f"network.{key}", data.get(key), "a whole number")
    for key in _ERRORS:
        if not (data.get(key) is None or _number(data.get(key))):
            fault(f"network.{key}", data.get(key), "a number or null")
    for key in ("headroom", "left"):
        if not isinstance(data.get(key), list):
            fault(f"network.{key}", data.get(key), "a list")


def _room(data: object, field: str, fault: Wrong) -> Headroom | None:
    """One element's headroom, or None with a finding."""
    if not isinstance(data, Mapping):
        fault(field, data, "an object")
        return None
    _same_keys(data, field, _ROOM, fault)
    kinds = [kind.value for kind in ElementKind]
    if data.get("kind") not in kinds:
        fault(f"{field}.kind", data.get("kind"), f"one of {', '.join(kinds)}")
        return None
    if not isinstance(data.get("element"), str) or not (_number(data.get("rating")) and _number(data.get("peak"))):
        fault(field, dict(data), "a named element with numbers rating and peak")
        return None
    return Headroom(ElementKind(data["kind"]), data["element"], float(data["rating"]), float(data["peak"]))


def _same_keys(data: Mapping[str, Any], field: str, keys: tuple[str, ...], fault: Wrong) -> None:
    """Exactly these keys."""
    for key in data:
        if key not in keys:
            fault(f"{field}.{key}", data[key], f"only the keys {', '.join(keys)}")
    for key in keys:
        if key not in data:
            fault(f"{field}.{key}", None, "a value")


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
