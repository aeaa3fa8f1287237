"""Names of SimBench's grids and buses without its package: the same as the package's own."""

from __future__ import annotations

import pytest

from grid.errors import FeedError
from grid.feeds.simbench_codes import simbench_buses, simbench_codes
from grid.network import Network


def test_codes_are_those_of_the_package() -> None:
    """Not one more and not one less."""
    import highspy  # noqa: F401 - before pandapower, see grid.network
    import simbench

    assert sorted(simbench_codes()) == sorted(simbench.collect_all_simbench_codes())


def test_buses_are_those_of_the_network(network: Network) -> None:
    """The table names the buses that the built network has."""
    assert sorted(simbench_buses(network.code) or ()) == sorted(network.bus_names)


def test_buses_of_other_levels_are_not_known() -> None:
    """Grids above low voltage are not looked up; a word that is no code is refused."""
    assert simbench_buses("1-MV-rural--0-sw") is None
    with pytest.raises(FeedError, match="not of the form"):
        simbench_buses("rural")
