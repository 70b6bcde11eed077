"""SHELL. How fast tasks are created: checked, sealed, with their revision, and announced."""

from collections.abc import Iterator
from itertools import count

import msgspec

from bench import load
from bench.figures import at_least, at_most, row
from bench.load import Target
from bench.stage import CLEAR, Stage
from tocsin_local.errors import StackError
from tocsin_local.report import Row
from tocsin_local.summary import percentile

CONNECTIONS = 32
RUNS = 5
RUN_S = 5.0
WARM_UP_S = 2.0

BODY = {
    "name": "",
    "schedule": "30 9 * * mon-fri",
    "timezone": "Europe/Berlin",
    "webhookUrl": "https://discord.com/api/webhooks/123456789012345678/" + "a-token_" * 8,
    "payload": {
        "content": "Stand-up in five minutes",
        "embeds": [{"title": "Agenda", "fields": [{"name": "Today", "value": "What is in the way?"}]}],
    },
    "maxRetry": 3,
}


async def measure(stage: Stage) -> list[Row]:
    """At 32 connections; all that was answered must be there, each with its revision."""
    async with stage.database() as database:
        await database.execute(CLEAR)
    stage.services.start(["api"])
    target = Target(stage.services.port, (("X-API-KEY", stage.services.api_key),))
    requests = _requests(target)
    warm_up, *runs = [
        await load.send(target, load.for_seconds(requests, seconds), CONNECTIONS)
        for seconds in (WARM_UP_S, *[RUN_S] * RUNS)
    ]
    created = sum(len(each.times_ms) for each in (warm_up, *runs))
    async with stage.database() as database:
        kept = await database.fetchval("SELECT count(*) FROM tasks JOIN task_revisions ON task_id = id")
    if kept != created:
        raise StackError(f"Of {created} tasks that were created {kept} are there.")
    return [
        row("create_task", [run.rate for run in runs], "requests/s", at_least(500)),
        row("create_task_p99", [percentile(run.times_ms, 99) for run in runs], "ms", at_most(100)),
        row("create_task_p50", [percentile(run.times_ms, 50) for run in runs], "ms"),
    ]


def _requests(target: Target) -> Iterator[bytes]:
    for number in count():
        yield target.post("/api/tasks", msgspec.json.encode({**BODY, "name": f"Stand-up {number}"}))
