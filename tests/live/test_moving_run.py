"""``ozzo run --broker`` moves a real dataset: the plan's migration, by two agents over a real broker."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ozzo.agent.replica import manifest
from scheduler.document import load_scenario
from tests.live.processes import MAIN, ROOT
from tests.live.test_remote_run import site_of

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed (Debian: rsync)"),
]
DOCUMENT = """\
ozzo: 1
name: two-places
time_zone: Europe/Amsterdam
horizon: {start: 2022-07-01T00:00, hours: 6, step_minutes: 15}
signals: {price: {constant_eur_per_mwh: 90}, carbon_average: {constant_g_per_kwh: 300}}
site_templates:
  place:
    tier: cold
    nodes: [{name: rack, count: 1, cores: 4, memory_gb: 8, idle_kw: 0.1, peak_kw: 0.2}]
    connection: {import_limit_kw: 4}
sites:
  - {name: hall, like: place, storage: {node: rack-0, root: main, release: true}}
  - {name: vault, like: place, tier: frozen, storage: {node: rack-0, root: main}}
links: [{name: fibre, ends: [hall, vault], rate_mbit_per_s: 1000}]
datasets: [{name: scans, tier: frozen, size_tb: 0.1, sites: [hall], path: scans/2026}]
workload:
  jobs: [{name: read, duration_minutes: 30, cores: 4, sites: [vault], inputs: [scans]}]
"""


def test_a_run_moves_what_its_plan_moves(mosquitto: str, tmp_path: Path) -> None:
    """The dataset is in the vault only, the job that reads it ran there, and the summary counts one migration done."""
    assert mosquitto
    document = tmp_path / "two.yaml"
    document.write_text(DOCUMENT)
    roots = {name: tmp_path / name for name in ("hall", "vault")}
    (roots["hall"] / "scans/2026").mkdir(parents=True)
    roots["vault"].mkdir()
    (roots["hall"] / "scans/2026/large").write_bytes(os.urandom(200_000))
    before = manifest(roots["hall"] / "scans/2026")
    with site_of(load_scenario(document)) as site, contextlib.ExitStack() as stack:
        for name, other in (("hall", "vault"), ("vault", "hall")):
            settings = site.folders[f"{name}.rack-0"] / "agent.json"
            data = {"roots": {"main": str(roots[name])}, "peers": {other: {"folder": str(roots[other])}}}
            settings.write_text(json.dumps(json.loads(settings.read_text()) | {"data": data}))
            stack.enter_context(site.agent(f"{name}.rack-0", tmp_path / "agents.log"))
        words = ["run", str(document), "--broker", str(site.controller), "--runs", str(tmp_path / "runs"), "--day-seconds", "12"]
        done = subprocess.run([*MAIN, *words, "--json"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr + (tmp_path / "agents.log").read_text()
    told = json.loads(done.stdout)["commanding"]
    assert (told["migrations_done"], told["migrations_failed"], told["jobs_run"], told["jobs_failed"]) == (1, 0, 1, 0), told
    assert manifest(roots["vault"] / "scans/2026") == before
    assert not (roots["hall"] / "scans/2026").exists()
