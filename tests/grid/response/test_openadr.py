"""OpenADR 3.1 event objects: the timing rules, targets, units, and everything that is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import InputError
from grid.horizon import Horizon
from grid.response.event import CapacityEvent
from grid.response.openadr import LOWEST, EventReading, parse_event, read_event, resolve

START = datetime(2022, 6, 1, tzinfo=UTC)
HORIZON = Horizon(START, timedelta(minutes=15), 96)
SITES = ("cabinet", "hall")


def event(**changes: Any) -> dict[str, Any]:
    """A limit of 20 kW at the hall from 17:00 to 19:00 UTC; a value of ``...`` removes the field."""
    body: dict[str, Any] = {
        "programID": "capacity",
        "eventName": "peak",
        "createdDateTime": "2022-06-01T09:00:00Z",
        "targets": ["hall"],
        "payloadDescriptors": [{"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": "IMPORT_CAPACITY_LIMIT", "units": "KW"}],
        "intervalPeriod": {"start": "2022-06-01T17:00:00Z", "duration": "PT2H"},
        "intervals": [{"id": 0, "payloads": [{"type": "IMPORT_CAPACITY_LIMIT", "values": [20.0]}]}],
    }
    return {key: value for key, value in (body | changes).items() if value is not ...}


def limit(number: int, *values: float, **period: str) -> dict[str, Any]:
    """An interval with a limit."""
    payloads = [{"type": "IMPORT_CAPACITY_LIMIT", "values": list(values)}]
    return {"id": number, "payloads": payloads} | ({"intervalPeriod": period} if period else {})


def read(body: object, **options: Any) -> tuple[CapacityEvent, ...]:
    """Parse it with the horizon and sites of these tests."""
    merged: dict[str, Any] = {"sites": SITES, "horizon": HORIZON} | options
    return parse_event(body, **merged)


def hours(events: tuple[CapacityEvent, ...]) -> list[tuple[float, float, float]]:
    """Start and end in hours from the start of the day, and the limit."""
    return [((e.start - START) / timedelta(hours=1), (e.end - START) / timedelta(hours=1), e.limit_kw) for e in events]


def findings(body: object, **options: Any) -> list[str]:
    """Fields of the findings that parsing raises."""
    with pytest.raises(InputError) as caught:
        read(body, **options)
    return [finding.field for finding in caught.value.findings]


def test_a_plain_limit() -> None:
    """Site, period, limit and arrival come from the object; the penalty is the stated default."""
    assert read(event(), default_penalty_eur_per_kwh=2.5) == (
        CapacityEvent(
            "peak/0", "hall", START + timedelta(hours=17), START + timedelta(hours=19), 20.0, 2.5, START + timedelta(hours=9)
        ),
    )


def test_the_newest_stamp_is_the_arrival_unless_it_is_told() -> None:
    """A modified event became known when it was modified; ``now`` overrules both."""
    body = event(modificationDateTime="2022-06-01T10:30:00Z")
    assert read(body)[0].received == START + timedelta(hours=10.5)
    assert read(body, now=START + timedelta(hours=11))[0].received == START + timedelta(hours=11)
    assert read(event(createdDateTime=...))[0].received == START


def test_an_interval_wins_over_the_event() -> None:
    """The event's period is the default; an interval's own start or duration overrules it, each by itself."""
    body = event(intervals=[limit(0, 20.0), limit(1, 10.0, duration="PT30M"), limit(2, 5.0, start="2022-06-01T22:00:00Z")])
    assert hours(read(body)) == [(17, 19, 20), (19, 19.5, 10), (22, 24, 5)]


def test_start_now_skips_to_the_present() -> None:
    """Year 1 means now; of an event that has begun only the rest is left."""
    body = event(intervalPeriod={"start": "0001-01-01", "duration": "PT1H"})
    assert hours(read(body)) == [(9, 10, 20)]
    late = event(
        createdDateTime="2022-06-01T18:30:00Z", intervals=[limit(0, 1.0, duration="PT1H"), limit(1, 2.0, duration="PT1H")]
    )
    assert hours(read(late)) == [(18.5, 19, 2)]


def test_infinite_duration_ends_with_the_horizon() -> None:
    """P9999Y holds to the end of the horizon; without a horizon it is refused."""
    body = event(intervalPeriod={"start": "2022-06-01T17:00:00Z", "duration": "P9999Y"})
    assert hours(read(body)) == [(17, 24, 20)]
    assert findings(body, horizon=None) == ["intervalPeriod.duration"]


def test_packed_values_share_the_interval() -> None:
    """Four values in two hours hold for half an hour each."""
    assert hours(read(event(intervals=[limit(0, 4.0, 3.0, 2.0, 1.0)]))) == [
        (17, 17.5, 4),
        (17.5, 18, 3),
        (18, 18.5, 2),
        (18.5, 19, 1),
    ]


def test_the_event_duration_loops_or_cuts() -> None:
    """Two hours of list in an event of five hours run two and a half times; in an event of 30 minutes they are cut."""
    period = {"start": "2022-06-01T17:00:00Z", "duration": "PT1H"}
    two = [limit(0, 20.0), limit(1, 10.0)]
    assert hours(read(event(duration="PT5H", intervalPeriod=period, intervals=two))) == [
        (17, 18, 20),
        (18, 19, 10),
        (19, 20, 20),
        (20, 21, 10),
        (21, 22, 20),
    ]
    assert hours(read(event(duration="PT30M", intervalPeriod=period, intervals=two))) == [(17, 17.5, 20)]


def test_names_are_unique() -> None:
    """Parts, rounds and intervals each have a name of their own at a site."""
    body = event(duration="PT6H", intervals=[limit(0, 20.0, 10.0)])
    names = [item.name for item in read(body)]
    assert len(names) == len(set(names)) == 6


def test_randomize_start_is_drawn_from_the_seed() -> None:
    """The shift stays inside the range, moves all intervals alike, is the same for one seed and another for another."""
    period = {"start": "2022-06-01T17:00:00Z", "duration": "PT1H", "randomizeStart": "PT10M"}
    body = event(intervalPeriod=period, intervals=[limit(0, 20.0), limit(1, 10.0)])
    first, second = read(body, seed=1)
    shift = first.start - (START + timedelta(hours=17))
    assert timedelta(0) < abs(shift) <= timedelta(minutes=10)
    assert second.start == first.end
    assert read(body, seed=1) == (first, second)
    assert read(body, seed=2)[0].start != first.start


@pytest.mark.parametrize(("units", "factor"), [("KW", 1.0), ("W", 0.001), ("MW", 1000.0)])
def test_units_are_converted(units: str, factor: float) -> None:
    """The descriptor's unit decides."""
    descriptor = {"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": "IMPORT_CAPACITY_LIMIT", "units": units}
    assert read(event(payloadDescriptors=[descriptor]))[0].limit_kw == pytest.approx(20.0 * factor)


