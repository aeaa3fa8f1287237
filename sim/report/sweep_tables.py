"""Tables of a sweep's page: policies with their intervals, paired tests, failed runs, and where it all comes from."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from sim.experiments.analysis import COMPARED, Comparison, Results, comparisons, summaries
from sim.experiments.stats import Interval, Summary
from sim.report.markup import bullets, facts, note, table, text
from sim.report.sweep_figures import FIGURES

TINY_P = 1e-4
MOST_FAILED = 50


def policies_table(results: Results, level: float) -> str:
    """One row a cell and policy: means with their intervals, the median with its own, and what was not done."""
    told = summaries(results, level)
    unserved = any(found["unserved_kwh"].mean > 0 for _, _, found in told)
    work = ("deadline_misses", "dropped", *(("unserved_kwh",) if unserved else ()))
    head = (
        "setting", "policy", "seeds", f"objective (EUR) [{100 * level:g} %]", "energy cost (EUR)", "carbon (kg)", "peaks (kW)",
        "late", "not done", *(("unserved (kWh)",) if unserved else ()),
    )  # fmt: skip
    rows = []
    for cell, policy, found in told:
        objective = found["objective_eur"]
        rows.append(
            (
                results.words(cell),
                policy,
                str(objective.count),
                _with_interval(objective.mean, objective.interval),
                *(_plus_minus(found[figure]) for figure in ("cost_eur", "carbon_kg", "peak_kw")),
                *(f"{found[figure].mean:.2f}" for figure in work),
            )
        )
    words = (
        f"Means over seeds; their intervals, in brackets and as ±, are Student's t at {100 * level:g} %. They say how sure a "
        "mean is, not how far single runs spread. Late and not done: jobs of a mean run. "
        + ("" if unserved else "All load was served.")
    )
    return table(head, _grouped(rows), numeric=range(2, 10), firm=(0,)) + note(words)


def spread_table(results: Results, level: float) -> str:
    """How the objective spreads over seeds: one row a cell and policy."""
    head = ("setting", "policy", "least", "5 %", "25 %", f"median [{100 * level:g} %]", "75 %", "95 %", "most", "deviation")
    rows = []
    for cell, policy, figures in summaries(results, level):
        found = figures["objective_eur"]
        low, lower, upper, high = (f"{value:.3f}" for value in found.quantiles)
        rows.append(
            (
                results.words(cell),
                policy,
                f"{found.least:.3f}",
                low,
                lower,
                _with_interval(found.median, found.median_interval),
                upper,
                high,
                f"{found.most:.3f}",
                "" if found.count == 1 else f"{found.deviation:.3f}",
            )
        )
    words = (
        "The weighted objective (EUR) over seeds: quantiles, and the standard deviation of a sample. The median's "
        "interval is from the bootstrap (2,000 resamples, percentiles)."
    )
    return f"<h3>{_title('objective_eur')}</h3>" + table(head, _grouped(rows), numeric=range(2, 10), firm=(0,)) + note(words)


def paired_tables(results: Results, reference: str, level: float) -> str:
    """Every other policy beside the reference, a table a figure."""
    head = (
        "setting", "policy", "pairs", f"difference [{100 * level:g} %]", "share", "lower / higher", "t: p (Holm)",
        "Wilcoxon: p (Holm)", "d", "rank",
    )  # fmt: skip
    parts = []
    for figure in COMPARED:
        found = comparisons(results, figure, reference, level)
        if found:
            rows = [_comparison(results, one) for one in found]
            parts.append(
                f"<h3>{_title(figure)}, less that of {text(reference)}</h3>" + table(head, _grouped(rows), numeric=range(2, 10))
            )
    words = (
        "Differences are policy minus reference on the same seed, so a negative one is less. Both tests are "
        "two-sided; p in brackets is Holm's, raised because all comparisons of the figure are looked at together. d "
        "is the mean difference over the standard deviation of the differences; rank is the rank effect, from -1 (lower "
        "in every pair) to 1. No test where nothing varies. A difference may be certain and still too small to "
        "matter, and plans within their gaps of each other differ by chance."
    )
    return "".join(parts) + note(words)


def failed_list(results: Results) -> str:
    """Runs that failed, with their reason."""
    failed = results.facts.get("failed", [])
    lines = [f"run {one['run']}: {one['why']}" for one in failed[:MOST_FAILED]]
    rest = len(failed) - MOST_FAILED
    return bullets([*lines, *([f"and {rest} more, in sweep.json"] if rest > 0 else [])])


def origin(results: Results) -> str:
    """Where the figures come from."""
    told = results.facts
    seeds = told["seeds"]
    row = results.rows[0]
    machines = sorted({str(one["machine"]) for one in results.rows})
    decides = (
        "every draw, generated jobs included" if told.get("redraw") == "everything" else "only the truth that one plan meets"
    )
    pairs: list[tuple[str, Any]] = [
        ("scenarios", ", ".join(f"{one['file']} (SHA-256 {one['sha256'][:12]}...)" for one in told["scenarios"])),
        ("parameters", "; ".join(f"{one['path']}: {', '.join(map(str, one['values']))}" for one in told["parameters"]) or "none"),
        ("seeds", f"{len(seeds)}, from {min(seeds)} to {max(seeds)}; a seed decides {decides}"),
        ("electrical network", "heeded where a scenario has one" if told.get("power_flow") else "left out"),
        ("runs", f"{len(results.rows)} finished of {told.get('runs')}"),
        ("ozzo", row["version"] or "not known"),
        ("machines", f"{', '.join(machines)}; Python {row['python']}"),
        ("computing time of the runs", f"{sum(float(one['wall_s']) for one in results.rows):.0f} s"),
    ]
    return facts(pairs)


def _grouped(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Rows with their setting only where it changes."""
    return [row if k == 0 or row[0] != rows[k - 1][0] else ("", *row[1:]) for k, row in enumerate(rows)]


def _title(figure: str) -> str:
    """A figure's words as a heading."""
    return FIGURES[figure][0].upper() + FIGURES[figure][1:]


def _with_interval(value: float, interval: Interval) -> str:
    """A value and the ends of its interval."""
    return f"{value:.3f} [{interval.low:.3f}, {interval.high:.3f}]" if isfinite(interval.low) else f"{value:.3f}"


def _plus_minus(found: Summary) -> str:
    """A mean and half the width of its interval."""
    return f"{found.mean:.2f}" if found.count == 1 else f"{found.mean:.2f} ± {found.interval.half_width:.2f}"


def _comparison(results: Results, one: Comparison) -> tuple[str, ...]:
    """A row of a paired table."""
    found = one.found
    interval = "" if found.count == 1 else f" [{found.interval.low:+.3f}, {found.interval.high:+.3f}]"
    return (
        results.words(one.cell),
        one.policy,
        str(found.count),
        f"{found.mean:+.3f}{interval}",
        "" if one.share is None else f"{one.share:+.1%}",
        f"{found.wins} / {found.losses}",
        _p(found.t_p, one.t_holm),
        _p(found.wilcoxon_p, one.wilcoxon_holm),
        "" if found.effect is None else f"{found.effect:+.2f}",
        "" if found.rank_effect is None else f"{found.rank_effect:+.2f}",
    )


def _p(own: float | None, raised: float | None) -> str:
    """A p value and the raised one."""
    if own is None or raised is None:
        return "no test"

    def short(p: float) -> str:
        """A p value with the digits that matter."""
        return f"< {TINY_P}" if p < TINY_P else f"{p:.4f}" if p < 0.1 else f"{p:.2f}"

    return f"{short(own)} ({short(raised)})"
