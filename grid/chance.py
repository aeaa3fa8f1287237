"""Random numbers: one seed a run, one named generator a stream.

Two streams of one run never share numbers, and adding a stream changes no other.
"""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, name: str) -> np.random.Generator:
    """Generator of the stream ``name`` in the run ``seed`` (both together decide every draw)."""
    return np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(name.encode())]))
