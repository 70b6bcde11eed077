"""SHELL. The command `import`: tasks of the NestJS scheduler become tasks here, or it is said why they do not.

Rows come in batches, each of them one transaction. What is here already is compared and left alone, so an import
may be broken off and run again.
"""

import asyncio
import signal
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from typing import IO

import asyncpg
import structlog
import uvloop
from aio_pika import Message

from tocsin_api import import_report, old_files, old_task_sql
from tocsin_api.import_batches import Batches, Order
from tocsin_common import broker, database, topology
from tocsin_common.errors import SettingsError, TocsinError, UnavailableError
from tocsin_common.identity import ANNOUNCES_CHANGES, process_name
from tocsin_common.messages import ScheduleChange, encode
from tocsin_common.sealing import Sealer
from tocsin_common.settings import ImportSettings

BATCH = 500  # rows a transaction
BATCH_LENGTH = 4_000_000  # characters of their payloads and all, so that memory stays bounded
CONNECTIONS = 2
CONNECT_TIMEOUT_S = 10

_log = structlog.get_logger(__name__)

Rows = AsyncGenerator[str, None]


class BrokenImportError(TocsinError):
    """The import did not come to its end."""


def run(settings: ImportSettings, order: Order) -> bool:
    """Import until it is done or SIGTERM comes; whether all is here. What was done stays."""
    if not order.file and not settings.old_database_url:
        raise SettingsError("OLD_DATABASE_URL is not set, and no file was named")
    try:
        return uvloop.run(_run(settings, order))
    except asyncio.CancelledError:
        raise BrokenImportError("it was broken off: run it again, it goes on from there") from None


async def bring(settings: ImportSettings, order: Order) -> bool:
    """Take all rows, and print what becomes of each; whether all of them are here."""
    sealer = Sealer.from_setting(settings.sealing_keys)
    pool = await database.open_pool(
        settings.database_url, size=CONNECTIONS, name=process_name("import"), timeout_s=CONNECT_TIMEOUT_S
    )
    batches = Batches(pool, settings, sealer, order)
    try:
        await database.wait_until_migrated(pool, timeout_s=0)
        await _take_all(batches, _source(settings, order), dry_run=order.dry_run)
    finally:
        await database.close_pool(pool)
        for line in import_report.summary(batches.counts, batches.unknown, dry_run=order.dry_run):
            print(line, flush=True)
    if batches.changed is not None:
        await _wake_schedulers(settings, batches.changed)
    return not batches.counts.keys() & import_report.UNDONE


async def _run(settings: ImportSettings, order: Order) -> bool:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - for the type checker: this is a coroutine
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await bring(settings, order)


async def _take_all(batches: Batches, source: Rows, *, dry_run: bool) -> None:
    first = 1
    try:
        async with aclosing(source), aclosing(_in_batches(source)) as parts:
            async for rows in parts:
                for line in await batches.take(first, rows):
                    print(import_report.show(line, dry_run=dry_run))
                first += len(rows)
    except asyncpg.PostgresError as error:
        first_line = str(error).partition("\n")[0]  # what follows is of the row
        raise BrokenImportError(f"PostgreSQL takes no row from {first} on: {first_line}") from error


async def _in_batches(source: Rows) -> AsyncGenerator[list[str], None]:
    batch: list[str] = []
    length = 0
    async for row in source:
        batch.append(row)
        length += len(row)
        if len(batch) == BATCH or length >= BATCH_LENGTH:
            yield batch
            batch, length = [], 0
    if batch:
        yield batch


def _source(settings: ImportSettings, order: Order) -> Rows:
    if order.file:
        return _rows_of_file(order.file)
    return old_task_sql.read_rows(settings.old_database_url, order.table)


async def _rows_of_file(name: str) -> Rows:
    with _opened(name) as stream:
        for row in old_files.objects(stream.read):
            yield row


@contextmanager
def _opened(name: str) -> Iterator[IO[str]]:
    """The file, or stdin."""
    try:
        with open(0 if name == "-" else name, encoding="utf-8-sig", closefd=name != "-") as stream:
            yield stream
    except OSError as error:
        raise BrokenImportError(f"the file cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BrokenImportError("the file is not UTF-8") from error


async def _wake_schedulers(settings: ImportSettings, change: ScheduleChange) -> None:
    """One hint for all: it only wakes them, and without it they read what has changed seconds later."""
    try:
        connection = await broker.connect(
            settings.rabbitmq_url, name=ANNOUNCES_CHANGES.name(process_name("import")), timeout_s=0,
            description=ANNOUNCES_CHANGES.description,
        )  # fmt: skip
        async with connection, broker.call(settings.hint_timeout_s):
            exchange = await topology.declare_changes(await connection.channel())
            await exchange.publish(Message(encode(change), content_type="application/json"), routing_key="")
    except (UnavailableError, *broker.BROKER_ERRORS) as error:
        _log.warning(
            "hint.lost", task_id=str(change.task_id), revision=change.revision, reason=type(error).__name__
        )
