"""SHELL. The command `rotate-keys`: what other keys sealed is sealed with the first one, while all goes on."""

import asyncio
import signal
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import asyncpg
import structlog
import uvloop

from tocsin_api import rotation_sql
from tocsin_api.postgresql import Row
from tocsin_common import database
from tocsin_common.errors import SealingError, TocsinError
from tocsin_common.identity import process_name
from tocsin_common.sealing import Sealer
from tocsin_common.settings import RotationSettings

PAGE = 500  # tasks a statement, which keeps the rows of a page from others for some tens of milliseconds
CONNECTIONS = 2
CONNECT_TIMEOUT_S = 10

_log = structlog.get_logger(__name__)


class RotationError(TocsinError):
    """Something is left that needs another key than the first."""


class Rotated(NamedTuple):
    """How far a rotation came."""

    resealed: int
    not_opened: int
    """Tasks whose URL no key opens; the log names each of them."""
    left: int
    """Tasks whose URL is not sealed with the first key, those that were not opened among them."""


def run(settings: RotationSettings) -> None:
    """Rotate until it is done or SIGTERM comes; what was done stays. RotationError where something is left."""
    sealer = Sealer.from_setting(settings.sealing_keys)
    try:
        rotated = uvloop.run(_run(settings, sealer))
    except asyncio.CancelledError:
        raise RotationError("it was broken off: run it again, it goes on from there") from None
    if rotated.left:
        raise RotationError(_what_is_left(rotated))


async def rotate(pool: asyncpg.Pool, sealer: Sealer, *, page: int = PAGE) -> Rotated:
    """Go through all tasks once. A URL that a client changes meanwhile stays as that client has it."""
    resealed = not_opened = 0
    after = UUID(int=0)
    while rows := await rotation_sql.list_sealed(pool, sealer.first_id, after=after, limit=page):
        after = rows[-1]["id"]
        urls, unopened = _reseal(sealer, [row for row in rows if row["sealed"] is not None])
        if urls:
            resealed += await rotation_sql.seal_anew(pool, urls)
        not_opened += unopened
        _log.info("keys.rotating", resealed=resealed, not_opened=not_opened, up_to_task=str(after))
    return Rotated(resealed, not_opened, await rotation_sql.count_sealed_otherwise(pool, sealer.first_id))


def _reseal(sealer: Sealer, rows: Sequence[Row]) -> tuple[list[rotation_sql.Resealed], int]:
    """What can be opened, under the first key; and how many cannot be. Nobody opens a deleted task's URL again."""
    urls, unopened = [], 0
    for row in rows:
        task_id: UUID = row["id"]
        try:
            url = sealer.open(row["sealed"], context=task_id.bytes)
        except SealingError as error:
            if not row["is_deleted"]:
                unopened += 1
                _log.error("task.not_opened", task_id=str(task_id), reason=str(error))
            continue
        sealed = sealer.seal(url, context=task_id.bytes)
        urls.append(rotation_sql.Resealed(task_id, row["sealed"], sealed, sealer.hash(url)))
    return urls, unopened


def _what_is_left(rotated: Rotated) -> str:
    if rotated.not_opened:
        return (
            f"{rotated.not_opened} tasks have a URL that no key opens: the log names each of them and what it "
            "needs. No key is to be removed before this command has ended with exit code 0"
        )
    return (
        f"{rotated.left} tasks were given a URL under another key meanwhile: once every API has the same first "
        "key, run this again"
    )


async def _run(settings: RotationSettings, sealer: Sealer) -> Rotated:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - for the type checker: this is a coroutine
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    pool = await database.open_pool(
        settings.database_url, size=CONNECTIONS, name=process_name("rotate-keys"), timeout_s=CONNECT_TIMEOUT_S
    )
    try:
        await database.wait_until_migrated(pool, timeout_s=0)
        rotated = await rotate(pool, sealer)
    finally:
        await database.close_pool(pool)
    _log.info("keys.rotated", key_ids=sealer.key_ids, **rotated._asdict())
    return rotated
