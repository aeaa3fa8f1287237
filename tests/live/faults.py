"""The table of faults: what each test broke, what was expected, what it saw; a run of the tests writes ``docs/faults.md``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
HEAD = """# Faults, and what came of them

Generated from a run of `tests/live/test_faults.py`, `test_ground_faults.py` and `test_serve.py` (`make faults`); do not edit.
Each line is a test with a real broker (Mosquitto under the supervision of `ozzo broker`), real agent processes and real jobs;
lines that name `ozzo serve` are about the controller that stays, as a process. A test breaks something by the signal, message or
tool named and compares what it sees with what is expected. *Starts* are counted by the job, which writes a line to a file
whenever it begins.

| fault | expected | observed | test |
|---|---|---|---|
"""


@dataclass
class Fault:
    """A line of the table.

    Attributes:
        test: name of the test; fault, expected, observed: in words.
    """

    test: str
    fault: str = ""
    expected: str = ""
    observed: str = ""

    def __call__(self, fault: str, expected: str) -> None:
        """Say what is broken and what should come of it."""
        self.fault, self.expected = fault, expected

    def saw(self, text: str) -> None:
        """Say what was measured; the test fails when it is not what was expected."""
        self.observed = text
        assert text == self.expected, f"{self.fault}: expected {self.expected}; observed {text}"


def page(faults: Iterable[Fault]) -> str:
    """The page."""
    rows = (f"| {item.fault} | {item.expected} | {item.observed} | `{item.test}` |\n" for item in faults)
    return HEAD + "".join(rows)


FAULTS: list[Fault] = []
"""What the tests of this process have seen, in their order."""
