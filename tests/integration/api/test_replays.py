"""The route that brings failed executions back."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from integration.api.owed import DAY, add_execution, add_log, make_partitions
from integration.api.serving import task_body
from tocsin_common.messages import execution_id

NOW = datetime.now(UTC).replace(microsecond=0)
SECOND = timedelta(seconds=1)
NOTHING = {"unknown": 0, "taskDeleted": 0, "succeeded": 0, "notFailed": 0, "tooOld": 0, "taskFailed": 0}


@pytest.fixture(autouse=True)
async def partitions(database: asyncpg.Connection) -> None:
    await make_partitions(database)


async def add_task(client: httpx.AsyncClient) -> str:
    task_id: str = (await client.post("/api/tasks", json=task_body())).json()["id"]
    return task_id


async def replay(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await client.post("/api/executions/replay", json=body)
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


def named(task_id: str, *instants: datetime) -> list[dict[str, str]]:
    return [{"taskId": task_id, "scheduledFor": instant.isoformat()} for instant in instants]


async def states(database: asyncpg.Connection, task_id: str) -> list[str]:
    statement = "SELECT state FROM executions WHERE task_id = $1 ORDER BY scheduled_for"
    return [row["state"] for row in await database.fetch(statement, UUID(task_id))]


async def test_execution_that_is_named_is_brought_back(
    client: httpx.AsyncClient, task: dict[str, Any], database: asyncpg.Connection
) -> None:
    await add_execution(database, task["id"], NOW)
    before = await database.fetchval("SELECT clock_timestamp()")

    answer = await replay(client, executions=named(task["id"], NOW))

    row = await database.fetchrow("SELECT * FROM executions")
    next_at = answer["executions"][0]["nextAt"]
    assert answer == {
        "dryRun": False,
        "matched": 1,
        "replayed": 1,
        "refused": NOTHING,
        "remaining": 0,
        "upTo": None,
        "lastAt": next_at,
        "executions": [
            {
                "executionId": str(execution_id(UUID(task["id"]), NOW)),
                "taskId": task["id"],
                "scheduledFor": f"{NOW:%Y-%m-%dT%H:%M:%SZ}",
                "result": "replayed",
                "nextAt": next_at,
            }
        ],
    }
    assert (row["state"], row["failures"], row["seq"]) == ("waiting", 0, 4)
    assert before <= row["next_at"] == datetime.fromisoformat(next_at)
    assert row["give_up_at"] == row["next_at"] + DAY
    assert row["destination"] == "discord.com/123456789012345678"
    [shown] = (await client.get("/api/executions?state=waiting")).json()["data"]
    assert shown["replayedAt"] == row["replayed_at"].isoformat().replace("+00:00", "Z")


async def add_one_of_each(
    client: httpx.AsyncClient, database: asyncpg.Connection
) -> tuple[list[dict[str, str]], list[str]]:
    """Executions that are refused, each for another reason, and two that are not."""
    task_id, failed, deleted = [await add_task(client) for _ in range(3)]
    await database.execute("UPDATE tasks SET status = 'FAILED' WHERE id = $1", UUID(failed))
    for of in (failed, deleted, task_id):
        await add_execution(database, of, NOW)
    await client.delete(f"/api/tasks/{deleted}")
    for seconds, state in enumerate(("succeeded", "waiting", "failed", "failed"), 1):
        await add_execution(database, task_id, NOW + seconds * SECOND, state=state)
    await add_log(database, task_id, NOW + 3 * SECOND, "SUCCESS")
    await add_execution(database, task_id, NOW - 91 * DAY)
    asked = [
        *named(task_id, *(NOW + seconds * SECOND for seconds in range(5)), NOW - 91 * DAY),
        *named(failed, NOW),
        *named(deleted, NOW),
        *named(str(uuid4()), NOW),
    ]
    results = ["replayed", "succeeded", "notFailed", "succeeded", "replayed", "tooOld"]
    return asked, [*results, "taskFailed", "taskDeleted", "unknown"]


ONE_OF_EACH = {**dict.fromkeys(NOTHING, 1), "succeeded": 2}


@pytest.mark.parametrize("dry_run", [False, True])
async def test_each_that_is_named_gets_a_line_with_what_became_of_it(
    client: httpx.AsyncClient, database: asyncpg.Connection, dry_run: bool
) -> None:
    asked, results = await add_one_of_each(client, database)

    answer = await replay(client, executions=asked, dryRun=dry_run)

    lines = answer["executions"]
    assert [line["result"] for line in lines] == results
    assert [line["taskId"] for line in lines] == [each["taskId"] for each in asked]
    assert [line["nextAt"] is not None for line in lines] == [
        result == "replayed" and not dry_run for result in results
    ]
    assert (answer["matched"], answer["replayed"], answer["refused"]) == (9, 2, ONE_OF_EACH)


@pytest.mark.parametrize("dry_run", [False, True])
async def test_filter_counts_what_is_refused_and_finds_nothing_of_deleted_tasks(
    client: httpx.AsyncClient, database: asyncpg.Connection, dry_run: bool
) -> None:
    await add_one_of_each(client, database)
    total = (await client.get("/api/executions?state=failed")).json()["meta"]["total"]

    answer = await replay(client, filter={}, dryRun=dry_run)

    assert answer["matched"] == total == 5
    assert answer["replayed"] == 2
    assert answer["refused"] == {**NOTHING, "succeeded": 1, "tooOld": 1, "taskFailed": 1}
    assert (answer["remaining"], answer["executions"]) == (0, [])


async def test_dry_run_changes_nothing(client: httpx.AsyncClient, database: asyncpg.Connection) -> None:
    asked, _ = await add_one_of_each(client, database)
    before = await database.fetch("SELECT * FROM executions ORDER BY scheduled_for, task_id")

    for which in ({"executions": asked}, {"filter": {}}):
        answer = await replay(client, dryRun=True, **which)
        assert (answer["dryRun"], answer["upTo"], answer["lastAt"]) == (True, None, None)

    assert await database.fetch("SELECT * FROM executions ORDER BY scheduled_for, task_id") == before


@pytest.mark.parametrize(
    ("filter_", "replayed"),
    [
        ({}, 4),
        ({"reason": "http 500"}, 2),
        ({"reason": "%"}, 1),
        ({"reason": "_"}, 0),
        ({"dateFrom": (NOW - DAY).isoformat()}, 2),
        ({"dateTo": (NOW - 2 * DAY).isoformat()}, 2),
        ({"dateFrom": f"{NOW - DAY:%Y-%m-%d}", "dateTo": f"{NOW - DAY:%Y-%m-%d}"}, 1),
        ({"reason": "http 500", "dateTo": (NOW - DAY).isoformat()}, 1),
    ],
)
async def test_filter_replays_what_the_list_shows(
    client: httpx.AsyncClient, task: dict[str, Any], database: asyncpg.Connection, filter_: Any, replayed: int
) -> None:
    reasons = ("HTTP 500", "HTTP 400: 100% wrong", "HTTP 500", "given up: too old")
    for days, reason in enumerate(reasons):
        await add_execution(database, task["id"], NOW - days * DAY, reason=reason)
    listed = (await client.get("/api/executions", params={"state": "failed", **filter_})).json()["data"]
    ours, others = {**filter_, "taskId": task["id"]}, {**filter_, "taskId": str(uuid4())}

    nothing = await replay(client, filter=others)
    answer = await replay(client, filter=ours)

    assert (nothing["matched"], answer["matched"], answer["replayed"]) == (0, replayed, replayed)
    shown = (await client.get("/api/executions?state=waiting")).json()["data"]
    assert [row["executionId"] for row in shown] == [row["executionId"] for row in listed]


@pytest.mark.parametrize(("rate", "spacing_s"), [({}, 0.1), ({"ratePerSecond": 4}, 0.25)])
async def test_rate_spreads_what_is_replayed_the_oldest_first(
    client: httpx.AsyncClient, task: dict[str, Any], database: asyncpg.Connection, rate: Any, spacing_s: float
) -> None:
    instants = [NOW - n * DAY for n in range(5)]
    for instant in instants:
        await add_execution(database, task["id"], instant)

    by_name = await replay(client, executions=named(task["id"], *instants[:2]), **rate)
    by_filter = await replay(client, filter={}, **rate)

    rows = await database.fetch("SELECT next_at FROM executions ORDER BY scheduled_for")
    due = [row["next_at"] for row in rows]
    spacing = timedelta(seconds=spacing_s)
    assert due[2] - due[1] == due[1] - due[0] == due[4] - due[3] == spacing
    assert datetime.fromisoformat(by_filter["lastAt"]) == due[2]
    assert datetime.fromisoformat(by_name["lastAt"]) == due[4]


async def test_more_than_a_request_takes_is_left_to_the_next_at_the_same_rate(
    client: httpx.AsyncClient, task: dict[str, Any], database: asyncpg.Connection
) -> None:
    await database.execute(
        """
        INSERT INTO executions (scheduled_for, task_id, state, destination, next_at, give_up_at)
        SELECT $2::timestamptz + n * interval '1 s', $1, 'failed', 'discord.com/1', $2, $2
        FROM generate_series(1, 10003) AS n
        """,
        UUID(task["id"]),
        NOW - DAY,
    )

    dry = await replay(client, filter={}, dryRun=True)
    first = await replay(client, filter={}, ratePerSecond=1000)
    spread = await database.fetchrow(
        """
        SELECT count(DISTINCT next_at), max(next_at) - min(next_at) AS lasts, max(scheduled_for) AS up_to
        FROM executions WHERE state = 'waiting'
        """
    )
    second = await replay(client, filter={"dateFrom": first["upTo"]})

    assert [(each["matched"], each["replayed"], each["remaining"]) for each in (dry, first, second)] == [
        (10_003, 10_000, 3),
        (10_003, 10_000, 3),
        (3, 3, 0),
    ]
    assert (spread["count"], spread["lasts"]) == (10_000, timedelta(milliseconds=9_999))
    assert datetime.fromisoformat(first["upTo"]) == spread["up_to"]


async def test_what_is_refused_does_not_stand_in_the_way_of_the_next_request(
    client: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    stopped, task_id = await add_task(client), await add_task(client)
    for n in range(3):
        await add_execution(database, stopped, NOW - DAY + n * SECOND)
    await database.execute("UPDATE tasks SET status = 'FAILED' WHERE id = $1", UUID(stopped))
    await add_execution(database, task_id, NOW)

    answer = await replay(client, filter={})

    assert (answer["replayed"], answer["refused"]["taskFailed"], answer["remaining"]) == (1, 3, 0)
    assert datetime.fromisoformat(answer["upTo"]) == NOW


async def test_what_fails_again_meanwhile_is_replayed_once_in_a_request(
    client: httpx.AsyncClient, task: dict[str, Any], database: asyncpg.Connection
) -> None:
    for n in range(501):  # more than a batch
        await add_execution(database, task["id"], NOW - n * SECOND, seq=1)
    await database.execute(
        """
        CREATE FUNCTION fail_at_once() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN NEW.state := 'failed'; NEW.seq := OLD.seq + 1; RETURN NEW; END $$
        """
    )
    await database.execute(
        """
        CREATE TRIGGER at_once BEFORE UPDATE ON executions FOR EACH ROW EXECUTE FUNCTION fail_at_once()
        """
    )

    answer = await replay(client, filter={}, ratePerSecond=1000)

    assert (answer["replayed"], answer["remaining"]) == (501, 0)
    assert await database.fetchval("SELECT count(*) FROM executions WHERE seq = 2") == 501


async def test_requests_at_once_replay_each_execution_once(
    client: httpx.AsyncClient, task: dict[str, Any], database: asyncpg.Connection
) -> None:
    instants = [NOW - n * SECOND for n in range(50)]
    for instant in instants:
        await add_execution(database, task["id"], instant)
    asked = named(task["id"], *instants)

    answers = await asyncio.gather(
        *(replay(client, executions=asked) for _ in range(4)), *(replay(client, filter={}) for _ in range(4))
    )

    assert sum(answer["replayed"] for answer in answers) == 50
    for answer in answers[:4]:
        assert answer["replayed"] + answer["refused"]["notFailed"] == answer["matched"] == 50


async def test_what_is_named_twice_gets_one_line(
    client: httpx.AsyncClient, task: dict[str, Any], database: asyncpg.Connection
) -> None:
    await add_execution(database, task["id"], NOW)
    elsewhere = NOW.astimezone(timezone(timedelta(hours=1)))

    answer = await replay(client, executions=named(task["id"], NOW, elsewhere))

    assert (answer["matched"], len(answer["executions"])) == (1, 1)


@pytest.mark.parametrize(("days", "result"), [(89.9, "replayed"), (90.1, "tooOld")], ids=["within", "beyond"])
async def test_retention_ends_what_may_be_replayed(
    client: httpx.AsyncClient, task: dict[str, Any], database: asyncpg.Connection, days: float, result: str
) -> None:
    await add_execution(database, task["id"], NOW - days * DAY)

    answer = await replay(client, executions=named(task["id"], NOW - days * DAY))

    assert [line["result"] for line in answer["executions"]] == [result]


ONE = {"taskId": str(UUID(int=1)), "scheduledFor": "2026-01-31T12:00:00Z"}


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (
            {},
            {
                "executions": "exactly one of executions and filter is needed",
                "filter": "exactly one of executions and filter is needed",
            },
        ),
        (
            {"executions": [ONE], "filter": {}},
            {
                "executions": "exactly one of executions and filter is needed",
                "filter": "exactly one of executions and filter is needed",
            },
        ),
        ({"executions": []}, {"executions": "has 0 entries, 1 to 1000 are allowed"}),
        ({"executions": [ONE] * 1001}, {"executions": "has 1001 entries, 1 to 1000 are allowed"}),
        (
            {"executions": [UUID(int=1).hex]},
            {"executions": "must be a list of 1 to 1000 objects with taskId and scheduledFor, got a list"},
        ),
        (
            {"executions": [ONE, {"taskId": "1", "at": 1}]},
            {
                "executions[1].at": "is not known; allowed are taskId, scheduledFor",
                "executions[1].taskId": 'must be a task\'s id (UUID), got "1"',
                "executions[1].scheduledFor": "is missing; it must be an RFC 3339 time with its offset, "
                "of the years 2000 to 2999, such as 2030-01-31T09:00:00Z",
            },
        ),
        (
            {"executions": [{**ONE, "scheduledFor": "0001-01-01T00:00:00+14:00"}]},
            {"executions[0].scheduledFor": "must be of the years 2000 to 2999"},
        ),
        (
            {"filter": None},
            {"filter": "must be an object with any of reason, taskId, dateFrom and dateTo, got null"},
        ),
        (
            {"filter": {"state": "due"}},
            {"filter.state": "is not known; allowed are reason, taskId, dateFrom, dateTo"},
        ),
        (
            {"filter": {"reason": "", "taskId": 1, "dateFrom": "never"}},
            {
                "filter.reason": 'must be a part of the reason, 1 to 100 characters, in any case, got ""',
                "filter.taskId": "must be a task's id (UUID), got 1",
                "filter.dateFrom": "must be a day (2026-01-31) or a time with its offset (2026-01-31T12:00:00Z)",
            },
        ),
        ({"filter": {"reason": "\0"}}, {"filter.reason": "must not hold NUL characters"}),
        (
            {"filter": {"dateFrom": "2026-01-02", "dateTo": "2026-01-01"}},
            {"filter.dateTo": "must not lie before dateFrom"},
        ),
        (
            {"filter": {}, "dryRun": 1, "ratePerSecond": 1001},
            {
                "dryRun": "must be true or false: whether only to count, got 1",
                "ratePerSecond": "must be a whole number from 1 to 1000: so many become due a second, got 1001",
            },
        ),
        ({"filter": {}, "ratePerSecond": 0.5, "limit": 1}, None),
    ],
)
async def test_refused_body_is_named_field_by_field_and_replays_nothing(
    client: httpx.AsyncClient,
    task: dict[str, Any],
    database: asyncpg.Connection,
    body: dict[str, Any],
    errors: dict[str, str] | None,
) -> None:
    await add_execution(database, task["id"], NOW)

    answer = await client.post("/api/executions/replay", json=body)

    found = {each["field"]: each["message"] for each in answer.json()["errors"]}
    assert answer.status_code == 400
    assert found == errors or (errors is None and set(found) == {"ratePerSecond", "limit"})
    assert await states(database, task["id"]) == ["failed"]
