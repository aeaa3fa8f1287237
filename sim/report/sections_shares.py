"""The sections on whose energy it was, and on faults of the mains."""

from __future__ import annotations

from sim.report.markup import note, section, table
from sim.report.sections import Page
from sim.report.tables import number

MOST = 8
"""Jobs that the table names."""


def shares_section(page: Page) -> str:
    """Parts of the load, and the jobs that answer for most of it; nothing without an execution."""
    outcome, found = page.record.outcome, page.figures["attribution"]
    if outcome is None or outcome.attribution is None or found is None or not found["load_kwh"]:
        return ""
    parts = (
        ("added by jobs", "jobs_kwh"),
        ("added by transfers", "migrations_kwh"),
        ("overhead and idle nodes, shared by jobs", "shared_kwh"),
        ("the same while no job held a node", "nobody_kwh"),
        ("other assets, less what they and generators gave", "assets_kwh"),
        ("load of the meters", "load_kwh"),
    )
    rows = [[words, number(found[key], 2), number(100 * found[key] / found["load_kwh"], 1)] for words, key in parts]
    body = table(["part", "kWh", "%"], rows, numeric=(1, 2))
    shares = sorted(outcome.attribution.shares, key=lambda share: -(share.own_kwh + share.shared_kwh))[:MOST]
    named = [[share.name, share.site, number(share.own_kwh, 2), number(share.shared_kwh, 2)] for share in shares]
    body += table(["job or transfer", "site", "own kWh", "shared kWh"], named, numeric=(2, 3)) if named else ""
    body += note("The first five parts add up to the last one. All jobs and transfers are in energy_shares.parquet.")
    return section("Whose energy", body)


def mains_section(page: Page) -> str:
    """A row for each fault of the mains that the realised run met; nothing without one."""
    outcome = page.record.outcome
    if outcome is None or not outcome.mains:
        return ""
    head = ["fault", "site", "begins", "lasts (s)", "voltage left %", "dark (s)", "battery kWh", "generators kWh", "unserved kWh"]
    head += ["jobs saved", "jobs lost"]
    rows = [
        [
            fault.name,
            fault.site,
            page.clock.words(fault.start),
            number((fault.end - fault.start).total_seconds(), 1),
            number(100 * fault.retained_pu, 0),
            number(fault.dark_s, 0),
            number(fault.battery_kwh, 3),
            number(fault.generator_kwh, 3),
            number(fault.unserved_kwh, 3),
            str(fault.jobs_saved),
            str(fault.jobs_lost),
        ]
        for fault in outcome.mains
    ]
    body = note(
        "No plan knew of these. Dark: nothing carried the site. Jobs saved stopped at a checkpoint, jobs lost begin again."
    )
    return section("Faults of the mains", body + table(head, rows, numeric=range(3, len(head))))
