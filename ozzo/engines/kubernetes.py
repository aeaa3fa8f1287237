"""A Kubernetes cluster, driven by suspending Jobs (``spec.suspend``) or, in a queue of Kueue, their Workloads (``spec.active``).

Traps that shape this code:

- Suspending a running Job deletes its pods. Only Jobs whose user says that they save their work are suspended while they run,
  and whether one runs is looked up again in the same version of the object that is changed.
- Kueue undoes a suspension of its Jobs behind its back, so those are steered through their Workload.
- Others change objects too. Every change names the version that was read; when the server says that it is outdated, the object
  is read again and decided about again. A change without a reply is read again before it is tried again.
- A change and its mark (who suspended it) are one patch, so no death of this program leaves one without the other.
- Nothing here starts a Job by itself at a moment: a held Job waits until ``ozzo kubernetes plan --apply`` is called again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from ozzo.engines.kubernetes_api import TRIES, KubernetesApi, KubernetesError, NotThere, Outdated, Unsure, pause
from ozzo.engines.kubernetes_job import (
    BY_PLAN,
    BY_SHED,
    HELD,
    OURS_TO_GIVE_BACK,
    PLANNED,
    QUEUE_LABEL,
    RAN,
    Steered,
    maybe_started,
    notes_of,
    queued,
    tagged,
    utc,
)
from ozzo.engines.queue import Action, Do, Key, QueuedJob, State

KUEUE = "/apis/kueue.x-k8s.io"
VERSIONS = ("v1beta1", "v1beta2")
"""Versions of Kueue's API whose ``spec.active`` is known, the preferred one first."""
GONE = "it is gone or over"


@dataclass(frozen=True, slots=True)
class Change:
    """What to do to an object that was read: a patch, or why not.

    Attributes:
        suspend: wished state; None: leave it.
        notes: annotations to set (None removes).
        why_not: in words; empty with nothing else: it is as it should be.
    """

    suspend: bool | None = None
    notes: Mapping[str, str | None] | None = None
    why_not: str = ""


Decide = Callable[[Steered, QueuedJob], Change]


