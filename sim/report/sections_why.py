"""Sections of the page on decisions: jobs, data, reasons, rehearsal, commanding, provenance."""

from __future__ import annotations

from sim.report.frames import placement_after, transfers
from sim.report.gantt import ROWS_AT_MOST, gantt_figure
from sim.report.markup import bullets, facts, note, section, table, text
from sim.report.network_figures import placement_figure
from sim.report.reasons import Decision, decisions, reasons_in_force
from sim.report.sections import Page
from sim.report.tables import number, policy_words
from sim.report.words import unit_words, worst_number, worst_words

HEADS = ("job or dataset", "site", "against run-at-once", "planned", "deadline", "reason", "why")
"""Columns of the table of decisions; page.css gives the last one the most room."""


def jobs_section(page: Page) -> str:
    """Gantt of jobs."""
    spec = gantt_figure(page.record, page.clock)
    if spec is None:
        return ""
    scenario = page.record.scenario
    if len(scenario.jobs) <= ROWS_AT_MOST:
        words = "One row a job: the pale bar is the time in which it may run, the coloured bar when and where it runs."
    else:
        words = f"{len(scenario.jobs)} jobs; a bar is one job at its site, and bars that do not overlap share a lane."
    words += " Point at a bar for its deadline and the reason; drag to zoom, double-click to return."
    if scenario.beyond_horizon:
        words += f" Left out, because they cannot end inside the horizon: {len(scenario.beyond_horizon)} jobs."
    return section("Jobs over the day", note(words) + page.picture("jobs", spec, "Gantt chart of jobs by site"), long=True)


def placement_section(page: Page) -> str:
    """Where data was, where it is, and the moves."""
    record, clock = page.record, page.clock
    spec = placement_figure(record)
    if spec is None:
        return ""
    after, moves = placement_after(record), transfers(record)
    body = note(
        "Hot data lives in cabinets, cold data in halls, frozen data in vaults. Replicas count at every site that holds one."
    )
    body += page.picture("placement", spec, "volume of data at each site before and after, by tier")
    rows, same = [], 0
    for dataset in record.scenario.datasets:
        pieces = [(transfer, start, end) for transfer, start, end in moves if transfer.dataset == dataset.name]
        if not pieces and set(after[dataset.name]) == set(dataset.sites) and len(record.scenario.datasets) > 30:
            same += 1
            continue
        when = clock.period(pieces[0][1], pieces[-1][2]) if pieces else "stays"
        rate = f"{max(transfer.rate_mbit_per_s for transfer, _, _ in pieces):,.0f} Mbit/s" if pieces else ""
        places = ", ".join(dataset.sites), ", ".join(after[dataset.name])
        rows.append(
            [dataset.name, str(dataset.tier), f"{dataset.size_tb:,.2f}", *places, when, rate, clock.short(dataset.move_by)]
        )
    head = ["dataset", "tier", "TB", "before", "after", "moved", "highest rate", "move by"]
    body += table(head, rows, numeric=[2, 6], firm=[5, 7])
    if same:
        body += note(f"{same} datasets stay where they are and are not listed.")
    return section("Data by tier", body, long=True)


def _numbers_words(decision: Decision) -> str:
    return "; ".join(f"{unit_words(key)}: {value:.4g}" for key, value in decision.numbers.items())


def _moved_words(decision: Decision) -> str:
    """How a decision differs from run-at-once."""
    if decision.site is None:
        return "not done"
    if decision.usual_site is None:
        return "not done by run-at-once"
    parts = []
    if decision.usual_site != decision.site:
        parts.append(f"to {decision.site} from {decision.usual_site}")
    shift = decision.shift_h
    if shift:
        parts.append(f"{abs(shift):.4g} h {'later' if shift > 0 else 'earlier'}")
    return ", ".join(parts) or "same"


