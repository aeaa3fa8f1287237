"""What a session tells the state about itself, for ``ozzo status`` and for the next life."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ozzo.clock import AcceleratedClock
from ozzo.serve.fleet import StandingFleet
from ozzo.serve.overrides import Place
from ozzo.serve.presence import NodeView
from ozzo.serve.world import Twin
from scheduler.scenario import Scenario


def status_of(clock: AcceleratedClock, fleet: StandingFleet | None, twin: Twin) -> dict[str, Any]:
    """Clock, transport and nodes as JSON values."""
    views = fleet.views() if fleet is not None else {}
    return {
        "at": datetime.now(UTC).isoformat(),
        "scenario_time": clock.now().isoformat(),
        "speed": clock.speed,
        "transport": fleet.description if fleet is not None else "none: a shadow commands nothing",
        "nodes": {name: _node(view) for name, view in views.items()},
        "simulated_done": sorted(twin.finished()),
    }


def _node(view: NodeView) -> dict[str, Any]:
    state = view.state
    return {
        "present": view.present,
        "age_s": None if view.age_s is None else round(view.age_s, 1),
        "failsafe_certain": view.certain,
        "cap_kw": state.cap_kw if state else None,
        "failsafe": state.failsafe if state else None,
        "power_kw": state.power_kw if state else None,
        "held": list(state.held) if state else [],
        "jobs": {job: str(wish) for job, wish in state.jobs.items()} if state and view.present else {},
    }


def clock_to_dict(clock: AcceleratedClock, scenario: Scenario) -> dict[str, Any]:
    """Where a clock stands, for the next life."""
    return {
        "instant": clock.now().isoformat(),
        "wall": datetime.now(UTC).isoformat(),
        "horizon": scenario.horizon.start.isoformat(),
    }


def places_of(scenario: Scenario) -> dict[str, Place]:
    """What overrides know of each node."""
    found = {}
    for site in scenario.sites:
        pue = float(site.pue_on(scenario.horizon).mean())
        for group in site.nodes:
            for i in range(group.count):
                found[f"{site.name}.{group.name}-{i}"] = Place(site.name, group.idle_kw, group.peak_kw, pue, site.overhead_kw)
    return found


def inventory(scenario: Scenario) -> dict[str, list[str]]:
    """Names that commands may speak of."""
    return {
        "job": [job.name for job in scenario.jobs],
        "node": [name for site in scenario.sites for name in site.node_names()],
        "site": [site.name for site in scenario.sites],
    }
