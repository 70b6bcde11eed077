"""What the doctor finds out as the user of a service: that is whom people ask as."""

import asyncio
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

import aio_pika
import pytest

from logins import as_service
from tocsin_common import doctor, topology
from tocsin_common.diagnosis import Finding
from tocsin_common.settings import ApiSettings, DatabaseSettings, SchedulerSettings, SenderSettings
from tocsin_local.urls import StackUrls
from waiting import WAIT_S

KINDS: dict[str, type[DatabaseSettings]] = {
    "serve": ApiSettings,
    "schedule": SchedulerSettings,
    "send": SenderSettings,
}


@pytest.mark.parametrize("task", KINDS)
async def test_a_service_that_may_do_no_more_than_it_does_learns_that_all_is_well_and_of_leaders_as_somebody_else(
    shared_database_url: str, rabbitmq_url: str, servers: StackUrls, sealing_keys: str, task: str
) -> None:
    async with await aio_pika.connect(rabbitmq_url) as connection, connection.channel() as channel:
        await topology.declare_jobs(channel)
        await topology.declare_changes(channel)
    environment = {
        "DATABASE_URL": as_service(shared_database_url, servers, task),
        "RABBITMQ_URL": as_service(rabbitmq_url, servers, task),
        "API_KEY": "the-key-of-the-api",
        "SEALING_KEYS": sealing_keys,
    }

    async def examine(management_url: str) -> dict[str, Finding]:
        kinds = {task: KINDS[task]}
        examining = doctor.examine(
            kinds, environment, management_url=management_url, now=lambda: datetime.now(UTC)
        )
        async with asyncio.timeout(WAIT_S):
            return {finding.what: finding async for finding in examining}

    parts = urlsplit(servers.management_url)
    login = f"{servers.management_user}:{quote(servers.management_password)}"
    found = await examine(servers.management_url)
    asked_as_another = await examine(parts._replace(netloc=f"{login}@{parts.netloc}").geturl())

    assert [finding for finding in found.values() if finding.state == "WRONG"] == []
    assert (found["queue leaders"].state, asked_as_another["queue leaders"].state) == ("unknown", "ok")
    assert {found[what].state for what in ("PostgreSQL", "tables", "RabbitMQ")} == {"ok"}
