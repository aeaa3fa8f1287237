"""Capacity tariffs: which peaks are billed by themselves, over windows, months and versions."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.contracts.book import ContractBook
from grid.contracts.capacity_tariff import CapacityTariff, PeakCharge, TariffVersion, TariffWindow, dearest_at_once
from grid.contracts.windows import DailyWindow
from grid.horizon import Horizon

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
EVENING = TariffWindow("evening", DailyWindow(17 * 60, 21 * 60), 3.0)
REST = TariffWindow("rest", DailyWindow(21 * 60, 17 * 60), 1.0)
ALWAYS = TariffWindow("all", DailyWindow(0, 24 * 60), 2.0)


def horizon(start: str, hours: int, minutes: int = 15) -> Horizon:
    """A horizon from a local time."""
    return Horizon(datetime.fromisoformat(start).replace(tzinfo=AMSTERDAM), timedelta(minutes=minutes), hours * 60 // minutes)


def tariff(*versions: TariffVersion) -> CapacityTariff:
    """A tariff of one site."""
    return CapacityTariff("peaks", ("hall",), "Europe/Amsterdam", versions)


def test_a_month_boundary_begins_a_peak_anew() -> None:
    """Two days over the end of June: each month has its peak, in its own slots; what was reached counts in June only."""
    days = horizon("2023-06-30T00:00", 48)
    both = tariff(TariffVersion(date(2020, 1, 1), (ALWAYS,))).begun({"hall": {"all 2023-06 v1": 5.0}})
    june, july = both.charges("hall", days)
    assert (june.key, june.reached_kw, july.key, july.reached_kw) == ("all 2023-06 v1", 5.0, "all 2023-07 v1", 0.0)
    assert june.slots(days).tolist() == [True] * 96 + [False] * 96
    assert july.slots(days).tolist() == [False] * 96 + [True] * 96
    power = np.concatenate([np.full(96, 4.0), np.full(96, 7.0)])
    assert (june.paid_kw(power, days), july.paid_kw(power, days)) == (0.0, 7.0)
    assert ContractBook(tariffs=(both,)).peak_charges("other", days) == ()


def test_another_version_begins_a_peak_anew() -> None:
    """From 20 June on the evening costs more; the days before it are billed at the old price."""
    dear = TariffWindow("evening", EVENING.window, 9.0)
    both = tariff(TariffVersion(date(2020, 1, 1), (EVENING, REST)), TariffVersion(date(2023, 6, 20), (dear,)))
    days = horizon("2023-06-19T00:00", 48)
    assert [(charge.key, charge.eur_per_kw, int(charge.slots(days).sum())) for charge in both.charges("hall", days)] == [
        ("evening 2023-06 v1", 3.0, 16),
        ("rest 2023-06 v1", 1.0, 80),
        ("evening 2023-06 v2", 9.0, 16),
    ]
    assert both.key("evening", days) == "evening 2023-06 v1"
    assert both.key("evening", horizon("2023-06-20T00:00", 24)) == "evening 2023-06 v2"
    assert both.key("rest", horizon("2023-06-20T00:00", 24)) is None


@pytest.mark.parametrize(("day", "quarters"), [("2023-03-26", 92), ("2023-10-29", 100), ("2023-06-20", 96)])
def test_windows_share_out_a_day_of_any_length(day: str, quarters: int) -> None:
    """Evening and the rest cover every quarter of the day once, 16 of them in the evening."""
    whole = Horizon(datetime.fromisoformat(f"{day}T00:00").replace(tzinfo=AMSTERDAM), timedelta(minutes=15), quarters)
    masks = [charge.slots(whole) for charge in tariff(TariffVersion(date(2020, 1, 1), (EVENING, REST))).charges("hall", whole)]
    assert (np.sum(masks, axis=0) == 1).all()
    assert masks[0].sum() == 16


@given(first=st.integers(0, 60), length=st.integers(1, 60), peaks=st.lists(st.floats(0, 9), min_size=60, max_size=60))
def test_a_horizon_in_two_parts_pays_as_the_whole(first: int, length: int, peaks: list[float]) -> None:
    """What the first part reached is carried into the second one: together they pay what the whole pays."""
    start = datetime(2023, 6, 28, tzinfo=AMSTERDAM) + timedelta(hours=first)
    hourly = Horizon(start, timedelta(hours=1), length)
    power = np.array(peaks[:length])
    held = tariff(TariffVersion(date(2020, 1, 1), (EVENING, REST)), TariffVersion(date(2023, 6, 30), (ALWAYS,)))
    whole = sum(charge.eur_per_kw * charge.paid_kw(power, hourly) for charge in held.charges("hall", hourly))
    cut = length // 2
    total = 0.0
    if cut:
        morning = Horizon(start, timedelta(hours=1), cut)
        charges = held.charges("hall", morning)
        total = sum(charge.eur_per_kw * charge.paid_kw(power[:cut], morning) for charge in charges)
        held = held.begun({"hall": {charge.key: charge.paid_kw(power[:cut], morning) for charge in charges}})
    rest = hourly.tail(cut)
    total += sum(charge.eur_per_kw * charge.paid_kw(power[cut:], rest) for charge in held.charges("hall", rest))
    assert total == pytest.approx(whole)


def test_a_longer_slot_counts_whole_and_the_dearest_moment_adds_up() -> None:
    """An hour that a window touches counts; two charges at once add up, one after the other they do not."""
    hours = horizon("2023-06-20T00:00", 24, 60)
    half = PeakCharge("half", ((hours.start_s + 1800, hours.start_s + 3600),), 2.0, 0.0)
    later = PeakCharge("later", ((hours.start_s + 7200, hours.start_s + 9000),), 3.0, 0.0)
    assert np.flatnonzero(half.slots(hours)).tolist() == [0]
    assert dearest_at_once([half, later], hours) == 3.0
    assert dearest_at_once([half, half, later], hours) == 4.0
    assert dearest_at_once([], hours) == 0.0
