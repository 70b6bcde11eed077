"""`import`: what it makes of another scheduler's tasks, from their table or JSON, and what it says of each."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import aio_pika
import asyncpg
import pytest
from structlog.testing import capture_logs

from environment import INHERITED
from integration.api.serving import API_KEY, MASKED_URL, WEBHOOK_TOKEN, WEBHOOK_URL, api_settings, serve
from logins import as_service
from tocsin_api import importer
from tocsin_api.import_batches import Batches, Order
from tocsin_api.old_tasks import Wishes, new_id
from tocsin_common.errors import SettingsError, TocsinError
from tocsin_common.sealing import Sealer
from tocsin_common.settings import ImportSettings
from tocsin_common.settings_reader import load
from tocsin_common.topology import declare_changes
from tocsin_local.urls import StackUrls
from waiting import WAIT_S, eventually

COMMAND = Path(sys.executable).parent / "tocsin-api"
FIRST, SECOND, THIRD, FOURTH = (UUID(int=number) for number in range(1, 5))
IN_BERLIN = Order(Wishes("Europe/Berlin"))

CAMEL_TABLE = """
CREATE TABLE tasks (
    id uuid PRIMARY KEY, name varchar(100) NOT NULL, schedule varchar NOT NULL, "webhookUrl" varchar NOT NULL,
    payload jsonb NOT NULL, "maxRetry" integer NOT NULL DEFAULT 3, status varchar NOT NULL DEFAULT 'ACTIVE',
    "lastExecutedAt" timestamp, "createdAt" timestamp DEFAULT now(), "updatedAt" timestamp DEFAULT now()
)
"""
SNAKE_TABLE = """
CREATE SCHEMA old;
CREATE TABLE old.tasks (
    id serial PRIMARY KEY, name text, schedule text, webhook_url text, payload text, max_retry integer, status text
)
"""

Import = Callable[..., Awaitable["Ended"]]


class Ended:
    """What a run left behind."""

    def __init__(self, status: int | None, output: bytes, errors: bytes) -> None:
        self.status = status
        self.lines = output.decode().splitlines()
        self.errors = errors.decode()
        assert WEBHOOK_TOKEN not in output.decode() + self.errors
        assert "broker-password" not in output.decode() + self.errors


@pytest.fixture
def environment(database_url: str, sealing_keys: str, servers: StackUrls) -> dict[str, str]:
    """Of an import, as the API's user. Its RabbitMQ is away."""
    return {
        **INHERITED,
        "ENVIRONMENT": "production",
        "DATABASE_URL": as_service(database_url, servers, "import"),
        "RABBITMQ_URL": "amqp://guest:broker-password@127.0.0.1:1/",
        "API_KEY": API_KEY,
        "SEALING_KEYS": sealing_keys,
    }


