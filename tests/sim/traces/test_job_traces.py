"""Readers of job traces: what they take, tidy and count, and what they refuse with place and reason."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import InputError
from sim.traces import pieces
from sim.traces.arrivals import read_arrivals
from sim.traces.opendc import read_opendc
from sim.traces.read import read_trace
from sim.traces.swf import read_swf
from sim.traces.trace import Rows, fits, settled

SWF = """; Version: 2.2
; UnixStartTime: 1000000000
; MaxNodes: 64
; MaxProcs: 128
1 0 5 60 4 -1 -1 4 -1 -1 1 1 1 1 1 -1 -1 -1
2 30 -1 -1 8 -1 -1 8 -1 -1 0 1 1 1 1 -1 -1 -1
3 20 -1 90 -1 -1 -1 16 -1 -1 1 1 1 1 1 -1 -1 -1
"""


def write(path: Path, text: str) -> str:
    """A file and its name."""
    path.write_text(text, encoding="utf-8")
    return str(path)


def messages(error: pytest.ExceptionInfo[InputError]) -> list[str]:
    """Findings as sentences."""
    return [str(finding) for finding in error.value.findings]


def test_swf_takes_requested_processors_and_leaves_out_what_never_ran(tmp_path: Path) -> None:
    """Header, order of arrival, counted repairs."""
    trace = read_swf(write(tmp_path / "log.swf", SWF))
    assert list(trace.arrival_s) == [0, 20]
    assert list(trace.length_s) == [60, 90]
    assert list(trace.cpus) == [4, 16]
    assert (trace.origin_s, trace.machines) == (1e9, 128)
    assert trace.repairs == {"jobs that never ran (run time -1 or 0) left out": 1}
    assert trace.first is not None
    assert trace.first.isoformat() == "2001-09-09T01:46:40+00:00"


def test_swf_out_of_order_is_sorted_and_counted(tmp_path: Path) -> None:
    """Equal arrivals keep the order of the file."""
    lines = [f"{i} {at} -1 {10 + i} 1" + " -1" * 13 for i, at in enumerate([5, 3, 5, 3])]
    trace = read_swf(write(tmp_path / "log.swf", "\n".join(lines)))
    assert list(trace.length_s) == [11, 13, 10, 12]
    assert trace.repairs == {"arrivals put in order": 2}
    assert trace.origin_s is None
    assert trace.machines is None


def test_swf_names_broken_lines_and_negative_run_times(tmp_path: Path) -> None:
    """Line, field, found, expected; with repair they are left out and counted."""
    bad = SWF + "4 40 -1 70 2\n5 50 -1 80 2" + " -1" * 13 + "\n"
    path = write(tmp_path / "log.swf", bad)
    with pytest.raises(InputError) as error:
        read_swf(path)
    assert messages(error) == [f"{path}:8: found 5 fields in '4 40 -1 70 2'; expected 18 numbers of the Standard Workload Format"]
    assert read_swf(path, repair=True).repairs["lines that are not 18 numbers left out"] == 1
    path = write(tmp_path / "negative.swf", SWF + "4 40 -1 -70 2" + " -1" * 13 + "\n")
    with pytest.raises(InputError, match=r"negative.swf:8: run time \(field 4\): found -70; expected a run time above 0"):
        read_swf(path)
    assert read_swf(path, repair=True).repairs["negative run times left out"] == 1


def test_swf_packed_and_cut_off(tmp_path: Path) -> None:
    """A gzipped log is read; one that ends too early is refused."""
    packed = gzip.compress(SWF.encode())
    (tmp_path / "log.swf.gz").write_bytes(packed)
    assert len(read_trace(str(tmp_path / "log.swf.gz"))) == 2
    (tmp_path / "cut.swf.gz").write_bytes(packed[:-20])
    with pytest.raises(InputError, match="a text file that can be read"):
        read_trace(str(tmp_path / "cut.swf.gz"))


def test_blocks_join_to_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of two lines give the same trace as one piece."""
    path = write(tmp_path / "log.swf", SWF)
    one = read_swf(path)
    monkeypatch.setattr(pieces.blocks, "__defaults__", (2,))
    two = read_swf(path)
    assert list(one.arrival_s) == list(two.arrival_s)
    assert one.repairs == two.repairs


