"""Charging points in the document: what is written is what is built; drawn cars, peak hours and the price of last resort."""

from __future__ import annotations

from pathlib import Path

import pytest

from grid.assets.charging import ChargingFleet
from scheduler.document import load_scenario

CONFIGS = Path(__file__).parents[3] / "configs"

TEXT = """
ozzo: 1
name: street
seed: 4
time_zone: Europe/Amsterdam
horizon: {start: 2023-06-20T06:00, hours: 30, step_minutes: 30}
weights: {carbon_eur_per_kg: 0.1, carbon_signal: average}
signals:
  price: {constant_eur_per_mwh: 100}
  carbon_average: {constant_g_per_kwh: 300}
sites:
  - name: street
    tier: cold
    overhead_kw: 10
    connection: {import_limit_kw: 90}
    tariff: {import_fee_eur_per_mwh: 50, peak_eur_per_kw: 0.1}
    assets:
      - kind: charging
        name: points
        charge_efficiency: 0.8
        discharge: true
        peak_windows: [{from: "17:00", to: "20:00"}, {from: "23:00", to: "01:00"}]
        sessions:
          - {name: early, arrival: 2023-06-20T07:30, departure: +5h, energy_kwh: 8, power_kw: 4}
          - name: shared
            arrival: +12h
            departure: 2023-06-21T09:00
            energy_kwh: 10
            power_kw: 11
            level_kwh: 20
            capacity_kwh: 52
            minimum_kwh: 15
            discharge_kw: 10
            consent: true
"""


def fleet_of(path: Path, text: str = TEXT) -> ChargingFleet:
    """The first asset of the first site of a document with this text."""
    path.write_text(text)
    fleet = load_scenario(path).sites[0].assets[0]
    assert isinstance(fleet, ChargingFleet)
    return fleet


def test_sessions_are_built_as_written(tmp_path: Path) -> None:
    """Moments become hours after 06:00 local; what is left out has its default."""
    fleet = fleet_of(tmp_path / "street.yaml")
    early, shared = fleet.sessions
    assert (early.name, early.arrival_h, early.departure_h, early.energy_kwh, early.power_kw) == ("early", 1.5, 5.0, 8.0, 4.0)
    assert (early.level_kwh, early.full_kwh, early.discharge_kw, early.consent) == (0.0, 8.0, 0.0, False)
    assert (shared.arrival_h, shared.departure_h, shared.full_kwh, shared.minimum_kwh) == (12.0, 27.0, 52.0, 15.0)
    assert shared.gives
    assert (fleet.charge_efficiency, fleet.discharge, fleet.wear_eur_per_kwh) == (0.8, True, 0.0)


def test_peak_hours_of_every_day(tmp_path: Path) -> None:
    """17 to 20 and 23 to 1 o'clock on the first day, seen from 06:00; the next day's lie after noon."""
    assert fleet_of(tmp_path / "street.yaml").peak_h == ((11.0, 14.0), (17.0, 19.0))


def test_missing_energy_is_dearer_than_anything_else(tmp_path: Path) -> None:
    """0.15 EUR/kWh, 0.03 for carbon, 0.40 for a kW of peak over 15 minutes: 0.58 through 80 % is 0.725, so 0.74 EUR.

    Calls add their penalty, and of a capacity tariff the dearest window counts.
    """
    assert fleet_of(tmp_path / "street.yaml").missing_eur_per_kwh == pytest.approx(0.74)
    event = """
events:
  - {name: call, site: street, start: +2h, end: +4h, limit_kw: 10, penalty_eur_per_kwh: 2}
"""
    assert fleet_of(tmp_path / "called.yaml", TEXT + event).missing_eur_per_kwh == pytest.approx(3.24)
    contract = """
contracts:
  - kind: capacity_tariff
    name: peaks
    sites: [street]
    versions:
      - windows:
          - {name: evening, from: "17:00", to: "21:00", eur_per_kw: 2}
          - {name: rest, from: "21:00", to: "17:00", eur_per_kw: 1}
"""
    free = TEXT.replace(", peak_eur_per_kw: 0.1", "")
    assert fleet_of(tmp_path / "windows.yaml", free + contract).missing_eur_per_kwh == pytest.approx((0.18 + 8.0) / 0.8 + 0.015)
    own = TEXT.replace("discharge: true", "discharge: true\n        missing_eur_per_kwh: 0.3")
    assert fleet_of(tmp_path / "own.yaml", own).missing_eur_per_kwh == 0.3


GENERATOR = """
        generator:
          points: 20
          cars: 100
          sessions_per_car: 0.3
          mean_kwh: 18
          sd_kwh: 9
          waves: [{arrival: "18:00", departure: "07:30", arrival_sd_minutes: 0, departure_sd_minutes: 0}]
          plugs: [{power_kw: 11}]
"""


def test_drawn_cars_come_by_local_time_and_those_without_a_point_are_told(tmp_path: Path) -> None:
    """Thirty cars at six in the evening on twenty points: twenty stay from hour 12 to 25.5, the provenance tells of ten."""
    path = tmp_path / "drawn.yaml"
    fleet = fleet_of(path, TEXT + GENERATOR)
    drawn = fleet.sessions[2:]
    assert len(drawn) == 20
    assert {(session.arrival_h, session.departure_h) for session in drawn} == {(12.0, 25.5)}
    assert {session.name for session in drawn} == {f"points.drawn-{k}" for k in range(1, 21)}
    assert [line for line in load_scenario(path).provenance if "10 find no free point" in line]
    assert fleet.sessions == fleet_of(path, TEXT + GENERATOR).sessions
    other = fleet_of(path, (TEXT + GENERATOR).replace("seed: 4", "seed: 5")).sessions
    assert [session.energy_kwh for session in other] != [session.energy_kwh for session in fleet.sessions]


@pytest.mark.parametrize(
    ("name", "points", "cars", "sessions"),
    [("utrecht_2019", 1000, 5000, 1250), ("utrecht_2025", 5000, 25000, 6250), ("utrecht_2030", 10000, 55000, 13750)],
)
def test_the_years_of_utrecht(name: str, points: int, cars: int, sessions: int) -> None:
    """Points and cars of the study's outlook; a quarter of the cars come, all find a point, and no car gives back."""
    fleet = load_scenario(CONFIGS / f"{name}.yaml").sites[0].assets[0]
    assert isinstance(fleet, ChargingFleet)
    assert len(fleet.sessions) == round(cars / 4) == sessions
    moments = {session.arrival_h for session in fleet.sessions}
    assert max(sum(one.arrival_h <= t < one.departure_h for one in fleet.sessions) for t in moments) <= points
    assert len(fleet.groups) < len(fleet.sessions)
    assert not any(fleet.may_give(group) for group in fleet.groups)


def test_a_hundred_cars_may_give_back() -> None:
    """145 bidirectional points, 100 capable cars, all owners agree: min(145, 100)."""
    fleet = load_scenario(CONFIGS / "shift_only_vs_v2g.yaml").sites[0].assets[0]
    assert isinstance(fleet, ChargingFleet)
    assert sum(len(group.members) for group in fleet.groups if fleet.may_give(group)) == min(145, 100)
