"""One job in the simulated world: a SimPy process that reacts to commands, data, free nodes and failures.

::

              command to run          data and nodes there
    idle ------------------> waiting ----------------------> running --> done (true run time worked off)
     ^                          |                               |
     +------ command to pause --+-------------------------------+   (a rigid job that runs is never paused)

A job whose node fails loses its work and begins again: at once on free nodes of the same site that no other planned run
needs in that time, else on its own nodes when they are repaired. Once it runs again it runs in one go until it is done,
whatever pieces the plan had for it; while it waits, a new plan may put it anywhere. A job that is still not done at the end
of its last planned piece keeps its nodes until it is.

A job of a workflow waits, once commanded, until the jobs that it comes after have ended. A job whose owner named a price of
moving leaves its site when it is told to, and keeps its work.

When the mains of a site fail and its supply runs low, jobs that can pause stop at a checkpoint and go on from there once there is
power again; rigid jobs, and every job whose node lost its power at once, begin again.

A malleable job works at the pace of its last command: so much work in a time, and so much power, relative to full speed. It
holds its nodes whole at any pace, changes pace without letting go of them, and after a failure goes on at full speed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import simpy

from scheduler.workload import Job, JobKind
from sim.world.nodes import NodePool, Request

DONE_S = 1e-6
"""Work shorter than this is no work."""

LEAST_SPEED = 1e-6
"""No command makes a job slower than this."""


Pace = tuple[float, float, float]
"""Work done in a time, IT power, and share of the time that is worked, each relative to full speed."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the last command wants: run at ``site`` on ``nodes`` (empty: any that fit), at some pace.

    Attributes:
        site: where; nodes: on which nodes.
        speed: work done in a time; power: IT power; both relative to full speed.
        use: share of the time in which it works, which is what lateness is paid for.
    """

    site: str
    nodes: tuple[str, ...]
    speed: float = 1.0
    power: float = 1.0
    use: float = 1.0

    @property
    def pace(self) -> Pace:
        """Speed (never quite nothing, so that the job ends some day), power and use."""
        return max(self.speed, LEAST_SPEED), self.power, self.use


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a job needs of the world.

    Attributes:
        env: clock of the simulation.
        pools: nodes by site.
        has_data: whether a job's inputs can be read at a site now.
        data_changed: event that succeeds when the next replica arrives.
        before: jobs of this world that a job comes after and that have not ended.
        job_ended: event that succeeds when the next job ends; ended: called with the name of a job that ends.
        other_nodes: free nodes of a site that no other planned run needs while the job would run, or empty.
        power_changed: called with a site and the job whose power there changes.
        note: writes a line to the world's log.
    """

    env: simpy.Environment
    pools: dict[str, NodePool]
    has_data: Callable[[Job, str], bool]
    data_changed: Callable[[], simpy.Event]
    before: Callable[[Job], tuple[SimulatedJob, ...]]
    job_ended: Callable[[], simpy.Event]
    ended: Callable[[str], None]
    other_nodes: Callable[[Job, str, float], tuple[str, ...]]
    power_changed: Callable[[str, str], None]
    note: Callable[[str], None]


