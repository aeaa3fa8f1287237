"""The whole loop in this process: a shadow of the smallest scenario, its evidence, an event, an override, a faulty document."""

from __future__ import annotations

import json
import re
import shutil
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from grid.errors import InputError, TransportError
from ozzo.serve.by_hand import override
from ozzo.serve.documents import fingerprint
from ozzo.serve.evidence import Mode
from ozzo.serve.leader import Leadership
from ozzo.serve.loop import as_it_is_now, serve
from ozzo.serve.options import ServeOptions
from ozzo.serve.overrides import Target
from ozzo.serve.state import FILE, ServeState
from ozzo.serve.status import as_text, status
from scheduler.document import load_scenario
from tests.ozzo.rig import eventually

ROOT = Path(__file__).parents[3]
CALL = {
    "objectType": "EVENT",
    "programID": "capacity",
    "eventName": "evening",
    "targets": ["hall"],
    "payloadDescriptors": [{"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": "IMPORT_CAPACITY_LIMIT", "units": "KW"}],
    "intervalPeriod": {"start": "2022-06-30T22:00:00Z", "duration": "PT20H"},
    "intervals": [{"id": 0, "payloads": [{"type": "IMPORT_CAPACITY_LIMIT", "values": [2.5]}]}],
}


def options(tmp_path: Path, *, mode: Mode | None = None, standby: bool = False, repeat: bool = False) -> ServeOptions:
    """A day of the smallest scenario in eight seconds, planned twice."""
    document = tmp_path / "scenario.yaml"
    if not document.exists():
        shutil.copyfile(ROOT / "configs" / "minimal.yaml", document)
    how = ServeOptions(document, tmp_path / "state", replan=timedelta(hours=12), day_seconds=8.0, once=True)
    return replace(how, mode=mode, standby=standby, repeat=repeat, page=True)


class Life:
    """``serve`` in a thread, with what it said."""

    def __init__(self, how: ServeOptions) -> None:
        self.said: list[str] = []
        self.limits: list[tuple[str, float, str]] = []
        self.result: int | Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(how,), daemon=True)
        self._thread.start()

    def _run(self, how: ServeOptions) -> None:
        try:
            self.result = serve(how, self.said.append, self._limited)
        except (InputError, TransportError) as error:
            self.result = error

    def _limited(self, site: str, limit_kw: float, cause: str) -> bool:
        self.limits.append((site, limit_kw, cause))
        return True

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until it has said something."""
        eventually(lambda: any(re.search(pattern, line) for line in self.said) or not self._thread.is_alive(), pattern)
        return next(found for line in self.said if (found := re.search(pattern, line)))

    def end(self) -> int | Exception | None:
        """Wait for its end."""
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self.result


@pytest.mark.slow
def test_a_shadow_serves_a_day_and_gathers_evidence(tmp_path: Path) -> None:
    """It plans, rehearses and meters; an event goes to the fast path and into the next plan; an override is planned around.

    Nothing is commanded, all jobs but the held one are done in the twin, and the status tells all of it.
    """
    how = options(tmp_path)
    life = Life(how)
    found = life.wait_for(r"POST OpenADR events to (\S+)/events")
    life.wait_for("is in force")
    assert "is in force" in override(tmp_path / "state", Target.JOB, "render", "stop", None, "a <test>")
    life.wait_for(r"by hand: job render stop: a <test>")
    token = (tmp_path / "state" / "events.token").read_text().strip()
    answer = httpx.post(f"{found.group(1)}/events", json=CALL, headers={"Authorization": f"Bearer {token}"}, timeout=10)
    assert answer.status_code == 201, answer.text
    assert httpx.get(found.group(1), timeout=10).headers["WWW-Authenticate"] == 'Basic realm="ozzo"'
    assert httpx.get(found.group(1), auth=("me", "wrong"), timeout=10).status_code == 401
    page = httpx.get(found.group(1), auth=("me", token), timeout=10)
    assert page.status_code == 200
    assert "job render" in page.text
    assert "a &lt;test&gt;" in page.text  # a reason is text, whatever stands in it
    life.wait_for(r"planning .*event evening/0 at hall")
    assert life.limits == [("hall", 2.5, "event evening/0")]
    assert life.end() == 0
    told = status(tmp_path / "state")
    assert (told["mode"], told["serving"], told["transport"]) == ("shadow", False, "none: a shadow commands nothing")
    assert told["evidence"]["passed"] >= 2
    assert told["evidence"]["served_h"] > 12
    assert told["evidence"]["error_pct"] is not None
    assert "render" not in told["jobs"]["names"].get("simulated_done", [])
    assert set(told["jobs"]["names"]["simulated_done"]) == {"index", "train"}
    assert [item["name"] for item in told["overrides"]] == ["render"]
    assert "shadow, epoch 0" in as_text(told)
    assert json.loads(json.dumps(told)) == told
    with ServeState.there(tmp_path / "state") as state:
        assert state.commands() == ()
        assert [entry.payload["cause"] for entry in state.entries("fast_path")] == ["event evening/0"]
        assert {"plan", "verdict", "commanded", "session", "overrides"} <= {entry.kind for entry in state.entries()}


@pytest.mark.slow
def test_the_day_goes_on_with_the_next_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A faulty document is told and does not count; one with a later horizon is served when its time comes, with what was seen.

    A job that was done stays done under its name, a new one is planned, and scenario time goes on without a jump.
    """
    monkeypatch.setattr("ozzo.serve.documents.LOOK_S", 0.1)
    how = options(tmp_path)
    text = how.scenario.read_text()
    life = Life(how)
    life.wait_for("is in force")
    how.scenario.write_text(text.replace("hours: 24", "hours: -1"))
    eventually(lambda: status(tmp_path / "state")["document_refused"] != "", "the word on the faulty document")
    later = text.replace("start: 2022-07-01T00:00, hours: 24", "start: 2022-07-01T18:00, hours: 8")
    later = re.sub(r"(?m)^    - {name: render.*$", "    - {name: another, duration_minutes: 60, cores: 16}", later)
    how.scenario.write_text(later.replace("duration_minutes: 6 h", "duration_minutes: 2 h"))
    life.wait_for("a new document is there; its horizon begins at 2022-07-01 16:00 UTC")
    life.wait_for("the document has changed")
    assert life.end() == 0
    told = status(tmp_path / "state")
    assert set(told["jobs"]["names"]["simulated_done"]) == {"index", "train", "another"}
    assert "index" not in [run["job"] for run in _plan(tmp_path)["runs"]]  # it was done before, under its name
    with ServeState.there(tmp_path / "state") as state:
        starts = [slot.start for slot in state.slots()]
        sessions = state.entries("session")
    assert starts == sorted(starts)
    assert len(sessions) == 2


