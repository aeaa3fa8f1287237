"""``ozzo replay``: one line from files to figures, and one clear error for each fault that files of this kind have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from grid.errors import InputError
from ozzo.commands_replay import Request, policies_text, replay_text
from sim.replay.policies.registry import POLICIES
from tests.ozzo.test_cli import ozzo

HOURS = 96
JOBS = "arrival_time,length,cpus\n0,3600,2\n1800,7200,1\n7200,36000,4\n"
"""Three jobs: 2, 2 and 40 processor hours."""


def carbon_text(skip: int | None = None, value: float | None = None) -> str:
    """Four days by the hour: 100 g/kWh at night, 300 from 6 to 18; one hour left out, or all of them one value."""
    rows = [
        f"2024-01-{1 + hour // 24:02d} {hour % 24:02d}:00:00+00:00,{value or (300 if 6 <= hour % 24 < 18 else 100)}"
        for hour in range(HOURS)
        if hour != skip
    ]
    return "datetime,carbon_intensity_avg\n" + "\n".join(rows) + "\n"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """A trace, a carbon series and a price: 30 EUR/MWh up to 12 h of the first day, 130 from then on."""
    made = {"jobs": tmp_path / "jobs.csv", "carbon": tmp_path / "carbon.csv", "price": tmp_path / "price.csv"}
    made["jobs"].write_text(JOBS)
    made["carbon"].write_text(carbon_text())
    rows = [f"2024-01-{1 + hour // 24:02d} {hour % 24:02d}:00:00+00:00,{130 if hour >= 12 else 30}" for hour in range(HOURS)]
    made["price"].write_text("Datetime (UTC),Price (EUR/MWh)\n" + "\n".join(rows) + "\n")
    return made


def request(files: dict[str, Path], **changes: Any) -> Request:
    """Carbon only, GAIA's waits, 1 kW a processor."""
    values: dict[str, Any] = {
        "jobs": str(files["jobs"]),
        "carbon": str(files["carbon"]),
        "price": None,
        "policy": "fifo",
        "start": None,
        "horizon": None,
        "wait": "6:24@2",
        "done_within": None,
        "machines": None,
        "watts": 1000.0,
        "place": "52.37:4.90",
        "time_zone": "Europe/Amsterdam",
        "repair": False,
    }
    return Request(**(values | changes))


def figures(files: dict[str, Path], **changes: object) -> dict[str, object]:
    """The JSON of a replay."""
    found: dict[str, object] = json.loads(replay_text(request(files, **changes), as_json=True))
    return found


