"""Links are shared fairly: by hand, as a property, and in the world."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.data import Dataset, Tier
from scheduler.facility import Link
from scheduler.plan import Transfer
from scheduler.scenario import Scenario
from sim.world import SimulatedWorld
from sim.world.sharing import fair_rates
from tests.factory import day_horizon, site, small_scenario
from tests.sim.hand import EXACT, hand_plan

INFINITE = 1e9


def test_three_transfers_over_two_links_by_hand() -> None:
    """The link of 6 is full first: 3 and 3; the transfer that crosses only the other one takes what is left of 10, 7."""
    rates = fair_rates([("wide",), ("wide", "narrow"), ("narrow",)], [INFINITE] * 3, {"wide": 10.0, "narrow": 6.0})
    assert rates == pytest.approx((7.0, 3.0, 3.0))


def test_what_one_does_not_want_is_shared_by_the_others() -> None:
    """With a wish of 1 on the narrow link, 5 of 6 are left for the other there, and 5 of 10 for the third."""
    rates = fair_rates([("wide",), ("wide", "narrow"), ("narrow",)], [INFINITE, INFINITE, 1.0], {"wide": 10.0, "narrow": 6.0})
    assert rates == pytest.approx((5.0, 5.0, 1.0))


def test_a_transfer_without_links_has_what_it_wants() -> None:
    """Nothing limits it."""
    assert fair_rates([()], [4.0], {}) == (4.0,)


LINKS = ("p", "q", "r")
WAY = st.lists(st.sampled_from(LINKS), min_size=1, max_size=3, unique=True).map(tuple)


@given(
    st.lists(st.tuples(WAY, st.floats(0, 50)), max_size=8),
    st.fixed_dictionaries({link: st.floats(0.1, 40) for link in LINKS}),
)
def test_rates_are_max_min_fair(transfers: list[tuple[tuple[str, ...], float]], capacity: dict[str, float]) -> None:
    """No link above its rate; each transfer has its wish, or crosses a full link on which nobody has more than it."""
    ways, wanted = [way for way, _ in transfers], [want for _, want in transfers]
    rates = fair_rates(ways, wanted, capacity)
    used = {link: sum(rate for way, rate in zip(ways, rates, strict=True) if link in way) for link in LINKS}
    assert all(used[link] <= capacity[link] * (1 + 1e-9) for link in LINKS)
    for way, want, rate in zip(ways, wanted, rates, strict=True):
        assert rate <= want
        full = [link for link in way if used[link] >= capacity[link] * (1 - 1e-9)]
        most = {link: max(r for w, r in zip(ways, rates, strict=True) if link in w) for link in full}
        assert rate >= want * (1 - 1e-9) or any(rate >= most[link] - 1e-9 for link in full)


def two_moves(link_rate_low: float = 1.0) -> Scenario:
    """Two datasets of 0.36 TB that move over one link, an hour each at 800 Mbit/s."""
    horizon = day_horizon()
    sites = (site(horizon, "hall"), site(horizon, "vault", Tier.FROZEN))
    datasets = tuple(Dataset(name, Tier.FROZEN, 0.36, ("hall",), ("vault",)) for name in ("films", "scans"))
    return small_scenario(
        sites=sites,
        jobs=(),
        datasets=datasets,
        links=(Link("dark", ("hall", "vault"), 1000.0, 0.2),),
        errors=replace(EXACT, link_rate_low=link_rate_low),
    )


def moves(first: int, second: int) -> tuple[Transfer, ...]:
    """Both moves, in slots of half an hour, two slots each."""
    return tuple(
        Transfer(name, name, "hall", "vault", start, start + 2, 800.0) for name, start in (("films", first), ("scans", second))
    )


def carried_out(scenario: Scenario, transfers: tuple[Transfer, ...]) -> SimulatedWorld:
    """The world after the whole day."""
    half = replace(scenario, horizon=day_horizon(48, 30))
    world = SimulatedWorld(half, seed=1, stressed=False)
    world.command(hand_plan(half, (), transfers))
    world.advance(half.horizon.end)
    return world


def test_overlapping_transfers_end_at_the_instants_computed_by_hand() -> None:
    """Alone at 800, then 500 each, then alone again: 4,680 s and 6,480 s, and the energy of what they moved."""
    world = carried_out(two_moves(), moves(0, 1))
    assert world.library.finished_s["films"] == pytest.approx(4680.0, abs=1e-6)
    assert world.library.finished_s["scans"] == pytest.approx(6480.0, abs=1e-6)
    both = 2 * 0.36 * 8e6 / 1000.0 * 0.2 / 3600.0  # 0.2 kW at 1,000 Mbit/s at each end
    for name in ("hall", "vault"):
        outcome = world.outcome()
        s = outcome.sites.index(name)
        assert outcome.energy.it_kwh[s].sum() == pytest.approx(both, rel=1e-9)
    assert any("films is late" in text for _, text in world.log)


def test_transfers_that_fit_keep_their_planned_rate_and_end() -> None:
    """One after the other: each ends at its planned end, to the microsecond."""
    world = carried_out(two_moves(), moves(0, 2))
    assert world.library.finished_s == {"films": pytest.approx(3600.0), "scans": pytest.approx(7200.0)}
    assert not any("late" in text for _, text in world.log)


@given(st.integers(0, 6), st.integers(0, 6), st.floats(0.05, 0.95), st.integers(0, 5))
def test_volumes_are_conserved_whatever_other_traffic_leaves(first: int, second: int, low: float, seed: int) -> None:
    """With a rate that changes every hour, exactly the planned volumes arrive, never faster than planned."""
    half = replace(two_moves(link_rate_low=low), horizon=day_horizon(48, 30))
    world = SimulatedWorld(half, seed=seed, stressed=False)
    world.command(hand_plan(half, (), moves(first, second)))
    share = {"films": first, "scans": second}
    for slot in range(1, 48):
        world.advance(half.horizon.time(slot))
        for name, start in share.items():
            moved = world.library.moved_until_tb(name, world.env.now)
            assert moved <= max(0.0, (slot - start) * 0.18) + 1e-9
            assert moved <= 0.36 + 1e-9
        total = sum(world.library.rate_mbit_per_s(name) for name in share)
        assert total <= 1000.0 + 1e-6
    volumes = {name: world.library.moved_tb.get(name, 0.0) for name in share}
    for name, arrived in volumes.items():
        assert arrived == pytest.approx(0.36, abs=2e-9) or name not in world.library.finished_s
    assert set(world.library.finished_s) == {name for name, arrived in volumes.items() if arrived >= 0.36 - 1e-9}


def test_the_same_seed_leaves_the_same_rates() -> None:
    """Other traffic is drawn from the seed alone."""
    scenario = two_moves(link_rate_low=0.3)
    once, again, other = (SimulatedWorld(scenario, seed=seed, stressed=False).truth.link_shares["dark"] for seed in (1, 1, 2))
    assert (once == again).all()
    assert (once != other).any()
    assert once.min() >= 0.3
    assert once.max() <= 1.0
