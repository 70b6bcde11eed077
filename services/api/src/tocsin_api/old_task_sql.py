"""ADAPTER. Reads the table of tasks of the NestJS scheduler; nothing there is changed."""

from collections.abc import AsyncGenerator
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg

from tocsin_common.database import CONNECTION_ERRORS, plain_url
from tocsin_common.errors import TocsinError, UnavailableError
from tocsin_common.identity import process_name

TIMEOUT_S = 10
PAGE = 500  # rows that are fetched at a time
# What PostgreSQL's own clients know. Prisma's URLs have more, which the server would refuse.
_KNOWN = {"host", "port", "user", "password", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword"}

_LIST_COLUMNS = """
SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped
"""


class OldTableError(TocsinError):
    """The table is not what it should be."""


async def read_rows(database_url: str, table: str) -> AsyncGenerator[str, None]:
    """Each row as a JSON object, all of one snapshot, in the order of their ids; memory holds a page of them."""
    name = _named(database_url, table)
    try:
        connection = await asyncpg.connect(
            _without_strange_options(database_url),
            timeout=TIMEOUT_S,
            server_settings={"application_name": process_name("import"), "default_transaction_read_only": "on"},
        )
    except (asyncpg.PostgresError, ValueError, *CONNECTION_ERRORS) as error:
        raise UnavailableError(
            f"the old database cannot be reached ({type(error).__name__}): see OLD_DATABASE_URL"
        ) from error
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await _check(connection, name)
            # The name is quoted, and the operator's own.
            statement = f"SELECT row_to_json(t)::text FROM {name} AS t ORDER BY t.id"  # noqa: S608 - see above
            async for row in connection.cursor(statement, prefetch=PAGE):
                yield row[0]
    except (asyncpg.PostgresError, *CONNECTION_ERRORS) as error:
        raise UnavailableError(f"the old table {name} cannot be read ({type(error).__name__})") from error
    finally:
        connection.terminate()


async def _check(connection: asyncpg.Connection, name: str) -> None:
    columns = [row["attname"] for row in await connection.fetch(_LIST_COLUMNS, name)]
    if not columns:
        raise OldTableError(f"there is no table {name} in the old database: --table names another")
    spelled = {column.replace("_", "").lower() for column in columns}
    missing = [column for column in ("id", "webhookUrl") if column.lower() not in spelled]
    if "id" not in columns or missing:
        what = f"has no column {missing[0] if missing else 'id'}"
        raise OldTableError(f"the old table {name} {what}: --table names another")


def _named(database_url: str, table: str) -> str:
    """The table as statements name it, in the schema that Prisma's URLs name, else in the search path's."""
    schema = parse_qs(urlsplit(database_url).query).get("schema", [])
    return ".".join(f'"{part.replace(chr(34), chr(34) * 2)}"' for part in (*schema[:1], table))


def _without_strange_options(database_url: str) -> str:
    parts = urlsplit(plain_url(database_url))
    known = [(name, value) for name, value in parse_qsl(parts.query) if name in _KNOWN]
    return urlunsplit(parts._replace(query=urlencode(known)))
