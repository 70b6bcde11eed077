"""SHELL. The API keys that are valid, as this process knows them: all of them, in memory.

A request waits for PostgreSQL only where nothing was read for KNOWN_FOR_S, or where its key is not among the known
ones: it may be new. However many such requests come, they share a few statements a second.
"""

import asyncio
import hashlib
import hmac
import time
from datetime import timedelta
from types import TracebackType
from typing import NamedTuple, Self
from uuid import UUID

import asyncpg
import structlog

from tocsin_api import api_key_sql
from tocsin_api.access import FIRST, Caller
from tocsin_api.api_key_fields import looks_like_a_key
from tocsin_api.postgresql import Row
from tocsin_common.errors import UnavailableError

KNOWN_FOR_S = 2  # so long a key that was deleted elsewhere may still be taken here
READ_PAUSE_S = 0.25  # between two readings for keys that nobody has
USE_NOTED_EVERY_S = 60

_log = structlog.get_logger(__name__)


class _Known(NamedTuple):
    caller: Caller
    ends_at: float
    """On the monotonic clock, a moment too early: the answer that told it was under way."""


class KeyRing:
    """Whose key is this? A context manager; nothing is read before the first request asks."""

    def __init__(self, pool: asyncpg.Pool, api_key: str) -> None:
        self._pool = pool
        self._first = _digest(api_key.encode())
        self._known: dict[bytes, _Known] = {}
        self._read_at = self._changed_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._noted_at: dict[UUID, float] = {}
        self._noting: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reading is not None:
            self._reading.cancel()
        await asyncio.gather(*self._noting, *filter(None, [self._reading]), return_exceptions=True)

    def changed(self) -> None:
        """A key was added or deleted here: what was read before does not count any more."""
        self._changed_at = time.monotonic()

    async def find(self, given: bytes) -> Caller | None:
        """Whose key it is; None where it is nobody's, or has ended. Raises UnavailableError."""
        digest = _digest(given)
        # Digests have one length, so the time of the comparison tells nothing about the key.
        if hmac.compare_digest(digest, self._first):
            return FIRST
        # The others are looked up by their digests. What the time of that might tell of a digest is of no use: a
        # key of 256 random bits cannot be found from it.
        if not looks_like_a_key(given):
            return None
        now = time.monotonic()
        known = self._known.get(digest)
        # Where a key is new, or seems to have ended, the database is asked: its clock judges.
        is_settled = known is not None and now < known.ends_at
        await self._read_since(max(now - KNOWN_FOR_S, self._changed_at) if is_settled else now)
        known = self._known.get(digest)
        if known is None:
            return None
        self._note_use(known.caller)
        return known.caller

    async def _read_since(self, moment: float) -> None:
        """Return when what is known was read at that moment or later."""
        while self._read_at < moment:
            if self._reading is None:
                self._reading = asyncio.create_task(self._read())
                self._reading.add_done_callback(self._has_read)
            await asyncio.shield(self._reading)  # others wait for it too

    async def _read(self) -> None:
        await asyncio.sleep(max(0, self._read_at + READ_PAUSE_S - time.monotonic()))
        begun_at = time.monotonic()
        rows = await api_key_sql.valid_keys(self._pool)
        self._known = {row["key_hash"]: _known(row, begun_at) for row in rows}
        self._read_at = begun_at
        ids = {known.caller.key_id for known in self._known.values()}
        self._noted_at = {key_id: at for key_id, at in self._noted_at.items() if key_id in ids}

    def _has_read(self, reading: asyncio.Task[None]) -> None:
        self._reading = None
        if not reading.cancelled():
            reading.exception()  # whoever waited has raised it

    def _note_use(self, caller: Caller) -> None:
        now = time.monotonic()
        if caller.key_id is None or now - self._noted_at.get(caller.key_id, float("-inf")) < USE_NOTED_EVERY_S:
            return
        self._noted_at[caller.key_id] = now
        noting = asyncio.create_task(self._write_use(caller.key_id))
        self._noting.add(noting)
        noting.add_done_callback(self._noting.discard)

    async def _write_use(self, key_id: UUID) -> None:
        try:
            await api_key_sql.note_use(self._pool, key_id, every=timedelta(seconds=USE_NOTED_EVERY_S))
        except UnavailableError as error:
            _log.warning("api_key.use_not_noted", key_id=str(key_id), error=str(error))


def _digest(key: bytes) -> bytes:
    # No salt and no slow hash: they are for what people think up, and this is random.
    return hashlib.sha256(key).digest()


def _known(row: Row, now: float) -> _Known:
    ends_at = float("inf") if row["seconds_left"] is None else now + row["seconds_left"]
    return _Known(Caller(str(row["id"]), frozenset(row["scopes"]), row["id"]), ends_at)
