"""Tables for the terminal: the plan beside the baselines, and the findings of ``ozzo check``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from scheduler.contract_bill import Charge
from sim.record import RunRecord
from sim.report.charging_words import charging_sentences
from sim.report.contract_figures import WORDS as CHARGES
from sim.report.grid_capacity import overloaded_words
from sim.report.summary import summary

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

ROWS: tuple[tuple[str, str, str, int], ...] = (
    ("objective_eur", "Weighted objective", "EUR", 2),
    ("cost_eur", "Energy cost", "EUR", 2),
    ("carbon_kg", "Carbon (average intensity)", "kg", 1),
    ("import_kwh", "Imported", "kWh", 1),
    ("export_kwh", "Exported", "kWh", 1),
    ("self_used_kwh", "Sun and wind used on site", "kWh", 1),
    ("curtailed_kwh", "Curtailed", "kWh", 1),
    ("peak_kw", "Peak (sum of sites)", "kW", 2),
    ("deadline_misses", "Deadline misses", "jobs", 0),
    ("dropped", "Not done", "jobs, moves", 0),
)
"""Key, label, unit and decimals of the rows that every report shows."""

POLICY_WORDS = {
    "milp": "optimised plan",
    "fifo": "run at once",
    "wait_for_sun": "wait for sun",
    "shift_only": "cars that give nothing back",
}


def policy_words(name: str | None) -> str:
    """A policy in words; unknown names stay as they are."""
    return POLICY_WORDS.get(name or "", (name or "no plan").replace("_", " "))


def number(value: float | None, decimals: int) -> str:
    """A figure with thin groups of thousands; an en dash when there is none; never ``-0``."""
    if value is None:
        return "–"  # noqa: RUF001 - typographic dash
    text = f"{value:,.{decimals}f}"
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text


def without_penalty(gain: dict[str, Any]) -> float | None:
    """EUR of a gain that is no penalty of an event or a contract, or None when no cent of it is."""
    penalty: float = gain["event_penalty_eur"] + gain["contracts_eur"]
    return None if abs(penalty) < 0.005 else gain["eur"] - penalty


def penalty_kinds(gain: dict[str, Any]) -> str:
    """Of what kinds the penalties in a gain are."""
    kinds = [word for key, word in (("event_penalty_eur", "event"), ("contracts_eur", "contract")) if abs(gain[key]) >= 0.005]
    return f"{' and '.join(kinds)} penalties"


def gain_word(eur: float, bad: str = "worse") -> str:
    """How a difference of objectives is called."""
    return "better" if eur >= 0 else bad


def summary_table(figures: dict[str, Any]) -> Table:
    """The plan beside the baselines as a rich table."""
    from rich.markup import escape
    from rich.table import Table

    title = f"{figures['title']} (as realised in the simulation, seed {figures['seed']})"
    table = Table(title=escape(title), title_justify="left")
    table.add_column("")
    table.add_column(policy_words(figures["policy"]), justify="right", style="bold")
    for name in figures["baselines"]:
        table.add_column(policy_words(name), justify="right")
    for key, label, unit, decimals in ROWS:
        others = (number(entry[key], decimals) for entry in figures["baselines"].values())
        table.add_row(f"{label} ({unit})", number(figures[key], decimals), *others)
    return table


def _lines(figures: dict[str, Any]) -> Iterable[str]:
    for name, gain in figures["better_than"].items():
        costs = figures["baselines"][name]["objective_eur"] > 0  # a share of what a baseline earns would mislead
        share = f" ({abs(gain['percent']):.1f} %)" if costs and gain["percent"] is not None else ""
        word, rest = gain_word(gain["eur"], "WORSE"), without_penalty(gain)
        yield f"{number(abs(gain['eur']), 2)} EUR{share} {word} than {policy_words(name)} on the weighted objective"
        if rest is not None:
            yield (
                f"  without {penalty_kinds(gain)} {number(abs(rest), 2)} EUR {gain_word(rest, 'WORSE')}: the baseline pays "
                f"{number(abs(gain['eur'] - rest), 2)} EUR {'more' if gain['eur'] > rest else 'less'} of them"
                + (", for it does not plan for them" if gain["eur"] > rest else "")
            )
    if figures["gap"] is not None:
        yield f"Proven within {100 * figures['gap']:.2f} % of the best possible plan; solver: {figures['status']}"
    for event in figures["events"]:
        baseline = "not stated" if event["baseline_kw"] is None else f"{event['baseline_kw']:.2f} kW"
        yield (
            f"Event {event['event']} at {event['site']}: baseline {baseline}, "
            f"target {event['limit_kw']:.2f} kW, realised {event['actual_kw']:.2f} kW (worst quarter {event['worst_kw']:.2f} kW)"
        )
    for violation in figures["violations"]:
        yield (
            f"{violation['kind']}: {violation['subject']} {violation['value']:.4g} {violation['unit']}, "
            f"limit {violation['limit']:.4g}. {violation['advice']}"
        )
    for line in figures["contracts"]:
        if abs(line["eur"]) >= 0.005:
            words = CHARGES[Charge(line["charge"])]
            yield f"Contract {line['contract']} of {line['site']}: {words}, {number(line['eur'], 2)} EUR"
    if figures["grid_capacity"]:
        yield f"Above their rating: {overloaded_words(figures['grid_capacity'])}"
    if figures["business_case"]:
        yield f"Beside it stands a published business case, {figures['business_case']['title']}: see the report"
    if figures["interrupted"]:
        yield f"Interrupted in phase '{figures['interrupted']}'"
    yield from charging_sentences(figures["charging"]) if figures["charging"] else ()
    if figures["verdict"]:
        yield f"Verdict of the rehearsal: {figures['verdict']}"


def print_tables(record: RunRecord, console: Console) -> None:
    """Print the summary table and the sentences around it."""
    figures = summary(record)
    console.print(summary_table(figures))
    for line in _lines(figures):
        console.print(line, markup=False)
