"""The independent check of a solution to a case: hand-made cases whose cost is known, and every rule broken once."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scheduler.optimiser.case_file import read_case
from scheduler.optimiser.large.case import Case, Solution
from sim.case_check import check_case
from tests.cases import all_dropped, decided, first_fit, tiny, with_jobs

RIGID, INTERRUPTIBLE, MALLEABLE = 0, 1, 2
PRICES = [[0.4, 0.1, 0.2, 0.4]]


def cost_eur(case: Case, solution: Solution) -> float:
    """Exact objective of a solution that is feasible."""
    verdict = check_case(case, solution)
    assert verdict.feasible, verdict.findings
    assert verdict.objective_eur is not None
    return verdict.objective_eur


def test_load_is_paid_at_its_price() -> None:
    """1 kW fixed all day (1.1 EUR), and 2 kW IT at a PUE of 1.5 in the slots at 0.1 and 0.2 EUR/kWh."""
    case = with_jobs(tiny(pi=PRICES, pue=1.5), {"p": 2, "pw": 2.0})
    assert cost_eur(case, decided((0, (1, 2)))) == pytest.approx(1.1 + 3.0 * 0.3)


def test_a_dropped_job_costs_its_price() -> None:
    """Nothing runs: the drop and the fixed load."""
    case = with_jobs(tiny(pi=PRICES), {"drop": 7.0})
    verdict = check_case(case, all_dropped(case))
    assert verdict.dropped == 1
    assert verdict.objective_eur == pytest.approx(8.1)


@pytest.mark.parametrize(
    ("kind", "job", "late"),
    [
        (RIGID, (0, (2, 3)), 2.0),  # ends 2 slots after the due one
        (INTERRUPTIBLE, (0, (0, 3)), 1.0),  # one slot after the due one is used
        (MALLEABLE, (0, (0, 1, 2, 3), (1.0, 0.0, 0.5, 0.0), (0.0, 0.0, 0.0, 5 / 7)), 0.5 + 5 / 7),
    ],
)
def test_lateness(kind: int, job: Any, late: float) -> None:
    """Rigid jobs pay for their end, others for each late slot that they use, by the share they use."""
    case = with_jobs(tiny(pi=0.0), {"typ": kind, "p": 2, "soft": 2, "wt": 3.0})
    assert cost_eur(case, decided(job)) == pytest.approx(3.0 * late)


def test_eco_mode_does_less_for_less() -> None:
    """Ten sevenths of a slot in eco mode do a slot's work for 55 % of the power: 0.1 x 0.55 x 10 / 7 EUR."""
    case = with_jobs(tiny(a=0.0), {"typ": MALLEABLE, "p": 1})
    assert cost_eur(case, decided((0, (0, 1), (0.0, 0.0), (1.0, 3 / 7)))) == pytest.approx(0.1 * 0.55 * 10 / 7)


def test_a_copy_is_paid_once_and_shared() -> None:
    """Two jobs use one copy (5 EUR), each has a fixed cost of its own."""
    case = tiny(pi=0.0, ms=[0], md=[0], mc=[5.0], mgb=[10.0])
    case = with_jobs(case, {"entries": [(0, 1.0, 0, 0)]}, {"entries": [(0, 2.0, 0, 0)]})
    assert cost_eur(case, decided((0, (0,)), (1, (0,)))) == pytest.approx(8.0)


def test_battery_shifts_load_with_losses_and_wear() -> None:
    """4 kWh are bought at 0.1 and used at 1.0: efficiency 0.5 x 0.8, wear 0.2 EUR/kWh, half on each side."""
    case = tiny(
        slots=2, a=[[0.0, 1.6]], pi=[[0.1, 1.0]], E=10.0, Pc=4.0, Pd=9.0, eta_c=0.5, eta_d=0.8, wear=0.2
    )  # 4 kWh in, 2 stored, 1.6 out
    assert cost_eur(case, all_dropped(case)) == pytest.approx(0.4 + 0.1 * 4 + 0.1 * 1.6)


def test_battery_is_as_full_at_the_end() -> None:
    """What is taken from the battery is put back: 1 kWh used at once, 1 bought later."""
    case = tiny(slots=2, a=[[1.0, 0.0]], pi=[[1.0, 0.1]], E=10.0, Pc=5.0, Pd=5.0, soc0=5.0)
    assert cost_eur(case, all_dropped(case)) == pytest.approx(0.1)


def test_reserve_stays_in_the_battery() -> None:
    """A reserve of 4 of 5 kWh leaves 1 kWh to shift."""
    case = tiny(slots=2, a=[[2.0, 0.0]], pi=[[1.0, 0.1]], E=10.0, Pc=5.0, Pd=5.0, soc0=5.0, soc_min=4.0)
    assert cost_eur(case, all_dropped(case)) == pytest.approx(1.0 + 0.1)


