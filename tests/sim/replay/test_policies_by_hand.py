"""Every policy on an example that was worked out on paper. Hours; job (arrival, length, wait); one intensity an hour."""

from __future__ import annotations

import numpy as np
import pytest

from grid.errors import InputError
from sim.replay.measure import measure
from sim.replay.policies.base import Knows
from sim.replay.policies.carbon_time import CarbonTime
from sim.replay.policies.carbonscaler import CarbonScaler
from sim.replay.policies.easy import Easy
from sim.replay.policies.fifo import Fifo
from sim.replay.policies.greenslot import GreenSlot
from sim.replay.policies.lowest_slot import LowestSlot
from sim.replay.policies.lowest_window import LowestWindow
from sim.replay.policies.milp import Milp
from sim.replay.policies.oracle import Oracle
from sim.replay.policies.price_only import PriceOnly
from sim.replay.policies.registry import POLICIES, policy_named
from sim.replay.policies.sun_follow import SunFollow, height
from sim.replay.policies.suspend_resume import SuspendResume
from sim.replay.policies.threshold import Threshold
from sim.replay.policies.wait_awhile import WaitAwhile
from tests.sim.replay.hand import HOUR, ZERO, batch, begins, hours

QUEUE = [(0.0, 2.0, 9.0), (0.0, 2.0, 9.0), (0.25, 1.0, 9.0), (0.5, 3.0, 9.0)]
"""On 3 processors, widths 2, 3, 1, 1: the second waits until 2; the third fits beside the first and ends before 2."""
WIDTHS = [2.0, 3.0, 1.0, 1.0]


def test_fifo_runs_at_once_or_in_order() -> None:
    """Without a limit at the arrival; with one nobody overtakes: the narrow third waits behind the wide second."""
    flat = [1.0] * 24
    assert begins(Fifo().runs(batch(QUEUE, flat))) == [0.0, 0.0, 0.25, 0.5]
    assert begins(Fifo().runs(batch(QUEUE, flat, cpus=WIDTHS, machines=3))) == [0.0, 2.0, 4.0, 4.0]


def test_easy_fills_a_hole_without_delaying_the_first() -> None:
    """The third (1 h) begins at 0.25 and ends before 2; the fourth (3 h) would delay the second and waits until 4."""
    runs = Easy().runs(batch(QUEUE, [1.0] * 24, cpus=WIDTHS, machines=3))
    assert begins(runs) == [0.0, 2.0, 0.25, 4.0]
    assert runs.peak(np.array(WIDTHS)) == 3.0


def test_easy_lets_a_long_job_use_what_the_first_leaves() -> None:
    """4 processors: the second needs 3 from hour 2, so one is left over and the long fourth may begin at once."""
    runs = Easy().runs(batch(QUEUE, [1.0] * 24, cpus=[2.0, 3.0, 3.0, 1.0], machines=4))
    assert begins(runs) == [0.0, 2.0, 4.0, 0.5]


def test_threshold_waits_for_less_than_the_past_mean() -> None:
    """Past 2 h: 10, 20. At 0, 30 is above 15; at 1, 18 is not above (10 + 20 + 30) / 3. The other may wait 0.5 h only."""
    runs = Threshold().runs(batch([(0.0, 1.0, 5.0), (0.0, 1.0, 0.5)], [10, 20, 30, 18, 1, 1, 1, 1], past=2))
    assert begins(runs) == [1.0, 0.5]


def test_threshold_forgets_what_is_older_than_its_window() -> None:
    """With a window of 1 h only the hour before counts: 5 at hour 0 against 100 before it is low enough."""
    values = [1, 1, 100, 5, 5, 5]
    assert begins(Threshold(span_s=HOUR).runs(batch([(0.0, 1.0, 2.0)], values, past=3))) == [0.0]
    assert begins(Threshold().runs(batch([(0.0, 1.0, 2.0)], [1, 1, 1, 5, 5, 5], past=3))) == [2.0]


def test_threshold_does_not_look_ahead() -> None:
    """Its begin does not change with values after it."""
    early = [10, 20, 30, 18]
    ends = [[1, 1, 1, 1], [99, 99, 99, 99]]
    found = [begins(Threshold().runs(batch([(0.0, 1.0, 5.0)], early + late, past=2))) for late in ends]
    assert found[0] == found[1] == [1.0]


def test_lowest_slot_takes_the_cheapest_hour_to_begin_in() -> None:
    """Hour 2 is the cheapest, though hour 3 is dear; of the equal hours 0 and 1 the first, from the arrival on."""
    assert begins(LowestSlot().runs(batch([(0.5, 3.0, 4.0)], [5, 4, 1, 9, 9, 3, 3, 3, 3]))) == [2.0]
    assert begins(LowestSlot().runs(batch([(0.5, 1.0, 1.0)], [4, 4, 9, 9]))) == [0.5]


