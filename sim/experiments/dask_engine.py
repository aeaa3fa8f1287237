"""A Dask cluster in place of a pool of processes: an optional engine, for those who have such a cluster.

Its workers need the same ozzo and must see the scenario files under the same paths. Dask itself repeats the run of a worker that
died and gives up after its own limit (``distributed.scheduler.allowed-failures``); that run has then failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self

from grid.errors import Finding, InputError
from sim.experiments.pool import Done, Lost
from sim.experiments.worker import answer

TIMEOUT_S = 10.0
"""Time that a scheduler gets to answer."""


class DaskEngine:
    """Carries out tasks on the cluster of a scheduler; a context.

    Args:
        address: of the scheduler, ``tcp://host:port``.

    Raises:
        InputError: ``dask[distributed]`` is not installed, or nothing answers there.
    """

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError as error:
            found, expected = "no package 'distributed'", "ozzo with its extra 'dask' (pip install 'ozzo[dask]')"
            raise InputError([Finding("--dask", None, "", found, expected)]) from error
        try:
            self._client: Any = Client(address, timeout=TIMEOUT_S, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            expected = "the address of a Dask scheduler, such as tcp://127.0.0.1:8786"
            raise InputError([Finding("--dask", None, "", f"{address} ({error})"[:200], expected)]) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def results(self, tasks: Sequence[dict[str, Any]]) -> Iterator[Done | Lost]:
        """What becomes of the tasks, as it happens; what is left when the caller stops is cancelled."""
        from distributed import as_completed

        futures = self._client.map(answer, tasks, pure=False, retries=0)
        index = {future.key: int(task["run"]) for future, task in zip(futures, tasks, strict=True)}
        try:
            for future in as_completed(futures, loop=self._client.loop):
                run = index[future.key]
                try:  # waits again when the worker that held the result is gone
                    found: dict[str, Any] = future.result()
                except Exception as error:  # noqa: BLE001 - Dask gave the run up, for whatever reason; that is told
                    yield Done(run, None, f"on the cluster: {type(error).__name__}: {error}")
                else:
                    yield Done(run, found.get("row"), found.get("trouble", ""))
                future.release()
        finally:
            self._client.cancel([future for future in futures if not future.done()])
