"""Names of figures in words: parts of the objective and worst values of a rehearsal, each with its unit."""

from __future__ import annotations

UNITS = {"pct": "%", "kwh": "kWh", "kw": "kW", "pu": "pu", "eur": "EUR", "s": "s", "h": "h", "tb": "TB"}

PARTS: dict[str, str] = {
    "energy_import": "imported energy",
    "energy_export": "exported energy (revenue is negative)",
    "carbon": "carbon of imported energy and of fuel",
    "peak": "peak charge",
    "battery_wear": "battery wear",
    "event_penalty": "event penalty (import above an event's limit)",
    "unserved": "load that no source served",
    "soc_shortfall": "energy missing in batteries at the end",
    "dropped": "jobs and moves not done",
    "lateness": "lateness of jobs",
    "fixed": "fixed costs of places",
    "assets": "assets of sites: fuel, starts, upkeep, less what heat earns",
    "contracts": "contracts: energy above what they allow, and imbalance",
}
"""Parts of the objective (``scheduler.objective.PARTS``)."""

WORST: dict[str, tuple[str, str, int]] = {
    "deadline_misses": ("deadlines missed", "jobs", 0),
    "deadline_miss_share_pct": ("deadlines missed, share of the planned jobs", "%", 1),
    "balance_error_kwh": ("largest error of the energy balance in any slot", "kWh", 6),
    "unserved_kwh": ("load that no source served", "kWh", 3),
    "import_of_limit_pct": ("highest import, share of what is allowed", "%", 1),
    "event_shortfall_kwh": ("import above an event's limit", "kWh", 3),
    "job_restarts": ("restarts of jobs after node failures", "restarts", 0),
    "voltage_low_pu": ("lowest voltage of all buses", "per unit", 4),
    "voltage_high_pu": ("highest voltage of all buses", "per unit", 4),
    "phase_voltage_low_pu": ("lowest voltage of a single phase", "per unit", 4),
    "phase_voltage_high_pu": ("highest voltage of a single phase", "per unit", 4),
    "unbalance_pct": ("highest unbalance of a bus, negative over positive sequence", "%", 2),
    "line_loading_pct": ("highest loading of a line, share of rated current", "%", 1),
    "transformer_loading_pct": ("highest loading of a transformer, share of rated current", "%", 1),
}
"""Words, unit and decimals of the worst values that a rehearsal gives (``sim.rehearsal``)."""


def part_words(name: str) -> str:
    """A part of the objective in words; unknown names lose their underscores."""
    return PARTS.get(name, name.replace("_", " "))


def unit_words(name: str) -> str:
    """A name that ends with its unit, in words: ``saved_eur`` is ``saved (EUR)``."""
    words, _, unit = name.rpartition("_")
    return f"{words.replace('_', ' ')} ({UNITS[unit]})" if unit in UNITS else name.replace("_", " ")


def worst_words(name: str) -> str:
    """A worst value in words with its unit."""
    if name not in WORST:
        return unit_words(name)
    words, unit, _ = WORST[name]
    return f"{words} ({unit})"


def worst_number(name: str, value: float) -> str:
    """A worst value with the digits that matter; tiny ones as a bound, so that no exponent has to be read."""
    decimals = WORST[name][2] if name in WORST else 4
    if 0 < abs(value) < 0.5 * 10**-decimals:
        return f"below {10**-decimals:.{decimals}f}"
    return f"{value:,.{decimals}f}"
