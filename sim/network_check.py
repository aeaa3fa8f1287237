"""What a rehearsal asks of the electrical network: AC power flow on realised injections, and advice when it is overloaded.

Where the network describes single phases, ``sim.phase_check`` judges them as well.

Advice is found by trying: the power flow of the worst slot is solved again without any site (is it the households alone?) and
without each site in turn (whose power matters?), and the change that is needed is read off in proportion.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from grid.errors import PowerFlowError
from grid.horizon import FloatArray, Horizon
from grid.network_result import NetworkResult
from scheduler.outcome import Outcome, Violation, ViolationKind
from scheduler.scenario import NetworkSpec, Scenario
from sim.phase_check import PhaseTask, check_phases

if TYPE_CHECKING:
    from grid.network import Network

PER_UNIT_SLACK = 1e-9


class PowerFlow(Protocol):
    """What is used of ``grid.network.Network``."""

    def power_flow(
        self,
        horizon: Horizon,
        profile_start: str | datetime,
        site_import_kw: dict[str, npt.ArrayLike],
        site_bus: dict[str, str],
        *,
        household_scale: float = 1.0,
        slots: tuple[int, ...] | None = None,
        confirm: int = 2,
    ) -> NetworkResult:
        """AC power flow with the sites on their buses."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element and quantity of a network result: bus voltage, line or transformer loading."""

    kind: ViolationKind
    name: str
    index: int
    unit: str
    limit: float

    def value(self, result: NetworkResult, row: int) -> float:
        """Its value in a computed row."""
        table = {
            ViolationKind.VOLTAGE_BAND: result.voltage_pu,
            ViolationKind.LINE_LOADING: result.line_loading_pct,
            ViolationKind.TRANSFORMER_LOADING: result.transformer_loading_pct,
        }[self.kind]
        return float(table[row, self.index])


class NetworkCheck:
    """AC power flow behind one outcome, on the slots of its energies or, when those are longer, on 15-minute means."""

    def __init__(self, scenario: Scenario, spec: NetworkSpec, network: PowerFlow, outcome: Outcome) -> None:
        self._scenario, self._spec, self._network, self._outcome = scenario, spec, network, outcome
        self._bus = {site.name: site.connection.bus for site in scenario.sites if site.connection.bus is not None}
        self._horizon, net_kw = flow_powers(outcome)
        self._net_kw: dict[str, FloatArray] = {name: net_kw[s] for s, name in enumerate(outcome.sites) if name in self._bus}
        # The profile runs along with the horizon: an outcome that begins later begins later in the profile too.
        shift = timedelta(seconds=outcome.horizon.start_s - scenario.horizon.start_s)
        self._profile_start = datetime.fromisoformat(spec.profile_start) + shift

    def solve(self, *, confirm: int) -> NetworkResult:
        """Power flow in every slot; pandapower solves ``confirm`` extreme ones again.

        Raises:
            PowerFlowError: unknown bus, or no convergence (names slot and bus).
        """
        return self._flow(dict(self._net_kw), None, confirm=confirm)

    def violations(self, result: NetworkResult) -> Iterator[Violation]:
        """Voltage band, line and transformer loading: the worst element and slot of each."""
        settings = self._scenario.rehearsal
        low, high, loading = settings.voltage_low_pu, settings.voltage_high_pu, settings.loading_limit_pct
        volts = result.voltage_pu
        yield from self._worst(result, ViolationKind.VOLTAGE_BAND, result.bus_names, low - volts, "pu", low)
        yield from self._worst(result, ViolationKind.VOLTAGE_BAND, result.bus_names, volts - high, "pu", high)
        over = result.line_loading_pct - loading
        yield from self._worst(result, ViolationKind.LINE_LOADING, result.line_names, over, "%", loading)
        over = result.transformer_loading_pct - loading
        yield from self._worst(result, ViolationKind.TRANSFORMER_LOADING, result.transformer_names, over, "%", loading)

    def phase_task(self) -> PhaseTask:
        """The same powers for the check of single phases."""
        return PhaseTask(
            horizon=self._horizon,
            profile_start=self._profile_start,
            net_kw=self._net_kw,
            site_bus=self._bus,
            household_scale=self._spec.household_scale,
            loading_limit_pct=self._scenario.rehearsal.loading_limit_pct,
            seed=self._outcome.seed,
        )

    def _worst(
        self, result: NetworkResult, kind: ViolationKind, names: tuple[str, ...], over: FloatArray, unit: str, limit: float
    ) -> Iterator[Violation]:
        if not over.size:
            return
        row, index = (int(i) for i in np.unravel_index(int(np.argmax(over)), over.shape))
        if over[row, index] <= PER_UNIT_SLACK:
            return
        element = Element(kind, names[index], index, unit, limit)
        slot, when = result.slots[row], self._horizon.time(result.slots[row])
        value = element.value(result, row)
        advice = self._advice(element, slot, value)
        yield Violation(kind, element.name, value, limit, unit, when, self._outcome.seed, advice)

    def _advice(self, element: Element, slot: int, value: float) -> str:
        """Whose power to change, and by how much, so that ``element`` comes back within its limit."""
        without = {name: np.zeros_like(power) for name, power in self._net_kw.items()}
        alone = element.value(self._flow(dict(without), (slot,), confirm=0), 0)
        sign = 1.0 if value > element.limit else -1.0
        when = f"{self._horizon.time(slot):%H:%M} UTC"
        if sign * (alone - element.limit) > 0:
            return (
                f"The households alone take {element.name} to {alone:.4g} {element.unit} at {when}, with no site at all: "
                "no plan can mend that; use a stronger network or a smaller household_scale."
            )
        effect = {name: sign * (value - self._without(element, name, slot)) for name in self._net_kw}
        site = max(effect, key=lambda name: effect[name])
        power = float(self._net_kw[site][slot])
        share = sign * (value - element.limit) / effect[site] if effect[site] > 0 else 1.0
        word = "import" if power >= 0 else "export"
        rest = "" if share <= 1 else " (all of it is not enough: lower other sites too)"
        return f"Lower the {word} limit of {site} by {abs(power) * min(1.0, share):.3g} kW at {when}{rest}."

    def _without(self, element: Element, site: str, slot: int) -> float:
        """Value of ``element`` when ``site`` exchanges nothing with the grid."""
        imports: dict[str, npt.ArrayLike] = {
            name: np.zeros_like(power) if name == site else power for name, power in self._net_kw.items()
        }
        return element.value(self._flow(imports, (slot,), confirm=0), 0)

    def _flow(self, imports: dict[str, npt.ArrayLike], slots: tuple[int, ...] | None, *, confirm: int) -> NetworkResult:
        return self._network.power_flow(
            self._horizon,
            self._profile_start,
            imports,
            self._bus,
            household_scale=self._spec.household_scale,
            slots=slots,
            confirm=confirm,
        )


