"""What a Job of Kubernetes (and its Workload, when Kueue steers it) says, as a job of a queue.

A user makes a Job deferrable with annotations (on the Job, not on its pods)::

    ozzo.energy/runtime: 2h             longest run time at its parallelism; or spec.activeDeadlineSeconds
    ozzo.energy/deadline: +12h          latest end: hours after creation, or a moment with its zone; else 24 h
    ozzo.energy/interruptible: "true"   it saves its work when its pods get SIGTERM, and goes on from there
    ozzo.energy/held-by: submitter      beside spec.suspend: true: ozzo may start it

ozzo writes ``held-by`` (``plan`` or ``shed-<id>``) in the same change that suspends, so a suspended Job without it is somebody
else's and is never started. Sources: Kubernetes API reference, Job v1 batch (``suspend``, ``parallelism``, ``startTime``,
``ready``) and "Resource Management for Pods and Containers"; Kueue API reference, Workload (``spec.active``).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ozzo.engines.queue import DEADLINE_H, QueuedJob, State, Wish, moment

PREFIX = "ozzo.energy/"
RUNTIME, DEADLINE, INTERRUPTIBLE = PREFIX + "runtime", PREFIX + "deadline", PREFIX + "interruptible"
HELD, RAN, PLANNED = PREFIX + "held-by", PREFIX + "ran-seconds", PREFIX + "planned-start"
KNOWN = (RUNTIME, DEADLINE, INTERRUPTIBLE, HELD, RAN, PLANNED)
SUBMITTER, BY_PLAN, BY_SHED = "submitter", "plan", "shed-"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
LENGTH = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")
OURS_TO_GIVE_BACK = (SUBMITTER, BY_PLAN)


@dataclass(frozen=True, slots=True)
class Steered:
    """A Job with what is known about it.

    Attributes:
        job: the Job; workload: Kueue's Workload of it, or None.
        started: one of its pods has begun, although none is ready.
        kueue: the cluster has Kueue.
    """

    job: Mapping[str, Any]
    workload: Mapping[str, Any] | None = None
    started: bool = False
    kueue: bool = False

    @property
    def target(self) -> Mapping[str, Any]:
        """The object that suspending goes through."""
        return self.job if self.workload is None else self.workload

    @property
    def suspended(self) -> bool:
        """True when the target says that it shall not run."""
        if self.workload is None:
            return bool(_part(self.job, "spec").get("suspend"))
        return _part(self.workload, "spec").get("active") is False

    @property
    def mark(self) -> str:
        """Who suspended it, in ozzo's words; empty: nobody of us."""
        return notes_of(self.target).get(HELD, "") if self.suspended else ""

    @property
    def key(self) -> str:
        """``namespace/name``."""
        about = _part(self.job, "metadata")
        return f"{about.get('namespace')}/{about.get('name')}"


def notes_of(thing: Mapping[str, Any]) -> dict[str, str]:
    """Annotations of an object."""
    return {str(name): str(value) for name, value in _part(_part(thing, "metadata"), "annotations").items()}


