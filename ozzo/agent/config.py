"""Settings of one node agent, from a JSON file that only its owner may read (it may hold the broker password)."""

from __future__ import annotations

import difflib
import json
import os
import pwd
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator

from grid.errors import Finding, InputError
from ozzo.address import is_loopback
from ozzo.agent.redfish import Login
from ozzo.broker_files import is_default
from ozzo.commands import Name, Wire
from ozzo.mqtt import Endpoint
from ozzo.private import read_private

HERE = Path(__file__).parent
Checkpoint = Literal["SIGUSR1", "SIGUSR2", "SIGHUP", "SIGINT"]
PATHS = ("journal", "password_file", "ca_file", "work_folder")
"""Settings that name files; relative ones are meant from the folder of the settings file."""


class Limits(Wire):
    """Resource limits of every process of a job (setrlimit(2)); None leaves what the agent has.

    Attributes:
        cpu_s: computing time, whole seconds; SIGKILL follows.
        memory_mb: address space of one process, MB (10^6 bytes).
        file_mb: largest file that it may write, MB.
        files: open files at once.
        processes: processes of the user at once; nothing for root.
    """

    cpu_s: Annotated[int, Field(ge=1)] | None = None
    memory_mb: Annotated[int, Field(ge=1)] | None = None
    file_mb: Annotated[int, Field(ge=0)] | None = None
    files: Annotated[int, Field(ge=8)] | None = None
    processes: Annotated[int, Field(ge=1)] | None = None


