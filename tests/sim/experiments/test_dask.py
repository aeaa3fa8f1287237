"""The same sweep on a Dask cluster (a local one): the same table, lost workers borne, a wrong address told."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grid.errors import InputError
from sim.experiments.dask_engine import DaskEngine
from sim.experiments.sweep import News, run_sweep
from sim.experiments.sweep_file import load_sweep
from tests.sim.experiments.sweeps import repeatable, sweep_file

distributed = pytest.importorskip("distributed", reason="the extra 'dask' is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A scheduler here and two workers in processes of their own."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1", silence_logs=50
    ) as made:
        yield made


def test_a_cluster_makes_the_same_table(cluster: Any, tmp_path: Path) -> None:
    """20 runs on the cluster, a worker killed in the middle, and 20 in our own processes: equal tables."""
    sweep = load_sweep(sweep_file(tmp_path))
    pids = [worker.process.process.pid for worker in cluster.workers.values()]
    killed: list[int] = []

    def tell(news: News) -> None:
        """Kill a worker once."""
        if news.done >= 3 and not killed:
            killed.append(pids[0])
            os.kill(pids[0], signal.SIGKILL)

    there = run_sweep(sweep, tmp_path / "there", engine=DaskEngine(cluster.scheduler_address), tell=tell)
    assert (there.done, there.failed) == (20, ())
    assert killed
    here = run_sweep(sweep, tmp_path / "here", workers=1)
    assert here.done == 20
    assert repeatable(tmp_path / "there") == repeatable(tmp_path / "here")


def test_nothing_at_the_address_is_an_error_of_input() -> None:
    """An address where nobody listens, and one that is none, name the option and what is expected."""
    for address in ("tcp://127.0.0.1:1", "nonsense://x"):
        with pytest.raises(InputError, match="address of a Dask scheduler"):
            DaskEngine(address)


def test_without_dask_the_option_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package is missing, the one error names the extra."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"ozzo\[dask\]"):
        DaskEngine("tcp://127.0.0.1:1")
