"""The command plane as a model (docs/protocol/command_plane.pml), searched by spin in every order of events.

The search is exhaustive: every interleaving of two controllers, two nodes, a network that loses, repeats and reorders, and
crashes of anybody, for the numbers of commands and crashes given below and without end of time.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

MODEL = Path(__file__).parents[2] / "docs" / "protocol" / "command_plane.pml"
DEPTH = 100_000


@dataclass(frozen=True, slots=True)
class Search:
    """What spin found.

    Attributes:
        errors: number of broken claims (the search ends at the first).
        broken: the broken assertion, or None.
        states: number of different states.
        complete: nothing was cut off by depth or memory.
        idle: program texts that were never reached, by process.
    """

    errors: int
    broken: str | None
    states: int
    complete: bool
    idle: dict[str, str]


def search(folder: Path, *defines: str, packed: bool = False) -> Search:
    """Search the model with spin; skips with the reason when spin or a C compiler is missing (in CI that is a failure).

    Packed states need less than half of the memory and half more time; the states searched are the same.
    """
    for program in ("spin", "gcc"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    for command in (
        ["spin", "-a", *defines, str(MODEL)],
        ["gcc", "-w", "-O2", "-DSAFETY", *(["-DCOLLAPSE"] if packed else []), "-o", "pan", "pan.c"],
    ):
        made = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stdout + made.stderr
    found = subprocess.run(["./pan", f"-m{DEPTH}"], cwd=folder, capture_output=True, text=True, check=False).stdout
    errors, states = re.search(r"errors: (\d+)", found), re.search(r"(\d+) states, stored", found)
    assert errors is not None, found
    assert states is not None, found
    broken = re.search(r"assertion violated \((.*?)\) \(at depth", found)
    cut = "Search not completed" in found or "max search depth too small" in found or "out of memory" in found
    idle = dict(re.findall(r"unreached in (?:proctype )?(\w+)\n(.*?)(?=unreached in|\npan:|\Z)", found, re.DOTALL))
    return Search(int(errors[1]), broken[1] if broken else None, int(states[1]), not cut, idle)


@pytest.mark.slow
def test_every_claim_holds_in_every_order(tmp_path: Path) -> None:
    """Two commands and two crashes of anybody: no claim is broken, and the search is complete and not trivial."""
    found = search(tmp_path)
    assert found.errors == 0, found.broken
    assert found.complete
    assert found.states > 1_000_000
    for process in ("Controller", "Node", "Clock"):  # every rule of the model was exercised; they never end
        assert re.findall(r'state \d+, "(.*?)"', found.idle[process]) == ["-end-"], found.idle


@pytest.mark.long
def test_every_claim_holds_with_three_commands(tmp_path: Path) -> None:
    """Three commands and a crash; takes minutes and some gigabytes."""
    found = search(tmp_path, "-DCOMMANDS=3", "-DCRASHES=1", packed=True)
    assert found.errors == 0, found.broken
    assert found.complete


@pytest.mark.slow
@pytest.mark.parametrize(
    ("left_out", "claim"),
    [
        ("NO_FENCE", "obeyed_epoch"),  # a replaced controller acts again
        ("NO_EXPIRY", "life_left"),  # an old command is carried out
        ("NO_LEASE", "since_heard"),  # a repeated command keeps the lease alive
        ("NO_JOURNAL", "effects|since_heard|obeyed_epoch"),  # after a crash the node knows neither fence nor ids
    ],
)
def test_without_one_rule_a_claim_breaks(tmp_path: Path, left_out: str, claim: str) -> None:
    """Every rule is needed, and the model is able to show a fault: without it spin finds a way to break a claim."""
    found = search(tmp_path, f"-D{left_out}")
    assert found.errors == 1
    assert found.broken is not None
    assert re.search(claim, found.broken), found.broken
