"""The migrations of a plan on nodes: what each copy should do when, and real copies by real agents with rsync."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from ozzo.commands import Command, Desired, JobWish, RefusalCode, Stage, answer, uuid7
from ozzo.moves import UNPROVEN, Move, Piece, Places, followed, move_from_dict, move_to_dict, wish_at
from ozzo.moving import Moves
from ozzo.sender import Origin, Sender
from ozzo.serve.observe import empty
from ozzo.wire import ReleaseState, TransferState
from scheduler.data import Storage
from scheduler.plan import Dropped, Plan, Reason, ReasonKind, Run, Transfer
from scheduler.scenario import Scenario
from tests.factory import START, job
from tests.ozzo.test_fleet import fleet_scenario
from tests.ozzo.test_orders import plan_of

needs_rsync = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed (Debian: rsync)")
FROM, TO = "hall.rack-3", "vault.rack-0"
DIGEST = "sha256:" + "0" * 64
HOUR = timedelta(hours=1)
SIZE_TB = 0.0135  # the two pieces of ``TWO`` carry it


def stored(*, release: bool = True, **changes: Any) -> Scenario:
    """The fleet's scenario with storages in hall and vault, and a job in the vault that reads what is to come there."""
    scenario = fleet_scenario()
    storages = {"hall": Storage(FROM, "cold", release=release), "vault": Storage(TO, "frozen")}
    sites = tuple(replace(site, storage=storages.get(site.name)) for site in scenario.sites)
    reader = replace(job("read", sites=("vault",), inputs=("scans",)), command=("work", "{seconds}", "0.1"))
    data = tuple(replace(dataset, path="scans/2026") if dataset.name == "scans" else dataset for dataset in scenario.datasets)
    return replace(scenario, sites=sites, datasets=data, jobs=(*scenario.jobs, reader), **changes)


def piece(start: int, end: int, rate: float = 100.0, target: str = "vault") -> Transfer:
    """A piece of the migration of ``scans``."""
    return Transfer("scans", "scans", "hall", target, start, end, rate)


def moving(*pieces: Transfer, runs: tuple[Run, ...] = (), **more: Any) -> Plan:
    """A plan with these pieces."""
    return replace(plan_of(*runs, **more), transfers=pieces)


# ---- rules --------------------------------------------------------------------------------------------------------------

TWO = (
    Piece(START + HOUR, START + 2 * HOUR, 10.0, "hall", "vault"),
    Piece(START + 4 * HOUR, START + 5 * HOUR, 20.0, "hall", "vault"),
)


@pytest.mark.parametrize(
    ("hours", "speed", "expected"),
    [
        (0.0, 1.0, None),  # not begun
        (1.0, 1.0, (JobWish.RUNNING, 10.0)),  # half-open
        (2.0, 1.0, (JobWish.PAUSED, None)),  # between two pieces
        (4.5, 3.0, (JobWish.RUNNING, 60.0)),  # as many times faster as the clock
        (5.0, 1.0, (JobWish.RUNNING, 20.0)),  # late: until it ends
        (99.0, 1e6, (JobWish.RUNNING, None)),  # faster than a command can say
        (4.5, 1e-6, (JobWish.RUNNING, 0.01)),  # slower than a command can say
    ],
)
def test_what_a_copy_should_do(hours: float, speed: float, expected: object) -> None:
    """Nothing before its first piece, a pause between pieces, and on until it ends after the last."""
    assert wish_at(START + hours * HOUR, TWO, "vault", speed, SIZE_TB) == expected


def test_a_copy_that_goes_elsewhere_is_stopped() -> None:
    """When the last piece has another target the copy to the first one stops; the new one begins with its piece."""
    pieces = (*TWO, Piece(START + 6 * HOUR, START + 7 * HOUR, 5.0, "hall", "cabinet"))
    assert wish_at(START + 1.5 * HOUR, pieces, "vault", 1.0, SIZE_TB) == (JobWish.STOPPED, None)
    assert wish_at(START + 5 * HOUR, pieces, "cabinet", 1.0, SIZE_TB) is None
    assert wish_at(START + 6 * HOUR, pieces, "cabinet", 1.0, SIZE_TB) == (JobWish.RUNNING, 5.0)


