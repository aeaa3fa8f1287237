"""The optimiser's benchmark: which instances, which solvers, each in its process; every solution checked and judged."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from grid.errors import Finding, InputError
from ozzo.bench.child import OURS
from ozzo.bench.process import Report, child_report, free_memory_mb, program, run_process
from ozzo.bench.rows import TITLES, Judgement, Row
from ozzo.console import Console
from scheduler.optimiser.case_file import read_case, write_case
from scheduler.optimiser.case_maker import SIZES, Size, make_case, size_of
from scheduler.optimiser.plain import BYTES_A_NONZERO, plain_size

RIVALS = ("highs", "cpsat")
BY_DEFAULT = ("S", "M")
"""Sizes on which the rivals run unless something else is asked for."""
JUDGE = "score.py"
"""A judge of this name beside the instances is used unless another one is given."""
JUDGE_S = 1800.0
"""A judge may take so long."""
OVERRUN, STARTING_S = 2.0, 120.0
"""A process is ended after this many times its limit, and time to start and to compile."""


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What is asked for.

    Attributes:
        instances: folder of instances, or one file; None makes them.
        sizes: to make, or to take from the folder (none: S, or all of the folder).
        seeds, templates: of instances that are made.
        time_s: limit of each solver on each instance, or None for that of its size.
        gap: relative gap at which a solver may stop.
        against: rivals, or None for both on ``BY_DEFAULT`` sizes.
        judge: program that is called as ``JUDGE INSTANCE SOLUTION`` and prints a line of JSON, or None.
        solutions: folder for solution files, or None.
        made: folder in which instances that are made are kept, or None.
        entry: solver to measure, ``module:function``.
    """

    instances: Path | None = None
    sizes: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    templates: int | None = None
    time_s: float | None = None
    gap: float = 0.0
    against: tuple[str, ...] | None = None
    judge: Path | None = None
    solutions: Path | None = None
    made: Path | None = None
    entry: str = OURS


@dataclass(frozen=True, slots=True)
class Instance:
    """A file to solve, and what is known of it before."""

    path: Path
    size: Size
    jobs: int
    sites: int
    slots: int
    columns: int
    nonzeros: int


@dataclass(slots=True)
class BenchResult:
    """Rows so far; ``interrupted`` when a person stopped it."""

    rows: list[Row] = field(default_factory=list)
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """0 fine, 1 something is wrong in a row, 130 interrupted."""
        if self.interrupted:
            return 130
        return 1 if any(row.wrong() for row in self.rows) else 0


def run_bench(options: BenchOptions, console: Console) -> BenchResult:
    """Run everything that is asked for; Ctrl-C keeps the rows that are finished, and our own plan so far.

    Raises:
        InputError: options that contradict each other, or every fault of every instance, before anything is run.
    """
    judge = _judge(options)
    _checked(options, judge)
    result = BenchResult()
    with TemporaryDirectory(prefix="ozzo-bench-") as folder:
        work = Path(folder)
        try:
            instances = _given(options) if options.instances is not None else _made(options, work)
            if options.solutions is not None:
                options.solutions.mkdir(parents=True, exist_ok=True)
            for instance in instances:
                for row in _solved(instance, options, judge, work, console):
                    result.rows.append(row)
        except KeyboardInterrupt:
            result.interrupted = True
    return result


def _judge(options: BenchOptions) -> Path | None:
    """The judge that was given, or the one beside the instances."""
    if options.judge is not None or options.instances is None:
        return options.judge
    beside = (options.instances if options.instances.is_dir() else options.instances.parent) / JUDGE
    return beside if beside.is_file() else None


