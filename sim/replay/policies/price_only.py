"""Price only: the cheapest run by price, blind to carbon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from grid.errors import Finding, InputError
from sim.replay.batch import Batch, Runs
from sim.replay.measure import best_contiguous
from sim.replay.policies.base import Knows


@dataclass(frozen=True, slots=True)
class PriceOnly:
    """Knows prices (day-ahead prices are public) and lengths; shows what saving money does to carbon."""

    name: ClassVar[str] = "price-only"
    knows: ClassVar[Knows] = Knows.FUTURE
    knows_length: ClassVar[bool] = True
    follows: ClassVar[str] = "price"
    heeds_machines: ClassVar[bool] = False
    pauses: ClassVar[bool] = False
    source: ClassVar[str] = (
        "Qureshi et al., 'Cutting the Electric Bill for Internet-Scale Systems', SIGCOMM 2009 (its idea, in time)"
    )

    def runs(self, batch: Batch) -> Runs:
        """One run a job, at the optimum of its cost.

        Raises:
            InputError: there is no price.
        """
        if batch.price is None:
            raise InputError([Finding("", None, "--price", "nothing", "a price series: price-only follows it")])
        return best_contiguous(batch, batch.price)