def _row(decision: Decision, page: Page) -> str:
    clock, shift = page.clock, decision.shift_h
    state = "dropped" if decision.site is None else "moved" if decision.moved else "same"
    numbers = _numbers_words(decision)
    hint = f' title="{text(numbers)}"' if numbers else ""
    kind = decision.kind.replace("_", " ")

    def cell(head: str, words: str, key: str | None = None, more: str = "") -> str:
        """A cell that carries the heading of its column, for narrow screens; sorted by ``key`` when there is one."""
        order = f' data-key="{text(key)}"' if key is not None else ""
        return f'<td data-head="{text(head)}"{order}{more}>{text(words)}</td>'

    period = clock.period(decision.start, decision.end)
    return (
        f'<tr data-state="{state}" data-site="{text(decision.site or "")}" data-kind="{text(decision.kind)}">'
        + cell(HEADS[0], decision.name)
        + cell(HEADS[1], decision.site or "–")  # noqa: RUF001
        + cell(HEADS[2], _moved_words(decision), f"{1e6 + (shift or 0.0):.4f}")
        + cell(HEADS[3], period, clock.sortable(decision.start))
        + cell(HEADS[4], clock.short(decision.deadline), clock.sortable(decision.deadline))
        + cell(HEADS[5], kind)
        + cell(HEADS[6], decision.text, more=f' class="why"{hint}')
        + "</tr>\n"
    )


def _options(values: set[str]) -> str:
    return "".join(f'<option value="{text(value)}">{text(value.replace("_", " "))}</option>' for value in sorted(values) if value)


def _filters(sites: set[str], kinds: set[str]) -> str:
    """The form above the table of reasons."""
    label = "name or word"
    return (
        f'<form class="filters" id="filters"><input type="search" name="text" placeholder="{label}" aria-label="{label}">'
        '<label><input type="checkbox" name="moved" checked> only moved or not done</label>'
        f'<label>site <select name="site"><option value="">all</option>{_options(sites)}</select></label>'
        f'<label>reason <select name="kind"><option value="">all</option>{_options(kinds)}</select></label>'
        '<span class="note" id="shown"></span></form>\n'
    )


def why_section(page: Page) -> str:
    """Each job and move with its reason."""
    found = decisions(page.record)
    if not found:
        return ""
    moved, dropped = sum(item.moved for item in found), sum(item.site is None for item in found)
    words = (
        f"Jobs and data moves: {len(found)}. At another time or place than run-at-once would have them: {moved}. "
        f"Not done: {dropped}. Click a heading to sort; point at a reason for the figures behind it."
    )
    filters = _filters({item.site or "" for item in found}, {item.kind for item in found})
    head = "".join(f'<th scope="col"><button type="button">{text(name)}</button></th>' for name in HEADS)
    rows = "".join(_row(item, page) for item in found)
    grid = (
        f'<div class="tall"><table class="sortable" id="decisions"><thead><tr>{head}</tr></thead>'
        f"<tbody>\n{rows}</tbody></table></div>\n"
    )
    return section("Why each thing is where and when it is", note(words) + filters + grid, long=True)


def dropped_section(page: Page) -> str:
    """What is not done, with the limit that binds."""
    if not page.record.plans:
        return ""
    done = {item.name for item in decisions(page.record) if item.site is not None}
    reasons = reasons_in_force(page.record)
    names = {item.name for entry in page.record.plans for item in entry.plan.dropped} - done
    if not names:
        return ""
    rows = [
        [
            name,
            str(reasons[name].kind).replace("_", " "),
            reasons[name].text,
            "; ".join(f"{unit_words(k)}: {v:.4g}" for k, v in reasons[name].numbers.items()),
        ]
        for name in sorted(names)
    ]
    return section("Not done", table(["job or dataset", "limit that binds", "why", "figures"], rows), long=True)


