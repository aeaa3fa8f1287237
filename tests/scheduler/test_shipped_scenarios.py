"""The scenario files that ship: they load, and they are what their comments say."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from scheduler.data import Tier
from scheduler.document.loader import load_scenario
from scheduler.scenario import Scenario

CONFIGS = Path(__file__).parents[2] / "configs"
EVENT = CONFIGS / "events" / "evening_peak.json"


@pytest.fixture(scope="module")
def almere() -> Scenario:
    """The district."""
    return load_scenario(str(CONFIGS / "almere.yaml"))


def test_almere_is_the_district_that_its_comments_tell(almere: Scenario) -> None:
    """Six sites of three tiers, sixteen nodes, a hundred jobs that all fit, three moves that the tiers demand."""
    tiers = [site.tier for site in almere.sites]
    assert (tiers.count(Tier.HOT), tiers.count(Tier.COLD), tiers.count(Tier.FROZEN)) == (4, 1, 1)
    assert sum(len(site.node_names()) for site in almere.sites) == 16
    assert (len(almere.jobs), almere.beyond_horizon) == (100, ())
    tier_of = {site.name: site.tier for site in almere.sites}
    misplaced = [dataset.name for dataset in almere.datasets if any(tier_of[site] is not dataset.tier for site in dataset.sites)]
    assert misplaced == ["clinic-aged", "scans-2021", "tv-archive"]
    assert [site.name for site in almere.sites if site.connection.bus is None] == ["vault"]
    assert len(almere.provenance) > 10  # real, derived and assumed, sentence by sentence


def test_almere_evening_limits_are_lower(almere: Scenario) -> None:
    """From 17:00 to 20:00 local a cabinet may import 1 kW instead of 17."""
    limit = almere.site("cabinet-a").connection.import_limit_kw.mean(almere.horizon)
    assert set(limit[68:80]) == {1.0}
    assert set(np.delete(limit, np.arange(68, 80))) == {17.0}


def test_almere_has_sun_wind_and_real_shaped_prices(almere: Scenario) -> None:
    """The sun gives 3.8 kWh per kWp, prices are lowest in the afternoon and highest in the evening."""
    sun = almere.site("cabinet-a").solar_kw
    wind = almere.site("hall").wind_kw
    assert sun is not None
    assert wind is not None
    assert sun.mean(almere.horizon).sum() / 4 / 5 == pytest.approx(3.8, abs=0.05)
    assert 0 < wind.mean(almere.horizon).max() <= 10
    price = almere.site("hall").tariff.import_eur_per_mwh.mean(almere.horizon)
    assert (int(price.argmin() // 4), int(price.argmax() // 4)) == (14, 20)


def test_event_of_the_evening_belongs_to_the_district(almere: Scenario) -> None:
    """It is a limit in kW on the hall, known at 14:00, in force from 17:30 to 19:30 local, inside the scenario's day."""
    event = json.loads(EVENT.read_text(encoding="utf-8"))
    start = datetime.fromisoformat(event["intervalPeriod"]["start"])
    created = datetime.fromisoformat(event["createdDateTime"])
    assert event["objectType"] == "EVENT"
    assert event["targets"] == ["hall"]
    assert event["intervals"][0]["payloads"][0]["type"] == "IMPORT_CAPACITY_LIMIT"
    assert event["intervalPeriod"]["duration"] == "PT2H"
    assert created - almere.horizon.start == timedelta(hours=14)
    assert start - almere.horizon.start == timedelta(hours=17, minutes=30)


@pytest.mark.data
def test_surf_day_has_its_jobs_and_sites(data: Path) -> None:
    """At least 500 real jobs on five sites in 96 slots, with real prices, and the jobs that do not fit by name."""
    scenario = load_scenario(str(CONFIGS / "surf_amsterdam.yaml"))
    assert data.is_dir()
    assert len(scenario.sites) == 5
    assert scenario.horizon.slots == 96
    assert 500 <= len(scenario.jobs) <= 596
    assert len(scenario.jobs) + len(scenario.beyond_horizon) == 610
    assert scenario.site("almere").solar_kw is not None
    assert scenario.site("ijmond").wind_kw is not None
