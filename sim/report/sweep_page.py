"""The page of a sweep: one file, opens offline, drawn like the report of a run."""

from __future__ import annotations

from collections.abc import Sequence

from sim.experiments.analysis import Comparison, Results, comparisons
from sim.experiments.stats import LEVEL
from sim.report.axes import Figure
from sim.report.markup import figure, note, section, slug, tabs, text
from sim.report.page import POLICY, asset, script_json
from sim.report.sweep_figures import FIGURES, MOST_CELLS, distribution_figure, pareto_figure
from sim.report.sweep_tables import failed_list, origin, paired_tables, policies_table, spread_table

DISTRIBUTIONS = (
    "Each point is a run. A box spans the middle half of the runs; the line in it is the median, the dashed one the "
    "mean. Runs of one seed meet the same world, so compare policies by the paired tests above: boxes also spread "
    "because worlds differ."
)
FRONT = (
    "Each point is the mean over seeds of one policy at one setting. No other point beats one on the dotted front in "
    "both figures; diamonds are beaten. Hollow points leave jobs late or undone, or load unserved, and are not on the"
    " front: doing less is cheaper."
)


def sweep_html(results: Results, reference: str | None = None, level: float = LEVEL, version: str = "") -> str:
    """The page.

    Args:
        results: of the sweep, finished or not.
        reference: policy that the others are compared with; the sweep's if not given.
        level: confidence of intervals.
        version: of ozzo.

    Raises:
        InputError: no run was planned by ``reference``.
    """
    from plotly.offline import get_plotlyjs

    beside = reference or results.reference
    told = comparisons(results, "objective_eur", beside, level)
    scenarios = results.scenarios
    pictures: dict[str, Figure] = {name: distribution_figure(results, name) for name in FIGURES}
    pictures |= {f"front-{scenario}": pareto_figure(results, scenario) for scenario in scenarios}
    sections = [
        section("Policies", policies_table(results, level), long=True),
        *([section(f"Compared with {beside}", paired_tables(results, beside, level), long=True)] if told else []),
        section("Distributions", _distributions(results, level)),
        section("Cost against carbon", _fronts(scenarios)),
        *([section("Runs that failed", failed_list(results), long=True)] if results.facts.get("failed") else []),
        section("Where this comes from", origin(results), long=True),
    ]
    titles = [part.split("<h2>", 1)[1].split("</h2>", 1)[0] for part in sections]
    links = "".join(f'<a href="#{slug(title)}">{title}</a>' for title in titles)
    name = results.facts["name"]
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{text(name)}: sweep</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<style>\n{asset('page.css')}</style>\n</head>\n<body>\n"
        f"{_header(results, told, beside, level)}<nav>{links}</nav></header>\n<main>\n"
        "<noscript><p>Pictures need JavaScript; every table is readable without.</p></noscript>\n"
        f"{''.join(sections)}</main>\n<footer>Made by ozzo {text(version)} from the runs of this sweep.</footer>\n"
        f'<script type="application/json" id="figures">{script_json(pictures)}</script>\n'
        f"<script>{get_plotlyjs()}</script>\n<script>\n{asset('page.js')}</script>\n</body>\n</html>\n"
    )


def _header(results: Results, told: list[Comparison], beside: str, level: float) -> str:
    """Title, what was swept, and what came of it in sentences; the header is left open."""
    facts = results.facts
    unfinished = "" if len(results.rows) == facts.get("runs") else f" of {facts.get('runs')}: not finished"
    over = (
        f"Sweep {facts['name']}: {len(results.rows)} runs{unfinished}; {len(results.cells)} settings, "
        f"{len(results.policies)} policies, {len(facts['seeds'])} seeds"
    )
    sentences = headlines(told, beside, level)
    return f'<header><p class="over">{text(over)}</p>\n<h1>{text(facts.get("title") or facts["name"])}</h1>\n' + "".join(
        f'<p class="lead">{text(sentence)}</p>\n' for sentence in sentences
    )


def headlines(told: list[Comparison], beside: str, level: float) -> list[str]:
    """A sentence for each policy: in how many settings it is better than the reference, worse, or cannot be told apart.

    A setting counts as told apart when the interval of the mean difference leaves out 0 and Holm's t test stays below the
    complement of ``level``, or when the difference is the same in every pair.
    """
    sentences = []
    for policy in dict.fromkeys(one.policy for one in told):
        mine = [one for one in told if one.policy == policy]
        better, worse = (sum(_certain(one, level) and one.found.mean * sign > 0 for one in mine) for sign in (-1, 1))
        unknown = len(mine) - better - worse
        shares = sorted(one.share for one in mine if one.share is not None)
        words = f"{policy}: lower objective than {beside} in {better} of {len(mine)} settings, higher in {worse}"
        words += f", not told apart in {unknown}" if unknown else ""
        if len(shares) > 1:
            words += f"; from {shares[0]:+.1%} to {shares[-1]:+.1%}"
        elif shares:
            words += f"; {shares[0]:+.1%}"
        sentences.append(words + ".")
    return sentences


def _certain(one: Comparison, level: float) -> bool:
    """Whether chance is a poor explanation of a difference."""
    if one.found.t_p is None:
        return one.found.count > 1 and one.found.mean != 0.0
    return one.t_holm is not None and one.t_holm < 1.0 - level


def _distributions(results: Results, level: float) -> str:
    """The picture of distributions with a button a figure, and the objective's in numbers."""
    choices = [(name, words) for name, words in FIGURES.items()]
    cut = len(results.cells) - MOST_CELLS
    more = (
        note(f"The first {MOST_CELLS} settings are drawn; {cut} more are in the tables and in sweep.parquet.") if cut > 0 else ""
    )
    picture = tabs("objective_eur", choices) + figure("objective_eur", "Distributions by policy and setting", DISTRIBUTIONS)
    return picture + more + spread_table(results, level)


def _fronts(scenarios: Sequence[str]) -> str:
    """The picture of cost against carbon, with a button a scenario when there are several."""
    first = f"front-{scenarios[0]}"
    choices = [(f"front-{scenario}", scenario) for scenario in scenarios]
    return (tabs(first, choices) if len(choices) > 1 else "") + figure(first, "Mean cost against mean carbon", FRONT)
