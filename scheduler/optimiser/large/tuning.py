"""Settings of the search for a plan."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tuning:
    """Settings of the search for a plan; temperatures are shares of the mean cost of a job.

    Attributes:
        tracked: share of the time with soft limits.
        hot, cold: temperatures at the beginning and end of the tracked phase; exact_hot, exact_cold: of the exact phase.
        soft, stiff: factor on ``rho`` at the beginning and end; loose, tight: the same for the price of overload.
        jobs: most jobs taken out at once.
        flex: part of a battery's power that may leave its schedule in the exact phase.
        adopted: share of a job that the fractional plan must have at one site for its place to be taken over.
        bump: how much of an overload's price becomes lasting in each late round.
        fade: how much of the lasting price of overload is left after a round.
        cleans: how often in the tracked phase a plan without overload is made from where the search is.
        settled: share of the tracked phase after which size rows of the largest jobs have their full price.
        follow: share of the price error that the price takes over in each round.
    """

    tracked: float = 0.82
    hot: float = 0.06
    cold: float = 0.0005
    exact_hot: float = 0.005
    exact_cold: float = 0.0005
    soft: float = 0.01
    stiff: float = 1.0
    loose: float = 0.03
    tight: float = 300.0
    jobs: int = 4
    flex: float = 0.0
    follow: float = 0.2
    bump: float = 0.05
    adopted: float = 0.95
    settled: float = 0.2
    fade: float = 0.7
    cleans: float = 20.0


FEW_JOBS = 500
"""Below this many jobs prices settle and a search ends up where it can in a part of the usual time."""

MANY_JOBS = 2_000
"""From here on a sweep and a round take so long that there are few of them."""

USUAL = Tuning()
"""What is used when nothing else is asked for."""

STRICT = Tuning(bump=0.2)
"""Prices of overload that rise faster at the end: fewer dropped jobs where a thousand of them compete for a scarce resource."""

FEW_CLEANS = Tuning(cleans=5.0)
"""With many jobs a clean plan takes as long as thousands of moves."""

EXACT_FIRST = Tuning(tracked=0.25, exact_hot=0.03, bump=0.2)
"""Little time with soft limits, much with exact costs, hotter there: better on some cases, worse on others (decision 0013)."""


def tunings_for(jobs: int) -> tuple[Tuning, Tuning]:
    """Settings of the first and of the second search for so many jobs.

    Another recipe finds what the usual one does not, where there is time for both and the usual one is not at its end.
    """
    if jobs < FEW_JOBS:
        return USUAL, USUAL
    return (STRICT, EXACT_FIRST) if jobs < MANY_JOBS else (FEW_CLEANS, FEW_CLEANS)