def test_battery_never_burns_power_by_charging_and_discharging() -> None:
    """Importing is paid (0.5 EUR/kWh): 4 kWh fill the battery in one slot; charging on while discharging would be paid too.

    Left are the load of 1 kWh in each slot and those 4 kWh.
    """
    case = tiny(slots=2, pi=-0.5, E=2.0, Pc=4.0, Pd=4.0, eta_c=0.5, eta_d=0.5)
    verdict = check_case(case, all_dropped(case))
    assert verdict.objective_eur == pytest.approx(-0.5 * (1 + 4 + 1))


def test_peak_above_the_one_reached() -> None:
    """3 kW where 2 are reached already: 1 kW at 1.5 EUR."""
    case = with_jobs(tiny(pi=0.0, pk0=2.0, dc=1.5), {"pw": 2.0})
    assert cost_eur(case, decided((0, (0,)))) == pytest.approx(1.5)


def test_event_excess_is_paid() -> None:
    """Two of three slots of load lie in the event: 0.4 kW above its limit in each, at 2 EUR/kWh and half an hour."""
    case = tiny(pi=0.0, dt=0.5, dr_site=[0], dr_start=[1], dr_end=[3], dr_limit_kw=[0.6], dr_penalty=[2.0])
    assert cost_eur(case, all_dropped(case)) == pytest.approx(0.4 * 2.0 * 2 * 0.5)


def test_sun_is_used_exported_and_curtailed() -> None:
    """5 kW sun: 1 used, 2 exported at 0.3, 2 curtailed; a negative export price curtails them all."""
    case = tiny(slots=1, ren=5.0, emax=2.0, po=0.3)
    assert cost_eur(case, all_dropped(case)) == pytest.approx(-0.6)
    case = tiny(slots=1, ren=5.0, emax=2.0, po=-0.3)
    assert cost_eur(case, all_dropped(case)) == pytest.approx(0.0)


def test_unserved_load_costs_its_price() -> None:
    """3 kW where 2 can be imported: 1 kWh at 5 EUR."""
    case = tiny(slots=1, a=3.0, gmax=2.0, pi=0.0)
    assert cost_eur(case, all_dropped(case)) == pytest.approx(5.0)


def test_feeder_limits_flow_and_voltage() -> None:
    """Two sites of 3 kW: a head of 5 kW leaves 1 kWh unserved; a voltage band that allows 4 kW leaves 2."""
    case = tiny(sites=2, slots=1, a=3.0, pi=0.0, fid=0, flim=[5.0])
    assert cost_eur(case, all_dropped(case)) == pytest.approx(5.0)
    # drop at the second site: 0.01 x (both) + 0.01 x (second) = 0.05: 3 kW at the first leave 1 at the second
    case = tiny(sites=2, slots=1, a=3.0, pi=0.0, fid=0, flim=[9.0], vco=0.01)
    assert cost_eur(case, all_dropped(case)) == pytest.approx(10.0)


def base() -> Case:
    """Two sites; a rigid job, an interruptible one and a malleable one, of 2 slots each, the second with a copy."""
    case = tiny(sites=2, ms=[1], md=[0], mc=[1.0], mgb=[50.0])
    case = with_jobs(
        case,
        {"p": 2, "rel": 1, "res": 4.0, "entries": [(0, 0.0, 1, -1), (1, 0.0, 1, -1)]},
        {"typ": INTERRUPTIBLE, "p": 2, "dl": 3, "res": 4.0, "entries": [(1, 0.0, 0, 0)]},
        {"typ": MALLEABLE, "p": 2, "res": 4.0, "entries": [(0, 0.0, 0, -1)]},
    )
    assert check_case(case, FINE).feasible
    return case


FINE = decided((0, (1, 2)), (2, (0, 2)), (3, (0, 1), (1.0, 1.0), (0.0, 0.0)))


@pytest.mark.parametrize(
    ("rule", "solution"),
    [
        ("entry", decided((2, (1, 2)), (2, (0, 2)), (-1, ()))),
        ("slot", decided((0, (3, 4)), (2, (0, 2)), (-1, ()))),
        ("dropped", decided((-1, (1,)), (2, (0, 2)), (-1, ()))),
        ("earliest", decided((0, (0, 1)), (2, (0, 2)), (-1, ()))),
        ("window", decided((0, (1, 2)), (2, (0, 3)), (-1, ()))),
        ("order", decided((0, (1, 2)), (2, (2, 0)), (-1, ()))),
        ("order", decided((0, (1, 2)), (2, (2, 2)), (-1, ()))),
        ("share", decided((0, (1, 2), (1.0, 0.9), (0.0, 0.1)), (2, (0, 2)), (-1, ()))),
        ("share", decided((-1, ()), (-1, ()), (3, (0, 1, 2), (1.0, 1.0, 0.5), (0.1, 0.0, 0.0)))),
        ("share", decided((-1, ()), (-1, ()), (3, (0, 1, 2), (1.0, 1.0, 1.0), (-0.1, 0.0, 0.0)))),
        ("work", decided((0, (1,)), (2, (0, 2)), (-1, ()))),
        ("work", decided((0, ()), (2, (0, 2)), (-1, ()))),
        ("work", decided((-1, ()), (2, (0, 1, 2)), (-1, ()))),
        ("work", decided((-1, ()), (-1, ()), (3, (0, 1), (1.0, 0.0), (0.0, 1.0)))),
        ("break", decided((0, (1, 3)), (2, (0, 2)), (-1, ()))),
        ("shape", decided((0, (1, 2)), (2, (0, 2)))),
    ],
)
def test_every_broken_rule_is_named(rule: str, solution: Solution) -> None:
    """A fault in the decisions is found under its name, and no objective is given."""
    verdict = check_case(base(), solution)
    assert rule in {finding.rule for finding in verdict.findings}, verdict.findings
    assert verdict.objective_eur is None


