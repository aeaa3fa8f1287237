"""A cable that can be cut: a TCP proxy on loopback in front of a broker, for the soak."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

PIECE = 65536


@dataclass(eq=False)
class _End:
    """One socket of a pair; ``waiting`` is what the other one could not take yet."""

    sock: socket.socket
    other: _End | None = None
    waiting: bytearray = field(default_factory=bytearray)


class Proxy:
    """Passes bytes both ways in a thread of its own; use it as a context manager.

    Attributes:
        port: where it listens on 127.0.0.1; cuts: how often it was cut.
    """

    def __init__(self, port: int) -> None:
        """Listen.

        Args:
            port: of the broker on 127.0.0.1.
        """
        self._target, self.cuts = port, 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
        self._listener.setblocking(False)
        self.port = int(self._listener.getsockname()[1])
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._ends: set[_End] = set()
        self._cut_until = self._held_until = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()

    def cut(self, seconds: float) -> None:
        """Close every connection, and take none for so long."""
        self.cuts += 1
        self._cut_until = time.monotonic() + seconds

    def hold(self, seconds: float) -> None:
        """Let nothing through for so long; connections stay, what is sent arrives later."""
        self._held_until = time.monotonic() + seconds

    def _run(self) -> None:
        while not self._stop.is_set():
            now = time.monotonic()
            if now < self._cut_until:
                for end in list(self._ends):
                    self._close(end)
            if now < self._held_until:
                time.sleep(0.05)
                continue
            for key, mask in self._selector.select(0.05):
                if key.fileobj is self._listener:
                    self._accept(refuse=time.monotonic() < self._cut_until)
                elif isinstance(key.data, _End) and key.data in self._ends:
                    self._serve(key.data, mask)

    def _accept(self, *, refuse: bool) -> None:
        with suppress(BlockingIOError):
            sock, _ = self._listener.accept()
            if refuse:
                sock.close()
                return
            try:
                target = socket.create_connection(("127.0.0.1", self._target), timeout=5.0)
            except OSError:  # the broker is away just now: so is the cable
                sock.close()
                return
            first, second = _End(sock), _End(target)
            first.other, second.other = second, first
            for end in (first, second):
                end.sock.setblocking(False)
                self._ends.add(end)
                self._selector.register(end.sock, selectors.EVENT_READ, end)

    def _serve(self, end: _End, mask: int) -> None:
        try:
            if mask & selectors.EVENT_WRITE:
                self._flush(end)
            if mask & selectors.EVENT_READ and end.other is not None:
                piece = end.sock.recv(PIECE)
                if not piece:
                    self._close(end)
                    return
                end.other.waiting += piece
                self._flush(end.other)
        except BlockingIOError:
            return
        except OSError:  # the other side has reset it
            self._close(end)

    def _flush(self, end: _End) -> None:
        """Send what waits for this end, as much as it takes."""
        if end.waiting:
            with suppress(BlockingIOError):
                del end.waiting[: end.sock.send(end.waiting)]
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if end.waiting else 0)
        self._selector.modify(end.sock, wanted, end)

    def _close(self, end: _End) -> None:
        for one in (end, end.other):
            if one is not None and one in self._ends:
                self._ends.discard(one)
                self._selector.unregister(one.sock)
                one.sock.close()

    def close(self) -> None:
        """End it; every connection closes."""
        self._stop.set()
        self._thread.join()
        for end in list(self._ends):
            self._close(end)
        self._selector.close()
        self._listener.close()
