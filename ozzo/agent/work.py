"""A job that really works: ``work SECONDS [DUTY]``.

It runs for SECONDS of its own time and computes for the share DUTY (default 1) of it. Its own time stands still while it is
paused (SIGSTOP), unlike that of ``sleep``, whose alarm rings by the wall clock. Standard library only, no site: it starts in
a few milliseconds.
"""

from __future__ import annotations

import sys
import time

TICK_S = 0.01
"""Longest piece of work between two looks at the clock; a gap above twice this was a pause or another process's turn."""


def work(seconds: float, duty: float) -> int:
    """Work until ``seconds`` of own time are over; returns the number of ticks worked."""
    done_s, ticks, value = 0.0, 0, 1
    last = time.monotonic()
    while done_s < seconds:
        busy_until = last + min(TICK_S, seconds - done_s) * duty
        while time.monotonic() < busy_until:
            value = value * 6364136223846793005 + 1442695040888963407 & 0xFFFFFFFFFFFFFFFF
        rest_s = min(TICK_S, seconds - done_s) * (1.0 - duty)
        if rest_s > 0:
            time.sleep(rest_s)
        now = time.monotonic()
        done_s += min(now - last, 2 * TICK_S)
        last, ticks = now, ticks + 1
    return ticks


if __name__ == "__main__":
    work(float(sys.argv[1]), min(1.0, max(0.0, float(sys.argv[2]) if len(sys.argv) > 2 else 1.0)))