def test_arrivals_csv(tmp_path: Path) -> None:
    """Either name of the arrival; other columns are not read."""
    for name in ("arrival_time", "arrival"):
        trace = read_arrivals(write(tmp_path / "jobs.csv", f"# made\nid,{name},length,cpus\n7,0.0,300,1\n8,60,600,2\n"))
        assert list(trace.arrival_s) == [0, 60]
        assert list(trace.cpus) == [1, 2]
        assert trace.origin_s is None


def test_arrivals_csv_with_faults_tells_all_of_them(tmp_path: Path) -> None:
    """A negative length, a word, a job without processors: three findings with their lines."""
    path = write(tmp_path / "jobs.csv", "arrival,length,cpus\n0,-300,1\nsoon,600,1\n5,600,0\n9,600,1\n")
    with pytest.raises(InputError) as error:
        read_arrivals(path)
    assert messages(error) == [
        f"{path}:3: arrival_time: found no number; expected a time in numbers",
        f"{path}:2: length: found -300; expected a run time above 0",
        f"{path}:4: cpus: found 0; expected at least one processor",
    ]
    trace = read_arrivals(path, repair=True)
    assert list(trace.arrival_s) == [9]
    assert sum(trace.repairs.values()) == 3


def test_many_faults_of_a_kind_are_counted(tmp_path: Path) -> None:
    """Three places are spelt out, the rest counted."""
    path = write(tmp_path / "jobs.csv", "arrival,length,cpus\n" + "0,-1,1\n" * 9)
    with pytest.raises(InputError) as error:
        read_arrivals(path)
    assert len(messages(error)) == 3
    assert "and 6 more like it" in messages(error)[-1]
    with pytest.raises(InputError, match="no job that can run"):
        read_arrivals(path, repair=True)


def test_arrivals_csv_without_columns_names_the_nearest(tmp_path: Path) -> None:
    """Every missing column at once."""
    with pytest.raises(InputError) as error:
        read_arrivals(write(tmp_path / "jobs.csv", "arrivaltime,size,cpus\n0,1,1\n"))
    assert len(messages(error)) == 2
    assert "did you mean 'arrivaltime'?" in messages(error)[0]


def test_wide_jobs_are_refused_or_counted(tmp_path: Path) -> None:
    """Wider than the machine."""
    trace = read_arrivals(write(tmp_path / "jobs.csv", "arrival,length,cpus\n0,5,1\n0,5,9\n"))
    with pytest.raises(InputError, match=r"cpus: found 9 \(job 2\); expected at most the 8 of the machine"):
        fits(trace, 8, repair=False)
    kept = fits(trace, 8, repair=True)
    assert list(kept.cpus) == [1]
    assert kept.repairs == {"jobs wider than the machine left out": 1}
    assert fits(trace, 9, repair=False) is trace
    with pytest.raises(InputError, match="every job is wider"):
        fits(trace.only(trace.cpus > 1), 8, repair=True)


