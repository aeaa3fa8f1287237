"""Options of ``njit`` for compiled code (decisions 0018 and 0024).

``no_cfunc_wrapper`` and ``no_cpython_wrapper`` leave out the code around a function that turns the arguments of other callers
into its own; for tuples of 57 arrays that code takes longer to compile than most functions do. Without the second one only
compiled code may call it: a call from Python ends the process (``test_kernels.py`` finds such calls).
"""

from __future__ import annotations

from typing import Any

MAKES_ROOM: dict[str, Any] = {"cache": True, "nogil": True, "no_cfunc_wrapper": True}
"""For functions that allocate."""

FAST: dict[str, Any] = MAKES_ROOM | {"_nrt": False}
"""For functions that do not: references are not counted."""

WITHIN: dict[str, Any] = FAST | {"no_cpython_wrapper": True}
"""For those of them that only compiled code calls."""
