"""Settings of one node agent, from a JSON file that only its owner may read (it holds the broker password)."""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, field_validator

from grid.errors import Finding, InputError
from ozzo.commands import Name, Wire

HERE = Path(__file__).parent


class AgentConfig(Wire):
    """What an agent must know.

    Attributes:
        scenario, node: names, part of the topics.
        host, port, user, password: the broker.
        journal: file of the node's journal.
        programs: programs that jobs may run: name in the job's argument list -> absolute path and fixed first arguments.
        idle_kw: IT power of the node without jobs.
        failsafe_kw: IT power cap without a controller.
        failsafe_hold_s: shortest stay in failsafe.
        heartbeat_s: time between two messages about its state.
        orphan_s: without a word of the controller for this long, it stops its jobs and leaves; None: it stays.
        max_jobs: most jobs at once.
        stop_grace_s: time between SIGTERM and SIGKILL.
        work_folder: working directory of the jobs.
    """

    scenario: Name
    node: Name
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    user: str = ""
    password: Annotated[str, Field(repr=False)] = ""
    journal: str
    programs: dict[str, tuple[str, ...]]
    idle_kw: Annotated[float, Field(ge=0)] = 0.0
    failsafe_kw: Annotated[float, Field(ge=0)] = 0.0
    failsafe_hold_s: Annotated[float, Field(ge=0)] = 10.0
    heartbeat_s: Annotated[float, Field(gt=0)] = 5.0
    orphan_s: Annotated[float, Field(gt=0)] | None = None
    max_jobs: Annotated[int, Field(ge=1, le=500)] = 256
    stop_grace_s: Annotated[float, Field(ge=0)] = 1.0
    work_folder: str = "/"

    @field_validator("programs")
    @classmethod
    def _absolute(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for name, argv in value.items():
            if not argv or not Path(argv[0]).is_absolute():
                raise ValueError(f"program {name!r} needs an absolute path")
        return value


def builtin_programs() -> dict[str, tuple[str, ...]]:
    """``sleep`` of the system, and ``work``, which burns CPU and keeps its own time (so that a pause is a pause)."""
    import shutil

    programs = {"work": (sys.executable, "-S", "-E", str(HERE / "work.py"))}
    sleep = shutil.which("sleep")
    return programs | ({"sleep": (sleep,)} if sleep else {})


def read_config(path: Path) -> AgentConfig:
    """Read the settings.

    Raises:
        InputError: the file is missing, readable by others, or wrong.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError([Finding(str(path), None, "", str(error), "a readable settings file")]) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InputError(
            [Finding(str(path), None, "", f"mode {stat.S_IMODE(mode):o}", "mode 600: it holds a password (chmod 600)")]
        )
    try:
        return AgentConfig.model_validate_json(text)
    except ValidationError as error:
        findings = [
            Finding(str(path), None, ".".join(map(str, item["loc"])), item["type"], item["msg"])
            for item in error.errors(include_input=False, include_url=False)
        ]
        raise InputError(findings) from None


def write_config(config: AgentConfig, path: Path) -> None:
    """Write the settings to a file of mode 600."""
    path.touch(mode=0o600)
    path.write_bytes(config.encode())