def _plan(tmp_path: Path) -> dict[str, list[dict[str, str]]]:
    with ServeState.there(tmp_path / "state") as state:
        found: dict[str, list[dict[str, str]]] = state.fact("plan")["plan"]
    return found


def test_what_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    """Live from nothing; another scenario's state; a state that somebody serves: one clear error each."""
    assert "0 rehearsals passed; 20 are asked for" in str(Life(options(tmp_path, mode=Mode.LIVE)).end())
    with ServeState.open(tmp_path / "state" / FILE) as state:
        assert state.fact("mode") is None
    lead = Leadership(tmp_path / "state")
    assert lead.take()
    with ServeState.open(tmp_path / "state" / FILE) as state:
        state.keep_facts(mode="live")
    assert "--standby waits until its lease has run out" in str(Life(options(tmp_path, mode=Mode.SHADOW)).end())
    lead.close()
    with ServeState.open(tmp_path / "state" / FILE) as state:
        assert (state.fact("mode"), state.entries("mode")) == ("live", ())  # the one that leads stays what it is
    with ServeState.open(tmp_path / "state" / FILE) as state:
        state.keep_facts(scenario="another")
    assert "the state of scenario 'another'" in str(Life(options(tmp_path)).end())


def test_a_standby_begins_with_the_document_as_it_is_then(tmp_path: Path) -> None:
    """Written anew while it waited: read again; a faulty one is told and the one that was read before is served."""
    document, said = options(tmp_path).scenario, list[str]()
    before, digest = load_scenario(document), fingerprint(document)
    assert as_it_is_now(document, before, digest, said.append) == (before, digest)
    text = document.read_text()
    document.write_text(text.replace("count: 4", "count: 5"))
    after, anew = as_it_is_now(document, before, digest, said.append)
    assert (after.sites[0].nodes[0].count, anew) == (5, fingerprint(document))
    document.write_text(text.replace("hours: 24", "hours: -1"))
    assert as_it_is_now(document, before, digest, said.append) == (before, digest)
    assert "the document has changed and is faulty, the one that was read before is served" in said[-1]


def test_contradictions_of_the_command_line(tmp_path: Path) -> None:
    """All at once, and no state is made."""
    found = Life(options(tmp_path, standby=True, repeat=True)).end()
    assert isinstance(found, InputError)
    assert [finding.field for finding in found.findings] == ["--standby", "--once"]
    assert not (tmp_path / "state").exists()
