"""What a node's own settings allow with data: folders that hold datasets, and other places that hold copies of them.

Beyond this machine a peer is reached by ssh with a key and known hosts, or by rclone with its own configuration; rsync's daemon
does not encrypt, so it is spoken to on loopback only (a tunnel ends there too).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from ozzo.address import is_loopback
from ozzo.wire import Name, Wire

WAYS = ("folder", "rsync", "ssh", "rclone")
SSH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*@[A-Za-z0-9][A-Za-z0-9.-]*:/[A-Za-z0-9._/-]*")
REMOTE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]*:[A-Za-z0-9._/-]*")


class Peer(Wire):
    """Another place that holds datasets, reached in one of four ways.

    Attributes:
        folder: an absolute folder of this machine, such as one that is mounted.
        rsync: ``rsync://[USER@]HOST[:PORT]/MODULE`` of a daemon on loopback; password_file: for it.
        ssh: ``USER@HOST:/FOLDER``; key, known_hosts: files for it, both needed (an unknown host is refused).
        rclone: ``REMOTE:FOLDER``; config: rclone's configuration that says what it is, needed.
    """

    folder: str = ""
    rsync: str = ""
    password_file: str = ""
    ssh: str = ""
    key: str = ""
    known_hosts: str = ""
    rclone: str = ""
    config: str = ""

    @model_validator(mode="after")
    def _one_way(self) -> Peer:
        ways = [way for way in WAYS if getattr(self, way)]
        if len(ways) != 1:
            raise ValueError(f"one of {', '.join(WAYS)}; found {' and '.join(ways) or 'none'}")
        needed = {"ssh": ("key", "known_hosts"), "rclone": ("config",)}.get(ways[0], ())
        allowed = {*needed, *({"password_file"} if self.rsync else set())}
        given = {name for name in ("password_file", "key", "known_hosts", "config") if getattr(self, name)}
        if given - allowed:
            raise ValueError(f"{', '.join(sorted(given - allowed))}: not for {ways[0]}")
        if set(needed) - given:
            raise ValueError(f"{ways[0]} needs {' and '.join(needed)}")
        for name in given:
            _plain_path(getattr(self, name), name)
        getattr(self, f"_check_{ways[0]}")()
        return self

    def _check_folder(self) -> None:
        _plain_path(self.folder, "folder")

    def _check_rsync(self) -> None:
        address = urlsplit(self.rsync)
        if address.scheme != "rsync" or not address.hostname or len(address.path) < 2 or address.password or address.query:
            raise ValueError("rsync://[USER@]HOST[:PORT]/MODULE expected (the password belongs into password_file)")
        if not is_loopback(address.hostname):
            raise ValueError(f"{address.hostname} is not on loopback, and rsync's daemon does not encrypt: use ssh")

    def _check_ssh(self) -> None:
        if not SSH.fullmatch(self.ssh):
            raise ValueError("USER@HOST:/FOLDER expected")

    def _check_rclone(self) -> None:
        if not REMOTE.fullmatch(self.rclone):
            raise ValueError("REMOTE:FOLDER expected")

    @property
    def tool(self) -> str:
        """``rsync`` or ``rclone``."""
        return "rclone" if self.rclone else "rsync"

    def source(self, path: str) -> str:
        """A dataset there, as the tool names it."""
        return f"{(self.folder or self.rsync or self.ssh or self.rclone).rstrip('/')}/{path}"

    @property
    def options(self) -> tuple[str, ...]:
        """Arguments of the tool for this peer; secrets are names of files."""
        if self.ssh:
            words = ("ssh", "-i", self.key, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes")
            return ("-e", " ".join((*words, "-o", f"UserKnownHostsFile={self.known_hosts}")))
        if self.rclone:
            return ("--config", self.config)
        return (f"--password-file={self.password_file}",) if self.password_file else ()


class DataRules(Wire):
    """What an agent may do with data.

    Attributes:
        roots: folder by name; datasets lie below it.
        peers: other places by name.
        rsync, rclone: absolute paths of the programs; rclone is needed only for peers that it reaches.
    """

    roots: dict[Name, str]
    peers: Annotated[dict[Name, Peer], Field(max_length=1000)]
    rsync: str = "/usr/bin/rsync"
    rclone: str = "/usr/bin/rclone"

    @field_validator("roots")
    @classmethod
    def _folders(cls, value: dict[str, str]) -> dict[str, str]:
        for name, folder in value.items():
            _plain_path(folder, f"root {name!r}")
            if Path(folder) == Path("/"):
                raise ValueError(f"root {name!r}: a folder below / expected")
        return value

    @field_validator("rsync", "rclone")
    @classmethod
    def _programs(cls, value: str) -> str:
        _plain_path(value, "program")
        return value


def _plain_path(text: str, what: str) -> None:
    """An absolute path without spaces, which ssh's command line inside rsync could not hold.

    Raises:
        ValueError: it is none.
    """
    if not Path(text).is_absolute() or any(letter.isspace() for letter in text) or ".." in Path(text).parts:
        raise ValueError(f"{what}: an absolute path without spaces and '..' expected")
