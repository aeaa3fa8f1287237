"""The page of a sweep and its pictures: whole, true to the table, safe, and drawn by a real browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from grid.errors import InputError
from sim.experiments.analysis import comparisons, read_results
from sim.experiments.design import Run
from sim.report.paper import write_pictures
from sim.report.sweep_page import headlines, sweep_html
from tests.sim.experiments.sweeps import SWEEP, made

TWO = SWEEP.replace("title: Batteries and margins", "title: <script>alert(1)</script> & margins")


def figures(run: Run) -> dict[str, Any]:
    """wait_for_sun is 2 EUR cheaper with the small battery, give or take, and as dear with the large one."""
    less = (run.policy == "wait_for_sun") * (run.values == ("4 kWh",)) * (2.0 + 0.1 * run.seed)
    return {"objective_eur": 20.0 + run.seed - less, "cost_eur": 10.0 + run.seed, "carbon_kg": 5.0 - less}


def pictures(page: str) -> dict[str, Any]:
    """The pictures inside a page."""
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def test_the_page_says_what_the_table_says(tmp_path: Path) -> None:
    """Means, differences and origins are in it; every picture that a place names is there; text stays text."""
    page = sweep_html(read_results(made(tmp_path, figures, text=TWO)), version="9")
    assert "<td>battery 4 kWh</td>".replace("<td>", '<td class="when">') in page
    assert "23.000 [" in page  # mean of 21 to 25
    assert "-2.300 [-2.496, -2.104]" in page  # -2.1 to -2.5: deviation 0.158, t of 4 degrees 2.776, root of 5
    assert "no test" in page  # the large battery changes nothing
    assert "Made by ozzo 9" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; margins" in page
    assert "<script>alert" not in page
    drawn = pictures(page)
    assert set(re.findall(r'data-figure="([^"]+)"', page)) == set(drawn)
    boxes = drawn["objective_eur"]["data"]
    assert [trace["name"] for trace in boxes] == ["fifo", "wait_for_sun"]
    assert boxes[0]["y"] == [21.0, 22.0, 23.0, 24.0, 25.0] * 2
    assert boxes[1]["y"][:2] == pytest.approx([18.9, 19.8])


def test_every_picture_is_valid(tmp_path: Path) -> None:
    """Plotly accepts every picture, colours resolved."""
    import plotly.graph_objects as go

    page = sweep_html(read_results(made(tmp_path, figures)))
    for name, picture in pictures(page).items():
        plain = json.loads(re.sub(r"var\(--\w+\)", "#888888", json.dumps(picture)))
        assert go.Figure(plain).data, name


def test_the_headline_counts_settings(tmp_path: Path) -> None:
    """One of two settings is told apart; a difference that never varies needs no test; shares run from least to most."""
    results = read_results(made(tmp_path, figures))
    (sentence,) = headlines(comparisons(results, "objective_eur"), "fifo", 0.95)
    assert sentence.startswith("wait_for_sun: lower objective than fifo in 1 of 2 settings, higher in 0, not told apart in 1")
    assert sentence.endswith("from -10.0% to +0.0%.")
    constant = made(tmp_path / "constant", lambda run: {"objective_eur": 3.0 + (run.policy == "wait_for_sun")})
    (sentence,) = headlines(comparisons(read_results(constant), "objective_eur"), "fifo", 0.95)
    assert "higher in 2;" in sentence


def test_unfinished_and_failed_runs_are_told(tmp_path: Path) -> None:
    """A page of part of a sweep says so, names failed runs, and needs no second policy, no second seed."""
    page = sweep_html(read_results(made(tmp_path, figures, stop=1)))
    assert "1 runs of 20: not finished" in page
    assert "Runs that failed" in page
    assert "run 3: &lt;b&gt;no&lt;/b&gt; plan" in page
    assert "Compared with" not in page


@pytest.mark.slow
def test_pictures_for_a_paper(tmp_path: Path) -> None:
    """SVG with its text as text and PDF, of every figure and front; the same bytes each time; wrong formats are refused."""
    results = read_results(made(tmp_path, figures))
    files = write_pictures(results, tmp_path / "one", ("svg", "pdf"))
    names = {"objective", "cost", "carbon", "peak", "cost-carbon-hall"}
    assert {path.name for path in files} == {f"{name}.{kind}" for name in names for kind in ("svg", "pdf")}
    for path in files:
        if path.suffix == ".pdf":
            assert path.read_bytes().startswith(b"%PDF-")
            continue
        words = {text.strip() for text in ET.parse(path).getroot().itertext()}
        assert "wait_for_sun" in words, path.name
    words = {text.strip() for text in ET.parse(tmp_path / "one" / "objective.svg").getroot().itertext()}
    assert {"weighted objective (EUR)", "battery 4 kWh"} <= words
    again = write_pictures(results, tmp_path / "two", ("svg", "pdf"))
    assert [path.read_bytes() for path in files] == [path.read_bytes() for path in again]
    with pytest.raises(InputError, match="'png'"):
        write_pictures(results, tmp_path / "three", ("svg", "png"))
    assert not (tmp_path / "three").exists()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not installed")
def test_a_browser_draws_the_page(tmp_path: Path) -> None:
    """A real browser draws boxes and points, with no request and no error."""
    page = tmp_path / "page.html"
    page.write_text(sweep_html(read_results(made(tmp_path, figures))), encoding="utf-8")
    command = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
        "--virtual-time-budget=10000", "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.stdout.count('class="main-svg"') >= 2
    assert done.stdout.count('class="trace boxes"') == 2
    assert 'class="scatterlayer' in done.stdout