@dataclass(frozen=True, slots=True)
class Kubernetes:
    """Jobs of some namespaces of a cluster.

    Attributes:
        api: its server.
        namespaces: that ozzo drives.
        nodes: label selector of the nodes that the site has; empty: all that take pods of anybody.
    """

    api: KubernetesApi
    namespaces: tuple[str, ...] = ("default",)
    nodes: str = ""
    _known: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def kind(self) -> str:
        """See ``Engine``."""
        return "kubernetes"

    @property
    def title(self) -> str:
        """See ``Engine``."""
        return f"namespace{'s' if len(self.namespaces) > 1 else ''} {', '.join(self.namespaces)} at {self.api.host}"

    def queue(self) -> Sequence[QueuedJob]:
        """See ``Engine``: Jobs that are not over, by namespace and name."""
        now = datetime.now(UTC)
        found = [self._read(each, now) for each in self._steered()]
        return tuple(sorted((job for job in found if job is not None), key=lambda job: str(job.key)))

    def size(self) -> tuple[int, int]:
        """See ``Engine``: nodes that are ready and take pods, and whole cores that they have for pods together."""
        good, cores = 0, 0.0
        for node in self.api.items("/api/v1/nodes", **({"labelSelector": self.nodes} if self.nodes else {})):
            spec, status = node.get("spec") or {}, node.get("status") or {}
            ready = any(each.get("type") == "Ready" and each.get("status") == "True" for each in status.get("conditions") or [])
            kept = any(each.get("effect") in {"NoSchedule", "NoExecute"} for each in spec.get("taints") or [])
            if not ready or spec.get("unschedulable") or (kept and not self.nodes):
                continue
            good, cores = good + 1, cores + _cores(node)
        if not good:
            raise KubernetesError(f"no node that is ready and takes pods{f' with {self.nodes!r}' if self.nodes else ''}")
        return good, int(cores + 1e-9)

    def carry_out(self, action: Action) -> str:
        """See ``Engine``."""
        match action.do:
            case Do.START_NOW | Do.RESUME:
                return self._change(action.job, _release(OURS_TO_GIVE_BACK))
            case Do.START_AT if action.at is not None:
                return self._change(action.job, _hold({HELD: BY_PLAN, PLANNED: utc(action.at)}))
            case Do.START_AT | Do.HOLD:
                return self._change(action.job, _hold({HELD: BY_PLAN, PLANNED: None}))
            case Do.SUSPEND:
                return self._change(action.job, _suspend(BY_PLAN))

    def opened(self) -> bool:
        """See ``Engine``: False while something is suspended to shed load."""
        return not any(steered.mark.startswith(BY_SHED) for steered in self._steered())

    def waiting(self) -> Sequence[Key]:
        """See ``Engine``: deferrable Jobs that nothing keeps from starting."""
        jobs = self.queue()
        return tuple(job.key for job in jobs if job.state is State.PENDING and not job.held and job.wish is not None)

    def close(self, waiting: Iterable[Key], mark: str) -> None:
        """See ``Engine``. Jobs of others that wait are not held: they may take what is freed."""
        for key in waiting:
            self._change(key, _hold({HELD: BY_SHED + mark}))

    def suspend(self, jobs: Iterable[Key], mark: str) -> Sequence[Key]:
        """See ``Engine``."""
        return [key for key in jobs if not self._change(key, _suspend(BY_SHED + mark))]

    def restore(self, jobs: Iterable[Key], mark: str, *, reopen: bool) -> Sequence[Key]:
        """See ``Engine``: exactly those that carry the mark of this shedding."""
        del reopen
        return [key for key in jobs if not self._change(key, _release((BY_SHED + mark,)))]

    def _change(self, key: Key, decide: Decide) -> str:
        """Read a Job, decide, and change that version of it; why nothing was to be done, or nothing when it is as wished."""
        trouble = ""
        for attempt in range(TRIES):
            steered = self._fresh(str(key))
            job = None if steered is None else self._read(steered, datetime.now(UTC))
            if steered is None or job is None:
                return GONE
            change = decide(steered, job)
            if change.suspend is None and not change.notes:
                return change.why_not
            try:
                self.api.patch(self._path(steered), _patch(steered, change))
            except NotThere:
                return GONE
            except Outdated as error:
                trouble = str(error)
                pause(attempt)
            except Unsure as error:  # it may have taken effect: the next look tells
                trouble = str(error)
                pause(attempt, error.wait_s)
            else:
                return ""
        raise KubernetesError(f"{key}: not changed in {TRIES} tries; last: {trouble}")

    def _steered(self) -> list[Steered]:
        """Every Job of the namespaces that is not over, with its Workload."""
        kueue = self._kueue()
        found = []
        for namespace in self.namespaces:
            owned = self._workloads(kueue, namespace)
            for job in self.api.items(f"/apis/batch/v1/namespaces/{namespace}/jobs"):
                about = job.setdefault("metadata", {})
                about.setdefault("namespace", namespace)
                found.append(Steered(job, owned.get(str(about.get("uid"))), kueue=bool(kueue)))
        return [self._looked(steered) for steered in found]

    def _fresh(self, key: str) -> Steered | None:
        """One Job as it is now; None when it is gone."""
        namespace, _, name = key.partition("/")
        try:
            job = self.api.get(f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}")
        except NotThere:
            return None
        kueue, about = self._kueue(), job.get("metadata") or {}
        uid = str(about.get("uid"))
        in_queue = QUEUE_LABEL in (about.get("labels") or {})
        owned = self._workloads(kueue, namespace, f"kueue.x-k8s.io/job-uid={uid}")
        if uid not in owned and in_queue:  # a Kueue that does not label its Workloads so
            owned = self._workloads(kueue, namespace)
        return self._looked(Steered(job, owned.get(uid), kueue=bool(kueue)))

    def _looked(self, steered: Steered) -> Steered:
        """With a look at its pods where only they tell whether it has begun."""
        if not (tagged(steered.job) and maybe_started(steered.job)):
            return steered
        namespace, _, name = steered.key.partition("/")
        pods = self.api.items(f"/api/v1/namespaces/{namespace}/pods", labelSelector=f"batch.kubernetes.io/job-name={name}")
        begun = any((pod.get("status") or {}).get("phase") != "Pending" or _runs(pod) for pod in pods)
        return replace(steered, started=begun)

    def _read(self, steered: Steered, now: datetime) -> QueuedJob | None:
        try:
            return queued(steered, now)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise KubernetesError(f"job {steered.key}: not in a form that is known ({type(error).__name__}: {error})") from error

    def _kueue(self) -> str:
        """Path of Kueue's API in a version that is known; empty when the cluster has none."""
        if KUEUE not in self._known:
            try:
                served = {str(each.get("version")) for each in self.api.get(KUEUE).get("versions") or []}
            except NotThere:
                served = set()
            self._known[KUEUE] = next((f"{KUEUE}/{version}" for version in VERSIONS if version in served), "")
        return self._known[KUEUE]

    def _workloads(self, kueue: str, namespace: str, labels: str = "") -> dict[str, dict[str, Any]]:
        """Workloads by the uid of the Job that owns them."""
        if not kueue:
            return {}
        found = {}
        for load in self.api.items(f"{kueue}/namespaces/{namespace}/workloads", **({"labelSelector": labels} if labels else {})):
            load.setdefault("apiVersion", kueue.removeprefix("/apis/"))
            for owner in (load.get("metadata") or {}).get("ownerReferences") or []:
                if owner.get("kind") == "Job" and str(owner.get("apiVersion")).startswith("batch/"):
                    found[str(owner.get("uid"))] = load
        return found

    def _path(self, steered: Steered) -> str:
        namespace, _, name = steered.key.partition("/")
        if steered.workload is None:
            return f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}"
        about = steered.workload["metadata"]
        return f"/apis/{steered.workload['apiVersion']}/namespaces/{namespace}/workloads/{about['name']}"


