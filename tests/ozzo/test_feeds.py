"""Live feeds against a server on this machine that answers as the services document: fetching, keeping, ageing, refusing."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from grid.errors import FeedError, InputError
from grid.feeds import store
from grid.feeds.live import Freshness
from ozzo.cli import app
from ozzo.commands_check import check
from ozzo.feeds.fetch import FeedState, feed_states, states_text
from ozzo.feeds.http import Client, Question
from scheduler.document import load_scenario
from tests.ozzo.feed_server import START, Service, carbon, entsoe_generation, entsoe_prices, entsoe_refusal, service, weather

ROOT = Path(__file__).parents[2]
TOKEN = "secret-0123456789"
DOCUMENT = """
ozzo: 1
name: fed
horizon: {{start: 2022-07-01T00:00, hours: 24, step_minutes: 15}}
feeds:
  - {{name: day-ahead, kind: entsoe_prices, area: NL, url: "{url}/api", fresh_minutes: 60, max_age_hours: 24}}
  - {{name: carbon, kind: electricity_maps, area: NL, url: "{url}", fresh_minutes: 60, max_age_hours: 24}}
  - {{name: sky, kind: open_meteo, latitude_deg: 52.37, longitude_deg: 5.22, url: "{url}/v1/forecast"}}
  - {{name: sun-nl, kind: entsoe_generation, area: NL, production: B16, url: "{url}/generation"}}
signals:
  price: {{feed: day-ahead}}
  carbon_average: {{feed: carbon}}
  weather: {{feed: sky}}
sites:
  - name: hall
    tier: cold
    nodes: [{{name: rack, count: 2, cores: 16, memory_gb: 64, idle_kw: 0.1, peak_kw: 0.4}}]
    solar: {{peak_kw: 3, tilt_deg: 30}}
    connection: {{import_limit_kw: 4}}
workload:
  jobs:
    - {{name: index, duration_minutes: 90, cores: 16, sites: [hall]}}
"""


@pytest.fixture
def served() -> Iterator[Service]:
    """A server that has an answer for every feed of the document."""
    with service() as one:
        one.answers = {
            "/api": entsoe_prices(START, [50.0 + i for i in range(24)]),
            "/generation": entsoe_generation(START, {"B16": [100.0 + i for i in range(96)]}),
            "/v3/carbon-intensity/past-range": carbon(START, [300.0 + i for i in range(24)]),
            "/v1/forecast": weather(START - timedelta(hours=22), 72),
        }
        yield one


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Tokens and a folder of answers of its own, for this process too."""
    values = {"ENTSOE_API_KEY": TOKEN, "ELECTRICITY_MAPS_TOKEN": TOKEN, "OZZO_FEEDS": str(tmp_path / "feeds")}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return values


def written(tmp_path: Path, served: Service) -> Path:
    """The scenario whose feeds the server answers."""
    path = tmp_path / "fed.yaml"
    path.write_text(DOCUMENT.format(url=served.url), encoding="utf-8")
    return path


def quick(**changes: object) -> Client:
    """A client that does not really wait."""
    return Client(sleep=lambda _: None, **changes)  # type: ignore[arg-type]


def fetched(path: Path, environment: dict[str, str], at: datetime | None = None, **changes: object) -> dict[str, FeedState]:
    """States by name after a fetch at ``at`` (now when left out)."""
    moment = at or datetime.now(UTC)
    states = feed_states(path, fetch=True, client=quick(), environment=environment, now=lambda: moment, **changes)  # type: ignore[arg-type]
    return {state.feed: state for state in states}


def test_feeds_become_the_signals_of_a_scenario(tmp_path: Path, served: Service, environment: dict[str, str]) -> None:
    """Every feed is fetched once, with its token and the horizon's hours; the scenario's series are what the server said."""
    path = written(tmp_path, served)
    states = fetched(path, environment)
    assert {name: (state.freshness, state.error) for name, state in states.items()} == dict.fromkeys(
        states, (Freshness.FRESH, "")
    )
    asked = {where: (question, headers) for where, question, headers in served.asked}
    assert asked["/api"][0] == {
        "documentType": "A44",
        "in_Domain": "10YNL----------L",
        "out_Domain": "10YNL----------L",
        "periodStart": "202206302200",
        "periodEnd": "202207012200",
        "securityToken": TOKEN,
    }
    assert asked["/generation"][0]["psrType"] == "B16"
    assert asked["/v3/carbon-intensity/past-range"][1]["auth-token"] == TOKEN
    assert TOKEN not in json.dumps(asked["/v3/carbon-intensity/past-range"][0])
    scenario = load_scenario(path, environment=environment)
    hall = scenario.site("hall")
    assert hall.tariff.import_eur_per_mwh.mean(scenario.horizon)[::4].tolist() == [50.0 + i for i in range(24)]
    assert hall.carbon.average_g_per_kwh.mean(scenario.horizon)[::4].tolist() == [300.0 + i for i in range(24)]
    assert hall.solar_kw is not None
    assert hall.solar_kw.values.max() > 1.0
    assert not any("Stale" in sentence for sentence in scenario.provenance)
    count = len(served.asked)
    fetched(path, environment)
    assert len(served.asked) == count  # what is fresh is not asked again
    fetched(path, environment, force=True, only=("carbon",))
    assert len(served.asked) == count + 1


