"""Innermost compiled code counts no references (decision 0018), and Python calls none that has no way in from it (0024)."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from scheduler.optimiser.large import (
    adopt,
    bound,
    cells,
    fractional,
    improve,
    insert,
    order,
    pieces,
    prox,
    resettle,
    respond,
    special,
    state,
)

MODULES = (adopt, bound, cells, fractional, improve, insert, order, pieces, prox, resettle, respond, special, state)

ROOT = Path(__file__).parents[4]

ALLOCATE = {
    "adopt", "_all_steps", "anneal", "bench_of", "class_costs", "construct", "grid_powers", "relieve", "resettle",
    "room_for_places", "scratch_of", "serve", "serve_site", "sweep", "tables_of",
}  # fmt: skip
"""Functions that make room for others, or are called too seldom for counts to matter."""


def test_only_functions_that_make_room_count_references() -> None:
    """Every other compiled function has the option, and none of these is left from before."""
    compiled = {name: part for module in MODULES for name, part in vars(module).items() if hasattr(part, "targetoptions")}
    assert {name for name, part in compiled.items() if part.targetoptions.get("_nrt", True)} == ALLOCATE


def _names_called(source: Path, *, compiled: bool) -> set[str]:
    """Names that functions of a file call, those of compiled functions left out unless ``compiled``."""
    found: set[str] = set()

    def walk(node: ast.AST) -> None:
        if (
            isinstance(node, ast.FunctionDef)
            and not compiled
            and any("njit" in ast.unparse(mark) for mark in node.decorator_list)
        ):
            return
        if isinstance(node, ast.Call):
            found.add(ast.unparse(node.func).rpartition(".")[2])
        for part in ast.iter_child_nodes(node):
            walk(part)

    walk(ast.parse(source.read_text()))
    return found


def test_python_calls_no_function_that_has_no_way_in_from_it() -> None:
    """Such a call would end the process: only files of compiled code import them, and Python code there calls none."""
    hidden = {
        (module.__name__, name)
        for module in MODULES
        for name, part in vars(module).items()
        if hasattr(part, "targetoptions") and part.targetoptions.get("no_cpython_wrapper") and part.__module__ == module.__name__
    }
    assert ("scheduler.optimiser.large.insert", "_insert") in hidden
    names = {name for _, name in hidden}
    kernels = {Path(str(module.__file__)) for module in MODULES}
    for source in kernels:
        assert not names & _names_called(source, compiled=False), source
    for folder in ("scheduler", "grid", "sim", "ozzo", "tests", "benchmarks"):
        for source in sorted((ROOT / folder).rglob("*.py")):
            text = source.read_text()
            if source in kernels or not any(name in text for name in names):  # what is not named is not called
                continue
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.ImportFrom):
                    assert not {(node.module, name.name) for name in node.names} & hidden, (source, node.lineno)
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    assert (f"scheduler.optimiser.large.{node.value.id}", node.attr) not in hidden, (source, node.lineno)


def test_such_a_call_is_found(tmp_path: Path) -> None:
    """Calls of Python functions count, those of compiled ones do not."""
    source = tmp_path / "both.py"
    source.write_text("@njit(**FAST)\ndef a():\n    keep()\n\ndef b():\n    state.take()\n")
    assert _names_called(source, compiled=False) == {"take"}
    assert _names_called(source, compiled=True) == {"njit", "keep", "take"}


def _first(pair: tuple[Any, Any], n: int) -> float:
    """Something that a count would be kept for: arrays of a tuple, taken apart in a loop."""
    total = 0.0
    for i in range(n):
        one, other = pair
        part = one[i:] if one[i] > 0.0 else other[i:]
        total += part[0]
    return total


def test_the_option_does_what_it_should() -> None:
    """The machine code of a function with the option has no counts in it, without the option it has."""
    pair = np.ones(3), np.ones(3)
    text = []
    for options in ({}, {"_nrt": False}):
        compiled = njit(**options)(_first)
        assert compiled(pair, 3) == 3.0
        text.append("\n".join(compiled.inspect_llvm().values()))
    assert "NRT_incref" in text[0]
    assert "NRT_incref" not in text[1]
