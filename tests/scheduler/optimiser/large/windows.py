"""Windows of random prices for best responses."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from grid.horizon import FloatArray


@st.composite
def windows(draw: st.DrawFn, most: int = 8) -> tuple[FloatArray, FloatArray, dict[str, Any]]:
    """Prices of one to ``most`` slots, some below zero or equal, some blocked or narrow; work, due slot and lateness price."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.integers(1, most))
    kw, use = rng.uniform(-0.5, 2.0, size), rng.uniform(0.0, 0.5, size)
    if draw(st.booleans()):
        kw, use = rng.integers(-1, 3, size).astype(float), rng.integers(0, 2, size).astype(float)
    use[rng.random(size) < draw(st.sampled_from([0.0, 0.3]))] = np.inf
    first = draw(st.integers(0, 3))
    job = {
        "first": first,
        "work": draw(st.integers(1, size)),
        "soft": first + draw(st.integers(0, size)),
        "late": draw(st.sampled_from([0.0, 0.4, 0.9])),
        "limit": np.linspace(0.3, 1.0, size) if draw(st.booleans()) else np.ones(size),
    }
    return kw, use, job
