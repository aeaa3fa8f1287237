"""The cap and its lease: silence leads to failsafe, never to no limit."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ozzo.lease import CapMode, CapRules, Lease, capped, heard, held_back, tick
from tests.ozzo.test_commands import NOON

RULES = CapRules(failsafe_kw=0.2, hold=timedelta(seconds=10))


def at(seconds: float) -> datetime:
    """An instant after noon."""
    return NOON + timedelta(seconds=seconds)


def test_a_cap_holds_for_its_lease() -> None:
    """The stated cap holds until its lease ends, then the failsafe cap, not freedom."""
    lease = capped(Lease(), at(0), 0.4, 15.0, RULES)
    assert tick(lease, at(14.9), RULES).cap_kw(RULES) == 0.4
    assert tick(lease, at(15), RULES).cap_kw(RULES) == 0.2


def test_silence_without_any_cap_leads_to_failsafe_too() -> None:
    """A controller that only ever sent heartbeats and fell silent leaves the node in failsafe."""
    lease = heard(Lease(), at(0), 15.0, RULES, heartbeat=True)
    assert lease.cap_kw(RULES) is None
    assert tick(lease, at(15), RULES).mode is CapMode.FAILSAFE


def test_failsafe_needs_time_heartbeat_and_fresh_cap() -> None:
    """Each of the three alone, and any two, leave the node in failsafe; all three free it."""
    lost = tick(capped(Lease(), at(0), 0.4, 5.0, RULES), at(5), RULES)
    beat = heard(lost, at(6), 30.0, RULES, heartbeat=True)
    cap = capped(lost, at(6), 0.5, 30.0, RULES)
    both = capped(beat, at(6), 0.5, 30.0, RULES)
    assert [tick(lease, at(20), RULES).mode for lease in (lost, beat, cap)] == [CapMode.FAILSAFE] * 3
    assert tick(both, at(14.9), RULES).mode is CapMode.FAILSAFE
    free = tick(both, at(15), RULES)
    assert (free.mode, free.cap_kw(RULES)) == (CapMode.CAPPED, 0.5)


def test_a_job_command_is_no_heartbeat() -> None:
    """Other commands renew the lease but do not count as the heartbeat that failsafe waits for."""
    lost = tick(capped(Lease(), at(0), 0.4, 5.0, RULES), at(5), RULES)
    spoken = capped(heard(lost, at(6), 30.0, RULES, heartbeat=False), at(6), 0.5, 30.0, RULES)
    assert tick(spoken, at(20), RULES).mode is CapMode.FAILSAFE


def test_the_deadline_is_when_something_changes() -> None:
    """Ticking at the deadline changes the mode; just before it does not."""
    lease = heard(capped(Lease(), at(0), 0.4, 15.0, RULES), at(0), 9.0, RULES, heartbeat=True)
    due = lease.deadline(RULES)
    assert due == at(9)
    assert tick(lease, at(9), RULES).mode is not tick(lease, at(8.999), RULES).mode


@given(st.lists(st.tuples(st.floats(0.1, 20), st.sampled_from(["tick", "beat", "job", "cap"]), st.floats(0, 1)), max_size=30))
def test_once_commanded_never_free_again(steps: list[tuple[float, str, float]]) -> None:
    """Whatever is heard or not heard, after the first cap or lost lease there is always a cap.

    In failsafe it is the failsafe one, for at least the hold time.
    """
    lease, now, since = Lease(), at(0), None
    bound = False
    for wait_s, what, cap_kw in steps:
        now += timedelta(seconds=wait_s)
        before = lease = tick(lease, now, RULES)
        if what in {"beat", "job"}:
            lease = heard(lease, now, 8.0, RULES, heartbeat=what == "beat")
        elif what == "cap":
            lease = capped(lease, now, cap_kw, 8.0, RULES)
        bound = bound or before.mode is not CapMode.FREE or lease.mode is not CapMode.FREE
        if lease.mode is CapMode.FAILSAFE:
            since = lease.failsafe_since
            assert lease.cap_kw(RULES) == 0.2
        elif before.mode is CapMode.FAILSAFE and since is not None:
            assert now - since >= RULES.hold
        assert (lease.cap_kw(RULES) is not None) == bound


@given(st.floats(0, 5), st.floats(0, 1), st.dictionaries(st.text(max_size=3), st.floats(0.01, 1), max_size=10))
def test_running_jobs_fit_under_the_cap(cap_kw: float, idle_kw: float, jobs: dict[str, float]) -> None:
    """Idle power plus the jobs let through stays under the cap whenever any is let through; without a cap nobody waits."""
    held = held_back(cap_kw, idle_kw, jobs)
    running = [power for name, power in jobs.items() if name not in held]
    assert not running or idle_kw + sum(running) <= cap_kw + 1e-6
    assert held_back(None, idle_kw, jobs) == frozenset()


def test_the_oldest_jobs_go_first() -> None:
    """Younger jobs wait; one that still fits behind a waiting larger one may run."""
    assert held_back(1.0, 0.2, {"first": 0.5, "large": 0.4, "small": 0.2}) == {"large"}
