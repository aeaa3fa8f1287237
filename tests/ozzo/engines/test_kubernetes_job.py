"""What a Job says: annotations, requests, owners, Kueue; every fault at once (no cluster)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ozzo.engines.kubernetes_job import Steered, queued
from ozzo.engines.queue import QueuedJob, State
from ozzo.engines.queue_plan import with_queue
from tests.factory import START, small_scenario
from tests.ozzo.engines.api_server import FakeCluster

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)


def job(**changes: Any) -> dict[str, Any]:
    """A Job of the fake cluster that its submitter holds for ozzo."""
    return FakeCluster().job("a", **changes)


def read(thing: dict[str, Any], **around: Any) -> QueuedJob:
    """It as a job of a queue."""
    found = queued(Steered(thing, **around), NOW)
    assert found is not None
    return found


def test_all_faults_are_told_at_once() -> None:
    """Six typing errors are six faults, with the nearest name, and the Job is nobody's to move."""
    said = {"runtime": "soon", "deadline": "tomorrow", "interruptible": "yes", "deadlin": "+3h", "held-by": "me"}
    found = read(job(annotations=said, cpu="two"))
    assert found.wish is None
    expected = (
        "deadlin;",
        "ozzo.energy/deadline: 'tomorrow'",
        "ozzo.energy/runtime: 'soon'",
        "ible: 'yes'",
        "held-by: 'me'",
        "'two'",
    )
    for part in expected:
        assert sum(part in fault and "expected" in fault for fault in found.faults) == 1, part
    assert len(found.faults) == len(expected)
    assert "did you mean ozzo.energy/deadline?" in found.faults[0]


@pytest.mark.parametrize(("text", "seconds"), [("2h", 7200), ("90m", 5400), ("1h30m", 5400), ("45s", 45), ("1.5h", 5400)])
def test_run_times(text: str, seconds: float) -> None:
    """Hours, minutes, seconds; the shorter of it and the Job's own deadline counts."""
    assert read(job(annotations={"runtime": text})).limit_s == seconds
    assert read(job(annotations={"runtime": text}, spec={"activeDeadlineSeconds": 30})).limit_s == 30
    assert read(job(annotations={"runtime": None}, spec={"activeDeadlineSeconds": 30})).limit_s == 30


@given(
    st.dictionaries(
        st.sampled_from(["runtime", "deadline", "interruptible", "held-by", "ran-seconds", "odd"]), st.text(max_size=30)
    )
)
def test_any_annotations_are_read_or_told(said: dict[str, str]) -> None:
    """Whatever users write, it is a wish or a list of faults that say what was expected, and never both."""
    found = read(job(annotations=said))
    assert found.wish is None or not found.faults
    assert all("expected" in fault for fault in found.faults)
    assert found.wish is not None or found.faults or found.note


def test_requests_are_counted_as_the_scheduler_does() -> None:
    """Containers and sidecars together or the largest start, limits for lack of requests, overhead, GPUs; pods that are left."""
    pod: dict[str, Any] = {
        "initContainers": [
            {"restartPolicy": "Always", "resources": {"requests": {"cpu": "250m"}}},
            {"resources": {"requests": {"cpu": "1", "memory": "4G"}}},
        ],
        "containers": [
            {"resources": {"requests": {"cpu": "1500m", "memory": "1G"}, "limits": {"nvidia.com/gpu": "2"}}},
            {"resources": {"limits": {"cpu": "500m"}}},
        ],
        "overhead": {"cpu": "100m"},
    }
    thing = job(spec={"template": {"spec": pod}, "parallelism": 4, "completions": 10})
    thing["status"]["succeeded"] = 7
    found = read(thing)
    assert found.tasks == 3
    assert found.cores == pytest.approx(3 * (0.25 + 1.5 + 0.5 + 0.1))
    assert found.memory_gb == pytest.approx(3 * 4.0)
    assert found.gpus == 6
    pod["resources"] = {"requests": {"cpu": "3"}}
    assert read(job(spec={"template": {"spec": pod}})).cores == pytest.approx(2 * 3.1)


def test_whose_jobs_are_left_alone() -> None:
    """No annotation, no request, another controller, Kueue that is not there or has not looked yet, an empty width."""
    plain = job()
    plain["metadata"]["annotations"] = {}
    assert (read(plain).wish, read(plain).faults, read(plain).note) == (None, (), "")
    owner = {"kind": "JobSet", "name": "set", "controller": True}
    in_queue = {"kueue.x-k8s.io/queue-name": "batch"}
    for thing, fault in (
        (job(cpu="0"), "no cpu request"),
        (job(metadata={"ownerReferences": [owner]}), "a JobSet named set steers it"),
        (job(labels=in_queue), "serves no Kueue"),
        (job(spec={"parallelism": 0}), "parallelism 0"),
        (job(annotations={"runtime": None}), "no ozzo.energy/runtime"),
    ):
        found = read(thing)
        assert found.wish is None
        assert [fault in each for each in found.faults] == [True]
    assert read(job(metadata={"ownerReferences": [owner | {"kind": "CronJob"}]})).wish is not None
    assert read(job(labels=in_queue), kueue=True).note == "Kueue has made no Workload for it yet"


def test_kueue_starts_its_jobs_itself() -> None:
    """A Job of a queue cannot be handed over suspended, because Kueue would start it; its Workload says whether it waits."""
    cluster = FakeCluster(kueue=True)
    label = {"kueue.x-k8s.io/queue-name": "batch"}
    load = cluster.workload(cluster.job("a", labels=label), active=True)
    handed = read(cluster.objects["/apis/batch/v1/namespaces/default/jobs/a"], workload=load, kueue=True)
    assert any("a queue of Kueue" in fault for fault in handed.faults)
    waits = cluster.job("b", labels=label, annotations={"held-by": None})
    found = read(waits, workload={"metadata": {}, "spec": {}}, kueue=True)
    assert (found.state, found.held, found.faults) == (State.PENDING, False, ())


def test_pods_share_nodes_in_the_plan() -> None:
    """40 pods of one core are three nodes of 16 cores with 14 each; pods that are too large, or too many, are told."""
    scenario = small_scenario(jobs=(), datasets=(), links=())
    wide = {"parallelism": 40, "completions": None}
    things = [
        job(spec=wide, annotations={"runtime": "2h", "deadline": (START + timedelta(hours=20)).isoformat()}),
        job(cpu="17", metadata={"name": "large"}),
        job(spec={"parallelism": 65, "completions": None}, metadata={"name": "many"}),
    ]
    queue = [read(thing) for thing in things]
    found = with_queue(scenario, "hall", queue, START + timedelta(minutes=10), (4, 64), "kubernetes")
    (made,) = found.scenario.jobs
    assert (made.name, made.nodes, made.cores) == ("kubernetes-default/a", 3, 14)
    assert made.memory_gb == pytest.approx(14 * 2**30 / 1e9)
    assert [finding.field for finding in found.findings] == ["kubernetes-default/large", "kubernetes-default/many"]
