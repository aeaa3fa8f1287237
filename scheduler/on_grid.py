"""Plans that hold in AC: a policy around a policy, which cuts plans back until the network carries them.

The first plan knows the limits that may bind, linearised around the forecast state (what sites draw without any job). Then, at
most ``ROUNDS`` times: the AC power flow of every slot is solved with the planned net imports; elements that are too full, or
buses out of their band, get further linear limits, linearised at that plan; and the plan is made again, beginning from the one
before. Loadings are convex in the power of the sites in all but the loss terms, so such limits exclude next to nothing that is
possible, and they are kept from round to round (Kelley's cutting planes: J. SIAM 8 (1960) 703).

What remains after the last round is told in the plan's ``network.left``, and the rehearsal refuses it by its own AC power flow.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from grid.errors import PowerFlowError
from grid.horizon import FloatArray
from scheduler.grid_view import GridView
from scheduler.network_limits import NetworkCut, NetworkReport
from scheduler.plan import Plan, SolveStatus
from scheduler.policies import Policy, Progress, Replanning, silent
from scheduler.problem import Problem
from scheduler.scenario import Scenario

if TYPE_CHECKING:
    from grid.network import Network
    from grid.sensitivity import Linearisation

ROUNDS = 3
"""How often a plan is made again at most."""


class OnGrid:
    """The policy ``inner``, held to what the network of a scenario carries.

    Args:
        inner: makes the plans.
        scenario: names network, buses and limits.
        network: the network, loaded.

    Attributes:
        cuts: linear limits of the last plan.
    """

    def __init__(self, inner: Policy, scenario: Scenario, network: Network) -> None:
        self._inner, self._scenario, self._network = inner, scenario, network
        self.cuts: tuple[NetworkCut, ...] = ()

    @property
    def name(self) -> str:
        """That of the policy inside."""
        return self._inner.name

    def plan(self, problem: Problem, progress: Progress = silent) -> Plan:
        """The plan of the inner policy for ``problem`` with the limits of the network.

        Raises:
            SolverError: the solver failed in a way that leaves no plan at all.
        """
        return self._cut_back(problem, None, progress)

    def replan(self, problem: Problem, before: Plan, progress: Progress = silent) -> Plan:
        """As ``plan``, from what the plan in force still holds.

        Raises:
            SolverError: the solver failed in a way that leaves no plan at all.
        """
        return self._cut_back(problem, before, progress)

    def _cut_back(self, problem: Problem, before: Plan | None, progress: Progress) -> Plan:
        spec = self._scenario.network
        if spec is None or all(site.connection.bus is None for site in self._scenario.sites):
            return self._made(problem, before, progress)
        view = GridView(self._scenario, self._network, spec, problem)
        self.cuts, rounds, linear, plan = (), 0, None, None
        try:
            linear = view.linearise(view.forecast_kw)
            self.cuts = view.possible_cuts(linear)
            progress(f"network: {len(self.cuts)} limits may bind")
            plan = self._made(replace(problem, cuts=self.cuts), before, progress)
            while plan.status is not SolveStatus.INTERRUPTED:
                state = view.linearise(net_import_kw(plan))
                broken = view.broken_cuts(state)
                if not broken or rounds == ROUNDS:
                    return replace(plan, network=self._report(view, plan, linear, state, rounds))
                self.cuts, rounds, linear = self.cuts + broken, rounds + 1, state
                progress(f"network: {len(broken)} limits exceeded in AC; planning again, round {rounds}")
                plan = self._made(replace(problem, cuts=self.cuts), plan, progress)
        except PowerFlowError as error:
            progress(f"network: {error}")
            plan = plan or self._made(problem, before, progress)
            return replace(plan, network=NetworkReport(rounds, len(self.cuts), None, None, None, None, (), (str(error),)))
        return plan

    def _made(self, problem: Problem, before: Plan | None, progress: Progress) -> Plan:
        """The inner policy's plan, warm where it can be."""
        if before is not None and isinstance(self._inner, Replanning):
            return self._inner.replan(problem, before, progress)
        return self._inner.plan(problem, progress)

    def _report(self, view: GridView, plan: Plan, linear: Linearisation, state: Linearisation, rounds: int) -> NetworkReport:
        """What AC says of the plan, and how far the linear model that it was made with was from it."""
        voltage, line, transformer = linear.predict(state.import_kw)
        volts = np.abs(voltage - state.state.voltage_pu).ravel()
        loads = np.concatenate(
            [
                np.abs(line - state.state.line_loading_pct).ravel(),
                np.abs(transformer - state.state.transformer_loading_pct).ravel(),
            ]
        )
        return NetworkReport(
            rounds=rounds,
            cuts=len(self.cuts),
            voltage_error_max_pu=float(volts.max(initial=0.0)),
            voltage_error_p99_pu=float(np.percentile(volts, 99)) if len(volts) else 0.0,
            loading_error_max_pct=float(loads.max(initial=0.0)),
            loading_error_p99_pct=float(np.percentile(loads, 99)) if len(loads) else 0.0,
            headroom=view.headroom(state, net_import_kw(plan)),
            left=view.left(state),
        )


def net_import_kw(plan: Plan) -> FloatArray:
    """Planned import minus export, ``[S, T]`` kW."""
    net: FloatArray = plan.energy.import_kw - plan.energy.export_kw
    return net


def on_grid(inner: Policy, scenario: Scenario, network: Network | None) -> Policy:
    """``inner`` held to the network, or as it is where there is none."""
    return inner if network is None or scenario.network is None else OnGrid(inner, scenario, network)