def opendc(path: Path, **columns: list[object]) -> str:
    """A Parquet file of these columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path)
    return str(path)


def test_opendc_tasks(tmp_path: Path) -> None:
    """Milliseconds, any order, a calendar."""
    path = opendc(tmp_path / "tasks.parquet", submission_time=[2_000_000, 1_000_000], duration=[5000, 7000], cpu_count=[16, 8])
    trace = read_trace(path)
    assert trace.origin_s == 1000.0
    assert list(trace.arrival_s) == [0, 1000]
    assert list(trace.length_s) == [7, 5]
    assert trace.repairs == {"arrivals put in order": 1}
    assert list(trace.load) == [1, 1]


def test_opendc_folder_with_fragments(tmp_path: Path) -> None:
    """Load is the mean use over time as a share of the capacity; 1 without a fragment, cut above 1, both counted."""
    opendc(
        tmp_path / "tasks.parquet",
        id=[3, 1, 2],
        submission_time=[1000, 2000, 3000],
        duration=[4000, 4000, 4000],
        cpu_count=[2, 2, 2],
        cpu_capacity=[1000.0, 1000.0, 1000.0],
    )
    opendc(
        tmp_path / "fragments.parquet",
        id=[1, 1, 2, 9],
        duration=[1000, 3000, 4000, 1],
        cpu_usage=[1000.0, 200.0, 3000.0, 1.0],
    )
    trace = read_trace(str(tmp_path))
    assert list(trace.load) == pytest.approx([1.0, 0.4, 1.0])
    assert trace.repairs == {"tasks without a fragment taken at full load": 1, "loads above the capacity taken as full load": 1}


def test_opendc_timestamps_and_the_old_name(tmp_path: Path) -> None:
    """``start_time`` as a timestamp is the same moment."""
    import pyarrow as pa

    moments = pa.array([1_000_000, 2_000_000], pa.timestamp("ms"))
    path = opendc(tmp_path / "old.parquet", start_time=moments, duration=[1, 1], cpu_count=[1, 1])
    assert read_opendc(path).origin_s == 1000.0


def test_opendc_refuses_what_is_cut_off_or_incomplete(tmp_path: Path) -> None:
    """One line each: a truncated file, missing columns, words for numbers."""
    path = Path(opendc(tmp_path / "tasks.parquet", submission_time=[1], duration=[2], cpu_count=[3]))
    (tmp_path / "cut.parquet").write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match="expected a whole Parquet file"):
        read_trace(str(tmp_path / "cut.parquet"))
    with pytest.raises(InputError) as error:
        read_trace(opendc(tmp_path / "few.parquet", id=[1], duration=[2]))
    assert len(messages(error)) == 2
    with pytest.raises(InputError, match="expected numbers or timestamps"):
        read_trace(opendc(tmp_path / "words.parquet", submission_time=["now"], duration=[2], cpu_count=[3]))
    with pytest.raises(InputError, match="duration: found -2"):
        read_trace(opendc(tmp_path / "back.parquet", submission_time=[1], duration=[-2000], cpu_count=[3]))


@pytest.mark.parametrize("text", ["", "hello\n", "# only a comment\n"])
def test_an_unknown_format_is_told(tmp_path: Path, text: str) -> None:
    """What could have been there is listed."""
    with pytest.raises(InputError, match="an SWF log"):
        read_trace(write(tmp_path / "jobs.txt", text))


def test_no_file_and_an_empty_folder_are_told(tmp_path: Path) -> None:
    """The option is named."""
    with pytest.raises(InputError, match="--jobs: found no such file"):
        read_trace(str(tmp_path / "none.swf"))
    with pytest.raises(InputError, match=r"a folder without tasks\.parquet"):
        read_trace(str(tmp_path))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(-3, 50), st.integers(-2, 9)), min_size=1, max_size=30))
def test_every_row_is_kept_or_counted(rows: list[tuple[int, int, int]]) -> None:
    """Jobs plus rows left out are the rows of the file; what is kept is sound and in order."""
    arrival, length, cpus = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    found = Rows(arrival, length, cpus, np.ones(len(rows)), np.arange(1, len(rows) + 1), {})
    try:
        trace = settled(found, "made", origin_s=None, machines=None, repair=True, fields=("a", "b", "c"))
    except InputError:
        assert not ((length > 0) & (cpus > 0)).any()
        return
    left_out = sum(count for kind, count in trace.repairs.items() if kind.endswith("left out"))
    assert len(trace) + left_out == len(rows)
    assert (np.diff(trace.arrival_s) >= 0).all()
    assert (trace.length_s > 0).all()
    assert (trace.cpus > 0).all()


@pytest.mark.data
def test_the_surf_trace(data: Path) -> None:
    """What the notes on the data say of it: 194,917 jobs, 7,758 out of order, 356,203 node hours."""
    trace = read_trace(str(data / "jobs" / "surf_2022_tasks.parquet"))
    assert len(trace) == 194_917
    assert trace.repairs == {"arrivals put in order": 7758}
    assert float((trace.length_s * trace.cpus).sum()) / 3600 / 16 == pytest.approx(356_203, abs=1)
    assert len(trace.before(86400.0)) < 9191
