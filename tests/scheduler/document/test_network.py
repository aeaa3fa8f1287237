"""The network of a document: from a code or a file, its faults at the line that names it, its buses at the sites."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from grid.errors import Finding, InputError
from scheduler.document import check_file, load_scenario
from sim.network_check import load
from tests.grid.nets import village, written

ROOT = Path(__file__).parents[3]
BASE = (ROOT / "tests" / "bad" / "network_missing_for_bus.yaml").read_text(encoding="utf-8")
"""A sound scenario of two sites but for the bus of one of them."""


def document(tmp_path: Path, network: str, *buses: str) -> Path:
    """The scenario with a network, its sites on these buses."""
    text = BASE.replace("    bus: LV4.101 Bus 20\n", "")
    for bus, tier in zip(buses, ("hot", "cold"), strict=False):
        text = text.replace(f"    tier: {tier}\n", f"    tier: {tier}\n    bus: {bus}\n", 1)
    path = tmp_path / "scenario.yaml"
    path.write_text(f"{text}\nnetwork: {network}\n", encoding="utf-8")
    return path


def told(path: Path) -> list[Finding]:
    """Findings of ``ozzo check``, the same as those of loading."""
    findings = check_file(path, environment={})
    with pytest.raises(InputError) as caught:
        load_scenario(path, environment={})
    assert list(caught.value.findings) == findings
    return findings


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of files are cached under a folder of the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_scenario_on_a_file(tmp_path: Path) -> None:
    """The file counts from the document's folder; no profile year is needed; the network has the file's buses."""
    written(village(), tmp_path / "net.json")
    scenario = load_scenario(document(tmp_path, "{json: net.json, household_scale: 2}", "cabinet 0"), environment={})
    spec = scenario.network
    assert spec is not None
    assert (spec.simbench, spec.name, spec.household_scale) == (None, "net.json", 2.0)
    flow = load(spec).power_flow(
        scenario.horizon, spec.profile_start, {"a": np.zeros(scenario.horizon.slots)}, {"a": "cabinet 0"}, confirm=0
    )
    assert flow.bus_names[flow.site_bus["a"]] == "cabinet 0"
    assert np.ptp(flow.voltage_pu, axis=0).max() == 0.0


def test_every_fault_of_a_file_is_told_at_its_line(tmp_path: Path) -> None:
    """A line of no length and a missing slack: two findings at network.json, each with element and what is expected."""
    net = village()
    net.ext_grid["in_service"] = False
    net.line.loc[net.line["name"] == "L2", "length_km"] = 0.0
    written(net, tmp_path / "net.json")
    path = document(tmp_path, "{json: net.json}")
    findings = told(path)
    number = next(n for n, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if text.startswith("network:"))
    assert [(finding.field, finding.line) for finding in findings] == [("network.json", number)] * 2
    assert "net.json: line 'L2': an impedance of 0 ohm" in findings[0].found
    assert "ext_grid" in findings[1].found


def test_a_file_that_is_missing_or_no_net(tmp_path: Path) -> None:
    """No such file, with the nearest name; and JSON that is no network."""
    (tmp_path / "nets.json").write_text("{}", encoding="utf-8")
    (finding,) = told(document(tmp_path, "{json: net.json}"))
    assert (finding.field, finding.nearest) == ("network.json", "nets.json")
    (finding,) = told(document(tmp_path, "{json: nets.json}"))
    assert "no pandapower net" in finding.found


@pytest.mark.parametrize("network", ["{simbench: 1-LV-semiurb4--0-sw, profile_start: 2016-05-12T00:00}", "{json: net.json}"])
def test_unknown_buses_of_all_sites_are_told_at_once(tmp_path: Path, network: str) -> None:
    """Two sites on buses that the network does not have: two findings with the nearest name, from a code and from a file."""
    written(village(), tmp_path / "net.json")
    near = "LV4.101 Bus 32" if "simbench" in network else "cabinet 3"
    findings = told(document(tmp_path, network, near + "x", near.replace(" ", "_")))
    assert [finding.field for finding in findings] == ["sites[0].bus", "sites[1].bus"]
    assert [finding.nearest for finding in findings] == [near, near]