def test_lowest_window_uses_the_mean_length() -> None:
    """For 1 h hour 2 is best; for the mean of 2 h it is hours 4 and 5 (6 < 7), and there the job of 1 h begins."""
    values = [5, 6, 1, 9, 3, 3, 9, 9]
    assert begins(LowestWindow().runs(batch([(0.0, 1.0, 5.0)], values))) == [2.0]
    assert begins(LowestWindow().runs(batch([(0.0, 1.0, 5.0)], values, mean_h=2.0))) == [4.0]


def test_lowest_window_tries_only_its_offsets_when_asked() -> None:
    """From an arrival at 0.5 hourly moments are 0.5, 1.5, ...: 2 is not among them, 1.5 is the first of the best."""
    values = [5, 5, 1, 5, 5, 5, 5]
    assert begins(LowestWindow().runs(batch([(0.5, 1.0, 3.0)], values))) == [2.0]
    assert begins(LowestWindow(offset_s=HOUR).runs(batch([(0.5, 1.0, 3.0)], values))) == [1.5]


def test_carbon_time_weighs_saving_against_time() -> None:
    """1 h at 10: hour 1 saves 4 until 2 (2 an hour), hour 4 saves 8 until 5 (1.6): hour 1. If it saves 3 (1.5): hour 4."""
    assert begins(CarbonTime().runs(batch([(0.0, 1.0, 4.0)], [10, 6, 10, 10, 2, 10]))) == [1.0]
    assert begins(CarbonTime().runs(batch([(0.0, 1.0, 4.0)], [10, 7, 10, 10, 2, 10]))) == [4.0]
    assert begins(CarbonTime().runs(batch([(0.0, 1.0, 4.0)], [1, 7, 10, 10, 2, 10]))) == [0.0]


def test_wait_awhile_takes_the_cheapest_pieces() -> None:
    """2.5 h from 0.5 to 6: hours 2 and 4 whole, and half an hour of hour 3, next to one of them."""
    runs = WaitAwhile().runs(batch([(0.5, 2.5, 3.0)], [9, 8, 1, 4, 2, 7, 7]))
    assert hours(runs) == [(2.0, 3.5), (4.0, 5.0)]
    assert runs.work_s(1)[0] == pytest.approx(2.5 * HOUR)


def test_wait_awhile_joins_a_part_to_what_follows() -> None:
    """1.5 h: hour 2 whole and half of hour 1, which is its end."""
    assert hours(WaitAwhile().runs(batch([(0.0, 1.5, 2.0)], [9, 2, 1, 9]))) == [(1.5, 3.0)]


def test_suspend_resume_runs_below_the_quantile() -> None:
    """Quantile 0.3 of 10 h (values 1 to 10) is 3: only 1 and 2 are below it, so it pauses in hours 0, 1 and runs in 2, 3."""
    values = [9, 8, 1, 2, 10, 3, 4, 5, 6, 7]
    assert hours(SuspendResume(look_s=10 * HOUR).runs(batch([(0.0, 2.0, 6.0)], values))) == [(2.0, 4.0)]


def test_suspend_resume_runs_on_when_its_wait_is_used_up() -> None:
    """It pauses 1.5 h and then runs to its end, dear or not."""
    values = [9, 8, 1, 2, 10, 3, 4, 5, 6, 7]
    assert hours(SuspendResume(look_s=10 * HOUR).runs(batch([(0.0, 2.0, 1.5)], values))) == [(1.5, 3.5)]
    assert hours(SuspendResume(look_s=10 * HOUR).runs(batch([(2.5, 2.0, 3.0)], [*values, 9, 9, 9, 9]))) == [
        (2.5, 4.0),
        (5.0, 5.5),
    ]


def test_greenslot_places_by_least_slack_where_there_is_room() -> None:
    """Both want hour 2 on one processor; the one that may wait less gets it, the other takes the next best hour 4."""
    jobs = [(0.0, 1.0, 5.0), (0.1, 1.0, 2.5)]
    runs = GreenSlot().runs(batch(jobs, [9, 8, 1, 7, 3, 8, 9, 9], machines=1))
    assert begins(runs) == [4.0, 2.0]


def test_greenslot_follows_the_price_where_there_is_one() -> None:
    """Hour 1 is cheap though it is dirty."""
    assert begins(GreenSlot().runs(batch([(0.0, 1.0, 3.0)], [5, 9, 1, 5, 5], price=[5, 1, 9, 5, 5], machines=1))) == [1.0]


def test_greenslot_is_late_rather_than_over_the_machine() -> None:
    """Two jobs at once without waiting time on one processor: the second runs after the first, and is late."""
    made = batch([(0.0, 1.0, 0.0), (0.0, 1.0, 0.0)], [1] * 8, machines=1)
    runs = GreenSlot().runs(made)
    assert sorted(begins(runs)) == [0.0, 1.0]
    assert measure(made, runs, np.ones(2)).deadline_misses == 1


def test_carbonscaler_buys_the_work_that_emits_least() -> None:
    """Two copies, fully parallel: 3 h of work need hour 1 (value 1) twice over and one copy of hour 2 (value 4)."""
    runs = CarbonScaler(copies=2, parallel=1.0).runs(batch([(0.0, 3.0, 1.0)], [9, 1, 4, 8]))
    assert hours(runs) == [(1.0, 2.0, 2.0), (2.0, 3.0)]


