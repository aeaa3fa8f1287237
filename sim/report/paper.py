"""Pictures of a sweep for a paper, as SVG or PDF, drawn by matplotlib (the extra ``paper``): one column wide, text as text.

The same sweep gives the same bytes: no date, and identifiers from a fixed salt. Colours are those of Okabe and Ito, which people
with any kind of colour vision can tell apart; markers differ as well.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

from grid.errors import Finding, InputError
from sim.experiments.analysis import Results, front
from sim.report.files import write_whole
from sim.report.sweep_figures import FIGURES, MOST_CELLS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("svg", "pdf")
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
WIDTH_IN, HEIGHT_IN = 3.5, 2.6
"""Size of a picture in inches: one column of a page with two."""
LETTERS_UP = 24
"""Letters of a label that stand one above the other beside the axes."""
SETTINGS: dict[str, Any] = {
    "font.size": 7.5, "axes.titlesize": 8, "axes.linewidth": 0.6, "svg.fonttype": "none", "svg.hashsalt": "ozzo",
    "pdf.fonttype": 42, "legend.frameon": False, "legend.fontsize": 7,
}  # fmt: skip


def write_pictures(results: Results, folder: Path, formats: tuple[str, ...]) -> tuple[Path, ...]:
    """Write a picture of each figure's distribution and of each scenario's front into ``folder``; returns the files.

    Raises:
        InputError: matplotlib is not installed, or a format is not one of ``FORMATS``.
    """
    wrong = [name for name in formats if name not in FORMATS]
    if wrong:
        raise InputError([Finding("--pictures", None, "", repr(name), "svg, pdf or svg,pdf") for name in wrong])
    try:
        from matplotlib import rc_context
    except ImportError as error:
        expected = "ozzo with its extra 'paper' (pip install 'ozzo[paper]')"
        raise InputError([Finding("--pictures", None, "", "no package 'matplotlib'", expected)]) from error
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    with rc_context(SETTINGS):
        drawn = {name.removesuffix("_eur").removesuffix("_kg").removesuffix("_kw"): boxes(results, name) for name in FIGURES}
        for scenario in results.scenarios:
            drawn[f"cost-carbon-{scenario}"] = cost_carbon(results, scenario)
        for name, picture in drawn.items():
            written += [_write(picture, folder / f"{name}.{kind}", kind) for kind in formats]
    return tuple(written)


def _write(picture: Figure, path: Path, kind: str) -> Path:
    """One picture as one file, whole or not at all."""
    about = {"Date": None} if kind == "svg" else {"CreationDate": None, "ModDate": None}
    return write_whole(path, lambda part: picture.savefig(part, format=kind, metadata=about))


def _empty() -> tuple[Figure, Any]:
    """A picture with axes."""
    from matplotlib.figure import Figure

    picture = Figure(figsize=(WIDTH_IN, HEIGHT_IN), layout="constrained")
    axes = picture.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, axis="y", linewidth=0.4, color="0.88")
    axes.set_axisbelow(True)
    return picture, axes


def boxes(results: Results, figure: str) -> Figure:
    """Boxes of a figure by cell and policy: middle half, median (line), mean (point), extremes (whiskers)."""
    picture, axes = _empty()
    policies, cells = results.policies, results.cells[:MOST_CELLS]
    step = 0.8 / len(policies)
    for k, policy in enumerate(policies):
        mine = [(place, cell.column(policy, figure)) for place, cell in enumerate(cells) if policy in cell.rows]
        centres = [place + (k - (len(policies) - 1) / 2) * step for place, _ in mine]
        colour = COLOURS[k % len(COLOURS)]
        lines = {"color": colour, "linewidth": 0.8}
        mark = MARKERS[k % len(MARKERS)]
        mean = {"marker": mark, "markerfacecolor": colour, "markeredgecolor": colour, "markersize": 2.5}
        axes.boxplot(
            [values for _, values in mine], positions=centres, widths=0.8 * step, whis=(0, 100), manage_ticks=False,
            showmeans=True, meanprops=mean, boxprops=lines, whiskerprops=lines, capprops=lines,
            medianprops=lines | {"linewidth": 1.4},
        )  # fmt: skip
        axes.plot([], [], color=colour, marker=mark, markersize=3, linewidth=0.8, label=policy)
    parts = [part for cell in cells for part in results.words(cell).split(", ")]
    long = max(map(len, parts)) * len(cells) > 46  # letters that stand side by side in the width of a picture
    words = [results.words(cell).replace(", ", "\n") for cell in cells]
    axes.set_xticks(range(len(cells)), words, rotation=30 if long else 0, ha="right" if long else "center")
    axes.set_ylabel(fill(FIGURES[figure], LETTERS_UP))
    picture.legend(loc="outside upper center", ncols=min(4, len(policies)), columnspacing=1.2, handletextpad=0.4)
    return picture


def cost_carbon(results: Results, scenario: str) -> Figure:
    """Mean cost against mean carbon of a scenario; the dotted line is the front, hollow points leave something undone."""
    picture, axes = _empty()
    points, policies = front(results, scenario), results.policies
    kept = sorted((point for point in points if point.on_front), key=lambda point: point.cost_eur)
    axes.plot([point.cost_eur for point in kept], [point.carbon_kg for point in kept], ":", color="0.4", linewidth=0.9)
    for k, policy in enumerate(policies):
        mine = [point for point in points if point.policy == policy]
        colour = COLOURS[k % len(COLOURS)]
        axes.scatter(
            [point.cost_eur for point in mine], [point.carbon_kg for point in mine], s=14, marker=MARKERS[k % len(MARKERS)],
            facecolors=["none" if point.undone else colour for point in mine], edgecolors=colour, linewidths=0.8, label=policy,
        )  # fmt: skip
    if any(point.undone for point in points):
        axes.scatter([], [], s=14, facecolors="none", edgecolors="0.3", linewidths=0.8, label="hollow: undone")
    axes.set_xlabel("mean energy cost (EUR)")
    axes.set_ylabel("mean carbon of imports (kg)")
    picture.legend(loc="outside upper center", ncols=min(4, len(policies) + 1), columnspacing=1.2, handletextpad=0.4)
    return picture
