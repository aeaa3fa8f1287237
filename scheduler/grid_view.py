"""The electrical network as a planner sees it: AC of planned powers, linear limits around it, and what is left.

Slots longer than a metering period are looked at in metering periods, as the rehearsal does: the network's own users vary inside
them, and a cut of a slot is that of each of its periods.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from grid.horizon import FloatArray, Horizon
from scheduler.network_limits import ElementKind, Headroom, NetworkCut
from scheduler.policies.feeders import flow_kw
from scheduler.problem import Problem
from scheduler.scenario import NetworkSpec, Scenario

if TYPE_CHECKING:
    from grid.network import Network
    from grid.sensitivity import Linearisation

BACKOFF = {
    ElementKind.TRANSFORMER: 0.1,
    ElementKind.LINE: 0.1,
    ElementKind.VOLTAGE_LOW: 1e-4,
    ElementKind.VOLTAGE_HIGH: 1e-4,
}
"""How far inside its limit a cut aims (percentage points, pu): room for the curvature that a line cannot have."""

ROWS_A_SLOT = 3
"""Cuts of one kind in one slot at most: the tightest ones; what they leave out is found by the AC of the next plan."""

LINES_SHOWN = 5
"""Lines in the headroom of a report: the fullest ones."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """One kind of limit over all its elements, as ``value <= limit``.

    Attributes:
        kind: which; names: of the elements.
        value: of the state, ``[N, E]``; per_kw: its change per kW of each site, ``[N, E, K]``.
        limit: hard limit; planned: limit that a plan keeps, with the margin taken off.
    """

    kind: ElementKind
    names: tuple[str, ...]
    value: FloatArray
    per_kw: FloatArray
    limit: float
    planned: float


class GridView:
    """The network behind one problem.

    Args:
        scenario: names the buses and the limits.
        network: the network; spec: how the scenario uses it.
        problem: whose net imports are looked at; its horizon may begin later than the scenario's.
    """

    def __init__(self, scenario: Scenario, network: Network, spec: NetworkSpec, problem: Problem) -> None:
        self._scenario, self._network, self._spec, self._problem = scenario, network, spec, problem
        self._bus = {site.name: site.connection.bus for site in scenario.sites if site.connection.bus is not None}
        self.sites = [problem.sites.index(name) for name in self._bus]
        step, period = problem.horizon.step, scenario.settlement
        self.pieces = int(step / period) if step > period and step % period == timedelta(0) else 1
        self.horizon = Horizon(problem.horizon.start, step / self.pieces, problem.horizon.slots * self.pieces)
        shift = timedelta(seconds=problem.horizon.start_s - scenario.horizon.start_s)
        self._profile_start = datetime.fromisoformat(spec.profile_start) + shift
        self.forecast_kw = np.clip(problem.fixed_kw - problem.renewable_kw, -problem.export_limit_kw, problem.import_limit_kw)

    def linearise(self, net_import_kw: FloatArray) -> Linearisation:
        """AC and its derivative for net imports ``[S, T]`` of the problem's sites.

        Raises:
            PowerFlowError: the power flow has no solution in a slot, or the network does not fit the scenario.
        """
        from grid.sensitivity import linearise

        powers = {name: np.repeat(net_import_kw[s], self.pieces) for s, name in zip(self.sites, self._bus, strict=True)}
        return linearise(
            self._network,
            self.horizon,
            self._profile_start,
            powers,
            self._bus,
            household_scale=self._spec.household_scale,
        )

    def _quantities(self, linear: Linearisation) -> tuple[Quantity, ...]:
        """Everything that is limited, around ``linear``."""
        state, rules = linear.state, self._scenario.rehearsal
        kept = 1.0 - self._scenario.planning.limit_margin
        full, low, high = rules.loading_limit_pct, rules.voltage_low_pu, rules.voltage_high_pu
        low_kept, high_kept = low + (1 - kept) * max(0.0, 1 - low), high - (1 - kept) * max(0.0, high - 1)
        loads = (state.transformer_loading_pct, state.line_loading_pct)
        buses, volts, per_kw = state.bus_names, state.voltage_pu, linear.voltage_per_kw
        kinds = ElementKind
        return (
            Quantity(kinds.TRANSFORMER, state.transformer_names, loads[0], linear.transformer_per_kw, full, full * kept),
            Quantity(kinds.LINE, state.line_names, loads[1], linear.line_per_kw, full, full * kept),
            Quantity(kinds.VOLTAGE_LOW, buses, -volts, -per_kw, -low, -low_kept),
            Quantity(kinds.VOLTAGE_HIGH, buses, volts, per_kw, high, high_kept),
        )

    def possible_cuts(self, linear: Linearisation) -> tuple[NetworkCut, ...]:
        """Cuts that the connections of the sites allow to bind, around ``linear``: at most ``ROWS_A_SLOT`` of a kind and slot."""
        reach = [np.repeat(limit[self.sites], self.pieces, axis=1).T[:, None, :] for limit in self._reach()]
        found: list[NetworkCut] = []
        for part in self._quantities(linear):
            most = (np.maximum(part.per_kw, 0) * reach[0] + np.maximum(-part.per_kw, 0) * reach[1]).sum(axis=2)
            found += self._cuts(part, linear, most)
        return tuple(found)

    def broken_cuts(self, linear: Linearisation) -> tuple[NetworkCut, ...]:
        """Cuts around a plan that this plan itself breaks: what it overloads and another plan could mend."""
        found: list[NetworkCut] = []
        for part in self._quantities(linear):
            planned = (part.per_kw * linear.import_kw[:, None, :]).sum(axis=2)
            found += self._cuts(part, linear, planned - BACKOFF[part.kind])
        return tuple(found)

    def _reach(self) -> tuple[FloatArray, FloatArray]:
        """Largest net import and net export of each site, ``[S, T]`` kW."""
        return self._problem.import_limit_kw, self._problem.export_limit_kw

    def _cuts(self, part: Quantity, linear: Linearisation, activity: FloatArray) -> list[NetworkCut]:
        """Cuts of the elements whose ``activity`` (left-hand side, ``[N, E]``) passes their limit."""
        if not part.names or not self.sites:
            return []
        at_rest = part.value - (part.per_kw * linear.import_kw[:, None, :]).sum(axis=2)
        forecast = np.repeat(self.forecast_kw[self.sites], self.pieces, axis=1).T[:, None, :]
        always = (part.per_kw * forecast).sum(axis=2)
        backoff = BACKOFF[part.kind]
        # The margin is not taken off what is always there, and nobody is asked to mend what others do (``NetworkCut.limit``).
        least = np.minimum(part.limit - backoff - at_rest, always)
        right = np.maximum(np.maximum(part.planned - backoff - at_rest, least), 0.0)
        over = np.where(np.abs(part.per_kw).max(axis=2) > 0, activity - right, -np.inf)
        cuts = []
        for row in np.flatnonzero((over > 1e-9).any(axis=1)):
            for element in np.argsort(-over[row])[:ROWS_A_SLOT]:
                if over[row, element] > 1e-9:
                    weights = tuple(float(weight) for weight in part.per_kw[row, element])
                    limit, slot = float(right[row, element]), int(row) // self.pieces
                    cuts.append(NetworkCut(part.kind, part.names[element], slot, tuple(self.sites), weights, limit))
        return cuts

    def left(self, linear: Linearisation) -> tuple[str, ...]:
        """What a plan breaks, in words: the worst slot of every kind of limit."""
        words = []
        for part in self._quantities(linear):
            over = part.value - part.limit
            if over.size and over.max() > 1e-9:
                row, element = (int(i) for i in np.unravel_index(int(np.argmax(over)), over.shape))
                value, when = abs(float(part.value[row, element])), self.horizon.time(row)
                loading = part.kind in {ElementKind.TRANSFORMER, ElementKind.LINE}
                unit = "%" if loading else "pu"
                name = {ElementKind.VOLTAGE_LOW: "bus", ElementKind.VOLTAGE_HIGH: "bus"}.get(part.kind, part.kind)
                slots = int((over > 1e-9).any(axis=1).sum())
                words.append(
                    f"{name} {part.names[element]}: {value:.4g} {unit} in slot {row // self.pieces} ({when:%Y-%m-%dT%H:%MZ}), "
                    f"limit {abs(part.limit):g} {unit}; beyond a limit of this kind in {slots} slots"
                )
        return tuple(words)

    def headroom(self, linear: Linearisation, net_import_kw: FloatArray) -> tuple[Headroom, ...]:
        """What a plan leaves of transformers, of the fullest lines, and of feeders."""
        state, network = linear.state, self._network
        found = []
        for kind, names, loading, pct in (
            (ElementKind.TRANSFORMER, state.transformer_names, state.transformer_loading_pct, network.transformer_pct),
            (ElementKind.LINE, state.line_names, state.line_loading_pct, network.line_pct),
        ):
            peaks = loading.max(axis=0, initial=0.0)
            shown = np.argsort(-peaks, kind="stable")[: None if kind is ElementKind.TRANSFORMER else LINES_SHOWN]
            for e in shown:
                rating = 1e5 * network.admittance.base_mva / float(pct[e, 0])
                found.append(Headroom(kind, names[e], rating, rating * float(peaks[e]) / 100.0))
        for feeder in self._problem.feeders:
            peak = float(np.abs(flow_kw(feeder, net_import_kw)[0]).max())
            rating = next(line.limit_kw for line in self._scenario.feeders if line.name == feeder.name)
            found.append(Headroom(ElementKind.FEEDER, feeder.name, rating, peak))
        return tuple(found)
