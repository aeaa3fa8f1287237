"""power-grid-model (LF Energy) on a pandapower net: the converter and batches of balanced power flows.

The converter is our own and small: lines, two-winding transformers, closed switches, external grids and loads. It reads the
elements and not pandapower's internal matrices, so it is a second reading of the data: an error in either reading shows when
the two engines are compared (``grid.engine_check``). Three-phase batches are in ``grid.three_phase``.

Two traps. pandapower models a transformer as a T (magnetising branch in the middle), power-grid-model as a Pi; the T's exact
Pi equivalent is handed over (star-delta), else voltages differ by up to 1e-5 pu. And pandapower's loading of a transformer is
current over rated current, power-grid-model's is power over rated power; here it is always current.

Source of the models: documentation of power-grid-model 1.12 (components) and of pandapower 3 (elements).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from grid.ac_flow import ComplexArray, IntArray
from grid.errors import NetworkError, NetworkFault, PowerFlowError
from grid.horizon import FloatArray

STIFF_VA = 1e14
"""Short-circuit power of a source that holds its voltage, as pandapower's external grid does in a balanced flow."""

STEP_DEGREES = 30.0
"""One hour of a transformer's clock number."""


@dataclass(frozen=True, slots=True, eq=False)
class Converted:
    """A net as power-grid-model takes it.

    Attributes:
        data: input arrays by component, without loads. Ids of nodes are the rows of ``net.bus``.
        lines, transformers: ids of the lines and transformers, in the net's order.
        free: first id that is not taken.
        line_a: rated current of each line; transformer_a: of each transformer at its high and low side, ``[transformers, 2]``.
    """

    data: dict[str, Any]
    lines: IntArray
    transformers: IntArray
    free: int
    line_a: FloatArray
    transformer_a: FloatArray


def _array(component: str, **columns: Any) -> Any:
    """An input array of a component, its columns filled."""
    from power_grid_model import ComponentType, DatasetType, initialize_array

    size = len(next(iter(columns.values())))
    array = initialize_array(DatasetType.input, ComponentType(component), size)
    for name, values in columns.items():
        array[name] = values
    return array


def convert(net: Any, *, stiff: bool = True) -> Converted:
    """The net for power-grid-model.

    Args:
        net: a pandapower net without faults (``grid.network_faults``).
        stiff: external grids hold their voltage; False takes their short-circuit power, as pandapower's three-phase flow does.

    Raises:
        NetworkError: a transformer is not of a kind that can be handed over.
    """
    place = {int(index): row for row, index in enumerate(net.bus.index)}
    buses = len(place)
    lines = buses + np.arange(len(net.line))
    transformers = buses + len(lines) + np.arange(len(net.trafo))
    free = buses + len(lines) + len(transformers)
    links = net.switch[(net.switch["et"] == "b") & net.switch["closed"].astype(bool)]
    sources = net.ext_grid[net.ext_grid["in_service"].astype(bool)]
    data = {
        "node": _array("node", id=np.arange(buses), u_rated=1e3 * net.bus["vn_kv"].to_numpy(np.float64)),
        "line": _lines(net, lines, place),
        "transformer": _transformers(net, transformers, place),
        "source": _sources(sources, free, place, stiff=stiff),
    }
    free += len(sources)
    if len(links):
        ends = [[place[int(bus)] for bus in links[column]] for column in ("bus", "element")]
        data["link"] = _array(
            "link", id=free + np.arange(len(links)), from_node=ends[0], to_node=ends[1], from_status=1, to_status=1
        )
        free += len(links)
    trafo = net.trafo
    rated_va = (1e6 * trafo["sn_mva"] * trafo["parallel"] * trafo["df"]).to_numpy(np.float64)[:, None]
    sides_v = 1e3 * trafo[["vn_hv_kv", "vn_lv_kv"]].to_numpy(np.float64)
    line_a = (1e3 * net.line["max_i_ka"] * net.line["df"] * net.line["parallel"]).to_numpy(np.float64)
    return Converted(data, lines, transformers, free, line_a, rated_va / (np.sqrt(3) * sides_v))


def _ends(net: Any, table: str, kind: str, sides: tuple[str, str], place: dict[int, int]) -> dict[str, Any]:
    """Nodes and states of the two ends of branches; an open switch opens one end."""
    part = net[table]
    ends = {name: np.array([place[int(bus)] for bus in part[side]]) for name, side in zip(("from", "to"), sides, strict=True)}
    opened = net.switch[(net.switch["et"] == kind) & ~net.switch["closed"].astype(bool)]
    at = {(int(bus), int(element)) for bus, element in zip(opened["bus"], opened["element"], strict=True)}
    status = {
        name: np.array(
            [(int(bus), int(index)) not in at for bus, index in zip(part[side], part.index, strict=True)], dtype=np.int8
        )
        for name, side in zip(("from", "to"), sides, strict=True)
    }
    return {f"{name}_node": ends[name] for name in ends} | {f"{name}_status": status[name] for name in status}