class SimulatedJob:
    """A job and what has become of it so far (times are seconds after the world's start).

    Attributes:
        job: the job; true_s: its true run time at full speed; left_s: of that, still to be worked off at ``since_s``.
        site: where it last ran, or None; bound_to: site that it may not leave any more, or None.
        started_s, finished_s: first start and end, or None.
        restarts: times it lost its work; energy_kwh: IT energy above idle until ``since_s``.
        power_kw: IT power that it adds now; held: nodes it runs on now; speed: work done in a time, relative to full speed.
        unbroken: it began again after a failure and is not paused any more.
        failures_hit: nodes (or mains) whose failure took its work, stopped it, or that it had to wait for.
        pieces: times it began to work, without a pause before it or not at the same instant; moves: times it changed its site.
        due_s: instant of its soft deadline, infinite when it has none.
    """

    def __init__(self, job: Job, true_s: float, around: Surroundings, start: datetime) -> None:
        self.job = job
        self.due_s = float("inf") if job.due is None else (job.due - start).total_seconds()
        self.pieces = self.moves = 0
        self._late_s = 0.0
        self.true_s = self.left_s = true_s
        self.site: str | None = None
        self.bound_to: str | None = None
        self.started_s: float | None = None
        self.finished_s: float | None = None
        self.restarts = 0
        self.energy_kwh = 0.0
        self.power_kw = 0.0
        self.speed = 1.0
        self.since_s = 0.0
        self.held: tuple[str, ...] = ()
        self.wish: Wish | None = None
        self.unbroken = False
        self.failures_hit: list[str] = []
        self._around = around
        self._failed: str | None = None
        self._saved: str | None = None
        self._poked = around.env.event()
        self.process = around.env.process(self._live())

    @property
    def running(self) -> bool:
        """It works now."""
        return bool(self.held)

    @property
    def cores_held(self) -> float:
        """Cores that it holds now."""
        return float(self.job.cores * len(self.held))

    def begin_running(self, wish: Wish) -> None:
        """Command: run there (nothing changes for a job that is done, or rigid and running)."""
        if self.finished_s is not None or self._goes_on():
            return
        if self.bound_to not in (None, wish.site) and not self._movable:
            self._around.note(f"{self.job.name} was told to run at {wish.site}, but it belongs to {self.bound_to}")
            return
        self.wish, self.unbroken = wish, False
        self._poke()

    @property
    def _movable(self) -> bool:
        return self.job.move_eur is not None and self.job.kind is not JobKind.RIGID

    def late_h(self) -> float:
        """Hours of lateness against its soft deadline so far: rigid, of its end; others, of the time that it worked."""
        if self.job.kind is not JobKind.RIGID:
            return self._late_s / 3600.0
        return max(0.0, (self.finished_s or 0.0) - self.due_s) / 3600.0

    def pause(self) -> None:
        """Command: stop working (a rigid job that runs, or one that runs to make up for a failure, does not)."""
        if self._goes_on():
            return
        self.wish = None
        self._poke()

    @property
    def lost_its_work(self) -> bool:
        """Its node failed and it has not begun again: it may be planned anew, anywhere."""
        return self.unbroken and not self.running

    def _goes_on(self) -> bool:
        """It runs, and no command stops it."""
        return self.running and (self.unbroken or self.job.kind is JobKind.RIGID)

    def node_failed(self, node: str) -> None:
        """Its node has failed: all work is lost."""
        self._failed = node
        self._poke()

    def lose_power(self, why: str, *, at_once: bool) -> bool:
        """Its site has no power for it any more: it stops, at a checkpoint if it can and there is time.

        Returns:
            True when that kept its work.
        """
        if at_once or self.job.kind is JobKind.RIGID:
            self.node_failed(why)
            return False
        self._saved = why
        self._poke()
        return True

    def worked_s(self, now_s: float) -> float:
        """Seconds of work at full speed done until ``now_s``, since the last restart."""
        return self.true_s - self.left_s + ((now_s - self.since_s) * self.speed if self.running else 0.0)

    def is_done(self, now_s: float) -> bool:
        """It has ended, or ends at this instant (what happens at an instant is simulated after it was looked at)."""
        return self.finished_s is not None or (self.running and self.true_s - self.worked_s(now_s) <= DONE_S)

    def resume_from_observation(self, site: str, nodes: tuple[str, ...], *, running: bool) -> None:
        """It had begun before this world did."""
        self.site, self.bound_to, self.started_s = site, site, 0.0
        if running:
            self.begin_running(Wish(site, nodes))

    def _poke(self) -> None:
        poked, self._poked = self._poked, self._around.env.event()
        poked.succeed()

    def _live(self) -> Generator[simpy.Event, Any, None]:
        while self.finished_s is None:
            if self.wish is None:
                yield self._poked
                continue
            wish = self.wish
            before = self._around.before(self.job) if self.started_s is None else ()
            if before:
                self.failures_hit += [node for job in before for node in job.failures_hit if node not in self.failures_hit]
                yield self._poked | self._around.job_ended()
                continue
            if not self._around.has_data(self.job, wish.site):
                yield self._poked | self._around.data_changed()
                continue
            wish = self._around_broken_nodes(wish)
            closed_by = self._around.pools[wish.site].closed_by
            self.failures_hit += [why for why in dict.fromkeys(closed_by) if why not in self.failures_hit]
            request = self._around.pools[wish.site].request(self.job, wish.nodes)
            if not request.held:
                yield request.granted | self._poked
            if request.held and (self.wish is not None and self.wish.site == wish.site):
                yield from self._run(wish, request)
            self._around.pools[wish.site].release(request)
            self._around.power_changed(wish.site, self.job.name)

    def _around_broken_nodes(self, wish: Wish) -> Wish:
        """The wish, moved to other free nodes of the site when one of its nodes is out of order."""
        broken = self._around.pools[wish.site].down_nodes().intersection(wish.nodes)
        if not broken:
            return wish
        other = self._around.other_nodes(self.job, wish.site, self.left_s / wish.pace[0])
        name = ", ".join(sorted(broken))
        if not other:
            self._around.note(f"{self.job.name} waits at {wish.site} for the repair of {name}")
            self.failures_hit += sorted(broken.difference(self.failures_hit))
            return wish
        self._around.note(f"{self.job.name} goes to {', '.join(other)} because {name} is out of order")
        self.wish = replace(wish, nodes=other)
        return self.wish

    def _run(self, wish: Wish, request: Request) -> Generator[simpy.Event, Any, None]:
        """Work until done, paused, moved or failed."""
        env, pool = self._around.env, self._around.pools[wish.site]
        self.pieces += self.started_s is None or env.now - self.since_s > DONE_S
        self.moves += self.bound_to not in (None, wish.site)
        self.held, self.since_s = request.held, env.now
        self.site = self.bound_to = wish.site
        if self.started_s is None:
            self.started_s = env.now
        full_kw = pool.core_kw(request.held, self.job)
        pace: Pace | None = wish.pace
        while pace is not None:
            yield from self._keep_pace(wish, request, pace, full_kw)
            over = self.left_s <= DONE_S or self._stopped or self.wish is None
            pace = None if over or self.wish is None or self._must_leave(request, self.wish.pace) else self.wish.pace
        self.held, self.power_kw, self.speed = (), 0.0, 1.0
        if self.left_s <= DONE_S:
            self.left_s, self.finished_s, self.wish = 0.0, env.now, None
            self._around.ended(self.job.name)
        elif self._failed is not None:
            lost_min = (self.true_s - self.left_s) / 60.0
            self._around.note(f"{self.job.name} lost {lost_min:.0f} min of work at {wish.site}: {self._failed} failed")
            self.restarts += 1
            self.failures_hit.append(self._failed)
            self.left_s, self.unbroken, self.bound_to = self.true_s, True, None
            self.wish = Wish(wish.site, request.held)
        elif self._saved is not None:
            self._around.note(f"{self.job.name} stops at its checkpoint at {wish.site}: {self._saved} failed")
            self.failures_hit += [self._saved] if self._saved not in self.failures_hit else []
        self._failed = self._saved = None

    @property
    def _stopped(self) -> bool:
        """Something took its nodes or their power."""
        return self._failed is not None or self._saved is not None

    def _keep_pace(self, wish: Wish, request: Request, pace: Pace, full_kw: float) -> Generator[simpy.Event, Any, None]:
        """Work at one pace until done, failed, or told otherwise; then the work and energy of that time are counted."""
        env = self._around.env
        self.speed, self.power_kw = pace[0], pace[1] * full_kw
        self._around.power_changed(wish.site, self.job.name)
        done = env.timeout(self.left_s / self.speed)
        while not (done.processed or self._stopped or self._must_leave(request, pace)):
            yield done | self._poked
        passed_s = env.now - self.since_s
        self.energy_kwh += self.power_kw * passed_s / 3600.0
        self.left_s = 0.0 if done.processed else self.left_s - passed_s * self.speed
        self._late_s += pace[2] * max(0.0, env.now - max(self.since_s, self.due_s))
        self.since_s = env.now

    def _must_leave(self, request: Request, pace: Pace) -> bool:
        """The commands changed so that the job may not go on where it runs, or not at this pace (rigid jobs get no such ones)."""
        if self.wish is None or self.wish.pace != pace or self.wish.site != self.site:
            return True
        return bool(self.wish.nodes) and set(self.wish.nodes) != set(request.held)
