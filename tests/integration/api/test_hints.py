"""What the API tells through RabbitMQ: hints of changes, and jobs of executions by hand. Each may be lost."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping, MutableMapping
from datetime import UTC, datetime, timedelta
from typing import Any

import aio_pika
import asyncpg
import httpx
import msgspec
import pytest
from aio_pika.abc import AbstractIncomingMessage
from structlog.testing import capture_logs

from integration.api.owed import add_execution
from integration.api.serving import serve
from relay import Relay
from tocsin_api import hints
from tocsin_common.messages import Job, decode_jobs, execution_id, iso_utc
from tocsin_common.settings import ApiSettings
from tocsin_common.topology import (
    CHANGES_EXCHANGE,
    JOBS_EXCHANGE,
    WORK_QUEUE,
    declare_changes,
    declare_jobs,
)
from waiting import eventually

OPENS_A_CHANNEL = b"\0\x14\0\x0a"  # AMQP's class and method

Messages = asyncio.Queue[AbstractIncomingMessage]


@pytest.fixture
async def messages(rabbitmq_url: str) -> AsyncIterator[Messages]:
    """What a scheduler gets from the exchange."""
    received: Messages = asyncio.Queue()
    connection = await aio_pika.connect(rabbitmq_url)
    async with connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True, durable=False)
        await queue.bind(await declare_changes(channel))
        await queue.consume(received.put, no_ack=True)
        yield received


@pytest.fixture
async def connected(settings: ApiSettings, rabbitmq_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """An API whose connection to RabbitMQ stands."""
    async with serve(msgspec.structs.replace(settings, rabbitmq_url=rabbitmq_url)) as client:
        await until(client, "connected")
        yield client


@pytest.fixture
async def jobs(rabbitmq_url: str) -> AsyncIterator[Messages]:
    """What a sender gets from the work queue."""
    received: Messages = asyncio.Queue()
    connection = await aio_pika.connect(rabbitmq_url)
    async with connection:
        channel = await connection.channel()
        _, queue = await declare_jobs(channel)
        await queue.consume(received.put, no_ack=True)
        yield received


@pytest.fixture
async def partition(database: asyncpg.Connection) -> None:
    """Where executions of any day go; else a scheduler makes the partitions."""
    await database.execute("CREATE TABLE all_executions PARTITION OF executions DEFAULT")


async def until(client: httpx.AsyncClient, state: str) -> None:
    async with asyncio.timeout(30):
        while (await client.get("/health/ready")).json()["rabbitmq"] != state:
            pass


async def get(messages: Messages) -> AbstractIncomingMessage:
    async with asyncio.timeout(10):
        return await messages.get()


async def test_every_change_sends_a_hint_with_its_revision(
    connected: httpx.AsyncClient, messages: Messages, new_task: dict[str, Any]
) -> None:
    created = await connected.post("/api/tasks", json=new_task)
    path = f"/api/tasks/{created.json()['id']}"
    hints = [await get(messages)]
    for change in (
        connected.patch(path, json={"name": "New"}),
        connected.post(f"{path}/toggle"),
        connected.delete(path),
    ):
        await change
        hints.append(await get(messages))

    assert [json.loads(hint.body) for hint in hints] == [
        {"taskId": created.json()["id"], "revision": revision, "version": 1} for revision in (1, 2, 3, 4)
    ]
    assert {hint.exchange for hint in hints} == {CHANGES_EXCHANGE}
    assert len({hint.message_id for hint in hints}) == 4


async def test_what_changes_nothing_sends_no_hint(
    connected: httpx.AsyncClient, messages: Messages, new_task: dict[str, Any]
) -> None:
    created = await connected.post("/api/tasks", json=new_task)
    path = f"/api/tasks/{created.json()['id']}"

    await connected.patch(path, json={"name": new_task["name"]})
    await connected.patch(path, json={"name": ""})
    await connected.delete(path)

    revisions = [json.loads((await get(messages)).body)["revision"] for _ in range(2)]
    assert revisions == [1, 2]


async def test_hundred_changes_at_once_send_a_hundred_hints(
    connected: httpx.AsyncClient, messages: Messages, new_task: dict[str, Any]
) -> None:
    answers = await asyncio.gather(*(connected.post("/api/tasks", json=new_task) for _ in range(100)))

    hinted = {json.loads((await get(messages)).body)["taskId"] for _ in answers}
    assert hinted == {answer.json()["id"] for answer in answers}


async def test_hint_that_is_under_way_at_the_stop_still_arrives(
    settings: ApiSettings, rabbitmq_url: str, messages: Messages, new_task: dict[str, Any]
) -> None:
    async with serve(msgspec.structs.replace(settings, rabbitmq_url=rabbitmq_url)) as client:
        await until(client, "connected")
        created = await client.post("/api/tasks", json=new_task)

    assert json.loads((await get(messages)).body)["taskId"] == created.json()["id"]


async def test_without_rabbitmq_changes_are_saved_and_the_lost_hint_is_logged(
    client: httpx.AsyncClient, new_task: dict[str, Any]
) -> None:
    with capture_logs() as log:
        answer = await client.post("/api/tasks", json=new_task)
        await asyncio.sleep(0)

    (lost,) = [line for line in log if line["event"] == "hint.lost"]
    assert answer.status_code == 201
    assert (lost["task_id"], lost["revision"]) == (answer.json()["id"], 1)


async def test_rabbitmq_that_goes_away_and_comes_back_gets_hints_again(
    settings: ApiSettings, rabbitmq_url: str, messages: Messages, new_task: dict[str, Any]
) -> None:
    async with (
        Relay(rabbitmq_url) as relay,
        serve(msgspec.structs.replace(settings, rabbitmq_url=relay.url)) as client,
    ):
        await until(client, "connected")

        await relay.cut()
        await until(client, "away")
        during = await client.post("/api/tasks", json=new_task)
        await relay.restore()
        await until(client, "connected")
        after = await client.post("/api/tasks", json=new_task)

        # The first hint may be lost or not: that depends on how fast RabbitMQ came back.
        hinted = [json.loads((await get(messages)).body)["taskId"]]
        if hinted == [during.json()["id"]]:
            hinted.append(json.loads((await get(messages)).body)["taskId"])
        assert after.json()["id"] in hinted


async def test_rabbitmq_that_starts_after_the_api_gets_hints(
    settings: ApiSettings, rabbitmq_url: str, messages: Messages, new_task: dict[str, Any]
) -> None:
    async with Relay(rabbitmq_url) as relay:
        await relay.cut()
        async with serve(msgspec.structs.replace(settings, rabbitmq_url=relay.url)) as client:
            await until(client, "away")
            await relay.restore()
            await until(client, "connected")
            created = await client.post("/api/tasks", json=new_task)

            assert json.loads((await get(messages)).body)["taskId"] == created.json()["id"]


async def test_rabbitmq_that_falls_silent_while_the_api_connects_is_connected_to_later(
    settings: ApiSettings, rabbitmq_url: str
) -> None:
    async with Relay(rabbitmq_url) as relay:
        relay.freeze_before(OPENS_A_CHANNEL)
        with capture_logs() as log:
            async with serve(
                msgspec.structs.replace(settings, rabbitmq_url=relay.url, rabbitmq_heartbeat_s=1)
            ) as client:
                lost = await eventually(lambda: line_of(log, "broker.unavailable"))
                relay.thaw()
                await until(client, "connected")

    assert lost["error"].startswith("CallLostError(")


async def line_of(log: list[MutableMapping[str, Any]], event: str) -> MutableMapping[str, Any] | None:
    return next((line for line in log if line["event"] == event), None)


async def test_rabbitmq_that_takes_nothing_holds_up_neither_a_request_nor_the_stop(
    settings: ApiSettings, rabbitmq_url: str, new_task: dict[str, Any]
) -> None:
    async with Relay(rabbitmq_url) as relay:
        impatient = msgspec.structs.replace(settings, rabbitmq_url=relay.url, hint_timeout_s=0.3)
        with capture_logs() as log:
            async with serve(impatient) as client:
                await until(client, "connected")
                relay.freeze()
                async with asyncio.timeout(5):
                    answer = await client.post("/api/tasks", json=new_task)
            relay.thaw()

    assert answer.status_code == 201
    assert [line["revision"] for line in log if line["event"] == "hint.lost"] == [1]


async def test_hint_under_way_when_rabbitmq_falls_silent_is_lost_aloud_and_later_ones_arrive(
    settings: ApiSettings, rabbitmq_url: str, messages: Messages, new_task: dict[str, Any]
) -> None:
    async with Relay(rabbitmq_url) as relay:
        patient = msgspec.structs.replace(
            settings, rabbitmq_url=relay.url, hint_timeout_s=60, rabbitmq_heartbeat_s=1
        )
        with capture_logs() as log:
            async with serve(patient) as client:
                await until(client, "connected")
                relay.freeze()
                await client.post("/api/tasks", json=new_task)
                await until(client, "away")
                relay.thaw()
                await until(client, "connected")
                after = await client.post("/api/tasks", json=new_task)
                hinted = [json.loads((await get(messages)).body)["taskId"]]
                while hinted[-1] != after.json()["id"]:  # the lost one was held up on its way, no more
                    hinted.append(json.loads((await get(messages)).body)["taskId"])

    assert [line["reason"] for line in log if line["event"] == "hint.lost"] == [
        "CallLostError('RabbitMQ fell silent or hung up in the middle of a call')"
    ]


async def test_hints_go_on_where_rabbitmq_answers_nothing_on_a_connection_that_stands(
    settings: ApiSettings,
    rabbitmq_url: str,
    messages: Messages,
    new_task: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hints, "ANSWER_TIMEOUT_S", 0.3)
    async with Relay(rabbitmq_url) as relay:
        hasty = msgspec.structs.replace(settings, rabbitmq_url=relay.url, hint_timeout_s=0.3)
        with capture_logs() as log:
            async with serve(hasty) as client:
                await until(client, "connected")
                relay.freeze()
                await client.post("/api/tasks", json=new_task)
                await eventually(lambda: is_logged(log, "broker.renewed"))
                relay.thaw()
                later: set[str] = set()

                async def is_hinted() -> bool:
                    """One that was created since; the first may be lost while the connection is being made."""
                    later.add((await client.post("/api/tasks", json=new_task)).json()["id"])
                    return bool(drained(messages) & later)

                await eventually(is_hinted)


def drained(messages: Messages) -> set[str]:
    """The tasks that the hints so far are of."""
    found = set()
    while not messages.empty():
        found.add(json.loads(messages.get_nowait().body)["taskId"])
    return found


async def is_logged(log: Iterable[Mapping[str, Any]], event: str) -> bool:
    return event in {line["event"] for line in log}


async def test_pause_and_resume_wake_the_schedulers_however_often_they_are_asked_for(
    connected: httpx.AsyncClient, messages: Messages
) -> None:
    for action in ("pause", "pause", "resume", "resume"):
        await connected.post(f"/api/scheduler/{action}")

    hints = [await get(messages) for _ in range(4)]
    assert {hint.exchange for hint in hints} == {CHANGES_EXCHANGE}


# --- Executions by hand -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("partition")
async def test_run_by_hand_is_announced_to_the_senders_at_once(
    connected: httpx.AsyncClient, jobs: Messages, new_task: dict[str, Any]
) -> None:
    task = (await connected.post("/api/tasks", json=new_task)).json()

    run = (await connected.post(f"/api/tasks/{task['id']}/run")).json()

    message = await get(jobs)
    (job,) = decode_jobs(message.body).jobs
    assert (message.exchange, message.routing_key) == (JOBS_EXCHANGE, WORK_QUEUE)
    assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    assert message.headers == {"jobs": 1, "scheduled-for": iso_utc(job.scheduled_for)}
    assert str(execution_id(job.task_id, job.scheduled_for)) == run["executionId"]
    assert job.destination == "discord.com/123456789012345678"


@pytest.mark.usefixtures("partition")
async def test_run_that_is_repeated_with_its_key_is_announced_once(
    connected: httpx.AsyncClient, jobs: Messages, new_task: dict[str, Any]
) -> None:
    task = (await connected.post("/api/tasks", json=new_task)).json()
    path = f"/api/tasks/{task['id']}/run"
    keys = ["first", "first", "second"]

    runs = [(await connected.post(path, headers={"Idempotency-Key": key})).json() for key in keys]

    announced = [decode_jobs((await get(jobs)).body).jobs[0] for _ in range(2)]
    assert [str(execution_id(job.task_id, job.scheduled_for)) for job in announced] == [
        runs[0]["executionId"],
        runs[2]["executionId"],
    ]


@pytest.mark.usefixtures("partition")
async def test_run_that_no_queue_takes_is_answered_all_the_same_and_the_next_is_announced(
    connected: httpx.AsyncClient, rabbitmq_url: str, new_task: dict[str, Any]
) -> None:
    task = (await connected.post("/api/tasks", json=new_task)).json()
    path = f"/api/tasks/{task['id']}/run"

    with capture_logs() as log:
        before = await connected.post(path)
        await eventually(lambda: has_lost_a_job(log))
    async with await aio_pika.connect(rabbitmq_url) as connection:
        _, queue = await declare_jobs(await connection.channel())
        received: Messages = asyncio.Queue()
        await queue.consume(received.put, no_ack=True)
        after = await connected.post(path)
        (job,) = decode_jobs((await get(received)).body).jobs

    assert (before.status_code, after.status_code) == (202, 202)
    assert str(execution_id(job.task_id, job.scheduled_for)) == after.json()["executionId"]


@pytest.mark.usefixtures("partition")
async def test_without_rabbitmq_a_run_is_saved_and_the_lost_announcement_is_logged(
    client: httpx.AsyncClient, database: asyncpg.Connection, new_task: dict[str, Any]
) -> None:
    task = (await client.post("/api/tasks", json=new_task)).json()

    with capture_logs() as log:
        answer = await client.post(f"/api/tasks/{task['id']}/run")
        await eventually(lambda: has_lost_a_job(log))

    assert answer.status_code == 202
    assert await database.fetchval("SELECT count(*) FROM executions WHERE task_id = $1", task["id"]) == 1
    (lost,) = [line for line in log if "scheduled_for" in line]
    assert lost["scheduled_for"] == iso_utc(datetime.fromisoformat(answer.json()["scheduledFor"]))


# --- Replays ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("partition")
async def test_replayed_executions_are_announced_and_wait_in_a_tier_for_their_turn(
    connected: httpx.AsyncClient, jobs: Messages, new_task: dict[str, Any], database: asyncpg.Connection
) -> None:
    await database.execute("CREATE TABLE all_logs PARTITION OF task_logs DEFAULT")
    task = (await connected.post("/api/tasks", json=new_task)).json()
    now = datetime.now(UTC)
    instants = {now - timedelta(seconds=n) for n in range(200)}
    for instant in instants:
        await add_execution(database, task["id"], instant)

    answer = await connected.post("/api/executions/replay", json={"filter": {}, "ratePerSecond": 50})

    announced: list[Job] = []
    tiers = set()
    while len(announced) < 200:
        message = await get(jobs)
        found = decode_jobs(message.body).jobs
        tiers |= {death["queue"] for death in message.headers.get("x-death", [{"queue": "none"}])}
        assert message.headers["jobs"] == len(found) <= 50
        announced += found
    assert answer.json()["replayed"] == 200
    assert tiers == {"none", "deliveries.retry.1s", "deliveries.retry.2s"}
    assert {job.scheduled_for for job in announced} == instants
    assert {job.destination for job in announced} == {"discord.com/123456789012345678"}


@pytest.mark.usefixtures("partition")
async def test_what_a_replay_refuses_or_only_counts_is_not_announced(
    connected: httpx.AsyncClient, jobs: Messages, new_task: dict[str, Any], database: asyncpg.Connection
) -> None:
    await database.execute("CREATE TABLE all_logs PARTITION OF task_logs DEFAULT")
    task = (await connected.post("/api/tasks", json=new_task)).json()
    now = datetime.now(UTC)
    await add_execution(database, task["id"], now, state="succeeded")
    await add_execution(database, task["id"], now - timedelta(seconds=1))
    asked = [{"taskId": task["id"], "scheduledFor": now.isoformat()}]

    await connected.post("/api/executions/replay", json={"executions": asked})
    await connected.post("/api/executions/replay", json={"filter": {}, "dryRun": True})
    await connected.post("/api/executions/replay", json={"filter": {}})

    [job] = decode_jobs((await get(jobs)).body).jobs
    assert job.scheduled_for == now - timedelta(seconds=1)
    assert jobs.empty()


@pytest.mark.usefixtures("partition")
async def test_without_rabbitmq_a_replay_is_saved_and_each_lost_announcement_is_logged(
    client: httpx.AsyncClient, database: asyncpg.Connection, new_task: dict[str, Any]
) -> None:
    await database.execute("CREATE TABLE all_logs PARTITION OF task_logs DEFAULT")
    task = (await client.post("/api/tasks", json=new_task)).json()
    for n in range(60):
        await add_execution(database, task["id"], datetime.now(UTC) - timedelta(seconds=n))

    with capture_logs() as log:
        answer = await client.post("/api/executions/replay", json={"filter": {}, "ratePerSecond": 1000})
        await eventually(lambda: has_lost_a_job(log))

    lost = [line["jobs"] for line in log if line["event"] == "hint.lost"]
    assert answer.status_code == 202
    assert await database.fetchval("SELECT count(*) FROM executions WHERE state = 'waiting'") == 60
    assert sorted(lost) == [10, 50]


async def has_lost_a_job(log: list[Any]) -> bool:
    return any(line["event"] == "hint.lost" and "scheduled_for" in line for line in log)
