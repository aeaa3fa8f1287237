"""What a user installs from the wheel is whole: every room, the page's parts, the shipped scenarios."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel, unpacked into a folder of its own (packages come from the environment, ozzo from the wheel)."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def ozzo(unpacked: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the wheel's command line, in a folder without a checkout."""
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); import ozzo; "
        "assert ozzo.__file__.startswith(sys.path[0]), ozzo.__file__; from ozzo.cli import main; main()"
    )
    environment = {key: value for key, value in os.environ.items() if key != "OZZO_DATA"}
    command = [sys.executable, "-c", code, str(unpacked), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env=environment)


def test_wheel_holds_every_tracked_file_of_the_rooms(unpacked: Path) -> None:
    """No module, stylesheet or marker file of the four floors is left out."""
    listed = subprocess.run(
        ["git", "ls-files", "grid", "scheduler", "sim", "ozzo"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    missing = [file for file in listed.stdout.split() if not (unpacked / file).is_file()]
    assert not missing


def test_examples_of_the_wheel_can_be_copied_checked_and_planned(unpacked: Path, tmp_path: Path) -> None:
    """A user without a checkout copies the examples, checks one and plans it; a second copy overwrites nothing."""
    listed = ozzo(unpacked, tmp_path, "examples")
    assert {"almere", "minimal", "surf_amsterdam"} <= set(listed.stdout.split()), listed.stderr
    assert ozzo(unpacked, tmp_path, "examples", "--out", "mine").returncode == 0
    assert ozzo(unpacked, tmp_path, "check", "mine/minimal.yaml", "mine/almere.yaml").returncode == 0
    planned = ozzo(unpacked, tmp_path, "plan", "mine/minimal.yaml")
    assert planned.returncode == 0, planned.stderr
    again = ozzo(unpacked, tmp_path, "examples", "--out", "mine")
    assert again.returncode == 2
    assert "minimal.yaml" in again.stderr


def test_real_data_is_asked_for_by_name(unpacked: Path, tmp_path: Path) -> None:
    """Without OZZO_DATA the scenario on real data says which variable it needs: exit code 2, one finding a file."""
    assert ozzo(unpacked, tmp_path, "examples", "--out", "mine").returncode == 0
    done = ozzo(unpacked, tmp_path, "check", "mine/surf_amsterdam.yaml")
    assert done.returncode == 2
    assert "OZZO_DATA" in done.stdout
    assert "Traceback" not in done.stderr
