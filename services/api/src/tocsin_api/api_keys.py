"""SHELL. The routes under /api/keys: administrators give out API keys, and take them back."""

import hashlib
import secrets
from typing import Any

import msgspec
import structlog
from litestar import Request, Response, delete, get, post
from litestar.params import FromPath
from uuid_utils.compat import uuid7

from tocsin_api import api_key_sql
from tocsin_api.api_key_fields import (
    CHECKS,
    PREFIX,
    SECRET_BYTES,
    ApiKey,
    ApiKeyList,
    ApiKeyQuery,
    CreatedApiKey,
    NewApiKey,
    hint,
    shown,
)
from tocsin_api.errors import ConflictError, InvalidInputError, NotFoundError, Violation, in_body
from tocsin_api.inputs import read_body, read_id, read_query
from tocsin_api.pages import Total, describe
from tocsin_api.queries import READS_QUERY
from tocsin_api.resources import Injected
from tocsin_common.messages import iso_utc

AnyRequest = Request[Any, Any, Any]

_log = structlog.get_logger(__name__)


@post("/api/keys")
async def create_key(request: AnyRequest, resources: Injected) -> Response[CreatedApiKey]:
    """Make an API key. This answer is the only one that shows it."""
    new = read_body(request.headers.get("content-type"), await request.body(), NewApiKey, CHECKS)
    key = f"{PREFIX}{secrets.token_urlsafe(SECRET_BYTES)}"
    made = {"id": uuid7(), "hint": hint(key), "key_hash": hashlib.sha256(key.encode()).digest()}
    row = await api_key_sql.add_key(resources.pool, msgspec.structs.asdict(new) | made)
    if row["is_past"]:
        message = f"must lie in the future: it is {iso_utc(row['moment'])} by the database's clock"
        raise InvalidInputError(in_body([Violation("expiresAt", message)]))
    if row["is_full"]:
        raise ConflictError(f"there are {api_key_sql.MAX_KEYS} API keys already: delete those that nobody needs")
    resources.key_ring.changed()
    _log.info("api_key.created", key_id=str(row["id"]), scopes=row["scopes"])
    created = CreatedApiKey(**msgspec.structs.asdict(shown(row)), key=key)
    return Response(created, headers={"Cache-Control": "no-store"})


@get("/api/keys", opt=READS_QUERY)
async def list_keys(request: AnyRequest, resources: Injected) -> ApiKeyList:
    """List the API keys, the newest first; the one of API_KEY is not among them."""
    query = read_query(request.scope["query_string"], ApiKeyQuery, {})
    rows, total = await api_key_sql.list_keys(resources.pool, page=query.page, limit=query.limit)
    return ApiKeyList([shown(row) for row in rows], describe(query.page, query.limit, Total(total)))


@delete("/api/keys/{key_id:str}", status_code=200)
async def delete_key(key_id: FromPath[str], resources: Injected) -> ApiKey:
    """Delete an API key: it is refused from now on. The answer shows it for the last time."""
    row = await api_key_sql.delete_key(resources.pool, read_id(key_id))
    if row is None:
        raise NotFoundError("there is no API key with this id")
    resources.key_ring.changed()
    _log.info("api_key.deleted", key_id=str(row["id"]))
    return shown(row)