def test_targets() -> None:
    """No targets (absent, null or empty) are all sites; a mapping gives sites to foreign names; a misspelt one is named."""
    nobody: tuple[Any, ...] = (..., None, [])
    for absent in nobody:
        assert [item.site for item in read(event(targets=absent))] == ["cabinet", "hall"]
    ean = {"871687100000000001": "cabinet"}
    assert [item.site for item in read(event(targets=["871687100000000001"]), targets=ean)] == ["cabinet"]
    with pytest.raises(InputError) as caught:
        read(event(targets=["hal"]))
    assert caught.value.findings[0].nearest == "hall"


def test_a_cancelled_event() -> None:
    """Start now with duration zero cancels: the reading says so, and there is nothing to carry out."""
    body = event(intervalPeriod={"start": "0001-01-01", "duration": "PT0S"})
    assert read_event(body, sites=SITES, horizon=HORIZON).cancelled
    assert findings(body) == ["intervals"]


def test_other_payloads_are_told_or_refused() -> None:
    """An unknown type is a finding when nobody listens, a notice when somebody does; the limit beside it counts."""
    mixed = limit(0, 20.0)
    mixed["payloads"].append({"type": "PRICE", "values": [0.3]})
    assert findings(event(intervals=[mixed])) == ["intervals[0].payloads[1].type"]
    heard: list[str] = []
    assert len(read(event(intervals=[mixed]), notice=heard.append)) == 1
    assert "PRICE" in heard[0]


@pytest.mark.parametrize("kind", ["SIMPLE", "DISPATCH_SETPOINT", "EXPORT_CAPACITY_LIMIT"])
def test_what_is_not_supported_is_refused_with_its_reason(kind: str) -> None:
    """These payloads would change what must be done, so they are refused even when somebody listens."""
    body = event(intervals=[{"id": 0, "payloads": [{"type": kind, "values": [1]}]}])
    assert findings(body, notice=lambda _: None) == ["intervals[0].payloads[0].type"]


