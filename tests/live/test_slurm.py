"""A real Slurm of four virtual nodes: queue, holds, starts at a time, pauses, and load shed without anybody slipping in."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ozzo.cli import app
from ozzo.engines.queue import Action, Do
from ozzo.engines.slurm import Slurm, SlurmError
from tests.live.slurm_cluster import SlurmCluster, missing, wait_for
from tests.ozzo.engines.cluster_day import cluster_day

pytestmark = [pytest.mark.live, pytest.mark.slow]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    """One cluster for all tests of this file; each cleans its own jobs away."""
    if missing():
        pytest.skip(f"Slurm is not installed: {', '.join(missing())} (Debian: slurmctld slurmd slurm-client munge)")
    with SlurmCluster(tmp_path_factory.mktemp("slurm") / "c") as found:
        yield found


@pytest.fixture(autouse=True)
def clean(cluster: SlurmCluster) -> Iterator[None]:
    """No jobs are left, and the partition is open."""
    yield
    cluster.run("scancel", "--partition=main", check=False)
    cluster.run("scontrol", "update", "PartitionName=main", "State=UP")
    wait_for(lambda: not cluster.run("squeue", "-h").strip(), "an empty queue")


def told(*arguments: str, code: int = 0) -> dict[str, Any]:
    """JSON answer of a command."""
    answer = CliRunner().invoke(app, [*arguments, "--json"])
    assert answer.exit_code == code, answer.output
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def test_nothing_of_the_cluster_listens_beyond_loopback(cluster: SlurmCluster) -> None:
    """The tests' own daemons keep to 127.0.0.1."""
    ports = [int(word.split("=")[1]) for word in cluster.conf.read_text().split() if word.startswith(("Port=", "SlurmctldPort="))]
    hexes = {f"{port:04X}" for port in ports}
    rows = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:] if line.split()[3] == "0A"]
    mine = [row.split(":")[0] for row in rows if row.split(":")[1] in hexes]
    assert len(mine) == len(ports)
    assert set(mine) == {socket.inet_aton("127.0.0.1")[::-1].hex().upper()}


def test_queue_tells_whose_jobs_may_move(cluster: SlurmCluster) -> None:
    """A tagged job, one with Slurm's own deadline, one that is nobody's to move, one whose comment cannot be read."""
    tagged = cluster.submit("--hold", "--time=10", "--nodes=2", "--ntasks=4", "--comment=ozzo: deadline=+6h, pausable")
    dated = cluster.submit("--hold", "--time=5", "--deadline=now+3hours")
    plain = cluster.submit("--hold", "--time=5")
    odd = cluster.submit("--hold", "--time=5", "--comment=ozzo: soon")
    answer = told("slurm", "queue", "--conf", str(cluster.conf), code=1)
    rows = {row["job"]: row for row in answer["jobs"]}
    assert (rows[tagged]["tasks"], rows[tagged]["cores"], rows[tagged]["held"]) == (2, 4, True)
    assert rows[tagged]["pausable"]
    assert datetime.fromisoformat(rows[dated]["deadline"]) > datetime.now(UTC) + timedelta(hours=2)
    assert rows[plain]["deadline"] is None
    assert "soon" in rows[odd]["faults"][0]
    assert Slurm("main", cluster.conf).size() == (4, 8)


def test_a_plan_starts_what_is_due_and_sets_the_time_of_the_rest(cluster: SlurmCluster, tmp_path: Path) -> None:
    """A job with little time starts at once; one with time gets the cheap hours as its start time, and is no longer held."""
    now = datetime.now(UTC)
    end = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=2)  # 60 to 120 minutes from now
    minutes = int((end - now).total_seconds() // 60) - 16
    urgent = cluster.submit("--hold", f"--time={minutes}", f"--comment=ozzo: deadline={end:%Y-%m-%dT%H:%M}+00:00")
    patient = cluster.submit("--hold", "--time=60", "--nodes=4", "--ntasks=8", "--comment=ozzo: deadline=+20h")
    file = cluster_day(tmp_path / "s.yaml")
    looked = told("slurm", "plan", str(file), "--site", "hall", "--conf", str(cluster.conf))
    assert looked["applied"] is False
    assert cluster.state(urgent) == "PENDING"
    done = told("slurm", "plan", str(file), "--site", "hall", "--conf", str(cluster.conf), "--apply")
    assert (done["verdict"], done["applied"]) == ("passed", True)
    wanted = {action["job"]: action for action in done["actions"]}
    assert wanted[patient]["do"] == "start at"
    assert "planned from" in wanted[patient]["why"]
    start = datetime.fromisoformat(wanted[patient]["at"])
    cheap = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=3)
    assert cheap <= start <= cheap + timedelta(hours=2)
    jobs = {job.key: job for job in Slurm("main", cluster.conf).queue()}
    assert not jobs[patient].held
    assert jobs[patient].begins == start
    if wanted[urgent]["do"] == "start now":
        wait_for(lambda: cluster.state(urgent) == "RUNNING", "the urgent job to run")
    else:
        assert jobs[urgent].begins == datetime.fromisoformat(wanted[urgent]["at"])