def test_carbonscaler_counts_what_a_copy_loses() -> None:
    """Half parallel, a second copy adds 1/3: at value 1 it costs 3 for each unit of work, less than 4 and more than 2."""
    scaler = CarbonScaler(copies=2, parallel=0.5)
    assert scaler.gains() == pytest.approx([1.0, 1.0 / 3.0])
    dear = scaler.runs(batch([(0.0, 4.0 / 3.0, 0.7)], [1, 4, 4]))
    assert hours(dear) == [(0.0, 1.0, 2.0)]
    assert hours(scaler.runs(batch([(0.0, 4.0 / 3.0, 0.7)], [1, 2, 4]))) == [(0.0, round(4 / 3, 6))]


def test_price_only_is_blind_to_carbon() -> None:
    """The cheapest hour, which is the dirtiest; without a price there is nothing to follow."""
    assert begins(PriceOnly().runs(batch([(0.0, 1.0, 3.0)], [1, 1, 9, 1, 1], price=[5, 5, 1, 5, 5]))) == [2.0]
    with pytest.raises(InputError, match="--price"):
        PriceOnly().runs(batch([(0.0, 1.0, 3.0)], [1, 1, 9, 1, 1]))


def test_sun_follow_runs_around_noon() -> None:
    """On the equator at longitude 0 in January the sun is highest at 12 h: 2 h of work lie from 11 to 13."""
    runs = SunFollow().runs(batch([(0.0, 2.0, 20.0)], [1] * 24))
    assert begins(runs)[0] == pytest.approx(11.0, abs=0.26)
    noon, night = height(np.array([ZERO + 12 * HOUR, ZERO]), 0.0, 0.0)
    assert noon == pytest.approx(np.cos(np.radians(23.45)), abs=0.01)
    assert night == pytest.approx(-noon, abs=0.01)


def test_sun_follow_knows_east_and_summer() -> None:
    """90 degrees east noon comes six hours earlier; in June at 52 north the sun stands at 90 - 52 + 23.4 degrees."""
    june = ZERO + 172 * 24 * HOUR
    day = np.arange(0, 24, 0.25) * HOUR
    assert np.argmax(height(june + day, 0.0, 90.0)) == 24
    assert np.degrees(np.arcsin(height(june + day, 52.0, 0.0).max())) == pytest.approx(61.4, abs=0.2)


def test_oracle_takes_the_best_window_of_the_true_length() -> None:
    """1.5 h: all of hour 2 and the half of hour 3 after it (1 + 2) beat the half before it (4 + 1)."""
    assert begins(Oracle().runs(batch([(0.0, 1.5, 4.0)], [9, 8, 1, 4, 9, 9, 9], mean_h=9.0))) == [2.0]


def test_milp_without_a_limit_is_the_oracle() -> None:
    """Jobs do not compete, so each has its own optimum."""
    made = batch([(0.0, 1.5, 4.0), (1.0, 1.0, 3.0)], [9, 8, 1, 4, 9, 9, 9])
    assert begins(Milp().runs(made)) == begins(Oracle().runs(made)) == [2.0, 2.0]


def test_milp_gives_the_cheap_hour_to_whom_it_helps_most() -> None:
    """One processor: the first can run in hour 3 (at 2), the second only in 1 (at 9) or 2 (at 1): the second gets hour 2."""
    made = batch([(0.0, 1.0, 3.0), (1.0, 1.0, 1.0)], [9, 9, 1, 2, 9], machines=1)
    assert begins(Milp().runs(made)) == [3.0, 2.0]
    assert begins(GreenSlot().runs(made)) == [2.0, 1.0]


def test_milp_takes_optima_that_happen_to_fit() -> None:
    """Optima of each alone that do not overlap need no programme, and begin off the slots."""
    made = batch([(0.0, 0.5, 1.0), (4.1, 0.5, 0.3)], [9, 1, 9, 9, 9, 9, 9], machines=1)
    assert begins(Milp().runs(made)) == [1.0, 4.1]


def test_milp_is_late_rather_than_over_the_machine() -> None:
    """Two jobs without waiting time on one processor."""
    made = batch([(0.0, 1.0, 0.0), (0.0, 1.0, 0.0)], [1] * 8, machines=1)
    runs = Milp().runs(made)
    assert sorted(begins(runs)) == [0.0, 1.0]
    assert runs.peak(made.cpus) == 1.0


def test_registry_names_what_the_brief_promises() -> None:
    """All names are there, each says what it knows and where it comes from, and a wrong one is told the nearest."""
    names = (
        "fifo easy threshold lowest-slot lowest-window carbon-time wait-awhile suspend-resume greenslot carbonscaler price-only "
    )
    assert set(POLICIES) == set((names + "sun-follow milp oracle").split())
    assert {name for name, policy in POLICIES.items() if policy.knows is Knows.PAST} == {"threshold"}
    assert all(any(mark.isdigit() for mark in policy.source) for policy in POLICIES.values())
    with pytest.raises(InputError, match="did you mean 'carbon-time'"):
        policy_named("carbontime")
