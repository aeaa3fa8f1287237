"""Examples in README and docs are true: code runs, commands and options exist, files and links are there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ozzo.cli import app

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])


def blocks(language: str) -> list[tuple[str, str]]:
    """Fenced blocks of a language in all pages, with the page's name."""
    found = []
    for page in PAGES:
        codes = re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
        found += [(str(page.relative_to(ROOT)), code) for code in codes]
    return found


def commands() -> list[tuple[str, str]]:
    """Every ``ozzo`` command line in the pages."""
    found = []
    for page, code in blocks("sh"):
        for line in code.replace("\\\n", " ").splitlines():
            match = re.search(r"(?:^|\s)(?:\.venv/bin/)?ozzo (.*)", line.split("#")[0])
            if match:
                found.append((page, match.group(1).split(" > ")[0].removesuffix("&").strip()))
    return found


@pytest.mark.parametrize(("page", "code"), blocks("python"))
def test_python_examples_run(page: str, code: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python block of a page runs from the project's folder and prints something."""
    monkeypatch.chdir(ROOT)
    exec(compile(code, page, "exec"), {"__name__": "example"})
    assert capsys.readouterr().out.strip()


def test_pages_hold_commands() -> None:
    """The pages show commands at all (else the next test would pass by finding nothing)."""
    assert len(commands()) >= 10


@pytest.mark.parametrize(("page", "line"), commands())
def test_commands_and_options_exist(page: str, line: str) -> None:
    """The subcommand exists, and its help names every option that the page uses; configs that it names are there."""
    words = shlex.split(line)
    names = [word for word in words if not word.startswith("-")]
    depth = 2 if names[0] in {"fit", "bench", "data", "feed", "forecast", "override", "reproduce", "slurm"} else 1
    shown = CliRunner().invoke(app, [*names[:depth], "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert shown.exit_code == 0, f"{page}: ozzo {line}"
    for option in (word.split("=")[0] for word in words if word.startswith("--")):
        assert option in shown.output, f"{page}: {option} is no option of ozzo {' '.join(names[:depth])}"
    for word in names:
        if word.startswith("configs/"):
            assert (ROOT / word).is_file(), f"{page}: {word}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Relative links and pictures of a page exist."""
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"
