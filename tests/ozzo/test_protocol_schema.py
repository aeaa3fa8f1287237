"""The protocol's JSON Schema: it is fresh, what is sent fits it, and it refuses what the code refuses."""

from __future__ import annotations

import copy
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from typer.testing import CliRunner

from ozzo.agent.data_rules import DataRules
from ozzo.cli import app
from ozzo.commands import (
    Acknowledgement,
    CapState,
    Channel,
    Command,
    Hello,
    JobState,
    JobWish,
    NodeState,
    Stage,
    TransferState,
    Wire,
    decode,
    topic,
)
from ozzo.protocol_schema import MESSAGES, json_schema
from ozzo.transport import MemoryTransport
from tests.ozzo.rig import Rig, pause, run, stop
from tests.ozzo.test_agent import NODE, Start, start
from tests.ozzo.test_commands import command
from tests.ozzo.test_fleet import FIRST, fleet_scenario, running_fleet
from tests.ozzo.test_orders import plan_of

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/protocol/messages.md"
EXAMPLES = re.findall(r"^```json\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
FORMATS = FormatChecker(formats=["uuid"])
__all__ = ["start"]


def with_offset(value: object) -> bool:
    """RFC 3339 asks for an offset; the checker of jsonschema needs another package for that."""
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


FORMATS.checks("date-time", raises=ValueError)(with_offset)
VALIDATOR = Draft202012Validator(json_schema(), format_checker=FORMATS)


def kind_of(message: dict[str, Any]) -> type[Wire]:
    """Which message it is."""
    return Command if "desired" in message else Acknowledgement if "stage" in message else NodeState


def test_the_committed_schema_is_fresh(tmp_path: Path) -> None:
    """``ozzo schema --protocol`` writes what is committed, and it is a schema."""
    file = tmp_path / "schema.json"
    assert CliRunner().invoke(app, ["schema", "--protocol", "--out", str(file)]).exit_code == 0
    assert file.read_text() == (ROOT / "docs/protocol/commands.schema.json").read_text()
    Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples_of_the_page_are_messages(text: str) -> None:
    """Each is valid, and the code reads it as what it is."""
    message = json.loads(text)
    VALIDATOR.validate(message)
    assert isinstance(decode(kind_of(message), text.encode()), kind_of(message))


def test_the_page_shows_every_message_and_kind() -> None:
    """No kind of desired state and no message is without an example; every stage, code-free, is in the page's table."""
    shown = [json.loads(text) for text in EXAMPLES]
    kinds = {message["desired"]["kind"] for message in shown if "desired" in message}
    mapping = json_schema()["$defs"]["Command"]["properties"]["desired"]["discriminator"]["mapping"]
    assert kinds == set(mapping)
    assert {kind_of(message) for message in shown} == set(MESSAGES)
    page = PAGE.read_text()
    assert all(f"| `{stage}` |" in page for stage in Stage)


Sent = list[tuple[str, bytes, float | None, bool]]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """Everything that is published in memory, with its expiry and whether it is retained."""
    found: Sent = []
    publish = MemoryTransport.publish

    def recording(
        self: MemoryTransport, name: str, payload: bytes, *, expiry_s: float | None = None, retain: bool = False
    ) -> None:
        found.append((name, payload, expiry_s, retain))
        publish(self, name, payload, expiry_s=expiry_s, retain=retain)

    monkeypatch.setattr(MemoryTransport, "publish", recording)
    return found


def check(sent: Sent, *, expiries: bool) -> set[str]:
    """All of it fits the schema and travels as the schema says; the kinds, stages and events that were seen."""
    carried = {each["channel"]: (model, each) for model, each in MESSAGES.items()}
    seen = set()
    for name, payload, expiry_s, retain in list(sent):
        message = json.loads(payload)
        VALIDATOR.validate(message)
        model, how = carried[name.rpartition("/")[2]]
        assert kind_of(message) is model
        assert retain == how["retain"]
        assert expiry_s == how["expiry_s"] or not expiries
        seen.add(str(message.get("event") or message.get("stage") or message["desired"]["kind"]))
    return seen


def test_a_live_run_sends_nothing_else(tmp_path: Path, sent: Sent) -> None:
    """Controller and seven agents carry a plan out in memory: every message fits, with expiry and retention as documented."""
    with running_fleet(fleet_scenario(), tmp_path, memory=True) as (fleet, _):
        assert fleet.carry_out(plan_of(*FIRST)).applied == 7
    assert check(sent, expiries=True) >= {"birth", "death", "job", "accepted", "applied", "ended"}


def test_an_agent_answers_nothing_else(start: Start, sent: Sent) -> None:
    """Heartbeats, caps, pauses, failures and refusals fit too."""
    rig: Rig = start(epoch=2)
    rig.ask(NODE, run("j", "work", "60"))
    for desired in (pause("j"), CapState(cap_kw=0.05), stop("j"), run("odd", "rm"), pause("never")):
        rig.ask(NODE, desired)
    rig.send(rig.command(NODE, Hello()))
    rig.send(rig.command(NODE, Hello(), epoch=1))
    rig.transport.publish(topic("test", NODE, Channel.COMMAND), rig.command(NODE, Hello()).encode())
    rig.state(NODE, lambda state: state.event == "heartbeat", "a heartbeat")
    assert check(sent, expiries=False) >= {"hello", "cap", "heartbeat", "failed"}


VALID = [json.loads(command(desired=desired).encode()) for desired in (run("j", "work", "1"), CapState(cap_kw=0.1), Hello())]
VALID += [json.loads(text) for text in EXAMPLES]
LETTERS = st.characters(exclude_categories=["Cc", "Cs"])  # Python's "$" lets a last newline pass, that of JSON Schema does not
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.text(LETTERS, max_size=4),
    st.sampled_from([[], {}, ["a"], {"b": 1.5}]).map(copy.deepcopy),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place inside a message, moments left out (what is a moment in text has more forms than RFC 3339)."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    moments = {"issued_at", "not_after", "at", "planned_for"}
    return [spot for key, part in inner if key not in moments for spot in [(*path, key), *places(part, (*path, key))]]


@given(st.data(), st.sampled_from(VALID))
def test_schema_and_code_refuse_the_same(data: st.DataObject, message: dict[str, Any]) -> None:
    """A field lost, added or overwritten by junk anywhere: the schema takes the message just when the code does."""
    changed = copy.deepcopy(message)
    *path, last = data.draw(st.sampled_from(places(changed)))
    owner: Any = changed
    for key in path:
        owner = owner[key]
    match data.draw(st.sampled_from(["lose", "overwrite", "add"])):
        case "lose":
            del owner[last]
        case "overwrite":
            owner[last] = data.draw(JUNK)
        case _:
            (owner if isinstance(owner, dict) else changed)["added"] = data.draw(JUNK)
    takes = VALIDATOR.is_valid(changed)
    read = []
    for model in MESSAGES:
        try:
            read.append(decode(model, json.dumps(changed).encode()))
        except ValueError:
            continue
    assert takes == bool(read), changed


def test_a_moment_without_its_offset_is_no_moment() -> None:
    """Neither schema nor code takes a local time."""
    message = {**VALID[0], "issued_at": "2026-06-01T12:00:00"}
    assert not VALIDATOR.is_valid(message)
    with pytest.raises(ValueError, match="issued_at"):
        decode(Command, json.dumps(message).encode())
    assert VALIDATOR.is_valid({**message, "issued_at": datetime(2026, 6, 1, tzinfo=UTC).isoformat()})


ODD = ["..", "a/../b", "$(id)", "-x", "ä" * 200]
NAMES = st.one_of(st.sampled_from(ODD), st.text(LETTERS, min_size=1, max_size=20), st.text(LETTERS, min_size=150, max_size=200))
ARGV = st.tuples(st.sampled_from(["sleep", "no"]), st.sampled_from([*ODD, "a\nb"]) | st.text(LETTERS, max_size=9))
WISHES: st.SearchStrategy[Any] = st.one_of(
    st.builds(JobState, job=NAMES, state=st.sampled_from(JobWish), argv=ARGV),
    st.builds(CapState, cap_kw=st.floats(0, 1e6)),
    st.builds(
        TransferState,
        transfer=st.text(LETTERS, min_size=1, max_size=150),
        state=st.sampled_from(JobWish),
        peer=NAMES,
        root=NAMES,
        path=st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,5}(/[A-Za-z0-9_]{1,5}){0,2}", fullmatch=True),
    ),
    st.builds(Hello),
)


