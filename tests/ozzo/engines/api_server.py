"""A fake of a Kubernetes API server with Kueue, on loopback, for the real client.

It is no Kubernetes: objects are dictionaries in memory, shaped as the API references describe them (Job v1 batch, Pod v1, Node
v1, Status, ListMeta; Kueue's Workload v1beta1); nothing was recorded on a cluster. It plays, in a few lines each: lists in pages
that expire, merge patches (RFC 7386) that are refused for an old ``resourceVersion``, a job controller that starts and deletes
pods at once, and a Kueue that undoes what is done to its Jobs behind its back. Schedulers, quotas, admission, authentication and
time are not played.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from ozzo.authority import ServerFiles
from tests.ozzo.serving import QuietHandler, serving

JOBS, PODS, NODES = "/apis/batch/v1/namespaces/{}/jobs", "/api/v1/namespaces/{}/pods", "/api/v1/nodes"
LOADS = "/apis/kueue.x-k8s.io/v1beta1/namespaces/{}/workloads"


@dataclass(slots=True)
class Trouble:
    """What goes wrong next; each number counts down.

    Attributes:
        conflicts: patches before which somebody else changes the object.
        gone: continued lists that are answered with 410.
        lost: patches that take effect and are not answered.
        busy: patches that are answered with 429 and have no effect.
        forbidden: words of a path and method that are answered with 403.
        stall_at: number of the patch that is never answered, its effect withheld; stalled tells when it came.
    """

    conflicts: int = 0
    gone: int = 0
    lost: int = 0
    busy: int = 0
    forbidden: tuple[str, ...] = ()
    stall_at: int = -1
    stalled: threading.Event = field(default_factory=threading.Event)


class FakeCluster:
    """Objects by path; ``log`` holds every request as (method, path, body), ``credentials`` what requests were sent with."""

    def __init__(self, *, kueue: bool = False) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.kueue, self.trouble, self.version = kueue, Trouble(), 1
        self.log: list[tuple[str, str, Any]] = []
        self.credentials: set[str | None] = set()
        self.lock = threading.RLock()
        self.add(NODES, {"metadata": {"name": "n0"}})
        self.add(NODES, {"metadata": {"name": "n1", "labels": {"pool": "batch"}}})

    def add(self, collection: str, thing: dict[str, Any]) -> dict[str, Any]:
        """Put an object there, with what a server adds to it."""
        about = thing["metadata"]
        parts = collection.split("/")
        if "namespaces" in parts:
            about["namespace"] = parts[parts.index("namespaces") + 1]
        about.setdefault("uid", f"uid-{len(self.objects)}")
        about.setdefault("creationTimestamp", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        if collection == NODES:
            thing.setdefault("spec", {})
            ready = {"type": "Ready", "status": "True"}
            thing.setdefault("status", {"allocatable": {"cpu": "3920m", "memory": "16Gi"}, "conditions": [ready]})
        self.objects[f"{collection}/{about['name']}"] = thing
        self.touch(thing)
        return thing

    def job(self, name: str, namespace: str = "default", *, runs: bool = False, **changes: Any) -> dict[str, Any]:
        """A Job of two pods with one core each, held for ozzo by its submitter, or running.

        ``annotations`` (short names), ``labels``, ``cpu``, ``spec`` and ``metadata`` change it.
        """
        said = {"runtime": "1h", **({} if runs else {"held-by": "submitter"}), **changes.pop("annotations", {})}
        pod = {"containers": [{"name": "main", "resources": {"requests": {"cpu": changes.pop("cpu", "1"), "memory": "1Gi"}}}]}
        about = {"name": name, "annotations": {f"ozzo.energy/{key}": value for key, value in said.items() if value is not None}}
        about |= {"labels": changes.pop("labels", {}), **changes.pop("metadata", {})}
        spec = {"suspend": not runs, "parallelism": 2, "completions": 2, "template": {"spec": pod}, **changes.pop("spec", {})}
        assert not changes
        made = self.add(JOBS.format(namespace), {"metadata": about, "spec": spec, "status": {}})
        self.control(made)
        return made

    def workload(self, job: dict[str, Any], *, active: bool = True) -> dict[str, Any]:
        """Kueue's Workload of a Job."""
        about = job["metadata"]
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": about["name"], "uid": about["uid"], "controller": True}
        labels = {"kueue.x-k8s.io/job-uid": about["uid"]}
        meta = {"name": f"job-{about['name']}-1a2b3", "ownerReferences": [owner], "labels": labels}
        made = self.add(LOADS.format(about["namespace"]), {"metadata": meta, "spec": {"active": active}, "status": {}})
        self.steer()
        return made

    def touch(self, thing: dict[str, Any]) -> None:
        """A new version of it."""
        self.version += 1
        thing["metadata"]["resourceVersion"] = str(self.version)

    def control(self, job: dict[str, Any]) -> None:
        """What the job controller does: pods at once, or none."""
        status, suspended = job["status"], bool(job["spec"].get("suspend"))
        if suspended:
            status |= {"active": 0, "ready": 0, "conditions": [{"type": "Suspended", "status": "True"}]}
        elif not status.get("active"):
            pods = job["spec"]["parallelism"]
            begun = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            status |= {"active": pods, "ready": pods, "startTime": begun, "conditions": []}

    def steer(self) -> None:
        """What Kueue does: a Job runs when its Workload is active, and not otherwise, whatever others wrote."""
        for path, load in self.objects.items():
            if "/workloads/" in path:
                uid = load["metadata"]["ownerReferences"][0]["uid"]
                job = next(each for each in self.objects.values() if each["metadata"]["uid"] == uid)
                if bool(job["spec"].get("suspend")) == load["spec"]["active"]:
                    job["spec"]["suspend"] = not load["spec"]["active"]
                    self.control(job)
                    self.touch(job)

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> tuple[int, dict[str, Any]] | None:
        """Status and object; None: hang up without an answer."""
        with self.lock:
            self.log.append((method, path, body))
            if self.trouble.forbidden and all(word in f"{method} {path}" for word in self.trouble.forbidden):
                return refused(403, f'{path} is forbidden: User "ozzo" cannot do that', "Forbidden")
            if path == "/apis/kueue.x-k8s.io":
                versions = [{"groupVersion": "kueue.x-k8s.io/v1beta1", "version": "v1beta1"}]
                return (200, {"kind": "APIGroup", "versions": versions}) if self.kueue else refused(404, "not found", "NotFound")
            if path.rpartition("/")[2] in {"jobs", "pods", "nodes", "workloads"} and method == "GET":
                return self.listed(path, query)
            if path not in self.objects:
                return refused(404, f"{path} not found", "NotFound")
            return self.patched(self.objects[path], body) if method == "PATCH" else (200, self.objects[path])

    def listed(self, path: str, query: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        """A page."""
        wanted = dict(part.split("=") for part in query.get("labelSelector", [""])[0].split(",") if part)
        found = [each for name, each in sorted(self.objects.items()) if name.rpartition("/")[0] == path]
        found = [each for each in found if wanted.items() <= (each["metadata"].get("labels") or {}).items()]
        begin, limit = int(query.get("continue", ["0"])[0]), int(query.get("limit", ["1000"])[0])
        if begin and self.trouble.gone:
            self.trouble.gone -= 1
            return refused(410, "The provided continue parameter is too old to display a consistent list result.", "Expired")
        end = begin + limit
        meta = {"resourceVersion": str(self.version), **({"continue": str(end)} if end < len(found) else {})}
        return 200, {"kind": "List", "metadata": meta, "items": found[begin:end]}

    def patched(self, thing: dict[str, Any], body: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        """An object after a merge patch."""
        if sum(method == "PATCH" for method, _, _ in self.log) == self.trouble.stall_at:
            self.trouble.stalled.set()
            return None
        if self.trouble.busy:
            self.trouble.busy -= 1
            return refused(429, "too many requests", "TooManyRequests")
        if self.trouble.conflicts:
            self.trouble.conflicts -= 1
            self.touch(thing)
        version = body.get("metadata", {}).get("resourceVersion")
        if version is not None and version != thing["metadata"]["resourceVersion"]:
            return refused(409, "the object has been modified; please apply your changes to the latest version", "Conflict")
        merge(thing, body)
        self.touch(thing)
        if "template" in thing["spec"]:
            self.control(thing)
        self.steer()
        if self.trouble.lost:
            self.trouble.lost -= 1
            return None
        return 200, thing


def refused(status: int, message: str, reason: str) -> tuple[int, dict[str, Any]]:
    """A Status of the API."""
    return status, {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": status,
    }


def merge(thing: dict[str, Any], change: dict[str, Any]) -> None:
    """A merge patch (RFC 7386)."""
    for key, value in change.items():
        if value is None:
            thing.pop(key, None)
        elif isinstance(value, dict) and isinstance(thing.get(key), dict):
            merge(thing[key], value)
        else:
            thing[key] = value


@contextmanager
def api_server(cluster: FakeCluster, folder: Path, files: ServerFiles | None = None) -> Iterator[Path]:
    """Serve a cluster, with TLS when there are files for it; yields a kubeconfig for it."""

    class Handler(QuietHandler):
        def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
            self.reply(None)

        def do_PATCH(self) -> None:  # noqa: N802 - the name that http.server calls
            assert self.headers["Content-Type"] == "application/merge-patch+json"
            self.reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def reply(self, body: Any) -> None:
            address = urlsplit(self.path)
            cluster.credentials.add(self.headers["Authorization"])
            answer = cluster.answer(self.command, address.path, parse_qs(address.query), body)
            if answer is None:
                self.close_connection = True
                return
            text = json.dumps(answer[1]).encode()
            self.send_response(answer[0])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    if files is None:
        with serving(Handler) as address:
            yield kubeconfig(folder / "kubeconfig", address)
        return
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(files.certificate, files.key)
    with serving(Handler, tls) as address:
        yield kubeconfig(folder / "kubeconfig", address, **{"certificate-authority": str(files.root)})


def kubeconfig(file: Path, server: str, **cluster: Any) -> Path:
    """A kubeconfig with one context."""
    told = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "fake",
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "ozzo"}}],
        "clusters": [{"name": "fake", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "ozzo", "user": {"token": "not-a-secret"}}],
    }
    file.write_text(yaml.safe_dump(told))
    return file