def _part(thing: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object inside an object; empty when it is not there."""
    found = thing.get(name)
    return found if isinstance(found, Mapping) else {}


def finished(job: Mapping[str, Any]) -> bool:
    """True when the Job is over, about to be, or being deleted."""
    if _part(job, "metadata").get("deletionTimestamp"):
        return True
    over = {"Complete", "Failed", "SuccessCriteriaMet", "FailureTarget"}
    return any(each.get("type") in over and each.get("status") == "True" for each in _part(job, "status").get("conditions") or [])


def maybe_started(job: Mapping[str, Any]) -> bool:
    """True when only its pods tell whether it has begun: some are active, none is ready."""
    status = _part(job, "status")
    return not _part(job, "spec").get("suspend") and int(status.get("active") or 0) > 0 and not status.get("ready")


def queued(steered: Steered, now: datetime) -> QueuedJob | None:
    """The Job as a job of a queue; None when it is over.

    Raises:
        KeyError, TypeError, ValueError: it is not of a form that is known.
    """
    job = steered.job
    if finished(job):
        return None
    about, spec, status = _part(job, "metadata"), _part(job, "spec"), _part(job, "status")
    created = datetime.fromisoformat(str(about["creationTimestamp"]))
    begun = datetime.fromisoformat(str(status["startTime"])) if status.get("startTime") else None
    runs = not steered.suspended and not spec.get("suspend") and (bool(status.get("ready")) or steered.started)
    ran_s, bad_ran = _ran_before(steered)
    if runs and begun is not None:
        ran_s += max(0.0, (now - begun).total_seconds())
    pods = _pods(spec, status)
    each, bad_sizes = _requests(_part(_part(spec, "template"), "spec"))
    faults, wish, limit_s = [*bad_ran], None, _number(spec.get("activeDeadlineSeconds"))
    if tagged(job):
        wish, asked_s, bad_words = _words(notes_of(job), created, limit_s)
        limit_s = asked_s
        faults += [*bad_words, *bad_sizes, *_not_ours(steered)]
        if not bad_sizes and not each["cpu"]:
            faults.append("no cpu request; expected one, or nobody knows how wide it is")
        if not pods:
            faults.append("parallelism 0; expected at least 1")
    note = _note(steered)
    may = wish is not None and not faults and not note
    state = State.RUNNING if runs else State.SUSPENDED if may and steered.suspended and ran_s > 0 else State.PENDING
    return QueuedJob(
        key=steered.key,
        name=str(about["name"]),
        user=str(about["namespace"]),
        state=state,
        held=steered.suspended and state is State.PENDING,
        tasks=max(1, pods),
        cores=max(1, pods) * each["cpu"],
        submitted=created,
        begins=begun if runs else None,
        limit_s=limit_s,
        ran_s=ran_s,
        wish=wish if may else None,
        faults=tuple(faults),
        memory_gb=max(1, pods) * each["memory"] / 1e9,
        gpus=round(max(1, pods) * each["nvidia.com/gpu"]),
        packed=True,
        note=note,
    )


def tagged(job: Mapping[str, Any]) -> bool:
    """True when its user has said something to ozzo."""
    return any(name.startswith(PREFIX) for name in notes_of(job))


def _words(said: Mapping[str, str], created: datetime, limit_s: float | None) -> tuple[Wish | None, float | None, list[str]]:
    """Wish, longest run time and every fault of the annotations."""
    faults = []
    for name in sorted(said):
        if name.startswith(PREFIX) and name not in KNOWN:
            near = difflib.get_close_matches(name, KNOWN[:4], n=1, cutoff=0.6)
            faults.append(
                f"annotation {name}; expected one of {', '.join(KNOWN[:4])}{f' (did you mean {near[0]}?)' if near else ''}"
            )
    deadline, runtime_s = created + timedelta(hours=DEADLINE_H), limit_s
    if DEADLINE in said:
        try:
            deadline = moment(said[DEADLINE].strip(), created)
        except ValueError as error:
            faults.append(f"{DEADLINE}: {error}")
    if RUNTIME in said:
        asked_s = _length_s(said[RUNTIME])
        if asked_s is None:
            faults.append(f"{RUNTIME}: {said[RUNTIME]!r}; expected such as 2h, 90m or 1h30m")
        runtime_s = asked_s if limit_s is None or asked_s is None else min(asked_s, limit_s)
    elif limit_s is None:
        faults.append(f"no {RUNTIME} and no spec.activeDeadlineSeconds; expected one of them, or nobody knows how long it takes")
    if said.get(INTERRUPTIBLE, "false") not in {"true", "false"}:
        faults.append(f'{INTERRUPTIBLE}: {said[INTERRUPTIBLE]!r}; expected "true" or "false"')
    mark = said.get(HELD, SUBMITTER)
    if mark not in OURS_TO_GIVE_BACK and not mark.startswith(BY_SHED):
        faults.append(f"{HELD}: {mark!r}; expected {SUBMITTER} (the rest is ozzo's to write)")
    wish = None if faults else Wish(deadline, pausable=said.get(INTERRUPTIBLE) == "true")
    return wish, runtime_s, faults


def _not_ours(steered: Steered) -> list[str]:
    """Why suspending it would not last."""
    about = _part(steered.job, "metadata")
    owners = [each for each in about.get("ownerReferences") or [] if each.get("controller") and each.get("kind") != "CronJob"]
    faults = [
        f"a {each.get('kind')} named {each.get('name')} steers it and would undo it; expected a Job of its own" for each in owners
    ]
    in_queue = QUEUE_LABEL in _part(about, "labels")
    if in_queue and not steered.kueue:
        faults.append(f"label {QUEUE_LABEL}, but this cluster serves no Kueue that is known; expected Kueue, or no such label")
    if steered.workload is not None and notes_of(steered.job).get(HELD) == SUBMITTER:
        faults.append(f"{HELD}: {SUBMITTER} in a queue of Kueue, which starts it when it likes; expected no such annotation")
    return faults


def _note(steered: Steered) -> str:
    """Why ozzo leaves it alone although its user allows more; empty when it does not."""
    if QUEUE_LABEL in _part(_part(steered.job, "metadata"), "labels") and steered.kueue and steered.workload is None:
        return "Kueue has made no Workload for it yet"
    if not steered.suspended or not tagged(steered.job):
        return ""
    if steered.mark.startswith(BY_SHED):
        return "suspended to shed load; restore gives it back"
    return "" if steered.mark in OURS_TO_GIVE_BACK else "suspended by somebody else"


def _ran_before(steered: Steered) -> tuple[float, list[str]]:
    """Run time of earlier pieces, seconds, as ozzo wrote it down when it suspended; and what is wrong with it."""
    text = notes_of(steered.target).get(RAN, "0")
    found = _number(text) if re.fullmatch(r"\d{1,12}(\.\d+)?", text) else None
    return (0.0, [f"{RAN}: {text!r}; expected seconds (ozzo writes it)"]) if found is None else (found, [])


def _length_s(text: str) -> float | None:
    """``1h30m`` as seconds; None when it is not a length above nothing."""
    match = LENGTH.fullmatch(text.strip())
    if match is None or len(text) > 20:
        return None
    found = sum(float(part) * unit for part, unit in zip(match.groups("0"), (3600, 60, 1), strict=True))
    return found or None


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _pods(spec: Mapping[str, Any], status: Mapping[str, Any]) -> int:
    """Pods at once from now on: parallelism, and no more than completions that are left."""
    parallelism = int(spec.get("parallelism", 1))
    if spec.get("completions") is None:
        return parallelism
    return min(parallelism, max(1, int(spec["completions"]) - int(status.get("succeeded") or 0)))


def _requests(pod: Mapping[str, Any]) -> tuple[dict[str, float], list[str]]:
    """What one pod asks for (cores, bytes, GPUs), as the scheduler counts it, and quantities that cannot be read.

    Containers and sidecars together, or the largest init container beside the sidecars before it, whichever is more; what the
    pod as a whole asks for goes before both; then overhead.
    """
    faults: list[str] = []
    found = {}
    for name in ("cpu", "memory", "nvidia.com/gpu"):
        sidecars = starting = 0.0
        for each in pod.get("initContainers") or []:
            asked = _asked(each, name, faults)
            if each.get("restartPolicy") == "Always":
                sidecars += asked
                starting = max(starting, sidecars)
            else:
                starting = max(starting, sidecars + asked)
        together = sidecars + sum(_asked(each, name, faults) for each in pod.get("containers") or [])
        whole = _asked(pod, name, faults)
        overhead = _quantity(_part(pod, "overhead").get(name), name, faults)
        found[name] = (whole or max(together, starting)) + overhead
    return found, faults


def _asked(thing: Mapping[str, Any], name: str, faults: list[str]) -> float:
    """Request of a container or pod; its limit when it has no request, as the API server fills it in."""
    resources = _part(thing, "resources")
    value = _part(resources, "requests").get(name, _part(resources, "limits").get(name))
    return _quantity(value, name, faults)


def _quantity(value: Any, name: str, faults: list[str]) -> float:
    """``500m`` as 0.5, ``2Gi`` as bytes; 0 when there is none or it cannot be read, which is then a fault."""
    from kubernetes.utils.quantity import parse_quantity

    try:
        return 0.0 if value is None else float(parse_quantity(value))
    except (ValueError, ArithmeticError):
        faults.append(f"{name} {value!r}; expected a quantity such as 500m or 2Gi")
        return 0.0


def utc(now: datetime) -> str:
    """A moment as Kubernetes writes it."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
