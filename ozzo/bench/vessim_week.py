"""The week of ``ozzo bench world`` in Vessim, timed: run by whatever Python has Vessim, so it imports nothing of ozzo.

``python vessim_week.py INPUT.npz REPORT.json``. The input holds ``load_w`` and ``sun_w`` (W, one value a step), ``step_s``,
``capacity_wh``, ``initial_soc``, ``min_soc``, ``c_rate``, ``sites`` (how many equal microgrids) and ``log`` (0: nothing is
recorded, 1: time series and metrics as CSV and JSON). Only ``Environment.run`` is timed, not the making of traces and microgrids.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np


def run_once(given: Any, folder: str) -> dict[str, float]:
    """One run of the native engine: its CPU seconds, its steps, and what came of the first microgrid (kWh)."""
    import pandas as pd
    import vessim

    steps, step_s = len(given["load_w"]), int(given["step_s"])
    index = step_s * np.arange(steps)
    load = vessim.Trace(pd.Series(given["load_w"], index=index, name="load"))
    sun = vessim.Trace(pd.Series(given["sun_w"], index=index, name="sun"))
    environment = vessim.Environment(sim_start="2022-06-09", step_size=step_s)
    batteries = []
    for k in range(int(given["sites"])):
        battery = vessim.SimpleBattery(
            name="battery",
            capacity=float(given["capacity_wh"]),
            initial_soc=float(given["initial_soc"]),
            min_soc=float(given["min_soc"]),
            c_rate=float(given["c_rate"]),
        )
        environment.add_microgrid(
            name=f"site-{k}",
            actors=[vessim.Consumer("load", load), vessim.Producer("sun", sun)],
            dispatchables=[battery, vessim.GridConnection()],
        )
        batteries.append(battery)
    recorder = environment.add_controller(vessim.Recorder(output=folder)) if int(given["log"]) else None
    began = time.process_time()
    result = environment.run(until=steps * step_s)
    took = time.process_time() - began
    found = {"seconds": took, "steps": float(result.steps), "soc_kwh": batteries[0].charge_level / 1000.0}
    if recorder is not None:
        metrics = recorder.metrics["microgrids"]["site-0"]
        found |= {"import_kwh": metrics["grid_import"] / 1000.0, "export_kwh": metrics["grid_export"] / 1000.0}
    return found


def main(source: str, report: str) -> None:
    """Run the week and write what it took and gave."""
    with tempfile.TemporaryDirectory() as folder:
        found = run_once(np.load(source), folder)
    Path(report).write_text(json.dumps(found | {"vessim": version("vessim")}), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
