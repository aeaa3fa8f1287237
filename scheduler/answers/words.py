"""Money, times and comparisons in the words of an answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from scheduler.answers.places import Priced
from scheduler.policies.schedule import pieces
from scheduler.problem import Problem
from scheduler.reasons import RESOURCE_WORDS, clock, span

SAME_EUR = 0.0005
"""Differences below this are told as none: half of the last digit that is shown."""

GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("energy", ("energy_import", "energy_export", "battery_wear", "soc_shortfall")),
    ("carbon", ("carbon",)),
    ("peak", ("peak",)),
    ("events", ("event_penalty",)),
    ("unserved", ("unserved",)),
    ("lateness", ("lateness",)),
    ("fixed costs", ("fixed",)),
)
"""Parts of the objective as a person thinks of them: battery wear and refilling belong to energy."""

HEADS: dict[str, str] = {
    "energy": "energy",
    "carbon": "carbon",
    "peak": "peak charge",
    "events": "event penalty",
    "unserved": "load that the connection cannot carry",
    "lateness": "lateness",
    "fixed costs": "fixed costs",
}


def eur(amount: float, *, sign: bool = False) -> str:
    """An amount with three decimals below 10 EUR and two above; never ``-0``."""
    decimals = 3 if abs(amount) < 10 else 2
    amount = round(amount, decimals) + 0.0
    return f"{amount:{'+' if sign and amount else ''}.{decimals}f} EUR"


def grouped(parts_eur: Mapping[str, float]) -> dict[str, float]:
    """Parts of the objective summed by ``GROUPS``; every group is there."""
    return {name: sum(parts_eur.get(part, 0.0) for part in members) for name, members in GROUPS}


def parts_words(parts_eur: Mapping[str, float]) -> str:
    """The groups that are not zero, for example ``energy 0.310, carbon 0.042 EUR``; empty when all are."""
    kept = [(HEADS[name], value) for name, value in grouped(parts_eur).items() if abs(value) >= SAME_EUR]
    return ", ".join(f"{name} {eur(value).removesuffix(' EUR')}" for name, value in kept) + (" EUR" if kept else "")


def when(problem: Problem, slots: tuple[int, ...]) -> str:
    """Slots as local times: ``09:00 to 11:30``, or ``3 h in 2 pieces: ...``."""
    blocks = [f"{clock(problem, start)} to {clock(problem, end)}" for start, end in pieces(slots)]
    if len(blocks) == 1:
        return blocks[0]
    shown = blocks if len(blocks) <= 3 else [*blocks[:2], "...", blocks[-1]]
    return f"{span(problem, len(slots))} in {len(blocks)} pieces: {', '.join(shown)}"


def listed(names: Iterable[str], most: int = 4) -> str:
    """Names in a row; of many the first, and how many more there are."""
    names = list(names)
    if len(names) > most + 1:
        return f"{', '.join(names[:most])} and {len(names) - most} others"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def held_words(holders: Mapping[str, tuple[str, ...]]) -> str:
    """Which resource is full, and who holds it: ``cores are held by render and train``."""
    told = []
    for resource, jobs in holders.items():
        word = RESOURCE_WORDS[resource].removeprefix("GB of ")
        verb = "is" if word == "memory" else "are"
        told.append(f"{word} {verb} held by {listed(jobs)}" if jobs else f"{word} {verb} too few there")
    return "; ".join(told)


def compared(planned: Priced, other: Priced) -> str:
    """What makes another place dearer or cheaper than the planned one."""
    difference = other.cost_eur - planned.cost_eur
    if abs(difference) < SAME_EUR:
        return "costs the same"
    before, after = grouped(planned.parts_eur), grouped(other.parts_eur)
    changes = {name: after[name] - before[name] for name in after}
    sign = 1.0 if difference > 0 else -1.0
    weight = sorted(((sign * change, name) for name, change in changes.items()), reverse=True)
    told = [f"{HEADS[name]} {eur(sign * value, sign=True)}" for value, name in weight if value >= 0.2 * abs(difference)]
    back = [f"{HEADS[name]} {eur(sign * value, sign=True)}" for value, name in weight if value <= -0.2 * abs(difference)]
    word = "dearer" if difference > 0 else "cheaper"
    return f"{word}: {', '.join(told)}" + (f", but {', '.join(back)}" if back else "")
