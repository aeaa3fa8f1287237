"""An independent check of a solution to a case: every rule stated a second time, and what the solution costs exactly.

It shares nothing with the optimiser: the decisions of the jobs are checked and priced here, and the energy side (grid, export,
curtailment, batteries, peaks, feeders, events) is optimised by ``sim.case_check_energy`` for the load that they make. What a
solver says of its own objective is never used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
import numpy.typing as npt

from grid.horizon import FloatArray
from scheduler.optimiser.large.case import INTERRUPTIBLE, MALLEABLE, PIECED, RIGID, Case, IntArray, Solution

TOLERANCE = 1e-6
"""Of shares, work, resources and volumes."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class CaseFinding:
    """A broken rule: the first place where it is broken, and in how many places it is."""

    rule: str
    place: str
    found: str
    expected: str
    count: int

    def __str__(self) -> str:
        others = f" ({self.count} places)" if self.count > 1 else ""
        return f"{self.rule}: {self.place}: found {self.found}, expected {self.expected}{others}"


@dataclass(frozen=True, slots=True)
class CaseVerdict:
    """What the check says.

    Attributes:
        findings: broken rules; empty when the solution is feasible.
        dropped: number of jobs that are not run.
        jobs_eur: lateness, drops, fixed costs and copies.
        energy_eur: exact cost of the energy side, or None (infeasible decisions, or no feasible energy side).
    """

    findings: tuple[CaseFinding, ...]
    dropped: int
    jobs_eur: float | None
    energy_eur: float | None

    @property
    def feasible(self) -> bool:
        """No rule is broken."""
        return not self.findings

    @property
    def objective_eur(self) -> float | None:
        """Exact objective of a feasible solution."""
        return None if self.jobs_eur is None or self.energy_eur is None else self.jobs_eur + self.energy_eur


def check_case(case: Case, solution: Solution) -> CaseVerdict:
    """Feasibility and exact objective of ``solution`` in ``case``."""
    from sim.case_check_energy import least_energy_cost

    shape = tuple(_shape(case, solution))
    dropped = int((solution.choice < 0).sum())
    if shape:
        return CaseVerdict(shape, dropped, None, None)
    work = _Work(case, solution)
    findings = (*work.rules(), *_copies(case, solution)) if not (wrong := tuple(work.entries())) else wrong
    if findings:
        return CaseVerdict(findings, dropped, None, None)
    energy_eur = least_energy_cost(case, work.load_kw())
    if energy_eur is None:
        unsolved = CaseFinding("energy", "all sites", "no feasible flows", "import, export and batteries within all limits", 1)
        return CaseVerdict((unsolved,), dropped, work.cost_eur(), None)
    return CaseVerdict((), dropped, work.cost_eur(), energy_eur)


def _finding(rule: str, wrong: Mask, place: str, found: npt.NDArray[np.generic], expected: object) -> Iterator[CaseFinding]:
    """The first place where ``wrong`` holds; ``{}`` in ``place`` takes its index."""
    if wrong.any():
        first = int(np.argmax(wrong))
        text = expected[first] if isinstance(expected, np.ndarray) else expected
        yield CaseFinding(rule, place.format(first), f"{found[first]}", f"{text}", int(wrong.sum()))


def _shape(case: Case, solution: Solution) -> Iterator[CaseFinding]:
    """The arrays fit together; when they do not, nothing else can be read."""
    pointer = solution.run_ptr
    expected = {"choice": (case.J,), "run_ptr": (case.J + 1,)}
    expected |= {name: (int(pointer[-1]) if len(pointer) else 0,) for name in ("run_slot", "run_full", "run_eco")}
    for name, shape in expected.items():
        array = getattr(solution, name)
        if array.shape != shape:
            yield CaseFinding("shape", name, str(array.shape), str(shape), 1)
        elif not np.isfinite(array).all():
            yield CaseFinding("shape", name, "values that are no numbers", "numbers", int((~np.isfinite(array)).sum()))
    if len(pointer) and (pointer[0] != 0 or (np.diff(pointer) < 0).any()):
        yield CaseFinding("shape", "run_ptr", "values that fall, or a first one that is not 0", "0, then never falling", 1)


