"""The wire types: what is read, what is refused, names and ids."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import RFC_4122

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ozzo.commands import (
    MAX_BYTES,
    CapState,
    Channel,
    Command,
    Hello,
    JobState,
    JobWish,
    decode,
    label,
    node_of,
    topic,
    uuid7,
)
from ozzo.transport import matches

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def command(**changes: Any) -> Command:
    """A valid command to pause job 7."""
    values: dict[str, Any] = {
        "id": uuid7(),
        "epoch": 3,
        "sequence": 17,
        "issued_at": NOON,
        "not_after": NOON + timedelta(seconds=5),
        "lease_s": 15.0,
        "plan_id": "plan",
        "node": "hall.rack-0",
        "desired": JobState(job="7", state=JobWish.PAUSED),
        "reason": "an event",
    }
    return Command(**(values | changes))


@pytest.mark.parametrize(
    "desired",
    [
        JobState(job="7", state=JobWish.RUNNING, argv=("sleep", "1"), seconds=1.0, limit_s=3.0, power_kw=0.2),
        JobState(job="7", state=JobWish.STOPPED),
        CapState(cap_kw=0.3),
        Hello(),
    ],
)
def test_a_command_survives_the_wire(desired: JobState | CapState | Hello) -> None:
    """What is encoded is decoded to the same command, whatever it asks for."""
    sent = command(desired=desired)
    assert decode(Command, sent.encode()) == sent


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"surprise": 1}, "extra_forbidden"),
        ({"epoch": "3"}, "int_type"),
        ({"epoch": 0}, "greater_than_equal"),
        ({"issued_at": "2026-06-01T12:00:00"}, "timezone_aware"),
        ({"not_after": "2026-06-01T12:00:00Z"}, "not after issued_at"),
        ({"id": "12345678-1234-4234-8234-123456789abc"}, "version 7"),
        ({"desired": {"kind": "reboot"}}, "union_tag_invalid"),
        ({"desired": {"kind": "job", "job": "7", "state": "running"}}, "needs argv"),
        ({"desired": {"kind": "job", "job": "7", "state": "toggled"}}, "enum"),
        ({"desired": {"kind": "cap", "cap_kw": -1.0}}, "greater_than_equal"),
        ({"lease_s": 0}, "greater_than"),
        ({"reason": "x" * 1001}, "string_too_long"),
    ],
)
def test_what_does_not_belong_is_refused(change: dict[str, Any], why: str) -> None:
    """An unknown field, a wrong type, a naive time, an increment or toggle instead of a state: each is refused."""
    text = json.loads(command().encode()) | change
    with pytest.raises(ValueError, match=why):
        decode(Command, json.dumps(text).encode())


def test_a_large_message_is_not_even_parsed() -> None:
    """A message above the limit is refused by its size."""
    with pytest.raises(ValueError, match="limit"):
        decode(Command, b" " * (MAX_BYTES + 1))


@given(st.binary(max_size=200))
def test_noise_is_a_value_error(noise: bytes) -> None:
    """Whatever bytes come, reading them ends in a command or a ValueError, nothing else."""
    with pytest.raises(ValueError):
        decode(Command, noise)


def test_an_infinite_cap_is_refused() -> None:
    """Infinity and NaN are no powers."""
    for bad in (float("inf"), float("nan")):
        with pytest.raises(ValueError):
            CapState(cap_kw=bad)


def test_uuid7_holds_version_variant_and_time() -> None:
    """Version 7, RFC variant, and the first 48 bits are the Unix milliseconds."""
    value = uuid7(1_700_000_000_123_456_789)
    assert (value.version, value.variant) == (7, RFC_4122)
    assert value.int >> 80 == 1_700_000_000_123


def test_uuid7_is_unique_within_a_millisecond() -> None:
    """Ten thousand ids of one instant are all different."""
    assert len({uuid7(0) for _ in range(10_000)}) == 10_000


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
def test_any_name_makes_a_safe_topic(scenario: str, node: str) -> None:
    """Names with slashes, wildcards or spaces stay one level, never a wildcard, and come back from the topic."""
    if node == "+":
        return
    try:
        (scenario + node).encode()
    except UnicodeEncodeError:
        return
    name = topic(scenario, node, Channel.ACK)
    assert node_of(name) == (node, Channel.ACK)
    assert not set("+# \0") & set(label(node))
    assert matches(topic(scenario, "+", Channel.ACK), name)


@pytest.mark.parametrize("name", ["ozzo/2/s/node/a/ack", "ozzo/1/s/node/a", "ozzo/1/s/node/a/nonsense", ""])
def test_other_topics_are_not_ours(name: str) -> None:
    """Another version, a missing level or an unknown channel is no topic of this protocol."""
    with pytest.raises(ValueError):
        node_of(name)
