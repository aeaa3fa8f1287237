"""The rules of the command plane: fencing, repetition, expiry."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from ozzo.commands import Acknowledgement, Command, RefusalCode, Stage, answer, uuid7
from ozzo.fence import Decision, Fence, decide
from tests.ozzo.test_commands import NOON, command

NODE = "hall.rack-0"


def ask(asked: Command, fence: Fence = Fence(), stored: Acknowledgement | None = None, late_s: float = 1.0) -> Decision:  # noqa: B008
    """The decision ``late_s`` after the command was issued."""
    return decide(asked, node=NODE, now=NOON + timedelta(seconds=late_s), fence=fence, stored=stored)


def test_a_fresh_command_is_accepted_and_raises_the_fence() -> None:
    """It acts, is answered accepted, and its (epoch, sequence) becomes the fence."""
    decision = ask(command())
    assert (decision.act, decision.acknowledgement.stage, decision.fence) == (True, Stage.ACCEPTED, Fence(3, 17))


def test_a_lower_epoch_is_refused() -> None:
    """A controller that was replaced cannot act, however high its sequence."""
    decision = ask(command(epoch=2, sequence=999), Fence(3, 1))
    assert (decision.act, decision.acknowledgement.code, decision.fence) == (False, RefusalCode.STALE_EPOCH, Fence(3, 1))


def test_a_higher_epoch_starts_its_sequence_anew() -> None:
    """A new controller begins with sequence 1 and is obeyed."""
    assert ask(command(epoch=4, sequence=1), Fence(3, 999)).fence == Fence(4, 1)


def test_a_repeated_or_lower_sequence_is_refused() -> None:
    """In one epoch nothing at or below the fence acts again."""
    for sequence in (16, 17):
        decision = ask(command(sequence=sequence), Fence(3, 17))
        assert (decision.act, decision.acknowledgement.code) == (False, RefusalCode.STALE_SEQUENCE)


def test_a_known_id_gets_its_stored_answer() -> None:
    """The same answer as before comes back, the fence stays, nothing is done; even after its not-after."""
    asked = command()
    stored = answer(asked, Stage.APPLIED, NOON, measured={"pid": 42.0})
    decision = ask(asked, Fence(9, 9), stored, late_s=100.0)
    assert (decision.act, decision.acknowledgement, decision.fence) == (False, stored, Fence(9, 9))


def test_an_expired_command_is_refused_at_its_not_after() -> None:
    """From the not-after on it is refused, and it still fences off older controllers."""
    decision = ask(command(), late_s=5.0)
    assert (decision.act, decision.acknowledgement.code, decision.fence) == (False, RefusalCode.EXPIRED, Fence(3, 17))
    assert ask(command(), late_s=4.999).act


def test_a_command_from_the_future_is_refused() -> None:
    """When the clocks disagree by more than the tolerance, a not-after cannot be trusted."""
    assert ask(command(), late_s=-6.0).acknowledgement.code is RefusalCode.CLOCK_SKEW
    assert ask(command(), late_s=-4.0).act


def test_a_command_for_another_node_changes_nothing() -> None:
    """It is refused and does not move the fence."""
    decision = ask(command(node="hall.rack-1", epoch=9))
    assert (decision.acknowledgement.code, decision.fence) == (RefusalCode.WRONG_NODE, Fence())


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 6), st.floats(0, 8), st.booleans()), max_size=40))
def test_whatever_arrives_each_state_is_applied_once_and_in_order(
    arrivals: list[tuple[int, int, float, bool]],
) -> None:
    """For any order, loss, repetition and lateness of commands, what acts strictly ascends.

    No id acts twice, the fence never falls, and nothing acts at or after its not-after.
    """
    fence, acted, stored = Fence(), [], dict[UUID, Acknowledgement]()
    known: dict[tuple[int, int], Command] = {}
    for epoch, sequence, late_s, repeat in arrivals:
        asked = known.get((epoch, sequence)) if repeat else None
        asked = asked or command(id=uuid7(), epoch=epoch, sequence=sequence)
        known[epoch, sequence] = asked
        decision = ask(asked, fence, stored.get(asked.id), late_s)
        assert decision.fence >= fence
        fence = decision.fence
        if decision.act:
            assert late_s < 5.0
            assert asked.id not in stored
            acted.append((epoch, sequence))
            stored[asked.id] = decision.acknowledgement
    assert acted == sorted(set(acted))
