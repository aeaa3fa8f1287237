"""The base of every message of the command protocol, and what the protocol says about data: transfers and releases.

A dataset is a folder below a *root* of a node. A *peer* is another place that holds such folders, as the node's own settings name
it; a controller can say names only, never a path outside a root, an address or a program.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

PLAIN = r"^[^\x00-\x1f\x7f]*$"
"""No control characters: a process takes no NUL in its arguments, and no log line shall be broken by a name."""
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=PLAIN)]
Text = Annotated[str, Field(max_length=1000)]
Argument = Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")]
DataPath = Annotated[str, Field(max_length=300, pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$")]
"""A folder below a root: names without leading dots, joined by slashes, so it never leads out of the root."""
DataName = Annotated[str, Field(min_length=1, max_length=150, pattern=PLAIN)]
"""Of a transfer or a release: each is a name of its own for good, because one that ended well is not done again."""
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class JobWish(StrEnum):
    """The state that a job on a node should be in."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"


class Wire(BaseModel):
    """Base of everything on the wire: no unknown fields, no coercion, no infinities, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    def encode(self) -> bytes:
        """The message as JSON bytes."""
        return self.model_dump_json(exclude_none=True).encode()


class TransferState(Wire):
    """Desired state of one copy of a dataset from a peer into a root of the node; the peer's own copy is never touched.

    Attributes:
        transfer: name of the transfer.
        state: what it should be; stopped keeps what has come so far, and a later transfer to the same path goes on from there.
        peer: name in the node's settings of where the copy comes from.
        root: name in the node's settings of the folder that it goes to.
        path: of the dataset, the same below both.
        rate_mbit_per_s: highest rate; None: no limit. A new one takes effect during the transfer.
        power_kw: IT power that it is planned to add to this node, for the cap; 0 when unknown.
    """

    kind: Literal["transfer"] = "transfer"
    transfer: DataName
    state: JobWish
    peer: Name
    root: Name
    path: DataPath
    rate_mbit_per_s: Annotated[float, Field(ge=0.01, le=1e6)] | None = None
    power_kw: Annotated[float, Field(ge=0, le=1e6)] = 0.0


class CopyProof(Wire):
    """Another copy of a dataset that was verified: what the end of a transfer told.

    Attributes:
        peer: name in the node's settings of where that copy is.
        digest: of all files of the copy.
        files, bytes: how many, and how large together.
    """

    peer: Name
    digest: Digest
    files: Annotated[int, Field(ge=0, le=2**53)]
    bytes: Annotated[int, Field(ge=0, le=2**53)]


class ReleaseState(Wire):
    """The replica of a dataset in a root of the node shall be gone, because another copy is proven.

    The node takes its replica out of the way, checks that it has the proven digest and that the other copy is still the same
    byte by byte, and only then deletes it; otherwise it puts it back.

    Attributes:
        release: name of the release.
        root, path: as in a transfer.
        proof: the other copy.
    """

    kind: Literal["release"] = "release"
    release: DataName
    root: Name
    path: DataPath
    proof: CopyProof
