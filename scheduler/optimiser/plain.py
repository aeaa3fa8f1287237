"""The exact model of a case, job by job and slot by slot, from arrays straight into HiGHS: a rival, and the truth on tiny cases.

It is the textbook time-indexed MILP and shares no row with the price decomposition, whose exact polish solves it for small cases.
Families in words, in their order:

once: every job starts once, is at one site, or is dropped. amount: a job at a site does its work. within: it runs only where it
is. begins, least_run, least_gap: a piece begins where a job runs and did not run before; pieces and pauses last. on_line,
within_power: work done on a power-cap curve, and its power. moved: a copy is paid before it is used. volume: copies of a site are
within its limit. capacity: of each resource, site and slot. balance: every kW of facility load has a source. battery: state of
charge from slot to slot. final: charge missing at the end is paid, or forbidden. charge, discharge: never both in one slot. peak:
import above the peak already reached is paid. event: net import above the limit is paid. head, voltage: flow through the head of
a feeder and voltage drop along its chain stay within their limits (linearised DistFlow). shared: other limits on what sites
import and export together.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grid.horizon import FloatArray
from scheduler.optimiser.compiled import Compiled
from scheduler.optimiser.highs import Limits, StopAsked, never, solve_integer
from scheduler.optimiser.large.case import MALLEABLE, PIECED, RIGID, Case, IntArray, Solution
from scheduler.optimiser.large.curves import lines
from scheduler.optimiser.plain_columns import Columns
from scheduler.optimiser.plain_energy import energy_side
from scheduler.plan import SolveStatus

BYTES_A_NONZERO = 200
"""Peak memory of a rival for each nonzero of the matrix, from building to the root relaxation (on M: HiGHS 120, CP-SAT 195)."""


@dataclass(slots=True, eq=False)
class Rows:
    """Rows while they are collected.

    Attributes:
        families: first and past-the-end row of each family.
        terms: row, column and coefficient of every nonzero, in pieces.
        limits: lower and upper limits, in pieces.
    """

    families: dict[str, dict[Any, int]] = field(default_factory=dict)
    terms: list[tuple[IntArray, IntArray, FloatArray]] = field(default_factory=list)
    limits: list[tuple[FloatArray, FloatArray]] = field(default_factory=list)
    size: int = 0

    def family(self, name: str, lower: FloatArray, upper: FloatArray) -> int:
        """Begin a family; returns its first row."""
        first, self.size = self.size, self.size + len(lower)
        self.families[name] = {"first": first, "end": self.size}
        self.limits.append((lower, upper))
        return first

    def put(self, row: IntArray, column: IntArray, value: FloatArray | float) -> None:
        """Nonzeros of the rows ``row``."""
        self.terms.append((row, column, np.broadcast_to(np.asarray(value, dtype=np.float64), row.shape)))


@dataclass(frozen=True, slots=True, eq=False)
class PlainAnswer:
    """What the plain model led to.

    Attributes:
        solution, objective: best point, or None when none was found in time; bound: proven lower bound, or None.
        status, words: how it ended, in our words and the solver's.
        build_s, solve_s: wall times.
    """

    solution: Solution | None
    objective: float | None
    bound: float | None
    status: SolveStatus
    words: str
    build_s: float
    solve_s: float


def plain_model(case: Case) -> Compiled:
    """The exact MILP of ``case``; in ``rows`` and ``columns`` each family has only its ``first`` and its past-the-end ``end``."""
    from scipy.sparse import csc_matrix

    columns, rows = Columns(case), Rows()
    cost, upper, whole = _job_columns(case, columns)
    _choices(case, columns, rows)
    _pieces(case, columns, rows)
    _curves(case, columns, rows)
    _copies(case, columns, rows)
    energy = energy_side(case, columns.size, rows)
    _capacity_and_load(case, columns, rows)
    row, column, value = (np.concatenate([term[k] for term in rows.terms]) for k in range(3))
    size = columns.size + len(energy.cost)
    lows, ups = (np.concatenate([limit[k] for limit in rows.limits]) for k in range(2))
    families = {"drop": (columns.drop, case.J), "move": (columns.move, len(case.ms))}
    families |= {name: (columns.first[name], len(span.slot)) for name, span in columns.spans}
    families |= {name: (columns.size + first, count) for name, (first, count) in energy.families.items()}
    return Compiled(
        cost=np.concatenate((cost, energy.cost)),
        offset=energy.offset,
        matrix=csc_matrix((value, (row, column)), shape=(rows.size, size)),
        row_lower=lows,
        row_upper=ups,
        lower=np.concatenate((np.zeros(columns.size), energy.lower)),
        upper=np.concatenate((upper, energy.upper)),
        integer=np.concatenate((whole, energy.integer)),
        columns={name: {"first": first, "end": first + count} for name, (first, count) in families.items()},
        rows=rows.families,
    )


def solve_plain(case: Case, time_s: float, gap: float = 0.0, stop: StopAsked = never) -> PlainAnswer:
    """Build the plain model and let HiGHS (one thread) solve it; ``time_s`` covers both."""
    began = time.perf_counter()
    model = plain_model(case)
    build_s = time.perf_counter() - began
    answer = solve_integer(model, Limits(time_s - build_s, gap), stop=stop)
    solution = None if answer.values is None else Columns(case).solution(answer.values)
    solve_s = time.perf_counter() - began - build_s
    return PlainAnswer(solution, answer.objective, answer.bound, answer.status, answer.words, build_s, solve_s)


def plain_size(case: Case) -> tuple[int, int]:
    """Columns and nonzeros of the plain model, nearly, without building it (which may not be possible)."""
    job = np.repeat(np.arange(case.J), np.diff(case.ep))
    kind, work, room = case.typ[job], case.p[job], case.dl[job] - np.maximum(case.ea, 0)
    uses = np.count_nonzero(case.res, axis=1)[job] + 1
    count = np.where(room < work, 0, room - np.where(kind == RIGID, work - 1, 0)) * np.where(kind == MALLEABLE, 2, 1)
    nonzeros = count * (np.where(kind == RIGID, work * uses, uses + 2) + 1)
    cells = case.S * case.T
    return case.J + len(case.ms) + int(count.sum()) + 8 * cells, int(nonzeros.sum()) + 16 * cells


def _job_columns(case: Case, columns: Columns) -> tuple[FloatArray, FloatArray, Any]:
    """Cost, upper bound and integrality of the columns of jobs and copies."""
    cost, upper, whole = np.zeros(columns.size), np.ones(columns.size), np.ones(columns.size, dtype=bool)
    cost[columns.drop : columns.drop + case.J] = case.drop
    cost[columns.move : columns.move + len(case.ms)] = case.mc
    at_site = columns.site >= 0
    first_piece = np.where(case.typ == PIECED, case.restart, 0.0)[columns.job]
    cost[columns.site[at_site]] = (case.ec - first_piece)[at_site]
    for name, span in columns.spans:
        job = columns.job[span.entry]
        if name == "done":
            price = np.zeros(len(job))
        elif name == "begin":
            price = case.restart[job]
        elif name == "start":
            late = np.maximum(0, span.slot + case.p[job] - case.soft[job])
            price = case.ec[span.entry] + case.wt[job] * late
        else:
            price = case.wt[job] * (span.slot >= case.soft[job])
        here = slice(columns.first[name], columns.first[name] + len(span.slot))
        cost[here] = price
        if name == "begin":
            upper[here] = span.slot + case.least_run[job] <= case.dl[job]
        whole[here] = name in {"start", "whole", "begin"}
    return cost, upper, whole


def _choices(case: Case, columns: Columns, rows: Rows) -> None:
    """Families once, amount and within."""
    infinity = np.inf
    ones = np.ones(case.J)
    first = rows.family("once", ones, ones)
    rows.put(first + np.arange(case.J), columns.drop + np.arange(case.J), 1.0)
    rows.put(first + columns.job[columns.start.entry], columns.first["start"] + np.arange(len(columns.start.slot)), 1.0)
    chosen = np.flatnonzero(columns.site >= 0)
    rows.put(first + columns.job[chosen], columns.site[chosen], 1.0)

    exact = case.typ[columns.job[chosen]] != MALLEABLE
    first = rows.family("amount", np.zeros(len(chosen)), np.where(exact, 0.0, infinity))
    place = np.full(len(case.es), -1)
    place[chosen] = first + np.arange(len(chosen))
    rows.put(place[chosen], columns.site[chosen], -case.p[columns.job[chosen]].astype(np.float64))
    for name, span in (item for item in columns.spans if item[0] in {"whole", "full", "eco", "done"}):
        job = columns.job[span.entry]
        speed = np.where(name == "eco", case.speed2[job], 1.0) * ((name == "done") | ~case.has_curve[job])
        rows.put(place[span.entry], columns.first[name] + np.arange(len(span.slot)), speed)

    for name, span in (("within_whole", columns.whole), ("within_share", columns.share)):
        count = len(span.slot)
        first = rows.family(name, np.full(count, -infinity), np.zeros(count))
        each = np.arange(count)
        for part in ("whole",) if span is columns.whole else ("full", "eco"):
            rows.put(first + each, columns.first[part] + each, 1.0)
        rows.put(first + each, columns.site[span.entry], -1.0)


def _pieces(case: Case, columns: Columns, rows: Rows) -> None:
    """Families begins, least_run and least_gap.

    ``run[t] - run[t - 1] <= begin[t]``, ``sum begin[t - least_run < k <= t] <= run[t]``, and ``run[t] + sum begin[t < k <= t +
    least_gap] <= at site``. A piece that has no room for its least run cannot begin (``_job_columns``).
    """
    span = columns.pieces
    count, each = len(span.slot), np.arange(len(span.slot))
    job = columns.job[span.entry]
    column = np.full((len(case.es), case.T), -1)
    column[columns.whole.entry, columns.whole.slot] = columns.first["whole"] + np.arange(len(columns.whole.slot))
    runs, begins = column[span.entry, span.slot], columns.first["begin"] + each
    place = each - np.repeat(span.pointer[:-1], np.diff(span.pointer))  # in the window of the entry
    left = np.repeat(np.diff(span.pointer), np.diff(span.pointer)) - place
    first = rows.family("begins", np.full(count, -np.inf), np.zeros(count))
    rows.put(first + each, runs, 1.0)
    before = place > 0
    rows.put(first + each[before], runs[before] - 1, -1.0)
    rows.put(first + each, begins, -1.0)
    first = rows.family("least_run", np.full(count, -np.inf), np.zeros(count))
    rows.put(first + each, runs, -1.0)
    for back in range(int(case.least_run[job].max(initial=0))):
        reach = (back < case.least_run[job]) & (place >= back)
        rows.put(first + each[reach], begins[reach] - back, 1.0)
    first = rows.family("least_gap", np.full(count, -np.inf), np.zeros(count))
    rows.put(first + each, runs, 1.0)
    rows.put(first + each, columns.site[span.entry], -1.0)
    for ahead in range(1, int(case.least_gap[job].max(initial=0)) + 1):
        reach = (ahead <= case.least_gap[job]) & (ahead < left)
        rows.put(first + each[reach], begins[reach] + ahead, 1.0)


def _curves(case: Case, columns: Columns, rows: Rows) -> None:
    """Families on_line and within_power.

    ``done <= by_use * use + by_power * power`` on every line of the envelope, ``power <= most * use``; ``use = full + eco`` and
    ``power = full + power2 * eco``.
    """
    span = columns.bent
    count, each = len(span.slot), np.arange(len(span.slot))
    job = columns.job[span.entry]
    column = np.full((len(case.es), case.T), -1)
    column[columns.share.entry, columns.share.slot] = np.arange(len(columns.share.slot))
    share = column[span.entry, span.slot]
    by_use, by_power = lines(case)

    def mixed(first: int, use: FloatArray, power: FloatArray) -> None:
        rows.put(first + each, columns.first["full"] + share, use + power)
        rows.put(first + each, columns.first["eco"] + share, use + case.power2[job] * power)

    for k in range(by_use.shape[1]):
        first = rows.family(f"on_line_{k}", np.full(count, -np.inf), np.zeros(count))
        rows.put(first + each, columns.first["done"] + each, 1.0)
        mixed(first, -by_use[job, k], -by_power[job, k])
    first = rows.family("within_power", np.full(count, -np.inf), np.zeros(count))
    mixed(first, -case.curve_power.max(axis=1, initial=0.0)[job], np.ones(count))


def _copies(case: Case, columns: Columns, rows: Rows) -> None:
    """Families moved and volume."""
    infinity, copies = np.inf, len(case.ms)
    needs = case.em >= 0
    usable = needs & (columns.site >= 0)
    usable[columns.start.entries] = needs[columns.start.entries]
    entries = np.flatnonzero(usable)
    first = rows.family("moved", np.full(len(entries), -infinity), np.zeros(len(entries)))
    place = np.full(len(case.es), -1)
    place[entries] = first + np.arange(len(entries))
    rows.put(place[entries], columns.move + case.em[entries], -1.0)
    chosen = entries[columns.site[entries] >= 0]
    rows.put(place[chosen], columns.site[chosen], 1.0)
    starts = np.flatnonzero(needs[columns.start.entry])
    rows.put(place[columns.start.entry[starts]], columns.first["start"] + starts, 1.0)
    first = rows.family("volume", np.full(case.S, -infinity), case.gbmax)
    rows.put(first + case.ms, columns.move + np.arange(copies), case.mgb)


def _capacity_and_load(case: Case, columns: Columns, rows: Rows) -> None:
    """Family capacity, and the jobs' part of the balance that the energy side has begun."""
    resources, slots = len(case.cap), case.T
    capacity = rows.family("capacity", np.full(case.cap.size, -np.inf), case.cap.ravel())
    balance = rows.families["balance"]["first"]
    for name, span in columns.spans:
        if name in {"begin", "done"}:
            continue
        column, entry, slot = columns.first[name] + np.arange(len(span.slot)), span.entry, span.slot
        if name == "start":
            length = case.p[columns.job[entry]]
            begin = np.repeat(np.cumsum(length) - length, length)
            step = np.arange(length.sum()) - begin
            column, entry, slot = np.repeat(column, length), np.repeat(entry, length), np.repeat(slot, length) + step
        job, site = columns.job[entry], case.es[entry]
        draw_kw = case.entry_kw()[entry] * (case.power2[job] if name == "eco" else 1.0)
        rows.put(balance + site * slots + slot, column, -case.pue[site, slot] * draw_kw)
        for resource in range(resources):
            use = case.res[job, resource]
            some = use > 0
            row = capacity + (resource * case.S + site) * slots + slot
            rows.put(row[some], column[some], use[some])
