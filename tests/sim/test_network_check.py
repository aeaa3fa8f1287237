"""The electrical network in a rehearsal: voltages and loading of a benchmark grid, and advice that holds when tried."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from grid.network import Network, load_network
from grid.series import Series
from scheduler.outcome import Outcome, ViolationKind
from scheduler.plan import Plan, Run
from scheduler.scenario import NetworkSpec, RehearsalSettings, Scenario
from sim.network_check import with_power_flow
from sim.rehearsal import realise, rehearse
from tests.factory import job, small_scenario
from tests.sim.hand import EXACT, hand_plan

CODE = "1-LV-rural1--0-sw"


@pytest.fixture(scope="module")
def network() -> Network:
    """A rural low-voltage grid with 13 households."""
    return load_network(CODE)


def on_the_grid(network: Network, *, extra_kw: float = 0.0, households: float = 1.0, **limits: float) -> Scenario:
    """The small scenario with the hall on a bus at the end of the grid and ``extra_kw`` of load that is always there."""
    scenario = small_scenario(
        jobs=(),
        errors=EXACT,
        network=NetworkSpec(CODE, "2016-01-15T00:00:00", households),
        rehearsal=RehearsalSettings(stressed_runs=1, mains_outages=0, **limits),
    )
    hall = scenario.site("hall")
    limit = Series.constant(1000.0, scenario.horizon, "kW")
    bus = network.bus_names[int(network.load_buses[-1])]
    hall = replace(hall, overhead_kw=0.1 + extra_kw, connection=replace(hall.connection, import_limit_kw=limit, bus=bus))
    return replace(scenario, sites=(scenario.sites[0], hall, scenario.sites[2]), datasets=scenario.datasets[:1])


def idle(scenario: Scenario) -> Plan:
    """Nothing runs."""
    return hand_plan(scenario)


def test_quiet_site_passes(network: Network) -> None:
    """A small site leaves the grid within its band: every quarter of an hour is solved, in stressed runs too."""
    scenario = on_the_grid(network)
    rehearsal = rehearse(scenario, idle(scenario), network=network)
    assert rehearsal.verdict.passed
    assert rehearsal.nominal is not None
    assert rehearsal.nominal.network is not None
    assert rehearsal.nominal.network.slots == tuple(range(96))
    stressed = rehearsal.stressed[0].network
    assert stressed is not None
    assert stressed.slots == tuple(range(96))
    assert stressed.horizon.step == timedelta(minutes=15)
    worst = rehearsal.verdict.worst
    assert 0.9 < worst["voltage_low_pu"] < worst["voltage_high_pu"] < 1.1
    assert 0 < worst["transformer_loading_pct"] < 100


def violation_of(outcome: Outcome, kind: ViolationKind) -> str:
    """Advice of the violation of that kind."""
    return next(violation.advice for violation in outcome.violations if violation.kind is kind)


@pytest.mark.parametrize("kind", [ViolationKind.TRANSFORMER_LOADING, ViolationKind.LINE_LOADING, ViolationKind.VOLTAGE_BAND])
def test_overload_is_named_and_the_advice_helps(network: Network, kind: ViolationKind) -> None:
    """A site far too large overloads the grid; lowering its import by the advised power brings the element back, nearly."""
    limits = {"voltage_low_pu": 0.99, "loading_limit_pct": 40.0 if kind is ViolationKind.LINE_LOADING else 100.0}
    scenario = on_the_grid(network, extra_kw=150.0, **limits)
    outcome = with_power_flow(scenario, realise(scenario, idle(scenario), 1), network)
    worst = next(violation for violation in outcome.violations if violation.kind is kind)
    match = re.search(r"Lower the import limit of hall by ([\d.e+]+) kW", worst.advice)
    assert match, worst.advice
    lowered = on_the_grid(network, extra_kw=150.0 - float(match[1]), **limits)
    after = with_power_flow(lowered, realise(lowered, idle(lowered), 1), network)
    again = next((violation for violation in after.violations if violation.kind is kind), None)
    before_over = abs(worst.value - worst.limit)
    assert again is None or abs(again.value - again.limit) < 0.25 * before_over


def test_verdict_refuses_an_overloaded_grid(network: Network) -> None:
    """Overload blocks the plan, and the verdict names bus, line and transformer."""
    scenario = on_the_grid(network, extra_kw=150.0)
    verdict = rehearse(scenario, idle(scenario), network=network).verdict
    assert not verdict.passed
    assert ViolationKind.TRANSFORMER_LOADING in {violation.kind for violation in verdict.violations}
    assert {violation.subject for violation in verdict.violations} <= {
        *network.bus_names,
        *network.line_names,
        *network.transformer_names,
    }


def test_households_alone_are_named(network: Network) -> None:
    """When the grid is overloaded with no site at all, the advice says so instead of blaming the site."""
    scenario = on_the_grid(network, households=12.0)
    outcome = with_power_flow(scenario, realise(scenario, idle(scenario), 1), network)
    assert "households alone" in violation_of(outcome, ViolationKind.TRANSFORMER_LOADING)


def test_a_power_flow_without_a_solution_is_a_verdict(network: Network) -> None:
    """Households far beyond any solution: the rehearsal does not crash, its verdict names slot and bus."""
    scenario = on_the_grid(network, households=900.0)
    verdict = rehearse(scenario, idle(scenario), network=network).verdict
    assert not verdict.passed
    violation = next(violation for violation in verdict.violations if violation.kind is ViolationKind.POWER_FLOW)
    assert violation.subject in network.bus_names
    assert violation.when is not None
    assert scenario.horizon.start <= violation.when < scenario.horizon.end
    assert "does not converge in slot" in violation.advice


def test_no_bus_no_power_flow(network: Network) -> None:
    """A scenario whose sites are on no bus is left as it is."""
    scenario = on_the_grid(network)
    hall = scenario.site("hall")
    off = replace(hall, connection=replace(hall.connection, bus=None))
    scenario = replace(scenario, sites=(scenario.sites[0], off, scenario.sites[2]))
    outcome = realise(scenario, idle(scenario), 1)
    assert with_power_flow(scenario, outcome, network) is outcome


def test_the_network_profile_runs_along_with_a_later_start(network: Network) -> None:
    """An outcome of the rest of the day meets the households of the rest of the day."""
    scenario = on_the_grid(network)
    whole = with_power_flow(scenario, realise(scenario, idle(scenario), 1), network).network
    rest_scenario = replace(scenario, horizon=scenario.horizon.tail(10))
    rest_outcome = realise(rest_scenario, idle(rest_scenario), 1)
    rest = with_power_flow(scenario, rest_outcome, network).network
    assert whole is not None
    assert rest is not None
    assert np.allclose(rest.voltage_pu, whole.voltage_pu[40:], atol=1e-9)


@pytest.mark.parametrize(("minutes", "step"), [(60, 15), (15, 15), (5, 5)])
def test_a_peak_is_not_averaged_away_by_long_slots(network: Network, minutes: int, step: int) -> None:
    """A quarter of an hour of work in a slot of an hour: the network sees the quarter's mean, whatever the slot."""
    slots = 24 * 60 // minutes
    scenario = small_scenario(
        slots,
        minutes,
        jobs=(job("burst", duration_h=0.25, nodes=4),),
        datasets=(),
        errors=EXACT,
        network=NetworkSpec(CODE, "2016-01-15T00:00:00", 0.0),
    )
    hall = scenario.site("hall")
    bus = network.bus_names[int(network.load_buses[-1])]
    hall = replace(hall, solar_kw=None, connection=replace(hall.connection, bus=bus))
    scenario = replace(scenario, sites=(scenario.sites[0], hall, scenario.sites[2]))
    first = 4 * 60 // minutes
    nodes = tuple(f"hall.rack-{i}" for i in range(4))
    plan = hand_plan(scenario, (Run("burst", "hall", first, first + max(1, 15 // minutes), nodes),))
    outcome = realise(scenario, plan, 1, network=network, power_flow=True)
    result = outcome.network
    assert result is not None
    assert outcome.horizon.step == timedelta(minutes=minutes)
    assert result.horizon.step == timedelta(minutes=step)
    volts = result.voltage_pu[:, result.site_bus["hall"]]
    lowest = result.horizon.time(int(volts.argmin()))
    assert lowest == scenario.horizon.start + timedelta(hours=4)
    alone, extra_kw = 0.1 + 1.2 * 0.4, 1.2 * 4 * 0.4  # overhead and idle; four nodes at work
    kw = np.full(result.horizon.slots, alone)
    kw[4 * 60 // step : (4 * 60 + 15) // step] += extra_kw
    flow = network.power_flow(result.horizon, "2016-01-15T00:00:00", {"h": kw}, {"h": bus}, household_scale=0.0, confirm=0)
    assert np.allclose(flow.voltage_pu, result.voltage_pu, atol=1e-9)


def test_stressed_runs_see_the_worst_element_wherever_it_is(network: Network) -> None:
    """The worst voltage of a stressed run is that of all its slots, also when the transformer's worst is elsewhere in time."""
    scenario = on_the_grid(network, extra_kw=20.0)
    rehearsal = rehearse(scenario, idle(scenario), network=network)
    for run in rehearsal.stressed:
        whole = with_power_flow(scenario, replace(run, network=None), network).network
        assert whole is not None
        assert run.network is not None
        assert run.network.voltage_pu.min() == whole.voltage_pu.min()
        assert run.network.line_loading_pct.max() == whole.line_loading_pct.max()