def test_a_stale_answer_is_used_and_said_to_be_stale(tmp_path: Path, served: Service, environment: dict[str, str]) -> None:
    """Two hours later the service is down: fetch says so, check and report name the stale feeds, exit code 0."""
    path = written(tmp_path, served)
    fetched(path, environment, datetime.now(UTC) - timedelta(hours=2))
    served.answers.clear()
    later = fetched(path, environment)
    assert later["day-ahead"].freshness is Freshness.STALE
    assert "status 404" in later["day-ahead"].error
    assert not later["day-ahead"].fetched
    text, code = check([str(path)])
    assert code == 0
    assert text.count("Stale: feed day-ahead was fetched at") == 1
    told: list[str] = []
    scenario = load_scenario(path, environment=environment, progress=told.append)
    for lines in (scenario.provenance, told):
        assert any(line.startswith("Stale: feed carbon was fetched at") and "2.0 hours ago" in line for line in lines)


def test_too_old_and_missing_answers_are_refused(tmp_path: Path, served: Service, environment: dict[str, str]) -> None:
    """Never fetched, 25 hours old, or from the future: one finding a signal, at its line, exit code 2."""
    path = written(tmp_path, served)
    text, code = check([str(path)])
    assert code == 2
    assert text.count("never fetched; run: ozzo feed fetch") == 3
    assert ":11: signals.price.feed: found feed day-ahead" in text
    fetched(path, environment, datetime.now(UTC) - timedelta(hours=25))
    text, code = check([str(path)])
    assert code == 2
    assert "too old: fetched at" in text
    assert "max_age_hours is 24" in text
    shown = CliRunner().invoke(app, ["feed", "show", str(path)])
    assert shown.exit_code == 1
    assert "day-ahead (entsoe_prices): too old, 25.0 hours old" in shown.output
    fetched(path, environment, datetime.now(UTC) + timedelta(hours=1), force=True)
    assert "in the future; a clock is wrong" in check([str(path)])[0]