def _cores(node: Mapping[str, Any]) -> float:
    from kubernetes.utils.quantity import parse_quantity

    return float(parse_quantity(((node.get("status") or {}).get("allocatable") or {}).get("cpu", "0")))


def _runs(pod: Mapping[str, Any]) -> bool:
    """True when a container of a pod that is still pending has run (init containers do)."""
    status = pod.get("status") or {}
    known = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    return any({"running", "terminated"} & set(each.get("state") or {}) for each in known)


def _patch(steered: Steered, change: Change) -> dict[str, Any]:
    """The change of the version that was read: annotations and the wish, in one."""
    version = steered.target["metadata"]["resourceVersion"]
    patch: dict[str, Any] = {"metadata": {"resourceVersion": version, "annotations": dict(change.notes or {})}}
    if change.suspend is not None:
        patch["spec"] = {"suspend": change.suspend} if steered.workload is None else {"active": not change.suspend}
    return patch


def _hold(notes: Mapping[str, str | None]) -> Decide:
    """Keep a Job that has not begun from starting, and write down for whom."""

    def decide(steered: Steered, job: QueuedJob) -> Change:
        if job.state is State.RUNNING:
            return Change(why_not="it has begun meanwhile")
        if job.faults or job.note or job.wish is None:
            done = steered.suspended and steered.mark == notes[HELD]
            return Change(why_not="" if done else _why(job))
        if steered.suspended and str(notes[HELD]).startswith(BY_SHED):
            return Change(why_not="it is held already")
        said = notes_of(steered.target)
        if steered.suspended and all(said.get(name) == value for name, value in notes.items()):
            return Change()
        return Change(suspend=None if steered.suspended else True, notes=notes)

    return decide


def _suspend(mark: str) -> Decide:
    """Stop a running Job whose user allows it; its run time so far is written down, because Kubernetes forgets it."""

    def decide(steered: Steered, job: QueuedJob) -> Change:
        if steered.suspended:
            return Change(why_not="" if steered.mark == mark else "it is suspended already")
        if job.wish is None or not job.wish.pausable:
            return Change(why_not=_why(job))
        if job.state is not State.RUNNING:
            return Change(why_not="it does not run")
        return Change(suspend=True, notes={HELD: mark, RAN: f"{job.ran_s:.0f}", PLANNED: None})

    return decide


def _release(marks: Sequence[str]) -> Decide:
    """Let a Job go on that was suspended under one of ``marks``; one that somebody else suspended is left alone."""

    def decide(steered: Steered, job: QueuedJob) -> Change:
        del job
        if not steered.suspended:
            left = notes_of(steered.target).get(HELD) in marks
            return Change(notes={HELD: None, PLANNED: None}) if left and HELD in notes_of(steered.target) else Change()
        if steered.mark not in marks:
            return Change(why_not="it was suspended by somebody else" if not steered.mark else f"it is held by {steered.mark}")
        return Change(suspend=False, notes={HELD: None, PLANNED: None})

    return decide


def _why(job: QueuedJob) -> str:
    return "; ".join(job.faults) or job.note or "its user does not allow it"
