"""A file server on this machine: ranges, marks, and on demand cuts, refusals and changes of mind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.ozzo.serving import QuietHandler, serving


@dataclass
class Shelf:
    """What it serves and how.

    Attributes:
        url: its address.
        files: bytes by path.
        mark: ETag, or empty for none.
        ranges: it knows ranges (otherwise it always answers with the whole).
        cuts: for the next answers with a body, how many bytes are sent before the connection is cut; None sends all.
        statuses: of the next answers, in order, without a body.
        headers: further headers of those.
        lie: byte that the next answers to ranges claim to begin at, beside the one asked for.
        asked: path, Range and If-Range of every request.
    """

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    mark: str = '"one"'
    ranges: bool = True
    cuts: list[int | None] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    lie: int = 0
    asked: list[tuple[str, str | None, str | None]] = field(default_factory=list)


@contextmanager
def shelf() -> Iterator[Shelf]:
    """A server on a free port of loopback."""
    held: list[Shelf] = []

    class Handler(QuietHandler):
        """Answers from ``Shelf``."""

        def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
            here = held[0]
            wanted, condition = self.headers.get("Range"), self.headers.get("If-Range")
            here.asked.append((self.path, wanted, condition))
            if here.statuses or self.path not in here.files:
                self.refuse(here.statuses.pop(0) if here.statuses else 404, here.headers)
                return
            whole = here.files[self.path]
            begin = 0
            if wanted and here.ranges and (condition is None or condition == here.mark):
                begin = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if begin >= len(whole):
                    self.refuse(416, {})
                    return
            self.send_response(206 if begin else 200)
            if begin:
                self.send_header("Content-Range", f"bytes {begin + here.lie}-{len(whole) - 1}/{len(whole)}")
            if here.mark:
                self.send_header("ETag", here.mark)
            self.send_header("Content-Length", str(len(whole) - begin))
            self.end_headers()
            cut = here.cuts.pop(0) if here.cuts else None
            self.wfile.write(whole[begin:] if cut is None else whole[begin : begin + cut])

        def refuse(self, status: int, headers: dict[str, str]) -> None:
            """An answer without a body."""
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with serving(Handler) as url:
        held.append(Shelf(url))
        yield held[0]
