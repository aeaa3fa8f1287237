"""Tables of Alibaba and Azure, made here in their documented shape: what they mean, what is counted, what is refused."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import InputError
from sim.traces import pieces
from sim.traces.read import read_trace
from sim.traces.tables import AT_THE_EDGE, AZURE, BATCH_TASK, LOST_LINES, NOT_ENDED, OPEN_BUCKET, PAI_TASK, Table, table_of

BATCH = """M1,2.0,j_1,1,Terminated,100,160,100.0,0.3
R2_1,1.0,j_1,1,Terminated,160,400,50.0,0.2
task_x,4.0,j_2,3,Failed,90,120,200,0.5
M1,1.0,j_3,1,Running,300,0,100.0,0.3
M2,1.0,j_4,1,Waiting,,,100.0,0.3
"""
PAI = """4f05,tensorflow,1.0,Terminated,1739162.0,1739200.0,600.0,29.3,50.0,MISC
4f06,worker,3.0,Terminated,1739100.0,1739200.0,400.0,29.3,50.0,P100
4f07,ps,1.0,Running,1739162.0,,600.0,29.3,,
"""
VMS = """a=,s1,d1,0,2591700,99.4,50.0,90.1,Delay-insensitive,4,32
b=,s1,d1,300,900,99.4,10.0,90.1,Interactive,2,4
c=,s2,d2,600,2591700,99.4,5.0,90.1,Unknown,>24,>64
"""


def write(path: Path, text: str) -> str:
    """A file and its name."""
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_batch_tasks_of_2018(tmp_path: Path) -> None:
    """A hundred is one core, times the instances; a failed task ran as well; what had not ended is left out and counted."""
    trace = read_trace(write(tmp_path / "batch_task.csv", BATCH))
    assert list(trace.arrival_s) == [90, 100, 160]
    assert list(trace.length_s) == [30, 60, 240]
    assert list(trace.cpus) == [8.0, 2.0, 0.5]
    assert trace.repairs == {NOT_ENDED: 2, "arrivals put in order": 1}
    assert trace.origin_s is None


def test_tasks_of_the_gpu_cluster_of_2020(tmp_path: Path) -> None:
    """600 is six cores; a task without an end, and without GPUs, is no fault."""
    trace = read_trace(write(tmp_path / "pai_task_table.csv", PAI))
    assert list(trace.cpus) == [12.0, 6.0]
    assert list(trace.length_s) == [100.0, 38.0]
    assert trace.repairs == {NOT_ENDED: 1, "arrivals put in order": 1}


def test_virtual_machines(tmp_path: Path) -> None:
    """Mean use is the load; '>24' counts as 24; machines that the trace cuts off are counted."""
    trace = read_trace(write(tmp_path / "vmtable.csv", VMS))
    assert list(trace.cpus) == [4, 2, 24]
    assert list(trace.load) == [0.5, 0.1, 0.05]
    assert list(trace.length_s) == [2591700, 600, 2591100]
    assert trace.repairs == {OPEN_BUCKET: 1, AT_THE_EDGE: 2}


@pytest.mark.parametrize(("table", "text"), [(BATCH_TASK, BATCH), (PAI_TASK, PAI), (AZURE, VMS)])
def test_a_header_changes_nothing(table: Table, text: str, tmp_path: Path) -> None:
    """With its header a file means the same, and lines in messages count the header."""
    bare = read_trace(write(tmp_path / "bare.csv", text))
    headed = read_trace(write(tmp_path / "headed.csv", ",".join(table.columns) + "\n" + text))
    assert list(bare.length_s) == list(headed.length_s)
    assert bare.repairs == headed.repairs
    with pytest.raises(InputError) as error:
        read_trace(write(tmp_path / "cut.csv", ",".join(table.columns) + "\n" + text + "a,b\n"))
    assert error.value.findings[0].line == len(text.splitlines()) + 2


def test_every_fault_is_told_at_once_or_counted(tmp_path: Path) -> None:
    """An end before the start, a task without cores and one without a start: each with its line; --repair counts them."""
    text = BATCH + "M1,1,j,1,Terminated,50,40,100,0\nM1,1,j,1,Terminated,50,60,0,0\nM1,1,j,1,Terminated,x,60,100,0\n"
    file = write(tmp_path / "batch_task.csv", text)
    with pytest.raises(InputError) as error:
        read_trace(file)
    assert [(finding.line, finding.field) for finding in error.value.findings] == [
        (8, "start_time"),
        (6, "end_time less start_time"),
        (7, "plan_cpu"),
    ]
    trace = read_trace(file, repair=True)
    assert len(trace) == 3
    assert trace.repairs == {
        NOT_ENDED: 2,
        "arrivals without a number left out": 1,
        "negative run times left out": 1,
        "jobs without processors left out": 1,
        "arrivals put in order": 1,
    }


def test_lines_of_another_width_are_refused_or_counted(tmp_path: Path) -> None:
    """Four lines with too few fields: three are shown, the last says that there is one more."""
    file = write(tmp_path / "vmtable.csv", VMS + "x,y\n\n" * 4)
    with pytest.raises(InputError) as error:
        read_trace(file)
    assert [finding.line for finding in error.value.findings] == [4, 6, 8]
    assert "and 1 more like it" in error.value.findings[-1].found
    assert "11 fields of Azure's vmtable" in error.value.findings[0].expected
    assert read_trace(file, repair=True).repairs[LOST_LINES] == 4


def test_a_list_of_arrivals_is_no_table() -> None:
    """Nine columns with other names are not taken for Alibaba's."""
    assert table_of(["arrival_time", "length", "cpus", "a", "b", "c", "d", "e", "f"]) is None
    assert table_of(BATCH.splitlines()[0].split(",")) is BATCH_TASK


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(-5, 99), st.sampled_from(["1", "2", ">24", ""])), min_size=1))
def test_every_machine_is_kept_or_counted(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, str]]) -> None:
    """With repair the jobs and those left out are all rows of the file, whatever is wrong with them."""
    lines = [f"v{k},s,d,{at},{at + length},9,50,9,Unknown,{cores},4" for k, (at, length, cores) in enumerate(rows)]
    good = "v,s,d,1,2,9,50,9,Unknown,1,4"
    file = write(tmp_path_factory.mktemp("vms") / "vmtable.csv", "\n".join([good, *lines]))
    trace = read_trace(file, repair=True)
    left_out = sum(count for reason, count in trace.repairs.items() if reason.endswith("left out"))
    assert len(trace) + left_out == len(rows) + 1


def test_memory_is_that_of_the_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """20,000 rows in blocks of 500: the peak stays below 300 bytes a row, where a row of text objects takes a kilobyte."""
    monkeypatch.setattr(pieces.blocks, "__defaults__", (500,))
    count = 20_000
    file = tmp_path / "vmtable.csv"
    with file.open("w", encoding="utf-8") as out:
        out.writelines(f"v{k},s,d,{k},{k + 60},9,50,9,Unknown,2,4\n" for k in range(count))
    tracemalloc.start()
    trace = read_trace(str(file))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(trace) == count
    assert peak < 300 * count
