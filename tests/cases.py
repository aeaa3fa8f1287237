"""Small cases by hand: one site, one resource, four slots of an hour, nothing but a load of 1 kW, unless the test says more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from scheduler.optimiser.large.case import ECO_POWER, ECO_SPEED, UNSERVED_EUR_PER_KWH, Case, Solution


def tiny(sites: int = 1, slots: int = 4, **arrays: Any) -> Case:
    """A case without jobs; ``arrays`` replace those of the same name (broadcast to their shape)."""
    grid, each = (sites, slots), (sites,)
    none = np.zeros(0)
    nobody = np.zeros(0, dtype=np.int64)
    usual = {"a": 1.0, "pue": 1.0, "ren": 0.0, "gmax": 100.0, "emax": 0.0, "pi": 0.1, "po": 0.0}
    content: dict[str, Any] = {name: np.full(grid, value) for name, value in usual.items()}
    content |= {name: np.zeros(each) for name in ("E", "Pc", "Pd", "soc0", "soc_min", "wear", "dc", "vco")}
    content |= {name: np.ones(each) for name in ("eta_c", "eta_d")}
    content |= dict.fromkeys(
        ("dr_site", "dr_start", "dr_end", "typ", "p", "rel", "dl", "soft", "es", "ea", "em", "ms", "md"), nobody
    )
    content |= dict.fromkeys(
        ("dr_limit_kw", "dr_penalty", "flim", "wt", "pw", "drop", "ec", "mc", "mgb", "speed2", "power2"), none
    )
    content |= {"pk0": np.full(each, 1000.0), "unserved": np.full(each, UNSERVED_EUR_PER_KWH), "gbmax": np.full(each, 1000.0)}
    content |= {
        "cap": np.full((1, *grid), 10.0),
        "fid": np.full(each, -1),
        "res": np.zeros((0, 1)),
        "ep": np.zeros(1, dtype=np.int64),
    }
    case = Case(name="tiny", dt=1.0, vtol=0.05, **content)
    shaped: dict[str, Any] = {}
    arrays = ({"soc_end": arrays["soc0"]} if "soc0" in arrays else {}) | arrays
    for name, value in arrays.items():
        before = getattr(case, name)
        if isinstance(before, np.ndarray) and before.size:
            # a copy, because kernels are compiled anew for arrays that are read-only
            shaped[name] = np.array(np.broadcast_to(np.asarray(value, dtype=before.dtype), before.shape))
        else:
            shaped[name] = np.asarray(value, dtype=before.dtype) if isinstance(before, np.ndarray) else value
    if "soc0" in shaped:
        shaped = {"soc_end": shaped["soc0"]} | shaped  # as full at the end as at the start, unless the test says else
    return replace(case, **shaped)


def with_jobs(case: Case, *jobs: dict[str, Any]) -> Case:
    """``case`` with jobs; of each: values of the arrays ``[J]`` by name, and ``entries``.

    Entries are ``(site, fixed cost, earliest slot, copy)``.
    """
    usual = {"typ": 0, "p": 1, "rel": 0, "dl": case.T, "soft": case.T, "wt": 0.0, "res": 1.0, "pw": 1.0, "drop": 100.0}
    usual |= {"speed2": ECO_SPEED, "power2": ECO_POWER}
    full = [usual | {"entries": [(0, 0.0, job.get("rel", 0), -1)]} | job for job in jobs]
    entries = [entry for job in full for entry in job["entries"]]
    pointer = np.concatenate(([0], np.cumsum([len(job["entries"]) for job in full])))
    whole: dict[str, Any] = {
        name: np.array([job[name] for job in full], dtype=np.int64) for name in ("typ", "p", "rel", "dl", "soft")
    }
    real: dict[str, Any] = {
        name: np.array([job[name] for job in full], dtype=np.float64) for name in ("wt", "pw", "drop", "speed2", "power2")
    }
    columns = list(zip(*entries, strict=True)) if entries else [(), (), (), ()]
    sites, fixed, earliest, copies = columns
    return replace(
        case,
        **whole,
        **real,
        res=np.array([[job["res"]] for job in full], dtype=np.float64),
        ep=pointer.astype(np.int64),
        es=np.array(sites, dtype=np.int64),
        ec=np.array(fixed, dtype=np.float64),
        ea=np.array(earliest, dtype=np.int64),
        em=np.array(copies, dtype=np.int64),
    )


def decided(*jobs: tuple[int, Sequence[int]] | tuple[int, Sequence[int], Sequence[float], Sequence[float]]) -> Solution:
    """A solution: of each job its entry (-1: dropped), its slots, and for malleable jobs the shares of both modes."""
    slots, full, eco = [], [], []
    for job in jobs:
        slots += list(job[1])
        full += list(job[2]) if len(job) == 4 else [1.0] * len(job[1])
        eco += list(job[3]) if len(job) == 4 else [0.0] * len(job[1])
    return Solution(
        choice=np.array([job[0] for job in jobs], dtype=np.int64),
        run_ptr=np.concatenate(([0], np.cumsum([len(job[1]) for job in jobs]))).astype(np.int64),
        run_slot=np.array(slots, dtype=np.int64),
        run_full=np.array(full, dtype=np.float64),
        run_eco=np.array(eco, dtype=np.float64),
    )


def all_dropped(case: Case) -> Solution:
    """Nothing runs: always a legal solution."""
    return decided(*[(-1, ()) for _ in range(case.J)])


def first_fit(case: Case) -> Solution:
    """A plain rule: every job, in order, at its first entry and earliest slots that have room; else it is dropped."""
    room, opened, volume = case.cap.copy(), set[int](), case.gbmax.copy()
    decisions: list[tuple[int, Sequence[int]]] = []
    for job in range(case.J):
        found: tuple[int, Sequence[int]] = (-1, ())
        for entry in range(int(case.ep[job]), int(case.ep[job + 1])):
            site, copy = int(case.es[entry]), int(case.em[entry])
            more_gb = case.mgb[copy] if copy >= 0 and copy not in opened else 0.0
            free = (room[:, site] >= case.res[job][:, None]).all(axis=0)
            free[: case.ea[entry]] = False
            free[case.dl[job] :] = False
            slots = _slots(free, int(case.p[job]), together=case.typ[job] == 0)
            if slots and volume[site] >= more_gb:
                found = (entry, slots)
                room[:, site, slots] -= case.res[job][:, None]
                volume[site] -= more_gb
                opened |= {copy} - {-1}
                break
        decisions.append(found)
    return decided(*decisions)


def _slots(free: npt.NDArray[np.bool_], count: int, *, together: bool) -> list[int]:
    """The first ``count`` free slots, one after the other when ``together``; empty when there are none."""
    if not together:
        open_slots = np.flatnonzero(free)[:count].tolist()
        return open_slots if len(open_slots) == count else []
    for first in range(len(free) - count + 1):
        if free[first : first + count].all():
            return list(range(first, first + count))
    return []