def test_a_late_copy_keeps_its_rate() -> None:
    """Planned anew for the bit that counts as missing, it goes on as fast as it ever was; a piece of some size sets its own."""
    rest = Piece(START + 6 * HOUR, START + 7 * HOUR, SIZE_TB * 1e-3 * 8e6 / 3600, "hall", "vault")
    assert wish_at(START + 6.5 * HOUR, (*TWO, rest), "vault", 1.0, SIZE_TB) == (JobWish.RUNNING, 20.0)
    assert wish_at(START + 6.5 * HOUR, (*TWO, replace(rest, rate_mbit_per_s=1.0)), "vault", 1.0, SIZE_TB) == (
        JobWish.RUNNING,
        1.0,
    )


def test_a_later_plan_takes_over_at_its_slot() -> None:
    """What was planned before the slot stays, cut at it; the rest is the new plan's. A first plan counts from its beginning."""
    first = followed({}, moving(piece(0, 3, 10.0), piece(5, 6, 10.0)), 4)
    assert [(p.start - START, p.end - START) for p in first["scans"]] == [(0 * HOUR, 3 * HOUR), (5 * HOUR, 6 * HOUR)]
    later = followed(first, moving(piece(0, 2, 30.0), first_slot=2), 0)
    assert [(p.start - START, p.end - START, p.rate_mbit_per_s) for p in later["scans"]] == [
        (0 * HOUR, 2 * HOUR, 10.0),
        (2 * HOUR, 4 * HOUR, 30.0),
    ]
    assert followed({"scans": TWO}, moving(), 0) == {}


@dataclass
class Voice:
    """Takes what is said and makes commands of it, as a ``Sender`` does."""

    said: list[Command] = field(default_factory=list)
    retired: str = ""

    def send(self, node: str, desired: Desired, order: Origin | None, reason: str) -> Command:
        """Keep a command."""
        now, number = datetime.now(UTC), len(self.said) + 1
        plan = "" if order is None else order.plan_id
        self.said.append(
            Command(
                id=uuid7(),
                epoch=1,
                sequence=number,
                issued_at=now,
                not_after=now + HOUR,
                lease_s=9.0,
                plan_id=plan,
                node=node,
                desired=desired,
                reason=reason,
            )
        )
        return self.said[-1]


class Desk:
    """Moves that a test answers for."""

    def __init__(self, scenario: Scenario, *, kept: tuple[Move, ...] = (), nodes: tuple[str, ...] = (FROM, TO)) -> None:
        self.lines: list[str] = []
        self.kept: list[Move] = list(kept)
        self.voice = Voice()
        places = Places(scenario, nodes)
        self.moves = Moves(places, 1.0, run="r/", say=self.lines.append, keep=self._keep, moves=kept)

    def _keep(self, moves: Any) -> None:
        self.kept = [move_from_dict(move_to_dict(move)) for move in moves]

    def at(self, hours: float, **more: Any) -> list[Desired]:
        """What is said at an hour of the plan."""
        before = len(self.voice.said)
        self.moves.look(START + hours * HOUR, cast("Sender", self.voice), **more)
        return [command.desired for command in self.voice.said[before:]]

    def hear(self, stage: Stage, code: RefusalCode | None = None, text: str = "", exit_code: float | None = None) -> None:
        """Answer what was said last."""
        last, measured = self.voice.said[-1], {"running": 0.0} | ({} if exit_code is None else {"exit_code": exit_code})
        self.moves.answered(last, answer(last, stage, datetime.now(UTC), code=code, text=text, measured=measured))

    def prove(self) -> None:
        """The copy that was asked for last has ended well."""
        self.hear(Stage.ENDED, text=f'{{"digest": "{DIGEST}", "files": 3, "bytes": 7}}', exit_code=0.0)


GONE = Dropped("scans", Reason(ReasonKind.CAPACITY, "no room"))


def states(said: list[Desired]) -> list[tuple[JobWish, float | None]]:
    """State and rate of each transfer."""
    return [(wish.state, wish.rate_mbit_per_s) for wish in said if isinstance(wish, TransferState)]


def test_nodes_are_told_what_differs_and_no_more() -> None:
    """Begin, pause, another rate, each once; the names are those of sites, roots and folders; the reason is in words."""
    desk = Desk(stored())
    desk.moves.follow(moving(piece(1, 2, 10.0), piece(4, 6, 20.0)), 0)
    assert desk.at(0.5) == []
    (begun,) = desk.at(1.0)
    assert isinstance(begun, TransferState)
    assert (begun.peer, begun.root, begun.path, begun.rate_mbit_per_s) == ("hall", "frozen", "scans/2026", 10.0)
    assert begun.transfer.startswith("r/scans-")
    last = desk.voice.said[-1]
    assert (last.node, last.plan_id, last.reason) == (TO, "plan", "scans is to come from hall")
    assert desk.at(1.5) == []
    assert states(desk.at(2.0)) == [(JobWish.PAUSED, None)]
    assert states(desk.at(4.0)) == [(JobWish.RUNNING, 20.0)]
    desk.moves.restate(TO)
    assert states(desk.at(4.1)) == [(JobWish.RUNNING, 20.0)]
    desk.moves.follow(moving(first_slot=5, dropped=(GONE,)), 0)
    assert states(desk.at(5.0)) == [(JobWish.STOPPED, None)]
    assert {wish.transfer for wish in (command.desired for command in desk.voice.said) if isinstance(wish, TransferState)} == {
        begun.transfer
    }


