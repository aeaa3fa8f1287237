"""The front of cost against carbon on problems whose front is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scheduler.answers.pareto import Front, Point, beaten, carbon_prices, front, kg_per_eur
from scheduler.build import build_problem
from scheduler.problem import Problem
from scheduler.scenario import PlanningSettings
from sim.report.pareto_page import pareto_figure, pareto_html
from tests.factory import job, small_scenario


def two_hours() -> Problem:
    """One job of an hour with 0.48 kW: hour 0 costs 0.10 EUR/kWh at 500 g, hour 1 costs 0.20 at 100 g; nothing else draws."""
    scenario = small_scenario(slots=2, planning=PlanningSettings(relative_gap=0.0, limit_margin=0.0))
    jobs = (job("a", duration_h=1, deadline_h=2),)
    plain = build_problem(replace(scenario, sites=(replace(scenario.sites[1], solar_kw=None),), links=(), datasets=(), jobs=jobs))
    return replace(
        plain,
        fixed_kw=np.zeros((1, 2)),
        peak_eur_per_kw=np.zeros(1),
        import_eur_per_kwh=np.array([[0.1, 0.2]]),
        export_eur_per_kwh=np.zeros((1, 2)),
        carbon_g_per_kwh=np.array([[500.0, 100.0]]),
        jobs=(replace(plain.jobs[0], deadline=2, drop_eur=0.5),),
    )


def test_both_plans_of_two_hours() -> None:
    """Cheap and dirty, dear and clean: 4.8 ct with 240 g, 9.6 ct with 48 g; saved per EUR 4 kg, and the job always runs."""
    problem = two_hours()
    found = front(problem, carbon_prices(problem, 4))
    cheap, clean = found.kept
    assert (cheap.cost_eur, cheap.carbon_kg) == pytest.approx((0.048, 0.24))
    assert (clean.cost_eur, clean.carbon_kg) == pytest.approx((0.096, 0.048))
    assert kg_per_eur(cheap, clean) == pytest.approx(4.0)
    assert all(point.dropped == 0 and point.gap == pytest.approx(0.0, abs=1e-6) for point in found.points)
    assert len(found.points) == 4


def test_prices_rise_from_nothing_to_carbon_alone() -> None:
    """The row starts at 0, rises, and its middle is where carbon weighs as much as energy: 0.15 EUR/kWh over 0.3 kg/kWh."""
    prices = carbon_prices(two_hours(), 5)
    assert prices[0] == 0.0
    assert list(prices) == sorted(prices)
    assert prices[2] == pytest.approx(0.5)
    assert prices[-1] == pytest.approx(50.0)
    with pytest.raises(ValueError, match="two points"):
        carbon_prices(two_hours(), 1)


def point(cost_eur: float, carbon_kg: float) -> Point:
    """A point with these figures."""
    return Point(0.0, cost_eur, carbon_kg, 0.0, 0, 0.0)


def test_beaten_points_leave_the_front() -> None:
    """A point that another one matches in cost and beats in carbon is taken off; of two equal ones the first stays."""
    found = Front(beaten([point(1, 5), point(1, 4), point(2, 4.5), point(3, 1), point(3, 1)]))
    assert [p.beaten_by for p in found.points] == [1, None, 1, None, 3]
    assert [(p.cost_eur, p.carbon_kg) for p in found.kept] == [(1, 4), (3, 1)]


def test_the_page_holds_both_kinds_and_loads_nothing() -> None:
    """Front and beaten points are two traces that plotly accepts; the page names its title and no outside address."""
    import plotly.graph_objects

    found = Front(beaten([point(1, 5), point(1, 4), point(3, 1)]))
    figure = pareto_figure(found)
    assert [len(trace["x"]) for trace in figure["data"]] == [2, 1]
    plotly.graph_objects.Figure({"data": figure["data"]}, skip_invalid=True)
    page = pareto_html("x", "A <day>", found)
    assert "A &lt;day&gt;" in page
    assert 'src="http' not in page
