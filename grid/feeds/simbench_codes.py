"""Names of the SimBench grids and of the buses in its low-voltage ones, without loading the package (which takes seconds).

A code reads ``1-<upper level><lower level>-<kind>-<part of the lower level>-<scenario>-<switches>``, for example
``1-LV-semiurb4--0-sw``. Source: SimBench documentation 1.0, section on codes (Meinecke et al., Energies 13 (2020) 3290,
doi:10.3390/en13123290); a test holds the list against the package's own.
"""

from __future__ import annotations

import csv
from functools import cache
from itertools import product

from grid.feeds.simbench_profiles import scenario_of, simbench_folder

SCENARIOS = ("0", "1", "2")
SWITCHES = ("sw", "no_sw")

KINDS: dict[str, dict[str, tuple[str, ...]]] = {
    "EHV": {"mixed": ("all", "1", "2")},
    "HV": {"mixed": ("all", "1.105", "2.102", "4.101"), "urban": ("all", "2.203", "3.201", "4.201")},
    "MV": {
        "rural": ("all", "1.108", "2.107", "4.101"),
        "semiurb": ("all", "3.202", "4.201", "5.220"),
        "urban": ("all", "5.303", "6.305", "6.309"),
        "comm": ("all", "3.403", "4.416", "5.401"),
    },
    "LV": dict.fromkeys(("rural1", "rural2", "rural3", "semiurb4", "semiurb5", "urban6"), ()),
}
"""For each upper level its kinds of grid, and for each the parts of the level below that it can be had with."""

LOWER = {"EHV": "HV", "HV": "MV", "MV": "LV"}

SUBNETS = {
    "rural1": "LV1.101",
    "rural2": "LV2.101",
    "rural3": "LV3.101",
    "semiurb4": "LV4.101",
    "semiurb5": "LV5.201",
    "urban6": "LV6.201",
}
"""Name of each low-voltage grid in SimBench's tables."""


@cache
def simbench_codes() -> tuple[str, ...]:
    """Every code of SimBench's first version."""
    codes = [f"1-complete_data-mixed-all-{scenario}-sw" for scenario in SCENARIOS]
    codes += [f"1-EHVHVMVLV-mixed-all-{scenario}-{switches}" for scenario, switches in product(SCENARIOS, ("sw",))]
    for level, kinds in KINDS.items():
        for kind, parts in kinds.items():
            grids = [(level, "")] + [(level + LOWER[level], part) for part in parts]
            codes += [
                f"1-{levels}-{kind}-{part}-{scenario}-{switches}"
                for (levels, part), scenario, switches in product(grids, SCENARIOS, SWITCHES)
            ]
    return tuple(codes)


@cache
def simbench_buses(code: str) -> tuple[str, ...] | None:
    """Names of the buses of a low-voltage grid; None for grids of other levels (they are known once the grid is built).

    Raises:
        FeedError: not a SimBench code, or the package has no such data.
    """
    scenario = scenario_of(code)
    kind = code.split("-")[2]
    if not code.startswith("1-LV-") or kind not in SUBNETS:
        return None
    path = simbench_folder(scenario) / "Node.csv"
    with path.open(encoding="utf-8", newline="") as file:  # pyarrow would be faster, but takes longer to import than this
        rows = csv.DictReader(file, delimiter=";")
        return tuple(row["id"] for row in rows if SUBNETS[kind] in row["subnet"] and "busbar" in row["type"])
