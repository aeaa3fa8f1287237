"""Sections of the page on results: headline, figures, energy, network, events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sim.record import RunRecord
from sim.report.axes import Clock, Figure
from sim.report.energy_figures import balance_figure, charge_figure, event_figure, limit_figure, shown_flows
from sim.report.extremes import Extreme, extremes
from sim.report.frames import event_limit_kw, events, site_names
from sim.report.markup import figure, note, section, table, tabs, text
from sim.report.network_figures import loading_figure, voltage_figure
from sim.report.summary import summary
from sim.report.tables import ROWS, gain_word, number, penalty_kinds, policy_words, without_penalty
from sim.report.words import PARTS, part_words, worst_number, worst_words

EVENTS_DRAWN = 6
"""At most so many events get a picture of their own; all are in the table."""


@dataclass(slots=True)
class Page:
    """What the sections share while a page is made.

    Attributes:
        record: the run; figures: its summary; clock: of the time axes.
        pictures: pictures by name, filled by the sections.
    """

    record: RunRecord
    figures: dict[str, Any]
    clock: Clock
    pictures: dict[str, Figure] = field(default_factory=dict)

    @classmethod
    def of(cls, record: RunRecord) -> Page:
        """An empty page of a record."""
        return cls(record, summary(record), Clock.of(record.scenario.horizon, record.scenario.time_zone))

    def picture(self, name: str, spec: Figure | None, label: str, caption: str = "") -> str:
        """Keep a picture and return its place; nothing when there is none."""
        if spec is None:
            return ""
        self.pictures[name] = spec
        return figure(name, label, caption)


def gain_words(figures: dict[str, Any]) -> str:
    """What the plan gained against the baselines, in words; a share only of a baseline that costs something.

    What is penalty is named, because a baseline does not react to an event and does not plan for a contract.
    """
    parts = []
    for name, gain in figures["better_than"].items():
        costs = figures["baselines"][name]["objective_eur"] > 0
        share = f" ({abs(gain['percent']):.1f}\u00a0%)" if costs and gain["percent"] is not None else ""
        words = f"EUR\u00a0{number(abs(gain['eur']), 2)}{share} {gain_word(gain['eur'])} than {policy_words(name)}"
        rest = without_penalty(gain)
        if rest is not None and 0 <= rest < gain["eur"]:
            words += f" (EUR\u00a0{number(gain['eur'] - rest, 2)} of it {penalty_kinds(gain).removesuffix('ies')}y)"
        elif rest is not None:
            words += f" (without {penalty_kinds(gain)} EUR\u00a0{number(abs(rest), 2)} {gain_word(rest)})"
        parts.append(words)
    return " and ".join(parts)


def penalty_words(figures: dict[str, Any]) -> str:
    """The gains without penalties, in a sentence; empty when there is no penalty in them."""
    rests = {name: without_penalty(gain) for name, gain in figures["better_than"].items()}
    found = [
        f"EUR\u00a0{number(abs(rest), 2)} {gain_word(rest)} than {policy_words(name)}"
        for name, rest in rests.items()
        if rest is not None
    ]
    if not found:
        return ""
    contracts = any(abs(gain["contracts_eur"]) >= 0.005 for gain in figures["better_than"].values())
    why = "do not react to events and do not plan for contracts" if contracts else "do not react to events"
    so = "their penalties differ" if contracts else "pay their penalties"
    return f"The baselines {why} and so {so}; without them the plan is {' and '.join(found)}."


def headline_words(figures: dict[str, Any]) -> str:
    """The headline: what the run came to."""
    if figures["interrupted"]:
        return f"Interrupted in phase “{figures['interrupted']}”: this page shows what was done until then"
    if figures["verdict"] is None:
        return "No plan was made"
    name = policy_words(figures["policy"])
    if figures["verdict"] == "failed":
        return f"The {name} failed its rehearsal: nothing may be commanded with it"
    gains = gain_words(figures)
    return f"The {name} passed its rehearsal and is {gains}" if gains else f"The {name} passed its rehearsal"


def header(page: Page) -> str:
    """Headline, lead and the four figures that matter most."""
    figures, clock, horizon = page.figures, page.clock, page.record.scenario.horizon
    when = f"{clock.words(horizon.start)} to {clock.words(horizon.end)} {horizon.start:%Y}, {clock.zone}"
    over = f"{figures['name']} · {when} · seed {figures['seed']} · ozzo {figures['version']}"
    lead = []
    if figures["objective_eur"] is not None and figures["better_than"]:
        lead.append(
            "The comparison is on the weighted objective (energy, carbon, peak, wear, work not done), as realised in the "
            "simulation on the same input and seed; a negative objective earns money."
        )
        lead += [words] if (words := penalty_words(figures)) else []
    if figures["gap"] is not None:
        lead.append(f"The first plan is proven to lie within {100 * figures['gap']:.2f} % of the best possible one.")
    if figures["violations"]:
        lead.append(f"Broken rules: {len(figures['violations'])}; see the rehearsal below for what to change.")
    tiles = "".join(
        f'<div class="tile"><b{kind}>{text(value)}</b><span>{text(label)}</span></div>' for value, label, kind in _tiles(figures)
    )
    about = figures["title"][:1].upper() + figures["title"][1:]
    intro = " ".join([f"{about.rstrip('.')}.", *lead])
    notes = "".join(f'<p class="note">{text(words)}</p>' for words in figures["notes"])
    return (
        f'<header><p class="over">{text(over)}</p><h1>{text(headline_words(figures))}</h1>'
        f'<p class="lead">{text(intro)}</p>{notes}<div class="tiles">{tiles}</div>'
    )


def _tiles(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    tiles = []
    if figures["verdict"]:
        tiles.append(
            (figures["verdict"], "verdict of the rehearsal", f' class="{"good" if figures["verdict"] == "passed" else "bad"}"')
        )
    if figures["objective_eur"] is not None:
        tiles += [
            (f"{number(figures['objective_eur'], 2)} EUR", "weighted objective, realised", ""),
            (f"{number(figures['carbon_kg'], 1)} kg", "carbon, average intensity", ""),
            (f"{number(figures['peak_kw'], 1)} kW", "peak import, sum of sites", ""),
            (f"{figures['deadline_misses']} of {figures['jobs']}", "jobs missed their deadline", ""),
        ]
    return tiles


def summary_section(page: Page) -> str:
    """The plan beside the baselines."""
    figures, names = page.figures, list(page.figures["baselines"])
    rows = [
        [
            f"{label} ({unit})",
            number(figures[key], decimals),
            *(number(figures["baselines"][name][key], decimals) for name in names),
        ]
        for key, label, unit, decimals in ROWS
    ]
    head = ["", policy_words(figures["policy"]), *(policy_words(name) for name in names)]
    body = note("Same input, same seed; every figure is what the simulation realised, not what was planned.")
    body += table(head, rows, numeric=range(1, len(head)), own=1)
    found = {part for entry in (figures, *figures["baselines"].values()) for part in entry["breakdown_eur"] or {}}
    parts = [part for part in PARTS if part in found] + sorted(found - set(PARTS))
    if parts:
        money = [
            [
                part_words(part),
                *(number((entry["breakdown_eur"] or {}).get(part), 2) for entry in (figures, *figures["baselines"].values())),
            ]
            for part in parts
        ]
        if any(any(value not in {"0.00", "–"} for value in row[1:]) for row in money):  # noqa: RUF001
            money = [row for row in money if any(value not in {"0.00", "–"} for value in row[1:])]  # noqa: RUF001
        body += "<h3>Parts of the weighted objective (EUR)</h3>\n"
        body += table(["part", *head[1:]], money, numeric=range(1, len(head)), own=1)
    return section("Plan and baselines", body, long=True)


def balance_section(page: Page) -> str:
    """Power balance of all sites and of each."""
    flows, kind = shown_flows(page.record)
    if flows is None:
        return ""
    label = f"power balance, {kind}: supply stacked above zero, use below"
    body = note(
        f"Where power came from (above zero) and where it went (below), {kind}. The two stacks are equal in every slot. "
        "The dotted line is sun and wind that was available and not used."
    )
    names = site_names(page.record)
    if len(names) > 1:
        choices = [("balance", "all sites"), *((f"balance-{s}", name) for s, name in enumerate(names))]
        body += tabs("balance", choices)
        for s in range(len(names)):
            page.pictures[f"balance-{s}"] = balance_figure(page.record, flows, page.clock, s)
    body += page.picture("balance", balance_figure(page.record, flows, page.clock, None), label)
    return section("Power balance", body)


def limits_section(page: Page) -> str:
    """Plan against connection limits."""
    if not page.record.plans and page.record.outcome is None:
        return ""
    words = "Net power at each connection; import above zero, export below. Limits hold for 15-minute means."
    if not np.isnan(event_limit_kw(page.record)).all():
        words += " Shaded: a demand-response event."
    label = "net power at each connection, planned and realised, against its limits"
    return section(
        "Plan against connection limits", note(words) + page.picture("limits", limit_figure(page.record, page.clock), label)
    )


def charge_section(page: Page) -> str:
    """State of charge."""
    spec = charge_figure(page.record, page.clock)
    if spec is None:
        return ""
    words = "Energy in the cells of each battery: realised (full line) and planned (dashed)."
    if any(site.battery and site.battery.reserve_soc_kwh > 0 for site in page.record.scenario.sites):
        words += " The dotted reserves stay."
    words += " Click a site in the legend to hide it, twice to see it alone."
    return section("State of charge", note(words) + page.picture("charge", spec, "state of charge of every battery"))


def _worst_words(name: str, worst: Extreme | None, clock: Clock, *, unit: str, decimals: int) -> str:
    if worst is None:
        return ""
    return f"{name} {worst.value:.{decimals}f} {unit} at {worst.element}, {clock.words(worst.when)}"


def network_section(page: Page) -> str:
    """Voltage and loading."""
    record, clock = page.record, page.clock
    outcome = record.outcome
    if outcome is None or outcome.network is None:
        return ""
    worst, rules = extremes(outcome.network), record.scenario.rehearsal
    volts = (
        _worst_words("Lowest", worst.get("voltage_low_pu"), clock, unit="pu", decimals=4),
        _worst_words("highest", worst.get("voltage_high_pu"), clock, unit="pu", decimals=4),
    )
    load = (
        _worst_words("Transformer: highest", worst.get("transformer_loading_pct"), clock, unit="%", decimals=1),
        _worst_words("line: highest", worst.get("line_loading_pct"), clock, unit="%", decimals=1),
    )
    behind = f" ({record.scenario.network.name})" if record.scenario.network else ""
    body = note(
        f"AC power flow over the electrical network{behind} on the realised injections, "
        f"means of {outcome.network.horizon.step_s / 60:g} minutes, {len(outcome.network.bus_names)} buses, "
        f"{len(outcome.network.line_names)} lines. Limits: {rules.voltage_low_pu:g} to {rules.voltage_high_pu:g} pu "
        f"and {rules.loading_limit_pct:g} % of rated current."
    )
    if outcome.phases is not None:
        named = ", ".join(f"{worst_words(name)} {worst_number(name, value)}" for name, value in outcome.phases.items())
        body += note(f"Single phases, judged by EN 50160: {named}.")
    body += "<h3>Voltage</h3>\n" + page.picture(
        "voltage", voltage_figure(record, clock), "lowest and highest voltage over the day", "; ".join(filter(None, volts)) + "."
    )
    body += "<h3>Loading</h3>\n" + page.picture(
        "loading",
        loading_figure(record, clock),
        "highest loading of lines and transformers over the day",
        "; ".join(filter(None, load)) + ".",
    )
    return section("Electrical network", body)


def events_section(page: Page) -> str:
    """Demand-response events: baseline, target, delivery."""
    found, clock = events(page.record), page.clock
    if not found:
        return ""
    delivered = {(entry["event"], entry["site"], entry["start"]): entry for entry in page.figures["events"]}
    body = note(
        "A limit on the net import of one site for a period. Delivery is the baseline minus what was realised, as means; "
        "worst is the highest 15-minute mean. Without a plan that did not know the event there is no baseline: not stated."
    )
    rows, methods = [], []
    for event in found:
        proof = delivered.get((event.name, event.site, f"{event.start:%Y-%m-%dT%H:%M:%SZ}"))
        figures = [
            proof[key] if proof else None for key in ("baseline_kw", "actual_kw", "worst_kw", "delivered_kw", "shortfall_kwh")
        ]
        period = f"{clock.short(event.start)} to {clock.short(event.end)}"
        cells = [number(value, 2) for value in (figures[0], event.limit_kw, *figures[1:])]
        if proof and proof["baseline_kw"] is None:
            cells[0] = cells[4] = "not stated"
        rows.append([event.name, event.site, period, *cells])
        methods.append(f"Baseline: {proof['baseline_method']}." if proof else "Nothing was realised in this period.")
    head = [
        "event",
        "site",
        "period",
        "baseline kW",
        "target kW",
        "realised kW",
        "worst kW",
        "delivered kW",
        "short kWh",
    ]
    body += table(head, rows, numeric=range(3, 9), firm=[0, 2])
    for k, event in enumerate(found[:EVENTS_DRAWN]):
        body += f"<h3>{text(event.name)} at {text(event.site)}</h3>\n"
        spec = event_figure(page.record, event, clock)
        body += page.picture(f"event-{k}", spec, f"net import of {event.site} around event {event.name}", methods[k])
    if len(found) > EVENTS_DRAWN:
        body += note(f"{len(found) - EVENTS_DRAWN} further events are only in the table.")
    return section("Demand-response events", body, long=True)
