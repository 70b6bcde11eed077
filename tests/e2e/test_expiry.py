"""What no sender is there for in time is not posted any more, with real processes on real servers."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tocsin_common.messages import execution_id
from tocsin_local.receiver import Receiver
from tocsin_local.script import LocalWebhook
from waiting import eventually

SECOND = timedelta(seconds=1)


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    """The sweeper is patient: what arrives was announced in time."""
    return {**environment, "SWEEP_PATIENCE_S": "60"}


def ids(task: dict[str, Any], *instants: datetime) -> set[UUID]:
    return {execution_id(UUID(task["id"]), instant) for instant in instants}


def posted(webhook: LocalWebhook) -> list[UUID | None]:
    return [post.execution_id for post in webhook.posts]


@pytest.mark.usefixtures("scheduler")
async def test_what_would_begin_too_late_expires_and_is_not_posted(
    receiver: Receiver, create_task, executions, start
):
    webhook, other = receiver.add(), receiver.add()
    patient = await create_task(other.url)  # first, so that it owes whatever `task` does
    task = await create_task(webhook.url, expiresAfterSeconds=1)
    await eventually(lambda: executions(task, "due"))
    [first, *_] = await executions(task, "due")
    await eventually(lambda: is_older(first["scheduled_for"], 1.5 * SECOND))

    await start("tocsin-dispatcher", "send")
    expired = await eventually(lambda: executions(task, "expired"))

    assert expired[0]["scheduled_for"] == first["scheduled_for"]
    await receiver.wait_until(lambda: ids(patient, first["scheduled_for"]) <= set(posted(other)))
    never = ids(task, *(row["scheduled_for"] for row in await executions(task, "expired")))
    assert never.isdisjoint(posted(webhook))


async def is_older(instant: datetime, by: timedelta) -> bool:
    return datetime.now(UTC) - instant > by
