"""A month of SURF's real jobs in closed loop: the case of ``ozzo reproduce steam``, planned every hour by the optimiser.

Hosts, power, carbon and dates are those of ``sim.reproduce.steam``: 277 hosts of 32 W idle, 90.7 W more for a running job, first
job moved to 2024-03-01 00:00 UTC, Dutch carbon intensity. A job is to be done within 24 hours of its submission. One that is too
long for that gets ``AT_ONCE`` more than its length: it cannot begin before the next plan does, so "at once" takes an hour and a
slot.

The controller plans quarters of an hour, so a job of seconds holds its host for a whole one in the plan (not in the world).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from grid.connection import Connection
from grid.horizon import FloatArray, Horizon
from grid.series import Series
from grid.tariff import Carbon, Tariff
from scheduler.data import Tier
from scheduler.facility import NodeGroup, Site
from scheduler.policies import Progress, silent
from scheduler.scenario import ErrorModel, PlanningSettings, RehearsalSettings, Scenario, Weights
from scheduler.workload import Job, JobKind
from sim.loop.run import run_loop
from sim.loop.settings import Foresight, LoopResult, LoopSettings
from sim.reproduce import steam

AT_ONCE = timedelta(hours=2)
TAIL_DAYS = 2
"""Days after the last submission in which what is left is carried out."""
WINDOW = timedelta(hours=26)
UNLIMITED_KW = 1e6
GAP, TIME_S = 0.01, 5.0


@dataclass(frozen=True, slots=True)
class MonthOptions:
    """What is run.

    Attributes:
        days: of submissions, from 2024-03-01 on; hosts: there are.
        replan: from one plan to the next.
        foresight: of carbon.
        rounds: of the dual that proves the most any plan could save; 0 proves nothing.
    """

    days: float = 30.0
    hosts: int = steam.HOSTS
    replan: timedelta = timedelta(hours=1)
    foresight: Foresight = Foresight.PAST
    rounds: int = 150


@dataclass(frozen=True, slots=True, eq=False)
class Month:
    """What came of it.

    Attributes:
        loop: the closed loop; jobs: how many there were; not_run: jobs that never began.
        rows: running at once, the closed loop, and the heuristic that places again every hour (``steam.online``). The bound in
            them is that of plans without late jobs.
    """

    loop: LoopResult
    jobs: int
    not_run: int
    rows: tuple[steam.Shift, ...]


def first_days(case: steam.Case, days: float) -> steam.Case:
    """The case with the jobs of the first ``days`` only."""
    jobs = case.jobs
    kept = jobs.submitted < days * steam.DAY_S
    some = steam.Jobs(jobs.submitted[kept], jobs.length[kept], jobs.latest[kept])
    return replace(case, jobs=some, end_s=float((some.submitted + some.length).max()))


def month_scenario(case: steam.Case, hosts: int) -> Scenario:
    """The case as a scenario of one site, on quarters of an hour."""
    days = int(np.ceil(case.jobs.submitted.max() / steam.DAY_S)) + TAIL_DAYS
    horizon = Horizon(steam.START, timedelta(minutes=15), 96 * days)
    hours = np.concatenate((case.before, case.carbon))
    first_s = horizon.start_s - steam.HOUR_S * len(case.before)
    edges: FloatArray = first_s + steam.HOUR_S * np.arange(len(hours) + 1, dtype=np.float64)
    carbon = Series(edges, hours, "g/kWh", "Dutch carbon intensity")
    free, nothing = Series.constant(UNLIMITED_KW, horizon, "kW"), Series.constant(0.0, horizon, "EUR/MWh")
    busy_kw = steam.IDLE_KW + steam.JOB_KW
    site = Site(
        name="surf",
        tier=Tier.COLD,
        nodes=(NodeGroup("host", hosts, 16, 128.0, 0, steam.IDLE_KW, busy_kw, steam.IDLE_KW),),
        pue=1.0,
        overhead_kw=0.0,
        solar_kw=None,
        wind_kw=None,
        battery=None,
        connection=Connection(free, free),
        tariff=Tariff(nothing, nothing),
        carbon=Carbon(carbon),
    )
    return Scenario(
        name="surf-month",
        title="a month of SURF's jobs in closed loop",
        seed=0,
        horizon=horizon,
        sites=(site,),
        jobs=_jobs(case),
        weights=Weights(carbon_eur_per_kg=1.0),
        planning=PlanningSettings(relative_gap=GAP, time_limit_s=TIME_S, limit_margin=0.0),
        errors=ErrorModel(duration_low=1.0, duration_high=1.0, command_delay_s=0.0, node_failures=0),
        rehearsal=RehearsalSettings(stressed_runs=0),
        time_zone="Europe/Amsterdam",
    )


def _jobs(case: steam.Case) -> tuple[Job, ...]:
    """One job a host, rigid."""
    found = []
    for i, (submitted_s, length_s) in enumerate(zip(case.jobs.submitted.tolist(), case.jobs.length.tolist(), strict=True)):
        release, length = steam.START + timedelta(seconds=submitted_s), timedelta(seconds=length_s)
        deadline = release + max(timedelta(days=1), length + AT_ONCE)
        found.append(Job(f"job-{i}", JobKind.RIGID, release, deadline, length, cores=16, sites=("surf",), origin="trace"))
    return tuple(found)


def loop_of(case: steam.Case, options: MonthOptions, tell: Progress = silent) -> LoopResult:
    """The first days of ``case`` in closed loop.

    Args:
        case: all jobs (``steam.read_case``).
        options: what is run.
        tell: told of each plan.
    """
    settings = LoopSettings(replan=options.replan, window=WINDOW, foresight=options.foresight)
    return run_loop(month_scenario(first_days(case, options.days), options.hosts), settings, tell)


def compared(case: steam.Case, options: MonthOptions, loop: LoopResult) -> Month:
    """A closed loop of ``case`` beside running at once and the hourly heuristic, with the most that any plan could save."""
    case = first_days(case, options.days)
    begun = [job.started for job in loop.outcome.jobs]
    starts = np.array([np.nan if moment is None else (moment - steam.START).total_seconds() for moment in begun])
    ran = np.isfinite(starts)
    once = steam.at_once(case, options.hosts)
    base = steam.shift_of(case, "at once", once, options.hosts, None)
    starts = np.where(ran, starts, case.jobs.latest)  # counted as if begun last, and told
    bound = None
    if options.rounds:
        least_g, _ = steam.dual(case, options.hosts, options.rounds, silent, case.job_carbon_g(starts))
        bound = 100.0 * (1.0 - (least_g + case.idle_carbon_g(options.hosts)) / 1e6 / base.carbon_t)
    known = options.foresight is Foresight.KNOWN
    online = steam.online(case, options.hosts, spare=0, wait_g_per_h=0.0, foresight=known)
    rows = (
        base,
        steam.shift_of(case, "closed loop", starts, options.hosts, base.carbon_t, bound),
        steam.shift_of(case, "hourly heuristic", online, options.hosts, base.carbon_t, bound),
    )
    return Month(loop, len(starts), int((~ran).sum()), rows)
