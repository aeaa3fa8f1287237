"""Evidence, promotion and its refusals, with their numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import InputError
from ozzo.serve.evidence import Evidence, Mode, Slot, Thresholds, evidence, lacking, next_step
from ozzo.serve.options import ServeOptions, option_findings
from ozzo.serve.promotion import evidence_of, initial_mode, mode_of, promote
from ozzo.serve.state import FILE, ServeState
from tests.factory import START, small_scenario

OPTIONS = ServeOptions(Path("scenario.yaml"))


@pytest.fixture
def state(tmp_path: Path) -> Iterator[ServeState]:
    """A fresh state."""
    with ServeState.open(tmp_path / FILE) as opened:
        yield opened


def shown(state: ServeState, hours: int, error: float = 0.1, broken: int | None = None) -> None:
    """Let the state hold hourly slots of 1 kWh, and 20 passed rehearsals."""
    counts = state.fact("rehearsals") or {"passed": 0, "failed": 0}
    state.keep_facts(rehearsals=counts | {"passed": 20})
    for hour in range(hours):
        violations = ("hall took 5 kW of 4 kW",) if hour == broken else ()
        state.keep_slot(Slot(START + timedelta(hours=hour), 1.0, error, 1.0, violations))


def test_evidence_by_hand() -> None:
    """Three hours of 2 kWh wrong by 0.5 kWh each, the second broken: 25 % wrong, one hour clean."""
    slots = [Slot(START + timedelta(hours=h), 2.0, 0.5, 1.0, ("late",) if h == 1 else ()) for h in range(3)]
    assert evidence(4, 1, slots) == Evidence(4, 1, 3.0, 1.0, 25.0, 1, "late")


def test_what_is_missing_is_said_with_numbers() -> None:
    """Each threshold that is not reached is one sentence with what there is and what is asked for."""
    assert lacking(Evidence(), Thresholds()) == (
        "0 rehearsals passed; 20 are asked for",
        "0.00 h without a violation; 24 h are asked for",
        "no import was metered, so the forecast has no error yet; at most 25 % is asked for",
    )
    found = Evidence(20, 0, 30.0, 23.0, 30.0, 1, "late")
    assert lacking(found, Thresholds()) == (
        "23.00 h without a violation (the last: late); 24 h are asked for",
        "the forecast of import was wrong by 30.0 %; at most 25 % is asked for",
    )
    assert lacking(Evidence(20, 3, 24.0, 24.0, 25.0), Thresholds()) == ()


@given(st.sampled_from(list(Mode)), st.sampled_from(list(Mode)))
def test_up_by_one_step_and_down_by_any(mode: Mode, to: Mode) -> None:
    """Up one step at a time, down always, and nothing to where it is."""
    order = [Mode.SHADOW, Mode.PILOT, Mode.LIVE]
    step = order.index(to) - order.index(mode)
    assert (next_step(mode, to) == "") is (step == 1 or step < 0)


def test_a_pilot_needs_nodes_that_are_there(state: ServeState) -> None:
    """Without them, with a misspelt one, or with nodes for another mode: refused at the command, not by the controller later."""
    state.keep_facts(inventory={"node": ["hall.rack-0", "hall.rack-1"]})
    for to, nodes, told in (
        (Mode.PILOT, (), "--node: found nothing; expected the nodes of the pilot, such as hall.rack-0"),
        (Mode.PILOT, ("hal.rack-1",), "expected a node of the scenario (did you mean 'hall.rack-1'?)"),
        (Mode.LIVE, ("hall.rack-1",), "--node: found --to live; expected --to pilot: only a pilot names nodes"),
    ):
        with pytest.raises(InputError, match=re.escape(told)):
            promote(state, to, "a test", nodes=nodes, without_evidence=True)
    assert (mode_of(state), state.fact("pilot_nodes")) == (Mode.SHADOW, None)
    assert promote(state, Mode.PILOT, "a test", nodes=("hall.rack-1",), without_evidence=True) == ()
    promote(state, Mode.LIVE, "a test", without_evidence=True)
    promote(state, Mode.PILOT, "back, with the nodes that it had")
    assert (mode_of(state), state.fact("pilot_nodes")) == (Mode.PILOT, ["hall.rack-1"])


def test_promotion_needs_evidence_and_begins_it_anew(state: ServeState) -> None:
    """Refused with 23 clean hours, done with 24; then the evidence is that of the new mode, and the record tells all."""
    state.keep_facts(pilot_nodes=["hall.rack-0"])
    shown(state, 24, broken=0)
    assert promote(state, Mode.PILOT, "looks good") == (
        "23.00 h without a violation (the last: hall took 5 kW of 4 kW); 24 h are asked for",
    )
    assert mode_of(state) is Mode.SHADOW
    shown(state, 1)
    assert promote(state, Mode.PILOT, "looks good") == ()
    assert mode_of(state) is Mode.PILOT
    assert evidence_of(state) == Evidence()
    (entry,) = state.entries("mode")
    assert (entry.payload["from"], entry.payload["to"], entry.payload["reason"]) == ("shadow", "pilot", "looks good")
    assert entry.payload["evidence"]["clean_h"] == 24.0
    assert promote(state, Mode.SHADOW, "the summer is over") == ()


def test_a_step_that_is_none_and_a_missing_reason(state: ServeState) -> None:
    """From shadow to live is two steps; a promotion without words is none."""
    with pytest.raises(InputError, match="the next step is pilot"):
        promote(state, Mode.LIVE, "hurry")
    with pytest.raises(InputError, match="empty text"):
        promote(state, Mode.PILOT, " ")
    assert promote(state, Mode.LIVE, "a trial on loopback", without_evidence=True) == ()
    assert len(state.entries("mode")[0].payload["missing"]) == 3


def test_serving_live_from_nothing_needs_a_recorded_reason(state: ServeState) -> None:
    """``--mode live`` on a fresh state is refused with what is missing; with a reason it goes on, and the reason stands there."""
    with pytest.raises(InputError, match=r"0 rehearsals passed; 20 are asked for.*--promote-without-evidence"):
        initial_mode(replace(OPTIONS, mode=Mode.LIVE), state)
    assert state.entries("mode") == ()
    assert initial_mode(OPTIONS, state)[0] is Mode.SHADOW
    assert initial_mode(replace(OPTIONS, mode=Mode.LIVE, without_evidence="a trial"), state)[0] is Mode.LIVE
    assert state.entries("mode")[-1].payload["reason"] == "a trial"
    assert initial_mode(OPTIONS, state)[0] is Mode.LIVE  # it stays what it was


def test_a_pilot_remembers_its_nodes(state: ServeState) -> None:
    """Started again without ``--node``, it commands the nodes of before; without any there is no pilot."""
    asked = replace(OPTIONS, mode=Mode.PILOT, without_evidence="a trial")
    with pytest.raises(InputError, match="--node"):
        initial_mode(asked, state)
    initial_mode(replace(asked, nodes=("hall.rack-0",)), state)
    assert initial_mode(OPTIONS, state)[1].nodes == ("hall.rack-0",)


def test_options_that_contradict_themselves() -> None:
    """Everything wrong at once: a standby without broker, once and repeat, no time between plans, an unknown node."""
    options = replace(
        OPTIONS, standby=True, once=True, repeat=True, replan=timedelta(0), mode=Mode.PILOT, nodes=("hall.rack-77",)
    )
    found = option_findings(options, small_scenario())
    assert [finding.field for finding in found] == ["--standby", "--once", "--replan-every", "--node"]
    assert (found[-1].nearest or "").startswith("hall.rack-")
    assert [f.field for f in option_findings(replace(OPTIONS, mode=Mode.LIVE, nodes=("hall.rack-0",)), small_scenario())] == [
        "--node"
    ]


def test_a_broker_that_is_none_is_told_before_a_shadow_begins(tmp_path: Path) -> None:
    """A shadow does not speak to it yet; the first promotion would be too late to learn of a wrong folder."""
    found = option_findings(replace(OPTIONS, broker=str(tmp_path / "nope")), small_scenario())
    assert [finding.file for finding in found] == [str(tmp_path / "nope" / "broker.json")]
