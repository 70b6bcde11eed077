"""When a task runs: its optional fields, and what only the database can judge of them."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from integration.api.serving import task_body
from tocsin_common.messages import iso_utc

Read = Callable[[str], Awaitable[Any]]

DEFAULTS = {
    "timezone": "UTC",
    "runAt": None,
    "startsAt": None,
    "endsAt": None,
    "jitterSeconds": 0,
    "catchUp": "latest",
    "expiresAfterSeconds": None,
    "overlap": "allow",
    "statusReason": None,
}
ALL = {
    "timezone": "Europe/Berlin",
    "startsAt": "2030-01-01T00:00:00Z",
    "endsAt": "2031-01-01T00:00:00Z",
    "jitterSeconds": 30,
    "catchUp": "all",
    "expiresAfterSeconds": 600,
    "overlap": "skip",
}
FAR = "2030-06-01T12:00:00Z"


@pytest.fixture
def client(shared_client: httpx.AsyncClient) -> httpx.AsyncClient:
    """One database is enough: each test makes its own task."""
    return shared_client


@pytest.fixture
def database(shared_database: asyncpg.Connection) -> asyncpg.Connection:
    return shared_database


@pytest.fixture
async def one_off(client: httpx.AsyncClient) -> dict[str, Any]:
    """A task that runs once, in years."""
    return await create(client, runAt=FAR)


async def create(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    body = task_body()
    if "runAt" in fields:
        del body["schedule"]
    answer = await client.post("/api/tasks", json={**body, **fields})
    assert answer.status_code == 201, answer.text
    task: dict[str, Any] = answer.json()
    return task


async def let_run_at_pass(database: asyncpg.Connection, task: dict[str, Any], **columns: str) -> None:
    """As if years had gone by."""
    await database.execute(
        "UPDATE tasks SET run_at = clock_timestamp() - interval '1 second', status = $2 WHERE id = $1",
        task["id"],
        columns.get("status", task["status"]),
    )


def shown(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def is_told_the_time(message: str, run_at: str) -> bool:
    """Whether it says what was sent, and which clock showed what when it was judged."""
    told = re.fullmatch("must lie in the future: it is (.+) by the database's clock, got (.+)", message)
    assert told, message
    now, got = (datetime.fromisoformat(instant) for instant in told.groups())
    return got == datetime.fromisoformat(run_at) <= now < got + timedelta(days=10_000)


async def test_fields_that_were_not_sent_have_their_defaults(task: dict[str, Any]) -> None:
    assert {name: task[name] for name in DEFAULTS} == DEFAULTS


async def test_fields_that_were_sent_are_shown_everywhere(client: httpx.AsyncClient) -> None:
    created = await create(client, **ALL)

    read = (await client.get(f"/api/tasks/{created['id']}")).json()
    listed = (await client.get("/api/tasks?limit=100")).json()["data"]
    assert {name: created[name] for name in ALL} == ALL
    assert created.items() <= read.items()
    assert created in listed


async def test_one_off_has_no_schedule(one_off: dict[str, Any], read_row: Read) -> None:
    row = await read_row(one_off["id"])

    assert (one_off["schedule"], one_off["runAt"]) == (None, FAR)
    assert (row["schedule"], row["run_at"]) == (None, datetime(2030, 6, 1, 12, tzinfo=UTC))


async def test_times_are_shown_in_utc_to_the_microsecond(client: httpx.AsyncClient) -> None:
    created = await create(client, runAt="2030-06-01T12:00:00.123456+02:00")

    assert created["runAt"] == "2030-06-01T10:00:00.123456Z"


async def test_patch_changes_each_field(client: httpx.AsyncClient, task: dict[str, Any]) -> None:
    for name, value in ALL.items():
        task = (await client.patch(f"/api/tasks/{task['id']}", json={name: value})).json()
        assert task[name] == value

    assert task.items() <= (await client.get(f"/api/tasks/{task['id']}")).json().items()


@pytest.mark.parametrize("field", ["startsAt", "endsAt", "expiresAfterSeconds"])
async def test_null_clears_what_may_be_missing(client: httpx.AsyncClient, field: str) -> None:
    created = await create(client, **ALL)

    changed = (await client.patch(f"/api/tasks/{created['id']}", json={field: None})).json()

    assert changed == {**created, field: None, "updatedAt": changed["updatedAt"]}


async def test_run_at_and_schedule_replace_each_other(client: httpx.AsyncClient, task: dict[str, Any]) -> None:
    path = f"/api/tasks/{task['id']}"

    once = (await client.patch(path, json={"runAt": FAR})).json()
    again = (await client.patch(path, json={"schedule": "@daily"})).json()

    assert (once["schedule"], once["runAt"]) == (None, FAR)
    assert (again["schedule"], again["runAt"]) == ("@daily", None)


# --- What the database judges -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["ACTIVE", "INACTIVE"])
@pytest.mark.parametrize("ago", [timedelta(0), timedelta(seconds=1), timedelta(days=365)])
async def test_run_at_that_has_passed_is_refused_at_the_create(
    client: httpx.AsyncClient, database: asyncpg.Connection, status: str, ago: timedelta
) -> None:
    run_at = shown(await database.fetchval("SELECT clock_timestamp()") - ago)
    before = await database.fetchval("SELECT count(*) FROM tasks")
    body = {**task_body(), "schedule": None, "runAt": run_at, "status": status}

    answer = await client.post("/api/tasks", json=body)

    assert answer.status_code == 400
    [error] = answer.json()["errors"]
    assert error["field"] == "runAt"
    assert is_told_the_time(error["message"], run_at)
    assert await database.fetchval("SELECT count(*) FROM tasks") == before


async def test_run_at_is_judged_by_the_clock_of_the_database(
    client: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    soon = await database.fetchval("SELECT clock_timestamp() + interval '5 seconds'")

    task = await create(client, runAt=shown(soon))

    assert await database.fetchval("SELECT run_at > created_at FROM tasks WHERE id = $1", task["id"])


@pytest.mark.parametrize("status", ["ACTIVE", "INACTIVE"])
async def test_change_to_a_run_at_that_has_passed_is_refused(
    client: httpx.AsyncClient, one_off: dict[str, Any], read_revisions: Read, status: str
) -> None:
    change = {"runAt": "2020-01-01T00:00:00Z", "status": status}

    answer = await client.patch(f"/api/tasks/{one_off['id']}", json=change)

    assert answer.status_code == 400
    [error] = answer.json()["errors"]
    assert error["field"] == "runAt"
    assert is_told_the_time(error["message"], change["runAt"])
    assert one_off.items() <= (await client.get(f"/api/tasks/{one_off['id']}")).json().items()
    assert len(await read_revisions(one_off["id"])) == 1


@pytest.mark.parametrize("status", ["INACTIVE", "FAILED"])
async def test_one_off_whose_time_has_passed_cannot_be_started_again(
    client: httpx.AsyncClient, one_off: dict[str, Any], database: asyncpg.Connection, read_row: Read, status: str
) -> None:
    await let_run_at_pass(database, one_off, status=status)
    before = await read_row(one_off["id"])

    toggled = await client.post(f"/api/tasks/{one_off['id']}/toggle")
    changed = await client.patch(f"/api/tasks/{one_off['id']}", json={"status": "ACTIVE"})

    for answer in (toggled, changed):
        assert answer.status_code == 409
        assert "runAt has passed" in answer.json()["detail"]
    assert await read_row(one_off["id"]) == before


async def test_one_off_whose_time_has_passed_starts_again_with_another(
    client: httpx.AsyncClient, one_off: dict[str, Any], database: asyncpg.Connection
) -> None:
    await let_run_at_pass(database, one_off, status="INACTIVE")

    answer = await client.patch(f"/api/tasks/{one_off['id']}", json={"runAt": FAR, "status": "ACTIVE"})

    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["runAt"]) == ("ACTIVE", FAR)


@pytest.mark.parametrize(
    "change", [{"name": "New"}, {"payload": {"content": "New"}}, {"jitterSeconds": 9}, {"status": "INACTIVE"}]
)
async def test_one_off_that_is_under_way_may_be_edited_and_stopped(
    client: httpx.AsyncClient, one_off: dict[str, Any], database: asyncpg.Connection, change: dict[str, Any]
) -> None:
    await let_run_at_pass(database, one_off)

    answer = await client.patch(f"/api/tasks/{one_off['id']}", json=change)

    assert answer.status_code == 200
    assert {name: answer.json()[name] for name in change} == change


async def test_one_off_that_is_under_way_may_be_toggled_off_and_deleted(
    client: httpx.AsyncClient, one_off: dict[str, Any], database: asyncpg.Connection
) -> None:
    await let_run_at_pass(database, one_off)

    toggled = await client.post(f"/api/tasks/{one_off['id']}/toggle")
    deleted = await client.delete(f"/api/tasks/{one_off['id']}")

    assert (toggled.status_code, toggled.json()["status"]) == (200, "INACTIVE")
    assert deleted.status_code == 200


@pytest.mark.parametrize(
    ("has", "change", "named"),
    [
        ({"startsAt": FAR}, {"endsAt": FAR}, ["startsAt", "endsAt"]),
        ({"endsAt": FAR}, {"startsAt": "2030-07-01T00:00:00Z"}, ["startsAt", "endsAt"]),
        ({"runAt": FAR}, {"startsAt": "2030-07-01T00:00:00Z"}, ["runAt"]),
        ({"runAt": FAR}, {"endsAt": "2030-05-01T00:00:00Z"}, ["runAt"]),
        ({"endsAt": FAR}, {"runAt": "2030-07-01T00:00:00Z"}, ["runAt"]),
        ({"startsAt": "2030-05-01T00:00:00Z", "endsAt": FAR}, {"startsAt": None, "runAt": FAR}, []),
        ({"startsAt": FAR}, {"startsAt": None, "endsAt": FAR}, []),
        ({"startsAt": FAR}, {"endsAt": "2030-06-01T12:00:00.000001Z"}, []),
    ],
)
async def test_window_is_judged_as_the_change_would_leave_it(
    client: httpx.AsyncClient,
    read_revisions: Read,
    has: dict[str, Any],
    change: dict[str, Any],
    named: list[str],
) -> None:
    task = await create(client, **has)

    answer = await client.patch(f"/api/tasks/{task['id']}", json=change)

    errors = answer.json().get("errors", [])
    assert [each["field"] for each in errors] == named
    for each in errors:  # each says what it would have been
        refused = datetime.fromisoformat({**has, **change}[each["field"]])
        assert each["message"].endswith(f", got {iso_utc(refused)}")
    assert answer.status_code == (400 if named else 200)
    assert len(await read_revisions(task["id"])) == (1 if named else 2)


async def test_changes_at_once_never_leave_an_empty_window(client: httpx.AsyncClient) -> None:
    task = await create(client)
    path = f"/api/tasks/{task['id']}"

    answers = await asyncio.gather(
        client.patch(path, json={"startsAt": FAR}),
        client.patch(path, json={"endsAt": "2030-05-01T00:00:00Z"}),
    )

    assert sorted(answer.status_code for answer in answers) == [200, 400]


async def test_reason_goes_with_the_status_that_it_explains(
    client: httpx.AsyncClient, one_off: dict[str, Any], database: asyncpg.Connection
) -> None:
    reason = "its one run ended: succeeded"
    await database.execute(
        "UPDATE tasks SET status = 'INACTIVE', status_reason = $2 WHERE id = $1", one_off["id"], reason
    )

    finished = (await client.get(f"/api/tasks/{one_off['id']}")).json()
    started = (await client.post(f"/api/tasks/{one_off['id']}/toggle")).json()

    assert finished["statusReason"] == reason
    assert (started["status"], started["statusReason"]) == ("ACTIVE", None)
