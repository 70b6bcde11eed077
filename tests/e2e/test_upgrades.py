"""Two releases side by side: what processes of one announce the other's post, and nothing is lost or doubled."""

import json
import subprocess
import sys
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from e2e.conftest import API_KEY, Start, client_of
from e2e.processes import Tocsin, free_port
from e2e.releases import MissingError, last_release, with_changed_queues
from e2e.stage import Stage
from tocsin_common import topology
from tocsin_local.script import Script

OF_ANOTHER_RELEASE = json.dumps({"version": 2, "batches": [{"taskIds": ["unknown"]}]}).encode()
WHERE_IS_IT = "import tocsin_common; print(tocsin_common.__file__)"


@pytest.fixture
def old(tmp_path: Path) -> dict[str, str]:
    """What makes a process one of the last release."""
    try:
        environment = last_release(tmp_path)
    except MissingError as error:
        pytest.skip(str(error))
    shown = subprocess.run(
        [sys.executable, "-c", WHERE_IS_IT], env=environment, capture_output=True, text=True, check=True
    )
    assert Path(shown.stdout).is_relative_to(tmp_path)
    return environment


async def test_each_release_does_the_others_work_and_takes_over_from_it(
    stage: Stage, start: Start, old: dict[str, str]
):
    port, new, one_by_one = free_port(), {}, {"JOBS_PER_MESSAGE": "1"}
    old_api = await start("tocsin-api", "serve", PORT=str(port), API_KEY=API_KEY, **old)
    leader = await stage.start("schedule", **one_by_one, **old)
    senders = [await stage.start("send", **release) for release in (old, new)]
    await stage.create_task(name="of this release")
    await stage.create_task(name="another one")
    await old_api.logged("api.started")
    async with client_of(port) as client:
        answer = await client.post("/api/tasks", json={**stage.new_task(), "name": "of the last release"})
        assert answer.status_code == 201, answer.text

    for release in (new, old):
        follower = await start("tocsin-dispatcher", "schedule", **one_by_one, **release)
        await follower.logged("tasks.loaded")
        each_posts_all = partial(_each_posts_all, senders, await stage.watermark())
        await stage.eventually("both post all tasks of the leader", each_posts_all)
        await leader.stop()
        await follower.logged("scheduler.leading")
        leader = follower
    each_posts_all = partial(_each_posts_all, senders, await stage.watermark())
    await stage.eventually("both post all tasks of the last leader", each_posts_all)
    account = await stage.settle()

    assert account.problems() == []
    assert {row["state"] for row in account.rows} <= {"succeeded", "cancelled"}


async def _each_posts_all(senders: list[Tocsin], since: datetime) -> bool:
    """Whether each has posted executions of all three tasks that were owed after `since`."""
    return all(
        len({line["task_id"] for line in sender.all_logged("attempt.finished") if _owed(line) > since}) == 3
        for sender in senders
    )


def _owed(line: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(line["scheduled_for"])


async def test_what_another_release_announced_waits_whole_and_its_executions_are_posted_all_the_same(
    stage: Stage, start: Start, rabbitmq_url: str
):
    await stage.start("schedule")
    await stage.create_task()
    await stage.eventually("something is announced", lambda: stage.announced())
    await stage.purge()
    async with await aio_pika.connect(rabbitmq_url) as connection:
        channel = await connection.channel()
        exchange = await channel.get_exchange(topology.JOBS_EXCHANGE)
        message = aio_pika.Message(OF_ANOTHER_RELEASE, headers={"jobs": 1})
        await exchange.publish(message, routing_key=topology.WORK_QUEUE)

        sender = await stage.start("send")
        await sender.logged("message.parked", count=2)
        account = await stage.settle()
        await sender.stop()
        parked = await left_in(channel)
        dead = await (await channel.get_queue(topology.DEAD_QUEUE)).get(fail=False)

    assert account.problems() == []
    assert {(row["seq"], row["lost_claims"]) for row in account.rows if row["state"] == "succeeded"} == {(1, 0)}
    assert ([each.body for each in parked], dead) == ([OF_ANOTHER_RELEASE], None)
    headers = parked[0].headers
    assert (headers["jobs"], headers["reason"]) == (1, "version 2 is not known here")
    assert headers["parked"] == len(sender.all_logged("message.parked"))


async def left_in(channel: AbstractChannel) -> list[AbstractIncomingMessage]:
    """What waits in the work queue and in the tiers."""
    queues = [await channel.get_queue(name) for name in topology.queue_arguments() if name != topology.DEAD_QUEUE]
    found = [await queue.get(fail=False, no_ack=True) for queue in queues]
    return [message for message in found if message is not None]


async def test_a_release_whose_queues_changed_drains_those_of_before_as_well(
    stage: Stage, start: Start, tmp_path: Path, rabbitmq_url: str
):
    program, patient = with_changed_queues(tmp_path), {"SWEEP_PATIENCE_S": "60"}
    stage.webhook.script = Script(first=(500,))
    old_leader = await stage.start("schedule", **patient)
    old_sender = await stage.start("send")
    await stage.create_task()
    await stage.receiver.wait_for_answers(1)
    await old_sender.stop()  # its retry waits in the old tier
    await stage.eventually("something waits in the old queue", lambda: stage.announced())

    sender = await start(program, "send")
    consuming = await sender.logged("sender.consuming")
    standby = await start(program, "schedule", **patient)
    await standby.logged("tasks.loaded")
    await stage.receiver.wait_for_answers(3)
    await old_leader.stop()
    await standby.logged("scheduler.leading")
    emitted = await stage.watermark()
    await stage.eventually("the new leader emits", lambda: _has_moved(stage, emitted))
    account = await stage.settle()

    [failed, *_] = sorted(stage.receiver.posts, key=lambda post: post.arrived_at)
    assert account.problems(answers={failed.execution_id: (500, 200)}) == []
    assert consuming["queues"] == ["deliveries.2", "deliveries"]
    async with await aio_pika.connect(rabbitmq_url) as connection:
        channel = await connection.channel()
        for name in consuming["queues"]:
            queue = await channel.declare_queue(name, passive=True)
            assert (queue.declaration_result.message_count, queue.declaration_result.consumer_count) == (0, 1)
    for process in (sender, standby):
        assert b"PRECONDITION_FAILED" not in process.output
        assert not process.has_logged("executions.announced_again")


async def _has_moved(stage: Stage, since: datetime) -> bool:
    return (await stage.watermark() - since).total_seconds() > 1