def _lines(net: Any, ids: IntArray, place: dict[int, int]) -> Any:
    """Lines in ohm and farad; parallel circuits as one."""
    line = net.line
    length, circuits = line["length_km"].to_numpy(np.float64), line["parallel"].to_numpy(np.float64)

    def per_km(name: str) -> FloatArray:
        values: FloatArray = line[name].to_numpy(np.float64) if name in line else np.zeros(len(line))
        return values

    farad = 1e-9 * per_km("c_nf_per_km") * length * circuits
    siemens = 1e-6 * per_km("g_us_per_km") * length * circuits
    with np.errstate(divide="ignore", invalid="ignore"):
        loss = np.where(siemens > 0, siemens / (2 * np.pi * float(net.f_hz) * farad), 0.0)
    if not np.isfinite(loss).all():
        names = line["name"].to_numpy()[~np.isfinite(loss)]
        faults = [
            NetworkFault(f"line {n!r}", "conductance without capacitance", "g_us_per_km 0, or c_nf_per_km above 0") for n in names
        ]
        raise NetworkError(str(net.name or "from the file"), faults)
    columns = {"r1": per_km("r_ohm_per_km") * length / circuits, "x1": per_km("x_ohm_per_km") * length / circuits, "c1": farad}
    if "r0_ohm_per_km" in line and "x0_ohm_per_km" in line:
        columns |= {"r0": per_km("r0_ohm_per_km") * length / circuits, "x0": per_km("x0_ohm_per_km") * length / circuits}
        columns |= {"c0": 1e-9 * per_km("c0_nf_per_km") * length * circuits, "tan0": np.zeros(len(line))}
    ends = _ends(net, "line", "l", ("from_bus", "to_bus"), place)
    rated_a = (1e3 * line["max_i_ka"] * line["df"] * circuits).to_numpy(np.float64)
    return _array("line", id=ids, **ends, **columns, tan1=loss, i_n=rated_a)


def _transformers(net: Any, ids: IntArray, place: dict[int, int]) -> Any:
    """Two-winding transformers, their tap inside the rated voltages, their T as the Pi that is the same at its ends."""
    from power_grid_model import WindingType

    trafo = net.trafo
    _refuse_transformers(net)
    count, sn = trafo["parallel"].to_numpy(np.float64), trafo["sn_mva"].to_numpy(np.float64)
    turns = {side: np.ones(len(trafo)) for side in ("hv", "lv")}
    if "tap_pos" in trafo:
        steps = (trafo["tap_pos"] - trafo["tap_neutral"]).to_numpy(np.float64) * trafo["tap_step_percent"].to_numpy(np.float64)
        for side in ("hv", "lv"):
            turns[side] += np.where((trafo["tap_side"] == side) & np.isfinite(steps), steps / 100, 0.0)
    series = _complex(trafo["vkr_percent"] / 100, trafo["vk_percent"] / 100)
    shunt = np.conj(_complex(trafo["pfe_kw"] / (1e3 * sn), trafo["i0_percent"] / 100))
    as_series = series + series**2 * shunt / 4
    as_shunt = shunt / (1 + series * shunt / 4)
    clock = np.rint(trafo["shift_degree"].to_numpy(np.float64) / STEP_DEGREES).astype(np.int64) % 12
    odd = clock % 2 == 1
    return _array(
        "transformer",
        id=ids,
        **_ends(net, "trafo", "t", ("hv_bus", "lv_bus"), place),
        u1=1e3 * trafo["vn_hv_kv"].to_numpy(np.float64) * turns["hv"],
        u2=1e3 * trafo["vn_lv_kv"].to_numpy(np.float64) * turns["lv"],
        sn=1e6 * sn * count,
        uk=np.abs(as_series),
        pk=as_series.real * 1e6 * sn * count,
        i0=np.abs(as_shunt),
        p0=as_shunt.real * 1e6 * sn * count,
        winding_from=np.where(odd, WindingType.delta, WindingType.wye_n),
        winding_to=WindingType.wye_n,
        clock=clock,
        tap_side=0, tap_pos=0, tap_min=0, tap_max=0, tap_nom=0, tap_size=0.0,
    )  # fmt: skip


def _complex(real: Any, magnitude: Any) -> ComplexArray:
    """Complex numbers of this real part and magnitude, their imaginary part not negative."""
    part, whole = np.asarray(real, dtype=np.float64), np.asarray(magnitude, dtype=np.float64)
    return part + 1j * np.sqrt(np.maximum(whole**2 - part**2, 0.0))


