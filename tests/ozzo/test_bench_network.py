"""``ozzo bench network``: figures by name, from a list of measures."""

from __future__ import annotations

import io
import json

import pytest

from ozzo.bench import network as bench
from ozzo.bench.network import NetworkBenchOptions, measures, print_figures, run_measures
from tests.ozzo.test_cli import ozzo


def test_measures_are_run_in_order_and_may_not_share_a_name() -> None:
    """Figures of all measures in one mapping; two of one name are a mistake in the list and said so."""
    told: list[str] = []

    def one(progress: bench.Progress) -> dict[str, float]:
        progress("one")
        return {"a": 1.0}

    def two(progress: bench.Progress) -> dict[str, float]:
        progress("two")
        return {"b": 2.0}

    assert run_measures((one, two), told.append) == {"a": 1.0, "b": 2.0}
    assert told == ["one", "two"]
    with pytest.raises(ValueError, match="measured twice: a"):
        run_measures((one, one), told.append)


def test_the_table_shows_every_figure() -> None:
    """Known figures with their words, one without words by its name."""
    out = io.StringIO()
    print_figures({"plan_check_s": 0.5, "new_figure": 123456.0}, out)
    assert "50 scenarios" in out.getvalue()
    assert "new_figure" in out.getvalue()
    assert "123456" in out.getvalue()


def test_the_list_has_the_four_measures() -> None:
    """Year, plan check, three phases, the linear model."""
    assert len(measures(NetworkBenchOptions())) == 4


@pytest.mark.slow
@pytest.mark.long  # the engines' agreement is asserted in tests/grid/test_power_grid.py
def test_bench_network_tells_the_figures_of_the_issue() -> None:
    """All figures, and pandapower, power-grid-model and ozzo agree on the year."""
    done = ozzo("bench", "network", "--sample", "20", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert {"year_speedup", "max_voltage_difference_pu", "plan_check_s", "three_phase_check_s"} <= figures.keys()
    assert figures["pandapower_slots"] == 20
    assert 0 < figures["max_voltage_difference_pu"] < 1e-6
    assert 0 < figures["second_engine_difference_pu"] < 1e-6
    assert figures["max_loading_difference_pct"] < 1e-3


def test_a_sample_too_small_is_refused() -> None:
    """Exit code 2 and no traceback."""
    done = ozzo("bench", "network", "--sample", "3")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
