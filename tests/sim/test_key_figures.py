"""Key figures: examples reckoned by hand, bounds that hold for any energy, and sums that agree with the totals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.assets.site_asset import Bill
from grid.series import Series
from grid.tariff import Tariff
from scheduler.facility import FeederLine, Site
from scheduler.key_figures import jain, together
from scheduler.outcome import MeteredEnergy
from scheduler.scenario import Scenario
from sim.key_figures import key_figures
from sim.rehearsal import realise
from sim.totals import totals
from tests.factory import day_horizon, site, small_scenario
from tests.sim.hand import exact, good_plan

HORIZON = day_horizon(4, 15)
"""One hour in quarters."""


def priced(name: str, export_eur_per_mwh: tuple[float, ...] = (40.0, 40.0, 40.0, 40.0)) -> Site:
    """A site without battery and peak charge: import at 100 EUR/MWh, a connection of 20 kW in and 8 kW out."""
    plain = site(HORIZON, name, import_limit_kw=20.0, export_limit_kw=8.0, peak_eur_per_kw=0.0)
    export = Series.on(HORIZON, np.array(export_eur_per_mwh), "EUR/MWh", "test")
    return replace(plain, tariff=Tariff(Series.constant(100.0, HORIZON, "EUR/MWh"), export, 0.0))


def energy(load: list[list[float]], available: list[list[float]], export_limit_kw: float = 8.0) -> MeteredEnergy:
    """Kilowatts of load and of available sun, as energy of quarters: the surplus is exported up to the limit, then curtailed."""
    load_kw, sun_kw = np.array(load, dtype=float), np.array(available, dtype=float)
    spare = (sun_kw - load_kw).clip(min=0.0)
    export = np.minimum(spare, export_limit_kw)
    zero = np.zeros_like(load_kw)
    kw = {
        "it_kwh": zero,
        "load_kwh": load_kw,
        "import_kwh": (load_kw - sun_kw).clip(min=0.0),
        "export_kwh": export,
        "renewable_kwh": sun_kw,
        "renewable_used_kwh": sun_kw - (spare - export),
        "curtailed_kwh": spare - export,
        "charge_kwh": zero,
        "discharge_kwh": zero,
        "soc_kwh": zero,
        "unserved_kwh": zero,
    }
    return MeteredEnergy(**{name: values * 0.25 for name, values in kw.items()})


def scenario_of(*sites: Site, feeders: tuple[FeederLine, ...] = ()) -> Scenario:
    """A scenario of these sites on the hour."""
    return small_scenario(horizon=HORIZON, sites=sites, links=(), datasets=(), jobs=(), feeders=feeders)


def test_a_site_by_hand() -> None:
    """Load 10 kW against sun 0, 4, 12 and 30 kW: every figure as reckoned on paper.

    Import 10 + 6 kW for a quarter each: 4 kWh. Used 0 + 4 + 10 + 10: 6 kWh of 11.5 kWh. Spare 2 and 20 kW, of which 8 kW may go
    out: 3 kWh rejected, worth 0.12 EUR. Covered 0 + 4 + 10 + 10: 6 of 10 kWh. Mean import 4 kW of 20 kW.
    """
    found = key_figures(scenario_of(priced("a")), HORIZON, energy([[10, 10, 10, 10]], [[0, 4, 12, 30]]))
    (own,) = found.sites
    assert own == found.total
    assert (own.import_kwh, own.self_used_kwh, own.generated_kwh, own.load_kwh) == (4.0, 6.0, 11.5, 10.0)
    assert own.self_sufficiency_pct == pytest.approx(60.0)
    assert own.self_consumption_pct == pytest.approx(100 * 6 / 11.5)
    assert own.renewable_share_pct == pytest.approx(60.0)
    assert own.load_factor_pct == pytest.approx(20.0)
    assert (own.peak_kw, own.rated_kw, own.released_kw) == (10.0, 20.0, 10.0)
    assert own.curtailed_kwh == 3.0
    assert own.curtailed_eur == pytest.approx(0.12)
    assert own.cost_eur == pytest.approx(4 * 0.1 - 2.5 * 0.04)
    assert (found.group_peak_kw, found.group_export_peak_kw, found.feeders_released_kw) == (10.0, 8.0, None)


def test_rejecting_at_a_price_below_zero_has_a_negative_value() -> None:
    """What is rejected in the last quarter would have cost 50 EUR/MWh to export: 3 kWh are worth -0.15 EUR."""
    own = key_figures(
        scenario_of(priced("a", (40.0, 40.0, 40.0, -50.0))), HORIZON, energy([[10, 10, 10, 10]], [[0, 0, 0, 30]])
    ).total
    assert own.curtailed_kwh == 3.0
    assert own.curtailed_eur == pytest.approx(-0.15)


def test_two_sites_share_a_feeder() -> None:
    """Peaks of 12 and 9 kW that do not coincide: 13 kW together; of 15 kW of the feeder 2 kW are left, of connections 19."""
    feeder = FeederLine("village", ("a", "b"), 15.0, (0.0, 0.0), 0.05)
    metered = energy([[12, 4, 1, 1], [1, 9, 1, 1]], [[0, 0, 0, 0], [0, 0, 0, 7]])
    found = key_figures(scenario_of(priced("a"), priced("b"), feeders=(feeder,)), HORIZON, metered)
    assert (found.total.peak_kw, found.group_peak_kw, found.group_export_peak_kw) == (21.0, 13.0, 5.0)
    assert found.total.released_kw == 8.0 + 11.0
    assert found.feeders_released_kw == 2.0


def test_a_connection_above_its_limit_releases_nothing() -> None:
    """A site 5 kW above its rating cannot lend from its neighbour: released is the neighbour's 19 kW and no less."""
    found = key_figures(scenario_of(priced("a"), priced("b")), HORIZON, energy([[25, 1, 1, 1], [1, 1, 1, 1]], [[0] * 4, [0] * 4]))
    assert [own.released_kw for own in found.sites] == [0.0, 19.0]
    assert found.total.released_kw == 19.0