def _refuse_transformers(net: Any) -> None:
    """Only shifts of whole hours and taps that change the ratio can be handed over.

    Raises:
        NetworkError: names each other transformer.
    """
    faults = []
    trafo = net.trafo
    for row in range(len(trafo)):
        one = trafo.iloc[row]
        if abs(one["shift_degree"] / STEP_DEGREES - round(one["shift_degree"] / STEP_DEGREES)) > 1e-9:
            faults.append(
                NetworkFault(f"trafo {one['name']!r}", f"a shift of {one['shift_degree']:g} deg", "a multiple of 30 deg")
            )
        if abs(np.nan_to_num(float(one.get("tap_step_degree", 0.0) or 0.0))) > 0:
            faults.append(
                NetworkFault(f"trafo {one['name']!r}", "a tap changer that shifts phases", "one that changes the ratio")
            )
    if faults:
        raise NetworkError(str(net.name or "from the file"), faults)


def _sources(sources: Any, first: int, place: dict[int, int], *, stiff: bool) -> Any:
    """External grids."""
    columns = {
        "id": first + np.arange(len(sources)),
        "node": [place[int(bus)] for bus in sources["bus"]],
        "u_ref": sources["vm_pu"].to_numpy(np.float64),
        "u_ref_angle": np.deg2rad(sources["va_degree"].to_numpy(np.float64)),
    }
    if stiff:
        return _array("source", **columns, status=1, sk=STIFF_VA)
    rest = {"sk": 1e6 * sources["s_sc_max_mva"], "rx_ratio": sources["rx_max"], "z01_ratio": sources["x0x_max"]}
    return _array("source", **columns, **{key: value.to_numpy(np.float64) for key, value in rest.items()}, status=1)


class PowerGrid:
    """Balanced batches on one net, a load at every bus.

    Args:
        net: a pandapower net without faults.

    Raises:
        NetworkError: the net has a transformer or line that cannot be handed over.
    """

    def __init__(self, net: Any) -> None:
        from power_grid_model import LoadGenType, PowerGridModel

        self.converted = convert(net)
        self._buses = len(net.bus)
        self._loads = self.converted.free + np.arange(self._buses)
        loads = _array(
            "sym_load",
            id=self._loads,
            node=np.arange(self._buses),
            status=1,
            type=LoadGenType.const_power,
            p_specified=0.0,
            q_specified=np.zeros(self._buses),
        )
        self._model = PowerGridModel({**self.converted.data, "sym_load": loads}, system_frequency=float(net.f_hz))

    def flow(self, injection_mva: ComplexArray, *, method: str = "newton_raphson") -> tuple[FloatArray, FloatArray, FloatArray]:
        """Voltages in pu ``[N, buses]``, line and transformer loading in percent ``[N, elements]``.

        Args:
            injection_mva: at every bus, load negative, ``[N, buses]``.
            method: ``newton_raphson``, ``iterative_current`` or ``linear``.

        Raises:
            PowerFlowError: a slot without a solution, or with a bus that nothing supplies (names slot and row of the bus).
        """
        from power_grid_model import CalculationMethod, ComponentType, DatasetType, initialize_array
        from power_grid_model.errors import PowerGridError

        update = initialize_array(DatasetType.update, ComponentType.sym_load, (len(injection_mva), self._buses))
        update["id"] = self._loads
        update["p_specified"], update["q_specified"] = -1e6 * injection_mva.real, -1e6 * injection_mva.imag
        wanted: Any = {"node": ["u_pu"], "line": ["i_from", "i_to"], "transformer": ["i_from", "i_to"]}
        try:
            result: Any = self._model.calculate_power_flow(
                update_data={ComponentType.sym_load: update},
                output_component_types=wanted,
                calculation_method=CalculationMethod[method],
                max_iterations=50,
            )
        except PowerGridError as error:
            slots = [int(slot) for slot in getattr(error, "failed_scenarios", [])]
            slot = slots[0] if slots else None
            raise PowerFlowError(
                f"power-grid-model finds no power flow for slot {slot}: {str(error)[:120]}", slot=slot
            ) from error
        voltage = result["node"]["u_pu"]
        dead = ~(voltage > 0)
        if dead.any():
            row, bus = (int(index) for index in np.argwhere(dead)[0])
            raise PowerFlowError(f"power-grid-model leaves bus {bus} without voltage in slot {row}", slot=row)
        line = result["line"]
        transformer = result["transformer"]
        rated = self.converted.transformer_a
        return (
            voltage,
            100 * np.maximum(line["i_from"], line["i_to"]) / self.converted.line_a,
            100 * np.maximum(transformer["i_from"] / rated[:, 0], transformer["i_to"] / rated[:, 1]),
        )