def test_a_bad_answer_never_takes_the_place_of_a_good_one(tmp_path: Path, served: Service, environment: dict[str, str]) -> None:
    """A cut document, another currency, a refusal, no JSON: each is told, and the good answer before it stays."""
    path = written(tmp_path, served)
    fetched(path, environment, datetime.now(UTC) - timedelta(hours=2))
    good = served.answers["/api"]
    for answer, says in (
        (good[: len(good) // 2], "cut off"),
        (entsoe_prices(START, [1.0] * 24, currency="GBP"), "currency_Unit.name GBP; expected EUR"),
        (entsoe_refusal("No matching data found"), "ENTSO-E answers: No matching data found"),
        ("<html></html>", "not a Publication_MarketDocument"),
    ):
        served.answers["/api"] = answer
        state = fetched(path, environment, only=("day-ahead",))["day-ahead"]
        assert says in state.error
        assert state.freshness is Freshness.STALE
    served.answers["/v3/carbon-intensity/past-range"] = "busy"
    assert "not an answer of Electricity Maps" in fetched(path, environment, only=("carbon",))["carbon"].error
    assert load_scenario(path, environment=environment).site("hall").tariff.import_eur_per_mwh.values[0] == 50.0


def test_failures_that_pass_are_tried_again_and_others_are_not(served: Service) -> None:
    """Busy and broken answers are asked again with growing pauses, at most four times; a refusal is final."""
    pauses: list[float] = []
    client = Client(sleep=pauses.append, clock=lambda: 0.0)
    question = Question(f"{served.url}/api", {}, {}, limit_per_s=1e9)
    served.failures = [503, 0, 429]
    served.headers = {"Retry-After": "7"}
    assert client.get(question) == served.answers["/api"]
    waits = [pause for pause in pauses if pause >= 1.0]
    assert waits == [7.0, 2.0, 7.0]  # as asked; doubled; as asked
    served.failures = [500] * 9
    served.asked.clear()
    with pytest.raises(FeedError, match="status 500"):
        client.get(question)
    assert len(served.asked) == 4
    served.failures, served.asked = [401, 200], []
    with pytest.raises(FeedError, match="status 401"):
        client.get(question)
    assert len(served.asked) == 1
    served.failures, served.asked = [302, 200], []
    served.headers = {"Location": served.url + "/api"}
    with pytest.raises(FeedError, match="status 302"):
        client.get(question)
    assert len(served.asked) == 1


def test_requests_to_a_host_keep_their_rate(served: Service) -> None:
    """Three questions at once at two a second: the second waits half a second, the third a whole one."""
    pauses: list[float] = []
    client = Client(sleep=pauses.append, clock=lambda: 100.0)
    for _ in range(3):
        client.get(Question(f"{served.url}/api", {}, {}, limit_per_s=2.0))
    assert pauses == [0.5, 1.0]


def test_answers_have_limits(served: Service) -> None:
    """An answer that is too large, too slow as a whole, or no text is refused; so is a host that nobody answers at."""
    question = Question(f"{served.url}/api", {}, {})
    with pytest.raises(FeedError, match="more than 10 bytes"):
        quick(most_bytes=10).get(question)
    ticks = iter(range(0, 10_000, 100))
    with pytest.raises(FeedError, match="no whole answer in 60 s"):
        quick(clock=lambda: float(next(ticks)), attempts=1).get(question)
    served.answers["/api"] = "caf\udce9"
    with pytest.raises(FeedError, match="no text in UTF-8"):
        quick().get(question)
    with pytest.raises(FeedError, match="no connection, or one that broke"):
        quick(attempts=1).get(Question("http://127.0.0.1:9/api", {}, {}))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://api.example.org/v1", "plain http to api.example.org"),
        ("ftp://127.0.0.1/v1", "no address"),
        ("https://user:hunter2@api.example.org/v1", "a password"),
        ("https://api.example.org/v1?token=1", "a question"),
        ("http://127.0.0.1:99999/", "no address"),
    ],
)
def test_addresses_that_are_not_asked(url: str, says: str) -> None:
    """Plain http leaves this machine never; no password or token is in an address."""
    with pytest.raises(FeedError, match=says) as caught:
        quick().get(Question(url, {"securityToken": TOKEN}, {}))
    assert "hunter2" not in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_the_token_is_in_no_log_error_or_file(
    tmp_path: Path, served: Service, environment: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """At level DEBUG, with failures and a server that repeats it: nothing that is written anywhere holds the token."""
    path = written(tmp_path, served)
    with caplog.at_level(logging.DEBUG):
        states = fetched(path, environment)
        served.answers["/api"] = entsoe_refusal(f"the token {TOKEN} is not known")
        served.failures = [500, 500]
        states |= fetched(path, environment, force=True)
    assert "(token)" in states["day-ahead"].error
    assert "HTTP Request" in caplog.text  # httpx did log the requests
    written_down = "".join(file.read_text() for file in (tmp_path / "feeds").iterdir())
    assert TOKEN not in caplog.text + states_text(list(states.values()), as_json=True) + written_down


def test_without_a_token_nothing_is_asked(tmp_path: Path, served: Service, environment: dict[str, str]) -> None:
    """The name of the variable is told; the service hears nothing."""
    path = written(tmp_path, served)
    state = fetched(path, {"OZZO_FEEDS": environment["OZZO_FEEDS"]}, only=("day-ahead",))["day-ahead"]
    assert "ENTSOE_API_KEY with the token is not set" in state.error
    assert state.freshness is Freshness.MISSING
    assert served.asked == []


def test_the_commands_print_json_and_refuse_unknown_names(tmp_path: Path, served: Service, environment: dict[str, str]) -> None:
    """``fetch --json`` and ``show --json`` agree; an unknown feed is an error; a document without feeds says so."""
    path = written(tmp_path, served)
    done = CliRunner().invoke(app, ["feed", "fetch", str(path), "--json"])
    assert done.exit_code == 0, done.output
    first = json.loads(done.output)["feeds"]
    assert [item["feed"] for item in first] == ["day-ahead", "carbon", "sky", "sun-nl"]
    assert all(item["fetched"] for item in first)
    assert first[3]["covers"].endswith("96 steps, 100000 to 195000 kW")
    again = json.loads(CliRunner().invoke(app, ["feed", "show", str(path), "--json"]).output)["feeds"]
    assert [item["covers"] for item in again] == [item["covers"] for item in first]
    with pytest.raises(InputError, match="found 'carbn'; expected the name of a feed: day-ahead") as caught:
        feed_states(path, fetch=False, only=("carbn", "wind"), environment=environment)
    assert [finding.nearest for finding in caught.value.findings] == ["carbon", None]
    with pytest.raises(InputError, match="feeds: found no feeds"):
        feed_states(ROOT / "configs" / "minimal.yaml", fetch=False, environment=environment)


def test_a_damaged_store_is_told_and_fetched_over(tmp_path: Path, served: Service, environment: dict[str, str]) -> None:
    """Half a file in the store is an error of check, and the next fetch mends it."""
    path = written(tmp_path, served)
    fetched(path, environment)
    for file in (tmp_path / "feeds").iterdir():
        file.write_text(file.read_text()[:40])
    with pytest.raises(InputError, match="a damaged answer"):
        load_scenario(path, environment=environment)
    assert all(not state.error for state in fetched(path, environment).values())
    assert check([str(path)])[1] == 0


def test_a_store_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """A file in the place of the folder: the answer is not kept, and that is said."""
    (tmp_path / "file").write_text("")
    with pytest.raises(FeedError, match="answers cannot be kept here"):
        store.save(tmp_path / "file", {"kind": "x"}, store.Stored("body", datetime.now(UTC)))
