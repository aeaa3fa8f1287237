"""Published business cases beside what ozzo simulated: the figures as they are in the source, arithmetic on them, and the run.

Figures that a source gives twice are kept twice. Nothing here derives one set from another: what is scaled is shown as
arithmetic, and it does not have to meet the other set. No simulated figure is turned into money of a business case, because a
day in a simulation is no year of a region.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scheduler.outcome import Outcome
from scheduler.scenario import BusinessCase
from sim.record import RunRecord
from sim.report.grid_capacity import BEFORE
from sim.report.kpis import kpis


@dataclass(frozen=True, slots=True)
class FigureSet:
    """One published set of figures, million EUR.

    Attributes:
        name: what the report calls it; hubs: how many hubs it is of.
        capex_meur: cost of building.
        avoided_reinforcement_low_meur, avoided_reinforcement_high_meur: grid reinforcement that is not needed then; equal when
            the source gives one figure.
        avoided_cost_meur_per_year: cost of curtailment and imbalance that is avoided in a year.
        source: reference.
    """

    name: str
    hubs: int
    capex_meur: float
    avoided_reinforcement_low_meur: float
    avoided_reinforcement_high_meur: float
    avoided_cost_meur_per_year: float
    source: str

    @property
    def payback_years(self) -> float:
        """Cost of building over the cost that is avoided in a year; the avoided reinforcement is not in it."""
        return self.capex_meur / self.avoided_cost_meur_per_year

    def money(self, factor: float = 1.0) -> dict[str, float]:
        """Its amounts times a factor, for arithmetic on one set alone."""
        return {
            "capex_meur": self.capex_meur * factor,
            "avoided_reinforcement_low_meur": self.avoided_reinforcement_low_meur * factor,
            "avoided_reinforcement_high_meur": self.avoided_reinforcement_high_meur * factor,
            "avoided_cost_meur_per_year": self.avoided_cost_meur_per_year * factor,
        }


@dataclass(frozen=True, slots=True)
class Case:
    """A published business case.

    Attributes:
        title: in a few words; sets: its figures, each as published; notes: what a reader must know.
    """

    title: str
    sets: tuple[FigureSet, ...]
    notes: tuple[str, ...]


CASES: dict[BusinessCase, Case] = {
    BusinessCase.MRA_HUBS: Case(
        title="smart energy hubs in the Amsterdam region",
        sets=(
            FigureSet("A", 1, 10.0, 13.0, 20.0, 13.0, "004:2550-2574, figures of one hub"),
            FigureSet("B", 20, 160.0, 320.0, 320.0, 200.0, "004:2550-2574, figures of 20 hubs"),
        ),
        notes=(
            "20 times the figures of one hub are not those of 20 hubs, and the source does not say why (004:2559-2574).",
            "The cost avoided in a year is curtailment and imbalance; the region had no budget for the hubs (004:2550-2574).",
            "What ozzo simulated is of the scenario's own hubs, whose sizes are assumed, over its horizon only.",
            "It neither confirms nor refutes the published amounts, and none of it is in them.",
        ),
    ),
}
"""Every case that a scenario may name."""

SIMULATED: tuple[tuple[str, str, str, int], ...] = (
    ("peak_kw", "Peak import, sum of hubs", "kW", 1),
    ("group_peak_kw", "Peak import, all hubs together", "kW", 1),
    ("group_export_peak_kw", "Peak export, all hubs together", "kW", 1),
    ("curtailed_kwh", "Curtailed", "kWh", 1),
    ("curtailed_eur", "Value of what was curtailed", "EUR", 2),
    ("released_kw", "Grid capacity released, connections", "kW", 1),
    ("cost_eur", "Energy cost", "EUR", 2),
)
"""Key, label, unit and decimals of the simulated figures beside a case."""


def business_case(record: RunRecord) -> dict[str, Any] | None:
    """The scenario's business case and what was simulated, ready for JSON; None when it names none."""
    name = record.scenario.business_case
    if name is None:
        return None
    case = CASES[name]
    return {
        "case": str(name),
        "title": case.title,
        "published": [
            {"set": one.name, "hubs": one.hubs, **one.money(), "payback_years": one.payback_years, "source": one.source}
            for one in case.sets
        ],
        "arithmetic": _arithmetic(case),
        "before": _simulated(record, record.baselines.get(BEFORE)),
        "after": _simulated(record, record.outcome),
        "notes": list(case.notes),
    }


def _arithmetic(case: Case) -> list[dict[str, Any]]:
    """Each set scaled to the number of hubs of each other set; by itself, never with a figure of the other."""
    found = []
    for one in case.sets:
        for hubs in (other.hubs for other in case.sets if other.hubs != one.hubs):
            times = hubs / one.hubs
            words = f"{one.name} x {times:g}" if times > 1 else f"{one.name} / {1 / times:g}"
            found.append({"words": words, "hubs": hubs, **one.money(times)})
    return found


def _simulated(record: RunRecord, outcome: Outcome | None) -> dict[str, float] | None:
    """Simulated figures of one execution, of all hubs (sites) of the scenario."""
    found = kpis(record, outcome)
    if outcome is None or found is None:
        return None
    everything = {"hubs": len(outcome.sites), "peak_kw": outcome.totals.peak_kw, "cost_eur": outcome.totals.cost_eur}
    everything |= {"curtailed_kwh": outcome.totals.curtailed_kwh}
    everything |= {key: found[key] for key in ("group_peak_kw", "group_export_peak_kw", "curtailed_eur", "released_kw")}
    return everything