def test_one_line_prints_what_was_promised(files: dict[str, Path]) -> None:
    """By hand. At once: 2 x 100, 1 x 2 h x 100, and 4 x (4 h x 100 + 6 h x 300) = 9.2 kg; at night all of it 4.4 kg."""
    done = ozzo(
        *(
            "replay",
            "--jobs",
            str(files["jobs"]),
            "--carbon",
            str(files["carbon"]),
            "--policy",
            "oracle",
            "--watts",
            "1000",
            "--json",
        )
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["energy_kwh"] == pytest.approx(44.0)
    assert found["carbon_relative"] == found["bound_contiguous"] == pytest.approx(4.4 / 9.2)
    assert found["bound_interruptible"] == pytest.approx(4.4 / 9.2)
    assert found["deadline_misses"] == 0
    assert found["mean_wait_h"] == pytest.approx(16 / 3)
    assert found["cost_relative"] is None
    assert found["share_of_bound"] == pytest.approx(1.0)
    assert found["jobs"] == 3
    assert "calendar" in found["notes"][0]


def test_cost_beside_carbon(files: dict[str, Path]) -> None:
    """Dear from hour 12 on: the long job (2 to 12) costs least at once, so price-only does not move it."""
    found = figures(files, policy="price-only", price=str(files["price"]))
    assert found["cost_relative"] == pytest.approx(1.0)
    assert found["cost"] == pytest.approx(44 * 0.03)
    assert found["price_unit"] == "EUR/MWh"
    moved = figures(files, policy="oracle", price=str(files["price"]))
    assert moved["cost"] == pytest.approx((4 * 30 + 40 * 130) / 1000)


@pytest.mark.slow
def test_start_horizon_and_machines(files: dict[str, Path]) -> None:
    """The first arrival moves to 6 h, where all is dear; only two jobs; on 2 processors the second waits half an hour."""
    found = figures(files, start="2024-01-01T06:00Z", horizon=1.0, machines=2)
    assert found["jobs"] == 2
    assert found["carbon_kg"] == pytest.approx(4 * 0.3)
    assert found["first_arrival"] == "2024-01-01T06:00:00+00:00"
    assert found["mean_wait_h"] == pytest.approx(0.25)
    assert found["machines"] == 2
    assert found["peak_cpus"] == 2


def test_done_within_leaves_long_jobs_alone(files: dict[str, Path]) -> None:
    """All within 10 h: the job of 10 h cannot move, the two others have no reason to."""
    assert figures(files, done_within=10.0, policy="oracle")["carbon_relative"] == 1.0
    assert figures(files, done_within=26.0, policy="oracle")["carbon_relative"] == pytest.approx(4.4 / 9.2)


@pytest.mark.slow
@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_every_policy_answers(files: dict[str, Path], policy: str) -> None:
    """With limit and price, in time and within its bound."""
    found = figures(files, policy=policy, price=str(files["price"]), machines=8)
    assert found["policy"] == policy
    assert found["deadline_misses"] == 0
    if policy != "carbonscaler":
        assert float(str(found["carbon_relative"])) >= float(str(found["bound_interruptible"])) - 1e-9


def test_what_does_not_heed_the_machine_says_so(files: dict[str, Path]) -> None:
    """The note counts the processors."""
    notes = figures(files, policy="oracle", machines=4)["notes"]
    assert "uses up to 4 processors, which there are" in str(notes)
    assert "without --machines runs every job at its arrival" in str(figures(files)["notes"])
    assert "no programme had to be solved" in str(figures(files, policy="milp")["notes"])


def test_tables_for_people(files: dict[str, Path]) -> None:
    """The figures with their names; the list of policies with what each knows."""
    text = replay_text(request(files, policy="oracle", price=str(files["price"])), as_json=False)
    assert "0.4783" in text
    assert "cost (of EUR/MWh)" in text
    listed = policies_text(as_json=False)
    assert all(name in listed for name in POLICIES)
    rows = {row["policy"]: row for row in json.loads(policies_text(as_json=True))["policies"]}
    assert rows["threshold"]["knows"] == "past"
    assert ozzo("replay", "--jobs", "x", "--carbon", "y", "--policy", "list", "--json").returncode == 0


def broken(files: dict[str, Path], which: str, text: str) -> None:
    """Another text in a file."""
    files[which].write_text(text)


@pytest.mark.parametrize(
    ("which", "text", "options", "says"),
    [
        ("carbon", carbon_text(skip=9), (), "gap at 2024-01-01T09:00Z"),
        ("carbon", carbon_text() + "2024-01-01 05:00:00+00:00,7\n", (), "unsorted"),
        ("carbon", carbon_text().replace("2024-01-02 05:00:00+00:00", "2024-01-02 05:00:00"), (), "expected one clock"),
        ("carbon", carbon_text(value=-5), (), "expected nothing below 0"),
        ("carbon", "hello\n", (), "expected a column of times"),
        ("jobs", JOBS + "9000,-60,1\n", (), "jobs.csv:5: length: found -60"),
        ("jobs", JOBS + "9000,60,0\n", (), "jobs.csv:5: cpus: found 0"),
        ("jobs", JOBS, ("--machines", "3"), "cpus: found 4 (job 3); expected at most the 3 of the machine"),
        ("jobs", JOBS, ("--machines", "0"), "does not say how large its machine is"),
        ("jobs", JOBS, ("--start", "2024-01-03T20:00Z"), "expected 2024-01-03T20:00Z to 2024-01-05T08:00Z"),
        ("jobs", JOBS, ("--start", "2024-01-03T20:00"), "a time with its zone"),
        ("jobs", JOBS, ("--start", "soon"), "a time with its zone"),
        ("jobs", JOBS, ("--place", "52"), "LAT:LON"),
        ("jobs", JOBS, ("--place", "99:0"), "a latitude from -90 to 90"),
        ("jobs", JOBS, ("--wait", "6-24"), "SHORT:LONG@LIMIT"),
        ("jobs", JOBS, ("--horizon", "0"), "hours above 0"),
        ("jobs", JOBS, ("--watts", "0"), "watts above 0"),
        ("jobs", JOBS, ("--policy", "orakle"), "did you mean 'oracle'?"),
        ("jobs", JOBS, ("--policy", "price-only"), "price-only follows it"),
        ("jobs", JOBS, ("--price", "no/such.csv"), "--price: found no such file"),
    ],
)
def test_wrong_input_is_one_line_and_code_2(
    files: dict[str, Path], which: str, text: str, options: tuple[str, ...], says: str
) -> None:
    """Nothing on standard output, no traceback, the fault named."""
    broken(files, which, text)
    done = ozzo("replay", "--jobs", str(files["jobs"]), "--carbon", str(files["carbon"]), *options)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not done.stdout


def test_all_faults_at_once(files: dict[str, Path]) -> None:
    """Policy, waits, trace, carbon and price in one answer."""
    broken(files, "jobs", JOBS + "9000,-60,1\n")
    broken(files, "carbon", "hello\n")
    wrong = request(files, policy="orakle", wait="x", price="no/such.csv", machines=-1)
    with pytest.raises(InputError) as error:
        replay_text(wrong, as_json=True)
    fields = [finding.field for finding in error.value.findings]
    assert fields == ["--machines", "--policy", "--wait", "length", "--carbon: time", "--price"]


def test_repairs_are_counted_by_file(files: dict[str, Path]) -> None:
    """A hole, a negative run time, a job that is too wide: mended when asked for, and told."""
    broken(files, "jobs", JOBS + "9000,-60,1\n9100,60,99\n")
    broken(files, "carbon", carbon_text(skip=9))
    found = figures(files, repair=True, machines=8)
    assert found["jobs"] == 3
    assert found["repairs"] == {
        str(files["jobs"]): {"negative run times left out": 1, "jobs wider than the machine left out": 1},
        str(files["carbon"]): {"gap": 1, "steps filled by straight lines": 1},
    }
    assert "1 negative run times left out" in replay_text(request(files, repair=True, machines=8), as_json=False)


@pytest.mark.parametrize(
    ("jobs", "changes", "says"),
    [
        (JOBS, {"watts": float("inf")}, "--watts: found inf"),
        (JOBS, {"done_within": float("inf")}, "Unix second"),
        (JOBS, {"wait": "1e300"}, "Unix second 3.6e[+]303"),
        (JOBS, {"start": "9999-12-31T23:59Z"}, "expected 9999-12-31T23:59Z"),
        ("arrival_time,length,cpus\n1e300,10,1\n", {}, "Unix second 1e[+]300"),
        ("arrival_time,length,cpus\n0,10," + "9" * 200_000 + "\n", {}, "expected a table of text"),
    ],
    ids=["watts", "done within", "wait", "start", "arrival", "a cell without end"],
)
def test_times_and_powers_beyond_all_bounds(files: dict[str, Path], jobs: str, changes: dict[str, Any], says: str) -> None:
    """Moments that no calendar has and an endless power are findings, and no other error."""
    files["jobs"].write_text(jobs)
    with pytest.raises(InputError, match=says):
        replay_text(request(files, **changes), as_json=True)
