"""The job generator: its draws follow its model, and its model follows the trace."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.chance import stream
from grid.errors import FeedError
from grid.horizon import Horizon
from scheduler.generator import JobClass, JobModel, fit, read_model, sample, to_json
from scheduler.traces import Tasks
from scheduler.workload import JobKind

MODEL = Path(__file__).parents[2] / "configs" / "data" / "surf_job_model.json"
START = datetime(2023, 5, 10, 22, tzinfo=UTC)  # local midnight of a Thursday
DAY = Horizon(START, timedelta(minutes=15), 96)
WEEK = Horizon(START, timedelta(minutes=15), 7 * 96)


@pytest.fixture(scope="module")
def model() -> JobModel:
    """The model that ships."""
    return read_model(MODEL)


def ks_distance(durations: np.ndarray, model: JobModel) -> float:
    """Largest distance between the drawn shares and the model's (Kolmogorov and Smirnov)."""
    ordered = np.sort(durations)
    shares = np.array([model.probability(float(value)) for value in ordered])
    steps = np.arange(len(ordered) + 1) / len(ordered)
    return float(max(np.abs(shares - steps[1:]).max(), np.abs(shares - steps[:-1]).max()))


def test_model_that_ships_is_the_trace_it_names(model: JobModel) -> None:
    """Median, 90th percentile and the share under a minute are those that the data's description tells."""
    assert model.tasks == 189_611
    assert model.quantile(np.array([0.5]))[0] == pytest.approx(191, rel=0.1)  # 191 s with the last five days, which are left out
    assert model.quantile(np.array([0.9]))[0] == pytest.approx(2.05 * 3600, rel=0.05)
    assert model.probability(60.0) == pytest.approx(0.32, abs=0.02)
    assert model.node_shares == {1: 1.0}
    assert "SURF" in model.source
    assert model.command.startswith("ozzo fit jobs")


def test_quantile_and_probability_are_each_others_inverse(model: JobModel) -> None:
    """From share to run time and back is the share again, where run times are not all equal."""
    shares = np.linspace(0.05, 0.995, 60)
    back = [model.probability(float(value)) for value in model.quantile(shares)]
    assert back == pytest.approx(shares.tolist(), abs=0.02)


def test_drawn_run_times_follow_the_model(model: JobModel) -> None:
    """4,000 jobs over two weeks: the distance to the model stays below the 1 % bound 1.63 / sqrt(n) plus rounding."""
    long = Horizon(START, timedelta(minutes=15), 60 * 96)
    jobs = sample(model, long, 4000, stream(1, "ks"), sites=("hall",))
    early = [job.duration.total_seconds() for job in jobs if job.release < START + timedelta(days=50)]
    assert ks_distance(np.array(early), model) < 1.63 / np.sqrt(len(early)) + 0.02


def test_drawn_arrivals_follow_the_hours(model: JobModel) -> None:
    """Over a week the share of jobs in each local hour of the week is that of the model."""
    jobs = sample(model, WEEK, 20_000, stream(2, "arrivals"), sites=("hall",))
    hours = np.array([int((job.release - START) / timedelta(hours=1)) for job in jobs])
    found = np.bincount(hours, minlength=168)[:166] / len(jobs)
    rates = np.array(model.arrivals_per_hour)[[3, 4, 5, 6, 0, 1, 2]].ravel()
    expected = rates[:166] / rates[:167].sum()
    assert np.abs(found - expected).max() < 5 * np.sqrt(expected.max() / len(jobs))


