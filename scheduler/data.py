"""Data: datasets, their tier, replicas and the moves between sites (migrations)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Tier(StrEnum):
    """How data is used, and so where it lives (OZZO: hot in cabinets, cold in halls, frozen in vaults)."""

    HOT = "hot"
    COLD = "cold"
    FROZEN = "frozen"


@dataclass(frozen=True, slots=True)
class Storage:
    """Where a site keeps real data.

    Attributes:
        node: full name of the node.
        root: what the settings of its agent call the folder that datasets lie in.
        release: replicas that a plan has moved away are deleted here once the copy is proven.
    """

    node: str
    root: str
    release: bool = False


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset and where it is.

    Attributes:
        name: unique name.
        tier: tier it should live in. A replica on a site of another tier must migrate by ``move_by``.
        size_tb: size of one replica, decimal terabytes.
        sites: sites that hold a replica now (not empty).
        allowed_sites: sites that may hold a replica; all of them satisfy the tier rule.
        move_by: latest end of a migration that the tier asks for, or None for the end of the horizon.
        stageable: jobs that read it may run elsewhere after a copy was staged to an allowed site.
        path: its folder below the root of every storage that holds it; empty: its name.
    """

    name: str
    tier: Tier
    size_tb: float
    sites: tuple[str, ...]
    allowed_sites: tuple[str, ...]
    move_by: datetime | None = None
    stageable: bool = False
    path: str = ""

    @property
    def folder(self) -> str:
        """Its folder below a root."""
        return self.path or self.name
