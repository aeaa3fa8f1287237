"""The nodes under ``ozzo serve``: plans go around those that are not there, and overrides stand above the plan.

No job ever has more processes than it asks for: an order that would start one too many waits, or is withheld.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime

from ozzo.commands import JobState, JobWish
from ozzo.orders import Order, in_order, orders_of, running_state, transition
from ozzo.serve.overrides import Rules
from ozzo.serve.restored import RestoredFleet
from ozzo.serve.works import OVER
from ozzo.serve.works import Stage as WorkStage
from scheduler.plan import Plan
from scheduler.scenario import Scenario

LOOK_S = 0.25
"""Wall seconds between two looks at who is there."""


class StandingFleet(RestoredFleet):
    """Node agents under a plan and under overrides; used by one thread."""

    def use(self, scenario: Scenario) -> None:
        """Take another document of the same nodes into use; jobs that are over and that it does not name are forgotten."""
        self._scenario = scenario
        self._moves.use(scenario, self._data_nodes)
        self._brief = replace(self._brief, jobs={job.name: job for job in scenario.jobs})
        old = [name for name, work in self.works.items() if work.stage in OVER and name not in self._brief.jobs]
        self._kept.forget([self._brief.run + name for name in old])
        for name in old:
            del self.works[name]
            self.state.keep_work(name, None)

    def look(self) -> None:
        """Find out who is lost, who came back, who is surely in failsafe; book how far jobs are."""
        if time.monotonic() < self._looked_s + LOOK_S:
            return
        self._looked_s = time.monotonic()
        views = self.views()
        present = {name for name, view in views.items() if view.present}
        for name in sorted(self._was_present - present):
            self._told(f"node {name} is lost", "node_lost", name)
        for name in sorted(present - self._was_present):
            self._told(f"node {name} is there", "node_there", name)
        self._was_present = present
        self._give_up({name for name, view in views.items() if view.certain})
        self._account()
        del self._notes[:-20]  # months of them would be many

    def _told(self, text: str, kind: str, node: str) -> None:
        self._progress(text)
        self._journal.append(kind, datetime.now(UTC), {"node": node})
        self.wishes.append(text)

    def _give_up(self, certain: Collection[str]) -> None:
        """Free the jobs of nodes that are surely in failsafe: those that cannot run under its cap and were not about to end."""
        now = self._clock.now()
        for key, order in list(self._book.alive().items()) if certain else ():
            if key[1] not in certain or key in self._kept.given_up or order.desired.state is JobWish.STOPPED:
                continue
            idle_kw, failsafe_kw = self._failsafe_kw[key[1]]
            frozen = order.desired.power_kw > 0.0 and idle_kw + order.desired.power_kw > failsafe_kw + 1e-9
            if not frozen or order.until <= now:  # one that was about to end may have ended unseen: it waits for its node
                continue
            self._kept.give_up(key)
            self._journal.append("given_up", datetime.now(UTC), {"job": key[0], "node": key[1]})
            self.wishes.append(f"job {key[0].removeprefix(self._brief.run)} is free again: {key[1]} is in failsafe")

    @property
    def at_work(self) -> bool:
        """True while a process may be there, or a copy or a release is under way."""
        return self.moving or any(processes.alive() for processes in self.processes().values())

    def aside(self) -> frozenset[str]:
        """Jobs that must not be planned now: held by hand, on lost nodes that may still run them, or being stopped."""
        views, held = self.views(), set(self.rules.jobs_held())
        for name, processes in self.processes().items():
            for node, order in processes.alive().items():
                wish = self.rules.wish(name, node, order.desired.state)
                planned = order.desired.state is not JobWish.STOPPED
                if (
                    node not in views
                    or not views[node].present
                    or not planned
                    or (wish is not JobWish.RUNNING and self.rules.ordered(name, node))
                ):
                    held.add(name)
        return frozenset(held)

    def closed_nodes(self) -> frozenset[str]:
        """Nodes that get no new work: lost, or by hand."""
        lost = {name for name, view in self.views().items() if not view.present}
        return frozenset(lost) | self.rules.closed_nodes()

    @property
    def pending(self) -> tuple[Order, ...]:
        """Orders that are still to be given, jobs under their names in the scenario."""
        mine = self._brief.run
        return tuple(
            replace(order, desired=order.desired.model_copy(update={"job": order.desired.job.removeprefix(mine)}))
            for order in self._pending
        )

    def pursue(self, plan: Plan, from_slot: int, aside: Collection[str], *, restate: bool = True) -> None:
        """Put a plan into force; jobs that are aside are left as they are, and what they were to do until then is done.

        Args:
            plan: the plan.
            from_slot: slot of its horizon.
            aside: jobs that it leaves alone.
            restate: also tell nodes what they were told before; without it only what changes is sent (the fast path).
        """
        mine, moment = self._brief.run, plan.horizon.time(from_slot)
        given = {key: o for key, o in self._book.alive().items() if key[0].removeprefix(mine) not in aside}
        given = {key: o for key, o in given.items() if key not in self._kept.given_up}
        pending = [o for o in self._pending if o.desired.job.removeprefix(mine) not in aside]
        kept = [o for o in self._pending if o.desired.job.removeprefix(mine) in aside and o.due < moment]
        orders = transition(plan, self._brief, from_slot, given, pending) if given or pending else []
        orders = orders or orders_of(plan, self._brief, from_slot)
        if not restate:
            orders = [order for order in orders if order.due > moment or not self._book.stands(order)]
        self._pending = in_order(order for order in [*orders, *kept] if order.node in self._peak_kw)
        self._moves.follow(plan, from_slot)
        facts = {"plan": plan.id, "orders": len(orders), "scenario_time": self._clock.now().isoformat()}
        self._journal.append("plan_in_force", datetime.now(UTC), facts)

    def resume(self, plan: Plan, from_slot: int) -> None:
        """Go on with the plan of an earlier life: jobs that have begun follow it, others only where they begin later.

        Raises:
            KeyError: it runs a job that the document does not name.
        """
        mine = self._brief.run
        first = {run.job: min(r.start for r in plan.runs_of(run.job)) for run in plan.runs}
        begun = {key[0].removeprefix(mine) for key in self._book.given}
        late = {job for job, start in first.items() if start < from_slot and job not in begun}
        kept = replace(plan, runs=tuple(run for run in plan.runs if run.job not in late))
        self.pursue(kept, from_slot, {name for name, work in self.works.items() if work.stage in OVER})

    def _admit(self, order: Order) -> Order | None:
        """An order as overrides and the rule of no doubles leave it."""
        name = order.desired.job.removeprefix(self._brief.run)
        wish = self.rules.wish(name, order.node, order.desired.state)
        if wish is not order.desired.state:
            order = replace(order, desired=order.desired.model_copy(update={"state": wish}), reason=self._why(name, order))
        if wish is JobWish.RUNNING and not self._may_run(order, name):
            return None
        if order.key not in self._book.given and wish is not JobWish.RUNNING:
            return None  # nothing of it is there, and nothing shall be
        return order

    def _why(self, name: str, order: Order) -> str:
        found = self.rules.ordered(name, order.node)
        return f"by hand: {found}" if found is not None else order.reason

    def _may_run(self, order: Order, name: str) -> bool:
        """False when the job is over or its node away, or for now when another process of it must end first."""
        processes = self._kept.processes(order.desired.job)
        if order.node in processes.alive() and order.key not in self._kept.given_up:
            return True
        if self._book.exits.get(order.key) == 0:
            return False  # its part of the job is done
        done = self.works[name].stage in OVER if name in self.works else False
        if done or processes.stage() in OVER:
            return False
        if name not in self._brief.jobs:
            self._withheld(name, order.node, "the document does not name it any more")
            return False
        if order.key in self._kept.given_up or not self._presence.present(order.node, self._silent):
            self.wishes.append(f"job {name} cannot start on {order.node}")
            self._withheld(name, order.node, "the node is away")
            return False
        before = [other for other in self._brief.jobs[name].after if not self._is_over(other)]
        full = processes.parts() >= self._brief.jobs[name].nodes or not self._has_room(order.node, name)
        if before or full or self._lacks_data(order):
            self._later(order)
            return False
        return True

    def _withheld(self, name: str, node: str, why: str) -> None:
        self._journal.append("withheld", datetime.now(UTC), {"job": name, "node": node, "why": why})

    def _has_room(self, node: str, name: str) -> bool:
        """True when the cores of a node suffice for a job beside those that run there, maybe longer than they should."""
        mine, jobs = self._brief.run, self._brief.jobs
        running = {job.removeprefix(mine) for job in self._kept.running_on(node)} - {name}
        used = sum(jobs[job].cores for job in running if job in jobs)
        return used + jobs[name].cores <= self._cores[node]

    def _is_over(self, name: str) -> bool:
        """True for a job that is not one of the nodes' (the twin has it), or that is done."""
        return name not in self.works or self.works[name].stage is WorkStage.DONE

    def know(self, rules: Rules) -> None:
        """Know of overrides before anything is said: nodes are greeted with the caps that people have set."""
        self.rules = rules
        for node in self._full_kw:
            self._peak_kw[node] = self._left_kw(node)

    def _left_kw(self, node: str) -> float:
        """IT power that people leave a node."""
        cap_kw, full_kw = self.rules.cap_kw(node), self._full_kw[node]
        return full_kw if cap_kw is None else min(cap_kw, full_kw)

    def rule(self, rules: Rules, planned: Callable[[str, str], JobWish | None]) -> None:
        """Take overrides into force at once.

        Args:
            rules: all that are in force now.
            planned: what the plan in force wants now of a job on a node; None when it has nothing for it there.
        """
        before, self.rules = self.rules, rules
        for key, order in list(self._book.alive().items()):
            name = key[0].removeprefix(self._brief.run)
            if key in self._kept.given_up or order.desired.state is JobWish.STOPPED:
                continue
            free = rules.ordered(name, key[1]) is None
            if free and before.ordered(name, key[1]) is None:
                continue
            wanted = planned(name, key[1]) or order.desired.state if free else order.desired.state
            wish = rules.wish(name, key[1], wanted)
            if wish is not order.desired.state:
                reason = "released by hand" if free else self._why(name, order)
                again = replace(order, desired=order.desired.model_copy(update={"state": wish}), reason=reason)
                self._insist(again)
        for node, full_kw in self._full_kw.items():
            wanted_kw = self._left_kw(node)
            if wanted_kw != self._peak_kw[node] or (wanted_kw < full_kw and node not in self._voice.needs_cap):
                self._peak_kw[node] = wanted_kw
                self._voice.needs_cap.add(node)  # every heartbeat renews it
                self._voice.cap(node, "power cap set by hand" if wanted_kw < full_kw else "")

    def start_now(self, name: str, nodes: tuple[str, ...], reason: str) -> None:
        """Start a job that has no process at once."""
        job = self._brief.jobs[name]
        now = self._clock.now()
        for node in nodes:
            desired: JobState = running_state(job, node, job.duration.total_seconds(), self._brief)
            self._give(Order(now, node, desired, reason, "", now + job.duration))

    def room(self, name: str) -> tuple[str, ...]:
        """Nodes on which a job could be started now: of one group that can hold it, those with fewest processes; or none."""
        job, views = self._brief.jobs[name], self.views()
        closed = self.closed_nodes()
        busy: dict[str, int] = {}
        for processes in self.processes().values():
            for node in processes.alive():
                busy[node] = busy.get(node, 0) + 1
        for site in self._scenario.sites:
            for group in site.nodes if site.name in job.sites else ():
                names = [f"{site.name}.{group.name}-{i}" for i in range(group.count)]
                free = sorted((n for n in names if n in views and n not in closed), key=lambda n: (busy.get(n, 0), n))
                fits = group.cores >= job.cores and group.gpus >= job.gpus and group.memory_gb >= job.memory_gb
                if fits and len(free) >= job.nodes:
                    return tuple(free[: job.nodes])
        return ()
