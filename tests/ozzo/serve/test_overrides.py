"""Overrides: the nearest one counts, caps are shared, and everything that is wrong is told at once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import InputError
from ozzo.commands import JobWish
from ozzo.serve.by_hand import listed, override, release
from ozzo.serve.overrides import Action, Override, Place, Rules, Target
from ozzo.serve.state import FILE, ServeState

PLACES = {
    "hall.rack-0": Place("hall", 0.1, 0.4, pue=1.2, overhead_kw=0.4),
    "hall.rack-1": Place("hall", 0.1, 0.4, pue=1.2, overhead_kw=0.4),
    "vault.rack-0": Place("vault", 0.1, 0.4),
}


def by_hand(target: Target, name: str, action: Action, kw: float | None = None, number: int = 1) -> Override:
    """An override."""
    return Override(number, target, name, action, kw, "a test", "somebody", datetime(2026, 1, 1, tzinfo=UTC))


def test_the_nearest_override_counts() -> None:
    """A job's own stands above its node's, that above its site's; elsewhere the plan stands."""
    rules = Rules(
        (
            by_hand(Target.SITE, "hall", Action.PAUSE),
            by_hand(Target.NODE, "hall.rack-1", Action.STOP),
            by_hand(Target.JOB, "train", Action.RUN),
        ),
        PLACES,
    )
    assert rules.wish("train", "hall.rack-1", JobWish.PAUSED) is JobWish.RUNNING
    assert rules.wish("index", "hall.rack-1", JobWish.RUNNING) is JobWish.STOPPED
    assert rules.wish("index", "hall.rack-0", JobWish.RUNNING) is JobWish.PAUSED
    assert rules.wish("index", "vault.rack-0", JobWish.RUNNING) is JobWish.RUNNING
    assert rules.closed_nodes() == {"hall.rack-0", "hall.rack-1"}
    assert rules.jobs(Action.RUN) == {"train"}


@given(st.sampled_from(list(Action)), st.sampled_from(list(Target)))
def test_a_stop_of_the_plan_stands(action: Action, target: Target) -> None:
    """Whatever a person has ordered, a job that the plan stops is stopped."""
    name = {Target.JOB: "train", Target.NODE: "hall.rack-0", Target.SITE: "hall"}[target]
    rules = Rules((by_hand(target, name, action, 1.0 if action is Action.CAP else None),), PLACES)
    assert rules.wish("train", "hall.rack-0", JobWish.STOPPED) is JobWish.STOPPED


def test_the_cap_of_a_site_is_shared_by_its_nodes() -> None:
    """1 kW at a site of PUE 1.2 and 0.4 kW overhead is 0.5 kW of IT power: 0.25 kW a node; a lower own cap holds."""
    site = by_hand(Target.SITE, "hall", Action.CAP, 1.0)
    rules = Rules((site, by_hand(Target.NODE, "hall.rack-1", Action.CAP, 0.2)), PLACES)
    assert rules.cap_kw("hall.rack-0") == pytest.approx(0.25)
    assert rules.cap_kw("hall.rack-1") == pytest.approx(0.2)
    assert rules.cap_kw("vault.rack-0") is None
    assert rules.closed_nodes() == {"hall.rack-0", "hall.rack-1"}
    assert Rules((by_hand(Target.NODE, "hall.rack-1", Action.CAP, 0.4),), PLACES).closed_nodes() == frozenset()


@given(kw=st.floats(0.0, 5.0))
def test_capped_nodes_together_never_exceed_the_cap_of_their_site(kw: float) -> None:
    """Sum of the nodes' shares, times PUE, plus overhead: at most the cap, unless overhead alone is more."""
    rules = Rules((by_hand(Target.SITE, "hall", Action.CAP, kw),), PLACES)
    shares = [rules.cap_kw(name) or 0.0 for name in ("hall.rack-0", "hall.rack-1")]
    assert min(shares) >= 0.0
    assert sum(shares) * 1.2 + 0.4 <= max(kw, 0.4) + 1e-9


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state that knows one job, one node and one site."""
    with ServeState.open(tmp_path / FILE) as state:
        inventory = {"job": ["train"], "node": ["hall.rack-0"], "site": ["hall"]}
        state.keep_facts(scenario="minimal", inventory=inventory)
    return tmp_path


def test_override_replace_release_and_list(folder: Path) -> None:
    """A second order about the same target replaces the first, a cap stands beside it; released ones are gone from the list."""
    assert "override 1 is in force: job train pause: dust" in override(folder, Target.JOB, "train", "pause", None, "dust")
    override(folder, Target.JOB, "train", "run", None, "dust is gone")
    override(folder, Target.NODE, "hall.rack-0", "pause", None, "hot")
    override(folder, Target.NODE, "hall.rack-0", "cap", 0.3, "hot")
    text = listed(folder, as_json=False)
    assert [line.partition(":")[0] for line in text.splitlines()] == ["2", "3", "4"]
    assert len(release(folder, Target.NODE, "hall.rack-0", "cool")) == 2
    assert len(release(folder, None, None, "", everything=True)) == 1
    assert listed(folder, as_json=False) == "no override is in force"
    with pytest.raises(InputError, match="there is none"):
        release(folder, Target.NODE, "hall.rack-0", "again")
    override(folder, Target.JOB, "train", "pause", None, "dust")
    with pytest.raises(InputError, match=r"did you mean 'job train'"):
        release(folder, Target.JOB, "trian", "gone")


def test_everything_wrong_is_told_at_once(folder: Path) -> None:
    """Unknown name with the nearest, unknown action, no reason: three findings."""
    with pytest.raises(InputError) as raised:
        override(folder, Target.JOB, "trian", "cap", 1.0, " ")
    fields = {finding.field: finding for finding in raised.value.findings}
    assert set(fields) == {"NAME", "ACTION", "--reason"}
    assert fields["NAME"].nearest == "train"
    with pytest.raises(InputError, match="KW: found nothing"):
        override(folder, Target.NODE, "hall.rack-0", "cap", None, "hot")
    for kw in (float("nan"), float("inf"), -1.0):
        with pytest.raises(InputError, match=r"KW: found .* expected power in kW, not negative"):
            override(folder, Target.NODE, "hall.rack-0", "cap", kw, "hot")
    with pytest.raises(InputError, match="KW: found 1"):
        override(folder, Target.NODE, "hall.rack-0", "pause", 1.0, "hot")


def test_without_a_state_there_is_a_finding(tmp_path: Path) -> None:
    """A folder without a state is named; nothing is made in it."""
    with pytest.raises(InputError, match="no state"):
        override(tmp_path / "nothing", Target.JOB, "train", "pause", None, "dust")
    assert not (tmp_path / "nothing").exists()