def test_a_node_outlives_every_command(start: Start, tmp_path: Path) -> None:
    """Whatever a command that can be read asks for, the node answers it and lives: accepted and done, or failed in words."""
    data = {"roots": {"main": str(tmp_path)}, "peers": {"far": {"folder": str(tmp_path / "far")}}}
    rig: Rig = start(data=DataRules.model_validate(data), max_jobs=3)

    @settings(max_examples=60)
    @given(WISHES)
    def say(desired: Any) -> None:
        try:
            sent = rig.command(NODE, desired)
        except ValueError:
            return
        rig.send(sent)
        if not isinstance(desired, Hello):
            assert rig.answer(sent).stage in {Stage.APPLIED, Stage.FAILED}

    say()
    assert rig.ask(NODE, stop("none")).stage is Stage.APPLIED


@pytest.mark.parametrize("place", ["job", "argv", "node"])
def test_a_nul_is_no_name(start: Start, place: str) -> None:
    """No process takes one: such a command cannot be read, by schema and code alike; the node counts it and goes on."""
    rig: Rig = start()
    message = json.loads(rig.command(NODE, run("j", "sleep", "1")).encode())
    owner = message if place == "node" else message["desired"]
    owner[place] = ["sleep", "1\0"] if place == "argv" else "a\0b"
    assert not VALIDATOR.is_valid(message)
    rig.transport.publish(topic("test", NODE, Channel.COMMAND), json.dumps(message).encode())
    rig.send(rig.command(NODE, Hello()))
    assert rig.state(NODE, lambda state: state.malformed == 1, "the count").jobs == {}
