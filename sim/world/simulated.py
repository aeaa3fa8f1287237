"""The simulated world: SimPy's clock, jobs on named nodes, transfers on links, energy metered exactly, faults.

What is simulated, and what is not: jobs start after an exponential command delay, run for their true time, queue for busy
nodes and begin again when their node fails; sun and wind differ from the forecast; batteries are driven by
``sim.world.battery_control``; the grid always delivers (an import above the limit is metered and reported as a violation),
except at a site whose import limit is zero throughout, where missing energy is unserved, and while the mains of a site have
failed (``sim.world.outages``). Links are shared fairly (``sim.world.migrations``).
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import simpy

from grid.chance import stream
from grid.response.event import CapacityEvent
from scheduler.facility import Site
from scheduler.outcome import Outcome
from scheduler.plan import Plan
from scheduler.scenario import Scenario
from scheduler.workload import Job
from scheduler.world import JobState, Observation
from sim.world.assets import asset_world
from sim.world.assets.follower import AssetWorld
from sim.world.dispatch import Dispatch
from sim.world.failures import Failure, draw_failures, draw_outages
from sim.world.foresee import foresee
from sim.world.meter import SiteMeter
from sim.world.migrations import Library
from sim.world.nodes import NodePool
from sim.world.outages import Outages, Stage
from sim.world.settle import settle
from sim.world.shares import Kind, Owner, Part
from sim.world.steps import in_force, needs_s
from sim.world.truth import Truth, has_mains
from sim.world.work import SimulatedJob, Surroundings

PATIENCE = timedelta(hours=24)
"""How long after the horizon's end the world waits for jobs that still run, so that a late end is known."""


