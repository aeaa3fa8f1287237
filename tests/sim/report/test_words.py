"""Names of figures in words: every name that the program makes is known, and numbers read without exponents."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scheduler.objective import PARTS as OBJECTIVE_PARTS
from sim.report.words import PARTS, WORST, part_words, unit_words, worst_number, worst_words
from tests.records import example_scenario


def test_every_part_of_the_objective_has_words() -> None:
    """The words cover exactly the parts that the objective has."""
    assert set(PARTS) == set(OBJECTIVE_PARTS)
    assert part_words("soc_shortfall") == "energy missing in batteries at the end"
    assert part_words("new_part") == "new part"


def test_every_worst_value_of_a_rehearsal_has_words() -> None:
    """A real rehearsal with a power flow, single phases included, names no value that the page would show raw."""
    from sim.rehearsal import _worst_values
    from tests.records import example_outcome, example_plan

    scenario = example_scenario()
    runs = tuple(
        replace(
            example_outcome(scenario, "milp"),
            phases={"phase_voltage_low_pu": low, "phase_voltage_high_pu": 1.0, "unbalance_pct": u},
        )
        for low, u in ((0.95, 1.5), (0.97, 0.5))
    )
    worst = _worst_values(scenario, example_plan(scenario, "milp"), runs)
    assert set(worst) == set(WORST)
    assert (worst["phase_voltage_low_pu"], worst["unbalance_pct"]) == (0.95, 1.5)
    plain = _worst_values(scenario, example_plan(scenario, "milp"), (example_outcome(scenario, "milp"),))
    assert "unbalance_pct" not in plain


def test_words_carry_their_unit() -> None:
    """Known names have their own words; others end with the unit that their name ends with."""
    assert worst_words("import_of_limit_pct") == "highest import, share of what is allowed (%)"
    assert worst_words("other_kw") == unit_words("other_kw") == "other (kW)"
    assert unit_words("plain_name") == "plain name"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("balance_error_kwh", 3.3e-14, "below 0.000001"),
        ("balance_error_kwh", 0.0, "0.000000"),
        ("import_of_limit_pct", 95.04, "95.0"),
        ("voltage_low_pu", 0.99341, "0.9934"),
        ("deadline_misses", 1200.0, "1,200"),
        ("other_kw", 1.25, "1.2500"),
    ],
)
def test_worst_numbers_have_no_exponent(name: str, value: float, words: str) -> None:
    """Numbers have the digits that matter, and tiny ones are a bound."""
    assert worst_number(name, value) == words
