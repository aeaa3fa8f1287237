"""``ozzo bench network``: how fast the electrical network is checked, beside pandapower, and how closely the two agree.

A measure is a function that takes a progress callback and returns figures by name; ``measures`` lists all of them, and one more
is one line there. Figures with ``_s`` are seconds on this machine; the speed-up is a ratio of two times of the same run.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TextIO

import numpy as np

from grid.horizon import Horizon
from grid.network import Network, load_network
from grid.network_scenarios import scenario_flows
from ozzo.bench.linear import measure_linear
from ozzo.bench.rows import machine

CODE = "1-LV-rural3--0-sw"
"""Low-voltage grid of SimBench with 129 buses."""
YEAR = Horizon(datetime(2016, 1, 1, tzinfo=UTC), timedelta(minutes=15), 35136)
YEAR_START = "2016-01-01T00:00"
DAY_START = "2016-01-12T00:00"
"""A winter day."""
SCENARIOS, SLOTS = 50, 96
SITE_BUSES = 5
REPEATS = 3

Progress = Callable[[str], None]
Measure = Callable[[Progress], dict[str, float]]

WORDS = {
    "year_speedup": "AC of all 35,136 slots of a year (129 buses): times faster than pandapower's run_timeseries",
    "year_s": "seconds for that year",
    "pandapower_year_s": "seconds that run_timeseries takes for it",
    "pandapower_slots": "slots of it that were measured (the rest in proportion)",
    "max_voltage_difference_pu": "largest difference in voltage to run_timeseries in these slots",
    "max_loading_difference_pct": "largest difference in line loading, percentage points",
    "second_engine_year_s": "seconds that power-grid-model (Newton-Raphson) takes for the year",
    "second_engine_difference_pu": "largest difference in voltage to power-grid-model in all slots of the year",
    "plan_check_s": f"seconds for the AC check of a plan: {SLOTS} slots, {SCENARIOS} scenarios, 129 buses",
    "three_phase_check_s": f"seconds for the check of three phases: {SLOTS} slots, 907 buses",
    "linear_voltage_p99_pu": "linear model against AC over a year of congested_feeder: 99 % of voltages within, pu",
    "linear_loading_p99_pct": "the same: 99 % of loadings within, percentage points",
}
"""What each figure is; one without words here is shown by its name."""


@dataclass(frozen=True, slots=True)
class NetworkBenchOptions:
    """What to measure.

    Attributes:
        sample: slots of the year that pandapower solves, evenly spread.
        full: pandapower solves all of them (more than six minutes).
    """

    sample: int = 1000
    full: bool = False


def measures(options: NetworkBenchOptions) -> tuple[Measure, ...]:
    """Everything that is measured, in order."""
    return (
        partial(measure_year, options),
        measure_plan_check,
        measure_three_phase,
        measure_linear,
    )


def run_measures(todo: tuple[Measure, ...], progress: Progress) -> dict[str, float]:
    """The figures of all measures.

    Raises:
        ValueError: two measures give a figure of the same name.
    """
    figures: dict[str, float] = {}
    for measure in todo:
        found = measure(progress)
        twice = figures.keys() & found.keys()
        if twice:
            raise ValueError(f"measured twice: {', '.join(sorted(twice))}")
        figures |= found
    return figures


def _seconds(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median of the seconds of some runs."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def measure_year(options: NetworkBenchOptions, progress: Progress, *, code: str = CODE) -> dict[str, float]:
    """The year of a SimBench grid by ozzo, by power-grid-model, and by pandapower's ``run_timeseries`` on a sample of slots."""
    from grid.power_grid import PowerGrid

    network = load_network(code)
    progress(f"AC power flow of {YEAR.slots} slots on {len(network.bus_names)} buses")

    def year() -> Any:
        return network.power_flow(YEAR, YEAR_START, {}, {}, confirm=0)

    result = year()
    injection = network.injection_mva(*network.households_kw(YEAR, YEAR_START), {}, {})
    progress("the same by power-grid-model")
    other = PowerGrid(network.pandapower_net)
    voltage = other.flow(injection)[0]
    second_s = _seconds(lambda: other.flow(injection), 1)
    slots = np.arange(YEAR.slots) if options.full else np.unique(np.linspace(0, YEAR.slots - 1, options.sample).astype(np.int64))
    progress(f"pandapower's run_timeseries on {len(slots)} slots of it")
    ours_s, theirs_s, vm, line = [], [], [], []
    for part in np.array_split(slots, REPEATS):  # in turn, so that a machine that slows down slows both
        ours_s.append(_seconds(year, 1))
        took, voltages, loadings = _run_timeseries(network, injection[part])
        theirs_s.append(took / len(part) * YEAR.slots)
        vm.append(voltages)
        line.append(loadings)
    return {
        "year_speedup": statistics.median(theirs / ours for theirs, ours in zip(theirs_s, ours_s, strict=True)),
        "year_s": statistics.median(ours_s),
        "pandapower_year_s": statistics.median(theirs_s),
        "pandapower_slots": float(len(slots)),
        "max_voltage_difference_pu": float(np.abs(np.vstack(vm) - result.voltage_pu[slots]).max()),
        "max_loading_difference_pct": float(np.abs(np.vstack(line) - result.line_loading_pct[slots]).max()),
        "second_engine_year_s": second_s,
        "second_engine_difference_pu": float(np.abs(voltage - result.voltage_pu).max()),
    }


