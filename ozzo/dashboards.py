"""Grafana dashboards and provisioning files, made from code (``ozzo dashboards``) and committed under ``dashboards/``."""

from __future__ import annotations

import importlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

UID = "ozzo-operator-overview"
OVERVIEW = "operator-overview.json"

DATASOURCES = """\
# Made by `ozzo dashboards`. Grafana fills in the variables from its own environment.
# InfluxQL works on InfluxDB 1.x, 2.x (with a database mapping of the bucket) and 3.x.
apiVersion: 1
datasources:
  - name: OZZO telemetry
    uid: ozzo-telemetry
    type: influxdb
    access: proxy
    url: $OZZO_INFLUX_URL
    jsonData:
      version: InfluxQL
      dbName: $OZZO_INFLUX_BUCKET
      httpMode: GET
      httpHeaderName1: Authorization
    secureJsonData:
      httpHeaderValue1: Token $OZZO_INFLUX_TOKEN
"""

PROVIDERS = """\
# Made by `ozzo dashboards`. Set OZZO_DASHBOARDS to the folder that holds operator-overview.json.
apiVersion: 1
providers:
  - name: ozzo
    folder: OZZO
    type: file
    allowUiUpdates: false
    options:
      path: $OZZO_DASHBOARDS
"""


@dataclass(frozen=True, slots=True)
class Line:
    """A query of a panel: InfluxQL text and the name of its series."""

    query: str
    alias: str = ""


@dataclass(frozen=True, slots=True)
class Spec:
    """A panel as data.

    Attributes:
        kind: ``stat``, ``timeseries`` or ``table``.
        title, unit, description: what stands on it; the unit is Grafana's id (``suffix:`` for others).
        lines: its queries.
        place: x, y, width and height on the grid of 24 columns.
        decimals: digits after the point, or None.
        more: further settings of one panel only: ``repeat``, ``right`` (alias pattern and unit of the right axis),
            ``mapping`` (value to word and colour).
    """

    kind: str
    title: str
    unit: str
    description: str
    lines: tuple[Line, ...]
    place: tuple[int, int, int, int]
    decimals: int | None = None
    more: dict[str, Any] = field(default_factory=dict)


def _stats() -> tuple[Spec, ...]:
    from ozzo.influxql import of_policy, one_value

    def stat(k: int, title: str, name: str, unit: str, decimals: int, description: str, **more: Any) -> Spec:
        """A single figure of the plan's result, the ``k``-th from the left."""
        lines = (Line(one_value(name, "result", of_policy("plan"))),)
        return Spec("stat", title, unit, description, lines, (4 * k, 0, 4, 4), decimals, more)

    words = {"0": ("failed", "red"), "1": ("passed", "green")}
    return (
        stat(0, "Verdict", "verdict", "none", 0, "Verdict of the rehearsal: only a passed plan commands.", mapping=words),
        stat(1, "Gap", "gap", "percentunit", 2, "Distance of the first plan from the proven bound."),
        stat(
            2,
            "Weighted objective",
            "objective_eur",
            "currencyEUR",
            2,
            "Energy, carbon, peak, wear and work not done, as realised.",
        ),
        stat(3, "Better than run at once", "better_than_fifo_percent", "percent", 1, "On the weighted objective, as realised."),
        stat(4, "Carbon", "carbon_kg", "masskg", 1, "Import times average carbon intensity."),
        stat(5, "Deadline misses", "deadline_misses", "short", 0, "Jobs that ended late, or never."),
    )