def test_a_late_copy_goes_on() -> None:
    """A plan that drops a migration whose pieces are all over does not stop its copy, which is late; nor does a restart."""
    desk = Desk(stored())
    desk.moves.follow(moving(piece(0, 2, 10.0)), 0)
    desk.at(0.0)
    for first_slot in (3, 4):
        desk.moves.follow(moving(first_slot=first_slot, dropped=(GONE,)), 0)
        assert desk.at(first_slot) == []
    assert desk.moves.unfinished(START + 4 * HOUR)
    life = Desk(stored(), kept=tuple(desk.kept))
    life.moves.follow(moving(first_slot=5, dropped=(GONE,)), 0)
    assert states(life.at(5.0)) == [(JobWish.RUNNING, 10.0)]


def test_a_release_waits_for_proof_horizon_and_readers() -> None:
    """Not before the end of the horizon, not while a job reads the replica, and with the proof that the copy's end told."""
    desk = Desk(stored())
    desk.moves.follow(moving(piece(0, 1)), 0)
    desk.at(0.0)
    assert desk.at(24.0) == []  # not proven
    desk.prove()
    assert desk.at(23.9) == []
    reading = replace(desk.moves.places.scenario, jobs=(job("old", sites=("hall",), inputs=("scans",)),))
    desk.moves.use(reading, (FROM, TO))
    assert desk.at(24.0, busy=lambda: [("old", "hall.rack-0")]) == []
    (goal,) = desk.at(24.0, busy=lambda: [("old", "vault.rack-0")])
    assert isinstance(goal, ReleaseState)
    assert (goal.root, goal.path, goal.proof.peer, goal.proof.digest, goal.proof.files) == (
        "cold",
        "scans/2026",
        "vault",
        DIGEST,
        3,
    )
    assert desk.voice.said[-1].node == FROM
    assert desk.moves.unfinished(START + 24 * HOUR)
    assert desk.moves.outcome(START + 24 * HOUR) == ((), {"scans": "it had not ended"})
    desk.hear(Stage.ENDED, exit_code=0.0)
    assert desk.at(25.0) == []
    assert not desk.moves.unfinished(START + 25 * HOUR)
    assert desk.moves.outcome(START + 25 * HOUR) == (("scans",), {})


@pytest.mark.parametrize("why", ["storage", "document"])
def test_a_replica_that_may_stay_stays(why: str) -> None:
    """Without ``release`` at its storage, or when the present document allows it there, nothing is deleted."""
    desk = Desk(stored(release=why != "storage"))
    desk.moves.follow(moving(piece(0, 1)), 0)
    desk.at(0.0)
    desk.prove()
    if why == "document":
        scenario = desk.moves.places.scenario
        allowed = tuple(replace(data, allowed_sites=("hall", "vault")) for data in scenario.datasets)
        desk.moves.use(replace(scenario, datasets=allowed), (FROM, TO))
    assert desk.at(30.0) == []
    assert desk.moves.outcome(START + 30 * HOUR) == (("scans",), {})