def test_what_an_engine_gives_is_local_generation() -> None:
    """An engine of 6 kW beside 10 kW of load: the meter sees 4 kW of load; 60 % self-sufficient, and its bill is the site's."""
    made = np.full((1, 4), 6 * 0.25)
    found = key_figures(scenario_of(priced("a")), HORIZON, energy([[4] * 4], [[0] * 4]), made, [Bill(cost_eur=1.5)]).total
    assert (found.load_kwh, found.generated_kwh) == (10.0, 6.0)
    assert found.self_sufficiency_pct == pytest.approx(60.0)
    assert found.self_consumption_pct == 100.0
    assert found.renewable_share_pct == 0.0  # gas and diesel are neither sun nor wind
    assert found.cost_eur == pytest.approx(0.4 + 1.5)


def test_shares_of_nothing_are_none() -> None:
    """Without load, sun and import there is no share; without a rating no load factor; no site is an error."""
    islanded = replace(
        priced("a"), connection=replace(priced("a").connection, import_limit_kw=Series.constant(0.0, HORIZON, "kW"))
    )
    own = key_figures(scenario_of(islanded), HORIZON, energy([[0] * 4], [[0] * 4])).total
    assert (own.self_sufficiency_pct, own.self_consumption_pct, own.renewable_share_pct, own.load_factor_pct) == (None,) * 4
    with pytest.raises(ValueError, match="no site"):
        together(())


def test_jain_by_hand() -> None:
    """Equal gains give 1, one winner of four 1/4, gains of 1, 2 and 3 give 36 / 42; a loss counts as 0; no gain, no index."""
    assert jain([2.0, 2.0, 2.0]) == pytest.approx(1.0)
    assert jain([0.0, 5.0, 0.0, 0.0]) == pytest.approx(0.25)
    assert jain([1.0, 2.0, 3.0]) == pytest.approx(36 / 42)
    assert jain([4.0, -1.0]) == pytest.approx(0.5)
    assert jain([0.0, -3.0]) is None
    assert jain([]) is None


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.floats(1e-3, 1e3))
def test_jain_lies_between_one_nth_and_one_and_knows_no_unit(values: list[float], factor: float) -> None:
    """For any gains the index lies in [1/n, 1], and euros or cents give the same."""
    found = jain(values)
    if found is None:
        assert max(values) <= 1e-9
        return
    assert 1 / len(values) - 1e-9 <= found <= 1 + 1e-9
    scaled = jain([value * factor for value in values])
    assert scaled is None or scaled == pytest.approx(found)


POWERS = st.lists(st.lists(st.floats(0, 40), min_size=4, max_size=4), min_size=2, max_size=2)


@given(load=POWERS, sun=POWERS)
def test_shares_lie_between_0_and_100_and_sites_sum(load: list[list[float]], sun: list[list[float]]) -> None:
    """For any load and sun: shares in [0, 100] %, and the group's peak is never above the sum of the sites' peaks."""
    found = key_figures(scenario_of(priced("a"), priced("b")), HORIZON, energy(load, sun))
    total = found.total
    for own in (*found.sites, total):
        for share in (own.self_sufficiency_pct, own.self_consumption_pct, own.renewable_share_pct):
            assert share is None or -1e-9 <= share <= 100 + 1e-6
    assert found.group_peak_kw <= total.peak_kw + 1e-9
    assert total.generated_kwh == pytest.approx(sum(map(sum, sun)) * 0.25)


def test_sites_sum_to_the_totals_of_the_simulated_world() -> None:
    """Of a carried-out plan (battery, sun, transfers) the sites' money and energies sum to the outcome's totals."""
    scenario = exact(small_scenario())
    outcome = realise(scenario, good_plan(scenario), 7)
    assert outcome.key_figures is not None
    total = outcome.key_figures.total
    for own, other in (
        (total.cost_eur, outcome.totals.cost_eur),
        (total.import_kwh, outcome.totals.import_kwh),
        (total.self_used_kwh, outcome.totals.self_used_kwh),
        (total.curtailed_kwh, outcome.totals.curtailed_kwh),
        (total.peak_kw, outcome.totals.peak_kw),
    ):
        assert own == pytest.approx(other)
    assert total.import_kwh > 0
    assert total.self_used_kwh > 0


def test_figures_do_not_depend_on_how_totals_are_reckoned() -> None:
    """Totals of the same energy give the same money: two statements of one bill."""
    scenario, metered = scenario_of(priced("a"), priced("b")), energy([[10, 10, 10, 10], [3, 1, 4, 1]], [[0, 4, 12, 30], [5] * 4])
    expected = totals(scenario, HORIZON, metered, ())
    assert key_figures(scenario, HORIZON, metered).total.cost_eur == pytest.approx(expected.cost_eur)