class RedfishPlace(Wire):
    """The management controller of the machine.

    Attributes:
        url: ``https://HOST``; ``http`` only on loopback.
        credentials_file: file of mode 600 with ``{"user": ..., "password": ...}``.
        ca_file: root that signed its certificate (those of the system when empty).
        chassis: path of the chassis, such as ``/redfish/v1/Chassis/1``; the first one that tells power when empty.
    """

    url: str
    credentials_file: str
    ca_file: str = ""
    chassis: Annotated[str, Field(pattern=r"^(/[^?#]*)?$")] = ""

    @field_validator("url")
    @classmethod
    def _safe(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            host, port = "", None
        if not host or parts.path not in {"", "/"} or parts.query or parts.username is not None or port == 0:
            raise ValueError("https://HOST or https://HOST:PORT expected, without user, password and path")
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
            raise ValueError("https expected (http on loopback only): the password would go in the clear")
        return value.rstrip("/")


class AgentConfig(Wire):
    """What an agent must know.

    Attributes:
        scenario, node: names, part of the topics.
        host, port, user, password: the broker.
        password_file: file of mode 600 with the password, instead of ``password``.
        tls, ca_file: speak TLS (it must be on unless ``host`` is on loopback); root that signed the broker's certificate (those
            of the system when empty).
        journal: file of the node's journal; with ``keep_jobs`` the folders of jobs are beside it.
        programs: programs that jobs may run: name in the job's argument list -> absolute path and fixed first arguments.
        builtin: also allow ``sleep`` and ``work``, which ship with the system and with ozzo.
        idle_kw: IT power of the node without jobs.
        failsafe_kw: IT power cap without a controller.
        failsafe_hold_s: shortest stay in failsafe.
        heartbeat_s: time between two messages about its state.
        orphan_s: without a word of the controller for this long, it stops its jobs and leaves; None: it stays.
        max_jobs: most jobs at once.
        stop_grace_s: time between SIGTERM and SIGKILL.
        work_folder: working directory of the jobs; when empty each job has one of its own.
        keep_jobs: jobs live on when the agent dies or leaves, and the next agent takes them over. Without it they die with it.
        alone_s: a kept job is paused once no agent has been there for this long.
        cgroup: ``auto`` puts each kept job into a cgroup of its own where that is allowed, ``none`` never does, else the folder
            of a cgroup v2 to make them in.
        checkpoint: program -> signal that tells it to save its work before it is asked to end.
        checkpoint_grace_s: time between that signal and SIGTERM.
        run_as: user that kept jobs run as (the agent must be root); the agent's own when empty.
        limits: resource limits of kept jobs.
        power: what measures: ``rapl`` (processors), ``nvml`` (GPUs), ``rapl+nvml``, ``redfish`` or ``dcmi`` (the machine by its
            management controller), ``model``, ``none``; ``auto``: processors and GPUs as far as they are there, else the model.
        cap_by: what holds a cap: ``rapl``, ``nvml`` or ``redfish`` set a limit and read it back, and freezing jobs is the
            fallback; ``none`` freezes jobs only.
        redfish: the management controller.
        peak_kw: IT power with all processors busy, for the model.
        rest_kw: IT power of the node beside what ``rapl`` and ``nvml`` measure or limit; for ``cap_by`` the most that it can be.
        output_bytes: bytes of output kept of a kept job: at least its last so many, at most twice that.
        keep_folders: most folders of kept jobs that have ended, with their output and working folder; older ones are removed.
        keep_days: for how long such a folder stays at most; null: for ever.
    """

    scenario: Name
    node: Name
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    user: str = ""
    password: Annotated[str, Field(repr=False)] = ""
    password_file: str = ""
    tls: bool = False
    ca_file: str = ""
    journal: str
    programs: dict[str, tuple[str, ...]]
    builtin: bool = False
    idle_kw: Annotated[float, Field(ge=0)] = 0.0
    failsafe_kw: Annotated[float, Field(ge=0)] = 0.0
    failsafe_hold_s: Annotated[float, Field(ge=0)] = 10.0
    heartbeat_s: Annotated[float, Field(gt=0, le=15)] = 5.0
    orphan_s: Annotated[float, Field(gt=0)] | None = None
    max_jobs: Annotated[int, Field(ge=1, le=500)] = 256
    stop_grace_s: Annotated[float, Field(ge=0)] = 1.0
    work_folder: str = ""
    keep_jobs: bool = False
    alone_s: Annotated[float, Field(gt=0)] = 60.0
    cgroup: str = "auto"
    checkpoint: dict[str, Checkpoint] = Field(default_factory=dict)
    checkpoint_grace_s: Annotated[float, Field(ge=0)] = 10.0
    run_as: str = ""
    limits: Limits = Limits()
    power: Literal["auto", "rapl", "nvml", "rapl+nvml", "redfish", "dcmi", "model", "none"] = "auto"
    cap_by: Literal["none", "rapl", "nvml", "redfish"] = "none"
    redfish: RedfishPlace | None = None
    peak_kw: Annotated[float, Field(gt=0)] | None = None
    rest_kw: Annotated[float, Field(ge=0)] = 0.0
    output_bytes: Annotated[int, Field(ge=1000, le=10**9)] = 1_000_000
    keep_folders: Annotated[int, Field(ge=0)] = 1000
    keep_days: Annotated[float, Field(gt=0)] | None = 30.0

    @field_validator("programs")
    @classmethod
    def _absolute(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for name, argv in value.items():
            if not argv or not Path(argv[0]).is_absolute():
                raise ValueError(f"program {name!r} needs an absolute path")
        return value

    @field_validator("run_as")
    @classmethod
    def _known_user(cls, value: str) -> str:
        if value and not any(entry.pw_name == value for entry in pwd.getpwall()):
            raise ValueError(f"no user {value!r} on this machine")
        return value

    @model_validator(mode="after")
    def _belong_together(self) -> AgentConfig:
        faults = list(self._faults())
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def _faults(self) -> Iterator[str]:
        """What does not fit together, a sentence each."""
        if self.password and self.password_file:
            yield "password and password_file: one of them"
        if not self.tls and not is_loopback(self.host):
            yield f"host {self.host} is beyond loopback and tls is off: password and commands would go in the clear"
        if self.redfish is None and "redfish" in {self.power, self.cap_by}:
            yield "power or cap_by names redfish, and redfish (url, credentials_file) is missing"
        unknown = sorted(self.checkpoint.keys() - self.allowed().keys())
        if unknown:
            yield f"checkpoint names {', '.join(unknown)}, which programs does not allow"
        if self.peak_kw is not None and self.peak_kw < self.idle_kw:
            yield "peak_kw is below idle_kw"
        if not self.keep_jobs and (self.run_as or self.limits != Limits()):
            yield "run_as and limits need keep_jobs"
        if self.run_as and os.geteuid() != 0 and pwd.getpwnam(self.run_as).pw_uid != os.geteuid():
            yield f"run_as {self.run_as}: only an agent of root can run jobs as another user"

    def allowed(self) -> dict[str, tuple[str, ...]]:
        """Programs that jobs may run."""
        return (builtin_programs() if self.builtin else {}) | self.programs

    def endpoint(self) -> Endpoint:
        """Where the broker is and as whom to speak to it.

        Raises:
            InputError: the password file is missing, or others may read it; or, beyond loopback, it is a default password.
        """
        password = self.password
        if self.password_file:
            password = read_private(Path(self.password_file), "the password of the broker's user").partition("\n")[0].strip()
        if is_default(self.user, password) and not is_loopback(self.host):
            place, field = (self.password_file, "") if self.password_file else ("agent.json", "password")
            expected = f"one that was made for user {self.user!r}: {self.host} is beyond loopback"
            raise InputError([Finding(place, None, field, "a default password, or none", expected)])
        return Endpoint(self.host, self.port, self.user, password, tls=self.tls, ca_file=self.ca_file)

    def redfish_login(self) -> Login:
        """The management controller, with its credentials.

        Raises:
            InputError: none is named, or the file of credentials is missing, open to others, or wrong.
        """
        if self.redfish is None:
            raise InputError([Finding("agent.json", None, "redfish", "nothing", "url and credentials_file of the controller")])
        file = self.redfish.credentials_file
        text = read_private(Path(file), "user and password of the management controller")
        try:
            told = json.loads(text)
        except ValueError:
            told = None
        if (
            not isinstance(told, dict)
            or told.keys() != {"user", "password"}
            or not all(isinstance(v, str) for v in told.values())
        ):
            raise InputError([Finding(file, None, "", "something else", 'JSON: {"user": "...", "password": "..."}')])
        return Login(self.redfish.url, told["user"], told["password"], self.redfish.ca_file, self.redfish.chassis)


def builtin_programs() -> dict[str, tuple[str, ...]]:
    """``sleep`` of the system, and ``work``, which burns CPU and keeps its own time (so that a pause is a pause)."""
    import shutil

    programs = {"work": (sys.executable, "-S", "-E", str(HERE / "work.py"))}
    sleep = shutil.which("sleep")
    return programs | ({"sleep": (sleep,)} if sleep else {})


def read_config(path: Path) -> AgentConfig:
    """Read the settings; ``path`` may be the folder that ``agent.json`` lies in.

    Raises:
        InputError: the file is missing, readable by others, or wrong: everything at once.
    """
    path = path / "agent.json" if path.is_dir() else path
    text = read_private(path, "settings of an agent, maybe with a password")
    try:
        config = AgentConfig.model_validate_json(text)
    except ValidationError as error:
        faults = [dict(item) for item in error.errors(include_url=False)]
        whole = [item | {"msg": line} for item in faults for line in str(item["msg"]).removeprefix("Value error, ").split("\n")]
        raise InputError([_finding(str(path), text, item) for item in whole]) from None
    here = path.parent.resolve()
    places = {name: str(here / value) for name in PATHS if (value := getattr(config, name))}
    if config.redfish is not None:
        files = {name: str(here / value) for name in ("credentials_file", "ca_file") if (value := getattr(config.redfish, name))}
        return config.model_copy(update={**places, "redfish": config.redfish.model_copy(update=files)})
    return config.model_copy(update=places)


def _finding(file: str, text: str, item: dict[str, object]) -> Finding:
    """One error of pydantic as a finding; the value is told unless it may be a secret."""
    place = item["loc"] if isinstance(item["loc"], tuple) else ()
    field = ".".join(map(str, place))
    kind, value = str(item["type"]), item.get("input")
    name = next((str(part) for part in reversed(place) if isinstance(part, str)), "")
    line = next((number for number, row in enumerate(text.splitlines(), 1) if name and json.dumps(name) in row), None)
    if kind == "extra_forbidden":
        inner: dict[str, type[Wire]] = {"limits": Limits, "redfish": RedfishPlace}
        known = inner.get(str(place[0]), AgentConfig).model_fields if len(place) > 1 else AgentConfig.model_fields
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        return Finding(file, line, field, "an unknown field", "a field of the agent's settings", nearest[0] if nearest else None)
    found = "nothing" if kind == "missing" else "a wrong value" if "password" in field or not place else repr(value)[:80]
    return Finding(file, line, field, found, str(item["msg"]))


def write_config(config: AgentConfig, path: Path) -> None:
    """Write the settings to a file of mode 600."""
    path.touch(mode=0o600)
    path.write_bytes(config.encode())
