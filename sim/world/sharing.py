"""Max-min fair sharing of links: no transfer can get more without taking from one that has no more than it.

Progressive filling (Bertsekas and Gallager, *Data Networks*, 2nd edition, section 6.5.2): all rates rise together; a transfer
stops when it has what it asked for or when a link on its way is full. A transfer crosses all its links at one rate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

FULL = 1e-12
"""Share of a link's rate that counts as nothing."""


def fair_rates(ways: Sequence[tuple[str, ...]], wanted: Sequence[float], capacity: Mapping[str, float]) -> tuple[float, ...]:
    """The max-min fair rate of each transfer.

    Args:
        ways: names of the links that each transfer crosses, each once; empty: it crosses none and gets what it wants.
        wanted: the most that each can use, in the unit of ``capacity``, not negative.
        capacity: rate of every link that is named.

    Raises:
        ValueError: not as many ways as wishes, or something negative.
    """
    if len(ways) != len(wanted) or min((*wanted, *capacity.values()), default=0.0) < 0:
        raise ValueError("fair rates: one way for each wish, nothing negative")
    rates = [0.0 if way else want for way, want in zip(ways, wanted, strict=True)]
    left = {link: capacity[link] for way in ways for link in way}
    rising = {i for i, way in enumerate(ways) if way and wanted[i] > 0}
    while rising:
        users = {link: [i for i in sorted(rising) if link in ways[i]] for link in left}
        shares = {link: left[link] / len(those) for link, those in users.items() if those}
        step = min((*shares.values(), *(wanted[i] - rates[i] for i in rising)))
        for i in rising:
            rates[i] = wanted[i] if wanted[i] - rates[i] <= step else rates[i] + step
        stuck = {i for i in rising if rates[i] >= wanted[i]}
        for link, those in users.items():
            if those:
                full = shares[link] <= step
                left[link] = 0.0 if full else max(0.0, left[link] - step * len(those))
                if full or left[link] <= FULL * capacity[link]:
                    stuck.update(those)
        rising -= stuck
    return tuple(rates)
