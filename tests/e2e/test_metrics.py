"""What real processes show of a few executions, and that alerts and dashboard find all that they ask for."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import asyncpg
import httpx
import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from e2e.conftest import API_KEY, client_of
from e2e.processes import free_port
from repository import tracked
from tocsin_local.receiver import Receiver
from tocsin_local.script import Script
from waiting import becomes_true, eventually

PROCESSES = {
    "tocsin-api": (("tocsin-api", "serve"), "api.started"),
    "tocsin-scheduler": (("tocsin-dispatcher", "schedule"), "scheduler.leading"),
    "tocsin-sender": (("tocsin-dispatcher", "send"), "sender.consuming"),
}
"""By the names of their jobs in the example for Prometheus: commands, and what they log once they work."""
BOTH_HAVE_ENDED = "SELECT count(DISTINCT state) = 2 FROM executions WHERE state IN ('succeeded', 'failed')"
NOTHING_IS_OPEN = "SELECT NOT EXISTS (SELECT FROM executions WHERE state IN ('due', 'waiting', 'running'))"
# Series that there are only once it has happened.
LATER = {"tocsin_api_request_duration_seconds_count": {"status": "5xx"}}


@pytest.fixture
async def ports(start) -> dict[str, int]:
    """Where each process serves its metrics; the API listens on `api`."""
    ports = {name: free_port() for name in (*PROCESSES, "api")}
    more = {"PORT": str(ports["api"]), "API_KEY": API_KEY, "METRICS_SAMPLE_S": "0.1", "RETRY_FIRST_S": "0.1"}
    more["BREAKER_FAILURES"] = "1000"  # both webhooks are at one destination
    for name, (command, event) in PROCESSES.items():
        process = await start(*command, METRICS_PORT=str(ports[name]), **more)
        await process.logged(event)
    return ports


@pytest.fixture
async def samples(ports: dict[str, int], database: asyncpg.Connection, receiver: Receiver) -> list[Sample]:
    """What all processes show once a task has succeeded, one has failed after a retry, and both have ended."""
    webhooks = [receiver.add(), receiver.add(Script(then=500))]
    async with client_of(ports["api"]) as api:
        for webhook in webhooks:
            body = {"name": "a task", "schedule": "* * * * * *", "webhookUrl": webhook.url, "maxRetry": 1}
            answer = await api.post("/api/tasks", json={**body, "payload": {"content": "hello"}})
            assert answer.status_code == 201, answer.text
        await becomes_true(
            database, "SELECT count(DISTINCT state) = 2 FROM executions WHERE finished_at IS NOT NULL"
        )
        for task in (await api.get("/api/tasks")).json()["data"]:
            await api.post(f"/api/tasks/{task['id']}/toggle")
    await becomes_true(database, NOTHING_IS_OPEN)
    return await eventually(lambda: _when_all_is_counted(ports, database))


async def _when_all_is_counted(ports: dict[str, int], database: asyncpg.Connection) -> list[Sample]:
    """Counted is what was recorded a moment ago."""
    shown = [sample for name in PROCESSES for sample in await _shown(name, ports[name])]
    attempts = await database.fetchval("SELECT count(*) FROM task_logs")
    is_sampled = any(sample.name == "tocsin_executions_open" for sample in shown)
    return shown if is_sampled and total(shown, "tocsin_attempts_total") == attempts else []


async def _shown(job: str, port: int) -> Iterator[Sample]:
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    target = {"job": job, "instance": f"127.0.0.1:{port}"}
    return (
        sample._replace(labels={**sample.labels, **target})
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    )


def total(samples: Iterable[Sample], name: str, **labels: str) -> float:
    return sum(
        sample.value for sample in samples if sample.name == name and labels.items() <= sample.labels.items()
    )


def by(samples: Iterable[Sample], name: str, label: str) -> dict[str, float]:
    counts: Counter[str] = Counter()
    for sample in samples:
        if sample.name == name and sample.value:
            counts[sample.labels[label]] += sample.value
    return dict(counts)


async def counts(database: asyncpg.Connection, table: str, column: str) -> dict[str, float]:
    rows = await database.fetch(f"SELECT {column} AS what, count(*) AS number FROM {table} GROUP BY 1")  # noqa: S608 - ours
    return {row["what"]: float(row["number"]) for row in rows}


def selectors() -> Iterator[promql_parser.VectorSelector]:
    """All that alerts and dashboard ask for."""
    rules = yaml.safe_load(tracked.texts()["deploy/prometheus/alerts.yml"])
    dashboard = json.loads(tracked.texts()["deploy/grafana/tocsin.json"])
    queries = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    queries += [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    nodes: list[Any] = []
    for query in queries:
        promql_parser.walk(promql_parser.parse(query.replace("$__rate_interval", "5m")), nodes.append)
    return (node for node in nodes if isinstance(node, promql_parser.VectorSelector) and node.name != "up")


def matches(selector: promql_parser.VectorSelector, sample: Sample) -> bool:
    if sample.name != selector.name:
        return False
    for matcher in selector.matchers.matchers:
        value, wanted = sample.labels.get(matcher.name, ""), matcher.value
        is_regex = matcher.op in (promql_parser.MatchOp.Re, promql_parser.MatchOp.NotRe)
        is_equal = bool(re.fullmatch(wanted, value)) if is_regex else wanted == value
        if is_equal != (matcher.op in (promql_parser.MatchOp.Re, promql_parser.MatchOp.Equal)):
            return False
    return True


async def test_what_is_shown_is_what_was_recorded(samples: list[Sample], database: asyncpg.Connection):
    executions = await counts(database, "executions", "state")
    attempts = await counts(database, "task_logs", "outcome")

    assert by(samples, "tocsin_attempts_total", "outcome") == attempts
    assert attempts.keys() == {"succeeded", "retryable"}
    assert by(samples, "tocsin_executions_ended_total", "state") == executions
    assert total(samples, "tocsin_executions_emitted_total") == sum(executions.values())
    assert total(samples, "tocsin_emission_lateness_seconds_count") == sum(executions.values())
    assert total(samples, "tocsin_post_lateness_seconds_count", claim="first") == sum(executions.values())
    assert total(samples, "tocsin_post_lateness_seconds_count") == sum(attempts.values())
    assert total(samples, "tocsin_post_duration_seconds_count") == sum(attempts.values())
    assert total(samples, "tocsin_posts_in_flight") == 0.0
    created = {"method": "POST", "route": "/api/tasks", "status": "2xx"}
    assert total(samples, "tocsin_api_request_duration_seconds_count", **created) == 2.0
    assert total(samples, "tocsin_leader") == 1.0


async def test_alerts_and_dashboard_find_all_that_they_ask_for(samples: list[Sample]):
    in_vain = [
        str(selector)
        for selector in selectors()
        if not any(matches(selector, sample) for sample in samples)
        and {matcher.name: matcher.value for matcher in selector.matchers.matchers}.items()
        & LATER.get(selector.name, {}).items()
        == set()
    ]

    assert in_vain == []


async def test_one_process_shows_what_no_other_does(samples: list[Sample]):
    shown = {job: {sample.name for sample in samples if sample.labels["job"] == job} for job in PROCESSES}

    assert "tocsin_watermark_lag_seconds" in shown["tocsin-scheduler"]
    assert "tocsin_watermark_lag_seconds" not in shown["tocsin-sender"] | shown["tocsin-api"]
    assert "tocsin_attempts_total" not in shown["tocsin-scheduler"] | shown["tocsin-api"]
