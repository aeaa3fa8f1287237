"""All contracts of a scenario, sorted by what they do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from grid.connection import Connection
from grid.contracts.capacity_tariff import CapacityTariff, PeakCharge
from grid.contracts.group import GroupCap
from grid.contracts.imbalance import ImbalanceContract
from grid.contracts.limitation import CapacityLimitation
from grid.contracts.limits import ContractLimit, Direction, fold
from grid.contracts.right import TransportRight
from grid.horizon import Horizon


@dataclass(frozen=True, slots=True)
class ContractBook:
    """The contracts of a scenario; every name stands once.

    Attributes:
        rights: transport rights, at most one a site.
        limitations: capacity limitation contracts.
        groups: caps that sites share.
        tariffs: capacity tariffs, at most one a site.
        imbalances: imbalance settlements, at most one a site.
    """

    rights: tuple[TransportRight, ...] = ()
    limitations: tuple[CapacityLimitation, ...] = ()
    groups: tuple[GroupCap, ...] = ()
    tariffs: tuple[CapacityTariff, ...] = ()
    imbalances: tuple[ImbalanceContract, ...] = ()

    @property
    def of_one_site(self) -> tuple[TransportRight | CapacityLimitation, ...]:
        """Contracts that limit one site each."""
        return (*self.rights, *self.limitations)

    def site_limits(self, site: str, horizon: Horizon, known: datetime | None = None) -> tuple[ContractLimit, ...]:
        """Everything that contracts of its own limit at a site, as far as it was told by ``known`` (None: all of it)."""
        found: Iterator[ContractLimit] = (
            limit for contract in self.of_one_site if contract.site == site for limit in contract.limits(horizon)
        )
        return tuple(limit for limit in found if limit.is_known(known))

    def peak_charges(self, site: str, horizon: Horizon) -> tuple[tuple[str, PeakCharge], ...]:
        """Peaks that a site is billed for in ``horizon``, each with the name of its tariff."""
        return tuple(
            (tariff.name, charge) for tariff in self.tariffs if site in tariff.sites for charge in tariff.charges(site, horizon)
        )

    def begun(self, seen: Mapping[str, Mapping[str, float]]) -> ContractBook:
        """The contracts with the peaks that were observed since, by site and key of the charge."""
        return replace(self, tariffs=tuple(tariff.begun(seen) for tariff in self.tariffs)) if seen else self

    def connection(self, site: str, connection: Connection, horizon: Horizon) -> Connection:
        """The connection of a site, its limits nowhere above what the site's own contracts allow."""
        limits = self.site_limits(site, horizon)
        return replace(
            connection,
            import_limit_kw=fold(connection.import_limit_kw, limits, Direction.IMPORT),
            export_limit_kw=fold(connection.export_limit_kw, limits, Direction.EXPORT),
        )