def test_capacity_and_volume_are_checked() -> None:
    """Two jobs of 4 in a capacity of 7, and 50 GB where 40 fit."""
    case = base()
    full = tiny(sites=2, cap=7.0, ms=[1], md=[0], mc=[1.0], mgb=[50.0], gbmax=40.0)
    jobs = {
        name: getattr(case, name)
        for name in ("typ", "p", "rel", "dl", "soft", "wt", "res", "pw", "drop", "ep", "es", "ec", "ea", "em", "speed2", "power2")
    }
    verdict = check_case(replace(full, **jobs), FINE)
    assert [finding.rule for finding in verdict.findings] == ["capacity", "volume"]
    assert "site 0 in slot 1" in verdict.findings[0].place


def test_shares_that_are_no_numbers_are_found() -> None:
    """NaN never passes for a share."""
    solution = decided((-1, ()), (-1, ()), (3, (0, 1, 2), (1.0, 1.0, float("nan")), (0.0, 0.0, 0.0)))
    assert check_case(base(), solution).findings[0].rule == "shape"


@pytest.mark.data
def test_agrees_with_the_other_judge(instances: Path) -> None:
    """The same objective to 1e-6 on S: of a solution with all kinds of jobs at work, and with everything dropped."""
    spec = importlib.util.spec_from_file_location("score", instances / "score.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    case = read_case(instances / "S.npz")
    with np.load(instances / "S.npz") as file:
        instance = {name: file[name] for name in file.files}
    found = first_fit(case)
    assert set(case.typ[found.choice >= 0]) == {RIGID, INTERRUPTIBLE, MALLEABLE}
    for solution in (found, all_dropped(case)):
        arrays = {name: getattr(solution, name) for name in ("choice", "run_ptr", "run_slot", "run_full", "run_eco")}
        jobs_eur, load_kw, faults = module.job_side(instance, arrays)
        energy_eur, bound_eur, _ = module.energy_side(instance, load_kw)
        assert not faults
        ours = check_case(case, solution)
        assert ours.feasible
        assert ours.jobs_eur == pytest.approx(jobs_eur, rel=1e-9)
        # the other judge stops at a relative gap of 1e-5; its bound and its value enclose ours
        assert ours.energy_eur is not None
        assert bound_eur - 1e-6 <= ours.energy_eur <= energy_eur + 1e-6
        assert ours.objective_eur == pytest.approx(jobs_eur + energy_eur, rel=1e-6, abs=1e-5 * abs(energy_eur))


def test_second_mode_is_each_job_s_own() -> None:
    """A job whose second mode does half the work for a fifth of the power: two slots of it do one slot's work at 0.4 kWh."""
    case = with_jobs(tiny(a=0.0), {"typ": MALLEABLE, "p": 1, "speed2": 0.5, "power2": 0.2})
    assert cost_eur(case, decided((0, (0, 1), (0.0, 0.0), (1.0, 1.0)))) == pytest.approx(0.04)
    slow = check_case(case, decided((0, (0, 1), (0.0, 0.0), (1.0, 0.9)))).findings
    assert [finding.rule for finding in slow] == ["work"]


def test_what_a_battery_lacks_at_the_end_is_paid_where_that_is_allowed() -> None:
    """3 of 5 kWh must be there at the end: 1 kWh is used at 1.0 for 0.3 missing, buying it back at 0.5 would be dearer.

    Where nothing may be missing it is bought back; an end below the start is free.
    """
    case = tiny(slots=2, a=[[3.0, 0.0]], pi=[[1.0, 0.5]], E=5.0, Pc=5.0, Pd=5.0, soc0=5.0, soc_end=3.0)
    assert cost_eur(replace(case, missing=np.array([0.3])), all_dropped(case)) == pytest.approx(0.3)
    assert cost_eur(case, all_dropped(case)) == pytest.approx(0.5)
