"""The alerts and the dashboard ask for what is served, and lead to the runbook; broken ones are found."""

import copy
import json
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from prometheus_client import Counter, Gauge

from repository import documents, monitoring, tracked
from tocsin_api import metrics as api
from tocsin_common import metrics as common
from tocsin_dispatcher import metrics as dispatcher

ALERTS = "deploy/prometheus/alerts.yml"
SCRAPE = "deploy/prometheus/prometheus.yml"
SCRAPES = [SCRAPE, "deploy/prometheus/scrape-compose.yml", "deploy/prometheus/scrape-kubernetes.yml"]
JOBS = ["tocsin-api", "tocsin-scheduler", "tocsin-sender"]
DASHBOARD = "deploy/grafana/tocsin.json"
RUNBOOK = "docs/operations.md"
HEADINGS = documents.anchors(tracked.texts()[RUNBOOK])
PROMTOOL = shutil.which("promtool")


def served() -> dict[str, set[str]]:
    """Every series of Tocsin's processes, with its labels."""
    series = {}
    for module in (common, api, dispatcher):
        for metric in vars(module).values():
            if not isinstance(metric, Counter | Gauge | common.Histogram):
                continue
            [family] = metric.describe()
            labels = set(getattr(metric, "_labelnames", None) or getattr(metric, "_labels", ()))
            if family.type == "histogram":
                series[f"{family.name}_bucket"] = {*labels, "le"}
                series |= {f"{family.name}_{part}": labels for part in ("count", "sum")}
            else:
                series[f"{family.name}_total" if family.type == "counter" else family.name] = labels
    return series


METRICS = {**monitoring.FOREIGN, **served()}


@pytest.fixture
def rules() -> Any:
    return yaml.safe_load(tracked.texts()[ALERTS])


@pytest.fixture
def dashboard() -> Any:
    return json.loads(tracked.texts()[DASHBOARD])


def test_the_alerts_are_sound(rules: Any) -> None:
    assert list(monitoring.rule_problems(rules, METRICS, HEADINGS, RUNBOOK)) == []


def test_the_dashboard_is_sound(dashboard: Any) -> None:
    assert list(monitoring.dashboard_problems(dashboard, METRICS)) == []


def test_every_metric_is_on_the_dashboard_or_in_an_alert(rules: Any, dashboard: Any) -> None:
    queries = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    queries += [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    text = "\n".join(queries)

    unseen = {name for name in served() if name.removesuffix("_count").removesuffix("_sum") not in text}

    assert {name for name in unseen if not name.endswith("_bucket")} <= {"tocsin_schedules"}


@pytest.mark.parametrize("path", SCRAPES)
def test_the_examples_have_the_jobs_that_alerts_and_dashboard_go_by(path: str) -> None:
    scrape = yaml.safe_load(tracked.texts()[path])

    assert [job["job_name"] for job in scrape["scrape_configs"]] == JOBS


def test_the_example_reads_the_alerts() -> None:
    assert yaml.safe_load(tracked.texts()[SCRAPE])["rule_files"] == [ALERTS.rpartition("/")[2]]


@pytest.mark.parametrize("path", ["compose.yaml", "deploy/compose.prod.yaml"])
def test_the_jobs_of_the_compose_files_are_their_services(path: str) -> None:
    services = yaml.safe_load(tracked.texts()[path])["services"]
    jobs = yaml.safe_load(tracked.texts()["deploy/prometheus/scrape-compose.yml"])["scrape_configs"]

    for job in jobs:
        [found] = job["dns_sd_configs"]
        [name] = found["names"]
        assert f"tocsin-{name}" == job["job_name"]
        assert services[name]["environment"]["METRICS_PORT"] == str(found["port"])


def test_the_jobs_of_kubernetes_are_the_pods_of_its_deployments() -> None:
    jobs = yaml.safe_load(tracked.texts()["deploy/prometheus/scrape-kubernetes.yml"])["scrape_configs"]

    for job in jobs:
        deployment = tracked.texts()[f"deploy/kubernetes/base/{job['job_name'].removeprefix('tocsin-')}.yaml"]
        [app, port] = job["relabel_configs"][0]["regex"].split(";")
        assert f"labels: {{app.kubernetes.io/name: {app}}}" in deployment
        assert f"{{name: {port}, containerPort: 9464}}" in deployment


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("sum(rate(tocsin_attempts_total[5m])", "does not parse: unclosed left parenthesis"),
        ("rate(tocsin_attempts_total) > 1", "does not parse: expected type matrix"),
        ("tocsin_leader >", "does not parse"),
        ("", "does not parse"),
        ("max(tocsin_leaders)", "asks for tocsin_leaders, which nothing serves"),
        ("tocsin_emission_lateness_seconds", "asks for tocsin_emission_lateness_seconds, which nothing serves"),
        ('tocsin_attempts_total{state="failed"}', "tocsin_attempts_total has no label state"),
        ("sum by (state) (tocsin_attempts_total)", "no metric in it has the label state"),
        ("tocsin_leader / on(host) tocsin_epoch", "no metric in it has the label host"),
    ],
)
def test_a_broken_query_is_found(query: str, problem: str) -> None:
    [found] = monitoring.query_problems(query, METRICS)

    assert problem in found


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda alert: alert.update(alert="NoLeader"), "NoLeader: its name does not begin with Tocsin"),
        (
            lambda alert: alert.update(expr="max(tocsin_leader"),
            "TocsinNoLeader: `max(tocsin_leader` does not",
        ),
        (lambda alert: alert.update({"for": "soon"}), "TocsinNoLeader: `for: soon` is no duration"),
        (lambda alert: alert["labels"].update(severity="loud"), "TocsinNoLeader: its severity is none of"),
        (lambda alert: alert.pop("labels"), "TocsinNoLeader: its severity is none of"),
        (lambda alert: alert["annotations"].pop("summary"), "TocsinNoLeader: it has no summary"),
        (
            lambda alert: alert["annotations"].update(runbook=f"{RUNBOOK}#gone"),
            "TocsinNoLeader: its runbook leads",
        ),
        (lambda alert: alert["annotations"].pop("runbook"), "TocsinNoLeader: its runbook leads nowhere: None"),
        (lambda alert: alert.update(alert="TocsinPaused"), "TocsinPaused: there are 2 of that name"),
    ],
)
def test_a_broken_alert_is_found(rules: Any, spoil: Callable[[Any], object], problem: str) -> None:
    spoil(rules["groups"][0]["rules"][0])

    assert any(found.startswith(problem) for found in monitoring.rule_problems(rules, METRICS, HEADINGS, RUNBOOK))


