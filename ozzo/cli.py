"""The command line. Heavy rooms are imported inside the commands, so that ``ozzo --help`` is instant.

Exit codes: 0 done; 1 done, and the answer is no (a verdict that failed, a plan that lacks something) or an error of the
world (broker, disk); 2 the input is wrong (every finding printed at once); 130 interrupted, what was done is kept.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from grid.errors import Finding, InputError, Interrupted, OzzoError
from ozzo.cli_bench import bench_app
from ozzo.cli_data import data_app
from ozzo.cli_feed import feed_app
from ozzo.cli_fit import fit_app
from ozzo.cli_forecast import forecast_app
from ozzo.cli_kubernetes import kubernetes_app
from ozzo.cli_live import add_live_commands
from ozzo.cli_mock import mock_signals
from ozzo.cli_replay import replay
from ozzo.cli_reproduce import reproduce_app
from ozzo.cli_serve import add_serve_commands
from ozzo.cli_simulate import simulate
from ozzo.cli_slurm import slurm_app
from ozzo.cli_sweep import report, sweep
from ozzo.cli_words import AsJson, Out, ScenarioFile, finish, say, tell, tell_or_write
from ozzo.version import __version__

app = typer.Typer(
    name="ozzo",
    help="Energy-aware datacenter scheduler and grid-coupling controller.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(fit_app, name="fit")
app.add_typer(bench_app, name="bench")
app.add_typer(reproduce_app, name="reproduce")
app.add_typer(data_app, name="data")
app.add_typer(feed_app, name="feed")
add_live_commands(app)
add_serve_commands(app)
app.add_typer(forecast_app, name="forecast")
app.add_typer(slurm_app, name="slurm")
app.add_typer(kubernetes_app, name="kubernetes")
app.command()(sweep)
app.command()(report)
app.command("mock-signals")(mock_signals)
app.command()(replay)
app.command()(simulate)

PlanFile = Annotated[
    Path | None, typer.Option("--plan", help="Plan written by 'ozzo plan --out' (JSON); a new one is made when left out.")
]


def _wrote(paths: Iterable[Path], *, as_json: bool) -> None:
    """Name the files that were written."""
    names = [str(path) for path in paths]
    if as_json:
        tell(json.dumps({"wrote": names}))
    for name in [] if as_json else names:
        say(f"wrote {name}")


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False) -> None:
    """Energy-aware datacenter scheduler and grid-coupling controller."""
    if version:
        sys.stdout.write(f"ozzo {__version__}\n")
        raise typer.Exit


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Scenario documents.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Check scenario documents: every error at once, with file, line, field, found, expected and nearest name."""
    from ozzo.commands_check import check as check_files

    text, code = check_files([str(file) for file in files], as_json=as_json)
    finish(text, code)


@app.command()
def schema(
    out: Out = None,
    protocol: Annotated[bool, typer.Option("--protocol", help="That of the command protocol's messages instead.")] = False,
    as_json: AsJson = False,  # noqa: ARG001 - it is JSON either way
) -> None:
    """Print the JSON Schema of scenario documents (for editors); JSON with or without --json."""
    from ozzo.commands_check import schema as schema_text

    tell_or_write(schema_text(protocol=protocol), out)


@app.command()
def reference(out: Out = None, as_json: AsJson = False) -> None:
    """Print the reference page of scenario documents (Markdown, or every field as JSON)."""
    from ozzo.commands_check import reference as reference_text

    tell_or_write(reference_text(as_json=as_json), out)


