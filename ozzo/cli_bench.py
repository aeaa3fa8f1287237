"""``ozzo bench``: its options. Like ``ozzo.cli`` it imports heavy rooms inside the commands only."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from grid.errors import Finding, InputError
from ozzo.cli_words import AsJson, say, tell

bench_app = typer.Typer(
    help="Measure the optimiser, the network, the world, sweeps and live control beside others.", no_args_is_help=True
)


@bench_app.callback()
def bench() -> None:
    """Measure the optimiser, the network, the world, sweeps and live control beside others."""


@bench_app.command("optimiser")
def optimiser(
    instances: Annotated[
        Path | None, typer.Option(help="Folder of instances (.npz), or one file; without it they are made.", show_default=False)
    ] = None,
    size: Annotated[
        list[str] | None, typer.Option(help="S, M, L or XL (or S,M): to make (S if not given), or to take from the folder.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of an instance that is made.", min=0)] = 0,
    seeds: Annotated[str | None, typer.Option(help="Several seeds, such as 1,2,3.")] = None,
    templates: Annotated[int | None, typer.Option(help="Distinct shapes of jobs in instances that are made.", min=1)] = None,
    time_s: Annotated[
        float | None,
        typer.Option(
            "--time", help="Seconds for build and solve of each solver; S 10, M 15, L 60, XL 600 if not given.", min=0.1
        ),
    ] = None,
    gap: Annotated[float, typer.Option(help="Relative gap at which a solver may stop.", min=0.0)] = 0.0,
    against: Annotated[
        str | None, typer.Option(help="Rivals: highs,cpsat or none; both on S and M if not given.", show_default=False)
    ] = None,
    judge: Annotated[
        Path | None, typer.Option(help="Program called as JUDGE INSTANCE SOLUTION, prints JSON; score.py beside the instances.")
    ] = None,
    write_solutions: Annotated[
        Path | None, typer.Option(help="Folder for a solution file of each instance, under its name, with the claimed bound.")
    ] = None,
    keep_instances: Annotated[Path | None, typer.Option(help="Folder in which instances that are made are kept.")] = None,
    solver: Annotated[
        str, typer.Option(help="What to measure as ozzo: module:function beside LargeLimits (docs/researcher.md).")
    ] = "scheduler.optimiser.large.solve:solve_case",
    curve: Annotated[
        bool, typer.Option("--curve", help="Instead: how the cost of a sweep and of a search round grows with the jobs.")
    ] = False,
    curve_jobs: Annotated[
        str | None, typer.Option(help="Numbers of jobs of the curve; 1000,3000,10000,30000,100000 if not given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Objective, bound, gap, times and memory of the optimiser, beside plain HiGHS and CP-SAT with the same time.

    Every solver runs in a process of its own, and every solution is checked by code that shares nothing with the optimiser.
    """
    if curve or curve_jobs is not None:
        _no_curve_of({"--instances": instances, "--size": size, "--seeds": seeds, "--templates": templates, "--time": time_s,
                      "--against": against, "--judge": judge, "--write-solutions": write_solutions,
                      "--keep-instances": keep_instances})  # fmt: skip
        raise typer.Exit(_curve(curve_jobs, seed, as_json=as_json))
    from ozzo.bench.rows import as_json as rows_as_json
    from ozzo.bench.rows import print_table
    from ozzo.bench.run import BenchOptions, run_bench
    from ozzo.console import Console

    options = BenchOptions(
        instances=instances,
        sizes=tuple(word.upper() for entry in size or () for word in _words(entry)),
        seeds=_numbers(seeds) if seeds is not None else (seed,),
        templates=templates,
        time_s=time_s,
        gap=gap,
        against=None if against is None else tuple(word for word in _words(against) if word != "none"),
        judge=judge,
        solutions=write_solutions,
        made=keep_instances,
        entry=solver,
    )
    result = run_bench(options, Console(quiet=as_json))
    if as_json:
        tell(rows_as_json(result.rows, interrupted=result.interrupted))
    else:
        print_table(result.rows, sys.stdout)
    raise typer.Exit(result.exit_code)


@bench_app.command("replan")
def replan(
    instance: Annotated[Path | None, typer.Argument(help="Instance (.npz); without it one is made.", show_default=False)] = None,
    size: Annotated[str, typer.Option(help="S, M, L or XL, when it is made.")] = "M",
    seed: Annotated[int, typer.Option(help="Seed of the instance, of what changes, and of the solver.", min=0)] = 0,
    time_s: Annotated[
        float | None,
        typer.Option("--time", help="Seconds for a plan from nothing; as for bench optimiser if not given.", min=0.1),
    ] = None,
    warm_s: Annotated[
        float | None, typer.Option("--warm-time", help="Seconds for the warm plan; a tenth of the other if not given.", min=0.1)
    ] = None,
    gap: Annotated[float, typer.Option(help="Relative gap at which a solve may stop.", min=0.0)] = 0.0,
    new_jobs: Annotated[float, typer.Option(help="Share of the jobs that are replaced by new ones.", min=0.0, max=1.0)] = 0.01,
    as_json: AsJson = False,
) -> None:
    """Plan an instance, let an event, new jobs and another forecast come, and plan again: warm, and from nothing.

    Every solution is checked by code that shares nothing with the optimiser.
    """
    from ozzo.bench.replan import ReplanOptions, measure, print_table
    from ozzo.bench.replan import as_json as result_as_json
    from ozzo.console import Console
    from scheduler.optimiser.case_file import read_case
    from scheduler.optimiser.case_maker import SIZES, make_case, size_of

    if instance is None and size.upper() not in SIZES:
        raise InputError([Finding("--size", None, "", size, "one of " + ", ".join(SIZES))])
    if instance is not None and not instance.is_file():
        raise InputError(
            [Finding(str(instance), None, "", "a directory" if instance.is_dir() else "no such file", "an instance (.npz)")]
        )
    case = make_case(SIZES[size.upper()], seed) if instance is None else read_case(instance)
    limit = time_s or size_of(case.name, case.J).time_s
    console = Console(quiet=as_json)
    result = measure(case, ReplanOptions(limit, warm_s or limit / 10.0, gap, seed, new_jobs), console.line)
    if as_json:
        tell(result_as_json(result))
    else:
        print_table(result, sys.stdout)
    raise typer.Exit(result.exit_code)


@bench_app.command("network")
def network(
    sample: Annotated[
        int, typer.Option(help="Slots of the year that pandapower solves; the rest is reckoned in proportion.", min=10, max=35136)
    ] = 1000,
    full: Annotated[bool, typer.Option("--full", help="pandapower solves all 35,136 slots (more than six minutes).")] = False,
    as_json: AsJson = False,
) -> None:
    """AC power flow beside pandapower: a year, a plan in 50 scenarios, a feeder of three phases."""
    from ozzo.bench.network import NetworkBenchOptions, figures_json, measures, print_figures, run_measures
    from ozzo.console import Console

    figures = run_measures(measures(NetworkBenchOptions(sample, full)), Console(quiet=as_json).line)
    if as_json:
        tell(figures_json(figures))
    else:
        print_figures(figures, sys.stdout)


@bench_app.command("sweep")
def sweep(
    runs: Annotated[int, typer.Option(help="Runs of the sweep, at least.", min=1, max=100_000)] = 200,
    workers: Annotated[int, typer.Option(help="Processes beside one.", min=2, max=1000)] = 2,
    pairs: Annotated[int, typer.Option(help="How often, one and several in turn.", min=1, max=100)] = 1,
    scenario: Annotated[str, typer.Option(help="A shipped scenario.")] = "minimal",
    as_json: AsJson = False,
) -> None:
    """A sweep of small runs by one process and by several: times, speed-up, and whether the tables are the same."""
    from ozzo.bench.sweep import SweepBenchOptions, measure, print_table
    from ozzo.bench.sweep import as_json as result_as_json
    from ozzo.console import Console

    found = measure(SweepBenchOptions(runs, workers, pairs, scenario), Console(quiet=as_json).line)
    if as_json:
        tell(result_as_json(found))
    else:
        print_table(found, sys.stdout)
    raise typer.Exit(found.exit_code)


@bench_app.command("loop")
def loop(
    days: Annotated[float, typer.Option(help="Days of submissions, from 2024-03-01 on.", min=0.25, max=120)] = 30.0,
    replan_minutes: Annotated[float, typer.Option(help="Minutes from one plan to the next.", min=15, max=1440)] = 60.0,
    known_carbon: Annotated[
        bool, typer.Option("--known-carbon", help="Carbon ahead is known, not forecast from the past.")
    ] = False,
    rounds: Annotated[int, typer.Option(help="Rounds of the proven limit; 0 leaves it out.", min=0)] = 150,
    as_json: AsJson = False,
) -> None:
    """A month of SURF's jobs of OZZO_DATA in closed loop, planned every hour by the optimiser: time, saving, gap, delay."""
    import os

    from ozzo.bench.loop import LoopBenchOptions, measure, print_table
    from ozzo.bench.loop import as_json as result_as_json
    from ozzo.console import Console

    data = os.environ.get("OZZO_DATA")
    if not data:
        raise InputError([Finding("", None, "OZZO_DATA", "nothing", "the folder of the real data (ozzo data get surf-2022 ...)")])
    options = LoopBenchOptions(Path(data), days, replan_minutes=replan_minutes, known_carbon=known_carbon, rounds=rounds)
    found = measure(options, Console(quiet=as_json).line)
    if as_json:
        tell(result_as_json(found))
    else:
        print_table(found, sys.stdout)


