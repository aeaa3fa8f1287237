"""Unbalanced power flow at the cabinets: single-phase loads, voltages of each phase, and how unbalanced they are.

A balanced flow spreads each household evenly over three phases; a real one hangs on a single phase, so its cabinet sees lower
and higher voltages than that, and the neutral carries current. power-grid-model solves all slots as one asymmetric batch;
pandapower's ``runpp_3ph`` is the model of record: on the IEEE European feeder the two agree within 1e-3 pu at its peak
(``tests/grid/test_three_phase.py``), within 2e-3 pu at 2.5 times that load. The rest is the transformer's zero-sequence
magnetising branch, which is not handed over.

EN 50160:2010 (4.2.2 and 4.2.4) judges means of 10 minutes over a week: 95 % of them within 10 % of the nominal voltage, all of
them within +10 % and -15 %, and 95 % with a negative sequence of at most 2 % of the positive one. Here the means are those of
the slots, as a rule 15 minutes, which smooth a little more than the standard's 10; loadings are judged on the same means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from grid.ac_flow import ComplexArray, IntArray
from grid.errors import NetworkError, PowerFlowError
from grid.horizon import FloatArray
from grid.network_faults import named, network_faults
from grid.power_grid import convert

PHASES = ("a", "b", "c")
SHARE = 0.95
"""Share of the means that must lie inside the usual band."""
LOW_PU, HIGH_PU, LEAST_PU, MOST_UNBALANCE_PCT = 0.90, 1.10, 0.85, 2.0


@dataclass(frozen=True, slots=True, eq=False)
class PhaseResult:
    """Unbalanced power flow of ``N`` slots.

    Attributes:
        bus_names, line_names, transformer_names: element names.
        voltage_pu: of each phase to neutral, ``[N, buses, 3]``.
        unbalance_pct: negative over positive sequence voltage, ``[N, buses]``.
        line_loading_pct, transformer_loading_pct: of the phase with most current, ``[N, elements]``.
    """

    bus_names: tuple[str, ...]
    line_names: tuple[str, ...]
    transformer_names: tuple[str, ...]
    voltage_pu: FloatArray
    unbalance_pct: FloatArray
    line_loading_pct: FloatArray
    transformer_loading_pct: FloatArray


@dataclass(frozen=True, slots=True)
class PhaseFault:
    """What the worst element of one rule does.

    Attributes:
        rule: ``voltage_band``, ``voltage_limit``, ``unbalance``, ``line_loading`` or ``transformer_loading``.
        element: name, with its phase for voltages.
        value, limit, unit: the worst value, in pu or %; for a band the share of means inside.
        slot: slot of the worst value.
    """

    rule: str
    element: str
    value: float
    limit: float
    unit: str
    slot: int


class ThreePhaseGrid:
    """Batches of unbalanced power flows on one net, with loads at given buses.

    Args:
        net: a pandapower net with zero-sequence data; its own loads do not count.
        load_buses: row of the bus of each load.

    Raises:
        NetworkError: the net is faulty.
        PowerFlowError: there is no zero-sequence data.
    """

    def __init__(self, net: Any, load_buses: IntArray) -> None:
        from power_grid_model import ComponentType, DatasetType, LoadGenType, PowerGridModel, initialize_array

        named(net)
        faults = network_faults(net)
        if faults:
            raise NetworkError(str(net.name or "of three phases"), faults)
        missing = zero_sequence_missing(net)
        if missing:
            raise PowerFlowError(f"a flow of three phases needs zero-sequence data: {', '.join(missing)} not given")
        self._names = (_texts(net.bus), _texts(net.line), _texts(net.trafo))
        self._converted = convert(net, stiff=False)
        self._load_buses = load_buses
        self._ids = self._converted.free + np.arange(len(load_buses))
        loads = initialize_array(DatasetType.input, ComponentType.asym_load, len(load_buses))
        loads["id"], loads["node"], loads["status"], loads["type"] = self._ids, load_buses, 1, LoadGenType.const_power
        loads["p_specified"] = loads["q_specified"] = 0.0
        self._model = PowerGridModel({**self._converted.data, "asym_load": loads}, system_frequency=float(net.f_hz))

    def flow(self, load_mva: ComplexArray) -> PhaseResult:
        """Voltages and loadings of all slots.

        Args:
            load_mva: draw of each load in each phase (draw positive), MVA, ``[N, loads, 3]``.

        Raises:
            PowerFlowError: wrong shape, no solution, or a bus that nothing supplies; names slot and bus where they are known.
        """
        from power_grid_model import ComponentType, DatasetType, initialize_array
        from power_grid_model.errors import PowerGridError

        if load_mva.ndim != 3 or load_mva.shape[1:] != (len(self._ids), 3) or not np.isfinite(load_mva).all():
            raise PowerFlowError(f"loads must be finite and [slots, {len(self._ids)}, 3], found shape {load_mva.shape}")
        update = initialize_array(DatasetType.update, ComponentType.asym_load, load_mva.shape[:2])
        update["id"] = self._ids
        update["p_specified"], update["q_specified"] = 1e6 * load_mva.real, 1e6 * load_mva.imag
        wanted: Any = {"node": ["u_pu", "u_angle"], "line": ["i_from", "i_to"], "transformer": ["i_from", "i_to"]}
        try:
            found: Any = self._model.calculate_power_flow(
                symmetric=False, update_data={ComponentType.asym_load: update}, output_component_types=wanted, max_iterations=50
            )
        except PowerGridError as error:
            slots = [int(slot) for slot in getattr(error, "failed_scenarios", [])]
            raise self._unsolved(load_mva, slots[0] if slots else None) from error
        voltage = found["node"]["u_pu"]
        dead = ~(voltage > 0)
        if dead.any():
            slot, bus, phase = (int(index) for index in np.argwhere(dead)[0])
            name = self._names[0][bus]
            raise PowerFlowError(f"slot {slot}: bus {name} has no voltage in phase {PHASES[phase]}", bus=name, slot=slot)
        return self._result(voltage * np.exp(1j * found["node"]["u_angle"]), found["line"], found["transformer"])

    def _unsolved(self, load_mva: ComplexArray, slot: int | None) -> PowerFlowError:
        """The error for a slot without a solution; the bus of its largest load is where to look."""
        totals = np.abs(load_mva).sum(axis=(1, 2))
        row = load_mva[int(np.argmax(totals)) if slot is None else slot]
        bus = self._names[0][int(self._load_buses[int(np.argmax(np.abs(row).max(axis=1)))])]
        return PowerFlowError(f"slot {slot}: no power flow of three phases; its largest load is at bus {bus}", bus=bus, slot=slot)

    def _result(self, voltage: ComplexArray, line: Any, transformer: Any) -> PhaseResult:
        """Magnitudes, unbalance and loadings from complex voltages and currents."""
        turn = np.exp(2j * np.pi / 3)
        positive = np.abs(voltage @ np.array([1, turn, turn**2]))
        negative = np.abs(voltage @ np.array([1, turn**2, turn]))
        rated = self._converted.transformer_a
        ends = [transformer[side].max(axis=2) / rated[:, at] for at, side in enumerate(("i_from", "i_to"))]
        currents = np.maximum(line["i_from"], line["i_to"]).max(axis=2)
        bus_names, line_names, transformer_names = self._names
        return PhaseResult(
            bus_names,
            line_names,
            transformer_names,
            np.abs(voltage),
            100 * negative / positive,
            100 * currents / self._converted.line_a,
            100 * np.maximum(*ends),
        )


def zero_sequence_missing(net: Any) -> list[str]:
    """Columns of zero-sequence data that a pandapower net lacks, or in which a value is missing."""
    wanted = {"line": ("r0_ohm_per_km", "x0_ohm_per_km", "c0_nf_per_km"), "ext_grid": ("s_sc_max_mva", "rx_max", "x0x_max")}
    return [name for table, names in wanted.items() for name in names if name not in net[table] or net[table][name].isna().any()]


def _texts(table: Any) -> tuple[str, ...]:
    return tuple(str(name) for name in table["name"])


def phase_faults(result: PhaseResult, *, loading_limit_pct: float = 100.0) -> list[PhaseFault]:
    """Every rule that is broken, each with its worst element and slot; empty when all is well.

    Args:
        result: at least one slot; a week of them for the standard's own judgement.
        loading_limit_pct: of lines and transformers, on the means of the slots.
    """
    volts, faults = result.voltage_pu, []
    inside = ((volts >= LOW_PU) & (volts <= HIGH_PU)).mean(axis=0)
    bus, phase = (int(index) for index in np.unravel_index(int(np.argmin(inside)), inside.shape))
    if inside[bus, phase] < SHARE:
        slot = int(np.argmax(np.abs(volts[:, bus, phase] - 1)))
        faults.append(PhaseFault("voltage_band", _at(result, bus, phase), float(inside[bus, phase]), SHARE, "share", slot))
    for over, limit in ((LEAST_PU - volts, LEAST_PU), (volts - HIGH_PU, HIGH_PU)):
        slot, bus, phase = (int(index) for index in np.unravel_index(int(np.argmax(over)), over.shape))
        if over[slot, bus, phase] > 0:
            value = float(volts[slot, bus, phase])
            faults.append(PhaseFault("voltage_limit", _at(result, bus, phase), value, limit, "pu", slot))
    even = (result.unbalance_pct <= MOST_UNBALANCE_PCT).mean(axis=0)
    bus = int(np.argmin(even))
    if even[bus] < SHARE:
        slot = int(np.argmax(result.unbalance_pct[:, bus]))
        faults.append(PhaseFault("unbalance", result.bus_names[bus], float(even[bus]), SHARE, "share", slot))
    for rule, loading, names in (
        ("line_loading", result.line_loading_pct, result.line_names),
        ("transformer_loading", result.transformer_loading_pct, result.transformer_names),
    ):
        if loading.size and loading.max() > loading_limit_pct:
            slot, at = (int(index) for index in np.unravel_index(int(np.argmax(loading)), loading.shape))
            faults.append(PhaseFault(rule, names[at], float(loading[slot, at]), loading_limit_pct, "%", slot))
    return faults


def _at(result: PhaseResult, bus: int, phase: int) -> str:
    return f"{result.bus_names[bus]} phase {PHASES[phase]}"


def phase_loads(net: Any) -> tuple[IntArray, ComplexArray]:
    """The single-phase loads of a pandapower net: row of the bus of each, and its draw in MVA, ``[loads, 3]``."""
    part = net.asymmetric_load
    place = {int(index): row for row, index in enumerate(net.bus.index)}
    factor = (part["scaling"] * part["in_service"]).to_numpy(np.float64)[:, None]
    active, reactive = (part[[f"{kind}_{phase}_{unit}" for phase in PHASES]].to_numpy(np.float64) for kind, unit in _COLUMNS)
    return np.array([place[int(bus)] for bus in part["bus"]], dtype=np.int64), (active + 1j * reactive) * factor


_COLUMNS = (("p", "mw"), ("q", "mvar"))
