"""Whose energy a site's load is: jobs, migrations, assets, nobody; the parts add up to what its meter counted.

At every instant the facility power of a site is ``overhead + PUE * (idle power + sum of IT powers)``. A job or a transfer answers
for PUE times the IT power that it adds. The rest (overhead, idle nodes, the error of that forecast) is shared by the jobs that
hold nodes, by the cores that they hold; while no job holds any it is nobody's. What other assets draw, less what they and
emergency generators give, is the assets'. So

    own of jobs + own of migrations + shared + nobody's + assets = load of the meter

exactly, because all are integrals of the same piecewise constant powers. A part is not counted piece by piece: two cumulative
integrals (PUE over time, rest per core over time) give it as a difference, whenever the part changes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What a part of the load may belong to."""

    JOB = "job"
    MIGRATION = "migration"


class Owner(NamedTuple):
    """A job or a migration, by name."""

    kind: Kind
    name: str


class Part(NamedTuple):
    """IT power (kW) that something adds now, and the cores that it holds."""

    it_kw: float
    cores: float


@dataclass(slots=True)
class Share:
    """What one owner answers for so far, facility kWh: of its own, and of what is shared."""

    own_kwh: float = 0.0
    shared_kwh: float = 0.0


class SiteShares:
    """Parts of the load of one site.

    Attributes:
        nobody_kwh: drawn while no job held a node; assets_kwh: net draw of assets and emergency generators.
    """

    def __init__(self) -> None:
        self.nobody_kwh = 0.0
        self.assets_kwh = 0.0
        self._pue_h = 0.0
        self._rest_per_core_kwh = 0.0
        self._now: dict[Owner, tuple[Part, float, float]] = {}
        self._it_kw: dict[Owner, float] = {}
        self._cores: dict[Owner, float] = {}
        self._known: dict[Owner, Share] = {}

    @property
    def it_kw(self) -> float:
        """IT power of all parts, whatever the order in which they came."""
        return math.fsum(self._it_kw.values())

    def set(self, parts: Mapping[Owner, Part]) -> None:
        """From now on these draw power and hold cores, and nobody else."""
        self.change({owner: parts.get(owner) for owner in (*self._now, *parts)})

    def change(self, parts: Mapping[Owner, Part | None]) -> None:
        """From now on these draw that power and hold these cores (None: nothing more); all others go on as they do."""
        for owner, part in parts.items():
            known = self._now.get(owner)
            if known is not None and known[0] == part:
                continue
            if known is not None:
                self._settle(owner)
                del self._now[owner], self._it_kw[owner], self._cores[owner]
            if part is not None:
                self._now[owner] = (part, self._pue_h, self._rest_per_core_kwh)
                self._it_kw[owner], self._cores[owner] = part

    def add(self, pue: float, it_kw: float, facility_kw: float, load_kw: float, hours: float) -> None:
        """A piece of constant powers.

        Args:
            pue: facility power per IT power.
            it_kw: IT power of all parts.
            facility_kw: facility power.
            load_kw: what the meter counts: facility power and what assets draw, less what they give.
            hours: length.
        """
        rest_kwh = (facility_kw - pue * it_kw) * hours
        self._pue_h += pue * hours
        self.assets_kwh += (load_kw - facility_kw) * hours
        cores = math.fsum(self._cores.values())
        if cores > 0:
            self._rest_per_core_kwh += rest_kwh / cores
        else:
            self.nobody_kwh += rest_kwh

    def shares(self) -> dict[Owner, Share]:
        """What everybody answers for so far."""
        for owner, (part, _, _) in list(self._now.items()):
            self._settle(owner)
            self._now[owner] = (part, self._pue_h, self._rest_per_core_kwh)
        return dict(self._known)

    def _settle(self, owner: Owner) -> None:
        part, pue_h, rest_kwh = self._now[owner]
        share = self._known.setdefault(owner, Share())
        share.own_kwh += part.it_kw * (self._pue_h - pue_h)
        share.shared_kwh += part.cores * (self._rest_per_core_kwh - rest_kwh)
