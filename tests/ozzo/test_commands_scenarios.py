"""``ozzo scenarios``: the page holds what a run printed and what the file says, and names what could not run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from grid.errors import InputError
from ozzo.commands_scenarios import Told, page, run_one, scenarios_page, story_of
from tests.ozzo.test_cli import ROOT, ozzo

PAGE = ROOT / "docs" / "scenarios.md"
BROKEN = "# Broken.\nozzo: 1\nname: broken\ntitle: It has no sites\nhorizon: {start: 2023-01-01T00:00, hours: 24}\n"


def test_the_story_is_the_head_of_the_file() -> None:
    """Paragraphs stay, indented lines become commands that a shell takes, and the first line that is no comment ends it."""
    head = "# One.\n#\n#   ozzo run a.yaml     what it does\n#   ozzo why x \\\n#     --json\n#        explained\n"
    text = f"{head}#\n# Two.\nozzo: 1\n# no\n"
    commands = "ozzo run a.yaml  # what it does\nozzo why x \\\n--json\n# explained"
    assert story_of(text) == f"One.\n\n```sh\n{commands}\n```\n\nTwo."


@pytest.mark.slow
def test_figures_are_those_of_the_run(tmp_path: Path) -> None:
    """The page shows the figures of ``ozzo run --json``, and the assumptions of the file word for word."""
    done = ozzo("scenarios", "--only", "minimal", "--out", str(tmp_path / "page.md"))
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "page.md").read_text()
    summary = run_one(ROOT / "configs" / "minimal.yaml").summary
    assert summary is not None
    assert f"| Energy cost (EUR) | {summary['cost_eur']:.2f} | {summary['baselines']['fifo']['cost_eur']:.2f} |" in text
    assert "- Every number of this scenario is made up to be easy to read." in text


def test_what_cannot_run_is_said(tmp_path: Path) -> None:
    """A scenario that is refused gets no figures: the page says why, and the count tells the caller."""
    (tmp_path / "broken.yaml").write_text(BROKEN)
    text, failed = scenarios_page(tmp_path, [], lambda _: None)
    assert failed == 1
    assert "| not run |" in text
    assert "Not run when this page was written: configs/broken.yaml" in text
    assert "Energy cost" not in text


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    """A name that is no scenario is a finding with the nearest name; nothing runs."""
    (tmp_path / "minimal.yaml").write_text(BROKEN)
    with pytest.raises(InputError, match="did you mean 'minimal'"):
        scenarios_page(tmp_path, ["minimul"], lambda _: pytest.fail("it ran"))


@pytest.mark.parametrize(
    ("at_once", "plan", "words"), [(10.0, 7.5, "2.50 EUR (25.0%)"), (-1.0, -17.0, "16.00 EUR"), (1.0, -1.0, "2.00 EUR")]
)
def test_no_share_of_a_bill_below_nothing(at_once: float, plan: float, words: str) -> None:
    """What is saved has a share only of a bill that is positive and larger than that."""
    baseline = {"objective_eur": at_once}
    summary: dict[str, Any] = {
        "jobs": 1,
        "sites": 1,
        "objective_eur": plan,
        "gap": None,
        "violations": [],
        "baselines": {"fifo": baseline},
    }
    assert f"| 1 | 1 | {words} |" in page([Told("x", "", {"title": "x"}, summary, "")])


def test_the_page_tells_of_every_shipped_scenario() -> None:
    """docs/scenarios.md has a section for each file in configs/, with its title: run ``ozzo scenarios`` again after a change."""
    import yaml

    text = PAGE.read_text()
    for file in sorted((ROOT / "configs").glob("*.yaml")):
        assert f"\n## {file.stem}\n" in text
        assert yaml.safe_load(file.read_text())["title"] in text


def test_heat_has_its_rows_where_it_is_reused() -> None:
    """Delivered heat and avoided gas beside those of running at once; no such rows without heat reuse."""
    summary: dict[str, Any] = {
        "jobs": 1,
        "sites": 1,
        "gap": None,
        "violations": [],
        "heat": {"delivered_mwh": 3.5, "gas_avoided_m3": 442.3},
    }
    summary["baselines"] = {"fifo": {"objective_eur": 1.0, "heat": {"delivered_mwh": 3.0, "gas_avoided_m3": 379.1}}}
    text = page([Told("x", "", {"title": "x"}, summary, "")])
    assert "| Heat delivered (MWh) | 3.50 | 3.00 |" in text
    assert "| Gas avoided (m3) | 442 | 379 |" in text
    assert "Heat delivered" not in page([Told("x", "", {"title": "x"}, {**summary, "heat": None}, "")])
