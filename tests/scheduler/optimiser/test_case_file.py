"""Files of the benchmark format: read as they are written, and every fault of a file is told at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grid.errors import InputError
from scheduler.optimiser.case_file import NAMES, read_case, write_case
from scheduler.optimiser.case_maker import SIZES, make_case, size_of


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A made-up instance of size S."""
    path = tmp_path / "S.npz"
    write_case(path, make_case(SIZES["S"], 3))
    return path


def altered(path: Path, **arrays: Any) -> Path:
    """The file with arrays replaced; None takes one away."""
    with np.load(path) as file:
        content: dict[str, Any] = {name: file[name] for name in file.files} | arrays
    np.savez_compressed(path, **{name: array for name, array in content.items() if array is not None})
    return path


def changed(path: Path, name: str, index: Any, value: float) -> Path:
    """The file with one element changed."""
    with np.load(path) as file:
        array = file[name].astype(np.float64) if isinstance(value, float) else file[name].copy()
    array[index] = value
    return altered(path, **{name: array})


def told(path: Path) -> list[str]:
    """Findings of a file that is wrong."""
    with pytest.raises(InputError) as error:
        read_case(path)
    return [str(finding).removeprefix(f"{path}: ") for finding in error.value.findings]


def test_what_is_written_is_read(good: Path) -> None:
    """Every array comes back as it was, and the file has the sizes that other readers of the format want."""
    case, made = read_case(good), make_case(SIZES["S"], 3)
    for name in NAMES:
        assert np.array_equal(getattr(case, name), getattr(made, name)), name
    with np.load(good) as file:
        assert [int(file[letter]) for letter in "JST"] == [200, 5, 96]
        assert file["eta_c"].shape == ()
        assert file["gmax"].shape == (5,)


def test_same_seed_same_case_and_another_seed_another() -> None:
    """The generator is a function of size, seed and number of shapes."""
    first, again, other = (make_case(SIZES["S"], seed) for seed in (1, 1, 2))
    assert all(np.array_equal(getattr(first, name), getattr(again, name)) for name in NAMES)
    assert not np.array_equal(first.pi, other.pi)
    few = make_case(SIZES["S"], 1, templates=7)
    assert len(np.unique(few.pw)) <= 7 < len(np.unique(first.pw))


@pytest.mark.parametrize("size", ["S", "M", "L"])
def test_made_up_instances_are_good_ones(size: str, tmp_path: Path) -> None:
    """No fault in what the generator makes; all kinds of jobs, copies, events and batteries; scarce, and not hopeless."""
    case = make_case(SIZES[size], 0)
    write_case(tmp_path / "made.npz", case)
    read_case(tmp_path / "made.npz")
    assert (SIZES[size].jobs, SIZES[size].sites, SIZES[size].slots) == (case.J, case.S, case.T)
    assert set(case.typ) == {0, 1, 2}
    assert len(case.ms) > 0
    assert len(case.dr_site) > 0
    assert np.count_nonzero(case.E) > 0
    assert 0.3 < (case.res[:, 0] * case.p).sum() / case.cap[0].sum() < 0.8
    assert (case.gmax > case.a).all()


def test_size_of_a_file_is_its_name_or_its_jobs() -> None:
    """The name's first word when it is a size, else the number of jobs."""
    assert size_of("L-seed3", 5).name == "L"
    assert size_of("xl", 5).name == "XL"
    assert size_of("Sunny", 10_000).name == "L"
    assert size_of("case", 200).name == "S"


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 half an archive", b"\x93NUMPY\x01\x00"])
def test_what_is_no_archive_is_refused(content: bytes, tmp_path: Path) -> None:
    """One finding that says what the file should be."""
    path = tmp_path / "wrong.npz"
    path.write_bytes(content)
    (finding,) = told(path)
    assert "expected an .npz file" in finding


def test_a_truncated_archive_is_refused(good: Path) -> None:
    """Half a file is an error of the file, not a traceback."""
    good.write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    assert told(good)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """The path is named."""
    (finding,) = told(tmp_path / "none.npz")
    assert "no such file" in finding


def test_missing_arrays_and_wrong_types_are_named_together(good: Path) -> None:
    """Two arrays away, one of text and one of objects: four findings."""
    found = told(altered(good, pi=None, ea=None, wt=np.array(["a"] * 200), cap=np.array([{}], dtype=object)))
    assert len(found) == 4
    assert {line.split(":")[0] for line in found} == {"pi", "ea", "wt", "cap"}


def test_wrong_shapes_are_named_together(good: Path) -> None:
    """Prices of one slot too few, jobs' resources of two kinds, a capacity without its time axis would hide the others."""
    found = told(altered(good, pi=np.ones((5, 95)), res=np.ones((200, 2)), ep=np.arange(5)))
    assert [line.split(":")[0] for line in found] == ["pi", "res", "ep"]
    assert "(5, 96)" in found[0]
    assert "cap: found shape (5, 96)" in told(altered(good, cap=np.ones((5, 96))))[0]


