"""The electrical network behind the sites, from SimBench (with its year of loads and sun) or from a file, and AC power flow.

``load_network`` builds the grid with simbench and pandapower once (seconds), checks it with a second engine
(``grid.engine_check``), and keeps everything that a power flow needs as arrays in the user's cache; later loads touch no such
library. ``Network.power_flow`` adds the net import of the sites to their buses and solves the AC equations of all slots at
once (``grid.ac_flow``); pandapower's Newton solver, the model of record, solves the extreme slots again and every slot that
the fast method could not. Disagreement is an error.

Sites are loads of power factor 1: server power supplies correct theirs to about that, and inverters feed at unity by default.
SimBench data: ODbL 1.0; Meinecke et al., Energies 13 (2020) 3290, doi:10.3390/en13123290.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from grid.ac_flow import (
    Admittance,
    ComplexArray,
    Impedance,
    IntArray,
    branch_currents_pu,
    impedance,
    slack_power_mva,
    solve,
)
from grid.cache import Arrays, cached
from grid.engine_check import newton
from grid.errors import PowerFlowError
from grid.feeds.simbench_profiles import profile_means, profile_moments_s, scenario_of
from grid.horizon import FloatArray, Horizon
from grid.network_result import NetworkResult, gathered, site_import

AGREEMENT_PU = 1e-6
"""Largest difference in voltage between the fast method and pandapower before the result is refused."""

FORMAT = "3"
"""Of the arrays in the cache."""

ALL_PHASES = 3
"""In ``Network.load_phases``: a load that is spread evenly over the phases 0, 1 and 2."""

CHUNK = 1000
"""Slots solved together: few enough for the cache of a processor, and a year needs no memory to speak of."""


def silent(_: str) -> None:
    """A progress callback that tells nobody."""


@dataclass(frozen=True, eq=False)
class Network:
    """A grid with its profiles. Power in MW where SimBench says MW, in kW at every public edge.

    Attributes:
        code: SimBench code, or name of the file.
        bus_names, line_names, transformer_names: element names.
        transformer_buses: name of the low-voltage bus of each transformer.
        load_buses, load_p_mw, load_q_mvar: bus index of each load and its year, ``[35136, loads]`` (from a file: one row).
        load_phases: phase of each load, 0, 1 or 2; 3 is all of them (``grid.phase_flow``).
        sgen_buses, sgen_p_mw: same for static generators (roof-top sun), injection positive.
        bus_nodes: electrical node of each bus (closed switches join buses).
        admittance: for the power flow.
        line_branches, transformer_branches: branch of each element.
        line_pct, transformer_pct: percent of the rating per unit of current at from and to end, ``[elements, 2]``.
        grid_json: the pandapower net, for the model of record.
    """

    code: str
    bus_names: tuple[str, ...]
    line_names: tuple[str, ...]
    transformer_names: tuple[str, ...]
    transformer_buses: tuple[str, ...]
    load_buses: IntArray
    load_p_mw: FloatArray
    load_q_mvar: FloatArray
    load_phases: IntArray
    sgen_buses: IntArray
    sgen_p_mw: FloatArray
    bus_nodes: IntArray
    admittance: Admittance
    line_branches: IntArray
    transformer_branches: IntArray
    line_pct: FloatArray
    transformer_pct: FloatArray
    grid_json: str

    @cached_property
    def _impedance(self) -> Impedance:
        """The impedance matrix, made once."""
        return impedance(self.admittance)

    @cached_property
    def pandapower_net(self) -> Any:
        """The net for the model of record, as pandapower reads it."""
        import highspy  # noqa: F401 - first: pandapower loads ortools when it is there, whose HiGHS would shadow this one
        import pandapower as pp

        return pp.from_json_string(self.grid_json)

    def bus_index(self, bus: str) -> int:
        """Index of the bus of that name.

        Raises:
            PowerFlowError: there is none; names the nearest.
        """
        if bus in self.bus_names:
            return self.bus_names.index(bus)
        nearest = difflib.get_close_matches(bus, self.bus_names, 1, 0.0)
        raise PowerFlowError(f"network {self.code} has no bus {bus!r} (did you mean {nearest[0]!r}?)")

    def households_kw(
        self, horizon: Horizon, profile_start: str | datetime, household_scale: float = 1.0
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Mean load P (kW), load Q (kvar) and generation (kW) of the network's own users in each slot.

        Of a network from a file they are the same in every slot.

        Shapes ``[slots, loads]``, ``[slots, loads]``, ``[slots, static generators]``; exact time-weighted means for any step.

        Raises:
            FeedError: the horizon leaves the profile year.
        """
        load = 1e3 * household_scale
        if len(self.load_p_mw) == 1:
            rows = np.zeros(horizon.slots, dtype=np.int64)
            return load * self.load_p_mw[rows], load * self.load_q_mvar[rows], 1e3 * self.sgen_p_mw[rows]
        moments = profile_moments_s(horizon, profile_start)
        return (
            load * profile_means(self.load_p_mw, moments),
            load * profile_means(self.load_q_mvar, moments),
            1e3 * profile_means(self.sgen_p_mw, moments),
        )

    def power_flow(
        self,
        horizon: Horizon,
        profile_start: str | datetime,
        site_import_kw: Mapping[str, npt.ArrayLike],
        site_bus: Mapping[str, str],
        *,
        household_scale: float = 1.0,
        slots: Sequence[int] | None = None,
        progress: Callable[[str], None] = silent,
        confirm: int = 2,
    ) -> NetworkResult:
        """AC power flow with the sites on their buses.

        Args:
            horizon: time axis of the site powers.
            profile_start: naive local time in 2016 that the horizon's start maps to.
            site_import_kw: net import of each site (import positive), ``[slots]``; sites without a bus are ignored.
            site_bus: bus name of each site that is in the network.
            household_scale: factor on the network's own loads (not on its generation).
            slots: slots to compute, by default all.
            progress: told what is going on.
            confirm: number of extreme slots (highest loading, lowest voltage, ...) that pandapower's Newton solver solves
                again; 0 leaves pandapower unloaded unless a slot needs it.

        Raises:
            PowerFlowError: unknown bus, wrong shapes or values, no convergence (names slot and worst bus), or the two
                methods disagree.
            FeedError: the horizon leaves the profile year.
        """
        chosen = np.arange(horizon.slots) if slots is None else np.asarray(slots, dtype=np.int64)
        if len(chosen) == 0 or chosen.min() < 0 or chosen.max() >= horizon.slots:
            raise PowerFlowError(f"slots {list(chosen)[:5]} do not lie in a horizon of {horizon.slots} slots")
        buses = {site: self.bus_index(bus) for site, bus in site_bus.items()}
        sites = {site: site_import(site_import_kw, site, horizon)[chosen] for site in buses}
        load_p, load_q, sun = (part[chosen] for part in self.households_kw(horizon, profile_start, household_scale))
        injection = self.injection_mva(load_p, load_q, sun, sites, buses)
        voltage = np.concatenate(
            [
                self.solve_slots(injection[at : at + CHUNK], chosen[at : at + CHUNK], horizon, progress)
                for at in range(0, len(chosen), CHUNK)
            ]
        )
        result = self.result(horizon, tuple(int(slot) for slot in chosen), voltage, injection, buses)
        self._confirm(result, injection, horizon, confirm, progress)
        return result

    def injection_mva(
        self,
        load_p_kw: FloatArray,
        load_q_kvar: FloatArray,
        sun_kw: FloatArray,
        sites: Mapping[str, FloatArray],
        buses: Mapping[str, int],
    ) -> ComplexArray:
        """Injection at every bus in MVA (load negative), ``[N, buses]``."""
        count = len(self.bus_names)
        injection = gathered(-(load_p_kw + 1j * load_q_kvar), self.load_buses, count)
        injection += gathered(sun_kw.astype(np.complex128), self.sgen_buses, count)
        for site, bus in buses.items():
            injection[:, bus] -= sites[site]
        return injection / 1e3

    def _nodes_pu(self, injection_mva: ComplexArray) -> ComplexArray:
        """Injection at every electrical node per unit, ``[N, nodes]``."""
        return gathered(injection_mva / self.admittance.base_mva, self.bus_nodes, self.admittance.size)

    def solve_slots(
        self, injection_mva: ComplexArray, slots: IntArray, horizon: Horizon, progress: Callable[[str], None]
    ) -> ComplexArray:
        """Node voltages; slots that the fast method leaves open go to pandapower."""
        solution = solve(self.admittance, self._nodes_pu(injection_mva), self._impedance)
        for row in np.flatnonzero(~solution.solved):
            progress(f"slot {slots[row]}: the fast power flow did not converge, asking pandapower")
            lowest = int(np.argmin(np.abs(solution.linear[row])[self.bus_nodes]))
            where = f"slot {slots[row]} ({horizon.time(int(slots[row])):%Y-%m-%dT%H:%MZ}), worst bus {self.bus_names[lowest]}"
            try:
                vm, va = newton(self.code, self.pandapower_net, injection_mva[row], where)
            except PowerFlowError as error:
                raise PowerFlowError(str(error), bus=self.bus_names[lowest], slot=int(slots[row])) from error
            solution.voltage[row, self.bus_nodes] = vm * np.exp(1j * np.deg2rad(va))
        return solution.voltage

    def result(
        self,
        horizon: Horizon,
        slots: tuple[int, ...],
        voltage: ComplexArray,
        injection_mva: ComplexArray,
        buses: dict[str, int],
    ) -> NetworkResult:
        """Loadings, slack power and losses from the voltages."""
        at_from, at_to = (np.abs(current) for current in branch_currents_pu(self.admittance, voltage))

        def loading(branches: IntArray, pct: FloatArray) -> FloatArray:
            worst: FloatArray = np.maximum(at_from[:, branches] * pct[:, 0], at_to[:, branches] * pct[:, 1])
            return worst

        slack_kw = 1e3 * slack_power_mva(self.admittance, voltage).real
        return NetworkResult(
            horizon=horizon,
            slots=slots,
            bus_names=self.bus_names,
            line_names=self.line_names,
            transformer_names=self.transformer_names,
            voltage_pu=np.abs(voltage[:, self.bus_nodes]),
            line_loading_pct=loading(self.line_branches, self.line_pct),
            transformer_loading_pct=loading(self.transformer_branches, self.transformer_pct),
            site_bus=buses,
            grid_import_kw=slack_kw,
            losses_kw=slack_kw + 1e3 * injection_mva.real.sum(axis=1),
        )

    def _confirm(
        self, result: NetworkResult, injection: ComplexArray, horizon: Horizon, count: int, progress: Callable[[str], None]
    ) -> None:
        """Solve the extreme slots again with pandapower's Newton solver.

        Raises:
            PowerFlowError: the two differ by more than ``AGREEMENT_PU``.
        """
        extremes = [
            int(np.argmax(result.transformer_loading_pct.max(axis=1, initial=0.0))),
            int(np.argmin(result.voltage_pu.min(axis=1))),
            int(np.argmax(result.voltage_pu.max(axis=1))),
            int(np.argmax(result.line_loading_pct.max(axis=1, initial=0.0))),
        ]
        for row in list(dict.fromkeys(extremes))[:count]:
            slot = result.slots[row]
            progress(f"slot {slot}: pandapower confirms")
            vm, _ = newton(self.code, self.pandapower_net, injection[row], f"slot {slot} ({horizon.time(slot):%Y-%m-%dT%H:%MZ})")
            difference = np.abs(vm - result.voltage_pu[row])
            if not (difference <= AGREEMENT_PU).all():
                bus = self.bus_names[int(np.argmax(difference))]
                raise PowerFlowError(
                    f"network {self.code}: fast flow and pandapower differ by {difference.max():.2e} pu at {bus} in slot {slot}",
                    bus=bus,
                    slot=slot,
                )