def test_what_failed_is_asked_again_and_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while, under the same name; people hear of it once; the report says why, until it succeeds."""
    monkeypatch.setattr("ozzo.moving.PATIENCE_S", 0.0)
    desk = Desk(stored())
    desk.moves.follow(moving(piece(0, 1)), 0)
    desk.at(0.0)
    for _ in range(2):
        desk.hear(Stage.FAILED, RefusalCode.TRANSFER_NOT_ALLOWED, "no peer 'hall'")
        assert states(desk.at(2.0)) == [(JobWish.RUNNING, 100.0)]
    assert desk.lines == [f"{TO}: scans was not copied from hall: no peer 'hall'"]
    assert not desk.moves.unfinished(START + 2 * HOUR)  # nobody waits for it at the end of a run
    assert desk.moves.outcome(START + 2 * HOUR) == ((), {"scans": "no peer 'hall'"})
    assert desk.moves.notes(START + 2 * HOUR) == ["Migration scans was not done: no peer 'hall'."]
    desk.hear(Stage.ENDED, text="what is this", exit_code=0.0)
    assert "tells no proof" in desk.lines[-1]
    desk.at(2.0)
    desk.prove()
    assert desk.moves.outcome(START + 2 * HOUR) == (("scans",), {})


def test_a_failure_is_not_asked_again_at_once() -> None:
    """The node gets time; an answer that only came too late is no failure, and is asked again too."""
    desk = Desk(stored())
    desk.moves.follow(moving(piece(0, 1)), 0)
    desk.at(0.0)
    desk.hear(Stage.ENDED, text="rsync ended with 23", exit_code=5.0)
    assert desk.at(0.5) == []
    other = Desk(stored())
    other.moves.follow(moving(piece(0, 1)), 0)
    other.at(0.0)
    other.hear(Stage.REFUSED, RefusalCode.EXPIRED, "late")
    assert other.lines == []
    assert other.moves.unfinished(START + HOUR)


def test_a_proof_that_nobody_heard_is_asked_for_anew() -> None:
    """The node says that the copy had ended well: it is verified again, under another name, for its digest."""
    desk = Desk(stored())
    desk.moves.follow(moving(piece(0, 1)), 0)
    (first,) = desk.at(0.0)
    life = Desk(stored(), kept=tuple(desk.kept))
    life.moves.follow(moving(piece(0, 1)), 3)
    (again,) = life.at(3.0)
    assert again == first
    life.hear(Stage.APPLIED, text="had ended well before", exit_code=0.0)
    (fresh,) = life.at(3.0)
    assert isinstance(fresh, TransferState)
    assert isinstance(first, TransferState)
    assert fresh.transfer != first.transfer
    assert life.kept[0].name == fresh.transfer


def test_what_the_document_knows_is_forgotten() -> None:
    """A move is remembered until the document says where the replica is and the source is released; then it is a matter of it."""
    scenario = stored()
    desk = Desk(scenario)
    desk.moves.follow(moving(piece(0, 1)), 0)
    desk.at(0.0)
    desk.prove()

    def known(*sites: str) -> int:
        data = tuple(replace(each, sites=sites) if each.name == "scans" else each for each in scenario.datasets)
        life = Desk(replace(scenario, datasets=data), kept=tuple(desk.kept))
        return len(life.moves.moves)

    assert (known("hall"), known("hall", "vault"), known("vault")) == (1, 1, 0)
    assert len(Desk(replace(scenario, datasets=()), kept=tuple(desk.kept)).moves.moves) == 0


def test_sites_without_a_storage_are_told_in_the_report() -> None:
    """Nobody is asked; the report names the migration, unless the document speaks of no storage at all."""
    scenario = stored()
    for nodes, sites in (((FROM,), scenario.sites), ((FROM, TO), fleet_scenario().sites)):
        desk = Desk(replace(scenario, sites=sites), nodes=nodes)
        desk.moves.follow(moving(piece(0, 1)), 0)
        assert desk.at(0.5) == []
        assert len(desk.lines) == int(sites is scenario.sites)
        assert not desk.moves.lacks("read", TO)
        expected = ["Migrations without a storage of real data at both ends, which no node was told of: scans."]
        assert desk.moves.notes(START + HOUR) == (expected if sites is scenario.sites else [])
        assert desk.moves.outcome(START + 9 * HOUR) == ((), {})


def test_a_job_waits_for_its_data_and_the_planner_knows() -> None:
    """A job lacks what is to come to its site until it is proven; the observation holds a bit back until then."""
    desk = Desk(stored())
    scenario = desk.moves.places.scenario
    size_tb = next(data.size_tb for data in scenario.datasets if data.name == "scans")
    assert not desk.moves.lacks("read", TO)  # no plan brings it
    desk.moves.follow(moving(piece(1, 2)), 0)
    assert desk.moves.lacks("read", TO)
    assert not desk.moves.lacks("train", TO)
    seen = replace(empty(scenario, 3), moved_tb={"scans": size_tb, "other": 1.0})
    assert desk.moves.observed(seen) == seen  # nothing has begun
    desk.at(1.0)
    told = desk.moves.observed(seen)
    assert told.moved_tb == {"scans": size_tb * (1 - UNPROVEN), "other": 1.0}
    assert told.moved_to == {"scans": "vault"}
    desk.prove()
    assert not desk.moves.lacks("read", TO)
    assert desk.moves.observed(empty(scenario, 3)).moved_tb == {"scans": size_tb}