def _energy() -> tuple[Spec, ...]:
    from ozzo.influxql import of_policy, over_time, summed_over_sites

    plan, net = of_policy("plan"), 'mean("import_kw") - mean("export_kw")'
    limits = (
        Line(over_time(net, "actual", plan), "realised"),
        Line(over_time(net, "plan", plan), "planned"),
        Line(over_time('mean("import_limit_kw")', "limits"), "import limit"),
        Line(over_time('-1 * mean("export_limit_kw")', "limits"), "export limit"),
        Line(over_time('mean("event_limit_kw")', "limits"), "event limit"),
    )
    sun = (
        Line(summed_over_sites("renewable_used_kw", "actual", plan), "used"),
        Line(summed_over_sites("curtailed_kw", "actual", plan), "curtailed"),
        Line(summed_over_sites("renewable_kw", "plan", plan), "forecast"),
    )
    return (
        Spec(
            "timeseries",
            "Power against limit: $site",
            "kwatt",
            "Net power at the connection, import positive; limits hold for 15-minute means.",
            limits,
            (0, 4, 24, 8),
            more={"repeat": "site"},
        ),
        Spec("timeseries", "Sun and wind", "kwatt", "Used and curtailed, sum of the chosen sites.", sun, (0, 12, 12, 8)),
        Spec(
            "timeseries",
            "State of charge",
            "kwatth",
            "Energy in the cells at the end of each slot.",
            (
                Line(over_time('last("soc_kwh")', "actual", plan), "$tag_site realised"),
                Line(over_time('last("soc_kwh")', "plan", plan), "$tag_site planned"),
            ),
            (12, 12, 12, 8),
        ),
        Spec(
            "timeseries",
            "Price and carbon",
            "suffix: EUR/MWh",
            "Import price, and average carbon intensity (right axis).",
            (
                Line(over_time('mean("import_eur_per_mwh")', "forecast"), "price $tag_site"),
                Line(over_time('mean("average_g_per_kwh")', "forecast"), "carbon $tag_site"),
            ),
            (0, 20, 12, 8),
            more={"right": ("/^carbon/", "suffix: g/kWh")},
        ),
    )


def _work_and_network() -> tuple[Spec, ...]:
    from ozzo.influxql import of_policy, over_time, rows, summed_over_sites

    plan = of_policy("plan")
    events = rows(("limit_kw", "baseline_kw", "actual_kw", "worst_kw", "delivered_kw", "event", "site"), "events")
    return (
        Spec(
            "timeseries",
            "Jobs",
            "short",
            "Jobs running, and released but waiting, sum of the chosen sites.",
            (Line(summed_over_sites("running", "jobs"), "running"), Line(summed_over_sites("queued", "jobs"), "queued")),
            (12, 20, 12, 8),
            0,
        ),
        Spec(
            "timeseries",
            "Network voltage",
            "suffix: pu",
            "Lowest and highest voltage of all buses (AC power flow).",
            (
                Line(over_time('min("voltage_low_pu")', "network", plan, by=None), "lowest"),
                Line(over_time('max("voltage_high_pu")', "network", plan, by=None), "highest"),
            ),
            (0, 28, 12, 8),
            3,
        ),
        Spec(
            "timeseries",
            "Network loading",
            "percent",
            "Highest loading of lines and transformers, of rated current.",
            (
                Line(over_time('max("line_loading_pct")', "network", plan, by=None), "lines"),
                Line(over_time('max("transformer_loading_pct")', "network", plan, by=None), "transformers"),
            ),
            (12, 28, 12, 8),
            1,
        ),
        Spec(
            "table",
            "Demand-response events",
            "kwatt",
            "Target, baseline and delivery of each event, as means of its period.",
            (Line(events),),
            (0, 36, 24, 8),
            2,
        ),
    )


def specs() -> tuple[Spec, ...]:
    """Every panel of the operator overview, as data."""
    return (*_stats(), *_energy(), *_work_and_network())


def _panel(spec: Spec, number: int) -> Any:
    from grafana_foundation_sdk.builders import common as common_builders
    from grafana_foundation_sdk.builders import stat, table, timeseries
    from grafana_foundation_sdk.models import common, dashboard

    from ozzo.influxql import SOURCE_UID, InfluxQL, Query

    made: Any = {"stat": stat, "table": table, "timeseries": timeseries}[spec.kind].Panel()
    x, y, width, height = spec.place
    made.id(number).title(spec.title).description(spec.description).unit(spec.unit)
    made.grid_pos(dashboard.GridPos(x=x, y=y, w=width, h=height))
    made.datasource(common.DataSourceRef(type_val="influxdb", uid=SOURCE_UID))
    if spec.decimals is not None:
        made.decimals(spec.decimals)
    for letter, line in zip("ABCDEFGH", spec.lines, strict=False):
        made.with_target(Query(InfluxQL(line.query, letter, line.alias, table=spec.kind == "table")))
    if spec.kind == "stat":
        made.reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"])).graph_mode(common.BigValueGraphMode.NONE)
    if spec.kind == "timeseries":
        made.line_width(2).fill_opacity(0).line_interpolation(common.LineInterpolation.STEP_AFTER)
        made.show_points(common.VisibilityMode.NEVER).span_nulls(False)
        legend = common_builders.VizLegendOptions().show_legend(True).placement(common.LegendPlacement.BOTTOM)
        made.legend(legend.display_mode(common.LegendDisplayMode.LIST))
        made.tooltip(common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI))
    if "repeat" in spec.more:
        made.repeat(spec.more["repeat"]).repeat_direction("h").max_per_row(2)
    if "right" in spec.more:
        pattern, unit = spec.more["right"]
        values = [
            dashboard.DynamicConfigValue(id_val="unit", value=unit),
            dashboard.DynamicConfigValue(id_val="custom.axisPlacement", value="right"),
        ]
        made.override_by_regexp(pattern, values)
    if "mapping" in spec.more:
        results = {
            value: dashboard.ValueMappingResult(text=word, color=colour) for value, (word, colour) in spec.more["mapping"].items()
        }
        made.mappings([dashboard.ValueMap(options=results)])
    return made


