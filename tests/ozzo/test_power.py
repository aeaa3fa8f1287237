"""Power of a node: RAPL on a tree of files that says it is a fake, and the model on a fake of ``/proc/stat``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import HardwareError
from ozzo.agent.config import AgentConfig
from ozzo.agent.power import ModelMeter, meter_for, probe
from ozzo.agent.rapl import RaplLimiter, RaplMeter, zones

RANGE_UJ = 262_143_328_850
MOST_UW = 250_000_000


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
            values: dict[str, int | str] = {"name": f"package-{number}", "energy_uj": 0, "max_energy_range_uj": RANGE_UJ}
            values |= {"enabled": 0, "constraint_2_name": "peak_power", "constraint_2_power_limit_uw": 999}
            for constraint, kind in enumerate(("long_term", "short_term")):
                name = f"constraint_{constraint}"
                values |= {f"{name}_name": kind, f"{name}_power_limit_uw": MOST_UW, f"{name}_max_power_uw": MOST_UW}
            for name, value in values.items():
                (zone / name).write_text(f"{value}\n")
            inner = root / f"intel-rapl:{number}:0"
            inner.mkdir()
            (inner / "name").write_text("core\n")
            (inner / "energy_uj").write_text("0\n")
        (root / "intel-rapl:9").mkdir()
        (root / "intel-rapl:9" / "name").write_text("psys\n")

    def limit_uw(self, package: int, constraint: int) -> int:
        """A limit of a package."""
        return int((self.root / f"intel-rapl:{package}" / f"constraint_{constraint}_power_limit_uw").read_text())

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


def settings(**values: Any) -> AgentConfig:
    """Settings of an agent."""
    known: dict[str, Any] = {"scenario": "s", "node": "n", "journal": "j", "programs": {}, "idle_kw": 0.1}
    return AgentConfig(**(known | values))


@pytest.mark.parametrize(
    ("power", "peak_kw", "there", "source", "told"),
    [
        ("auto", 0.5, True, "rapl", ""),
        ("auto", 0.5, False, "model", ""),
        ("auto", None, False, None, ""),
        ("rapl", 0.5, False, None, "rapl was asked for: no readable package"),
        ("rapl+nvml", 0.5, True, None, "rapl+nvml was asked for"),
        ("nvml", 0.5, True, None, "nvml was asked for"),
        ("dcmi", 0.5, True, None, "ipmitool is not installed"),
        ("model", 0.5, True, "model", ""),
        ("none", 0.5, True, None, ""),
    ],
)
def test_the_best_meter_is_taken_and_what_is_missing_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    power: str,
    peak_kw: float | None,
    there: bool,
    source: str | None,
    told: str,
) -> None:
    """RAPL where it is, else the model where a peak is known; a setting that cannot be met measures nothing, and says so."""
    monkeypatch.setattr("ozzo.agent.power.find_ipmitool", lambda: None)
    fake = FakePowercap(tmp_path / "powercap")
    notes: list[str] = []
    meter = meter_for(settings(power=power, peak_kw=peak_kw), notes.append, fake.root if there else tmp_path / "none")
    assert (None if meter is None else meter.source) == source
    assert [told in note for note in notes] == ([True] if told else [])


def test_the_probe_tells_what_is_there(tmp_path: Path) -> None:
    """Packages by name on the fake, none without it, counters that need rights; and why there are no cgroups."""
    fake = FakePowercap(tmp_path / "powercap")
    told = dict(probe(fake.root, "none"))
    assert told.keys() == {"cgroup v2", "rapl", "nvml", "redfish", "dcmi", "model"}
    assert told["rapl"] == "package-0, package-1: energy counters; power limits of package-0, package-1"
    assert told["cgroup v2"] == "no (as the settings say)"
    assert "none in" in dict(probe(tmp_path / "none", "none"))["rapl"]
    for number in range(2):
        (fake.root / f"intel-rapl:{number}" / "energy_uj").unlink()
    assert "need more rights" in dict(probe(fake.root, str(tmp_path)))["rapl"]


@given(st.floats(0.31, 5.0), st.integers(1, 4))
def test_a_cap_is_shared_by_the_packages(tmp_path_factory: pytest.TempPathFactory, cap_kw: float, packages: int) -> None:
    """What a cap leaves beside the rest goes to the packages in equal shares, up to what each can take; it is read back."""
    fake = FakePowercap(tmp_path_factory.mktemp("power") / "powercap", packages)
    held_kw = RaplLimiter(zones(fake.root), 0.3).limit(cap_kw)
    limits = [fake.limit_uw(number, name) for number in range(packages) for name in (0, 1)]
    assert limits == [min(round((cap_kw - 0.3) * 1e9 / packages), MOST_UW)] * (2 * packages)
    assert held_kw == pytest.approx(0.3 + sum(limits[::2]) * 1e-9)
    assert held_kw <= cap_kw + 1e-6
    assert all((fake.root / f"intel-rapl:{number}" / "enabled").read_text() == "1" for number in range(packages))
    assert {fake.limit_uw(number, 2) for number in range(packages)} == {999}  # peak_power stays as it was


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (Path.exists, "leaves the processors nothing"),
        (lambda zone: [path.unlink() for path in zone.glob("constraint_*")], "has no power limit"),
        (lambda zone: [path.unlink() for path in zone.glob("constraint_0_power_limit_uw")], None),
    ],
)
def test_a_limit_that_cannot_be_set_is_told(tmp_path: Path, spoil: Callable[[Path], object], told: str | None) -> None:
    """No power left, no limit there: an error that says so; a file that the kernel does not have is made on a fake only."""
    fake = FakePowercap(tmp_path / "powercap", 1)
    spoil(fake.root / "intel-rapl:0")
    limiter = RaplLimiter(zones(fake.root), 0.3)
    if told is None:
        assert limiter.limit(0.4) == pytest.approx(0.4)
        return
    with pytest.raises(HardwareError, match=told):
        limiter.limit(0.3 if "nothing" in told else 0.4)


def test_a_limit_that_does_not_stick_is_told(tmp_path: Path) -> None:
    """A firmware that locks the limit is faked by a file that leads to nowhere: another value is read back."""
    fake = FakePowercap(tmp_path / "powercap", 1)
    limit = fake.root / "intel-rapl:0" / "constraint_0_power_limit_uw"
    limit.unlink()
    limit.symlink_to("/dev/null")
    with pytest.raises(HardwareError, match="None uW is in force"):
        RaplLimiter(zones(fake.root), 0.0).limit(0.05)
    (fake.root / "intel-rapl:0" / "enabled").unlink()
    (fake.root / "intel-rapl:0" / "enabled").mkdir()
    limit.unlink()
    limit.write_text("0")
    assert RaplLimiter(zones(fake.root), 0.0).limit(0.05) == pytest.approx(0.05)
