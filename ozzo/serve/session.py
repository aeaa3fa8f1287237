"""One life of a serving controller in one mode: observe, plan, rehearse, command, record, again and again.

Each round lets the nodes' orders and answers pass for a quarter of a second of wall time, then looks at everything that may have
changed: nodes, overrides, events, the document, the end of a slot, a plan that is ready. Plans are made beside it, in a thread.
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from grid.errors import InputError, TransportError
from grid.response.event import CapacityEvent
from ozzo.serve.clock import WallClock
from ozzo.serve.earlier import of_document, plan_of, with_event
from ozzo.serve.evidence import Mode
from ozzo.serve.hands import Hands
from ozzo.serve.observe import Seen, empty, observation_from_dict, observed
from ozzo.serve.parts import Parts
from ozzo.serve.planner import Planned
from ozzo.serve.settling import Settling
from ozzo.serve.sudden import SuddenLimits
from ozzo.serve.telling import clock_to_dict, inventory, status_of
from scheduler.plan import Plan
from scheduler.plan_json import plan_to_dict
from scheduler.scenario import Scenario
from scheduler.world import Observation

ROUND_S = 0.25
"""Wall seconds of a round."""
TELL_S = 1.0
"""Wall seconds between two writings of the status."""
CALM_S = 2.0
"""Wall seconds from one plan to the next that news may ask for."""
PRUNE_S = 3600.0
"""Wall seconds between two clean-ups of the journal."""


class Session:
    """Rounds until the mode changes, the horizon is over (``--once``), or somebody says stop.

    Attributes:
        scenario: served now.
        notes: what went wrong lately, for the status.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts, self.scenario = parts, parts.scenario
        self._state, self._clock, self._fleet, self._twin = parts.state, parts.clock, parts.fleet, parts.twin
        self._causes = list(parts.causes)
        self._plan: Plan | None = None
        self._hands = Hands(parts.state, parts.fleet, parts.say, self._note)
        self._sudden = SuddenLimits(self.scenario, parts.state, parts.fleet, parts.twin, self._hold, parts.say)
        self._left_alone: frozenset[str] = frozenset()
        self._version = -1
        self._next_plan = self._clock.now()
        self._settling = Settling(parts.state, parts.twin, parts.mode, self._clock.now())
        self._told_s = self._pruned_s = 0.0
        self._planned_s = -CALM_S
        self._planning = ""
        self._coming: Scenario | None = None
        self.notes: list[str] = []

    # ---- the rounds ------------------------------------------------------------------------------------------------

    def run(self) -> str:
        """Serve; why it came back: ``stop``, ``mode``, ``over`` or ``nodes`` (another document has other nodes).

        Raises:
            TransportError: another controller has taken over, or the broker is lost for good.
        """
        self._resume()
        try:
            return self._rounds()
        finally:
            self._tell(now=True)

    def _rounds(self) -> str:
        while True:
            self._pass_time()
            why = self._parts.lost() or (self._fleet.retired if self._fleet is not None else "")
            if why:
                raise TransportError(why)
            if self._parts.stop.is_set():
                return "stop"
            self._look_at_nodes()
            if self._state.version() != self._version:
                self._version = self._state.version()
                if self._state.fact("mode") != str(self._parts.mode):
                    return "mode"
                self._causes += self._hands.obey(self.scenario, self._plan, self._clock.now())
            self._take_events()
            self._twin.advance(self._clock.now())
            for cause in self._settling.settle(self.scenario, self._clock.now(), self._plan, self._fleet):
                self._limited(*cause)
            self._causes += self._sudden.look(self._clock.now())
            planned = self._parts.planner.fetch()
            if planned is not None:
                self._take(planned)
            if self._take_document():
                return "nodes"
            if self._over():
                return "over"
            self._plan_when_due()
            self._tell()

    def _pass_time(self) -> None:
        end_s = time.monotonic() + ROUND_S
        if self._fleet is None:
            self._parts.stop.wait(ROUND_S)
            return
        self._fleet.advance(self._clock.now() + timedelta(days=1), lambda: time.monotonic() >= end_s)

    def _look_at_nodes(self) -> None:
        if self._fleet is not None:
            self._fleet.look()
            self._causes += self._fleet.wishes
            self._fleet.wishes.clear()

    # ---- beginning -------------------------------------------------------------------------------------------------

    def _resume(self) -> None:
        """Go on with the plan of an earlier life, if there is one for this horizon; a new plan follows at once."""
        kept = self._state.fact("plan")
        self._hands.begin(self.scenario)
        self._causes.append("the controller has begun" if kept is None else "the controller has begun again")
        plan = None if kept is None else plan_of(kept, self.scenario, str(self._state.path), self._note)
        now, horizon = self._clock.now(), self.scenario.horizon
        if plan is None or not plan.horizon.start <= now < horizon.end:
            return
        self._plan = plan
        seen = self._seen_by_twin(max(0, horizon.ceil_slot(now)))
        if seen is not None:
            self._parts.planner.resume(self.scenario, plan, seen)
        if self._fleet is not None:
            self._fleet.resume(self._commanded(plan), max(0, plan.horizon.floor_slot(now)))

    def _seen_by_twin(self, slot: int) -> Observation | None:
        """Energy, data and simulated jobs at a slot: by the twin, or as the last life left them."""
        if slot >= self.scenario.horizon.slots:
            return None
        seen = self._twin.observe(self.scenario, slot)
        kept = self._state.fact("energy")
        if seen is None and kept is not None:
            return observation_from_dict(kept, self.scenario, slot)
        return seen or empty(self.scenario, slot)

    # ---- planning --------------------------------------------------------------------------------------------------

    def _plan_when_due(self) -> None:
        now, planner = self._clock.now(), self._parts.planner
        due = now >= self._next_plan
        if planner.busy or not (due or self._causes) or time.monotonic() < self._planned_s + CALM_S:
            return
        fresh = self._plan is None and now < self.scenario.horizon.start + timedelta(seconds=1)  # its clock waits for us
        slot = 0 if fresh else planner.controller.first_slot(now)
        cause = "; ".join(dict.fromkeys(self._causes)) if self._causes else "time has passed"
        self._causes.clear()
        self._next_plan = now + self._parts.options.replan
        found = None if slot >= self.scenario.horizon.slots else self._observed(slot, now)
        if found is None:
            return
        seen, aside = found
        self._clock.pause()
        self._planning = cause
        self._parts.say(f"{now:%Y-%m-%d %H:%M} UTC: planning ({cause[:300]})")
        planner.begin(self._hands.scenario(self.scenario, seen), cause[:500], seen, aside, now)

    def _observed(self, slot: int, now: datetime) -> tuple[Observation, frozenset[str]] | None:
        twin = self._seen_by_twin(slot)
        if twin is None:
            return None
        names = {job.name for job in self.scenario.jobs}
        if self._fleet is None:
            rules = self._hands.rules
            return observed(self.scenario, twin, Seen({}, (), rules.jobs_held(), rules.closed_nodes(), names), now)
        simulated = names - self._fleet.works.keys() if self._parts.mode is Mode.PILOT else set()
        twin = self._fleet.with_data(twin)
        seen = Seen(self._fleet.works, self._fleet.pending, self._fleet.aside(), self._fleet.closed_nodes(), simulated)
        return observed(self.scenario, twin, seen, now)

    def _take(self, planned: Planned) -> None:
        """Record what came of planning, and command it when it passed."""
        while self._clock.paused:  # for this plan, and a fresh clock for the first
            self._clock.resume()
        self._planning, self._planned_s = "", time.monotonic()
        decision = planned.decision
        if decision is None:
            self._note(f"No plan could be made ({planned.cause}): {planned.error}")
            return
        kind = "passed" if decision.verdict.passed else "failed"
        counts = self._state.fact("rehearsals") or {"passed": 0, "failed": 0}
        counts[kind] += 1
        self._state.keep_facts(rehearsals=counts)
        if not decision.commanded:
            reasons = "; ".join(str(violation) for violation in decision.verdict.violations[:5])
            self._note(f"The plan for '{planned.cause}' did not pass its rehearsal; the plan before it stays: {reasons}")
            return
        self._plan = decision.plan
        self._state.keep_facts(
            plan={
                "plan": plan_to_dict(decision.plan),
                "scenario_start": self.scenario.horizon.start.isoformat(),
                "cause": planned.cause,
                "at": datetime.now(UTC).isoformat(),
                "scenario_time": self._clock.now().isoformat(),
                "verdict": "passed",
                "worst": decision.verdict.worst,
            }
        )
        self._twin.follow(planned.scenario, decision.plan, planned.seen, self._clock.now(), planned.aside)
        self._left_alone = planned.seen.finished
        self._pursue(decision.plan)
        self._sudden.follow(decision)
        gap = "unknown" if decision.plan.gap is None else f"{100 * decision.plan.gap:.2f} %"
        runs, dropped = len(decision.plan.runs), len(decision.plan.dropped)
        self._parts.say(f"plan {decision.plan.id} is in force: {runs} runs, {dropped} jobs left out, gap {gap}")

    def _pursue(self, plan: Plan, *, restate: bool = True) -> None:
        """Let the nodes carry a plan out; what the planner did not plan is left as it is."""
        if self._fleet is not None:
            self._fleet.pursue(self._commanded(plan), 0, self._left_alone | self._fleet.aside(), restate=restate)

    def _hold(self, plan: Plan) -> None:
        """Put a held plan into force now; a plan that is to take over later does so all the same."""
        self._pursue(plan, restate=False)
        if self._fleet is not None:
            self._fleet.send_due()
        self._twin.hold(plan)
        if self._plan is not None and self._plan.horizon.start > self._clock.now():
            self._pursue(self._plan, restate=False)
            return
        self._plan = plan
        self._state.keep_facts(plan=(self._state.fact("plan") or {}) | {"plan": plan_to_dict(plan)})

    def _commanded(self, plan: Plan) -> Plan:
        """The part of a plan that is for real nodes: jobs of the document, and in a pilot those that run on its nodes only."""
        plan = of_document(plan, self.scenario)
        if self._parts.mode is not Mode.PILOT or self._fleet is None:
            return plan
        nodes, begun = set(self._parts.options.nodes), self._fleet.works.keys()
        elsewhere = {run.job for run in plan.runs if not run.nodes or not nodes.issuperset(run.nodes)}
        world = self._twin.world
        simulated = {name for name, job in world.jobs.items() if job.started_s is not None} if world is not None else set()
        kept = {run.job for run in plan.runs} - elsewhere - (simulated - begun)
        return replace(plan, runs=tuple(run for run in plan.runs if run.job in kept))

    # ---- events and limits -----------------------------------------------------------------------------------------

    def _take_events(self) -> None:
        """Events that were posted: the fast path answers at once, then the loop plans again."""
        while self._parts.inbox.waiting():
            now = self._clock.now()
            body = self._parts.inbox.queue.get().body
            try:
                events = self._parts.understood(self.scenario, body, now)
            except InputError as error:
                self._note(f"A posted event came too late: {error}")
                continue
            self._state.keep_facts(events=with_event(self._state.fact("events") or (), events, body, now))
            self._know(events)
            for event in events:
                self._state.append("event", now, {"name": event.name, "site": event.site, "limit_kw": event.limit_kw})
                planning = self.scenario.planning
                if event.start <= now + planning.lead_slots * self.scenario.horizon.step:  # before a plan could change anything
                    self._limited(event.site, event.limit_kw, f"event {event.name}")
                else:
                    self._causes.append(f"event {event.name} at {event.site}")

    def _know(self, events: tuple[CapacityEvent, ...]) -> None:
        self.scenario = replace(self.scenario, events=self.scenario.events + events)
        self._twin.announce(self.scenario.events)

    def _limited(self, site: str, limit_kw: float, cause: str) -> None:
        """A sudden limit: somebody may answer it at once; the next plan knows it in any case."""
        if self._parts.on_limit is None:
            self._sudden.on_limit(site, limit_kw, cause, self._clock.now())
        elif self._parts.on_limit(site, limit_kw, cause):
            self._state.append("fast_path", datetime.now(UTC), {"site": site, "limit_kw": limit_kw, "cause": cause})
        self._causes.append(f"{cause} at {site}")

    # ---- documents and ends ----------------------------------------------------------------------------------------

    def _take_document(self) -> bool:
        """Serve a new document once its horizon has begun, or ours is over; True when the session must begin anew for it."""
        found = self._parts.document.look()
        now = self._clock.now()
        if found is not None and found.horizon.end <= now:
            self._note(f"The horizon of the new document was over at {found.horizon.end:%Y-%m-%d %H:%M} UTC; it is not served.")
        elif found is not None:
            self._coming = found
            if found.horizon.start > now:
                self._parts.say(f"a new document is there; its horizon begins at {found.horizon.start:%Y-%m-%d %H:%M} UTC")
        coming = self._coming
        over = now >= self.scenario.horizon.end and not isinstance(self._clock, WallClock)
        if coming is None or self._parts.planner.busy or not (coming.horizon.start <= now or over):
            return False
        self._coming = None
        return self._adopt(coming)

    def _adopt(self, scenario: Scenario) -> bool:
        """Serve another document from now on; True when it has other sites or another horizon."""
        self._state.append("document", datetime.now(UTC), {"digest": self._parts.document.digest})
        self._parts.say("the document has changed")
        old, self.scenario = self.scenario, scenario
        if old.horizon != scenario.horizon or old.sites != scenario.sites:
            return True
        self.scenario = replace(scenario, events=tuple(dict.fromkeys((*scenario.events, *old.events))))
        self._state.keep_facts(inventory=inventory(self.scenario))
        if self._fleet is not None:
            self._fleet.use(self.scenario)
        self._causes.append("the document has changed")
        return False

    def _over(self) -> bool:
        """True when the horizon is over and something follows from that: an end, or the same again."""
        if self._clock.now() < self.scenario.horizon.end or self._parts.planner.busy:
            return False
        if not (self._parts.options.once or self._parts.options.repeat):
            return False
        late = self._clock.now() > self.scenario.horizon.end + self.scenario.horizon.step * 4
        return late or self._fleet is None or not self._fleet.at_work

    # ---- telling ---------------------------------------------------------------------------------------------------

    def _note(self, text: str) -> None:
        self.notes = [*self.notes[-9:], text]
        self._parts.say(text)
        self._state.append("note", datetime.now(UTC), {"text": text[:1000]})

    def _tell(self, *, now: bool = False) -> None:
        """Write the status now and then, or at once, and clean up."""
        if time.monotonic() < self._told_s + TELL_S and not now:
            return
        self._told_s = time.monotonic()
        told = status_of(self._clock, self._fleet, self._twin) | {
            "planning": self._planning,
            "notes": self.notes,
            "document_refused": self._parts.document.refused,
        }
        self._state.keep_facts(status=told, clock=clock_to_dict(self._clock, self.scenario))
        if time.monotonic() > self._pruned_s + PRUNE_S:
            self._pruned_s = time.monotonic()
            self._state.forget_old(datetime.now(UTC))
