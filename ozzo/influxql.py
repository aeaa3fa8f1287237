"""InfluxQL queries for dashboards: the one language that InfluxDB 1.x, 2.x (database mapping) and 3.x all speak.

Grafana replaces ``$timeFilter``, ``$__interval`` and the variables ``$run`` and ``$site`` before it sends a query.
Every name in a query is written in this package and none comes from outside, so the linter's S608 is quiet here.
"""

from __future__ import annotations

from dataclasses import dataclass

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery

SOURCE_UID = "${datasource}"
"""The data source variable: no dashboard names a server."""


def where(*more: str, site: bool = True) -> str:
    """Conditions that every query has: the chosen run, the chosen sites, the chosen time."""
    parts = ['"run" =~ /^$run$/', *(['"site" =~ /^$site$/'] if site else []), *more, "$timeFilter"]
    return " AND ".join(parts)


def of_policy(policy: str) -> str:
    """Condition on the policy."""
    return f"\"policy\" = '{policy}'"


def over_time(select: str, measurement: str, *conditions: str, by: str | None = "site") -> str:
    """A series over time, one for each value of the tag ``by`` (or one in all)."""
    group = f', "{by}"' if by else ""
    chosen = where(*conditions, site=measurement not in {"network", "result"})
    return f'SELECT {select} FROM "{measurement}" WHERE {chosen} GROUP BY time($__interval){group} fill(none)'  # noqa: S608


def summed_over_sites(field: str, measurement: str, *conditions: str, sign: str = "") -> str:
    """The sum over the chosen sites of each site's mean."""
    inner = over_time(f'mean("{field}") AS "value"', measurement, *conditions)
    return f'SELECT {sign}sum("value") FROM ({inner}) WHERE $timeFilter GROUP BY time($__interval) fill(none)'  # noqa: S608


def one_value(field: str, measurement: str, *conditions: str) -> str:
    """The latest value in the chosen time."""
    return f'SELECT last("{field}") FROM "{measurement}" WHERE {where(*conditions, site=measurement != "result")}'  # noqa: S608


def rows(names: tuple[str, ...], measurement: str, *conditions: str) -> str:
    """Plain rows of fields and tags."""
    chosen = '", "'.join(names)
    return f'SELECT "{chosen}" FROM "{measurement}" WHERE {where(*conditions)}'  # noqa: S608


@dataclass(slots=True)
class InfluxQL(Dataquery):  # type: ignore[misc] # the SDK carries no types
    """A query as Grafana's InfluxDB data source stores it.

    Attributes:
        query: InfluxQL text; ref_id: letter in its panel; alias: name of the series (``$tag_site``, ``$col``).
        table: rows instead of series.
    """

    query: str
    ref_id: str
    alias: str = ""
    table: bool = False

    def to_json(self) -> dict[str, object]:
        """The query as JSON, for the encoder of the SDK."""
        value: dict[str, object] = {
            "refId": self.ref_id,
            "datasource": {"type": "influxdb", "uid": SOURCE_UID},
            "query": self.query,
            "rawQuery": True,
            "resultFormat": "table" if self.table else "time_series",
        }
        return value | ({"alias": self.alias} if self.alias else {})


class Query(Builder[Dataquery]):  # type: ignore[misc] # the SDK carries no types
    """Builder around ``InfluxQL``, as panels of the SDK expect."""

    def __init__(self, query: InfluxQL) -> None:
        self._query = query

    def build(self) -> Dataquery:
        """The query."""
        return self._query
