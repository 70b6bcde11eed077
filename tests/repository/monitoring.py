"""PURE. What is wrong with alerts and a dashboard: queries, names of metrics, links, the dashboard's form."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from itertools import combinations
from typing import Any

import promql_parser

FOREIGN = {
    "up": {"job", "instance"},
    "process_cpu_seconds_total": {"job", "instance"},
    "process_resident_memory_bytes": {"job", "instance"},
}
"""Metrics that are not Tocsin's own, with their labels."""
TARGET_LABELS = {"job", "instance"}  # which Prometheus adds to every metric
SEVERITIES = ("critical", "warning")
DURATION = re.compile(r"\d+(?:s|m|h|d)")
PANELS = {"heatmap", "row", "stat", "timeseries"}
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS = 24
OLDEST_SCHEMA = 36  # from which on a panel's data source is an object

Metrics = Mapping[str, Collection[str]]
"""Each series that is served, with its labels."""


def query_problems(query: str, metrics: Metrics) -> Iterator[str]:
    """What Prometheus would not understand, and what it would look for in vain."""
    try:
        tree = promql_parser.parse(query.replace("$__rate_interval", "5m"))
    except ValueError as error:
        yield f"`{query}` does not parse: {error}"
        return
    nodes: list[Any] = []
    promql_parser.walk(tree, nodes.append)
    selectors = [node for node in nodes if isinstance(node, promql_parser.VectorSelector)]
    known: set[str] = set(TARGET_LABELS)
    for selector in selectors:
        if selector.name not in metrics:
            yield f"`{query}` asks for {selector.name}, which nothing serves"
            continue
        labels = {*metrics[selector.name], *TARGET_LABELS}
        known |= labels
        for matcher in selector.matchers.matchers:
            if matcher.name not in labels:
                yield f"`{query}`: {selector.name} has no label {matcher.name}"
    for label in _grouped_by(nodes):
        if label not in known:
            yield f"`{query}`: no metric in it has the label {label}"


def rule_problems(rules: Any, metrics: Metrics, headings: Collection[str], runbook: str) -> Iterator[str]:
    """Of a file of alerts; `headings` are the anchors that `runbook` has."""
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    for name, count in Counter(alert.get("alert") for alert in alerts).items():
        if count > 1:
            yield f"{name}: there are {count} of that name"
    for alert in alerts:
        for problem in _alert_problems(alert, metrics, headings, runbook):
            yield f"{alert.get('alert')}: {problem}"
    linked = {alert.get("annotations", {}).get("runbook", "").partition("#")[2] for alert in alerts}
    for heading in headings:
        if heading.startswith("tocsin") and heading not in linked:
            yield f"{runbook}#{heading}: no alert leads there"


def dashboard_problems(dashboard: Any, metrics: Metrics) -> Iterator[str]:
    """Of a dashboard that Grafana is to read."""
    for field in ("uid", "title"):
        if not dashboard.get(field):
            yield f"it has no {field}"
    if dashboard.get("schemaVersion", 0) < OLDEST_SCHEMA:
        yield f"its schemaVersion is below {OLDEST_SCHEMA}"
    variables = {each["name"]: each["type"] for each in dashboard.get("templating", {}).get("list", [])}
    if variables.get("datasource") != "datasource":
        yield "it has no variable `datasource` that lets its user choose the data source"
    panels = dashboard["panels"]
    for number, count in Counter(panel.get("id") for panel in panels).items():
        if count > 1 or not isinstance(number, int):
            yield f"{count} panels have the id {number}"
    for panel in panels:
        for problem in _panel_problems(panel, metrics):
            yield f"panel {panel.get('title')!r}: {problem}"
    for one, other in combinations(panels, 2):
        if _overlap(one["gridPos"], other["gridPos"]):
            yield f"panel {one.get('title')!r} lies over {other.get('title')!r}"


def _grouped_by(nodes: list[Any]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            yield from node.modifier.labels
        if isinstance(node, promql_parser.BinaryExpr) and node.modifier and node.modifier.matching:
            yield from node.modifier.matching.labels


def _alert_problems(alert: Any, metrics: Metrics, headings: Collection[str], runbook: str) -> Iterator[str]:
    if not re.fullmatch(r"Tocsin[A-Z]\w+", str(alert.get("alert"))):
        yield "its name does not begin with Tocsin"
    yield from query_problems(str(alert.get("expr", "")), metrics)
    if not DURATION.fullmatch(alert.get("for", "0s")):
        yield f"`for: {alert['for']}` is no duration"
    if alert.get("labels", {}).get("severity") not in SEVERITIES:
        yield f"its severity is none of {', '.join(SEVERITIES)}"
    annotations = alert.get("annotations", {})
    if not annotations.get("summary"):
        yield "it has no summary"
    file, _, anchor = annotations.get("runbook", "").partition("#")
    if file != runbook or anchor not in headings:
        yield f"its runbook leads nowhere: {annotations.get('runbook')}"


def _panel_problems(panel: Any, metrics: Metrics) -> Iterator[str]:
    if panel.get("type") not in PANELS:
        yield f"its type is {panel.get('type')}"
    place = panel["gridPos"]
    if not (place["x"] >= 0 and place["w"] > 0 and place["x"] + place["w"] <= COLUMNS and place["h"] > 0):
        yield f"it does not fit into {COLUMNS} columns"
    if not panel.get("title"):
        yield "it has no title"
    if panel["type"] == "row":
        return
    if not panel.get("description"):
        yield "it has no description"
    if not panel.get("fieldConfig", {}).get("defaults", {}).get("unit"):
        yield "it has no unit"
    targets = panel.get("targets", [])
    if not targets:
        yield "it asks for nothing"
    if len({target["refId"] for target in targets}) < len(targets):
        yield "two of its queries have one refId"
    for asking in (panel, *targets):
        if asking.get("datasource") != DATASOURCE:
            yield "it does not use the data source that its user chose"
    for target in targets:
        yield from query_problems(target["expr"], metrics)


def _overlap(one: Any, other: Any) -> bool:
    return bool(
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )
