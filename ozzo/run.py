"""``ozzo run``: one scenario from end to end: load, plan, baselines, rehearse, command, report.

Whatever a person interrupts, what was done so far is in the run folder, and processes and broker are gone.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from grid.errors import Finding, InputError, Interrupted, OzzoError
from grid.response.event import CapacityEvent
from ozzo.commands_plan import read_json
from ozzo.compare import baselines_with_events, before_events, prefer_baseline
from ozzo.console import Console
from ozzo.credentials import Credentials
from ozzo.event_files import file_events
from ozzo.influx import InfluxSettings
from ozzo.run_state import OPTIMISER, RunOptions, RunState, baselines_of
from ozzo.store import Journal
from ozzo.version import __version__
from scheduler.build import build_problem
from scheduler.document import load_scenario
from scheduler.outcome import Verdict
from scheduler.placement import assign_nodes
from scheduler.plan import SolveStatus
from scheduler.policies.registry import POLICIES
from scheduler.scenario import Scenario
from sim.record import Commanding, PlanInForce


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run came to: the summary (``summary.json``), its folder and the exit code."""

    summary: dict[str, Any]
    folder: Path
    exit_code: int

    @property
    def json(self) -> str:
        """The summary as JSON text."""
        return json.dumps(self.summary | {"folder": str(self.folder)}, indent=2)


def run_scenario(options: RunOptions, *, quiet: bool = False) -> RunResult:
    """Run a scenario from end to end.

    Args:
        options: how.
        quiet: progress lines only, no tables (for ``--json``).

    Raises:
        InputError: scenario, event files, credentials of the named broker or the environment's InfluxDB settings are wrong;
            nothing was started.
        Interrupted: a person pressed Ctrl-C; the run folder holds what was done.
    """
    began = time.monotonic()
    InfluxSettings.from_environment(os.environ)  # half a configuration is told now, not after the work
    console = Console(quiet=quiet)
    events = [(path, read_json(path)) for path in options.events]
    with console.phase("load"):
        _load_what_the_report_needs()
        scenario = load_scenario(options.scenario, progress=console.line)
    if options.seed is not None:
        scenario = replace(scenario, seed=options.seed)
    credentials = _credentials(options, scenario.name)
    arrivals = sorted(file_events(scenario, events, console.line), key=lambda group: group[0].received)
    from sim.report.files import run_folder

    try:
        folder = run_folder(options.runs, scenario.name, datetime.now(UTC))
        shutil.copyfile(options.scenario, folder / "scenario.yaml")
    except OSError as error:
        expected = "a folder in which run folders can be made"
        raise InputError([Finding("--runs", None, "", f"{options.runs} ({error.strerror})", expected)]) from error
    state = RunState(scenario, options, folder, " ".join(["ozzo", *sys.argv[1:]]), began)
    state.phases_s["load"] = time.monotonic() - began
    with Journal.open(folder / "journal.sqlite") as journal:
        journal.append(
            "run", datetime.now(UTC), {"command_line": state.command_line, "version": __version__, "seed": scenario.seed}
        )
        phases = _Phases(state, journal, console)
        trouble = _guarded(phases, lambda: _work(state, arrivals, credentials, journal, console, phases))
        summary: dict[str, Any] = {}

        def report() -> None:
            with phases("report") if state.interrupted is None else nullcontext():
                summary.update(_report(state, folder, console))

        trouble = _guarded(phases, report) or trouble
        if state.interrupted == "report":
            _guarded(phases, report)  # what was done is still written; a second Ctrl-C ends that too
    if trouble is not None:
        console.line(f"what was done is in {folder}")
        raise trouble
    if state.interrupted is not None:
        raise Interrupted(f"interrupted while in phase '{state.interrupted}'; what was done is in {folder}")
    if not quiet:
        console.tables(state.record(), folder)
    else:
        console.line(f"run folder {folder}")
    passed = bool(state.plans) and all(entry.verdict.passed for entry in state.plans[:1])
    return RunResult(summary, folder, 0 if passed and _carried_out(state.commanding) else 1)


def _carried_out(commanding: Commanding | None) -> bool:
    """True unless a node fell silent, or a job or a migration did not end well. What failed may have been stated again."""
    return commanding is None or not (commanding.silent_nodes or commanding.jobs_failed or commanding.migrations_failed)


def _load_what_the_report_needs() -> None:
    """Import the report's libraries now: a Ctrl-C in the middle of a later import would leave them half loaded.

    Then the report of the interrupted run, which is still to be written, would fail on them.
    """
    for name in ("concurrent.futures", "pandas", "pyarrow.pandas_compat", "pyarrow.parquet"):
        importlib.import_module(name)
    for name in ("ozzo.telemetry", "scheduler.plan_json", "sim.report.files", "sim.report.summary"):
        importlib.import_module(name)


class _Phases:
    """``with phases(name):`` a phase of the run: shown, timed and in the journal; ``current`` is the latest."""

    def __init__(self, state: RunState, journal: Journal, console: Console) -> None:
        self.state, self.journal, self.current = state, journal, "load"
        self._console = console

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self.current = name
        start = time.monotonic()
        self.journal.append("phase", datetime.now(UTC), {"name": name})
        try:
            with self._console.phase(name):
                yield
        finally:
            self.state.phases_s[name] = time.monotonic() - start


