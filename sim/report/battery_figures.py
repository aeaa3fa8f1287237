"""Figures of batteries, for the summary and the page: life of each as realised."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sim.battery_life import BatteryLife, battery_life
from sim.record import RunRecord


def batteries(record: RunRecord) -> list[BatteryLife]:
    """Life of every battery as realised, in the order of the sites; empty without a realised execution."""
    outcome = record.outcome
    if outcome is None:
        return []
    found = []
    for site in record.scenario.sites:
        if site.battery is not None:
            row, energy = outcome.sites.index(site.name), outcome.energy
            flows = energy.charge_kwh[row], energy.discharge_kwh[row], energy.soc_kwh[row]
            found.append(battery_life(site.name, site.battery, *flows, outcome.horizon.step_h))
    return found


def battery_entries(record: RunRecord) -> list[dict[str, Any]]:
    """The same, ready for JSON."""
    return [asdict(life) | {"cycles": list(life.cycles)} for life in batteries(record)]
