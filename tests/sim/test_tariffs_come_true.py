"""Capacity tariffs in the simulated world: billed as planned, over a month boundary too, and known to a later plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.contracts.book import ContractBook
from grid.contracts.capacity_tariff import CapacityTariff, TariffVersion, TariffWindow
from grid.contracts.windows import DailyWindow
from grid.horizon import Horizon
from grid.series import Series
from scheduler.build import build_problem
from scheduler.contract_bill import Charge, contract_lines
from scheduler.optimiser.policy import MilpPolicy
from scheduler.outcome import ViolationKind as K
from scheduler.placement import assign_nodes
from scheduler.scenario import Scenario
from sim.plan_check import check_plan
from sim.rehearsal import realise
from sim.world.simulated import SimulatedWorld
from tests.sim.contracts_hand import contracted
from tests.sim.test_plan_comes_true import assert_comes_true, planned

EVENING, NIGHT = DailyWindow(17 * 60, 23 * 60), DailyWindow(23 * 60, 17 * 60)


def tariff(evening_eur: float, night_eur: float, later_eur: float | None = None) -> CapacityTariff:
    """A tariff of hall b with two windows and, from 1 July 2022 on, another price of the evening."""
    versions = [
        TariffVersion(date(2020, 1, 1), (TariffWindow("evening", EVENING, evening_eur), TariffWindow("night", NIGHT, night_eur)))
    ]
    if later_eur is not None:
        versions.append(TariffVersion(date(2022, 7, 1), (TariffWindow("evening", EVENING, later_eur),)))
    return CapacityTariff("peaks", ("b",), "Europe/Amsterdam", tuple(versions))


def over_the_boundary(held: CapacityTariff, minutes: int = 15) -> Scenario:
    """Twelve hours from 18:00 local time on the last day of June 2022."""
    base = contracted(ContractBook(tariffs=(held,)), slots=12 * 60 // minutes, minutes=minutes)
    start = datetime(2022, 6, 30, 16, 0, tzinfo=UTC)
    back = base.horizon.start - start
    moved = Horizon(start, base.horizon.step, base.horizon.slots)

    def shifted(series: Series) -> Series:
        return Series(series.edges_s - back.total_seconds(), series.values, series.unit, series.source)

    sites = tuple(
        replace(
            site,
            solar_kw=None if site.solar_kw is None else shifted(site.solar_kw),
            connection=replace(
                site.connection,
                import_limit_kw=shifted(site.connection.import_limit_kw),
                export_limit_kw=shifted(site.connection.export_limit_kw),
            ),
            tariff=replace(
                site.tariff,
                import_eur_per_mwh=shifted(site.tariff.import_eur_per_mwh),
                export_eur_per_mwh=shifted(site.tariff.export_eur_per_mwh),
            ),
            carbon=replace(site.carbon, average_g_per_kwh=shifted(site.carbon.average_g_per_kwh)),
        )
        for site in base.sites
    )
    jobs = tuple(replace(job, release=job.release - back, deadline=job.deadline - back) for job in base.jobs)
    return replace(base, horizon=moved, sites=sites, jobs=jobs)


@settings(max_examples=6, deadline=None)
@given(
    evening=st.floats(0.0, 4.0),
    night=st.floats(0.0, 4.0),
    later=st.sampled_from([None, 2.0]),
    minutes=st.sampled_from([15, 30]),
)
def test_peaks_of_windows_come_true(evening: float, night: float, later: float | None, minutes: int) -> None:
    """Random prices over a month boundary: every flow and every part of the objective is realised as planned."""
    scenario = over_the_boundary(tariff(evening, night, later), minutes)
    plan = planned(scenario)
    assert check_plan(scenario, plan) == ()
    assert_comes_true(scenario, plan)


def test_the_bill_has_a_line_for_each_month() -> None:
    """Evening and night of June and the night of July: kW of the highest quarter of each; they sum to the objective's part."""
    scenario = over_the_boundary(tariff(1.0, 2.0))
    plan = planned(scenario)
    outcome = realise(scenario, plan, scenario.seed)
    step_h = scenario.horizon.step_h
    imported = outcome.energy.import_kwh / step_h
    lines = [line for line in contract_lines(scenario, scenario.horizon, imported, imported * 0.0) if line.charge is Charge.PEAK]
    june_evening, june_night, july_night = imported[1, :20].max(), imported[1, 20:24].max(), imported[1, 24:].max()
    assert [(line.contract, line.site) for line in lines] == [
        ("peaks: evening 2022-06 v1", "b"),
        ("peaks: night 2022-06 v1", "b"),
        ("peaks: night 2022-07 v1", "b"),
    ]
    assert [line.quantity for line in lines] == pytest.approx([june_evening, june_night, july_night])
    assert sum(line.eur for line in lines) == pytest.approx(june_evening + 2 * june_night + 2 * july_night)
    assert outcome.totals.breakdown_eur["peak"] == pytest.approx(sum(line.eur for line in lines))
    assert outcome.key_figures is not None
    assert outcome.key_figures.sites[1].cost_eur + outcome.key_figures.sites[0].cost_eur == pytest.approx(outcome.totals.cost_eur)


def test_a_plan_that_does_not_count_a_peak_is_refused() -> None:
    """Leaving the peak out of the objective, or a higher import in the window, is told under the name of the tariff."""
    scenario = over_the_boundary(tariff(1.0, 2.0))
    plan = planned(scenario)
    cheap = replace(plan, breakdown_eur=plan.breakdown_eur | {"peak": 0.0})
    (found,) = check_plan(scenario, cheap)
    assert (found.kind, found.subject, found.value) == (K.NOT_COUNTED, "peaks, peaks of b", 0.0)
    assert found.limit == pytest.approx(plan.breakdown_eur["peak"])


def test_a_later_plan_knows_the_peaks_so_far() -> None:
    """In the middle of the night the world tells the peak of each charge; the plan made then pays only what is above."""
    scenario = over_the_boundary(tariff(1.0, 2.0))
    plan = planned(scenario)
    world = SimulatedWorld(scenario, seed=scenario.seed, stressed=False)
    world.command(plan)
    world.advance(scenario.horizon.time(10))
    seen = world.observe(28)
    imported = plan.energy.import_kw[1]
    expected = {
        "evening 2022-06 v1": imported[:20].max(),
        "night 2022-06 v1": imported[20:24].max(),
        "night 2022-07 v1": imported[24:28].max(),
    }
    assert seen.peaks["b"] == pytest.approx(expected, abs=1e-6)
    problem = build_problem(scenario, seen)
    assert problem.window_peaks == ()  # one charge is left, over all slots: the simple peak charge
    assert (problem.peak_eur_per_kw[1], problem.peak_reached_kw[1]) == (
        2.0,
        pytest.approx(expected["night 2022-07 v1"], abs=1e-6),
    )
    rest = assign_nodes(scenario, MilpPolicy().plan(problem), seen)
    assert check_plan(scenario, rest, seen) == ()
    again = SimulatedWorld(scenario, seed=scenario.seed, stressed=False, observation=seen)
    again.command(rest)
    outcome = again.outcome()
    assert outcome.totals.breakdown_eur["peak"] == pytest.approx(rest.breakdown_eur["peak"], abs=1e-6)
    more = np.maximum(0.0, outcome.energy.import_kwh[1].max() / scenario.horizon.step_h - problem.peak_reached_kw[1])
    assert outcome.totals.breakdown_eur["peak"] == pytest.approx(2.0 * more, abs=1e-6)
    assert scenario.horizon.time(28) - scenario.horizon.start == timedelta(hours=7)
