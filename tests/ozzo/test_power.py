"""Power of a node: RAPL on a tree of files that says it is a fake, and the model on a fake of ``/proc/stat``."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ozzo.agent.power import ModelMeter, RaplMeter, meter_for, probe, zones

RANGE_UJ = 262_143_328_850


class FakePowercap:
    """A tree like ``/sys/class/powercap`` of a machine with two packages. No hardware is behind it, and it says so."""

    def __init__(self, root: Path, packages: int = 2) -> None:
        self.root = root
        root.mkdir()
        (root / "README").write_text("A fake of tests/ozzo/test_power.py: no hardware is behind these files.\n")
        (root / "intel-rapl").mkdir()
        for number in range(packages):
            zone = root / f"intel-rapl:{number}"
            zone.mkdir()
            values = {"name": f"package-{number}", "energy_uj": 0, "max_energy_range_uj": RANGE_UJ}
            for name, value in values.items():
                (zone / name).write_text(f"{value}\n")
            inner = root / f"intel-rapl:{number}:0"
            inner.mkdir()
            (inner / "name").write_text("core\n")
            (inner / "energy_uj").write_text("0\n")
        (root / "intel-rapl:9").mkdir()
        (root / "intel-rapl:9" / "name").write_text("psys\n")

    def set(self, package: int, energy_uj: int) -> None:
        """The counter of a package."""
        (self.root / f"intel-rapl:{package}" / "energy_uj").write_text(f"{energy_uj % (RANGE_UJ + 1)}\n")


def test_packages_are_found_and_nothing_else(tmp_path: Path) -> None:
    """Two packages; their inner zones and the platform's zone are not counted twice; no folder, no package."""
    fake = FakePowercap(tmp_path / "powercap")
    assert [zone.name for zone in zones(fake.root)] == ["package-0", "package-1"]
    assert zones(tmp_path / "none") == ()


@given(st.integers(0, RANGE_UJ), st.lists(st.tuples(st.integers(0, RANGE_UJ), st.floats(0.1, 60.0)), min_size=1, max_size=5))
def test_energy_is_counted_over_the_wrap(
    tmp_path_factory: pytest.TempPathFactory, start: int, steps: list[tuple[int, float]]
) -> None:
    """Whatever the counter stood at, power is the energy used over the time, also when the counter began again."""
    fake = FakePowercap(tmp_path_factory.mktemp("power") / "powercap", packages=1)
    now, used = [100.0], start
    fake.set(0, used)
    meter = RaplMeter(zones(fake.root), 0.05, lambda: now[0])
    assert meter.power_kw() is None  # nothing to compare with yet
    for more_uj, seconds in steps:
        used += more_uj
        now[0] += seconds
        fake.set(0, used)
        assert meter.power_kw() == pytest.approx(0.05 + more_uj * 1e-9 / seconds, rel=1e-9)


def test_a_counter_that_fails_is_no_zero(tmp_path: Path) -> None:
    """When one package cannot be read there is no figure at all, and afterwards it begins again."""
    fake = FakePowercap(tmp_path / "powercap")
    now = [0.0]
    meter = RaplMeter(zones(fake.root), 0.0, lambda: now[0])
    meter.power_kw()
    now[0], file = 1.0, fake.root / "intel-rapl:1" / "energy_uj"
    file.write_text("broken\n")
    fake.set(0, 50_000_000)
    assert meter.power_kw() is None
    now[0] = 2.0
    fake.set(0, 100_000_000)
    fake.set(1, 70_000_000)
    assert meter.power_kw() is None
    now[0] = 3.0
    fake.set(0, 150_000_000)
    fake.set(1, 140_000_000)
    assert meter.power_kw() == pytest.approx(0.120)


def stat(path: Path, busy: int, idle: int) -> None:
    """A fake of ``/proc/stat``: user, nice, system, idle, iowait, irq, softirq, steal."""
    path.write_text(f"cpu  {busy} 0 0 {idle} 0 0 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0\nintr 0\n")


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_the_model_lies_between_idle_and_peak(tmp_path_factory: pytest.TempPathFactory, busy: int, idle: int) -> None:
    """Idle power plus the busy share of the rest; without time in between there is no figure."""
    file = tmp_path_factory.mktemp("stat") / "stat"
    stat(file, 1000, 5000)
    meter = ModelMeter(0.1, 0.5, file)
    assert meter.power_kw() is None
    stat(file, 1000 + busy, 5000 + idle)
    power_kw = meter.power_kw()
    if busy + idle == 0:
        assert power_kw is None
        return
    assert power_kw == pytest.approx(0.1 + 0.4 * busy / (busy + idle))


def test_waiting_for_the_disk_is_idle(tmp_path: Path) -> None:
    """A file that is no ``/proc/stat`` gives no figure; time of waiting counts as idle."""
    file = tmp_path / "stat"
    file.write_text("nothing\n")
    meter = ModelMeter(0.1, 0.5, file)
    assert meter.power_kw() is None
    file.write_text("cpu 0 0 0 0 0 0 0 0\n")
    assert meter.power_kw() is None
    file.write_text("cpu 0 0 0 0 100 0 0 0\n")
    assert meter.power_kw() == pytest.approx(0.1)


def test_the_best_meter_is_taken(tmp_path: Path) -> None:
    """RAPL where it is, else the model where a peak is known, else none; a setting may ask for one or none."""
    fake = FakePowercap(tmp_path / "powercap")
    sources = [
        None if meter is None else meter.source
        for meter in (
            meter_for("auto", 0.1, 0.5, root=fake.root),
            meter_for("auto", 0.1, 0.5, root=tmp_path / "none"),
            meter_for("auto", 0.1, None, root=tmp_path / "none"),
            meter_for("rapl", 0.1, 0.5, root=tmp_path / "none"),
            meter_for("model", 0.1, 0.5, root=fake.root),
            meter_for("none", 0.1, 0.5, root=fake.root),
        )
    ]
    assert sources == ["rapl", "model", None, None, "model", None]


def test_the_probe_tells_what_is_there(tmp_path: Path) -> None:
    """Packages by name on the fake, none without it, counters that need rights; and why there are no cgroups."""
    fake = FakePowercap(tmp_path / "powercap")
    told = dict(probe(fake.root, "none"))
    assert told["rapl"] == "package-0, package-1: energy counters"
    assert told["cgroup v2"] == "no (as the settings say)"
    assert "none in" in dict(probe(tmp_path / "none", "none"))["rapl"]
    for number in range(2):
        (fake.root / f"intel-rapl:{number}" / "energy_uj").unlink()
    assert "need more rights" in dict(probe(fake.root, str(tmp_path)))["rapl"]
