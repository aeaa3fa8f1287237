"""The page of faults is that of the tests: the same tests, and nothing on it that was not as expected."""

from __future__ import annotations

import inspect
from collections import Counter

import pytest

from tests.live import test_faults, test_ground_faults, test_serve
from tests.live.agent_process import PHASES as AGENT_PHASES
from tests.live.controller_process import PHASES as CONTROLLER_PHASES
from tests.live.faults import HEAD, PAGE, Fault, page


def rows() -> list[list[str]]:
    """Cells of the table's lines."""
    text = PAGE.read_text(encoding="utf-8")
    assert text.startswith(HEAD), "docs/faults.md: write it again with 'make faults'"
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.removeprefix(HEAD).splitlines()]


def test_the_page_names_every_test_as_often_as_it_runs() -> None:
    """Each test that records a fault is there once, or once for each phase; no line names a test that is not there."""
    phases = {"agent": len(AGENT_PHASES), "broker": len(AGENT_PHASES), "controller": len(CONTROLLER_PHASES)}
    wanted = {
        name: phases[name.split("_")[4]] if name.endswith("_in_a_command") else 1
        for module in (test_faults, test_ground_faults, test_serve)
        for name, item in inspect.getmembers(module, inspect.isfunction)
        if name.startswith("test_") and "fault" in inspect.signature(item).parameters
    }
    assert Counter(cells[3].strip("`") for cells in rows()) == Counter(wanted)


def test_what_was_observed_is_what_was_expected() -> None:
    """The page is written by runs in which all passed."""
    assert all(len(cells) == 4 and cells[1] == cells[2] != "" for cells in rows())


def test_a_fault_that_came_out_otherwise_fails_its_test() -> None:
    """The comparison is what the test asserts, and its line says what was seen."""
    item = Fault("test_x")
    item("a broken thing", "1 start")
    with pytest.raises(AssertionError, match="observed 2 starts"):
        item.saw("2 starts")
    assert page([item]).endswith("| a broken thing | 1 start | 2 starts | `test_x` |\n")
