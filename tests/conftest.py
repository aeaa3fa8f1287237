"""Shared fixtures, and the rule that in CI nothing may be skipped."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("ozzo", deadline=None, derandomize=True, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ozzo")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.CallInfo[None], None]:
    """With CI=true a skipped test is a failure: CI installs everything that a test may need."""
    result = yield
    report = result.get_result()  # type: ignore[attr-defined]
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, where nothing may be skipped: {report.longrepr}"


@pytest.fixture
def data() -> Path:
    """Folder of the real data; skips with the reason when OZZO_DATA is not set."""
    folder = os.environ.get("OZZO_DATA")
    if not folder:
        pytest.skip("OZZO_DATA is not set: real data is read in place and never shipped")
    return Path(folder)


@pytest.fixture
def spec() -> Path:
    """Folder of official interface descriptions; skips with the reason when OZZO_SPEC is not set."""
    folder = os.environ.get("OZZO_SPEC")
    if not folder:
        pytest.skip("OZZO_SPEC is not set: interface descriptions are read in place and never shipped")
    return Path(folder)


@pytest.fixture
def instances() -> Path:
    """Folder of the benchmark instances and their judge; skips with the reason when OZZO_INSTANCES is not set."""
    folder = os.environ.get("OZZO_INSTANCES")
    if not folder:
        pytest.skip("OZZO_INSTANCES is not set: benchmark instances are read in place and never shipped")
    return Path(folder)
