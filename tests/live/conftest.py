"""What the tests against a real broker share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ozzo.broker import Broker, find_mosquitto
from ozzo.broker_files import CONTROLLER
from ozzo.fleet import LocalAgents, NodeSpec
from tests.live.faults import FAULTS, Fault, page
from tests.live.plane import patience, plane, plane_broker
from tests.ozzo.rig import Rig

NODES = ("hall.rack-0", "hall.rack-1")


@pytest.fixture
def mosquitto() -> str:
    """Path of Mosquitto; skips with the reason when it is not installed (in CI that is a failure)."""
    found = find_mosquitto()
    if found is None:
        pytest.skip("mosquitto is not installed")
    return found


@pytest.fixture
def broker(mosquitto: str) -> Iterator[Broker]:
    """A private broker with two nodes and the controller."""
    with Broker("test", NODES, program=mosquitto) as running:
        yield running


@pytest.fixture
def agents(mosquitto: str, tmp_path: Path) -> Iterator[tuple[LocalAgents, Rig]]:
    """Two real agents behind a private broker, and the controller's end."""
    assert mosquitto
    specs = [NodeSpec(name, idle_kw=0.1, failsafe_kw=0.2, peak_kw=0.5) for name in NODES]
    local = LocalAgents("test", specs, tmp_path / "agents")
    local.start()
    try:
        rig = Rig("test", local.transport)
        local.launch()
        for name in NODES:
            local.watch(rig.birth(name).pid)
        yield local, rig
    finally:
        local.stop()


@pytest.fixture
def fault(request: pytest.FixtureRequest) -> Fault:
    """A line of the table of faults."""
    found = Fault(request.node.originalname)
    FAULTS.append(found)
    return found


def pytest_sessionfinish(exitstatus: int) -> None:
    """With OZZO_FAULTS=FILE the table is written, when every test has passed."""
    file = os.environ.get("OZZO_FAULTS")
    if file and FAULTS and exitstatus == 0:
        Path(file).write_text(page(FAULTS), encoding="utf-8")


__all__ = ["CONTROLLER", "NODES", "patience", "plane", "plane_broker"]
