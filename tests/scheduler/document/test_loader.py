"""Loading: what the document says is what the scenario holds."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from grid.errors import InputError
from scheduler import scenario as inside
from scheduler.build import build_problem
from scheduler.data import Storage, Tier
from scheduler.document import check_file, load_scenario
from scheduler.document.fields import Part
from scheduler.document.jobs import with_those_before
from scheduler.document.settings import ErrorsPart, PlanningPart, RehearsalPart, WeightsPart
from scheduler.facility import FeederLine
from scheduler.traces import fit_to_horizon
from scheduler.workload import JobKind, PowerCap, Tenant

CONFIGS = Path(__file__).parents[3] / "configs"
BAD_DATA = Path(__file__).parents[2] / "bad" / "data"

BASE = """\
ozzo: 1
name: base
horizon: {{start: {start}, hours: 24, step_minutes: 60}}
signals:
  price: {price}
  carbon_average: {{constant_g_per_kwh: 300}}
site_templates:
  place:
    tier: hot
    pue: 1.1
    nodes: [{{name: n, count: 2, cores: 8, memory_gb: 32 GiB, idle_kw: 100 W, peak_kw: 0.3}}]
    battery: {{energy_kwh: 0.01 MWh, charge_kw: 5, discharge_kw: 5}}
    connection: {{import_limit_kw: 10, export_limit_kw: 2, windows: [{{from: "22:00", to: "02:30", import_limit_kw: 3}}]}}
    tariff: {{import_fee_eur_per_mwh: 3 ct/kWh, export_fee_eur_per_mwh: 10}}
sites:
  - {{name: a, like: place, battery: {{energy_kwh: 20, initial_soc_kwh: 1}}}}
  - {{name: b, like: place, tier: cold, storage: {{node: n-1, root: cold}}}}
links: [{{name: fibre, ends: [a, b], rate_mbit_per_s: 1 Gbit/s}}]
datasets:
  - {{name: d, tier: hot, size_tb: 500 GB, sites: [b], move_by: +6h}}
  - {{name: m, tier: hot, size_tb: 1, sites: [b], allowed_sites: [b], tier_rule: sector, path: media/m}}
workload:
  jobs: [{{name: j, duration_minutes: 1.5 h, deadline: +8h, memory_gb: 4, kind: interruptible, inputs: [d]}}]
events: [{{name: e, site: a, start: +1h, end: +2h, limit_kw: -1, penalty_eur_per_kwh: 1, received: +30min}}]
provenance: {{real: [the sun], assumed: [the rest]}}
"""


def written(folder: Path, start: str = "2022-07-01T00:00", price: str = "{constant_eur_per_mwh: 90}") -> Path:
    """A document with another start and price."""
    path = folder / "base.yaml"
    path.write_text(BASE.format(start=start, price=price), encoding="utf-8")
    return path


def test_coarse_slots_are_off_unless_given(tmp_path: Path) -> None:
    """The planner has the factor that the document says, or none."""
    path = written(tmp_path)
    assert load_scenario(path).planning.coarse_factor is None
    path.write_text(path.read_text(encoding="utf-8") + "planning: {coarse_factor: 4}\n", encoding="utf-8")
    assert build_problem(load_scenario(path)).settings.coarse_factor == 4


def test_every_value_arrives_in_its_unit(tmp_path: Path) -> None:
    """Units are converted, templates filled in, defaults set, moments turned to UTC."""
    scenario = load_scenario(written(tmp_path))
    start = datetime(2022, 6, 30, 22, tzinfo=UTC)
    assert (scenario.horizon.start, scenario.horizon.slots, scenario.horizon.step_s) == (start, 24, 3600.0)
    a, b = scenario.sites
    assert (a.tier, b.tier, a.pue, b.pue) == (Tier.HOT, Tier.COLD, 1.1, 1.1)
    assert a.battery is not None
    assert b.battery is not None
    assert (a.battery.energy_kwh, a.battery.initial_soc_kwh, a.battery.charge_kw) == (20.0, 1.0, 5.0)
    assert (b.battery.energy_kwh, b.battery.initial_soc_kwh) == (10.0, 5.0)
    (group,) = a.nodes
    assert (group.idle_kw, group.failsafe_kw, group.memory_gb) == (0.1, 0.1, 32 * 1.073741824)
    assert a.tariff.import_eur_per_mwh.values.tolist() == [120.0]
    assert a.tariff.export_eur_per_mwh.values.tolist() == [80.0]
    assert scenario.links[0].rate_mbit_per_s == 1000.0
    moved, media = scenario.datasets
    assert (moved.size_tb, moved.allowed_sites, moved.move_by) == (0.5, ("a",), start + timedelta(hours=6))
    assert media.allowed_sites == ("b",)
    assert (moved.folder, media.folder) == ("d", "media/m")
    assert (a.storage, b.storage) == (None, Storage("b.n-1", "cold"))
    (job,) = scenario.jobs
    assert (job.kind, job.duration, job.deadline) == (JobKind.INTERRUPTIBLE, timedelta(minutes=90), start + timedelta(hours=8))
    assert (job.sites, job.release) == (("a", "b"), start)
    (event,) = scenario.events
    assert (event.start, event.limit_kw, event.received) == (start + timedelta(hours=1), -1.0, start + timedelta(minutes=30))
    assert scenario.provenance == ("Real: the sun", "Assumed: the rest")


TERMS = """\
tenants: [{name: physics, share: 25 %}]
feeders: [{name: street, limit_kw: 0.02 MW, sites: [{site: a, drop_pu_per_kw: 2 pu/MW}]}]
workload:
  jobs:
    - name: clean
      duration_minutes: 60
      kind: interruptible
      min_run_minutes: 0.5 h
      min_gap_minutes: 20
      restart_eur: 0.4
      tenant: physics
      move_eur: 3
    - name: report
      duration_minutes: 120
      due: +6h
      late_eur_per_h: 2
      drop_eur: 30
      priority: 1.5
      power_caps: [{speed: 0.7, power: 55 %}]
      after: [clean]
    - {name: mail, duration_minutes: 60, due: +8h, after: [clean, report]}