def _checked(options: BenchOptions, judge: Path | None) -> None:
    """Refuse what cannot be done, all of it at once."""

    def wrong(option: str, found: str, expected: str) -> Finding:
        return Finding(option, None, "", found, expected)

    found = [wrong("--size", size, "one of " + ", ".join(SIZES)) for size in options.sizes if size not in SIZES]
    rivals = [name for name in options.against or () if name not in RIVALS]
    found += [wrong("--against", name, "'highs,cpsat', one of them, or 'none'") for name in rivals]
    if len(options.entry.split(":")) != 2:
        found.append(wrong("--solver", options.entry, "module:function"))
    if judge is not None and not judge.is_file():
        found.append(wrong("--judge", f"no such file {judge}", "a program"))
    beside = options.made
    if options.instances is not None:
        beside = options.instances if options.instances.is_dir() else options.instances.parent
        if options.templates is not None or options.seeds != (0,):
            given = "--instances with --seed, --seeds or --templates"
            found.append(wrong("--instances", given, "either instances of a folder, or instances that are made"))
        if not options.instances.exists():
            found.append(wrong("--instances", f"no such folder {options.instances}", "a folder with .npz files"))
    if options.solutions is not None and beside is not None and options.solutions.resolve() == beside.resolve():
        found.append(wrong("--write-solutions", "the folder of the instances", "another one: the names are the same"))
    if found:
        raise InputError(found)


def _given(options: BenchOptions) -> list[Instance]:
    """Instances of the folder, smallest first; every file is read before anything is run."""
    path = options.instances or Path()
    files = sorted(path.glob("*.npz")) if path.is_dir() else [path]
    if not files:
        raise InputError([Finding(str(path), None, "", "no .npz file", "instances of the benchmark format")])
    instances: list[Instance] = []
    findings: list[Finding] = []
    for file in files:
        try:
            instance = _instance(file)
        except InputError as error:
            findings += error.findings
            continue
        if not options.sizes or instance.size.name in options.sizes:
            instances.append(instance)
    if findings:
        raise InputError(findings)
    if not instances:
        wanted = ", ".join(options.sizes)
        raise InputError([Finding("--size", None, "", f"no instance of size {wanted} in {path}", "a size that is there")])
    return sorted(instances, key=lambda instance: (instance.jobs, instance.path.name))


def _made(options: BenchOptions, work: Path) -> Iterator[Instance]:
    """Instances of our own generator, one after the other."""
    folder = options.made or work / "instances"
    folder.mkdir(parents=True, exist_ok=True)
    for size in options.sizes or ("S",):
        for seed in options.seeds:
            case = make_case(SIZES[size], seed, options.templates)
            path = folder / f"{case.name}.npz"
            write_case(path, case)
            yield _instance(path)


def _instance(path: Path) -> Instance:
    case = read_case(path)
    return Instance(path, size_of(path.stem, case.J), case.J, case.S, case.T, *plain_size(case))


def _solved(instance: Instance, options: BenchOptions, judge: Path | None, work: Path, console: Console) -> Iterator[Row]:
    """Rows of an instance: ours first, then the rivals."""
    asked = options.against is not None
    rivals = RIVALS if options.against is None else options.against
    for solver in ("ozzo", *rivals):
        time_s = options.time_s or instance.size.time_s
        shape = (instance.path.stem, instance.jobs, instance.sites, instance.slots)
        reason = "" if solver == "ozzo" else _skipped(instance, asked=asked)
        if reason:
            yield Row(*shape, solver, "skipped", time_s, note=reason)
            continue
        with console.phase(f"{instance.path.stem}: {TITLES[solver]}, at most {time_s:g} s"):
            row = _row(Row(*shape, solver, "failed", time_s), instance, options, work, console)
        solution = _solution(row, options, work)
        if solution.is_file():
            kept = str(solution) if options.solutions is not None and solver == "ozzo" else None
            row = replace(row, solution=kept, check=_own_check(instance.path, solution, work))
            if judge is not None:
                with console.phase(f"{instance.path.stem}: {TITLES[solver]}, judged by {judge.name}"):
                    row = replace(row, judge=_judged(judge, instance.path, solution))
        yield row
        if row.interrupted:
            raise KeyboardInterrupt


