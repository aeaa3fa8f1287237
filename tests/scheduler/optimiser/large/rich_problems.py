"""Random small problems whose energy side has more than a case can say, and what sites share; one seed gives one problem."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from grid.assets.biogas import BiogasChp
from grid.assets.charging import ChargingFleet
from grid.assets.charging_sessions import Session
from grid.assets.generator import Generator
from grid.assets.heat_reuse import HeatReuse
from grid.assets.wear import DepthWear
from grid.series import Series
from scheduler.asset_runs import PlacedAsset
from scheduler.network_limits import ElementKind, NetworkCut
from scheduler.problem import GroupLimit, Problem, WindowPeak
from scheduler.scenario import PlanningSettings
from scheduler.sleep import Sleep, Sleepers
from tests.scheduler.optimiser.large.random_problems import random_problem

KINDS = (
    "heat",
    "charging",
    "biogas",
    "generator",
    "wear",
    "dear export",
    "window peak",
    "sleep",
    "group",
    "cut",
    "negative price",
)


def rich_problem(seed: int, planning: PlanningSettings, kinds: tuple[str, ...] = KINDS) -> Problem:
    """A random problem with one to three of ``kinds``, each at a random site (draws of its own)."""
    rng = np.random.default_rng([seed, 4])
    problem = random_problem(seed, planning)
    if not {"group", "cut"}.isdisjoint(kinds):
        problem = replace(problem, feeders=())  # what sites share is of one kind here
    for kind in rng.choice(kinds, int(rng.integers(1, min(3, len(kinds)) + 1)), replace=False):
        problem = ADD[str(kind)](rng, problem, int(rng.integers(len(problem.sites))))
    return problem


def _with_asset(problem: Problem, site: int, asset: HeatReuse | ChargingFleet | BiogasChp | Generator) -> Problem:
    return replace(problem, assets=(*problem.assets, PlacedAsset(site, asset)))


def _heat(rng: np.random.Generator, problem: Problem, site: int) -> Problem:
    """A heat pump on the heat of nodes, with a buffer or without."""
    demand = Series.on(problem.horizon, [float(kw) for kw in rng.uniform(0.0, 3.0, problem.horizon.slots)], "kW", "test demand")
    buffer = float(rng.choice([0.0, 2.0]))
    share, idle, earns = (float(rng.uniform(low, high)) for low, high in ((0.5, 1.0), (0.0, 1.0), (0.03, 0.15)))
    pump = HeatReuse("heat", share, 30.0, 60.0, 0.5, 3.0, demand, idle, buffer_kwh=buffer, heat_eur_per_kwh=earns)
    return _with_asset(problem, site, pump)


def _charging(rng: np.random.Generator, problem: Problem, site: int) -> Problem:
    """One to four cars; some may give back."""
    slots, cars = problem.horizon.slots, []
    for k in range(int(rng.integers(1, 5))):
        arrival = int(rng.integers(0, slots - 2))
        stay = int(rng.integers(2, slots - arrival + 1))
        power = float(rng.uniform(0.5, 2.0))
        energy = 0.9 * power * float(rng.uniform(0.3, 0.9)) * stay
        gives = float(rng.choice([0.0, 1.0]))
        cars.append(Session(f"car{k}", arrival, arrival + stay, energy, power, discharge_kw=gives, consent=gives > 0.0))
    fleet = ChargingFleet("cars", tuple(cars), 5.0, 0.9, 0.9, discharge=bool(rng.random() < 0.5), wear_eur_per_kwh=0.05)
    return _with_asset(problem, site, fleet)


def _biogas(rng: np.random.Generator, problem: Problem, site: int) -> Problem:
    """A unit that runs between part and full load."""
    gas, initial = float(rng.uniform(1.0, 4.0)), float(rng.uniform(2.0, 15.0))
    least, hours, start = float(rng.choice([0.3, 1.0])), float(rng.choice([0.0, 2.0])), float(rng.choice([0.0, 0.1]))
    unit = BiogasChp("digester", 2.0, 0.4, 0.4, gas, 20.0, 0.0, initial, least, hours, start)
    export = np.maximum(problem.export_limit_kw, 0.0)
    export[site] = np.maximum(export[site], 3.0)
    return _with_asset(replace(problem, export_limit_kw=export), site, unit)


def _generator(rng: np.random.Generator, problem: Problem, site: int) -> Problem:
    """Generators with a test run that is due, or some flexible power."""
    flexible = float(rng.choice([0.0, 1.0]))
    unit = Generator(
        "emergency", 1, 3.0, 10.0, float(rng.uniform(0.1, 0.4)), 700.0, flexible, 2.0, 1.0, 0.0, float(problem.horizon.slots)
    )
    export = problem.export_limit_kw.copy()
    export[site] = np.maximum(export[site], 3.0)
    return _with_asset(replace(problem, export_limit_kw=export), site, unit)


def _wear(rng: np.random.Generator, problem: Problem, _site: int) -> Problem:
    """Every battery wears by depth and by charge held."""
    prices = np.sort(rng.uniform(0.0, 0.2, 3))
    wear = DepthWear(tuple((1 / 3, float(price)) for price in prices), float(rng.choice([0.0, 1e-4])))
    units = tuple(None if unit is None else replace(unit, wear=wear, wear_eur_per_kwh=0.0) for unit in problem.batteries)
    return replace(problem, batteries=units)


def _dear_export(rng: np.random.Generator, problem: Problem, site: int) -> Problem:
    """Two slots in which exporting pays more than importing costs."""
    price, limit = problem.export_eur_per_kwh.copy(), problem.export_limit_kw.copy()
    slots = rng.choice(problem.horizon.slots, 2, replace=False)
    price[site, slots] = problem.import_weight_eur_per_kwh[site, slots] + rng.uniform(0.01, 0.1, 2)
    limit[site] = np.maximum(limit[site], 2.0)
    return replace(problem, export_eur_per_kwh=price, export_limit_kw=limit)


def _window_peak(rng: np.random.Generator, problem: Problem, site: int) -> Problem:
    """A charge on the import of some slots."""
    first = int(rng.integers(0, problem.horizon.slots - 2))
    slots = tuple(range(first, int(rng.integers(first + 2, problem.horizon.slots + 1))))
    peak = WindowPeak("evening", site, slots, float(rng.uniform(0.1, 1.0)), float(rng.uniform(0.0, 2.0)))
    return replace(problem, window_peaks=(*problem.window_peaks, peak))


def _group(rng: np.random.Generator, problem: Problem, _site: int) -> Problem:
    """A cap of all sites together, which binds or cannot bind at all; it leaves room for the fixed load."""
    sites, fixed = tuple(range(len(problem.sites))), problem.fixed_kw.sum(axis=0)
    cap = fixed + rng.uniform(1.0, 6.0, len(fixed)) if rng.random() < 0.7 else np.full(len(fixed), 1e3)
    return replace(problem, groups=(*problem.groups, GroupLimit("cap", sites, cap, np.full(len(fixed), np.inf))))


def _cut(rng: np.random.Generator, problem: Problem, _site: int) -> Problem:
    """Limits of a network that name all sites, the last one with hardly any effect, in random order; some cannot bind."""
    sites, cuts = np.arange(len(problem.sites)), []
    for slot in rng.choice(problem.horizon.slots, 3, replace=False):
        weight = rng.uniform(0.5, 1.0, len(sites))
        weight[-1] = rng.choice([0.0, 1e-9, 1.0])
        order = rng.permutation(sites)
        limit = float(weight @ problem.fixed_kw[:, slot]) + float(rng.choice([0.5, 2.0, 1e3]))
        effect = tuple(float(weight[s]) for s in order)
        cuts.append(NetworkCut(ElementKind.TRANSFORMER, "T", int(slot), tuple(int(s) for s in order), effect, limit))
    return replace(problem, cuts=(*problem.cuts, *cuts))


def _negative_price(rng: np.random.Generator, problem: Problem, site: int) -> Problem:
    """Three slots in which import at a site earns money, so that directions of batteries and of cars are whole."""
    price, earns = problem.import_eur_per_kwh.copy(), problem.export_eur_per_kwh.copy()
    slots = rng.choice(problem.horizon.slots, 3, replace=False)
    price[site, slots] = -rng.uniform(0.08, 0.2, 3)
    earns[site, slots] = price[site, slots] - 0.01
    return replace(problem, import_eur_per_kwh=price, export_eur_per_kwh=earns)


def _sleep(rng: np.random.Generator, problem: Problem, site: int) -> Problem:
    """All nodes of a site sleep when they have nothing to do."""
    nodes = int(problem.capacity[0, site].min() // 16)
    sleep = Sleep(300.0, 0.01, 60.0, 0.1, 120.0, 0.15)
    group = Sleepers(site, "row", sleep, float(rng.uniform(0.05, 0.2)), 16, nodes, 0, np.ones(problem.horizon.slots))
    fixed = problem.fixed_kw.copy()
    fixed[site] += problem.pue[site] * group.idle_kw * nodes
    return replace(problem, sleepers=(*problem.sleepers, group), fixed_kw=fixed)


ADD = {
    "heat": _heat, "charging": _charging, "biogas": _biogas, "generator": _generator, "wear": _wear, "dear export": _dear_export,
    "window peak": _window_peak, "sleep": _sleep, "group": _group, "cut": _cut, "negative price": _negative_price,
}  # fmt: skip