def _load_sdk() -> None:
    """Import the SDK's classic dashboard without its advice to use version 2.

    The classic form is chosen on purpose: file provisioning of every Grafana release takes it.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Prefer using dashboardv2", category=DeprecationWarning)
        for name in ("dashboard", "stat", "table", "timeseries", "common"):
            importlib.import_module(f"grafana_foundation_sdk.builders.{name}")


def overview() -> dict[str, Any]:
    """The operator overview as Grafana's dashboard JSON."""
    _load_sdk()
    from grafana_foundation_sdk.builders import dashboard as builders
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models import common, dashboard

    from ozzo.influxql import SOURCE_UID

    source = common.DataSourceRef(type_val="influxdb", uid=SOURCE_UID)
    made = (
        builders.Dashboard("OZZO operator overview")
        .uid(UID)
        .description("Plan, reality and limits of one run. Choose the run, and the period of its scenario.")
        .tags(["ozzo"])
        .time("now-24h", "now+24h")
        .timezone("browser")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .with_variable(builders.DatasourceVariable("datasource").label("data source").type("influxdb"))
        .with_variable(_variable("run", 'SHOW TAG VALUES FROM "result" WITH KEY = "run"', source, several=False))
        .with_variable(
            _variable("site", 'SHOW TAG VALUES FROM "limits" WITH KEY = "site" WHERE "run" =~ /^$run$/', source, several=True)
        )
    )
    for number, spec in enumerate(specs(), start=1):
        made.with_panel(_panel(spec, number))
    value: dict[str, Any] = json.loads(json.dumps(made.build(), cls=JSONEncoder))
    return _as_grafana_types(value)


def _as_grafana_types(value: dict[str, Any]) -> dict[str, Any]:
    """Without the fields that the SDK writes and Grafana's own types do not know (docs/decisions/0005)."""
    for variable in value["templating"]["list"]:
        for name in ("auto", "auto_min", "auto_count"):
            variable.pop(name, None)
    for panel in value["panels"]:
        if panel["type"] == "table":
            panel["options"].pop("footer", None)
    return value


def _variable(name: str, query: str, source: Any, *, several: bool) -> Any:
    from grafana_foundation_sdk.builders import dashboard as builders
    from grafana_foundation_sdk.models import dashboard

    order = dashboard.VariableSort.ALPHABETICAL_ASC if several else dashboard.VariableSort.ALPHABETICAL_DESC
    made = builders.QueryVariable(name).label(name).datasource(source).query(query).sort(order)
    return made.refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED).multi(several).include_all(several)


def files() -> dict[str, str]:
    """Every file below ``dashboards/`` by its relative path."""
    return {
        OVERVIEW: json.dumps(overview(), indent=2, sort_keys=True, ensure_ascii=False) + "\n",
        "provisioning/datasources/ozzo.yaml": DATASOURCES,
        "provisioning/dashboards/ozzo.yaml": PROVIDERS,
    }


def write_dashboards(out: Path) -> Sequence[Path]:
    """Write the dashboards and provisioning files below ``out``; returns their paths."""
    from sim.report.files import write_whole

    written = []
    for name, words in files().items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = words.encode()
        written.append(write_whole(path, lambda part, data=data: part.write_bytes(data)))  # type: ignore[misc]
    return written
