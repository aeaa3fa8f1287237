"""How full elements of the grid were, run at once (before) and as realised (after): figures for page, summary and terminal.

Transformers and lines are those of the AC power flow on realised injections; feeders are counted in net import of their sites.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from scheduler.outcome import Outcome
from scheduler.policies.feeders import flow_kw
from sim.record import RunRecord

BEFORE = "fifo"
"""The baseline that everything is compared with: every member runs at once."""


def grid_capacity(record: RunRecord) -> dict[str, Any] | None:
    """Peaks of transformers, lines and feeders, run at once (before) and as realised (after); None where there are none.

    Returns:
        ``elements``: list of ``kind``, ``element``, ``before_pct`` and ``after_pct`` (percent of the rating, null if unknown);
        ``overloaded_before``, ``overloaded_after``: by kind (feeders: by the first part of
        their name) the share of all such elements above their rating, 0 to 1.
    """
    before, after = _peaks(record, record.baselines.get(BEFORE)), _peaks(record, record.outcome)
    keys = list(dict.fromkeys([*before, *after]))
    if not keys:
        return None
    entries = [
        {"kind": kind, "element": name, "before_pct": before.get((kind, name)), "after_pct": after.get((kind, name))}
        for kind, name in keys
    ]
    return {
        "elements": entries,
        "overloaded_before": _overloaded(before, record.scenario.rehearsal.loading_limit_pct),
        "overloaded_after": _overloaded(after, record.scenario.rehearsal.loading_limit_pct),
    }


def _overloaded(peaks: dict[tuple[str, str], float], limit_pct: float) -> dict[str, float]:
    """Share of the elements of each kind whose peak is above ``limit_pct`` (feeders: above their rating).

    Feeders are grouped by what stands before the first hyphen of their names (``substation-west`` is one of ``substation``).
    """
    shares: dict[str, float] = {}
    groups: dict[str, list[bool]] = defaultdict(list)
    for (kind, name), value in peaks.items():
        group = name.split("-")[0] if kind == "feeder" else kind
        groups[group].append(value > (100.0 if kind == "feeder" else limit_pct) + 1e-9)
    for group, over in groups.items():
        shares[group] = sum(over) / len(over)
    return shares


def _peaks(record: RunRecord, outcome: Outcome | None) -> dict[tuple[str, str], float]:
    """Highest loading of every element in percent of its rating, by kind and name."""
    if outcome is None:
        return {}
    peaks: dict[tuple[str, str], float] = {}
    network = outcome.network
    if network is not None:
        for kind, names, loading in (
            ("transformer", network.transformer_names, network.transformer_loading_pct),
            ("line", network.line_names, network.line_loading_pct),
        ):
            peaks |= {(kind, name): float(peak) for name, peak in zip(names, loading.max(axis=0, initial=0.0), strict=True)}
    net_kw = (outcome.energy.import_kwh - outcome.energy.export_kwh) / outcome.horizon.step_h
    for feeder, line in zip(record.problem.feeders, record.scenario.feeders, strict=True):
        if line.limit_kw > 0:
            peaks["feeder", line.name] = 100.0 * float(np.abs(flow_kw(feeder, net_kw)[0]).max()) / line.limit_kw
    return peaks


def overloaded_words(found: dict[str, Any]) -> str:
    """The shares above their rating, before and after, in words; empty when there are none."""
    kinds = dict.fromkeys([*found["overloaded_before"], *found["overloaded_after"]])
    parts = []
    for kind in kinds:
        shares = [found[when].get(kind) for when in ("overloaded_before", "overloaded_after")]
        before, after = ("not known" if share is None else f"{100 * share:.0f} %" for share in shares)
        parts.append(f"{kind}s {before} before, {after} after")
    return "; ".join(parts)
