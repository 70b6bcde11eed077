"""ADAPTER. How the API's statements reach PostgreSQL, and what several of them give it and get from it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from tocsin_common.database import CONNECTION_ERRORS
from tocsin_common.errors import UnavailableError

ACQUIRE_TIMEOUT_S = 5  # a request waits so long for a free connection, or for a new one

Row = Any
"""asyncpg.Record, which ships no type information: columns by name."""


@asynccontextmanager
async def acquire(pool: asyncpg.Pool) -> AsyncIterator[Any]:
    """A connection of the pool's; raises UnavailableError where PostgreSQL is away, then or in the middle."""
    try:
        async with pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
            yield connection
    except CONNECTION_ERRORS as error:
        raise UnavailableError(f"PostgreSQL does not answer: {type(error).__name__}") from error


def given(*conditions: tuple[str, object]) -> tuple[str, list[object]]:
    """All of `conditions` whose value is not None, as one, and these values as `$1`, `$2` and so on.

    In a condition `$` stands for its value's place. What is not asked for is not in the statement: so each
    combination has a plan of its own, which uses an index for what is.
    """
    asked = [(condition, value) for condition, value in conditions if value is not None]
    numbered = [condition.replace("$", f"${place}") for place, (condition, _) in enumerate(asked, start=1)]
    return " AND ".join(["true", *numbered]), [value for _, value in asked]


def page_of(page: int, limit: int) -> str:
    """Which rows of a list are shown, said as it is.

    Where PostgreSQL does not know how few they are, it keeps no prepared plan, and plans for each partition anew.
    """
    return f"LIMIT {limit:d}" if page == 1 else f"LIMIT {limit:d} OFFSET {(page - 1) * limit:d}"


def containing(text: str | None) -> str | None:
    """What LIKE takes to find it anywhere; None stays None."""
    if text is None:
        return None
    for special in ("\\", "%", "_"):
        text = text.replace(special, f"\\{special}")
    return f"%{text}%"
