"""What contracts cost and bring, as planned and as realised: figures for page and summary."""

from __future__ import annotations

from typing import Any

from scheduler.contract_bill import Charge, ContractLine, contract_lines
from sim.record import RunRecord

WORDS: dict[Charge, str] = {
    Charge.ABOVE_RIGHT: "energy above the transport right",
    Charge.ABOVE_LIMITATION: "energy above the limitation",
    Charge.ABOVE_GROUP_CAP: "share of the energy above the group's cap",
    Charge.PEAK: "highest quarter-hour, above what was reached",
    Charge.SHORT: "energy more than nominated, beyond the day-ahead price",
    Charge.LONG: "energy less than nominated, beyond the day-ahead price",
    Charge.REWARD: "transport given up",
}
"""What a line is for, in words."""


def contract_figures(record: RunRecord) -> list[dict[str, Any]]:
    """Every line of the bill as realised, with what the first plan expected of it; empty without contracts.

    Returns:
        ``contract``, ``site``, ``charge``, ``quantity``, ``unit``, ``eur`` and ``planned_eur`` (null without a plan); EUR are
        positive when the site pays.
    """
    if record.outcome is None or not record.outcome.contracts:
        return []
    expected = {_key(line): line.eur for line in _planned(record)}
    return [
        {
            "contract": line.contract,
            "site": line.site,
            "charge": str(line.charge),
            "quantity": line.quantity,
            "unit": line.unit,
            "eur": line.eur,
            "planned_eur": expected.get(_key(line)),
        }
        for line in record.outcome.contracts
    ]


def _planned(record: RunRecord) -> tuple[ContractLine, ...]:
    """Lines of the first plan, on its own slots."""
    if not record.plans:
        return ()
    plan = record.plans[0].plan
    return contract_lines(record.scenario, plan.horizon, plan.energy.import_kw, plan.energy.export_kw)


def _key(line: ContractLine) -> tuple[str, str, Charge]:
    return line.contract, line.site, line.charge