def test_unknown_fields_are_noticed() -> None:
    """A field that OpenADR does not know is told, with the one that was probably meant."""
    reading = read_event(event(intervalPeriods={}), sites=SITES, horizon=HORIZON)
    assert any("intervalPeriods" in line and "'intervalPeriod'" in line for line in reading.notices)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"programID": ...}, ["programID"]),
        ({"priority": -1}, ["priority"]),
        ({"objectType": "PROGRAM"}, ["objectType"]),
        ({"intervals": ...}, ["intervals"]),
        ({"intervals": "soon"}, ["intervals"]),
        ({"intervals": [{"payloads": []}]}, ["intervals[0].id"]),
        ({"intervals": [{"id": 0}]}, ["intervals[0].payloads"]),
        ({"intervals": [limit(0)]}, ["intervals[0].payloads[0].values"]),
        ({"intervals": [limit(0, -1.0)]}, ["intervals[0].payloads[0].values[0]"]),
        ({"intervals": [limit(0, True)]}, ["intervals[0].payloads[0].values[0]"]),
        ({"intervals": [limit(0, float("nan"))]}, ["intervals[0].payloads[0].values[0]"]),
        ({"intervals": [limit(0, 1.1e9)]}, ["intervals[0].payloads[0].values[0]"]),  # more than any grid carries
        ({"intervals": [limit(0, 10**400)]}, ["intervals[0].payloads[0].values[0]"]),  # more than a float holds
        ({"id": {}}, ["eventName"]),
        ({"objectType": []}, ["objectType"]),
        ({"createdDateTime": "0001-01-01T00:00:00+05:00"}, ["createdDateTime"]),  # before the first instant of UTC
        ({"intervalPeriod": {"start": "9999-12-31T23:00:00-05:00", "duration": "PT1H"}}, ["intervalPeriod.start"]),
        (
            {"intervalPeriod": {"start": "2022-06-01T17:00:00Z", "duration": "PT1H", "randomizeStart": "P5000Y"}},
            ["intervalPeriod.randomizeStart"],
        ),
        ({"intervals": [limit(0, 1.0, randomizeStart="P9999Y")]}, ["intervals[0].intervalPeriod.randomizeStart"]),
        (
            {
                "payloadDescriptors": [
                    {"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": "IMPORT_CAPACITY_LIMIT", "units": []}
                ]
            },
            ["payloadDescriptors[0].units"],
        ),
        ({"intervalPeriod": {"start": "tomorrow", "duration": "PT2H"}}, ["intervalPeriod.start"]),
        ({"intervalPeriod": {"start": "2022-06-01T17:00:00Z", "duration": "2 hours"}}, ["intervalPeriod.duration"]),
        ({"intervalPeriod": {"start": "2022-06-01T17:00:00Z"}}, ["intervals[0].intervalPeriod.duration"]),
        ({"intervalPeriod": {"start": "2022-06-03T17:00:00Z", "duration": "PT1H"}}, ["intervals"]),  # after the horizon
        ({"payloadDescriptors": ...}, ["payloadDescriptors"]),
        (
            {"payloadDescriptors": [{"payloadType": "IMPORT_CAPACITY_LIMIT", "units": "KVA"}]},
            ["payloadDescriptors[0].objectType", "payloadDescriptors[0].units"],
        ),
    ],
)
def test_findings(change: dict[str, Any], expected: list[str]) -> None:
    """Each fault is found at its field."""
    assert findings(event(**change)) == expected


@pytest.mark.parametrize("start", ["0001-01-01T12:00:00Z", "9998-12-31T20:00:00Z"])
@pytest.mark.parametrize("seed", range(4))
def test_a_shift_at_the_end_of_the_calendar(start: str, seed: int) -> None:
    """Where a random shift would leave the calendar there is just no limit inside the horizon."""
    body = event(
        intervalPeriod={"start": start, "duration": "PT20H", "randomizeStart": "P300D"},
        intervals=[limit(0, 1.0), limit(1, 2.0, randomizeStart="P300D")],
    )
    assert findings(body, seed=seed) == ["intervals"]


def test_a_priority_is_told_when_it_is_not_heeded() -> None:
    """An event is read alone, so its priority over others decides nothing; whoever listens hears that, strict or not."""
    for lenient in (None, False):
        heard: list[str] = []
        assert read(event(priority=1), notice=heard.append, lenient=lenient)
        assert heard == ["peak: its priority is not heeded: where limits overlap all of them hold, so the tightest counts"]
    silent: list[str] = []
    assert read(event(priority=None), notice=silent.append)
    assert silent == []


def test_who_is_strict_hears_notices_too() -> None:
    """Without leniency an unknown payload stays a finding, and what is merely not needed is told."""
    mixed = limit(0, 20.0)
    mixed["payloads"].append({"type": "PRICE", "values": [0.3]})
    heard: list[str] = []
    assert findings(event(intervals=[mixed]), notice=heard.append, lenient=False) == ["intervals[0].payloads[1].type"]
    assert read(event(reportDescriptors=[{"payloadType": "USAGE"}]), notice=heard.append, lenient=False)
    assert "reports were asked for" in heard[0]


def test_all_findings_come_at_once() -> None:
    """Several faults are told together."""
    assert findings(event(programID="", priority="high", targets=["x"])) == ["programID", "priority", "targets[0]"]


