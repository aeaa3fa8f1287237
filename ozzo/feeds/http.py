"""One careful GET: https (plain http to this machine only), time-outs, retries with backoff, a pause between requests to a host.

No redirect is followed, so a token goes nowhere else. What a server says is read up to a limit. Tokens travel in headers or
in the question; errors name scheme, host and path only, and a filter keeps the question out of httpx's own log.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from grid.errors import FeedError
from grid.feeds.live import url_fault

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same question may be answered later."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        url: address without a question.
        params: the question, tokens among it.
        headers: headers, tokens among them.
        limit_per_s: largest rate of requests to this host.
    """

    url: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    limit_per_s: float = 2.0


@dataclass(slots=True)
class Client:
    """Asks questions, one at a time to each host.

    Attributes:
        timeout_s: to connect, and between two pieces of an answer.
        total_s: for one attempt as a whole.
        attempts: attempts for a question, the first included.
        backoff_s: pause after the first failure; doubled after each further one, at most ``longest_s``.
        longest_s: longest pause that is waited, also where a server asks for more.
        most_bytes: largest answer.
        sleep, clock: for tests.
    """

    timeout_s: float = 10.0
    total_s: float = 60.0
    attempts: int = 4
    backoff_s: float = 1.0
    longest_s: float = 30.0
    most_bytes: int = 20_000_000
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _next: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, question: Question) -> str:
        """The answer as text.

        Raises:
            FeedError: the address is not allowed, or no attempt brought an answer; says what the last one met.
        """
        fault = url_fault(question.url)
        if fault:
            raise FeedError(f"{shown(question.url)} is not asked: {fault}; expected https, or http on this machine")
        reason = ""
        for attempt in range(self.attempts):
            self._wait_for_turn(question)
            answer, reason, pause_s = self._attempt(question)
            if answer is not None:
                return answer
            if pause_s is None:
                break
            if attempt + 1 < self.attempts:
                self.sleep(min(self.longest_s, max(pause_s, self.backoff_s * 2.0**attempt)))
        raise FeedError(f"{shown(question.url)}: {reason}")

    def _wait_for_turn(self, question: Question) -> None:
        """Keep the rate of the host."""
        host = urlsplit(question.url).netloc
        with self._lock:
            now = self.clock()
            turn = max(now, self._next.get(host, now))
            self._next[host] = turn + 1.0 / question.limit_per_s
        if turn > now:
            self.sleep(turn - now)

    def _attempt(self, question: Question) -> tuple[str | None, str, float | None]:
        """Answer, or None with the reason and the least pause before another attempt (None: another one is no use)."""
        import httpx

        _quiet_log()
        started = self.clock()
        proxies = urlsplit(question.url).scheme == "https"  # plain http stays on this machine, so no proxy may carry it off
        try:
            with (
                httpx.Client(timeout=self.timeout_s, follow_redirects=False, trust_env=proxies) as client,
                client.stream("GET", question.url, params=dict(question.params), headers=dict(question.headers)) as response,
            ):
                if response.status_code != httpx.codes.OK:
                    reason = f"status {response.status_code} {response.reason_phrase}".strip()
                    again = response.status_code in RETRIED
                    return None, reason, _retry_after(response.headers.get("retry-after")) if again else None
                body = bytearray()
                for piece in response.iter_bytes():
                    body += piece
                    if len(body) > self.most_bytes:
                        return None, f"an answer of more than {self.most_bytes} bytes", None
                    if self.clock() - started > self.total_s:
                        return None, f"no whole answer in {self.total_s:g} s", 0.0
                return body.decode("utf-8"), "", None
        except UnicodeDecodeError:
            return None, "an answer that is no text in UTF-8", None
        except httpx.TimeoutException:
            return None, f"no answer in {self.timeout_s:g} s", 0.0
        except httpx.TransportError as error:
            return None, f"no connection, or one that broke ({type(error).__name__})", 0.0
        except (httpx.InvalidURL, ValueError) as error:
            return None, f"a question that cannot be sent ({type(error).__name__})", None


def shown(url: str) -> str:
    """An address for people and logs: scheme, host and path, no question and no password."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that cannot be read"
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def _retry_after(text: str | None) -> float:
    """Seconds that a server asks to wait; 0 when it does not say (a date is taken as not said)."""
    try:
        return max(0.0, float(text or 0.0))
    except ValueError:
        return 0.0


class _NoQuestion(logging.Filter):
    """Takes the question out of addresses in httpx's log records."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten every argument that is an address; keeps the record."""
        if isinstance(record.args, tuple):
            record.args = tuple(shown(str(item)) if "://" in str(item) else item for item in record.args)
        return True


_FILTER = _NoQuestion()


def _quiet_log() -> None:
    logging.getLogger("httpx").addFilter(_FILTER)