class _Work:
    """The jobs' decisions, one element a run (a job in a slot)."""

    def __init__(self, case: Case, solution: Solution) -> None:
        self.case, self.choice, self.pointer = case, solution.choice, solution.run_ptr
        self.slot, self.full, self.eco = solution.run_slot, solution.run_full, solution.run_eco
        self.job: IntArray = np.repeat(np.arange(case.J), np.diff(self.pointer))
        self.runs: IntArray = np.diff(self.pointer)

    def entries(self) -> Iterator[CaseFinding]:
        """Choices are entries of their jobs, and runs lie in slots that exist."""
        case, choice = self.case, self.choice
        foreign = (choice >= 0) & ((choice < case.ep[:-1]) | (choice >= case.ep[1:]))
        yield from _finding("entry", foreign, "choice of job {}", choice, "an entry of that job, or -1")
        outside = (self.slot < 0) | (self.slot >= case.T)
        yield from _finding("slot", outside, "run {}", self.slot, f"0 to {case.T - 1}")
        idle = (choice < 0) & (self.runs > 0)
        yield from _finding("dropped", idle, "job {}", self.runs, "no run of a dropped job")

    def rules(self) -> Iterator[CaseFinding]:
        """Windows, amounts of work, and capacity."""
        case, job, slot = self.case, self.job, self.slot
        early = slot < case.ea[self.choice[job]]
        yield from _finding("earliest", early, "run {}", slot, case.ea[self.choice[job]])
        late = slot >= case.dl[job]
        yield from _finding("window", late, "run {}", slot, case.dl[job] - 1)
        same = job[1:] == job[:-1]
        disorder = np.append(False, same & (np.diff(slot) <= 0))
        yield from _finding("order", disorder, "run {}", slot, "slots of a job ascending")
        yield from self._amounts()
        yield from self._workflows()
        yield from self._capacity()

    def _workflows(self) -> Iterator[CaseFinding]:
        """A job that runs starts after all jobs that it comes after have ended, and these run."""
        case, choice = self.case, self.choice
        waiting: IntArray = np.repeat(np.arange(case.J), np.diff(case.after_ptr))
        both = choice[waiting] >= 0
        yield from _finding("after", both & (choice[case.after] < 0), "wait {}", choice[case.after], "a job that runs")
        first, last = np.full(case.J, case.T), np.full(case.J, -1)
        np.minimum.at(first, self.job, self.slot)
        np.maximum.at(last, self.job, self.slot)
        yield from _finding("after", both & (first[waiting] <= last[case.after]), "wait {}", first[waiting], last[case.after] + 1)

    def _amounts(self) -> Iterator[CaseFinding]:
        case, share = self.case, self.full + self.eco
        kind, runs = case.typ[self.job], self.choice >= 0
        whole = (kind != MALLEABLE) & ((np.abs(self.full - 1.0) > TOLERANCE) | (np.abs(self.eco) > TOLERANCE))
        yield from _finding("share", whole, "run {}", share, "a whole slot at full speed")
        wrong = (kind == MALLEABLE) & ((np.minimum(self.full, self.eco) < -TOLERANCE) | (share > 1.0 + TOLERANCE))
        yield from _finding("share", wrong, "run {}", share, "shares of at least 0, together at most 1")
        exact = runs & (case.typ != MALLEABLE) & (self.runs != case.p)
        yield from _finding("work", exact, "job {}", self.runs, case.p)
        done = np.bincount(self.job, self._work(), case.J)
        power = self.full + case.power2[self.job] * self.eco
        dear = case.has_curve[self.job] & (power > share * case.curve_power.max(axis=1, initial=0.0)[self.job] + TOLERANCE)
        yield from _finding("pace", dear, "run {}", power, "at most the power of the fastest mode")
        little = runs & (case.typ == MALLEABLE) & (done < case.p - TOLERANCE)
        yield from _finding("work", little, "job {}", done, case.p)
        broken = runs & (case.typ == RIGID) & (self.runs > 0)
        first = np.minimum(self.pointer[:-1], max(0, len(self.slot) - 1))
        last = np.maximum(self.pointer[1:] - 1, 0)
        length = self.slot[last] - self.slot[first] + 1 if len(self.slot) else np.zeros(case.J, dtype=np.int64)
        yield from _finding("break", broken & (length != self.runs), "job {}", length, self.runs)
        for job in np.flatnonzero(runs & (case.typ == PIECED)).tolist():
            pieces = self._pieces(job)
            short = np.array([end - begin < case.least_run[job] for begin, end in pieces])
            lengths = np.array([end - begin for begin, end in pieces])
            yield from _finding("piece", short, f"job {job}, piece {{}}", lengths, f"at least {case.least_run[job]} slots")
            pauses = np.array([later[0] - before[1] for before, later in pairwise(pieces)], dtype=np.int64)
            brief = pauses < case.least_gap[job]
            yield from _finding("pause", brief, f"job {job}, pause {{}}", pauses, f"at least {case.least_gap[job]} slots")

    def _work(self) -> FloatArray:
        """Work of each run: on a curve the most that any two modes do with its use and power."""
        case, use = self.case, self.full + self.eco
        done: FloatArray = self.full + case.speed2[self.job] * self.eco
        mean = (self.full + case.power2[self.job] * self.eco) / np.where(use > 0.0, use, 1.0)
        for run in np.flatnonzero(case.has_curve[self.job]).tolist():
            modes = list(zip(case.curve_power[self.job[run]], case.curve_speed[self.job[run]], strict=True))
            pairs = [(one, other) for one, other in product(modes, modes) if one[1] > 0.0 and other[1] > 0.0]
            at = min(max(mean[run], min(one[0] for one, _ in pairs)), max(one[0] for one, _ in pairs))
            done[run] = use[run] * max(_between(one, other, at) for one, other in pairs if one[0] <= at <= other[0])
        return done

    def _pieces(self, job: int) -> list[tuple[int, int]]:
        """First and past-the-end slot of each piece of a job."""
        found: list[tuple[int, int]] = []
        for slot in self.slot[self.pointer[job] : self.pointer[job + 1]].tolist():
            if found and found[-1][1] == slot:
                found[-1] = (found[-1][0], slot + 1)
            else:
                found.append((slot, slot + 1))
        return found

    def _capacity(self) -> Iterator[CaseFinding]:
        case = self.case
        for resource in range(len(case.cap)):
            use = self._by_site(case.res[self.job, resource] * (self.full + self.eco))
            over = use > case.cap[resource] + TOLERANCE
            if over.any():
                site, slot = (int(i) for i in np.unravel_index(int(np.argmax(use - case.cap[resource])), use.shape))
                most = f"at most {case.cap[resource, site, slot]:g}"
                place = f"resource {resource} at site {site} in slot {slot}"
                yield CaseFinding("capacity", place, f"{use[site, slot]:g}", most, int(over.sum()))

    def _by_site(self, amount: FloatArray) -> FloatArray:
        """Sum of ``amount`` of the runs, ``[S, T]``."""
        case = self.case
        cell = case.es[self.choice[self.job]] * case.T + self.slot
        total: FloatArray = np.bincount(cell, weights=amount, minlength=case.S * case.T).astype(np.float64)
        return total.reshape(case.S, case.T)

    def load_kw(self) -> FloatArray:
        """IT power of the jobs, ``[S, T]``."""
        case, job = self.case, self.job
        return self._by_site(case.pw[job] * case.ew[self.choice[job]] * (self.full + case.power2[job] * self.eco))

    def cost_eur(self) -> float:
        """Lateness, restarts, drops, fixed costs, and copies once each."""
        case, runs = self.case, self.choice >= 0
        chosen = self.choice[runs]
        after = (self.slot >= case.soft[self.job]) & (case.typ[self.job] >= INTERRUPTIBLE)
        late = np.bincount(self.job[after], (self.full + self.eco)[after], case.J)
        rigid = runs & (case.typ == RIGID)
        late[rigid] = np.maximum(0, self.slot[self.pointer[1:][rigid] - 1] + 1 - case.soft[rigid])
        copies = _used_copies(case, self.choice)
        fixed = case.drop[~runs].sum() + case.ec[chosen].sum() + case.mc[copies].sum()
        again = [case.restart[j] * (len(self._pieces(j)) - 1) for j in np.flatnonzero(runs & (case.typ == PIECED)).tolist()]
        return float(fixed + late @ case.wt + sum(again))


def _between(one: tuple[float, float], other: tuple[float, float], power: float) -> float:
    """Speed of the mix of two modes ``(power, speed)`` that has this power."""
    if other[0] - one[0] <= 0.0:
        return max(one[1], other[1])
    return one[1] + (other[1] - one[1]) * (power - one[0]) / (other[0] - one[0])


def _used_copies(case: Case, choice: IntArray) -> IntArray:
    """Copies that some job uses, each once."""
    copies = np.unique(case.em[choice[choice >= 0]])
    return copies[copies >= 0]


def _copies(case: Case, solution: Solution) -> Iterator[CaseFinding]:
    """Volume of the copies at each site."""
    copies = _used_copies(case, solution.choice)
    volume = np.bincount(case.ms[copies], case.mgb[copies], case.S)
    yield from _finding("volume", volume > case.gbmax + TOLERANCE, "copies to site {}", volume, case.gbmax)