def _guarded(phases: _Phases, work: Callable[[], None]) -> OzzoError | None:
    """Do ``work``; whatever ends it early is kept in state and journal, so that the report can still be written."""
    state, journal = phases.state, phases.journal
    try:
        work()
    except (KeyboardInterrupt, Interrupted):
        state.interrupted = state.interrupted or phases.current
        journal.append("interrupted", datetime.now(UTC), {"phase": phases.current})
    except OzzoError as error:
        state.notes.append(f"The run broke off in phase '{phases.current}': {error}")
        journal.append("error", datetime.now(UTC), {"phase": phases.current, "error": str(error)})
        return error
    return None


Timed = Callable[[str], AbstractContextManager[None]]


def _work(
    state: RunState,
    arrivals: list[tuple[CapacityEvent, ...]],
    credentials: Credentials | None,
    journal: Journal,
    console: Console,
    timed: Timed,
) -> None:
    """Everything between loading and reporting; leaves what it did in ``state``."""
    from scheduler.late_calls import late_calls
    from scheduler.on_grid import on_grid
    from sim.rehearsal import Rehearsal, realise, rehearse

    start, maker = state.scenario.horizon.start, POLICIES[OPTIMISER]()  # one for the whole run: it remembers prices
    known = tuple(event for group in arrivals for event in group if event.received <= start)
    if known:
        state.scenario = replace(state.scenario, events=state.scenario.events + known)
    state.known_events = state.scenario.events
    later = [group for group in arrivals if group[0].received > start] + late_calls(state.scenario)
    later.sort(key=lambda group: group[0].received)
    network = _network(state.scenario, console, timed)
    policy = on_grid(maker, state.scenario, network)
    with timed("plan"):
        state.problem = build_problem(state.scenario)
        plan = assign_nodes(state.scenario, policy.plan(state.problem, console.line))
        if plan.status is SolveStatus.INTERRUPTED:
            state.plans.append(PlanInForce(start, plan, Verdict(False, plan.id, ()), "first plan (interrupted)"))
            raise Interrupted
    with timed("baselines"):
        for name in baselines_of(state.scenario):
            state.baseline_plans[name] = assign_nodes(state.scenario, POLICIES[name]().plan(state.problem))
    with timed("rehearse"):
        before = before_events(state, network, console)
        rehearsal: Rehearsal = rehearse(
            state.scenario, plan, network=network, baseline=before.get(OPTIMISER), progress=console.line
        )
        state.plans.append(PlanInForce(start, plan, rehearsal.verdict, "first plan"))
        state.outcome, state.stressed = rehearsal.nominal, rehearsal.stressed
        for name in baselines_of(state.scenario):
            console.line(f"carrying out baseline {name} in the same world")
            state.baselines[name] = realise(
                state.scenario,
                state.baseline_plans[name],
                state.scenario.seed,
                network=network,
                power_flow=True,
                baseline=before.get(name),
            )
        prefer_baseline(state, network, before, console)
    if not state.plans[0].verdict.passed or state.outcome is None:
        console.line("the verdict failed: nothing is commanded")
        return
    if not state.options.nodes and not later:
        return
    from ozzo.commanding import Order, carry_out

    with timed("command"):
        order = Order(
            scenario=state.scenario,
            problem=state.problem,
            plan=state.plans[0].plan,
            verdict=state.plans[0].verdict,
            expected=state.outcome,
            policy=policy,
            network=network,
            later=later,
            folder=state.folder,
            day_seconds=state.options.day_seconds,
            nodes=state.options.nodes,
            port=state.options.port,
            credentials=credentials,
        )
        carried = carry_out(order, journal, console.line)
        state.plans = list(carried.plans)
        state.outcome, state.scenario, state.commanding = carried.outcome, carried.scenario, carried.commanding
        state.notes += carried.notes
        state.power = carried.power
        baselines_with_events(state, network, console)


def _credentials(options: RunOptions, scenario: str) -> Credentials | None:
    """Of the broker that was named, or None."""
    if options.broker is None:
        return None
    from ozzo.remote import controller_credentials

    return controller_credentials(options.broker, scenario, options.password_file, options.ca_file)


def _network(scenario: Scenario, console: Console, timed: Timed) -> Any:
    """The electrical network behind the scenario, or None."""
    if scenario.network is None:
        return None
    from sim.network_check import load

    with timed("network"):
        console.line(f"loading network {scenario.network.name}")
        return load(scenario.network)


def _report(state: RunState, folder: Path, console: Console) -> dict[str, Any]:
    """Write every file of the run folder; returns the summary."""
    from ozzo.telemetry import write_telemetry
    from sim.report.files import write_run
    from sim.report.summary import summary

    record = state.record()
    write_run(record, folder)
    write_telemetry(record, folder, console.line, power=state.power)
    return summary(record)


__all__ = ["RunOptions", "RunResult", "run_scenario"]
