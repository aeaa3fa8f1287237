"""Checks of a plan's assets: every asset of the scenario has its series, and they keep its limits, each under its own name.

Stated a second time, from the parameters of the scenario alone: nothing here is called by the optimiser.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from grid.assets.biogas import BiogasChp
from grid.assets.generator import Generator
from grid.horizon import FloatArray, Horizon
from scheduler.asset_runs import AssetRun
from scheduler.outcome import Violation, ViolationKind
from sim.plan_check_charging import LIMIT_KW, Over, charging_rules
from sim.plan_check_heat import check_heat

if TYPE_CHECKING:
    from sim.plan_check import Checked

STORE_KWH = 1e-6
"""How far a store may exceed its bounds or its recursion, in any slot."""


def asset_shapes(checked: Checked) -> Iterator[Violation]:
    """Every asset of the scenario once in the plan, with the series of its kind, one finite number a slot."""
    runs = {(run.site, run.asset): run for run in checked.plan.assets}
    known = {(site.name, asset.name): asset for site in checked.scenario.sites for asset in site.assets}
    for key in sorted(set(runs) ^ set(known)) if len(runs) == len(checked.plan.assets) else [("", "")]:
        advice = f"The plan must hold each asset of the scenario once; see {key[1] or 'the assets'} of {key[0] or 'the plan'}."
        yield Violation(ViolationKind.UNKNOWN_NAME, f"{key[1]} of {key[0]}", 1.0, 0.0, "assets", None, None, advice)
    for (site, name), run in runs.items():
        asset = known.get((site, name))
        if asset is None:
            continue
        arrays = [run.draw_kw, *(run.series.get(key, np.full(0, np.nan)) for key in asset.names)]
        wrong = [values for values in arrays if values.shape != (checked.horizon.slots,) or not np.isfinite(values).all()]
        if wrong or set(run.series) != set(asset.names):
            advice = f"Give {', '.join(asset.names)} of {name}, each with {checked.horizon.slots} numbers."
            yield Violation(ViolationKind.ASSET_POWER, f"{name} of {site}", len(wrong), 0.0, "series", None, None, advice)


def check_assets(checked: Checked) -> Iterator[Violation]:
    """Worst slot of each limit of each asset."""
    runs = {(run.site, run.asset): run for run in checked.plan.assets}
    seen = checked.observation.assets if checked.observation else {}
    for site in checked.scenario.sites:
        for asset in site.assets:
            run = runs[site.name, asset.name]
            now = asset.begun(seen.get(f"{site.name}/{asset.name}", {}))
            rules = [*_limits(now, run, checked), *_bill(now, run, checked.horizon.step_h)]
            for kind, limit_name, over, tolerance, value, limit, unit, advice in rules:
                slot = int(np.argmax(over))
                if over[slot] > tolerance:
                    limits = np.broadcast_to(np.asarray(limit, dtype=np.float64), over.shape)
                    subject, moment = f"{limit_name} of {asset.name} of {site.name}", checked.time(slot)
                    yield Violation(kind, subject, float(value[slot]), float(limits[slot]), unit, moment, None, advice)


def _limits(asset: Any, run: AssetRun, checked: Checked) -> Iterator[Over]:
    """The limits of its kind."""
    if asset.kind in TIMED_CHECKS:
        it_kw = checked.plan.energy.it_kw[checked.plan.sites.index(run.site)]
        return TIMED_CHECKS[asset.kind](asset, run, checked.horizon, it_kw)
    return CHECKS[asset.kind](asset, run, checked.horizon.step_h)


def _bill(asset: Any, run: AssetRun, step_h: float) -> Iterator[Over]:
    """What the plan counts for the asset is what its trajectory owes."""
    bill = asset.bill(run.series, step_h)
    for word, unit, counted, owed in (("cost", "EUR", run.cost_eur, bill.cost_eur), ("carbon", "g", run.carbon_g, bill.carbon_g)):
        off, advice = np.array([abs(counted - owed)]), "The plan does not count what its asset owes: plan again."
        yield ViolationKind.NOT_COUNTED, word, off, 1e-6 * max(1.0, abs(owed)), np.array([counted]), owed, unit, advice


def _biogas(unit: BiogasChp, run: AssetRun, step_h: float) -> Iterator[Over]:
    power, flared, store = run.series["power_kw"], run.series["flared_kw"], run.series["store_kwh"]
    kind, on = ViolationKind.ASSET_POWER, power > LIMIT_KW
    yield kind, "draw", np.abs(run.draw_kw + power), LIMIT_KW, run.draw_kw, -power, "kW", "Its draw is minus its output."
    yield kind, "largest output", power - unit.power_kw, LIMIT_KW, power, unit.power_kw, "kW", "Run it at less power."
    low = np.where(on, unit.minimum_load * unit.power_kw - power, -power)
    yield (
        kind,
        "minimum load",
        low,
        LIMIT_KW,
        power,
        unit.minimum_load * unit.power_kw,
        "kW",
        "Run it at more power, or not at all.",
    )
    yield kind, "flare", -flared, LIMIT_KW, flared, 0.0, "kW", "Gas can be flared, not won back."
    heat = power / unit.electrical_efficiency * unit.thermal_efficiency
    off = np.abs(run.series["heat_kw"] - heat)
    yield kind, "heat", off, LIMIT_KW, run.series["heat_kw"], heat, "kW", "Its heat follows from its output."
    kind = ViolationKind.ASSET_STORE
    change = (unit.gas_kw - power / unit.electrical_efficiency - flared) * step_h
    expected = unit.initial_kwh + np.cumsum(change)
    tolerance = STORE_KWH * np.sqrt(len(power))
    advice = "Gas in the store does not follow from what comes in, is burnt and is flared."
    yield kind, "gas balance", np.abs(store - expected), tolerance, store, expected, "kWh", advice
    yield kind, "full gas store", store - unit.store_kwh, STORE_KWH, store, unit.store_kwh, "kWh", "Burn or flare more before."
    yield kind, "empty gas store", unit.lowest_kwh - store, STORE_KWH, store, unit.lowest_kwh, "kWh", "Burn less before."
    left = min(
        unit.initial_kwh if unit.final_kwh is None else unit.final_kwh,
        expected[0] - change[0] + unit.gas_kw * step_h * len(power),
    )
    yield (
        kind,
        "gas left",
        np.array([min(left, unit.store_kwh) - store[-1]]),
        tolerance,
        store[-1:],
        left,
        "kWh",
        "Burn less gas.",
    )
    least, run_h = int(np.ceil(unit.minimum_run_h / step_h - 1e-9)), np.zeros(len(power))
    short, begun = np.zeros(len(power)), -1 if unit.initially_on else None
    for t, running in enumerate([*on.tolist(), False]):
        if running and begun is None:
            begun = t
        elif not running and begun is not None:
            if t < len(power) and begun >= 0 and t - begun < least:
                short[begun], run_h[begun] = least - (t - begun), (t - begun) * step_h
            begun = None
    advice = "Let it run longer once it has started."
    yield ViolationKind.ASSET_RUN, "least run", short, 0.5, run_h, unit.minimum_run_h, "h", advice


def _generator(unit: Generator, run: AssetRun, step_h: float) -> Iterator[Over]:
    power, test = run.series["power_kw"], run.series["test"]
    kind = ViolationKind.ASSET_POWER
    most: FloatArray = np.maximum(unit.flexible_kw, np.where(test > 0.5, unit.test_kw, 0.0))
    yield kind, "draw", np.abs(run.draw_kw + power), LIMIT_KW, run.draw_kw, -power, "kW", "Its draw is minus its output."
    yield (
        kind,
        "allowed output",
        power - most,
        LIMIT_KW,
        power,
        most,
        "kW",
        "It is backup: outside its test it gives no more than that.",
    )
    least: FloatArray = np.where(test > 0.5, unit.test_kw, 0.0)
    yield kind, "test output", least - power, LIMIT_KW, power, least, "kW", "A test runs at its power."
    slots, wanted = len(test), int(np.ceil(unit.test_h / step_h - 1e-9))
    first = int(np.ceil(unit.test_from_h / step_h - 1e-9))
    last = int(np.floor(min(unit.test_to_h / step_h, slots) + 1e-9))
    due = unit.test_h > 0 and first + wanted <= last
    hours = np.array([float((test > 0.5).sum()) * step_h])
    off = np.abs(hours - (wanted * step_h if due else 0.0))
    advice = "Plan one whole test in its window."
    yield ViolationKind.ASSET_RUN, "test length", off, 1e-6, hours, wanted * step_h if due else 0.0, "h", advice
    at = np.flatnonzero(test > 0.5)
    outside = np.array([float(len(at) and (at[0] < first or at[-1] >= last or at[-1] - at[0] + 1 != len(at)))])
    yield ViolationKind.ASSET_RUN, "test window", outside, 0.5, outside, 0.0, "tests outside", advice


CHECKS: dict[str, Callable[[Any, AssetRun, float], Iterator[Over]]] = {
    "biogas": _biogas,
    "charging": charging_rules,
    "generator": _generator,
}
"""Limits of each kind of asset that are the same in every slot."""

TIMED_CHECKS: dict[str, Callable[[Any, AssetRun, Horizon, FloatArray], Iterator[Over]]] = {"heat": check_heat}
"""Limits of each kind of asset that depend on the slot or on the IT power of its site, ``[T]`` kW of jobs and transfers."""