def test_something_else_than_an_object() -> None:
    """A list, a text or null is no event."""
    others: tuple[object, ...] = ([], "event", None, 3)
    for body in others:
        assert findings(body) == [""]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(event())), json_values))
def test_nonsense_is_an_input_error_and_nothing_else(change: dict[str, Any]) -> None:
    """Whatever stands in the fields, the result is events or an InputError."""
    found: object
    try:
        found = read(event(**change))
    except InputError as error:
        found = error.findings
    assert found


def reading(priority: int, *spans: tuple[int, int, float]) -> EventReading:
    """A reading with limits at the hall, in hours."""
    name = f"{priority}-{spans}"
    events = tuple(
        CapacityEvent(f"{name}/{i}", "hall", START + timedelta(hours=a), START + timedelta(hours=b), kw, 1.0, START)
        for i, (a, b, kw) in enumerate(spans)
    )
    return EventReading(name, priority, START, events, False, ())


def test_the_higher_priority_counts_alone() -> None:
    """Priority 0 beats 1 even where it is looser; around it the lower one goes on."""
    assert hours(resolve([reading(1, (10, 20, 5.0)), reading(0, (12, 14, 9.0))])) == [(10, 12, 5), (12, 14, 9), (14, 20, 5)]


def test_at_equal_priority_the_tightest_counts() -> None:
    """OpenADR leaves it open; the safe choice is the tightest limit."""
    assert hours(resolve([reading(LOWEST, (10, 14, 5.0)), reading(LOWEST, (12, 16, 3.0))])) == [(10, 12, 5), (12, 16, 3)]


spans_strategy = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 4), st.integers(0, 9)), min_size=1, max_size=3)


@given(st.lists(st.tuples(st.integers(0, 2), spans_strategy), max_size=4))
def test_resolved_limits_never_overlap_and_hold_the_best(entries: list[tuple[int, list[tuple[int, int, int]]]]) -> None:
    """At every hour the resolved limit is the tightest among those of the highest priority, and there is at most one."""
    readings = [reading(priority, *((a, a + n, float(kw)) for a, n, kw in spans)) for priority, spans in entries]
    resolved = resolve(readings)
    for hour in range(24):
        moment = START + timedelta(hours=hour)
        live = [(r.priority, e.limit_kw) for r in readings for e in r.events if e.start <= moment < e.end]
        found = [e.limit_kw for e in resolved if e.start <= moment < e.end]
        assert found == ([min(live)[1]] if live else [])
    assert resolve([]) == ()


@pytest.mark.data
def test_the_events_of_these_tests_are_valid_openadr(spec: Path) -> None:
    """The objects that are read here pass the official description of OpenADR 3.1.0, and what it requires is required here."""
    import jsonschema  # type: ignore[import-untyped]
    import yaml

    document = yaml.safe_load((spec / "openadr-3.1.0" / "openadr3.yaml").read_text(encoding="utf-8"))
    schema = {"$ref": "#/components/schemas/eventRequest", "components": document["components"]}
    validator = jsonschema.Draft4Validator(schema)
    looped = event(duration="PT5H", priority=0, intervals=[limit(0, 20.0, duration="PT30M"), limit(1, 4.0, 3.0)])
    for body in (event(), looped, event(targets=["cabinet", "hall"])):
        assert list(validator.iter_errors(body)) == []
        assert read(body)
    for field in document["components"]["schemas"]["eventRequest"]["required"]:
        broken = event(**{field: ...})
        assert list(validator.iter_errors(broken))
        assert findings(broken) == [field]
    interval = document["components"]["schemas"]["interval"]["required"]
    for field in interval:
        body = event(intervals=[{key: value for key, value in limit(0, 20.0).items() if key != field}])
        assert findings(body) == [f"intervals[0].{field}"]


@pytest.mark.data
def test_refused_payloads_are_those_of_the_specification(spec: Path) -> None:
    """Every payload type that is refused by name, and the one that is read, exists in the official enumeration."""
    import yaml

    from grid.response.openadr import LIMIT, REFUSED

    text = (spec / "openadr-3.1.0" / "enumerations" / "event-interval-payloads.schema.yaml").read_text(encoding="utf-8")
    assert {LIMIT, *REFUSED} <= yaml.safe_load(text)["definitions"].keys()


def test_the_horizon_clips_both_ends() -> None:
    """A limit that began yesterday and ends tomorrow holds for the whole horizon and no longer."""
    body = event(createdDateTime="2022-05-30T00:00:00Z", intervalPeriod={"start": "2022-05-31T00:00:00Z", "duration": "P3D"})
    assert hours(read(body)) == [(0, 24, 20)]
    assert hours(read(body, horizon=replace(HORIZON, slots=4))) == [(0, 1, 20)]
