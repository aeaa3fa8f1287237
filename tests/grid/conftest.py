"""Networks for the tests of this floor, built freshly once a session, so that a stale cache hides nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from grid.network import Network, load_network

CODE = "1-LV-semiurb4--0-sw"


@pytest.fixture(scope="session")
def network_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder of its own."""
    return tmp_path_factory.mktemp("network")


@pytest.fixture(scope="session")
def network(network_cache: Path) -> Network:
    """The suburban low-voltage grid of SimBench."""
    return load_network(CODE, cache=network_cache)
