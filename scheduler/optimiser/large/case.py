"""A planning problem as flat arrays, and its solution: what the compiled code works on.

The arrays have the names of the benchmark format, so that its files are read as they are. Letters: ``S`` sites, ``T`` slots,
``J`` jobs, ``R`` resources, ``N`` entries of eligibility (a job at a site), ``M`` copies of datasets. Powers kW, energies kWh,
money EUR, times slots.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from grid.horizon import FloatArray
from scheduler.optimiser.large.rows import SharedRows, no_rows

IntArray = npt.NDArray[np.int64]

RIGID, INTERRUPTIBLE, MALLEABLE, PIECED = 0, 1, 2, 3
"""Values of ``Case.typ``; the benchmark format has the first three. Pieced: interruptible, pieces matter."""

NOBODY: Any = np.int64(-1)
"""No job, entry or slot, in compiled code; a literal -1 makes Numba compile every function that is called with it twice."""

ECO_SPEED, ECO_POWER = 0.7, 0.55
"""The second mode of malleable jobs in the benchmark format: 70 % of the work for 55 % of the power."""

UNSERVED_EUR_PER_KWH = 5.0
"""Price of unserved load in the benchmark format."""


def _unset() -> FloatArray:
    """Not given."""
    return np.zeros(0)


def _no_curve() -> FloatArray:
    """No modes of no jobs."""
    return np.zeros((0, 0))


def _none() -> IntArray:
    """Not given, of whole numbers."""
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A problem in arrays.

    Attributes:
        name: of the file or scenario.
        dt: length of a slot, hours.
        cap: capacity for jobs, ``[R, S, T]``.
        a: fixed facility power, ``[S, T]``; pue: facility kW per IT kW, ``[S, T]``; ren: sun and wind available, ``[S, T]``.
        E, Pc, Pd, soc0: battery energy, charge and discharge power, state of charge at the start, ``[S]``;
            eta_c, eta_d: efficiencies; wear: EUR per kWh moved, half on charge and half on discharge. ``[S]`` each.
        soc_min: reserve, ``[S]``.
        gmax, emax: import and export limit, ``[S, T]``.
        pi, po: import price (carbon priced in) and export price, EUR/kWh, ``[S, T]``.
        pk0, dc: peak already reached, kW, and price of each kW of import above it, EUR/kW, ``[S]``.
        unserved: price of unserved facility load, EUR/kWh, ``[S]``.
        dr_site, dr_start, dr_end, dr_limit_kw, dr_penalty: events on import minus export, ``[V]`` each, slots half-open.
        fid: feeder of each site (-1: none), ``[S]``; sites of a feeder are a chain in index order from the transformer.
        flim: limit of the flow through the head of each feeder, ``[F]``; vco: voltage drop per kW of flow, ``[S]``; vtol: limit.
        typ, p, rel, dl, soft, wt, res, pw, drop: jobs: kind, work, window, due slot, lateness price per slot, use ``[J, R]``, IT
            kW at full speed, price of not running it.
        ep, es, ec, ea, em: eligibility: entries of job ``j`` are ``ep[j]:ep[j + 1]``; site, fixed cost, earliest slot, copy or
            -1.
        soc_end, missing: state of charge at least at the end, and price of each kWh missing (infinite: forbidden), ``[S]``.
        speed2, power2: second mode of malleable jobs: share of the work and of the power at full speed, ``[J]``.
        least_run, least_gap: least length of a piece and of a pause of pieced jobs, slots; restart: price of each piece after the
            first, EUR. ``[J]`` each.
        curve_speed, curve_power: modes of malleable jobs that have others than those two: speed, rising, and power as shares of
            those at full speed, ``[J, K]``; zeros behind the modes of a job. ``power2`` of such a job is its least power.
        must_serve: a plan that leaves load unserved is worth less than any that does not, whatever it costs; in the benchmark
            format such load only has its price.
        after_ptr, after: workflows: job ``j`` starts when the jobs ``after[after_ptr[j]:after_ptr[j + 1]]`` have ended, and is
            dropped when one of them is; none in the benchmark format.
        ew: IT power at each entry as a share of the job's ``pw``, ``[N]``; 1 everywhere in the benchmark format.
        ms, md, mc, mgb: copies: site, dataset, price, volume; gbmax: volume limit of each site, ``[S]``.
        rows: further limits that sites share on import and export; none in the benchmark format.
    """

    name: str
    dt: float
    cap: FloatArray
    a: FloatArray
    pue: FloatArray
    ren: FloatArray
    E: FloatArray
    Pc: FloatArray
    Pd: FloatArray
    soc0: FloatArray
    soc_min: FloatArray
    eta_c: FloatArray
    eta_d: FloatArray
    wear: FloatArray
    gmax: FloatArray
    emax: FloatArray
    pi: FloatArray
    po: FloatArray
    pk0: FloatArray
    dc: FloatArray
    unserved: FloatArray
    dr_site: IntArray
    dr_start: IntArray
    dr_end: IntArray
    dr_limit_kw: FloatArray
    dr_penalty: FloatArray
    fid: IntArray
    flim: FloatArray
    vco: FloatArray
    vtol: float
    typ: IntArray
    p: IntArray
    rel: IntArray
    dl: IntArray
    soft: IntArray
    wt: FloatArray
    res: FloatArray
    pw: FloatArray
    drop: FloatArray
    ep: IntArray
    es: IntArray
    ec: FloatArray
    ea: IntArray
    em: IntArray
    ms: IntArray
    md: IntArray
    mc: FloatArray
    mgb: FloatArray
    gbmax: FloatArray
    speed2: FloatArray = field(default_factory=_unset)
    power2: FloatArray = field(default_factory=_unset)
    soc_end: FloatArray = field(default_factory=_unset)
    missing: FloatArray = field(default_factory=_unset)
    ew: FloatArray = field(default_factory=_unset)
    after_ptr: IntArray = field(default_factory=_none)
    after: IntArray = field(default_factory=_none)
    least_run: IntArray = field(default_factory=_none)
    least_gap: IntArray = field(default_factory=_none)
    restart: FloatArray = field(default_factory=_unset)
    curve_speed: FloatArray = field(default_factory=_no_curve)
    curve_power: FloatArray = field(default_factory=_no_curve)
    must_serve: bool = False
    rows: SharedRows = field(default_factory=no_rows)

    def __post_init__(self) -> None:
        """What the benchmark format does not have gets the value that it means there."""
        usual: dict[str, npt.NDArray[Any]] = {
            "speed2": np.full(len(self.p), ECO_SPEED),
            "power2": np.full(len(self.p), ECO_POWER),
            "soc_end": self.soc0,
            "missing": np.full(len(self.soc0), np.inf),
            "ew": np.ones(len(self.es)),
            "after_ptr": np.zeros(len(self.p) + 1, dtype=np.int64),
            "least_run": np.ones(len(self.p), dtype=np.int64),
            "least_gap": np.zeros(len(self.p), dtype=np.int64),
            "restart": np.zeros(len(self.p)),
            "curve_speed": np.zeros((len(self.p), 0)),
            "curve_power": np.zeros((len(self.p), 0)),
        }
        for name, value in usual.items():
            if len(getattr(self, name)) != len(value):
                object.__setattr__(self, name, value)

    def extra_columns(self) -> list[npt.NDArray[Any]]:
        """Further columns by which jobs differ."""
        return [self.speed2, self.power2, self.least_run, self.least_gap, self.restart, self.curve_speed, self.curve_power]

    def extra_entries(self) -> list[FloatArray]:
        """Further columns by which entries differ."""
        return [self.ew]

    def entry_kw(self) -> FloatArray:
        """IT power at full speed at each entry, kW, ``[N]``."""
        power: FloatArray = np.repeat(self.pw, np.diff(self.ep)) * self.ew
        return power

    @property
    def has_curve(self) -> npt.NDArray[np.bool_]:
        """Jobs with a power-cap curve of their own, ``[J]``."""
        curve: npt.NDArray[np.bool_] = np.any(self.curve_speed > 0.0, axis=1)
        return curve

    @property
    def J(self) -> int:  # noqa: N802 - the letter of the format
        """Number of jobs."""
        return len(self.p)

    @property
    def S(self) -> int:  # noqa: N802
        """Number of sites."""
        return int(self.cap.shape[1])

    @property
    def T(self) -> int:  # noqa: N802
        """Number of slots."""
        return int(self.cap.shape[2])


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """Decisions of all jobs, in the form of the benchmark's solution files.

    Attributes:
        choice: entry of eligibility of each job, or -1 when it is dropped, ``[J]``.
        run_ptr: job ``j`` runs in ``run_slot[run_ptr[j]:run_ptr[j + 1]]``, ``[J + 1]``.
        run_slot: slots, ascending for each job.
        run_full, run_eco: share of the slot at full speed and in the second mode.
    """

    choice: IntArray
    run_ptr: IntArray
    run_slot: IntArray
    run_full: FloatArray
    run_eco: FloatArray

    def save(self, path: Path, bound: float | None) -> None:
        """Write a solution file; ``bound`` is the lower bound that is claimed."""
        claim: dict[str, Any] = {} if bound is None else {"bound": np.float64(bound)}
        np.savez_compressed(
            path,
            choice=self.choice,
            run_ptr=self.run_ptr,
            run_slot=self.run_slot,
            run_full=self.run_full,
            run_eco=self.run_eco,
            **claim,
        )


