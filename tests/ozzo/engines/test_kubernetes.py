"""The Kubernetes engine against a fake API server that the real client talks to over HTTP (see ``api_server``)."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from grid.errors import InputError
from ozzo.authority import server_files
from ozzo.cli import app
from ozzo.commands_queue import carry_out
from ozzo.engines import kubernetes_api
from ozzo.engines.kubernetes import Kubernetes
from ozzo.engines.kubernetes_api import Access, KubernetesApi, KubernetesError
from ozzo.engines.queue import Action, Do, EngineError, QueuedJob, State
from ozzo.engines.queue_shed import restore, shed
from tests.factory import small_scenario
from tests.ozzo.engines.api_server import JOBS, FakeCluster, api_server, kubeconfig
from tests.ozzo.engines.cluster_day import cluster_day
from tests.ozzo.serving import QuietHandler, serving

ROOT = Path(__file__).parents[3]
HALL = next(site for site in small_scenario().sites if site.name == "hall")


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between tries are short."""
    monkeypatch.setattr(kubernetes_api, "WAIT_S", 0.001)


@pytest.fixture(params=[False, True], ids=["plain", "kueue"])
def cluster(request: pytest.FixtureRequest) -> FakeCluster:
    """A cluster, without and with Kueue."""
    return FakeCluster(kueue=request.param)


@pytest.fixture
def engine(cluster: FakeCluster, tmp_path: Path) -> Iterator[Kubernetes]:
    """An engine on it that reads two objects a page."""
    with api_server(cluster, tmp_path) as config:
        api = KubernetesApi(Access(config, timeout_s=5, page=2))
        yield Kubernetes(api)
        api.close()


def put(cluster: FakeCluster, name: str, *, runs: bool = False, **changes: Any) -> dict[str, Any]:
    """A Job, in a queue of Kueue when the cluster has it; its Workload is held by ozzo's plan unless it runs."""
    if not cluster.kueue:
        return cluster.job(name, runs=runs, **changes)
    said = {**changes.pop("annotations", {}), "held-by": None}
    job = cluster.job(name, annotations=said, labels={"kueue.x-k8s.io/queue-name": "batch"}, **changes)
    load = cluster.workload(job, active=runs)
    if not runs:
        load["metadata"]["annotations"] = {"ozzo.energy/held-by": "plan"}
    return job


def target(cluster: FakeCluster, job: dict[str, Any]) -> dict[str, Any]:
    """The object that ozzo steers the Job by."""
    uid = job["metadata"]["uid"]
    loads = [each for path, each in cluster.objects.items() if "/workloads/" in path]
    return next((load for load in loads if load["metadata"]["ownerReferences"][0]["uid"] == uid), job)


def mark(cluster: FakeCluster, job: dict[str, Any]) -> str | None:
    """Who suspended it, as written there."""
    found: str | None = (target(cluster, job)["metadata"].get("annotations") or {}).get("ozzo.energy/held-by")
    return found


def do(what: Do, name: str = "a") -> Action:
    """An action on a Job of the namespace default."""
    at = datetime(2026, 12, 1, 18, tzinfo=UTC) if what is Do.START_AT else None
    return Action(f"default/{name}", what, at, "a test")


def by_name(engine: Kubernetes) -> dict[str, QueuedJob]:
    """The queue."""
    return {job.name: job for job in engine.queue()}


def test_a_queue_in_pages(cluster: FakeCluster, engine: Kubernetes) -> None:
    """Five Jobs come in three pages; requests times parallelism are the width; a finished one is left out."""
    for name in "abcde":
        put(cluster, name, annotations={"deadline": "+12h", "interruptible": "true"}, cpu="500m")
    over = put(cluster, "f")
    over["status"]["conditions"] = [{"type": "Complete", "status": "True"}]
    found = by_name(engine)
    assert list(found) == list("abcde")
    first = found["a"]
    assert (first.tasks, first.cores, first.gpus, first.limit_s, first.held) == (2, 1.0, 0, 3600.0, True)
    assert first.memory_gb == pytest.approx(2 * 2**30 / 1e9)
    assert first.wish is not None
    assert first.wish.pausable
    assert first.wish.deadline - first.submitted == timedelta(hours=12)
    assert sum(path == JOBS.format("default") for _, path, _ in cluster.log) == 3