def _skipped(instance: Instance, *, asked: bool) -> str:
    """Why a rival is not run on an instance; empty when it is."""
    need_mb, free_mb = instance.nonzeros * BYTES_A_NONZERO / 1e6, free_memory_mb()
    model = f"{instance.columns / 1e6:,.1f} M columns, {instance.nonzeros / 1e6:,.1f} M nonzeros, about {need_mb / 1e3:,.1f} GB"
    if need_mb > free_mb:
        return f"its model would not fit in memory: {model}, {free_mb / 1e3:.0f} GB are free"
    if not asked and instance.size.name not in BY_DEFAULT:
        return f"rivals run on {' and '.join(BY_DEFAULT)} unless --against asks for more ({model})"
    return ""


def _solution(row: Row, options: BenchOptions, work: Path) -> Path:
    """Where a solver writes: ours to the folder that was asked for, under the instance's name."""
    if row.solver == "ozzo" and options.solutions is not None:
        return options.solutions / f"{row.instance}.npz"
    return work / f"{row.instance}.{row.solver}.npz"


def _row(row: Row, instance: Instance, options: BenchOptions, work: Path, console: Console) -> Row:
    """Run one solver; its figures, or why there are none."""
    solution = _solution(row, options, work)
    solution.unlink(missing_ok=True)
    task = {"role": row.solver, "time_s": row.time_limit_s, "gap": options.gap, "entry": options.entry}
    answer = _child(task, instance.path, solution, work, OVERRUN * row.time_limit_s + STARTING_S, console)
    report, total_s = answer.said, answer.wall_s
    if report is None:
        return replace(row, note=answer.note, total_s=total_s)
    return replace(
        row,
        interrupted=answer.interrupted,
        status=report["status"],
        claimed_eur=report.get("objective"),
        bound_eur=report.get("bound"),
        bound_holds=row.solver != "cpsat",
        compile_s=report.get("compile_s"),
        build_s=report.get("build_s"),
        solve_s=report.get("solve_s"),
        total_s=total_s,
        peak_memory_mb=report["peak_memory_mb"],
        note=report["words"],
    )


def _child(
    task: dict[str, Any], instance: Path, solution: Path, work: Path, limit_s: float, console: Console | None = None
) -> Report:
    """Report of a child process on an instance; ours has an answer even when it is interrupted."""
    where = {"instance": str(instance.resolve()), "solution": str(solution.resolve())}
    tell = console.line if console is not None else None
    return child_report(task | where, work, limit_s, tell, answers=task["role"] == "ozzo")


def _own_check(instance: Path, solution: Path, work: Path) -> Judgement:
    """Our own check, in a process of its own (so that Ctrl-C ends it, and its memory is not ours)."""
    answer = _child({"role": "check"}, instance, solution, work, JUDGE_S)
    report = answer.said
    if report is None or "feasible" not in report:
        return Judgement(False, None, None, (report["words"] if report else answer.note,))
    return Judgement(report["feasible"], report["objective"], report["dropped"], tuple(report["faults"]))


def _judged(judge: Path, instance: Path, solution: Path) -> Judgement:
    """Verdict of the program that was given: the last line of JSON that it prints."""
    ended = run_process(program(judge, str(instance), str(solution)), JUDGE_S)
    said = _last_json(ended.output.splitlines())
    if said is None or not isinstance(said.get("feasible"), bool):
        return Judgement(False, None, None, (f"no verdict (code {ended.code}): {ended.last_word}",))
    faults, objective = said.get("faults") or (), said.get("objective")
    value = float(objective) if isinstance(objective, int | float) else None
    return Judgement(said["feasible"], value, said.get("dropped"), tuple(map(str, faults)))


def _last_json(lines: Sequence[str]) -> dict[str, Any] | None:
    for line in reversed(lines):
        try:
            value = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(value, dict):
            return value
    return None
