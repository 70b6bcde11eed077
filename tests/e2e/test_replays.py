"""Failed executions: what operators see of them, and how they are brought back, with real processes."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import aio_pika
import httpx
import pytest
from aio_pika.abc import AbstractIncomingMessage

from e2e.conftest import API_KEY, client_of, run
from e2e.processes import Tocsin, free_port
from tocsin_common import topology
from tocsin_common.messages import Job, JobMessage, decode_jobs, encode, execution_id, iso_utc
from tocsin_local.receiver import Receiver
from tocsin_local.script import LocalWebhook, Script
from waiting import eventually

NEVER = "0 0 0 1 1 *"  # all that is owed is owed by hand


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    """What arrives was announced by the API, not by the sweeper."""
    return {**environment, "SWEEP_PATIENCE_S": "60"}


Dead = Callable[[int], Awaitable[list[AbstractIncomingMessage]]]


@pytest.fixture
def dead(rabbitmq_url: str) -> Dead:
    """The first messages in the dead queue, as soon as there are so many."""

    async def wait(count: int) -> list[AbstractIncomingMessage]:
        async with await aio_pika.connect(rabbitmq_url) as connection:
            channel = await connection.channel()
            _, _ = await topology.declare_jobs(channel)
            queue = await channel.get_queue(topology.DEAD_QUEUE)
            found: list[AbstractIncomingMessage] = []
            async with queue.iterator(no_ack=True, timeout=30) as messages:
                async for message in messages:
                    found.append(message)
                    if len(found) == count:
                        break
            return found

    return wait


async def listed(api: httpx.AsyncClient, **query: str) -> list[dict[str, Any]]:
    answer = await api.get("/api/executions", params={"limit": "100", **query})
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


async def replay(api: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await api.post("/api/executions/replay", json=body)
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


def key(row: dict[str, Any]) -> dict[str, str]:
    return {"taskId": row["taskId"], "scheduledFor": row["scheduledFor"]}


def statuses(webhook: LocalWebhook, row: dict[str, Any]) -> list[int | None]:
    """What each attempt of an execution was answered."""
    return [post.status for post in webhook.posts if str(post.execution_id) == row["executionId"]]


async def ended(api: httpx.AsyncClient, state: str, rows: list[dict[str, Any]]) -> None:
    """Returns once all of `rows` are in that state."""
    ids = {row["executionId"] for row in rows}

    async def look() -> bool:
        return ids <= {row["executionId"] for row in await listed(api, state=state)}

    await eventually(look)


@pytest.mark.usefixtures("scheduler", "sender")
async def test_a_failed_execution_is_shown_and_posted_as_the_same_once_it_is_replayed(
    receiver: Receiver, create_task, api: httpx.AsyncClient, dead: Dead
):
    webhook = receiver.add(Script(first=(400,)))
    task = await create_task(webhook.url, schedule="*/2 * * * * *")

    [message] = await dead(1)
    [failed] = await listed(api, state="failed")
    replayed = await replay(api, executions=[key(failed)])
    await ended(api, "succeeded", [failed])
    again = await replay(api, executions=[key(failed)])

    [job] = decode_jobs(message.body).jobs
    assert message.headers == {
        "reason": failed["reason"],
        "status": 400,
        "failures": 1,
        "task-id": task["id"],
        "execution-id": failed["executionId"],
        "scheduled-for": iso_utc(job.scheduled_for),
        "jobs": 1,
    }
    assert failed["executionId"] == str(execution_id(job.task_id, job.scheduled_for))
    assert failed["reason"].startswith("permanent: HTTP 400")
    assert statuses(webhook, failed) == [400, 200]
    assert [line["result"] for line in replayed["executions"]] == ["replayed"]
    assert [line["result"] for line in again["executions"]] == ["succeeded"]
    logs = (await api.get(f"/api/tasks/{task['id']}/logs", params={"limit": 100})).json()["data"]
    assert {log["status"] for log in logs} == {"FAILED", "SUCCESS"}


@pytest.mark.usefixtures("scheduler")
async def test_what_failed_until_its_task_was_stopped_is_replayed_once_the_task_is_started(
    receiver: Receiver, create_task, api: httpx.AsyncClient, start
):
    sender = await start("tocsin-dispatcher", "send", AUTO_DISABLE_AFTER="3")
    webhook = receiver.add(Script(then=400))
    task = await create_task(webhook.url)
    await sender.logged("tasks.failed")
    failed = await listed(api, state="failed")
    which = {"taskId": task["id"], "dateTo": failed[0]["scheduledFor"]}

    refused = await replay(api, filter=which)
    webhook.script = Script()
    await api.post(f"/api/tasks/{task['id']}/toggle")
    dry = await replay(api, filter=which, dryRun=True)
    replayed = await replay(api, filter=which)
    await ended(api, "succeeded", failed)

    assert (refused["replayed"], refused["refused"]["taskFailed"]) == (0, len(failed))
    assert dry["replayed"] == replayed["replayed"] == len(failed) >= 3
    assert [statuses(webhook, row) for row in failed] == [[400, 200]] * len(failed)


async def test_a_replay_that_was_not_announced_is_swept(receiver: Receiver, start, sender: Tocsin, dead: Dead):
    scheduler = await start("tocsin-dispatcher", "schedule", SWEEP_PATIENCE_S="1")
    await scheduler.logged("partition.made", count=2)
    webhook, port = receiver.add(Script(first=(400,))), free_port()
    cut_off = {"RABBITMQ_URL": "amqp://127.0.0.1:1/", "PORT": str(port), "API_KEY": API_KEY}
    await start("tocsin-api", "serve", **cut_off)
    body = {"name": "x", "schedule": NEVER, "webhookUrl": webhook.url, "payload": {"content": "hello"}}

    async with client_of(port) as api:
        task = (await api.post("/api/tasks", json=body)).json()
        await run(api, task)
        await dead(1)
        [failed] = await listed(api, state="failed")
        await replay(api, filter={})
        await ended(api, "succeeded", [failed])

    assert statuses(webhook, failed) == [400, 200]
    await scheduler.logged("executions.announced_again", count=2)


@pytest.mark.usefixtures("sender")
async def test_what_no_sender_can_read_is_shown_with_what_is_known_of_it(rabbitmq_url: str, dead: Dead):
    job = Job(uuid4(), datetime(2026, 1, 1, tzinfo=UTC), "no destination has a \0")
    async with await aio_pika.connect(rabbitmq_url) as connection:
        exchange, _ = await topology.declare_jobs(await connection.channel())
        for body in (b"no JSON", encode(JobMessage(jobs=[job]))):
            await exchange.publish(aio_pika.Message(body), routing_key=topology.WORK_QUEUE)

    unreadable, unknown = sorted(await dead(2), key=lambda message: len(message.headers))

    assert set(unreadable.headers) == {"reason"}
    assert unreadable.headers["reason"].startswith("malformed: ")
    assert unreadable.body == b"no JSON"
    assert unknown.headers["reason"].startswith("malformed: ")
    assert UUID(unknown.headers["task-id"]) == job.task_id
    assert UUID(unknown.headers["execution-id"]) == execution_id(job.task_id, job.scheduled_for)
    assert unknown.headers["scheduled-for"] == iso_utc(job.scheduled_for)


@pytest.mark.usefixtures("scheduler")
async def test_what_no_sender_can_read_stays_until_it_can_be_shown_and_holds_up_nothing(
    rabbitmq_url: str, receiver: Receiver, sender: Tocsin, create_task, dead: Dead
):
    async with await aio_pika.connect(rabbitmq_url) as connection:
        channel = await connection.channel()
        exchange = await channel.get_exchange(topology.JOBS_EXCHANGE)
        await channel.queue_delete(topology.DEAD_QUEUE)
        await channel.declare_queue(topology.DEAD_QUEUE, durable=True)  # another one, which nothing leads to
        await exchange.publish(aio_pika.Message(b"no JSON"), routing_key=topology.WORK_QUEUE)
        await sender.logged("topology.not_declared")

        await create_task(receiver.add().url)
        await receiver.wait_for_answers(3)
        await channel.queue_delete(topology.DEAD_QUEUE)

    [unreadable] = await dead(1)
    assert unreadable.body == b"no JSON"
