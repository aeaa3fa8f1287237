"""A comparison: who is cheaper on the same seeds, how sure that is, and a picture of it.

    python docs/examples/a_comparison.py FOLDER

FOLDER holds a sweep (``ozzo sweep``, or ``a_sweep.py`` beside this file); a page and pictures are written into it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sim.experiments.analysis import comparisons, read_results
from sim.report.paper import write_pictures
from sim.report.sweep_page import sweep_html

if len(sys.argv) != 2:
    sys.exit("which sweep? Say: python docs/examples/a_comparison.py FOLDER")
folder = Path(sys.argv[1])
results = read_results(folder)
for one in comparisons(results, "objective_eur", reference="fifo"):
    found = one.found
    sure = "no test: nothing varies"
    if one.t_holm is not None:
        sure = f"p {one.t_holm:.4f} after Holm" if one.t_holm >= 1e-4 else "p below 0.0001 after Holm"
    print(
        f"{results.words(one.cell):29s} {one.policy} minus fifo: {found.mean:+.3f} EUR, "
        f"95 % interval {found.interval.low:+.3f} to {found.interval.high:+.3f}, {sure}; lower in {found.wins} of {found.count}"
    )
(folder / "report.html").write_text(sweep_html(results), encoding="utf-8")
print(f"pictures: {', '.join(path.name for path in write_pictures(results, folder / 'pictures', ('svg',)))}")