def load_network(code: str, *, cache: Path | None = None) -> Network:
    """The SimBench network ``code`` with its year of profiles, from the cache or freshly built (seconds).

    Args:
        code: for example ``1-LV-semiurb4--0-sw``.
        cache: cache folder, by default the user's (``grid.cache.cache_folder``).

    Raises:
        FeedError: not a SimBench code.
        PowerFlowError: SimBench does not know the code, or the network has parts that this power flow does not.
    """
    from grid.network_build import build_arrays

    scenario_of(code)
    key = {"code": code, "format": FORMAT, **_versions(), "simbench": importlib.metadata.version("simbench")}
    return _from_arrays(code, cached("network", key, lambda: build_arrays(code), cache))


def load_json_network(path: str | Path, *, cache: Path | None = None) -> Network:
    """The network of a pandapower JSON file, from the cache or freshly built.

    Its loads and static generators stay as the file has them in every slot.

    Args:
        path: a file that ``pandapower.to_json`` wrote.
        cache: cache folder, by default the user's.

    Raises:
        NetworkError: with everything that is wrong with the network.
        PowerFlowError: the file is no pandapower net, or the engines differ on it.
    """
    from grid.network_build import build_json_arrays

    path = Path(path)
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:24]
    except OSError as error:
        raise PowerFlowError(f"{path} cannot be read: {error.strerror}") from error
    key = {"json": digest, "format": FORMAT, **_versions()}
    return _from_arrays(path.name, cached("network", key, lambda: build_json_arrays(path), cache))


def _versions() -> dict[str, str]:
    """Versions of the engines that built and checked a network."""
    return {name: importlib.metadata.version(name) for name in ("pandapower", "power-grid-model")}


def _from_arrays(code: str, arrays: Arrays) -> Network:
    """The network that the arrays describe."""

    def names(key: str) -> tuple[str, ...]:
        return tuple(str(name) for name in arrays[key])

    def parts(kind: type[Admittance | Network]) -> dict[str, Any]:
        return {part.name: arrays[part.name] for part in fields(kind) if part.name in arrays}

    scalars = {"size": int(arrays["size"]), "branches": int(arrays["branches"]), "base_mva": float(arrays["base_mva"])}
    admittance = Admittance(**{**parts(Admittance), **scalars})
    told = {name: names(name) for name in ("bus_names", "line_names", "transformer_names", "transformer_buses")}
    rest = {"code": code, "admittance": admittance, "grid_json": str(arrays["grid_json"])}
    return Network(**{**parts(Network), **told, **rest})