@asynccontextmanager
async def started(environment: dict[str, str], *arguments: str, **variables: str) -> AsyncIterator[Process]:
    """The command as an operator starts it."""
    process = await asyncio.create_subprocess_exec(
        *(COMMAND, "import", *arguments), env=environment | variables, stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@pytest.fixture
def run(environment: dict[str, str], capsys: pytest.CaptureFixture[str]) -> Import:
    """Does in this process what the command does once it has read its arguments."""

    async def run(order: Order, **variables: str) -> Ended:
        capsys.readouterr()
        with capture_logs() as log:
            done = await importer.bring(load(ImportSettings, environment | variables), order)
        return Ended(0 if done else 1, capsys.readouterr().out.encode(), "\n".join(map(str, log)).encode())

    return run


@pytest.fixture
async def old(empty_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """The other scheduler's database."""
    connection = await asyncpg.connect(empty_database_url)
    yield connection
    await connection.close()


async def add(old: asyncpg.Connection, id_: UUID, **columns: Any) -> None:
    values = {
        "name": "Morning",
        "schedule": "0 9 * * 1-5",
        "webhookUrl": WEBHOOK_URL,
        "payload": '{"content": "hi"}',
    }
    values |= columns
    names = ", ".join(f'"{name}"' for name in values)
    places = ", ".join(f"${place}" for place in range(2, len(values) + 2))
    await old.execute(f"INSERT INTO tasks (id, {names}) VALUES ($1, {places})", id_, *values.values())  # noqa: S608 - names of the test


def row(id_: object, **fields: Any) -> dict[str, Any]:
    return {
        "id": id_, "name": "Morning", "schedule": "0 9 * * *", "webhookUrl": WEBHOOK_URL,
        "payload": {"content": "hi"}, "maxRetry": 3, "status": "ACTIVE",
    } | fields  # fmt: skip


async def test_a_dry_run_says_what_an_import_does_and_a_second_import_does_nothing(
    run: Import,
    old: asyncpg.Connection,
    empty_database_url: str,
    database: asyncpg.Connection,
    database_url: str,
    sealing_keys: str,
) -> None:
    await old.execute(CAMEL_TABLE)
    await add(old, FIRST, maxRetry=5)
    await add(old, SECOND, schedule="0 0 9 * * *", status="FAILED", name=" Six ")
    await add(old, THIRD, schedule="0 25 * * *", webhookUrl="http://example.com/secret", payload='{"content": ""}')

    dry = await run(IN_BERLIN._replace(dry_run=True), OLD_DATABASE_URL=empty_database_url)
    untouched = await database.fetchval("SELECT count(*) FROM tasks")
    real = await run(IN_BERLIN, OLD_DATABASE_URL=empty_database_url)
    again = await run(IN_BERLIN, OLD_DATABASE_URL=empty_database_url)

    assert (dry.status, real.status, again.status, untouched) == (1, 1, 1, 0)
    assert dry.lines[:2] == [
        f"would create: row 1, id {FIRST}",
        f"would create: row 2, id {SECOND}: was FAILED: it is INACTIVE here; six fields, seconds first, as here",
    ]
    assert dry.lines[2].startswith(
        f"refused: row 3, id {THIRD}: schedule: the hour field does not allow '25'; allowed are"
    )
    assert "; webhookUrl: must begin with https://" in dry.lines[2]
    assert dry.lines[3:] == [
        "2 tasks created",
        "1 refused",
        "columns without a place here, which were not read: createdAt, lastExecutedAt, updatedAt",
        "nothing was changed: this was a dry run",
    ]
    assert real.lines == [line.replace("would create", "created") for line in dry.lines[:-1]]
    assert again.lines[:2] == [f"exists: row {place}, id {id_}" for place, id_ in ((1, FIRST), (2, SECOND))]
    async with serve(api_settings(database_url, sealing_keys)) as client:
        shown = (await client.get(f"/api/tasks/{FIRST}")).json()
        six = (await client.get(f"/api/tasks/{SECOND}")).json()
        await client.patch(f"/api/tasks/{FIRST}", json={"schedule": "0 8 * * 1-5", "payload": {"content": "ho"}})
        await client.delete(f"/api/tasks/{SECOND}")
    wanted = {
        "name": "Morning", "schedule": "0 9 * * 1-5", "timezone": "Europe/Berlin", "webhookUrl": MASKED_URL,
        "payload": {"content": "hi"}, "maxRetry": 5, "status": "ACTIVE",
    }  # fmt: skip
    assert wanted.items() <= shown.items()
    assert (six["name"], six["schedule"], six["status"], six["maxRetry"]) == ("Six", "0 0 9 * * *", "INACTIVE", 3)
    changed = await run(IN_BERLIN, OLD_DATABASE_URL=empty_database_url)
    assert changed.lines[:2] == [f"differs: row 1, id {FIRST}: schedule, payload", f"deleted: row 2, id {SECOND}"]
    assert await database.fetchval("SELECT count(*) FROM tasks") == 2


async def test_ten_thousand_rows_may_be_broken_off_and_come_whole_batch_by_batch(
    run: Import,
    environment: dict[str, str],
    old: asyncpg.Connection,
    empty_database_url: str,
    database: asyncpg.Connection,
    sealing_keys: str,
) -> None:
    await old.execute(SNAKE_TABLE)
    await old.execute(
        """
        INSERT INTO old.tasks (name, schedule, webhook_url, payload, max_retry, status)
        SELECT 'task ' || n, '*/' || 1 + n % 30 || ' * * * *',
               'https://discord.com/api/webhooks/' || n || '/token-' || n,
               '{"content": "' || n || '"}', n % 11, 'INACTIVE' FROM generate_series(1, 10000) AS n
        """
    )
    url = f"{empty_database_url}?schema=old&connection_limit=5&pgbouncer=true"
    blocked = new_id(700)
    async with (
        started(environment, "--time-zone", "Europe/Berlin", OLD_DATABASE_URL=url) as process,
        database.transaction(),
    ):
        await insert_bare(database, blocked)
        own = await database.fetchval("SELECT pg_current_xact_id()::xid::text")
        await eventually(lambda: somebody_waits_for(old, own))
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(WAIT_S):
            output, errors = await process.communicate()
        await database.execute("DELETE FROM tasks WHERE id = $1", blocked)
    broken_off = Ended(process.returncode, output, errors)
    kept = await database.fetchval("SELECT count(*) FROM tasks")

    completed = await run(IN_BERLIN, OLD_DATABASE_URL=url)

    assert (broken_off.status, kept) == (1, 500)
    assert "it was broken off: run it again, it goes on from there" in broken_off.errors
    assert broken_off.lines[-1] == "500 tasks created"
    assert completed.status == 0
    assert completed.lines[-2:] == ["9500 tasks created", "500 were here already, the same"]
    assert Counter(line.partition(":")[0] for line in completed.lines[:-2]) == {"created": 9500, "exists": 500}
    rows = await database.fetch(
        "SELECT t.*, r.status AS noted FROM tasks t JOIN task_revisions r ON r.task_id = t.id AND r.revision = 1"
    )
    sealer = Sealer.from_setting(sealing_keys)
    assert len(rows) == 10_000
    assert {r["id"] for r in rows} == {new_id(n) for n in range(1, 10_001)}
    for r in rows[0:10_000:100]:
        number = json.loads(r["payload"])["content"]
        opened = sealer.open(r["webhook_url_sealed"], context=r["id"].bytes)
        assert (r["id"], opened) == (
            new_id(int(number)),
            f"https://discord.com/api/webhooks/{number}/token-{number}",
        )
        assert (r["max_retry"], r["status"], r["noted"]) == (int(number) % 11, "INACTIVE", "INACTIVE")


async def insert_bare(connection: asyncpg.Connection, task_id: UUID) -> None:
    """As another import that has not ended."""
    await connection.execute(
        """
        INSERT INTO tasks (id, name, schedule, webhook_url_sealed, webhook_url_hash, webhook_url_masked,
                           destination, payload, max_retry, status, revision, effective_from, created_at,
                           updated_at)
        VALUES ($1, 'x', '0 9 * * *', '', '', '', '', '{}', 3, 'INACTIVE', 1, now(), now(), now())
        """,
        task_id,
    )


async def somebody_waits_for(connection: asyncpg.Connection, transaction: str) -> bool:
    question = "SELECT count(*) FROM pg_locks WHERE NOT granted AND transactionid::text = $1"
    return bool(await connection.fetchval(question, transaction))


async def test_json_is_read_from_a_file_and_each_bad_row_is_named(
    run: Import, database: asyncpg.Connection, tmp_path: Path
) -> None:
    evil = {"webhookUrl": f"https://evil.example/{WEBHOOK_TOKEN}", "payload": "no JSON", "maxRetry": 11}
    file = write(
        tmp_path,
        row("old-1", webhook_url=WEBHOOK_URL),
        row("old-2", schedule="60 * * * *", name=""),
        row(None),
        row("old-4", status="PAUSED", **evil),
        row("old-5", payload={"content": "x" * 2001}),
        row("old-6"),
        row("old-6"),
        row("old-8", deletedAt="2026-01-01"),
        row(WEBHOOK_TOKEN),
    )

    ended = await run(IN_BERLIN._replace(file=file))

    told = dict(enumerate(ended.lines, 1))
    assert ended.status == 1
    assert told[1] == "refused: row 1, id old-1: webhookUrl: must be given once only, in one spelling"
    assert told[2].startswith("refused: row 2, id old-2: name: has 0 characters, 1 to 100 are allowed; schedule: ")
    assert told[3] == "refused: row 3: id: must be a UUID, a whole number or a text of 1 to 200 characters"
    assert told[4].startswith("refused: row 4, id old-4: webhookUrl: its host is not allowed; allowed are ")
    assert "; payload: must be a JSON object that is not empty" in told[4]
    assert "; maxRetry: must be a whole number from 0 to 10, got 11" in told[4]
    assert "; status: must be ACTIVE or INACTIVE, got " in told[4]
    assert told[5] == "refused: row 5, id old-5: payload/content: 2001 characters, at most 2000"
    assert told[6] == f"created: row 6, id old-6, here {new_id('old-6')}"
    assert told[7] == "refused: row 7, id old-6: id: an earlier row has it already"
    assert told[8] == "left out: row 8, id old-8: it was deleted there"
    assert told[9] == f"created: row 9, here {new_id(WEBHOOK_TOKEN)}"
    assert ended.lines[9:] == ["2 tasks created", "1 left out", "6 refused"]
    assert await database.fetchval("SELECT count(*) FROM tasks") == 2


async def test_json_comes_by_stdin_too_and_what_comes_before_an_end_in_the_middle_stays(
    environment: dict[str, str], database: asyncpg.Connection
) -> None:
    rows = "\n".join(json.dumps(row(number)) for number in range(500))
    async with started(environment, "-", "--time-zone", "UTC") as process, asyncio.timeout(WAIT_S):
        output, errors = await process.communicate(f'{rows}\n{{"id": 501, '.encode())
    ended = Ended(process.returncode, output, errors)

    assert ended.status == 1
    assert ended.lines[-1] == "500 tasks created"
    assert "tocsin-api: object 501 is no JSON, does not end, or is longer" in ended.errors
    assert await database.fetchval("SELECT count(*) FROM tasks") == 500


def write(folder: Path, *rows: dict[str, Any]) -> str:
    file = folder / "tasks.json"
    file.write_text(json.dumps(rows))
    return str(file)


async def test_what_was_imported_inactive_is_started_as_of_then_and_the_schedulers_hear_of_it(
    run: Import,
    database: asyncpg.Connection,
    database_url: str,
    sealing_keys: str,
    rabbitmq_url: str,
    tmp_path: Path,
) -> None:
    rows = [row(str(id_)) for id_ in (FIRST, SECOND, THIRD, FOURTH)]
    rows[2]["status"] = "INACTIVE"
    file = write(tmp_path, *rows, row("not here", name=""))
    start = Order(Wishes("UTC"), file, starts=True)
    imported = await run(Order(Wishes("UTC", all_inactive=True), file))
    async with serve(api_settings(database_url, sealing_keys)) as client:
        await client.patch(f"/api/tasks/{SECOND}", json={"maxRetry": 7})
        await client.patch(f"/api/tasks/{FOURTH}", json={"schedule": "0 8 * * *"})
    made = await database.fetchrow("SELECT * FROM tasks WHERE id = $1", FIRST)
    since = made["effective_from"] + timedelta(milliseconds=1)
    async with await aio_pika.connect(rabbitmq_url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(await declare_changes(channel))

        dry = await run(start._replace(dry_run=True))
        started_ = await run(start._replace(since=since), RABBITMQ_URL=rabbitmq_url)
        again = await run(start)
        hint = await queue.get(timeout=WAIT_S)

    assert imported.lines[-2:] == ["4 tasks created", "1 refused"]
    assert "hint.lost" in imported.errors
    assert dry.lines[0] == f"would start: row 1, id {FIRST}"
    assert started_.lines == [
        f"started: row 1, id {FIRST}",
        f"started: row 2, id {SECOND}",
        f"left out: row 3, id {THIRD}",
        f"changed: row 4, id {FOURTH}",
        f"missing: row 5, id not here, here {new_id('not here')}",
        "2 tasks started",
        "1 left out",
        "1 have another schedule or status since they were imported, and were not started",
        "1 are not here",
    ]
    assert again.lines[0] == f"active: row 1, id {FIRST}"
    assert (imported.status, dry.status, started_.status, again.status) == (1, 1, 1, 1)
    found = {r["id"]: r for r in await database.fetch("SELECT * FROM tasks")}
    assert {id_: r["status"] for id_, r in found.items()} == {
        FIRST: "ACTIVE", SECOND: "ACTIVE", THIRD: "INACTIVE", FOURTH: "INACTIVE"
    }  # fmt: skip
    assert found[FIRST]["effective_from"] == since
    revision = await database.fetchrow("SELECT * FROM task_revisions WHERE task_id = $1 AND revision = 2", FIRST)
    assert (revision["effective_from"], revision["status"]) == (since, "ACTIVE")
    assert found[SECOND]["revision"] == 3
    assert json.loads(hint.body)["taskId"] in {str(FIRST), str(SECOND)}


@pytest.mark.parametrize(
    ("since", "is_after_import"), [("2000-01-01T00:00:00+00:00", False), ("2999-01-01T00:00:00+00:00", True)]
)
async def test_nothing_is_started_as_of_before_it_was_made_or_of_the_future(
    pool: asyncpg.Pool, database: asyncpg.Connection, settings: ImportSettings, since: str, is_after_import: bool
) -> None:
    await take(pool, settings, Order(Wishes("UTC", all_inactive=True)), [row(1)])
    made = await database.fetchval("SELECT effective_from FROM tasks")

    await take(pool, settings, Order(Wishes("UTC"), starts=True, since=datetime.fromisoformat(since)), [row(1)])

    began = await database.fetchval("SELECT effective_from FROM tasks")
    assert began <= await database.fetchval("SELECT clock_timestamp()")
    assert (began - made == timedelta(microseconds=1)) is not is_after_import


async def test_two_imports_at_once_create_each_task_once(
    pool: asyncpg.Pool, database: asyncpg.Connection, settings: ImportSettings
) -> None:
    rows = [row(number) for number in range(300)]
    order = Order(Wishes("UTC"))

    outcomes = await asyncio.gather(*(take(pool, settings, order, part) for part in (rows, rows[::-1], rows)))

    counts = sum(map(Counter, outcomes), Counter())
    assert counts == {"created": 300, "exists": 600}
    assert await database.fetchval("SELECT count(*) FROM task_revisions") == 300


@pytest.fixture
def settings(environment: dict[str, str]) -> ImportSettings:
    return load(ImportSettings, environment)


async def take(
    pool: asyncpg.Pool, settings: ImportSettings, order: Order, rows: list[dict[str, Any]]
) -> list[str]:
    """The outcome of each row, in batches of 100."""
    batches = Batches(pool, settings, Sealer.from_setting(settings.sealing_keys), order)
    texts = [json.dumps(each) for each in rows]
    lines = [await batches.take(first + 1, texts[first : first + 100]) for first in range(0, len(texts), 100)]
    return [line.outcome for batch in lines for line in batch]


async def test_what_cannot_be_reached_is_said_without_a_secret(
    run: Import, environment: dict[str, str], tmp_path: Path
) -> None:
    away = "postgresql://x:broker-password@127.0.0.1:1/x"
    for order, variables, says in (
        (IN_BERLIN, {"OLD_DATABASE_URL": away}, r"the old database cannot be reached \(ConnectionRefusedError\)"),
        (IN_BERLIN._replace(file=str(tmp_path / "x")), {}, "the file cannot be read: No such file or directory"),
    ):
        with pytest.raises(TocsinError, match=says) as raised:
            await run(order, **variables)
        assert "broker-password" not in str(raised.value)
    with pytest.raises(SettingsError, match="OLD_DATABASE_URL is not set, and no file was named"):
        importer.run(load(ImportSettings, environment), IN_BERLIN)


async def test_a_table_that_is_not_the_schedulers_is_refused_as_a_whole(
    run: Import, database_url: str, empty_database_url: str
) -> None:
    with pytest.raises(TocsinError, match='there is no table "tasks" in the old database: --table names another'):
        await run(IN_BERLIN, OLD_DATABASE_URL=empty_database_url)
    with pytest.raises(TocsinError, match='the old table "tasks" has no column webhookUrl: --table names another'):
        await run(IN_BERLIN, OLD_DATABASE_URL=database_url)