@pytest.mark.parametrize(
    ("name", "index", "value", "says"),
    [
        ("pi", (1, 7), float("nan"), "pi[1, 7]: found nan; expected a finite number"),
        ("po", (1, 7), float("inf"), "po[1, 7]: found inf"),
        ("po", (0, 7), 9.0, "po[0, 7]: found 9; expected at most the import price pi of its site and slot"),
        ("cap", (0, 2, 3), -1.0, "cap[0, 2, 3]: found -1"),
        ("soc0", 1, 1e6, "soc0[1]: found 1e+06; expected at most the battery's energy E"),
        ("typ", 4, 3, "typ[4]: found 3; expected 0, 1 or 2"),
        ("p", 4, 0, "p[4]: found 0; expected at least 1 slot"),
        ("p", 4, 97, "expected a window [rel, dl) of at least the p slots"),
        ("p", 4, 1.5, "p[4]: found 1.5; expected a whole number"),
        ("dl", 4, 97, "dl[4]: found 97; expected at most the 96 slots"),
        ("es", 9, 5, "es[9]: found 5; expected a site, 0 to 4"),
        ("em", 9, 10_000, "em[9]: found 10000; expected a copy"),
        ("ep", 3, 0, "ep[3]: found 0"),
        ("ep", 200, 7, "never falling"),
        ("ms", 0, -1, "ms[0]: found -1; expected a site"),
        ("fid", 0, 9, "fid[0]: found 9; expected a feeder"),
        ("dr_end", 0, 0, "dr_end[0]: found 0; expected after its dr_start"),
        ("ea", 0, -1, "ea[0]: found -1; expected a slot"),
        ("wt", 2, -1.0, "wt[2]: found -1"),
        ("pue", (0, 0), 0.0, "pue[0, 0]: found 0; expected above 0"),
    ],
)
def test_each_fault_names_array_index_found_and_expected(good: Path, name: str, index: Any, value: float, says: str) -> None:
    """One wrong element is found at its place."""
    assert any(says in line for line in told(changed(good, name, index, value)))


def test_all_faults_of_values_come_together_and_repeats_are_counted(good: Path) -> None:
    """Three arrays wrong in several places: one finding each, with the number of others."""
    with np.load(good) as file:
        wt, dc, drop = file["wt"].copy(), file["dc"].copy(), file["drop"].copy()
    wt[[3, 5, 8]], dc[0], drop[:2] = -1.0, -2.0, -3.0
    found = told(altered(good, wt=wt, dc=dc, drop=drop))
    assert sorted(line.split(":")[0] for line in found) == ["dc[0]", "drop[0]", "wt[3]"]
    assert any("wt[3]: found -1 (and 2 more like it)" in line for line in found)


def test_entries_must_fit_their_copy(good: Path) -> None:
    """A copy that lies at another site than the entry."""
    with np.load(good) as file:
        em, ms, es = file["em"], file["ms"].copy(), file["es"]
    entry = int(np.flatnonzero(em >= 0)[0])
    ms[em[entry]] = (es[entry] + 1) % 5
    assert any(line.startswith("em[") and "site" in line for line in told(altered(good, ms=ms)))


def test_importing_below_zero_is_legal_where_exporting_does_not_pay_more(good: Path) -> None:
    """Prices below zero are read where export is as cheap, or cannot be; a free way out of a paid way in is refused, once."""
    case = make_case(SIZES["S"], 3)
    pi, po = case.pi.copy(), case.po.copy()
    pi[:, 40:44] = -0.05
    po[:, 40:44] = -0.06
    assert read_case(altered(good, pi=pi, po=po)).pi.min() == -0.05
    po[2, 41:43] = 0.0
    assert len(told(altered(good, pi=pi, po=po, emax=np.full(5, 1.0)))) == 1
    none = np.full(5, 1.0)
    none[2] = 0.0
    assert read_case(altered(good, pi=pi, po=po, emax=none)).po[2, 41] == 0.0


def test_what_is_legal_is_read(good: Path) -> None:
    """A negative export price, a job without any entry, a resource that no site has, and a site that has nothing at all."""
    case = make_case(SIZES["S"], 3)
    last = int(case.ep[-2])
    cut = {name: getattr(case, name)[:last] for name in ("es", "ec", "ea", "em")}
    ep = case.ep.copy()
    ep[-1] = last
    cap = case.cap.copy()
    cap[1] = 0.0
    cap[:, 2] = 0.0
    read = read_case(altered(good, po=case.po - 1.0, ep=ep, cap=cap, **cut))
    assert read.ep[-1] == read.ep[-2]
    assert read.po.max() < 0