def _run_timeseries(network: Network, injection_mva: Any) -> tuple[float, Any, Any]:
    """Seconds, voltages and line loadings of pandapower's own time series, every bus with a load of its own."""
    import copy
    import warnings

    import pandas as pd
    from pandapower.control import ConstControl
    from pandapower.timeseries import DFData, OutputWriter, run_timeseries

    net = copy.deepcopy(network.pandapower_net)
    columns = list(net.load.index)
    for variable, values in (("p_mw", -injection_mva.real), ("q_mvar", -injection_mva.imag)):
        source = DFData(pd.DataFrame(values, columns=columns))
        ConstControl(net, element="load", variable=variable, element_index=columns, profile_name=columns, data_source=source)
    wanted = [("res_bus", "vm_pu"), ("res_line", "loading_percent"), ("res_trafo", "loading_percent")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pandas, about how pandapower writes its tables
        OutputWriter(net, time_steps=range(2), output_path=None, log_variables=wanted)
        run_timeseries(net, time_steps=range(2), verbose=False)  # compiles what pandapower compiles
        writer = OutputWriter(net, time_steps=range(len(injection_mva)), output_path=None, log_variables=wanted)
        began = time.perf_counter()
        run_timeseries(net, time_steps=range(len(injection_mva)), verbose=False)
        took = time.perf_counter() - began
    voltage, line = (writer.output[name].to_numpy(np.float64) for name in ("res_bus.vm_pu", "res_line.loading_percent"))
    return took, voltage, line


def measure_plan_check(progress: Progress) -> dict[str, float]:
    """AC power flow of a plan's day in many scenarios: five sites with 20 kW each, drawn anew (seed 0)."""
    network = load_network(CODE)
    progress(f"AC check of {SLOTS} slots in {SCENARIOS} scenarios")
    day = Horizon(datetime(2026, 1, 12, tzinfo=UTC), timedelta(minutes=15), SLOTS)
    spread = np.linspace(1, len(network.bus_names) - 1, SITE_BUSES).astype(np.int64)
    buses = {f"site-{k}": network.bus_names[int(bus)] for k, bus in enumerate(spread)}
    draws = np.random.default_rng(0).uniform(0.0, 20.0, (SITE_BUSES, SCENARIOS, SLOTS))

    imports = dict(zip(buses, draws, strict=True))

    def check() -> object:
        return scenario_flows(network, day, DAY_START, imports, buses)

    check()
    return {"plan_check_s": _seconds(check)}


def measure_three_phase(progress: Progress) -> dict[str, float]:
    """The 55 single-phase loads of the IEEE European feeder with the shapes of SimBench's households on a winter day."""
    import warnings

    import highspy  # noqa: F401 - before pandapower, see grid.network
    from pandapower.networks import ieee_european_lv_asymmetric

    from grid.three_phase import ThreePhaseGrid, phase_faults, phase_loads

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the file's older format
        net = ieee_european_lv_asymmetric("on_peak_566")
    network = load_network(CODE)
    day = Horizon(datetime(2026, 1, 12, tzinfo=UTC), timedelta(minutes=15), SLOTS)
    households = network.households_kw(day, DAY_START)[0]
    buses, loads = phase_loads(net)
    shape = (households / households.max(axis=0))[:, np.arange(len(buses)) % households.shape[1]]
    progress(f"three phases: {SLOTS} slots, {len(net.bus)} buses")
    grid = ThreePhaseGrid(net, buses)

    def check() -> None:
        phase_faults(grid.flow(shape[:, :, None] * loads))

    check()
    return {"three_phase_check_s": _seconds(check)}


def figures_json(figures: dict[str, float]) -> str:
    """Everything, as one JSON object (keys in docs/performance.md)."""
    return json.dumps({"machine": machine(), **figures}, indent=2)


def print_figures(figures: dict[str, float], out: TextIO) -> None:
    """The figures as a table."""
    from rich.console import Console as Printer
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("figure", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("what it is")
    for name, value in figures.items():
        table.add_row(name, f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}", WORDS.get(name, ""))
    printer = Printer(file=out, highlight=False, width=None if out.isatty() else 140)
    printer.print(table)
    printer.print(f"{machine()['cores']} cores; trust the ratios.", style="dim")