@bench_app.command("world")
def world(
    vessim_python: Annotated[
        Path | None,
        typer.Option(
            help="A Python that has Vessim; without it this one, if Vessim is installed (extra: bench).", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the sites' load and sun.", min=0)] = 0,
    as_json: AsJson = False,
) -> None:
    """The energy core beside Vessim (one site, 1,000 sites), and the whole SURF trace of OZZO_DATA first come, first served."""
    import os

    from ozzo.bench.world import WorldBenchOptions, figures_json, print_figures, run_world_bench
    from ozzo.console import Console

    if vessim_python is not None and not os.access(vessim_python, os.X_OK):
        raise InputError([Finding("--vessim-python", None, "", str(vessim_python), "a Python that can be run")])
    data = os.environ.get("OZZO_DATA")
    options = WorldBenchOptions(vessim_python, Path(data) if data else None, seed=seed)
    found = run_world_bench(options, Console(quiet=as_json).line)
    if as_json:
        tell(figures_json(found))
    else:
        print_figures(found, sys.stdout)


@bench_app.command("control")
def control(
    agents: Annotated[int, typer.Option(help="Simulated nodes of the fast path and of telemetry.", min=1, max=20_000)] = 1000,
    rounds: Annotated[int, typer.Option(help="Fast paths, with a bare paho round after each.", min=1, max=1000)] = 20,
    registered: Annotated[
        int, typer.Option(help="Nodes that are registered and told again; 0 leaves that out.", min=0, max=20_000)
    ] = 10_000,
    telemetry_s: Annotated[
        float, typer.Option("--telemetry", help="Seconds of a state a second from every node; 0 leaves that out.", min=0.0)
    ] = 600.0,
    as_json: AsJson = False,
) -> None:
    """The live plane with simulated nodes on Mosquitto: a sudden limit beside a bare paho loop, many nodes, telemetry."""
    from ozzo.bench.control import ControlOptions, figures_json, measure, print_figures
    from ozzo.console import Console

    found = measure(ControlOptions(agents, rounds, registered, telemetry_s), Console(quiet=as_json).line)
    if as_json:
        tell(figures_json(found))
    else:
        print_figures(found, sys.stdout)


@bench_app.command("soak")
def soak(
    minutes: Annotated[float, typer.Option(help="For how long things are broken.", min=0.01)] = 30.0,
    seed: Annotated[int, typer.Option(help="Decides what is broken when.", min=0)] = 0,
    nodes: Annotated[int, typer.Option(help="Simulated nodes.", min=1, max=1000)] = 20,
    as_json: AsJson = False,
) -> None:
    """The live plane under random faults: kills, cuts, delays, losses; exit code 1 unless all counters are zero at the end."""
    from ozzo.bench.soak import SoakOptions, print_result, result_json
    from ozzo.bench.soak import soak as run_soak
    from ozzo.console import Console

    result = run_soak(SoakOptions(minutes, seed, nodes), Console(quiet=as_json).line)
    if as_json:
        tell(result_json(result))
    else:
        print_result(result, sys.stdout)
    raise typer.Exit(0 if result.counts.clean else 1)


@bench_app.command("freeze")
def freeze(
    processes: Annotated[int, typer.Option(help="Processes of the job.", min=1, max=5000)] = 100,
    turns: Annotated[int, typer.Option(help="How often it is frozen and thawed.", min=1, max=1000)] = 20,
    as_json: AsJson = False,
) -> None:
    """How long a node takes to freeze a job of many processes: with a cgroup, and process by process."""
    import json

    from ozzo.bench.freezing import as_rows, freezing, print_rows

    found = freezing(processes, turns, say)
    if as_json:
        tell(json.dumps(as_rows(found)))
    else:
        print_rows(found, sys.stdout)


def _no_curve_of(options: dict[str, object]) -> None:
    """Refuse options that say nothing about a curve.

    Raises:
        InputError: with each of them that was given.
    """
    given = [name for name, value in options.items() if value]
    if given:
        raise InputError(
            [Finding(name, None, "", "together with --curve", "--curve with --curve-jobs and --seed") for name in given]
        )


def _curve(jobs: str | None, seed: int, *, as_json: bool) -> int:
    """Measure the curve and print it; returns the exit code."""
    from ozzo.bench.curve import JOBS, curve_json, print_curve, run_curve
    from ozzo.console import Console

    found = run_curve(JOBS if jobs is None else _numbers(jobs, "--curve-jobs"), seed, Console(quiet=as_json))
    if as_json:
        tell(curve_json(found))
    else:
        print_curve(found, sys.stdout)
    return found.exit_code


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _numbers(text: str, option: str = "--seeds") -> tuple[int, ...]:
    """Whole numbers in a list.

    Raises:
        InputError: a word is no whole number of at least 0, or there is none.
    """
    words = _words(text)
    wrong = [word for word in words if not word.isdecimal()]
    if wrong or not words:
        raise InputError([Finding(option, None, "", ", ".join(wrong) or "nothing", "whole numbers, such as 1,2,3")])
    return tuple(map(int, words))