def flow_powers(outcome: Outcome) -> tuple[Horizon, FloatArray]:
    """Slots on which the network is judged and the mean net import of every site on them, ``[S, slots]`` kW.

    These are the slots of the outcome's energies, or its 15-minute settlement slots when those are shorter, so that a long
    slot does not average peaks away.
    """
    step_h, settlement, net_kw = outcome.horizon.step_h, outcome.settlement, outcome.net_import_kw
    if settlement is None or net_kw is None or settlement.step_h >= step_h:
        return outcome.horizon, (outcome.energy.import_kwh - outcome.energy.export_kwh) / step_h
    return settlement, net_kw


def with_power_flow(scenario: Scenario, outcome: Outcome, network: PowerFlow | None, *, confirm: int = 2) -> Outcome:
    """``outcome`` with the AC power flow on its realised injections and the violations found there.

    A power flow without a solution is a violation too: it says that the grid cannot carry these injections.
    Unchanged when the scenario has no network or none of its sites is on a bus.

    Args:
        scenario: names the network and the buses.
        outcome: what was realised.
        network: the network when it is loaded already, else it is loaded (cached on disk).
        confirm: number of extreme slots that pandapower, the model of record, solves again.

    Raises:
        PowerFlowError: the network does not exist or cannot be used.
    """
    if scenario.network is None or all(site.connection.bus is None for site in scenario.sites):
        return outcome
    used = network or load(scenario.network)
    check = NetworkCheck(scenario, scenario.network, used, outcome)
    try:
        result = check.solve(confirm=confirm)
        found = tuple(check.violations(result))
        phases = _phases(used, check)
    except PowerFlowError as error:
        return replace(outcome, violations=(*outcome.violations, _no_solution(scenario.network, outcome, error)))
    worst, more = phases or (None, ())
    return replace(outcome, network=result, phases=worst, violations=(*outcome.violations, *found, *more))


def _phases(network: PowerFlow, check: NetworkCheck) -> tuple[dict[str, float], tuple[Violation, ...]] | None:
    """The check of single phases where the network is one that may describe them."""
    from grid.network import Network

    return check_phases(network, check.phase_task()) if isinstance(network, Network) else None


def _no_solution(spec: NetworkSpec, outcome: Outcome, error: PowerFlowError) -> Violation:
    """The violation that says why the power flow could not be solved, with slot and bus as far as they are known."""
    when = None if error.slot is None else flow_powers(outcome)[0].time(error.slot)
    advice = f"{error}. Import or export less there and then, use a stronger network or another household_scale."
    return Violation(ViolationKind.POWER_FLOW, error.bus or spec.name, 1.0, 0.0, "unsolved slots", when, outcome.seed, advice)


def load(spec: NetworkSpec) -> Network:
    """The network that ``spec`` names.

    Raises:
        PowerFlowError: it does not exist or cannot be used.
    """
    from grid.network import load_json_network, load_network

    return load_network(spec.simbench or "") if spec.json is None else load_json_network(spec.json)
