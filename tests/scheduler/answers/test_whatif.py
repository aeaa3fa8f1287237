"""What-if: changes reach the document, are checked like it, and the difference is only claimed when it is proven."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grid.assets.heat_reuse import HeatReuse
from grid.errors import Finding, InputError
from scheduler.answers.changes import Change, changer, parse_change
from scheduler.answers.warm import carried_over
from scheduler.answers.whatif import what_if, without_jobs
from scheduler.build import build_problem
from scheduler.document import load_scenario
from scheduler.policies.fifo import fifo_schedule
from scheduler.scenario import PlanningSettings, Scenario
from tests.factory import small_scenario
from tests.sim.test_plan_check_heat import good

ROOT = Path(__file__).parents[3]
EXACT = PlanningSettings(relative_gap=0.0, limit_margin=0.0)


def changed(*texts: str, name: str = "almere") -> Scenario:
    """A shipped scenario with changes."""
    parsed = [parse_change(text) for text in texts]
    changes = [item for item in parsed if isinstance(item, Change)]
    assert len(changes) == len(texts)
    return load_scenario(ROOT / "configs" / f"{name}.yaml", environment={}, change=changer(changes))


def test_a_field_by_name_of_its_entry_and_without_its_unit() -> None:
    """``sites.hall.battery.energy`` is ``sites[0].battery.energy_kwh``; another unit is converted; the rest stays."""
    scenario = changed("sites.hall.battery.energy=0.02 MWh", "planning.relative_gap=0.5", name="minimal")
    battery = scenario.site("hall").battery
    assert battery is not None
    assert battery.energy_kwh == 20.0
    assert battery.charge_kw == 5.0
    assert scenario.planning.relative_gap == 0.5


def test_a_site_with_a_template_gets_its_own_field() -> None:
    """Cabinet a gets a larger battery; cabinet b keeps that of the template, and a keeps the template's other fields."""
    scenario = changed("sites.cabinet-a.battery.energy_kwh=9")
    mine, other = scenario.site("cabinet-a").battery, scenario.site("cabinet-b").battery
    assert mine is not None
    assert other is not None
    assert (mine.energy_kwh, mine.charge_kw) == (9.0, 3.0)
    assert other.energy_kwh == 6.0


@pytest.mark.parametrize(
    ("text", "found", "nearest"),
    [
        ("sites.hal.pue=1.1", "'hal'", "hall"),
        ("sites.hall.batery.energy=1", "'batery'", "battery"),
        ("sites.hall.battery.enrgy=1", "'enrgy'", "energy_kwh"),
        ("sites[7].pue=1.1", "'[7]'", None),
        ("seed.more=1", "'more'", None),
        ("planing.relative_gap=1", "'planing'", "planning"),
    ],
)
def test_a_path_that_leads_nowhere(text: str, found: str, nearest: str | None) -> None:
    """The part of the path that is wrong is named, with the nearest valid name."""
    with pytest.raises(InputError) as caught:
        changed(text, name="minimal")
    (finding,) = caught.value.findings
    assert (finding.file, finding.nearest) == ("--set", nearest)
    assert finding.found.endswith(found)


@pytest.mark.parametrize("text", ["", "sites.hall.pue", "=3", "sites.hall.pue="])
def test_a_change_without_path_or_value(text: str) -> None:
    """It is a finding that shows what a change looks like."""
    finding = parse_change(text)
    assert isinstance(finding, Finding)
    assert "PATH=VALUE" in finding.expected


@pytest.mark.parametrize(
    ("text", "value"),
    [("a=3", 3), ("a=-2.5", -2.5), ("a=true", True), ("a=null", None), ("a=20 kWh", "20 kWh"), ("a=[x, 2]", ["x", 2])],
)
def test_values_are_read_as_a_file_would_hold_them(text: str, value: object) -> None:
    """Numbers, truth values, nothing, lists; all else is text."""
    change = parse_change(text)
    assert isinstance(change, Change)
    assert change.value == value
    assert type(change.value) is type(value)


def test_a_refused_value_is_told_like_one_in_the_file() -> None:
    """A negative capacity and a unit of another kind are the findings of ``ozzo check``."""
    with pytest.raises(InputError) as caught:
        changed("sites.hall.battery.energy=20 kW", "sites.hall.battery.charge_kw=-1", name="minimal")
    fields = {finding.field for finding in caught.value.findings}
    assert fields == {"sites[0].battery.energy_kwh", "sites[0].battery.charge_kw"}


def test_nothing_changed_is_no_difference_and_not_proven() -> None:
    """The same problem twice: all figures the same, no job moves, 0 lies in what the gaps leave open."""
    problem = build_problem(small_scenario(planning=EXACT))
    found = what_if(problem, problem)
    assert found.changed_figures == pytest.approx(found.base_figures, abs=1e-6)
    assert found.moved == ()
    assert not found.proven


def test_dearer_energy_is_proven_dearer() -> None:
    """0.1 EUR more on every kWh: the best plans differ by more than 0 and by at most that on what the base plan imports."""
    problem = build_problem(small_scenario(planning=EXACT))
    found = what_if(problem, replace(problem, import_eur_per_kwh=problem.import_eur_per_kwh + 0.1))
    assert found.proven
    assert found.least_eur is not None
    assert found.most_eur is not None
    assert 0 < found.least_eur <= found.most_eur <= 0.1 * found.base_figures["import_kwh"] + 1e-6


def test_a_job_less_is_told_as_moved_away() -> None:
    """Without a job, it runs before and not after; an unknown one names the nearest."""
    scenario = small_scenario(planning=EXACT)
    found = what_if(build_problem(scenario), build_problem(without_jobs(scenario, ["render"])))
    (gone,) = (moved for moved in found.moved if moved.job == "render")
    assert gone.before is not None
    assert gone.after is None
    with pytest.raises(InputError) as caught:
        without_jobs(scenario, ["rendr"])
    assert caught.value.findings[0].nearest == "render"


def test_a_schedule_is_carried_over_only_where_it_fits() -> None:
    """In a quarter of the hall some jobs keep their places, and those fit together; with other data moves nothing is carried."""
    before = build_problem(small_scenario())
    schedule = fifo_schedule(before)
    capacity = before.capacity.copy()
    capacity[:, 1] /= 4
    after = replace(before, capacity=capacity)
    kept = carried_over(before, schedule, after)
    assert kept is not None
    assert 0 < len(kept.jobs) < len(schedule.jobs)
    use = np.zeros_like(capacity)
    for j, place in kept.jobs.items():
        task = after.jobs[j]
        use[:, task.options[place.option].site, list(place.slots)] += np.array(task.resources)[:, None]
    assert (use <= capacity + 1e-9).all()
    assert carried_over(before, schedule, replace(before, migrations=())) is None


def test_what_assets_owe_and_emit_is_in_both_plans() -> None:
    """With heat reuse the plan as it is costs what `ozzo plan` says, earnings included; better paid heat makes it cheaper."""
    scenario, plan = good()
    problem = build_problem(scenario)
    heat = problem.assets[0].asset
    assert isinstance(heat, HeatReuse)
    dearer = replace(problem, assets=(replace(problem.assets[0], asset=replace(heat, heat_eur_per_kwh=0.2)),))
    found = what_if(problem, dearer)
    assert found.base.objective_eur == pytest.approx(plan.objective_eur, rel=1e-3)
    assert found.base.breakdown_eur["assets"] < 0
    assert found.changed_figures["objective_eur"] < found.base_figures["objective_eur"] - 0.1
    assert found.proven