class SimulatedWorld:
    """Carries plans out in simulated time; implements ``scheduler.world.World``.

    Args:
        scenario: the world; its horizon is what is simulated.
        seed: seed of the truth, which does not depend on the plan.
        stressed: nodes fail while the first commanded plan works on them (forecast error, run times and command delays
            differ from the plan in every world).
        events: demand-response events, those of the scenario when None; each is known to the sites from ``received`` on.
        observation: begin at this observation instead of the start of the scenario's horizon.

    Attributes:
        scenario: the scenario, with the events; horizon: simulated period; truth: what is hidden from the controller.
        plans: plans in the order of their commands, with the instant (seconds after the world's start) each takes over.
        jobs: by name; library: data; pools: nodes by site; meters: energy by site.
        begun_from: the observation it began from, or None.
        log: happenings, seconds after the world's start and text.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        seed: int,
        stressed: bool,
        events: tuple[CapacityEvent, ...] | None = None,
        observation: Observation | None = None,
    ) -> None:
        self.scenario = scenario
        self.events = scenario.events if events is None else events
        self.horizon = scenario.horizon if observation is None else scenario.horizon.tail(observation.slot)
        self.truth = Truth(scenario, seed, stressed=stressed)
        self.begun_from = observation
        self.plans: list[tuple[float, Plan]] = []
        self.log: list[tuple[float, str]] = []
        self.env = simpy.Environment()
        self._job_ended: simpy.Event = self.env.event()
        self._seen = {state.job: state for state in observation.started} if observation else {}
        asleep = observation.asleep if observation else frozenset[str]()
        self.pools = {site.name: NodePool(self.env, site, self._power_changed, asleep) for site in scenario.sites}
        self.meters = {site.name: self._meter(site.name) for site in scenario.sites}
        self.library = Library(self.env, scenario, observation, self._power_changed, self._note)
        around = Surroundings(
            self.env,
            self.pools,
            self.library.has_data,
            lambda: self.library.changed,
            self._before,
            lambda: self._job_ended,
            self._end_of_job,
            self._other_nodes,
            self._power_changed,
            self._note,
        )
        self.jobs: dict[str, SimulatedJob] = {}
        restart_s = scenario.errors.restart_minutes * 60.0
        stage = Stage(self.env, self.horizon.start, self.meters, self.pools, self.jobs, self.library, restart_s, self._note)
        self.outages = Outages(stage)
        for job in self._open_jobs():
            self.jobs[job.name] = SimulatedJob(job, self._true_s(job), around, self.horizon.start)
        self._open = dict(self.jobs)
        self._dispatch = Dispatch(
            self.env, self.plans, self.jobs, self._open, self.library, self.truth, scenario.errors, self.horizon.start_s
        )
        self.announce(self.events)
        repair_s = scenario.errors.repair_h * 3600.0
        for node in sorted(observation.failed_nodes) if observation else ():
            self.env.process(self._fail(Failure(node, 0.0, repair_s)))
        gone_s = self.horizon.start_s - scenario.horizon.start_s
        self.outages.let_happen(self.truth.mains_from(gone_s))
        self.library.let_links_change(self.truth.link_shares, gone_s)
        for state in observation.started if observation else ():
            self.jobs[state.job].resume_from_observation(state.site, state.nodes, running=state.running)

    # ---- scheduler.world.World ------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """Current simulated instant, UTC."""
        return self.horizon.start + timedelta(seconds=self.env.now)

    def advance(self, until: datetime) -> None:
        """Simulate until ``until`` (what happens at exactly that instant is still to come).

        Raises:
            ValueError: ``until`` lies in the past.
        """
        target_s = (until - self.horizon.start).total_seconds()
        if target_s < self.env.now:
            raise ValueError(f"{until} lies before the simulated instant {self.now()}")
        if target_s > self.env.now:
            self.env.run(until=target_s)
        for meter in self.meters.values():
            meter.meter_to(target_s)

    def command(self, plan: Plan, ruled: frozenset[str] = frozenset()) -> None:
        """Carry out ``plan`` from its first slot on, or from now on when that has begun; replaces the plan in force.

        Args:
            plan: the plan.
            ruled: sites whose batteries keep to self-consumption, whatever the plan says.

        Raises:
            ValueError: the plan names a job that this world does not have.
        """
        unknown = {run.job for run in plan.runs} - set(self.jobs) - self.finished()
        if unknown:
            raise ValueError(f"plan {plan.id} runs unknown jobs: {', '.join(sorted(unknown))}")
        begin_s = max(self.env.now, (plan.horizon.start - self.horizon.start).total_seconds())
        if self.truth.stressed and not self.plans:
            self._draw_failures(plan, begin_s)
        self.plans.append((begin_s, plan))
        for name, meter in self.meters.items():
            meter.follow_from(self.env.now, plan, ruled=name in ruled)
        needs = needs_s(self.plans[-2:], self.horizon.start_s)
        for pool in self.pools.values():
            pool.expect(needs)
        self._dispatch.carry_out(plan, begin_s)

    def observe(self, slot: int) -> Observation:
        """State at the start of ``slot`` of the scenario's horizon, foreseen when it is still to come.

        Raises:
            ValueError: the slot has begun already.
        """
        return foresee(self, slot)

    # ---- beyond the protocol ---------------------------------------------------------------------------------------

    def announce(self, events: tuple[CapacityEvent, ...]) -> None:
        """Let the sites know of demand-response events (all of them, also those announced before)."""
        self.events = events
        for meter in self.meters.values():
            meter.meter_to(self.env.now)
            meter.know(events)

    def reading(self, site: str) -> tuple[float, float]:
        """Net import of a site from now on and the limit on it that holds now, kW (``SiteMeter.reading``).

        From the end of the horizon on nothing is known of what is to come: no import, and no limit.
        """
        if self.now() >= self.horizon.end:
            return 0.0, math.inf
        meter = self.meters[site]
        meter.meter_to(self.env.now)
        return meter.reading()

    def outcome(self, step: timedelta | None = None, *, baseline: Outcome | None = None) -> Outcome:
        """Simulate to the end of the horizon and settle.

        Args:
            step: reporting step of the energies, the horizon's when None; it must divide the horizon.
            baseline: the same world without the demand-response events, for the proof of delivery.

        Raises:
            ValueError: ``step``, or 15 minutes, does not divide the horizon.
        """
        end_s = (self.horizon.end - self.horizon.start).total_seconds()
        if self.env.now < end_s:
            self.advance(self.horizon.end)
        last_s = end_s + PATIENCE.total_seconds()
        while any(job.wish is not None for job in self._open.values()) and self.env.peek() <= last_s:
            self.env.step()
        return settle(self, self.horizon if step is None else self.horizon.with_step(step), baseline)

    def finished(self) -> frozenset[str]:
        """Names of the jobs that are done now, those that end at this very instant included."""
        before = self.begun_from.finished if self.begun_from else frozenset[str]()
        return before.union(self.jobs.keys() - self._open.keys(), self._ending())

    def unfinished(self) -> dict[str, SimulatedJob]:
        """Jobs that are not done now, by name, in the order of the scenario."""
        ending = self._ending()
        return {name: job for name, job in self._open.items() if name not in ending}

    def observed(self, job: str) -> JobState | None:
        """State in which this world found ``job`` when it began; None when it had not begun then."""
        return self._seen.get(job)

    def failed_nodes(self) -> frozenset[str]:
        """Names of the nodes that are out of order now."""
        return frozenset[str]().union(*(pool.down_nodes() for pool in self.pools.values()))

    def plan_at(self, moment_s: float) -> Plan | None:
        """Plan in force at an instant (seconds after the world's start)."""
        return next((plan for begin_s, plan in reversed(self.plans) if begin_s <= moment_s), None)

    # ---- set-up ----------------------------------------------------------------------------------------------------

    def _open_jobs(self) -> tuple[Job, ...]:
        done = self.begun_from.finished if self.begun_from else frozenset[str]()
        return tuple(job for job in self.scenario.jobs if job.name not in done)

    def _true_s(self, job: Job) -> float:
        """True run time; of a job that had begun, the true time of the slots that were observed to be left."""
        asked_s, state = job.duration.total_seconds(), self._seen.get(job.name)
        if state is not None:
            asked_s = min(asked_s, state.remaining_slots * self.horizon.step_s)
        return asked_s * self.truth.duration_factor(job.name)

    def _meter(self, name: str) -> SiteMeter:
        site = self.scenario.site(name)
        sources = tuple(found[name] for found in (self.truth.solar_kw, self.truth.wind_kw) if name in found)
        seen_kwh = self.begun_from.soc_kwh if self.begun_from is not None else {}
        soc_kwh = seen_kwh.get(name, site.battery.initial_soc_kwh if site.battery else 0.0)
        on_feeder = any(name in feeder.sites for feeder in self.scenario.feeders)
        on_feeder |= any(name in group.members and group.export_kw is not None for group in self.scenario.contracts.groups)
        connection = self.scenario.contracts.connection(name, site.connection, self.scenario.horizon)
        idle_kw, factor = self.pools[name].idle_kw(), self.truth.load_factor.get(name)
        return SiteMeter(
            site,
            self.horizon,
            sources,
            soc_kwh,
            idle_kw,
            on_feeder=on_feeder,
            load_factor=factor,
            pue=site.pue_series(self.truth.outdoor_c.get(name)),
            assets=self._assets(site),
            connection=connection,
        )

    def _assets(self, site: Site) -> tuple[AssetWorld, ...]:
        seen = self.begun_from.assets if self.begun_from is not None else {}
        return tuple(
            asset_world(asset.begun(seen.get(f"{site.name}/{asset.name}", {})), self._note_at, self.horizon.start_s)
            for asset in site.assets
        )

    def _draw_failures(self, plan: Plan, begin_s: float) -> None:
        """Let nodes fail while ``plan`` works on them, except nodes that are out of order already."""
        seen = self.begun_from.failed_nodes if self.begun_from else frozenset[str]()
        nodes = tuple(name for pool in self.pools.values() for name in pool.nodes if name not in seen)
        true_s = {name: job.true_s for name, job in self.jobs.items()}
        errors, rng = self.scenario.errors, stream(self.truth.seed, "failures")
        for failure in draw_failures(rng, plan, true_s, nodes, errors.node_failures, errors.repair_h * 3600.0):
            self.env.process(self._fail(Failure(failure.node, begin_s + failure.start_s, begin_s + failure.end_s)))
        count, mean_s = self.scenario.rehearsal.mains_outages, errors.fault_rates.outage_s
        site_of = {
            node: site.name
            for site in self.scenario.sites
            if has_mains(site, self.horizon)
            for node in self.pools[site.name].nodes
        }
        outages = draw_outages(stream(self.truth.seed, "outages"), plan, true_s, site_of, count, mean_s)
        self.outages.let_happen(tuple(replace(fault, start_s=fault.start_s + begin_s) for fault in outages))

    # ---- processes -------------------------------------------------------------------------------------------------

    def _fail(self, failure: Failure) -> Generator[simpy.Event, Any, None]:
        site = next(name for name, pool in self.pools.items() if failure.node in pool.nodes)
        pool = self.pools[site]
        yield self.env.timeout(failure.start_s - self.env.now)
        self._note(f"{failure.node} failed")
        for name in sorted(pool.fail(failure.node)):
            self.jobs[name].node_failed(failure.node)
        self._power_changed(site)
        yield self.env.timeout(failure.end_s - failure.start_s)
        self._note(f"{failure.node} was repaired")
        pool.repair(failure.node)
        self._power_changed(site)

    # ---- what jobs and transfers ask of the world ------------------------------------------------------------------

    def _before(self, job: Job) -> tuple[SimulatedJob, ...]:
        """Jobs of this world that ``job`` comes after and that have not ended."""
        return tuple(self.jobs[name] for name in job.after if name in self.jobs and self.jobs[name].finished_s is None)

    def _ending(self) -> set[str]:
        """Jobs that end at this very instant, their end not simulated yet."""
        running = (name for pool in self.pools.values() for name in pool.busy)
        return {name for name in running if self.jobs[name].is_done(self.env.now)}

    def _end_of_job(self, name: str) -> None:
        del self._open[name]
        ended, self._job_ended = self._job_ended, self.env.event()
        ended.succeed()

    def _power_changed(self, site: str, job: str | None = None) -> None:
        """The power of a site has changed: of that job alone, or (None) of nobody knows which jobs and transfers."""
        meter, idle_kw = self.meters[site], self.pools[site].idle_kw()
        if job is None:
            parts = {Owner(Kind.JOB, name): self._part(name) for name in self.pools[site].busy if self.jobs[name].held}
            moves = self.library.parts_kw(site).items()
            parts |= {Owner(Kind.MIGRATION, name): Part(power, 0.0) for name, power in moves if power}
            meter.set_it_kw(self.env.now, math.fsum(part.it_kw for part in parts.values()), idle_kw, parts)
        else:
            meter.change_parts(self.env.now, idle_kw, {Owner(Kind.JOB, job): self._part(job) if self.jobs[job].held else None})
        self.outages.changed(site)

    def _part(self, name: str) -> Part:
        return Part(self.jobs[name].power_kw, self.jobs[name].cores_held)

    def _other_nodes(self, job: Job, site: str, left_s: float) -> tuple[str, ...]:
        planned: set[str] = set()
        for from_s, until_s, plan in in_force(self.plans, self.env.now, self.env.now + left_s):
            first_s, step_s = plan.horizon.start_s - self.horizon.start_s, plan.horizon.step_s
            for run in plan.runs:
                overlaps = first_s + run.start * step_s < until_s and first_s + run.end * step_s > from_s
                if run.site == site and run.job != job.name and overlaps:
                    planned.update(run.nodes)
        return self.pools[site].free_nodes(job, frozenset(planned))

    def _note_at(self, moment_s: float, text: str) -> None:
        self.log.append((moment_s, text))

    def _note(self, text: str) -> None:
        self.log.append((self.env.now, text))
