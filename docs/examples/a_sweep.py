"""A sweep from Python: the shipped sweep file with three seeds, and the mean of every policy with its interval.

    python docs/examples/a_sweep.py [FOLDER]

Run it twice with the same folder: the second time there is nothing left to do.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from ozzo.examples import shipped
from ozzo.version import __version__
from sim.experiments.analysis import read_results, summaries
from sim.experiments.sweep import run_sweep
from sim.experiments.sweep_file import load_sweep

folder = sys.argv[1] if len(sys.argv) > 1 else "sweeps/example"
sweep = load_sweep(shipped() / "sweeps" / "caution_and_battery.yaml", version=__version__)
sweep = replace(sweep, seeds=(1, 2, 3), policies=("fifo", "wait_for_sun"))
result = run_sweep(sweep, folder)
print(f"{result.done} of {result.runs} runs, {result.kept} of them from before")

results = read_results(folder)
for cell, policy, found in summaries(results):
    objective = found["objective_eur"]
    print(
        f"{results.words(cell):29s} {policy:13s} {objective.mean:.3f} EUR, "
        f"95 % interval {objective.interval.low:.3f} to {objective.interval.high:.3f}"
    )