@settings(max_examples=40)
@given(
    st.integers(0, 2**32),
    st.integers(1, 60),
    st.sampled_from([5, 15, 60]),
    st.integers(3, 30),
    st.integers(0, 600),
)
def test_every_job_can_end_and_is_what_its_class_says(
    model: JobModel, seed: int, count: int, minutes: int, hours: int, shortest_s: int
) -> None:
    """Windows lie in the horizon and hold the run time; shortest and longest hold; sites, kind and inputs are the class's."""
    horizon = Horizon(START, timedelta(minutes=minutes), hours * 60 // minutes)
    classes = (
        JobClass("a", 2.0),
        JobClass("b", 1.0, JobKind.INTERRUPTIBLE, timedelta(hours=1), ("scans",), ("vault",), 3.0),
    )
    longest = timedelta(hours=2)
    jobs = sample(
        model, horizon, count, np.random.default_rng(seed), sites=("hall", "vault"), classes=classes,
        shortest=timedelta(seconds=shortest_s), longest=longest,
    )  # fmt: skip
    assert len(jobs) == len({job.name for job in jobs}) == count
    assert [job.release for job in jobs] == sorted(job.release for job in jobs)
    for job in jobs:
        first, last = horizon.ceil_slot(job.release), horizon.floor_slot(job.deadline)
        assert first >= 0
        assert job.deadline <= horizon.end
        assert horizon.ceil_slot(job.release) + horizon.slots_for(job.duration) <= horizon.slots
        assert last >= first
        assert timedelta(seconds=max(1, shortest_s - 1)) <= job.duration <= longest
        second = job.name.startswith("b-")
        assert job.sites == (("vault",) if second else ("hall", "vault"))
        assert job.inputs == (("scans",) if second else ())
        assert job.kind is (JobKind.INTERRUPTIBLE if second else JobKind.RIGID)
        assert job.deadline == min(job.release + job.duration + timedelta(hours=1 if second else 24), horizon.end)


def test_the_same_stream_draws_the_same_jobs(model: JobModel) -> None:
    """One seed and name, one list of jobs; another seed, another list."""
    first, second, other = (sample(model, DAY, 30, stream(seed, "jobs"), sites=("hall",)) for seed in (7, 7, 8))
    assert first == second
    assert first != other


def test_impossible_requests_are_refused(model: JobModel) -> None:
    """No class, a share of nothing, a horizon of an hour, and run times that nothing can have."""
    rng = stream(1, "x")
    with pytest.raises(FeedError, match="class"):
        sample(model, DAY, 1, rng, sites=("hall",), classes=())
    with pytest.raises(FeedError, match="class"):
        sample(model, DAY, 1, rng, sites=("hall",), classes=(JobClass(share=0.0),))
    with pytest.raises(FeedError, match="too short"):
        sample(model, Horizon(START, timedelta(minutes=15), 4), 1, rng, sites=("hall",))
    with pytest.raises(FeedError, match="no run time"):
        sample(model, DAY, 1, rng, sites=("hall",), shortest=timedelta(hours=5), longest=timedelta(hours=4))


def test_model_survives_its_file(model: JobModel, tmp_path: Path) -> None:
    """Written and read again the model is equal, and the file that ships is written as this version writes it."""
    path = tmp_path / "m.json"
    path.write_text(to_json(model), encoding="utf-8")
    assert read_model(path) == model
    assert path.read_text(encoding="utf-8") == MODEL.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format 1"),
        ({"tasks": None, "surprise": 1}, "surprise"),
        ({"arrivals_per_hour": [[1.0] * 24] * 6}, "7 x 24"),
        ({"arrivals_per_hour": [[-1.0] * 24] * 7}, "7 x 24"),
        ({"probabilities": [0.0, 0.5, 0.5]}, "ascend"),
        ({"probabilities": [0.1, 1.0], "duration_s": [1.0, 2.0]}, "from 0 to 1"),
        ({"probabilities": [0.0, 1.0], "duration_s": [0.0, 2.0]}, "positive"),
        ({"probabilities": [0.0, 1.0], "duration_s": [3.0, 2.0]}, "not fall"),
        ({"node_shares": {"0": 1.0}}, "node_shares"),
        ({"node_shares": {"1": 0.5}}, "node_shares"),
        ({"node_shares": [1]}, "not a job model"),
        ({"node_shares": {"1": 2.0, "2": -1.0}}, "node_shares"),
        ({"node_shares": {"1": 10**400}}, "not a job model"),
        ({"probabilities": [0.0, 1.0], "duration_s": [1.0, 1e300]}, "ten years"),
        ({"node_cores": []}, "node_cores"),
        ({"memory_gb": "much"}, "memory_gb"),
        ({"time_zone": None}, "time_zone"),
        ({"time_zone": "Europe/Almere"}, "time_zone"),
    ],
)
def test_wrong_models_are_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    """Every number of a model is checked before anything is drawn from it."""
    path = tmp_path / "m.json"
    path.write_text(json.dumps({**json.loads(MODEL.read_text(encoding="utf-8")), **change}), encoding="utf-8")
    with pytest.raises(FeedError, match=message):
        read_model(path)


def test_files_that_are_no_model_are_refused(tmp_path: Path) -> None:
    """No file, no JSON, another JSON."""
    path = tmp_path / "m.json"
    with pytest.raises(FeedError, match="cannot be read"):
        read_model(path)
    for text, message in (("{", "cannot be read"), ("[" * 100_000, "cannot be read"), ("[]", "format 1")):
        path.write_text(text)
        with pytest.raises(FeedError, match=message):
            read_model(path)


def test_fit_counts_whole_hours_by_the_local_clock() -> None:
    """Two jobs every Monday at 09:30 local for ten weeks, across a clock change, are two an hour in Monday's tenth hour."""
    mondays = [datetime(2023, 2, 27, 8, 30, tzinfo=UTC) + timedelta(weeks=week) for week in range(4)]
    mondays += [datetime(2023, 3, 27, 7, 30, tzinfo=UTC) + timedelta(weeks=week) for week in range(60)]  # summer time
    moments = np.repeat(np.array([moment.timestamp() for moment in mondays[:30]]), 4)
    tasks = Tasks(np.arange(120), moments, np.full(120, 100.0), np.tile([16, 32], 60), np.full(120, 64.0))
    model = fit(tasks, source="test")
    rates = np.array(model.arrivals_per_hour)
    assert rates[0, 9] == pytest.approx(4.0, rel=0.06)
    assert rates.sum() == rates[0, 9]
    assert model.node_shares == {1: 0.5, 2: 0.5}
    assert set(model.duration_s) == {100.0}
    assert model.probability(99.0) == 0.0
    assert model.probability(100.0) == 1.0


def test_too_few_jobs_or_parts_of_nodes_cannot_be_fitted() -> None:
    """Ten jobs are no distribution, and cores that are no multiple of the smallest are no whole nodes."""
    times = np.linspace(0, 50 * 86400, 500)
    with pytest.raises(FeedError, match="too few"):
        fit(Tasks(np.arange(10), times[:10], np.ones(10), np.full(10, 16), np.ones(10)), source="test")
    with pytest.raises(FeedError, match="whole nodes"):
        fit(Tasks(np.arange(500), times, np.ones(500), np.tile([16, 24], 250), np.ones(500)), source="test")
