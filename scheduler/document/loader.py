"""Check a document, and build the scenario from it.

``check_file`` finds everything that can be found without SimBench's profiles and without models of sun and wind: YAML,
fields, units, names, times, widths, tiers, batteries, events, the files of every price, carbon, weather and measured series
over the horizon, the code or file of the network, and the buses of its sites. Only ``load_scenario`` finds an unknown
profile or turbine, and what is wrong inside a trace or a job model; buses of SimBench grids above low voltage are looked up
when the network is built.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from grid.connection import Connection
from grid.errors import Finding, InputError
from grid.feeds.live import FeedSpec
from grid.horizon import Horizon
from grid.response.event import CapacityEvent
from grid.tariff import Carbon, Tariff
from scheduler import scenario as inside
from scheduler.data import Dataset
from scheduler.document.assets import AssetMaker, build_battery
from scheduler.document.charging_maker import ChargingMaker
from scheduler.document.checks import check_places
from scheduler.document.checks_work import allowed_sites, check_work
from scheduler.document.connection_series import limit_series
from scheduler.document.context import Context, open_context
from scheduler.document.contracts import build_contracts
from scheduler.document.cooling import build_cooling, outdoor_series
from scheduler.document.fitted_errors import with_fitted_errors
from scheduler.document.jobs import scenario_jobs
from scheduler.document.mains import build_mains_faults
from scheduler.document.network import read_network
from scheduler.document.nodes import build_sleep
from scheduler.document.places import SitePart
from scheduler.document.schema_check import check_schema
from scheduler.document.settings import PlanningPart
from scheduler.document.signals import CarbonPart, PricePart
from scheduler.document.site_assets import bridged, build_assets
from scheduler.document.sources import Sources, read_sources
from scheduler.document.storage import build_storage
from scheduler.document.templates import fill_templates
from scheduler.document.tree import Tree, read_tree, shown
from scheduler.facility import FeederLine, Link, NodeGroup, Site
from scheduler.workload import Tenant

MAX_FINDINGS = 200

Progress = Callable[[str], None]


def silent(_: str) -> None:
    """Progress that nobody wants to see."""


def check_file(path: str | Path, *, environment: Mapping[str, str] = os.environ) -> list[Finding]:
    """Everything that is wrong in the document ``path``, by line; empty when it is fine (as far as ``check`` looks)."""
    tree, _, _ = _examine(path, environment)
    return _sorted(tree)


def check_notes(path: str | Path, *, environment: Mapping[str, str] = os.environ) -> tuple[list[Finding], list[str]]:
    """As ``check_file``, and what a reader should know although nothing is wrong: repairs, and answers that are stale."""
    tree, context, _ = _examine(path, environment)
    return _sorted(tree), [] if context is None else list(context.notes)


def scenario_feeds(path: str | Path, *, environment: Mapping[str, str] = os.environ) -> tuple[tuple[FeedSpec, ...], Horizon]:
    """The live feeds of the document ``path`` and its horizon, without reading any series.

    Raises:
        InputError: something in the document is wrong.
    """
    tree, context, _ = _examine(path, environment, read=False)
    if tree.findings or context is None or context.horizon is None:
        raise InputError(_sorted(tree) or [Finding(tree.file, None, "", "no scenario", "a scenario document")])
    return tuple(part.spec for part in context.document.feeds), context.horizon


def load_scenario(
    path: str | Path,
    *,
    environment: Mapping[str, str] = os.environ,
    progress: Progress = silent,
    change: Callable[[Tree], None] | None = None,
) -> inside.Scenario:
    """The scenario of the document ``path``.

    Args:
        path: the YAML file; paths in it count from its folder.
        environment: variables that paths may name (``$OZZO_DATA``).
        progress: is told in words what is being done.
        change: changes the tree before it is checked (what-if), and may add findings to it.

    Raises:
        InputError: something in the document or in a file it names is wrong; carries every finding.
    """
    progress(f"reading {path}")
    tree, context, sources = _examine(path, environment, change)
    if tree.findings or context is None or context.horizon is None:
        raise InputError(_sorted(tree) or [Finding(tree.file, None, "", "no scenario", "a scenario document")])
    for note in context.notes:
        progress(note)
    scenario = _build(context, sources, context.horizon, progress)
    if tree.findings or scenario is None:
        raise InputError(_sorted(tree))
    return scenario


def _examine(
    path: str | Path, environment: Mapping[str, str], change: Callable[[Tree], None] | None = None, *, read: bool = True
) -> tuple[Tree, Context | None, Sources]:
    """Every check that ``ozzo check`` makes; findings are in the tree."""
    tree = read_tree(path)
    if tree.data is None and tree.findings:
        return tree, None, Sources()
    if not isinstance(tree.data, dict):
        finding = Finding(
            tree.file, tree.line(()), "", shown(tree.data), "a mapping of fields to values (ozzo: 1, name: ..., ...)"
        )
        tree.findings.append(finding)
        return tree, None, Sources()
    if change is not None:
        change(tree)
        if tree.findings:
            return tree, None, Sources()
    data, origins = fill_templates(tree)
    checked = check_schema(tree, data, origins)
    context = open_context(tree, origins, checked, environment)
    if context is None:
        return tree, None, Sources()
    check_places(context)
    check_work(context)
    if not read:
        return tree, context, Sources()
    sources = read_sources(context)
    read_network(context, sources)
    return tree, context, sources


def _sorted(tree: Tree) -> list[Finding]:
    """Findings by line; of a great many only the first."""
    findings = sorted(tree.findings, key=lambda finding: (finding.line is not None, finding.line or 0, finding.field))
    if len(findings) > MAX_FINDINGS:
        rest = len(findings) - MAX_FINDINGS
        findings = [
            *findings[:MAX_FINDINGS],
            Finding(tree.file, None, "", f"at least {rest} more findings", "to be seen once these are mended"),
        ]
    return findings


def _build(context: Context, sources: Sources, horizon: Horizon, progress: Progress) -> inside.Scenario | None:
    """The scenario of a document without findings; None when building it brought one."""
    document = context.document
    progress(f"{len(document.sites)} sites: sun, wind, prices, carbon")
    sites = [_site(context, sources, part, index, horizon) for index, part in enumerate(document.sites)]
    progress("jobs")
    jobs, beyond = scenario_jobs(context, sources, horizon)
    if any(site is None for site in sites) or context.tree.findings:
        return None
    network = document.network
    return inside.Scenario(
        name=document.name,
        title=document.title,
        seed=document.seed,
        horizon=horizon,
        sites=tuple(site for site in sites if site is not None),
        links=tuple(Link(part.name, part.ends, part.rate_mbit_per_s, part.power_kw) for part in document.links),
        datasets=_datasets(context),
        jobs=jobs,
        events=_events(context, horizon),
        weights=inside.Weights(**document.weights.model_dump()),
        planning=_planning(document.planning),
        errors=inside.ErrorModel(**document.errors.model_dump()),
        rehearsal=inside.RehearsalSettings(**document.rehearsal.model_dump()),
        network=None
        if network is None
        else inside.NetworkSpec(network.simbench, profile_start(context), network.household_scale, sources.network_json),
        time_zone=document.time_zone,
        provenance=_provenance(context),
        beyond_horizon=beyond,
        business_case=document.business_case,
        tenants=tuple(Tenant(part.name, part.share) for part in document.tenants),
        feeders=tuple(
            FeederLine(
                name=part.name,
                sites=tuple(item.site for item in part.sites),
                limit_kw=part.limit_kw,
                drop_pu_per_kw=tuple(item.drop_pu_per_kw for item in part.sites),
                drop_limit_pu=part.drop_limit_pu,
            )
            for part in document.feeders
        ),
        contracts=build_contracts(context, sources, horizon),
        mains_faults=build_mains_faults(context),
    )


def profile_start(context: Context) -> str:
    """Naive local start in the profile year, ISO format."""
    network = context.document.network
    part = (network.profile_start if network else None) or context.document.horizon.start
    return part.stamp.isoformat(timespec="minutes") if part.stamp else part.written


def _site(context: Context, sources: Sources, part: SitePart, index: int, horizon: Horizon) -> Site | None:
    signals, own = context.document.signals, part.signals
    price: PricePart | None = (own and own.price) or signals.price
    average: CarbonPart | None = (own and own.carbon_average) or signals.carbon_average
    marginal: CarbonPart | None = (own and own.carbon_marginal) or signals.carbon_marginal
    if price is None or average is None:
        return None
    place = context.place("sites", index)
    maker = AssetMaker(context, sources, horizon, (own and own.weather) or signals.weather, profile_start(context))
    solar = with_fitted_errors(sources, part.solar, maker.solar(part.solar, (*place, "solar")))
    wind = with_fitted_errors(sources, part.wind, maker.wind(part.wind, (*place, "wind")))
    market, fees = sources.series[price], part.tariff
    tariff = Tariff(
        market.with_values(market.values + fees.import_fee_eur_per_mwh),
        market.with_values(market.values - fees.export_fee_eur_per_mwh),
        fees.peak_eur_per_kw,
        fees.peak_reached_kw,
    )
    weighed = marginal if marginal and context.document.weights.carbon_signal == "marginal" else average
    charging = ChargingMaker(context, horizon, part, tariff, sources.series[weighed])
    outdoor = outdoor_series(context, sources, part.cooling, (*place, "cooling"), (own and own.weather) or signals.weather)
    if part.cooling is not None and outdoor is None:
        return None
    return Site(
        name=part.name,
        tier=part.tier,
        nodes=tuple(
            NodeGroup(
                name=group.name,
                count=group.count,
                cores=group.cores,
                memory_gb=group.memory_gb,
                gpus=group.gpus,
                idle_kw=group.idle_kw,
                peak_kw=group.peak_kw,
                failsafe_kw=group.idle_kw if group.failsafe_kw is None else group.failsafe_kw,
                sleep=build_sleep(group.sleep),
            )
            for group in part.nodes
        ),
        pue=part.sizing_pue,
        cooling=None if part.cooling is None else build_cooling(part.cooling),
        outdoor_c=outdoor,
        overhead_kw=part.overhead_kw,
        solar_kw=solar,
        wind_kw=wind,
        battery=bridged(part, build_battery(part.battery) if part.battery else None),
        assets=build_assets(part, sources.series, outdoor, charging.fleet),
        connection=Connection(
            limit_series(part.connection, "import_limit_kw", horizon, context.zone),
            limit_series(part.connection, "export_limit_kw", horizon, context.zone),
            part.bus,
        ),
        tariff=tariff,
        carbon=Carbon(sources.series[average], sources.series[marginal] if marginal else None),
        storage=build_storage(part),
    )


def _datasets(context: Context) -> tuple[Dataset, ...]:
    return tuple(
        Dataset(
            name=part.name,
            tier=part.tier,
            size_tb=part.size_tb,
            sites=part.sites,
            allowed_sites=allowed_sites(context, part),
            move_by=context.moment(part.move_by, context.place("datasets", index, "move_by")),
            stageable=part.stageable,
            path=part.path or "",
        )
        for index, part in enumerate(context.document.datasets)
    )


def _events(context: Context, horizon: Horizon) -> tuple[CapacityEvent, ...]:
    events = []
    for index, part in enumerate(context.document.events):
        place = context.place("events", index)
        start, end = context.moment(part.start, (*place, "start")), context.moment(part.end, (*place, "end"))
        received = context.moment(part.received, (*place, "received"), horizon.start)
        if start is not None and end is not None and received is not None:
            events.append(CapacityEvent(part.name, part.site, start, end, part.limit_kw, part.penalty_eur_per_kwh, received))
    return tuple(events)


def _planning(part: PlanningPart) -> inside.PlanningSettings:
    """Settings of the planner."""
    given = part.model_dump()
    return inside.PlanningSettings(**{**given, "scenarios": inside.FutureSettings(**given["scenarios"])})


def _provenance(context: Context) -> tuple[str, ...]:
    part = context.document.provenance
    sentences = [f"{kind.capitalize()}: {text}" for kind in ("real", "derived", "assumed") for text in getattr(part, kind)]
    return (*sentences, *context.notes)
