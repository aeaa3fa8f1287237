"""Emergency generators with the uninterruptible supply that bridges their start: backup first, flexibility only when asked for.

While a generator starts, the battery of its site carries the load, so the state of charge never falls below
``load * start time / discharge efficiency``. One generator may fail to start (N-1): the others together carry the largest load.
Diesel emits about 0.86 kg of fossil carbon dioxide per kWh of electricity; the document gives the value of its own fuel. A test
run of a given length must begin once in a window; it gives power into the site.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from grid.assets.site_asset import Bill, Trajectory
from grid.horizon import FloatArray, Horizon


@dataclass(frozen=True, slots=True)
class Generator:
    """Parameters of a set of equal generators.

    Attributes:
        name: unique in its site.
        units: generators; unit_kw: largest output of one.
        start_s: seconds from the loss of the mains to the load being carried.
        fuel_eur_per_kwh: price of fuel, and carbon_g_per_kwh: fossil carbon dioxide, per kWh of electricity.
        flexible_kw: output allowed at any time as flexibility; 0: backup and test runs only.
        test_h: length of the test run that must begin once in the window; 0: no test is due. test_kw: its output.
        test_from_h, test_to_h: window of the whole test, hours after the start of the horizon.
        gone_h: hours of the scenario that are gone; tested: True when the test has begun.
    """

    kind: ClassVar[str] = "generator"
    names: ClassVar[tuple[str, ...]] = ("power_kw", "test")

    name: str
    units: int
    unit_kw: float
    start_s: float
    fuel_eur_per_kwh: float
    carbon_g_per_kwh: float
    flexible_kw: float = 0.0
    test_h: float = 0.0
    test_kw: float = 0.0
    test_from_h: float = 0.0
    test_to_h: float = 0.0
    gone_h: float = 0.0
    tested: bool = False

    def __post_init__(self) -> None:
        if self.units < 1 or self.unit_kw <= 0:
            raise ValueError("generator: at least one unit, of a power above 0")
        rest = (self.start_s, self.fuel_eur_per_kwh, self.carbon_g_per_kwh, self.flexible_kw, self.test_h, self.test_kw)
        if min(*rest, self.test_from_h) < 0:
            raise ValueError("generator: times, prices, carbon and powers are not negative")
        if max(self.flexible_kw, self.test_kw) > self.units * self.unit_kw:
            raise ValueError("generator: flexible and test power are at most that of all units")
        if self.test_h > 0 and not self.gone_h and self.test_to_h - self.test_from_h < self.test_h - 1e-9:
            raise ValueError("generator: the window is at least as long as the test")

    def begun(self, state: Mapping[str, float]) -> Self:
        """With its hours gone; ``tested`` says that the test has begun, ``test_left_h`` what is left of it."""
        if not state:
            return self
        gone, left = state["hours"], state["test_left_h"]
        if left > 1e-9:  # a test that has begun goes on at once
            return replace(self, test_h=left, test_from_h=0.0, test_to_h=left, gone_h=gone, tested=True)
        if state["tested"] > 0.5:
            return replace(self, test_h=0.0, gone_h=gone, tested=True)
        return replace(self, test_from_h=max(0.0, self.test_from_h - gone), test_to_h=self.test_to_h - gone, gone_h=gone)

    def test_slots(self, horizon: Horizon) -> tuple[int, range]:
        """Slots of a test, and those in which it may begin (empty when none is due or possible)."""
        if self.test_h <= 0:
            return 0, range(0)
        length = round(np.ceil(self.test_h / horizon.step_h - 1e-9))
        first = round(np.ceil(self.test_from_h / horizon.step_h - 1e-9))
        last = round(np.floor(min(self.test_to_h / horizon.step_h, horizon.slots) + 1e-9)) - length
        return length, range(first, max(first, last + 1))

    def rule(self, horizon: Horizon, it_kw: FloatArray) -> Trajectory:
        """The test as early as it may be, nothing else."""
        length, starts = self.test_slots(horizon)
        test = np.zeros(horizon.slots)
        if starts:
            test[starts[0] : starts[0] + length] = 1.0
        return self.trajectory({"power_kw": test * self.test_kw, "test": test}, horizon, it_kw)

    def trajectory(  # horizon and IT power are the seam's
        self,
        decisions: Mapping[str, FloatArray],
        horizon: Horizon,  # noqa: ARG002
        it_kw: FloatArray,  # noqa: ARG002
    ) -> Trajectory:
        """Test slots made whole; at least the test's power in them, at most the flexible one elsewhere."""
        test = np.round(decisions["test"])
        most = np.maximum(self.flexible_kw, test * self.test_kw)
        return {"power_kw": np.clip(decisions["power_kw"], test * self.test_kw, most), "test": test}

    def draw_kw(self, series: Mapping[str, FloatArray]) -> FloatArray:
        """Net draw: minus the electrical output."""
        return -series["power_kw"]

    def bill(self, series: Mapping[str, FloatArray], step_h: float) -> Bill:
        """Fuel and its carbon dioxide."""
        energy_kwh = float(series["power_kw"].sum()) * step_h
        return Bill(energy_kwh * self.fuel_eur_per_kwh, energy_kwh * self.carbon_g_per_kwh)
