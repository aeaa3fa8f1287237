"""Assets of sites in the document: what is written is what is built, and backup is a hard floor of the battery."""

from __future__ import annotations

from pathlib import Path

import pytest

from grid.assets.biogas import BiogasChp
from grid.assets.generator import Generator
from scheduler.document import load_scenario
from scheduler.document.fieldbook import fields_at, kinds_at
from scheduler.document.reference import field_rows

CONFIG = Path(__file__).parents[3] / "configs" / "renewables_mix.yaml"


def test_renewables_mix_is_built_as_written() -> None:
    """The hall has a digester and emergency generators with the figures of the file; the cabinet has neither."""
    hall, cabinet = load_scenario(CONFIG).sites
    digester, emergency = hall.assets
    assert isinstance(digester, BiogasChp)
    assert (digester.power_kw, digester.gas_kw, digester.store_kwh, digester.minimum_run_h) == (30.0, 30.0, 300.0, 2.0)
    assert digester.initial_kwh == 160.0
    assert isinstance(emergency, Generator)
    assert (emergency.units, emergency.unit_kw, emergency.carbon_g_per_kwh, emergency.flexible_kw) == (2, 20.0, 860.0, 0.0)
    assert (emergency.test_h, emergency.test_kw, emergency.test_from_h, emergency.test_to_h) == (1.0, 10.0, 6.0, 22.0)
    assert cabinet.assets == ()


def test_the_reserve_carries_the_full_load_through_the_start() -> None:
    """16.4 kW (2 kW of overhead, 20 nodes of 0.6 kW, PUE 1.2) for a minute through 95 %: 0.288 kWh that are never touched."""
    battery = load_scenario(CONFIG).sites[0].battery
    assert battery is not None
    assert battery.reserve_soc_kwh == pytest.approx(16.4 / 60 / 0.95)


def test_the_reserve_raises_a_start_that_nobody_wrote(tmp_path: Path) -> None:
    """Half of a small battery would be below the reserve: then it begins at the reserve."""
    text = CONFIG.read_text().replace("start_s: 60 ", "start_s: 2400 ").replace("data/", f"{CONFIG.parent}/data/")
    path = tmp_path / "slow.yaml"
    path.write_text(text)
    battery = load_scenario(path).sites[0].battery
    assert battery is not None
    assert battery.initial_soc_kwh == battery.reserve_soc_kwh == pytest.approx(16.4 * 40 / 60 / 0.95)


def test_every_kind_is_on_the_reference_page_and_offers_its_fields() -> None:
    """Kinds and fields of all of them are known where a typing error is to be mended, and in the reference."""
    place = ("sites", 0, "assets", 0)
    assert kinds_at(place) == ["biogas", "charging", "generator", "heat"]
    assert {"store_kwh", "start_s", "buffer_kwh", "kind"} <= set(fields_at(place))
    assert {"store_kwh", "fuel_eur_per_kwh", "to_hours", "by_hour_kw", "loss_per_h"} <= {row["field"] for row in field_rows()}
