"""Contracts from the document: every kind, its defaults, and days of 92, 96 and 100 quarters."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from grid.contracts.limitation import LimitationKind
from grid.contracts.limits import ContractLimit, Direction, lowest_kw
from grid.errors import InputError
from scheduler.allowed import allowed_kw
from scheduler.build import build_problem
from scheduler.document import load_scenario
from scheduler.late_calls import late_calls
from scheduler.scenario import Scenario

CONFIGS = Path(__file__).parents[3] / "configs"


def loaded(tmp_path: Path, contracts: list[dict[str, Any]], start: str = "2023-06-20T00:00", hours: int = 24) -> Scenario:
    """Two sites with batteries and these contracts."""
    site = {
        "tier": "cold",
        "nodes": [{"name": "node", "count": 2, "cores": 16, "memory_gb": 64, "idle_kw": 0.1, "peak_kw": 0.5}],
        "battery": {"energy_kwh": 10, "charge_kw": 5, "discharge_kw": 5},
        "connection": {"import_limit_kw": 10, "export_limit_kw": 8},
    }
    document = {
        "ozzo": 1,
        "name": "contracts",
        "horizon": {"start": start, "hours": hours, "step_minutes": 15},
        "planning": {"limit_margin": 0},
        "signals": {"price": {"constant_eur_per_mwh": 90}, "carbon_average": {"constant_g_per_kwh": 300}},
        "sites": [site | {"name": "a"}, site | {"name": "b"}],
        "contracts": contracts,
    }
    path = tmp_path / "contracts.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return load_scenario(path, environment={})


def quarters(limits: tuple[ContractLimit, ...], scenario: Scenario, kw: float, way: Direction = Direction.IMPORT) -> list[int]:
    """Slots in which the lowest of these limits is ``kw``."""
    found: list[int] = np.flatnonzero(lowest_kw(limits, way, scenario.horizon) == kw).tolist()
    return found


def test_a_right_is_firm_unless_it_says_otherwise(tmp_path: Path) -> None:
    """Left out, the firm power is all of it; windows and cuts lie where they are written, and the tightest limit is planned."""
    plain = {"kind": "transport_right", "name": "plain", "site": "a", "import_kw": 6, "export_kw": 3}
    rich = {
        "kind": "transport_right",
        "name": "rich",
        "site": "b",
        "import_kw": "0.006 MW",
        "firm_import_kw": 1,
        "windows": [{"from": "22:00", "to": "02:00", "import_kw": 2}],
        "cuts": [{"day": "2023-06-20", "first_isp": 67, "last_isp": 82, "import_kw": 1, "export_kw": 0}],
        "over_eur_per_kwh": 0.5,
    }
    scenario = loaded(tmp_path, [plain, rich])
    one, other = scenario.contracts.rights
    assert (one.firm_import_kw, one.firm_export_kw, one.import_kw, one.over_eur_per_kwh) == (6.0, 3.0, 6.0, 0.0)
    assert (other.import_kw, other.firm_import_kw, other.firm_export_kw, other.over_eur_per_kwh) == (6.0, 1.0, 0.0, 0.5)
    assert quarters(other.windows, scenario, 2.0) == [*range(8), *range(88, 96)]
    assert quarters(other.cuts, scenario, 1.0) == list(range(66, 82))
    assert {cut.known for cut in other.cuts} == {scenario.horizon.start}  # by the end of the day before
    problem = build_problem(scenario)
    assert problem.import_limit_kw[0].tolist() == [6.0] * 96
    assert problem.export_limit_kw[0].tolist() == [3.0] * 96
    assert problem.import_limit_kw[1].tolist() == [2.0] * 8 + [6.0] * 58 + [1.0] * 16 + [6.0] * 6 + [2.0] * 8


def test_limitations_on_call_and_in_blocks(tmp_path: Path) -> None:
    """A call without a limit is the lowest agreed one, told at 08:00 on the day before; blocks hold on their days only."""
    called = {
        "kind": "clc_a",
        "name": "called",
        "site": "a",
        "limit_kw": 1,
        "calls": [
            {"start": "2023-06-20T10:00", "end": "2023-06-20T11:00"},
            {"start": "2023-06-21T10:00", "end": "2023-06-21T11:00", "limit_kw": 2},
        ],
    }
    weekend = {"from": "12:00", "to": "14:00", "days": "weekend", "limit_kw": 3}
    blocks = {"kind": "clc_t", "name": "blocks", "site": "b", "direction": "export", "blocks": [weekend]}
    scenario = loaded(tmp_path, [called, blocks], hours=120)  # Tuesday to Saturday
    first, second = scenario.contracts.limitations
    assert (first.kind, second.kind) == (LimitationKind.ON_CALL, LimitationKind.FIXED_BLOCKS)
    assert [(period.limit_kw, period.known) for period in first.periods] == [
        (1.0, datetime(2023, 6, 19, 6, tzinfo=UTC)),
        (2.0, datetime(2023, 6, 20, 6, tzinfo=UTC)),
    ]
    assert quarters(second.periods, scenario, 3.0, Direction.EXPORT) == list(range(4 * 96 + 48, 4 * 96 + 56))
    assert [group[0].name for group in late_calls(scenario)] == ["called-1"]
    now, later = (allowed_kw(scenario, scenario.sites[0], Direction.IMPORT, scenario.horizon, known).min()
                  for known in (scenario.horizon.start, None))  # fmt: skip
    assert (now, later) == (1.0, 1.0)
    known = allowed_kw(scenario, scenario.sites[0], Direction.IMPORT, scenario.horizon, scenario.horizon.start)
    assert known[96 + 40] == 10.0


def test_group_tariff_and_imbalance(tmp_path: Path) -> None:
    """The cap with its window, versions with what was reached, prices of imbalance beside the day-ahead price of each site."""
    group = {
        "kind": "group_cap",
        "name": "group",
        "members": ["a", "b"],
        "import_kw": 9,
        "export_kw": 4,
        "windows": [{"from": "08:00", "to": "09:00", "import_kw": 5}],
    }
    evening = {"name": "evening", "from": "17:00", "to": "21:00"}
    tariff = {
        "kind": "capacity_tariff",
        "name": "peaks",
        "sites": ["b"],
        "versions": [
            {"windows": [evening | {"eur_per_kw": 3, "reached_kw": 2}]},
            {"valid_from": "2023-06-21", "windows": [evening | {"eur_per_kw": "0.5 EUR/kW"}]},
        ],
    }
    imbalance = {"kind": "imbalance", "name": "brp", "sites": ["a", "b"], "short": {"constant_eur_per_mwh": 200}}
    scenario = loaded(tmp_path, [group, tariff, imbalance], hours=48)
    problem = build_problem(scenario)
    (cap,) = problem.groups
    assert (cap.import_kw[31], cap.import_kw[32], cap.import_kw[36], set(cap.export_kw)) == (9.0, 5.0, 9.0, {4.0})
    assert [(peak.site, peak.slots[0], len(peak.slots), peak.eur_per_kw, peak.reached_kw) for peak in problem.window_peaks] == [
        (1, 68, 16, 3.0, 2.0),
        (1, 96 + 68, 16, 0.5, 0.0),
    ]
    (contract,) = scenario.contracts.imbalances
    assert contract.long_eur_per_mwh is contract.short_eur_per_mwh
    assert [series.values.tolist() for series in contract.market_eur_per_mwh] == [[90.0], [90.0]]


@pytest.mark.parametrize(
    ("day", "hours", "evening", "night"),
    [("2023-06-20", 24, 64, 8), ("2023-03-26", 23, 60, 4), ("2023-10-29", 25, 68, 12)],
    ids=["96 quarters", "92 quarters", "100 quarters"],
)
def test_days_of_any_length(day: str, hours: int, evening: int, night: int, tmp_path: Path) -> None:
    """A window at 16:00 and a night from 01:00 to 03:00 are found on the clock, a cut by its number counts elapsed quarters."""
    windows = [{"from": "16:00", "to": "17:00", "import_kw": 3}, {"from": "01:00", "to": "03:00", "import_kw": 4}]
    last = 4 * hours
    cuts = [{"day": day, "first_isp": last - 3, "last_isp": last, "import_kw": 0}]
    right = {"kind": "transport_right", "name": "ato", "site": "a", "import_kw": 6, "firm_import_kw": 0}
    scenario = loaded(tmp_path, [right | {"windows": windows, "cuts": cuts}], f"{day}T00:00", hours)
    assert scenario.horizon.slots == last
    planned = build_problem(scenario).import_limit_kw[0]
    assert np.flatnonzero(planned == 3.0).tolist() == list(range(evening, evening + 4))
    assert np.flatnonzero(planned == 4.0).tolist() == list(range(4, 4 + night))
    assert np.flatnonzero(planned == 0.0).tolist() == list(range(last - 4, last))


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    """Seven faults in five contracts: seven findings, each with its field."""
    window = {"name": "w", "from": "17:00", "to": "21:00", "eur_per_kw": 1}
    contracts: list[dict[str, Any]] = [
        {
            "kind": "transport_right",
            "name": "ato",
            "site": "vault",
            "import_kw": 6,
            "firm_import_kw": 7,
            "windows": [{"from": "16:00", "to": "16:00", "import_kw": 1}],
        },
        {"kind": "clc_a", "name": "called", "site": "a", "limit_kw": 11},
        {"kind": "group_cap", "name": "group", "members": ["a", "c"], "import_kw": 9},
        {"kind": "capacity_tariff", "name": "peaks", "sites": ["b"], "versions": [{"windows": [window, window | {"name": "x"}]}]},
        {"kind": "imbalance", "name": "peaks", "sites": ["a"], "short": {"constant_eur_per_mwh": 200}},
    ]
    with pytest.raises(InputError) as caught:
        loaded(tmp_path, contracts)
    assert sorted(finding.field for finding in caught.value.findings) == [
        "contracts[0].firm_import_kw",
        "contracts[0].site",
        "contracts[0].windows[0]",
        "contracts[1].limit_kw",
        "contracts[2].members[1]",
        "contracts[3].versions[0].windows[1]",
        "contracts[4].name",
    ]


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("non_firm_site", (1, 0, 0, 0, 0)),
        ("schiphol_trade_park_group_cap", (0, 0, 1, 0, 0)),
        ("dr_temporary_disconnect", (0, 1, 0, 0, 0)),
        ("dr_dynamic_feed_in", (1, 1, 0, 1, 1)),
        ("variable_capacity_tariff_500", (0, 0, 0, 1, 0)),
    ],
)
def test_shipped_scenarios_hold_their_contracts(name: str, kinds: tuple[int, ...]) -> None:
    """Rights, limitations, groups, tariffs, imbalances of each."""
    book = load_scenario(str(CONFIGS / f"{name}.yaml")).contracts
    assert (len(book.rights), len(book.limitations), len(book.groups), len(book.tariffs), len(book.imbalances)) == kinds
