"""GPU power limits: monotone curves from noisy points, real tables, and clusters whose GPUs are capped."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import InputError
from scheduler.gpu_limits import limit_curve, monotone, read_limits
from sim.energy_core.fifo import run_fifo
from sim.energy_core.nodes import NodeKind, PowerCurve

WORKLOAD = ("imagenet", "resnet50", "256", "adadelta")
HEADER = "dataset,network,batch_size,optimizer,power_limit,time_per_epoch,average_power\n"


@given(st.lists(st.floats(-100.0, 100.0), min_size=1, max_size=12))
def test_the_nearest_curve_that_never_falls(values: list[float]) -> None:
    """It never falls, keeps the mean, and is the max-min of means of stretches (the closed form of isotonic regression)."""
    found = monotone(values)
    n = len(values)
    closed = [
        max(min(sum(values[a : b + 1]) / (b + 1 - a) for b in range(i, n)) for a in range(i + 1))
        for i in range(n)
    ]  # fmt: skip
    assert found == pytest.approx(closed, abs=1e-9)
    assert all(low <= high + 1e-9 for low, high in pairwise(found))
    assert sum(found) == pytest.approx(sum(values), abs=1e-9)


def test_a_curve_by_hand() -> None:
    """The point at 150 W is slower than that at 100 W: both get their mean; between limits it is straight; beyond, an error."""
    curve = limit_curve(WORKLOAD, [(200.0, 10.0, 180.0), (100.0, 14.0, 100.0), (150.0, 16.0, 140.0), (250.0, 10.0, 170.0)])
    assert curve.slowdown == pytest.approx((1.5, 1.5, 1.0, 1.0))
    assert curve.power_w == pytest.approx((100.0, 140.0, 175.0, 175.0))
    assert curve.at(175.0) == pytest.approx((1.25, 157.5))
    assert curve.at(100.0) == pytest.approx((1.5, 100.0))
    assert curve.under(150.0, 3600.0, 8, 0.6) == pytest.approx((5400.0, 0.6 + 1.12))
    assert curve.energy(150.0) == pytest.approx(1.5 * 140 / 175)
    with pytest.raises(ValueError, match="99 W was not measured; 100 to 250 W were"):
        curve.at(99)
    assert limit_curve(WORKLOAD, [(200.0, 10.0, 180.0)]).at(200.0) == (1.0, 180.0)


def test_a_table_with_faults_is_refused_with_all_of_them(tmp_path: Path) -> None:
    """Line, column, what stands there and what should; a limit twice; missing columns; no measurement at all; no file."""
    table = tmp_path / "limits.csv"
    table.write_text(HEADER + "a,b,1,c,100,x,90\na,b,1,c,-5,1,90\na,b,1,c,150,1,90\na,b,1,c,150,2,91\n")
    with pytest.raises(InputError) as caught:
        read_limits(table)
    assert [(finding.line, finding.field, finding.found) for finding in caught.value.findings] == [
        (2, "time_per_epoch", "x"),
        (3, "power_limit", "-5"),
        (5, "power_limit", "150 again"),
    ]
    table.write_text("dataset,network\n")
    with pytest.raises(InputError) as caught:
        read_limits(table)
    assert [finding.field for finding in caught.value.findings] == [
        "batch_size", "optimizer", "power_limit", "time_per_epoch", "average_power"]  # fmt: skip
    table.write_text(HEADER)
    with pytest.raises(InputError, match="found no line"):
        read_limits(table)
    with pytest.raises(InputError, match=r"none\.csv"):
        read_limits(tmp_path / "none.csv")


def test_a_capped_cluster_draws_less_for_longer() -> None:
    """The same job on capped GPUs takes 1.5 times as long, and its node draws what the table says."""
    curve = limit_curve(WORKLOAD, [(100.0, 15.0, 95.0), (250.0, 10.0, 230.0)])
    kinds = [NodeKind("gpu", 1, PowerCurve.linear(0.3, 1.5))]
    free, capped = (
        run_fifo(kinds, [0.0], [duration_s], node_kw=[node_kw])
        for duration_s, node_kw in (curve.under(limit, 7200.0, 4, 0.4) for limit in (250.0, 100.0))
    )
    assert (free.end_s[0], capped.end_s[0]) == pytest.approx((7200.0, 10_800.0))
    assert (free.own_kwh[0], capped.own_kwh[0]) == pytest.approx((2 * (0.4 + 0.92), 3 * (0.4 + 0.38)))


@pytest.mark.data
@pytest.mark.parametrize(
    ("gpu", "settings", "limit_w", "slowdown", "best_w", "energy"),
    [  # README of the data, from the raw points: median time at a limit, least median energy
        ("v100", 68, 150.0, 1.11, 125.0, 0.80),
        ("rtx6000", 52, 150.0, 1.10, 150.0, 0.78),
        ("a40", 53, 175.0, 1.08, 175.0, 0.84),
        ("p100", 45, 150.0, 1.04, 125.0, 0.88),
    ],
)
def test_real_tables(data: Path, gpu: str, settings: int, limit_w: float, slowdown: float, best_w: float, energy: float) -> None:
    """As many workloads as the README of the data counts; medians of the curves within 0.02 of those of the raw points."""
    curves = read_limits(data / "gpu_power" / f"summary_power_{gpu}.csv")
    assert len(curves) == settings
    measured = [curve for curve in curves if curve.limits_w[0] <= min(limit_w, best_w)]
    assert median(curve.at(limit_w)[0] for curve in measured) == pytest.approx(slowdown, abs=0.02)
    assert median(curve.energy(best_w) for curve in measured) == pytest.approx(energy, abs=0.02)
    for curve in curves:
        assert list(curve.slowdown) == sorted(curve.slowdown, reverse=True)
        assert list(curve.power_w) == sorted(curve.power_w)
        assert curve.slowdown[-1] == 1.0
