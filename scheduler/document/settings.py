"""Settings of a document: the horizon, the weights of the objective, planning, errors, rehearsal, network.

Defaults are those of the dataclasses in ``scheduler.scenario``; they are written once, there.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from scheduler import scenario
from scheduler.document.fields import Count, Part, Text, Unit, When, about

MOST_FAULTS = 100_000
"""Faults of the mains in a year beyond which a document is wrong."""

_WEIGHTS = scenario.Weights()
_PLANNING = scenario.PlanningSettings()
_FUTURES = scenario.FutureSettings()
_ERRORS = scenario.ErrorModel()
_REHEARSAL = scenario.RehearsalSettings()


class HorizonPart(Part):
    """The period that is planned, cut into slots of equal length."""

    start: Annotated[When, about("First instant of the horizon; on a full quarter of an hour.")]
    hours: Annotated[float, about("Length; a whole number of slots and of quarters of an hour.", gt=0, le=8784), Unit("h")] = 24.0
    step_minutes: Annotated[
        float, about("Length of a slot; divides 15 minutes or is a multiple of them.", ge=1, le=1440), Unit("min")
    ] = 15.0


class WeightsPart(Part):
    """What the objective weighs, by name."""

    carbon_eur_per_kg: Annotated[float, about("Price of the carbon of imported energy.", ge=0), Unit("EUR/kg")] = (
        _WEIGHTS.carbon_eur_per_kg
    )
    carbon_signal: Annotated[
        Literal["average", "marginal"], about("Carbon intensity that the objective uses; reports always state the average.")
    ] = "average"
    unserved_eur_per_kwh: Annotated[
        float, about("Least price of load that no source can serve; never below any other price.", ge=0), Unit("EUR/kWh")
    ] = _WEIGHTS.unserved_eur_per_kwh
    lateness_eur_per_h: Annotated[float, about("Price of each hour after a deadline, as realised.", ge=0), Unit("EUR/h")] = (
        _WEIGHTS.lateness_eur_per_h
    )


class FuturesPart(Part):
    """The futures (scenarios of sun, wind and load) that a two-stage plan weighs."""

    count: Annotated[Count, about("Futures that the plan weighs.", ge=2, le=100)] = _FUTURES.count
    draws: Annotated[
        Count, about("Futures that are drawn, in pairs of opposite errors, and reduced to count; even.", ge=2, le=2000)
    ] = _FUTURES.draws
    seed: Annotated[Count | None, about("Seed of the draws; the scenario's own when left out.", ge=0)] = None


class PlanningPart(Part):
    """How the planner works."""

    relative_gap: Annotated[float, about("The solver may stop at this proven gap.", ge=0, le=1), Unit("share")] = (
        _PLANNING.relative_gap
    )
    time_limit_s: Annotated[float, about("Time after which the best plan so far is taken.", gt=0), Unit("s")] = (
        _PLANNING.time_limit_s
    )
    limit_margin: Annotated[
        float, about("Share of each connection limit that the plan leaves free for forecast errors.", ge=0, le=0.9), Unit("share")
    ] = _PLANNING.limit_margin
    duration_margin: Annotated[float, about("Share added to each run time that was asked for.", ge=0, le=10), Unit("share")] = (
        _PLANNING.duration_margin
    )
    lead_slots: Annotated[Count, about("Slots between a decision and the first slot that it may change.", ge=0, le=1000)] = (
        _PLANNING.lead_slots
    )
    stability_eur_per_move: Annotated[
        float,
        about(
            "What a later plan must gain for each job that has not begun and goes to another site than in the plan in force.",
            ge=0,
        ),
        Unit("EUR"),
    ] = _PLANNING.stability_eur_per_move
    renewable_quantile: Annotated[
        float,
        about("Quantile of sun and wind that the plan counts on; 0.5 is the forecast, less is more careful.", ge=0.001, le=0.999),
        Unit("share"),
    ] = _PLANNING.renewable_quantile
    load_quantile: Annotated[
        float,
        about("Quantile of fixed load that the plan reserves; 0.5 is the forecast, more is more careful.", ge=0.001, le=0.999),
        Unit("share"),
    ] = _PLANNING.load_quantile
    duration_quantile: Annotated[
        float | None,
        about("Quantile of the true run time that the plan gives to jobs; null: the run time that was asked for.", ge=0, le=1),
        Unit("share"),
    ] = _PLANNING.duration_quantile
    chance_level: Annotated[
        float | None,
        about(
            "Probability with which net import keeps each limit of connections, contracts and feeders in a slot: margins from the"
            " forecasts' quantiles, in place of limit_margin; null: limit_margin.",
            ge=0.5,
            le=0.999,
        ),
        Unit("share"),
    ] = _PLANNING.chance_level
    coarse_factor: Annotated[
        Count | None,
        about(
            "Slots that are merged into one where the large-scale solver plans from nothing: first on these coarse slots, then on"
            " the scenario's own from there; helps where time is short for the size; divides the number of slots. The reference"
            " and milp-two-stage ignore it; null: off.",
            ge=2,
            le=1000,
        ),
    ] = _PLANNING.coarse_factor
    scenarios: Annotated[FuturesPart, about("Futures of the policy milp-two-stage.")] = FuturesPart()


class ErrorsPart(Part):
    """How the simulated truth differs from the forecast; every draw comes from the seed."""

    solar_sigma: Annotated[float, about("Standard deviation of the relative error of sun.", ge=0, le=10), Unit("share")] = (
        _ERRORS.solar_sigma
    )
    wind_sigma: Annotated[float, about("Standard deviation of the relative error of wind.", ge=0, le=10), Unit("share")] = (
        _ERRORS.wind_sigma
    )
    load_sigma: Annotated[
        float,
        about("Standard deviation of the relative error of fixed load.", ge=0, le=10),
        Unit("share"),
    ] = _ERRORS.load_sigma
    temperature_sigma_k: Annotated[
        float,
        about("Standard deviation of the error of the outdoor temperature where a site has cooling.", ge=0, le=50),
        Unit("K"),
    ] = _ERRORS.temperature_sigma_k
    error_correlation_h: Annotated[float, about("Time constant of these errors.", gt=0), Unit("h")] = _ERRORS.error_correlation_h
    duration_low: Annotated[
        float, about("Shortest true run time as a share of the one asked for.", gt=0, le=100), Unit("share")
    ] = _ERRORS.duration_low
    duration_high: Annotated[
        float, about("Longest true run time as a share of the one asked for.", gt=0, le=100), Unit("share")
    ] = _ERRORS.duration_high
    command_delay_s: Annotated[float, about("Mean delay of a command.", ge=0), Unit("s")] = _ERRORS.command_delay_s
    command_loss: Annotated[
        float, about("Probability that a command is lost on its way to a node.", ge=0, le=0.99), Unit("share")
    ] = _ERRORS.command_loss
    command_repeat_s: Annotated[float, about("Time after which a lost command is sent again.", gt=0), Unit("s")] = (
        _ERRORS.command_repeat_s
    )
    link_rate_low: Annotated[
        float,
        about("Least share of a link's rate that other traffic leaves (uniform up to 1, drawn anew each hour).", gt=0, le=1),
        Unit("share"),
    ] = _ERRORS.link_rate_low
    node_failures: Annotated[Count, about("Nodes that fail in a stressed rehearsal.", ge=0, le=10_000)] = _ERRORS.node_failures
    repair_h: Annotated[float, about("Time until a failed node is back.", ge=0), Unit("h")] = _ERRORS.repair_h
    outages_per_year: Annotated[
        float, about("Outages of the mains of each site in a year of 8760 h, in every simulated world.", ge=0, le=MOST_FAULTS)
    ] = _ERRORS.outages_per_year
    outage_minutes: Annotated[float, about("Mean length of an outage (exponential).", gt=0), Unit("min")] = _ERRORS.outage_minutes
    dips_per_year: Annotated[
        float, about("Dips of the voltage of each site below 90 % in a year, in every simulated world.", ge=0, le=MOST_FAULTS)
    ] = _ERRORS.dips_per_year
    dip_s: Annotated[float, about("Mean length of a dip (exponential).", gt=0), Unit("s")] = _ERRORS.dip_s
    restart_minutes: Annotated[
        float, about("Time until nodes that lost their power are back once there is power again.", ge=0), Unit("min")
    ] = _ERRORS.restart_minutes


class RehearsalPart(Part):
    """What a plan must survive before it may command anything."""

    stressed_runs: Annotated[Count, about("Rehearsals with errors, failures and delays.", ge=0, le=1000)] = (
        _REHEARSAL.stressed_runs
    )
    mains_outages: Annotated[
        Count, about("Outages of the mains in each stressed run, at sites and times where the plan works.", ge=0, le=1000)
    ] = _REHEARSAL.mains_outages
    deadline_miss_tolerance: Annotated[
        float,
        about(
            "Largest share of jobs late in a stressed run (none may be late in the nominal run); jobs that an injected failure"
            " of a node or of the mains hit do not count.",
            ge=0,
            le=1,
        ),
        Unit("share"),
    ] = _REHEARSAL.deadline_miss_tolerance
    voltage_low_pu: Annotated[
        float, about("Lowest voltage, 15-minute mean (EN 50160: 10 % below nominal).", gt=0, le=1), Unit("pu")
    ] = _REHEARSAL.voltage_low_pu
    voltage_high_pu: Annotated[
        float, about("Highest voltage, 15-minute mean (EN 50160: 10 % above nominal).", ge=1, le=2), Unit("pu")
    ] = _REHEARSAL.voltage_high_pu
    loading_limit_pct: Annotated[float, about("Largest loading of lines and transformers.", gt=0, le=1000), Unit("pct")] = (
        _REHEARSAL.loading_limit_pct
    )
    battery_tolerance_kwh: Annotated[
        float, about("How far a realised state of charge may leave its bounds (rounding only).", ge=0, le=1), Unit("kWh")
    ] = _REHEARSAL.battery_tolerance_kwh


class NetworkPart(Part):
    """The electrical network behind the sites: a SimBench grid with its 15-minute profiles of 2016, or a pandapower file."""

    simbench: Annotated[Text | None, about("SimBench code, for example 1-LV-semiurb4--0-sw.", min_length=1)] = None
    json_: Annotated[
        Text | None,
        about(
            "Instead: JSON file that pandapower.to_json wrote; its loads and generators are the same in every slot. With "
            "single-phase loads and zero-sequence data in it, a rehearsal judges each phase."
        ),
        Field(alias="json"),
    ] = None
    profile_start: Annotated[
        When | None,
        about("Local time in 2016 that the horizon's start maps to; that start itself when left out."),
    ] = None
    household_scale: Annotated[float, about("Factor on all loads of the network.", ge=0, le=1000), Unit("share")] = 1.0


class ProvenancePart(Part):
    """Which numbers are real, derived from real ones, or assumed; printed in every report."""

    real: Annotated[tuple[Text, ...], about("Sentences on measured or published numbers, with their source.")] = ()
    derived: Annotated[tuple[Text, ...], about("Sentences on numbers computed from real ones, and how.")] = ()
    assumed: Annotated[tuple[Text, ...], about("Sentences on assumptions.")] = ()
