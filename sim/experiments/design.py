"""The runs of a sweep: every scenario with every combination of values, every seed and every policy, each under a key.

The key is a digest of all that decides a run's figures: version, the bytes of the scenario file and of the files that it names
(prices, weather, traces), values, policy, seed, what the seed decides, and whether the network counts. Results are found again
by it, so a changed scenario never meets old results.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import product
from pathlib import Path
from string import Template
from typing import Any

from scheduler.document.tree import read_tree
from sim.experiments.sweep_fields import Value

KEY_LETTERS = 24
LONGEST_PATH = 1000


@dataclass(frozen=True, slots=True)
class ScenarioFile:
    """A scenario of a sweep.

    Attributes:
        label: its name in tables (the file's, without ending).
        path: absolute.
        written: as the sweep file names it.
        digest: of ``scenario_digest``.
    """

    label: str
    path: Path
    written: str
    digest: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """A field of the scenarios that takes several values.

    Attributes:
        path: the field; label: its name in tables; values: its values.
    """

    path: str
    label: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a sweep.

    Attributes:
        index: its position in the sweep, from 0.
        scenario: what is run; values: one a parameter of the sweep; policy: who plans; seed: of the draws.
        key: digest of all that decides its figures.
    """

    index: int
    scenario: ScenarioFile
    values: tuple[Value, ...]
    policy: str
    seed: int
    key: str


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep, checked.

    Attributes:
        file: the sweep file, as the person gave it.
        name, title: for people.
        scenarios, policies, parameters, seeds: what is combined.
        redraw: ``everything`` (the seed stands in the scenario) or ``truth`` (it decides only the world that a plan meets).
        reference: policy that the others are compared with.
        power_flow: whether the network behind a scenario counts.
        version: of ozzo.
    """

    file: str
    name: str
    title: str
    scenarios: tuple[ScenarioFile, ...]
    policies: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    seeds: tuple[int, ...]
    redraw: str
    reference: str
    power_flow: bool
    version: str

    @property
    def size(self) -> int:
        """Number of runs."""
        combinations = 1
        for parameter in self.parameters:
            combinations *= len(parameter.values)
        return len(self.scenarios) * combinations * len(self.seeds) * len(self.policies)

    def combinations(self) -> list[tuple[Value, ...]]:
        """Every combination of the parameters' values; one empty one without parameters."""
        return list(product(*(parameter.values for parameter in self.parameters)))

    def runs(self) -> Iterator[Run]:
        """The runs in order: policies change fastest, so that those of one world follow each other."""
        every = product(self.scenarios, self.combinations(), self.seeds, self.policies)
        for index, (scenario, values, seed, policy) in enumerate(every):
            yield Run(index, scenario, values, policy, seed, self._key(scenario, values, policy, seed))

    def _key(self, scenario: ScenarioFile, values: tuple[Value, ...], policy: str, seed: int) -> str:
        settings = [[parameter.path, value] for parameter, value in zip(self.parameters, values, strict=True)]
        parts = [
            self.version,
            scenario.label,
            scenario.digest,
            sorted(settings, key=str),
            policy,
            seed,
            self.redraw,
            self.power_flow,
        ]
        return sha256(json.dumps(parts).encode()).hexdigest()[:KEY_LETTERS]

    def task(self, run: Run) -> dict[str, Any]:
        """What a worker needs to know of a run, as plain JSON values."""
        return {
            "run": run.index,
            "file": str(run.scenario.path),
            "digest": run.scenario.digest,
            "settings": [[parameter.path, value] for parameter, value in zip(self.parameters, run.values, strict=True)],
            "policy": run.policy,
            "seed": run.seed,
            "redraw": self.redraw,
            "power_flow": self.power_flow,
        }


def scenario_digest(path: Path, environment: Mapping[str, str] = os.environ) -> str:
    """SHA-256 of a scenario file and of every file that it names, hexadecimal.

    A text of the document that is the path of a file (from the scenario's folder, variables replaced) counts as naming it.

    Raises:
        OSError: the scenario, or a file that it names, cannot be read.
    """
    digest = sha256(path.read_bytes())
    for name in sorted({text for text in _texts(read_tree(path).data) if 0 < len(text) <= LONGEST_PATH}):
        file = path.parent / Template(name).safe_substitute(environment)
        if file.is_file():
            digest.update(name.encode() + b"\0" + sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _texts(value: object) -> Iterator[str]:
    """Every text in a document."""
    if isinstance(value, str) and "\0" not in value:
        yield value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        yield from _texts(part)


def shown_value(value: Value) -> str:
    """A parameter's value for people."""
    if isinstance(value, list):
        return "[" + ", ".join(map(shown_value, value)) + "]"
    return {None: "null", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else str(value)
