"""What a child process gets to see of the controller's environment: a short list, so that no secret travels with it."""

from __future__ import annotations

import os
from collections.abc import Mapping

PASSED_ON = (
    "PATH",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "VIRTUAL_ENV",
    "TMPDIR",
    "COVERAGE_PROCESS_CONFIG",
    "COVERAGE_PROCESS_START",
)
"""Needed to find programs, libraries and temporary files, to speak the user's language, and to measure test coverage."""


def child_environment(environment: Mapping[str, str] = os.environ, **more: str) -> dict[str, str]:
    """The variables of ``PASSED_ON`` that are set, and those in ``more``."""
    return {name: environment[name] for name in PASSED_ON if name in environment} | more
