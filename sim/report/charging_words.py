"""Charging points in sentences, from the key ``charging`` of a summary: for the terminal and the page of scenarios."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def charging_sentences(charging: dict[str, Any]) -> Iterator[str]:
    """A sentence for each fleet, and one on what discharge is worth."""
    for fleet in charging["fleets"]:
        words = f"{fleet['asset']} of {fleet['site']}: {fleet['sessions']:,} cars"
        if fleet["at_once_peak_kw"] is not None:
            words += (
                f", highest draw {fleet['peak_kw']:,.0f} kW instead of {fleet['at_once_peak_kw']:,.0f} kW when charged at once"
            )
        shares = fleet["off_peak_share"], fleet["at_once_off_peak_share"]
        if None not in shares:
            words += f", {shares[0]:.1%} taken outside peak hours instead of {shares[1]:.1%}"
        if fleet["may_give"]:
            words += (
                f"; {fleet['given_back_kwh']:,.1f} kWh given back by {fleet['gave']:,} of {fleet['may_give']:,} cars that may"
            )
        if fleet["short_cars"]:
            named = ", ".join(f"{car['session']} ({car['missing_kwh']:.2f} kWh)" for car in fleet["short"])
            more = fleet["short_cars"] - len(fleet["short"])
            words += f"; left short: {named}" + (f" and {more:,} more" if more else "")
        yield words
    if charging["v2g_benefit_eur"] is not None:
        yield f"giving back is worth {charging['v2g_benefit_eur']:.2f} EUR beyond shifting"