"""


def with_terms(folder: Path, changes: dict[str, str] | None = None) -> Path:
    """A document whose jobs have terms of every kind; ``changes`` are made in its text."""
    path = written(folder)
    text = path.read_text(encoding="utf-8")
    start, end = text.index("workload:"), text.index("events:")
    terms = TERMS
    for old, new in (changes or {}).items():
        assert old in terms
        terms = terms.replace(old, new)
    path.write_text(text[:start] + terms + text[end:], encoding="utf-8")
    return path


def test_terms_of_jobs_arrive(tmp_path: Path) -> None:
    """Pieces, soft deadline, priority, power caps, order and tenant; priority is counted into both prices."""
    scenario = load_scenario(with_terms(tmp_path))
    start = scenario.horizon.start
    clean, report, mail = scenario.jobs
    assert (clean.min_run, clean.min_gap, clean.restart_eur) == (timedelta(minutes=30), timedelta(minutes=20), 0.4)
    assert (clean.tenant, report.tenant, scenario.tenants) == ("physics", None, (Tenant("physics", 0.25),))
    assert (report.kind, report.power_caps) == (JobKind.MALLEABLE, (PowerCap(0.7, 0.55),))
    assert (report.due, report.late_eur_per_h, report.drop_eur) == (start + timedelta(hours=6), 3.0, 45.0)
    assert (mail.due, mail.late_eur_per_h) == (start + timedelta(hours=8), 1.0)
    assert (clean.after, report.after, mail.after) == ((), ("clean",), ("clean", "report"))
    assert (clean.due, clean.late_eur_per_h) == (None, 0.0)
    assert (clean.move_eur, report.move_eur) == (3.0, None)
    assert scenario.feeders == (FeederLine("street", ("a",), 20.0, (0.002,), 0.05),)


def test_what_comes_after_a_job_beyond_the_horizon_is_beyond_it_too(tmp_path: Path) -> None:
    """A job that cannot end inside the horizon takes those after it along, by name."""
    changes = {"- {name: mail, duration_minutes: 60,": "- {name: mail, duration_minutes: 60, release: +1h,"}
    assert load_scenario(with_terms(tmp_path, changes)).beyond_horizon == ()
    scenario = load_scenario(with_terms(tmp_path))
    first, *rest = scenario.jobs
    late = replace(first, release=scenario.horizon.end - timedelta(minutes=30))
    kept, beyond = fit_to_horizon((late, *rest), scenario.horizon)
    assert (len(kept), beyond) == (2, ("clean",))
    assert with_those_before(kept, beyond) == ((), ("clean", "report", "mail"))


def test_defaults_are_those_of_the_dataclasses() -> None:
    """The settings of a document have the same fields and defaults as the dataclasses they become."""
    pairs: list[tuple[type[Part], type]] = [
        (WeightsPart, inside.Weights),
        (PlanningPart, inside.PlanningSettings),
        (ErrorsPart, inside.ErrorModel),
        (RehearsalPart, inside.RehearsalSettings),
    ]
    for part, target in pairs:
        expected = dataclasses.asdict(target())
        expected.pop("reasons", None)  # not a setting of a document: simulated months do without them
        assert part().model_dump() == expected


@pytest.mark.parametrize(
    ("start", "morning_h", "evening_h"),
    [("2022-07-01T00:00", 2.5, 2.0), ("2022-03-27T00:00", 2.0, 3.0), ("2022-10-30T00:00", 3.5, 1.0)],
)
def test_windows_follow_the_clock_on_the_wall(tmp_path: Path, start: str, morning_h: float, evening_h: float) -> None:
    """24 hours from midnight hold the end of one window and the beginning of the next, as the local clock shows them.

    In spring 02:30 does not exist, and the window ends when the clock jumps; in autumn it ends at the second 02:30.
    """
    scenario = load_scenario(written(tmp_path, start))
    limit = scenario.site("a").connection.import_limit_kw
    low_s = float(np.diff(limit.edges_s)[limit.values == 3.0].sum())
    assert low_s / 3600 == pytest.approx(evening_h + morning_h)
    assert set(limit.values.tolist()) == {3.0, 10.0}


def test_minimal_loads_and_can_be_planned() -> None:
    """The shipped minimal scenario has no finding, and a problem can be built from it."""
    path = CONFIGS / "minimal.yaml"
    assert check_file(path) == []
    scenario = load_scenario(path)
    problem = build_problem(scenario)
    assert [job.name for job in problem.jobs] == ["index", "render", "train"]
    assert all(job.options for job in problem.jobs)
    assert not scenario.beyond_horizon


def test_repaired_prices_are_named_in_the_provenance(tmp_path: Path) -> None:
    """With repair: interpolate the missing hours are straight lines, and the provenance says which."""
    price = f"{{csv: {BAD_DATA / 'prices_gap.csv'}, time: time, value: price, repair: interpolate}}"
    scenario = load_scenario(written(tmp_path, price=price))
    values = scenario.site("a").tariff.import_eur_per_mwh.mean(scenario.horizon) - 30.0
    assert values[9] < values[10] < values[11] < values[12] or values[9] > values[10] > values[11] > values[12]
    np.testing.assert_allclose(values[10:12], values[9] + (values[12] - values[9]) * np.array([1, 2]) / 3)
    (note,) = [sentence for sentence in scenario.provenance if sentence.startswith("Repaired")]
    assert "2 of 24 steps" in note
    assert "2022-07-01T08:00Z" in note


def test_faults_outside_the_horizon_do_not_matter(tmp_path: Path) -> None:
    """A gap on another day says nothing against this one."""
    price = f"{{csv: {BAD_DATA / 'prices_autumn.csv'}, time: time, value: price}}"
    scenario = load_scenario(written(tmp_path, "2022-10-29T00:00", price))
    assert len(scenario.site("a").tariff.import_eur_per_mwh.values) == 24


def test_a_csv_in_another_unit_is_converted(tmp_path: Path) -> None:
    """A column in ct/kWh becomes EUR/MWh."""
    (tmp_path / "p.csv").write_text("t,v\n" + "".join(f"2022-07-01T{hour:02d}:00,{hour}\n" for hour in range(24)))
    scenario = load_scenario(written(tmp_path, price="{csv: p.csv, time: t, value: v, unit: ct/kWh}"))
    assert scenario.site("a").tariff.import_eur_per_mwh.mean(scenario.horizon).tolist() == [
        10.0 * hour + 30 for hour in range(24)
    ]


def test_unknown_profile_is_found_when_loading(tmp_path: Path) -> None:
    """What check does not look at, loading does: a SimBench profile that does not exist."""
    path = written(tmp_path, "2016-05-12T00:00")
    text = path.read_text().replace("tier: hot\n", "tier: hot\n    solar: {peak_kw: 5, profile: PV99}\n", 1)
    path.write_text(text.replace("signals:", "network: {simbench: 1-LV-semiurb4--0-sw}\nsignals:", 1))
    assert check_file(path) == []
    with pytest.raises(InputError) as caught:
        load_scenario(path)
    (finding,) = caught.value.findings
    assert (finding.field, finding.line) == ("site_templates.place.solar.profile", 11)
    assert "PV99" in finding.found


def test_almere_loads() -> None:
    """The shipped district: six sites, sun on the cabinets, every generated job inside the horizon, the same each time."""
    scenario = load_scenario(CONFIGS / "almere.yaml")
    again = load_scenario(CONFIGS / "almere.yaml")
    assert [site.tier for site in scenario.sites].count(Tier.HOT) == 4
    assert all(site.solar_kw is not None for site in scenario.sites if site.tier is Tier.HOT)
    assert len(scenario.jobs) > 50
    assert scenario.jobs == again.jobs
    assert all(job.deadline <= scenario.horizon.end and job.release >= scenario.horizon.start for job in scenario.jobs)
    assert len({job.name for job in scenario.jobs}) == len(scenario.jobs)


@pytest.mark.data
def test_surf_amsterdam_loads_real_jobs(data: Path) -> None:
    """With the real data: at least 500 jobs on at least four sites, sun and wind from weather, jobs left out named."""
    scenario = load_scenario(CONFIGS / "surf_amsterdam.yaml")
    assert len(scenario.jobs) >= 500
    assert len(scenario.sites) >= 4
    assert scenario.horizon.slots == 96
    assert scenario.beyond_horizon
    assert any(site.solar_kw is not None and site.solar_kw.values.max() > 0 for site in scenario.sites)
    assert any(site.wind_kw is not None and site.wind_kw.values.max() > 0 for site in scenario.sites)


@pytest.mark.data
def test_real_prices_on_the_clock_change_are_refused_and_named(tmp_path: Path, data: Path) -> None:
    """The real Dutch prices of 30 October 2022 lack the second 02:00; the finding names that hour."""
    (finding,) = check_file(written(tmp_path, "2022-10-30T00:00", "{market_prices: $OZZO_DATA/prices_eur/NL_2022.csv}"))
    assert "2022-10-30T02:00" in finding.found
    (gap,) = check_file(written(tmp_path, "2022-09-03T00:00", "{market_prices: $OZZO_DATA/prices_eur/NL_2022.csv}"))
    assert "24 rows" in gap.found


def with_work(folder: Path, work: str) -> Path:
    """The base document with another workload."""
    path = written(folder)
    lines = ["workload:" if line.startswith("workload") else line for line in path.read_text().splitlines()]
    lines[lines.index("workload:") + 1] = f"  {work}"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_faulty_model_or_trace_is_found_when_loading(tmp_path: Path) -> None:
    """A job model or a trace of another format is a finding of loading, in its line."""
    for work, field in (
        ("generator: {model: base.yaml, jobs: 3}", "workload.generator.model"),
        ("trace: {opendc: base.yaml}", "workload.trace.opendc"),
    ):
        path = with_work(tmp_path, work)
        assert check_file(path) == []
        with pytest.raises(InputError) as caught:
            load_scenario(path)
        (finding,) = caught.value.findings
        assert finding.field == field


def test_generated_jobs_follow_the_seed_and_their_classes(tmp_path: Path) -> None:
    """The same seed gives the same jobs, another one others; classes decide kind, slack and sites."""
    model = CONFIGS / "data" / "surf_job_model.json"
    classes = "[{name: night, kind: interruptible, slack_h: 6, sites: [b]}]"
    path = with_work(tmp_path, f"generator: {{model: {model}, jobs: 12, longest_minutes: 2 h, classes: {classes}}}")
    first, second = load_scenario(path), load_scenario(path)
    path.write_text(path.read_text().replace("name: base", "name: base\nseed: 2"))
    other = load_scenario(path)
    assert first.jobs == second.jobs
    assert first.jobs != other.jobs
    assert len(first.jobs) + len(first.beyond_horizon) == 12
    for job in first.jobs:
        assert (job.kind, job.sites, job.origin) == (JobKind.INTERRUPTIBLE, ("b",), "generator")
        assert job.duration <= timedelta(hours=2)
        assert job.deadline <= min(job.release + job.duration + timedelta(hours=6), first.horizon.end)


@pytest.mark.data
def test_a_trace_of_another_day_is_moved_to_the_horizon(tmp_path: Path, data: Path) -> None:
    """Real jobs of 5 July land on 1 July, at the same time of day, and the provenance says so."""
    there = load_scenario(with_work(tmp_path, "trace: {opendc: $OZZO_DATA/jobs/surf_2022_tasks.parquet, limit: 20, sites: [a]}"))
    moved = load_scenario(
        with_work(
            tmp_path, "trace: {opendc: $OZZO_DATA/jobs/surf_2022_tasks.parquet, from: 2022-07-05T00:00, limit: 20, sites: [a]}"
        )
    )
    assert there.horizon == moved.horizon
    assert {job.name for job in there.jobs}.isdisjoint(job.name for job in moved.jobs)
    assert all(moved.horizon.start <= job.release < moved.horizon.end for job in moved.jobs)
    assert any("moved by -4 days" in sentence for sentence in moved.provenance)


def test_jobs_of_different_sources_never_share_a_name(tmp_path: Path) -> None:
    """Whatever listed jobs are called, those of the generator keep names of their own: no job stands for two."""
    listed = ", ".join(
        f"{{name: {name}, duration_minutes: 30}}" for name in ("job-001", "job-001.generator", "job-002.generator", "job-002")
    )
    text = (CONFIGS / "minimal.yaml").read_text(encoding="utf-8")
    before = text.partition("workload:")[0]
    generator = f"generator: {{model: {CONFIGS / 'data' / 'surf_job_model.json'}, jobs: 3}}"
    path = tmp_path / "names.yaml"
    path.write_text(f"{before}workload: {{jobs: [{listed}], {generator}}}\n", encoding="utf-8")
    names = [job.name for job in load_scenario(path, environment={}).jobs]
    assert len(names) == 7
    assert len(set(names)) == 7