def rehearsal_section(page: Page) -> str:
    """Verdict, seeds, worst values and violations."""
    record, clock = page.record, page.clock
    if not record.plans:
        return ""
    body = note(
        "Before a plan may command anything it is carried out in the simulated world: once as nominal, then under stress."
    )
    rows = []
    for k, entry in enumerate(record.plans):
        gap = "–" if entry.plan.gap is None else f"{100 * entry.plan.gap:.2f} %"  # noqa: RUF001
        seeds = ", ".join(str(seed) for seed in entry.verdict.seeds)
        state = "passed" if entry.verdict.passed else "failed"
        rows.append(
            [str(k + 1), clock.words(entry.since), entry.cause, str(entry.plan.status).replace("_", " "), gap, state, seeds]
        )
    body += table(["plan", "in force from", "cause", "solve", "gap", "verdict", "seeds"], rows, numeric=[4], firm=[1])
    runs = [*([record.outcome] if record.outcome else []), *record.stressed]
    if runs:
        cells = [
            [
                "stressed" if run.stressed else "nominal",
                str(run.seed),
                number(run.totals.objective_eur, 2),
                str(run.totals.deadline_misses),
                str(sum(job.restarts for job in run.jobs)),
                str(len(run.violations)),
            ]
            for run in runs
        ]
        body += "<h3>Executions</h3>\n"
        head = ["execution", "seed", "objective EUR", "deadline misses", "restarts", "broken rules"]
        body += table(head, cells, numeric=range(1, 6))
    names = list(dict.fromkeys(name for entry in record.plans for name in entry.verdict.worst))
    if names:
        body += "<h3>Worst values of each rehearsal</h3>\n"
        found = [entry.verdict.worst for entry in record.plans]
        lines = [
            [worst_words(name), *(worst_number(name, worst[name]) if name in worst else "" for worst in found)] for name in names
        ]
        body += table(["", *(f"plan {k + 1}" for k in range(len(found)))], lines, numeric=range(1, len(found) + 1))
    broken = page.figures["violations"]
    if broken:
        body += "<h3>Broken rules, and what to change</h3>\n"
        cells = [
            [
                item["kind"].replace("_", " "),
                item["subject"],
                f"{item['value']:.6g} {item['unit']}",
                f"{item['limit']:.6g} {item['unit']}",
                item["when"] or "",
                "" if item["seed"] is None else str(item["seed"]),
                item["advice"],
            ]
            for item in broken
        ]
        body += table(["rule", "subject", "value", "limit", "when (UTC)", "seed", "what to change"], cells)
    return section("Rehearsal", body, long=True)


def commanding_section(page: Page) -> str:
    """What commanding the nodes came to."""
    done = page.record.commanding
    if done is None:
        return section("Commanding", note("No node was commanded in this run."))
    moved = (done.migrations_done, done.migrations_failed)
    pairs = [
        ("transport", done.transport),
        ("node agents", done.nodes),
        ("commands sent", done.commands),
        ("accepted, applied, failed", f"{done.accepted}, {done.applied}, {done.failed}"),
        ("refused as too late", done.late),
        ("jobs that ended well on a node", done.jobs_run),
        ("jobs that did not", done.jobs_failed),
        *([("migrations done, not done", f"{moved[0]}, {moved[1]}")] if any(moved) else []),
        ("nodes that fell silent", ", ".join(done.silent_nodes) or "none"),
        ("slowest acknowledgement", f"{done.worst_ack_s:.3f} s (wall time)"),
        ("pace", f"{done.speed:,.0f} scenario seconds per wall second"),
    ]
    return section("Commanding", facts(pairs) + (note(done.note) if done.note else ""))


def provenance_section(page: Page) -> str:
    """Which numbers are real, derived or assumed, and how this page was made."""
    record, figures = page.record, page.figures
    body = "<h3>Which numbers are real, derived or assumed</h3>\n"
    body += bullets(record.scenario.provenance) if record.scenario.provenance else note("The scenario does not say.")
    body += "<h3>How this run was made</h3>\n"
    body += facts(
        [
            ("command", figures["command_line"]),
            ("version, seed", f"ozzo {figures['version']}, seed {figures['seed']}"),
            ("plan", f"{figures['plan_id'] or 'none'} by {policy_words(figures['policy'])}"),
            ("solver", record.plans[0].plan.solver if record.plans else "none"),
            ("building and solving", f"{figures['solve_s']:.1f} s" if figures["solve_s"] is not None else "none"),
            *((f"phase {name}", f"{seconds:.1f} s") for name, seconds in figures["phases_s"].items()),
            ("wall time until this page", f"{figures['wall_s']:.1f} s"),
        ]
    )
    return section("Provenance", body)
