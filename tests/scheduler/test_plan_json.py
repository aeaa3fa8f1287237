"""Plans as JSON: nothing is lost, nothing unknown is accepted."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grid.errors import InputError
from grid.horizon import Horizon
from scheduler.build import build_problem
from scheduler.plan import BatteryControl, Dropped, EnergySchedule, Expected, Plan, Reason, ReasonKind, Run, SolveStatus, Transfer
from scheduler.plan_json import plan_from_dict, plan_to_dict
from scheduler.policies.fifo import Fifo
from tests.factory import small_scenario

NUMBER = st.floats(-1e9, 1e9)
NAME = st.text(min_size=1, max_size=8)
REASON = st.builds(Reason, st.sampled_from(ReasonKind), st.text(max_size=20), st.dictionaries(NAME, NUMBER, max_size=2))


COSTS = st.lists(NUMBER, min_size=2, max_size=2).map(tuple)
EXPECTED = st.builds(Expected, NUMBER, st.none() | NUMBER, st.none() | NUMBER, NUMBER, COSTS, COSTS)
OVER = {"objective_eur": 1.0, "bound_eur": None, "gap": None, "one_future_eur": 1.0, "probabilities": [1.0], "costs_eur": [1.0]}


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Plans of any content (not necessarily sound ones)."""
    sites, slots = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    seed = draw(st.integers(0, 1000))
    rng = np.random.default_rng(seed)
    energy = EnergySchedule(*(rng.normal(size=(sites, slots)) for _ in EnergySchedule.names()))
    slot = st.integers(0, slots)
    part = st.sampled_from([1.0, 0.7, 0.55, 0.123456789])
    run = st.builds(Run, NAME, NAME, slot, slot, st.lists(NAME, max_size=2).map(tuple), part, part, part)
    return Plan(
        id=draw(NAME),
        policy=draw(NAME),
        horizon=Horizon(datetime(2022, 3, 27, tzinfo=UTC), timedelta(minutes=draw(st.integers(1, 90))), slots),
        sites=tuple(f"s{i}" for i in range(sites)),
        runs=tuple(draw(st.lists(run, max_size=3))),
        transfers=tuple(draw(st.lists(st.builds(Transfer, NAME, NAME, NAME, NAME, slot, slot, NUMBER), max_size=2))),
        energy=energy,
        dropped=tuple(draw(st.lists(st.builds(Dropped, NAME, REASON), max_size=2))),
        reasons=draw(st.dictionaries(NAME, REASON, max_size=2)),
        battery_control=draw(st.sampled_from(BatteryControl)),
        objective_eur=draw(NUMBER),
        bound_eur=draw(st.none() | NUMBER),
        gap=draw(st.none() | NUMBER),
        status=draw(st.sampled_from(SolveStatus)),
        solver=draw(st.text(max_size=10)),
        build_s=draw(NUMBER),
        solve_s=draw(NUMBER),
        breakdown_eur=draw(st.dictionaries(NAME, NUMBER, max_size=3)),
        expected=draw(st.none() | EXPECTED),
    )


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plans())
def test_round_trip_loses_nothing(plan: Plan) -> None:
    """Through JSON text and back every field is equal, arrays bit by bit."""
    back = plan_from_dict(json.loads(json.dumps(plan_to_dict(plan))))
    for name in Plan.__dataclass_fields__:
        if name != "energy":
            assert getattr(back, name) == getattr(plan, name), name
    for name in EnergySchedule.names():
        assert np.array_equal(getattr(back.energy, name), getattr(plan.energy, name))


def broken(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """A real plan's data after ``change``."""
    data: dict[str, Any] = json.loads(json.dumps(plan_to_dict(Fifo().plan(build_problem(small_scenario())))))
    change(data)
    return data


CASES = [
    # what is broken, how, field of the finding
    ("unknown key", lambda d: d.update(colour="red"), "colour"),
    ("missing key", lambda d: d.pop("runs"), "runs"),
    ("newer version", lambda d: d.update(version=2), "version"),
    ("unknown key in a run", lambda d: d["runs"][0].update(pace=1), "runs[0].pace"),
    ("text for a speed", lambda d: d["runs"][0].update(speed="fast"), "runs[0].speed"),
    ("text for a slot", lambda d: d["runs"][0].update(start="3"), "runs[0].start"),
    ("flag for a number", lambda d: d.update(objective_eur=True), "objective_eur"),
    ("unknown status", lambda d: d.update(status="great"), "status"),
    ("unknown reason", lambda d: next(iter(d["reasons"].values())).update(kind="whim"), "reasons.index.kind"),
    ("array of another shape", lambda d: d["energy"]["import_kw"].pop(), "energy.import_kw"),
    ("ragged array", lambda d: d["energy"]["import_kw"][0].pop(), "energy.import_kw"),
    ("array of words", lambda d: d["energy"].update(soc_kwh=["a"]), "energy.soc_kwh"),
    ("unknown key of futures", lambda d: d.update(expected=OVER | {"luck": 1}), "expected.luck"),
    ("no object of futures", lambda d: d.update(expected=None), "expected"),
    ("word for a cost", lambda d: d.update(expected=OVER | {"costs_eur": ["a"]}), "expected.costs_eur.0"),
    ("a cost too many", lambda d: d.update(expected=OVER | {"costs_eur": [1.0, 2.0]}), "expected.costs_eur"),
    ("not a number at all", lambda d: d["breakdown_eur"].update(peak=float("nan")), "breakdown_eur.peak"),
    ("a cost beyond a float", lambda d: d["breakdown_eur"].update(peak=10**400), "breakdown_eur.peak"),
    ("a slot beyond all calendars", lambda d: d["runs"][0].update(end=10**30), "runs[0].end"),
    ("a power beyond a float", lambda d: d["energy"]["import_kw"][0].__setitem__(0, 10**400), "energy.import_kw"),
    ("no time zone", lambda d: d["horizon"].update(start="2022-01-01T00:00:00"), "horizon"),
]


@pytest.mark.parametrize(("name", "change", "field"), CASES)
def test_bad_data_is_refused(name: str, change: Callable[[dict[str, Any]], object], field: str) -> None:
    """Each broken document is refused with a finding on the field that is wrong."""
    with pytest.raises(InputError) as caught:
        plan_from_dict(broken(change))
    assert field in {finding.field for finding in caught.value.findings}


def test_not_even_an_object() -> None:
    """A list instead of an object is refused, not a traceback."""
    with pytest.raises(InputError):
        plan_from_dict([])  # type: ignore[arg-type]
