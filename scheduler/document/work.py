"""What is to be done: datasets, jobs (listed, generated, from a trace) and demand-response events."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from scheduler.data import Tier
from scheduler.document.fields import Count, Folder, Name, Part, Text, Unit, When, about
from scheduler.document.power_table import PowerTablePart
from scheduler.document.signals import PATH_WORDS
from scheduler.workload import JobKind

MANY = 1_000_000
MOST_JOBS = 200_000
"""Jobs of a trace or a generator: each of them is an object that gets nodes, a reason and commands of its own, about 6 kB."""
DROP_EUR: float = 10.0
KIND_WORDS = "rigid runs in one piece, interruptible in pieces of whole slots, malleable in shares of slots; always at one site."


class DatasetPart(Part):
    """A dataset, where it is and where it may be."""

    name: Annotated[Name, about("Unique name.")]
    tier: Annotated[Tier, about("How the data is used, and so the tier of the sites it belongs on.")]
    size_tb: Annotated[float, about("Size of one replica (decimal terabytes).", gt=0), Unit("TB")]
    sites: Annotated[tuple[Name, ...], about("Sites that hold a replica now; one of another tier must be moved.", min_length=1)]
    replicas: Annotated[
        Count | None, about("Replicas that must stay; the number of sites that hold one now when left out.", ge=1, le=1000)
    ] = None
    allowed_sites: Annotated[
        tuple[Name, ...] | None, about("Sites that may hold it; all sites of its tier when left out.", min_length=1)
    ] = None
    tier_rule: Annotated[
        Literal["tier", "sector"],
        about("tier: only sites of its tier may hold it; sector: the sector decides, allowed_sites counts alone."),
    ] = "tier"
    move_by: Annotated[When | None, about("Latest end of a move that the tier asks for; the horizon's end when left out.")] = None
    stageable: Annotated[
        bool, about("Jobs may run elsewhere after a copy was staged to an allowed site."), Field(strict=True)
    ] = False
    path: Annotated[
        Folder | None,
        about("Its folder below the roots of the sites' storage; its name when left out."),
    ] = None


class PowerCapPart(Part):
    """A way to run a malleable job below full power: how fast it still is, and what it still draws above idle."""

    speed: Annotated[float, about("Work done in a time, relative to full speed.", gt=0, le=1), Unit("share")]
    power: Annotated[float, about("Power above idle, relative to full speed.", gt=0, le=1), Unit("share")]


class TenantPart(Part):
    """Someone whose jobs together may use no more than a share of every site."""

    name: Annotated[Name, about("Unique name.")]
    share: Annotated[
        float, about("The most its jobs use of the cores, GPUs and memory of each site at a time.", gt=0, le=1), Unit("share")
    ]


class JobPart(Part):
    """One deferrable job."""

    name: Annotated[Name, about("Unique name.")]
    kind: Annotated[JobKind, about(f"{KIND_WORDS} With power_caps or a power_table a job is malleable.")] = JobKind.RIGID
    release: Annotated[When | None, about("Earliest start; the horizon's start when left out.")] = None
    deadline: Annotated[When | None, about("Latest end; the horizon's end when left out.")] = None
    duration_minutes: Annotated[float, about("Run time asked for.", gt=0, le=5_256_000), Unit("min")]
    nodes: Annotated[Count, about("Nodes at once (gang width).", ge=1, le=MANY)] = 1
    cores: Annotated[Count, about("Cores on each of them.", ge=1, le=MANY)] = 1
    gpus: Annotated[Count, about("GPUs on each of them.", ge=0, le=MANY)] = 0
    memory_gb: Annotated[float, about("Memory on each of them.", ge=0), Unit("GB")] = 0.0
    sites: Annotated[tuple[Name, ...] | None, about("Sites where it may run; all when left out.", min_length=1)] = None
    inputs: Annotated[tuple[Name, ...], about("Datasets that it reads; it runs where each has a replica.")] = ()
    drop_eur: Annotated[float, about("Price of not running it at all.", ge=0), Unit("EUR")] = DROP_EUR
    due: Annotated[When | None, about("Soft deadline: what is done after it has a price; none when left out.")] = None
    late_eur_per_h: Annotated[
        float | None, about("Price of each hour after due; weights.lateness_eur_per_h when left out.", ge=0), Unit("EUR/h")
    ] = None
    priority: Annotated[float, about("Factor on its drop_eur and late_eur_per_h.", gt=0, le=MANY), Unit("share")] = 1.0
    min_run_minutes: Annotated[
        float, about("Least length of a piece of an interruptible job, rounded up to slots.", ge=0, le=5_256_000), Unit("min")
    ] = 0.0
    min_gap_minutes: Annotated[
        float, about("Least pause between pieces of an interruptible job, rounded up to slots.", ge=0, le=5_256_000), Unit("min")
    ] = 0.0
    restart_eur: Annotated[
        float, about("Price of each piece after the first (checkpoint and restart) of an interruptible job.", ge=0), Unit("EUR")
    ] = 0.0
    power_caps: Annotated[tuple[PowerCapPart, ...], about("Ways to run it below full power; make it malleable.")] = ()
    power_table: Annotated[
        PowerTablePart | None, about("Instead of power_caps: a measured table of GPU power limits; makes the job malleable.")
    ] = None
    after: Annotated[tuple[Name, ...], about("Listed jobs that must have ended first; it is dropped when one of them is.")] = ()
    move_eur: Annotated[
        float | None,
        about("Price of moving it to another of its sites once it has begun, its work kept; it stays when left out.", ge=0),
        Unit("EUR"),
    ] = None
    tenant: Annotated[Name | None, about("Whose job it is; no limit beyond the site's own when left out.")] = None
    command: Annotated[
        tuple[Text, ...], about("Command and arguments for a node; {seconds} becomes the scaled run time.", min_length=1)
    ] = ("sleep", "{seconds}")

    @property
    def capped(self) -> bool:
        """It may run below full power."""
        return bool(self.power_caps) or self.power_table is not None


class TracePart(Part):
    """Jobs of a recorded trace; those that cannot end inside the horizon are left out by name."""

    opendc: Annotated[Text, about(f"{PATH_WORDS} of an OpenDC tasks file (Parquet).", min_length=1)]
    from_: Annotated[
        When | None,
        about("First submission taken, the horizon's start when left out; another moment is moved to the horizon's start."),
        Field(alias="from"),
    ] = None
    to: Annotated[When | None, about("First submission not taken; as long after 'from' as the horizon when left out.")] = None
    limit: Annotated[Count | None, about("Largest number of jobs, the first ones.", ge=1, le=MOST_JOBS)] = None
    sites: Annotated[tuple[Name, ...] | None, about("Sites where these jobs may run; all when left out.", min_length=1)] = None
    node_cores: Annotated[
        Count | None,
        about("Cores of one node: a job with more takes several nodes. One node a job when left out.", ge=1, le=MANY),
    ] = None
    deadline_slack_h: Annotated[float, about("Deadline is submission plus run time plus this.", ge=0, le=8784), Unit("h")] = 24.0
    drop_eur: Annotated[float, about("Price of not running one of them at all.", ge=0), Unit("EUR")] = DROP_EUR


class ClassPart(Part):
    """A class of generated jobs: what the scenario assumes about a share of them."""

    name: Annotated[Name, about("Name; jobs are called <name>-<number>.")] = "job"
    share: Annotated[float, about("Share of the jobs, relative to the other classes.", gt=0), Unit("share")] = 1.0
    kind: Annotated[JobKind, about("rigid, interruptible, or malleable (in shares of slots, at full speed).")] = JobKind.RIGID
    slack_h: Annotated[float, about("Deadline is release plus run time plus this.", ge=0, le=8784), Unit("h")] = 24.0
    sites: Annotated[
        tuple[Name, ...] | None, about("Sites where they may run; those of the generator when left out.", min_length=1)
    ] = None
    inputs: Annotated[tuple[Name, ...], about("Datasets that each of them reads.")] = ()
    drop_eur: Annotated[float, about("Price of not running one of them at all.", ge=0), Unit("EUR")] = DROP_EUR


class GeneratorPart(Part):
    """Jobs drawn from a fitted model with the scenario's seed."""

    model: Annotated[Text, about(f"{PATH_WORDS} of a fitted job model (JSON).", min_length=1)]
    jobs: Annotated[Count, about("Number of jobs.", ge=1, le=MOST_JOBS)]
    sites: Annotated[tuple[Name, ...] | None, about("Sites where these jobs may run; all when left out.", min_length=1)] = None
    shortest_minutes: Annotated[float, about("No run time below this.", ge=0, le=5_256_000), Unit("min")] = 0.0
    longest_minutes: Annotated[
        float | None, about("No run time above this; only the horizon bounds it when left out.", gt=0, le=5_256_000), Unit("min")
    ] = None
    classes: Annotated[tuple[ClassPart, ...], about("Classes of jobs; one of every default when left out.")] = ()


class WorkloadPart(Part):
    """Where jobs come from; the three sources add up."""

    trace: Annotated[TracePart | None, about("Jobs of a recorded trace.")] = None
    generator: Annotated[GeneratorPart | None, about("Jobs drawn from a fitted model.")] = None
    jobs: Annotated[tuple[JobPart, ...], about("Listed jobs.")] = ()


class EventPart(Part):
    """A demand-response event: a limit on import minus export of one site for a period."""

    name: Annotated[Name, about("Unique name.")]
    site: Annotated[Name, about("Site whose connection is limited.")]
    start: Annotated[When, about("First instant.")]
    end: Annotated[When, about("First instant after it.")]
    limit_kw: Annotated[float, about("Largest import minus export; negative asks for export."), Unit("kW")]
    penalty_eur_per_kwh: Annotated[float, about("Price of each kWh above the limit.", ge=0), Unit("EUR/kWh")]
    received: Annotated[When | None, about("When it becomes known; the horizon's start when left out.")] = None
