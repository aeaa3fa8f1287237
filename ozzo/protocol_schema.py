"""The JSON Schema of the command protocol, made from the messages' own types (``ozzo.commands``, ``ozzo.wire``).

One document for all messages; its ``$id`` carries the version that is part of every topic. What a schema cannot say stands under
``x-rules`` in words, and what carries each message under ``x-carried``; both are true of the code, and tests hold them to it.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from ozzo.commands import (
    CLOCK_SKEW,
    ENDED_TOLD,
    MAX_BYTES,
    STATE_BYTES,
    VERSION,
    Acknowledgement,
    Channel,
    Command,
    NodeState,
    Wire,
)
from ozzo.sender import LEASE_S, NOT_AFTER_S

IDENTITY = f"urn:ozzo:protocol:{VERSION}"
MESSAGES: dict[type[Wire], dict[str, Any]] = {
    Command: {"channel": Channel.COMMAND.value, "by": "controller", "qos": 1, "retain": False, "expiry_s": NOT_AFTER_S},
    Acknowledgement: {"channel": Channel.ACK.value, "by": "node", "qos": 1, "retain": False, "expiry_s": None},
    NodeState: {
        "channel": Channel.STATE.value,
        "by": "node, or the broker as its will",
        "qos": 1,
        "retain": True,
        "expiry_s": None,
    },
}
"""How each message travels: topic, who sends it, MQTT quality of service, retained or not, message expiry in seconds."""
RULES = (
    f"A message is one JSON object in UTF-8 of at most {MAX_BYTES} bytes (a node's state: {STATE_BYTES}).",
    "No field but those of the schema; numbers are finite; every moment carries its offset from UTC.",
    "A command's not_after is after its issued_at.",
    f"A node refuses what was issued more than {CLOCK_SKEW.total_seconds():g} s in the future of its clock.",
    f"A controller renews its lease of {LEASE_S:g} s every {LEASE_S / 3:g} s.",
    f"A node tells the last {ENDED_TOLD} ends of jobs in each of its states.",
)


def json_schema() -> dict[str, Any]:
    """The document: a message is valid when it is one of its three kinds."""
    modes: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, "validation") for model in MESSAGES]
    _, made = models_json_schema(modes, ref_template="#/$defs/{model}")
    defs = {name: _with_kind(_tidy(part)) for name, part in sorted(made["$defs"].items())}
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "$id": IDENTITY,
        "title": f"ozzo command protocol, version {VERSION}",
        "description": "Messages between a controller and node agents; docs/protocol/messages.md tells their story.",
        "oneOf": [{"$ref": f"#/$defs/{model.__name__}"} for model in MESSAGES],
        "x-topic": f"ozzo/{VERSION}/<scenario>/node/<node>/<channel>",
        "x-carried": {model.__name__: carried for model, carried in MESSAGES.items()},
        "x-rules": list(RULES),
        "$defs": defs,
    }


def _with_kind(part: dict[str, Any]) -> dict[str, Any]:
    """A desired state names its kind; nothing is assumed in place of it."""
    kind = part.get("properties", {}).get("kind")
    if kind is not None:
        kind.pop("default", None)
        part["required"] = ["kind", *part.get("required", [])]
    return part


def _tidy(part: Any) -> Any:
    """Without the titles that only repeat a field's name, and with docstrings on one line each paragraph."""
    if isinstance(part, dict):
        kept = {key: _tidy(value) for key, value in part.items() if not (key == "title" and isinstance(value, str))}
        if isinstance(kept.get("description"), str):
            kept["description"] = " ".join(str(kept["description"]).partition("\n\nAttributes:")[0].split())
        return kept
    return [_tidy(value) for value in part] if isinstance(part, list) else part


def text() -> str:
    """The document as it stands in ``docs/protocol/commands.schema.json``."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False)
