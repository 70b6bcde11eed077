"""A switch-over: what another scheduler ran until a moment, Tocsin runs from that moment on."""

import json
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from e2e.conftest import API_KEY
from tocsin_api import importer
from tocsin_api.import_batches import Order
from tocsin_api.old_tasks import Wishes
from tocsin_common.settings import ImportSettings
from tocsin_common.settings_reader import load
from tocsin_local.receiver import Receiver
from tocsin_local.script import Script
from waiting import becomes_true

SECOND = timedelta(seconds=1)
TASK = UUID(int=1)


@pytest.mark.usefixtures("scheduler", "sender")
async def test_every_instant_after_the_old_one_has_stopped_is_posted_once(
    environment: dict[str, str], database: asyncpg.Connection, receiver: Receiver, tmp_path: Path
):
    webhook = receiver.add(Script())
    file = tmp_path / "tasks.json"
    row = {"id": str(TASK), "name": "Each second", "schedule": "* * * * * *", "webhookUrl": webhook.url}
    file.write_text(json.dumps({**row, "payload": {"content": "now"}, "maxRetry": 3, "status": "ACTIVE"}))
    settings = load(ImportSettings, {**environment, "API_KEY": API_KEY})
    imported = await importer.bring(settings, Order(Wishes("UTC", all_inactive=True), str(file)))
    stopped = await database.fetchval("SELECT clock_timestamp()")
    await becomes_true(database, "SELECT watermark > $1 FROM scheduler_lease", stopped + 2 * SECOND)
    nothing_yet = len(webhook.posts)

    started = await importer.bring(settings, Order(Wishes("UTC"), str(file), starts=True, since=stopped))
    await becomes_true(database, "SELECT count(*) >= 5 FROM executions WHERE state = 'succeeded'")

    assert (imported, started, nothing_yet) == (True, True, 0)
    rows = await database.fetch("SELECT scheduled_for FROM executions ORDER BY 1")
    first = stopped.replace(microsecond=0) + SECOND
    assert [found["scheduled_for"] for found in rows] == [first + number * SECOND for number in range(len(rows))]
    posted = [post.execution_id for post in webhook.posts]
    assert len(set(posted)) == len(posted)
