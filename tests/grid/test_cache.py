"""The cache: made once, never trusted, never half written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from grid.cache import cache_folder, cached


def test_folder_follows_the_xdg_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An absolute XDG_CACHE_HOME counts, a relative one is ignored as its specification says."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "ozzo"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "ozzo"


def test_built_once_for_a_key_and_again_for_another(tmp_path: Path) -> None:
    """The second call reads the file; another version builds another file."""
    built: list[str] = []

    def build() -> dict[str, np.ndarray]:
        built.append("x")
        return {"numbers": np.arange(3.0), "text": np.array(["a", "b"])}

    for version in ("1", "1", "2"):
        arrays = cached("thing", {"version": version}, build, tmp_path)
        assert arrays["numbers"].tolist() == [0, 1, 2]
        assert arrays["text"].tolist() == ["a", "b"]
    assert len(built) == 2
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_about_something_else_is_not_taken(tmp_path: Path) -> None:
    """A file that was renamed to another key is recognised by the key inside and made again."""
    cached("thing", {"version": "1"}, lambda: {"n": np.array(1)}, tmp_path)
    (file,) = tmp_path.iterdir()
    file.rename(tmp_path / file.name.replace("1", "2"))
    assert cached("thing", {"version": "2"}, lambda: {"n": np.array(2)}, tmp_path)["n"] == 2


def test_failed_build_leaves_nothing(tmp_path: Path) -> None:
    """When building fails no file is left, not even a temporary one."""

    def build() -> dict[str, np.ndarray]:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        cached("thing", {"version": "1"}, build, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_written_only_means_no_cache(tmp_path: Path) -> None:
    """Where a file stands in place of the folder the arrays are built every time, without an error."""
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    assert cached("thing", {"version": "1"}, lambda: {"n": np.array(1)}, blocked)["n"] == 1
    assert blocked.read_text() == "in the way"