@app.command()
def plan(
    scenario: ScenarioFile,
    policy: Annotated[str, typer.Option(help="milp, milp-two-stage, fifo or wait_for_sun.")] = "milp",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Plan a scenario; print the plan's figures, or write the whole plan with --out."""
    from ozzo.commands_plan import make_plan

    text, complete = make_plan(scenario, policy, out=out, as_json=as_json, say=say)
    finish(text, complete)


@app.command()
def rehearse(
    scenario: ScenarioFile,
    plan_file: Annotated[Path, typer.Option("--plan", help="Plan written by 'ozzo plan --out' (JSON).")],
    as_json: AsJson = False,
) -> None:
    """Rehearse a saved plan in the simulator, with an AC power flow behind it, and print the verdict."""
    from ozzo.commands_plan import rehearse_plan

    text, passed = rehearse_plan(scenario, plan_file, as_json=as_json, say=say)
    finish(text, passed)


@app.command()
def why(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Name of a job of the scenario.", show_default=False)],
    scenario: ScenarioFile,
    plan_file: PlanFile = None,
    as_json: AsJson = False,
) -> None:
    """Say why a job is where and when it is, what the next best costs, and what would let a job run that is left out."""
    from ozzo.commands_answers import why_job

    text, runs = why_job(job, scenario, plan_file=plan_file, as_json=as_json, say=say)
    finish(text, runs)


@app.command("what-if")
def what_if(
    scenario: ScenarioFile,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Change a field, for example 'sites.hall.battery.energy=20 kWh'."),
    ] = None,
    event: Annotated[list[Path] | None, typer.Option(help="OpenADR 3.1 event object (JSON file), known from the start.")] = None,
    without_job: Annotated[list[str] | None, typer.Option(metavar="JOB", help="Leave a job out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Plan a scenario as it is and with changes: cost, carbon, peak, moved jobs, and what the gaps leave of the difference."""
    from ozzo.commands_whatif import Wish
    from ozzo.commands_whatif import what_if as compare

    wish = Wish(tuple(settings or ()), tuple(event or ()), tuple(without_job or ()))
    text, complete = compare(scenario, wish, as_json=as_json, say=say)
    finish(text, complete)


@app.command()
def pareto(
    scenario: ScenarioFile,
    points: Annotated[int, typer.Option(help="Number of carbon prices, from 0 to one at which only carbon counts.")] = 7,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write a page with the picture (HTML, opens offline).", dir_okay=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find the front of cost against carbon: what a kilogram less costs, each plan with its proven gap."""
    from ozzo.commands_pareto import pareto as find_front

    text, complete = find_front(scenario, points, out=out, as_json=as_json, say=say)
    finish(text, complete)


@app.command()
def uncertainty(
    scenario: ScenarioFile,
    seeds: Annotated[int, typer.Option(help="Number of simulated worlds that every plan is carried out in.")] = 50,
    level: Annotated[
        list[float] | None,
        typer.Option(help="Also a careful plan: sun and wind at quantile 1 - LEVEL, fixed load at LEVEL; may be repeated."),
    ] = None,
    informed: Annotated[
        bool, typer.Option("--informed/--no-informed", help="Also plan every future as if known: value of perfect information.")
    ] = True,
    gap: Annotated[float | None, typer.Option(help="Relative gap of every plan; the scenario's when left out.", min=0)] = None,
    time: Annotated[
        float | None, typer.Option(help="Seconds for every plan; the scenario's time limit when left out.", min=0.1)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell what planning for errors is worth: forecast, quantile margins and two-stage plans in the same simulated worlds."""
    from ozzo.commands_uncertainty import Wish
    from ozzo.commands_uncertainty import uncertainty as compare

    wish = Wish(seeds, (0.7,) if level is None else tuple(level), informed, gap, time)
    tell(compare(scenario, wish, as_json=as_json, say=say))


@app.command("values")
def marginal_values(scenario: ScenarioFile, as_json: AsJson = False) -> None:
    """Tell what one more unit of energy, capacity and flexibility is worth, per site and slot."""
    from ozzo.commands_values import marginal_values as price

    tell(price(scenario, as_json=as_json, say=say))


@app.command()
def run(
    scenario: ScenarioFile,
    event: Annotated[
        list[Path] | None, typer.Option(help="OpenADR 3.1 event object (JSON file) that arrives during the run.")
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder that run folders are made in.")] = Path("runs"),
    seed: Annotated[int | None, typer.Option(help="Another seed than the scenario's.", min=0)] = None,
    day_seconds: Annotated[
        float, typer.Option(help="Wall seconds that 24 hours take while nodes are commanded.", min=0.5)
    ] = 12.0,
    nodes: Annotated[
        bool, typer.Option("--nodes/--no-nodes", help="Command node agents (real processes), or stop after the rehearsal.")
    ] = True,
    port: Annotated[int, typer.Option(help="Loopback port of the event endpoint; 0 takes a free one.", min=0, max=65535)] = 0,
    broker: Annotated[
        str | None, typer.Option(help="Command agents that are there already: folder of the controller's credentials, or URL.")
    ] = None,
    password_file: Annotated[Path | None, typer.Option(help="With a URL: file of mode 600 with the password.")] = None,
    ca: Annotated[Path | None, typer.Option(help="With a URL: root that signed the broker's certificate (PEM).")] = None,
    as_json: AsJson = False,
) -> None:
    """Plan, rehearse, command nodes and report: one scenario from end to end."""
    from ozzo.run import RunOptions, run_scenario

    options = RunOptions(scenario, tuple(event or ()), runs, seed, day_seconds, nodes, port, broker, password_file, ca)
    result = run_scenario(options, quiet=as_json)
    if as_json:
        tell(result.json)
    raise typer.Exit(result.exit_code)


@app.command()
def examples(
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to copy them to, with the data that they name.", file_okay=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the scenarios that ship with ozzo, or copy them into a folder."""
    from ozzo.examples import names, write_examples

    if out is None:
        tell(json.dumps({"examples": names()}) if as_json else "\n".join(names()))
        return
    _wrote(write_examples(out), as_json=as_json)


@app.command()
def scenarios(
    out: Out = None,
    only: Annotated[list[str] | None, typer.Option(help="Scenario to run; repeat for more. All if not given.")] = None,
) -> None:
    """Run every shipped scenario up to its rehearsal, and write the page that tells what came of it (Markdown)."""
    from ozzo.commands_scenarios import scenarios_page
    from ozzo.examples import shipped

    text, failed = scenarios_page(shipped(), only or [], say)
    tell_or_write(text, out)
    if failed:
        say(f"{failed} could not run; the page says why")
        raise typer.Exit(1)


@app.command()
def dashboards(
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.", file_okay=False)] = Path("dashboards"),
    as_json: AsJson = False,
) -> None:
    """Write the Grafana dashboards and provisioning files, generated from code."""
    from ozzo.dashboards import write_dashboards

    _wrote(write_dashboards(out), as_json=as_json)


def _findings(findings: Sequence[Finding]) -> None:
    """Findings for a program, when it asked for JSON."""
    if "--json" in sys.argv:
        tell(json.dumps({"findings": [asdict(finding) for finding in findings]}, indent=2))


def main() -> None:
    """Entry point: runs the command, prints errors without a traceback, and leaves with the right exit code."""
    try:
        code = app(standalone_mode=False)
    except InputError as error:
        for finding in error.findings:
            say(str(finding))
        _findings(error.findings)
        code = 2
    except (Interrupted, KeyboardInterrupt) as error:
        say(str(error) or "interrupted")
        code = 130
    except OzzoError as error:
        say(f"error: {error}")
        code = 1
    except OSError as error:
        say(f"error: {error}")
        code = 1
    except sqlite3.Error as error:
        say(f"error: a file of ozzo (SQLite) cannot be read or written: {error}")
        code = 1
    except typer.Abort:
        code = 130
    except typer.TyperException as error:
        if words := error.format_message():  # none when help was shown because nothing was asked
            say(f"{words} ('ozzo --help' lists what there is)")
            _findings([Finding("(command line)", None, "", words, "what 'ozzo --help' lists")])
        code = error.exit_code
    sys.exit(code or 0)
