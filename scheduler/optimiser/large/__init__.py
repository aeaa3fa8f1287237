"""The large-scale solver: price decomposition with a proven bound (docs/model.md, "How many jobs are planned").

``case`` holds a problem as flat arrays; ``respond``, ``fractional``, ``prox``, ``state`` and ``improve`` are compiled code;
``energy`` is the energy side in HiGHS; ``dual`` drives prices, ``bound`` proves, ``primal`` makes the plan, ``exact`` polishes
the plans of small cases, ``prepare`` compiles before the clock starts, ``solve`` is the way in.

Functions of the innermost loops allocate nothing (who calls them makes the room) and are compiled without counting references
(``_nrt=False``): a call passes some 60 arrays, and counting them, atomically, took half of the search's time (decision 0018). A
function that does allocate is refused by the compiler with that option.

Their options are in ``compiled``. Compiled code is cached on disk. Numba renews a cached function when its own file changes,
but not when a function that it calls does; so the folder of the cache carries a fingerprint of all files that hold compiled
code. Numba reads the folder's name when it is imported; where another library (pandapower) has imported it before, it is told
to read again.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path


def _cache_folder() -> Path:
    """Folder of the compiled code of exactly these sources."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        source = path.read_bytes()
        if b"njit" in source and path.name != Path(__file__).name:
            digest.update(source)
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "ozzo" / f"kernels-{digest.hexdigest()[:16]}"


if "NUMBA_CACHE_DIR" not in os.environ:
    os.environ["NUMBA_CACHE_DIR"] = str(_cache_folder())
    if "numba" in sys.modules:
        sys.modules["numba.core.config"].reload_config()
