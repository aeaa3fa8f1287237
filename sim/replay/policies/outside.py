"""A policy from a file of one's own, named ``FILE.py:CLASS``: brought in, and its answers checked before they are measured.

The file runs as part of this program, with its rights: name only one that you trust.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from grid.errors import Finding, InputError
from sim.replay.batch import Batch, Runs
from sim.replay.policies.base import Knows, Policy

T = TypeVar("T")

WORDS: dict[str, type] = {
    "name": str,
    "knows": Knows,
    "knows_length": bool,
    "follows": str,
    "heeds_machines": bool,
    "pauses": bool,
    "source": str,
}
"""What a policy says of itself, and as what (``base.Policy``)."""
ROUNDING_S = 1e-3
"""Seconds that count as rounding."""


def is_outside(name: str) -> bool:
    """True for ``FILE.py:CLASS``."""
    return name.partition(":")[0].endswith(".py")


def outside_policy(name: str) -> Policy:
    """The policy that ``FILE.py:CLASS`` names, made without arguments.

    Raises:
        InputError: no such file or class, the file does not run, or it is no policy; what is missing is told all at once.
    """
    path, _, wanted = name.partition(":")
    if not Path(path).is_file():
        found = "a directory" if Path(path).is_dir() else "no such file"
        raise InputError([Finding(path, None, "--policy", found, "a Python file with a class that is a policy")])
    spec = importlib.util.spec_from_file_location("ozzo_policy_from_outside", path)
    if spec is None or spec.loader is None:
        raise InputError([Finding(path, None, "--policy", "a file that cannot be read", "a Python file")])
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up by its name
    loader = spec.loader
    _guarded(path, "--policy", lambda: loader.exec_module(module))
    make = getattr(module, wanted, None)
    if not isinstance(make, type):
        classes = [key for key, value in vars(module).items() if isinstance(value, type) and value.__module__ == module.__name__]
        expected = f"a class of the file: {', '.join(classes) or 'it has none'}"
        raise InputError([Finding(path, None, "--policy", repr(wanted), expected)])
    made: Any = _guarded(path, wanted, make)
    faults = [
        Finding(
            path, None, f"{wanted}.{word}", repr(getattr(made, word, None)), f"a {kind.__name__} (sim/replay/policies/base.py)"
        )
        for word, kind in WORDS.items()
        if not isinstance(getattr(made, word, None), kind)
    ]
    if not callable(getattr(made, "runs", None)):
        faults.append(Finding(path, None, f"{wanted}.runs", "nothing", "a method runs(batch) -> Runs"))
    if faults:
        raise InputError(faults)
    return cast("Policy", made)


def outside_runs(policy: Policy, name: str, batch: Batch) -> Runs:
    """The answer of a policy from outside.

    Raises:
        InputError: it failed, with the line of its file; or the answer is none: work that is not done, jobs before their arrival.
    """
    path, _, wanted = name.partition(":")
    runs: Any = _guarded(path, f"{wanted}.runs", lambda: policy.runs(batch))
    faults = [f"{type(runs).__name__}"] if not isinstance(runs, Runs) else _wrong(policy, runs, batch)
    if faults:
        expected = "intervals of all jobs, ordered by job and time, none before its arrival, all work done"
        raise InputError([Finding(path, None, f"{wanted}.runs", fault, expected) for fault in faults])
    return cast("Runs", runs)


def _wrong(policy: Policy, runs: Runs, batch: Batch) -> list[str]:
    """What is wrong with an answer, in words; as far as it can be told before the next question makes no sense."""
    arrays = (runs.job, runs.begin_s, runs.end_s, runs.scale)
    shapes = {np.shape(array) for array in arrays}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        return [f"arrays of the shapes {', '.join(str(np.shape(array)) for array in arrays)}"]
    if not all(np.isfinite(array).all() for array in arrays):
        return ["values that are not finite"]
    jobs = len(batch)
    missing = np.setdiff1d(np.arange(jobs), runs.job)
    unknown = np.setdiff1d(runs.job, np.arange(jobs))
    if len(missing) or len(unknown):
        return [
            f"{len(which)} jobs {words}, the first {which[0]}"
            for which, words in ((missing, "without an interval"), (unknown, "that there are not"))
            if len(which)
        ]
    same = runs.job[1:] == runs.job[:-1]
    work = np.abs(runs.work_s(jobs) - batch.length_s) > ROUNDING_S * np.maximum(1.0, batch.length_s)
    checks = (
        (runs.job[1:][runs.job[1:] < runs.job[:-1]], "out of order"),
        (runs.job[runs.end_s < runs.begin_s], "with an interval that ends before it begins"),
        (runs.job[runs.begin_s < batch.arrival_s[runs.job] - ROUNDING_S], "before their arrival"),
        (runs.job[1:][same & (runs.begin_s[1:] < runs.end_s[:-1] - ROUNDING_S)], "with intervals that overlap"),
        (runs.job[runs.scale <= 0], "with a scale that is not above 0"),
        (np.flatnonzero(work) if (runs.scale == 1).all() else np.empty(0, np.int64), "whose work is not their length"),
        (runs.job[1:][same] if not policy.pauses else np.empty(0, np.int64), "in pieces, although pauses is False"),
    )
    return [f"{len(set(which.tolist()))} jobs {words}, the first {which.min()}" for which, words in checks if len(which)]


def _guarded(path: str, field: str, call: Callable[[], T]) -> T:
    """What ``call`` returns; what fails in it is told with the last line of the file that was passed."""
    try:
        return call()
    except InputError:
        raise
    except Exception as error:  # code of somebody else: whatever it raises is told, never passed over
        here = Path(path).resolve()
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).resolve() == here]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
        raise InputError([Finding(path, line, field, f"{type(error).__name__}: {error}", "code that does not fail")]) from error