def test_a_list_that_expires_is_read_from_its_start(cluster: FakeCluster, engine: Kubernetes) -> None:
    """410 Gone in mid-list: nothing is missing and nothing is twice; a list that always expires is an error in words."""
    for name in "abcde":
        put(cluster, name)
    cluster.trouble.gone = 2
    assert list(by_name(engine)) == list("abcde")
    cluster.trouble.gone = 1000
    with pytest.raises(KubernetesError, match="410 Gone"):
        engine.queue()


def test_a_plan_holds_starts_and_suspends(cluster: FakeCluster, engine: Kubernetes) -> None:
    """A Job goes through hold, start, suspension with its run time kept, and start again; mark and wish change together."""
    job = put(cluster, "a", annotations={"interruptible": "true"})
    assert not engine.carry_out(do(Do.START_AT))
    assert mark(cluster, job) == "plan"
    assert target(cluster, job)["metadata"]["annotations"]["ozzo.energy/planned-start"] == "2026-12-01T18:00:00Z"
    assert not engine.carry_out(do(Do.START_NOW))
    assert not job["spec"]["suspend"]
    assert mark(cluster, job) is None
    assert by_name(engine)["a"].state is State.RUNNING
    job["status"]["startTime"] = (datetime.now(UTC) - timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert not engine.carry_out(do(Do.SUSPEND))
    assert job["spec"]["suspend"]
    stopped = by_name(engine)["a"]
    assert stopped.state is State.SUSPENDED
    assert stopped.ran_s == pytest.approx(600, abs=30)
    assert not engine.carry_out(do(Do.RESUME))
    assert not job["spec"]["suspend"]
    patches = [(path, body) for method, path, body in cluster.log if method == "PATCH"]
    assert all("resourceVersion" in body["metadata"] for _, body in patches)
    assert all(("/workloads/" in path) == cluster.kueue for path, _ in patches)


def test_what_somebody_else_suspended_is_never_resumed(cluster: FakeCluster, engine: Kubernetes) -> None:
    """Without ozzo's mark a suspended Job is shown as such, is in no plan, and neither plan nor restore starts it."""
    job = put(cluster, "a")
    target(cluster, job)["metadata"]["annotations"].pop("ozzo.energy/held-by")
    found = by_name(engine)["a"]
    assert (found.wish, found.note) == (None, "suspended by somebody else")
    assert engine.carry_out(do(Do.START_NOW)) == "it was suspended by somebody else"
    assert not engine.restore(["default/a"], "0", reopen=True)
    assert job["spec"]["suspend"]


def test_work_that_would_be_lost_is_not_suspended(cluster: FakeCluster, engine: Kubernetes) -> None:
    """A running Job that is not marked as interruptible goes on, also when only its pods tell that it has begun."""
    job = put(cluster, "a", runs=True)
    assert engine.carry_out(do(Do.SUSPEND)) == "its user does not allow it"
    assert engine.carry_out(do(Do.HOLD)) == "it has begun meanwhile"
    job["status"]["ready"] = 0
    pod: dict[str, Any] = {
        "metadata": {"name": "a-1", "labels": {"batch.kubernetes.io/job-name": "a"}},
        "status": {"phase": "Running"},
    }
    cluster.add("/api/v1/namespaces/default/pods", pod)
    assert by_name(engine)["a"].state is State.RUNNING
    assert engine.carry_out(do(Do.HOLD)) == "it has begun meanwhile"
    pod["status"]["phase"] = "Pending"
    pod["status"]["initContainerStatuses"] = [{"state": {"running": {}}}]
    assert engine.carry_out(do(Do.HOLD)) == "it has begun meanwhile"
    pod["status"]["initContainerStatuses"] = [{"state": {"waiting": {}}}]
    assert not engine.carry_out(do(Do.HOLD))
    assert job["spec"]["suspend"]


def test_conflicts_lost_replies_and_a_busy_server(cluster: FakeCluster, engine: Kubernetes) -> None:
    """Each is answered by a fresh look: the effect is there once, and a change that is there already is not made again."""
    job = put(cluster, "a", runs=True, annotations={"interruptible": "true"})
    cluster.trouble.conflicts, cluster.trouble.busy = 2, 1
    assert not engine.carry_out(do(Do.SUSPEND))
    assert job["spec"]["suspend"]
    cluster.trouble.lost = 1
    before = sum(method == "PATCH" for method, _, _ in cluster.log)
    assert not engine.carry_out(do(Do.RESUME))
    assert not job["spec"]["suspend"]
    assert sum(method == "PATCH" for method, _, _ in cluster.log) == before + 1
    cluster.trouble.conflicts = 1000
    with pytest.raises(KubernetesError, match=r"not changed in 5 tries; last: .*409 the object has been modified"):
        engine.carry_out(do(Do.SUSPEND))


def test_a_refusal_is_told_in_the_servers_words(cluster: FakeCluster, engine: Kubernetes) -> None:
    """403 names what is forbidden and where the rights are listed, for a list and for a change."""
    job = put(cluster, "a")
    cluster.trouble.forbidden = ("PATCH",)
    with pytest.raises(KubernetesError, match=r"403 .* is forbidden.*lists the rights"):
        engine.carry_out(do(Do.START_NOW))
    assert job["spec"]["suspend"]
    cluster.trouble.forbidden = ("GET", "/jobs")
    with pytest.raises(KubernetesError, match="403"):
        engine.queue()


def test_a_job_that_is_gone(cluster: FakeCluster, engine: Kubernetes) -> None:
    """Deleted or over since it was planned: said, and no error."""
    assert engine.carry_out(do(Do.START_NOW)) == "it is gone or over"
    put(cluster, "a")["status"]["conditions"] = [{"type": "Failed", "status": "True"}]
    assert engine.carry_out(do(Do.START_NOW)) == "it is gone or over"


def test_shed_and_restore_give_back_exactly(cluster: FakeCluster, engine: Kubernetes, tmp_path: Path) -> None:
    """Those that can wait longest stand still and waiting ones are held; afterwards every object is as it was but for notes."""
    pausable = {"interruptible": "true"}
    late = put(cluster, "late", runs=True, annotations=pausable | {"deadline": "+20h"})
    soon = put(cluster, "soon", runs=True, annotations=pausable | {"deadline": "+5h"})
    rigid = put(cluster, "rigid", runs=True)
    waits = put(cluster, "waits", runs=True)
    waits["status"] |= {"ready": 0, "active": 0}
    held = put(cluster, "held")
    book = tmp_path / "book.json"
    done = shed(engine, HALL, 0.04, "a signal", book)
    assert (done.jobs, done.waiting) == (("default/late",), ("default/waits",))
    assert done.kw == pytest.approx(0.05)  # two cores of 16 that add 0.4 kW
    assert [job["spec"]["suspend"] for job in (late, soon, rigid, waits, held)] == [True, False, False, True, True]
    assert not engine.opened()
    with pytest.raises(EngineError, match="restore it first"):
        shed(engine, HALL, 1, "again", book)
    assert by_name(engine)["late"].note == "suspended to shed load; restore gives it back"
    assert "held by shed" in engine.carry_out(do(Do.RESUME, "late"))
    undone = carry_out(engine, [do(Do.START_NOW, "held")], lambda _: None)
    assert undone == ["job default/held: not start now: the queue is closed (load is shed?)"]
    again = restore(engine, book)
    assert (again.jobs, again.waiting) == (("default/late",), ("default/waits",))
    assert [job["spec"]["suspend"] for job in (late, soon, rigid, waits, held)] == [False, False, False, False, True]
    assert mark(cluster, late) is None
    assert engine.opened()
    assert not book.exists()


def test_a_book_of_another_cluster_is_kept(cluster: FakeCluster, engine: Kubernetes, tmp_path: Path) -> None:
    """Restoring on the wrong cluster neither changes it nor throws the book away."""
    book = tmp_path / "book.json"
    shed(engine, HALL, 0.0, "a test", book)
    book.write_text(book.read_text().replace(engine.api.host, "https://elsewhere.example"))
    with pytest.raises(EngineError, match="load was shed on namespace default at https://elsewhere"):
        restore(engine, book)
    assert book.exists()


def test_killed_between_two_patches(cluster: FakeCluster, engine: Kubernetes, tmp_path: Path) -> None:
    """A shedding that dies by SIGKILL after the first of two suspensions: restore gives back that one and starts nothing else."""
    jobs = [put(cluster, name, runs=True, annotations={"interruptible": "true"}) for name in ("a", "b")]
    other = put(cluster, "other")
    target(cluster, other)["metadata"]["annotations"].pop("ozzo.energy/held-by")
    book, config = tmp_path / "book.json", tmp_path / "kubeconfig"
    cluster.trouble.stall_at = 2
    code = f"""
from pathlib import Path
from ozzo.engines.kubernetes import Kubernetes
from ozzo.engines.kubernetes_api import Access, KubernetesApi, WAIT_S
import ozzo.engines.kubernetes_api as api
from ozzo.engines.queue_shed import shed
from tests.ozzo.engines.test_kubernetes import HALL
api.WAIT_S = 60.0  # it hears nothing, and waits before it looks again
shed(Kubernetes(KubernetesApi(Access(Path({str(config)!r})))), HALL, 9.0, "a test", Path({str(book)!r}))
"""
    child = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    try:
        assert cluster.trouble.stalled.wait(120)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    cluster.trouble.stall_at = -1
    assert sorted(job["spec"]["suspend"] for job in jobs) == [False, True]
    restore(engine, book)
    assert [job["spec"]["suspend"] for job in (*jobs, other)] == [False, False, True]
    assert not book.exists()


def test_nodes_that_count(cluster: FakeCluster, engine: Kubernetes) -> None:
    """Ready nodes that take pods, by label when one is given; the cores are those that pods may have."""
    assert engine.size() == (2, 7)
    assert Kubernetes(engine.api, nodes="pool=batch").size() == (1, 3)
    cluster.objects["/api/v1/nodes/n0"]["spec"]["unschedulable"] = True
    cluster.objects["/api/v1/nodes/n1"]["spec"]["taints"] = [{"key": "gpu", "effect": "NoSchedule"}]
    with pytest.raises(KubernetesError, match="no node that is ready"):
        engine.size()
    assert Kubernetes(engine.api, nodes="pool=batch").size() == (1, 3)


def test_kueue_undoes_what_is_done_behind_its_back(tmp_path: Path) -> None:
    """Why Workloads are steered: the fake shows that a Job of a queue that is suspended itself runs again."""
    cluster = FakeCluster(kueue=True)
    job = put(cluster, "a", runs=True)
    with api_server(cluster, tmp_path) as config:
        api = KubernetesApi(Access(config))
        api.patch(f"{JOBS.format('default')}/a", {"spec": {"suspend": True}})
        api.close()
    assert not job["spec"]["suspend"]


def test_credentials_are_read_safely(tmp_path: Path) -> None:
    """No verification of TLS, a token in clear text beyond loopback, a legacy provider, no file, no YAML: refused with file."""
    unsafe = {"insecure-skip-tls-verify": True}
    for server, cluster, expected in (
        ("https://api.example", unsafe, "insecure-skip-tls-verify: found true"),
        ("http://api.example", {}, "found http://api.example; expected https://"),
    ):
        with pytest.raises(InputError, match=expected):
            KubernetesApi(Access(kubeconfig(tmp_path / "c", server, **cluster)))
    file = kubeconfig(tmp_path / "c", "https://api.example")
    with pytest.raises(InputError, match=r"found .*context.*; expected a kubeconfig, or a context"):
        KubernetesApi(Access(file, context="none"))
    file.write_text(file.read_text().replace("token: not-a-secret", "auth-provider: {name: oidc}"))
    with pytest.raises(InputError, match=r"users.ozzo.user: found auth-provider"):
        KubernetesApi(Access(file))
    file.write_text("a: [")
    with pytest.raises(InputError, match=r"c:1: found no YAML"):
        KubernetesApi(Access(file))
    with pytest.raises(InputError, match="No such file"):
        KubernetesApi(Access(tmp_path / "none"))


def test_a_certificate_is_verified(tmp_path: Path) -> None:
    """With the root that signed it the server is spoken to; with another root nothing is sent to it."""
    cluster = FakeCluster()
    files, other = (server_files(tmp_path / name, "a test", ["127.0.0.1"]) for name in ("mine", "other"))
    with api_server(cluster, tmp_path, files) as config:
        api = KubernetesApi(Access(config))
        assert len(api.items("/api/v1/nodes")) == 2
        api.close()
        config.write_text(config.read_text().replace(str(files.root), str(other.root)))
        asked = len(cluster.log)
        with pytest.raises(KubernetesError, match="CERTIFICATE_VERIFY_FAILED"):
            KubernetesApi(Access(config)).items("/api/v1/nodes")
        assert len(cluster.log) == asked


def test_inside_a_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a kubeconfig, the pod's own token goes to the server whose certificate the pod's own root has signed."""
    cluster = FakeCluster()
    files = server_files(tmp_path / "tls", "a test", ["127.0.0.1"])
    token = tmp_path / "token"
    token.write_text("of-the-pod")
    monkeypatch.setattr(kubernetes_api, "TOKEN", token)
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_CERT_FILENAME", str(files.root))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    with api_server(cluster, tmp_path, files) as config:
        port = re.findall(r"127\.0\.0\.1:(\d+)", config.read_text())[0]
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
        api = KubernetesApi(Access())
        assert len(api.items("/api/v1/nodes")) == 2
        api.close()
    assert {str(each).lower() for each in cluster.credentials} == {"bearer of-the-pod"}


def test_the_commands_from_a_users_side(tmp_path: Path) -> None:
    """Queue, shed and restore by the command line; a wrong namespace is told before anything is asked."""
    cluster = FakeCluster()
    cluster.job("a", runs=True, annotations={"interruptible": "true"})
    cluster.job("b", "team", annotations={"runtime": "soon"})
    with api_server(cluster, tmp_path) as config:
        where = ["--kubeconfig", str(config), "--namespace", "default", "--namespace", "team"]
        told = CliRunner().invoke(app, ["kubernetes", "queue", *where, "--json"])
        rows = {row["job"]: row for row in json.loads(told.stdout)["jobs"]}
        assert told.exit_code == 1
        assert (rows["default/a"]["pausable"], rows["team/b"]["faults"][0][:20]) == (True, "ozzo.energy/runtime:")
        assert "ozzo.energy/runtime" in CliRunner().invoke(app, ["kubernetes", "queue", *where], env={"COLUMNS": "300"}).stdout
        where += ["--book", str(tmp_path / "book.json")]
        scenario = [str(ROOT / "configs/minimal.yaml"), "--site", "hall", "--kw", "9", "--reason", "a test"]
        assert "1 jobs suspended" in CliRunner().invoke(app, ["kubernetes", "shed", *scenario, *where]).stdout
        assert "1 jobs resumed" in CliRunner().invoke(app, ["kubernetes", "restore", *where]).stdout
        wrong = CliRunner().invoke(app, ["kubernetes", "queue", "--namespace", "No_such", "--namespace", "a/b"])
    assert isinstance(wrong.exception, InputError)
    assert len(wrong.exception.findings) == 2


def test_a_plan_from_a_users_side(tmp_path: Path) -> None:
    """A Job that must start now is started, one with time is held with the moment that is planned; in Kueue nothing is lost."""
    cluster = FakeCluster(kueue=True)
    now = datetime.now(UTC)
    end = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=2)
    urgent = cluster.job("urgent", annotations={"runtime": f"{(end - now).seconds // 60 - 16}m", "deadline": end.isoformat()})
    patient = put(cluster, "patient", runs=True, annotations={"deadline": "+20h"})
    patient["status"] |= {"active": 0, "ready": 0}
    day = cluster_day(tmp_path / "s.yaml", nodes=2)
    with api_server(cluster, tmp_path) as config:
        words = ["kubernetes", "plan", str(day), "--site", "hall", "--kubeconfig", str(config), "--apply", "--json"]
        answer = CliRunner().invoke(app, words)
    assert answer.exit_code == 0, answer.output
    told = json.loads(answer.stdout)
    assert (told["verdict"], told["applied"], told["not_done"]) == ("passed", True, [])
    wanted = {action["job"]: action for action in told["actions"]}
    assert (told["status"], wanted["default/patient"]["do"]) == ("optimal", "start at")
    load = target(cluster, patient)
    assert load["spec"]["active"] is False
    at = datetime.fromisoformat(wanted["default/patient"]["at"])
    assert datetime.fromisoformat(load["metadata"]["annotations"]["ozzo.energy/planned-start"]) == at
    assert patient["spec"]["suspend"]
    assert urgent["spec"]["suspend"] == (wanted["default/urgent"]["do"] == "start at")


def test_no_server_and_one_that_is_none(tmp_path: Path) -> None:
    """Nobody listens; somebody listens who sends a page, or a list that is none: all in words, without the token."""
    with pytest.raises(KubernetesError, match="no connection, or it broke") as told:
        Kubernetes(KubernetesApi(Access(kubeconfig(tmp_path / "c", "http://127.0.0.1:9")))).queue()
    assert "not-a-secret" not in str(told.value)
    said = [b"<html>", b"[]", b'{"items": [1]}']

    class Other(QuietHandler):
        def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
            self.send_response(200)
            self.end_headers()
            self.wfile.write(said[0])

    with serving(Other) as address:
        api = KubernetesApi(Access(kubeconfig(tmp_path / "c", address)))
        for expected in ("the answer is no JSON", "the answer is no object", "no list of objects"):
            with pytest.raises(KubernetesError, match=expected):
                api.items("/api/v1/nodes")
            said.pop(0)
        api.close()
