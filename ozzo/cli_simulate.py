"""``ozzo simulate``: its options. Like ``ozzo.cli`` it imports heavy rooms inside the command only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ozzo.cli_words import AsJson, say, tell


def simulate(
    scenario: Annotated[Path, typer.Argument(metavar="SCENARIO", help="Scenario document (YAML).", show_default=False)],
    replan_every: Annotated[str, typer.Option(help="Time from one plan to the next: 60 (minutes), 15min, 4h.")] = "60min",
    mode: Annotated[str, typer.Option(help="live; pilot (only the --site are commanded); shadow (nothing is).")] = "live",
    site: Annotated[list[str] | None, typer.Option(help="Site that a pilot commands; may be repeated.")] = None,
    policy: Annotated[str, typer.Option(help="Who plans: milp, milp-two-stage, fifo, wait_for_sun, ...")] = "milp",
    baseline: Annotated[
        str, typer.Option(help="Who runs the rest, and with whom it is compared: fifo or wait_for_sun.")
    ] = "fifo",
    gate: Annotated[
        str | None,
        typer.Option(
            help="Gate closure: what begins within this time stays as planned before; the scenario's lead if not given."
        ),
    ] = None,
    window: Annotated[
        str | None, typer.Option(help="How far each plan looks ahead, 26h; to the end of the horizon if not given.")
    ] = None,
    foresight: Annotated[
        str, typer.Option(help="Prices and carbon ahead: known, or past (forecast from what was; day-ahead prices published).")
    ] = "known",
    all_jobs: Annotated[bool, typer.Option("--all-jobs", help="Jobs are known from the start, not only once released.")] = False,
    rehearse: Annotated[
        bool, typer.Option("--rehearse/--no-rehearse", help="A plan must pass its rehearsal before it commands anything.")
    ] = True,
    power_flow: Annotated[
        bool, typer.Option("--power-flow/--no-power-flow", help="Heed the scenario's network, or leave it out (faster).")
    ] = True,
    compare: Annotated[bool, typer.Option("--compare/--no-compare", help="Run the baseline in the same world, too.")] = True,
    seed: Annotated[int | None, typer.Option(help="Another seed than the scenario's.", min=0)] = None,
    as_json: AsJson = False,
) -> None:
    """Run the live controller in simulated time: plans again and again, forecasts revised, jobs known once submitted."""
    from ozzo.commands_simulate import Wish
    from ozzo.commands_simulate import simulate as run

    asked: dict[str, object] = {"replan_minutes": replan_every, "mode": mode, "foresight": foresight}
    given = {"pilot": site or None, "gate_minutes": gate, "window_h": window}
    asked |= {name: value for name, value in given.items() if value is not None}
    wish = Wish(scenario, asked, policy, baseline, not all_jobs, rehearse, power_flow, compare, seed)
    tell(run(wish, as_json=as_json, say=say))