def load_case(path: Path) -> Case:
    """The instance in a benchmark file.

    Raises:
        ValueError: an array is missing or has the wrong shape, with its name.
    """
    with np.load(path) as file:
        arrays: dict[str, Any] = {key: file[key] for key in file.files}
    missing = [key for key in _FORMAT if key not in arrays]
    if missing:
        raise ValueError(f"{path}: not an instance of the benchmark format, it has no {', '.join(missing)}")
    sites, slots = arrays["cap"].shape[1:]

    def whole(key: str) -> Any:
        return np.ascontiguousarray(arrays[key], dtype=np.int64)

    def real(key: str, shape: tuple[int, ...] | None = None) -> Any:
        array = np.asarray(arrays[key], dtype=np.float64)
        if shape == (sites, slots) and array.shape == (sites,):
            array = array[:, None]
        return np.array(array if shape is None else np.broadcast_to(array, shape), dtype=np.float64, order="C")

    grid, each = (sites, slots), (sites,)
    return Case(
        name=path.stem,
        dt=float(arrays["dt"]),
        cap=real("cap"),
        **{key: real(key, grid) for key in ("a", "pue", "ren", "gmax", "emax", "pi", "po")},
        **{key: real(key, each) for key in ("E", "Pc", "Pd", "soc0", "eta_c", "eta_d", "wear", "pk0", "dc", "vco", "gbmax")},
        soc_min=np.zeros(sites),
        unserved=np.full(sites, UNSERVED_EUR_PER_KWH),
        **{key: whole(key) for key in ("dr_site", "dr_start", "dr_end", "fid", "typ", "p", "rel", "dl", "soft")},
        **{key: whole(key) for key in ("ep", "es", "ea", "em")},
        **{key: real(key) for key in ("dr_limit_kw", "dr_penalty", "flim", "wt", "res", "pw", "drop", "ec", "mc", "mgb")},
        vtol=float(arrays["vtol"]),
        ms=whole("ms"),
        md=whole("md"),
    )


_FORMAT = (
    "dt", "cap", "a", "pue", "ren", "E", "Pc", "Pd", "eta_c", "eta_d", "soc0", "wear", "gmax", "emax", "pi", "po", "pk0",
    "dc", "dr_site", "dr_start", "dr_end", "dr_limit_kw", "dr_penalty", "fid", "flim", "vco", "vtol", "typ", "p", "rel",
    "dl", "soft", "wt", "res", "pw", "drop", "ep", "es", "ec", "ea", "em", "ms", "md", "mc", "mgb", "gbmax",
)  # fmt: skip
