"""Files of the benchmark format: every fault of a file at once, then the case; and cases written to such files.

What the arrays mean is said at ``scheduler.optimiser.large.case.Case``. A job without any entry of eligibility is no fault (it
is dropped), nor one that no site has room for, nor an entry that begins too late for its job (nobody can choose it). Prices may
be below zero; but where exporting pays more than importing costs, going round in a circle would earn money that no plan can
earn, and the format has no rule against it.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from grid.errors import Finding, InputError
from grid.horizon import FloatArray
from scheduler.optimiser.large.case import MALLEABLE, RIGID, Case, load_case

Arrays = dict[str, npt.NDArray[Any]]
Mask = npt.NDArray[np.bool_]

EACH_SLOT = ("a", "pue", "ren", "gmax", "emax", "pi", "po")
EACH_SITE = ("E", "Pc", "Pd", "soc0", "eta_c", "eta_d", "wear", "pk0", "dc", "vco", "gbmax")
SHAPES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("dr_site", "dr_start", "dr_end", "dr_limit_kw", "dr_penalty"), ("V",)),
    **dict.fromkeys(("typ", "p", "rel", "dl", "soft", "wt", "pw", "drop"), ("J",)),
    **dict.fromkeys(("es", "ec", "ea", "em"), ("N",)),
    **dict.fromkeys(("ms", "md", "mc", "mgb"), ("M",)),
    "dt": (),
    "vtol": (),
    "fid": ("S",),
    "flim": ("F",),
    "res": ("J", "R"),
    "ep": ("J + 1",),
}
"""Axes of the arrays that have one shape only; those of ``EACH_SLOT`` and ``EACH_SITE`` may also be shorter."""
DEFINED_BY = {"V": "dr_site", "J": "p", "N": "es", "M": "ms", "F": "flim"}
WHOLE = frozenset(["dr_site", "dr_start", "dr_end", "fid", "typ", "p", "rel", "dl", "soft", "ep", "es", "ea", "em", "ms", "md"])
NOT_NEGATIVE = (
    *("cap", "ren", "E", "Pc", "Pd", "soc0", "wear", "gmax", "emax", "pk0", "dc", "dr_penalty", "flim", "vco", "vtol"),
    *("soft", "wt", "res", "pw", "drop", "ec", "mc", "mgb", "gbmax"),
)
NAMES = ("cap", *EACH_SLOT, *EACH_SITE, *SHAPES)


@dataclass(slots=True)
class _Faults:
    """What was found in one file."""

    file: str
    findings: list[Finding] = field(default_factory=list)

    def add(self, name: str, found: str, expected: str) -> None:
        """One fault of an array or of the file (``name`` empty)."""
        self.findings.append(Finding(self.file, None, name, found, expected))

    def where(self, name: str, array: npt.NDArray[Any], wrong: Mask, expected: str) -> None:
        """The first of the elements that are ``wrong``, and how many more there are."""
        if not wrong.any():
            return
        first = tuple(int(i) for i in np.argwhere(wrong)[0])
        others = int(wrong.sum()) - 1
        place = f"{name}[{', '.join(map(str, first))}]" if first else name
        found = f"{array[first].item():g}" if array[first].dtype.kind == "f" else str(array[first].item())
        self.add(place, found + (f" (and {others} more like it)" if others else ""), expected)


def read_case(path: Path) -> Case:
    """The case in a file of the benchmark format.

    Raises:
        InputError: with every fault of the file: array, index, what was found and what was expected.
    """
    faults = _Faults(str(path))
    arrays = _open(path, faults)
    if arrays is not None and not faults.findings:
        _check(arrays, faults)
    if faults.findings:
        raise InputError(faults.findings)
    return load_case(path)


def write_case(path: Path, case: Case) -> None:
    """Write ``case`` as a file of the benchmark format (compressed); only what the format has a place for."""
    arrays: dict[str, Any] = {name: getattr(case, name) for name in NAMES}
    for name in ("gmax", "emax"):
        if (arrays[name] == arrays[name][:, :1]).all():
            arrays[name] = arrays[name][:, 0]
    for name in ("eta_c", "eta_d", "wear"):
        if (arrays[name] == arrays[name][0]).all():
            arrays[name] = arrays[name][0]
    sizes = {"J": case.J, "S": case.S, "T": case.T}
    content: dict[str, Any] = {name: np.asarray(value) for name, value in (arrays | sizes).items()}
    np.savez_compressed(path, **content)


def _open(path: Path, faults: _Faults) -> Arrays | None:
    """Every array of the file as float64 or int64; None when it cannot be read at all."""
    if not path.is_file():
        faults.add("", "no such file", "an .npz file of the benchmark format")
        return None
    try:
        if not zipfile.is_zipfile(path):
            faults.add("", "no .npz archive", "an .npz file of the benchmark format (numpy.savez_compressed)")
            return None
        with np.load(path, allow_pickle=False) as file:
            names = set(file.files)
            return {name: array for name in NAMES if (array := _array(file, name, names, faults)) is not None}
    except (OSError, zipfile.BadZipFile) as error:
        faults.add("", f"an archive that cannot be read ({error})", "an .npz file of the benchmark format")
        return None


def _array(file: Mapping[str, npt.NDArray[Any]], name: str, names: set[str], faults: _Faults) -> npt.NDArray[Any] | None:
    """One array as numbers, or None with its fault noted."""
    if name not in names:
        faults.add(name, "no such array", "an array of this name")
        return None
    try:
        array = file[name]
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        faults.add(name, f"an array that cannot be read ({error})", "numbers")
        return None
    if array.dtype.kind not in "iufb":
        faults.add(name, f"values of type {array.dtype}", "numbers")
        return None
    if name not in WHOLE:
        return array.astype(np.float64)
    if array.dtype.kind == "f":
        fraction = ~np.isfinite(array) | (array != np.round(array))
        faults.where(name, array, fraction, "a whole number")
        array = np.where(fraction, 0, array)
    return array.astype(np.int64)


def _check(arrays: Arrays, faults: _Faults) -> None:
    """Shapes first (without them nothing else can be said), then values, then what arrays say about each other."""
    sizes = _shapes(arrays, faults)
    if faults.findings:
        return
    for name, array in arrays.items():
        if array.dtype.kind == "f":
            faults.where(name, array, ~np.isfinite(array), "a finite number")
    if faults.findings:
        return
    _values(arrays, faults)
    _prices(arrays, sizes, faults)
    _references(arrays, sizes, faults)
    if not faults.findings:
        _entries(arrays, faults)


def _shapes(arrays: Arrays, faults: _Faults) -> dict[str, int]:
    """Length of every axis; faults where an array does not have its shape."""
    cap = arrays["cap"]
    if cap.ndim != 3 or not cap.size:
        faults.add("cap", f"shape {cap.shape}", "three axes [R, S, T], none of them empty")
        return {}
    sizes = dict(zip("RST", cap.shape, strict=True))
    sizes |= {axis: len(arrays[name]) if arrays[name].ndim else -1 for axis, name in DEFINED_BY.items()}
    sizes["J + 1"] = sizes["J"] + 1
    grid, site = (sizes["S"], sizes["T"]), (sizes["S"],)
    for names, axes, allowed in ((EACH_SLOT, "[S, T], [S]", (grid, site, ())), (EACH_SITE, "[S]", (site, ()))):
        for name in names:
            if arrays[name].shape not in allowed:
                faults.add(
                    name, f"shape {arrays[name].shape}", f"shape {axes} or one number, here {' or '.join(map(str, allowed))}"
                )
    for name, letters in SHAPES.items():
        expected = tuple(sizes[letter] for letter in letters)
        if arrays[name].shape != expected:
            stands = f" [{', '.join(letters)}]" if letters else ""
            faults.add(name, f"shape {arrays[name].shape}", f"shape{stands} {expected if -1 not in expected else '(one axis)'}")
    return sizes


def _values(arrays: Arrays, faults: _Faults) -> None:
    """Signs and ranges of single values."""
    for name in NOT_NEGATIVE:
        faults.where(name, arrays[name], arrays[name] < 0, "at least 0")
    for name in ("dt", "pue"):
        faults.where(name, arrays[name], arrays[name] <= 0, "above 0")
    for name in ("eta_c", "eta_d"):
        faults.where(name, arrays[name], (arrays[name] <= 0) | (arrays[name] > 1), "above 0, at most 1")
    faults.where("typ", arrays["typ"], (arrays["typ"] < RIGID) | (arrays["typ"] > MALLEABLE), "0, 1 or 2")
    faults.where("p", arrays["p"], arrays["p"] < 1, "at least 1 slot")
    over = np.broadcast_to(arrays["soc0"] > arrays["E"], np.broadcast_shapes(arrays["soc0"].shape, arrays["E"].shape))
    soc0 = np.broadcast_to(arrays["soc0"], over.shape)
    faults.where("soc0", soc0, over, "at most the battery's energy E of its site")


def _prices(arrays: Arrays, sizes: dict[str, int], faults: _Faults) -> None:
    """Nobody sells in a slot for more than what is bought there costs, where both can be done."""
    grid = (sizes["S"], sizes["T"])

    def spread(name: str) -> FloatArray:
        array = arrays[name]
        return np.broadcast_to(array[:, None] if array.shape == grid[:1] else array, grid)

    circle = (spread("po") > spread("pi")) & (spread("gmax") > 0) & (spread("emax") > 0)
    expected = (
        "at most the import price pi of its site and slot (or gmax or emax 0), or buying and selling at once would earn money"
    )
    faults.where("po", spread("po"), circle, expected)


def _references(arrays: Arrays, sizes: dict[str, int], faults: _Faults) -> None:
    """Sites, slots, copies and feeders that exist; windows that hold their job."""
    slots = sizes["T"]

    def within(name: str, low: int, high: int, what: str) -> None:
        faults.where(name, arrays[name], (arrays[name] < low) | (arrays[name] > high), f"{what} {low} to {high}")

    for name in ("es", "ms", "dr_site"):
        within(name, 0, sizes["S"] - 1, "a site,")
    within("em", -1, sizes["M"] - 1, "a copy, or -1:")
    within("fid", -1, sizes["F"] - 1, "a feeder, or -1:")
    within("rel", 0, slots - 1, "a slot,")
    within("ea", 0, slots, "a slot,")
    within("dr_start", 0, slots - 1, "a slot,")
    beyond = (arrays["dr_end"] <= arrays["dr_start"]) | (arrays["dr_end"] > slots)
    faults.where("dr_end", arrays["dr_end"], beyond, f"after its dr_start, at most {slots}")
    faults.where("dl", arrays["dl"], arrays["dl"] > slots, f"at most the {slots} slots there are")
    short = arrays["dl"] - arrays["rel"] < arrays["p"]
    faults.where("dl", arrays["dl"], short, "a window [rel, dl) of at least the p slots that the job needs")
    ep = arrays["ep"]
    falls = np.concatenate(([ep[0] != 0], np.diff(ep) < 0))
    falls[-1] |= ep[-1] != sizes["N"]
    faults.where("ep", ep, falls, f"from 0 to {sizes['N']} (entries of es), never falling")


def _entries(arrays: Arrays, faults: _Faults) -> None:
    """Entries of eligibility fit their job, their copy and their site."""
    job = np.repeat(np.arange(len(arrays["p"])), np.diff(arrays["ep"]))
    faults.where("ea", arrays["ea"], arrays["ea"] < arrays["rel"][job], "not before rel of its job")
    moved = arrays["em"] >= 0
    elsewhere = np.zeros(len(moved), dtype=bool)
    elsewhere[moved] = arrays["ms"][arrays["em"][moved]] != arrays["es"][moved]
    faults.where("em", arrays["em"], elsewhere, "a copy whose site ms is the entry's site es")