def test_shed_lets_nobody_slip_in_and_restore_gives_all_back(cluster: SlurmCluster, tmp_path: Path) -> None:
    """Two of three pausable jobs are suspended for 0.8 kW; a waiting job does not take their nodes; afterwards all run on."""
    file, book = cluster_day(tmp_path / "s.yaml"), tmp_path / "book.json"
    running = [
        cluster.submit("--time=30", "--nodes=1", "--ntasks=2", f"--comment=ozzo: deadline=+{hours}h, pausable")
        for hours in (4, 9, 6)
    ]
    rigid = cluster.submit("--time=30", "--nodes=1", "--ntasks=2")
    wait_for(lambda: all(cluster.state(job) == "RUNNING" for job in [*running, rigid]), "four running jobs")
    waiting = cluster.submit("--time=30", "--nodes=1", "--ntasks=2")
    common = ("--partition", "main", "--conf", str(cluster.conf), "--book", str(book))
    done = told("slurm", "shed", str(file), "--site", "hall", "--kw", "0.7", "--reason", "signal of the grid", *common)
    assert done["jobs"] == [running[1], running[2]]  # those that can wait longest
    assert done["kw"] == pytest.approx(0.8)
    assert [cluster.state(job) for job in running] == ["RUNNING", "SUSPENDED", "SUSPENDED"]
    assert cluster.state(rigid) == "RUNNING"
    answer = CliRunner().invoke(app, ["slurm", "shed", str(file), "--site", "hall", "--kw", "1", "--reason", "again", *common])
    assert answer.exit_code != 0
    assert cluster.state(waiting) == "PENDING"
    assert Slurm("main", cluster.conf).state() == "DOWN"
    told("slurm", "restore", *common)
    wait_for(lambda: all(cluster.state(job) == "RUNNING" for job in running), "the suspended jobs to run on")
    assert Slurm("main", cluster.conf).state() == "UP"
    assert not book.exists()


def test_more_than_there_is_to_shed_is_said(cluster: SlurmCluster, tmp_path: Path) -> None:
    """Everything that may be paused is paused, and the exit code says that it is not enough."""
    file, book = cluster_day(tmp_path / "s.yaml"), tmp_path / "book.json"
    job = cluster.submit("--time=30", "--comment=ozzo: pausable")
    wait_for(lambda: cluster.state(job) == "RUNNING", "the job to run")
    where = ("--conf", str(cluster.conf), "--book", str(book))
    done = told("slurm", "shed", str(file), "--site", "hall", "--kw", "5", "--reason", "test", *where, code=1)
    assert done["jobs"] == [job]
    told("slurm", "restore", *where)


def test_a_plan_pauses_and_goes_on(cluster: SlurmCluster) -> None:
    """Suspend and resume by number; what Slurm refuses is an error in its words."""
    slurm = Slurm("main", cluster.conf)
    job = cluster.submit("--time=30", "--comment=ozzo: pausable")
    wait_for(lambda: cluster.state(job) == "RUNNING", "the job to run")
    assert not slurm.carry_out(Action(job, Do.SUSPEND, None, "a test"))
    assert cluster.state(job) == "SUSPENDED"
    assert not slurm.carry_out(Action(job, Do.RESUME, None, "a test"))
    assert cluster.state(job) == "RUNNING"
    with pytest.raises(SlurmError, match="scontrol suspend 999999"):
        slurm.suspend([999_999])
    with pytest.raises(SlurmError, match="no partition 'none'"):
        Slurm("none", cluster.conf).size()


def test_a_running_job_without_a_place_is_suspended_and_told(cluster: SlurmCluster, tmp_path: Path) -> None:
    """Until its deadline two waiting jobs fit instead of the one that runs: it is suspended, told with its fate, exit code 1."""
    wide = cluster.submit("--time=60", "--nodes=4", "--ntasks=8", "--comment=ozzo: pausable, deadline=+1.5h")
    wait_for(lambda: cluster.state(wide) == "RUNNING", "the job to run")
    for _ in range(2):
        cluster.submit("--hold", "--time=60", "--nodes=2", "--ntasks=4", "--comment=ozzo: deadline=+1.5h")
    file = cluster_day(tmp_path / "s.yaml")
    done = told("slurm", "plan", str(file), "--site", "hall", "--conf", str(cluster.conf), "--apply", code=1)
    assert done["applied"], done
    assert [finding["field"] for finding in done["not_planned"]] == [f"slurm-{wide}"]
    assert done["not_planned"][0]["found"].startswith("left out, to be suspended; ")
    assert cluster.state(wide) == "SUSPENDED"


def test_a_cluster_smaller_than_its_site_is_refused(cluster: SlurmCluster, tmp_path: Path) -> None:
    """A plan would count on nodes that are not there."""
    file = cluster_day(tmp_path / "s.yaml", nodes=9)
    answer = CliRunner().invoke(app, ["slurm", "plan", str(file), "--site", "hall", "--conf", str(cluster.conf)])
    assert answer.exit_code != 0
    assert "9 nodes, the cluster has 4" in str(answer.exception)
