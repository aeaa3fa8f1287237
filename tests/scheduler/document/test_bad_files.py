"""Bad input: every file under ``tests/bad`` gives exactly the finding that its header expects."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from grid.errors import InputError
from scheduler.document import check_file, load_scenario
from scheduler.document.tree import MAX_BYTES

BAD = Path(__file__).parents[2] / "bad"
SINGLE = sorted(path for path in BAD.glob("*.yaml") if path.name != "ten_faults.yaml")


def expected(path: Path) -> tuple[int | None, str, str]:
    """Line (None for the whole file), field and text that the header ``# expect: line | field | text`` names."""
    header = next(line for line in path.read_text(encoding="latin-1").splitlines() if line.startswith("# expect:"))
    line, field, text = (part.strip() for part in header.removeprefix("# expect:").split("|", 2))
    return int(line) or None, field, text


@pytest.mark.parametrize("path", SINGLE, ids=lambda path: path.stem)
def test_bad_file_gives_its_one_finding(path: Path) -> None:
    """One finding, in the line, at the field and with the words that the file's header expects; loading raises the same."""
    line, field, text = expected(path)
    findings = check_file(path, environment={})
    assert [(finding.line, finding.field) for finding in findings] == [(line, field)], [str(finding) for finding in findings]
    assert text in str(findings[0])
    with pytest.raises(InputError) as caught:
        load_scenario(path, environment={})
    assert list(caught.value.findings) == findings


def test_there_is_a_file_for_every_bad_input_of_the_issue() -> None:
    """The inputs that the issue names all have their file."""
    wanted = {
        "unknown_field",
        "misspelt_unit",
        "negative_capacity",
        "deadline_before_release",
        "job_wider_than_any_node",
        "dataset_allowed_nowhere",
        "prices_with_a_gap",
        "prices_autumn_clock_change",
        "profile_shorter_than_horizon",
        "broken_yaml",
    }
    assert wanted <= {path.stem for path in SINGLE}


def test_ten_faults_are_told_at_once() -> None:
    """A file with ten faults gives all ten, each in its line."""
    path = BAD / "ten_faults.yaml"
    lines = path.read_text(encoding="utf-8").splitlines()
    wrong = [number for number, line in enumerate(lines, 1) if "# wrong" in line]
    findings = check_file(path, environment={})
    assert len(wrong) == 10
    assert [finding.line for finding in findings] == wrong, [str(finding) for finding in findings]


def test_missing_file(tmp_path: Path) -> None:
    """A file that does not exist is one finding about the file as a whole."""
    (finding,) = check_file(tmp_path / "none.yaml", environment={})
    assert (finding.line, finding.found) == (None, "no such file")


def test_directory(tmp_path: Path) -> None:
    """A directory is no scenario."""
    (finding,) = check_file(tmp_path, environment={})
    assert finding.found == "a directory"


def test_named_pipe_is_not_opened(tmp_path: Path) -> None:
    """Reading a pipe would wait for ever; it is refused by its kind."""
    os.mkfifo(tmp_path / "pipe.yaml")
    (finding,) = check_file(tmp_path / "pipe.yaml", environment={})
    assert "not a regular file" in finding.found


def test_empty_file(tmp_path: Path) -> None:
    """A file of blanks is called empty."""
    (tmp_path / "empty.yaml").write_text(" \n\n")
    (finding,) = check_file(tmp_path / "empty.yaml", environment={})
    assert finding.found == "an empty file"


def test_a_hundred_megabytes_of_nonsense_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A huge file is refused by its size: one finding, and the file is never opened."""
    path = tmp_path / "huge.yaml"
    with path.open("wb") as stream:
        stream.truncate(100_000_000)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the file was opened")

    monkeypatch.setattr(Path, "open", refuse)
    (finding,) = check_file(path, environment={})
    assert finding.found == "a file of 100.0 MB"
    assert f"{MAX_BYTES / 1e6:.0f} MB" in finding.expected


def test_four_megabytes_of_values_are_refused_at_their_number(tmp_path: Path) -> None:
    """A file under the size limit that holds far more values than any scenario is one finding too."""
    path = tmp_path / "many.yaml"
    path.write_text("- 1\n" * 900_000)
    (finding,) = check_file(path, environment={})
    assert "more than 200000 values" in finding.found


def test_binary_file(tmp_path: Path) -> None:
    """Bytes that are no text are named as such."""
    (tmp_path / "noise.yaml").write_bytes(bytes(range(256)))
    (finding,) = check_file(tmp_path / "noise.yaml", environment={})
    assert finding.found == "binary data"


def test_very_many_findings_are_cut(tmp_path: Path) -> None:
    """Of thousands of findings the first are shown and the rest counted."""
    minimal = (Path(__file__).parents[3] / "configs" / "minimal.yaml").read_text(encoding="utf-8")
    path = tmp_path / "many.yaml"
    path.write_text(minimal + "".join(f"x{number}: 1\n" for number in range(1000)))
    findings = check_file(path, environment={})
    assert len(findings) == 201
    assert any("800 more" in finding.found for finding in findings)


def test_a_variable_that_is_no_folder_is_named(tmp_path: Path) -> None:
    """A variable that names no folder is said with its value, once."""
    findings = check_file(BAD / "variable_not_set.yaml", environment={"OZZO_UNSET_FOLDER": str(tmp_path / "gone")})
    assert len(findings) == 1
    assert "which is not a folder" in findings[0].found
