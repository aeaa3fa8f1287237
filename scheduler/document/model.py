"""The whole document."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import BeforeValidator, Field

from scheduler.document.contracts import ContractPart
from scheduler.document.feeds import FeedPart
from scheduler.document.fields import Count, Name, Part, Text, about, custom
from scheduler.document.mains import MainsFaultPart
from scheduler.document.places import FeederPart, LinkPart, SitePart
from scheduler.document.settings import (
    ErrorsPart,
    HorizonPart,
    NetworkPart,
    PlanningPart,
    ProvenancePart,
    RehearsalPart,
    WeightsPart,
)
from scheduler.document.signals import SignalsPart
from scheduler.document.work import DatasetPart, EventPart, TenantPart, WorkloadPart
from scheduler.scenario import BusinessCase

ZONE_WORDS = "an IANA time zone such as Europe/Amsterdam"


def _zone(value: object) -> str:
    if isinstance(value, str):
        try:
            return ZoneInfo(value).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            near = difflib.get_close_matches(value[:60], sorted(available_timezones()), n=1)
            raise custom(ZONE_WORDS, near[0] if near else None) from None
    raise custom(ZONE_WORDS)


class Document(Part):
    """A scenario document."""

    ozzo: Annotated[Literal[1], about("Version of the document format.")]
    name: Annotated[Name, about("Short name; run folders carry it.")]
    title: Annotated[Text, about("One sentence for people.")] = ""
    seed: Annotated[Count, about("The one seed of every random draw.", ge=0, le=2**53)] = 1
    time_zone: Annotated[str, BeforeValidator(_zone), about("Clock of every local time in the document.")] = "Europe/Amsterdam"
    horizon: Annotated[HorizonPart, about("The period that is planned.")]
    weights: Annotated[WeightsPart, about("What the objective weighs.")] = WeightsPart()
    planning: Annotated[PlanningPart, about("How the planner works.")] = PlanningPart()
    errors: Annotated[ErrorsPart, about("How the simulated truth differs from the forecast.")] = ErrorsPart()
    rehearsal: Annotated[RehearsalPart, about("What a plan must survive.")] = RehearsalPart()
    network: Annotated[NetworkPart | None, about("The electrical network behind the sites.")] = None
    signals: Annotated[SignalsPart, about("Prices, carbon intensity, weather.")]
    feeds: Annotated[tuple[FeedPart, ...], about("Live feeds that signals may name.")] = ()
    site_templates: Annotated[
        dict[str, dict[str, Any]],
        about("Sites in part, by name; a site takes one over with 'like' and may change any of its fields."),
    ] = Field(default_factory=dict)
    sites: Annotated[tuple[SitePart, ...], about("The sites, at least one.")]
    feeders: Annotated[tuple[FeederPart, ...], about("Electrical limits that sites share; a site is on one feeder at most.")] = ()
    contracts: Annotated[tuple[ContractPart, ...], about("Contracts of sites with their grid operator, each with its kind.")] = ()
    links: Annotated[tuple[LinkPart, ...], about("Data links between sites.")] = ()
    datasets: Annotated[tuple[DatasetPart, ...], about("Datasets.")] = ()
    tenants: Annotated[tuple[TenantPart, ...], about("Tenants, each with the share of every site that its jobs may use.")] = ()
    workload: Annotated[WorkloadPart, about("Jobs.")] = WorkloadPart()
    events: Annotated[tuple[EventPart, ...], about("Demand-response events known from the start or received later.")] = ()
    mains_faults: Annotated[
        tuple[MainsFaultPart, ...], about("Outages and voltage dips at given times; no plan knows them before they happen.")
    ] = ()
    business_case: Annotated[BusinessCase | None, about("Published business case that the report puts beside the run.")] = None
    provenance: Annotated[ProvenancePart, about("Which numbers are real, derived, assumed.")] = ProvenancePart()
