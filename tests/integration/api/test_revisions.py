"""What the scheduler follows: every change appends a revision; effective-from moves where it has to."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import asyncpg
import httpx
import pytest

from integration.api.serving import MASKED_URL, WEBHOOK_URL

Read = Callable[[str], Awaitable[Any]]

CARRIED = (
    *("status", "schedule", "timezone", "run_at", "starts_at", "ends_at", "jitter_s", "catch_up"),
    "destination",
)
"""What the scheduler needs of each revision."""
SAME_URL = {"webhookUrl": WEBHOOK_URL}
"""Is sealed anew, in case what is there cannot be opened."""


@pytest.fixture
def client(shared_client: httpx.AsyncClient) -> httpx.AsyncClient:
    """One database is enough: each test makes its own task."""
    return shared_client


@pytest.fixture
def database(shared_database: asyncpg.Connection) -> asyncpg.Connection:
    return shared_database


async def test_first_revision_is_effective_when_the_task_was_created(
    task: dict[str, Any], read_row: Read, read_revisions: Read
) -> None:
    row = await read_row(task["id"])

    (first,) = await read_revisions(task["id"])
    assert first["revision"] == row["revision"] == 1
    assert first["effective_from"] == row["effective_from"] == row["created_at"] == row["updated_at"]
    assert (first["status"], first["schedule"], first["timezone"]) == ("ACTIVE", "0 9 * * 1-5", "UTC")
    assert first["destination"] == "discord.com/123456789012345678"


@pytest.mark.parametrize(
    ("change", "moves"),
    [
        ({"schedule": "0 10 * * *"}, True),
        ({"status": "INACTIVE"}, True),
        ({"timezone": "Europe/Berlin"}, True),
        ({"runAt": "2030-01-31T09:00:00Z"}, True),
        ({"startsAt": "2030-01-31T09:00:00Z"}, True),
        ({"endsAt": "2030-01-31T09:00:00Z"}, True),
        ({"schedule": "0 10 * * *", "name": "New"}, True),
        ({"name": "New"}, False),
        ({"payload": {"content": "New"}}, False),
        ({"maxRetry": 0}, False),
        ({"jitterSeconds": 5}, False),
        ({"catchUp": "all"}, False),
        ({"expiresAfterSeconds": 60}, False),
        ({"overlap": "skip"}, False),
        ({"webhookUrl": "https://discord.com/api/webhooks/987/another"}, False),
        ({"name": "New", "schedule": " 0  9 * * 1-5 ", "status": "ACTIVE"}, False),
    ],
)
async def test_effective_from_moves_with_what_decides_the_instants_and_with_status_only(
    client: httpx.AsyncClient,
    task: dict[str, Any],
    read_row: Read,
    read_revisions: Read,
    change: dict[str, Any],
    moves: bool,
) -> None:
    await client.patch(f"/api/tasks/{task['id']}", json=change)

    row = await read_row(task["id"])
    first, second = await read_revisions(task["id"])
    assert second["revision"] == row["revision"] == 2
    assert second["effective_from"] == row["effective_from"]
    assert (second["effective_from"] > first["effective_from"]) is moves
    assert row["updated_at"] > row["created_at"]
    assert (row["updated_at"] == row["effective_from"]) is moves
    assert {name: second[name] for name in CARRIED} == {name: row[name] for name in CARRIED}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"name": "Morning"},
        {"schedule": "0  9  * * 1-5"},
        SAME_URL,
        {"webhookUrl": MASKED_URL},
        {"payload": {"content": "Good morning", "allowed_mentions": {"parse": []}}},
        {"maxRetry": 3, "status": "ACTIVE"},
        {"timezone": "UTC", "runAt": None, "schedule": "0 9 * * 1-5"},
        {"startsAt": None, "endsAt": None, "jitterSeconds": 0, "catchUp": "latest"},
        {"expiresAfterSeconds": None, "overlap": "allow"},
    ],
)
async def test_patch_that_changes_nothing_appends_no_revision(
    client: httpx.AsyncClient, task: dict[str, Any], read_row: Read, read_revisions: Read, change: dict[str, Any]
) -> None:
    before = dict(await read_row(task["id"]))

    answer = await client.patch(f"/api/tasks/{task['id']}", json=change)

    after = dict(await read_row(task["id"]))
    assert answer.status_code == 200
    assert answer.json() == task
    assert (after.pop("webhook_url_sealed") == before.pop("webhook_url_sealed")) is (change != SAME_URL)
    assert after == before
    assert len(await read_revisions(task["id"])) == 1


async def test_every_revision_carries_all_that_decides_when_a_task_runs(
    client: httpx.AsyncClient, new_task: dict[str, Any], read_row: Read, read_revisions: Read
) -> None:
    when = {
        "timezone": "Europe/Berlin",
        "startsAt": "2030-01-31T09:00:00Z",
        "endsAt": "2031-01-31T09:00:00Z",
        "jitterSeconds": 5,
        "catchUp": "skip",
    }
    task = (await client.post("/api/tasks", json={**new_task, **when})).json()
    path = f"/api/tasks/{task['id']}"
    rows = [await read_row(task["id"])]
    for request in (
        client.post(f"{path}/toggle"),
        client.patch(path, json={"runAt": "2030-06-01T00:00:00Z"}),
        client.delete(path),
    ):
        assert (await request).status_code == 200
        rows.append(await read_row(task["id"]))

    revisions = await read_revisions(task["id"])

    assert [{name: each[name] for name in CARRIED} for each in revisions] == [
        {name: row[name] for name in CARRIED} for row in rows
    ]
    assert (revisions[0]["timezone"], revisions[0]["jitter_s"], revisions[0]["catch_up"]) == (
        "Europe/Berlin",
        5,
        "skip",
    )
    assert (revisions[2]["schedule"], revisions[2]["run_at"]) == (None, datetime(2030, 6, 1, tzinfo=UTC))


async def test_toggle_and_delete_append_a_revision_and_move_effective_from(
    client: httpx.AsyncClient, task: dict[str, Any], read_revisions: Read
) -> None:
    await client.post(f"/api/tasks/{task['id']}/toggle")
    await client.post(f"/api/tasks/{task['id']}/toggle")
    await client.delete(f"/api/tasks/{task['id']}")

    revisions = await read_revisions(task["id"])
    assert [each["revision"] for each in revisions] == [1, 2, 3, 4]
    assert [each["status"] for each in revisions] == ["ACTIVE", "INACTIVE", "ACTIVE", "DELETED"]
    assert all(one["effective_from"] < next_["effective_from"] for one, next_ in pairwise(revisions))


async def test_effective_from_rises_where_the_clock_was_set_back(
    client: httpx.AsyncClient, task: dict[str, Any], database: asyncpg.Connection, read_revisions: Read
) -> None:
    future = datetime.now(UTC) + timedelta(hours=1)
    await database.execute("UPDATE tasks SET effective_from = $1 WHERE id = $2", future, task["id"])

    await client.post(f"/api/tasks/{task['id']}/toggle")

    assert (await read_revisions(task["id"]))[-1]["effective_from"] == future + timedelta(microseconds=1)


async def test_concurrent_toggles_leave_gapless_revisions_and_rising_effective_from(
    client: httpx.AsyncClient, task: dict[str, Any], read_row: Read, read_revisions: Read
) -> None:
    count = 100

    async with asyncio.TaskGroup() as group:
        toggles = [group.create_task(client.post(f"/api/tasks/{task['id']}/toggle")) for _ in range(count)]

    assert {each.result().status_code for each in toggles} == {200}
    revisions = await read_revisions(task["id"])
    assert [each["revision"] for each in revisions] == list(range(1, count + 2))
    assert [each["status"] for each in revisions] == ["ACTIVE", "INACTIVE"] * (count // 2) + ["ACTIVE"]
    assert all(one["effective_from"] < next_["effective_from"] for one, next_ in pairwise(revisions))
    assert (await read_row(task["id"]))["effective_from"] == revisions[-1]["effective_from"]


async def test_concurrent_changes_of_different_fields_all_stay(
    client: httpx.AsyncClient, task: dict[str, Any], read_revisions: Read
) -> None:
    changes: list[dict[str, Any]] = [
        {"name": "New"},
        {"schedule": "0 10 * * *"},
        {"maxRetry": 9},
        {"payload": {"content": "New"}},
        {"status": "INACTIVE"},
        {"jitterSeconds": 9},
        {"timezone": "Asia/Tokyo"},
    ]

    async with asyncio.TaskGroup() as group:
        for change in changes:
            group.create_task(client.patch(f"/api/tasks/{task['id']}", json=change))

    after = (await client.get(f"/api/tasks/{task['id']}")).json()
    assert all(after[field] == value for change in changes for field, value in change.items())
    revisions = await read_revisions(task["id"])
    assert [each["revision"] for each in revisions] == list(range(1, len(changes) + 2))


async def test_change_that_waits_for_the_row_is_effective_after_the_one_before(
    client: httpx.AsyncClient, task: dict[str, Any], database: asyncpg.Connection, read_revisions: Read
) -> None:
    async with database.transaction():
        await database.execute("SELECT FROM tasks WHERE id = $1 FOR UPDATE", task["id"])
        waiting = asyncio.create_task(client.post(f"/api/tasks/{task['id']}/toggle"))
        await _until_blocked(database)
        released_at = await database.fetchval("SELECT clock_timestamp()")
    await waiting

    assert (await read_revisions(task["id"]))[-1]["effective_from"] > released_at


async def test_delete_that_waits_for_a_delete_finds_nothing(
    client: httpx.AsyncClient, task: dict[str, Any], read_revisions: Read
) -> None:
    answers = await asyncio.gather(*(client.delete(f"/api/tasks/{task['id']}") for _ in range(10)))

    assert sorted(answer.status_code for answer in answers) == [200] + [404] * 9
    assert len(await read_revisions(task["id"])) == 2


async def _until_blocked(database: asyncpg.Connection) -> None:
    blocked = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    async with asyncio.timeout(10):
        while not await database.fetchval(blocked):
            pass
