"""Compiled code goes where a change of any kernel makes a new folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("first", ["numba", "scheduler.optimiser.large"])
def test_the_folder_does_not_depend_on_who_imports_numba_first(first: str, tmp_path: Path) -> None:
    """Pandapower may import numba before us: kernels still go to the folder with the fingerprint, not beside their source."""
    program = f"import {first}, scheduler.optimiser.large, numba; print(numba.config.CACHE_DIR)"
    surroundings = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**surroundings, "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()).is_relative_to(tmp_path / "ozzo")