def test_a_part_of_the_runbook_that_no_alert_leads_to_is_found(rules: Any) -> None:
    headings = {*HEADINGS, "tocsinforgotten"}

    problems = list(monitoring.rule_problems(rules, METRICS, headings, RUNBOOK))

    assert problems == [f"{RUNBOOK}#tocsinforgotten: no alert leads there"]


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda board: board.pop("uid"), "it has no uid"),
        (lambda board: board.update(schemaVersion=16), "its schemaVersion is below"),
        (lambda board: board["templating"].update(list=[]), "it has no variable `datasource`"),
        (lambda board: board["panels"][2].update(id=board["panels"][1]["id"]), "2 panels have the id"),
        (lambda board: board["panels"][1].update(id="1"), "1 panels have the id 1"),
        (lambda board: board["panels"][1].update(type="graph"), "panel 'Leaders': its type is graph"),
        (lambda board: board["panels"][1].update(title=""), "panel '': it has no title"),
        (lambda board: board["panels"][1].update(description=""), "panel 'Leaders': it has no description"),
        (lambda board: board["panels"][1].update(targets=[]), "panel 'Leaders': it asks for nothing"),
        (lambda board: board["panels"][1].update(datasource={"uid": "mine"}), "panel 'Leaders': it does not use"),
        (lambda board: board["panels"][1]["targets"][0].pop("datasource"), "panel 'Leaders': it does not use"),
        (lambda board: board["panels"][1]["targets"][0].update(expr="sum(a"), "panel 'Leaders': `sum(a` does not"),
        (lambda board: board["panels"][1]["gridPos"].update(x=22), "panel 'Leaders': it does not fit"),
        (lambda board: board["panels"][1]["gridPos"].update(x=4), "panel 'Leaders' lies over 'Epoch'"),
        (lambda board: board["panels"][1]["fieldConfig"].update(defaults={}), "panel 'Leaders': it has no unit"),
        (
            lambda board: board["panels"][1]["targets"].append(copy.deepcopy(board["panels"][1]["targets"][0])),
            "panel 'Leaders': two of its queries have one refId",
        ),
    ],
)
def test_a_broken_dashboard_is_found(dashboard: Any, spoil: Callable[[Any], object], problem: str) -> None:
    spoil(dashboard)

    assert any(found.startswith(problem) for found in monitoring.dashboard_problems(dashboard, METRICS))


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed: it comes with Prometheus")
@pytest.mark.parametrize(
    "command",
    [
        *(("check", "config", path) for path in SCRAPES),
        ("check", "rules", ALERTS),
        ("test", "rules", "deploy/prometheus/alerts.test.yml"),
    ],
)
def test_promtool_agrees(command: tuple[str, ...]) -> None:
    done = subprocess.run(
        [PROMTOOL, *command], cwd=tracked.ROOT, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
