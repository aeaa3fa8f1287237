"""``make bench``: what is fast, and against what.

Each row times the product and a baseline in turn (A B A B ...), in this process, and prints the median of each and of the
ratio pair by pair, so that a drifting machine does not decide. Absolute times are this machine's; quote the ratios.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parent.parent
ALMERE = ROOT / "configs" / "almere.yaml"


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison: seconds of product and baseline (medians) and baseline / product (median of pairs)."""

    what: str
    product_s: float
    baseline: str
    baseline_s: float
    ratio: float
    pairs: int


def paired(what: str, product: Callable[[], object], baseline_name: str, baseline: Callable[[], object], pairs: int) -> Row:
    """Time both in turn, after one warm-up of each."""
    product()
    baseline()
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(pairs):
        for work, times in ((product, ours), (baseline, theirs)):
            began = time.perf_counter()
            work()
            times.append(time.perf_counter() - began)
    ratio = statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
    return Row(what, statistics.median(ours), baseline_name, statistics.median(theirs), ratio, pairs)


def command(*words: str) -> Callable[[], object]:
    """A whole process."""

    def run() -> object:
        return subprocess.run([sys.executable, *words], check=True, cwd=ROOT, capture_output=True)

    return run


def command_line() -> list[Row]:
    """Start-up of the command line against Python itself."""
    main = "from ozzo.cli import main; main()"
    bare = command("-c", "pass")
    return [
        paired("ozzo --help", command("-c", main, "--help"), "python -c pass", bare, 5),
        paired("ozzo check almere.yaml", command("-c", main, "check", str(ALMERE)), "python -c pass", bare, 5),
    ]


def power_flow() -> list[Row]:
    """AC power flow of a day (96 slots) against pandapower's runpp slot by slot."""
    import pandapower as pp

    from grid.network import load_network
    from scheduler.document import load_scenario

    scenario = load_scenario(ALMERE)
    spec = scenario.network
    if spec is None or spec.simbench is None:
        return []
    network = load_network(spec.simbench)
    net = pp.from_json_string(network.grid_json)

    def day() -> object:
        return network.power_flow(scenario.horizon, spec.profile_start, {}, {}, household_scale=spec.household_scale, confirm=0)

    def slot_by_slot() -> object:
        for _ in range(scenario.horizon.slots):
            pp.runpp(net, init="results" if len(net.res_bus) else "auto", numba=False)
        return net

    return [paired("AC power flow, 96 slots, 44 buses", day, "pandapower runpp, warm started", slot_by_slot, 3)]


def planning() -> list[Row]:
    """The optimiser against the same MILP handed to HiGHS without starts, both until the same gap (HiGHS at most 60 s)."""
    from scheduler.build import build_problem
    from scheduler.document import load_scenario
    from scheduler.optimiser.compiled import compile_model
    from scheduler.optimiser.highs import Limits, solve_integer
    from scheduler.optimiser.model import build_model
    from scheduler.optimiser.policy import MilpPolicy

    problem = build_problem(load_scenario(ALMERE))
    gap = problem.settings.relative_gap
    gaps: dict[str, float] = {}

    def ours() -> None:
        gaps["ozzo"] = MilpPolicy().plan(problem).gap or 0.0

    def plain() -> None:
        answer = solve_integer(compile_model(build_model(problem)), Limits(60.0, gap))
        known = answer.objective is not None and answer.bound is not None
        gaps["HiGHS"] = (answer.objective - answer.bound) / abs(answer.objective) if known else float("inf")  # type: ignore[operator]

    row = paired("plan", ours, "plain", plain, 1)
    names = (
        f"plan almere.yaml until {gap:.1%} (reached {gaps['ozzo']:.2%})",
        f"plain HiGHS, at most 60 s (reached {gaps['HiGHS']:.2%})",
    )
    return [replace(row, what=names[0], baseline=names[1])]


def rehearsal() -> list[Row]:
    """One simulated day of the district against the same day cut into one-minute steps (reporting only)."""
    from scheduler.build import build_problem
    from scheduler.document import load_scenario
    from scheduler.placement import assign_nodes
    from scheduler.policies.fifo import Fifo
    from sim.world.simulated import SimulatedWorld

    scenario = load_scenario(ALMERE)
    plan = assign_nodes(scenario, Fifo().plan(build_problem(scenario)))

    def simulate(step: timedelta) -> Callable[[], object]:
        def run() -> object:
            world = SimulatedWorld(scenario, seed=1, stressed=False)
            world.command(plan)
            return world.outcome(step)

        return run

    return [
        paired(
            "simulate a day, reported every 15 min",
            simulate(timedelta(minutes=15)),
            "the same, reported every minute",
            simulate(timedelta(minutes=1)),
            5,
        )
    ]


def main() -> None:
    """Run every group, print a table, and write ``bench.json`` into the folder ``runs``."""
    console = Console()
    rows: list[Row] = []
    for group in (command_line, power_flow, rehearsal, planning):
        console.print(f"{group.__name__} ...")
        rows += group()
    table = Table("what", "ozzo", "baseline", "baseline takes", "baseline / ozzo", "pairs", title="medians; quote the ratios")
    for row in rows:
        table.add_row(
            row.what, f"{row.product_s:.3g} s", row.baseline, f"{row.baseline_s:.3g} s", f"{row.ratio:.3g}", str(row.pairs)
        )
    console.print(table)
    target = ROOT / "runs" / "bench.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    console.print(f"written to {target.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
