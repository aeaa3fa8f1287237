"""Single phases in a rehearsal: judged where the network describes them, with advice that says whose doing it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from grid.network import Network, load_json_network
from grid.series import Series
from scheduler.outcome import Outcome, Violation, ViolationKind
from scheduler.scenario import NetworkSpec, RehearsalSettings, Scenario
from sim.network_check import with_power_flow
from sim.rehearsal import realise, rehearse
from sim.report.words import WORST
from tests.factory import small_scenario
from tests.grid.nets import written
from tests.grid.test_phase_flow import feeder_for_files
from tests.sim.hand import EXACT, hand_plan

PHASES = {ViolationKind.PHASE_VOLTAGE, ViolationKind.UNBALANCE, ViolationKind.PHASE_LOADING}
BUS = 300

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The IEEE European feeder with its single-phase loads, as a file."""
    return written(feeder_for_files(), tmp_path_factory.mktemp("feeder") / "feeder.json")


@pytest.fixture(scope="module")
def network(file: Path) -> Network:
    """The feeder, read."""
    return load_json_network(file, cache=file.parent)


def on_the_feeder(network: Network, file: Path, *, households: float = 1.0, extra_kw: float = 0.0) -> Scenario:
    """The small scenario, the hall far out on the feeder with ``extra_kw`` of load that is always there."""
    scenario = small_scenario(
        jobs=(),
        errors=EXACT,
        network=NetworkSpec(None, "2016-01-15T00:00", households, file),
        rehearsal=RehearsalSettings(stressed_runs=1),
    )
    hall = scenario.site("hall")
    limit = Series.constant(1000.0, scenario.horizon, "kW")
    connection = replace(hall.connection, import_limit_kw=limit, bus=network.bus_names[BUS])
    hall = replace(hall, overhead_kw=0.1 + extra_kw, connection=connection)
    return replace(scenario, sites=(scenario.sites[0], hall, scenario.sites[2]), datasets=scenario.datasets[:1])


def carried_out(scenario: Scenario, network: Network) -> Outcome:
    """Nothing runs, and the network is looked at."""
    return with_power_flow(scenario, realise(scenario, hand_plan(scenario), 1), network)


def of_phases(outcome: Outcome) -> list[Violation]:
    """Broken rules of single phases."""
    return [violation for violation in outcome.violations if violation.kind in PHASES]


def test_a_quiet_feeder_passes_phase_by_phase(network: Network, file: Path) -> None:
    """No rule is broken, and the verdict carries the worst phase of all runs, below and above the balanced voltages."""
    scenario = on_the_feeder(network, file)
    rehearsal = rehearse(scenario, hand_plan(scenario), network=network)
    assert rehearsal.verdict.passed
    worst = rehearsal.verdict.worst
    assert worst["phase_voltage_low_pu"] < worst["voltage_low_pu"] - 1e-3  # a balanced flow hides this
    assert 0.9 < worst["phase_voltage_low_pu"] < worst["phase_voltage_high_pu"] < 1.1
    assert 0 < worst["unbalance_pct"] < 2
    assert rehearsal.nominal is not None
    assert rehearsal.nominal.phases is not None
    assert {"phase_voltage_low_pu", "phase_voltage_high_pu", "unbalance_pct"} <= set(WORST)


def test_households_that_break_a_rule_alone_are_told_apart(network: Network, file: Path) -> None:
    """Five times the load of the households breaks rules of single phases; the advice says that no site is needed for it."""
    broken = of_phases(carried_out(on_the_feeder(network, file, households=5.0), network))
    assert {violation.kind for violation in broken} >= {ViolationKind.PHASE_VOLTAGE, ViolationKind.UNBALANCE}
    assert all("with no site at all" in violation.advice for violation in broken)
    assert any(violation.subject.endswith(("phase a", "phase b", "phase c")) for violation in broken)


def test_a_site_that_breaks_a_rule_is_named(network: Network, file: Path) -> None:
    """A site of 400 kW takes a phase out of its band, which the balanced flow does not show: lower its import limit."""
    outcome = carried_out(on_the_feeder(network, file, extra_kw=400.0), network)
    broken = [violation for violation in of_phases(outcome) if violation.kind is ViolationKind.PHASE_VOLTAGE]
    assert broken
    assert ViolationKind.VOLTAGE_BAND not in {violation.kind for violation in outcome.violations}
    assert all("lower the import limit of hall" in violation.advice for violation in broken)
    assert all(violation.when is not None and violation.seed == 1 for violation in broken)


def test_networks_without_phases_are_left_alone() -> None:
    """A SimBench network has no single-phase loads: no figures of phases, and no rule of theirs."""
    from grid.network import load_network

    code = "1-LV-rural1--0-sw"
    network = load_network(code)
    scenario = small_scenario(jobs=(), errors=EXACT, network=NetworkSpec(code, "2016-01-15T00:00:00"))
    hall = scenario.site("hall")
    hall = replace(hall, connection=replace(hall.connection, bus=network.bus_names[int(network.load_buses[-1])]))
    scenario = replace(scenario, sites=(scenario.sites[0], hall, scenario.sites[2]), datasets=scenario.datasets[:1])
    outcome = carried_out(scenario, network)
    assert outcome.network is not None
    assert outcome.phases is None
    assert of_phases(outcome) == []
